"""What the parts of a DuckDB statement hold, as sqlglot has told it, and what the two engines call it."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, Protocol

from sqlglot import exp

from secondguess.analysis.engine.spark.quoting import Node, quoted
from secondguess.analysis.errors import Refused
from secondguess.analysis.schema import folded

Kind = Literal["int", "decimal", "float", "double", "text", "boolean", "date", "timestamp", "list", "map", "other", ""]
"""What a value is, as far as casts and comparisons go; "" where it is not known."""

_T = exp.DType
_SPARK = {
    _T.BOOLEAN: "BOOLEAN",
    _T.TINYINT: "TINYINT",
    _T.SMALLINT: "SMALLINT",
    _T.INT: "INT",
    _T.BIGINT: "BIGINT",
    _T.INT128: "DECIMAL(38, 0)",
    # Spark has no unsigned numbers: each is of the next wider type.
    _T.UTINYINT: "SMALLINT",
    _T.USMALLINT: "INT",
    _T.UINT: "BIGINT",
    _T.UBIGINT: "DECIMAL(20, 0)",
    _T.FLOAT: "FLOAT",
    _T.DOUBLE: "DOUBLE",
    _T.TEXT: "STRING",
    _T.VARCHAR: "STRING",
    _T.JSON: "STRING",
    _T.VARBINARY: "BINARY",
    _T.DATE: "DATE",
    _T.TIMESTAMP: "TIMESTAMP_NTZ",
    _T.TIMESTAMPNTZ: "TIMESTAMP_NTZ",
    _T.TIMESTAMPTZ: "TIMESTAMP",
}
_INTS = (_T.TINYINT, _T.SMALLINT, _T.INT, _T.BIGINT, _T.INT128, _T.UTINYINT, _T.USMALLINT, _T.UINT, _T.UBIGINT)
_KINDS: dict[exp.DType, Kind] = {
    **dict.fromkeys(_INTS, "int"),
    _T.DECIMAL: "decimal",
    _T.FLOAT: "float",
    _T.DOUBLE: "double",
    _T.TEXT: "text",
    _T.VARCHAR: "text",
    _T.BOOLEAN: "boolean",
    _T.DATE: "date",
    _T.TIMESTAMP: "timestamp",
    _T.TIMESTAMPNTZ: "timestamp",
    _T.ARRAY: "list",
    _T.LIST: "list",
    _T.MAP: "map",
    _T.UNKNOWN: "",
    _T.NULL: "",
}
NUMBERS = frozenset({"int", "decimal", "float", "double"})
Names = Mapping[str, "exp.DataType | None"]
"""The types of what lambdas name, by folded name."""


class Writing(Protocol):
    """What writes a statement: names are those of the lambdas round a part, kept is the FILTER of an aggregate."""

    names: Names
    kept: str

    def sql(self, expression: Any, key: str | None = None, comment: bool = True) -> str:
        """A part, or the one under a key of it, as SQL."""

    def kind(self, node: Node) -> Kind:
        """What a part holds."""


def kind_of(type: exp.DataType | None) -> Kind:
    """The kind of a type."""
    return "" if type is None else _KINDS.get(type.this, "other")


def spark_type(type: exp.DataType) -> str:
    """What Spark calls a type of DuckDB's; raises Refused where it has none like it."""
    this, inner = type.this, type.expressions
    if this is _T.DECIMAL:
        width, scale = ([*(part.name for part in inner), "18", "3"] if not inner else [part.name for part in inner])[:2]
        return f"DECIMAL({width}, {scale})"
    if this in (_T.ARRAY, _T.LIST):
        return f"ARRAY<{spark_type(inner[0])}>"
    if this is _T.MAP:
        return f"MAP<{spark_type(inner[0])}, {spark_type(inner[1])}>"
    if this is _T.STRUCT:
        fields = [f"{quoted(part.name)}: {spark_type(part.args['kind'])}" for part in inner]
        return f"STRUCT<{', '.join(fields)}>"
    if this not in _SPARK:
        raise Refused(f"Spark has no type {type.sql('duckdb')}; ask DuckDB: --engine duckdb")
    return _SPARK[this]


def type_of(node: exp.Expression | None, names: Names) -> exp.DataType | None:
    """The type of an expression, where it is known; names are those of the lambdas round it."""
    if node is None:
        return None
    alone = isinstance(node, exp.Identifier) or (isinstance(node, exp.Column) and not node.table)
    if alone and folded(node.name) in names:
        return names[folded(node.name)]
    if node.type is not None and kind_of(node.type) and not _open(node.type):
        return node.type
    read = _READ.get(type(node))
    return read(node, names) if read is not None else None


def _open(type: exp.DataType) -> bool:
    """Whether a type does not say what is in it."""
    return type.this in (_T.ARRAY, _T.LIST, _T.MAP) and not (type.expressions and kind_of(_inner(type, -1)))


def _inner(type: exp.DataType | None, place: int) -> exp.DataType | None:
    inner = type.expressions if type is not None else ()
    return inner[place] if inner and isinstance(inner[place], exp.DataType) else None


def item_of(type: exp.DataType | None) -> exp.DataType | None:
    """What the items of a list are, or the values of a map."""
    return _inner(type, -1) if kind_of(type) in ("list", "map") else None


def list_of(item: exp.DataType | None) -> exp.DataType | None:
    """The type of a list of such items."""
    return None if item is None else exp.DataType(this=_T.ARRAY, expressions=[item.copy()], nested=True)


def struct_of(fields: Sequence[tuple[str, exp.DataType | None]]) -> exp.DataType | None:
    """The type of a struct of these fields."""
    unknown = exp.DataType(this=_T.UNKNOWN)
    parts = [exp.ColumnDef(this=exp.to_identifier(name), kind=(kind or unknown).copy()) for name, kind in fields]
    return exp.DataType(this=_T.STRUCT, expressions=parts, nested=True)


def within(function: Node, given: Node, names: Names) -> dict[str, exp.DataType | None]:
    """The names that are known inside a lambda over the items of a list, with their types."""
    item = item_of(type_of(given, names))
    return {**names, **{folded(name.name): item for name in function.expressions}}


def _dot(node: Node, names: Names) -> exp.DataType | None:
    struct = type_of(node.this, names)
    parts = struct.expressions if struct is not None and struct.this is _T.STRUCT else ()
    return next((part.args.get("kind") for part in parts if folded(part.name) == folded(node.expression.name)), None)


def _bracket(node: Node, names: Names) -> exp.DataType | None:
    of = type_of(node.this, names)
    return of if isinstance(node.expressions[0], exp.Slice) else item_of(of)


def _transformed(node: Node, names: Names) -> exp.DataType | None:
    made = node.expression
    return list_of(type_of(made.this, within(made, node.this, names)))


def _same(node: Node, names: Names) -> exp.DataType | None:
    return type_of(node.this, names)


def _first(parts: Sequence[exp.Expression | None], names: Names) -> exp.DataType | None:
    return next((known for part in parts if (known := type_of(part, names)) is not None), None)


def _arithmetic(node: Node, names: Names) -> exp.DataType | None:
    kinds = {kind_of(type_of(part, names)) for part in (node.this, node.expression)}
    if "" in kinds or not kinds <= NUMBERS:
        return None
    # As DuckDB has it: a FLOAT stays one beside all but a DOUBLE.
    widest = next(kind for kind in ("double", "float", "decimal", "int") if kind in kinds)
    return exp.DataType.build({"int": "bigint", "decimal": "decimal(38, 9)"}.get(widest, widest))


def _anonymous(node: Node, names: Names) -> exp.DataType | None:
    given = node.expressions[0] if node.expressions else None
    if node.name.casefold() == "histogram":
        key = type_of(given, names)
        count = exp.DataType.build("ubigint", dialect="duckdb")
        return None if key is None else exp.DataType(this=_T.MAP, expressions=[key.copy(), count], nested=True)
    if node.name.casefold() == "map_entries":
        of = type_of(given, names)
        return list_of(struct_of([("key", _inner(of, 0)), ("value", _inner(of, 1))])) if of is not None else None
    return None


def _struct(node: Node, names: Names) -> exp.DataType | None:
    return struct_of([(part.this.name, type_of(part.expression, names)) for part in node.expressions])


def _case(node: Node, names: Names) -> exp.DataType | None:
    return _first([*(arm.args["true"] for arm in node.args["ifs"]), node.args.get("default")], names)


_READ: Mapping[type[Node], Callable[[Node, Names], "exp.DataType | None"]] = {
    exp.Literal: lambda node, names: None,
    exp.Paren: _same,
    exp.Alias: _same,
    exp.Neg: _same,
    exp.Filter: _same,
    exp.Window: _same,
    exp.Order: _same,
    exp.ArraySort: _same,
    exp.ArrayFilter: _same,
    exp.ArrayConcat: _same,
    exp.Dot: _dot,
    exp.Bracket: _bracket,
    exp.Transform: _transformed,
    exp.Anonymous: _anonymous,
    exp.Struct: _struct,
    exp.Add: _arithmetic,
    exp.Sub: _arithmetic,
    exp.Mul: _arithmetic,
    exp.Array: lambda node, names: list_of(_first(node.expressions, names)),
    exp.ArrayAgg: lambda node, names: list_of(type_of(node.this, names)),
    exp.ArrayMax: lambda node, names: item_of(type_of(node.this, names)),
    exp.ArrayMin: lambda node, names: item_of(type_of(node.this, names)),
    exp.Flatten: lambda node, names: item_of(type_of(node.this, names)),
    exp.Coalesce: lambda node, names: _first([node.this, *node.expressions], names),
    exp.Nullif: _same,
    exp.Case: _case,
    exp.If: lambda node, names: _first([node.args["true"], node.args.get("false")], names),
}


def _of_number(text: str) -> exp.DataType:
    """The type of a number as it is written: one with a point is a DECIMAL, which sqlglot takes for a DOUBLE."""
    if "e" in text.lower():
        return exp.DataType.build("double")
    whole, point, digits = text.partition(".")
    if point:
        return exp.DataType.build(f"decimal({max(1, len(whole) + len(digits))}, {len(digits)})")
    return exp.DataType.build("int" if int(text) < 2**31 else "bigint" if int(text) < 2**63 else "int128")


def annotators(known: Mapping[type[Node], Mapping[str, Any]]) -> dict[type[Node], dict[str, Any]]:
    """What tells the types of parts of a statement: as sqlglot does by `known`, and as here where it does not."""

    def annotator(kind: type[Node]) -> Callable[[Any, Node], None]:
        spec = known.get(kind, {})

        def annotate(by: Any, node: exp.Expression) -> None:
            if kind is exp.Literal and not node.is_string:
                by._set_type(node, _of_number(node.name))
                return
            if "annotator" in spec:
                spec["annotator"](by, node)
            else:
                by._set_type(node, spec.get("returns", _T.UNKNOWN))
            if node.type is None or not kind_of(node.type) or _open(node.type):
                by._set_type(node, _READ[kind](node, {}) or node.type)

        return annotate

    return {
        **{kind: dict(spec) for kind, spec in known.items()},
        **{kind: {"annotator": annotator(kind)} for kind in _READ},
    }
