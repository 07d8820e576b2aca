"""A table view as the one statement that shows it."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, count
from pathlib import Path

import duckdb

from secondguess.analysis.ask import scope
from secondguess.analysis.ask.refs import Runs
from secondguess.analysis.ask.scope import Relation
from secondguess.analysis.engine.expressions import column
from secondguess.analysis.engine.sqltext import identifier, literal
from secondguess.analysis.engine.statement import Page, Statement
from secondguess.analysis.errors import BadInput
from secondguess.analysis.schema import STEP, folded, is_score, own_name
from secondguess.analysis.tables.filter import Filtered, filtered, image_of
from secondguess.analysis.tables.pictures import PictureColumns
from secondguess.analysis.tables.rows import table_rows
from secondguess.analysis.tables.summaries import MOST_SUMMED, range_of, summary
from secondguess.analysis.tables.view import TableView

_FILTERED, _PLACE = "filtered rows", "group in page"
_MOST_PARTS = 8  # tables that a summary keeps apart: those that have a look of their own where it is drawn


@dataclass(frozen=True)
class _Body:
    """The SELECT that shows a view, the one that counts its rows, and what both read besides the view's tables."""

    sql: str
    total: str
    relations: Mapping[str, Relation] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


Usual = Callable[[Sequence[str], Sequence[str]], Sequence[str]]
"""From a view's own columns and those of its examples to the ones to show where the view names none."""


def statement(
    con: duckdb.DuckDBPyConnection,
    store: Path,
    view: TableView,
    usual: Usual | None = None,
    known: Runs | None = None,
) -> Statement:
    """The statement that shows a view of the store's tables, with its page and what its joins did.

    usual chooses the columns where the view names none: all of its own, unless it is given. known are the store's runs
    where they are listed already.
    Raises NotFound and BadInput for tables and columns that are not there or do not fit, Refused for an expression that
    is more than a value.
    """
    rows = table_rows(con, store, view, known)
    whole = filtered(con, rows, view)
    grouped = view.group or view.aggregate or view.wandb_aggregate
    body = (_grouped if grouped else _plain)(con, whole, view, usual)
    relations = {**rows.relations, **whole.relations, **body.relations}
    sql, passages = whole.marks.read(body.sql)
    total, counted = whole.marks.read(body.total)
    return Statement(
        scope=scope.ctes(relations),
        body=sql,
        files=scope.all_files(relations),
        notes=(*rows.notes, *(note for note in scope.all_notes(relations) if note not in rows.notes), *body.notes),
        classes=scope.shared_classes(rows.relations.values()),
        verdicts=scope.has_verdicts(rows.relations),
        order=tuple((rows.names[epoch.run, epoch.table], epoch.moment) for epoch in rows.epochs),
        page=Page(total, view.limit, view.offset, counted),
        reports=rows.reports,
        drawn=("under", (view.key[0],)) if view.join is not None and not grouped else None,
        sides=len(rows.selections) if view.join is not None else 1,
        passages=passages,
    )


def _plain(con: duckdb.DuckDBPyConnection, whole: Filtered, view: TableView, usual: Usual | None) -> _Body:
    """Rows that are not grouped."""
    pictures = PictureColumns.of(con, whole.rows, whole.columns, view.columns, always=usual is not None)
    own_columns = [name for name in whole.columns if name not in whole.looked_up]
    names = _chosen(view, own_columns, {**whole.columns, **pictures.columns}, usual)
    terms = [_term(sql, down) for sql, down in whole.sort]
    if terms or not whole.as_read:
        terms += whole.rows.order
    page = _order(terms) + _page(view)
    total = f"SELECT count(*) FROM {whole.source}{whole.where}"
    own = [identifier(name) for name in names if name in whole.columns]
    if len(own) == len(names):
        return _Body(whole.select(own) + page, total)
    select = whole.select([*own, *pictures.places(names)]) + page
    return _Body(pictures.beside(select, names), total, pictures.relations)


def _grouped(con: duckdb.DuckDBPyConnection, whole: Filtered, view: TableView, usual: Usual | None) -> _Body:
    """A row per group: what it is grouped by, how many rows, the aggregates, a summary of each other column."""
    keys = [_key(name, whole) for name in view.group]
    count = _count(whole)
    _own_names(whole, keys, count)
    pictures = PictureColumns.of(con, whole.rows, whole.columns, view.columns, always=usual is not None)
    shown = [*keys, count, *whole.aggregates]
    others = [name for name in whole.columns if name not in keys]
    own = [*shown, *(name for name in others if name not in whole.looked_up)]
    own, notes = _summed(whole, view, own) if usual is None and view.columns is None else (own, ())
    names = _chosen(view, own, {**dict.fromkeys([*shown, *others]), **pictures.columns}, usual)
    others = [name for name in names if name in whole.columns and name not in keys and name not in whole.aggregates]
    others += [name for name in whole.columns if folded(name) in whole.sorted_by and name not in (*others, *keys)]
    tables = _told_apart(whole, view, keys)
    summed = {name: summary(name, whole.rows.base(name), whole.columns[name], tables) for name in others}
    seen = {name: pictures.first(name) for name in names if name in pictures.columns}
    items = [*map(identifier, keys), f"count(*) AS {count}"]
    items += [f"{sql} AS {identifier(name)}" for name, sql in whole.aggregates.items()]
    items += [f"{each.gathered} AS {identifier(name)}" for name, each in summed.items()]
    items += [f"{gathered} AS {identifier(name)}" for name, (gathered, _) in seen.items()]
    ranged = [name for name, each in summed.items() if each.ranges]
    source, beside, before = whole.source + whole.where, "", ""
    if ranged:
        ranges = f"SELECT {', '.join(map(range_of, ranged))}\nFROM {identifier(_FILTERED)}"
        before = f"WITH {identifier(_FILTERED)} AS (\n{whole.select(['*'])}\n),\nranges AS (\n{ranges}\n)\n"
        source, beside = f"{identifier(_FILTERED)}, ranges", ", ranges"
    by = f"\nGROUP BY {', '.join(map(identifier, keys))}" if keys else ""
    terms = [_term(sql, down) for sql, down in whole.sort] + [_term(identifier(name), False) for name in keys]
    groups = f"SELECT *\nFROM (\nSELECT {', '.join(items)}\nFROM {source}{by}\n)" + _order(terms) + _page(view)
    numbered = f"SELECT *, row_number() OVER () AS {identifier(_PLACE)}\nFROM (\n{groups}\n)"
    shows = {name: each.shown for name, each in summed.items()} | {name: shown for name, (_, shown) in seen.items()}
    listed = [f"{shows.get(name, identifier(name))} AS {identifier(name)}" for name in names]
    body = f"{before}SELECT {', '.join(listed)}\nFROM (\n{numbered}\n) page{beside}\nORDER BY page.{identifier(_PLACE)}"
    distinct = f"SELECT DISTINCT {', '.join(map(identifier, keys))} FROM {whole.source}{whole.where}"
    total = f"SELECT count(*) FROM (\n{distinct}\n)" if keys else "SELECT 1"
    return _Body(body, total, pictures.relations, notes)


def _summed(whole: Filtered, view: TableView, own: list[str]) -> tuple[list[str], tuple[str, ...]]:
    """The columns of groups where a view names none, and what is left out: 1,000 histograms take minutes to plan."""
    sides = len(view.tables) if view.join is not None else 1
    scores = [name for name in own if name not in whole.aggregates and is_score(own_name(name, sides)[0])]
    if len(scores) <= MOST_SUMMED:
        return own, ()
    said = f"left out the summaries of {len(scores):,} columns of scores; name those to see with --columns"
    return [name for name in own if name not in scores], (said,)


def _told_apart(whole: Filtered, view: TableView, keys: Sequence[str]) -> list[str]:
    """What tells the rows of each table that is stacked from the others'; nothing where a group has those of one."""
    rows = whole.rows
    several = len(rows.epochs) > 1 and view.join is None
    if not several or len(rows.epochs) > _MOST_PARTS or {"run", "epoch"} <= set(keys):
        return []
    steps = scope.has_steps(rows.epochs)
    return [
        " AND ".join(
            (
                f"run = {literal(rows.names[epoch.run, epoch.table])}",
                f"epoch = {epoch.epoch}",
                *([f"{STEP} IS NOT DISTINCT FROM {literal(epoch.step)}"] if steps else []),
            )
        )
        for epoch in rows.epochs
    ]


def _chosen(view: TableView, own: Sequence[str], known: Mapping[str, object], usual: Usual | None) -> list[str]:
    """The columns a view asks for, or the usual ones."""
    if view.columns is None:
        return list(own if usual is None else usual(own, [name for name in known if name not in own]))
    return [column("columns", name, known) for name in view.columns]


def _key(name: str, whole: Filtered) -> str:
    """The column that a group is of: an image's is its digest."""
    digests = {image_of(each): each for each in ("digest", *whole.looked_up) if each in whole.columns}
    return digests.get(folded(name)) or column("group", name, whole.columns)


def _count(whole: Filtered) -> str:
    """What the number of rows in a group is called: n, unless a column is."""
    taken = set(map(folded, whole.columns))
    names = chain(("n", "rows", "group_count"), (f"rows_{number}" for number in count(2)))
    return next(name for name in names if name not in taken)


def _own_names(whole: Filtered, keys: Sequence[str], count: str) -> None:
    """Raise BadInput where an aggregate is called as what a group has already."""
    taken = {folded(name): name for name in (*whole.columns, count)}
    for name in whole.aggregates:
        own = taken.get(folded(name))
        if own is not None and (own != name or name in keys or name == count):
            raise BadInput(f"a group has {own!r} already; call the aggregate {name!r} otherwise")


def _term(sql: str, down: bool) -> str:
    """A term of ORDER BY; NULL is smallest, as in W&B."""
    return f"{sql} DESC NULLS LAST" if down else f"{sql} ASC NULLS FIRST"


def _order(terms: Sequence[str] | Iterable[str]) -> str:
    listed = ", ".join(terms)
    return f"\nORDER BY {listed}" if listed else ""


def _page(view: TableView) -> str:
    limit = f"\nLIMIT {view.limit}" if view.limit is not None else ""
    return limit + (f"\nOFFSET {view.offset}" if view.offset else "")
