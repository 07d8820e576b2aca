"""Where a statement holds what a person wrote, so that a place in the statement is a place in their text.

Places in SQL are bytes, as DuckDB counts them; places in a Fault are characters.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace

import duckdb

from secondguess.analysis.errors import Fault

FREE_SQL, FILTER, WANDB_FILTER = "the SQL", "the filter", "the W&B filter"

# Marks are halves of surrogate pairs, which no text that is valid Unicode holds, and DuckDB takes no other.
_OPEN, _CLOSE, _MOST = 0xD800, 0xDC00, 1_024
_MARK = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True)
class Passage:
    """A part of a person's text in SQL: what the text is, the text, and where the SQL has that part.

    start and length are bytes of the SQL, skipped the bytes of the text before the part, less what is put before it.
    verbatim is False where the SQL says the same otherwise; then a place in it means the whole text.
    """

    what: str
    text: str
    start: int = 0
    length: int = 0
    skipped: int = 0
    verbatim: bool = True

    def fault(self, reason: str, start: int, length: int = 0, name: str = "") -> Fault:
        """What is wrong at a place of the SQL: at the name that begins there, else as many bytes, else one token."""
        if not self.verbatim:
            return Fault(self.what, self.text, reason, 0, len(self.text))
        data = self.text.encode()
        at = min(max(start - self.start + self.skipped, 0), len(data))
        after = data[at:].decode(errors="replace")
        if name and after[: len(name)].casefold() == name.casefold():
            many = len(name)
        else:
            many = len(data[at : at + length].decode(errors="ignore")) or _first_token(after)
        return Fault(self.what, self.text, reason, len(data[:at].decode(errors="ignore")), many)


def fault_in(passages: Iterable[Passage], reason: str, start: int, length: int, name: str = "") -> Fault | None:
    """What is wrong at a place of the SQL that holds these passages; None where no person wrote what is there."""
    for passage in passages:
        if passage.start <= start < passage.start + max(1, passage.length):
            return passage.fault(reason, start, length, name)
    return None


def moved(passages: Iterable[Passage], by: int) -> tuple[Passage, ...]:
    """The passages where so many bytes are put before the SQL."""
    return tuple(replace(passage, start=passage.start + by) for passage in passages)


def _first_token(text: str) -> int:
    """The characters of the token that a text begins with."""
    starts = [place for place, _ in duckdb.tokenize(text)]
    end = next((place for place in starts if place > 0), None)
    return len(text.encode()[:end].decode(errors="ignore").rstrip())


class Marks:
    """The passages of SQL that is being put together: each part is marked where it is put, and found at the end."""

    def __init__(self) -> None:
        self._passages: list[Passage] = []

    def put(self, sql: str, passage: Passage) -> str:
        """The SQL of a passage, marked."""
        number = len(self._passages)
        if number >= _MOST:
            return sql
        self._passages.append(passage)
        return f"{chr(_OPEN + number)}{sql}{chr(_CLOSE + number)}"

    def read(self, sql: str) -> tuple[str, tuple[Passage, ...]]:
        """The SQL without marks, and the passages where it has them."""
        passages, began, length, end = [], {}, 0, 0
        for mark in _MARK.finditer(sql):
            length += len(sql[end : mark.start()].encode())
            end = mark.end()
            sign = ord(mark.group())
            if sign < _CLOSE:
                began[sign - _OPEN] = length
            else:
                start = began[sign - _CLOSE]
                passages.append(replace(self._passages[sign - _CLOSE], start=start, length=length - start))
        return _MARK.sub("", sql), tuple(passages)
