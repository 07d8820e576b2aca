"""A time limit on an answer of the command line, which has none of its own."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from threading import Event, Timer

import duckdb

from secondguess.analysis import signals
from secondguess.analysis.engine.duck import Build
from secondguess.analysis.engine.statement import Statement
from secondguess.analysis.errors import SecondguessError

_GRACE_S = 1  # for DuckDB to hear that it is interrupted, which a single call of a function does not


@contextmanager
def within(
    seconds: float | None, *, hint: str = "filter more, or give it more with --seconds", code: int = 1
) -> Iterator[Callable[[Build], Build]]:
    """What wraps each build of a statement that is answered in the block, all within so many seconds.

    Raises SecondguessError after them, which says hint; a process that does not hear of it is ended, with the same line
    and this exit code. None is no limit.
    """
    if seconds is None:
        yield lambda build: build
        return
    said = SecondguessError(f"stopped after {seconds:g} seconds; {hint}")
    over = Event()
    opened: list[duckdb.DuckDBPyConnection] = []

    def watched(build: Build) -> Build:
        def opening(con: duckdb.DuckDBPyConnection) -> Statement:
            opened[:] = [con]
            if over.is_set():
                raise said
            return build(con)

        return opening

    def stop() -> None:
        over.set()
        for con in opened:
            with suppress(duckdb.ConnectionException):  # closed: its statement is done
                con.interrupt()

    def end() -> None:
        signals.undo_promises()
        print(f"secondguess: {said}", file=sys.stderr, flush=True)
        os._exit(code)

    timers = [Timer(seconds, stop), Timer(seconds + _GRACE_S, end)]
    for timer in timers:
        timer.daemon = True
        timer.start()
    try:
        yield watched
    except SecondguessError:
        if over.is_set():
            raise said from None
        raise
    finally:
        for timer in timers:
            timer.cancel()
            timer.join()  # a thread that still ends while Python does can take it down
