"""Free text of a person's that becomes part of a statement: guarded expressions, lists of them, names."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

import duckdb

from secondguess.analysis.engine import guard
from secondguess.analysis.engine.passages import Passage
from secondguess.analysis.engine.sqltext import identifier
from secondguess.analysis.errors import BadInput, Fault, Refused, listing, meant
from secondguess.analysis.schema import COMPUTED, folded

_LONGEST, _MESSAGE = 120, 500  # characters of a text and of what is wrong with it that are repeated
_OPEN, _CLOSE = b"([{", b")]}"
_DIRECTIONS = {"asc": False, "desc": True}


@dataclass(frozen=True)
class Expression:
    """One value of a row as SQL that passed the guard, with the relations and the columns (folded) that it names.

    relations have each where the person's text names it; passage is the person's text that the SQL has, all of it or
    what is in its bracket. computed are the columns
    among them that the relations it names must compute.
    """

    sql: str
    passage: Passage
    relations: Mapping[str, guard.Span] = field(default_factory=dict)
    columns: frozenset[str] = frozenset()
    ordered: bool = False
    computed: frozenset[str] = frozenset()


def expression(
    con: duckdb.DuckDBPyConnection, what: str, text: str, columns: Iterable[str] | None = None
) -> Expression:
    """The expression a person wrote, or the column that is called exactly so.

    columns are all there are, None where that is not known. Raises Refused saying in what, BadInput for a column that
    is not there.
    """
    if columns is not None and text in columns:
        whole = Passage(what, text, verbatim=False)
        return Expression(identifier(text), whole, {}, frozenset({folded(text)}))
    try:
        value = guard.expression(con, text)
    except Refused as error:
        shown = text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
        reason = str(error)[:_MESSAGE]
        fault = replace(error.fault or Fault(what, text, ""), what=what, text=text, reason=reason)
        raise Refused(f"in {what} {shown!r}: {reason}", fault=fault) from None
    if columns is not None:
        known = {folded(name) for name in columns}
        if unknown := sorted(value.plain.keys() - known):
            hint = meant(unknown[0], columns)
            reason = f"there is no column {unknown[0]!r}{hint}; there are: {listing(columns, 40)}"
            fault = Passage(what, text).fault(reason, *value.plain[unknown[0]])
            raise BadInput(f"in {what} {text!r}: {reason}", fault=fault)
    own = value.text.strip()
    # The line break keeps a comment at the end from swallowing the bracket.
    ending = "\n)" if "--" in value.text else ")"
    moved = value.ordered or bool(value.relations)
    computed = frozenset(name for name in COMPUTED if value.names(name))
    passage = Passage(what, text, skipped=len(value.text[: value.text.find(own)].encode()) - len("("))
    return Expression(f"({own}{ending}", passage, value.places, value.columns, moved, computed)


def named(text: str) -> tuple[str, str]:
    """The name and the expression of `name = expression`; the name may be quoted as in SQL. Raises BadInput."""
    parts = list(_split(text, b"="))
    name = unquoted(parts[0]) if len(parts) > 1 else ""
    value = text.encode()[len(parts[0].encode()) + 1 :].decode().strip()
    if not name or not value:
        raise BadInput(
            f"{text!r} is no computed column; write name = expression, as in 'gap = confidence - truth_score'"
        )
    return name, value


def listed(text: str) -> tuple[str, ...]:
    """The expressions of a list with commas, those inside brackets and quotes left alone; raises BadInput for a gap."""
    parts = tuple(part.strip() for part in _split(text, b","))
    if not all(parts):
        raise BadInput(f"{text!r} has nothing between two commas, or at an end; leave the comma out")
    return parts


def names(text: str) -> tuple[str, ...]:
    """The names of a list with commas, those in double quotes as in SQL; raises BadInput for a gap."""
    return tuple(unquoted(part) for part in listed(text))


def unquoted(name: str) -> str:
    """A name without the double quotes of SQL around it."""
    name = name.strip()
    quoted = len(name) > 1 and name[0] == name[-1] == '"'
    return name[1:-1].replace('""', '"') if quoted else name


def order(text: str) -> tuple[str, bool]:
    """The expression of `expression`, `-expression` or `expression desc`, and whether the largest comes first."""
    stripped = text.strip()
    if stripped.startswith("-") and not stripped.startswith("--"):
        return stripped[1:].strip(), True
    rest, _, last = stripped.rpartition(" ")
    if rest and last.casefold() in _DIRECTIONS:
        return rest.strip(), _DIRECTIONS[last.casefold()]
    return stripped, False


def column(what: str, name: str, columns: Mapping[str, object]) -> str:
    """The column that a person names, whatever the case of its letters; raises BadInput with those there are."""
    if name in columns:
        return name
    known = {folded(own): own for own in columns}
    if folded(name) not in known:
        hint = meant(name, columns)
        raise BadInput(f"{what}: there is no column {name!r}{hint}; there are: {listing(columns, 40)}")
    return known[folded(name)]


def _split(text: str, separator: bytes) -> Iterator[str]:
    """The parts of a text between separators that stand outside of brackets, quotes and comments."""
    try:
        data, depth, start = text.encode(), 0, 0
    except UnicodeEncodeError:
        raise BadInput(f"{text!r} is not valid Unicode text") from None
    for place, kind in duckdb.tokenize(text):
        if kind != duckdb.token_type.operator:
            continue
        letter = data[place : place + 1]
        depth += (letter in _OPEN) - (letter in _CLOSE)
        if letter == separator and depth == 0:
            yield data[start:place].decode()
            start = place + 1
    yield data[start:].decode()
