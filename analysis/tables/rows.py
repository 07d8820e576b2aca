"""The rows that a table view begins with: its tables stacked or joined, and where each row and its picture are from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import duckdb

from secondguess.analysis.ask import joins, refs, scope, seen
from secondguess.analysis.ask.joins import Join
from secondguess.analysis.ask.refs import Runs, Selection, listed, present, row_notes, run_notes
from secondguess.analysis.ask.scope import PLACE, Relation, RunNames
from secondguess.analysis.engine.kinds import Kind
from secondguess.analysis.engine.sqltext import identifier, literal
from secondguess.analysis.engine.statement import JoinReport
from secondguess.analysis.errors import BadInput, NotFound
from secondguess.analysis.moments import Moment
from secondguess.analysis.schema import STEP, WRONG, at_epoch, folded
from secondguess.analysis.store.records import Epoch
from secondguess.analysis.store.runs import Run
from secondguess.analysis.tables.view import TableView


@dataclass(frozen=True)
class ViewRows:
    """What a view reads: a relation to select from, its columns, and what its reader should know.

    order is the SQL that puts rows as they were recorded, the first table's first; as_read says that they come so.
    sides gives each column of the tables the names it has here: one, or one per side of a join (None: it lacks it).
    hidden are columns that only order rows; judged are those that say which rows are errors, there since the view may
    name them, and shown where it asks for them. names are what the column run says.
    examples gives a suffix ("" for what is common) the SQL of the examples' file and id that a row is about.
    """

    runs: Mapping[str, Run]
    selections: Sequence[Selection]
    names: RunNames
    relations: Mapping[str, Relation]
    source: str
    columns: Mapping[str, Kind]
    sides: Mapping[str, tuple[str | None, ...]]
    order: tuple[str, ...]
    as_read: bool
    notes: tuple[str, ...]
    reports: tuple[JoinReport, ...] = ()
    examples: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    hidden: frozenset[str] = frozenset()
    judged: frozenset[str] = frozenset()

    def base(self, column: str) -> str:
        """A column's name in its own table; nothing for one that is computed, or a label that is a real number."""
        own = next((base for base, names in self.sides.items() if column in names), "")
        return "" if own in self.real else own

    @property
    def real(self) -> frozenset[str]:
        """The guesses and truths that are real numbers: of a regression."""
        return frozenset(
            name
            for epoch in self.epochs
            for name, kind in epoch.columns
            if name in {"guess", "truth"} and kind in {"float", "double", "halffloat"}
        )

    @property
    def epochs(self) -> list[Epoch]:
        """The epochs that are read, in order."""
        return [epoch for selection in self.selections for epoch in selection.epochs]


def table_rows(con: duckdb.DuckDBPyConnection, store: Path, view: TableView, known: Runs | None = None) -> ViewRows:
    """Find and stack or join a view's tables, in the runs that are known or else in those that the store lists.

    Raises NotFound for a reference that names nothing, BadInput for tables that cannot be read together.
    """
    left_out: list[str] = []
    runs, selections = listed(store, lambda runs: _selected(runs, view, left_out), known)
    chosen = [present(selection) for selection in selections]
    notes = (*left_out, *run_notes(runs[selection.run] for selection in chosen), *row_notes(chosen))
    if view.join is not None:
        if len(chosen) < 2 and left_out:
            raise BadInput(f"one table is left to join; {'; '.join(left_out)}")
        return _joined(con, runs, chosen, view, notes)
    return _stacked(runs, chosen, view, (*notes, *seen.notes(chosen, runs)))


def _selected(runs: Mapping[str, Run], view: TableView, left_out: list[str]) -> list[Selection]:
    """The epoch of each table that the view is at; tables that have none by then are left out, and said."""
    left_out.clear()
    if view.at is None:
        return [refs.resolve(runs, table, "last") for table in view.tables]
    selections = []
    for table in view.tables:
        if refs.parse(table).epoch is not None:
            raise BadInput(f"{table} names its epoch, and so does --at {view.at}; leave one out")
        selection = refs.resolve(runs, table, "all")
        epochs = [epoch for epoch in selection.epochs if epoch.moment <= view.at]
        if view.exact:
            epochs = [epoch for epoch in epochs if _is_at(epoch.moment, view.at)]
        if epochs:
            selections.append(replace(selection, epochs=(epochs[-1],)))
        else:
            has = ", ".join(str(epoch.moment) for epoch in selection.epochs)
            left_out.append(
                f"left out {selection.name}: no epoch {'' if view.exact else 'up to '}{view.at}; it has {has}"
            )
    if not selections:
        raise NotFound(f"nothing to show at epoch {view.at}; {'; '.join(left_out)}")
    return selections


def _is_at(moment: Moment, at: Moment) -> bool:
    """Whether it is that moment: of an epoch that is named without a step any of it."""
    return moment == at if at.step is not None else moment.epoch == at.epoch


def _judged(view: TableView, names: Sequence[str]) -> frozenset[str]:
    """Those names, of columns that say which rows are errors, if the view may name one and calls no column so."""
    computed = {folded(name) for name, _ in (*view.add, *view.wandb_add)}
    texts = [*view.where, *view.group, *view.sort, *(view.columns or ())]
    texts += [text for _, text in (*view.add, *view.aggregate)]
    if computed.union(map(folded, view.key)) & set(names) or not any(WRONG in folded(text) for text in texts):
        return frozenset()
    return frozenset(names)


def _stacked(runs: Mapping[str, Run], chosen: Sequence[Selection], view: TableView, notes: tuple[str, ...]) -> ViewRows:
    names = [selection.name for selection in chosen]
    if twice := [name for name in names if names.count(name) > 1]:
        raise BadInput(f"{twice[0]} is named twice; stacked, a table stands once")
    epochs = [epoch for selection in chosen for epoch in selection.epochs]
    place = all(folded(column) != PLACE for epoch in epochs for column, _ in epoch.columns)
    called = scope.run_names(runs, chosen)
    judged = _judged(view, [WRONG])
    relation = scope.stacked(f"{', '.join(names)}", chosen, place=place, added=[WRONG] * bool(judged), names=called)
    source = names[0] if len(names) == 1 else "predictions"
    order = []
    places = [at_epoch(called[epoch.run, epoch.table], epoch.moment) for epoch in epochs]
    if len(places) > 1:
        step = f" || coalesce(':' || {STEP}, '')" if scope.has_steps(epochs) else ""
        order.append(f"list_position({literal(places)}, run || '@' || epoch{step})")
    return ViewRows(
        runs=runs,
        selections=chosen,
        names=called,
        relations={source: relation},
        source=identifier(source),
        columns=relation.columns,
        sides={name: (name,) for name in relation.columns if name not in {PLACE, WRONG}},
        order=(*order, PLACE if place else "id"),
        as_read=place and len(epochs) == 1,
        hidden=frozenset({PLACE}) if place else frozenset(),
        judged=judged,
        notes=notes,
        examples={"": ("examples", "id")} if "examples" in relation.columns else {},
    )


def _joined(
    con: duckdb.DuckDBPyConnection,
    runs: Mapping[str, Run],
    chosen: Sequence[Selection],
    view: TableView,
    notes: tuple[str, ...],
) -> ViewRows:
    epochs = [epoch for selection in chosen for epoch in selection.epochs]
    place = all(folded(column) != PLACE for epoch in epochs for column, _ in epoch.columns)
    join = Join(view.join or "inner", view.key, view.allow_duplicates)
    called = scope.run_names(runs, chosen)
    letters = joins.letters(len(chosen))
    judged = _judged(view, [f"{WRONG}_{side}" for side in letters])
    side_by_side = joins.joined(con, chosen, join, place=place, added=[WRONG] * bool(judged), run_names=called)
    relation = side_by_side.relations["joined"]
    by_id = len(view.key) == 1 and side_by_side.key == "id"
    seen = {side: f"examples_{side}" for side in letters if f"examples_{side}" in relation.columns}
    examples = {f"_{side}": (stem, "id" if by_id else f"id_{side}") for side, stem in seen.items()}
    if by_id and seen:
        examples[""] = (f"coalesce({', '.join(seen.values())})", "id")
    elif len(view.key) == 1 and side_by_side.key == "digest":  # the same picture on all sides: the first one's will do
        ids = ", ".join(f"id_{side}" for side in seen)
        examples[""] = (f"coalesce({', '.join(seen.values())})", f"coalesce({ids})")
    bases = dict.fromkeys(name for side in side_by_side.tables for name in side.columns if name not in {PLACE, WRONG})
    sides: dict[str, tuple[str | None, ...]] = {}
    for base in bases:
        names = tuple(f"{base}_{side}" if f"{base}_{side}" in relation.columns else None for side in letters)
        sides[base] = names if any(names) else (side_by_side.key,)
    return ViewRows(
        runs=runs,
        selections=chosen,
        names=called,
        relations=side_by_side.relations,
        source="joined",
        columns=relation.columns,
        sides=sides,
        order=tuple(f"{PLACE}_{side} NULLS LAST" for side in letters) if place else (identifier(side_by_side.key),),
        as_read=False,
        notes=notes,
        reports=side_by_side.reports,
        examples=examples,
        hidden=frozenset(f"{PLACE}_{side}" for side in letters) if place else frozenset(),
        judged=judged,
    )
