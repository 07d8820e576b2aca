"""Columns of a table made from those of a foreign one: scores out of one cell, labels as meant, images read."""

import base64
import binascii
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from secondguess.analysis.content import check_pixels, sniffed
from secondguess.analysis.errors import BadInput, NotFound
from secondguess.analysis.importers.classes import as_text
from secondguess.analysis.importers.facts import parts_of
from secondguess.analysis.importers.source import MEDIA, MediaCount, TableRows
from secondguess.analysis.importers.written import numbers
from secondguess.analysis.opening import below, read_regular

IMAGE_LIMIT = 16 << 20
_SHORTEST = 24  # characters of base64: no image has fewer bytes than its header
SEPARATOR = "|"
"""What stands between the parts of an id that is made of several columns; within a part it is doubled."""

Make = Callable[[pa.RecordBatch], pa.Array]


@dataclass(frozen=True)
class Column:
    """A column that is made, and the columns that it is made from."""

    field: pa.Field
    sources: tuple[str, ...]
    make: Make
    as_is: bool = False


def reshaped(rows: TableRows, made: Sequence[Column], notes: Sequence[str], written: bool = False) -> TableRows:
    """The rows with these columns in the place of their own; of a version that lacks the sources, those without."""
    mine = [column for column in made if any(source in rows.schema.names for source in column.sources)]
    media = MediaCount() if any(isinstance(column.make, Images) for column in mine) else rows.media
    fields = {c.field.name: rows.schema.field(c.sources[0]) if c.as_is else c.field for c in mine}

    def batches(columns: Collection[str] | None = None) -> Iterator[pa.RecordBatch]:
        chosen = [column for column in mine if columns is None or column.field.name in columns]
        for column in chosen:
            if isinstance(column.make, Images):
                media.clear()
        sources = {source for column in chosen for source in column.sources}
        for batch in rows.batches(None if columns is None else sources):
            arrays = [_made(column, batch) for column in chosen]
            yield pa.RecordBatch.from_arrays(arrays, schema=pa.schema([fields[c.field.name] for c in chosen]))

    for column in mine:
        if isinstance(column.make, Images):
            column.make.count = media
    return replace(
        rows,
        schema=pa.schema(list(fields.values())),
        batches=batches,
        media=media,
        notes=(*rows.notes, *notes),
        written=written,
    )


def _made(column: Column, batch: pa.RecordBatch) -> pa.Array:
    made = column.make(batch)
    made = made.combine_chunks() if isinstance(made, pa.ChunkedArray) else made
    return made if column.as_is else made.cast(column.field.type)


def kept(column: pa.Field) -> Column:
    """The column as it is."""
    return Column(column, (column.name,), lambda batch: batch.column(column.name), as_is=True)


def number(column: str, kind: pa.DataType, decimal_comma: bool, name: str | None = None) -> Column:
    """A column of texts as the numbers they spell."""

    def make(batch: pa.RecordBatch) -> pa.Array:
        values = _numbers_of(batch, column, decimal_comma)
        return values.cast(kind, safe=False)

    if pa.types.is_integer(kind):
        return Column(pa.field(name or column, kind), (column,), lambda batch: _integers(batch, column))
    return Column(pa.field(name or column, kind), (column,), make)


def _integers(batch: pa.RecordBatch, column: str) -> pa.Array:
    texts = as_text(batch.column(column), batch.schema.field(column))
    return pc.replace_substring_regex(texts, r"\.0+$", "").cast(pa.int64())


def _numbers_of(batch: pa.RecordBatch, column: str, decimal_comma: bool) -> pa.Array:
    if column not in batch.schema.names:
        return pa.nulls(batch.num_rows, pa.float64())
    field_, values = batch.schema.field(column), batch.column(column)
    if pa.types.is_integer(values.type) or pa.types.is_floating(values.type) or pa.types.is_decimal(values.type):
        return values.cast(pa.float64(), safe=False)
    read = numbers(as_text(values, field_), decimal_comma)
    if read is None:
        raise BadInput(f"column {column!r} is taken for numbers and has others")
    return read


def text(column: pa.Field, name: str | None = None) -> Column:
    """The column as text."""
    return Column(
        pa.field(name or column.name, pa.string()),
        (column.name,),
        lambda batch: as_text(batch.column(column.name), batch.schema.field(column.name)),
    )


def relabelled(column: str, labels: Mapping[str, Any], kind: pa.DataType) -> Column:
    """The column with its labels as they are meant, None where one means that there is none; others stay."""

    def make(batch: pa.RecordBatch) -> pa.Array:
        texts = as_text(batch.column(column), batch.schema.field(column)).to_pylist()
        return pa.array([None if one is None else labels.get(one, one) for one in texts], kind)

    return Column(pa.field(column, kind), (column,), make)


def single(column: str, kind: pa.DataType) -> Column:
    """The only member of each list."""

    def make(batch: pa.RecordBatch) -> pa.Array:
        parts = [parts_of(value) for value in batch.column(column).to_pylist()]
        alone = [part[0] if isinstance(part, list) and part else None for part in parts]
        return pa.array(alone if not pa.types.is_string(kind) else [one if one is None else str(one) for one in alone])

    return Column(pa.field(column, kind), (column,), make)


def member(column: str, name: str, of: pa.Field) -> Column:
    """One field of a column of structs, under a name of its own."""
    return Column(pa.field(name, of.type), (column,), lambda batch: pc.struct_field(batch.column(column), of.name))


def label_and_score(column: pa.Field) -> tuple[pa.Field, pa.Field] | None:
    """The fields of a struct that is a label and how sure that is, as a pipeline returns it."""
    if not pa.types.is_struct(column.type) or {one.name for one in column.type} != {"label", "score"}:
        return None
    return column.type.field("label"), column.type.field("score")


def joined(columns: Sequence[str]) -> Column:
    """An id of several columns: their texts with a separator between them, NULL where one is."""

    def make(batch: pa.RecordBatch) -> pa.Array:
        parts = [as_text(batch.column(name), batch.schema.field(name)).cast(pa.string()) for name in columns]
        plain = [pc.replace_substring(part, SEPARATOR, SEPARATOR * 2) for part in parts]
        return pc.binary_join_element_wise(*plain, SEPARATOR)

    return Column(pa.field(",".join(columns), pa.string()), tuple(columns), make)


@dataclass
class Scores:
    """The scores of each row, B x C, from columns of their own or from the cells of one.

    keys are the classes that the cells name, None where a cell is a list of `width`. What a batch says is kept until
    the next one is asked for, since each class asks for it.
    """

    sources: tuple[str, ...]
    width: int
    keys: Sequence[str] | None = None
    softmax: bool = False
    is_log: bool = False
    decimal_comma: bool = False
    _last: tuple[pa.RecordBatch, NDArray[np.float32]] | None = field(default=None, repr=False)

    def of(self, batch: pa.RecordBatch) -> NDArray[np.float32]:
        """The scores of a batch; NaN where there is none."""
        if self._last is None or self._last[0] is not batch:
            scores_BxC = self._cells(batch) if self.in_cells else self._columns(batch)
            self._last = (batch, _softmax(scores_BxC) if self.softmax else scores_BxC)
        return self._last[1]

    @property
    def in_cells(self) -> bool:
        """Whether all scores of a row stand in one cell."""
        return len(self.sources) == 1 and self.width > 1

    def _columns(self, batch: pa.RecordBatch) -> NDArray[np.float32]:
        scores_CxB = np.empty((len(self.sources), batch.num_rows), np.float32)
        with np.errstate(over="ignore"):  # what is beyond a float32 is infinite there, and no probability
            for place, name in enumerate(self.sources):
                # As NumPy has no NULL, it is given NaN for it.
                scores_CxB[place] = _numbers_of(batch, name, self.decimal_comma).to_numpy(zero_copy_only=False)
        return scores_CxB.T

    def _cells(self, batch: pa.RecordBatch) -> NDArray[np.float32]:
        scores_BxC = np.full((batch.num_rows, self.width), np.nan, np.float32)
        if self.sources[0] not in batch.schema.names:
            return scores_BxC
        places = {key: place for place, key in enumerate(self.keys or ())}
        for row, value in enumerate(batch.column(self.sources[0]).to_pylist()):
            parts = parts_of(value) if value is not None else None
            if isinstance(parts, dict):
                for key, one in parts.items():
                    scores_BxC[row, places[key]] = one
            elif parts is not None:
                with np.errstate(over="ignore"):
                    scores_BxC[row] = [np.nan if one is None else one for one in parts]
        return scores_BxC

    def column(self, place: int, name: str) -> Column:
        """The scores of one class."""
        return Column(pa.field(name, pa.float32()), self.sources, lambda batch: pa.array(self.of(batch)[:, place]))

    def guess(self, name: str, labels: Sequence[str | int]) -> Column:
        """The class with the highest score, the first of several, NULL where a score is NaN."""
        kind = pa.int64() if all(isinstance(label, int) for label in labels) else pa.string()

        def make(batch: pa.RecordBatch) -> pa.Array:
            scores_BxC = self.of(batch)
            broken = np.isnan(scores_BxC).any(axis=1)
            places = np.where(np.isnan(scores_BxC), -np.inf, scores_BxC).argmax(axis=1)
            return pa.array(labels, kind).take(pa.array(places, mask=broken))

        return Column(pa.field(name, kind), self.sources, make)


def _softmax(scores_BxC: NDArray[np.float32]) -> NDArray[np.float32]:
    with np.errstate(invalid="ignore"):
        raised = np.exp(scores_BxC.astype(np.float64) - scores_BxC.max(axis=1, keepdims=True))
        chances: NDArray[np.float32] = (raised / raised.sum(axis=1, keepdims=True)).astype(np.float32)
        return chances


@dataclass(frozen=True)
class Threshold:
    """A guess that a number makes: the second of two labels where the column compares so with it, else the first."""

    column: str
    operator: str
    bound: float
    labels: tuple[str | int, str | int] = (0, 1)
    decimal_comma: bool = False

    def guess(self, name: str) -> Column:
        """The guess, NULL where the number is missing or NaN."""
        compare = {">=": pc.greater_equal, ">": pc.greater, "<=": pc.less_equal, "<": pc.less}[self.operator]
        kind = pa.int64() if isinstance(self.labels[0], int) else pa.string()

        def make(batch: pa.RecordBatch) -> pa.Array:
            values = _numbers_of(batch, self.column, self.decimal_comma)
            values = pc.if_else(pc.is_nan(values), None, values)
            return pc.if_else(
                compare(values, self.bound), pa.scalar(self.labels[1], kind), pa.scalar(self.labels[0], kind)
            )

        return Column(pa.field(name, kind), (self.column,), make)

    def score(self, place: int, name: str) -> Column:
        """The probability of the first or the second label."""

        def make(batch: pa.RecordBatch) -> pa.Array:
            values = _numbers_of(batch, self.column, self.decimal_comma).cast(pa.float32(), safe=False)
            return values if place else pc.subtract(pa.scalar(1, pa.float32()), values)

        return Column(pa.field(name, pa.float32()), (self.column,), make)


@dataclass
class Images:
    """Images from a column: encoded bytes, base64 text, or names of files from `folder` on.

    Unless a person named the column (`anywhere`), only files below the folder are read; nothing is fetched.
    """

    column: str
    folder: Path | None
    anywhere: bool
    count: MediaCount = field(default_factory=MediaCount)

    def __call__(self, batch: pa.RecordBatch) -> pa.Array:
        """The images of a batch, NULL where one is missing, and counted."""
        if self.column not in batch.schema.names:
            return pa.nulls(batch.num_rows, MEDIA)
        return pa.array([self._image(value) for value in batch.column(self.column).to_pylist()], MEDIA)

    def _image(self, value: object) -> dict[str, object] | None:
        if value is None or value == "":
            return None
        if isinstance(value, dict):
            content, path = value.get("bytes"), str(value.get("path") or "")
            if content is None and path:
                return self._image(path)
        else:
            content, path = (value, "") if isinstance(value, bytes) else (None, str(value))
        if content is None and path:
            content = decoded(path)
            if content is not None:
                path = ""
        try:
            if content is None:
                content = self._read(path)
            check_pixels(path or self.column, content)
        except NotFound:
            self.count.missing += 1
            self.count.say(f"no image file {path[:120]!r} in {self.folder}")
            return None
        except BadInput as error:
            self.count.refused += 1
            self.count.say(str(error))
            return None
        self.count.whole += 1
        return {"bytes": content, "path": path}

    def _read(self, path: str) -> bytes:
        if "://" in path[:12]:
            raise BadInput(f"{path[:80]!r} is an address; nothing is fetched")
        if self.folder is None:
            raise NotFound(path)
        if self.anywhere:
            return read_regular(self.folder / path, IMAGE_LIMIT, links=True)
        return read_regular(below(self.folder, path.removeprefix("./")), IMAGE_LIMIT)


def decoded(text: str) -> bytes | None:
    """The image that a base64 text is, with or without `data:image/png;base64,`; None for another text."""
    if len(text) < _SHORTEST:
        return None
    plain = text.partition("base64,")[2] if text.startswith("data:image/") else text
    try:
        content = base64.b64decode(plain, validate=True)
    except (binascii.Error, ValueError):
        return None
    return content if sniffed(content) is not None else None


def image(column: str, name: str, folder: Path | None, anywhere: bool) -> Column:
    """A column's images as content."""
    field_ = pa.field(name, MEDIA, metadata={"media": "image"})
    return Column(field_, (column,), Images(column, folder, anywhere))
