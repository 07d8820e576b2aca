"""Records in JSON: a line each, or an array of them; strings stay strings, whole numbers stay exact.

Whole pieces of lines are read by Arrow, whose guesses of times and inexact numbers are looked for and refused; where a
piece has what Arrow cannot hold, every row is read value by value, as W&B's tables are. Weighed against orjson, which
is no faster up to columns of Arrow, and reads 20 digits as a float.
"""

import json
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json as arrow_json

from secondguess.analysis.errors import BadInput, Damaged
from secondguess.analysis.importers.held import MOST_BYTES
from secondguess.analysis.importers.source import MediaCount, TableRows
from secondguess.analysis.importers.wandb.media import MediaCells
from secondguess.analysis.importers.wandb.table.cells import are_columns, seen
from secondguess.analysis.importers.wandb.table.columns import Output, Reading, Seen, outputs_of
from secondguess.analysis.importers.wandb.table.text import VALUE_LIMIT, JsonText
from secondguess.analysis.importers.wandb.table.types import ANY
from secondguess.analysis.opening import open_regular

_PIECE = 4 << 20
_BATCH_ROWS = 10_000
_BATCH_TEXT = 8 << 20
_MOST_COLUMNS = 10_000
_EXACT = float(1 << 53)
_DEEPEST = 16
_SPACE = b" \t\r\n"

Record = dict[str, Any]


@dataclass(frozen=True)
class JsonFile:
    """A file in UTF-8, what messages call it, and whether it is one array of records."""

    path: Path
    name: str
    is_array: bool


def read_json(files: Sequence[tuple[Path, str]]) -> TableRows:
    """The records of files in UTF-8, given with what messages call them, as one table; a missing key is NULL.

    Raises Damaged with the line, or in an array the record, that is no JSON, no record, too long or nested too deep.
    """
    opened = [JsonFile(path, name, _is_array(path)) for path, name in files]
    try:
        found = _by_pieces(opened)
    except _NotForArrow:
        found = _CarefulReading(opened).table_rows()
    if found.rows == 1 and len(found.schema) > 1 and all(map(_holds_many, found.schema.types)):
        raise BadInput(
            f"{opened[0].name} is one object of columns and no record, as pandas' to_json writes it; write it with "
            'orient="records"'
        )
    return found


def records(path: Path, name: str) -> Iterator[Record]:
    """The records of a file in UTF-8, one by one, called `name` in messages; raises Damaged as `read_json` does."""
    file = JsonFile(path, name, _is_array(path))
    yield from (record for record, _ in (_array(file) if file.is_array else _lines(file)))


def _holds_many(kind: pa.DataType) -> bool:
    return bool(pa.types.is_list(kind) or pa.types.is_struct(kind))


def _is_array(path: Path) -> bool:
    with open_regular(path, links=True) as file:
        for piece in iter(partial(file.read, 1 << 16), b""):
            if bare := piece.lstrip(_SPACE):
                return bare.startswith(b"[")
    return False


class _NotForArrow(Exception):
    """Something that Arrow would read as another value, or not at all."""


def _by_pieces(files: Sequence[JsonFile]) -> TableRows:
    """The rows as Arrow reads them; raises _NotForArrow."""
    if any(file.is_array for file in files):
        raise _NotForArrow
    schema, rows, size = pa.schema([]), 0, 0
    beyond: set[str] = set()
    read: list[pa.Table] = []
    for file in files:
        for piece in _pieces(file.path):
            table = _read(piece, schema)
            schema, rows, size = _joined(schema, table.schema), rows + table.num_rows, size + table.nbytes
            beyond.update(name for name in table.column_names if _is_beyond(table[name]))
            read.append(table)
            if size > MOST_BYTES:
                read.clear()
    if any(not pa.types.is_integer(schema.field(name).type) for name in beyond):
        raise _NotForArrow
    if not rows:
        raise Damaged(f"{files[0].name} is empty")
    _refuse_odd(schema)
    kept = _alike(read, schema) if size <= MOST_BYTES else None
    batches = partial(_read_again, files, schema) if kept is None else partial(_kept, kept)
    return TableRows(schema=schema, rows=rows, batches=batches)


def _alike(tables: Sequence[pa.Table], schema: pa.Schema) -> list[pa.Table] | None:
    """The tables with the columns that all have together; None where only another reading is sure to have them."""
    alike = []
    for table in tables:
        own = dict(zip(table.column_names, table.columns, strict=True))
        columns = []
        for field in schema:
            column = own.get(field.name)
            if column is None or pa.types.is_null(column.type):
                column = pa.chunked_array([pa.nulls(table.num_rows, field.type)])
            elif pa.types.is_nested(column.type) and (column.type != field.type or not _is_whole(column)):
                return None
            columns.append(column if column.type == field.type else column.cast(field.type))
        alike.append(pa.table(columns, schema=schema))
    return alike


def _is_whole(column: pa.ChunkedArray) -> bool:
    """Whether cells are lists without a NULL: those that come before their type is known Arrow's reader loses."""
    if not pa.types.is_list(column.type) or pa.types.is_nested(column.type.value_type):
        return False
    try:
        column.validate(full=True)
    except pa.ArrowInvalid:
        return False
    return all(chunk.flatten().null_count == 0 for chunk in column.chunks)


def _kept(tables: Sequence[pa.Table], columns: Collection[str] | None = None) -> Iterator[pa.RecordBatch]:
    """The rows of tables in memory."""
    for table in tables:
        names = [name for name in table.column_names if columns is None or name in columns]
        yield from table.select(names).to_batches()


def _read_again(
    files: Sequence[JsonFile], schema: pa.Schema, columns: Collection[str] | None = None
) -> Iterator[pa.RecordBatch]:
    """The rows of files of which the types are known."""
    names = [name for name in schema.names if columns is None or name in columns]
    chosen = pa.schema([schema.field(name) for name in names])
    for file in files:
        for piece in _pieces(file.path):
            try:
                table = _parsed(piece, chosen, "ignore") if names else _parsed(piece, schema, "ignore").select([])
            except pa.ArrowException as error:
                raise Damaged(f"{file.name} changed while it was read: {error}") from None
            yield from table.to_batches()


def _pieces(path: Path) -> Iterator[bytes]:
    """The file a few whole lines at a time."""
    with open_regular(path, links=True) as file:
        rest = b""
        while len(more := file.read(_PIECE)) == _PIECE:
            if len(rest) + more.find(b"\n") > VALUE_LIMIT:
                raise _NotForArrow
            head, end, tail = more.rpartition(b"\n")
            if end:
                yield rest + head
                rest = tail
            else:
                rest += more
            if len(rest) > VALUE_LIMIT:
                raise _NotForArrow
        last = rest + more
        if len(last) > VALUE_LIMIT and max(map(len, last.split(b"\n"))) > VALUE_LIMIT:
            raise _NotForArrow
        if last.strip():
            yield last


def _read(piece: bytes, known: pa.Schema) -> pa.Table:
    """A piece as Arrow reads it, texts as texts; raises _NotForArrow where that would not be what the file says."""
    if _count(piece, b"[") + _count(piece, b"{") > _count(piece, b"\n") + _DEEPEST:
        _refuse_deep(piece)
    try:
        table = _parsed(piece, _texts_of(known), "infer")
        plain = _without_times(table.schema)
        if plain != table.schema:
            table = _parsed(piece, pa.schema([field for field in plain if _has_text(field.type)]), "infer")
    except (pa.ArrowException, UnicodeDecodeError):
        raise _NotForArrow from None
    for column in table.columns:
        _refuse_inexact(column)
    return table


def _count(piece: bytes, letter: bytes) -> int:
    """How often a letter is there; `bytes.count` takes three times as long where it is."""
    return int(np.count_nonzero(np.frombuffer(piece, np.uint8) == letter[0]))


def _is_beyond(column: pa.ChunkedArray | pa.Array) -> bool:
    """Whether a column of whole numbers has one that a double need not hold."""
    if not pa.types.is_integer(column.type):
        return False
    ends = pc.min_max(column).as_py()
    return max(-(ends["min"] or 0), ends["max"] or 0) > _EXACT


def _parsed(piece: bytes, schema: pa.Schema, unexpected: str) -> pa.Table:
    if not piece.strip():
        return schema.empty_table()
    return arrow_json.read_json(
        pa.BufferReader(piece),
        read_options=arrow_json.ReadOptions(use_threads=False, block_size=len(piece) + 1),
        parse_options=arrow_json.ParseOptions(explicit_schema=schema, unexpected_field_behavior=unexpected),
    )


def _refuse_deep(piece: bytes) -> None:
    """Arrow's reader crashes on lines that are nested a hundred thousand deep."""
    for line in piece.split(b"\n"):
        if line.count(b"[") + line.count(b"{") > _DEEPEST and _depth(line) > _DEEPEST:
            raise _NotForArrow


def _depth(line: bytes) -> int:
    """How deep a line is nested at most, brackets within texts counted too."""
    depth = deepest = 0
    for letter in line:
        if letter in b"[{":
            depth += 1
            deepest = max(deepest, depth)
        elif letter in b"]}":
            depth -= 1
    return deepest


def _texts_of(schema: pa.Schema) -> pa.Schema:
    """The columns that have text in them: the next piece is read with these, so that no text becomes a time."""
    return pa.schema([field for field in schema if _has_text(field.type)])


def _has_text(kind: pa.DataType) -> bool:
    return pa.types.is_string(kind) or any(_has_text(kind.field(at).type) for at in range(kind.num_fields))


def _without_times(schema: pa.Schema) -> pa.Schema:
    return pa.schema([field.with_type(_as_told(field.type)) for field in schema])


def _as_told(kind: pa.DataType) -> pa.DataType:
    """The type with text where Arrow saw a time."""
    if pa.types.is_timestamp(kind):
        return pa.string()
    if pa.types.is_list(kind):
        return pa.list_(kind.value_field.with_type(_as_told(kind.value_type)))
    if pa.types.is_struct(kind):
        return pa.struct([kind.field(at).with_type(_as_told(kind.field(at).type)) for at in range(kind.num_fields)])
    return kind


def _refuse_inexact(column: pa.ChunkedArray | pa.Array) -> None:
    """Raise _NotForArrow for doubles that may stand for other whole numbers."""
    # Infinity may be what is left of a number of hundreds of digits.
    if pa.types.is_floating(column.type) and _greatest(column) >= _EXACT:
        raise _NotForArrow
    if pa.types.is_list(column.type) and pa.types.is_null(column.type.value_type):
        return
    chunks = column.chunks if isinstance(column, pa.ChunkedArray) else [column]
    for chunk in chunks:
        inner = chunk.flatten() if pa.types.is_list(chunk.type) or pa.types.is_struct(chunk.type) else ()
        for part in [inner] if isinstance(inner, pa.Array) else inner:
            _refuse_inexact(part)
            if _is_beyond(part):
                raise _NotForArrow


def _greatest(column: pa.ChunkedArray | pa.Array) -> float:
    return pc.max(pc.abs(pc.if_else(pc.is_nan(column), None, column))).as_py() or 0.0


def _joined(schema: pa.Schema, more: pa.Schema) -> pa.Schema:
    if schema == more:
        return schema
    try:
        return pa.unify_schemas([schema, more], promote_options="permissive")
    except pa.ArrowException:
        raise _NotForArrow from None


def _refuse_odd(schema: pa.Schema) -> None:
    """Raise _NotForArrow for names that DuckDB does not tell apart, and dicts that are no columns."""
    if len(schema) > _MOST_COLUMNS or not are_columns(dict.fromkeys(schema.names), _MOST_COLUMNS):
        raise _NotForArrow
    for field in schema:
        _refuse_odd_type(field.type)


def _refuse_odd_type(kind: pa.DataType) -> None:
    if pa.types.is_struct(kind):
        names = [kind.field(at).name for at in range(kind.num_fields)]
        if not are_columns(dict.fromkeys(names)) or "_type" in names:
            raise _NotForArrow
    for at in range(kind.num_fields):
        if pa.types.is_null(kind.field(at).type):
            raise _NotForArrow  # of lists of nulls only Arrow's reader loses the lengths
        _refuse_odd_type(kind.field(at).type)


class _CarefulReading:
    """Records read one by one: the first reading finds the types, every later one yields the rows."""

    def __init__(self, files: Sequence[JsonFile]) -> None:
        self._files = files
        self._count = MediaCount()

    def table_rows(self) -> TableRows:
        """What the files hold, after the first reading."""
        reading = Reading(MediaCells(None, self._count))
        columns: dict[str, Seen] = {}
        rows = 0
        for batch in self._batches():
            rows += len(batch)
            for key in dict.fromkeys(key for record in batch for key in record):
                if key not in columns:
                    if len(columns) == _MOST_COLUMNS:
                        raise Damaged(f"{self._files[0].name} has more than {_MOST_COLUMNS:,} different keys")
                    columns[key] = seen(ANY, reading)
                columns[key].add([record.get(key) for record in batch])
        if not columns:
            raise Damaged(f"{self._files[0].name} is empty")
        outputs = list(outputs_of(list(columns), [column.column() for column in columns.values()]))
        return TableRows(
            schema=pa.schema([output.column.field(output.name) for output in outputs]),
            rows=rows,
            batches=partial(self._record_batches, list(columns), outputs),
            media=self._count,
            media_cells=reading.media_cells,
            notes=tuple(_notes(outputs)),
        )

    def _record_batches(
        self, keys: Sequence[str], outputs: Sequence[Output], columns: Collection[str] | None = None
    ) -> Iterator[pa.RecordBatch]:
        chosen = [output for output in outputs if columns is None or output.name in columns]
        schema = pa.schema([output.column.field(output.name) for output in chosen])
        self._count.whole = self._count.missing = self._count.refused = 0
        self._count.reasons.clear()
        for batch in self._batches():
            try:
                arrays = [output.column.array([row.get(keys[output.source]) for row in batch]) for output in chosen]
            except (pa.ArrowException, TypeError, ValueError, OverflowError) as error:
                raise Damaged(f"{self._files[0].name} changed while it was read: {error}") from None
            yield pa.RecordBatch.from_arrays(arrays, schema=schema)

    def _batches(self) -> Iterator[list[Record]]:
        for file in self._files:
            batch: list[Record] = []
            length = 0
            for record, size in _array(file) if file.is_array else _lines(file):
                batch.append(record)
                length += size
                if len(batch) == _BATCH_ROWS or length > _BATCH_TEXT:
                    yield batch
                    batch, length = [], 0
            if batch:
                yield batch


def _notes(outputs: Sequence[Output]) -> Iterator[str]:
    for output in outputs:
        if output.told != output.name:
            yield f"column {output.told!r} is called {output.name!r}"
        yield from (f"column {output.name!r} {note}" for note in output.column.notes)


def _lines(file: JsonFile) -> Iterator[tuple[Record, int]]:
    """Each record, and how long its line is."""
    with open_regular(file.path, links=True) as lines:
        for number, line in enumerate(_bounded_lines(lines, file.name), start=1):
            if not line.strip():
                continue
            try:
                record = json.loads(line)
            except json.JSONDecodeError as error:
                more = "; a record a line is expected" if number == 1 and len(line) < 4 else ""
                raise Damaged(
                    f"{file.name} cannot be read at line {number:,}: {error.msg} at character {error.colno:,}{more}"
                ) from None
            except RecursionError:
                raise Damaged(f"{file.name} cannot be read at line {number:,}: it is nested too deep") from None
            except ValueError as error:  # an integer of more digits than Python converts
                raise Damaged(f"{file.name} cannot be read at line {number:,}: {str(error).split(';')[0]}") from None
            if not isinstance(record, dict):
                raise Damaged(f"{file.name} cannot be read at line {number:,}: it is no record ({{…}})")
            yield record, len(line)


def _bounded_lines(file: BinaryIO, name: str) -> Iterator[bytes]:
    number = 1
    while line := file.readline(VALUE_LIMIT + 2):
        if len(line) > VALUE_LIMIT + 1:
            raise Damaged(f"{name} cannot be read at line {number:,}: it is longer than {VALUE_LIMIT:,} characters")
        yield line
        number += 1


def _array(file: JsonFile) -> Iterator[tuple[Record, int]]:
    """Each record of an array, and about how long it is."""
    with open_regular(file.path, links=True) as opened:
        text = JsonText(opened, file.name)
        for index, (record, size) in enumerate(text.items("record")):
            if not isinstance(record, dict):
                raise text.broken("it is no record ({…})", f"record {index}")
            yield record, size
        text.end()
