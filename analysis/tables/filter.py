"""The rows of a table view once its computed columns and its filters are applied."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import duckdb

from secondguess.analysis.ask import computed, scope
from secondguess.analysis.ask.relations import free_relation
from secondguess.analysis.ask.scope import Relation
from secondguess.analysis.engine import expressions
from secondguess.analysis.engine.expressions import Expression
from secondguess.analysis.engine.kinds import Kind, kind_of_sql
from secondguess.analysis.engine.passages import FILTER, WANDB_FILTER, Marks, Passage
from secondguess.analysis.engine.sqltext import identifier
from secondguess.analysis.errors import BadInput, Fault, SecondguessError
from secondguess.analysis.schema import folded
from secondguess.analysis.tables.rows import ViewRows
from secondguess.analysis.tables.view import TableView

_TAKEN = ("image", "content", "digest")


@dataclass(frozen=True)
class Filtered:
    """A view's rows before they are grouped, sorted and cut.

    source and where are the SQL after FROM, columns what there is to show. aggregates are the columns of a group, sort
    the terms with whether the largest comes first, both as SQL. as_read says that rows come as they were recorded;
    looked_up are columns that an expression needed, and nobody asked to see; sorted_by are those that the sort names.
    marks are those of what a person wrote in the SQL of all of these.
    """

    rows: ViewRows
    source: str
    where: str
    columns: Mapping[str, Kind]
    relations: Mapping[str, Relation]
    as_read: bool
    looked_up: frozenset[str]
    aggregates: Mapping[str, str]
    sort: Sequence[tuple[str, bool]]
    sorted_by: frozenset[str]
    marks: Marks

    def select(self, items: Iterable[str]) -> str:
        """A SELECT of these items from the rows."""
        return f"SELECT {', '.join(items)}\nFROM {self.source}{self.where}"


def filtered(con: duckdb.DuckDBPyConnection, rows: ViewRows, view: TableView) -> Filtered:
    """Apply a view's computed columns and filters, and read its aggregates and its sort.

    Raises BadInput for names that are taken or not there, Refused for what is more than an expression.
    """
    shown = {name: kind for name, kind in rows.columns.items() if name not in rows.hidden}
    _free(view, (*shown, *rows.hidden))
    grouped = bool(view.group or view.aggregate or view.wandb_aggregate)
    known = [*shown, *(name for name, _ in (*view.add, *view.wandb_add))]
    lookups = {name: place for name, place in _digests(rows).items() if name not in shown}
    known += lookups
    added = {name: expressions.expression(con, f"the column {name}", text, known) for name, text in view.add}
    where = [_condition(con, (rows, shown), text, known) for text in view.where]
    counted = {name: expressions.expression(con, f"the column {name}", text) for name, text in view.aggregate}
    sort = [_term(con, text, None if grouped else known) for text in view.sort]
    texts = [*added.values(), *where, *counted.values(), *(term for term, _ in sort)]
    relations = _named_relations(rows, texts)
    source, as_read = rows.source, rows.as_read and not any(text.ordered for text in texts)
    hidden = rows.judged
    named = {*(name for text in texts for name in text.columns), *map(folded, view.group)}
    if needed := {name: lookups[name] for name in lookups if {name, image_of(name)} & named}:
        source, as_read = _with_digests(rows, relations, needed), False
        shown |= dict.fromkeys(needed, "text")
        hidden |= frozenset(needed)
    marks = Marks()
    if added:
        source = _computed(source, {name: marks.put(text.sql, text.passage) for name, text in added.items()})
        shown |= _kinds(con, {**rows.relations, **relations}, marks.read(source)[0], list(added))
    conditions = [marks.put(text.sql, text.passage) for text in where]
    aggregates = {name: marks.put(text.sql, text.passage) for name, text in counted.items()}
    if view.wandb_add or view.wandb_filter or view.wandb_aggregate:
        from secondguess.analysis.tables import wandb

        values = wandb.values(rows, shown, view.wandb_add)
        if values:
            source = _computed(source, {name: sql for name, (sql, _) in values.items()})
            shown |= {name: kind for name, (_, kind) in values.items()}
        translated = wandb.conditions(rows, shown, view.wandb_filter)
        passages = [Passage(WANDB_FILTER, text, verbatim=False) for text in view.wandb_filter]
        conditions += map(marks.put, translated, passages)
        aggregates |= wandb.aggregates(rows, shown, view.wandb_aggregate)
    return Filtered(
        rows=rows,
        source=source,
        where="\nWHERE " + "\nAND ".join(conditions) if conditions else "",
        columns=shown,
        relations=relations,
        as_read=as_read,
        looked_up=hidden,
        aggregates=aggregates,
        sort=[(marks.put(term.sql, term.passage), down) for term, down in sort],
        sorted_by=frozenset(name for term, _ in sort for name in term.columns),
        marks=marks,
    )


def _condition(
    con: duckdb.DuckDBPyConnection, cells: tuple[ViewRows, Mapping[str, Kind]], text: str, known: Sequence[str]
) -> Expression:
    """A filter in SQL; raises SecondguessError, which of one in W&B's language says how SQL has it."""
    try:
        return expressions.expression(con, FILTER, text, known)
    except SecondguessError as error:
        from secondguess.analysis.tables import wandb

        try:
            sql = wandb.read(*cells, text)
        except BadInput as misread:
            raise BadInput(f"{error}; it reads as W&B's language, in which {misread}", fault=error.fault) from None
        if sql is None:
            raise
        reason = f"this is W&B's language, for which there is a filter of its own (--wandb-filter); in SQL it is: {sql}"
        fault = Fault(FILTER, text, reason, 0, len(text), instead=sql)
        raise BadInput(f"in {FILTER} {text!r}: {reason}", fault=fault) from None


def _free(view: TableView, shown: Iterable[str]) -> None:
    """Raise BadInput where a computed column is called as one that there is."""
    taken = {folded(name) for name in (*shown, *_TAKEN)}
    for name, _ in (*view.add, *view.wandb_add):
        if folded(name) in taken:
            raise BadInput(f"there is a column {name!r} already; call the computed one otherwise")


def _term(con: duckdb.DuckDBPyConnection, text: str, columns: Sequence[str] | None) -> tuple[Expression, bool]:
    value, down = (text, False) if text in (columns or ()) else expressions.order(text)
    if value.isdecimal() and value not in (columns or ()):
        raise BadInput(f"in the sort {text!r}: a number is no column; name one")
    return expressions.expression(con, "the sort", value, columns), down


def _named_relations(rows: ViewRows, texts: Iterable[Expression]) -> dict[str, Relation]:
    """The relations that subqueries in expressions name, but for those the view itself reads."""
    texts = list(texts)
    added = computed.named(frozenset().union(*(text.computed for text in texts)))
    own = {folded(name) for name in rows.relations}
    relations: dict[str, Relation] = {}
    for text in texts:
        for name, place in text.relations.items():
            if name not in relations and folded(name) not in own:
                try:
                    relations[name] = free_relation(name, rows.runs, added)
                except SecondguessError as error:
                    written = Passage(text.passage.what, text.passage.text)
                    error.fault = written.fault(str(error), *place, name)
                    raise
    return relations


def image_of(digest: str) -> str:
    """The name of the image whose digest this is: with the same suffix."""
    return digest.replace("digest", "image")


def _digests(rows: ViewRows) -> dict[str, tuple[str, str]]:
    """The digests of what the rows are about, each with the SQL of the examples' file and id."""
    return {f"digest{suffix}": place for suffix, place in rows.examples.items()}


def _with_digests(rows: ViewRows, relations: dict[str, Relation], needed: Mapping[str, tuple[str, str]]) -> str:
    """The rows with digests of what each is about, by the names they shall have."""
    if repeated := [epoch for epoch in rows.epochs if not epoch.unique]:
        raise BadInput(f"{repeated[0].name} has repeated or missing ids, so it is not known which row has which digest")
    relations["digests"] = scope.examples(rows.epochs, place=True)
    # Names that no column of the rows has, so that the SQL of file and id means the rows'.
    file, example = (_unlike(what, rows.columns) for what in ("digest's file", "digest's example"))
    digests = f"(SELECT examples AS {identifier(file)}, id AS {identifier(example)}, digest FROM digests)"
    items, joins = ["t.*"], []
    for number, (name, place) in enumerate(needed.items()):
        items.append(f"e{number}.digest AS {identifier(name)}")
        on = f"e{number}.{identifier(file)} = {place[0]} AND e{number}.{identifier(example)} = {place[1]}"
        joins.append(f"LEFT JOIN {digests} e{number} ON {on}")
    return f"(\nSELECT {', '.join(items)}\nFROM {rows.source} t\n{chr(10).join(joins)}\n)"


def _unlike(name: str, names: Iterable[str]) -> str:
    """The name, or one like it that is none of these."""
    taken = set(map(folded, names))
    while folded(name) in taken:
        name += "'"
    return name


def _computed(source: str, columns: Mapping[str, str]) -> str:
    items = [f"{sql} AS {identifier(name)}" for name, sql in columns.items()]
    return f"(\nSELECT *, {', '.join(items)}\nFROM {source}\n)"


def _kinds(
    con: duckdb.DuckDBPyConnection, relations: Mapping[str, Relation], source: str, names: Sequence[str]
) -> dict[str, Kind]:
    """What computed columns hold, found out by binding them."""
    listed = ", ".join(map(identifier, names))
    described = con.execute(f"DESCRIBE WITH {scope.ctes(relations)}\nSELECT {listed} FROM {source}").fetchall()
    return {name: kind_of_sql(str(row[1])) for name, row in zip(names, described, strict=True)}
