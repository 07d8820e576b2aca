"""Prediction tables in plain files: Parquet, CSV and JSON lines."""

from collections.abc import Collection, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.csv
import pyarrow.json
import pyarrow.parquet as pq

from secondguess.analysis.errors import BadInput, Damaged
from secondguess.analysis.importers.source import Batches, SourceRun, SourceTable, TableRows
from secondguess.analysis.schema import DEFAULT_TABLE, folded

SUFFIXES = (".parquet", ".csv", ".jsonl", ".ndjson")
MOST_COLUMNS = 10_000
_ROWS = 50_000
_FIRST_ROWS = 4
_BATCH_BYTES = 64 << 20
_EXPANDED_BYTES, _EXPANDED_TIMES = 1 << 30, 1_000


def read_file(path: Path, epoch: int | None = None) -> SourceRun:
    """A file as a run with one table, `test_predictions`; raises BadInput for another kind of file."""
    if path.suffix.lower() not in SUFFIXES:
        raise BadInput(f"{path} is none of {', '.join(SUFFIXES)}")
    if not path.is_file():
        raise BadInput(f"no file {path}")
    table = SourceTable(DEFAULT_TABLE, epoch, None, read=lambda: _rows(path))
    return SourceRun(
        path.stem, {"kind": path.suffix.lower().lstrip("."), "place": str(path.absolute())}, tables=[table]
    )


def _rows(path: Path) -> TableRows:
    try:
        if path.suffix.lower() == ".parquet":
            return _parquet(path)
        table = _csv(path) if path.suffix.lower() == ".csv" else pyarrow.json.read_json(path)
        return _checked(path, table.schema, table.num_rows, _batches_of(table))
    except (pa.ArrowException, OSError, UnicodeDecodeError, RecursionError) as error:
        raise Damaged(f"{path} cannot be read: {str(error).splitlines()[0]}") from None


def _batches_of(table: pa.Table) -> Batches:
    def batches(columns: Collection[str] | None = None) -> Iterator[pa.RecordBatch]:
        names = [name for name in table.column_names if columns is None or name in columns]
        return iter(table.select(names).to_batches(_ROWS))

    return batches


def _csv(path: Path) -> pa.Table:
    """A CSV file's table; an empty field is NULL, a quoted empty one is empty text, and nan is a number."""
    options = pyarrow.csv.ConvertOptions(
        null_values=["", "NULL", "null", "NA", "N/A"], strings_can_be_null=True, quoted_strings_can_be_null=False
    )
    return pyarrow.csv.read_csv(path, convert_options=options)


def _parquet(path: Path) -> TableRows:
    def batches(columns: Collection[str] | None = None) -> Iterator[pa.RecordBatch]:
        names = None if columns is None else list(columns)
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            expanded = 0
            try:
                for batch in file.iter_batches(_at_once(path, names), columns=names):
                    expanded += batch.nbytes
                    _check_expanded(path, expanded)
                    yield batch
            except (pa.ArrowException, OSError) as error:
                raise Damaged(f"{path} cannot be read: {str(error).splitlines()[0]}") from None

    with pq.ParquetFile(path) as file:
        about = file.metadata
        if about.num_columns > MOST_COLUMNS:
            raise BadInput(
                f"{path} has {about.num_columns:,} columns; at most {MOST_COLUMNS:,} are taken: leave some out"
            )
        if not about.num_columns:
            raise BadInput(f"{path} has no columns, so there is nothing to import")
        groups = (about.row_group(group) for group in range(about.num_row_groups))
        _check_expanded(path, sum(group.total_byte_size for group in groups))
        return _checked(path, _with_images(file.schema_arrow), about.num_rows, batches)


def _at_once(path: Path, columns: list[str] | None) -> int:
    """How many rows of a Parquet file are read together: as many as fit into few megabytes, judged by the first."""
    with pq.ParquetFile(path) as file:
        first = next(file.iter_batches(_FIRST_ROWS, columns=columns), None)
    bytes_a_row = first.nbytes // first.num_rows if first is not None and first.num_rows else 0
    return max(1, min(_ROWS, _BATCH_BYTES // max(1, bytes_a_row)))


def _check_expanded(path: Path, size: int) -> None:
    """Raise BadInput where a file becomes so much larger in memory as no table of predictions does."""
    own = path.stat().st_size
    if size > _EXPANDED_BYTES and size > own * _EXPANDED_TIMES:
        raise BadInput(
            f"{path} has {own:,} bytes and becomes more than {min(size, _EXPANDED_BYTES):,} when it is read; "
            f"at most {_EXPANDED_TIMES:,} times as much is taken: write it anew without what repeats, or in parts"
        )


def _checked(path: Path, schema: pa.Schema, rows: int, batches: Batches) -> TableRows:
    """The rows, whose texts and names are UTF-8: Arrow's readers of JSON and Parquet let other bytes through."""
    for field in schema:
        _decode_names(field)

    def valid(columns: Collection[str] | None = None) -> Iterator[pa.RecordBatch]:
        for batch in batches(columns):
            try:
                batch.validate(full=True)
            except pa.ArrowInvalid as error:
                raise Damaged(f"{path} cannot be read: {str(error).splitlines()[0]}") from None
            yield batch

    known: set[str] = set()
    for name in map(folded, schema.names):
        if name in known:
            raise BadInput(f"{path} has the column {name!r} more than once; rename one")
        known.add(name)
    return TableRows(schema=schema, rows=rows, batches=valid)


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
