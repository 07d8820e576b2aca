"""How far an import is, for whoever waits for it."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from secondguess.analysis.console import spelled_out

Progress = Callable[[str, int], None]
"""Is told what is being read, and how many rows of it came since it was last told."""


def unseen(text: str, rows: int) -> None:
    """Progress that nobody watches."""


@contextmanager
def bar(title: str, rows: int | None = None) -> Iterator[Progress]:
    """Gives a function that shows progress, in so many rows if that is known; nothing where stderr is no terminal."""
    if not sys.stderr.isatty():
        yield unseen
        return
    from rich.console import Console
    from rich.progress import Progress as Bar

    with Bar(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(_plain(title), total=rows or None)
        yield lambda text, more: progress.update(task, advance=more, description=_plain(f"{title}: {text}"))


def _plain(text: str) -> str:
    """A text in which rich and the terminal see nothing but text."""
    from rich.markup import escape

    return escape(spelled_out(text))
