"""CSV and its kin: how a file separates its fields, and its rows as text, every field as it is written.

Read by Arrow, whose guesses of types are left aside; Python's csv looks at the first rows, since Arrow guesses no
delimiter.
"""

import csv
import io
import itertools
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as arrow_csv

from secondguess.analysis.errors import BadInput, Damaged
from secondguess.analysis.importers.source import TableRows
from secondguess.analysis.schema import folded

DELIMITERS = {"comma": ",", "tab": "\t", "semicolon": ";", "pipe": "|"}
_HEAD = 1 << 20  # characters that are looked at
_FEW = 500  # rows of them
_BLOCK = 16 << 20  # bytes read at once, and so the longest row
_COPIES = 0.9  # of the rows have as many fields as the first, if the delimiter is right
_FEW_VALUES = 20


@dataclass(frozen=True)
class TextOptions:
    """What a person says of a text file: delimiter, whether it has a header, and which texts stand for nothing."""

    delimiter: str | None = None
    header: bool = True
    missing: tuple[str, ...] = ()


@dataclass
class _Dialect:
    """How the fields of a file are separated, what its columns are called, and how many lines that takes."""

    delimiter: str
    names: list[str]
    header: list[str] | None
    lines: int
    notes: list[str] = field(default_factory=list)


def read_delimited(path: Path, name: str, options: TextOptions) -> TableRows:
    """The rows of a file in UTF-8, called `name` in messages: every column is text, NULL where a field is empty.

    A quoted empty field is empty text. Raises Damaged with the line where a row has not the fields of the others, and
    BadInput where the first line is no header.
    """
    dialect = _dialect(path, name, options)
    return TableRows(
        schema=pa.schema([(column, pa.string()) for column in dialect.names]),
        rows=_count(path, name, dialect, options),
        batches=lambda columns=None: _batches(path, name, dialect, options, columns),
        notes=tuple(dialect.notes),
        written=True,
        decimal_comma=dialect.delimiter != ",",
    )


def _dialect(path: Path, name: str, options: TextOptions) -> _Dialect:
    with path.open(encoding="utf-8", newline="") as file:
        head = file.read(_HEAD)
    if not head.strip():
        raise Damaged(f"{name} is empty")
    delimiter = options.delimiter or _delimiter(head)
    reader = csv.reader(io.StringIO(head, newline=""), delimiter=delimiter)
    try:
        first = next(row for row in reader if row)
        lines = reader.line_num
        rows = [row for row in itertools.islice(reader, _FEW) if row]
    except csv.Error as error:
        raise Damaged(f"{name} cannot be read at line {reader.line_num:,}: {error}") from None
    if len(head) == _HEAD and rows:
        rows.pop()  # perhaps only the beginning of one
    width = max(_usual_width(rows), len(first)) if rows else len(first)
    notes: list[str] = []
    if options.header:
        _refuse_data_as_header(name, first, rows, delimiter)
        header = first if len(first) == width else [*first, *[""] * (width - len(first))]
        if len(first) == width - 1 and not all(row[-1] == "" for row in rows if len(row) == width):
            header = ["", *first]  # as R writes row names: the column that has no name is the first
    else:
        header, lines = [""] * width, 0
    names, said = named_columns(header, numbered=not options.header)
    return _Dialect(delimiter, names, first if options.header else None, lines, [*notes, *said])


def _usual_width(rows: Sequence[Sequence[str]]) -> int:
    return Counter(map(len, rows)).most_common(1)[0][0]


def _delimiter(head: str) -> str:
    """The delimiter with which most of the first rows have as many fields, more than one, as the first row."""
    best, most = ",", (0.0, 0)
    for delimiter in DELIMITERS.values():
        try:
            reader = csv.reader(io.StringIO(head, newline=""), delimiter=delimiter)
            rows = [row for row in itertools.islice(reader, _FEW + 1) if row]
        except csv.Error:
            continue
        if len(rows) > 2 and len(head) == _HEAD:
            rows.pop()
        width = _usual_width(rows[1:] or rows)
        alike = sum(len(row) == width for row in rows[1:] or rows) / len(rows[1:] or rows)
        if width > 1 and alike >= _COPIES and abs(len(rows[0]) - width) <= 1 and (alike, width) > most:
            best, most = delimiter, (alike, width)
    return best


def _refuse_data_as_header(name: str, first: Sequence[str], rows: Sequence[Sequence[str]], delimiter: str) -> None:
    """Raise BadInput where the first line is like the others: then its values would be taken for names."""
    signs = 0
    for place, cell in enumerate(first):
        column = [row[place] for row in rows if place < len(row) and row[place]]
        if not column or not cell:
            continue
        as_number = _is_number(cell) and all(map(_is_number, column))
        few = set(column)
        if (as_number and not cell.isdecimal()) or (len(column) > _FEW_VALUES >= len(few) and cell in few):
            signs += 1
    if signs:
        shown = delimiter.join(first)
        raise BadInput(
            f"{name}: the first line looks like a row and not like names ({shown[:80]}); if it is one, add --no-header"
        )


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def named_columns(header: Sequence[str], *, numbered: bool = False) -> tuple[list[str], list[str]]:
    """A name for each column, none of them twice whatever the case, and what was changed about them."""
    names: list[str] = []
    notes = []
    taken: set[str] = set()
    for place, told in enumerate(header, start=1):
        name = told.strip()
        wanted = name or ("index" if place == 1 and not numbered else f"column_{place}")
        unique = wanted
        for count in itertools.count(2):
            if folded(unique) not in taken:
                break
            unique = f"{wanted}_{count}"
        taken.add(folded(unique))
        names.append(unique)
        if not name and not numbered:
            notes.append(f"column {place} has no name and is called {unique!r}")
        elif name and unique != name:
            notes.append(f"column {place} is called {name!r}, as one before it is, and here {unique!r}")
    return names, notes


def _batches(
    path: Path, name: str, dialect: _Dialect, options: TextOptions, columns: Collection[str] | None
) -> Iterator[pa.RecordBatch]:
    """The rows, a few megabytes at a time; a header that comes again, as in files that were put together, is none."""
    chosen = [column for column in dialect.names if columns is None or column in columns]
    odd: list[arrow_csv.InvalidRow] = []

    def note(row: arrow_csv.InvalidRow) -> str:
        odd.append(row)
        return "skip"

    wanted = dialect.names if dialect.header is not None else chosen
    try:
        with arrow_csv.open_csv(
            path,
            read_options=arrow_csv.ReadOptions(
                block_size=_BLOCK, use_threads=False, skip_rows=dialect.lines, column_names=dialect.names
            ),
            parse_options=arrow_csv.ParseOptions(
                delimiter=dialect.delimiter, newlines_in_values=True, invalid_row_handler=note
            ),
            convert_options=arrow_csv.ConvertOptions(
                column_types=dict.fromkeys(dialect.names, pa.string()),
                include_columns=wanted,
                null_values=["", *options.missing],
                strings_can_be_null=True,
                quoted_strings_can_be_null=False,
            ),
        ) as reader:
            for batch in reader:
                if odd:
                    raise _ragged(name, dialect, odd[0])
                yield _without_headers(batch, dialect).select(chosen)
    except pa.ArrowException as error:
        raise Damaged(f"{name} cannot be read: {str(error).splitlines()[0]}") from None
    if odd:
        raise _ragged(name, dialect, odd[0])


def _without_headers(batch: pa.RecordBatch, dialect: _Dialect) -> pa.RecordBatch:
    if dialect.header is None or not batch.num_rows:
        return batch
    again = pa.array([True] * batch.num_rows)
    for column, told in zip(batch.columns, dialect.header, strict=False):
        again = pc.and_(again, pc.fill_null(pc.equal(column, told), not told))
        if not pc.any(again).as_py():
            return batch
    return batch.filter(pc.invert(again))


def _ragged(name: str, dialect: _Dialect, row: arrow_csv.InvalidRow) -> Damaged:
    where = f"line {row.number + dialect.lines:,}" if row.number is not None else f"the line {row.text[:60]!r}"
    return Damaged(
        f"{name} cannot be read at {where}: it has {row.actual_columns} fields, the others have "
        f"{row.expected_columns}; put quotes round a field that has {dialect.delimiter!r} in it, or name another "
        "--delimiter"
    )


def _count(path: Path, name: str, dialect: _Dialect, options: TextOptions) -> int:
    return sum(batch.num_rows for batch in _batches(path, name, dialect, options, None))
