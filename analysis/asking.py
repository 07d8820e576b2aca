"""From what is asked (a question with references, or SQL) to the one statement that answers it."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import duckdb

from analysis import catalog, guard, joins, scope
from analysis.errors import BadInput, Damaged, NotFound, listing
from analysis.questions import Question
from analysis.refs import Selection, parse, resolve
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
    the question needs it.
    """
    least, most = asked.tables
    if not least <= len(refs) <= (len(refs) if most is None else most):
        takes = f"{least}" if most == least else f"{least} or more" if most is None else f"{least} to {most}"
        raise BadInput(f"{asked.name} takes {takes} table references, as in cnn@5; {len(refs)} given")
    runs = list_runs(store)
    chosen = [_present(resolve(runs, ref, asked.epochs)) for ref in refs]
    for selection in chosen:
        if asked.truth and all(epoch.errors is None for epoch in selection.epochs):
            raise BadInput(f"{selection.name} has no truth, so nothing in it is right or wrong; {asked.name} needs it")
    found = guard.inspect(con, asked.sql)
    relations: dict[str, Relation] = {}
    for name in found.relations:
        relations.update(_question_relation(name, chosen, runs))
    notes = [*_notes(runs[selection.run] for selection in chosen), *_row_notes(chosen)]
    if "joined" in relations:
        notes += [report.line for report in joins.reports(con, chosen)]
    return Statement(
        scope=scope.ctes(relations),
        body=found.text,
        parameters=found.parameters,
        values=asked.values(given),
        files=_files(relations),
        notes=tuple(notes),
        order=tuple((selection.run, epoch.epoch) for selection in chosen for epoch in selection.epochs),
    )


def sql(con: duckdb.DuckDBPyConnection, store: Path, text: str) -> Statement:
    """The statement that runs a person's SELECT over the store; raises Refused, or NotFound for an unknown relation."""
    found = guard.inspect(con, text)
    if found.parameters:
        raise BadInput(f"the SQL has the parameter ${found.parameters[0].name}, which nothing fills; write its value")
    runs = list_runs(store)
    relations = {name: _free_relation(name, runs) for name in found.relations}
    return Statement(scope.ctes(relations), found.text, files=_files(relations), notes=tuple(_notes(runs.values())))


def runs_statement(store: Path) -> Statement:
    """The statement that lists the runs."""
    runs = list_runs(store)
    relation = {"runs": catalog.runs(runs.values())}
    return Statement(scope.ctes(relation), _RUNS, notes=tuple(_notes(runs.values())))


def _question_relation(name: str, chosen: Sequence[Selection], runs: Mapping[str, Run]) -> dict[str, Relation]:
    if name == "predictions":
        return {name: scope.stacked(name, chosen)}
    if name == "joined":
        return scope.joined(chosen)
    if name == "examples":
        return {name: scope.examples(epoch for selection in chosen for epoch in selection.epochs)}
    if name == "runs":
        return {name: catalog.runs(runs.values())}
    if name == "metrics":
        return {name: scope.metrics(runs[run] for run in dict.fromkeys(selection.run for selection in chosen))}
    raise NotFound(f"a question reads predictions, joined, examples, runs or metrics; there is no {name!r}")


def _free_relation(name: str, runs: Mapping[str, Run]) -> Relation:
    """A relation of free SQL: a table's name over all runs, a reference, or one of the store's own."""
    folded = name.casefold()
    if folded == "runs":
        return catalog.runs(runs.values())
    if folded == "metrics":
        return scope.metrics(runs.values())
    tables = {table.casefold(): table for run in runs.values() for table in run.tables}
    if folded == "examples":
        return scope.examples(
            epoch for run in runs.values() for epochs in run.tables.values() for epoch in epochs.values()
        )
    if folded in tables:
        held = [
            Selection(run.name, table, tuple(epochs.values()))
            for run in runs.values()
            for table, epochs in run.tables.items()
            if table.casefold() == folded
        ]
        return scope.stacked(name, map(_present, held))
    by_name = {run.casefold(): run for run in runs}
    if (ref := name.partition("@")[0].partition("/")[0].casefold()) in by_name:
        parse(name)
        return scope.stacked(name, [_present(resolve(runs, by_name[ref] + name[len(ref) :], "all"))])
    known = f"the tables {listing(sorted(set(tables.values())))}, the runs {listing(runs)}, " if tables else ""
    as_in = f' (a run is named as in FROM "{next(iter(runs))}@last")' if runs else ""
    raise NotFound(f"no relation named {name!r}; there are {known}examples, runs and metrics{as_in}")


def _present(selection: Selection) -> Selection:
    """The selection without the epochs whose file is gone; raises Damaged where none is left."""
    kept = tuple(epoch for epoch in selection.epochs if epoch.file.is_file())
    if selection.epochs and not kept:
        raise Damaged(f"{selection.name} is committed, but its file {selection.epochs[0].file} is missing; restore it")
    return Selection(selection.run, selection.table, kept)


def _files(relations: Mapping[str, Relation]) -> frozenset[Path]:
    return frozenset(file for relation in relations.values() for file in relation.files)


def _notes(runs: Iterable[Run]) -> list[str]:
    """What is wrong in the runs' folders: records that cannot be read, files that are gone."""
    found: list[str] = []
    for run in runs:
        epochs: list[Epoch] = [epoch for table in run.tables.values() for epoch in table.values()]
        found += run.faults
        found += [
            f"left out {epoch.run}/{epoch.table}@{epoch.epoch}: its file {epoch.file} is missing"
            for epoch in epochs
            if not epoch.file.is_file()
        ]
    return list(dict.fromkeys(found))


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
