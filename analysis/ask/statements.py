"""From what is asked (a question with references, or SQL) to the one statement that answers it."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import duckdb

from secondguess.analysis.ask import computed, scope, seen
from secondguess.analysis.ask.narrowing import narrowed, taken
from secondguess.analysis.ask.questions import Question, fitting
from secondguess.analysis.ask.refs import Runs, Selection, listed, present, resolve, row_notes, run_notes, tables_of
from secondguess.analysis.ask.relations import free_relation, runs_relation
from secondguess.analysis.ask.scope import Relation
from secondguess.analysis.engine import guard
from secondguess.analysis.engine.passages import FREE_SQL, Passage
from secondguess.analysis.engine.statement import JoinReport, Statement
from secondguess.analysis.errors import BadInput, NotFound, Refused, SecondguessError, listing
from secondguess.analysis.schema import AT_STEP, OUTCOME, STEP, TASKS, folded, whole_name
from secondguess.analysis.store.runs import list_runs
from secondguess.analysis.store.verified import MISSING

_RUNS = """SELECT run, state, table_name AS "table", {epochs}, list_sum(rows) AS rows, errors, origin, created, config
FROM runs"""


def question(
    con: duckdb.DuckDBPyConnection,
    store: Path,
    asked: Question,
    refs: Sequence[str],
    given: Mapping[str, object],
    known: Runs | None = None,
) -> Statement:
    """The statement that answers a question about these references.

    given are the question's options, and where and sort, which narrow its answer. known are the store's runs where they
    are listed already.

    Raises NotFound for a reference that names nothing, BadInput for too many or too few, or a table without truth where
    the question needs it, and Refused for a question that is more than a SELECT.
    """
    options, narrowing = taken(asked, given)
    values = asked.values(options)
    runs, chosen = _tables_asked(store, asked, refs, known)
    names = scope.run_names(runs, chosen)
    select = _inspected(con, asked)
    passage = Passage(f"the question {asked.name}", asked.sql, length=len(select.text.encode()))
    body = narrowed(con, passage, select, **narrowing)
    relations: dict[str, Relation] = {}
    reports: tuple[JoinReport, ...] = ()
    sides = 1
    for name in select.relations:
        if folded(name) == "joined":
            if len(chosen) < 2:
                raise BadInput(f"joined is tables side by side; name two, not {len(chosen)}")
            from secondguess.analysis.ask import joins

            added = computed.named(select.read, [f"_{side}" for side in joins.letters(len(chosen))])
            compared = select.names(OUTCOME)
            side_by_side = joins.joined(con, chosen, joins.Join(), added=added, compared=compared, run_names=names)
            relations.update(side_by_side.relations)
            reports, sides = side_by_side.reports, len(side_by_side.tables)
        else:
            relations[name] = _question_relation(name, chosen, runs, computed.named(select.read))
    epochs = [epoch for selection in chosen for epoch in selection.epochs]
    notes = [*run_notes(runs[name] for name in dict.fromkeys(selection.run for selection in chosen))]
    notes += [
        *(seen.notes(chosen, runs) if not reports else ()),
        *_merged(asked, select, chosen),
        *row_notes(chosen),
        *(note for note in scope.all_notes(relations) if note not in notes),
    ]
    return Statement(
        scope=scope.ctes(relations),
        body=body.sql,
        parameters=body.parameters,
        values=values,
        files=scope.all_files(relations),
        notes=tuple(notes),
        classes=scope.shared_classes(relations.values()),
        verdicts=scope.has_verdicts(relations),
        only_duckdb=f"{asked.name}: {asked.not_spark}" if asked.not_spark else "",
        left_out=STEP if asked.steps and not scope.has_steps(epochs) else None,
        order=tuple((names[epoch.run, epoch.table], epoch.moment) for epoch in epochs),
        drawn=asked.drawn,
        reports=reports,
        sides=sides,
        passages=body.passages,
    )


def sql(
    con: duckdb.DuckDBPyConnection, store: Path, text: str, known: Runs | None = None, sort: Sequence[str] = ()
) -> Statement:
    """The statement that runs a person's SELECT over the store; raises Refused, or NotFound for an unknown relation.

    known are the store's runs where they are listed already; sort are expressions over the answer's columns.
    """
    select = guard.inspect(con, text)
    if select.parameters:
        first = select.parameters[0]
        reason = f"the SQL has the parameter ${first.name}, which nothing fills; write its value"
        raise BadInput(reason, fault=Passage(FREE_SQL, text).fault(reason, first.start, first.length))
    runs, _ = listed(
        store, lambda runs: [selection for run in runs.values() for selection in tables_of(run)], known, used=False
    )
    before: set[str] = set()
    while True:  # until the same files are missing as before: one may be compacted while others are verified
        relations = {name: _free(name, runs, text, select) for name in select.relations}
        notes = run_notes(runs.values())
        missing = {note for note in notes if note.endswith(MISSING)}
        if missing == before:
            break
        before, runs = missing, list_runs(store)
    passage = Passage(FREE_SQL, text, length=len(select.text.encode()))
    body = narrowed(con, passage, select, sort=sort)
    return Statement(
        scope=scope.ctes(relations),
        body=body.sql,
        files=scope.all_files(relations),
        notes=(*notes, *(note for note in scope.all_notes(relations) if note not in notes)),
        classes=scope.shared_classes(relations.values()),
        verdicts=scope.has_verdicts(relations),
        passages=body.passages,
    )


def _free(name: str, runs: Runs, text: str, select: guard.Inspected) -> Relation:
    """A relation that a person's SQL names."""
    try:
        return free_relation(name, runs, computed.named(select.read))
    except SecondguessError as error:
        error.fault = Passage(FREE_SQL, text).fault(str(error), *select.places[name], name)
        raise


def runs_statement(store: Path) -> Statement:
    """The statement that lists the runs."""
    runs = list_runs(store)
    relation = {"runs": runs_relation(runs.values())}
    every = (moment for run in runs.values() for epochs in run.tables.values() for moment in epochs)
    epochs = "epochs" if all(moment.step is None for moment in every) else "validations AS epochs"
    return Statement(scope.ctes(relation), _RUNS.format(epochs=epochs), notes=tuple(run_notes(runs.values())))


def _tables_asked(
    store: Path, asked: Question, refs: Sequence[str], known: Runs | None
) -> tuple[Runs, list[Selection]]:
    """The store's runs, and the tables that a question is asked about, if they are as many and such as it needs."""
    least, most = asked.tables
    if not least <= len(refs) <= (len(refs) if most is None else most):
        takes = f"{least}" if most == least else f"{least} or more" if most is None else f"{least} to {most}"
        raise BadInput(f"{asked.name} takes {takes} table references, as in cnn@5; {len(refs)} given")
    runs, selections = listed(store, lambda runs: [resolve(runs, ref, asked.epochs) for ref in refs], known)
    chosen = [present(selection) for selection in selections]
    for selection in chosen:
        if unfit := [epoch for epoch in selection.epochs if epoch.task not in asked.tasks]:
            raise BadInput(
                f"{unfit[0].name} is a table of {TASKS[unfit[0].task]}, and {asked.name} is asked of tables of "
                f"{' or '.join(TASKS[task] for task in asked.tasks)}; of this one ask: "
                f"{listing(fitting(store, unfit[0].task))}"
            )
        lacks = [epoch.lacks for epoch in selection.epochs if epoch.lacks not in (None, "classes")]
        if asked.truth and len(lacks) == len(selection.epochs):
            raise BadInput(
                f"{selection.name} has no {lacks[0]}, so nothing in it is right or wrong; {asked.name} needs it"
                f"{_named(lacks[0] or '')}"
            )
        if given := [epoch for epoch in selection.epochs if epoch.right is not None and not asked.verdicts]:
            raise BadInput(
                f"the column {given[0].right!r} says which rows of {given[0].name} are right, not guess against truth, "
                f"which {asked.name} compares; ask errors or errors-over-time, or import it with --truth, not --right"
            )
        if repeated := [epoch for epoch in selection.epochs if not epoch.unique and asked.unique]:
            raise BadInput(
                f"{repeated[0].name} has an id that is missing or comes twice, and {asked.name} follows each example "
                "by its id; import it with an --id that tells its rows apart"
            )
    return runs, chosen


def _named(role: str) -> str:
    """How to name a role that a table lacks, where it was imported from one that has the column."""
    return "; import it with " + " and ".join(f"--{one} COLUMN" for one in role.split(" and "))


def _inspected(con: duckdb.DuckDBPyConnection, asked: Question) -> guard.Inspected:
    try:
        select = guard.inspect(con, asked.sql)
    except Refused as error:
        raise Refused(f"question {asked.name!r}: {error}", fault=error.fault) from None
    known = {option.name for option in asked.options}
    if unknown := [parameter.name for parameter in select.parameters if parameter.name not in known]:
        raise BadInput(
            f"question {asked.name!r} uses ${unknown[0]}, which its header does not have; "
            f"add the line -- ${unknown[0]} int = null"
        )
    return select


def _merged(asked: Question, select: guard.Inspected, chosen: Sequence[Selection]) -> Iterator[str]:
    """What to say of a question that takes an epoch as a whole, where several validations of one are asked about."""
    if select.names(AT_STEP) or select.names(STEP) or "predictions" not in map(folded, select.relations):
        return
    for selection in chosen:
        several = [epoch for epoch in selection.epochs if epoch.step is not None]
        counts = Counter((epoch.run, epoch.table, epoch.epoch) for epoch in selection.epochs)
        if twice := next((epoch for epoch in several if counts[epoch.run, epoch.table, epoch.epoch] > 1), None):
            yield (
                f"{asked.name} tells epochs apart, not their steps, and epoch {twice.epoch} of "
                f"{whole_name(twice.run, twice.table)} "
                f"has several validations: name {AT_STEP} beside epoch in its SQL"
            )


def _question_relation(name: str, chosen: Sequence[Selection], runs: Runs, added: Sequence[str]) -> Relation:
    """The relation of that name, over the tables asked about or, where none are, the whole store."""
    kind = folded(name)
    if kind == "predictions":
        return scope.stacked("predictions", chosen, added=added, names=scope.run_names(runs, chosen))
    if kind == "examples":
        return scope.examples(epoch for selection in chosen for epoch in selection.epochs)
    if kind == "runs":
        return runs_relation(runs.values())
    if kind == "metrics":
        asked = dict.fromkeys(selection.run for selection in chosen) or runs
        return scope.metrics(runs[run] for run in asked)
    raise NotFound(f"a question reads predictions, joined, examples, runs or metrics; there is no {name!r}")
