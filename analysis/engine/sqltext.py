"""SQL as text: the one quoting of names, the one writing of values, and statements that can be shown."""

import datetime
import decimal
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from secondguess.analysis.engine.kinds import Kind
from secondguess.analysis.engine.passages import Passage, moved
from secondguess.analysis.engine.statement import JoinReport
from secondguess.analysis.errors import BadInput

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


@dataclass(frozen=True)
class Parameter:
    """Where a `$name` stands in a statement: the byte it begins at and how many bytes it takes."""

    name: str
    start: int
    length: int


@dataclass(frozen=True)
class Page:
    """Which of all rows a statement gives: at most limit (None: all) from offset on; total is SQL for their number.

    passages are where total has what a person wrote.
    """

    total: str
    limit: int | None
    offset: int
    passages: tuple[Passage, ...] = ()


@dataclass(frozen=True)
class Statement:
    """One SELECT that reads the store's files and nothing else.

    scope is the CTEs put before the person's or question's text; values are bound when it runs, and written into
    `text` when it is shown. files are all it may read; notes is what the reader of its answer should know. classes are
    the names behind score_0, score_1, …. order is the (run, epoch) asked about, as they were named; drawn how the
    answer may be drawn, (how, columns). page says which part of the rows it gives, where that can be a part; reports
    what its joins did. sides is how many tables stand side by side in it, their columns suffixed _a, _b, …: 1 where
    nothing is joined, and then a suffix means nothing. passages are where the body has what a person wrote.
    """

    scope: str
    body: str
    parameters: tuple[Parameter, ...] = ()
    values: Mapping[str, Any] = field(default_factory=dict)
    files: frozenset[Path] = frozenset()
    notes: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()
    order: tuple[tuple[str, int], ...] = ()
    page: Page | None = None
    reports: tuple[JoinReport, ...] = ()
    drawn: tuple[str, tuple[str, ...]] | None = None
    sides: int = 1
    passages: tuple[Passage, ...] = ()

    @property
    def sql(self) -> str:
        """The statement with its `$name` parameters, to be run with `bound`."""
        return self._wrapped(self.body)

    @property
    def total(self) -> str:
        """The statement that counts the rows of which `page` is a part; raises TypeError where there is no page."""
        if self.page is None:
            raise TypeError("a statement without a page gives all its rows")
        return self._wrapped(self.page.total)

    @property
    def bound(self) -> dict[str, Any]:
        """The values of the parameters that the statement has."""
        return {parameter.name: self.values[parameter.name] for parameter in self.parameters}

    @property
    def in_sql(self) -> tuple[Passage, ...]:
        """Where `sql` has what a person wrote."""
        return moved(self.passages, len(self._head.encode()))

    @property
    def in_total(self) -> tuple[Passage, ...]:
        """Where `total` has what a person wrote."""
        return moved(self.page.passages if self.page is not None else (), len(self._head.encode()))

    @property
    def remarks(self) -> tuple[str, ...]:
        """What the reader of the answer should know, with a line for each join."""
        return (*self.notes, *(report.line for report in self.reports))

    @property
    def text(self) -> str:
        """The complete statement with its values written in; it gives the same rows in any DuckDB session."""
        return self._wrapped(self.own)

    @property
    def own(self) -> str:
        """The body with its values written in: the complete statement without the scope."""
        body = self.body.encode()
        for parameter in sorted(self.parameters, key=lambda each: each.start, reverse=True):
            value = literal(self.values[parameter.name]).encode()
            body = body[: parameter.start] + value + body[parameter.start + parameter.length :]
        return body.decode()

    @property
    def _head(self) -> str:
        return (f"WITH {self.scope}\n" if self.scope else "") + "SELECT * FROM (\n"

    def _wrapped(self, body: str) -> str:
        # The line breaks keep a comment at the body's end from swallowing the bracket.
        return f"{self._head}{body}\n)"


def is_value(column: str, value: Any) -> str:
    """The condition that a column has this value; NULL is one too."""
    return f"{identifier(column)} IS NOT DISTINCT FROM {literal(value)}"
