"""Examples of several data sets in one relation: texts beside numbers, labels in lists beside one label a row."""

from pathlib import Path

import pytest

import secondguess as sg
from secondguess.analysis.ask import example_files
from secondguess.trainer.recorder import Recorder


@pytest.fixture
def store(tmp_path: Path) -> Path:
    with Recorder(tmp_path, run="r") as recorder:
        with recorder.table("texts", epoch=1) as table:
            table.add(ids=["a", "b"], content=["x", "y"], guess=[0, 1], truth=[0, 0])
        with recorder.table("numbers", epoch=1) as table:
            table.add(ids=["c"], content=[[1.0, 2.5]], guess=[0], truth=[0])
        with recorder.table("tags", epoch=1, task="multi-label") as table:
            table.add(ids=["d"], content=["z"], guess=[["p"]], truth=[["p", "q"]])
    return tmp_path


def test_what_is_lists_in_some_files_is_text(store: Path, caplog: pytest.LogCaptureFixture) -> None:
    found = sg.connect(store).sql("SELECT id, content, truth FROM examples ORDER BY id").fetchall()
    assert found == [("a", "x", "0"), ("b", "y", "0"), ("c", "[1.0,2.5]", "0"), ("d", "z", '["p","q"]')]
    said = "examples: truth, content hold lists in some files and not in others, so all are read as text"
    assert said in caplog.messages


def test_tables_of_both_stand_under_each_other_with_their_content(store: Path) -> None:
    rows = sg.connect(store).table("r/numbers@1", "r/texts@1", columns="id,content").fetchall()
    assert rows == [("c", "[1.0,2.5]"), ("a", "x"), ("b", "y")]


def test_one_kind_is_read_as_it_is(store: Path, caplog: pytest.LogCaptureFixture) -> None:
    joined = 'SELECT e.content FROM "r/numbers@1" p JOIN examples e USING (examples, id)'
    one = sg.connect(store).table("r/numbers@1", columns="content").fetchall()
    assert one == [([1.0, 2.5],)]
    assert sg.connect(store).sql(joined).fetchall() == [("[1.0,2.5]",)]


def test_a_file_that_cannot_be_read_is_left_to_whoever_reads_its_rows(tmp_path: Path) -> None:
    (tmp_path / "cut.parquet").write_bytes(b"PAR1 and no footer")
    sql, notes = example_files.read([tmp_path / "cut.parquet", tmp_path / "gone.parquet"], [])
    assert (sql.count("cut.parquet"), notes) == (1, ())
