"""Epochs and tables that are added to a run that has ended: all or nothing, and nothing that is there changes."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest
import recording_process
from killing import Ids, bring, killed_at_random, next_writer, readable
from recording import bytes_of
from recording_process import interrupted_at
from waiting import HANG_S

import secondguess as sg
from secondguess.analysis.cli import main
from secondguess.analysis.store import additions
from secondguess.analysis.store.runs import find_run
from secondguess.trainer.recorder import Recorder


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "predictions"


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Run a command; gives exit code, stdout and stderr."""

    def go(*words: str) -> tuple[int, str, str]:
        try:
            main(words)
            code = 0
        except SystemExit as stop:
            code = int(stop.code or 0)
        said = capsys.readouterr()
        return code, said.out, said.err

    return go


def csv(path: Path, *rows: str) -> str:
    path.write_text("\n".join(["id,label,pred", *rows]) + "\n")
    return str(path)


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    """Three files, with 1, 0 and 2 errors."""
    return [
        csv(tmp_path / "e1.csv", "a,0,1", "b,1,1"),
        csv(tmp_path / "e2.csv", "a,0,0", "b,1,1"),
        csv(tmp_path / "e3.csv", "a,0,1", "b,1,0"),
    ]


@pytest.mark.parametrize("order", [(1, 2, 3), (3, 1, 2), (2, 3, 1)])
def test_a_file_per_epoch_makes_one_run_in_whatever_order_they_come(run, store, files, order) -> None:
    where = ("--run", "mine", "--store", str(store))
    for number in order:
        before = bytes_of(store) if store.exists() else {}
        assert run("import", files[number - 1], "--epoch", str(number), *where)[0] == 0
        after = bytes_of(store)
        assert {path: after[path] for path in before} == before, "what is there is not touched"
    found = sg.connect(store).ask("errors-over-time", "mine").project("epoch, errors").fetchall()
    assert found == [(1, 1), (2, 0), (3, 2)]
    assert run("check", "--store", str(store))[0] == 0
    bare = duckdb.sql(f"SELECT epoch, count(*) FROM '{store}/mine/test_predictions/*.parquet' GROUP BY 1 ORDER BY 1")
    assert bare.fetchall() == [(1, 2), (2, 2), (3, 2)]


def test_an_epoch_that_is_there_is_refused_by_name_and_so_is_dropping_others_for_it(run, store, files) -> None:
    where = ("--run", "mine", "--store", str(store))
    run("import", files[0], "--epoch", "1", *where)
    run("import", files[1], "--epoch", "2", *where)
    before = bytes_of(store)
    code, _, err = run("import", files[2], "--epoch", "2", *where)
    assert (code, "mine/test_predictions@2 is there already (epochs: 1, 2)" in err) == (1, True)
    code, _, err = run("import", files[2], "--epoch", "2", "--overwrite", *where)
    assert (code, "run 'mine' has the epochs 1 besides, which --overwrite with --epoch 2 would drop" in err) == (
        1,
        True,
    )
    assert {path: data for path, data in bytes_of(store).items() if path in before} == before
    assert run("import", files[2], "--overwrite", *where)[0] == 0
    assert sg.connect(store).ask("errors-over-time", "mine").project("epoch, errors").fetchall() == [(1, 2)]


def test_what_differs_from_the_epochs_before_is_said_and_labels_of_another_type_are_refused(
    run, store, files, tmp_path
) -> None:
    where = ("--run", "mine", "--store", str(store))
    run("import", files[0], "--epoch", "1", *where)
    other = tmp_path / "e2.csv"
    other.write_text("id,label,pred,note\na,0,0,x\n")
    code, out, _ = run("import", str(other), "--epoch", "2", *where)
    assert (code, "test_predictions: not in the epochs before: note" in out) == (0, True)
    names = csv(tmp_path / "e3.csv", "a,cat,dog")
    code, _, err = run("import", names, "--epoch", "3", *where)
    assert code == 1
    assert "guess and truth are string here, but int64 in mine/test_predictions@2" in err
    assert "--classes" in err


def test_a_run_with_named_classes_reads_the_numbers_of_a_further_epoch_as_their_places(run, store, tmp_path) -> None:
    where = ("--run", "mine", "--store", str(store))
    run("import", csv(tmp_path / "e1.csv", "a,0,1"), "--epoch", "1", "--classes", "cat,dog", *where)
    run("import", csv(tmp_path / "e2.csv", "a,1,1"), "--epoch", "2", *where)
    rows = sg.connect(store).sql("SELECT epoch, truth, guess FROM mine ORDER BY epoch").fetchall()
    assert rows == [(1, "cat", "dog"), (2, "dog", "dog")]


def test_a_run_that_goes_on_or_was_interrupted_is_not_added_to(run, store, files) -> None:
    where = ("--run", "mine", "--store", str(store))
    recorder = Recorder(store, run="mine")
    with recorder.table("test_predictions", epoch=1) as table:
        table.add(ids=["a"], guess=[0], truth=[0])
    code, _, err = run("import", files[1], "--epoch", "2", *where)
    assert (code, "run 'mine' is being recorded; add to it when it has ended" in err) == (1, True)
    recorder.close(finished=False)
    code, _, err = run("import", files[1], "--epoch", "2", *where)
    assert (code, "run 'mine' was interrupted, and may be resumed; add to it when it has ended" in err) == (1, True)


def test_a_recorded_run_whose_folder_was_renamed_is_added_to(run, store, files) -> None:
    with Recorder(store, run="cnn") as recorder, recorder.table("test_predictions", epoch=1) as table:
        table.add(ids=["a", "b"], guess=[0, 0], truth=[0, 1])
    (store / "cnn").rename(store / "better")
    assert run("import", files[1], "--epoch", "2", "--run", "better", "--store", str(store))[0] == 0
    found = sg.connect(store).sql("SELECT run, epoch, count(*) FROM better GROUP BY ALL ORDER BY epoch").fetchall()
    assert found == [("better", 1, 2), ("better", 2, 2)]


def test_epochs_between_those_of_a_merged_file_are_merged_in_order_when_there_are_many(
    store, run, files, monkeypatch
) -> None:
    monkeypatch.setattr(additions, "_MOST_RECORDS", 2)
    where = ("--run", "mine", "--store", str(store))
    for number in (1, 3, 5, 4, 2):
        assert run("import", files[number % 2], "--epoch", str(number), *where)[0] == 0
    (name,) = [path.name for path in (store / "mine" / "commits" / "test_predictions").iterdir()]
    assert name == "00001-00005.2.json"  # the merged file of 1, 3 and 5 had the name without a number
    assert list(find_run(store, "mine").tables["test_predictions"]) == [1, 2, 3, 4, 5]
    found = sg.connect(store).ask("errors-over-time", "mine").project("epoch, errors").fetchall()
    assert found == [(1, 0), (2, 1), (3, 0), (4, 1), (5, 0)]
    assert run("check", "--store", str(store))[0] == 0


# Kills

OLD: Ids = [(1, "a"), (1, "b")]
NEW: Ids = [*OLD, (2, "a"), (2, "b")]


def added_then_killed(source: str, store: str, call: int, pipe: Any) -> None:
    """Add an epoch, killed just before the n-th call that changes a disk."""
    import os
    import signal

    with interrupted_at(call, lambda: os.kill(os.getpid(), signal.SIGKILL)):
        bring(source, "--run", "mine", "--epoch", "2", "--store", store)
    pipe.send("done")


@pytest.mark.parametrize("step", [23, pytest.param(1, marks=[pytest.mark.slow, pytest.mark.timeout(900)])])
def test_a_kill_before_any_file_operation_leaves_the_run_as_it_was_or_with_the_whole_epoch(
    run, store, files, step
) -> None:
    run("import", files[0], "--run", "mine", "--epoch", "1", "--store", str(store))
    call, done = 1, False
    while not done:
        place = Path(shutil.copytree(store, store.with_name(str(call))))
        child, pipe = recording_process.run(added_then_killed, files[1], str(place), call)
        done = bool(recording_process.sent(pipe))
        child.join(HANG_S)
        seen = readable(place, "mine")
        assert seen == NEW if done else seen in (OLD, NEW)
        if seen == OLD:
            bring(files[1], "--run", "mine", "--epoch", "2", "--store", str(place))
            assert readable(place, "mine") == NEW
        next_writer(place)
        assert run("check", "mine", "--store", str(place))[0] == 0
        call += step
    assert call > 30


@pytest.mark.parametrize("rounds", [6, pytest.param(100, marks=[pytest.mark.slow, pytest.mark.timeout(900)])])
def test_kills_at_any_time_leave_the_run_as_it_was_or_with_the_whole_epoch(run, store, files, rounds) -> None:
    run("import", files[0], "--run", "mine", "--epoch", "1", "--store", str(store))

    def prepare(number: int) -> tuple[Callable[..., None], tuple[Any, ...]]:
        place = shutil.copytree(store, store.with_name(f"copy-{number}"))
        return bring, (files[1], "--run", "mine", "--epoch", "2", "--store", str(place))

    def check(number: int, done: bool) -> str:
        place = store.with_name(f"copy-{number}")
        seen = readable(place, "mine")
        assert seen == NEW if done else seen in (OLD, NEW)
        next_writer(place)
        assert readable(place, "mine") == seen
        return "old" if seen == OLD else "new"

    assert killed_at_random(rounds, 7, prepare, check).total() == rounds
