"""The relation `runs`: what the records say of each table of each run."""

import json
from collections.abc import Iterable

from analysis.engine.sqltext import literal
from analysis.scope import Relation
from analysis.store.runs import Run

_COLUMNS = {
    "run": "VARCHAR",
    "state": "VARCHAR",
    "table_name": "VARCHAR",
    "epochs": "INTEGER[]",
    "rows": "BIGINT[]",
    "errors": "BIGINT[]",
    "nan_scores": "BIGINT",
    "unlabelled": "BIGINT",
    "origin": "VARCHAR",
    "created": "TIMESTAMPTZ",
    "config": "JSON",
}


def runs(known: Iterable[Run]) -> Relation:
    """One row per run and table, with the columns above; rows and errors are lists, in the order of epochs.

    A run without a table has one row with no table_name.
    """
    rows = [row for run in known for row in _rows(run)]
    casts = ", ".join(f"TRY_CAST({name} AS {kind}) AS {name}" for name, kind in _COLUMNS.items())
    empty = f"({', '.join(['NULL'] * len(_COLUMNS))})"
    values = ",\n  ".join(f"({', '.join(literal(value) for value in row)})" for row in rows) or empty
    where = "" if rows else "\nWHERE false"
    return Relation(f"SELECT {casts}\nFROM (VALUES\n  {values}\n) found({', '.join(_COLUMNS)}){where}", frozenset())


def _rows(run: Run) -> list[list[object]]:
    about = run.about
    origin, created = (None if about.get(key) is None else str(about[key]) for key in ("origin", "created"))
    config = json.dumps(about.get("config", {}), ensure_ascii=False)
    tables = [
        [
            *(table, list(epochs), [epoch.rows for epoch in epochs.values()]),
            [epoch.errors for epoch in epochs.values()],
            sum(epoch.nan_scores for epoch in epochs.values()),
            sum(epoch.unlabelled for epoch in epochs.values()),
        ]
        for table, epochs in run.tables.items()
    ]
    return [[run.name, run.state, *table, origin, created, config] for table in tables or [[None, [], [], [], 0, 0]]]
