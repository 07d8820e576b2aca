"""An answer's values as a page draws them: labels, bars, images, and what is missing as a word."""

import hashlib
import itertools
import math
import re
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from threading import Lock
from typing import Any

from secondguess.analysis.answers.answer import LEFT_OUT, is_cut, text
from secondguess.analysis.answers.answer import cell as plain
from secondguess.analysis.answers.columns import PageColumn
from secondguess.analysis.content import sniffed, too_large
from secondguess.analysis.schema import is_wrong

_STRIP, _WIDEST_EPOCH = 240, 14  # pixels: a strip of guesses at most, one epoch of it
_CURVE = 20  # pixels: a score of 1
_GUESSES = re.compile(r'"[^"]*"|\S+')
_BAR, _LINE = 44, 12  # pixels: a full score, a table's line in a joined cell
_MOST_BYTES = 256 << 20


@dataclass(frozen=True)
class Cell:
    """One cell: how it is drawn, and what of it. value and name are what a filter on it would keep.

    sides are the tables that the parts are of, absent those that have no such row; alike says that all say the same,
    change is by how much the second of two numbers is larger.
    """

    kind: str
    parts: tuple[Any, ...] = ()
    truth: bool = False
    name: str = ""
    value: Any = None
    sides: tuple[int, ...] = (0,)
    absent: frozenset[int] = frozenset()
    alike: bool = False
    change: str | None = None


@dataclass(frozen=True)
class Label:
    """A guess or truth: its text, and whether it is wrong, right or neither (None)."""

    text: str
    wrong: bool | None
    missing: str = ""


@dataclass(frozen=True)
class Bar:
    """A score of one side: its width in pixels, its text, whether it is the side's largest or next to nothing."""

    width: float
    text: str
    top: bool = False
    faint: bool = False
    missing: bool = False


@dataclass(frozen=True)
class Strip:
    """An example's guesses, epoch after epoch: (x, width, label) of equal ones in a row, in pixels; in words too."""

    spans: tuple[tuple[float, float, Label], ...]
    width: float
    words: str


@dataclass(frozen=True)
class Curve:
    """Scores in their order: the points of its lines, which end where a score is missing, in pixels; and in words."""

    lines: tuple[str, ...]
    width: float
    words: str


@dataclass(frozen=True)
class Best:
    """One of a row's highest scores: its class, the bar, and whether the class is the truth."""

    name: str
    bar: Bar
    truth: bool


class Images:
    """The images that pages have shown, the latest of them, by the digest of their bytes."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, tuple[str, bytes]] = OrderedDict()
        self._bytes = 0
        self._lock = Lock()

    def keep(self, data: bytes) -> str | None:
        """The key under which the image is served; None for what is no image that a page shows, or one too large."""
        kind = sniffed(data)
        if kind is None or kind == "image/bmp":
            return None
        key = hashlib.sha256(data).hexdigest()[:32]
        with self._lock:  # pages are drawn in threads
            if key not in self._kept:
                if too_large(data):
                    return None
                self._bytes += len(data)
            self._kept[key] = (kind, data)
            self._kept.move_to_end(key)
            while self._bytes > _MOST_BYTES and len(self._kept) > 1:
                _, (_, old) = self._kept.popitem(last=False)
                self._bytes -= len(old)
        return key

    def get(self, key: str) -> tuple[str, bytes] | None:
        """The type and the bytes of an image, None where it is not held any more."""
        return self._kept.get(key)


@dataclass
class DrawnRow:
    """A row of cells, and its number in the view, counted from 0."""

    number: int
    cells: list[Cell] = field(default_factory=list)


def rows(
    columns: Sequence[PageColumn],
    names: Sequence[str],
    answer_rows: Sequence[Sequence[Any]],
    images: Images,
    first: int,
    *,
    verdicts: bool = False,
) -> list[DrawnRow]:
    """Every row of an answer as cells; names are the answer's columns, first the number of its first row.

    With verdicts, a guess is not drawn as right or wrong by its truth.
    """
    truth = next((column for column in columns if column.title == "truth" and column.kind == "label"), None)
    truth = None if verdicts else truth
    return [DrawnRow(first + place, _row(columns, names, row, images, truth)) for place, row in enumerate(answer_rows)]


def _row(
    columns: Sequence[PageColumn], names: Sequence[str], row: Sequence[Any], images: Images, truth: PageColumn | None
) -> list[Cell]:
    labels = _values(truth, row) if truth is not None else ()
    known = [label for label in labels if label is not None]
    tops = _tops(columns, row)
    absent = _absent(columns, row)
    cells = []
    for column in columns:
        values = _values(column, row)
        if column.kind == "score":
            bars = tuple(bar(value, top) for value, top in zip(values, tops, strict=False))
            cells.append(Cell("score", bars, truth=bool(known) and str(known[0]) == column.head))
            continue
        sides = _told(column, values, absent)
        there = [side for side, place in enumerate(column.places) if place is not None]
        one = values[there[0]] if len(there) == 1 else None
        place = column.places[there[0]] if len(there) == 1 else None
        # A filter on the beginning of a value would keep no row.
        name = names[place] if place is not None and not is_cut(one) else ""
        told = [values[side] for side in sides]
        if column.kind in {"bins", "counts"} and isinstance(one, list):  # a part for each of several tables
            sides, told = tuple(range(len(one))), one
        cells.append(
            Cell(
                kind=column.kind,
                parts=_drawn(column, told, images, known),
                name=name,
                value=one,
                sides=sides,
                absent=absent,
                alike=column.title == "guess" and len(told) > 1 and len(set(map(str, told))) == 1,
                change=_change(told) if column.compared else None,
            )
        )
    return cells


def _absent(columns: Sequence[PageColumn], row: Sequence[Any]) -> frozenset[int]:
    """The sides of a join that have no row: of which nothing is known."""
    several = [column for column in columns if len(column.places) > 1]
    known = {side for column in several for side, value in enumerate(_values(column, row)) if value is not None}
    return frozenset(range(max((len(column.places) for column in several), default=0))) - known


def _told(column: PageColumn, values: Sequence[Any], absent: frozenset[int]) -> tuple[int, ...]:
    """The sides that a cell shows: those that have such a column, and a truth once where all agree on it."""
    sides = tuple(side for side, place in enumerate(column.places) if place is not None)
    if column.title != "truth":
        return sides
    there = tuple(side for side in sides if side not in absent) or sides
    return there[:1] if len({str(values[side]) for side in there}) == 1 else there


def _change(values: Sequence[Any]) -> str | None:
    """By how much the second of two numbers is larger than the first, with its sign."""
    if len(values) != 2 or not all(map(_finite, values)):
        return None
    first, second = values
    change = number(second - first)
    return f"+{change}" if change is not None and second > first else change


def _values(column: PageColumn, row: Sequence[Any]) -> tuple[Any, ...]:
    return tuple(None if place is None else row[place] for place in column.places)


def _tops(columns: Sequence[PageColumn], row: Sequence[Any]) -> list[float]:
    """Each side's largest score."""
    scores = [_values(column, row) for column in columns if column.kind == "score"]
    sides = max(map(len, scores), default=0)
    return [
        max((value[side] for value in scores if side < len(value) and _finite(value[side])), default=math.inf)
        for side in range(sides)
    ]


def _finite(value: Any) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)


def _drawn(column: PageColumn, values: Sequence[Any], images: Images, truth: Sequence[Any]) -> tuple[Any, ...]:
    draw: Callable[[Any], Any] | None = {
        "bins": _bins,
        "counts": _counts,
        "picture": lambda value: _pictures(value, images),
        "number": number,
        "best": lambda value: tuple(_best(entry, value, truth) for entry in value),
        "label": lambda value: _label(value, truth, column.title == "guess"),
        "sequence": lambda value: strip(value, truth),
        "scores": curve,
    }.get(column.kind)
    if draw is not None:
        return tuple(draw(value) for value in values)
    return tuple(None if value is None else text(value) for value in values)


def _best(entry: dict[str, Any], best: Sequence[dict[str, Any]], truth: Sequence[Any]) -> Best:
    truths = {text(each) for each in truth}
    return Best(entry["class"], bar(entry["score"], best[0]["score"]), entry["class"] in truths)


def _label(value: Any, truth: Sequence[Any], guess: bool) -> Label:
    if value is None:
        return Label("", None, "null")
    return Label(text(value), is_wrong(value, truth[0]) if guess and truth else None)


def strip(value: Any, truth: Sequence[Any]) -> Strip | None:
    """A sequence as `trajectories` writes it: guesses in order, `-` where there is none, `|` between runs."""
    guesses = _GUESSES.findall(value) if isinstance(value, str) else []
    if not guesses:
        return None
    each = min(_WIDEST_EPOCH, _STRIP / len(guesses))
    known = list(map(text, truth))  # the sequence is text
    spans, words, x = [], [], 0.0
    for guess, again in itertools.groupby(guesses):
        epochs = len(list(again))
        plain_guess = guess.strip('"')
        if guess != "|":
            label = Label(plain_guess, None, "none") if guess == "-" else _label(plain_guess, known, guess=True)
            spans.append((round(x, 2), round(each * epochs, 2), label))
        words.append(plain_guess if epochs == 1 else f"{epochs} times {plain_guess}")
        x += each * epochs
    return Strip(tuple(spans), round(x, 2), ", ".join(words).replace(", |, ", " | "))


def curve(values: Any) -> Curve | None:
    """Scores from 0 to 1 in their order, as wide as the strip of as many guesses; None where there are none."""
    if not isinstance(values, list) or not any(map(_finite, values)):
        return None
    each = min(_WIDEST_EPOCH, _STRIP / len(values))
    lines = []
    for known, part in itertools.groupby(enumerate(values), key=lambda item: _finite(item[1])):
        if known:
            points = [
                (round((place + 0.5) * each, 1), round(_CURVE * (1 - min(1.0, value)), 1)) for place, value in part
            ]
            lines.append(" ".join(f"{x:g},{y:g}" for x, y in points))
    known_values = [value for value in values if _finite(value)]
    words = f"from {score(known_values[0])} to {score(known_values[-1])}, at most {score(max(known_values))}"
    return Curve(tuple(lines), round(each * len(values), 2), words)


def bar(value: Any, top: float) -> Bar:
    """The bar of a score beside the largest of its row."""
    if value is None:
        return Bar(0, "–", missing=True)
    if not _finite(value):
        return Bar(0, "NaN", missing=True)
    if value < 0.005:
        return Bar(0, score(value), top=value >= top, faint=True)
    return Bar(round(min(1.0, value) * _BAR, 1), score(value), top=value >= top)


def score(value: float) -> str:
    """A probability in two decimals without the 0 before them, never rounded up to 1."""
    if value >= 0.9995:
        return "1.0"
    return f"{min(value, 0.99) if 0.99 <= value < 0.9995 else value:.2f}".removeprefix("0").replace("-0.", "−.")


def number(value: Any) -> str | None:
    """A number as a person reads it; None stays None."""
    if value is None:
        return None
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int):
        return f"{value:,}".replace("-", "−")
    return plain(float(value)).replace("-", "−") if _finite(value) else str(value)


@dataclass(frozen=True)
class Picture:
    """An image: the key under which it is served, or where it has none, what is said instead."""

    key: str | None
    said: str = "no image"


def _pictures(value: Any, images: Images) -> tuple[Picture, ...]:
    """The images in a cell: one, or a group's first ones."""
    return tuple(_picture(item, images) for item in (value if isinstance(value, list) else [value]))


def _picture(item: Any, images: Images) -> Picture:
    data = item.get("bytes") if isinstance(item, dict) else None
    if not isinstance(data, bytes):
        return Picture(None, item[LEFT_OUT]) if isinstance(item, dict) and LEFT_OUT in item else Picture(None)
    key = images.keep(data)
    return Picture(key, "no image" if key is not None else too_large(data) or "no image")


def _bins(value: Any) -> dict[str, Any] | None:
    if value is None or value["low"] is None or not any(value["counts"] or ()):
        return None
    most = max(value["counts"])
    heights = [round(count / most * 20, 1) for count in value["counts"]]
    return {"heights": heights, "low": f"{value['low']:.3g}", "high": f"{value['high']:.3g}", "counts": value["counts"]}


def _counts(value: Any) -> dict[str, Any] | None:
    if value is None or not value["values"]:
        return None
    most = max(item["rows"] for item in value["values"])
    items = [(text(item["value"]), item["rows"], round(item["rows"] / most * 40, 1)) for item in value["values"]]
    return {"items": items, "more": value["distinct"] - len(items)}
