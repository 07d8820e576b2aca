"""SQL as text: the one quoting of names, the one writing of values, and statements that can be shown."""

import datetime
import decimal
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from secondguess.analysis.engine.kinds import Kind
from secondguess.analysis.errors import BadInput

LITERAL = r"(?:NULL|true|false|\(?-?[\d.]+(?:e[-+]?\d+)?\)?(?:::[A-Z]+)?|'(?:[^']|'')*'(?:::[A-Z]+)?)"
"""A value as `literal` writes it, but for lists and bytes, as a regular expression."""
_WILDCARD = re.compile(r"[\[*?]")


def identifier(name: str) -> str:
    """A name as SQL, always quoted."""
    return '"' + name.replace('"', '""') + '"'


def literal(value: object) -> str:
    """A value as a DuckDB literal of the same type, wherever it stands; raises TypeError for a type that has none."""
    if value is None:
        return "NULL"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value) if value >= 0 else f"({value})"  # bare, `1-$x` would become a comment
    if isinstance(value, float):
        text = repr(value)
        return f"{text}::DOUBLE" if text[0].isdigit() else f"'{text}'::DOUBLE"
    if isinstance(value, decimal.Decimal) and value.is_finite():
        return f"'{value:f}'::DECIMAL(38, {max(0, -int(value.as_tuple().exponent))})"
    if isinstance(value, str | Path):
        return _text(str(value))
    if isinstance(value, bytes):
        return "'" + "".join(f"\\x{byte:02X}" for byte in value) + "'::BLOB"
    if isinstance(value, datetime.datetime):
        return f"'{value.isoformat(sep=' ')}'::{'TIMESTAMPTZ' if value.tzinfo else 'TIMESTAMP'}"
    if isinstance(value, datetime.date):
        return f"'{value.isoformat()}'::DATE"
    if isinstance(value, datetime.time):
        return f"'{value.isoformat()}'::TIME"
    if isinstance(value, Sequence):
        return "[" + ", ".join(literal(item) for item in value) + "]"
    raise TypeError(f"no SQL literal for {type(value).__name__}")


def as_text(sql: str, kind: Kind) -> str:
    """An expression as text, written as JavaScript does: whole numbers without a point, what has parts as JSON.

    So W&B turns keys into text (`'' + value`), and 1 matches "1". Real numbers below a ten-thousandth look otherwise.
    """
    if kind == "number":
        value = f"({sql})"
        special = f"WHEN isnan({value}::DOUBLE) THEN 'NaN' WHEN isinf({value}::DOUBLE) THEN "
        infinite = f"CASE WHEN {value} > 0 THEN 'Infinity' ELSE '-Infinity' END"
        whole = f"WHEN {value} = trunc({value}) AND abs({value}) < 1e21 THEN CAST(CAST({value} AS HUGEINT) AS VARCHAR)"
        return f"CASE {special}{infinite} {whole} ELSE replace(CAST({value} AS VARCHAR), 'e-0', 'e-') END"
    if kind in ("list", "media", "other"):
        return f"CAST(to_json({sql}) AS VARCHAR)"
    return sql if kind == "text" else f"CAST({sql} AS VARCHAR)"


def _text(value: str) -> str:
    parts = ["'" + part.replace("'", "''") + "'" for part in value.split("\0")]
    # A NUL ends a statement's text in some shells and parsers, so it is written as a function call.
    return parts[0] if len(parts) == 1 else f"({' || chr(0) || '.join(parts)})"


def read_parquet(files: Iterable[Path], *options: str) -> str:
    """The call that reads these files and no others, whatever their folders are called.

    Raises BadInput for a path that no pattern of DuckDB's can name.
    """
    # An error of a lazy relation shows the line it comes from, up to some sixty characters of it.
    given = [literal([pattern(path) for path in files]), "hive_partitioning = false", *options]
    return f"read_parquet( -- gone? the store was compacted, ask again\n  {', '.join(given)})"


def pattern(path: Path) -> str:
    """A path as the glob pattern that matches it alone; raises BadInput where DuckDB has none for it."""
    text = str(path)
    if not _WILDCARD.search(text):
        return text
    if "\\" in text:
        raise BadInput(f"DuckDB cannot read {text}: a path with a backslash and one of * ? [ in it; rename the folder")
    return _WILDCARD.sub(lambda match: f"[{match.group()}]", text)


def is_value(column: str, value: Any) -> str:
    """The condition that a column has this value; NULL is one too."""
    return f"{identifier(column)} IS NOT DISTINCT FROM {literal(value)}"
