"""W&B's expression language over the rows of a table, as one DuckDB expression.

An operator does what W&B's open source does: null on its left gives null, `==` and `!=` are strict and never null,
`<` and arithmetic with a null give null, and a text to the right counts as empty where it is null. It differs on
purpose in this, where W&B means its browser unless its server is named:

* NaN reads as null, as W&B's client stores it, and so does a result that is NaN, such as 0 / 0. 1 / 0 is infinite,
  and 1 ** (1 / 0) is 1.
* `and`, `or` and `not` know three values, as in SQL: `true or null` is true. W&B makes it null and drops the row.
* To compare a list with a value is refused: W&B compares each item, and filters nothing. `isNone` of it likewise.
* Values of different kinds are unequal, `"1" == 1` is false; W&B's editor does not take the expression.
* Of no numbers, sum, avg, stddev, argmax and argmin are null, as on W&B's server; it gives 0, NaN, NaN, -1, -1.
* `contains` and `replace` take plain text, as W&B's documentation and server have it; it reads a regular expression.
  `findAll` takes one, in RE2's syntax (nothing looks ahead or back). To replace empty text changes nothing.
* `partition` by what is not in the text gives [text, "", ""], as on W&B's server; it repeats the separator.
* Texts are cut, split, measured and ordered by code points; W&B cuts by halves of an emoji.
* `coalesce` fills the nulls in a list; a list that is null stays null.
* `lower` and `upper` go letter by letter: "ß" does not become "SS".
* `toString` writes whole numbers to 9e18 in full, and others as SQL does: 1e-05, inf.
* Whole numbers beyond 2**53 are compared exactly.
* `<` and its like compare texts and dates as well; `not` binds loosely: `not a == b` is `!(a == b)`.
* The rows of a group have no order: `index`, `argmax`, `limit` and their like are refused, and `unique` is sorted.
  What is to be done to each row is written so: `row.map((row) => row["score"] * 2).avg`; rows are chosen with `filter`.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import count

from secondguess.analysis.engine.kinds import Kind
from secondguess.analysis.engine.sqltext import literal
from secondguess.analysis.errors import BadInput, listing
from secondguess.analysis.language.lists import OF_LISTS, item_at, of_group, of_list
from secondguess.analysis.language.operators import (
    FUNCTIONS,
    Reader,
    arguments,
    combined,
    date,
    given,
    operated,
    turned,
)
from secondguess.analysis.language.syntax import (
    Array,
    Binary,
    Call,
    Lambda,
    Literal,
    Misread,
    Name,
    Node,
    Pick,
    Unary,
    fault,
    parse,
    refused,
    spelled,
)
from secondguess.analysis.language.values import (
    Group,
    Item,
    KnownItems,
    Listed,
    Thing,
    Value,
    WholeRow,
    advice,
    described,
    missing,
    over,
    single,
)

__all__ = ["ColumnSql", "Translated", "parse", "translate"]

_LARGEST = 250_000  # characters of SQL
_STEPS = 100_000  # a function is read once for each table: in one another, that doubles with each


@dataclass(frozen=True)
class ColumnSql:
    """A table's column as an expression sees it: one SQL name, or for a joined table one per side (None: it lacks it).

    sql is quoted, and needs no brackets. kind is that of the value, of each side's where there are several; of is the
    kind of the items where it is a list. floating says that the numbers may be NaN, which reads as null: leave it
    true but for whole numbers and decimals.
    """

    sql: str | tuple[str | None, ...]
    kind: Kind
    of: Kind = "other"
    floating: bool = True


@dataclass(frozen=True)
class Translated:
    """An expression in SQL, to be put in brackets where it becomes part of another, and the kind of its value."""

    sql: str
    kind: Kind


@dataclass(frozen=True)
class _Scope:
    """What an expression can name: the columns of its row, variables, and names for SQL's lambdas; steps left."""

    cells: Mapping[str, ColumnSql]
    names: Mapping[str, Thing]
    fresh: Iterator[str]
    steps: Iterator[int]


def translate(text: str, cells: Mapping[str, ColumnSql], *, grouped: bool = False) -> Translated:
    """An expression over a row, or where it is grouped over the rows of a group, as SQL.

    Raises BadInput naming what is not supported and where, and unknown columns with those there are.
    """
    try:
        return _translated(text, cells, grouped)
    except Misread as error:
        error.fault = fault(text, error)
        raise


def _translated(text: str, cells: Mapping[str, ColumnSql], grouped: bool) -> Translated:
    tree = parse(text)
    name = "row"
    if isinstance(tree, Lambda):
        if len(tree.names) != 1:
            raise refused(tree, f"the function of a row has one parameter, not {len(tree.names)}", "write (row) => …")
        (name,), tree = tree.names, tree.body
    known = " ".join(str(cell.sql) for cell in cells.values()).casefold()
    fresh = (f"x{number}" for number in count(1) if f"x{number}" not in known)
    try:
        scope = _Scope(cells, {name: Group(WholeRow()) if grouped else WholeRow()}, fresh, iter(range(_STEPS)))
        return _answer(tree, _thing(tree, scope))
    except RecursionError:
        raise BadInput("the expression is nested too deeply; shorten it") from None


def _answer(tree: Node, thing: Thing) -> Translated:
    item = thing.item if isinstance(thing, Group) else thing
    if isinstance(item, WholeRow | Group):
        raise refused(tree, f"this is {described(thing)}", advice(thing))
    answer = (item.listed() if isinstance(item, KnownItems) else item).clean()
    if isinstance(thing, Group):
        return Translated(thing.listed(answer.sql), "list")
    if isinstance(answer, Listed):
        return Translated(answer.sql, "list")
    return Translated(answer.sql, "other" if answer.kind == "null" else answer.kind)


def _thing(node: Node, scope: _Scope) -> Thing:
    """What a part of the expression stands for."""
    if next(scope.steps, None) is None:
        raise refused(node, "the expression takes too many steps to read", "shorten it")
    thing: Thing
    if isinstance(node, Binary):
        thing = _chain(node, scope)
    elif isinstance(node, Literal):
        thing = given(node.value)
    elif isinstance(node, Name):
        thing = _named(node, scope, node.name)
    elif isinstance(node, Pick):
        thing = _picked(node, scope)
    elif isinstance(node, Call):
        thing = _called(node, scope)
    elif isinstance(node, Unary):
        thing = turned(node, _thing(node.operand, scope), scope.fresh)
    elif isinstance(node, Array):
        thing = _array(node, scope)
    else:
        what = "a function" if isinstance(node, Lambda) else "an object"
        raise refused(node, f"{what} is not supported here", 'write one value, such as row["guess"]')
    if _size(thing) > _LARGEST:
        raise refused(node, f"the SQL for this would be longer than {_LARGEST:,} characters")
    return thing


def _chain(node: Binary, scope: _Scope) -> Thing:
    """What signs in a row make; there may be thousands, of values left out one by one, and they lean to the left."""
    signs = [node]
    while isinstance(first := signs[-1].left, Binary):
        signs.append(first)
    thing = _thing(first, scope)
    for sign in reversed(signs):
        thing = combined(sign, thing, _thing(sign.right, scope), scope.fresh)
    return thing


def _size(thing: Thing) -> int:
    if isinstance(thing, KnownItems):
        return sum(len(item.sql) for item in thing.items)
    if isinstance(thing, Group):
        return len(thing.where) + _size(thing.item)
    return 0 if isinstance(thing, WholeRow) else len(thing.sql)


def _named(node: Node, scope: _Scope, name: str, rest: str = "") -> Thing:
    if name in scope.names:
        return scope.names[name]
    raise refused(node, f"{name}{rest} is not supported here", f"known here: {listing(scope.names)}")


def _array(node: Array, scope: _Scope) -> KnownItems:
    items = tuple(single(_thing(item, scope), item, "a list written out") for item in node.items)
    kinds = {item.kind for item in items} - {"null", "other"}
    if len(kinds) > 1 or not items:
        raise refused(node, "a list written out holds values of one kind" if items else "this list is empty")
    return KnownItems(items)


def _picked(node: Pick, scope: _Scope) -> Thing:
    target = _thing(node.target, scope)
    key = node.key.value if isinstance(node.key, Literal) and isinstance(node.key.value, str) else None
    if isinstance(target, WholeRow) or (isinstance(target, Group) and isinstance(target.item, WholeRow)):
        if key is None:
            raise refused(node.key, f"{spelled(node.target)}[…] takes the name of a column, in quotes")
        column = _column(node.key, key, scope)
        return replace(target, item=column) if isinstance(target, Group) else column
    if isinstance(target, Group):
        raise refused(node.key, "[…] needs the order of a group's rows, which SQL does not keep", advice(target))
    if key is not None:
        return _fields(node.key, target, _path(key), scope)
    if isinstance(target, Value) and target.kind == "other":
        target = _as_list(target)
    if isinstance(target, Listed | KnownItems):
        return item_at(target, node.key, _reader(scope))
    raise refused(node.key, f"[…] takes an item of a list, and this is {described(target)}")


def _as_list(value: Value) -> Listed:
    """What is of an unknown kind, where only a list can be meant."""
    return Listed(value.sql, Value("", "other"))


def _column(node: Node, key: str, scope: _Scope) -> Item | KnownItems:
    r"""A column by its name, dots and all, or by W&B's path, in which a dot leads into a struct, a `\.` does not."""
    path = _path(key)
    if key in scope.cells:
        return _cell(scope.cells[key])
    for length in range(len(path), 0, -1):
        if (name := ".".join(path[:length])) in scope.cells:
            return _fields(node, _cell(scope.cells[name]), path[length:], scope)
    if "*" in path:
        raise refused(node, "* is not supported here", "name one column, and of a list one item")
    raise refused(node, f"there is no column {key!r}", f"there are: {listing(scope.cells, 40)}")


def _path(key: str) -> list[str]:
    return [part.replace("\\.", ".") for part in re.split(r"(?<!\\)\.", key)]


def _fields(node: Node, thing: Thing, fields: list[str], scope: _Scope) -> Item | KnownItems:
    def inner(value: Value) -> Value:
        for field in fields:
            if value.kind != "other":
                raise refused(node, f"there is no {field!r} in what is {described(value)}")
            value = Value(f"struct_extract({value.sql}, {literal(field)})", "other")
        return value

    return over(thing, node, "[…]", inner, scope.fresh)


def _cell(cell: ColumnSql) -> Item | KnownItems:
    kind = cell.of if cell.kind == "list" else cell.kind
    floating = kind == "number" and cell.floating
    value = Value("", kind, "", floating, floating)
    known: Item = Listed("", value) if cell.kind == "list" else value
    if isinstance(cell.sql, str):
        return replace(known, sql=cell.sql)
    return KnownItems(tuple(missing(known) if sql is None else replace(known, sql=sql) for sql in cell.sql))


def _reader(scope: _Scope) -> Reader:
    def apply(function: Lambda, *things: Thing, alone: bool = False) -> Thing:
        own = dict(zip(function.names, things, strict=False))
        return _thing(function.body, replace(scope, names=own if alone else {**scope.names, **own}))

    read: dict[int, Thing] = {}

    def thing(node: Node) -> Thing:
        if id(node) not in read:
            read[id(node)] = _thing(node, scope)
        return read[id(node)]

    return Reader(thing, apply, scope.fresh)


def _called(node: Call, scope: _Scope) -> Thing:
    if node.target is not None:
        if isinstance(node.target, Name):
            _named(node.target, scope, node.target.name, f".{node.op}")
        return _applied(node, _thing(node.target, scope), node.arguments, scope)
    if node.op == "Date":
        return date(node)
    if node.op in FUNCTIONS and node.arguments:
        return _applied(node, _thing(node.arguments[0], scope), node.arguments[1:], scope)
    raise refused(node, f"{node.op}(…) is not supported here", f"supported are {', '.join(FUNCTIONS)} and Date")


def _applied(node: Call, subject: Thing, nodes: tuple[Node, ...], scope: _Scope) -> Thing:
    reader = _reader(scope)
    if isinstance(subject, WholeRow):
        raise refused(node, f".{node.op} is not supported on a whole row", advice(subject))
    if isinstance(subject, Group):
        return of_group(node, subject, nodes, reader)
    if isinstance(subject, Value) and subject.kind == "other" and node.op in OF_LISTS - {"contains"}:
        subject = _as_list(subject)
    if isinstance(subject, Listed | KnownItems) and node.op in OF_LISTS:
        return of_list(node, subject, nodes, reader)
    if isinstance(subject, Listed | KnownItems) and node.op == "isNone":
        arguments(node, nodes, 0, 0)
        if isinstance(subject, KnownItems):
            spelling = spelled(node.target) if node.target else "…"
            raise refused(node, ".isNone is never true of the list", advice(subject, spelling))
        return Value(f"{subject.sql} IS NULL", "boolean", "compare")
    return over(subject, node, f".{node.op}", lambda value: operated(node, value, nodes, reader), scope.fresh)
