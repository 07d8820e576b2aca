"""Who is recording a run: whoever holds the lock on its folder."""

import fcntl
import os
import time
from pathlib import Path

_NAME = ".lock"
_PATIENCE_S = 1.0  # a reader that looks whether a run goes on holds the lock for a moment


class RunLock:
    """The exclusive lock on a run's folder; the operating system frees it when the process ends."""

    def __init__(self, folder: Path) -> None:
        self._handle = os.open(folder / _NAME, os.O_RDWR | os.O_CREAT, 0o666)
        deadline = time.monotonic() + _PATIENCE_S
        while True:
            try:
                fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except BlockingIOError:
                if time.monotonic() > deadline:
                    self.release()
                    raise
                time.sleep(0.02)

    def release(self) -> None:
        """Let the run go."""
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1


def is_held(folder: Path) -> bool:
    """Whether some process is recording the run in this folder."""
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
