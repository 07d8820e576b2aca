"""The relations that free SQL may name: tables over all runs, references, and `runs`, what the records say of each."""

import json
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from secondguess.analysis.ask import scope
from secondguess.analysis.ask.refs import Selection, parse, present, select, tables_of, whole
from secondguess.analysis.ask.scope import Relation
from secondguess.analysis.engine.sqltext import literal
from secondguess.analysis.errors import NotFound, listing
from secondguess.analysis.store.runs import Run

_COLUMNS = {
    "run": "VARCHAR",
    "state": "VARCHAR",
    "table_name": "VARCHAR",
    "epochs": "INTEGER[]",
    "validations": "VARCHAR[]",
    "rows": "BIGINT[]",
    "errors": "BIGINT[]",
    "nan_scores": "BIGINT",
    "unlabelled": "BIGINT",
    "origin": "VARCHAR",
    "created": "TIMESTAMPTZ",
    "config": "JSON",
}


def runs_relation(known: Iterable[Run]) -> Relation:
    """One row per run and table, with the columns above; rows and errors are lists, in the order of epochs.

    created is when the run began, NULL of an imported one whose source does not say.
    validations are as references have them: an epoch, or a step of one.

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
    origin = None if about.get("origin") is None else str(about["origin"])
    config = json.dumps(about.get("config", {}), ensure_ascii=False)
    tables = [
        [
            *(table, [moment.epoch for moment in epochs], list(map(str, epochs))),
            [epoch.rows for epoch in epochs.values()],
            [epoch.errors for epoch in epochs.values()],
            sum(epoch.nan_scores for epoch in epochs.values()),
            sum(epoch.unlabelled for epoch in epochs.values()),
        ]
        for table, epochs in run.tables.items()
    ]
    return [
        [run.name, run.state, *table, origin, run.started, config] for table in tables or [[None, [], [], [], [], 0, 0]]
    ]


def free_relation(name: str, runs: Mapping[str, Run], added: Sequence[str] = ()) -> Relation:
    """A relation of free SQL: a table's name over all runs, a reference, or one of the store's own.

    added are computed columns that a table has besides.
    """
    folded = unicodedata.normalize("NFC", name).casefold()
    if folded == "runs":
        return runs_relation(runs.values())
    if folded == "metrics":
        return scope.metrics(runs.values())
    selections = [selection for run in runs.values() for selection in tables_of(run)]
    if folded == "examples":
        return scope.examples(epoch for selection in selections for epoch in selection.epochs)
    if named := [selection for selection in selections if selection.table.casefold() == folded]:
        return over_runs(name, named, added)
    known = {run.casefold(): run for run in runs}
    if folded.partition("@")[0].partition("/")[0] in known:
        ref = parse(name)
        run = runs[ref.run if ref.run in runs else known[ref.run.casefold()]]
        table = next((table for table in run.tables if table.casefold() == (ref.table or "").casefold()), ref.table)
        return scope.stacked(name, [present(select(run, replace(ref, table=table), "all"))], added=added)
    raise NotFound(_no_relation(name, runs, sorted({selection.table for selection in selections})))


def over_runs(name: str, selections: Sequence[Selection], added: Sequence[str] = ()) -> Relation:
    """The tables of one name, under each other; raises Damaged where none has a file that is whole."""
    there = [selection for selection in map(whole, selections) if selection.epochs]
    return scope.stacked(name, there or map(present, selections), added=added)


def _no_relation(name: str, runs: Mapping[str, Run], tables: Sequence[str]) -> str:
    has = "the store has no runs yet"
    if runs:
        one = next(iter(runs))
        has = f'the tables are: {listing(tables) or "none yet"}; the runs, as in FROM "{one}@last": {listing(runs)}'
    return f"no relation named {name!r}; {has}; besides there are examples, runs and metrics"
