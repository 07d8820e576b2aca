"""Where tables differ from W&B's on purpose: as W&B has it, as we have it, and as the product shows it."""

import math
from collections.abc import Iterator, Sequence
from typing import Any

import duckdb
import pyarrow as pa
import pytest
import table_rules as rules
from table_rules import OURS, WANDB, PlainTable
from table_stores import Columns, answer, put, shown, table

from secondguess.analysis.answers.answer import bars
from secondguess.analysis.errors import BadInput
from secondguess.analysis.tables.view import TableView


@pytest.fixture(scope="module")
def con() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as opened:
        yield opened


def by_rules(tables: Sequence[Columns], rules_: rules.Rules, how: str, *key: str, allow: bool = True) -> list[Any]:
    """The rows of a join by the rules, its columns in order."""
    found = rules.joined([table(columns) for columns in tables], how, key, allow_duplicates=allow, rules=rules_)
    return [tuple(row.values()) for row in found.rows]


AB = ("a", "b")


def test_rows_without_a_key_stay_in_an_outer_join(tmp_path, con):
    a, b = {"k": [1, None], "t": ["p", "q"]}, {"k": [None, 1], "t": ["r", "s"]}
    put(tmp_path, a=a, b=b)
    assert by_rules([a, b], WANDB, "outer", "k") == [("1", ["p", "s"])]
    assert by_rules([a, b], OURS, "outer", "k") == [(1, "p", "s"), (None, "q", None), (None, None, "r")]
    found = shown(con, tmp_path, AB, "k t_a t_b", join="outer", key=("k",))
    assert found == by_rules([a, b], OURS, "outer", "k")
    assert shown(con, tmp_path, AB, "k t_a t_b", join="inner", key=("k",)) == [(1, "p", "s")]


def test_empty_text_is_a_key_like_any_other(tmp_path, con):
    a, b = {"k": ["", "x"], "t": ["p", "q"]}, {"k": ["x", ""], "t": ["r", "s"]}
    put(tmp_path, a=a, b=b)
    assert by_rules([a, b], WANDB, "inner", "k") == [("x", ["q", "r"])]
    assert by_rules([a, b], OURS, "inner", "k") == [("", "p", "s"), ("x", "q", "r")]
    assert shown(con, tmp_path, AB, "k t_a t_b", join="inner", key=("k",)) == by_rules([a, b], OURS, "inner", "k")


def test_repeated_keys_are_refused_unless_allowed(tmp_path, con):
    a, b = {"k": [1, 1], "t": ["p", "q"]}, {"k": [1, 1], "t": ["r", "s"]}
    put(tmp_path, a=a, b=b)
    assert by_rules([a, b], WANDB, "inner", "k", allow=False) == [
        ("1", ["p", "r"]),
        ("1", ["p", "s"]),
        ("1", ["q", "r"]),
        ("1", ["q", "s"]),
    ]
    with pytest.raises(rules.Refused):
        by_rules([a, b], OURS, "inner", "k", allow=False)
    with pytest.raises(BadInput, match=r"a@1 has 1 rows with a repeated key; b@1 has 1 rows with a repeated key \(k\)"):
        shown(con, tmp_path, AB, "k t_a t_b", join="inner", key=("k",))
    found = shown(con, tmp_path, AB, "k t_a t_b", join="inner", key=("k",), allow_duplicates=True)
    assert found == [(1, "p", "r"), (1, "p", "s"), (1, "q", "r"), (1, "q", "s")]


def test_rows_of_repeated_keys_keep_their_order(tmp_path, con):
    a, b = {"k": [1, 2, 1], "t": ["p", "q", "r"]}, {"k": [2, 1], "t": ["s", "u"]}
    put(tmp_path, a=a, b=b)
    assert by_rules([a, b], WANDB, "outer", "k") == [("1", ["p", "u"]), ("1", ["r", "u"]), ("2", ["q", "s"])]
    assert by_rules([a, b], OURS, "outer", "k") == [(1, "p", "u"), (2, "q", "s"), (1, "r", "u")]
    found = shown(con, tmp_path, AB, "k t_a t_b", join="outer", key=("k",), allow_duplicates=True)
    assert found == by_rules([a, b], OURS, "outer", "k")


def test_each_side_has_columns_of_its_own_and_the_key_keeps_its_name_and_kind(tmp_path, con):
    a, b = {"k": [1], "t": ["p"]}, {"k": [1], "t": ["q"], "x": [0.5]}
    put(tmp_path, a=a, b=b)
    tables = [table(a), table(b)]
    assert rules.joined(tables, "inner", ["k"], rules=WANDB).rows == [
        {"Joined On": "1", "t": ["p", "q"], "x": [None, 0.5]}
    ]
    assert rules.joined(tables, "inner", ["k"]).rows == [{"k": 1, "t_a": "p", "t_b": "q", "x_b": 0.5}]
    (row,) = answer(con, tmp_path, TableView(AB, join="inner", key=("k",))).rows
    assert {name: row[name] for name in ("k", "t_a", "t_b", "x_b")} == rules.joined(tables, "inner", ["k"]).rows[0]
    assert "x_a" not in row


def test_columns_that_stand_in_for_the_key_stay(tmp_path, con):
    a, b = {"k": [None], "t": ["p"]}, {"k": ["p"], "t": ["q"]}
    put(tmp_path, a={**a, "k": pa.nulls(1, pa.string())}, b=b)
    tables = [PlainTable({"k": "text", "t": "text"}, [{"k": None, "t": "p"}]), table(b)]
    assert rules.joined(tables, "inner", ["k", "t"], rules=WANDB).rows == [{"Joined On": "p"}]
    assert rules.joined(tables, "inner", ["k", "t"]).rows == [
        {"k": "p", "k_a": None, "k_b": "p", "t_a": "p", "t_b": "q"}
    ]
    assert shown(con, tmp_path, AB, "k k_a k_b t_a t_b", join="inner", key=("k", "t")) == [("p", None, "p", "p", "q")]


def test_a_missing_side_is_null_and_never_0(tmp_path, con):
    put(tmp_path, a={"id": ["x"], "k": [4]}, b={"id": ["y"], "k": [0]})
    assert rules.bars([4, None], WANDB) == [4, 0]
    assert rules.bars([4, None], OURS) == [4, None]
    assert shown(con, tmp_path, AB, "id k_a k_b", join="outer") == [("x", 4, None), ("y", None, 0)]
    assert bars([4, None, 0], 4) == "█ ▁"
    grouped = shown(
        con, tmp_path, AB, "n of_a of_b", join="outer", aggregate=(("of_a", "sum(k_a)"), ("of_b", "avg(k_b)"))
    )
    assert grouped == [(2, 4, 0.0)]


def test_a_group_of_nulls_is_not_that_of_empty_text(tmp_path, con):
    rows = {"t": ["", None, "x", None], "k": [1, 2, 3, 4]}
    put(tmp_path, a=rows)
    assert [(row["t"], row["groupCount"]) for row in rules.grouped(table(rows), ["t"], {}, WANDB)] == [
        ("", 3),
        ("x", 1),
    ]
    ours = [(row["t"], row["n"]) for row in rules.grouped(table(rows), ["t"], {})]
    assert ours == [(None, 2), ("", 1), ("x", 1)]
    assert shown(con, tmp_path, "a", "t n", group=("t",)) == ours


def test_groups_come_in_the_order_of_all_their_columns(tmp_path, con):
    rows = {"t": ["x", "x", "w"], "k": [2, 1, 3]}
    put(tmp_path, a=rows)
    assert [row["k"] for row in rules.grouped(table(rows), ["t", "k"], {}, WANDB)] == [3, 2, 1]
    assert [row["k"] for row in rules.grouped(table(rows), ["t", "k"], {})] == [3, 1, 2]
    assert shown(con, tmp_path, "a", "k", group=("t", "k")) == [(3,), (1,), (2,)]


@pytest.mark.parametrize("taken, called", [((), "n"), (("n",), "rows"), (("N", "rows"), "group_count")])
def test_the_number_of_rows_has_a_name_that_no_column_has(tmp_path, con, taken, called):
    rows = {"t": ["x"], **{name: [1] for name in taken}}
    put(tmp_path, a=rows)
    assert rules.count_column(table(rows), WANDB) == "groupCount"
    assert rules.count_column(table(rows)) == called
    assert shown(con, tmp_path, "a", f"t {called}", group=("t",)) == [("x", 1)]


def test_stacked_columns_of_unlike_kinds_are_text(tmp_path, con):
    a, b = {"k": [1, None]}, {"k": ["1", "x"]}
    put(tmp_path, a=a, b=b)
    assert [row["k"] for row in rules.concatenated([table(a), table(b)]).rows] == ["1", None, "1", "x"]
    assert shown(con, tmp_path, AB, "k") == [("1",), (None,), ("1",), ("x",)]


def test_nan_is_a_number_larger_than_all_and_equal_to_itself(tmp_path, con):
    put(tmp_path, a={"x": [math.nan, 1.0, None, math.inf, math.nan]})
    rows = shown(con, tmp_path, "a", "id", sort=("x",))
    assert rows == [("2",), ("1",), ("3",), ("0",), ("4",)]
    assert shown(con, tmp_path, "a", "id", where=("x > 1",)) == [("0",), ("3",), ("4",)]
    assert [row[1] for row in shown(con, tmp_path, "a", "x n", group=("x",))] == [1, 1, 1, 2]


# The rules themselves, by hand


@pytest.mark.parametrize(
    "value, text",
    [
        *((1, "1"), (1.0, "1"), (-0.0, "0"), (0.5, "0.5"), (-2.25, "-2.25"), (1e15, "1000000000000000")),
        *((1e20, "100000000000000000000"), (1e21, "1e+21"), (1.5e300, "1.5e+300"), (0.000001, "0.000001")),
        *((1e-5, "0.00001"), (1.25e-5, "0.0000125"), (1e-7, "1e-7"), (1.5e-7, "1.5e-7"), (0.1, "0.1")),
        *((math.nan, "NaN"), (math.inf, "Infinity"), (-math.inf, "-Infinity"), (True, "true"), (False, "false")),
        *(("", ""), ("1", "1"), ([1, 2], "[1,2]"), ([], "[]"), (None, None)),
    ],
)  # fmt: skip
def test_keys_as_javascript_writes_them(value, text):
    assert rules.key_text(value) == text


def test_keys_of_unlike_kinds_match_by_their_text(tmp_path, con):
    a, b = {"k": [1, 2, 3], "t": ["p", "q", "r"]}, {"k": ["3", "1", "02"], "t": ["s", "u", "v"]}
    put(tmp_path, a=a, b=b)
    expected = [("1", "p", "u"), ("2", "q", None), ("3", "r", "s"), ("02", None, "v")]
    assert by_rules([a, b], OURS, "outer", "k") == expected
    assert shown(con, tmp_path, AB, "k t_a t_b", join="outer", key=("k",)) == expected


def test_a_tenth_of_the_range_is_a_bin_and_the_greatest_lies_in_the_last(tmp_path, con):
    put(tmp_path, a={"x": [0.0, 1.0, 9.99, 10.0, 5.0, math.inf, None, math.nan]})
    held = {"low": 0.0, "high": 10.0, "counts": [1, 1, 0, 0, 0, 1, 0, 0, 0, 2]}
    assert rules.histogram([0.0, 1.0, 9.99, 10.0, 5.0, math.inf, math.nan], 0, 10) == held["counts"]
    assert shown(con, tmp_path, "a", "x", aggregate=(("m", "count(*)"),)) == [(held,)]


def test_the_ten_most_frequent_texts_are_counted_and_the_rest_is_said(tmp_path, con):
    texts = [letter for place, letter in enumerate("abcdefghijklm") for _ in range(1 + place % 3)]
    put(tmp_path, a={"t": texts})
    top = [("c", 3), ("f", 3), ("i", 3), ("l", 3), ("b", 2), ("e", 2), ("h", 2), ("k", 2), ("a", 1), ("d", 1)]
    ((found,),) = shown(con, tmp_path, "a", "t", aggregate=(("m", "count(*)"),))
    assert [(entry["value"], entry["rows"]) for entry in found["values"]] == top
    assert found["distinct"] == 13


def test_aggregates_leave_nulls_aside(tmp_path, con):
    rows = {"x": [2.0, None, 4.0, 4.0], "t": ["p", "q", "r", "s"]}
    put(tmp_path, a=rows)
    values = rules.present(table(rows).rows, "x")
    wanted = {
        "avg(x)": rules.mean(values),
        "min(x)": rules.least(values),
        "max(x)": rules.greatest(values),
        "sum(x)": rules.total(values),
        "count(x)": len(values),
        "arg_min(t, x)": rules.at_most(table(rows).rows, "t", "x", min),
        "arg_max(t, x)": rules.at_most(table(rows).rows, "t", "x"),
        "stddev_pop(x)": rules.spread(values),
    }
    assert list(wanted.values())[:-1] == [10 / 3, 2.0, 4.0, 10.0, 3, "p", "r"]
    named = [(f"of {sql}", sql) for sql in wanted]
    view = TableView(("a",), aggregate=tuple(named), columns=tuple(name for name, _ in named))
    (found,) = answer(con, tmp_path, view).rows
    assert found.pop("of stddev_pop(x)") == pytest.approx(wanted.pop("stddev_pop(x)"), rel=1e-12)
    assert list(found.values()) == list(wanted.values())


def test_keys_below_a_ten_thousandth_have_an_exponent(tmp_path, con):
    put(tmp_path, a={"k": [1e-5, 0.001]}, b={"k": ["x", "0.001"]})
    assert rules.key_text(1e-5) == "0.00001"
    assert shown(con, tmp_path, AB, "k", join="outer", key=("k",)) == [("1e-5",), ("0.001",), ("x",)]


def test_nulls_are_counted_among_the_texts_of_a_group(tmp_path, con):
    put(tmp_path, a={"t": ["x", None, "y", None, "y"]})
    ((found,),) = shown(con, tmp_path, "a", "t", aggregate=(("m", "count(*)"),))
    counted = [(entry["value"], entry["rows"]) for entry in found["values"]]
    assert (counted, found["distinct"]) == ([(None, 2), ("y", 2), ("x", 1)], 3)
