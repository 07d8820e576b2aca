"""Who is recording a run: whoever holds the lock on its folder.

Weighed against filelock, which opens the lock's file for writing even to look: a store may be there to be read only.
"""

import fcntl
import os
import time
from functools import cache
from pathlib import Path
from weakref import WeakSet

from secondguess.analysis.objects.path import ObjectPath
from secondguess.analysis.store.lease import Lease, is_leased

_NAME = ".lock"
_PATIENCE_S = 1.0  # a reader that looks whether a run goes on holds the lock for a moment


class RunLock:
    """The exclusive lock on a run's folder; the operating system frees it when the process ends.

    Raises BlockingIOError where another holds it for more than patience_s, FileNotFoundError where there is no folder.
    """

    def __init__(self, folder: Path, patience_s: float = _PATIENCE_S) -> None:
        self._path = folder / _NAME
        self._handle = -1
        _held_here().add(self)
        deadline = time.monotonic() + patience_s
        while not self._taken():
            if time.monotonic() > deadline:
                raise BlockingIOError(f"{self._path} is held by another process")
            time.sleep(0.02)

    def _taken(self) -> bool:
        self._handle = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self.release()
            return False
        except BaseException:
            self.release()
            raise
        if self.holds():
            return True
        self.release()  # the run was replaced between opening and locking: this is the old one's lock
        return False

    def holds(self) -> bool:
        """Whether the folder is still the one that was locked: not released, removed or replaced meanwhile."""
        return self.is_of(self._path.parent)

    def is_of(self, folder: Path) -> bool:
        """Whether it is the lock of that folder."""
        if self._handle < 0 or isinstance(folder, ObjectPath):
            return False
        try:
            return os.path.samestat(os.fstat(self._handle), os.stat(folder / _NAME))
        except FileNotFoundError:
            return False

    def moved(self, folder: Path) -> None:
        """Say that the folder has another name by now."""
        self._path = folder / _NAME

    def release(self) -> None:
        """Let the run go."""
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1


@cache
def _held_here() -> WeakSet[RunLock]:
    """This process's locks. A forked child lets go of them: it would hold the run after its parent's death."""
    locks: WeakSet[RunLock] = WeakSet()

    def let_go() -> None:
        for lock in locks:
            lock.release()

    os.register_at_fork(after_in_child=let_go)
    return locks


Held = RunLock | Lease


def hold(folder: Path, patience_s: float = _PATIENCE_S) -> Held:
    """The lock on a run's folder, in a bucket the lease on it; raises as these do."""
    return Lease(folder) if isinstance(folder, ObjectPath) else RunLock(folder, patience_s)


def is_held(folder: Path) -> bool:
    """Whether some process is recording the run in this folder."""
    if isinstance(folder, ObjectPath):
        return is_leased(folder)
    try:
        handle = os.open(folder / _NAME, os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(handle)
    return False
