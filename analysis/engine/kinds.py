"""What a column holds, as far as a person's filter, a join or a summary needs to know."""

from collections.abc import Iterable
from typing import Literal

Kind = Literal["number", "text", "boolean", "date", "media", "list", "other"]

_BEGINNINGS: dict[str, Kind] = {
    "int": "number",
    "uint": "number",
    "float": "number",
    "double": "number",
    "halffloat": "number",
    "decimal": "number",
    "string": "text",
    "large_string": "text",
    "bool": "boolean",
    "date": "date",
    "time": "date",
    "struct<bytes: binary, path: string>": "media",
    "list": "list",
    "large_list": "list",
    "fixed_size_list": "list",
}
_INTEGERS = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT")
_NUMBERS = {*_INTEGERS, *(f"U{name}" for name in _INTEGERS), "FLOAT", "DOUBLE", "DECIMAL"}


def kind_of(arrow: str) -> Kind:
    """The kind of an Arrow type, as it writes itself."""
    return next((kind for start, kind in _BEGINNINGS.items() if arrow.startswith(start)), "other")


def kind_of_sql(type: str) -> Kind:
    """The kind of a DuckDB type, as it writes itself."""
    if type.endswith("]"):
        return "list"
    if type.startswith("STRUCT(bytes BLOB, path VARCHAR") or type.startswith('STRUCT("bytes" BLOB, path VARCHAR'):
        return "media"
    word = type.partition("(")[0]
    if word in {"VARCHAR", "ENUM", "UUID"}:
        return "text"
    if word == "BOOLEAN":
        return "boolean"
    if word in _NUMBERS:
        return "number"
    return "date" if word.startswith(("DATE", "TIME")) else "other"


def inexact(types: Iterable[str]) -> bool:
    """Whether columns of these DuckDB types may have values that Python has no like of: `engine.exact`."""
    return any(word in kind for kind in types for word in ("DATE", "TIME", "INTERVAL"))
