"""Where tables are easily shown wrong: each case with the smallest tables that show it."""

import datetime
from collections.abc import Iterator

import duckdb
import pyarrow as pa
import pytest
import table_rules as rules
from recording import record
from table_stores import answer, put, shown, table

from secondguess.analysis.errors import BadInput
from secondguess.analysis.tables import select
from secondguess.analysis.tables.view import TableView


@pytest.fixture(scope="module")
def con() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as opened:
        yield opened


AB = ("a", "b")
LARGE = 2**53

# Stacks


@pytest.mark.parametrize("names", [("a@2", "a@1"), ("a@1", "b@1", "a@2")])
def test_epochs_of_a_table_are_stacked_as_named(tmp_path, con, names):
    record(tmp_path, "a", {1: [("x", 0, 0)], 2: [("x", 0, 0)]})
    record(tmp_path, "b", {1: [("x", 0, 0)]})
    assert [f"{run}@{epoch}" for run, epoch in shown(con, tmp_path, names, "run epoch")] == list(names)


def test_a_truth_does_not_become_a_number(tmp_path, con):
    a, b = {"k": [True]}, {"k": [1]}
    put(tmp_path, a=a, b=b)
    expected = [(row["k"],) for row in rules.concatenated([table(a), table(b)]).rows]
    assert expected == [("true",), ("1",)]
    assert shown(con, tmp_path, AB, "k") == expected


def test_a_number_that_becomes_text_is_written_as_a_key_is(tmp_path, con):
    a, b = {"k": [1.0]}, {"k": ["x"]}
    put(tmp_path, a=a, b=b)
    expected = [(row["k"],) for row in rules.concatenated([table(a), table(b)]).rows]
    assert expected == [("1",), ("x",)]
    assert shown(con, tmp_path, AB, "k") == expected


@pytest.mark.parametrize("cells", [[[1, 2]], [datetime.date(2024, 1, 1)]])
def test_columns_without_a_common_type_are_shown_or_refused_by_name(tmp_path, con, cells):
    put(tmp_path, a={"k": cells}, b={"k": [datetime.time(1, 2)]})
    try:
        statement = select.statement(con, tmp_path, TableView(AB, columns=("id", "k")))
    except BadInput as error:
        assert "k" in str(error)
    else:
        assert len(con.execute(statement.sql).fetchall()) == 2


# Joins


def test_a_number_that_equals_two_others_does_not_multiply_rows_in_silence(tmp_path, con):
    put(tmp_path, a={"k": [LARGE, LARGE + 1]}, b={"k": [float(LARGE), 0.0]})
    try:
        statement = select.statement(con, tmp_path, TableView(AB, join="inner", key=("k",)))
    except BadInput:
        return
    (report,) = statement.reports
    assert report.nulls_right == 0
    assert len(con.execute(statement.sql).fetchall()) == report.matched == 1


@pytest.mark.parametrize("number", [1e15, -1e20, 1e-7, float("nan"), float("inf")])
def test_a_number_matches_its_text(tmp_path, con, number):
    text = rules.key_text(number)
    put(tmp_path, a={"k": [number]}, b={"k": [text]})
    assert shown(con, tmp_path, AB, "k id_a id_b", join="inner", key=("k",)) == [(text, "0", "0")]


def test_a_key_that_one_side_never_has_keeps_its_kind(tmp_path, con):
    put(tmp_path, a={"k": [1]}, b={"k": pa.nulls(1)})
    assert shown(con, tmp_path, AB, "k id_a id_b", join="outer", key=("k",)) == [(1, "0", None), (None, None, "0")]


def test_ids_of_other_content_are_refused_whatever_the_case_of_the_key(tmp_path, con):
    record(tmp_path, "a", {1: [("x", 0, 0)]}, content={"x": "one"})
    record(tmp_path, "b", {1: [("x", 0, 0)]}, content={"x": "another"})
    refused = []
    for key in ("id", "ID"):
        try:
            select.statement(con, tmp_path, TableView(AB, join="inner", key=(key,)))
        except BadInput as error:
            refused.append((key, "means another example" in str(error)))
    assert refused == [("id", True), ("ID", True)]


# Groups


def test_a_group_without_values_says_how_many_rows_have_none(tmp_path, con):
    put(tmp_path, a={"k": [1], "t": pa.nulls(1, pa.string())})
    ((found,),) = shown(con, tmp_path, "a", "t", group=("k",))
    assert found == {"values": [{"value": None, "rows": 1}], "distinct": 1}


def test_a_key_made_of_lists_is_summarised_as_the_text_it_is(tmp_path, con):
    put(tmp_path, a={"l": [[1, 2]]}, b={"l": [[1, 2]]})
    ((found,),) = shown(con, tmp_path, AB, "l", join="inner", key=("l",), aggregate=(("m", "count(*)"),))
    assert found == {"values": [{"value": "[1,2]", "rows": 1}], "distinct": 1}


@pytest.mark.parametrize("view", [{"group": ("digest",)}])
def test_groups_can_show_a_digest_that_the_view_names_elsewhere(tmp_path, con, view):
    record(tmp_path, "a", {1: [("x", 0, 0)]}, content={"x": "one"})
    (row,) = answer(con, tmp_path, TableView(("a",), **view)).rows
    assert shown(con, tmp_path, "a", "digest n", **view) == [(row["digest"], 1)]


def test_a_page_of_groups_is_the_first_of_all_of_them(tmp_path, con):
    put(tmp_path, a={"k": [1, 1, 2, 2, 3, 3], "x": [1.0, 2.0, 2.0, 2.0, 1.0, 1.0]})
    whole = shown(con, tmp_path, "a", "k x", group=("k",), sort=("x",))
    assert shown(con, tmp_path, "a", "k x", group=("k",), sort=("x",), limit=1) == whole[:1]


def test_a_sort_does_not_need_its_column_shown(tmp_path, con):
    put(tmp_path, a={"k": [1, 2], "t": ["y", "x"]})
    whole = shown(con, tmp_path, "a", "k t", group=("k",), sort=("t",))
    assert shown(con, tmp_path, "a", "k", group=("k",), sort=("t",)) == [row[:1] for row in whole]


# Names


def test_a_table_with_all_the_names_of_the_count_can_be_grouped(tmp_path, con):
    put(tmp_path, a={"k": [1], "n": [5], "rows": [6], "group_count": [7]})
    assert len(answer(con, tmp_path, TableView(("a",), group=("k",))).rows) == 1


@pytest.mark.parametrize("name", ["n", "k"])
def test_an_aggregate_has_a_name_of_its_own(tmp_path, con, name):
    put(tmp_path, a={"k": [1, 1], "x": [20, 30]})
    try:
        rows = answer(con, tmp_path, TableView(("a",), group=("k",), aggregate=((name, "sum(x)"),))).rows
    except BadInput:
        return
    assert [row[name] for row in rows] == [50]


def test_an_aggregate_may_be_called_as_a_column_in_another_case(tmp_path, con):
    put(tmp_path, a={"k": [1, 1], "x": [20, 30]})
    try:
        rows = answer(con, tmp_path, TableView(("a",), group=("k",), aggregate=(("X", "sum(x)"),))).rows
    except BadInput:
        return
    assert [row["X"] for row in rows] == [50]


def test_no_column_of_a_table_is_hidden(tmp_path, con):
    put(tmp_path, a={"file_row_number_of_scan": [5]})
    assert "file_row_number_of_scan" in answer(con, tmp_path, TableView(("a",))).columns


def test_a_computed_column_shows_what_it_computes(tmp_path, con):
    put(tmp_path, a={"k": [7]})
    view = TableView(("a",), add=(("file_row_number", "k * 2"),), columns=("file_row_number",))
    try:
        rows = answer(con, tmp_path, view).rows
    except BadInput:
        return
    assert rows == [{"file_row_number": 14}]


def test_no_columns_are_refused(tmp_path, con):
    put(tmp_path, a={"k": [7]})
    with pytest.raises(BadInput):
        shown(con, tmp_path, "a", "")
