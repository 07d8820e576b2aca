"""Prediction tables in plain files: Parquet, CSV and JSON lines."""

from collections.abc import Collection, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.json
import pyarrow.parquet as pq

from secondguess.analysis.errors import BadInput, Damaged
from secondguess.analysis.importers.files.delimited import TextOptions, read_delimited
from secondguess.analysis.importers.source import Batches, SourceRun, SourceTable, TableRows
from secondguess.analysis.schema import DEFAULT_TABLE, folded

SUFFIXES = (".parquet", ".csv", ".tsv", ".jsonl", ".ndjson")
_ROWS = 50_000


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
        if path.suffix.lower() in {".csv", ".tsv"}:
            return read_delimited(path, path.name, TextOptions())
        table = pyarrow.json.read_json(path)
        return _checked(path, table.schema, table.num_rows, _batches_of(table))
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise Damaged(f"{path} cannot be read: {str(error).splitlines()[0]}") from None


def _batches_of(table: pa.Table) -> Batches:
    def batches(columns: Collection[str] | None = None) -> Iterator[pa.RecordBatch]:
        names = [name for name in table.column_names if columns is None or name in columns]
        return iter(table.select(names).to_batches(_ROWS))

    return batches


def _parquet(path: Path) -> TableRows:
    def batches(columns: Collection[str] | None = None) -> Iterator[pa.RecordBatch]:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            try:
                yield from file.iter_batches(_ROWS, columns=None if columns is None else list(columns))
            except (pa.ArrowException, OSError) as error:
                raise Damaged(f"{path} cannot be read: {str(error).splitlines()[0]}") from None

    with pq.ParquetFile(path) as file:
        return _checked(path, _with_images(file.schema_arrow), file.metadata.num_rows, batches)


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

    low = list(map(folded, schema.names))
    if twice := {name for name in low if low.count(name) > 1}:
        raise BadInput(f"{path} has the column {min(twice)!r} more than once; rename one")
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
