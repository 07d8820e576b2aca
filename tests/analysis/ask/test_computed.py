"""Columns that no file has: there where they are named, of each side of a join too, never in the place of a file's."""

import math

import pyarrow as pa
import pytest
from recording import record

import secondguess as sg
from secondguess.analysis.schema import read_as

NAN = math.nan
CNN = [
    ("a", "cat", [0.5, 0.25, 0.25]),
    ("b", "dog", [0.5, 0.25, 0.25]),
    ("c", None, [1, 0, 0]),
    ("d", "cat", [NAN] * 3),
]


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    path = tmp_path_factory.mktemp("store")
    record(path, "cnn", {1: CNN}, classes=["cat", "dog", "owl"])
    # The same classes in another order, and one more.
    record(
        path,
        "other",
        {1: [("a", "cat", [0, 0.125, 0.125, 0.75]), ("b", "dog", [0.25, 0.5, 0.25, 0])]},
        classes=["owl", "dog", "new", "cat"],
    )
    record(path, "numbers", {1: [("a", 1, [0.25, 0.75]), ("b", 0, [0.25, 0.75])]})
    record(path, "guesses", {1: [("a", 0, 0)]})
    return sg.connect(path)


def columns(store, name, sql):
    return store.sql(f'SELECT {sql} FROM "{name}" ORDER BY id').fetchall()


def test_the_largest_score_of_another_class(store):
    assert columns(store, "cnn@1", "other_score")[:3] == [(0.25,), (0.5,), (None,)]
    assert columns(store, "other@1", "other_score") == [(0.125,), (0.25,)]
    assert columns(store, "numbers@1", "other_score") == [(0.25,), (0.75,)]


def test_the_rank_of_the_truth_counts_the_scores_above_it(store):
    assert columns(store, "cnn@1", "truth_rank") == [(1,), (2,), (None,), (None,)]
    assert columns(store, "numbers@1", "truth_rank") == [(1,), (2,)]


def test_the_brier_score_sums_over_classes(store):
    rows = columns(store, "cnn@1", "brier_score")
    assert rows == [(0.25 + 2 / 16,), (0.25 + 9 / 16 + 1 / 16,), (None,), (None,)]


def test_scores_are_a_list(store):
    assert columns(store, "cnn@1", "scores")[:2] == [([0.5, 0.25, 0.25],), ([0.5, 0.25, 0.25],)]
    assert columns(store, "guesses@1", "scores, other_score, truth_rank, brier_score") == [(None, None, None, None)]


def test_each_side_of_a_join_has_its_own(store):
    path = store.store / "questions"
    path.mkdir(exist_ok=True)
    sql = "SELECT id, other_score_a, other_score_b, truth_rank_b, outcome FROM joined ORDER BY id"
    (path / "margins.sql").write_text(f"-- Margins\n-- tables: 2\n{sql}")
    found = store.ask("margins", "cnn@1", "other@1")
    assert found.columns == ["id", "other_score_a", "other_score_b", "truth_rank_b", "outcome"]
    assert found.fetchall() == [("a", 0.25, 0.125, 1, "both_right"), ("b", 0.5, 0.25, 1, "fixed")]


def test_they_are_not_among_the_columns_unless_they_are_named(store):
    assert "other_score" not in store.sql('FROM "cnn@1"').columns
    assert "other_score" not in store.ask("errors", "cnn@1").columns


def test_a_files_own_column_of_such_a_name_keeps_its_values_under_another(tmp_path):
    """As a file that was written before the name meant this may have."""
    assert read_as(["id", "Other_Score", "source_other_score", "wrong"]) == [
        *("id", "source_source_other_score", "source_other_score", "source_wrong"),
    ]
    frame = pa.table({"id": ["a"], "guess": [0], "truth": [1], "truth_rank": [7]})
    sg.connect(_empty(tmp_path)).import_frame(frame, run="mine", guess="guess", truth="truth", id="id")
    row = sg.connect(tmp_path).sql('FROM "mine@1"')
    assert dict(zip(row.columns, row.fetchall()[0], strict=True))["source_truth_rank"] == 7


def _empty(path):
    record(path, "first", {1: [("a", 0, 0)]})
    return path
