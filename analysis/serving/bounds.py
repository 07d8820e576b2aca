"""What an answer of a server holds at most: rows, columns, cells, signs, bytes, images. What is left out is said."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from secondguess.analysis.answers.answer import LEFT_OUT, CutBytes, CutList, CutMap, CutText, Row
from secondguess.analysis.content import PIXEL_LIMIT, sniffed, too_large
from secondguess.analysis.engine.duck import Rows
from secondguess.analysis.errors import BadInput, listing
from secondguess.analysis.schema import is_score, own_name

MOST_ROWS, MOST_COLUMNS = 1_000, 100
MOST_SIGNS = 20_000  # of a cell: characters, bytes, values of a list
MOST_BYTES = 16 << 20  # of an answer without its images
MOST_IMAGE_BYTES = 64 << 20
MOST_TABLES = 100  # that an address names
MOST_LISTED = 200  # entries of a menu
_CELLS_A_ROW = 20  # for each row that is asked for
_FEWEST_CELLS = 2_000
_WHOLE = "the command line has no such limit"
_MARKS_SAID = 3  # cells that were cut; of more the number


@dataclass(frozen=True)
class Bounds:
    """What one answer holds at most, of whatever it is: rows, columns, signs of a cell, bytes without images.

    Where it would have more columns of scores than scores says, it has none of them; None for any number.
    """

    of: str = "a page"
    rows: int = MOST_ROWS
    columns: int = MOST_COLUMNS
    signs: int = MOST_SIGNS
    bytes: int = MOST_BYTES
    scores: int | None = None


PAGE = Bounds()


@dataclass(frozen=True)
class Taken:
    """What is sent of an answer; more says that there are further rows, notes what was left out and why."""

    columns: Sequence[str]
    types: Sequence[str]
    rows: list[Row]
    more: bool
    notes: tuple[str, ...]


def at_once(columns: int) -> int:
    """How many rows of so many columns are read together: few, since each may be large."""
    return max(1, min(64, _FEWEST_CELLS // max(1, columns)))


def few_tables(names: Sequence[str]) -> None:
    """Raise BadInput where an address names more tables than a page shows."""
    if len(names) > MOST_TABLES:
        raise BadInput(f"a page shows at most {MOST_TABLES} tables; this address names {len(names):,}; {_WHOLE}")


def listed(entries: Sequence[Any]) -> tuple[Sequence[Any], int]:
    """The entries of a menu, and how many more there are."""
    return entries[:MOST_LISTED], max(0, len(entries) - MOST_LISTED)


def columns_said(columns: int, what: str, most: Bounds = PAGE) -> str:
    """What is said where so many columns are more than are shown, with what to do; empty where they are not."""
    if columns <= most.columns:
        return ""
    shown = f"{most.of} shows at most {most.columns}"
    return f"the first {most.columns} of {columns:,} columns: {shown}; {what}; {_WHOLE}"


def take(answer: Rows, most: int, within: Bounds = PAGE, sides: int = 1) -> Taken:
    """Read at most so many rows, as far as an answer holds them; sides as of its statement."""
    places, scores_said = _few_scores(answer.columns, within, sides)
    width = len(places)
    places = places[: within.columns]
    shown = len(places)
    columns, types = ([some[place] for place in places] for some in (answer.columns, answer.types))
    cells = max(_FEWEST_CELLS, most * _CELLS_A_ROW)
    taken = _Cells(columns, within.signs)
    rows: list[Row] = []
    why = ""
    more = False
    for row in answer.rows:
        more = len(rows) == most
        if (len(rows) + 1) * shown > cells and rows:
            more, why = True, f"{cells:,} cells"
        if taken.bytes > within.bytes:
            more, why = True, f"{within.bytes >> 20} MB"
        if more:
            break
        rows.append(taken.row(tuple(row[place] for place in places), len(rows)))
    notes = [scores_said] if scores_said else []
    if said := columns_said(width, "name others in the SELECT", within):
        notes.append(said)
    if why:
        notes.append(f"the first {len(rows):,} of the rows asked for: an answer has at most {why}; {_WHOLE}")
    return Taken(columns, types, rows, more, (*notes, *taken.notes()))


def _few_scores(columns: Sequence[str], most: Bounds, sides: int) -> tuple[list[int], str]:
    """The places of the columns without those of scores, where these are many, and what is said of that."""
    every = list(range(len(columns)))
    if most.scores is None:
        return every, ""
    scores = {*score_places(columns, sides)}
    if len(scores) <= most.scores:
        return every, ""
    why = f"{most.of} has at most {most.scores}; name those in a SELECT"
    return [place for place in every if place not in scores], f"{len(scores):,} columns of scores are left out: {why}"


def score_places(columns: Sequence[str], sides: int) -> list[int]:
    """Where the columns of scores stand, of however many tables side by side."""
    return [place for place, name in enumerate(columns) if is_score(own_name(name, sides)[0])]


@dataclass
class _Cells:
    """The cells read so far: their bytes, and what was cut and left out of them."""

    columns: Sequence[str]
    most_signs: int
    bytes: int = 0
    image_bytes: int = 0
    cut: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    _place: str = ""
    _signs: int = 0

    def row(self, row: Row, number: int) -> Row:
        """A row whose cells are no longer than they may be."""
        parts = []
        for column, value in zip(self.columns, row, strict=False):
            if type(value) is str and len(value) <= self.most_signs:
                self.bytes += len(value)
            elif value is not None and type(value) not in (int, float, bool):
                self._place, self._signs = f"{column} of row {number + 1:,}", self.most_signs
                value = self._value(value)
            self.bytes += 8
            parts.append(value)
        return tuple(parts)

    def notes(self) -> list[str]:
        """What was cut and left out, each in a line."""
        images = f"an image has at most {PIXEL_LIMIT:,} pixels, those of an answer {MOST_IMAGE_BYTES >> 20} MB"
        why = {
            f"a cell holds at most {self.most_signs:,} characters, bytes or values": self.cut,
            images: self.left,
        }
        return [f"{listing(cells, _MARKS_SAID)}: {reason}; {_WHOLE}" for reason, cells in why.items() if cells]

    def _value(self, value: Any) -> Any:
        """The value, or as much of it as its cell still has room for."""
        if isinstance(value, str):
            return self._begun(value, CutText, "characters")
        if isinstance(value, bytes):
            return self._begun(value, CutBytes, "bytes")
        if isinstance(value, dict):
            if isinstance(value.get("bytes"), bytes) and len(value) <= 2:
                return self._image(value)
            return self._all(value, dict, CutMap, list(value.items()))
        if isinstance(value, list):
            return self._all(value, list, CutList, value)
        if isinstance(value, tuple):
            return self._all(value, tuple, CutList, value)
        self._signs -= 1
        self.bytes += 8
        return value

    def _begun(self, value: Any, kind: Any, unit: str) -> Any:
        room = max(0, self._signs)
        self._signs -= len(value)
        self.bytes += min(len(value), room)
        return (
            value if len(value) <= room else self._said(kind(value[:room]), f"first {room:,} of {len(value):,} {unit}")
        )

    def _all(self, value: Any, whole: Any, cut: Any, items: Sequence[Any]) -> Any:
        parts: list[Any] = []
        for item in items:
            if self._signs <= 0:
                return self._said(cut(parts), f"first {len(parts):,} of {len(items):,} values")
            parts.append((self._value(item[0]), self._value(item[1])) if whole is dict else self._value(item))
        return whole(parts)

    def _said(self, value: Any, said: str) -> Any:
        value.said = said
        self.cut.append(f"the {said} in {self._place}")
        return value

    def _image(self, value: dict[str, Any]) -> dict[str, Any]:
        data = value["bytes"]
        size = len(data)
        why = too_large(data)
        if why is None and sniffed(data) is None and size > self.most_signs:
            why = f"{size:,} bytes that are no image"
        if why is None and self.image_bytes + size > MOST_IMAGE_BYTES:
            why = f"an image of {size:,} bytes, after {self.image_bytes:,} bytes of others"
        if why is None:
            self.image_bytes += size
            return value
        self.left.append(f"left out {self._place}, {why}")
        return {**value, "bytes": None, LEFT_OUT: why}
