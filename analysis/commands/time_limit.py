"""A time limit on an answer of the command line, which has none of its own."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Timer

import duckdb

from secondguess.analysis import signals
from secondguess.analysis.engine.duck import Build
from secondguess.analysis.engine.statement import Statement
from secondguess.analysis.errors import SecondguessError

_GRACE_S = 1  # for DuckDB to hear that it is interrupted, which a single call of a function does not


@contextmanager
def within(seconds: float | None, build: Build) -> Iterator[Build]:
    """What builds the statement, to be answered in the block within so many seconds; raises SecondguessError after it.

    A process that does not hear of it is ended, with the same line and exit code. None is no limit.
    """
    if seconds is None:
        yield build
        return
    said = SecondguessError(f"stopped after {seconds:g} seconds; filter more, or give it more with --seconds")
    over = Event()
    opened: list[duckdb.DuckDBPyConnection] = []

    def watched(con: duckdb.DuckDBPyConnection) -> Statement:
        opened.append(con)
        if over.is_set():
            raise said
        return build(con)

    def stop() -> None:
        over.set()
        for con in opened:
            con.interrupt()

    def end() -> None:
        signals.undo_promises()
        print(f"secondguess: {said}", file=sys.stderr, flush=True)
        os._exit(1)

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
