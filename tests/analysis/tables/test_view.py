"""A table view does to literal rows what its fields say: stack, join, compute, filter, group, sort, cut, page."""

import datetime
import math
from dataclasses import replace

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from recording import record
from stores import epoch, writer

import secondguess as sg
from secondguess.analysis.engine.duck import answered, rows
from secondguess.analysis.errors import BadInput, NotFound, Refused
from secondguess.analysis.tables import select
from secondguess.analysis.tables.view import TableView
from secondguess.trainer.recorder import Recorder

NAN = math.nan
# id, truth, scores. By hand: a right, b wrong (guess 0), c right, d unlabelled (guess 0), e wrong (guess 1).
FIRST = [
    ("a", 0, [0.75, 0.25]),
    ("b", 1, [0.875, 0.125]),
    ("c", 1, [0.25, 0.75]),
    ("d", None, [0.5, 0.5]),
    ("e", 0, [0.375, 0.625]),
]
# b is right now, c and e wrong.
SECOND = [
    ("a", 0, [1.0, 0.0]),
    ("b", 1, [0.25, 0.75]),
    ("c", 1, [0.5, 0.5]),
    ("d", None, [0.5, 0.5]),
    ("e", 0, [0.25, 0.75]),
]


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    path = tmp_path_factory.mktemp("store")
    record(path, "cnn", {1: FIRST, 2: SECOND})
    record(path, "double", {1: [FIRST[1], FIRST[4]], 3: [FIRST[2], ("f", 1, [0.0, 1.0])]})
    record(path, "few", {3: [("a", 0, [1.0, 0.0])]})
    with Recorder(path, run="two tables", wandb="off") as recorder:
        for table, guess in (("test_predictions", 0), ("train_predictions", 1)):
            with recorder.table(table, epoch=1) as rows:
                rows.add(ids=["a"], truth=[0], guess=[guess])
    return sg.connect(path)


def shown(store, *tables, **how):
    return store.table(*tables, **how).fetchall()


def ids(store, *tables, **how):
    return "".join(name for (name,) in shown(store, *tables, columns="id", **how))


# Stacking


def test_stacked_rows_all_say_their_run_and_epoch_in_the_order_recorded(store):
    found = shown(store, "cnn@1", "double@1", columns="run, epoch, id")
    assert found == [*(("cnn", 1, name) for name in "abcde"), ("double", 1, "b"), ("double", 1, "e")]


def test_rows_of_a_run_with_several_tables_say_which_table_they_are_from(store):
    found = shown(store, "two tables", "two tables/train_predictions", columns="run, id, guess")
    assert found == [("two tables", "a", 0), ("two tables/train_predictions", "a", 1)]


def test_the_run_of_a_row_does_not_depend_on_the_other_tables_of_a_view(store):
    train = ("two tables/train_predictions", "a", 1)
    assert shown(store, "two tables/train_predictions", columns="run, id, guess") == [train]
    assert shown(store, "two tables/train_predictions", columns="run, id, guess", only=[("run", train[0])]) == [train]
    found = shown(store, "two tables", "two tables/train_predictions", join="inner", columns="run_a, run_b")
    assert found == [("two tables", "two tables/train_predictions")]


def test_all_columns_are_shown_where_none_are_named(store):
    columns = ["run", "epoch", "id", "guess", "truth", "confidence", "truth_score", "score_0", "score_1"]
    assert store.table("cnn@1").columns == columns
    assert store.table("cnn@1", "cnn@2", "double").columns == columns


def test_a_reference_without_an_epoch_is_the_last_one(store):
    assert shown(store, "cnn", columns="epoch, id", limit=1) == [(2, "a")]
    assert ids(store, "double") == "cf"


def test_best_and_all_epochs_can_be_viewed(store):
    # By hand: 2 errors of 4 labelled rows in both epochs of cnn, and best is the earliest of equals.
    assert shown(store, "cnn@best", columns="epoch", limit=1) == [(1,)]
    assert shown(store, "cnn@all", group="epoch", columns="epoch, n") == [(1, 5), (2, 5)]


def test_an_epoch_chosen_for_all_is_the_last_one_up_to_it_or_exactly_it(store):
    by = {"group": "run, epoch", "columns": "run, epoch, n"}
    assert shown(store, "cnn", "double", at=2, **by) == [("cnn", 2, 5), ("double", 1, 2)]
    assert shown(store, "cnn", "double", at=1, exact=True, **by) == [("cnn", 1, 5), ("double", 1, 2)]
    assert shown(store, "cnn", "double", at=3, exact=True, **by) == [("double", 3, 2)]
    assert shown(store, "cnn", "double", at=99, **by) == [("cnn", 2, 5), ("double", 3, 2)]


def test_tables_that_have_no_such_epoch_are_left_out_and_said(store):
    how = {"at": 2, "exact": True}
    assert store.table("cnn", "double", **how).statement.notes[0] == "left out double: no epoch 2; it has 1, 3"
    assert "no epoch up to 2; it has 3" in store.table("cnn", "few", at=2).statement.notes[0]
    with pytest.raises(NotFound, match=r"^nothing to show at epoch 2; left out few.*: no epoch up to 2; it has 3$"):
        store.table("few", at=2)


def test_a_table_cannot_be_at_two_epochs(store):
    with pytest.raises(BadInput, match=r"cnn@1 names its epoch, and so does --at 2; leave one out"):
        store.table("cnn@1", at=2)


def test_there_is_nothing_at_epoch_0(store):
    with pytest.raises(NotFound, match="nothing to show at epoch 0"):
        store.table("cnn", at=0)


def test_the_same_table_is_stacked_once(store):
    with pytest.raises(BadInput, match="cnn@2 is named twice; stacked, a table stands once"):
        store.table("cnn@2", "cnn")


def test_columns_that_differ_in_the_case_of_an_accented_letter_can_be_stacked(tmp_path):
    record(tmp_path, "u", {1: [("a", 0, 0)]}, columns={"é": ["x"]})
    record(tmp_path, "v", {1: [("a", 0, 0)]}, columns={"É": ["y"]})
    assert shown(sg.connect(tmp_path), "u", "v", columns="run, id") == [("u", "a"), ("v", "a")]


def test_columns_that_differ_in_the_case_of_a_plain_letter_are_one(tmp_path):
    record(tmp_path, "u", {1: [("a", 0, 0)]}, columns={"Mark": ["x"]})
    record(tmp_path, "v", {1: [("a", 0, 0)]}, columns={"mark": ["y"]})
    store = sg.connect(tmp_path)
    for name in ("Mark", "mark", "MARK"):
        assert shown(store, "u", "v", columns=["run", name]) == [("u", "x"), ("v", "y")]
    assert store.table("u", "v", columns="mark").columns == ["Mark"]
    assert shown(store, "u", "v", join="outer", columns="mark_a, MARK_B") == [("x", "y")]
    assert shown(store, "u", "v", group="mark", columns="mark, n") == [("x", 1), ("y", 1)]


# Joining


def test_an_inner_join_has_the_keys_of_all_tables_and_suffixed_columns(store):
    found = store.table("cnn@1", "double@1", join="inner", columns="id, guess_a, guess_b, run_a, run_b")
    assert found.columns == ["id", "guess_a", "guess_b", "run_a", "run_b"]
    assert found.fetchall() == [("b", 0, 0, "cnn", "double"), ("e", 1, 1, "cnn", "double")]


def test_an_outer_join_has_the_keys_of_any_table_in_the_order_of_the_first(store):
    found = shown(store, "double@3", "cnn@1", "few", join="outer", columns="id, guess_a, guess_b, guess_c")
    assert found == [
        ("c", 1, 1, None),
        ("f", 1, None, None),
        ("a", None, 0, 0),
        ("b", None, 0, None),
        ("d", None, 0, None),
        ("e", None, 1, None),
    ]


def test_two_to_25_tables_are_joined_and_no_more(tmp_path):
    for place in range(26):
        rows = [("b", 1, place), ("c", 2, place)] if place == 3 else [("a", 0, place), ("b", 1, place)]
        record(tmp_path, f"run {place}", {1: rows})
    store = sg.connect(tmp_path)
    tables = [f"run {place}" for place in range(26)]
    columns = ["id", "guess_a", "guess_d", "guess_y"]
    found = store.table(*tables[:25], join="outer", columns=columns).fetchall()
    assert found == [("a", 0, None, 24), ("b", 0, 3, 24), ("c", None, 3, None)]
    assert store.table(*tables[:25], join="inner", columns=columns).fetchall() == [("b", 0, 3, 24)]
    assert len(store.table(*tables[:25], join="outer").statement.reports) == 24
    for few in (tables, tables[:1]):
        with pytest.raises(BadInput, match=f"2 to 25 tables can be joined, not {len(few)}; name others, or stack them"):
            store.table(*few, join="outer")


def test_a_join_without_enough_tables_at_an_epoch_says_what_it_left_out(store):
    with pytest.raises(BadInput, match="no epoch 2; it has 3"):
        store.table("cnn", "few", at=2, exact=True, join="inner")


@pytest.fixture(scope="module")
def keyed(tmp_path_factory):
    """Tables with a column `code` of different types."""
    path = tmp_path_factory.mktemp("keyed")
    codes = {
        "whole": [10, 20, 30],
        "text": ["10", "20", "040"],
        "real": [10.0, 20.5, NAN],
        "gaps": [10, None, None],
        "day": [datetime.date(2026, 1, day) for day in (1, 2, 3)],
        "yes": [True, None, False],
        "lists": [[1, 2], [], [3]],
    }
    for run, code in codes.items():
        with Recorder(path, run=run, wandb="off") as recorder, recorder.table("test_predictions", epoch=1) as rows:
            rows.add(ids=[f"{run} {place}" for place in range(3)], guess=[0, 1, 2], code=code)
    return sg.connect(path)


def test_a_join_on_another_column_of_one_type(keyed):
    found = shown(keyed, "whole", "gaps", join="outer", key="code", columns="code, id_a, id_b")
    assert found == [
        (10, "whole 0", "gaps 0"),
        (20, "whole 1", None),
        (30, "whole 2", None),
        (None, None, "gaps 1"),
        (None, None, "gaps 2"),
    ]


def test_keys_of_unlike_types_are_compared_as_text_and_whole_numbers_without_a_point(keyed):
    found = shown(keyed, "whole", "text", join="outer", key="code", columns="code, id_a, id_b")
    assert found == [
        ("10", "whole 0", "text 0"),
        ("20", "whole 1", "text 1"),
        ("30", "whole 2", None),
        ("040", None, "text 2"),
    ]
    found = shown(keyed, "real", "text", join="inner", key="code", columns="code, id_a, id_b")
    assert found == [("10", "real 0", "text 0")]


@pytest.mark.parametrize(
    ("left", "right", "matched"),
    [
        *(("whole", other, count) for other, count in {"real": 1, "gaps": 1, "day": 0, "yes": 0, "lists": 0}.items()),
        *((run, run, count) for run, count in {"day": 3, "yes": 2, "lists": 3, "real": 3, "gaps": 1}.items()),
    ],
)
def test_keys_match_whatever_they_are(keyed, left, right, matched):
    (report,) = keyed.table(left, right, join="inner", key="code").statement.reports
    assert report.matched == matched
    assert len(shown(keyed, left, right, join="inner", key="code")) == matched


def test_further_columns_stand_in_where_a_key_is_null(keyed):
    how = {"join": "outer", "key": "code, id", "columns": "code, code_a, code_b, id_a, id_b"}
    assert shown(keyed, "whole", "gaps", **how) == [
        ("10", 10, 10, "whole 0", "gaps 0"),
        ("20", 20, None, "whole 1", None),
        ("30", 30, None, "whole 2", None),
        ("gaps 1", None, None, None, "gaps 1"),
        ("gaps 2", None, None, None, "gaps 2"),
    ]
    assert keyed.table("whole", "gaps", **how).statement.reports[0].key == "code, id"


def test_a_key_that_not_all_tables_have_is_refused_with_those_they_have(keyed):
    with pytest.raises(BadInput, match=r"not all tables have the column 'label' to join on; all have: run, epoch, id"):
        keyed.table("whole", "text", join="inner", key="label")
    with pytest.raises(BadInput, match="whole/test_predictions@1 has no images or other content, so no digest"):
        keyed.table("whole", "text", join="inner", key="digest")


def test_a_join_on_the_digest_of_the_content_finds_equal_content_under_other_ids(tmp_path):
    record(tmp_path, "u", {1: [("1", 0, 0), ("2", 0, 1)]}, content={"1": "cat", "2": "dog"})
    record(tmp_path, "v", {1: [("1", 0, 2), ("2", 0, 3), ("3", 0, 4)]}, content={"1": "dog", "2": "cow", "3": "cat"})
    store = sg.connect(tmp_path)
    how = {"join": "outer", "key": "digest", "columns": "id_a, id_b, guess_a, guess_b"}
    assert shown(store, "u", "v", **how) == [("1", "3", 0, 4), ("2", "1", 1, 2), (None, "2", None, 3)]
    with pytest.raises(BadInput, match=r"^2 ids of u@1 mean other examples in v@1"):
        store.table("u", "v", join="inner")


def test_repeated_keys_are_refused_unless_they_are_allowed_and_then_every_pair_is_a_row(keyed):
    with pytest.raises(
        BadInput,
        match=r"whole@1 has 2 rows with a repeated key; text@1 has 2 rows with a repeated key \(epoch\), so the join "
        r"would multiply rows; name another key, or allow it with --allow-duplicates",
    ):
        keyed.table("whole", "text", join="inner", key="epoch")
    found = shown(keyed, "whole", "text", join="inner", key="epoch", allow_duplicates=True, columns="guess_a, guess_b")
    assert found == [(a, b) for a in range(3) for b in range(3)]


def test_tables_whose_guesses_are_of_unlike_types_are_stacked_as_text_and_not_joined(tmp_path):
    record(tmp_path, "numbers", {1: [("a", 0, 1)]})
    record(tmp_path, "names", {1: [("a", "cat", "dog")]})
    store = sg.connect(tmp_path)
    assert shown(store, "numbers", "names", columns="run,truth,guess") == [
        ("numbers", "0", "1"),
        ("names", "cat", "dog"),
    ]
    with pytest.raises(BadInput, match=r"guess is int64 in numbers/test_predictions@1, but string in names/test_pr"):
        store.table("numbers", "names", join="inner")


# Filters


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ("guess <> truth", "be"),
        ("guess IS DISTINCT FROM truth", "bde"),
        ("GUESS <> Truth", "be"),
        (["guess <> truth", "confidence > 0.75"], "b"),
        ("truth IS NULL", "d"),
        ("truth = 9", ""),
        ("NULL", ""),
        ("true", "abcde"),
        ("guess <> truth -- a comment", "be"),
        ("guess <> truth /* another */;", "be"),
        ("guess\n<>\ntruth", "be"),
        ("id IN ('a', 'e')", "ae"),
        ("id = 'it''s'", ""),
        ("score_1 > score_0 OR id = 'a'", "ace"),
        ('confidence = (SELECT max(confidence) FROM "cnn@1")', "b"),
        ("list_contains([1, 2], guess)", "ce"),
        ("length(id) = 1 AND NOT guess = 0", "ce"),
        ("CASE WHEN guess = 0 THEN truth = 1 ELSE false END", "b"),
        ('"guess" = 1', "ce"),
    ],
)
def test_rows_stay_where_the_filters_are_true(store, where, expected):
    assert ids(store, "cnn@1", where=where) == expected


@pytest.mark.parametrize(
    "how",
    [
        {"where": "id IN (SELECT id FROM cnn)", "columns": "id"},
        {"add": "place = row_number() OVER (ORDER BY id DESC)", "columns": "id, place"},
    ],
)
def test_rows_keep_their_order_whatever_an_expression_reads(store, how):
    assert "".join(row[0] for row in shown(store, "cnn@1", **how)) == "abcde"


def test_a_filter_can_read_other_tables(store):
    assert sorted(ids(store, "cnn@1", where='id IN (SELECT id FROM "cnn@2" WHERE guess = truth)')) == ["a", "b"]
    with pytest.raises(NotFound, match="no relation named 'nosuch'; the tables are: test_predictions"):
        store.table("cnn@1", where="id IN (FROM nosuch)")


def test_a_filter_on_a_join_sees_both_sides(store):
    how = {"join": "inner", "columns": "id, guess_a, guess_b"}
    assert shown(store, "cnn@1", "cnn@2", where="guess_a <> guess_b", **how) == [("b", 0, 1), ("c", 1, 0)]


ONLY = TableView(("cnn@1",), columns=("id",))


@pytest.mark.parametrize(
    ("column", "value", "only", "exclude"),
    [
        ("truth", 0, "ae", "bcd"),
        ("truth", None, "d", "abce"),
        ("id", "c", "c", "abde"),
        ("confidence", 0.75, "ac", "bde"),
        ("id", "it's", "", "abcde"),
        ("GUESS", 1, "ce", "abd"),
    ],
)
def test_only_a_value_and_without_a_value_take_null_for_a_value(store, column, value, only, exclude):
    for expected, view in ((only, ONLY.only(column, value)), (exclude, ONLY.exclude(column, value))):
        assert "".join(name for (name,) in viewed(store, view)) == expected
    assert ids(store, "cnn@1", only=[(column, value)]) == only
    assert ids(store, "cnn@1", exclude=[(column, value)]) == exclude


def viewed(store, view):
    """The rows of a view as a value."""
    with answered(lambda con: select.statement(con, store.store, view), rows) as (_, found):
        return list(found.rows)


def test_only_and_exclude_add_to_the_filters_and_go_to_the_first_page():
    view = TableView(("cnn",), where=("guess <> truth",), limit=10, offset=30)
    assert view.only("truth", None) == replace(
        view, where=("guess <> truth", '"truth" IS NOT DISTINCT FROM NULL'), offset=0
    )
    assert view.exclude('a"b', "it's").where[1] == "\"a\"\"b\" IS DISTINCT FROM 'it''s'"


def test_a_value_from_a_data_frame_can_be_filtered_on(store):
    truth = store.table("cnn@1").df()["guess"]
    assert isinstance(truth[2], np.int64)
    assert ids(store, "cnn@1", only=[("guess", truth[2])]) == "ce"


# Computed columns


def test_a_computed_column_is_beside_the_others_and_can_be_used_by_everything(store):
    add = ["gap = confidence - truth_score", "twice = gap * 2"]
    assert store.table("cnn@1", add=add).columns[-2:] == ["gap", "twice"]
    found = shown(store, "cnn@1", add=add, where="twice > 0", sort="-twice", columns="id, gap, twice")
    assert found == [("b", 0.75, 1.5), ("e", 0.25, 0.5)]
    found = shown(store, "cnn@1", add="wrong = guess <> truth", group="wrong", columns="wrong, n")
    assert found == [(None, 1), (False, 2), (True, 2)]
    found = shown(store, "cnn@1", add={"half": "confidence / 2"}, aggregate={"most": "max(half)"}, columns="most")
    assert found == [(0.4375,)]


def test_a_computed_column_may_be_of_any_type(store):
    add = {
        "a text": "upper(id)",
        "a list": "[guess, truth]",
        "a struct": "{'x': id}",
        "a date": "DATE '2026-02-28'",
        "nothing": "NULL",
    }
    found = shown(store, "cnn@1", add=add, columns=list(add), limit=1)
    assert found == [("A", [0, 0], {"x": "a"}, datetime.date(2026, 2, 28), None)]


def test_a_join_can_be_computed_with(store):
    how = {"join": "inner", "add": "rise = truth_score_b - truth_score_a", "sort": "-rise", "columns": "id, rise"}
    assert shown(store, "cnn@1", "cnn@2", **how) == [
        ("b", 0.625),
        ("a", 0.25),
        ("e", -0.125),
        ("c", -0.25),
        ("d", None),
    ]


@pytest.mark.parametrize(
    ("add", "said"),
    [
        ("guess = 1", "there is a column 'guess' already; call the computed one otherwise"),
        ("Image = 1", "there is a column 'Image' already"),
        ("digest = 1", "there is a column 'digest' already"),
        (["x = 1", "X = 2"], "computed columns: 'x' stands there twice; name each once"),
        ("x", "'x' is no computed column; write name = expression, as in 'gap = confidence - truth_score'"),
        ("x =", "'x =' is no computed column"),
        ("= 1", "'= 1' is no computed column"),
    ],
)
def test_a_computed_column_needs_a_name_of_its_own(store, add, said):
    with pytest.raises(BadInput) as caught:
        store.table("cnn@1", add=add)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    "how", [{"add": "x = unnest([1, 2])"}, {"sort": "unnest([1, 2])"}, {"aggregate": "x = unnest([1, 2])"}]
)
def test_an_expression_that_multiplies_rows_is_refused(store, how):
    with pytest.raises(Refused, match="unnest"):
        store.table("cnn@1", **how)


# Groups


def test_a_group_has_a_row_per_value_their_number_and_null_is_a_value(store):
    assert shown(store, "cnn@1", group="truth", columns="truth, n") == [(None, 1), (0, 2), (1, 2)]


def test_rows_are_filtered_before_they_are_grouped(store):
    assert shown(store, "cnn@1", where="guess <> truth", group="guess", columns="guess, n") == [(0, 1), (1, 1)]
    assert shown(store, "cnn@1", where="false", group="guess", columns="guess, n") == []


def test_groups_are_by_several_columns_in_their_order(store):
    found = shown(store, "cnn@1", group="guess, truth", columns="guess, truth, n")
    assert found == [(0, None, 1), (0, 0, 1), (0, 1, 1), (1, 0, 1), (1, 1, 1)]
    found = shown(store, "cnn@1", "cnn@2", group="guess, epoch", columns="guess, epoch, n", sort="-epoch, -n")
    assert found == [(0, 2, 3), (1, 2, 2), (0, 1, 3), (1, 1, 2)]


def test_groups_are_sorted_before_their_columns_are_chosen_and_then_paged(store):
    how = {"group": "guess, truth", "sort": "-n, -guess, -truth", "columns": "truth, guess"}
    # By hand, in both epochs: guess 0 has a, a (truth 0), b, c (1), d, d (none), guess 1 has e, e (0), c, b (1).
    expected = [(1, 1), (0, 1), (1, 0), (0, 0), (None, 0)]
    assert shown(store, "cnn@1", "cnn@2", **how) == expected
    assert shown(store, "cnn@1", "cnn@2", limit=2, offset=1, **how) == expected[1:3]
    assert shown(store, "cnn@1", **how) == [(1, 1), (0, 1), (1, 0), (0, 0), (None, 0)]


def test_aggregates_are_computed_over_a_groups_rows(store):
    found = shown(
        store,
        "cnn@1",
        where="truth IS NOT NULL",
        group="guess",
        aggregate=[
            "spread = stddev_pop(score_0)",
            "surest = arg_max(id, confidence)",
            "least = arg_min(id, confidence)",
            "wrong = count(*) FILTER (WHERE guess <> truth)",
            "all = list(id ORDER BY id)",
        ],
        columns=["guess", "n", "spread", "surest", "least", "wrong", "all"],
    )
    # By hand: score_0 of a, b is 3/4, 7/8 and of c, e is 1/4, 3/8; half of the difference is the deviation of two.
    assert found == [(0, 2, 0.0625, "b", "a", 1, ["a", "b"]), (1, 2, 0.0625, "c", "e", 1, ["c", "e"])]


def test_without_a_group_aggregates_are_over_all_rows(store):
    how = {"aggregate": "accuracy = avg((guess = truth)::INT)", "columns": "n, accuracy"}
    assert shown(store, "cnn@1", **how) == [(5, 0.5)]
    assert shown(store, "cnn@1", where="false", **how) == [(0, None)]


def test_groups_are_sorted_by_an_aggregate(store):
    how = {"group": "truth", "aggregate": "sure = max(confidence)", "columns": "truth", "sort": "-sure"}
    assert shown(store, "cnn@1", **how) == [(1,), (0,), (None,)]


def test_a_join_is_grouped_like_any_rows(store):
    how = {"join": "inner", "group": "guess_a, guess_b", "columns": "guess_a, guess_b, n, id", "sort": "-n, guess_a"}
    assert shown(store, "cnn@1", "cnn@2", **how) == [
        (0, 0, 2, ["a", "d"]),
        (0, 1, 1, ["b"]),
        (1, 0, 1, ["c"]),
        (1, 1, 1, ["e"]),
    ]


def test_the_count_is_called_otherwise_where_a_column_is_called_n(tmp_path):
    record(tmp_path, "u", {1: [("a", 0, 0), ("b", 0, 0)]}, columns={"n": [5, 6]})
    record(tmp_path, "v", {1: [("a", 0, 0)]}, columns={"N": [5], "Rows": [7]})
    store = sg.connect(tmp_path)
    assert shown(store, "u", group="guess", columns="guess, rows") == [(0, 2)]
    assert shown(store, "v", group="guess", columns="guess, group_count") == [(0, 1)]
    assert shown(store, "u", group="n", columns="n, rows") == [(5, 1), (6, 1)]


def test_an_aggregate_may_take_the_place_of_a_column_that_is_not_grouped_by(store):
    found = shown(store, "cnn@1", group="guess", aggregate="confidence = max(confidence)", columns="guess, confidence")
    assert found == [(0, 0.875), (1, 0.75)]


# Sorting


def test_rows_are_sorted_by_several_terms_and_null_is_smallest(store):
    assert ids(store, "cnn@1", sort="truth, -confidence") == "daebc"
    assert ids(store, "cnn@1", sort="-truth, confidence") == "cbead"
    assert ids(store, "cnn@1", sort="truth desc, confidence ASC") == "cbead"
    assert ids(store, "cnn@1", sort=["-truth", "confidence"]) == "cbead"


def test_ties_stay_in_the_order_recorded(tmp_path):
    record(tmp_path, "u", {1: [(name, 0, 0) for name in "cab"]})
    store = sg.connect(tmp_path)
    for sort in ("guess", "-guess", "truth, guess", "id IS NULL"):
        assert ids(store, "u", sort=sort) == "cab"


@pytest.mark.parametrize(
    ("sort", "expected"),
    [
        ("score_0 - score_1", "cedab"),
        ("-(score_0 - score_1)", "badec"),
        ("- confidence", "baced"),
        ("-abs(guess - truth), -id", "ebcad"),
        ("CASE WHEN id = 'd' THEN 0 ELSE 1 END, -id", "decba"),
        ("greatest(score_0, score_1) desc, id desc", "bcaed"),
    ],
)
def test_rows_are_sorted_by_expressions(store, sort, expected):
    assert ids(store, "cnn@1", sort=sort) == expected


def test_nan_and_infinity_sort_above_numbers_and_null_below(tmp_path):
    values = [1.5, NAN, None, math.inf, -math.inf]
    record(tmp_path, "u", {1: [(name, 0, 0) for name in "abcde"]}, columns={"x": values})
    store = sg.connect(tmp_path)
    assert ids(store, "u", sort="x") == "ceadb"
    assert ids(store, "u", sort="-x") == "bdaec"


@pytest.mark.parametrize("sort", ["1", "-2", "99"])
def test_a_bare_number_is_no_term_to_sort_by(store, sort):
    with pytest.raises(BadInput, match="number"):
        store.table("cnn@1", sort=sort, columns="id")


# Pages


def test_a_page_is_so_many_rows_from_an_offset_and_the_total_counts_all(store):
    assert ids(store, "cnn@1", limit=2) == "ab"
    assert ids(store, "cnn@1", limit=2, offset=3) == "de"
    assert ids(store, "cnn@1", offset=3) == "de"
    assert ids(store, "cnn@1", limit=9, offset=9) == ""
    for how, total in {
        "plain": ({}, 5),
        "filtered": ({"where": "guess <> truth"}, 2),
        "grouped": ({"group": "guess"}, 2),
        "grouped with null": ({"group": "truth"}, 3),
        "aggregated": ({"aggregate": "x = count(*)"}, 1),
        "computed": ({"add": "x = 1", "where": "x = 1"}, 5),
        "with digests": ({"where": "false"}, 0),
    }.values():
        with duckdb.connect() as con:
            assert con.execute(store.table("cnn@1", limit=1, **how).statement.total).fetchone() == (total,)


def test_a_limit_of_0_gives_no_rows(store):
    assert shown(store, "cnn@1", limit=0) == []


@pytest.mark.parametrize("how", [{"limit": -1}, {"offset": -1}])
def test_a_page_is_not_below_0(store, how):
    with pytest.raises(BadInput, match="limit and offset are numbers of rows, so not below 0"):
        store.table("cnn@1", **how)


@pytest.mark.parametrize("how", [{"limit": 2**63}, {"offset": 10**30}])
def test_a_page_is_not_beyond_what_can_be_counted(store, how):
    with pytest.raises(sg.SecondguessError):
        store.table("cnn@1", **how).fetchall()


# Columns


def test_columns_come_in_the_order_named_whatever_the_case_of_their_letters(store):
    assert store.table("cnn@1", columns="Score_1, ID, run").columns == ["score_1", "id", "run"]


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ({"columns": "nosuch"}, r"columns: there is no column 'nosuch'; there are: run, epoch, id, guess, truth, conf"),
        ({"columns": "n"}, "columns: there is no column 'n'; there are: run"),
        ({"columns": "id, ID"}, "columns: 'id' stands there twice; name each once"),
        ({"columns": "*"}, r"columns: there is no column '\*'"),
        ({"columns": "id,"}, "'id,' has nothing between two commas, or at an end; leave the comma out"),
        ({"group": "nosuch"}, "group: there is no column 'nosuch'; there are: run"),
        ({"group": "guess, guess"}, "group: 'guess' stands there twice"),
        ({"group": "guess", "columns": "guess, nosuch"}, "columns: there is no column 'nosuch'; there are: guess, n, "),
        ({"join": "outer"}, "2 to 25 tables can be joined, not 1"),
        ({"key": "truth"}, "a key is for a join; name the join, inner or outer"),
        ({"allow_duplicates": True}, "a key is for a join"),
        ({"exact": True}, "exact needs an epoch to be at"),
        ({"join": "left"}, "join is 'left', not one of inner, outer"),
        ({"wher": "true"}, "a table view has no 'wher'; it has: tables, join"),
        ({"stack": True, "join": "inner"}, "--stack puts tables under each other, --join side by side; leave one out"),
    ],
)
def test_what_is_not_there_or_contradicts_itself_is_refused_with_what_there_is(store, how, said):
    with pytest.raises(BadInput, match=said):
        store.table("cnn@1", **how)


def test_a_view_without_a_table_is_refused(store):
    with pytest.raises(BadInput, match="a table view needs a table; name one, as in cnn@5"):
        TableView(())
    with pytest.raises(BadInput, match="name a table, as in cnn@5, or a saved view"):
        store.table()


def test_columns_of_a_join_are_named_with_their_side(store):
    with pytest.raises(
        BadInput, match=r"columns: there is no column 'guess' \(did you mean guess_a\?\); there are: id, guess_a"
    ):
        store.table("cnn@1", "cnn@2", join="inner", columns="guess")


@pytest.mark.parametrize("how", [{"where": "nosuch = 1"}, {"sort": "nosuch"}, {"only": [("nosuch", 1)]}])
def test_an_unknown_column_in_an_expression_is_said_with_those_there_are(store, how):
    with pytest.raises(BadInput, match="there is no column 'nosuch'; there are: run, epoch, id, guess"):
        store.table("cnn@1", **how)


@pytest.mark.parametrize(
    "how",
    [
        {"limit": "3"},
        {"limit": 2.5},
        {"where": 3},
        {"where": [1]},
        {"add": 3},
        {"add": [("m", 1)]},
        {"only": ("truth", None)},
        {"only": [("truth", {"a": 1})]},
        {"columns": 3},
    ],
    ids=str,
)
def test_a_keyword_of_the_wrong_type_is_refused_by_name(store, how):
    with pytest.raises(BadInput, match=next(iter(how))):
        store.table("cnn@1", **how)


def test_a_numpy_number_is_a_number(store):
    assert ids(store, "cnn@1", limit=np.int64(2)) == "ab"


# Tables of every kind


@pytest.fixture(scope="module")
def kinds(tmp_path_factory):
    """Classes as text, as given names, real numbers; without scores, without truth."""
    path = tmp_path_factory.mktemp("kinds")
    record(path, "text", {1: [("a", "cat", "dog"), ("b", "dog", "dog"), ("c", None, "it's")]})
    scores = [("a", "cat", [0.25, 0.75]), ("b", "dog", [0.25, 0.75]), ("c", None, [1.0, 0.0])]
    record(path, "named", {1: scores, 2: scores[:2]}, classes=["cat", "dog"])
    record(path, "price", {1: [("a", 0.5, 0.75), ("b", 1.5, 1.25), ("c", 2.0, 2.0)]})
    record(path, "no truth", {1: [("a", None, [0.75, 0.25]), ("b", None, [0.0, 1.0])]}, labelled=False)
    record(path, "bare", {1: [("a", None, 7), ("b", None, 8)]}, labelled=False)
    return sg.connect(path)


def test_text_guesses_are_filtered_grouped_and_sorted_as_text(kinds):
    assert ids(kinds, "text", where="guess = 'dog'") == "ab"
    assert ids(kinds, "text", only=[("guess", "it's")]) == "c"
    assert ids(kinds, "text", sort="-guess") == "cab"
    assert shown(kinds, "text", group="guess", columns="guess, n", sort="-n") == [("dog", 2), ("it's", 1)]
    assert ids(kinds, "text", where="guess <> truth") == "a"


def test_named_classes_are_shown_by_name_with_their_scores(kinds):
    found = shown(kinds, "named@1", columns="id, guess, truth, score_0, score_1")
    assert found == [("a", "dog", "cat", 0.25, 0.75), ("b", "dog", "dog", 0.25, 0.75), ("c", "cat", None, 1.0, 0.0)]
    assert kinds.table("named@1").statement.classes == ("cat", "dog")
    assert shown(kinds, "text", "named@1", group="guess", columns="guess, n") == [("cat", 1), ("dog", 4), ("it's", 1)]


def test_numbers_as_guesses_are_computed_with(kinds):
    how = {"add": "off = abs(guess - truth)", "sort": "-off, id", "columns": "id, off"}
    assert shown(kinds, "price", **how) == [("a", 0.25), ("b", 0.25), ("c", 0.0)]
    found = shown(kinds, "price", aggregate="mae = avg(abs(guess - truth))", columns="mae")
    assert found == [(pytest.approx(1 / 6),)]


def test_a_table_without_truth_or_scores_has_nulls_there_and_is_viewed_like_any(kinds):
    assert shown(kinds, "bare", columns="id, guess, truth, confidence") == [("a", 7, None, None), ("b", 8, None, None)]
    assert shown(kinds, "bare", where="guess <> truth", columns="id") == []
    assert shown(kinds, "no truth", group="guess", columns="guess, n") == [(0, 1), (1, 1)]
    assert shown(kinds, "no truth", "bare", columns="run, id, score_0") == [
        ("no truth", "a", 0.75),
        ("no truth", "b", 0.0),
        ("bare", "a", None),
        ("bare", "b", None),
    ]
    how = {"join": "outer", "columns": "id, guess_a, guess_b, truth_a"}
    assert shown(kinds, "no truth", "bare", **how) == [("a", 0, 7, None), ("b", 1, 8, None)]


def test_an_epoch_without_rows_is_viewed_as_no_rows(tmp_path):
    run = writer(tmp_path)
    run.commit(epoch(1, [], guess=pa.array([], pa.int64())))
    run.end()
    run.close()
    store = sg.connect(tmp_path)
    assert shown(store, "cnn") == []
    assert shown(store, "cnn", group="guess") == []
    assert shown(store, "cnn", "cnn", join="outer") == []


def test_a_relation_of_a_view_combines_with_data_frames(store):
    names = pd.DataFrame({"guess": [0, 1], "name": ["zero", "one"]})
    assert len(names) == 2
    found = store.table("cnn@1", columns="id, guess").join(store.con.from_df(names), "guess").order("id").fetchall()
    assert [row[-1] for row in found] == ["zero", "zero", "one", "zero", "one"]


def test_what_a_join_did_is_logged(store, caplog):
    store.table("cnn@1", "few", join="outer")
    assert "joined cnn@1 with few@3 on id: 1 matched, 4 only in cnn@1, 0 only in few@3" in caplog.text
