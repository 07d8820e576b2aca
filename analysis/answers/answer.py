"""An answer before it is written anywhere, and its values as a person reads them."""

import datetime
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from secondguess.analysis.console import spelled_out
from secondguess.analysis.moments import Moment
from secondguess.analysis.schema import STEP

_BARS = "▁▂▃▄▅▆▇█"
MOST_BARS = 60  # classes whose scores are drawn as bars; of more the highest ones are named
_LONGEST_TEXT, _LONGEST_CELL, _LONGEST_LIST = 400, 200, 12
# Beside the empty bytes of an image that an answer has not: why.
LEFT_OUT = "left out"

Row = tuple[Any, ...]
TableAt = tuple[str, Moment]
"""A table as answers call it, and when it was predicted."""


class Cut:
    """The beginning of a value that is longer than an answer holds; said is how much of how much it is."""

    said = ""


class CutText(Cut, str):
    """The beginning of a text."""


class CutBytes(Cut, bytes):
    """The beginning of bytes."""


class CutList(Cut, list[Any]):
    """The first values of a list."""


class CutMap(Cut, dict[Any, Any]):
    """The first entries of a map."""


def is_cut(value: object) -> bool:
    """Whether a value, or one in it, is the beginning of a longer one."""
    if isinstance(value, Cut):
        return True
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else ()
    return any(map(is_cut, parts))


@dataclass(frozen=True)
class Answer:
    """A result: its columns, which of them are numbers, its rows (read once), and how it may be drawn.

    drawn is (how, columns) from the question; order is the (run, epoch) asked about, first the left one, an epoch
    without a step also as its number; classes are the names behind score_0, score_1, …; sides how many tables stand
    side by side in it, 1 where nothing is joined.
    """

    columns: Sequence[str]
    numeric: Sequence[bool]
    rows: Iterable[Row]
    drawn: tuple[str, tuple[str, ...]] | None = None
    order: Sequence[TableAt] = ()
    classes: Sequence[str] = ()
    sides: int = 1

    def __post_init__(self) -> None:
        moments = [(run, at if isinstance(at, Moment) else Moment(at)) for run, at in self.order]
        object.__setattr__(self, "order", moments)


def records(columns: Sequence[str], rows: Iterable[Row]) -> list[dict[str, Any]]:
    """Rows as objects, by the columns' names."""
    return [dict(zip(columns, row, strict=True)) for row in rows]


def tables_in(columns: Sequence[str], rows: Iterable[Row], order: Sequence[TableAt]) -> list[TableAt]:
    """The table that each row is of, from its run and epoch, and its step where a table asked about has one.

    Elsewhere `step` may be any column.
    """
    run, epoch = columns.index("run"), columns.index("epoch")
    told = STEP in columns and any(moment.step is not None for _, moment in order)
    step = columns.index(STEP) if told else None
    return [(row[run], Moment(row[epoch], None if step is None else row[step])) for row in rows]


def cell(value: object) -> str:
    """A value as a person reads it in a table cell; NULL is empty, and control characters are spelled out."""
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.4f}" if math.isfinite(value) and (value == 0 or 1e-4 <= abs(value) < 1e6) else f"{value:.4g}"
    if isinstance(value, bytes):
        return f"<{len(value):,} bytes>"
    if isinstance(value, dict):
        if (summed := _SUMMARIES.get(tuple(value))) is not None:
            return summed(value)
        if isinstance(value.get("bytes"), bytes):
            return f"<image, {len(value['bytes']):,} bytes>"
        if LEFT_OUT in value:
            return f"<{value[LEFT_OUT]}>"
        return ", ".join(f"{cell(key)}: {cell(item)}" for key, item in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(map(_item, value)) if value else "[]"
    if isinstance(value, datetime.datetime):
        return value.isoformat(sep=" ", timespec="seconds")
    return spelled_out(str(value))


def _item(value: object) -> str:
    """A value in a list: a text in which the list would seem to end or go on, or that is empty, in quotes."""
    shown = cell(value)
    return f'"{shown}"' if isinstance(value, str) and (not value or "," in value) else shown


def _histogram(value: dict[str, Any]) -> str:
    counts = value["counts"] or []
    if value["low"] is None or not any(counts):
        return "no numbers"
    return f"{bars(counts, max(counts))} {value['low']:.4g} to {value['high']:.4g}"


def _counted(value: dict[str, Any]) -> str:
    listed = [
        f"{'none' if item['value'] is None else cell(item['value'])}: {item['rows']:,}"
        for item in value["values"] or ()
    ]
    rest = (value["distinct"] or 0) - len(listed)
    return ", ".join(listed) + (f" and {rest:,} more" if rest > 0 else "")


def bars(values: Iterable[float | None], most: float) -> str:
    """Numbers from 0 to `most` as one character each, `?` for what is not finite, a space where there is none."""
    return "".join(
        " " if value is None else _BARS[min(7, max(0, int(value / most * 8)))] if math.isfinite(value) else "?"
        for value in values
    )


# What a group shows of a column, by the keys it comes with.
_SUMMARIES = {("low", "high", "counts"): _histogram, ("values", "distinct"): _counted}


def brief(value: object) -> str:
    """A cell where there is little room: what is very long shows its ends and how long it is."""
    if isinstance(value, list) and len(value) > _LONGEST_LIST:
        return f"{cell(value[:6])}, … {len(value) - 8:,} more …, {cell(value[-2:])}"
    text = cell(value)
    return text if len(text) <= _LONGEST_TEXT else f"{text[: _LONGEST_TEXT // 2]} … {len(text):,} characters"


def text(value: object) -> str:
    """A value as text, not longer than a cell of the page bears."""
    shown = cell(value)
    short = shown if len(shown) <= _LONGEST_CELL else f"{shown[: _LONGEST_CELL - 1]}…"
    return f"{short} ({value.said})" if isinstance(value, Cut) else short
