"""Values that Python has no like of, as text: infinite dates, months, nanoseconds. All others stay as they are.

DuckDB gives an infinite date as the last that Python knows, a month as 30 days, and drops nanoseconds. A value is of
one of the two types of a UNION, which comes out as itself.
"""

from collections.abc import Callable, Sequence
from typing import Any

from secondguess.analysis.engine.sqltext import identifier, literal

_INFINITE = "isinf({0})"
_MONTHS = "datepart('year', {0}) <> 0 OR datepart('month', {0}) <> 0"
_FINER = "{0} <> CAST(CAST({0} AS {1}) AS {2})"
# By the words of DuckDB's types, when a value of it is text.
_WHEN = {
    "DATE": _INFINITE,
    **dict.fromkeys(("TIMESTAMP", "TIMESTAMP_S", "TIMESTAMP_MS", "TIMESTAMP WITH TIME ZONE"), _INFINITE),
    "TIMESTAMP_NS": f"{_INFINITE} OR {_FINER.format('{0}', 'TIMESTAMP', 'TIMESTAMP_NS')}",
    "TIMESTAMPTZ_NS": f"{_INFINITE} OR {_FINER.format('{0}', 'TIMESTAMPTZ', 'TIMESTAMPTZ_NS')}",
    "TIME_NS": _FINER.format("{0}", "TIME", "TIME_NS"),
    "INTERVAL": _MONTHS,
}


def items(columns: Sequence[str], names: Sequence[str], types: Sequence[Any]) -> str | None:
    """The items of a SELECT that gives these columns, written as SQL, such values as text; None where there are none.

    types are DuckDB's own.
    """
    told = [_exact(column, kind, 0) for column, kind in zip(columns, types, strict=True)]
    if not any(told):
        return None
    listed = zip(told, columns, names, strict=True)
    return ", ".join(f"{item or column} AS {identifier(name)}" for item, column, name in listed)


def exact(sql: str, names: Sequence[str], types: Sequence[Any]) -> str | None:
    """The SELECT that gives the rows of another with such values as text; None where there are none.

    The columns may have any names, also one name twice.
    """
    inner = [f'"column {place}"' for place in range(len(names))]
    listed = items(inner, names, types)
    return None if listed is None else f"SELECT {listed} FROM (\n{sql}\n) t({', '.join(inner)})"


def _exact(value: str, kind: Any, depth: int) -> str | None:
    """The value of a type as SQL; None where it stays as it is."""
    if (when := _WHEN.get(str(kind))) is not None:
        union = f"UNION(said VARCHAR, own {kind})"
        return (
            f"CASE WHEN {when.format(value)} THEN CAST(CAST({value} AS VARCHAR) AS {union}) "
            f"ELSE CAST({value} AS {union}) END"
        )
    nested = _NESTED.get(str(kind.id))
    return nested(value, kind, depth) if nested is not None else None


def _list(value: str, kind: Any, depth: int) -> str | None:
    name = f'"item {depth}"'
    item = _exact(name, kind.children[0][1], depth + 1)
    return None if item is None else f"list_transform({value}, lambda {name}: {item})"


def _array(value: str, kind: Any, depth: int) -> str | None:
    return _list(f"CAST({value} AS {kind.children[0][1]}[])", kind, depth)


def _struct(value: str, kind: Any, depth: int) -> str | None:
    parts = [
        (name, own := f"struct_extract({value}, {literal(name) if name else place})", _exact(own, of, depth))
        for place, (name, of) in enumerate(kind.children, 1)
    ]
    if not any(item for _, _, item in parts):
        return None
    if all(name for name, _, _ in parts):
        packed = f"{{{', '.join(f'{literal(name)}: {item or own}' for name, own, item in parts)}}}"
    else:
        packed = f"row({', '.join(item or own for _, own, item in parts)})"
    return f"CASE WHEN {value} IS NULL THEN NULL ELSE {packed} END"


def _map(value: str, kind: Any, depth: int) -> str | None:
    entry = f'"entry {depth}"'
    key, own = (_exact(f"{entry}.{part}", of, depth + 1) for part, of in kind.children)
    if key is None and own is None:
        return None
    pair = f"{{'key': {key or f'{entry}.key'}, 'value': {own or f'{entry}.value'}}}"
    return f"map_from_entries(list_transform(map_entries({value}), lambda {entry}: {pair}))"


_NESTED: dict[str, Callable[[str, Any, int], str | None]] = {
    "list": _list,
    "array": _array,
    **dict.fromkeys(("struct", "tuple"), _struct),
    "map": _map,
}
