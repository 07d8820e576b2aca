"""DuckDB's lists, structs and maps, and the aggregates that give them, as Spark has them."""

from collections.abc import Callable, Mapping, Sequence

from sqlglot import exp

from secondguess.analysis.engine.spark.quoting import Node, quoted, text, unlike
from secondguess.analysis.engine.spark.types import Writing, kind_of, type_of, within

Write = Callable[[Writing, Node], str]


def _array(writer: Writing, node: Node) -> str:
    if any(isinstance(part, exp.Comprehension) for part in node.expressions):
        raise unlike(node)
    if not node.expressions and isinstance(node.parent, exp.Alias | exp.Select):
        return "CAST(array() AS ARRAY<INT>)"  # an answer's columns have a type
    return f"array({', '.join(map(writer.sql, node.expressions))})"


def _item(writer: Writing, node: Node) -> str:
    """An item of a list, by its place from 1, from its end where it is negative; the value of a map's key."""
    (place,) = node.expressions
    kind, of = writer.kind(node.this), writer.sql(node.this)
    if isinstance(place, exp.Slice):
        return _slice(writer, node, place)
    if kind == "map":
        return f"try_element_at({of}, {writer.sql(place)})"
    if kind == "list":
        if isinstance(place, exp.Literal):
            return f"try_element_at({of}, {place.name})" if int(place.name) else "NULL"
        return f"try_element_at({of}, CAST(nullif({writer.sql(place)}, 0) AS INT))"
    raise unlike(node)


def _slice(writer: Writing, node: Node, place: Node) -> str:
    first, last = place.this, place.expression
    if place.args.get("step") is not None or writer.kind(node.this) != "list":
        raise unlike(node)
    for end in filter(None, (first, last)):
        if not (isinstance(end, exp.Literal) and end.name.isdecimal()):
            raise unlike(node)
    start = max(1, int(first.name)) if first is not None else 1
    of = writer.sql(node.this)
    count = max(0, int(last.name) - start + 1) if last is not None else f"greatest(size({of}) - {start - 1}, 0)"
    return f"slice({of}, {start}, {count})"


def _with_lambda(function: str) -> Write:
    def write(writer: Writing, node: Node) -> str:
        made = node.expression
        if not isinstance(made, exp.Lambda) or len(made.expressions) != 1:
            raise unlike(node)
        of, outer = writer.sql(node.this), writer.names
        writer.names = within(made, node.this, outer)
        try:
            body = writer.sql(made.this)
        finally:
            writer.names = outer
        return f"{function}({of}, {quoted(made.expressions[0].name)} -> {body})"

    return write


def _sorted(writer: Writing, node: Node) -> str:
    up, first = node.args.get("asc"), node.args.get("nulls_first")
    down = isinstance(up, exp.Boolean) and not up.this
    if isinstance(first, exp.Boolean) and first.this:
        raise unlike(node)
    return f"sort_array({writer.sql(node.this)}, false)" if down else f"array_sort({writer.sql(node.this)})"


def _holds(writer: Writing, node: Node) -> str:
    """contains() of a text, or of a list."""
    if writer.kind(node.this) == "text":
        return f"contains({writer.sql(node.this)}, {writer.sql(node.expression)})"
    return _contains(writer, node)


def _contains(writer: Writing, node: Node) -> str:
    of, value = writer.sql(node.this), writer.sql(node.expression)
    return f"coalesce(array_contains({of}, {value}), IF({of} IS NULL OR {value} IS NULL, NULL, false))"


def _position(writer: Writing, node: Node) -> str:
    of, value = map(writer.sql, node.expressions)
    return f"nullif(array_position({of}, {value}), 0)"


def _total(divided: bool) -> Write:
    def write(writer: Writing, node: Node) -> str:
        (of,) = node.expressions
        known = f"filter(transform({writer.sql(of)}, sg_x -> CAST(sg_x AS DOUBLE)), sg_x -> sg_x IS NOT NULL)"
        total = f"aggregate({known}, 0D, (sg_sum, sg_x) -> sg_sum + sg_x)"
        return f"IF(size({known}) = 0, NULL, {total}{f' / size({known})' if divided else ''})"

    return write


def _texts(writer: Writing, node: Node) -> str:
    item = type_of(node.this, writer.names)
    inner = item.expressions[0] if item is not None and item.expressions else None
    if kind_of(inner) not in ("text", "int"):
        raise unlike(node)
    texts = f"CAST({writer.sql(node.this)} AS ARRAY<STRING>)"
    known = f"size({texts}) = 0 OR exists({texts}, sg_x -> sg_x IS NOT NULL)"
    return f"IF({known}, array_join({texts}, {writer.sql(node.expression)}), NULL)"


def _numbers(writer: Writing, node: Node) -> str:
    """range(first, end) as a list, which is empty where end is not after first."""
    if node.args.get("step") is not None or not node.args.get("is_end_exclusive"):
        raise unlike(node)
    first, end = (f"CAST({writer.sql(node, key)} AS BIGINT)" for key in ("start", "end"))
    return f"IF({end} > {first}, sequence({first}, {end} - 1), slice(array({first}), 1, 0))"


def _appended(writer: Writing, node: Node) -> str:
    """Lists one after the other; NULL is none."""
    parts = [f"coalesce({writer.sql(part)}, array())" for part in (node.this, *node.expressions)]
    return f"concat({', '.join(parts)})"


def _struct(writer: Writing, node: Node) -> str:
    parts = []
    for part in node.expressions:
        if not isinstance(part, exp.PropertyEQ):
            raise unlike(node)
        parts += [text(part.this.name), writer.sql(part.expression)]
    return f"named_struct({', '.join(parts)})"


def _field(writer: Writing, node: Node) -> str:
    return f"{writer.sql(node.this)}.{quoted(node.expression.name)}"


# Aggregates that give lists


def _listed(writer: Writing, given: Node, *, nulls: bool = True) -> str:
    """The values of a group in their order, as a list."""
    if not isinstance(given, exp.Order) or isinstance(given.this, exp.Distinct):
        raise unlike("a list without ORDER BY, or of DISTINCT values,")
    value = writer.sql(given.this)
    kept = writer.kept
    if not nulls:
        own = f"{value} IS NOT NULL"
        kept = f"{kept[:-1]} AND {own})" if kept else f" FILTER (WHERE {own})"
    keys = [(writer.sql(key.this), writer.kind(key.this), key) for key in given.expressions]
    if all(not key.args.get("desc") or kind in ("int", "float", "double") for _, kind, key in keys):
        fields = [field for key in keys for field in _ascending(*key)]
        return _gathered(fields, value, kept, "sort_array({0})")
    tests = [test for number, (_, _, key) in enumerate(keys) for test in _tests(f"k{number}", key)]
    compared = f"array_sort({{0}}, (sg_l, sg_r) -> CASE {' '.join(tests)} ELSE 0 END)"
    return _gathered([sql for sql, _, _ in keys], value, kept, compared)


def _gathered(fields: Sequence[str], value: str, kept: str, ordered: str) -> str:
    parts = ", ".join(f"'k{number}', {field}" for number, field in enumerate(fields))
    gathered = f"collect_list(named_struct({parts}, 'v', {value})){kept}"
    made = f"transform({ordered.format(gathered)}, sg_s -> sg_s.v)"
    return f"IF(size({gathered}) = 0, NULL, {made})"


def _ascending(sql: str, kind: str, key: Node) -> list[str]:
    """Fields that come in ascending order where the key comes in its own."""
    null = f"{sql} IS NOT NULL" if key.args.get("nulls_first") else f"{sql} IS NULL"
    if not key.args.get("desc"):
        return [null, sql]
    return [null, f"-{sql}"] if kind == "int" else [null, f"NOT isnan({sql})", f"-{sql}"]


def _tests(field: str, key: Node) -> list[str]:
    """What tells which of two comes first by a key."""
    left, right = f"sg_l.{field}", f"sg_r.{field}"
    null, less = (-1 if key.args.get("nulls_first") else 1), (1 if key.args.get("desc") else -1)
    return [
        f"WHEN {left} IS NULL AND {right} IS NOT NULL THEN {null}",
        f"WHEN {left} IS NOT NULL AND {right} IS NULL THEN {-null}",
        f"WHEN {left} < {right} THEN {less}",
        f"WHEN {left} > {right} THEN {-less}",
    ]


def _list(writer: Writing, node: Node) -> str:
    return _listed(writer, node.this)


def _texts_of_group(writer: Writing, node: Node) -> str:
    separator = node.args.get("separator")
    given = node.this
    inner = given.this if isinstance(given, exp.Order) else given
    if writer.kind(inner) != "text":
        raise unlike(node)
    between = writer.sql(separator) if separator is not None else "','"
    return f"array_join({_listed(writer, given, nulls=False)}, {between})"


def _histogram(writer: Writing, node: Node) -> str:
    (of,) = node.expressions
    gathered = f"collect_list({writer.sql(of)}){writer.kept}"
    entry = "struct(sg_k, CAST(size(filter(sg_c, sg_v -> sg_v = sg_k)) AS BIGINT))"
    entries = f"map_from_entries(transform(array_sort(array_distinct(sg_c)), sg_k -> {entry}))"
    return f"transform(array({gathered}), sg_c -> IF(size(sg_c) = 0, NULL, {entries}))[0]"


def _end(place: int) -> Write:
    def write(writer: Writing, node: Node) -> str:
        return f"element_at({_listed(writer, node.this)}, {place})"

    return write


def _extreme(function: str, up: str) -> Write:
    def write(writer: Writing, node: Node) -> str:
        count = node.args.get("count")
        if isinstance(node.this, exp.Order | exp.Distinct) or node.expressions:
            raise unlike(node)
        if writer.kind(node.this) in ("list", "map", "other"):
            raise unlike(node)  # nested NULLs have another place in its order
        value = writer.sql(node.this)
        if count is None:
            return f"{function}({value}){writer.kept}"
        if not (isinstance(count, exp.Literal) and count.name.isdecimal()):
            raise unlike(node)
        gathered = f"collect_list({value}){writer.kept}"
        return f"IF(size({gathered}) = 0, NULL, slice(sort_array({gathered}, {up}), 1, {count.name}))"

    return write


def _of_first(function: str) -> Write:
    return lambda writer, node: f"{function}({writer.sql(node.expressions[0])})"


BY_NAME: Mapping[str, Write] = {
    "histogram": _histogram,
    "list_position": _position,
    "list_indexof": _position,
    "array_position": _position,
    "list_sum": _total(False),
    "list_avg": _total(True),
    "map_entries": _of_first("map_entries"),
    "map_values": _of_first("map_values"),
    "cardinality": _of_first("size"),
}
RENDERED: Mapping[type[Node], Write] = {
    exp.Array: _array,
    exp.Bracket: _item,
    exp.Transform: _with_lambda("transform"),
    exp.ArrayFilter: _with_lambda("filter"),
    exp.ArraySort: _sorted,
    exp.ArrayContains: _contains,
    exp.Contains: _holds,
    exp.ArrayMax: lambda writer, node: f"array_max({writer.sql(node.this)})",
    exp.ArrayMin: lambda writer, node: f"array_min({writer.sql(node.this)})",
    exp.ArraySize: lambda writer, node: f"CAST(size({writer.sql(node.this)}) AS BIGINT)",
    exp.ArrayConcat: _appended,
    exp.ArrayToString: _texts,
    exp.Flatten: lambda writer, node: f"flatten(filter({writer.sql(node.this)}, sg_l -> sg_l IS NOT NULL))",
    exp.GenerateSeries: _numbers,
    exp.Struct: _struct,
    exp.StructExtract: _field,
    exp.MapKeys: lambda writer, node: f"map_keys({writer.sql(node.this)})",
    exp.ArrayAgg: _list,
    exp.GroupConcat: _texts_of_group,
    exp.First: _end(1),
    exp.Last: _end(-1),
    exp.Min: _extreme("min", "true"),
    exp.Max: _extreme("max", "false"),
}
