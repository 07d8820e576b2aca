"""W&B's operators of one value as SQL: for each its name, what it takes, what it gives, and how it is written.

A null subject gives null; a null argument of a text operator counts as empty text.
"""

import datetime
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from math import isfinite

from secondguess.analysis.engine.kinds import Kind
from secondguess.analysis.engine.sqltext import literal
from secondguess.analysis.language.syntax import Binary, Call, Literal, Node, Unary, refused, spelled
from secondguess.analysis.language.values import (
    NULL,
    Item,
    Listed,
    Thing,
    Value,
    advice,
    described,
    of_kind,
    once,
    over,
    single,
)

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
    side, thing = ("right", right) if isinstance(left, Value) else ("left", left)
    hint = advice(thing)
    if described(thing) == "a list":
        one = spelled(node.left) + ("" if isinstance(left, Value) else "[0]")
        other = spelled(node.right) + ("" if isinstance(right, Value) else "[1]" if one != "…" else "[0]")
        reason = "W&B compares each of its items, and a list that is not empty counts as true"
        hint = f"{reason}: compare one, as in {one} {node.op} {other}"
    return refused(node, f"the {side} side of {node.op} is {described(thing)}", hint)


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


_FAR = 2**31  # beyond the end of any text or list
# What JavaScript calls white space; RE2's own \s is less.
_SPACE = r"[\s\v\p{Z}\x{FEFF}]+"

FUNCTIONS = ("abs", "cos", "levenshtein", "pow", "sin")
"""The operators that W&B writes as functions, `abs(x)`; here they may stand behind a dot as well."""


@dataclass(frozen=True)
class Operator:
    """One operator: the kind it gives, and how it is written, given the subject's SQL and each argument's.

    takes says of each argument what it is: a kind; or what must be written out, `whole`, a whole number or null,
    `digits`, a number of them, `written`, a text. Of them `least` are needed, all where it is None.
    clean: NaN must be NULL before; exact: the number keeps its own SQL type; repeats: the subject stands in it more
    than once. top is the SQL operator outermost.
    """

    gives: Kind
    write: Callable[..., str]
    takes: tuple[str, ...] = ()
    least: int | None = None
    clean: bool = False
    exact: bool = False
    repeats: bool = False
    top: str = ""


def slice_of(sql: str, start: int | None, end: int | None = None) -> str:
    """JavaScript's slice: from 0, the end left out, both counted from the end where negative."""
    first = "" if not start else str(start + 1 if start > 0 else start)
    last = "" if end is None else str(end if end >= 0 else end - 1)
    return f"{sql}[{first}:{last}]"


_NUMBERS = {
    "abs": Operator("number", "abs({0})".format),
    "ceil": Operator("number", "ceil({0})".format),
    "cos": Operator("number", "cos({0})".format),
    "floor": Operator("number", "floor({0})".format),
    "pow": Operator("number", "pow({0}, {1})".format, ("number",), clean=True),
    "round": Operator("number", "round_even({0}, 0)".format),
    "sin": Operator("number", "sin({0})".format),
    "toFixed": Operator("number", "round({0}, {1})".format, ("digits",)),
    "toString": Operator(
        "text",
        (
            "CASE WHEN {0} = trunc({0}) AND {0} BETWEEN -9e18 AND 9e18 THEN {0}::BIGINT::VARCHAR"
            " ELSE {0}::DOUBLE::VARCHAR END"
        ).format,
        clean=True,
        exact=True,
        repeats=True,
    ),
    # Seconds, milliseconds, microseconds or nanoseconds, whichever of them lies in the first thousand years from 1970.
    "toTimestamp": Operator(
        "date",
        (
            "make_timestamp_ms(floor(CASE WHEN {0} < -62135596800 THEN NULL WHEN {0} < 31536000000 THEN {0} * 1000"
            " WHEN {0} < 31536000000000 THEN {0} WHEN {0} < 31536000000000000 THEN {0} / 1000"
            " WHEN {0} < 31536000000000000000 THEN {0} / 1000000 END)::BIGINT)"
        ).format,
        clean=True,
        repeats=True,
    ),
}

_TEXTS = {
    "append": Operator("text", "{0} || {1}".format, ("text",), top="concat"),
    "contains": Operator("boolean", "contains({0}, {1})".format, ("text",)),
    "endsWith": Operator("boolean", "ends_with({0}, {1})".format, ("text",)),
    "findAll": Operator("list", "regexp_extract_all({0}, {1})".format, ("written",)),
    "isAlnum": Operator("boolean", "regexp_full_match({0}, '[A-Za-z0-9]+')".format),
    "isAlpha": Operator("boolean", "regexp_full_match({0}, '[A-Za-z]+')".format),
    "isNumeric": Operator("boolean", r"regexp_full_match({0}, '-|-?\d+(\.\d+)?|-?\.\d+')".format),
    "len": Operator("number", "length({0})".format),
    "levenshtein": Operator("number", "levenshtein({0}, {1})".format, ("text",)),
    "lower": Operator("text", "lower({0})".format),
    "lStrip": Operator("text", lambda sql: f"regexp_replace({sql}, '^{_SPACE}', '')"),
    "partition": Operator(
        "list",
        (
            "CASE WHEN {0} IS NOT NULL THEN [string_split({0}, {1})[1], CASE WHEN contains({0}, {1}) THEN {1} ELSE ''"
            " END, array_to_string(string_split({0}, {1})[2:], {1})] END"
        ).format,
        ("written",),
        repeats=True,
    ),
    "prepend": Operator("text", "{1} || {0}".format, ("text",), top="concat"),
    "replace": Operator("text", "replace({0}, {1}, {2})".format, ("text", "text")),
    "rStrip": Operator("text", lambda sql: f"regexp_replace({sql}, '{_SPACE}$', '')"),
    "slice": Operator("text", slice_of, ("whole", "whole"), least=1),
    "split": Operator("list", "string_split({0}, {1})".format, ("text",)),
    "startsWith": Operator("boolean", "starts_with({0}, {1})".format, ("text",)),
    "strip": Operator("text", lambda sql: f"regexp_replace({sql}, '^{_SPACE}|{_SPACE}$', '', 'g')"),
    "upper": Operator("text", "upper({0})".format),
}

# An operator says by its name which kind a value has whose own is not known.
_OF_KIND: Mapping[str, Mapping[str, Operator]] = {"number": _NUMBERS, "text": _TEXTS, "other": {**_NUMBERS, **_TEXTS}}


@dataclass(frozen=True)
class Reader:
    """How the arguments of an operator are read: `thing` for a value, `apply` for a function of so many things.

    What is applied `alone` knows its own parameters and no other names. fresh gives names for SQL's lambdas.
    """

    thing: Callable[[Node], Thing]
    apply: Callable[..., Thing]
    fresh: Iterator[str]


def arguments(node: Call, nodes: tuple[Node, ...], least: int, most: int) -> tuple[Node, ...]:
    """The arguments, of which there are so many; raises BadInput for more or fewer."""
    if least <= len(nodes) <= most:
        return nodes
    wanted = str(least) if least == most else f"{least} to {most}"
    raise refused(node, f".{node.op} takes {wanted} argument{'' if wanted == '1' else 's'}, not {len(nodes)}")


def whole(node: Node, taker: str) -> int | None:
    """A whole number that is written out, or null."""
    minus = isinstance(node, Unary) and node.op == "-"
    value = node.operand if isinstance(node, Unary) and minus else node
    if isinstance(value, Literal) and value.value is None and not minus:
        return None
    if isinstance(value, Literal) and type(value.value) is int:
        number = min(value.value, _FAR)
        return -number if minus else number
    raise refused(node, f"{taker} takes a whole number, written out")


def date(node: Call) -> Value:
    """`Date("2024-01-31")`; raises BadInput for what is no date in ISO 8601."""
    (text,) = arguments(node, node.arguments, 1, 1)
    try:
        written = text.value if isinstance(text, Literal) else None
        return Value(literal(datetime.datetime.fromisoformat(str(written))), "date", given=True)
    except ValueError:
        raise refused(text, "Date takes a date written out, such as 2024-01-31 or 2024-01-31T12:00:00") from None


def operated(node: Call, value: Value, nodes: tuple[Node, ...], reader: Reader) -> Item:
    """What an operator makes of one value; raises BadInput where it has none for it."""
    if node.op == "isNone":
        arguments(node, nodes, 0, 0)
        return is_null(value)
    if node.op == "coalesce":
        return _coalesced(node, value, nodes, reader)
    operators = _OF_KIND.get(value.kind, {})
    operator = operators.get(node.op)
    if operator is None:
        names = ", ".join(sorted({*operators, "coalesce", "isNone"}, key=str.casefold))
        raise refused(node, f".{node.op} is not supported on {described(value)}", f"supported are {names}")
    least = len(operator.takes) if operator.least is None else operator.least
    arguments(node, nodes, least, len(operator.takes))
    value = of_kind("number" if node.op in _NUMBERS else "text", value, node, f".{node.op}")
    read = [_argument(node, takes, part, reader) for takes, part in zip(operator.takes, nodes, strict=False)]
    subject = value.clean() if operator.clean else value
    whole_number = subject.kind == "number" and not operator.exact
    first = subject.doubled() if whole_number else subject.inside(operator.top)
    if operator.repeats:
        sql = once(first, reader.fresh, lambda short: operator.write(short, *read))
    else:
        sql = operator.write(first, *read)
    if operator.gives == "list":
        return Listed(sql, Value("", "text"))
    floating = operator.gives == "number" and (value.floating or node.op == "pow")
    double = node.op in _NUMBERS
    return Value(sql, operator.gives, operator.top, floating, floating, double)


def _argument(node: Call, takes: str, part: Node, reader: Reader) -> str | int | None:
    """An argument as the operator writes it."""
    taker = f".{node.op}"
    if takes in ("whole", "digits"):
        number = whole(part, taker)
        if takes == "digits" and not (number is not None and 0 <= number <= 100):
            raise refused(part, f"{taker} takes a number of digits, from 0 to 100")
        return number
    if takes == "number":
        return of_kind("number", reader.thing(part), part, taker).clean().inside()
    value = of_kind("text", reader.thing(part), part, taker)
    if takes == "written" and not value.given:
        raise refused(part, f"{taker} takes a text, written out")
    return filled(value)


def _coalesced(node: Call, value: Value, nodes: tuple[Node, ...], reader: Reader) -> Value:
    (part,) = arguments(node, nodes, 1, 1)
    other = single(reader.thing(part), part, ".coalesce")
    if "null" not in (value.kind, other.kind) and not same_kind(value, other):
        raise refused(node, f".coalesce takes two values of one kind, not {described(value)} and {described(other)}")
    known = other if value.kind in ("null", "other") and other.kind != "null" else value
    sql = f"coalesce({value.clean().sql}, {other.clean().sql})"
    floating = value.floating or other.floating
    return Value(sql, known.kind, "", floating)
