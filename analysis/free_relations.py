"""The relations that free SQL may name: tables over all runs, references, and the store's own."""

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import replace

from analysis import catalog, scope
from analysis.chosen import present, tables_of, whole
from analysis.errors import NotFound, listing
from analysis.refs import parse, select
from analysis.scope import Relation
from analysis.store.runs import Run


def free_relation(name: str, runs: Mapping[str, Run], *, judged: bool = False) -> Relation:
    """A relation of free SQL: a table's name over all runs, a reference, or one of the store's own.

    Where it is judged, a table has the column that says which rows are errors.
    """
    folded = unicodedata.normalize("NFC", name).casefold()
    if folded == "runs":
        return catalog.runs(runs.values())
    if folded == "metrics":
        return scope.metrics(runs.values())
    held = [selection for run in runs.values() for selection in tables_of(run)]
    if folded == "examples":
        return scope.examples(epoch for selection in held for epoch in selection.epochs)
    if named := [selection for selection in held if selection.table.casefold() == folded]:
        there = [selection for selection in map(whole, named) if selection.epochs]
        return scope.stacked(name, there or map(present, named), judged=judged)
    known = {run.casefold(): run for run in runs}
    if folded.partition("@")[0].partition("/")[0] in known:
        ref = parse(name)
        run = runs[ref.run if ref.run in runs else known[ref.run.casefold()]]
        table = next((table for table in run.tables if table.casefold() == (ref.table or "").casefold()), ref.table)
        selection = present(select(run, replace(ref, table=table), "all"))
        return scope.stacked(name, [selection], judged=judged)
    raise NotFound(_no_relation(name, runs, sorted({selection.table for selection in held})))


def _no_relation(name: str, runs: Mapping[str, Run], tables: Sequence[str]) -> str:
    has = "the store has no runs yet"
    if runs:
        one = next(iter(runs))
        has = f'the tables are: {listing(tables) or "none yet"}; the runs, as in FROM "{one}@last": {listing(runs)}'
    return f"no relation named {name!r}; {has}; besides there are examples, runs and metrics"
