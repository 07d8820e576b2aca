"""A store in any folder, for any user, with any of its files gone or broken: what can be answered is answered."""

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pytest
import recording_process
from recording_process import sent
from waiting import HANG_S

import secondguess as sg
from secondguess.analysis.cli import main
from secondguess.analysis.errors import Damaged, NotFound
from secondguess.analysis.store.runs import find_epoch
from secondguess.trainer.recorder import Recorder


def recorded(store: Path, run: str = "cnn") -> Path:
    """Two epochs of three images; one error in the first, none in the second."""
    images = np.array([1, 2, 3], np.uint8)[:, None, None] * np.ones((1, 2, 2), np.uint8)
    with Recorder(store, run=run) as recorder:
        for number, guess in ((1, [0, 1, 1]), (2, [0, 1, 0])):
            recorder.log(loss=1.0 / number)
            with recorder.table("test_predictions", epoch=number) as table:
                table.add(ids=["a", "b", "c"], images=images, truth=[0, 1, 0], guess=guess)
    return store


def told(capsys: pytest.CaptureFixture[str], *command: str) -> tuple[Any, str]:
    """What a command answers as JSON, and what it says besides."""
    main([*command, "--format", "json"])
    out, err = capsys.readouterr()
    return json.loads(out), err


def quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


# Folders of any name

FOLDERS = [
    *("a space & q'uo\"tes", "[*]", "a?b", "{a,b}", "100% %20", "~", "#frag?x=1&y=2", "ünï 模型 🙂", "back\\slash"),
    *("new\nline", "epoch=9", "id=7", "semi;colon--$HOME", "a" * 255, "file:x", ".hidden.parquet"),
]


@pytest.mark.parametrize("folder", FOLDERS)
def test_a_store_in_any_folder_is_recorded_and_asked(
    tmp_path: Path, folder: str, capsys: pytest.CaptureFixture[str]
) -> None:
    store = recorded(tmp_path / folder / "predictions")
    expected = [{"run": "cnn", "epoch": 1, "id": "c", "truth": 0, "guess": 1}]
    sql = "SELECT run, epoch, id, truth, guess FROM test_predictions WHERE guess <> truth"
    assert told(capsys, "sql", sql, "--store", str(store))[0] == expected
    ((answer,), _) = told(capsys, "ask", "errors", "cnn@1", "--store", str(store))
    assert {name: answer[name] for name in expected[0]} == expected[0]
    sql = 'SELECT id, digest FROM "cnn@2" JOIN examples USING (examples, id) ORDER BY id'
    assert [row["id"] for row in told(capsys, "sql", sql, "--store", str(store))[0]] == ["a", "b", "c"]
    assert told(capsys, "sql", "SELECT step, value FROM metrics ORDER BY 1", "--store", str(store))[0] == [
        {"step": 1, "value": 1.0},
        {"step": 2, "value": 0.5},
    ]
    in_python = sg.connect(store).ask("errors-over-time", "cnn")
    assert in_python.project("epoch, errors").order("epoch").fetchall() == [(1, 1), (2, 0)]


def test_a_store_whose_name_is_a_pattern_reads_no_other_store(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for folder in ("a?b", "axb", "a*b", "a[x]b"):
        recorded(tmp_path / folder)
    for folder in ("a?b", "a*b", "a[x]b"):
        sql = "SELECT count(*) AS rows FROM test_predictions"
        assert told(capsys, "sql", sql, "--store", str(tmp_path / folder))[0] == [{"rows": 6}]


NAMES = [
    *("lr=0.01", "epoch=7", "a:b", "50%", "ünï 模型 🙂", 'it\'s "quoted"', "{x}", "[x]"),
    *("..", "end.json", "run.json", "-dash", "a.b"),
]


@pytest.mark.parametrize("name", NAMES)
def test_runs_tables_and_data_sets_of_any_name_are_recorded_and_asked(
    tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with Recorder(tmp_path, run=name) as recorder:
        for number in (1, 2):
            with recorder.table(name, epoch=number, dataset=name) as table:
                table.add(ids=["a"], images=np.zeros((1, 2, 2), np.uint8), truth=[0], guess=[number - 1])
    sql = f"SELECT epoch FROM {quoted(name)} JOIN examples USING (examples, id) ORDER BY 1"
    assert told(capsys, "sql", sql, "--store", str(tmp_path))[0] == [{"epoch": 1}, {"epoch": 2}]
    found = find_epoch(tmp_path, name, name, 2)
    assert found.examples is not None
    assert (found.file.is_file(), found.examples.is_file()) == (True, True)
    sql = f"SELECT run, epoch, id FROM {quoted(f'{name}/{name}@all')} ORDER BY epoch"
    assert told(capsys, "sql", sql, "--store", str(tmp_path))[0] == [
        {"run": name, "epoch": number, "id": "a"} for number in (1, 2)
    ]
    bare = duckdb.sql(f"FROM read_parquet('{tmp_path!s}/*/*/epoch*.parquet')")
    assert set(bare.columns) == {"run", "epoch", "id", "guess", "truth"}  # and none made of a folder's name
    assert sorted(bare.project("run, epoch").fetchall()) == [(name, 1), (name, 2)]


# A user who may only read


@pytest.fixture
def shared_store() -> Iterator[Path]:
    """A store that its owner made readable, and nothing more, for everybody."""
    with tempfile.TemporaryDirectory() as folder:
        store = recorded(Path(folder) / "predictions")
        (store / "questions").mkdir()
        for path in (Path(folder), *store.rglob("*"), store):
            os.chmod(path, 0o555 if path.is_dir() else 0o444)
        yield store
        for path in (Path(folder), store, *store.rglob("*")):
            os.chmod(path, 0o755)


def test_a_store_that_may_only_be_read_answers_and_refuses_to_record(shared_store: Path) -> None:
    where = ["--store", str(shared_store), "--format", "json"]
    commands = [
        ["runs", *where],
        ["ask", "errors", "cnn@1", *where],
        ["sql", "SELECT count(*) AS n FROM examples", *where],
    ]
    child, pipe = recording_process.run(recording_process.as_reader, shared_store, commands)
    *answers, refusal = sent(pipe)
    child.join(HANG_S)
    assert [(code, err) for code, _, err in answers if code] == []
    runs, errors, count = (json.loads(out) for _, out, _ in answers)
    assert [(row["run"], row["state"], row["epochs"]) for row in runs] == [("cnn", "finished", [1, 2])]
    assert [row["id"] for row in errors] == ["c"]
    assert count == [{"n": 3}]
    assert refusal.startswith("BadInput('cannot write to the store")


# Files that are gone or broken


def test_an_epoch_whose_file_was_deleted_is_named_and_the_rest_answers(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for run in ("cnn", "double"):
        recorded(tmp_path, run)
    gone = find_epoch(tmp_path, "cnn", "test_predictions", 1).file
    gone.unlink()
    sql = "SELECT run, count(*) AS n FROM test_predictions GROUP BY run"
    rows, said = told(capsys, "sql", sql, "--store", str(tmp_path))
    assert rows == [{"run": "double", "n": 6}]
    assert f"left out cnn/test_predictions@1, 2: {gone} is missing" in said
    with pytest.raises(SystemExit) as stop:
        main(["ask", "errors", "cnn@1", "--store", str(tmp_path)])
    assert stop.value.code == 1
    assert f"its file {gone} is missing; restore it" in capsys.readouterr().err


def test_a_run_that_was_going_on_misses_only_the_epoch_that_was_deleted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recorder = Recorder(tmp_path, run="cnn")
    for number in (1, 2, 3):
        with recorder.table("test_predictions", epoch=number) as table:
            table.add(ids=["a"], truth=[0], guess=[1])
    find_epoch(tmp_path, "cnn", "test_predictions", 2).file.unlink()
    rows, said = told(capsys, "ask", "errors-over-time", "cnn", "--store", str(tmp_path))
    assert [row["epoch"] for row in rows] == [1, 3]
    assert "left out cnn/test_predictions@2" in said
    recorder.close()
    rows, said = told(capsys, "ask", "errors-over-time", "cnn", "--store", str(tmp_path))
    assert [row["epoch"] for row in rows] == [1, 3]


@pytest.mark.parametrize(
    ("text", "why"),
    [("{", "cannot be read"), ("", "cannot be read"), ('{"format": 7}', "has format 7"), ("[]", "is not one of")],
)
@pytest.mark.parametrize("record", ["run.json", "commits/test_predictions/00002.json", "commits/end.json"])
def test_a_broken_record_is_named_and_the_rest_answers(
    tmp_path: Path, record: str, text: str, why: str, capsys: pytest.CaptureFixture[str]
) -> None:
    recorder = Recorder(tmp_path, run="cnn")
    for number in (1, 2):
        with recorder.table("test_predictions", epoch=number) as table:
            table.add(ids=["a"], truth=[0], guess=[1])
    recorder.close(finished=False)
    (tmp_path / "cnn" / record).write_text(text)
    rows, said = told(capsys, "sql", "SELECT epoch FROM test_predictions ORDER BY epoch", "--store", str(tmp_path))
    assert [row["epoch"] for row in rows] == ([1] if "00002" in record else [1, 2])
    if "end" not in record:
        assert f"{tmp_path / 'cnn' / record} {why}" in said
    (run,), said = told(capsys, "runs", "--store", str(tmp_path))
    assert run["run"] == "cnn"
    assert f"{tmp_path / 'cnn' / record} {why}" in said


def test_examples_that_are_gone_stop_only_what_asks_for_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recorded(tmp_path)
    shutil.rmtree(tmp_path / "examples")
    assert len(told(capsys, "ask", "errors", "cnn@1", "--store", str(tmp_path))[0]) == 1
    with pytest.raises(Damaged, match="examples"):
        sg.connect(tmp_path).sql("FROM examples")


def test_a_file_in_the_place_of_the_store_is_no_store(tmp_path: Path) -> None:
    (tmp_path / "predictions").write_text("")
    with pytest.raises(NotFound, match="no store at"):
        sg.connect(tmp_path / "predictions")
    with pytest.raises(NotFound, match="cannot be read: File name too long"):
        sg.connect(tmp_path / ("x" * 300))


def test_foreign_files_in_a_store_are_read_by_nobody(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recorded(tmp_path)
    (tmp_path / "cnn" / "test_predictions" / "mine.parquet").write_bytes(b"PAR1 or so")
    (tmp_path / "cnn" / "test_predictions" / "epoch-00009-0123456789ab.parquet").write_bytes(b"half")
    (tmp_path / "other" / "test_predictions").mkdir(parents=True)
    (tmp_path / "other" / "test_predictions" / "x.parquet").write_bytes(b"")
    rows, said = told(capsys, "sql", "SELECT count(*) AS n FROM test_predictions", "--store", str(tmp_path))
    assert (rows, said) == ([{"n": 6}], "")


def test_a_store_that_was_moved_is_where_it_is_now(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recorded(tmp_path / "here")
    shutil.move(tmp_path / "here", tmp_path / "there")
    sql = "SELECT count(*) AS n FROM test_predictions JOIN examples USING (examples, id)"
    assert told(capsys, "sql", sql, "--store", str(tmp_path / "there"))[0] == [{"n": 6}]


def test_a_relative_store_stays_where_it_was_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    with Recorder("predictions", run="cnn") as recorder:
        monkeypatch.chdir("/")
        with recorder.table("test_predictions", epoch=1) as table:
            table.add(ids=["a"], guess=[1])
    monkeypatch.chdir(tmp_path)
    store = sg.connect()
    monkeypatch.chdir("/")
    assert store.sql("SELECT id FROM test_predictions").fetchall() == [("a",)]
