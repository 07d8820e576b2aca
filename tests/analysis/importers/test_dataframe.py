"""Predictions that are in memory already come into a store as files do."""

from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest

import secondguess as sg
from secondguess.analysis.errors import AlreadyThere, BadInput
from secondguess.trainer.recorder import Recorder

COLUMNS = {
    "id": ["007", "b"],
    "pred": [1, 0],
    "label": [1, 1],
    "prob_0": [0.25, 0.75],
    "prob_1": [0.75, 0.25],
    "note": ["x", None],
}
ROWS = [("007", 1, 1, 0.75, "x"), ("b", 0, 1, 0.75, None)]


@pytest.fixture
def store(tmp_path: Path) -> Any:
    with Recorder(tmp_path, run="cnn") as recorder, recorder.table("test_predictions", epoch=1) as table:
        table.add(ids=["007", "b"], guess=[1, 1], truth=[1, 1])
    return sg.connect(tmp_path)


def polars(columns: dict[str, Any]) -> Any:
    return pytest.importorskip("polars").DataFrame(columns)


@pytest.mark.parametrize("of", [pd.DataFrame, pa.table, dict, polars])
def test_a_frame_of_any_kind_becomes_a_run(store: Any, of: Any, caplog: pytest.LogCaptureFixture) -> None:
    assert store.import_frame(of(COLUMNS), run="rf") == "rf"
    assert store.sql("SELECT id, guess, truth, confidence, note FROM rf ORDER BY id").fetchall() == ROWS
    assert store.ask("errors-over-time", "rf").project("errors").fetchall() == [(1,)]
    assert "id = id, guess = pred, truth = label" in caplog.text


def test_a_duckdb_relation_becomes_a_run(store: Any) -> None:
    relation = store.con.sql("SELECT id, guess AS pred, truth AS label FROM (VALUES ('a', 1, 2)) t(id, guess, truth)")
    store.import_frame(relation, run="sql")
    assert store.sql("SELECT id, guess, truth FROM sql").fetchall() == [("a", 1, 2)]


def test_a_pandas_index_that_says_something_is_a_column(store: Any) -> None:
    frame = pd.DataFrame({"pred": [1, 0]}, index=["x", "y"])
    store.import_frame(frame, run="unnamed")
    assert store.sql("SELECT id, guess FROM unnamed ORDER BY id").fetchall() == [("x", 1), ("y", 0)]
    store.import_frame(frame.rename_axis("case"), run="named", id="case")
    assert store.sql("SELECT id, guess FROM named ORDER BY id").fetchall() == [("x", 1), ("y", 0)]
    store.import_frame(frame.reset_index(drop=True), run="positions")
    assert "index" not in store.sql("FROM positions").columns


def test_options_are_those_of_the_command(store: Any) -> None:
    frame = pd.DataFrame({"k": ["a"], "said": ["cat"], "was": ["dog"]})
    store.import_frame(frame, run="rf", id="k", guess="said", truth="was", epoch=3, table="val")
    assert store.sql('SELECT epoch, id, guess, truth FROM "rf/val"').fetchall() == [(3, "a", "cat", "dog")]
    with pytest.raises(BadInput, match="import_frame has no option 'key'; it has: table, epoch"):
        store.import_frame(frame, run="rf2", key="k")
    with pytest.raises(AlreadyThere):
        store.import_frame(frame, run="cnn", guess="said")


@pytest.mark.parametrize("frame", [[1, 2], "x.csv", 3, None])
def test_what_is_no_frame_is_refused(store: Any, frame: Any) -> None:
    with pytest.raises(BadInput, match="is no table; give a pandas or polars DataFrame"):
        store.import_frame(frame, run="rf")


def test_columns_that_are_there_twice_are_refused(store: Any) -> None:
    with pytest.raises(BadInput, match="'guess' more than once"):
        store.import_frame(pa.table([[1], [2]], names=["guess", "Guess"]), run="rf")
