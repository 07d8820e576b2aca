"""Prediction tables whose files say the types: Parquet and Arrow."""

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.ipc
import pyarrow.parquet as pq

from secondguess.analysis.errors import BadInput, Damaged
from secondguess.analysis.importers.files.delimited import named_columns
from secondguess.analysis.importers.source import MediaCount, TableRows

MOST_COLUMNS = 10_000
_ROWS = 50_000
_FIRST_ROWS = 4
_BATCH_BYTES = 64 << 20
_EXPANDED_BYTES, _EXPANDED_TIMES = 1 << 30, 1_000
_OLD_FEATHER = b"FEA1"

Read = Callable[[Collection[int]], Iterator[pa.RecordBatch]]
"""Yields the rows anew at each call, of the columns at these places only, in their order."""


def read_parquet(path: Path, name: str) -> TableRows:
    """The rows of a Parquet file, called `name` in messages; raises Damaged for one that cannot be read."""

    def read(places: Collection[int]) -> Iterator[pa.RecordBatch]:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            told = file.schema_arrow.names
            wanted = list(dict.fromkeys(told[place] for place in sorted(places)))
            # Of a name that comes twice Parquet gives all columns, one after the other.
            given = [place for column in wanted for place, own in enumerate(told) if own == column]
            chosen = [given.index(place) for place in sorted(places)]
            expanded = 0
            for batch in file.iter_batches(_at_once(path, wanted), columns=wanted, use_threads=False):
                expanded += batch.nbytes
                _check_expanded(path, name, expanded)
                yield batch.select(chosen)

    with _readable(name), pq.ParquetFile(path) as file:
        about = file.metadata
        if about.num_columns > MOST_COLUMNS:
            raise BadInput(
                f"{name} has {about.num_columns:,} columns; at most {MOST_COLUMNS:,} are taken: leave some out"
            )
        if not about.num_columns:
            raise BadInput(f"{name} has no columns, so there is nothing to import")
        groups = (about.row_group(group) for group in range(about.num_row_groups))
        _check_expanded(path, name, sum(group.total_byte_size for group in groups))
        return _checked(name, _with_images(file.schema_arrow), about.num_rows, read)


def _at_once(path: Path, columns: list[str]) -> int:
    """How many rows of a Parquet file are read together: as many as fit into few megabytes, judged by the first."""
    with pq.ParquetFile(path) as file:
        kinds = {field.name: field.type for field in file.schema_arrow if field.name in columns}
        plain = [name for name, kind in kinds.items() if pa.types.is_primitive(kind)]
        others = [name for name in columns if name not in plain]
        first = next(file.iter_batches(_FIRST_ROWS, columns=others, use_threads=False), None) if others else None
    bytes_a_row: int = sum(kinds[name].bit_width for name in plain) // 8
    bytes_a_row += first.nbytes // first.num_rows if first is not None and first.num_rows else 0
    return max(1, min(_ROWS, _BATCH_BYTES // max(1, bytes_a_row)))


def _check_expanded(path: Path, name: str, size: int) -> None:
    """Raise BadInput where a file becomes so much larger in memory as no table of predictions does."""
    own = path.stat().st_size
    if size > _EXPANDED_BYTES and size > own * _EXPANDED_TIMES:
        raise BadInput(
            f"{name} has {own:,} bytes and becomes more than {min(size, _EXPANDED_BYTES):,} when it is read; "
            f"at most {_EXPANDED_TIMES:,} times as much is taken: write it anew without what repeats, or in parts"
        )


def read_arrow(path: Path, name: str) -> TableRows:
    """The rows of an Arrow file, a stream of Arrow's, as `datasets` caches tables, or Feather; raises Damaged."""
    with path.open("rb") as file:
        head = file.read(6)
    if head.startswith(_OLD_FEATHER):
        raise Damaged(f"{name} is of Feather's first version; write it again with pyarrow.feather.write_feather")
    opened = _file_batches if head == b"ARROW1" else _stream_batches

    def read(places: Collection[int]) -> Iterator[pa.RecordBatch]:
        with opened(path) as (_, batches):
            for batch in batches:
                for start in range(0, batch.num_rows, _ROWS):
                    yield batch.slice(start, _ROWS).select(sorted(places))

    with _readable(name), opened(path) as (schema, batches):
        return _checked(name, _with_images(schema), sum(batch.num_rows for batch in batches), read)


Opened = tuple[pa.Schema, Iterator[pa.RecordBatch]]


@contextmanager
def _file_batches(path: Path) -> Iterator[Opened]:
    with pa.memory_map(str(path)) as source, pa.ipc.open_file(source) as file:
        yield file.schema, map(file.get_batch, range(file.num_record_batches))


@contextmanager
def _stream_batches(path: Path) -> Iterator[Opened]:
    with pa.memory_map(str(path)) as source, pa.ipc.open_stream(source) as stream:
        yield stream.schema, iter(stream)


@contextmanager
def _readable(name: str) -> Iterator[None]:
    try:
        yield
    except (pa.ArrowException, OSError, UnicodeDecodeError, RecursionError) as error:
        raise Damaged(f"{name} cannot be read: {str(error).splitlines()[0]}") from None


def _checked(name: str, told: pa.Schema, rows: int, read: Read) -> TableRows:
    """The rows under names that are told apart; texts and names are checked for UTF-8, as no reader does."""
    for field in told:
        _decode_names(field)
    names, notes = named_columns(told.names)
    fields = [field.with_name(own) for field, own in zip(told, names, strict=True)]
    schema = pa.schema(fields, metadata=told.metadata)  # in which Hugging Face names classes

    media = MediaCount()
    pictured = {own for own, field in zip(names, told, strict=True) if (field.metadata or {}).get(b"media") == b"image"}

    def batches(columns: Collection[str] | None = None) -> Iterator[pa.RecordBatch]:
        places = [place for place, own in enumerate(names) if columns is None or own in columns]
        chosen = [names[place] for place in places]
        if pictured & {*chosen}:
            media.clear()
        with _readable(name):
            for batch in read(places):
                batch.validate(full=True)
                made = pa.RecordBatch.from_arrays(batch.columns, names=chosen)
                for column in pictured & {*chosen}:
                    _count(made.column(column), media)
                yield made

    return TableRows(schema=schema, rows=rows, batches=batches, media=media, notes=tuple(notes))


def _count(cells: pa.Array, media: MediaCount) -> None:
    """Count the images of a column, and those of which nothing but a file's name is there."""
    there = pc.struct_field(cells, "bytes").is_valid()
    named = pc.and_(cells.is_valid(), pc.struct_field(cells, "path").is_valid())
    media.whole += pc.sum(there).as_py() or 0
    media.missing += (lost := pc.sum(pc.and_not(named, there)).as_py() or 0)
    if lost:
        media.say("the file has the names of images that are files elsewhere, and not these")


def _decode_names(field: pa.Field) -> None:
    """Raise UnicodeDecodeError where the field or one within it has a name that is not UTF-8."""
    _ = field.name
    for inner in range(field.type.num_fields):
        _decode_names(field.type.field(inner))


def _with_images(schema: pa.Schema) -> pa.Schema:
    """The schema with its `{bytes, path}` columns marked as images, as Hugging Face's `datasets` writes them."""
    for index, field in enumerate(schema):
        if pa.types.is_struct(field.type) and {inner.name for inner in field.type} == {"bytes", "path"}:
            schema = schema.set(index, field.with_metadata({"media": "image"}))
    return schema
