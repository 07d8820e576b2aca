"""Random tables and random views of them, each SQL text with what it means in Python."""

import datetime
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import table_rules as rules
from hypothesis import strategies as st
from table_rules import PlainRow, PlainTable, rank
from table_stores import COLUMNS, TYPES, Recorded, Store, seen

from secondguess.analysis.engine.sqltext import identifier
from secondguess.analysis.tables.view import TableView

# Random tables

IDS = st.one_of(
    st.integers(0, 8).map(lambda count: list("abcdefgh"[:count])),
    st.lists(st.sampled_from("abcdefgh"), unique=True, max_size=8),
    st.lists(st.sampled_from(["a", "b", "c", "", None]), max_size=7),
)


@st.composite
def stores(draw: st.DrawFn) -> Store:
    """One to four tables of up to three runs, some of them with two epochs, many with equal ids in equal order."""
    shared = draw(IDS)
    label = draw(st.sampled_from(["whole", "text"]))
    tables: dict[tuple[str, str], dict[int, Recorded]] = {}
    for number in range(draw(st.integers(1, 4))):
        run = draw(st.sampled_from(["one", "two", "Three: 3"]))
        types = {"id": "text", "guess": label}
        types |= {"truth": label} if draw(st.booleans()) else {}
        types |= draw(st.sampled_from([{}, {"confidence": "score", "score_0": "score", "score_1": "score"}]))
        types |= {
            name: draw(st.sampled_from(COLUMNS[name])) for name in sorted(draw(st.sets(st.sampled_from([*COLUMNS]))))
        }
        epochs = range(1, draw(st.sampled_from([2, 2, 3])))
        ids = [shared if draw(st.booleans()) else draw(IDS) for _ in epochs]
        tables[run, f"t{number}"] = {epoch: draw(recorded(types, ids[epoch - 1])) for epoch in epochs}
    return tables


@st.composite
def recorded(draw: st.DrawFn, types: Mapping[str, str], ids: Sequence[str | None]) -> Recorded:
    cell = {name: st.sampled_from(TYPES[type].values) for name, type in types.items() if name != "id"}
    return Recorded(types, [{"id": id, **{name: draw(values) for name, values in cell.items()}} for id in ids])


# Random views, and what their SQL means

Term = tuple[str, Callable[[PlainRow], Any]]


def conditions(name: str, kind: str) -> list[Term]:
    """SQL conditions on a column with what they mean; None where SQL has NULL."""
    column = identifier(name)

    def known(test: Callable[[Any], bool]) -> Callable[[PlainRow], bool | None]:
        return lambda row: None if row[name] is None else test(row[name])

    found: list[Term] = [(f"{column} IS NULL", lambda row: row[name] is None)]
    if kind == "number":
        found += [
            (f"{column} > 0.5", known(lambda value: rank(value) > rank(0.5))),
            (f"NOT {column} = 1", known(lambda value: value != 1)),
            (f"{column} IS DISTINCT FROM 1", lambda row: row[name] != 1),
            (f"{column} <= 1 OR {column} IS NULL", lambda row: row[name] is None or rank(row[name]) <= rank(1)),
        ]
    elif kind == "text":
        found += [
            (f"{column} = ''", known(lambda value: value == "")),
            (f"{column} LIKE '%e%'", known(lambda value: "e" in value)),
            (f"length({column}) < 2", known(lambda value: len(value) < 2)),
            (f"{column} >= 'a'", known(lambda value: value >= "a")),
        ]
    elif kind == "boolean":
        found += [(column, known(lambda value: value)), (f"NOT {column}", known(lambda value: not value))]
    elif kind == "date":
        found += [(f"{column} > DATE '2000-01-01'", known(lambda value: value > datetime.date(2000, 1, 1)))]
    elif kind == "list":
        found += [(f"len({column}) > 1", known(lambda value: len(value) > 1))]
    return found


def values(name: str, kind: str) -> list[tuple[str, str, Callable[[PlainRow], Any]]]:
    """SQL values computed of a column, what they hold, and what they mean."""
    column = identifier(name)
    found: list[tuple[str, str, Callable[[PlainRow], Any]]] = [
        (f"{column} IS NULL", "boolean", lambda row: row[name] is None),
        (f"({column})", kind, lambda row: row[name]),
    ]
    if kind == "number":
        found.append((f"coalesce({column}, 0) * 2", "number", lambda row: (row[name] or 0) * 2))
    return found


def aggregates(name: str, type: str) -> list[Term]:
    """SQL aggregates of a column and what they mean: functions of the rows."""
    column = identifier(name)

    def over(compute: Callable[[Sequence[Any]], Any]) -> Callable[[Any], Any]:
        return lambda rows: compute(rules.present(rows, name))

    found: list[Term] = [
        ("count(*)", lambda rows: len(rows)),
        (f"count({column})", over(len)),
        (f"max({column})", over(rules.greatest)),
        (f"min({column})", over(rules.least)),
    ]
    if type == "number":
        found += [(f"sum({column})", over(rules.total)), (f"avg({column})", over(rules.mean))]
    return found


@dataclass(frozen=True)
class Asked:
    """A view, the rows it begins with (None: refused), what its computed columns hold and what its SQL means."""

    view: TableView
    table: PlainTable | None
    added: Mapping[str, str]
    twins: rules.Twins


_MOST_ROWS = 60  # repeated keys of four tables may make thousands
ID = ("id",)
KEYS = (ID, ID, ("k",), ("j",), ("k", "j"), ("t", "id"), ("x",), ("d",), ("b",), ("l",), ("guess",), ("j", "x"))


def _refs(tables: Store) -> list[str]:
    return [f"{run}/{table}@{epoch}" for (run, table), epochs in tables.items() for epoch in epochs]


@st.composite
def stacks_of(draw: st.DrawFn, tables: Store) -> TableView:
    """A view that stacks some of the tables."""
    chosen = draw(st.lists(st.sampled_from(_refs(tables)), min_size=1, max_size=4, unique=True))
    return TableView(tuple(chosen))


@st.composite
def joins_of(draw: st.DrawFn, tables: Store) -> TableView:
    """A view that joins some of the tables; a table may be joined with itself."""
    chosen = draw(st.lists(st.sampled_from(_refs(tables)), min_size=2, max_size=4))
    view = TableView(tuple(chosen), join=draw(st.sampled_from(["inner", "outer"])))
    held = seen(tables, view).values()
    common = [key for key in KEYS if all(name in table.kinds for name in key for table in held)]
    return replace(view, key=draw(st.sampled_from(common)), allow_duplicates=draw(st.booleans()))


@st.composite
def asked(draw: st.DrawFn, tables: Store) -> Asked:
    """Any view of the tables."""
    view = draw(st.one_of(stacks_of(tables), joins_of(tables)))
    try:
        table = rules.base(view, seen(tables, view))
        if len(table.rows) > _MOST_ROWS:
            view = replace(view, tables=view.tables[:2])
            table = rules.base(view, seen(tables, view))
    except rules.Refused:
        return Asked(view, None, {}, {})
    twins: dict[str, Callable[..., Any]] = {}
    kinds = dict(table.kinds)
    columns = st.sampled_from([*kinds])
    if draw(st.integers(0, 3)) == 3:
        name = draw(columns)
        sql, kinds["more"], twins[sql] = draw(st.sampled_from(values(name, kinds[name])))
        view = replace(view, add=(("more", sql),))
    added = {name: kind for name, kind in kinds.items() if name not in table.kinds}
    for name in draw(st.lists(st.sampled_from([*kinds]), max_size=2)) if draw(st.booleans()) else ():
        if name not in added and draw(st.booleans()):
            value = draw(st.sampled_from([row[name] for row in table.rows] or [None]))
            how = draw(st.sampled_from(["only", "exclude"]))
            view = getattr(view, how)(name, value)
            twins[view.where[-1]] = _cell(name, value, how == "only")
        else:
            sql, twins[sql] = draw(st.sampled_from(conditions(name, kinds[name])))
            view = replace(view, where=(*view.where, sql))
    view = draw(arranged(view, PlainTable(kinds, table.rows), twins))
    limit, offset = draw(st.sampled_from([(None, 0), (3, 0), (2, 2), (5, 1), (0, 0), (None, 2), (4, 20)]))
    return Asked(replace(view, limit=limit, offset=offset), table, added, twins)


def _cell(name: str, value: Any, equal: bool) -> Callable[[PlainRow], bool]:
    return lambda row: rules.same(row[name], value) == equal


@st.composite
def arranged(draw: st.DrawFn, view: TableView, table: PlainTable, twins: dict[str, Callable[..., Any]]) -> TableView:
    """The view with groups, aggregates, a sort and columns."""
    group = tuple(draw(st.lists(st.sampled_from([*table.kinds]), min_size=1, max_size=2, unique=True)))
    if draw(st.booleans()):
        group = ()
    counted = []
    for number, name in enumerate(draw(st.lists(st.sampled_from([*table.kinds]), max_size=2 if group else 0))):
        sql, twins[sql] = draw(st.sampled_from(aggregates(name, table.kinds[name])))
        counted.append((f"of {number}", sql))
    view = replace(view, group=group, aggregate=tuple(counted))
    names = rules.columns(view, table)
    sortable = names[: len(group) + 1 + len(counted)] if group else names
    terms = draw(st.lists(st.sampled_from(sortable), max_size=2, unique=True))
    sort = []
    for name in terms:
        text = name if group == () else identifier(name)
        twins[text] = _value(name)
        sort.append(f"-{text}" if draw(st.booleans()) else text)
    whole = draw(st.integers(0, 11 if group else 3)) == 0  # what a group shows of all columns takes long to plan
    columns = None if whole else draw(st.lists(st.sampled_from(names), min_size=1, max_size=4, unique=True).map(tuple))
    return replace(view, sort=tuple(sort), columns=columns)


def _value(name: str) -> Callable[[PlainRow], Any]:
    return lambda row: row[name]
