"""What an expression's parts stand for in SQL: one value, a list, or the rows of a group, each with its kind."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Literal

from secondguess.analysis.engine.kinds import Kind
from secondguess.analysis.engine.sqltext import literal
from secondguess.analysis.language.syntax import Node, refused

_NAN = literal(float("nan"))
_SHORT = 40  # characters of SQL that may stand more than once
_TYPES = {"number": "DOUBLE", "text": "VARCHAR", "boolean": "BOOLEAN", "date": "TIMESTAMP"}
_KINDS = {
    "number": "a number",
    "text": "text",
    "boolean": "true or false",
    "date": "a date",
    "media": "media",
    "list": "a list",
    "other": "of an unknown kind",
    "null": "null",
}


@dataclass(frozen=True)
class Value:
    """One SQL expression.

    top is the operator outermost in it, "" where brackets are never needed round it. Of a number: floating, it may be
    NaN or infinite, and nan, it may be NaN; double, its type is DOUBLE. given: written out, and not null.
    """

    sql: str
    kind: Kind | Literal["null"]
    top: str = ""
    floating: bool = False
    nan: bool = False
    double: bool = False
    given: bool = False

    def inside(self, *tops: str) -> str:
        """The SQL as a part of another, in brackets unless its outermost operator is one of those named."""
        return self.sql if self.top in ("", *tops) else f"({self.sql})"

    def clean(self) -> "Value":
        """The value with NULL for NaN, as W&B's tables have it."""
        return replace(self, sql=f"nullif({self.sql}, {_NAN})", top="", nan=False) if self.nan else self

    def doubled(self, *tops: str) -> str:
        """The number as a DOUBLE, the only number that JavaScript has: of UTINYINT, 1 - 2 would overflow."""
        return self.inside(*tops) if self.double else f"{self.inside()}::DOUBLE"


@dataclass(frozen=True)
class Listed:
    """A SQL list; item is what one of it is, whatever SQL it has."""

    sql: str
    item: "Value | Listed"

    def at(self, sql: str) -> "Value | Listed":
        """What that SQL is, which stands for one item of the list."""
        return replace(self.item, sql=sql)

    def clean(self) -> "Listed":
        """The list with NULL for NaN."""
        cleaned = self.at("x").clean()
        return self if cleaned.sql == "x" else self.mapped("x", cleaned)

    def mapped(self, parameters: str, made: "Value | Listed") -> "Listed":
        """The list of what is made of each item, in which SQL's lambda names it so."""
        return Listed(f"list_transform({self.sql}, lambda {parameters}: {made.sql})", pattern(made))


Item = Value | Listed


@dataclass(frozen=True)
class KnownItems:
    """A list whose items are known one by one: a joined table's column, or `[a, b]`."""

    items: tuple[Item, ...]

    def listed(self) -> Listed:
        """The list as SQL, with NULL for NaN."""
        items = tuple(item.clean() for item in self.items)
        known = [item for item in items if isinstance(item, Listed) or item.kind != "null"]
        of = pattern(known[0] if known else NULL)
        if isinstance(of, Value):
            of = replace(of, floating=any(isinstance(item, Value) and item.floating for item in known))
        return Listed(f"[{', '.join(item.sql for item in items)}]", of)


@dataclass(frozen=True)
class WholeRow:
    """One row of the table."""


@dataclass(frozen=True)
class Group:
    """What there is of each row of a group, of those for which `where` (SQL) holds."""

    item: Item | KnownItems | WholeRow
    where: str = ""

    def over(self, aggregate: str) -> str:
        """An aggregate over those rows."""
        return f"{aggregate} FILTER (WHERE {self.where})" if self.where else aggregate

    def listed(self, sql: str) -> str:
        """The list of what each of those rows has, empty where there are none."""
        return f"coalesce({self.over(f'list({sql})')}, [])" if self.where else f"list({sql})"


Thing = Value | Listed | KnownItems | WholeRow | Group

NULL = Value("NULL", "null")


def missing(item: Item) -> Item:
    """NULL, as what the item is."""
    if isinstance(item, Listed):
        return replace(item, sql="NULL")
    typed = _cast("NULL", item.kind) if item.kind in _TYPES else "NULL"
    return Value(typed, item.kind, double=item.kind == "number")


def _cast(sql: str, kind: str) -> str:
    return f"CAST({sql} AS {_TYPES[kind]})"  # of x::TYPE no part may be taken


def pattern(item: Item) -> Item:
    """What an item is, without its SQL."""
    if isinstance(item, Listed):
        return replace(item, sql="")
    return Value("", item.kind, "", item.floating, item.nan)


def described(thing: Thing) -> str:
    """What a thing is, as a sentence says it."""
    if isinstance(thing, Value):
        return _KINDS[thing.kind]
    if isinstance(thing, Group):
        return "a whole group" if isinstance(thing.item, WholeRow) else "the list of the group's values"
    return "a whole row" if isinstance(thing, WholeRow) else "a list"


def advice(thing: Thing, spelling: str = "…") -> str:
    """How to get from a thing to one value."""
    if isinstance(thing, WholeRow):
        return 'name a column of it, as in row["guess"]'
    if isinstance(thing, Group):
        return 'make one value of it, as in row["score"].avg or row.map((row) => row["score"] * 2).max'
    return f"take one of its items, as in {spelling}[0]"


def single(thing: Thing, where: Node, taker: str, spelling: str = "…") -> Value:
    """The thing, where it is one value; raises BadInput saying what takes one."""
    if isinstance(thing, Value):
        return thing
    raise refused(where, f"{taker} takes one value, and this is {described(thing)}", advice(thing, spelling))


def of_kind(kind: Literal["number", "text", "boolean"], thing: Thing, where: Node, taker: str) -> Value:
    """The thing as a value of that kind, null and what is of an unknown kind as well; raises BadInput for another."""
    value = single(thing, where, taker)
    if value.kind == "null":
        return Value(_cast("NULL", kind), kind, double=kind == "number")
    if value.kind == "other":
        floating = kind == "number"
        return Value(_cast(value.sql, kind), kind, "", floating, floating, floating)
    if value.kind != kind:
        raise refused(where, f"{taker} takes {_KINDS[kind]}, and this is {_KINDS[value.kind]}")
    return value


def over(
    thing: Thing, where: Node, taker: str, make: Callable[[Value], Item], fresh: Iterator[str]
) -> Item | KnownItems:
    """What is made of a value, or of each item of a list; raises BadInput for what is neither."""
    if isinstance(thing, KnownItems):
        return KnownItems(tuple(_over(item, make, fresh) for item in thing.items))
    if isinstance(thing, Value | Listed):
        return _over(thing, make, fresh)
    raise refused(where, f"{taker} takes one value, and this is {described(thing)}", advice(thing))


def once(sql: str, fresh: Iterator[str], write: Callable[[str], str]) -> str:
    """What is written of a SQL that is repeated in it: a long one is computed once, as the one item of a list."""
    if len(sql) <= _SHORT:
        return write(sql)
    parameter = next(fresh)
    return f"list_transform([{sql}], lambda {parameter}: {write(parameter)})[1]"


def _over(item: Item, make: Callable[[Value], Item], fresh: Iterator[str]) -> Item:
    if isinstance(item, Value):
        return make(item)
    parameter = next(fresh)
    return item.mapped(parameter, _over(item.at(parameter), make, fresh))
