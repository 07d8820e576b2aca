"""What a terminal is given: text in which there is nothing that it obeys.

Weighed against rich, which lets an escape through: its text is the programmer's own, ours is anybody's.
"""

import logging
import os
import re
import sys
from collections.abc import Iterable
from typing import IO

# What a terminal would obey, what turns the reading direction, and what no XML may have.
_UNSHOWN = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufffe\uffff]")
_OBEYED = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")  # all but tab and line feed


def spelled_out(text: str) -> str:
    """A text with its control characters as Python writes them: it stays in its line."""
    return _UNSHOWN.sub(_as_python_writes, text)


def shortened(text: str, most: int) -> str:
    """A name of at most so many characters: a longer one loses its middle, since names differ at the ends."""
    if len(text) <= most:
        return text
    last = (most - 1) // 2
    return f"{text[: most - 1 - last]}…{text[len(text) - last :]}"


def say(text: str, *, err: bool = False) -> None:
    """Print lines of text to stdout or stderr, whatever names and messages of others stand in them."""
    stream = sys.stderr if err else sys.stdout
    print(_OBEYED.sub(_as_python_writes, text), file=stream, flush=True)


def styled(stream: IO[str]) -> bool:
    """Whether heads may be bold: on a terminal that knows it, unless NO_COLOR asks for plain text."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def readable(stream: IO[str]) -> IO[str]:
    """The stream, for data that stays as it is but on a terminal, where control characters are spelled out."""
    return _Terminal(stream) if stream.isatty() else stream  # type: ignore[return-value]  # all that writing needs


class _Terminal:
    """A terminal that data are written to."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream
        self.encoding = getattr(stream, "encoding", None)

    def write(self, text: str) -> int:
        """Write a text as a person can read it."""
        return self._stream.write(_OBEYED.sub(_as_python_writes, text))

    def writelines(self, lines: Iterable[str]) -> None:
        """Write texts one after the other."""
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        """Send what waits."""
        self._stream.flush()

    def isatty(self) -> bool:
        """It is one."""
        return True


def told(record: logging.LogRecord) -> bool:
    """A filter for what is logged on a terminal: it goes there spelled out."""
    record.msg, record.args = _OBEYED.sub(_as_python_writes, record.getMessage()), None
    return True


def _as_python_writes(match: re.Match[str]) -> str:
    return repr(match.group())[1:-1]
