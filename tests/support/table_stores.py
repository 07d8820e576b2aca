"""Tables as they are written into a store and as a view shows them, for the tests of the table view."""

import datetime
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
from table_rules import PlainPage, PlainRow, PlainTable

from secondguess.analysis.store.commits import EpochRows
from secondguess.analysis.store.writer import RunWriter
from secondguess.analysis.tables import select
from secondguess.analysis.tables.view import TableView

NAN, INF = math.nan, math.inf


@dataclass(frozen=True)
class Type:
    """What a column may be: its kind, how Arrow keeps it, and some values, the first ones the plainest."""

    kind: str
    arrow: pa.DataType
    values: Sequence[Any]


TYPES = {
    "whole": Type("number", pa.int64(), (1, 0, None, 2, -3, 10**12)),
    "number": Type("number", pa.float64(), (1.0, None, 0.5, -0.0, NAN, INF, -INF, -2.25, 1e15)),
    "score": Type("number", pa.float32(), (0.5, 0.0, 1.0, 0.75, NAN, float(np.float32(0.1)), None)),
    "text": Type("text", pa.string(), ("a", "", None, "1", "0.5", "NaN", "true", "B", "é", "😀", "\uff5e", "it's")),
    "boolean": Type("boolean", pa.bool_(), (True, False, None)),
    "date": Type("date", pa.date32(), (datetime.date(2024, 1, 1), None, datetime.date(1969, 12, 31))),
    "list": Type("list", pa.list_(pa.int64()), ([], [1], None, [1, 2], [0, 3, 1])),
}
# The types that a user's column may have: `k` is a key of another type in each table.
COLUMNS = {
    "k": ("whole", "number", "text", "boolean"),
    "j": ("whole",),
    "x": ("number",),
    "t": ("text",),
    "b": ("boolean",),
    "d": ("date",),
    "l": ("list",),
    "n": ("whole",),
}
STANDARD = {"guess": "number", "truth": "number", "confidence": "number", "truth_score": "number"}


@dataclass(frozen=True)
class Recorded:
    """One epoch as it is written: the type of each column, by name in TYPES, and the rows."""

    types: Mapping[str, str]
    rows: Sequence[PlainRow]


Store = Mapping[tuple[str, str], Mapping[int, Recorded]]
"""Epochs by run and table."""


def commit(writer: RunWriter, table: str, epoch: int, columns: Mapping[str, pa.Array]) -> None:
    """Commit an epoch as an import may: the recorder refuses repeated and missing ids."""
    count = len(columns["id"])
    about = {
        "run": pa.array([writer.run.name] * count, pa.string()),
        "epoch": pa.array([epoch] * count, pa.int32()),
    }
    writer.commit(EpochRows(table, epoch, pa.table(about | dict(columns))))


def write(store: Path, tables: Store, *, ended: bool = True) -> None:
    """Write runs; those that have ended are compacted."""
    for run in dict.fromkeys(run for run, _ in tables):
        writer = RunWriter.create(store, run, {"config": {}})
        for (owner, table), epochs in tables.items():
            for epoch, held in epochs.items() if owner == run else ():
                types = {name: TYPES[type].arrow for name, type in held.types.items()}
                cells = {name: pa.array([row[name] for row in held.rows], kind) for name, kind in types.items()}
                commit(writer, table, epoch, cells)
        if ended:
            writer.end()
        writer.close()


def seen(tables: Store, view: TableView) -> dict[str, PlainTable]:
    """The view's tables as the interpreter takes them, with the columns that every table has."""
    pairs = {ref: tuple(ref.partition("@")[0].split("/")) for ref in view.tables}
    of_run = [run for run, _ in tables]
    scored = any("score_0" in tables[pair][1].types for pair in pairs.values())
    scores = {"score_0": "number", "score_1": "number"} if scored else {}  # a column of every side, as guess and truth
    found = {}
    for ref, (run, table) in pairs.items():
        epoch = int(ref.partition("@")[2])
        held = tables[run, table][epoch]
        about = {"run": f"{run}/{table}" if of_run.count(run) > 1 else run, "epoch": epoch}
        kinds = {name: TYPES[type].kind for name, type in held.types.items()}
        if "text" in (kinds.get("guess"), kinds.get("truth")):
            kinds = {"guess": "text", "truth": "text", **kinds}
        standard = {"run": "text", "epoch": "number", "id": "text"} | STANDARD | scores | kinds
        rows = [{**dict.fromkeys(standard), **about, **row} for row in held.rows]
        found[ref] = PlainTable(standard, rows, ((str(about["run"]), epoch),))
    return found


def answer(con: duckdb.DuckDBPyConnection, store: Path, view: TableView) -> PlainPage:
    """What a view shows of the store."""
    statement = select.statement(con, store, view)
    rows = con.execute(statement.sql).fetchall()
    columns = [column[0] for column in con.description or ()]
    (total,) = con.execute(statement.total).fetchone() or (0,)
    return PlainPage(columns, [dict(zip(columns, row, strict=True)) for row in rows], total)


def plain(value: Any) -> Any:
    """A value that equals another exactly where both say the same: NaN is itself, a truth is no number."""
    if isinstance(value, bool) or (isinstance(value, float) and math.isnan(value)):
        return type(value), str(value)
    if isinstance(value, dict):
        return {name: plain(item) for name, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, list) else value


# Literal tables

Columns = Mapping[str, Any]
_KINDS = {str: "text", bool: "boolean", int: "number", float: "number", list: "list", datetime.date: "date"}


def put(store: Path, **tables: Columns) -> None:
    """Write runs of one table, column by column; ids left out are "0", "1", …."""
    for run, columns in tables.items():
        writer = RunWriter.create(store, run, {"config": {}})
        arrays = {name: cells if isinstance(cells, pa.Array) else pa.array(cells) for name, cells in columns.items()}
        ids = pa.array([str(place) for place in range(len(next(iter(arrays.values()))))], pa.string())
        commit(writer, "test_predictions", 1, {"id": ids, **arrays})
        writer.end()
        writer.close()


def table(columns: Columns) -> PlainTable:
    """The columns as the interpreter takes them."""
    kinds = {name: next(_KINDS[type(cell)] for cell in cells if cell is not None) for name, cells in columns.items()}
    return PlainTable(kinds, [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)])


def shown(con: duckdb.DuckDBPyConnection, store: Path, tables: Sequence[str], columns: str, **view: Any) -> list[Any]:
    """The rows of a view with these columns, named with spaces between."""
    found = answer(con, store, TableView(tuple(tables), columns=tuple(columns.split()), **view))
    return [tuple(row.values()) for row in found.rows]
