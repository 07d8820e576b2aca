"""What W&B's signs do: `+ - * / % **`, comparisons, `and`, `or`, `!` and the minus before a value."""

from collections.abc import Iterator
from dataclasses import replace
from math import isfinite

from analysis.engine.sqltext import literal
from analysis.wandb_syntax import Binary, Literal, Node, Unary, refused, spelled
from analysis.wandb_values import NULL, Item, Thing, Value, advice, described, of_kind, over, single

_SUMS = ("add", "mul", "minus", "concat")  # what binds tighter than a comparison


def combined(node: Binary, left: Thing, right: Thing, fresh: Iterator[str]) -> Thing:
    """What a sign makes of its two sides; raises BadInput where they do not fit it."""
    if node.op in ("and", "or"):
        return _joined(node, left, right)
    if node.op in ("==", "!=", "<", "<=", ">", ">="):
        if isinstance(left, Value) and isinstance(right, Value):
            return _equal(node, left, right) if node.op in ("==", "!=") else _ordered(node, left, right)
        raise _list_compared(node, left, right)
    second = single(right, node, f"the right side of {node.op}", spelled(node.right))
    return over(left, node, node.op, lambda first: _computed(node, first, second), fresh)


def turned(node: Unary, operand: Thing, fresh: Iterator[str]) -> Thing:
    """What `-` or `!` makes of what follows it."""
    if node.op == "!":
        value = of_kind("boolean", operand, node, "!")
        return Value(f"NOT {value.inside()}", "boolean", "not")
    written = node.operand.value if isinstance(node.operand, Literal) else None
    if isinstance(written, int | float) and not isinstance(written, bool):
        return given(-written or -0.0)
    return over(operand, node, "-", lambda value: _negative(node, value), fresh)


def given(value: str | float | bool | None) -> Value:
    """A value that is written out."""
    if value is None:
        return NULL
    if isinstance(value, bool | str):
        return Value(literal(value), "boolean" if isinstance(value, bool) else "text", given=True)
    return Value(literal(value), "number", floating=not isfinite(value), double=isinstance(value, float), given=True)


def is_null(value: Value, no: bool = False) -> Value:
    """Whether a value is null, or with `no`, is not."""
    if value.given or value.kind == "null":
        return Value(literal(no == value.given), "boolean", given=True)
    sql = f"{value.clean().inside(*_SUMS)} IS {'NOT ' if no else ''}NULL"
    return Value(sql, "boolean", "compare")


def same_kind(one: Value, other: Value) -> bool:
    """Whether two values could be equal."""
    return one.kind == other.kind or "other" in (one.kind, other.kind)


def filled(text: Value) -> str:
    """A text that follows an operator, where null counts as empty."""
    return text.inside() if text.given else f"coalesce({text.sql}, '')"


def _negative(node: Node, operand: Value) -> Value:
    value = of_kind("number", operand, node, "-")
    return replace(value, sql=f"-{value.doubled()}", top="minus", double=True, given=False)


def _joined(node: Binary, left: Thing, right: Thing) -> Value:
    one, other = of_kind("boolean", left, node, node.op), of_kind("boolean", right, node, node.op)
    first, second = one.inside(node.op, "compare", "not"), other.inside("compare", "not")
    return Value(f"{first} {node.op.upper()} {second}", "boolean", node.op)


def _list_compared(node: Binary, left: Thing, right: Thing) -> Exception:
    """W&B would compare item by item, and take the list of answers for true."""
    side, found = ("right", right) if isinstance(left, Value) else ("left", left)
    hint = advice(found)
    if described(found) == "a list":
        one = spelled(node.left) + ("" if isinstance(left, Value) else "[0]")
        other = spelled(node.right) + ("" if isinstance(right, Value) else "[1]" if one != "…" else "[0]")
        reason = "W&B compares each of its items, and a list that is not empty counts as true"
        hint = f"{reason}: compare one, as in {one} {node.op} {other}"
    return refused(node, f"the {side} side of {node.op} is {described(found)}", hint)


def _equal(node: Binary, one: Value, other: Value) -> Value:
    """Strict and total: null equals null and nothing else, and values of different kinds differ."""
    no = node.op == "!="
    if "null" in (one.kind, other.kind):
        return is_null(one if other.kind == "null" else other, no)
    if not same_kind(one, other):
        if one.given or other.given:
            return Value(literal(no), "boolean", given=True)
        word = "or" if no else "and"
        sql = f"{is_null(one, no).sql} {word.upper()} {is_null(other, no).sql}"
        return Value(sql, "boolean", word)
    if "media" in (one.kind, other.kind):
        raise refused(node, f"{node.op} cannot compare media", "compare their digests")
    if not (one.given or other.given):
        one, other = one.clean(), other.clean()
    first, second = one.inside(*_SUMS), other.inside(*_SUMS)
    sql = f"{first} IS {'' if no else 'NOT '}DISTINCT FROM {second}"
    return Value(sql, "boolean", "compare")


def _ordered(node: Binary, one: Value, other: Value) -> Value:
    kinds = {one.kind, other.kind} - {"null", "other"}
    if len(kinds) > 1 or not kinds <= {"number", "text", "date"}:
        what = f"{described(one)} and {described(other)}"
        raise refused(node, f"{node.op} compares two numbers, two texts or two dates, not {what}")
    if "number" in kinds:
        one, other = (of_kind("number", value, node, node.op) for value in (one, other))
    elif "text" in kinds:
        one, other = (of_kind("text", value, node, node.op) for value in (one, other))
    sql = f"{one.clean().inside(*_SUMS)} {node.op} {other.clean().inside(*_SUMS)}"
    return Value(sql, "boolean", "compare")


def _computed(node: Binary, one: Value, other: Value) -> Item:
    if node.op == "+" and "text" in (one.kind, other.kind):
        left, right = of_kind("text", one, node, node.op), of_kind("text", other, node, node.op)
        sql = f"{left.inside('concat')} || {filled(right)}"
        return Value(sql, "text", "concat")
    left, right = of_kind("number", one, node, node.op), of_kind("number", other, node, node.op)
    # Infinities leave NaN behind: inf - inf, inf * 0. Only a number other than 0 is safe to divide by.
    divides = isinstance(node.right, Literal) and bool(node.right.value)
    floating = left.floating or right.floating or node.op == "**" or (node.op in "/%" and not divides)
    if node.op == "**":
        sql, top = f"pow({left.clean().doubled()}, {right.clean().sql})", ""
    elif node.op in "+-":
        sql, top = f"{left.doubled('add', 'mul')} {node.op} {right.inside('mul')}", "add"
    else:
        sql, top = f"{left.doubled('mul')} {node.op} {right.inside()}", "mul"
    return Value(sql, "number", top, floating, floating, double=True)
