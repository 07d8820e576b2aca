"""Columns of text in the width there is: words are kept whole, numbers never wrap, what does not fit is left out.

Weighed against rich's Table, which makes columns narrower until letters stand alone, and leaves none out by name. Of
rich it takes how wide a text is.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import zip_longest
from typing import IO

from rich.cells import cell_len

from secondguess.analysis.console import styled

_GAP = 2
_WORD = 24  # characters of a word that are not broken
_NARROW = 8  # what a text keeps at least, if it has so much


@dataclass(frozen=True)
class GridColumn:
    """A column: its head, which may have several lines, its cells, and on which side they stand."""

    head: str
    cells: Sequence[str]
    right: bool

    @cached_property
    def widest(self) -> int:
        """The width in which nothing wraps."""
        return max((cell_len(line) for text in (self.head, *self.cells) for line in text.split("\n")), default=0)

    @cached_property
    def least(self) -> int:
        """The width below which it is not worth drawing."""
        if self.right:
            return self.widest
        words = max((cell_len(word) for text in (self.head, *self.cells) for word in text.split()), default=0)
        return min(self.widest, max(_NARROW, min(words, _WORD)))

    def broken(self) -> "GridColumn":
        """The column with its head broken after underscores."""
        return GridColumn(self.head.replace("_", "_\n").rstrip("\n"), self.cells, self.right)


@dataclass(frozen=True)
class Grid:
    """Columns drawn as one table, below a line of text."""

    columns: Sequence[GridColumn]
    title: str = ""

    def too_wide(self, width: int) -> bool:
        """Whether some column would have to go."""
        return sum(column.least + _GAP for column in self.columns) - _GAP > width

    def print(self, out: IO[str], width: int) -> list[str]:
        """Draw it; returns the heads of the columns that did not fit."""
        columns = self.columns
        if self.too_wide(width):
            columns = [column.broken() for column in columns]
        kept: list[GridColumn] = []
        hidden: list[str] = []
        used = -_GAP
        for column, own in zip(columns, self.columns, strict=True):
            if kept and used + _GAP + column.least > width:
                hidden.append(own.head.split("\n")[-1])
            else:
                kept.append(column)
                used += _GAP + column.least
        if self.title:
            out.write("\n".join(line for part in self.title.split("\n") for line in _wrapped(part, width)) + "\n")
        out.writelines(line + "\n" for line in _drawn(kept, _widths(kept, width), bold=styled(out)))
        return hidden


def _widths(columns: Sequence[GridColumn], width: int) -> list[int]:
    """What each column gets: its least, and an equal share of the rest until nothing in it wraps."""
    widths = [min(column.least, width) for column in columns]
    rest = width - sum(widths) - _GAP * (len(columns) - 1)
    while rest > 0 and (short := [index for index, column in enumerate(columns) if widths[index] < column.widest]):
        for index in short[:rest]:
            more = min(max(1, rest // len(short)), columns[index].widest - widths[index], rest)
            widths[index] += more
            rest -= more
    return widths


def _drawn(columns: Sequence[GridColumn], widths: Sequence[int], bold: bool) -> Iterator[str]:
    """The lines of the table, its head above a rule."""
    heads = [
        [line for part in column.head.split("\n") for line in _wrapped(part, width)]
        for column, width in zip(columns, widths, strict=True)
    ]
    height = max(map(len, heads))
    for line in _lines(columns, widths, [[""] * (height - len(head)) + head for head in heads]):
        yield f"\x1b[1m{line}\x1b[0m" if bold else line
    yield "─" * (sum(widths) + _GAP * (len(widths) - 1))
    for cells in zip(*(column.cells for column in columns), strict=True):
        yield from _lines(columns, widths, [_wrapped(text, width) for text, width in zip(cells, widths, strict=True)])


def _lines(columns: Sequence[GridColumn], widths: Sequence[int], cells: Sequence[Sequence[str]]) -> Iterator[str]:
    """One row, as many lines as its highest cell has."""
    for texts in zip_longest(*cells, fillvalue=""):
        padded = []
        for column, width, text in zip(columns, widths, texts, strict=True):
            blank = " " * (width - cell_len(text))
            padded.append(blank + text if column.right else text + blank)
        yield (" " * _GAP).join(padded).rstrip()


def _wrapped(text: str, width: int) -> list[str]:
    """The text in lines of at most `width`, broken between words, and inside those that are longer."""
    if cell_len(text) <= width:
        return [text]
    lines = [""]
    for word in text.split(" "):
        for number, part in enumerate(_folded(word, width)):
            if number or (lines[-1] and cell_len(f"{lines[-1]} {part}") > width):
                lines.append(part)
            else:
                lines[-1] += f" {part}" if lines[-1] else part
    return lines


def _folded(word: str, width: int) -> list[str]:
    parts = [""]
    for letter in word:
        if parts[-1] and cell_len(parts[-1] + letter) > width:
            parts.append("")
        parts[-1] += letter
    return parts
