"""What is remembered of a store's runs: each is read once, and whatever changes in its folder is seen."""

import os
import shutil
import time
from pathlib import Path

import pytest
from recording import record

from secondguess.analysis.errors import NotFound
from secondguess.analysis.store.remembered import RememberedRuns

SETTLING_S = 2.1


@pytest.fixture(scope="module")
def settled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two runs that nobody has changed for two seconds."""
    store = tmp_path_factory.mktemp("store") / "predictions"
    for run in ("a", "b"):
        record(store, run, {1: [("x", 0, 1), ("y", 1, 1)]})
    time.sleep(SETTLING_S)
    return store


def test_while_nothing_changes_the_runs_are_the_very_same(settled: Path) -> None:
    known = RememberedRuns(settled)
    first, second = known.list(), known.list()
    assert first is second
    assert list(first.runs) == ["a", "b"]
    assert first.state is not None
    sizes = sum(path.stat().st_size for path in (settled / "a").rglob("*") if path.is_file())
    assert first.sizes["a"] == sizes


def test_what_has_just_changed_is_read_anew(tmp_path: Path) -> None:
    """Two changes within one tick of a file system's clock look alike."""
    record(tmp_path / "p", "a", {1: [("x", 0, 1)]})
    known = RememberedRuns(tmp_path / "p")
    first, second = known.list(), known.list()
    assert (first.state, second.state) == (None, None)
    assert first.runs["a"] is not second.runs["a"]


def copied(store: Path, folder: Path) -> tuple[Path, RememberedRuns]:
    shutil.copytree(store, folder / "predictions", copy_function=shutil.copy2)
    time.sleep(SETTLING_S)  # copying sets the times of files, and not those of their inodes
    known = RememberedRuns(folder / "predictions")
    assert known.list().state is not None
    return folder / "predictions", known


def test_each_change_of_a_run_gives_another_state_and_the_others_stay(settled: Path, tmp_path: Path) -> None:
    store, known = copied(settled, tmp_path)
    before = known.list()
    record(store, "c", {1: [("x", 0, 1)]})
    after = known.list()
    assert list(after.runs) == ["a", "b", "c"]
    assert (after.state, after.runs["a"] is before.runs["a"]) == (None, True)
    [rows] = (store / "b" / "test_predictions").glob("*.parquet")
    rows.unlink()
    assert known.list().runs["b"] is not before.runs["b"]
    record_file = next((store / "a" / "commits" / "test_predictions").glob("*.json"))
    text = record_file.read_text()
    record_file.write_text(text.replace('"errors": 1', '"errors": 0'))
    os.utime(record_file, ns=(0, 0))  # a time that is set tells nothing: that of the inode does
    assert known.list().runs["a"] is not before.runs["a"]


def test_a_store_that_is_gone_is_said_to_be(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="no store at"):
        RememberedRuns(tmp_path / "nowhere").list()
