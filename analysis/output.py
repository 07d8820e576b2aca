"""Where an answer goes: rows to stdout or a file, everything else to stderr."""

import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from analysis import export, render
from analysis.answer import Answer
from analysis.engine import Build, Rows, answered, batches, rows
from analysis.errors import BadInput, listing
from analysis.questions import Question
from analysis.schema import is_score
from analysis.sqltext import Statement

_NUMBER = re.compile(r"U?(TINY|SMALL|BIG|HUGE)?INT(EGER)?|FLOAT|DOUBLE|DECIMAL\(.*\)")


@dataclass(frozen=True)
class How:
    """How to give an answer: form is table, json, csv, markdown or None; rows the most a table draws."""

    form: str | None = None
    file: Path | None = None
    show_sql: bool = False
    rows: int = 50


def give(build: Build, store: Path, question: Question | None, how: How) -> None:
    """Answer on stdout, or in a file; the SQL, notes and what was left out go to stderr. Raises SecondguessError."""
    form = export.format_of(how.file, how.form) if how.file is not None else how.form or "table"
    if how.file is not None and how.file.resolve().is_relative_to(store.resolve()):
        raise BadInput(f"{how.file} lies in the store, which only recording writes to; name a file outside {store}")
    if form == "parquet" and how.file is not None:
        with answered(build, batches) as (statement, reader):
            _tell(statement, how)
            with export.replaced(how.file) as part:
                count = export.write_parquet(reader, part)
            _say(f"wrote {_rows(count)} to {how.file}")
        return
    with answered(build, rows) as (statement, found):
        answer = _answer(found, statement, question)
        _tell(statement, how, answer.columns)
        if how.file is not None:
            with export.replaced(how.file) as part, part.open("w", encoding="utf-8", newline="") as out:
                count = export.write_text(answer, form, out)
            _say(f"wrote {_rows(count)} to {how.file}")
        elif form == "table":
            _to_terminal(answer, how.rows)
        else:
            export.write_text(answer, form, sys.stdout)


def _tell(statement: Statement, how: How, columns: Sequence[str] = ()) -> None:
    """Say what the reader of the answer should know; as comments where SQL is shown, which can be pasted with them."""
    notes = list(statement.notes)
    if any(is_score(name.removesuffix("_a")) for name in columns) and not all(map(str.isdigit, statement.classes)):
        notes.append(f"score_0, score_1, … are the scores of: {listing(statement.classes)}")
    if how.show_sql:
        _say(statement.text + ";")
    for note in notes:
        _say(("-- " if how.show_sql else "") + " ".join(note.splitlines()))


def _answer(found: Rows, statement: Statement, question: Question | None) -> Answer:
    return Answer(
        columns=found.columns,
        numeric=[_NUMBER.fullmatch(kind) is not None for kind in found.types],
        rows=found.rows,
        drawn=question.drawn if question is not None else None,
        order=statement.order,
        classes=statement.classes,
    )


def _to_terminal(answer: Answer, limit: int) -> None:
    drawn = render.terminal(answer, sys.stdout, limit)
    if drawn.hidden and drawn.total:
        left_out = f"{len(drawn.hidden)} column{'' if len(drawn.hidden) == 1 else 's'}"
        _say(f"{left_out} too wide for {drawn.width} characters: {listing(drawn.hidden)}; --format csv writes all")
    if drawn.total > drawn.shown:
        _say(f"{drawn.shown:,} of {_rows(drawn.total)}; --rows {drawn.total} draws all, --format csv writes all")
    else:
        _say(_rows(drawn.total))


def _rows(count: int) -> str:
    return f"{count:,} row{'' if count == 1 else 's'}"


def _say(text: str) -> None:
    print(text, file=sys.stderr)
