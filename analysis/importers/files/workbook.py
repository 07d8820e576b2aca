"""Excel's workbooks (`.xlsx`) as text: each cell as it would be written to CSV."""

import zipfile
from collections.abc import Collection, Iterator, Sequence
from datetime import date, datetime, time
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa

from secondguess.analysis.errors import BadInput, Damaged, MissingExtra
from secondguess.analysis.importers.files.delimited import named_columns
from secondguess.analysis.importers.source import TableRows

_ROWS = 10_000
_MOST_BYTES = 2 << 30  # of XML, which takes what a sheet has at most

Cells = tuple[str | None, ...]


def read_workbook(path: Path, name: str, header: bool | None, missing: Sequence[str]) -> TableRows:
    """The rows of a workbook's first sheet, called `name` in messages, every column as text.

    They are kept in memory: a sheet has 1,048,576 rows at most. Raises MissingExtra without openpyxl, Damaged.
    """
    try:
        import openpyxl
    except ImportError:
        raise MissingExtra("openpyxl, which .xlsx needs,", "excel") from None
    try:
        _check_size(path, name)
        book = openpyxl.load_workbook(path, read_only=True, data_only=True)
        try:
            sheet = book.worksheets[0]
            others = [other.title for other in book.worksheets[1:]]
            rows = (tuple(map(_written, cells)) for cells in sheet.iter_rows(values_only=True))
            width, chunks = _chunks(row for row in rows if any(cell is not None for cell in row))
        finally:
            book.close()
    except (BadInput, MissingExtra):
        raise
    except (zipfile.BadZipFile, KeyError, ValueError, TypeError, IndexError, OSError, SyntaxError) as error:
        raise Damaged(
            f"{name} cannot be read: {str(error).splitlines()[0] if str(error) else 'it is broken'}"
        ) from None
    if not chunks:
        raise Damaged(f"{name} is empty")
    notes = [f"only its first sheet, {sheet.title!r}, is read; it also has {', '.join(others)}"] if others else []
    return _rows(chunks, width, header, frozenset(missing), notes)


def _check_size(path: Path, name: str) -> None:
    with zipfile.ZipFile(path) as package:
        size = sum(about.file_size for about in package.infolist())
    if size > _MOST_BYTES:
        raise BadInput(f"{name} holds {size:,} bytes, at most {_MOST_BYTES:,} are read; save it as CSV")


def _written(cell: Any) -> str | None:
    """A cell as text: a whole number without a point, a day or a time as ISO writes it."""
    match cell:
        case None:
            return None
        case bool():
            return "TRUE" if cell else "FALSE"
        case float() if cell.is_integer() and abs(cell) < 1 << 53:
            return str(int(cell))
        case datetime() if cell.time() == time():
            return cell.date().isoformat()
        case datetime() | date() | time():
            return cell.isoformat()
        case _:
            return str(cell)


def _chunks(rows: Iterator[Cells]) -> tuple[int, list[list[pa.Array]]]:
    """How many columns there are, and the rows as columns, the header's among them."""
    width = 0
    chunks: list[list[pa.Array]] = []
    while some := list(islice(rows, _ROWS)):
        widest = max(map(len, some))
        columns = zip(*(row + (None,) * (widest - len(row)) for row in some), strict=True)
        chunks.append([pa.array(column, pa.string()) for column in columns])
        width = max([width, *(at + 1 for at, column in enumerate(chunks[-1]) if column.null_count < len(column))])
    return width, chunks


def _rows(
    chunks: list[list[pa.Array]], width: int, header: bool | None, missing: Collection[str], notes: list[str]
) -> TableRows:
    first = [column[0].as_py() or "" for column in chunks[0]][:width]
    told = [""] * width if header is False else [*first, *[""] * (width - len(first))]
    names, said = named_columns(told, numbered=header is False)
    batches: list[pa.RecordBatch] = []
    for number, chunk in enumerate(chunks):
        columns = [*chunk[:width], *[pa.nulls(len(chunk[0]), pa.string())] * (width - len(chunk))]
        batch = pa.RecordBatch.from_arrays([_without(column, missing) for column in columns], names=names)
        batches.append(batch.slice(1) if number == 0 and header is not False else batch)

    def again(columns: Collection[str] | None = None) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            yield batch.select([name for name in names if columns is None or name in columns])

    return TableRows(
        schema=pa.schema([(name, pa.string()) for name in names]),
        rows=sum(batch.num_rows for batch in batches),
        batches=again,
        notes=(*notes, *said),
        written=True,
    )


def _without(texts: pa.Array, missing: Collection[str]) -> pa.Array:
    if not missing:
        return texts
    return pa.array([None if text in missing else text for text in texts.to_pylist()], pa.string())
