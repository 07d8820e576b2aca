"""W&B's table rules in plain Python over lists of dicts: small, slow and obvious, to compare the SQL with.

The sections named are those of the notes on W&B's tables, made from its docs and its panel's source. Where we differ on
purpose `Rules` has a name for it: WANDB is what W&B does, OURS what we do.
"""

import json
import math
import statistics
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from string import ascii_lowercase
from typing import Any

from secondguess.analysis.tables.view import TableView

PlainRow = dict[str, Any]
Twins = Mapping[str, Callable[..., Any]]
"""What each SQL text of a view means: a function of a row, or for an aggregate of a group's rows."""


@dataclass(frozen=True)
class PlainTable:
    """Rows, and what each column holds: number, text, boolean, date or list.

    tables are the (run, epoch) that the rows are of; where they are several, groups show a summary of each.
    """

    kinds: Mapping[str, str]
    rows: Sequence[PlainRow] = field(default_factory=list)
    tables: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True)
class Rules:
    """Where we differ from W&B: True is our rule, False W&B's."""

    null_keys_stay: bool = True  # in an outer join, each row without a key a row of its own; W&B drops them
    empty_text_is_a_key: bool = True  # W&B drops it
    repeated_keys_are_refused: bool = True  # unless allowed; W&B multiplies without a word
    rows_keep_their_order: bool = True  # of repeated keys too: the first table's, then the second's; W&B: key by key
    column_per_side: bool = True  # guess_a, guess_b; W&B has one column, a list per cell
    key_keeps_its_name: bool = True  # and its kind, where all sides have the same; W&B: "Joined On", a text
    missing_is_null: bool = True  # W&B draws a missing side as 0
    null_is_a_group: bool = True  # of its own; W&B's is that of empty text
    groups_by_all_keys: bool = True  # in order; W&B by the first, then as they come
    count_is_n: bool = True  # rows or group_count where a column is called so; W&B: groupCount


OURS = Rules()
WANDB = Rules(**dict.fromkeys(Rules.__dataclass_fields__, False))


class Refused(Exception):
    """Rows would be multiplied."""


# Stacking and joining


@dataclass(frozen=True)
class Keyed:
    """A row of one side of a join: where it stands there, and its key."""

    place: float
    value: Any
    row: PlainRow | None


NONE = Keyed(math.inf, None, None)


def concatenated(tables: Sequence[PlainTable]) -> PlainTable:
    """Rows under each other in the tables' order, the union of their columns, null where one is lacking (section 3).

    Ours alone: a column of unlike kinds is text, as a column of a database has one type.
    """
    kinds: dict[str, str] = {}
    for name, kind in (column for table in tables for column in table.kinds.items()):
        kinds[name] = kind if kinds.get(name, kind) == kind else "text"
    texts = {name for table in tables for name, kind in table.kinds.items() if kinds[name] != kind}
    rows = [{name: row.get(name) for name in kinds} for table in tables for row in table.rows]
    of = tuple(each for table in tables for each in table.tables)
    rows = [{name: key_text(value) if name in texts else value for name, value in row.items()} for row in rows]
    return PlainTable(kinds, rows, of if len(of) > 1 else ())


def key_text(value: Any) -> str | None:
    """A key as JavaScript turns it into text, `'' + value`, objects by JSON (section 4, rule 1)."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return json.dumps(value, separators=(",", ":"))
    return _number_text(value) if isinstance(value, int | float) else value.isoformat()


def _number_text(value: float) -> str:
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    if value == int(value) and abs(value) < 1e21:
        return str(int(value))
    digits, _, power = repr(float(value)).partition("e")
    if not power:
        return digits
    if -7 < int(power) < 0:  # JavaScript writes 0.00001, Python 1e-05
        return f"{value:.{-int(power) + len(digits.replace('-', '').replace('.', '')) - 1}f}"
    return f"{digits}e{int(power):+d}"


def key_of(row: PlainRow, key: Sequence[str], rules: Rules) -> Any:
    """The first of the key columns that is not null (section 3); None for none, and for W&B's empty text."""
    value = next((row[name] for name in key if row[name] is not None), None)
    return None if value == "" and not rules.empty_text_is_a_key else value


def joined(
    tables: Sequence[PlainTable],
    how: str,
    key: Sequence[str] = ("id",),
    *,
    allow_duplicates: bool = False,
    rules: Rules = OURS,
) -> PlainTable:
    """Tables side by side (section 4): a row per key, for repeated keys one per combination of their rows.

    Keys come in order of first appearance. Raises Refused for repeated keys that are not allowed.
    """
    sides: list[dict[Any, list[Keyed]]] = []
    for number, table in enumerate(tables):
        sides.append({})
        for place, row in enumerate(table.rows):
            value = key_of(row, key, rules)
            if value is not None or rules.null_keys_stay:
                text: Any = key_text(value) if value is not None else ("no key", number, place)
                sides[-1].setdefault(text, []).append(Keyed(place, value, row))
    if rules.repeated_keys_are_refused and not allow_duplicates and any(len(r) > 1 for s in sides for r in s.values()):
        raise Refused
    texts = list(dict.fromkeys(text for side in sides for text in side))
    if how == "inner":
        texts = [text for text in texts if all(text in side for side in sides)]
    kinds = {table.kinds[name] for table in tables for name in key}
    plain = len(kinds) == 1 and "list" not in kinds and rules.key_keeps_its_name
    found: list[tuple[list[float], PlainRow]] = []
    for text in texts:
        value = next(held[0].value for side in sides if (held := side.get(text)))
        value = value if plain else key_text(value)
        for keyed in product(*(side.get(text, [NONE]) for side in sides)):
            row = _side_by_side(value, [each.row for each in keyed], tables, key, rules)
            found.append(([each.place for each in keyed], row))
    if rules.rows_keep_their_order:
        found.sort(key=lambda item: item[0])
    return PlainTable(_joined_kinds(tables, key, min(kinds) if plain else "text", rules), [row for _, row in found])


def _joined_columns(tables: Sequence[PlainTable], key: Sequence[str], rules: Rules) -> list[str]:
    """The union of the columns but for the key's (rules 5 and 6); ours keeps them where others stand in for one."""
    names = dict.fromkeys(name for table in tables for name in table.kinds)
    return [name for name in names if name not in key or (rules.column_per_side and len(key) > 1)]


def _side_by_side(
    value: Any, found: Sequence[PlainRow | None], tables: Sequence[PlainTable], key: Sequence[str], rules: Rules
) -> PlainRow:
    row: PlainRow = {key[0] if rules.key_keeps_its_name else "Joined On": value}
    for name in _joined_columns(tables, key, rules):
        cells = [None if side is None else side.get(name) for side in found]
        if rules.column_per_side:
            named = zip(ascii_lowercase, tables, cells, strict=False)
            row.update({f"{name}_{letter}": cell for letter, table, cell in named if name in table.kinds})
        else:
            row[name] = cells
    return row


def _joined_kinds(tables: Sequence[PlainTable], key: Sequence[str], kind: str, rules: Rules) -> dict[str, str]:
    if not rules.key_keeps_its_name:
        return {"Joined On": "text", **dict.fromkeys(_joined_columns(tables, key, rules), "list")}
    kinds = {key[0]: kind}
    for name in _joined_columns(tables, key, rules):
        sides = zip(ascii_lowercase, tables, strict=False)
        kinds |= {f"{name}_{letter}": table.kinds[name] for letter, table in sides if name in table.kinds}
    return kinds


def bars(cells: Sequence[float | None], rules: Rules = OURS) -> list[float | None]:
    """The lengths of the bars of a joined number (section 6)."""
    return [0 if cell is None and not rules.missing_is_null else cell for cell in cells]


# Filtering, grouping, sorting, paging (section 5: in this order)


def filtered(rows: Iterable[PlainRow], conditions: Iterable[Callable[[PlainRow], bool | None]]) -> list[PlainRow]:
    """The rows for which all conditions are true; null is not true (section 7)."""
    conditions = list(conditions)
    return [row for row in rows if all(condition(row) is True for condition in conditions)]


def grouped(
    table: PlainTable, by: Sequence[str], aggregates: Mapping[str, Callable[..., Any]], rules: Rules = OURS
) -> list[PlainRow]:
    """A row per value of the columns: these, the number of rows, aggregates, and a summary of each other column."""
    groups: list[tuple[PlainRow, list[PlainRow]]] = [] if by else [({}, list(table.rows))]
    for row in table.rows if by else ():
        key = {name: "" if row[name] is None and not rules.null_is_a_group else row[name] for name in by}
        members = next((held for known, held in groups if all(same(known[name], key[name]) for name in by)), None)
        if members is None:
            groups.append((key, [row]))
        else:
            members.append(row)
    count, others = count_column(table, rules), other_columns(table, by, aggregates)
    found = []
    for key, rows in groups:
        cells = {name: compute(rows) for name, compute in aggregates.items()}
        found.append({**key, count: len(rows), **cells, **{name: summary(name, table, rows) for name in others}})
    return ordered(found, [(name, False) for name in (by if rules.groups_by_all_keys else by[:1])])


def count_column(table: PlainTable, rules: Rules = OURS) -> str:
    """What the number of a group's rows is called: the first of three names that no column has."""
    if not rules.count_is_n:
        return "groupCount"
    taken = {name.lower() for name in table.kinds}
    return next(name for name in ("n", "rows", "group_count") if name not in taken)


def other_columns(table: PlainTable, by: Sequence[str], aggregates: Iterable[str]) -> list[str]:
    """The columns that a group summarises."""
    return [name for name in table.kinds if name not in {*by, *aggregates}]


def ordered(rows: Iterable[PlainRow], terms: Sequence[tuple[str | Callable[[PlainRow], Any], bool]]) -> list[PlainRow]:
    """Rows sorted by several terms, each with whether the largest comes first; ties stay as they are."""
    found = list(rows)
    for term, down in reversed(terms):
        found.sort(key=lambda row: rank(row[term] if isinstance(term, str) else term(row)), reverse=down)
    return found


def rank(value: Any) -> Any:
    """What values are sorted by: null is smallest, text goes by code point; ours: NaN is the largest number."""
    if value is None:
        return (0,)
    if isinstance(value, list):
        return (1, [rank(item) for item in value])
    broken = isinstance(value, float) and math.isnan(value)
    return (1, broken, 0 if broken else value)


def same(one: Any, other: Any) -> bool:
    """Equality that is total, as W&B's `==`: null equals null (section 7); ours: NaN equals NaN."""
    return bool(rank(one) == rank(other))


# What a group shows


def present(rows: Iterable[PlainRow], column: str) -> list[Any]:
    """A column's values without the nulls, which aggregates leave aside (section 7)."""
    return [row[column] for row in rows if row[column] is not None]


def total(values: Sequence[float]) -> float | None:
    return sum(values) if values else None


def mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None


def spread(values: Sequence[float]) -> float | None:
    """The population's standard deviation (section 7)."""
    return statistics.pstdev(values) if values else None


def least(values: Sequence[Any]) -> Any:
    return min(values, key=rank, default=None)


def greatest(values: Sequence[Any]) -> Any:
    return max(values, key=rank, default=None)


def at_most(rows: Sequence[PlainRow], shown: str, column: str, choose: Callable[..., PlainRow] = max) -> Any:
    """`argmax`, with min `argmin`: what is shown in the first of the rows with the extreme (section 7)."""
    held = [row for row in rows if row[column] is not None]
    return choose(held, key=lambda row: rank(row[column]))[shown] if held else None


LABELS = {"guess", "truth", "run", "epoch"}
PROBABILITIES = {"confidence", "truth_score", *(f"score_{number}" for number in range(10))}


def summary(column: str, table: PlainTable, rows: Sequence[PlainRow]) -> Any:
    """What a group shows of a column that it is not grouped by (section 6), ours in ten bins and ten values."""
    name, side = column.rpartition("_")[::2]
    base = name if len(side) == 1 and side in ascii_lowercase else column
    values, kind = present(rows, column), table.kinds[column]
    if base == "id":
        return sorted(values)[:5] or None
    if table.tables and (base in LABELS or kind in ("text", "boolean", "number")):
        whole = PlainTable(table.kinds, table.rows)
        parts = [[row for row in rows if (row["run"], row["epoch"]) == of] for of in table.tables]
        return [summary(column, whole, part) for part in parts]
    if base in LABELS or kind in ("text", "boolean"):
        top = sorted(Counter(row[column] for row in rows).items(), key=lambda item: (-item[1], rank(item[0])))
        return {"values": [{"value": value, "rows": count} for value, count in top[:10]], "distinct": len(top)}
    if kind == "number":
        whole = [value for value in present(table.rows, column) if math.isfinite(value)]
        low, high = (0, 1) if base in PROBABILITIES else (min(whole, default=None), max(whole, default=None))
        return {"low": low, "high": high, "counts": histogram(values, low, high)}
    return {"first": least(values), "last": greatest(values)} if kind == "date" else len(values)


def histogram(values: Iterable[float], low: Any, high: Any) -> list[int]:
    """How many of the finite values lie in each of ten bins of equal width, those on an edge in the upper one."""
    counts = [0] * 10
    for value in values:
        if math.isfinite(value):  # halves, as the difference of two numbers may be too large for one
            place = math.floor((value / 2 - low / 2) / (high / 2 - low / 2) * 10) if high > low else 0
            counts[max(0, min(9, place))] += 1
    return counts


# Steps


def at_step(epochs: Mapping[int, PlainTable], step: int, *, exact: bool = False) -> PlainTable | None:
    """The table at a step, else the last earlier one; with exact at that step or none (section 8)."""
    held = [epoch for epoch in epochs if epoch == step or (epoch < step and not exact)]
    return epochs[max(held)] if held else None


# A view


@dataclass(frozen=True)
class PlainPage:
    """A page of a view: its columns, its rows, and how many rows there are in all."""

    columns: Sequence[str]
    rows: Sequence[PlainRow]
    total: int


def base(view: TableView, tables: Mapping[str, PlainTable], rules: Rules = OURS) -> PlainTable:
    """The view's tables, stacked or joined."""
    chosen = [tables[name] for name in view.tables]
    if view.join is None:
        return concatenated(chosen)
    return joined(chosen, view.join, view.key, allow_duplicates=view.allow_duplicates, rules=rules)


def shown(view: TableView, table: PlainTable, added: Mapping[str, str], twins: Twins, rules: Rules = OURS) -> PlainPage:
    """A view of its stacked or joined rows; added says what its computed columns hold, twins what its SQL means."""
    rows = [{**row, **{name: twins[sql](row) for name, sql in view.add}} for row in table.rows]
    rows = filtered(rows, [twins[sql] for sql in view.where])
    table = PlainTable({**table.kinds, **added}, rows, () if {"run", "epoch"} <= {*view.group} else table.tables)
    rows = list(table.rows)
    if view.group or view.aggregate:
        rows = grouped(table, view.group, {name: twins[sql] for name, sql in view.aggregate}, rules)
    terms = [(twins.get(text.removeprefix("-"), text.removeprefix("-")), text.startswith("-")) for text in view.sort]
    rows = ordered(rows, terms)
    last = len(rows) if view.limit is None else view.offset + view.limit
    return PlainPage(view.columns or columns(view, table, rules), rows[view.offset : last], len(rows))


def columns(view: TableView, table: PlainTable, rules: Rules = OURS) -> list[str]:
    """The columns of a view that names none: all there are."""
    if not (view.group or view.aggregate):
        return list(table.kinds)
    aggregates = [name for name, _ in view.aggregate]
    return [*view.group, count_column(table, rules), *aggregates, *other_columns(table, view.group, aggregates)]
