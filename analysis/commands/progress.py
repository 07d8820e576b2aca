"""How far a command is, for whoever waits longer than a second before a terminal."""

import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from threading import Event, Thread

import duckdb

from secondguess.analysis import signals
from secondguess.analysis.console import spelled_out
from secondguess.analysis.engine.duck import Build
from secondguess.analysis.engine.statement import Statement

PATIENCE_S = 1.0  # for which nothing is said
_LOOK_S = 0.2


@contextmanager
def shown(title: str, look: Callable[[], float | None] = lambda: None) -> Iterator[Callable[[], None]]:
    """Say on stderr, once the block takes longer than a moment, what is done and how far; nothing but on a terminal.

    look gives the share that is done, from 0 to 1, and None where that is not known. What it gives ends it before.
    """
    if not sys.stderr.isatty():
        yield lambda: None
        return
    over = Event()
    thread = Thread(target=_tell, args=(spelled_out(title), look, over), daemon=True)
    thread.start()

    def end() -> None:
        over.set()
        thread.join(2 * _LOOK_S)

    with signals.undone(end):
        try:
            yield end
        finally:
            end()


@contextmanager
def answering() -> Iterator[tuple[Callable[[Build], Build], Callable[[], None]]]:
    """What wraps each build of a statement so that it is seen how far its answer is, and what ends that."""
    if not sys.stderr.isatty():
        yield lambda build: build, lambda: None
        return
    opened: list[duckdb.DuckDBPyConnection] = []

    def watched(build: Build) -> Build:
        def opening(con: duckdb.DuckDBPyConnection) -> Statement:
            con.execute("SET enable_progress_bar = true; SET enable_progress_bar_print = false")
            con.execute("SET progress_bar_time = 0")  # else it is not counted for two seconds
            opened[:] = [con]
            return build(con)

        return opening

    def look() -> float | None:
        with suppress(duckdb.Error):  # it is closed: its statement is done
            percent = opened[0].query_progress() if opened else -1
            return percent / 100 if percent > 0 else None
        return None

    with shown("answering", look) as end:
        yield watched, end


@contextmanager
def steps(title: str) -> Iterator[Callable[[int, int], None]]:
    """What hears how many of how many steps are done, and shows it as `shown` does."""
    done: list[float] = []
    with shown(title, lambda: done[-1] if done else None):
        yield lambda number, of: done.append(number / max(1, of))


def _tell(title: str, look: Callable[[], float | None], over: Event) -> None:
    began = time.monotonic()
    written = 0
    wait = PATIENCE_S
    while not over.wait(wait):
        wait = _LOOK_S
        share = look()
        far = "" if share is None else f" {min(99, max(0, int(100 * share)))} %"
        text = f"{title}:{far} {time.monotonic() - began:.0f} s"[: shutil.get_terminal_size().columns - 1]
        sys.stderr.write(f"\r{text:<{written}}")
        sys.stderr.flush()
        written = len(text)
    if written:
        sys.stderr.write(f"\r{'':<{written}}\r")  # no sign that only some terminals obey
        sys.stderr.flush()
