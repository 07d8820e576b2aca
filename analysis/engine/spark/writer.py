"""DuckDB's expressions as Spark SQL that gives the same values: what it has no rendering for is refused by name.

Spark's arithmetic is ANSI's, as the session sets it: what overflows or cannot be read is an error in both engines.
"""

from collections.abc import Callable, Mapping
from typing import Any

from sqlglot import exp
from sqlglot.generator import Generator
from sqlglot.generators.spark import SparkGenerator

from secondguess.analysis.engine.spark import calls, casts, lists
from secondguess.analysis.engine.spark.quoting import Node, quoted, text, unlike
from secondguess.analysis.engine.spark.types import NUMBERS, Kind, Names, kind_of, spark_type, type_of

_NESTED = {"list", "map", "other"}
_QUERY = {"with_", "order", "limit", "offset"}
# Of what has more parts than are known here, those that are: any other is refused.
_PARTS: Mapping[type[Node], set[str]] = {
    exp.Select: {
        *_QUERY,
        "expressions",
        "from_",
        "joins",
        "where",
        "group",
        "having",
        "qualify",
        "windows",
        "distinct",
    },
    **{kind: {*_QUERY, "this", "expression", "distinct"} for kind in (exp.Union, exp.Except, exp.Intersect)},
    exp.Subquery: {"this", "alias", "pivots", "with_"},
    exp.Table: {"this", "alias", "pivots", "joins"},
    exp.TableAlias: {"this", "columns"},
    exp.With: {"expressions", "recursive"},
    exp.CTE: {"this", "alias"},
    exp.Join: {"this", "on", "side", "kind", "using"},
    exp.Group: {"expressions", "all"},
    exp.Distinct: {"expressions"},
    exp.Order: {"expressions", "this"},
    exp.Ordered: {"this", "desc", "nulls_first"},
    exp.Limit: {"expression"},
    exp.Offset: {"expression"},
    exp.Values: {"expressions", "alias"},
    exp.Pivot: {"expressions", "fields", "unpivot", "alias"},
    exp.Window: {"this", "partition_by", "order", "spec", "alias", "over"},
    exp.WindowSpec: {"kind", "start", "start_side", "end", "end_side"},
}
_NAN = "CAST('NaN' AS DOUBLE)"


class Writer(SparkGenerator):
    """Writes one statement, of which every part is of a kind that has been looked at."""

    # What sqlglot's own writer says as Spark means it.
    AS_IT_IS = frozenset(
        (
            *(exp.Alias, exp.TableAlias, exp.Select, exp.From, exp.Where, exp.Group, exp.Having, exp.Qualify),
            *(exp.Order, exp.Subquery, exp.With, exp.CTE, exp.Join, exp.Union, exp.Except, exp.Intersect),
            *(exp.Distinct, exp.Values, exp.And, exp.Or, exp.Not, exp.Paren, exp.Is, exp.Exists, exp.Null),
            *(exp.Boolean, exp.Star, exp.Pivot, exp.Neg, exp.Tuple, exp.WindowSpec, exp.Offset, exp.Grouping),
        )
    )

    def __init__(self) -> None:
        super().__init__(dialect="spark", identify=True, comments=False, normalize_functions=False)
        self.names: Names = {}
        self.kept = ""  # the FILTER of the aggregate that is being written

    def sql(self, expression: Any, key: str | None = None, comment: bool = True) -> str:
        """A part as SQL; raises Refused for one of a kind that has not been looked at."""
        if key is not None or not isinstance(expression, exp.Expression):
            return super().sql(expression, key, comment)
        kind = type(expression)
        if kind not in self.AS_IT_IS and kind not in RENDERED:
            raise unlike(expression)
        known = _PARTS.get(kind)
        if known is not None and any(value and key not in known for key, value in expression.args.items()):
            raise unlike(expression)
        return super().sql(expression, key, comment)

    def kind(self, node: Node | None) -> Kind:
        """What an expression holds; "" where it is not known."""
        return kind_of(type_of(node, self.names))

    def beside(self, node: Node, other: Node) -> str:
        """A value as it is compared with another: DuckDB compares a FLOAT with other numbers as FLOATs, not DOUBLEs."""
        sql, own, kind = self.sql(node), self.kind(node), self.kind(other)
        if isinstance(node, exp.Literal) and node.is_string and kind not in ("text", "", "other"):
            return casts.from_text(self, sql, type_of(other, self.names))
        if own in ("decimal", "int") and kind == "float":
            return f"CAST({sql} AS FLOAT)"
        if own == "decimal" and not kind:
            return f"IF(typeof({self.sql(other)}) = 'float', CAST({sql} AS FLOAT), {sql})"
        return sql


def _literal(writer: Writer, node: Node) -> str:
    if not node.is_string:
        return str(node.this)
    return text(str(node.this))


def _identifier(writer: Writer, node: Node) -> str:
    return quoted(node.name)


def _column(writer: Writer, node: Node) -> str:
    return ".".join(writer.sql(part) for part in node.parts)


def _ordering(sign: str) -> Callable[[Writer, Node], str]:
    write = _binary(sign)

    def written(writer: Writer, node: Node) -> str:
        if {writer.kind(node.this), writer.kind(node.expression)} & _NESTED:
            raise unlike(node)  # nested NULLs have another place in its order
        return write(writer, node)

    return written


def _binary(sign: str) -> Callable[[Writer, Node], str]:
    def write(writer: Writer, node: Node) -> str:
        return f"({writer.beside(node.this, node.expression)} {sign} {writer.beside(node.expression, node.this)})"

    return write


def _arithmetic(sign: str) -> Callable[[Writer, Node], str]:
    def write(writer: Writer, node: Node) -> str:
        left, right = node.this, node.expression
        kinds = {writer.kind(left), writer.kind(right)}
        if kinds == {"date"} and sign == "-":
            return f"CAST(datediff({writer.sql(left)}, {writer.sql(right)}) AS BIGINT)"
        if not kinds <= NUMBERS | {""} and not (kinds == {"date", "int"} and writer.kind(left) == "date"):
            raise unlike(node)
        made = f"({writer.sql(left)} {sign} {writer.sql(right)})"
        return f"CAST({made} AS FLOAT)" if writer.kind(node) == "float" else made

    return write


def _division(writer: Writer, node: Node) -> str:
    """DuckDB divides as IEEE 754 has it: by zero to an infinity or NaN, where Spark has an error."""
    kinds = {writer.kind(node.this), writer.kind(node.expression)}
    if not kinds <= NUMBERS | {""}:
        raise unlike(node)
    over, under = (f"CAST({writer.sql(part)} AS DOUBLE)" for part in (node.this, node.expression))
    below = node.expression.unnest()
    known = isinstance(below, exp.Literal) and not below.is_string and float(below.name)
    if known or (isinstance(below, exp.Nullif) and below.expression.name == "0"):
        made = f"({over} / {under})"
    else:
        made = f"coalesce(try_divide({over}, {under}), {over} * pow({under}, -1))"
    return f"CAST({made} AS FLOAT)" if "float" in kinds and "double" not in kinds else made


def _whole_division(writer: Writer, node: Node) -> str:
    kinds = {writer.kind(node.this), writer.kind(node.expression)}
    if kinds == {"int"}:
        return f"({writer.sql(node.this)} DIV {writer.sql(node.expression)})"
    if kinds <= NUMBERS:
        return _division(writer, node)  # DuckDB's // of real numbers is its /
    raise unlike("// of what is not known to be numbers")


def _rest(writer: Writer, node: Node) -> str:
    over, under = writer.sql(node.this), writer.sql(node.expression)
    kinds = {writer.kind(node.this), writer.kind(node.expression)}
    if not kinds <= NUMBERS:
        raise unlike("% of what is not known to be numbers")
    if not kinds & {"float", "double"}:
        return f"({over} % {under})"
    over, under = f"CAST({over} AS DOUBLE)", f"CAST({under} AS DOUBLE)"
    return f"coalesce(try_mod({over}, {under}), IF({over} IS NULL OR {under} IS NULL, NULL, {_NAN}))"


def _between(writer: Writer, node: Node) -> str:
    low, high = node.args["low"], node.args["high"]
    return (
        f"({writer.beside(node.this, low)} >= {writer.beside(low, node.this)} AND "
        f"{writer.beside(node.this, high)} <= {writer.beside(high, node.this)})"
    )


def _in(writer: Writer, node: Node) -> str:
    if query := node.args.get("query"):
        if not _is_condition(node):
            raise unlike(node)  # it gives false for NULL
        return f"({writer.sql(node.this)} IN {writer.sql(query)})"
    if not node.expressions:
        raise unlike(node)
    if isinstance(node.parent, exp.Pivot):
        return f"{writer.sql(node.this)} IN ({', '.join(map(writer.sql, node.expressions))})"
    values = ", ".join(writer.beside(value, node.this) for value in node.expressions)
    return f"({writer.beside(node.this, node.expressions[0])} IN ({values}))"


def _is_condition(node: Node) -> bool:
    """Whether an IN (SELECT …) is a condition that rows are kept by, where it is one whether false or NULL."""
    above = node.parent
    negated = isinstance(above, exp.Not)
    above = above.parent if negated and above is not None else above
    while isinstance(above, exp.And | exp.Paren) or (isinstance(above, exp.Or) and not negated):
        above = above.parent
    return isinstance(above, exp.Where)


def _unified(function: str) -> Callable[[Writer, Node], str]:
    """A function that gives one of its arguments: of a FLOAT and others a FLOAT."""

    def write(writer: Writer, node: Node) -> str:
        made = f"{function}({', '.join(writer.sql(part) for part in (node.this, *node.expressions))})"
        return f"CAST({made} AS FLOAT)" if writer.kind(node) == "float" else made

    return write


def _nullif(writer: Writer, node: Node) -> str:
    one, other = writer.sql(node.this), writer.beside(node.expression, node.this)
    return f"IF({writer.beside(node.this, node.expression)} = {other}, NULL, {one})"


def _when(writer: Writer, node: Node) -> str:
    """An arm of a CASE, or a call of if()."""
    if isinstance(node.parent, exp.Case) and node.arg_key == "ifs":
        test = writer.sql(node.this)
        if node.parent.this is not None:
            test = writer.beside(node.this, node.parent.this)
        return f"WHEN {test} THEN {writer.sql(node.args['true'])}"
    other = node.args.get("false")
    parts = (node.this, node.args["true"])
    return f"IF({', '.join(map(writer.sql, parts))}, {writer.sql(other) if other is not None else 'NULL'})"


def _case(writer: Writer, node: Node) -> str:
    arms = []
    for arm in node.args["ifs"]:
        test = writer.sql(arm.this)
        if node.this is not None:
            test = f"{writer.beside(node.this, arm.this)} = {writer.beside(arm.this, node.this)}"
        arms.append(f"WHEN {test} THEN {writer.sql(arm.args['true'])}")
    default = node.args.get("default")
    made = f"CASE {' '.join(arms)}{f' ELSE {writer.sql(default)}' if default is not None else ''} END"
    return f"CAST({made} AS FLOAT)" if writer.kind(node) == "float" else made


def _ordered(writer: Writer, node: Node) -> str:
    if writer.kind(node.this) in _NESTED:
        raise unlike(f"an order by {node.this.sql('duckdb')}, which has parts,")
    down = " DESC" if node.args.get("desc") else ""
    return f"{writer.sql(node.this)}{down} NULLS {'FIRST' if node.args.get('nulls_first') else 'LAST'}"


def _limit(writer: Writer, node: Node) -> str:
    if isinstance(node.expression, exp.Null):
        return ""
    if not isinstance(node.expression, exp.Literal):
        raise unlike("a LIMIT that is not a number")
    return f" LIMIT {writer.sql(node.expression)}"


def _lambda(writer: Writer, node: Node) -> str:
    raise unlike(node)


def _window(writer: Writer, node: Node) -> str:
    if isinstance(node.this, exp.ArrayAgg | exp.GroupConcat | exp.Anonymous):
        raise unlike("a list over a window")
    return SparkGenerator.window_sql(writer, node)


def _named_table(writer: Writer, node: Node) -> str:
    if node.args.get("db") or not isinstance(node.this, exp.Identifier):
        raise unlike(node)
    return SparkGenerator.table_sql(writer, node)


def _cast(writer: Writer, node: Node) -> str:
    return casts.cast(writer, node)


RENDERED: Mapping[type[Node], Callable[[Writer, Node], str]] = {
    exp.Literal: _literal,
    exp.RawString: lambda writer, node: text(str(node.this)),
    exp.Identifier: _identifier,
    exp.Column: _column,
    exp.Dot: lambda writer, node: f"{writer.sql(node.this)}.{writer.sql(node.expression)}",
    exp.EQ: _binary("="),
    exp.NEQ: _binary("<>"),
    exp.LT: _ordering("<"),
    exp.LTE: _ordering("<="),
    exp.GT: _ordering(">"),
    exp.GTE: _ordering(">="),
    exp.NullSafeEQ: _binary("IS NOT DISTINCT FROM"),
    exp.NullSafeNEQ: _binary("IS DISTINCT FROM"),
    exp.Add: _arithmetic("+"),
    exp.Sub: _arithmetic("-"),
    exp.Mul: _arithmetic("*"),
    exp.Div: _division,
    exp.IntDiv: _whole_division,
    exp.Mod: _rest,
    exp.Between: _between,
    exp.In: _in,
    exp.Coalesce: _unified("coalesce"),
    exp.Greatest: _unified("greatest"),
    exp.Least: _unified("least"),
    exp.Nullif: _nullif,
    exp.If: _when,
    exp.Case: _case,
    exp.Ordered: _ordered,
    exp.Limit: _limit,
    exp.Lambda: _lambda,
    exp.Window: _window,
    exp.Table: _named_table,
    exp.Cast: _cast,
    exp.TryCast: _cast,
    exp.DataType: lambda writer, node: spark_type(node),
    **calls.RENDERED,
    **lists.RENDERED,
}

# Not those of sqlglot's own writer for Spark, which rewrite whole SELECTs.
Writer.TRANSFORMS = {**Generator.TRANSFORMS, **RENDERED}
