"""Names and texts as Spark has them wherever they stand, and what is not rendered for it, by name."""

import re
from typing import Any

from sqlglot import exp

from secondguess.analysis.errors import Refused

Node = Any  # a part of sqlglot's tree: what it has goes by its kind
_SAFE_TEXT = re.compile(r"[A-Za-z0-9_ .,:/+@()|#%*<>=-]*")
_LONGEST = 60  # characters of SQL in an error


def quoted(name: str) -> str:
    """A name as Spark quotes it."""
    return "`" + name.replace("`", "``") + "`"


def text(value: str) -> str:
    """A text: as bytes where a character might mean something to Spark's parser."""
    if _SAFE_TEXT.fullmatch(value):
        return f"'{value}'"
    return f"CAST(X'{value.encode().hex().upper()}' AS STRING)"


def unlike(what: Node) -> Refused:
    """The error for a part of a statement that Spark would compute otherwise, or not at all."""
    named = what if isinstance(what, str) else _named(what)
    return Refused(f"Spark cannot run {named} as DuckDB does; write it otherwise, or ask DuckDB: --engine duckdb")


def _named(node: Node) -> str:
    """What a part is called: as DuckDB has it, shortened."""
    if isinstance(node, exp.Anonymous | exp.Func) and not isinstance(node, exp.Connector | exp.Case | exp.If):
        name = node.name if isinstance(node, exp.Anonymous) else node.sql_name()
        return f"the function {name.lower()}"
    sql = " ".join(node.sql("duckdb", comments=False).split())
    return repr(sql if len(sql) <= _LONGEST else sql[: _LONGEST - 1] + "…")
