"""Who is recording a run."""

import fcntl
import threading
import time
from pathlib import Path

import pytest

from analysis.store.lock import RunLock, is_held


def test_a_run_is_held_by_one_until_it_is_let_go(tmp_path: Path) -> None:
    assert not is_held(tmp_path)
    lock = RunLock(tmp_path)
    assert lock.holds()
    assert is_held(tmp_path)
    with pytest.raises(BlockingIOError, match="is held by another process"):
        RunLock(tmp_path)
    lock.release()
    lock.release()
    assert not lock.holds()
    assert not is_held(tmp_path)
    RunLock(tmp_path).release()


def test_somebody_who_looks_for_a_moment_is_waited_for(tmp_path: Path) -> None:
    first = RunLock(tmp_path)
    threading.Timer(0.2, first.release).start()
    RunLock(tmp_path).release()


def test_who_waited_for_a_run_that_was_replaced_does_not_get_the_new_one(tmp_path: Path) -> None:
    """The lock of a folder that was renamed away is worth nothing: the folder of its name is another's."""
    old = tmp_path / "run"
    old.mkdir()
    first = RunLock(old)
    got: list[RunLock | BaseException] = []

    def wait() -> None:
        try:
            got.append(RunLock(old))
        except BlockingIOError as error:
            got.append(error)

    waiting = threading.Thread(target=wait)
    waiting.start()
    time.sleep(0.1)
    old.rename(tmp_path / "gone")
    old.mkdir()
    second = RunLock(old)
    first.release()
    waiting.join()
    assert [type(result) for result in got] == [BlockingIOError]
    assert second.holds()
    second.release()


def test_a_run_that_is_replaced_at_the_last_moment_is_locked_where_it_is_now(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, real = tmp_path / "run", fcntl.flock
    folder.mkdir()

    def replaced_first(handle: int, how: int) -> None:
        if not (tmp_path / "gone").exists():
            folder.rename(tmp_path / "gone")
            folder.mkdir()
        real(handle, how)

    monkeypatch.setattr(fcntl, "flock", replaced_first)
    lock = RunLock(folder)
    assert lock.holds()
    assert is_held(folder)
    lock.release()


def test_a_lock_is_not_held_in_a_folder_that_was_removed_or_replaced(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    lock = RunLock(folder)
    folder.rename(tmp_path / "moved")
    assert not lock.holds()
    folder.mkdir()
    (folder / ".lock").touch()
    assert not lock.holds()
    lock.release()
