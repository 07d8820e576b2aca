"""From what is asked (a question with references, or SQL) to the one statement that answers it."""

import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import duckdb

from analysis import catalog, guard, joins, scope
from analysis.errors import BadInput, Damaged, NotFound, Refused, listing
from analysis.questions import Question
from analysis.refs import Selection, parse, resolve, select
from analysis.scope import Relation
from analysis.sqltext import Statement
from analysis.store.records import Epoch
from analysis.store.runs import Run, list_runs

_RUNS = """SELECT run, state, table_name AS "table", epochs, list_sum(rows) AS rows, errors, origin, created, config
FROM runs"""


def question(
    con: duckdb.DuckDBPyConnection, store: Path, asked: Question, refs: Sequence[str], given: Mapping[str, object]
) -> Statement:
    """The statement that answers a question about these references.

    Raises NotFound for a reference that names nothing, BadInput for too many or too few, or a table without truth where
    the question needs it, and Refused for a question that is more than a SELECT.
    """
    values = asked.values(given)
    least, most = asked.tables
    if not least <= len(refs) <= (len(refs) if most is None else most):
        takes = f"{least}" if most == least else f"{least} or more" if most is None else f"{least} to {most}"
        raise BadInput(f"{asked.name} takes {takes} table references, as in cnn@5; {len(refs)} given")
    runs = _listed(store, lambda runs: [resolve(runs, ref, asked.epochs) for ref in refs])
    chosen = [_present(resolve(runs, ref, asked.epochs)) for ref in refs]
    for selection in chosen:
        if asked.truth and all(epoch.errors is None for epoch in selection.epochs):
            raise BadInput(f"{selection.name} has no truth, so nothing in it is right or wrong; {asked.name} needs it")
    found = _inspected(con, asked)
    relations: dict[str, Relation] = {}
    for name in found.relations:
        relations.update(_question_relation(name, chosen, runs))
    notes = [*_notes(runs[selection.run] for selection in chosen), *_row_notes(chosen)]
    if any(guard.folded(name) == "joined" for name in relations):
        notes += [report.line for report in joins.reports(con, chosen)]
    epochs = [epoch for selection in chosen for epoch in selection.epochs]
    names = scope.run_names(epochs)
    return Statement(
        scope=scope.ctes(relations),
        body=found.text,
        parameters=found.parameters,
        values=values,
        files=_files(relations),
        notes=tuple(notes),
        classes=_classes(relations.values()),
        order=tuple((names[epoch.run, epoch.table], epoch.epoch) for epoch in epochs),
    )


def sql(con: duckdb.DuckDBPyConnection, store: Path, text: str) -> Statement:
    """The statement that runs a person's SELECT over the store; raises Refused, or NotFound for an unknown relation."""
    found = guard.inspect(con, text)
    if found.parameters:
        raise BadInput(f"the SQL has the parameter ${found.parameters[0].name}, which nothing fills; write its value")
    runs = _listed(store, lambda runs: [selection for run in runs.values() for selection in _tables(run)])
    relations = {name: _free_relation(name, runs) for name in found.relations}
    return Statement(
        scope=scope.ctes(relations),
        body=found.text,
        files=_files(relations),
        notes=tuple(_notes(runs.values())),
        classes=_classes(relations.values()),
    )


def runs_statement(store: Path) -> Statement:
    """The statement that lists the runs."""
    runs = list_runs(store)
    relation = {"runs": catalog.runs(runs.values())}
    return Statement(scope.ctes(relation), _RUNS, notes=tuple(_notes(runs.values())))


def _listed(store: Path, chosen: Callable[[Mapping[str, Run]], Iterable[Selection]]) -> Mapping[str, Run]:
    """The runs of a store, listed again where a chosen file is gone: a compaction may just have removed it."""
    runs = list_runs(store)
    whole = all(epoch.file.is_file() for selection in chosen(runs) for epoch in selection.epochs)
    return runs if whole else list_runs(store)


def _inspected(con: duckdb.DuckDBPyConnection, asked: Question) -> guard.Inspected:
    try:
        found = guard.inspect(con, asked.sql)
    except Refused as error:
        raise Refused(f"question {asked.name!r}: {error}") from None
    known = {option.name for option in asked.options}
    if unknown := [parameter.name for parameter in found.parameters if parameter.name not in known]:
        raise BadInput(
            f"question {asked.name!r} uses ${unknown[0]}, which its header does not have; "
            f"add the line -- ${unknown[0]} int = null"
        )
    return found


def _question_relation(name: str, chosen: Sequence[Selection], runs: Mapping[str, Run]) -> dict[str, Relation]:
    """The relation of that name, over the tables asked about or, where none are, the whole store."""
    kind = guard.folded(name)
    if kind == "predictions":
        return {name: scope.stacked("predictions", chosen)}
    if kind == "joined":
        if len(chosen) < 2:
            raise BadInput(f"joined is tables side by side; name two, not {len(chosen)}")
        return scope.joined(chosen)
    if kind == "examples":
        return {name: scope.examples(epoch for selection in chosen for epoch in selection.epochs)}
    if kind == "runs":
        return {name: catalog.runs(runs.values())}
    if kind == "metrics":
        asked = dict.fromkeys(selection.run for selection in chosen) or runs
        return {name: scope.metrics(runs[run] for run in asked)}
    raise NotFound(f"a question reads predictions, joined, examples, runs or metrics; there is no {name!r}")


def _free_relation(name: str, runs: Mapping[str, Run]) -> Relation:
    """A relation of free SQL: a table's name over all runs, a reference, or one of the store's own."""
    folded = unicodedata.normalize("NFC", name).casefold()
    if folded == "runs":
        return catalog.runs(runs.values())
    if folded == "metrics":
        return scope.metrics(runs.values())
    tables = [selection for run in runs.values() for selection in _tables(run)]
    if folded == "examples":
        return scope.examples(epoch for selection in tables for epoch in selection.epochs)
    if named := [selection for selection in tables if selection.table.casefold() == folded]:
        kept = [selection for selection in map(_kept, named) if selection.epochs]
        return scope.stacked(name, kept or map(_present, named))
    known = {run.casefold(): run for run in runs}
    if folded.partition("@")[0].partition("/")[0] in known:
        ref = parse(name)
        run = runs[ref.run if ref.run in runs else known[ref.run.casefold()]]
        table = next((table for table in run.tables if table.casefold() == (ref.table or "").casefold()), ref.table)
        return scope.stacked(name, [_present(select(run, replace(ref, table=table), "all"))])
    raise NotFound(_no_relation(name, runs, sorted({selection.table for selection in tables})))


def _no_relation(name: str, runs: Mapping[str, Run], tables: Sequence[str]) -> str:
    has = "the store has no runs yet"
    if runs:
        one = next(iter(runs))
        has = f'the tables are: {listing(tables) or "none yet"}; the runs, as in FROM "{one}@last": {listing(runs)}'
    return f"no relation named {name!r}; {has}; besides there are examples, runs and metrics"


def _tables(run: Run) -> list[Selection]:
    return [Selection(run.name, table, tuple(epochs.values())) for table, epochs in run.tables.items()]


def _kept(selection: Selection) -> Selection:
    """The selection without the epochs whose file is gone."""
    return Selection(selection.run, selection.table, tuple(epoch for epoch in selection.epochs if epoch.file.is_file()))


def _present(selection: Selection) -> Selection:
    """The selection without the epochs whose file is gone; raises Damaged where none is left."""
    kept = _kept(selection)
    if selection.epochs and not kept.epochs:
        raise Damaged(f"{selection.name} is committed, but its file {selection.epochs[0].file} is missing; restore it")
    return kept


def _files(relations: Mapping[str, Relation]) -> frozenset[Path]:
    return frozenset(file for relation in relations.values() for file in relation.files)


def _notes(runs: Iterable[Run]) -> list[str]:
    """What is wrong in the runs' folders: records that cannot be read, files that are gone."""
    found: list[str] = []
    for run in runs:
        gone: dict[Path, list[Epoch]] = {}
        for epoch in (epoch for table in run.tables.values() for epoch in table.values()):
            if not epoch.file.is_file():
                gone.setdefault(epoch.file, []).append(epoch)
        found += run.faults
        found += [
            f"left out {epochs[0].run}/{epochs[0].table}@{listing(epoch.epoch for epoch in epochs)}: {file} is missing"
            for file, epochs in gone.items()
        ]
    return list(dict.fromkeys(found))


def _classes(relations: Iterable[Relation]) -> tuple[str, ...]:
    """The names behind score_0, score_1, … where all relations with scores agree on them."""
    found = {relation.classes for relation in relations if relation.classes}
    return min(found) if len(found) == 1 else ()


def _row_notes(chosen: Iterable[Selection]) -> list[str]:
    """What the counts leave aside: rows with NaN scores, rows without a label."""
    found = []
    for epoch in (epoch for selection in chosen for epoch in selection.epochs):
        name = f"{epoch.run}/{epoch.table}@{epoch.epoch}"
        if epoch.nan_scores:
            found.append(f"{name}: {epoch.nan_scores:,} of {epoch.rows:,} rows have NaN scores, so no confidence")
        if epoch.unlabelled and epoch.errors is not None:
            found.append(
                f"{name}: {epoch.unlabelled:,} of {epoch.rows:,} rows are unlabelled, so neither right nor wrong"
            )
    return found
