"""W&B's expressions in SQL give what W&B's rules give: by a slow interpreter of the tree, and by literal tables."""

import json
import math
import re
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from statistics import pstdev

import duckdb
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from secondguess.analysis.engine import guard
from secondguess.analysis.engine.sqltext import literal
from secondguess.analysis.errors import BadInput
from secondguess.analysis.language.syntax import Array, Binary, Call, Lambda, Literal, Name, Object, Pick, Unary
from secondguess.analysis.language.translate import ColumnSql, Translated, parse, translate

CON = duckdb.connect()

# ---------------------------------------------------------------------------------------------------------------------
# The interpreter: W&B's rules on Python's values. A row is a dict, a group a list of them, NaN and null are None.
# ---------------------------------------------------------------------------------------------------------------------

SPACE = "\t\n\v\f\r \u00a0\u1680\u2028\u2029\u202f\u205f\u3000\ufeff" + "".join(map(chr, range(0x2000, 0x200B)))


def evaluate(node, names):
    """The value of an expression."""
    if isinstance(node, Literal):
        return float(node.value) if isinstance(node.value, int) and not isinstance(node.value, bool) else node.value
    if isinstance(node, Name):
        return names[node.name]
    if isinstance(node, Array):
        return [evaluate(item, names) for item in node.items]
    if isinstance(node, Unary):
        return negated(node.op, evaluate(node.operand, names))
    if isinstance(node, Binary):
        return sign(node.op, evaluate(node.left, names), evaluate(node.right, names))
    if isinstance(node, Pick):
        return pick(evaluate(node.target, names), evaluate(node.key, names))
    assert isinstance(node, Call)
    target, *arguments = node.arguments if node.target is None else (node.target, *node.arguments)
    made = [
        (lambda *things, body=part: evaluate(body.body, {**names, **dict(zip(body.names, things, strict=False))}))
        if isinstance(part, Lambda)
        else evaluate(part, names)
        for part in arguments
    ]
    return operate(node.op, evaluate(target, names), made)


def negated(op, value):
    if isinstance(value, list):
        return [negated(op, item) for item in value]
    if value is None:
        return None
    return not value if op == "!" else -value


def sign(op, left, right):
    if op in ("and", "or"):
        decisive = op == "or"
        if decisive in (left, right):
            return decisive
        return None if None in (left, right) else not decisive
    if op in ("==", "!="):
        return (type(left) is type(right) and left == right) is (op == "==")
    if isinstance(left, list):
        return [sign(op, item, right) for item in left]
    if op == "+" and isinstance(left, str):
        return left + (right or "")
    if left is None or right is None:
        return None
    if op in ("<", "<=", ">", ">="):
        return {"<": left < right, "<=": left <= right, ">": left > right, ">=": left >= right}[op]
    return number(arithmetic(op, left, right))


def arithmetic(op, left, right):
    if op in "+-*":
        return {"+": left + right, "-": left - right, "*": left * right}[op]
    if op == "/":
        if right == 0:
            return math.nan if left == 0 else math.copysign(math.inf, left) * math.copysign(1, right)
        return left / right
    if op == "%":
        return math.nan if right == 0 or math.isinf(left) else math.fmod(left, right)
    try:
        return math.pow(left, right)
    except OverflowError:
        return -math.inf if left < 0 and right % 2 == 1 else math.inf
    except ValueError:
        if left == 0:
            return -math.inf if math.copysign(1, left) < 0 and right % 2 == 1 else math.inf
        return math.nan


def number(value):
    return None if math.isnan(value) else value


def pick(target, key):
    if isinstance(target, dict):
        return target[key]
    if target is None or key is None:
        return None
    if isinstance(key, str):
        return [pick(item, key) for item in target]
    return target[int(key)] if key == key // 1 and 0 <= key < len(target) else None


def operate(op, subject, arguments):
    if op == "isNone":
        return subject is None
    if op in OF_LIST and isinstance(subject, list):
        return OF_LIST[op](subject, *arguments)
    if isinstance(subject, list):
        return [operate(op, item, arguments) for item in subject]
    if op == "coalesce":
        return arguments[0] if subject is None else subject
    if subject is None:
        return None
    if isinstance(subject, str):
        return OF_TEXT[op](subject, *("" if part is None and op != "slice" else part for part in arguments))
    return OF_NUMBER[op](subject, *arguments)


def numbers(made):
    """An operator over the numbers there are, null of none."""

    def over(items):
        found = [item for item in items if item is not None]
        return made(found) if found else None

    return over


def total(found):
    try:
        return number(math.fsum(found))
    except (OverflowError, ValueError):
        return number(sum(found))


def unique(items):
    return [item for place, item in enumerate(items) if item not in items[:place]]


def whole(value):
    return None if value is None else int(value)


OF_LIST = {
    "argmax": lambda items: numbers(lambda found: float(items.index(max(found))))(items),
    "argmin": lambda items: numbers(lambda found: float(items.index(min(found))))(items),
    "avg": numbers(lambda found: number(total(found) / len(found)) if total(found) is not None else None),
    "contains": lambda items, sought: any(sign("==", item, sought) for item in items),
    "count": lambda items: float(len(items)),
    "dropna": lambda items: [item for item in items if item is not None],
    "filter": lambda items, test: [item for item in items if test(item)],
    "index": pick,
    "joinToStr": lambda items, separator: (separator or "").join(item or "" for item in items),
    "limit": lambda items, end: items[: whole(end)],
    "map": lambda items, made: [made(item, float(place)) for place, item in enumerate(items)],
    "max": numbers(max),
    "min": numbers(min),
    "offset": lambda items, start: items[whole(start) :],
    "stddev": numbers(pstdev),
    "sum": numbers(total),
    "unique": unique,
}


def fixed(value, digits):
    if abs(value) >= 2**53:
        return value
    return math.copysign(float(Decimal(value).quantize(Decimal(1).scaleb(-int(digits)), ROUND_HALF_UP)), value)


def spelled(value):
    return str(int(value)) if abs(value) <= 9e18 and value == value // 1 else repr(value)


def integral(made):
    """As IEEE 754 has it, where a zero keeps the sign of what it comes from: Python's whole numbers have none."""
    return lambda value: value if math.isinf(value) else math.copysign(float(made(value)), value)


OF_NUMBER = {
    "abs": abs,
    "ceil": integral(math.ceil),
    "cos": lambda value: None if math.isinf(value) else math.cos(value),
    "floor": integral(math.floor),
    "pow": lambda value, power: sign("**", value, power),
    "round": integral(round),
    "sin": lambda value: None if math.isinf(value) else math.sin(value),
    "toFixed": fixed,
    "toString": spelled,
}


def letterwise(made):
    return lambda text: "".join(made(letter) if len(made(letter)) == 1 else letter for letter in text)


def split(text, separator):
    return text.split(separator) if separator else list(text)


def partition(text, separator):
    first, *rest = split(text, separator) or [None]
    return [first, separator if separator in text else "", separator.join(rest)]


def levenshtein(one, other):
    row = list(range(len(other) + 1))
    for i, letter in enumerate(one, 1):
        before, row = row, [i]
        for j, second in enumerate(other, 1):
            row.append(min(before[j] + 1, row[-1] + 1, before[j - 1] + (letter != second)))
    return float(row[-1])


OF_TEXT = {
    "append": lambda text, more: text + more,
    "contains": lambda text, part: part in text,
    "endsWith": lambda text, end: text.endswith(end),
    "findAll": lambda text, pattern: [found.group() for found in re.finditer(pattern, text)],
    "isAlnum": lambda text: bool(re.fullmatch("[a-zA-Z0-9]+", text)),
    "isAlpha": lambda text: bool(re.fullmatch("[a-zA-Z]+", text)),
    "isNumeric": lambda text: text != "" and bool(re.fullmatch(r"-?[0-9]*(\.[0-9]+)?", text)),
    "len": lambda text: float(len(text)),
    "levenshtein": levenshtein,
    "lower": letterwise(str.lower),
    "lStrip": lambda text: text.lstrip(SPACE),
    "partition": partition,
    "prepend": lambda text, more: more + text,
    "replace": lambda text, old, new: text.replace(old, new) if old else text,
    "rStrip": lambda text: text.rstrip(SPACE),
    "slice": lambda text, start, end=None: text[whole(start) : whole(end)],
    "split": split,
    "startsWith": lambda text, start: text.startswith(start),
    "strip": lambda text: text.strip(SPACE),
    "upper": letterwise(str.upper),
}

# ---------------------------------------------------------------------------------------------------------------------
# Random expressions, each of a kind, over random rows.
# ---------------------------------------------------------------------------------------------------------------------

COLUMNS = {
    "a": "DOUBLE",
    "b": "UTINYINT",
    "f": "FLOAT",
    "t": "VARCHAR",
    "u": "VARCHAR",
    "ok": "BOOLEAN",
    "nums": "DOUBLE[]",
    "words": "VARCHAR[]",
    "guess_a": "UTINYINT",
    "guess_b": "INTEGER",
    "score_b": "DOUBLE",
    "name_a": "VARCHAR",
    "name_b": "VARCHAR",
}
CELLS = {
    "a": ColumnSql('"a"', "number"),
    "b": ColumnSql('"b"', "number", floating=False),
    "f": ColumnSql('"f"', "number"),
    "t": ColumnSql('"t"', "text"),
    "u": ColumnSql('"u"', "text"),
    "ok": ColumnSql('"ok"', "boolean"),
    "nums": ColumnSql('"nums"', "list", of="number"),
    "words": ColumnSql('"words"', "list", of="text"),
    "guess": ColumnSql(('"guess_a"', '"guess_b"'), "number", floating=False),
    "score": ColumnSql((None, '"score_b"'), "number"),
    "name": ColumnSql(('"name_a"', '"name_b"'), "text"),
}
LETTERS = "abzAB é\u00c9\u00f1😀-.1\t'\"%_\\\u3000"
TEXTS = st.text(LETTERS, max_size=6) | st.sampled_from(["", "-1.5", "a,b,,c", "the cat", " \u00a0x\n", "\U0001f600a"])
NUMBERS = st.integers(-40, 40).map(lambda quarters: quarters / 4) | st.sampled_from([math.nan, math.inf, -0.0, 1e300])
VALUES = {
    "DOUBLE": NUMBERS,
    "FLOAT": NUMBERS.filter(lambda value: value != 1e300),
    "UTINYINT": st.integers(0, 9),
    "INTEGER": st.integers(-9, 9),
    "VARCHAR": TEXTS,
    "BOOLEAN": st.booleans(),
    "DOUBLE[]": st.lists(st.none() | NUMBERS, max_size=4),
    "VARCHAR[]": st.lists(st.none() | TEXTS, max_size=4),
}
RAW_ROWS = st.lists(
    st.fixed_dictionaries({name: st.none() | VALUES[kind] for name, kind in COLUMNS.items()}), min_size=1, max_size=4
)
WRITTEN = st.text("ab é😀.,%-", max_size=3) | st.sampled_from(["it's", 'say "a"', "\\d", "'; DROP TABLE t; --", "$1"])


def quoted(text):
    """A text as an expression has it; backslashes stand for themselves."""
    return '"' + text.replace('"', '\\"') + '"'


def column(names):
    return st.sampled_from(names).map(lambda name: f'row["{name}"]')


def either(*made):
    return st.one_of(*made)


def joined(form, *parts):
    """An expression of that form with a part of each kind, in brackets where they might be needed."""
    return st.tuples(*parts).map(lambda found: form.format(*found))


NUMBER = st.deferred(
    lambda: either(
        column(["a", "b", "f"]),
        st.sampled_from(["0", "1", "2.5", "1e2", ".25", "300", "null", "(-3)"]),
        joined("({} {} {})", NUMBER, st.sampled_from(["+", "-", "*", "/", "%", "**"]), NUMBER),
        joined("(-{})", NUMBER),
        joined("{}.{}", NUMBER.map(bracketed), st.sampled_from(["abs", "floor", "ceil", "round", "toFixed(1)"])),
        joined("abs({})", NUMBER),
        joined("{}.coalesce({})", NUMBER.map(bracketed), NUMBER),
        joined("{}.len", TEXT.map(bracketed)),
        joined("levenshtein({}, {})", TEXT, TEXT).filter(lambda text: "(null" not in text),
        joined("{}.{}", LIST_OF_NUMBERS, st.sampled_from(["sum", "avg", "min", "max", "argmax", "argmin", "count"])),
        joined("{}.count", LIST_OF_TEXTS),
        joined("{}[{}]", LIST_OF_NUMBERS, either(st.sampled_from(["0", "1", "2", "-1", "0.5"]), NUMBER)),
    )
)
TEXT = st.deferred(
    lambda: either(
        column(["t", "u"]),
        WRITTEN.map(quoted),
        joined("({} + {})", TEXT, either(TEXT, st.just("null"))),
        joined(
            "{}.{}",
            TEXT.map(bracketed),
            st.sampled_from(
                ["lower", "upper", "strip", "lStrip", "rStrip", "slice(1, -1)", "slice(-2)", "slice(0, 2)"]
            ),
        ),
        joined("{}.{}({})", TEXT.map(bracketed), st.sampled_from(["append", "prepend"]), either(TEXT, st.just("null"))),
        joined("{}.replace({}, {})", TEXT.map(bracketed), TEXT, TEXT),
        joined("{}.coalesce({})", TEXT.map(bracketed), TEXT),
        joined("{}.toString", NUMBER.filter(lambda text: text != "null").map(bracketed)),
        joined("{}[{}]", LIST_OF_TEXTS, st.sampled_from(["0", "1", "-1"])),
        joined("{}.joinToStr({})", LIST_OF_TEXTS, WRITTEN.map(quoted)),
    )
)
BOOLEAN = st.deferred(
    lambda: either(
        column(["ok"]),
        st.sampled_from(["true", "false", "null", "(null == null)"]),
        joined("({} {} {})", NUMBER, st.sampled_from(["==", "!=", "<", "<=", ">", ">="]), NUMBER),
        joined("({} {} {})", TEXT, st.sampled_from(["==", "!=", "<", "<=", ">", ">="]), TEXT),
        joined("({} {} {})", BOOLEAN, st.sampled_from(["==", "!=", "and", "or", "&&", "||"]), BOOLEAN),
        joined("({} {} {})", NUMBER, st.sampled_from(["==", "!="]), either(TEXT, BOOLEAN)),
        joined("(!{})", BOOLEAN),
        joined("(not {})", BOOLEAN),
        joined("{}.isNone", either(NUMBER, TEXT, BOOLEAN).map(bracketed)),
        joined("{}.{}", TEXT.map(bracketed), st.sampled_from(["isAlpha", "isAlnum", "isNumeric"])),
        joined("{}.{}({})", TEXT.map(bracketed), st.sampled_from(["contains", "startsWith", "endsWith"]), TEXT),
        joined("{}.contains({})", LIST_OF_NUMBERS, NUMBER),
        joined("{}.contains({})", LIST_OF_TEXTS, TEXT),
    )
)
LIST_OF_NUMBERS = st.deferred(
    lambda: either(
        column(["nums", "guess", "score"]),
        joined("[{}, {}]", NUMBER, NUMBER),
        joined("({} {} {})", LIST_OF_NUMBERS, st.sampled_from(["+", "-", "*", "/"]), NUMBER),
        joined(
            "{}.{}", LIST_OF_NUMBERS, st.sampled_from(["abs", "floor", "dropna", "unique", "limit(2)", "offset(1)"])
        ),
        joined("{}.limit(-1)", LIST_OF_NUMBERS),
        joined("{}.len", LIST_OF_TEXTS),
        joined("{}.filter((v) => v > {})", LIST_OF_NUMBERS, NUMBER),
        joined("{}.map((v, i) => v * {} + i)", LIST_OF_NUMBERS, NUMBER),
        joined("{}.coalesce({})", column(["guess", "score"]), NUMBER),
    )
)
LIST_OF_TEXTS = st.deferred(
    lambda: either(
        column(["words", "name"]),
        joined("{}.{}({})", TEXT.map(bracketed), st.sampled_from(["split", "partition"]), WRITTEN.map(quoted)),
        joined('{}.findAll("{}")', TEXT.map(bracketed), st.sampled_from(["a", "[ab]+", "(a|é)", "\\\\."])),
        joined("{}.{}", LIST_OF_TEXTS, st.sampled_from(["upper", "dropna", "unique", "offset(-1)"])),
        joined("({} + {})", LIST_OF_TEXTS, TEXT),
        joined("{}.filter((v) => v != {})", LIST_OF_TEXTS, TEXT),
        joined("{}.map((v) => v.slice(0, 1).append({}))", LIST_OF_TEXTS, TEXT),
    )
)


def bracketed(text):
    """A part before a dot: `null.abs` is refused, and `1.abs` is no number."""
    return f"({text})" if text != "null" else 'row["a"]'


def stored(rows, columns):
    """The rows as a table of DuckDB's, in their order."""
    CON.execute(f"CREATE OR REPLACE TABLE t ({', '.join(f'{name} {kind}' for name, kind in columns.items())})")
    values = ", ".join(f"({', '.join(literal(row[name]) for name in columns)})" for row in rows)
    CON.execute(f"INSERT INTO t VALUES {values}")


def read(value):
    """A column's value as the interpreter has it."""
    if isinstance(value, list):
        return [read(item) for item in value]
    return number(float(value)) if isinstance(value, int | float) and not isinstance(value, bool) else value


def seen(rows):
    """The raw rows as expressions see them."""
    for row in rows:
        plain = {name: read(value) for name, value in row.items()}
        yield plain | {
            "guess": [plain["guess_a"], plain["guess_b"]],
            "score": [None, plain["score_b"]],
            "name": [plain["name_a"], plain["name_b"]],
        }


def equal(one, other):
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(equal, one, other))
    if isinstance(one, float) and isinstance(other, float):
        return one == other or math.isclose(one, other, rel_tol=1e-9, abs_tol=1e-9)
    return type(one) is type(other) and one == other


def test_the_interpreter_knows_every_operator():
    named = {"coalesce", "isNone", "concat", "toTimestamp"}
    assert {*OF_NUMBER, *OF_TEXT, *OF_LIST} | named == every_operator()


def every_operator():
    """The operators that refusals offer, and those of lists."""
    found = set()
    for subject in ("1", '"a"'):
        with pytest.raises(BadInput) as refusal:
            translate(f"({subject}).nonsense", {})
        found |= set(str(refusal.value).partition("supported are ")[2].split(", "))
    from secondguess.analysis.language.lists import OF_LISTS

    return found | OF_LISTS


@settings(max_examples=300)
@given(either(NUMBER, TEXT, BOOLEAN, LIST_OF_NUMBERS, LIST_OF_TEXTS), RAW_ROWS)
@example('(row["a"] / row["b"]) > 0.5', [dict.fromkeys(COLUMNS) | {"a": 0.0, "b": 0}])
@example('row["guess"][0] - row["guess"][1]', [dict.fromkeys(COLUMNS) | {"guess_a": 1, "guess_b": 2}])
def test_any_expression_gives_what_the_interpreter_gives(text, rows):
    agrees(text, rows)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@settings(max_examples=5_000)
@given(either(NUMBER, TEXT, BOOLEAN, LIST_OF_NUMBERS, LIST_OF_TEXTS), RAW_ROWS)
def test_so_do_very_many_expressions(text, rows):
    agrees(text, rows)


def agrees(text, rows):
    """The expression gives the interpreter's values for the rows, unless it does something with a literal null."""
    try:
        translated = translate(text, CELLS)
    except BadInput as error:
        assert "is not supported on null" in str(error)  # of literal nulls only
        return
    stored(rows, COLUMNS)
    got = [read(value) for (value,) in CON.execute(f"SELECT {translated.sql} FROM t").fetchall()]
    expected = [evaluate(parse(text), {"row": row}) for row in seen(rows)]
    for one, other, row in zip(got, expected, rows, strict=True):
        assert equal(one, other), (text, translated.sql, one, other, row)


@given(BOOLEAN, RAW_ROWS)
def test_a_filter_keeps_the_rows_for_which_it_is_true_and_no_other(text, rows):
    try:
        condition = translate(f"(r) => {text.replace('row[', 'r[')}", CELLS)
    except BadInput as error:
        assert "is not supported on null" in str(error)
        return
    assert condition.kind in ("boolean", "other")
    stored(rows, COLUMNS)
    found = CON.execute(f"SELECT rowid FROM t WHERE {condition.sql} ORDER BY rowid").fetchall()
    kept = [place for place, row in enumerate(seen(rows)) if evaluate(parse(text), {"row": row})]
    assert [place for (place,) in found] == kept


# A group's own operators, over what each row gives; the lists in it have no order.
EACH = either(
    joined("row.map((r) => {})", NUMBER.map(lambda text: text.replace("row[", "r["))),
    column(["a", "b", "f"]),
    joined("row.filter((r) => {})[{}]", BOOLEAN.map(lambda text: text.replace("row[", "r[")), st.just('"a"')),
    joined("{}.filter((v) => v > {})", column(["a", "b"]), st.sampled_from(["1", "-2.5"])),
    joined("{}.dropna", column(["a", "b"])),
)
GROUPED = either(
    joined(
        "{}.{}", EACH, st.sampled_from(["sum", "avg", "min", "max", "count", "unique.count", "unique", "map((v) => v)"])
    ),
    joined("{}.contains({})", EACH, st.sampled_from(["1", "0", "null"])),
    joined("row.filter((r) => {}).count", BOOLEAN.map(lambda text: text.replace("row[", "r["))),
    st.just("row.count"),
    joined("{}.avg - {}.max", EACH, EACH),
)


def unordered(value):
    return sorted(value, key=lambda item: (item is not None, item)) if isinstance(value, list) else value


@settings(max_examples=300)
@given(GROUPED, RAW_ROWS.map(lambda rows: [row | {"a": None if row["a"] == 1e300 else row["a"]} for row in rows]))
def test_any_expression_over_a_group_gives_what_the_interpreter_gives(text, rows):
    try:
        translated = translate(text, CELLS, grouped=True)
    except BadInput as error:
        assert "is not supported on null" in str(error)
        return
    stored(rows, COLUMNS)
    ((got,),) = CON.execute(f"SELECT {translated.sql} FROM t").fetchall()
    expected = evaluate(parse(text), {"row": list(seen(rows))})
    assert equal(unordered(read(got)), unordered(expected)), (text, translated.sql, got, expected)


# ---------------------------------------------------------------------------------------------------------------------
# Literal tables.
# ---------------------------------------------------------------------------------------------------------------------

# One row: how an expression is written in SQL, and its value there.
ROW = {
    "a": 1.5,
    "b": 3,
    "f": math.nan,
    "t": "it's a cat 😀",
    "u": None,
    "ok": True,
    "nums": [2.5, None, -1.0, 2.5],
    "words": ["x", "yy"],
    "guess_a": 3,
    "guess_b": 5,
    "score_b": 0.25,
    "name_a": "cat",
    "name_b": None,
}
WRITTEN_AS = [
    # the tutorial's question: what do two models see differently?
    ('row["guess"][0] != row["guess"][1]', '"guess_a" IS DISTINCT FROM "guess_b"', True),
    ('row["guess"][0] == 3', '"guess_a" IS NOT DISTINCT FROM 3', True),
    ('(r) => r["guess"][0] === 3 && r["ok"] || r["u"] == null',
     '("guess_a" IS NOT DISTINCT FROM 3 AND "ok") OR "u" IS NULL', True),
    ('row["a"] > 0.9', "nullif(\"a\", 'nan'::DOUBLE) > 0.9::DOUBLE", True),
    ('row["b"] > 1 and row["b"] <= 9 and !row["ok"]', '"b" > 1 AND "b" <= 9 AND NOT "ok"', False),
    ('not row["b"] == 3', 'NOT ("b" IS NOT DISTINCT FROM 3)', False),
    # null and kinds
    ('row["f"] > 0', "nullif(\"f\", 'nan'::DOUBLE) > 0", None),
    ('row["f"] == null', "nullif(\"f\", 'nan'::DOUBLE) IS NULL", True),
    ('row["f"] != 1', '"f" IS DISTINCT FROM 1', True),
    ('row["u"] != "x"', "\"u\" IS DISTINCT FROM 'x'", True),
    ('row["u"] < "x"', "\"u\" < 'x'", None),
    ('"1" == 1', "false", False),
    ('row["t"] != 1', "true", True),
    ('row["u"] == row["b"]', '"u" IS NULL AND "b" IS NULL', False),
    ('true == 1', "false", False),
    ('row["u"].coalesce("none")', "coalesce(\"u\", 'none')", "none"),
    ('row["ok"] or null', '"ok" OR CAST(NULL AS BOOLEAN)', True),
    ("null", "NULL", None),
    # numbers
    ('row["guess"][0] - row["guess"][1]', '"guess_a"::DOUBLE - "guess_b"', -2.0),
    ('row["b"] + 2 * 3 - -1', '"b"::DOUBLE + 2::DOUBLE * 3 - (-1)', 10.0),
    ('(row["b"] + 2) * 3 % 4', '("b"::DOUBLE + 2) * 3 % 4', 3.0),
    ('-row["b"] % 2', '(-"b"::DOUBLE) % 2', -1.0),
    ('row["b"] / 2', '"b"::DOUBLE / 2', 1.5),
    ('row["b"] / 0', "nullif(\"b\"::DOUBLE / 0, 'nan'::DOUBLE)", math.inf),
    ("0 / 0", "nullif(0::DOUBLE / 0, 'nan'::DOUBLE)", None),
    ("2 ** 3 ** 2", "nullif(pow(2::DOUBLE, nullif(pow(3::DOUBLE, 2), 'nan'::DOUBLE)), 'nan'::DOUBLE)", 512.0),
    ('row["b"].abs()', 'abs("b"::DOUBLE)', 3.0),
    ('abs(row["b"])', 'abs("b"::DOUBLE)', 3.0),
    ("2.5.round + (-2.5).round", "round_even(2.5::DOUBLE, 0) + round_even('-2.5'::DOUBLE, 0)", 0.0),
    ("2.675.toFixed(2)", "round(2.675::DOUBLE, 2)", 2.67),
    # text
    ('row["name"][0] + "!" + row["u"]', "\"name_a\" || '!' || coalesce(\"u\", '')", "cat!"),
    ('row["u"] + "!"', "\"u\" || '!'", None),
    ('row["t"].slice(1, -2).len', 'length("t"[2:-3])', 9),
    ('row["t"].contains(".")', "contains(\"t\", '.')", False),
    ('row["t"].findAll("[act]+")[2]', "regexp_extract_all(\"t\", '[act]+')[3]", "cat"),
    ('row["t"].split(" ").count', "len(string_split(\"t\", ' '))", 4),
    ("row['t'] == 'it\\'s a cat 😀'", "\"t\" IS NOT DISTINCT FROM 'it''s a cat 😀'", True),
    # lists
    ('row["nums"][0] + 1', "nullif(\"nums\"[1]::DOUBLE + 1, 'nan'::DOUBLE)", 3.5),
    ('row["nums"][-1]', "CAST(NULL AS DOUBLE)", None),
    ('row["words"][7]', '"words"[8]', None),
    ('row["words"].len', 'list_transform("words", lambda x1: length(x1))', [1, 2]),
    ('row["words"].filter((w) => w.len > row["b"] - 2)',
     'list_filter("words", lambda x1: length(x1) > "b"::DOUBLE - 2)', ["yy"]),
    ('row["guess"].max', 'list_max(["guess_a", "guess_b"])', 5),
    ('row["guess"].avg', 'list_avg(["guess_a", "guess_b"])', 4.0),
    ('row["guess"].stddev', 'list_stddev_pop(["guess_a", "guess_b"])', 1.0),
    ('row["guess"].count', "2", 2),
    ('row["guess"][2]', "CAST(NULL AS DOUBLE)", None),
    ('row["score"][0]', "CAST(NULL AS DOUBLE)", None),
    ('row["score"]', "[CAST(NULL AS DOUBLE), nullif(\"score_b\", 'nan'::DOUBLE)]", [None, 0.25]),
    ('[row["b"], 7, 7].argmax',
     'CASE WHEN list_max(["b", 7, 7]) IS NOT NULL THEN list_position(["b", 7, 7], list_max(["b", 7, 7])) - 1 END', 1),
    ('[[1, 2].max, 3].sum', "list_sum([list_max([1, 2]), 3])", 5),
]  # fmt: skip


def one_row():
    stored([ROW], COLUMNS)


@pytest.mark.parametrize(("text", "sql", "value"), WRITTEN_AS)
def test_an_expression_is_written_in_sql_like_this_and_gives_that(text, sql, value):
    translated = translate(text, CELLS)
    assert translated.sql == sql
    one_row()
    ((got,),) = CON.execute(f"SELECT {translated.sql} FROM t").fetchall()
    assert got == value


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ('row["a"] + 1', "number"),
        ('row["t"].upper', "text"),
        ('row["a"] > 1', "boolean"),
        ('row["a"].toTimestamp', "date"),
        ('row["words"]', "list"),
        ('row["guess"]', "list"),
        ('row["t"].split(",")', "list"),
        ('row["t"].split(",")[0]', "text"),
        ('row["words"].map((w) => w.len)[0]', "number"),
        ('row["words"].map((w) => w.split(","))[0][0]', "text"),
        ("null", "other"),
    ],
)
def test_kinds_flow_through_operators(text, kind):
    assert translate(text, CELLS).kind == kind


ROWS = [
    {"a": 0.5, "b": 1, "f": None, "t": "cat", "ok": True, "guess_a": 3, "guess_b": 5},
    {"a": 2.5, "b": 1, "f": math.nan, "t": "dog", "ok": False, "guess_a": 4, "guess_b": None},
    {"a": None, "b": 2, "f": 1.0, "t": "cat", "ok": None, "guess_a": None, "guess_b": 6},
]
OVER_GROUPS = [
    ("row.count", "count(*)", 3),
    ('row["a"].count', "count(*)", 3),
    ('row["b"].avg', 'avg("b")', 4 / 3),
    ('row["b"].sum', 'sum("b")', 4),
    ('row["f"].max', "max(nullif(\"f\", 'nan'::DOUBLE))", 1.0),
    ('row["b"].stddev.toFixed(4)', 'round(stddev_pop("b"), 4)', 0.4714),
    ('row["a"].dropna.count', "count(*) FILTER (WHERE nullif(\"a\", 'nan'::DOUBLE) IS NOT NULL)", 2),
    ('row["t"].unique', 'list_sort(list(DISTINCT "t"))', ["cat", "dog"]),
    ('row["t"].unique.joinToStr(", ")',
     "array_to_string(list_transform(list_sort(list(DISTINCT \"t\")), lambda x: coalesce(x::VARCHAR, '')), ', ')",
     "cat, dog"),
    ('row["t"].contains("dog")', "coalesce(bool_or(\"t\" IS NOT DISTINCT FROM 'dog'), false)", True),
    ('row["a"].contains(null)', "coalesce(bool_or(nullif(\"a\", 'nan'::DOUBLE) IS NULL), false)", True),
    ('row.filter((r) => r["b"] == 1)["a"].max',
     "max(nullif(\"a\", 'nan'::DOUBLE)) FILTER (WHERE \"b\" IS NOT DISTINCT FROM 1)", 2.5),
    ('row.filter((r) => r["ok"] or r["b"] == 2).filter((r) => r["t"] == "cat").count',
     "count(*) FILTER (WHERE (\"ok\" OR \"b\" IS NOT DISTINCT FROM 2) AND \"t\" IS NOT DISTINCT FROM 'cat')", 2),
    ('row.filter((row) => row["b"] == 1).count / row.count',
     "nullif(count(*) FILTER (WHERE \"b\" IS NOT DISTINCT FROM 1)::DOUBLE / count(*), 'nan'::DOUBLE)", 2 / 3),
    ('(rows) => rows.map((row) => row["guess"][1] - row["guess"][0]).avg',
     'avg("guess_b"::DOUBLE - "guess_a")', 2.0),
    ('row["b"].max - row["b"].min > 0', 'max("b")::DOUBLE - min("b") > 0', True),
    ('row["b"].filter((v) => v > 7)', 'coalesce(list("b") FILTER (WHERE "b" > 7), [])', []),
]  # fmt: skip


@pytest.mark.parametrize(("text", "sql", "value"), OVER_GROUPS)
def test_over_a_group_an_expression_is_an_aggregate(text, sql, value):
    translated = translate(text, CELLS, grouped=True)
    assert translated.sql == sql
    stored([dict.fromkeys(COLUMNS) | row for row in ROWS], COLUMNS)
    ((got,),) = CON.execute(f"SELECT {translated.sql} FROM t").fetchall()
    assert got == pytest.approx(value) if isinstance(value, float) else got == value


def test_aggregates_stand_beside_the_keys_of_their_groups():
    stored([dict.fromkeys(COLUMNS) | row for row in ROWS], COLUMNS)
    share = translate('row.filter((r) => r["ok"]).count / row.count', CELLS, grouped=True)
    found = CON.execute(f"SELECT t, {share.sql} FROM t GROUP BY t ORDER BY t").fetchall()
    assert found == [("cat", 0.5), ("dog", 0.0)]


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        (1700000000, "2023-11-14 22:13:20"),
        (1700000000.5, "2023-11-14 22:13:20.5"),
        (1700000000123, "2023-11-14 22:13:20.123"),
        (1700000000123456, "2023-11-14 22:13:20.123"),
        (1700000000123456789, "2023-11-14 22:13:20.123"),
        (-1, "1969-12-31 23:59:59"),
        (1e30, None),
        (-1e30, None),
        (math.nan, None),
    ],
)
def test_a_number_is_a_time_in_whichever_unit_lies_near_today(number, expected):
    sql = translate('row["x"].toTimestamp', {"x": ColumnSql("x", "number")}).sql
    ((got,),) = CON.execute(f"SELECT ({sql})::VARCHAR FROM (SELECT ? AS x)", [number]).fetchall()
    assert got == expected


def test_dates_compare_with_dates_written_out():
    cells = {"day": ColumnSql('"day"', "date"), "days": ColumnSql(('"day"', None), "date")}
    later = translate('row["day"] > Date("2024-01-31") and row["days"].max == row["day"]', cells)
    assert later.sql == (
        "\"day\" > '2024-01-31 00:00:00'::TIMESTAMP AND "
        'list_max(["day", CAST(NULL AS TIMESTAMP)]) IS NOT DISTINCT FROM "day"'
    )
    found = CON.execute(f"SELECT {later.sql} FROM (SELECT unnest([DATE '2024-01-31', DATE '2024-02-01']) AS day)")
    assert found.fetchall() == [(False,), (True,)]


def test_a_path_is_a_column_of_that_name_or_leads_into_structs():
    cells = {
        "a.b": ColumnSql('"a.b"', "number", floating=False),
        "a": ColumnSql('"a"', "other"),
        "c": ColumnSql(('"a"', '"a"'), "other"),
    }
    table = "(SELECT 1 AS \"a.b\", {'b': 2, 'x.y': {'z': 'deep'}, 'l': [7, 8]} AS a)"
    for text, expected in [
        ('row["a.b"]', 1),
        (r'row["a\.b"]', 1),
        ('row["a"]["b"]', 2),
        ('row["a"]["b"] + 1', 3.0),
        (r'row["a.x\.y.z"].upper', "DEEP"),
        ('row["a.l"][1]', 8),
        ('row["a.l"].sum', 15.0),
        ('row["a.l"].count', 2),
        ('row["c.b"][1]', 2),
        ('row["c"]["b"].max', 2.0),
    ]:
        assert CON.execute(f"SELECT {translate(text, cells).sql} FROM {table}").fetchall() == [(expected,)], text


def test_a_column_may_have_any_name_those_of_our_own_parameters_too():
    cells = {name: ColumnSql(f'"{name}"', "list", of="number") for name in ("x", "x1", "X2", "i", 'a"b')}
    cells['a"b'] = ColumnSql('"a""b"', "list", of="number")
    for name in cells:
        key = quoted(name)
        text = f"row[{key}].filter((x) => x > 1).map((x, i) => x * row[{key}].max + i).unique"
        sql = translate(text, cells).sql
        found = CON.execute(f"SELECT {sql} FROM (SELECT [1.0, 2.0, 3.0] AS {cells[name].sql})").fetchall()
        assert found == [([6.0, 10.0],)], sql


def test_an_id_of_nineteen_digits_is_itself():
    sql = translate('row["id"] == 9007199254740993', {"id": ColumnSql("id", "number", floating=False)}).sql
    assert CON.execute(f"SELECT {sql} FROM (SELECT unnest([9007199254740992, 9007199254740993]) AS id)").fetchall() == [
        (False,),
        (True,),
    ]


def test_the_tree_has_the_place_of_each_part():
    assert parse('(r) =>\n  r["a"].abs() >= -1') == Lambda(
        1,
        1,
        ("r",),
        Binary(
            2,
            16,
            ">=",
            Call(2, 10, Pick(2, 5, Name(2, 3, "r"), Literal(2, 5, "a")), "abs", ()),
            Unary(2, 19, "-", Literal(2, 20, 1)),
        ),
    )


def test_whole_chains_of_w_and_b_have_a_tree_though_no_sql():
    text = 'runs.groupby((row) => {K: row["a"], "k 2": 1}).map((row, index) => [row.groupkey["K"], index])'
    rows = Call(1, 6, Name(1, 1, "runs"), "groupby", (
        Lambda(1, 14, ("row",), Object(1, 23, (
            ("K", Pick(1, 31, Name(1, 27, "row"), Literal(1, 31, "a"))),
            ("k 2", Literal(1, 44, 1)),
        ))),
    ))  # fmt: skip
    made = Array(1, 68, (
        Pick(1, 82, Call(1, 73, Name(1, 69, "row"), "groupkey", ()), Literal(1, 82, "K")),
        Name(1, 88, "index"),
    ))  # fmt: skip
    assert parse(text) == Call(1, 48, rows, "map", (Lambda(1, 52, ("row", "index"), made),))


SEVERAL = "supported are avg, contains, count, dropna, filter, map, max, min, stddev, sum, unique"
REFUSED = [
    ('runs.summary["t"].table.rows.concat.filter((row) => row["c"] == "x")',
     "runs.summary is not supported here (line 1, column 1); known here: row"),
    ('project("a", "b").runs',
     "project(…) is not supported here (line 1, column 1); supported are abs, cos, levenshtein, pow, sin and Date"),
    ('row["a"].groupby((x) => x)',
     ".groupby is not supported on a number (line 1, column 10); supported are "
     "abs, ceil, coalesce, cos, floor, isNone, pow, round, sin, toFixed, toString, toTimestamp"),
    ('row["ok"].lower', ".lower is not supported on true or false (line 1, column 11); supported are coalesce, isNone"),
    ('row.table', '.table is not supported on a whole row (line 1, column 5); name a column of it, as in row["guess"]'),
    ('row', 'this is a whole row (line 1, column 1); name a column of it, as in row["guess"]'),
    ('{K: row["a"]}', 'an object is not supported here (line 1, column 1); write one value, such as row["guess"]'),
    ('row["a"] > ((x) => x)',
     'a function is not supported here (line 1, column 13); write one value, such as row["guess"]'),
    ('row["gues"] == 3', "there is no column 'gues' (line 1, column 5); there are: "
     "a, b, f, t, u, ok, nums, words, guess, score, name"),
    ('row["*"]', "* is not supported here (line 1, column 5); name one column, and of a list one item"),
    ('row[0]', "row[…] takes the name of a column, in quotes (line 1, column 5)"),
    ('row["t.x"]', "there is no 'x' in what is text (line 1, column 5)"),
    ('row["a"][0]', "[…] takes an item of a list, and this is a number (line 1, column 10)"),
    ('row["guess"] == 3',
     "the left side of == is a list (line 1, column 14); W&B compares each of its items, and a list that is not empty "
     'counts as true: compare one, as in row["guess"][0] == 3'),
    ('row["guess"] != row["guess"]',
     "the left side of != is a list (line 1, column 14); W&B compares each of its items, and a list that is not empty "
     'counts as true: compare one, as in row["guess"][0] != row["guess"][1]'),
    ('3 < row["nums"]',
     "the right side of < is a list (line 1, column 3); W&B compares each of its items, and a list that is not empty "
     'counts as true: compare one, as in 3 < row["nums"][1]'),
    ('row["guess"].isNone',
     '.isNone is never true of the list (line 1, column 14); take one of its items, as in row["guess"][0]'),
    ('row["a"] - row["nums"]',
     'the right side of - takes one value, and this is a list (line 1, column 10); take one of its items, as in '
     'row["nums"][0]'),
    ('row["t"] - 1', "- takes a number, and this is text (line 1, column 10)"),
    ('row["t"] + 1', "+ takes text, and this is a number (line 1, column 10)"),
    ('row["t"] < 1', "< compares two numbers, two texts or two dates, not text and a number (line 1, column 10)"),
    ('1 < 2 < 3', "< compares two numbers, two texts or two dates, not true or false and a number (line 1, column 7)"),
    ('row["a"] and row["ok"]', "and takes true or false, and this is a number (line 1, column 10)"),
    ('!row["a"]', "! takes true or false, and this is a number (line 1, column 1)"),
    ('row["a"].coalesce("x")', ".coalesce takes two values of one kind, not a number and text (line 1, column 10)"),
    ('[1, "a"]', "a list written out holds values of one kind (line 1, column 1)"),
    ('row["words"].sum', ".sum takes numbers, and the list's items are text (line 1, column 14)"),
    ('row["nums"].joinToStr(",")',
     ".joinToStr takes texts, and the list's items are a number (line 1, column 13); make texts first: .toString"),
    ('row["nums"].contains("a")', ".contains looks for text, and the list's items are a number (line 1, column 13)"),
    ('row["nums"].filter(1)', ".filter takes a function (line 1, column 20); write .filter((x) => …)"),
    ('row["nums"].filter((x, i) => true)',
     "the function of .filter has one parameter; this one has 2 (line 1, column 20)"),
    ('row["nums"].filter((x) => x)',
     "the function of .filter takes true or false, and this is a number (line 1, column 27)"),
    ('row["t"].slice', ".slice takes 1 to 2 arguments, not 0 (line 1, column 10)"),
    ('row["t"].slice(row["b"])', ".slice takes a whole number, written out (line 1, column 20)"),
    ('row["t"].replace("a")', ".replace takes 2 arguments, not 1 (line 1, column 10)"),
    ('row["t"].findAll(row["u"])', ".findAll takes a text, written out (line 1, column 22)"),
    ('row["a"].toFixed(-1)', ".toFixed takes a number of digits, from 0 to 100 (line 1, column 18)"),
    ('Date("yesterday")',
     "Date takes a date written out, such as 2024-01-31 or 2024-01-31T12:00:00 (line 1, column 6)"),
    ("", 'the expression is empty; write one, such as row["guess"] != row["truth"]'),
    ('row["a"] >', "the expression ends before it is complete (line 1, column 11)"),
    ('row["a"]\n  = 3', "= is not understood here (line 2, column 3); write == to compare"),
    ('row["a] == 3', 'the text that begins here never ends (line 1, column 5); close it with "'),
    ('-row["a"] ** 2',
     "** is not understood here (line 1, column 11); say what the minus is for: (-a) ** b or -(a ** b)"),
    ('row["a"] > 1 AND true', "AND is not understood here (line 1, column 14); write and"),
    ('row["a"] // 2', "/ is not understood here (line 1, column 11)"),
    ("(1, 2)", "round brackets hold one value, not 2 (line 1, column 1)"),
    ("(1) => 2", "a function's parameters are names (line 1, column 2); write (row) => …"),
    ("(a, b) => 1", "the function of a row has one parameter, not 2 (line 1, column 1); write (row) => …"),
    ("\ud800", "the expression is not valid Unicode text"),
    ("1" * 65_537, "the expression is longer than 65,536 bytes; shorten it"),
]  # fmt: skip
REFUSED_OVER_GROUPS = [
    ('row["a"].argmax',
     f".argmax needs the order of a group's rows, which SQL does not keep (line 1, column 10); {SEVERAL}"),
    ('row["a"][0]',
     "[…] needs the order of a group's rows, which SQL does not keep (line 1, column 10); make one value of it, as in "
     'row["score"].avg or row.map((row) => row["score"] * 2).max'),
    ('row["a"] > 1',
     "the left side of > is the list of the group's values (line 1, column 10); make one value of it, as in "
     'row["score"].avg or row.map((row) => row["score"] * 2).max'),
    ('row["a"] * 2',
     "* takes one value, and this is the list of the group's values (line 1, column 10); make one value of it, as in "
     'row["score"].avg or row.map((row) => row["score"] * 2).max'),
    ('row["t"].lower',
     f".lower is not supported on the list of the group's values (line 1, column 10); {SEVERAL}; "
     "row.map((row) => …) is done to each row"),
    ('row["t"].avg', ".avg takes numbers, and the group's values are text (line 1, column 10)"),
    ('row["guess"].avg',
     ".avg takes numbers, and the group's values are lists (line 1, column 14); take an item of each first, as in "
     ".map((x) => x[0]).avg"),
    ("row.max",
     ".max takes a list of values, and this is a whole group (line 1, column 5); make one value of it, as in "
     'row["score"].avg or row.map((row) => row["score"] * 2).max'),
    ("row", 'this is a whole group (line 1, column 1); make one value of it, as in '
     'row["score"].avg or row.map((row) => row["score"] * 2).max'),
    ('row.map((r) => r["a"] - row["a"].avg).max', "row is not supported here (line 1, column 25); known here: r"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "message"), REFUSED)
def test_what_is_not_supported_is_refused_by_name_and_place(text, message):
    with pytest.raises(BadInput) as refusal:
        translate(text, CELLS)
    assert str(refusal.value) == message


@pytest.mark.parametrize(("text", "message"), REFUSED_OVER_GROUPS)
def test_what_a_group_does_not_have_is_refused_by_name_and_place(text, message):
    with pytest.raises(BadInput) as refusal:
        translate(text, CELLS, grouped=True)
    assert str(refusal.value) == message


def test_media_are_there_or_not_and_nothing_else():
    cells = {"image": ColumnSql('"image"', "media"), "b": ColumnSql('"b"', "number")}
    assert translate('row["image"].isNone', cells) == Translated('"image" IS NULL', "boolean")
    assert translate('row["image"] != null', cells) == Translated('"image" IS NOT NULL', "boolean")
    for text in (
        'row["image"] == row["image"]',
        'row["image"] < row["image"]',
        'row["image"].len',
        'row["image.path"]',
    ):
        with pytest.raises(BadInput):
            translate(text, cells)


# ---------------------------------------------------------------------------------------------------------------------
# Nothing gets into the SQL but columns, values and functions of ours.
# ---------------------------------------------------------------------------------------------------------------------

NASTY = [
    "'; DROP TABLE t; --", "' || (SELECT 1) || '", '" || "a', "$$", "$1", "?", "\\", "\\'", "''", "/*", "*/", "--",
    "\n--", "\0", "{0}", "{}", "%s", "x) UNION ALL SELECT (1", "chr(39)", "😀", "e'\\x27'", "U&'\\0027'",
    "lambda x: x",
]  # fmt: skip
FORMS = [
    'row["t"] == {}', 'row["t"].contains({})', 'row["t"] + {}', 'row["t"].replace({}, {})', 'row["t"].split({})',
    'row["t"].partition({})', 'row["words"].joinToStr({})', 'row["words"].contains({})', 'row["u"].coalesce({})',
    'row["t"].findAll({})', "[{}, {}]",
]  # fmt: skip


def inspected(sql):
    """What a statement of the SQL refers to: columns, functions, everything else that is not plain."""
    found = guard.inspect(CON, f"SELECT {sql}")
    assert (found.relations, found.parameters) == ((), ())
    tree = json.loads(CON.execute("SELECT json_serialize_sql(?)", [f"SELECT {sql}"]).fetchone()[0])
    columns = {tuple(node["column_names"]) for node in nodes(tree) if node.get("type") == "COLUMN_REF"}
    kinds = {node["class"] for node in nodes(tree) if "class" in node}
    assert "SUBQUERY" not in kinds and len(tree["statements"][0]["node"]["select_list"]) == 1
    return columns


def nodes(tree):
    if isinstance(tree, dict):
        yield tree
    for part in tree.values() if isinstance(tree, dict) else tree if isinstance(tree, list) else ():
        yield from nodes(part)


@pytest.mark.parametrize("form", FORMS)
@given(text=st.sampled_from(NASTY) | st.text(st.characters(exclude_categories=["Cs"]), max_size=20))
def test_a_text_in_an_expression_is_a_text_in_its_sql(form, text):
    text = text.rstrip("\\")  # which would keep the quote from ending the text
    text = re.sub(r"\\+(?=[\"'])", "", text)
    sql = translate(form.format(*[quoted(text)] * 2), CELLS).sql
    assert inspected(sql) <= {(name,) for name in COLUMNS} | {("x",)}
    one_row()
    try:
        CON.execute(f"SELECT {sql} FROM t")
    except duckdb.Error as error:  # a regular expression that is none
        assert "findAll" in form and "regexp" not in str(error)
    if form.startswith("["):
        assert CON.execute(f"SELECT {sql} FROM t").fetchone() == ([text, text],)


@given(st.sampled_from(NASTY) | st.text(st.characters(exclude_categories=["Cs"]), max_size=20))
def test_a_key_is_a_column_or_a_field_and_nothing_else(text):
    text = re.sub(r"\\+(?=[\"'])", "", text.rstrip("\\"))
    cells = {"the one column": ColumnSql('"m"', "other")}
    with pytest.raises(BadInput):
        translate(f"row[{quoted(text)}]", cells)
    sql = translate(f'row["the one column"][{quoted(text)}]', cells).sql
    assert inspected(sql) == {("m",)}
    assert sql.startswith("struct_extract(")


@given(st.sampled_from(NASTY))
def test_an_operator_is_one_of_ours(text):
    for form in ('row["t"].{}', 'row["t"].{}()', '{}(row["t"])', 'row["t"] {} 1', "({}) => 1"):
        with pytest.raises(BadInput):
            translate(form.format(text), CELLS)


PIECES = [
    *("row", '["a"]', '["words"]', "[0]", ".", "abs", "filter", "count", "map", "coalesce", "(", ")", "x", "=>", ","),
    *("1", '"t"', "'", "\\", "+", "-", "**", "==", "<", "and", "not", "!", "null", "{", "}", ":", "[", "]", " ", "\n"),
]


@settings(max_examples=1000)
@given(st.lists(st.sampled_from(PIECES), max_size=14).map("".join) | st.text(max_size=40), st.booleans())
def test_any_text_at_all_is_sql_or_refused(text, grouped):
    try:
        translated = translate(text, CELLS, grouped=grouped)
    except BadInput as error:
        assert "\n" not in str(error) or "\n" in text
        return
    inspected(translated.sql)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("!" * 60_000 + "true", "the expression is nested too deeply; shorten it"),
        ("-" * 60_000 + "1", "the expression is nested too deeply; shorten it"),
        ("[" * 20_000 + "1" + "]" * 20_000, "the expression is nested too deeply; shorten it"),
        ('row["a"]' + ".abs" * 10_000, "the expression is nested too deeply; shorten it"),
        ("1" + " ** 1" * 10_000, "the expression is nested too deeply; shorten it"),
        ("(" * 30_000 + ")" * 30_000, "round brackets hold one value, not 0 (line 1, column 30000)"),
        ("f(" * 20_000, "the expression ends before it is complete (line 1, column 40001)"),
        (
            'row["guess"].map((v) => ' * 60 + 'row["guess"].count' + ").count" * 60,
            "the expression takes too many steps to read (line 1, column 1285); shorten it",
        ),
    ],
    ids=lambda value: value[:12],
)
def test_what_is_too_deep_is_refused(text, message):
    with pytest.raises(BadInput) as refusal:
        translate(text, CELLS)
    assert re.sub(r"column \d+\); shorten", "column 1285); shorten", str(refusal.value)) == message


def test_brackets_alone_are_never_too_deep():
    assert translate("(" * 30_000 + "1" + ")" * 30_000, CELLS) == Translated("1", "number")


def test_thousands_of_values_can_be_left_out():
    excluded = " and ".join(f'row["b"] != {number}' for number in range(1, 1200))
    one_row()
    assert CON.execute(f"SELECT count(*) FROM t WHERE {translate(excluded, CELLS).sql}").fetchall() == [(0,)]


def test_an_operator_after_an_operator_does_not_multiply_the_sql():
    text = 'row["t"]' + '.partition(",")[0]' * 100
    assert len(translate(text, CELLS).sql) < 30_000
    one_row()
    sql = translate('row["t"]' + '.partition(" ")[0]' * 30, CELLS).sql
    assert CON.execute(f"SELECT {sql} FROM t").fetchall() == [("it's",)]


def test_the_grammar_comes_with_the_package():
    settings = (Path(__file__).parents[3] / "pyproject.toml").read_text()
    assert '"*.lark"' in settings and '"lark>=' in settings
