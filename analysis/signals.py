"""Ctrl-C and SIGTERM: a command ends within a second whatever it does, and leaves nothing half done.

A thread of its own hears the signal, undoes what was promised to be undone, and ends the process; meanwhile the main
thread rests, where it comes back from what it calls. Weighed against an exception in the main thread: inside one long
call of DuckDB's it comes too late, and inside the import of a compiled module it aborts the process. Weighed against a
process for each command that a second one watches: that takes a start of Python.
"""

import os
import select
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import copy_context
from types import FrameType
from typing import TypeVar

Computed = TypeVar("Computed")

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_THREAD = "secondguess-signals"
_MOMENT_S = 0.6  # for a query of a program's own to hear that it is interrupted


class _Listening:
    """What a process that listens knows: the signal that came, what to undo, and what must not be cut short."""

    def __init__(self, *, says: bool = True) -> None:
        self.says = says
        self.signal = 0
        self.undo: list[Callable[[], object]] = []
        self.whole = 0  # blocks that are finished first
        self.patience_s = 0.0

    def rest(self, number: int = 0, frame: FrameType | None = None) -> None:
        """Let the main thread do nothing more, but what is to be finished."""
        self.signal = self.signal or number
        while not self.whole:
            time.sleep(60)

    def undo_all(self) -> None:
        """Undo what was promised, the latest first."""
        for undo in reversed([*self.undo]):
            with suppress(Exception):
                undo()

    def watch(self, pipe: int) -> None:
        """Wait for a signal, then for what is to be finished, and end the process."""
        number = 0
        while not number:
            number = next((number for number in os.read(pipe, 64) if number in _SIGNALS), 0)
        self.signal = self.signal or number
        until = time.monotonic() + self.patience_s
        while self.whole and time.monotonic() < until:
            time.sleep(0.01)
        self.undo_all()
        with suppress(OSError):
            if self.says and select.select([], [2], [], _MOMENT_S)[1]:  # a pipe that nobody reads keeps nobody
                os.write(2, b"secondguess: interrupted\n")
        os._exit(128 + self.signal)


_here: list[_Listening] = []


def listen(*, says: bool = True) -> None:
    """From here on SIGINT and SIGTERM end this command, also where who started it lets SIGINT be ignored.

    For the main thread of a process that runs one command; a second call changes nothing. It says so unless another
    process does, of which this one is a copy.
    """
    if _here:
        return
    here = _Listening(says=says)
    ours, theirs = os.pipe()
    os.set_blocking(theirs, False)
    os.register_at_fork(after_in_child=_forget)
    threading.Thread(target=here.watch, args=(ours,), name=_THREAD, daemon=True).start()
    signal.set_wakeup_fd(theirs, warn_on_full_buffer=False)
    _here.append(here)
    for number in _SIGNALS:
        signal.signal(number, here.rest)


def is_listening() -> bool:
    """Whether this process hears the signals here."""
    return bool(_here)


def other_threads() -> int:
    """How many threads there are besides the main one and the one that hears signals."""
    return sum(thread.name != _THREAD for thread in threading.enumerate()) - 1


def _forget() -> None:
    if _here:
        _here.clear()
        signal.set_wakeup_fd(-1)
        for number in _SIGNALS:
            signal.signal(number, signal.SIG_DFL)


def promise(undo: Callable[[], object]) -> Callable[[], None]:
    """Have something undone if a signal ends the process; returns what takes the promise back.

    It is called from another thread, while the main thread rests or is inside a call that knows nothing of it.
    """
    lists = [here.undo for here in _here]
    for known in lists:
        known.append(undo)

    def withdraw() -> None:
        for known in lists:
            with suppress(ValueError):
                known.remove(undo)

    return withdraw


def undo_promises() -> None:
    """Undo what was promised, for whoever ends the process without its own end, as a time limit does."""
    for here in _here:
        here.undo_all()


@contextmanager
def undone(undo: Callable[[], object]) -> Iterator[None]:
    """Have something undone if a signal ends the process within the block."""
    withdraw = promise(undo)
    try:
        yield
    finally:
        withdraw()


@contextmanager
def finished_first(patience_s: float) -> Iterator[None]:
    """Finish the block before a signal ends the process, unless it takes longer than that from then on."""
    here = _here[-1] if _here and threading.current_thread() is threading.main_thread() else _Listening()
    here.patience_s = patience_s
    here.whole += 1
    try:
        yield
    finally:
        here.whole -= 1
        if here.signal:
            here.rest()


def heard(compute: Callable[[], Computed], interrupt: Callable[[], object]) -> Computed:
    """What compute returns, in a program that keeps its own answer to Ctrl-C: KeyboardInterrupt comes out in a moment.

    DuckDB does not hear Ctrl-C in every call, so compute runs in a thread of its own while the main thread waits.
    interrupt is called when it comes; what does not listen to that either goes on, and nobody waits for it.
    """
    if threading.current_thread() is not threading.main_thread():
        return compute()
    results: list[Computed] = []
    errors: list[BaseException] = []
    done = threading.Event()
    context = copy_context()

    def run() -> None:
        try:
            results.append(context.run(compute))
        except BaseException as error:
            errors.append(error)
        finally:
            done.set()

    threading.Thread(target=run, name="secondguess-answer").start()
    try:
        done.wait()
    except BaseException:
        interrupt()
        done.wait(_MOMENT_S)
        raise
    if errors:
        raise errors[0]
    return results[0]


@contextmanager
def kept_from_children() -> Iterator[None]:
    """Start processes that a terminal's Ctrl-C does not reach: their parent answers it, and ends them."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
