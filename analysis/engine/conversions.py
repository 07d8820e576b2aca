"""What DuckDB says of a value that is not of the kind it is compared with, in the words of whoever wrote it."""

import re
from collections.abc import Sequence

from secondguess.analysis.engine.kinds import Kind, kind_of_sql
from secondguess.analysis.engine.passages import Passage
from secondguess.analysis.engine.sqltext import literal

_SAID = re.compile(
    r"Conversion Error: Could not convert string '(?P<text>.*?)' to (?P<type>\w+)(?P<rest>.*)", re.DOTALL
)
# A text beside a column of lists, as several labels a row are.
_LISTED = re.compile(
    r"Conversion Error: Type VARCHAR with value '(?P<text>.*)' can't be cast to the destination type .+\[\]", re.DOTALL
)
_KINDS: dict[Kind, tuple[str, str]] = {
    "number": ("a number", "numbers"),
    "boolean": ("true or false", "true and false"),
    "date": ("a moment", "moments"),
}
_WHOLE = ("a whole number", "whole numbers")
# The column before a comparison that begins where the value stands.
_COMPARED = re.compile(
    r"""(?P<column>"(?:[^"]|"")+"|[^\W\d]\w*)\s*(?:[=<>!]+|(?:NOT\s+)?IN\s*\((?:[^()]*,)?|IS\s+(?:NOT\s+)?DISTINCT\s+FROM"""
    r"""|(?:NOT\s+)?BETWEEN)\s*$""",
    re.IGNORECASE,
)


def said(message: str, passages: Sequence[Passage], start: int, length: int) -> str:
    """A message, which of a text that cannot be read as what it is compared with says what the column holds."""
    if (match := _LISTED.fullmatch(message)) is not None:
        value = literal(match["text"])
        column = next((column for each in passages if (column := _compared(each, start, length))), None)
        holds = f": the column {column} holds lists" if column is not None else ""
        return f"{value} is not a list{holds}; write list_contains({column or '…'}, {value})"
    match = _SAID.fullmatch(message)
    words = _words(match["type"]) if match is not None else None
    if match is None or words is None:
        return message
    value = repr(match["text"])
    rest = match["rest"].strip()
    if rest:  # a column's value that was cast; the message names the column
        return f"{value} is not {words[0]}, {rest}"
    column = next((column for each in passages if (column := _compared(each, start, length))), None)
    if column is None:
        return f"{value} is not {words[0]}, which it is used as here"
    return f"{value} is not {words[0]}: the column {column} holds {words[1]}"


def _words(type: str) -> tuple[str, str] | None:
    if type.startswith(("INT", "UINT", "HUGEINT", "UHUGEINT")) and type != "INTERVAL":
        return _WHOLE
    return _KINDS.get(kind_of_sql({"BOOL": "BOOLEAN"}.get(type, type)))


def _compared(passage: Passage, start: int, length: int) -> str | None:
    """The column that a person's text compares with what begins at a place of the SQL; None where it is not told."""
    if not passage.start <= start < passage.start + max(1, passage.length) or not passage.verbatim:
        return None
    fault = passage.fault("", start, length)
    match = _COMPARED.search(passage.text[: fault.start])
    return match["column"] if match is not None else None
