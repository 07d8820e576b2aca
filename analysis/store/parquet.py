"""How prediction tables lie in Parquet: compression, dictionaries, and what a file's footer says of it."""

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.fs
import pyarrow.parquet as pq

from secondguess.analysis.errors import Damaged
from secondguess.analysis.objects.path import ObjectPath
from secondguess.analysis.schema import FORMAT_VERSION
from secondguess.analysis.store.disk import Part, sync_folder
from secondguess.analysis.store.verified import digest_of

# Measured on 3 M rows: zstd with dictionaries only where values repeat takes 42 bytes a row and a quarter of the time
# of the default, which builds dictionaries for scores and drops them again.
_ROW_GROUP = 122_880
_GROUP_BYTES = 64 << 20  # in memory; rows with long texts make smaller groups
_FEW_VALUES = ("run", "epoch", "guess", "truth")
_FOOTER_KEY = b"secondguess"


def footer(about: dict[str, Any]) -> dict[bytes, bytes]:
    """The footer entry that makes a file describe itself."""
    return {_FOOTER_KEY: json.dumps({"format": FORMAT_VERSION, **about}, ensure_ascii=False).encode()}


def said(path: Path) -> dict[str, Any]:
    """What a file's footer says of it, nothing where that is nothing of ours; raises OSError, pa.ArrowException."""
    try:
        about = json.loads((metadata(path).metadata or {}).get(_FOOTER_KEY, b"{}"))
    except ValueError:
        return {}
    return about if isinstance(about, dict) else {}


@contextmanager
def open_writer(part: Part, schema: pa.Schema) -> Iterator[pq.ParquetWriter]:
    """A writer into an unpublished file, which is complete when the block is left, and given up by an exception."""
    few = [name for name in schema.names if name in _FEW_VALUES or pa.types.is_dictionary(schema.field(name).type)]
    writer = pq.ParquetWriter(
        part,
        schema,
        compression="zstd",
        use_dictionary=few,
        write_statistics=[field.name for field in schema if _has_true_bounds(field.type)],
        write_page_checksum=True,
    )
    try:
        yield writer
        writer.close()
    finally:
        abandon(writer)


def _has_true_bounds(kind: pa.DataType) -> bool:
    """Whether a column's minimum and maximum say all of its values: of floats they leave out NaN.

    DuckDB takes them at their word: over a file with bounds, `isnan(score_0)` is false for every row.
    """
    return not pa.types.is_floating(kind) and not pa.types.is_nested(kind)


def abandon(writer: pq.ParquetWriter) -> None:
    """Give a file up without writing its end, which a full disk may refuse, even when the writer is collected."""
    writer.is_open = False


def write_table(part: Part, table: pa.Table) -> None:
    """Write one table as one file, its row groups never larger than a scan's unit of work."""
    with open_writer(part, table.schema) as writer:
        writer.write_table(table, row_group_size=_ROW_GROUP)


def widened(schema: pa.Schema) -> pa.Schema:
    """The schema with dictionaries that can hold the values of any batch or file: a record calls them all text."""
    return pa.schema(
        field.with_type(pa.dictionary(pa.int32(), field.type.value_type))
        if pa.types.is_dictionary(field.type)
        else field
        for field in schema
    )


def grouped(batches: Iterable[pa.RecordBatch], schema: pa.Schema) -> Iterator[pa.Table]:
    """Gather batches of any size into row groups of that schema, as large as `write_table` would make them."""
    parts: list[pa.RecordBatch] = []
    rows = size = 0
    for batch in batches:
        while batch.num_rows:
            part = batch.slice(0, _ROW_GROUP - rows)
            batch = batch.slice(part.num_rows)
            parts.append(part.cast(schema))
            rows, size = rows + part.num_rows, size + part.nbytes
            if rows == _ROW_GROUP or size > _GROUP_BYTES:
                yield _table(parts)
                parts, rows, size = [], 0, 0
    if parts:
        yield _table(parts)


def _table(batches: Sequence[pa.RecordBatch]) -> pa.Table:
    return pa.Table.from_batches(batches).unify_dictionaries()


def columns(schema: pa.Schema) -> list[list[str]]:
    """The (name, type) of each column as a record keeps it; dictionary text is text."""
    types = [field.type.value_type if pa.types.is_dictionary(field.type) else field.type for field in schema]
    return [[name, str(kind)] for name, kind in zip(schema.names, types, strict=True)]


@contextmanager
def opened(path: Path) -> Iterator[pq.ParquetFile]:
    """A file, open for reading by ranges, its pages' checksums verified; raises OSError, pa.ArrowException."""
    source = path.open("rb") if isinstance(path, ObjectPath) else nullcontext(path)
    with source as whence, pq.ParquetFile(whence, page_checksum_verification=True) as file:
        yield file


def metadata(path: Path) -> pq.FileMetaData:
    """What a file's footer says of its row groups; raises OSError, pa.ArrowException."""
    with opened(path) as file:
        return file.metadata


def schema(path: Path) -> pa.Schema:
    """A file's columns; raises OSError, pa.ArrowException."""
    with opened(path) as file:
        return file.schema_arrow


def scanned(path: Path) -> ds.Dataset:
    """A file for reading some of its rows."""
    if not isinstance(path, ObjectPath):
        return ds.dataset(path, format="parquet")
    files = pa.fs.PyFileSystem(pa.fs.FSSpecHandler(path.bucket.filesystem()))
    return ds.dataset(str(path), format="parquet", filesystem=files)


def row_groups(path: Path, columns: Sequence[str] | None = None) -> Iterator[pa.Table]:
    """A file's row groups, one at a time, their checksums verified."""
    with opened(path) as file:
        for group in range(file.num_row_groups):
            yield file.read_row_group(group, columns)


def publish(part: Part, folder: Path, stem: str, rows: int) -> dict[str, Any]:
    """Give a written file its name, `<stem>-<sha12>.parquet`; returns what a record says of it.

    A file of that name with the same content is success. Raises Damaged where the file on disk does not hold the rows
    that were written, or the name is taken by other content.
    """
    count = metadata(part.path).num_rows
    if count != rows:
        raise Damaged(f"{part.path} holds {count} rows after {rows} were written; is the disk sound?")
    path = folder / f"{stem}-{part.sha256[:12]}.parquet"
    try:
        part.publish(path)
    except FileExistsError:
        verify(path, part.sha256)
        sync_folder(folder)  # whoever gave it the name may have failed or died right after
    return {"name": f"{folder.name}/{path.name}", "rows": rows, "bytes": part.size, "sha256": part.sha256}


def verify(path: Path, sha256: str) -> None:
    """Raise Damaged unless the file has this digest; FileNotFoundError where it is gone."""
    digest = digest_of(path)
    if digest != sha256:
        raise Damaged(f"{path} is not what was written there (sha256 {digest[:12]}…, not {sha256[:12]}…); restore it")
