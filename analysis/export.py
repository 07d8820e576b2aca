"""Answers for other programs: CSV, JSON and Parquet, every row of them."""

import base64
import csv
import datetime
import decimal
import json
import math
import os
import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import duckdb

from analysis.errors import BadInput
from analysis.render import Answer, markdown

TEXT_FORMATS = ("json", "csv", "markdown")
_BY_SUFFIX = {".json": "json", ".csv": "csv", ".md": "markdown", ".parquet": "parquet"}


def format_of(path: Path, asked: str | None) -> str:
    """The format for a file: the one asked for, else the one its suffix says; raises BadInput where neither does."""
    found = asked if asked in TEXT_FORMATS else _BY_SUFFIX.get(path.suffix.lower())
    if found is None:
        raise BadInput(f"no format is known for {path.name!r}; use one of {', '.join(_BY_SUFFIX)}, or --format")
    return found


def write_text(answer: Answer, format: str, out: IO[str]) -> None:
    """Write an answer as csv, json (one array with one object per row) or markdown."""
    if format == "csv":
        _csv(answer, out)
    elif format == "json":
        _json(answer, out)
    else:
        out.writelines(line + "\n" for line in markdown(answer))


def write_parquet(con: duckdb.DuckDBPyConnection, path: Path) -> int:
    """Write the running query's rows to a Parquet file, batch by batch; returns how many there were."""
    # Half a second that only this needs.
    import pyarrow as pa  # noqa: PLC0415
    import pyarrow.parquet as pq  # noqa: PLC0415

    reader: pa.RecordBatchReader = con.to_arrow_reader(100_000)
    rows = 0
    with pq.ParquetWriter(path, reader.schema, compression="zstd") as writer:
        for batch in reader:
            writer.write_batch(batch)
            rows += batch.num_rows
    return rows


@contextmanager
def replaced(path: Path) -> Iterator[Path]:
    """A temporary file beside `path` that takes its place when the block ends without an error."""
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        yield part
        os.replace(part, path)
    except OSError as error:
        raise BadInput(f"cannot write {path}: {error.strerror}") from None
    finally:
        part.unlink(missing_ok=True)


def _csv(answer: Answer, out: IO[str]) -> None:
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(answer.columns)
    for row in answer.rows:
        writer.writerow([_csv_cell(value) for value in row])


def _csv_cell(value: Any) -> Any:
    if isinstance(value, dict | list | tuple | bytes):
        found = jsonable(value)
        return found if isinstance(found, str) else json.dumps(found, ensure_ascii=False)
    return value


def _json(answer: Answer, out: IO[str]) -> None:
    out.write("[")
    for number, row in enumerate(answer.rows):
        record = {name: jsonable(value) for name, value in zip(answer.columns, row, strict=True)}
        out.write(("," if number else "") + "\n " + json.dumps(record, ensure_ascii=False, allow_nan=False))
    out.write("\n]\n")


def jsonable(value: Any) -> Any:
    """A value as strict JSON: NaN and infinities as text, bytes as base64, dates as ISO text, decimals as text."""
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, dict):
        return {str(key): jsonable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [jsonable(item) for item in value]
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    if isinstance(value, decimal.Decimal | datetime.timedelta) or not isinstance(value, bool | int | str | None):
        return str(value)
    return value


def rows_of(con: duckdb.DuckDBPyConnection) -> Iterable[tuple[Any, ...]]:
    """The rows of a running query, a thousand at a time."""
    while batch := con.fetchmany(1000):
        yield from batch
