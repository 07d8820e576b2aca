"""One table as several epochs or runs: the rows of each value of a column that counts epochs or names models."""

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import replace

import pyarrow as pa
import pyarrow.compute as pc

from secondguess.analysis.errors import BadInput, listing
from secondguess.analysis.importers.classes import as_text
from secondguess.analysis.importers.held import held
from secondguess.analysis.importers.source import SourceRun, SourceTable, TableRows

_MOST = 1_000
_LAST_EPOCH = 1 << 31


def by_run(run: SourceRun, column: str) -> list[SourceRun]:
    """A run for each value of the column, called by it, in the order in which they come."""
    (table,) = _only_table(run, "--run-column")
    rows = held(table.read())
    runs = []
    for value, count in _values(rows, column, "--run-column").items():
        part = replace(table, read=_reader(_part(rows, column, value, count)))
        origin = {**run.origin, "rows": {column: value}}
        runs.append(replace(run, name=value, origin=origin, tables=[part]))
    return runs


def by_epoch(run: SourceRun, column: str) -> SourceRun:
    """The run with an epoch for each number in the column; where they count from 0, all are one more, and said."""
    (table,) = _only_table(run, "--epoch-column")
    rows = held(table.read())
    counts = _values(rows, column, "--epoch-column")
    numbers = {_epoch(value, column): value for value in counts}
    shift = 1 if 0 in numbers else 0
    note = (f"{column} counts from 0: epoch 1 is its 0",) if shift else ()
    tables = [
        replace(
            table,
            epoch=number + shift,
            read=_reader(_part(rows, column, value, counts[value])),
            notes=(*table.notes, *note),
        )
        for number, value in sorted(numbers.items())
    ]
    return replace(run, tables=tables)


def _epoch(value: str, column: str) -> int:
    try:
        number = float(value)
    except ValueError:
        number = -1
    if number != int(number) or not 0 <= number < _LAST_EPOCH:
        raise BadInput(f"--epoch-column {column} has {value!r}, which is no whole number from 0")
    return int(number)


def _only_table(run: SourceRun, option: str) -> Sequence[SourceTable]:
    if len(run.tables) != 1:
        raise BadInput(f"{option} is for a source with one table; {run.name} has {len(run.tables)}")
    return run.tables


def _reader(rows: TableRows) -> Callable[[], TableRows]:
    return lambda: rows


def _values(rows: TableRows, column: str, option: str) -> dict[str, int]:
    """The values of the column, in the order in which they come, and how many rows have each.

    Raises BadInput where a row has none.
    """
    if column not in rows.schema.names:
        raise BadInput(f"no column named {column!r} for {option}; the table has: {listing(rows.schema.names)}")
    values: dict[str, int] = {}
    for batch in rows.batches({column}):
        counts = pc.value_counts(as_text(batch.column(column), batch.schema.field(column))).to_pylist()
        for text, count in (one.values() for one in counts):
            if text is None:
                raise BadInput(f"{option} {column} is empty in some rows; which they belong to cannot be told")
            values[text] = values.get(text, 0) + count
        if len(values) > _MOST:
            raise BadInput(f"{option} {column} has more than {_MOST:,} values; at most so many are taken apart")
    if not values:
        raise BadInput(f"{option} {column}: the table has no rows")
    return values


def _part(rows: TableRows, column: str, value: str, count: int) -> TableRows:
    """The rows that have the value, so many; their columns without that one."""

    def batches(columns: Collection[str] | None = None) -> Iterator[pa.RecordBatch]:
        names = [name for name in rows.schema.names if name != column and (columns is None or name in columns)]
        for batch in rows.batches({*names, column}):
            texts = as_text(batch.column(column), batch.schema.field(column))
            part = batch.filter(pc.equal(texts, value))
            if part.num_rows:
                yield part.select(names)

    schema = pa.schema([one for one in rows.schema if one.name != column], metadata=rows.schema.metadata)
    return replace(rows, schema=schema, rows=count, batches=batches)
