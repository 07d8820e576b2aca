"""What a column of a table becomes in Arrow, and what finds it out."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import Any, Protocol

import pyarrow as pa

from secondguess.analysis.importers.source import MEDIA
from secondguess.analysis.importers.wandb.media import MediaCells
from secondguess.analysis.importers.wandb.unicode import whole_text
from secondguess.analysis.schema import folded

# What every reference to a file has; the rest (captions, boxes, masks, classes) is what the cell says besides.
_OF_EVERY_FILE = {"_type", "path", "sha256", "size", "format", "width", "height"}
AS_JSON = {"json": "true"}

Convert = Callable[[Any], Any]


@dataclass(frozen=True)
class TableColumn:
    """What a column's cells become.

    `convert` takes a cell that is not None; without it, Arrow takes the cells as they are. `loads` says that a
    conversion reads files. `about` is a second column, of what else the cells say.
    """

    type: pa.DataType
    convert: Convert | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    notes: Sequence[str] = ()
    loads: bool = False
    about: "TableColumn | None" = None

    def field(self, name: str) -> pa.Field:
        """The column as a field of a schema."""
        return pa.field(name, self.type, metadata=dict(self.metadata) or None)

    def array(self, cells: Sequence[Any]) -> pa.Array:
        """The cells as the column has them."""
        if self.convert is not None:
            cells = [None if cell is None else self.convert(cell) for cell in cells]
        return pa.array(cells, self.type)


@dataclass
class Reading:
    """What every column of one reading shares: `lost_words` are those that stand for media that are gone."""

    cells: MediaCells
    lost_words: frozenset[str] = frozenset()
    media_cells: int = 0


class Seen(Protocol):
    """What the cells of a column, or of the parts within its cells, have been so far."""

    def add(self, values: Sequence[Any]) -> None:
        """Take note of a batch."""

    def column(self) -> TableColumn:
        """The column that holds all that was seen."""


_PLAIN = {bool, int, float, str}


def plain_array(values: Sequence[Any]) -> pa.Array | None:
    """Values as Arrow takes them, if all are truth values, texts, or numbers of 64 bits or doubles; else None."""
    first = next((value for value in values if value is not None), None)
    if first is not None and type(first) not in _PLAIN:
        return None
    try:
        array = pa.array(values)
    except (pa.ArrowException, OverflowError, UnicodeEncodeError):
        return None
    # Behind a fraction Arrow takes True for 1.
    return None if pa.types.is_floating(array.type) and bool in set(map(type, values)) else array


def said_besides(cells: Iterable[Any]) -> set[str]:
    """What else than the file the media cells have."""
    return {key for cell in cells if isinstance(cell, dict) for key in cell} - _OF_EVERY_FILE


def media_column(media: str, reading: Reading, besides: Set[str] = frozenset()) -> TableColumn:
    """A column of files' content, and beside it, as JSON, what else the cells say: captions, boxes, masks."""
    load = reading.cells.load
    second = TableColumn(pa.string(), _about, AS_JSON) if besides else None
    notes = ["has masks, whose pixels are left out"] if "masks" in besides else []
    return TableColumn(MEDIA, lambda cell: load(media, cell), {"media": media}, notes, loads=True, about=second)


def as_json(value: Any) -> str:
    """A value as JSON text, with W&B's NaN and Infinity."""
    return whole_text(json.dumps(value, ensure_ascii=False, default=str))


def _about(cell: Any) -> str | None:
    rest = {key: value for key, value in cell.items() if key not in _OF_EVERY_FILE} if isinstance(cell, dict) else {}
    return as_json(rest) if rest else None


@dataclass(frozen=True)
class Output:
    """A column of the result: what it is made of, what it is called, and what the source calls it."""

    source: int
    name: str
    told: str
    column: TableColumn


def outputs_of(told: Sequence[str], columns: Sequence[TableColumn]) -> Iterator[Output]:
    """The columns of the result under names that DuckDB tells apart; what media say besides follows them."""
    taken = {folded(name) for name in told}
    used: set[str] = set()

    def free(name: str) -> str:
        wanted, number = name, 1
        while folded(name) in used or (number > 1 and folded(name) in taken):
            number += 1
            name = f"{wanted}_{number}"
        used.add(folded(name))
        return name

    for source, (name, column) in enumerate(zip(told, columns, strict=True)):
        clean = whole_text(name).replace("\0", "\N{REPLACEMENT CHARACTER}") or f"column_{source + 1}"
        yield Output(source, free(clean), name, column)
        if column.about is not None:
            second = free(f"{clean}_about")
            yield Output(source, second, second, column.about)
