"""Casts as DuckDB makes them, in Spark SQL: what it rounds, what text it reads, what it writes of a number."""

from sqlglot import exp

from secondguess.analysis.engine.spark.types import Kind, Writing, kind_of, spark_type, type_of
from secondguess.analysis.errors import Refused

# What DuckDB reads of text, where Spark reads more of it: `1d` as a number, `2024` as a day.
_READS: dict[Kind, str] = {
    "float": r"(?i)\s*[+-]?(nan|inf|infinity|([0-9]+\.?[0-9]*|\.[0-9]+)(e[+-]?[0-9]+)?)\s*",
    "boolean": "(?i)(true|false|t|f|1|0|yes|no|y|n)",
    "date": r"\s*[0-9]{1,6}-[0-9]{1,2}-[0-9]{1,2}([ T].*)?\s*",
}
_READS["double"], _READS["timestamp"] = _READS["float"], _READS["date"]
_DIGITS = "DECIMAL(38, 9)"  # of text on its way to a whole number, which it is rounded to


def cast(writer: Writing, node: exp.Expression) -> str:
    """CAST or TRY_CAST; raises Refused for what the two engines do unlike each other."""
    source, target = node.this, node.args["to"]
    cast = "TRY_CAST" if isinstance(node, exp.TryCast) else "CAST"
    sql, kind, to = writer.sql(source), writer.kind(source), kind_of(target)
    if isinstance(source, exp.Null):
        return f"CAST(NULL AS {spark_type(target)})"
    if target.this is exp.DataType.Type.JSON and kind in ("text", ""):
        return f"CAST({sql} AS STRING)"
    if to == "int":
        return _whole(cast, sql, kind, spark_type(target))
    if to == "text":
        return _text(writer, sql, kind, type_of(source, writer.names))
    if kind in ("text", ""):
        return _read(cast, sql, target, known=kind == "text")
    plain = {"float", "double", "int", "decimal", "boolean"}
    if to == "decimal" and kind in ("int", "decimal") and cast == "CAST":
        return f"CAST({sql} AS {spark_type(target)})"
    if (to in ("float", "double") and kind in plain) or (to == "boolean" and kind in ("int", "boolean")):
        return f"CAST({sql} AS {spark_type(target)})"
    if {to, kind} <= {"date", "timestamp"}:
        return f"CAST({sql} AS {spark_type(target)})"
    if to == kind == "list":
        return f"CAST({sql} AS {spark_type(target)})"
    raise _refused(type_of(source, writer.names), target)


def from_text(writer: Writing, sql: str, type: exp.DataType | None) -> str:
    """A literal text as what it is compared with."""
    if type is None:
        return sql
    return _whole("CAST", sql, "text", spark_type(type)) if kind_of(type) == "int" else _read("CAST", sql, type)


def _whole(cast: str, sql: str, kind: Kind, target: str) -> str:
    """Whole numbers are the nearest; of a real one between two the even one, of text and decimals the larger."""
    if kind == "text":
        return f"{cast}(ROUND({cast}({sql} AS {_DIGITS})) AS {target})"
    if kind == "decimal":
        return f"{cast}(ROUND({sql}) AS {target})"
    if kind in ("float", "double"):
        return f"{cast}(RINT({sql}) AS {target})"
    if kind in ("int", "boolean"):
        return f"{cast}({sql} AS {target})"
    if kind == "":
        real = f"CAST({cast}({sql} AS DOUBLE) AS DOUBLE)"
        return (
            f"CASE WHEN typeof({sql}) IN ('float', 'double') THEN {cast}(RINT({real}) AS {target}) "
            f"ELSE {cast}(ROUND({cast}({sql} AS {_DIGITS})) AS {target}) END"
        )
    raise Refused(f"Spark casts no {kind} to {target}; ask DuckDB: --engine duckdb")


def _read(cast: str, sql: str, target: exp.DataType, *, known: bool = True) -> str:
    """What is text, or may be, as what it says."""
    made = f"{cast}({sql} AS {spark_type(target)})"
    pattern = _READS.get(kind_of(target))
    if pattern is None or not known:
        return made
    fits = f"{sql} RLIKE CAST(X'{('^' + pattern + '$').encode().hex().upper()}' AS STRING)"
    if cast == "TRY_CAST":
        return f"IF({fits}, {made}, NULL)"
    message = f"concat('Could not convert string ', {sql}, ' to {target.this.value}')"
    return f"IF({sql} IS NULL OR {fits}, {made}, raise_error({message}))"


def _text(writer: Writing, sql: str, kind: Kind, source: exp.DataType | None) -> str:
    """Text of a value, where both engines write it alike: not of real numbers."""
    made = f"CAST({sql} AS STRING)"
    if kind in ("text", "int", "decimal", "boolean", "date"):
        return sql if kind == "text" else made
    if kind == "timestamp":
        return made
    if kind == "":
        known = f"typeof({sql}) IN ('string', 'boolean', 'tinyint', 'smallint', 'int', 'bigint', 'date', 'void')"
        return f"IF({known}, {made}, raise_error('only whole numbers and texts become text on Spark as in DuckDB'))"
    raise _refused(source, exp.DataType.build("text"))


def _refused(source: exp.DataType | None, target: exp.DataType) -> Refused:
    one, other = (of.sql("duckdb") if of is not None else "an unknown type" for of in (source, target))
    return Refused(
        f"Spark writes or reads {one} as {other} unlike DuckDB; leave out the cast, or ask DuckDB: --engine duckdb"
    )
