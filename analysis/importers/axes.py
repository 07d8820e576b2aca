"""One table as several: the rows of each value of a column that counts epochs, or steps within one, or names models."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from secondguess.analysis.errors import BadInput, listing
from secondguess.analysis.importers.classes import as_text
from secondguess.analysis.importers.held import held
from secondguess.analysis.importers.source import SourceRun, SourceTable, TableRows, once_read
from secondguess.analysis.moments import LAST_EPOCH, LAST_STEP, Moment

_MOST = 1_000


def by_run(run: SourceRun, column: str) -> list[SourceRun]:
    """A run for each value of the column, called by it, in the order in which they come."""
    (table,) = only_table(run, "--run-column")
    rows = held(table.read())
    runs = []
    for value, count in _values(rows, column, "--run-column").items():
        part = replace(table, read=once_read(_part(rows, column, value, count)))
        origin = {**run.origin, "rows": {column: value}}
        runs.append(replace(run, name=value, origin=origin, tables=[part]))
    return runs


def by_epoch(run: SourceRun, column: str) -> SourceRun:
    """The run with an epoch for each number in the column; where they count from 0, all are one more, and said."""
    (table,) = only_table(run, "--epoch-column")
    rows = held(table.read())
    counts = _values(rows, column, "--epoch-column")
    numbers = {_epoch(value, column): value for value in counts}
    shift = 1 if 0 in numbers else 0
    note = (f"{column} counts from 0: epoch 1 is its 0",) if shift else ()
    tables = [
        replace(
            table,
            epoch=number + shift,
            read=once_read(_part(rows, column, value, counts[value])),
            notes=(*table.notes, *note),
        )
        for number, value in sorted(numbers.items())
    ]
    return replace(run, tables=tables)


def by_step(run: SourceRun, column: str, epoch: int | None) -> SourceRun:
    """The run with a validation for each number in the column, within each epoch; empty is the end of an epoch.

    epoch is that of tables that say none. Raises BadInput where a table has none.
    """
    tables: list[SourceTable] = []
    for table in run.tables:
        number = table.epoch or epoch
        if number is None:
            raise BadInput(
                f"--step-column {column} has steps within an epoch, but nothing says which: name its column with "
                f"--epoch-column, or one epoch with --epoch; where it counts epochs itself, --epoch-column {column}"
            )
        rows = held(table.read())
        counts = _values(rows, column, "--step-column", empty=True)
        steps = {None if value is None else _step(value, column): value for value in counts}
        for step, value in sorted(steps.items(), key=lambda item: Moment(number, item[0])):
            part = once_read(_part(rows, column, value, counts[value]))
            tables.append(replace(table, epoch=number, step=step, within=True, read=part))
    return replace(run, tables=tables)


def _step(value: str, column: str) -> int:
    try:
        number = int(value) if value.isdecimal() else float(value)
    except ValueError:
        number = -1
    if not 0 <= number <= LAST_STEP or number != int(number):
        raise BadInput(f"--step-column {column} has {value!r}, which is no whole number from 0")
    return int(number)


def _epoch(value: str, column: str) -> int:
    try:
        number = float(value)
    except ValueError:
        number = -1
    if not 0 <= number <= LAST_EPOCH or number != int(number):
        raise BadInput(f"--epoch-column {column} has {value!r}, which is no whole number from 0")
    return int(number)


def chosen(run: SourceRun, table: str) -> SourceRun:
    """The run with the table of that key alone, if it has it."""
    tables = [one for one in run.tables if one.key == table]
    return replace(run, tables=tables) if tables else run


def only_table(run: SourceRun, option: str) -> Sequence[SourceTable]:
    """The one table of a run; raises BadInput where it has several, or none."""
    if len(run.tables) != 1:
        keys = listing(dict.fromkeys(table.key for table in run.tables))
        which = f": {keys}; name one with --table" if keys else ""
        raise BadInput(f"{option} is for a source with one table; {run.name} has {len(run.tables)}{which}")
    return run.tables


def _values(rows: TableRows, column: str, option: str, *, empty: bool = False) -> dict[Any, int]:
    """The values of the column, in the order in which they come, and how many rows have each.

    Raises BadInput where a row has none and may not.
    """
    if column not in rows.schema.names:
        raise BadInput(f"no column named {column!r} for {option}; the table has: {listing(rows.schema.names)}")
    values: dict[str | None, int] = {}
    for batch in rows.batches({column}):
        counts = pc.value_counts(as_text(batch.column(column), batch.schema.field(column))).to_pylist()
        for text, count in (one.values() for one in counts):
            if text is None and not empty:
                raise BadInput(f"{option} {column} is empty in some rows; which they belong to cannot be told")
            values[text] = values.get(text, 0) + count
        if len(values) > _MOST:
            raise BadInput(f"{option} {column} has more than {_MOST:,} values; at most so many are taken apart")
    if not values:
        raise BadInput(f"{option} {column}: the table has no rows")
    return values


def _part(rows: TableRows, column: str, value: str | None, count: int) -> TableRows:
    """The rows that have the value, or where it is None none, so many; their columns without that one."""

    def has_value(batch: pa.RecordBatch) -> pa.Array:
        texts = as_text(batch.column(column), batch.schema.field(column))
        return texts.is_null() if value is None else pc.equal(texts, value)

    def batches(columns: Collection[str] | None = None) -> Iterator[pa.RecordBatch]:
        names = [name for name in rows.schema.names if name != column and (columns is None or name in columns)]
        for batch in rows.batches({*names, column}):
            part = batch.filter(has_value(batch))
            if part.num_rows:
                yield part.select(names)

    schema = pa.schema([one for one in rows.schema if one.name != column], metadata=rows.schema.metadata)
    return replace(rows, schema=schema, rows=count, batches=batches)
