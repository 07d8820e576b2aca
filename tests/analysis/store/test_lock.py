"""Who is recording a run."""

import fcntl
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from waiting import HANG_S

from secondguess.analysis.store.lock import RunLock, is_held


def test_a_run_is_held_by_one_until_it_is_let_go(tmp_path: Path) -> None:
    assert not is_held(tmp_path)
    lock = RunLock(tmp_path)
    assert lock.holds()
    assert is_held(tmp_path)
    with pytest.raises(BlockingIOError, match="is held by another process"):
        RunLock(tmp_path, patience_s=0)
    lock.release()
    lock.release()
    assert not lock.holds()
    assert not is_held(tmp_path)
    RunLock(tmp_path).release()


@pytest.fixture
def once_refused(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], object]], threading.Thread]:
    """Does something, in a thread of its own, once somebody was refused a lock."""
    refused, flock = threading.Event(), fcntl.flock

    def telling(handle: int, how: int) -> None:
        try:
            flock(handle, how)
        except BlockingIOError:
            refused.set()
            raise

    def start(then: Callable[[], object]) -> threading.Thread:
        def act() -> None:
            assert refused.wait(HANG_S)
            then()

        thread = threading.Thread(target=act)
        thread.start()
        return thread

    monkeypatch.setattr(fcntl, "flock", telling)
    return start


def test_somebody_who_looks_for_a_moment_is_waited_for(
    tmp_path: Path, once_refused: Callable[[Callable[[], object]], threading.Thread]
) -> None:
    first = RunLock(tmp_path)
    released = once_refused(first.release)
    RunLock(tmp_path, patience_s=HANG_S).release()
    released.join()


def test_who_waited_for_a_run_that_was_replaced_does_not_get_the_new_one(
    tmp_path: Path, once_refused: Callable[[Callable[[], object]], threading.Thread]
) -> None:
    """The lock of a folder that was renamed away is worth nothing: the folder of its name is another's."""
    old = tmp_path / "run"
    old.mkdir()
    first = RunLock(old)
    others: list[RunLock] = []

    def replace() -> None:
        old.rename(tmp_path / "gone")
        old.mkdir()
        others.append(RunLock(old))
        first.release()

    replaced = once_refused(replace)
    with pytest.raises(BlockingIOError):
        RunLock(old)
    replaced.join()
    (second,) = others
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
