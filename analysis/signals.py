"""Ctrl-C and SIGTERM: a command ends within a second whatever it does, and leaves nothing half done.

The main thread is told first, by `Stopped`. Where it does not listen, inside one long call of DuckDB's, a thread of its
own interrupts the queries, undoes what was promised to be undone, and ends the process. Weighed against a process for
each command that a second one watches, which takes a start of Python.
"""

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import copy_context
from types import FrameType
from typing import TypeVar

Computed = TypeVar("Computed")

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_GRACE_S = 0.6  # for the main thread to clear up by itself


class Stopped(BaseException):
    """The person, or the system, wants the command to end; no `except Exception` holds it back."""


class _Listening:
    """What a process that listens knows: what to interrupt, what to undo, and how long it may take."""

    def __init__(self) -> None:
        self.signal = 0
        self.raised = False
        self.interrupts: list[Callable[[], object]] = []
        self.undo: list[Callable[[], object]] = []
        self.grace_s = _GRACE_S
        self.until = 0.0
        self.lock = threading.RLock()  # a second signal may come while the first is noted

    def told(self, number: int, frame: FrameType | None) -> None:
        """Tell the main thread, once."""
        if not self.signal:
            self.note(number)
        if self.grace_s and not self.raised:
            self.raised = True
            raise Stopped

    def note(self, number: int) -> None:
        """Note the first signal; from now on nothing that fails on the way out is told."""
        with self.lock:
            if self.signal:
                return
            self.signal = number
            self.until = time.monotonic() + self.grace_s
        sys.excepthook = lambda kind, error, trace: self.end()
        sys.unraisablehook = lambda unraisable: None
        threading.excepthook = lambda args: None

    def watch(self, pipe: int) -> None:
        """Wait for a signal, then for the main thread, then end the process."""
        number = 0
        while not number:
            number = next((number for number in os.read(pipe, 64) if number in _SIGNALS), 0)
        self.note(number)
        while True:
            for interrupt in [*self.interrupts]:
                with suppress(Exception):
                    interrupt()
            left = self.until - time.monotonic()
            if left <= 0:
                break
            time.sleep(min(0.05, left))
        for undo in reversed([*self.undo]):
            with suppress(Exception):
                undo()
        self.end()

    def end(self) -> None:
        """Say so in one line and end the process, by whichever thread comes first; the other may wait for a pipe."""
        if self.lock.acquire(timeout=_GRACE_S / 2):  # for good
            with suppress(OSError):
                os.write(2, b"secondguess: interrupted\n")
        os._exit(128 + self.signal)


_here: list[_Listening] = []


def listen() -> None:
    """From here on SIGINT and SIGTERM end this command, also where who started it lets SIGINT be ignored.

    For the main thread of a process that runs one command; a second call changes nothing.
    """
    if _here:
        return
    here = _Listening()
    _here.append(here)
    ours, theirs = os.pipe()
    os.set_blocking(theirs, False)
    signal.set_wakeup_fd(theirs, warn_on_full_buffer=False)
    for number in _SIGNALS:
        signal.signal(number, here.told)
    os.register_at_fork(after_in_child=_forget)
    threading.Thread(target=here.watch, args=(ours,), name="secondguess-signals", daemon=True).start()


def _forget() -> None:
    _here.clear()
    signal.set_wakeup_fd(-1)
    for number in _SIGNALS:
        signal.signal(number, signal.SIG_DFL)


def end_if_stopped() -> None:
    """End the process with 130 or 143 and one line on stderr, where a signal came; else do nothing."""
    for here in _here:
        if here.signal:
            here.end()


def stopped() -> bool:
    """Whether a signal came."""
    return any(here.signal for here in _here)


def promise(undo: Callable[[], object]) -> Callable[[], None]:
    """Have something undone if the process is ended by force; returns what takes the promise back."""
    return _kept([here.undo for here in _here], undo)


@contextmanager
def undone(undo: Callable[[], object]) -> Iterator[None]:
    """Have something undone if the process is ended by force within the block."""
    withdraw = promise(undo)
    try:
        yield
    finally:
        withdraw()


@contextmanager
def interruptible(interrupt: Callable[[], object]) -> Iterator[None]:
    """Have this called, from another thread, when a signal comes within the block."""
    withdraw = _kept([here.interrupts for here in _here], interrupt)
    try:
        yield
    finally:
        withdraw()


def _kept(lists: list[list[Callable[[], object]]], call: Callable[[], object]) -> Callable[[], None]:
    for known in lists:
        known.append(call)

    def withdraw() -> None:
        for known in lists:
            with suppress(ValueError):
                known.remove(call)

    return withdraw


@contextmanager
def graced(seconds: float) -> Iterator[None]:
    """Let what is done in the block take so long after a signal, before the process is ended by force.

    0 is for what keeps its own loop, which nothing is raised into: it is ended at once.
    """
    before = [here.grace_s for here in _here]
    for here in _here:
        here.grace_s = seconds
        if here.signal:
            here.until = max(here.until, time.monotonic() + seconds)
    try:
        yield
    finally:
        for here, grace_s in zip(_here, before, strict=False):
            here.grace_s = grace_s
            if here.signal:
                here.until = time.monotonic() + grace_s


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

    threading.Thread(target=run, name="secondguess-answer", daemon=True).start()
    try:
        done.wait()
    except BaseException:
        interrupt()
        done.wait(_GRACE_S)
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
