"""What W&B's operators make of a list, and of the rows of a group, which SQL keeps in no order."""

from collections.abc import Mapping
from dataclasses import replace

from secondguess.analysis.language.operators import Reader, arguments, given, is_null, same_kind, slice_of, whole
from secondguess.analysis.language.syntax import Call, Lambda, Literal, Node, Unary, refused
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
    of_kind,
    once,
    pattern,
    single,
)

# What makes one number of a list of numbers, or of a group's; max and min also one date of dates.
_OF_LIST: Mapping[str, str] = {
    "argmax": "CASE WHEN list_max({0}) IS NOT NULL THEN list_position({0}, list_max({0})) - 1 END",
    "argmin": "CASE WHEN list_min({0}) IS NOT NULL THEN list_position({0}, list_min({0})) - 1 END",
    "avg": "list_avg({0})",
    "max": "list_max({0})",
    "min": "list_min({0})",
    "stddev": "list_stddev_pop({0})",
    "sum": "list_sum({0})",
}
_OF_GROUP: Mapping[str, str] = {
    "avg": "avg({0})",
    "max": "max({0})",
    "min": "min({0})",
    "stddev": "stddev_pop({0})",
    "sum": "sum({0})",
}
_ORDERED = ("argmax", "argmin", "index", "joinToStr", "limit", "offset")
_UNORDERED = ("contains", "count", "dropna", "filter", "map", "unique")

OF_LISTS = frozenset({*_OF_LIST, *_ORDERED, *_UNORDERED, "concat"})
"""The operators that take a list; any other is done to each item."""


def item_at(subject: Listed | KnownItems, key: Node, reader: Reader) -> Thing:
    """`list[key]`, counted from 0; null where there is none, as before the first."""
    minus = isinstance(key, Unary) and isinstance(key.operand, Literal)
    written = key.operand if isinstance(key, Unary) and minus else key
    number = written.value if isinstance(written, Literal) else None
    listed = subject.listed() if isinstance(subject, KnownItems) else subject
    if isinstance(number, int | float) and not isinstance(number, bool):
        place = -1 if (minus and number) or number != number // 1 else int(number)
        if place < 0 or place >= (len(subject.items) if isinstance(subject, KnownItems) else 2**31):
            return missing(listed.item)
        return subject.items[place] if isinstance(subject, KnownItems) else listed.at(f"{listed.sql}[{place + 1}]")
    at = of_kind("number", reader.thing(key), key, "[…]").clean()
    in_list = "CASE WHEN {0} BETWEEN 0 AND 2147483646 AND {0} = floor({0}) THEN {0}::BIGINT + 1 END"
    return listed.at(f"list_extract({listed.sql}, {once(at.inside(), reader.fresh, in_list.format)})")


def of_list(node: Call, subject: Listed | KnownItems, nodes: tuple[Node, ...], reader: Reader) -> Thing:
    """What an operator that takes a list makes of it."""
    if node.op == "index":
        return item_at(subject, arguments(node, nodes, 1, 1)[0], reader)
    if node.op == "map":
        return _mapped(node, subject, nodes, reader)
    if node.op == "count" and isinstance(subject, KnownItems):
        arguments(node, nodes, 0, 0)
        return given(len(subject.items))
    listed = subject.listed() if isinstance(subject, KnownItems) else subject
    if node.op in ("limit", "offset"):
        number = whole(arguments(node, nodes, 1, 1)[0], f".{node.op}")
        both = (0, number) if node.op == "limit" else (number, None)
        return replace(listed, sql=slice_of(listed.sql, *both))
    if node.op == "filter":
        body, parameter = _function(node, nodes, 1), next(reader.fresh)
        kept = of_kind("boolean", reader.apply(body, listed.at(parameter)), body.body, "the function of .filter")
        return replace(listed, sql=f"list_filter({listed.sql}, lambda {parameter}: {kept.sql})")
    if node.op == "joinToStr":
        return _joined(node, listed, nodes, reader)
    if node.op == "contains":
        return _contains(node, listed, nodes, reader)
    arguments(node, nodes, 0, 0)
    return _reduced(node, listed, reader) if node.op in _OF_LIST else _reshaped(node, listed.clean(), reader)


def _reduced(node: Call, listed: Listed, reader: Reader) -> Value:
    item = _numbers(node, listed.item, "the list's items are")
    if item is not listed.item:
        listed = Listed(f"{listed.sql}::DOUBLE[]", item)
    write = _OF_LIST[node.op].format
    sql = listed.clean().sql
    return _number(node, item, once(sql, reader.fresh, write) if node.op.startswith("arg") else write(sql))


def _numbers(node: Call, item: Item, said: str) -> Value:
    """One of the items that the operator takes, all of them numbers, or dates of which one is the last or the first."""
    if isinstance(item, Listed):
        hint = "take an item of each first, as in .map((x) => x[0]).avg"
        raise refused(node, f".{node.op} takes numbers, and {said} lists", hint)
    if item.kind == "other":
        return of_kind("number", item, node, f".{node.op}")
    if item.kind not in ("number", "null") and not (item.kind == "date" and node.op in ("max", "min")):
        raise refused(node, f".{node.op} takes numbers, and {said} {described(item)}")
    return item


def _number(node: Call, item: Value, sql: str) -> Value:
    floating = item.floating and not node.op.startswith("arg")
    nan = floating and node.op not in ("max", "min")  # inf and -inf have no sum
    return Value(sql, "date" if item.kind == "date" else "number", "", floating, nan, node.op in ("avg", "stddev"))


def _reshaped(node: Call, listed: Listed, reader: Reader) -> Thing:
    if node.op == "count":
        return Value(f"len({listed.sql})", "number")
    if node.op == "dropna":
        return replace(listed, sql=f"list_filter({listed.sql}, lambda x: x IS NOT NULL)")
    if node.op == "unique":
        item, place = next(reader.fresh), next(reader.fresh)
        first = f"list_filter({{0}}, lambda {item}, {place}: list_position({{0}}, {item}) = {place})"
        return replace(listed, sql=once(listed.sql, reader.fresh, first.format))
    if isinstance(listed.item, Value) and listed.item.kind != "other":
        raise refused(node, f".concat takes a list of lists, and the list's items are {described(listed.item)}")
    inner = listed.item.item if isinstance(listed.item, Listed) else listed.item
    return Listed(f"flatten({listed.sql})", inner)


def _joined(node: Call, listed: Listed, nodes: tuple[Node, ...], reader: Reader) -> Value:
    (part,) = arguments(node, nodes, 1, 1)
    separator = of_kind("text", reader.thing(part), part, ".joinToStr")
    if not separator.given:
        raise refused(part, ".joinToStr takes a text, written out")
    if not (isinstance(listed.item, Value) and listed.item.kind in ("text", "other", "null")):
        kinds = described(listed.item)
        raise refused(node, f".joinToStr takes texts, and the list's items are {kinds}", "make texts first: .toString")
    texts = f"list_transform({listed.sql}, lambda x: coalesce(x::VARCHAR, ''))"
    return Value(f"array_to_string({texts}, {separator.sql})", "text")


def _contains(node: Call, listed: Listed, nodes: tuple[Node, ...], reader: Reader) -> Value:
    (part,) = arguments(node, nodes, 1, 1)
    value = single(reader.thing(part), part, ".contains")
    _check_sought(node, listed.item, value, "the list's items are")
    if value.kind == "null":
        test = "list_count({0}) < len({0})"
    elif value.given:
        test = "list_contains({0}, {1})"
    else:  # nothing is said where what is sought is null
        test = "coalesce(list_contains({0}, {1}), list_count({0}) < len({0}))"
    sql = once(listed.clean().sql, reader.fresh, lambda short: test.format(short, value.clean().sql))
    return Value(sql, "boolean", "compare" if value.kind == "null" else "")


def _check_sought(node: Call, item: Item, value: Value, said: str) -> None:
    of = item if isinstance(item, Value) else Value("", "list")
    if "null" not in (value.kind, of.kind) and not same_kind(of, value):
        raise refused(node, f".contains looks for {described(value)}, and {said} {described(of)}")


def _mapped(node: Call, subject: Listed | KnownItems, nodes: tuple[Node, ...], reader: Reader) -> Thing:
    body = _function(node, nodes, 2)
    if isinstance(subject, KnownItems):
        made = (reader.apply(body, item, given(place)) for place, item in enumerate(subject.items))
        return KnownItems(tuple(_as_item(body, thing) for thing in made))
    parameter, place = next(reader.fresh), next(reader.fresh)
    item = _as_item(body, reader.apply(body, subject.at(parameter), Value(f"{place} - 1", "number", "add")))
    return subject.mapped(parameter if len(body.names) == 1 else f"{parameter}, {place}", item)


def _as_item(body: Lambda, thing: Thing) -> Item:
    if isinstance(thing, KnownItems):
        return thing.listed()
    if isinstance(thing, WholeRow | Group):
        raise refused(body.body, f"a function gives one value, and this is {described(thing)}", advice(thing))
    return thing


def _function(node: Call, nodes: tuple[Node, ...], most: int) -> Lambda:
    (body,) = arguments(node, nodes, 1, 1)
    if not isinstance(body, Lambda):
        raise refused(body, f".{node.op} takes a function", f"write .{node.op}((x) => …)")
    if not 1 <= len(body.names) <= most:
        wanted = "one parameter" if most == 1 else "one parameter, or two: an item and its place"
        raise refused(body, f"the function of .{node.op} has {wanted}; this one has {len(body.names)}")
    return body


def of_group(node: Call, subject: Group, nodes: tuple[Node, ...], reader: Reader) -> Thing:
    """What an operator that takes a list makes of a group's rows, or of their values."""
    if node.op in ("filter", "map"):
        body = _function(node, nodes, 1)
        made = reader.apply(body, subject.item, alone=True)
        if node.op == "map":
            return replace(subject, item=_as_item(body, made))
        return _where(subject, of_kind("boolean", made, body.body, "the function of .filter"))
    names = ", ".join(sorted({*_OF_GROUP, *_UNORDERED}))
    if node.op in _ORDERED:
        what = f".{node.op} needs the order of a group's rows, which SQL does not keep"
        raise refused(node, what, f"supported are {names}")
    if node.op not in (*_OF_GROUP, *_UNORDERED):
        what = f".{node.op} is not supported on {described(subject)}"
        raise refused(node, what, f"supported are {names}; row.map((row) => …) is done to each row")
    if node.op == "contains":
        return _group_contains(node, subject, nodes, reader)
    arguments(node, nodes, 0, 0)
    if node.op == "count":
        return Value(subject.over("count(*)"), "number")
    return _of_values(node, subject)


def _where(subject: Group, condition: Value) -> Group:
    sql = condition.inside("and", "compare", "not")
    return replace(subject, where=f"{subject.where} AND {sql}" if subject.where else sql)


def _of_values(node: Call, subject: Group) -> Thing:
    item = _values(node, subject)
    if node.op == "dropna":
        return _where(subject, is_null(single(item, node, ".dropna"), no=True))
    if node.op == "unique":
        # Sorted, since which of a group's rows comes first is nowhere written.
        sql = f"list_sort({subject.listed(f'DISTINCT {item.clean().sql}')})"
        return Listed(sql, pattern(item.clean()))
    number = _numbers(node, item, "the group's values are")
    return _number(node, number, subject.over(_OF_GROUP[node.op].format(number.clean().sql)))


def _values(node: Call, subject: Group) -> Item:
    if isinstance(subject.item, WholeRow):
        raise refused(node, f".{node.op} takes a list of values, and this is a whole group", advice(subject))
    return subject.item.listed() if isinstance(subject.item, KnownItems) else subject.item


def _group_contains(node: Call, subject: Group, nodes: tuple[Node, ...], reader: Reader) -> Value:
    (part,) = arguments(node, nodes, 1, 1)
    value = single(reader.thing(part), part, ".contains")
    item = single(_values(node, subject), node, ".contains")
    if not (value.given or value.kind == "null"):
        raise refused(part, "what .contains looks for in a group is written out")
    _check_sought(node, item, value, "the group's values are")
    same = is_null(item).sql if value.kind == "null" else f"{item.inside()} IS NOT DISTINCT FROM {value.sql}"
    return Value(f"coalesce({subject.over(f'bool_or({same})')}, false)", "boolean")
