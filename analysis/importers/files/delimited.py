"""CSV and its kin: how a file separates its fields, and its rows as text, every field as it is written.

Read by Arrow, whose guesses of types are left aside; Python's csv looks at the first rows, since Arrow guesses no
delimiter.
"""

import csv
import io
import itertools
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as arrow_csv

from secondguess.analysis.errors import BadInput, Damaged
from secondguess.analysis.importers.source import TableRows
from secondguess.analysis.schema import folded

DELIMITERS = {"comma": ",", "tab": "\t", "semicolon": ";", "pipe": "|"}
_HEAD = 1 << 20  # characters that are looked at
_FEW = 500  # rows of them
_BLOCKS = (2 << 20, 16 << 20)  # bytes read at once, and so the longest row: much, where little is not enough
_COPIES = 0.9  # of the rows have as many fields as the first, if the delimiter is right
_FEW_VALUES = 20


@dataclass(frozen=True)
class TextOptions:
    """What a person says of a text file: delimiter, whether it has a header, and which texts stand for nothing.

    header is None where the first rows are to tell; usual is the delimiter of files that are called so. Without quotes
    a quotation mark is a character like others.
    """

    delimiter: str | None = None
    header: bool | None = None
    missing: tuple[str, ...] = ()
    usual: str = ","
    quotes: bool = True


@dataclass
class _Dialect:
    """How the fields of a file are separated, what its columns are called, and how many lines that takes.

    spaced says that spaces beside the delimiters are none of the fields'.
    """

    delimiter: str
    names: list[str]
    header: list[str] | None
    lines: int
    spaced: bool = False
    quotes: bool = True
    block: int = _BLOCKS[0]
    notes: list[str] = field(default_factory=list)


def read_delimited(path: Path, name: str, options: TextOptions, notes: Sequence[str] = ()) -> TableRows:
    """The rows of a file in UTF-8, called `name` in messages: every column is text, NULL where a field is empty.

    A quoted empty field is empty text. Raises Damaged with the line where a row has not the fields of the others, and
    BadInput where the first line is no header.
    """
    dialect = _dialect(path, name, options)
    try:
        rows, again = _looked_through(path, name, dialect, options)
    except _TooLong:
        dialect.block = _BLOCKS[-1]
        rows, again = _looked_through(path, name, dialect, options)
    if again:
        dialect.notes.append(f"the header comes {again:,} more times among the rows; left out there")
    return TableRows(
        schema=pa.schema([(column, pa.string()) for column in dialect.names]),
        rows=rows,
        batches=lambda columns=None: (batch for batch, _ in _read(path, name, dialect, options, columns)),
        notes=(*notes, *dialect.notes),
        written=True,
        decimal_comma=dialect.delimiter != ",",
    )


class _TooLong(Damaged):
    """A row is longer than what is read at once."""


def _looked_through(path: Path, name: str, dialect: _Dialect, options: TextOptions) -> tuple[int, int]:
    """How many rows there are, and how many headers among them."""
    rows = again = 0
    for batch, headers in _read(path, name, dialect, options, None):
        _refuse_swallowed(name, dialect, batch)
        rows, again = rows + batch.num_rows, again + headers
    return rows, again


def _dialect(path: Path, name: str, options: TextOptions) -> _Dialect:
    with path.open(encoding="utf-8", newline="") as file:
        head = file.read(_HEAD)
    if not head.strip():
        raise Damaged(f"{name} is empty")
    delimiter = options.delimiter or _delimiter(head, options)
    first, rows, lines = _first_rows(head, name, delimiter, options.quotes)
    width = _usual_width(rows) if rows else len(first)
    if options.header is False:
        names, said = named_columns([""] * width, numbered=True)
        return _Dialect(delimiter, names, None, 0, quotes=options.quotes, notes=said)
    if options.header is None:
        _refuse_data_as_header(name, first, [row for row in rows if row != first], delimiter)
    names, said = named_columns(_header(first, rows, width))
    spaced = len(first) > 1 and any(cell != cell.strip() for cell in first)
    return _Dialect(delimiter, names, first, lines, spaced, options.quotes, notes=said)


def _first_rows(head: str, name: str, delimiter: str, quotes: bool) -> tuple[list[str], list[list[str]], int]:
    """The first row, some that follow it, and how many lines the first takes with those that are empty before it."""
    before = csv.field_size_limit(_HEAD)
    reader = csv.reader(io.StringIO(head, newline=""), delimiter=delimiter, quoting=_quoting(quotes))
    try:
        first = next(row for row in reader if row)
        lines = reader.line_num
        rows = [row for row in itertools.islice(reader, _FEW) if row]
    except csv.Error as error:
        raise Damaged(f"{name} cannot be read at line {reader.line_num:,}: {error}") from None
    finally:
        csv.field_size_limit(before)
    if len(head) == _HEAD and rows:
        rows.pop()  # perhaps only the beginning of one
    return first, rows, lines


def _quoting(quotes: bool) -> Literal[0, 3]:
    return csv.QUOTE_MINIMAL if quotes else csv.QUOTE_NONE


def _header(first: list[str], rows: Sequence[Sequence[str]], width: int) -> list[str]:
    """The header as wide as the rows: they may have a delimiter more at their end, or the row's name before."""
    if len(first) > width:
        return first[:width] if not any(first[width:]) else first
    if len(first) == width - 1 and not all(row[-1] == "" for row in rows if len(row) == width):
        return ["", *first]  # as R writes row names: the column that has no name is the first
    return [*first, *[""] * (width - len(first))]


def _usual_width(rows: Sequence[Sequence[str]]) -> int:
    return Counter(map(len, rows)).most_common(1)[0][0]


def _delimiter(head: str, options: TextOptions) -> str:
    """The delimiter with which most of the first rows have as many fields, more than one, as the first row."""
    best, most = options.usual, (0.0, False, 0)
    for delimiter in sorted(DELIMITERS.values(), key=lambda one: one != options.usual):
        try:
            first, rows, _ = _first_rows(head, "", delimiter, options.quotes)
        except Damaged:
            continue
        rows = rows or [first]
        width = _usual_width(rows)
        alike = sum(len(row) == width for row in rows) / len(rows)
        fit = (alike, len(first) == width, width)
        if width > 1 and alike >= _COPIES and abs(len(first) - width) <= 1 and fit > most:
            best, most = delimiter, fit
            if delimiter == options.usual == "\t":
                break
    return best


def _refuse_data_as_header(name: str, first: Sequence[str], rows: Sequence[Sequence[str]], delimiter: str) -> None:
    """Raise BadInput where the first line is like the others: then its values would be taken for names."""
    for place, cell in enumerate(first):
        column = [row[place] for row in rows if place < len(row) and row[place]]
        if not column or not cell:
            continue
        as_number = _is_number(cell) and all(map(_is_number, column))
        few = set(column)
        if (as_number and not cell.isdecimal()) or (len(column) > _FEW_VALUES >= len(few) and cell in few):
            shown = delimiter.join(first)
            raise BadInput(
                f"{name}: the first line looks like a row and not like names ({shown[:80]}); add --no-header if it is "
                "a row, --header if these are the columns' names"
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


def _read(
    path: Path, name: str, dialect: _Dialect, options: TextOptions, columns: Collection[str] | None
) -> Iterator[tuple[pa.RecordBatch, int]]:
    """The rows, a few megabytes at a time, and how many headers were left out of these: of files put together."""
    chosen = [column for column in dialect.names if columns is None or column in columns]
    odd: list[arrow_csv.InvalidRow] = []

    def note(row: arrow_csv.InvalidRow) -> str:
        odd.append(row)
        return "skip"

    try:
        with _opened(path, dialect, options, chosen, note) as reader:
            for batch in reader:
                if odd:
                    raise _ragged(path, name, dialect, odd[0])
                rows = _without_headers(batch, dialect)
                chosen_rows = rows.select(chosen)
                yield _trimmed(chosen_rows, options) if dialect.spaced else chosen_rows, batch.num_rows - rows.num_rows
    except pa.ArrowException as error:
        if odd:
            raise _ragged(path, name, dialect, odd[0]) from None
        kind = _TooLong if "straddling" in str(error) else Damaged
        raise kind(f"{name} cannot be read: {_plainly(error)}") from None
    if odd:
        raise _ragged(path, name, dialect, odd[0])


def _opened(
    path: Path,
    dialect: _Dialect,
    options: TextOptions,
    chosen: Sequence[str],
    note: Callable[[arrow_csv.InvalidRow], str],
) -> arrow_csv.CSVStreamingReader:
    return arrow_csv.open_csv(
        path,
        read_options=arrow_csv.ReadOptions(
            block_size=dialect.block, use_threads=False, skip_rows=dialect.lines, column_names=dialect.names
        ),
        parse_options=arrow_csv.ParseOptions(
            delimiter=dialect.delimiter,
            quote_char='"' if options.quotes else False,
            newlines_in_values=options.quotes,
            invalid_row_handler=note,
        ),
        convert_options=arrow_csv.ConvertOptions(
            column_types=dict.fromkeys(dialect.names, pa.string()),
            include_columns=chosen if dialect.header is None else dialect.names,
            null_values=["", *options.missing],
            strings_can_be_null=True,
            quoted_strings_can_be_null=False,
        ),
    )


def _plainly(error: pa.ArrowException) -> str:
    text = str(error).splitlines()[0]
    if "straddling" in text:
        return (
            f"it has a row of more than {_BLOCKS[-1]:,} bytes, or a quotation mark that nothing closes; if these are "
            "characters like others, add --no-quotes"
        )
    return text


def _refuse_swallowed(name: str, dialect: _Dialect, batch: pa.RecordBatch) -> None:
    """Raise BadInput for a field of several lines that are whole rows of a file of tabs, if quotes are characters."""
    if dialect.delimiter != "\t" or not dialect.quotes:
        return
    last = batch.num_columns - 1
    for place, column in enumerate(batch.columns):
        for text in column.filter(pc.fill_null(pc.match_substring(column, "\n"), False)).to_pylist():
            counts = [line.count("\t") for line in text.split("\n")]
            if [counts[0] + place, *counts[1:-1], counts[-1] + last - place] == [last] * len(counts) and last:
                raise BadInput(
                    f"{name}: a quotation mark before {text[:40]!r} makes {len(counts)} lines one field, each of which "
                    "would be a row; add --no-quotes if quotation marks are characters like others"
                )


def _without_headers(batch: pa.RecordBatch, dialect: _Dialect) -> pa.RecordBatch:
    if dialect.header is None or not batch.num_rows:
        return batch
    again = pa.array([True]).take(pa.repeat(pa.scalar(0), batch.num_rows))
    for column, told in zip(batch.columns, dialect.header, strict=False):
        again = pc.and_(again, pc.fill_null(pc.equal(column, told), not told))
        if not pc.any(again).as_py():
            return batch
    return batch.filter(pc.invert(again))


def _trimmed(batch: pa.RecordBatch, options: TextOptions) -> pa.RecordBatch:
    """The batch without the spaces beside the delimiters, and without quotes that stand behind such a space."""
    nothing = pa.array(["", *options.missing], pa.string())
    columns = []
    for column in batch.columns:
        bare = pc.utf8_trim_whitespace(column)
        quoted = pc.and_(pc.starts_with(bare, '"'), pc.match_substring_regex(bare, r'(?s)^".*"$'))
        missing = pc.and_(pc.is_in(bare, nothing), pc.not_equal(bare, column))
        inner = pc.replace_substring(pc.utf8_slice_codeunits(bare, 1, -1), '""', '"')
        columns.append(pc.if_else(missing, None, pc.if_else(quoted, inner, bare)))
    return pa.RecordBatch.from_arrays(columns, schema=batch.schema)


def _ragged(path: Path, name: str, dialect: _Dialect, row: arrow_csv.InvalidRow) -> Damaged:
    """What to raise for a row that has not the fields of the others, with the line where it begins."""
    line = _line_of(path, dialect, row)
    where = f"line {line:,}" if line is not None else f"the line {row.text[:60]!r}"
    return Damaged(
        f"{name} cannot be read at {where}: it has {row.actual_columns} fields, the others have "
        f"{row.expected_columns}; put quotes round a field that has {dialect.delimiter!r} in it, name another "
        "--delimiter, or add --no-quotes if quotation marks are characters like others"
    )


def _line_of(path: Path, dialect: _Dialect, row: arrow_csv.InvalidRow) -> int | None:
    """The line on which a row begins, by a reader that counts them; None where that one sees no such row."""
    with path.open(encoding="utf-8", newline="") as file:
        reader = csv.reader(file, delimiter=dialect.delimiter, quoting=_quoting(dialect.quotes))
        before = 0
        try:
            for fields in reader:
                if before >= dialect.lines and len(fields) == row.actual_columns:
                    return before + 1
                before = reader.line_num
        except csv.Error:
            return None
    return None
