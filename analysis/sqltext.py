"""SQL as text: the one quoting of names, the one writing of values, and statements that can be shown."""

import datetime
import decimal
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


def identifier(name: str) -> str:
    """A name as SQL, always quoted."""
    return '"' + name.replace('"', '""') + '"'


def literal(value: object) -> str:
    """A value as a DuckDB literal of the same type; raises TypeError for a type that has none here."""
    if value is None:
        return "NULL"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return f"{value!r}::DOUBLE" if math.isfinite(value) else f"'{value}'::DOUBLE"
    if isinstance(value, decimal.Decimal):
        return f"'{value}'::DECIMAL(38, {max(0, -int(value.as_tuple().exponent))})"
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


def _text(value: str) -> str:
    # A NUL ends a statement's text in some shells and parsers, so it is written as a function call.
    return " || chr(0) || ".join("'" + part.replace("'", "''") + "'" for part in value.split("\0"))


@dataclass(frozen=True)
class Parameter:
    """Where a `$name` stands in a statement: the byte it begins at and how many bytes it takes."""

    name: str
    start: int
    length: int


@dataclass(frozen=True)
class Statement:
    """One SELECT that reads the store's files and nothing else.

    scope is the CTEs put before the person's or question's text; values are bound when it runs, and written into
    `text` when it is shown. files are all it may read; notes is what the reader of its answer should know. order is
    the (run, epoch) asked about, as they were named.
    """

    scope: str
    body: str
    parameters: tuple[Parameter, ...] = ()
    values: Mapping[str, Any] = field(default_factory=dict)
    files: frozenset[Path] = frozenset()
    notes: tuple[str, ...] = ()
    order: tuple[tuple[str, int], ...] = ()

    @property
    def sql(self) -> str:
        """The statement with its `$name` parameters, to be run with `bound`."""
        return self._wrapped(self.body)

    @property
    def bound(self) -> dict[str, Any]:
        """The values of the parameters that the statement has."""
        return {parameter.name: self.values[parameter.name] for parameter in self.parameters}

    @property
    def text(self) -> str:
        """The complete statement with its values written in; it gives the same rows in any DuckDB session."""
        body = self.body.encode()
        for parameter in sorted(self.parameters, key=lambda found: found.start, reverse=True):
            value = literal(self.values[parameter.name]).encode()
            body = body[: parameter.start] + value + body[parameter.start + parameter.length :]
        return self._wrapped(body.decode())

    def _wrapped(self, body: str) -> str:
        head = f"WITH {self.scope}\n" if self.scope else ""
        # The line breaks keep a comment at the body's end from swallowing the bracket.
        return f"{head}SELECT * FROM (\n{body}\n)"
