"""Prediction tables in memory: pandas, polars, Arrow, DuckDB, and whatever else hands out Arrow's streams."""

from collections.abc import Collection, Iterator
from typing import Any

import pyarrow as pa

from secondguess.analysis.errors import BadInput
from secondguess.analysis.importers.source import SourceRun, SourceTable, TableRows
from secondguess.analysis.schema import DEFAULT_TABLE, folded

_ROWS = 50_000
_INDEX = "__index_level_0__"  # what pandas calls an index without a name


def read_frame(frame: Any, run: str, epoch: int | None = None, table: str | None = None) -> SourceRun:
    """A frame as a run with one table; raises BadInput for what is none, and for columns that are there twice.

    A pandas index of positions is left aside, any other is a column, called `index` where it has no name.
    """
    rows = _arrow(frame)
    names = ["index" if name == _INDEX and "index" not in rows.column_names else name for name in rows.column_names]
    known: set[str] = set()
    for name in map(folded, names):
        if name in known:
            raise BadInput(f"the frame has the column {name!r} more than once; rename one")
        known.add(name)
    rows = rows.rename_columns(names)
    source = SourceTable(table or DEFAULT_TABLE, epoch, None, read=lambda: _rows(rows))
    return SourceRun(run, {"kind": "frame"}, tables=[source])


def _arrow(frame: Any) -> pa.Table:
    if hasattr(frame, "to_frame") and hasattr(frame, "name"):  # a pandas or polars Series has one column
        frame = frame.to_frame()
    try:
        if type(frame).__module__.partition(".")[0] == "pandas":
            return pa.Table.from_pandas(frame).replace_schema_metadata(None)
        if hasattr(frame, "__arrow_c_stream__"):
            return pa.table(frame).replace_schema_metadata(None)
        if isinstance(frame, dict):
            return pa.table(frame)
    except (pa.ArrowException, TypeError, ValueError) as error:
        raise BadInput(f"the frame cannot be read as a table: {str(error).splitlines()[0]}") from None
    raise BadInput(
        f"a {type(frame).__name__} is no table; give a pandas or polars DataFrame, an Arrow table, a DuckDB relation, "
        "or a dictionary of columns"
    )


def _rows(table: pa.Table) -> TableRows:
    def batches(columns: Collection[str] | None = None) -> Iterator[pa.RecordBatch]:
        names = [name for name in table.column_names if columns is None or name in columns]
        return iter(table.select(names).to_batches(_ROWS))

    return TableRows(schema=table.schema, rows=table.num_rows, batches=batches)
