"""Work on files from elsewhere, in a copy of the command's process: a file that crashes its reader ends the copy alone.

Weighed against `multiprocessing`, which starts another Python, and so takes as long again as a small import.
"""

import ctypes
import os
import select
import signal
import sys
import time
import warnings
from collections.abc import Callable
from contextlib import suppress
from functools import partial

from secondguess.analysis import signals
from secondguess.analysis.errors import Damaged
from secondguess.analysis.memory import resident_bytes

MOST_BYTES = 4 << 30
_LOOK_S, _MOMENTS = 0.1, 6
_DIES_WITH_PARENT = 1  # prctl's PR_SET_PDEATHSIG


def go_apart(what: str, most_bytes: int = MOST_BYTES) -> None:
    """Go on in a copy of this process; the process itself waits for it here, and exits as it did.

    what is read, for the message. Raises Damaged, in the waiting process, where the copy crashed or took more memory
    than most_bytes (where /proc says how much). A process that has threads, or Arrow, cannot be copied safely, and goes
    on itself.
    """
    if signals.other_threads() or "pyarrow" in sys.modules or not hasattr(os, "fork"):
        return
    sys.stdout.flush()
    sys.stderr.flush()
    was_listening = signals.is_listening()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of threads: the one that hears signals only waits
        copy = os.fork()
    if copy == 0:
        _die_with_parent()
        if was_listening:
            signals.listen(says=False)
        return
    try:
        with signals.undone(partial(_end, copy)):
            status = _waited(copy, what, most_bytes)
    except BaseException:
        os.kill(copy, signal.SIGKILL)
        os.waitpid(copy, 0)
        raise
    if os.WIFSIGNALED(status):
        name = signal.Signals(os.WTERMSIG(status)).name
        raise Damaged(
            f"{what} crashed its reader ({name}): it is damaged, or made to do that; its run was not imported"
        )
    sys.exit(os.waitstatus_to_exitcode(status))


def _waited(copy: int, what: str, most_bytes: int) -> int:
    """The status with which the copy ended."""
    wait = _moment_or_end(copy)
    while True:
        wait()
        done, status = os.waitpid(copy, os.WNOHANG)
        if done:
            return status
        if (taken := resident_bytes(copy) or 0) > most_bytes:
            raise Damaged(
                f"{what} takes more than {most_bytes / (1 << 30):.2g} GB of memory to read ({taken:,} bytes); split it"
            )


def _end(copy: int) -> None:
    """Let the copy undo what it has begun, and end it after a moment."""
    os.kill(copy, signal.SIGTERM)
    wait = _moment_or_end(copy)
    for _ in range(_MOMENTS):
        wait()
        with suppress(ChildProcessError):
            if os.waitid(os.P_PID, copy, os.WEXITED | os.WNOHANG | os.WNOWAIT):
                return
    os.kill(copy, signal.SIGKILL)


def _moment_or_end(copy: int) -> Callable[[], object]:
    """What waits for a moment, or until the copy ends, where the system can tell."""
    try:
        handle = os.pidfd_open(copy)
    except (AttributeError, OSError):
        return lambda: time.sleep(_LOOK_S)
    poll = select.poll()
    poll.register(handle, select.POLLIN)
    return lambda: poll.poll(_LOOK_S * 1000)


def _die_with_parent() -> None:
    """Ask the system to end this process with the one that waits for it, however that ends."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_DIES_WITH_PARENT, signal.SIGKILL)
