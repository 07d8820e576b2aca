"""Answers for other programs: CSV, JSON and Parquet, every row of them, and images in files beside text."""

import base64
import datetime
import hashlib
import json
import math
import os
import re
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from decimal import Decimal
from functools import partial
from itertools import chain
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import duckdb

from secondguess.analysis import signals
from secondguess.analysis.answers.answer import Answer, Row
from secondguess.analysis.errors import BadInput
from secondguess.analysis.schema import shown_as_images

if TYPE_CHECKING:
    import pyarrow as pa

_FORMS = {"csv", "markdown"}


def beside(file: Path, form: str, answer: Answer) -> Answer:
    """The answer with each image {bytes, path} replaced by the path, from the text file, of a file that holds it.

    The images lie in a folder called as the text file, with `-images` behind it, each once, named by its content. Only
    CSV and Markdown need this. Raises BadInput where the folder cannot be written.
    """
    if form not in _FORMS or (file.exists() and not file.is_file()):  # a pipe, a device
        return answer
    return replace(answer, rows=_rows(answer, folder(file)))


def folder(file: Path) -> Path:
    """Where the images of a text file lie."""
    return file.with_name(f"{file.stem}-images")


def _rows(answer: Answer, place: Path) -> Iterator[Row]:
    written: dict[str, bool] = {}
    withdraw = partial(_withdraw, place, written, made=not place.exists())
    try:
        with signals.undone(withdraw):
            for row in answer.rows:
                yield tuple(_placed(value, place, written) for value in row)
    except BaseException:  # GeneratorExit too: whoever wrote the rows gave up
        withdraw()
        raise


def _withdraw(place: Path, written: Mapping[str, bool], *, made: bool) -> None:
    """Remove the images that were not there before, and the folder if it was not."""
    for name, new in written.items():
        if new:
            (place / name).unlink(missing_ok=True)
    if made and place.is_dir():
        with suppress(OSError):
            place.rmdir()


def _placed(value: Any, place: Path, written: dict[str, bool]) -> Any:
    if isinstance(value, list):
        return [_placed(item, place, written) for item in value]
    data = value.get("bytes") if isinstance(value, dict) else None
    if not isinstance(data, bytes):
        return value
    from secondguess.analysis.content import suffix

    name = hashlib.sha256(data).hexdigest()[:16] + suffix(data)
    if name not in written:
        try:
            place.mkdir(exist_ok=True)
            written[name] = not (place / name).exists()
            (place / name).write_bytes(data)
        except OSError as error:
            raise BadInput(f"cannot write images to {place}: {error.strerror or error}") from None
    return f"{place.name}/{name}"


TEXT_FORMATS = ("json", "csv", "markdown")
_BY_SUFFIX = {".json": "json", ".csv": "csv", ".md": "markdown", ".parquet": "parquet"}
_NUMBERS = {bool, int, float, Decimal}  # nothing to quote, and -1 is no formula
# A text that stands in CSV as it is: no control character, none that readers guess a comment, a quote or a byte order
# mark from at its beginning, no space at an end.
_PLAIN = re.compile(r"""(?![\s\ufeff#'])[^\x00-\x1f\x7f",]+(?<!\s)""").fullmatch
_FORMULA = (
    "=",
    "+",
    "-",
    "@",
    "\t",
    "\r",
    "\n",
    "\uff1d",
    "\uff0b",
    "\uff0d",
    "\uff20",
)  # with which spreadsheets begin one
_EXACT = 2**53  # whole numbers beyond it are read as another one by much that reads JSON


def format_of(path: Path, asked: str | None) -> str:
    """The format for a file: the one asked for, else the one its suffix says; raises BadInput where neither does."""
    if asked == "table":
        raise BadInput(f"a table is for the terminal; give {path.name} one of the formats {', '.join(TEXT_FORMATS)}")
    chosen = asked or _BY_SUFFIX.get(path.suffix.lower())
    if chosen is None:
        raise BadInput(f"no format is known for {path.name!r}; use one of {', '.join(_BY_SUFFIX)}, or --format")
    return chosen


def write_text(answer: Answer, format: str, out: IO[str], *, spreadsheet: bool = False) -> int:
    """Write an answer as csv, json (one array with one object per row) or markdown; returns how many rows it has.

    spreadsheet puts an apostrophe before each text of csv that a spreadsheet would compute.
    """
    if format == "csv":
        return _csv(answer, out, spreadsheet)
    if format == "json":
        return _json(answer, out)
    from secondguess.analysis.answers.terminal import markdown

    lines = list(markdown(answer))
    out.writelines(line + "\n" for line in lines)
    return len(lines) - 2  # of head


def write_parquet(reader: "pa.RecordBatchReader", path: Path) -> int:
    """Write an answer's batches to a Parquet file as they come; returns how many rows there were.

    Raises BadInput for a type that Parquet has no place for.
    """
    # Half a second that only this needs.
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = 0
    image = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    images = shown_as_images(field.name for field in reader.schema if field.type == image)
    schema = reader.schema.with_metadata({**(reader.schema.metadata or {}), **images})
    try:
        with pq.ParquetWriter(path, schema, compression="zstd") as writer:
            for batch in _batches(reader):
                writer.write_batch(batch.replace_schema_metadata(schema.metadata))
                rows += batch.num_rows
    except (pa.ArrowNotImplementedError, pa.ArrowInvalid) as error:
        raise BadInput(f"the answer cannot be written as Parquet: {str(error).splitlines()[0]}") from None
    return rows


def _batches(reader: "pa.RecordBatchReader") -> "Iterator[pa.RecordBatch]":
    while True:
        try:
            batch = reader.read_next_batch()
        except StopIteration:
            return
        except OSError as error:  # as which Arrow hands on what DuckDB says
            raise duckdb.Error(str(error)) from None
        yield batch


@contextmanager
def replaced(path: Path) -> Iterator[Path]:
    """A temporary file beside `path` that takes its place when the block ends without an error.

    What is no plain file, a pipe or a device, is written to as it is. Raises BadInput where it cannot be written.
    """
    final = Path(os.path.realpath(path))
    part = final.with_name(f".{final.name[:200]}.{secrets.token_hex(4)}")
    try:
        if final.exists() and not final.is_file():
            yield final
            return
        with signals.undone(partial(part.unlink, missing_ok=True)):
            part.touch(exist_ok=False)
            yield part
            os.replace(part, final)
    except OSError as error:
        raise BadInput(f"cannot write {path}: {error.strerror or error}") from None
    finally:
        part.unlink(missing_ok=True)


def _csv(answer: Answer, out: IO[str], spreadsheet: bool) -> int:
    """Write CSV in which a missing value is nothing between commas and an empty text is two quotes."""
    count = -1  # of head
    for row in chain([answer.columns], answer.rows):
        cells = [str(value) if type(value) in _NUMBERS else _csv_cell(value, spreadsheet) for value in row]
        # A line with nothing in it is no row to most readers.
        out.write((",".join(cells) or '""') + "\n")
        count += 1
    return count


def _csv_cell(value: Any, spreadsheet: bool) -> str:
    if value is None:
        return ""
    text = value if type(value) is str else _csv_text(value)
    if spreadsheet and text.startswith(_FORMULA):
        text = "'" + text
    return text if _PLAIN(text) else '"' + text.replace('"', '""') + '"'


def _csv_text(value: Any) -> str:
    if isinstance(value, dict | list | tuple | bytes):
        plain = jsonable(value)
        return plain if isinstance(plain, str) else json.dumps(plain, ensure_ascii=False)
    return str(value)


def _json(answer: Answer, out: IO[str]) -> int:
    out.write("[")
    count = 0
    for row in answer.rows:
        record = {name: jsonable(value) for name, value in zip(answer.columns, row, strict=True)}
        out.write(("," if count else "") + "\n " + json.dumps(record, ensure_ascii=False, allow_nan=False))
        count += 1
    out.write("\n]\n")
    return count


def jsonable(value: Any) -> Any:
    """A value as strict JSON: what has no number of its own there, NaN, infinities, decimals, beyond 2**53, is text.

    Bytes are base64, dates and times ISO text.
    """
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, int):
        return value if -_EXACT <= value <= _EXACT else str(value)
    if isinstance(value, dict):
        return {str(key): jsonable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [jsonable(item) for item in value]
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    return value if isinstance(value, str | None) else str(value)
