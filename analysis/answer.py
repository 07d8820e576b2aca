"""An answer before it is written anywhere, and its values as a person reads them."""

import datetime
import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

# What a terminal would obey, and what turns the reading direction.
_UNSHOWN = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
_LONGEST_TEXT, _LONGEST_LIST = 400, 12

Row = tuple[Any, ...]


@dataclass(frozen=True)
class Answer:
    """A result: its columns, which of them are numbers, its rows (read once), and how it may be drawn.

    drawn is (how, columns) from the question; order is the (run, epoch) asked about, first the left one; classes are
    the names behind score_0, score_1, ….
    """

    columns: Sequence[str]
    numeric: Sequence[bool]
    rows: Iterable[Row]
    drawn: tuple[str, tuple[str, ...]] | None = None
    order: Sequence[tuple[str, int]] = ()
    classes: Sequence[str] = ()


def cell(value: object) -> str:
    """A value as a person reads it in a table cell; NULL is empty, and control characters are spelled out."""
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.4f}" if math.isfinite(value) and (value == 0 or 1e-4 <= abs(value) < 1e6) else f"{value:.4g}"
    if isinstance(value, bytes):
        return f"<{len(value):,} bytes>"
    if isinstance(value, dict):
        if isinstance(value.get("bytes"), bytes):
            return f"<image, {len(value['bytes']):,} bytes>"
        return ", ".join(f"{cell(key)}: {cell(item)}" for key, item in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(cell(item) for item in value)
    if isinstance(value, datetime.datetime):
        return value.isoformat(sep=" ", timespec="seconds")
    return _UNSHOWN.sub(lambda found: repr(found.group())[1:-1], str(value))


def brief(value: object) -> str:
    """A cell where there is little room: what is very long shows its ends and how long it is."""
    if isinstance(value, list) and len(value) > _LONGEST_LIST:
        return f"{cell(value[:6])}, … {len(value) - 8:,} more …, {cell(value[-2:])}"
    text = cell(value)
    return text if len(text) <= _LONGEST_TEXT else f"{text[: _LONGEST_TEXT // 2]} … {len(text):,} characters"
