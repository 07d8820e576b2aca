"""An answer's rows filtered and sorted as those of any table: what a person adds to a question."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import duckdb

from secondguess.analysis.ask.questions import Question
from secondguess.analysis.engine import expressions
from secondguess.analysis.engine.guard import Inspected
from secondguess.analysis.engine.passages import FILTER, Marks, Passage
from secondguess.analysis.engine.statement import Parameter
from secondguess.analysis.errors import BadInput

OPTIONS = ("where", "sort")
_PLACE = "place_in_answer"


@dataclass(frozen=True)
class Narrowed:
    """A SELECT as it runs, with where its parameters and what people wrote are in it."""

    sql: str
    parameters: tuple[Parameter, ...]
    passages: tuple[Passage, ...]


def taken(asked: Question, given: Mapping[str, object]) -> tuple[dict[str, object], dict[str, tuple[str, ...]]]:
    """The options of the question itself among those given, and what is given to narrow its answer."""
    own = {option.name for option in asked.options}
    narrowing = {name: _texts(name, given[name]) for name in OPTIONS if name in given and name not in own}
    return {name: value for name, value in given.items() if name not in narrowing}, narrowing


def _texts(name: str, value: object) -> tuple[str, ...]:
    texts = (value,) if isinstance(value, str) else tuple(value or ()) if isinstance(value, list | tuple | None) else ()
    if not all(isinstance(text, str) for text in texts) or (value is not None and not texts and value not in ((), [])):
        raise BadInput(f"{name} {value!r} is no text; write SQL over the answer's columns, as where='n > 10'")
    return tuple(str(text) for text in texts)


def narrowed(
    con: duckdb.DuckDBPyConnection,
    passage: Passage,
    select: Inspected,
    where: Sequence[str] = (),
    sort: Sequence[str] = (),
) -> Narrowed:
    """A SELECT, which a passage is of, with its rows filtered by conditions and sorted by expressions over its columns.

    Rows that sort alike stay in the answer's order. Raises Refused for what is no expression, BadInput for one that
    reads anything but the answer.
    """
    if not where and not sort:
        return Narrowed(select.text, select.parameters, (passage,))
    marks = Marks()
    conditions = [_value(con, marks, FILTER, text) for text in where]
    terms = []
    for text in (term for one in sort for term in expressions.listed(one)):
        value, down = expressions.order(text)
        terms.append(f"{_value(con, marks, 'the sort', value)} {'DESC NULLS LAST' if down else 'ASC NULLS FIRST'}")
    before = f"SELECT * EXCLUDE ({_PLACE})\nFROM (\nSELECT *, row_number() OVER () AS {_PLACE}\nFROM (\n"
    after = "\n)\n)"
    if conditions:
        after += "\nWHERE " + "\nAND ".join(conditions)
    after += f"\nORDER BY {', '.join([*terms, _PLACE])}"
    moved = len(before.encode())
    sql, passages = marks.read(f"{before}{select.text}{after}")
    parameters = tuple(replace(one, start=one.start + moved) for one in select.parameters)
    return Narrowed(sql, parameters, (replace(passage, start=moved), *passages))


def _value(con: duckdb.DuckDBPyConnection, marks: Marks, what: str, text: str) -> str:
    value = expressions.expression(con, what, text)
    if value.relations:
        raise BadInput(f"in {what} {text!r}: it reads {min(value.relations)!r}; name columns of the answer only")
    return marks.put(value.sql, value.passage)
