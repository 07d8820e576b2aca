"""DuckDB's functions of numbers, texts, moments and rows as calls of Spark's that give the same."""

import re
from collections.abc import Callable, Mapping

from sqlglot import exp

from secondguess.analysis.engine.spark import lists
from secondguess.analysis.engine.spark.quoting import Node, text, unlike
from secondguess.analysis.engine.spark.types import Writing

Write = Callable[[Writing, Node], str]
_FLAGS = {"big_int", "length", "ignore_nulls", "safe"}  # of sqlglot's, which change nothing
_SUFFIX = r"\.[^.]*$"
_LARGE = "9007199254740992D"  # from here on every DOUBLE is whole
# Letters that Java's case makes several of, or another at a word's end: of DuckDB's each stays one.
_LOWER = f"lower(translate({{0}}, {text(chr(0x3A3) + chr(0x130))}, {text(chr(0x3C3) + 'i')}))"
_SEVERAL = text("[\u00df\u0149\u01f0\u0390\u03b0\u0587\u1e96-\u1e9a\u1f50-\u1f57\u1f80-\u1ffc\ufb00-\ufb17]")
_UPPER = (
    f"IF({{0}} RLIKE {_SEVERAL}, raise_error('Spark has other capitals of these letters than DuckDB'), upper({{0}}))"
)
# What is the same in RE2 and in Java's: no look-around, no classes by name, nothing possessive.
_PLAIN_PATTERN = re.compile(
    r"(?:[^\\()\[\]?*+{}$]|\\[dDsSwWbB.\\/\-()\[\]?*+{}|^$]|[\[\]|()]|(?<![(|])[?*+](?![?+])|\{\d+(?:,\d*)?\})*\$?"
)


def call(template: str) -> Write:
    """A call whose arguments are the parts of the node that the template names: {this}, {expression}, …."""
    keys = re.findall(r"\{(\w+)\}", template)

    def write(writer: Writing, node: Node) -> str:
        if any(value and key not in keys and key not in _FLAGS for key, value in node.args.items()):
            raise unlike(node)
        return template.format(**{key: writer.sql(node, key) for key in keys})

    return write


def aggregate(template: str) -> Write:
    """An aggregate of plain arguments, with the FILTER it stands in."""
    inner = call(template)

    def write(writer: Writing, node: Node) -> str:
        if isinstance(node.this, exp.Order | exp.Distinct):
            raise unlike(node)
        return inner(writer, node) + writer.kept

    return write


def _count(writer: Writing, node: Node) -> str:
    if isinstance(node.this, exp.Star):
        return f"count(*){writer.kept}"
    distinct = isinstance(node.this, exp.Distinct)
    parts = node.this.expressions if distinct else [node.this, *node.expressions]
    if len(parts) != 1:
        raise unlike(node)
    (part,) = parts
    if isinstance(part, exp.Tuple):
        value = f"struct({', '.join(map(writer.sql, part.expressions))})"
    else:
        value = writer.sql(part)
    return f"count({'DISTINCT ' if distinct else ''}{value}){writer.kept}"


def _sum(writer: Writing, node: Node) -> str:
    distinct = isinstance(node.this, exp.Distinct)
    part = node.this.expressions[0] if distinct else node.this
    value = writer.sql(part)
    if writer.kind(part) == "boolean":
        value = f"CAST({value} AS INT)"
    elif writer.kind(part) == "float":
        value = f"CAST({value} AS DOUBLE)"
    return f"sum({'DISTINCT ' if distinct else ''}{value}){writer.kept}"


def _mean(writer: Writing, node: Node) -> str:
    distinct = isinstance(node.this, exp.Distinct)
    part = node.this.expressions[0] if distinct else node.this
    return f"avg({'DISTINCT ' if distinct else ''}CAST({writer.sql(part)} AS DOUBLE)){writer.kept}"


def _filter(writer: Writing, node: Node) -> str:
    if writer.kept:
        raise unlike(node)
    writer.kept = f" FILTER (WHERE {writer.sql(node.expression.this)})"
    try:
        return writer.sql(node.this)
    finally:
        writer.kept = ""


def _any_value(writer: Writing, node: Node) -> str:
    if not isinstance(node.this, exp.AnyValue) or isinstance(node.this.this, exp.Order | exp.Distinct):
        raise unlike(node)
    return f"any_value({writer.sql(node.this.this)}, true){writer.kept}"


def _of_number(double: str) -> Write:
    """A function that gives a DOUBLE of a DOUBLE, where Spark's makes it a whole number; of others as Spark has it."""

    def write(writer: Writing, node: Node) -> str:
        value, kind = writer.sql(node.this), writer.kind(node.this)
        if kind == "int":
            return value
        if kind == "decimal":
            return double.format(value)
        if not kind:
            raise unlike(node)
        whole = f"CAST({double.format(value)} AS DOUBLE)"
        made = f"(CASE WHEN isnan({value}) OR abs({value}) >= {_LARGE} THEN {value} ELSE {whole} END)"
        return f"CAST({made} AS FLOAT)" if kind == "float" else made

    return write


def _round(writer: Writing, node: Node) -> str:
    value, kind, digits = writer.sql(node.this), writer.kind(node.this), node.args.get("decimals")
    if digits is not None and not (isinstance(digits, exp.Literal) and digits.name.isdecimal()):
        raise unlike(node)
    if kind == "int":
        return value
    if kind == "decimal":
        return f"round({value}, {digits.name if digits is not None else 0})"
    if not kind or (digits is not None and int(digits.name)):
        raise unlike(node)  # its decimals are those of the number as it is written, not as it is
    made = f"IF(isnan({value}) OR abs({value}) >= {_LARGE}, {value}, CAST(round({value}) AS DOUBLE))"
    return f"CAST({made} AS FLOAT)" if kind == "float" else made


def _logarithm(function: str) -> Callable[[str], str]:
    """A logarithm as IEEE 754 has it: Spark gives NULL where there is none."""
    none = "CAST('NaN' AS DOUBLE)"
    return lambda value: (
        f"(CASE WHEN {value} > 0 THEN {function}({value}) WHEN {value} = 0 THEN CAST('-Infinity' AS DOUBLE) "
        f"WHEN {value} < 0 THEN {none} END)"
    )


def _log(writer: Writing, node: Node) -> str:
    base = {"10": "log10", "2": "log2"}.get(node.this.name) if node.expression is not None else "log10"
    if base is None:
        raise unlike(node)
    return _logarithm(base)(writer.sql(node.expression if node.expression is not None else node.this))


def _like(writer: Writing, node: Node) -> str:
    """DuckDB's LIKE has no escape unless one is named, Spark's has the backslash."""
    escape = "'\\\\'"
    inner = node
    if isinstance(node, exp.Escape):
        inner, given = node.this, node.expression
        if not (isinstance(given, exp.Literal) and len(given.name) == 1 and given.name not in "'\\%_"):
            raise unlike(node)
        escape = f"'{given.name}'"
        pattern = writer.sql(inner.expression)
    else:
        pattern = f"replace({writer.sql(inner.expression)}, CAST(X'5C' AS STRING), CAST(X'5C5C' AS STRING))"
        if isinstance(inner.expression, exp.Literal) and "\\" not in inner.expression.name:
            pattern = writer.sql(inner.expression)
    value, word = writer.sql(inner.this), "NOT LIKE" if inner.args.get("negate") else "LIKE"
    if isinstance(inner, exp.ILike):
        value, pattern = _LOWER.format(value), _LOWER.format(pattern)
    return f"({value} {word} {pattern} ESCAPE {escape})"


def _words(writer: Writing, node: Node) -> str:
    """A value as a part of a text; real numbers are written otherwise."""
    return (
        writer.sql(exp.Cast(this=node.copy(), to=exp.DataType.build("text")))
        if writer.kind(node) != "text"
        else writer.sql(node)
    )


def _joined(writer: Writing, node: Node) -> str:
    kinds = [writer.kind(part) for part in (node.this, node.expression)]
    if "list" in kinds:
        return f"concat({writer.sql(node.this)}, {writer.sql(node.expression)})"
    return f"({_words(writer, node.this)} || {_words(writer, node.expression)})"


def _concat(writer: Writing, node: Node) -> str:
    if any(writer.kind(part) == "list" for part in node.expressions):
        raise unlike(node)
    parts = [f"coalesce({_words(writer, part)}, '')" for part in node.expressions]
    return f"concat({', '.join(parts)})"


def _concat_with(writer: Writing, node: Node) -> str:
    return f"concat_ws({', '.join(_words(writer, part) for part in node.expressions)})"


def _substring(writer: Writing, node: Node) -> str:
    start, length = node.args["start"], node.args.get("length")
    if not (isinstance(start, exp.Literal) and start.name.isdecimal() and int(start.name) >= 1):
        raise unlike(node)
    parts = [writer.sql(part) for part in (node.this, start, length) if part is not None]
    return f"substring({', '.join(parts)})"


def _length(writer: Writing, node: Node) -> str:
    kind, value = writer.kind(node.this), writer.sql(node.this)
    if kind == "text":
        return f"CAST(char_length({value}) AS BIGINT)"
    if kind == "list":
        return f"CAST(size({value}) AS BIGINT)"
    raise unlike(node)


def _trim(writer: Writing, node: Node) -> str:
    if node.expression is not None:
        raise unlike(node)
    function = {"LEADING": "ltrim", "TRAILING": "rtrim"}.get(str(node.args.get("position") or ""), "trim")
    return f"{function}({writer.sql(node.this)})"


def _pattern(writer: Writing, node: Node) -> str:
    given = node.expression
    if len([value for value in node.args.values() if value is not None]) > 2:
        raise unlike(node)
    if not (isinstance(given, exp.Literal) and _PLAIN_PATTERN.fullmatch(given.name) and given.name.isascii()):
        raise unlike(node)
    # Java's $ is also before a last line break.
    own = re.sub(r"(?<!\\)\$$", r"\\z", given.name)
    if isinstance(node, exp.RegexpFullMatch):
        own = rf"\A(?:{own})\z"
    return f"({writer.sql(node.this)} RLIKE {text('(?d)' + own)})"


def _character(writer: Writing, node: Node) -> str:
    (given,) = node.expressions
    if not (isinstance(given, exp.Literal) and given.name.isdecimal()):
        raise unlike(node)
    return f"CAST(X'{chr(int(given.name)).encode().hex().upper()}' AS STRING)"


def _test_of_number(test: str) -> Write:
    def write(writer: Writing, node: Node) -> str:
        given = node.expressions[0] if isinstance(node, exp.Anonymous) else node.this
        value = f"CAST({writer.sql(given)} AS DOUBLE)"
        return f"IF({value} IS NULL, NULL, {test.format(value)})"

    return write


def _part(writer: Writing, node: Node) -> str:
    """A part of a moment, as EXTRACT has it or date_part."""
    if isinstance(node, exp.Extract):
        unit, value = node.this.name, node.expression
    else:
        unit, value = node.sql_name(), node.this
    if unit.upper() not in {"YEAR", "QUARTER", "MONTH", "DAY", "HOUR", "MINUTE"} or writer.kind(value) not in (
        "date",
        "timestamp",
    ):
        raise unlike(node)
    return f"CAST(extract({unit} FROM {writer.sql(value)}) AS BIGINT)"


_ISFINITE, _ISINF = "NOT isnan({0}) AND abs({0}) < CAST('Infinity' AS DOUBLE)", "abs({0}) = CAST('Infinity' AS DOUBLE)"


def _named_part(writer: Writing, node: Node) -> str:
    unit, value = node.expressions
    if not (isinstance(unit, exp.Literal) and unit.is_string):
        raise unlike(node)
    return _part(writer, exp.Extract(this=exp.var(unit.name), expression=value))


def _stem(writer: Writing, node: Node) -> str:
    """parse_filename(path, true): its last part, without what stands after its last point."""
    path, *rest = node.expressions
    if len(rest) != 1 or not isinstance(rest[0], exp.Boolean) or not rest[0].this:
        raise unlike(node)
    return f"regexp_replace(substring_index({writer.sql(path)}, '/', -1), {text(_SUFFIX)}, '')"


_BY_NAME: Mapping[str, Write] = {
    "parse_filename": _stem,
    "date_part": _named_part,
    "datepart": _named_part,
    "isfinite": _test_of_number(_ISFINITE),
    "prefix": lambda writer, node: f"startswith({', '.join(map(writer.sql, node.expressions))})",
    "suffix": lambda writer, node: f"endswith({', '.join(map(writer.sql, node.expressions))})",
}


def _by_name(writer: Writing, node: Node) -> str:
    write = {**_BY_NAME, **lists.BY_NAME}.get(node.name.casefold())
    if write is None:
        raise unlike(node)
    return write(writer, node)


def _neighbour(function: str) -> Write:
    def write(writer: Writing, node: Node) -> str:
        given = [node.args[key] for key in ("this", "offset", "default") if node.args.get(key) is not None]
        return f"{function}({', '.join(map(writer.sql, given))})"

    return write


RENDERED: Mapping[type[Node], Write] = {
    exp.Anonymous: _by_name,
    exp.Count: _count,
    exp.Sum: _sum,
    exp.Avg: _mean,
    exp.Filter: _filter,
    exp.IgnoreNulls: _any_value,
    exp.CountIf: aggregate("count_if({this})"),
    exp.LogicalAnd: aggregate("bool_and({this})"),
    exp.LogicalOr: aggregate("bool_or({this})"),
    exp.Stddev: aggregate("stddev_samp(CAST({this} AS DOUBLE))"),
    exp.StddevSamp: aggregate("stddev_samp(CAST({this} AS DOUBLE))"),
    exp.StddevPop: aggregate("stddev_pop(CAST({this} AS DOUBLE))"),
    exp.Variance: aggregate("var_samp(CAST({this} AS DOUBLE))"),
    exp.VariancePop: aggregate("var_pop(CAST({this} AS DOUBLE))"),
    exp.Corr: aggregate("corr(CAST({this} AS DOUBLE), CAST({expression} AS DOUBLE))"),
    exp.Median: aggregate("percentile(CAST({this} AS DOUBLE), 0.5)"),
    exp.RowNumber: call("row_number()"),
    exp.Rank: call("rank()"),
    exp.DenseRank: call("dense_rank()"),
    exp.PercentRank: call("percent_rank()"),
    exp.CumeDist: call("cume_dist()"),
    exp.Ntile: call("ntile({this})"),
    exp.Lag: _neighbour("lag"),
    exp.Lead: _neighbour("lead"),
    exp.FirstValue: call("first_value({this})"),
    exp.LastValue: call("last_value({this})"),
    exp.Abs: call("abs({this})"),
    exp.Sign: call("IF(isnan(CAST({this} AS DOUBLE)), 0, CAST(sign({this}) AS TINYINT))"),
    exp.Repeat: call("repeat({this}, CAST({times} AS INT))"),
    exp.PercentileCont: aggregate("percentile(CAST({this} AS DOUBLE), {expression})"),
    exp.Floor: _of_number("floor({0})"),
    exp.Ceil: _of_number("ceil({0})"),
    exp.Trunc: _of_number("IF({0} < 0, ceil({0}), floor({0}))"),
    exp.Round: _round,
    exp.Sqrt: call("sqrt(CAST({this} AS DOUBLE))"),
    exp.Exp: call("exp(CAST({this} AS DOUBLE))"),
    exp.Ln: lambda writer, node: _logarithm("ln")(f"CAST({writer.sql(node.this)} AS DOUBLE)"),
    exp.Log: _log,
    exp.Pow: call("pow(CAST({this} AS DOUBLE), CAST({expression} AS DOUBLE))"),
    exp.IsNan: _test_of_number("isnan({0})"),
    exp.IsInf: _test_of_number(_ISINF),
    exp.Like: _like,
    exp.ILike: _like,
    exp.Escape: _like,
    exp.DPipe: _joined,
    exp.Concat: _concat,
    exp.ConcatWs: _concat_with,
    exp.Lower: lambda writer, node: _LOWER.format(writer.sql(node.this)),
    exp.Upper: lambda writer, node: _UPPER.format(writer.sql(node.this)),
    exp.Trim: _trim,
    exp.Substring: _substring,
    exp.Replace: call("replace({this}, {expression}, {replacement})"),
    exp.StartsWith: call("startswith({this}, {expression})"),
    exp.EndsWith: call("endswith({this}, {expression})"),
    exp.StrPosition: call("CAST(instr({this}, {substr}) AS BIGINT)"),
    exp.Length: _length,
    exp.RegexpLike: _pattern,
    exp.RegexpFullMatch: _pattern,
    exp.Chr: _character,
    exp.SHA2: call("sha2({this}, 256)"),
    exp.MD5: call("md5({this})"),
    exp.Extract: _part,
    exp.Year: _part,
    exp.Quarter: _part,
    exp.Month: _part,
    exp.Day: _part,
    exp.Hour: _part,
    exp.Minute: _part,
}
