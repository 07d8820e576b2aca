"""Where an answer goes: rows to stdout or a file, everything else to stderr."""

import sys
from dataclasses import dataclass
from pathlib import Path

import duckdb

from analysis import export, render
from analysis.engine import Build, answered
from analysis.errors import BadInput
from analysis.questions import Question
from analysis.render import Answer
from analysis.sqltext import Statement

_NUMBERS = ("INT", "FLOAT", "DOUBLE", "DECIMAL")


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
    if how.file is not None and how.file.absolute().is_relative_to(store.absolute()):
        raise BadInput(f"{how.file} lies in the store, which only recording writes to; name a file outside {store}")
    with answered(build) as (statement, con):
        if how.show_sql:
            _say(statement.text + ";")
        for note in statement.notes:
            _say(f"-- {note}" if how.show_sql else note)
        if how.file is not None:
            with export.replaced(how.file) as part:
                _to_file(con, part, form, statement, question)
            _say(f"wrote {how.file}")
        elif form == "table":
            _to_terminal(_answer(con, statement, question), how.rows)
        else:
            export.write_text(_answer(con, statement, question), form, sys.stdout)


def _answer(con: duckdb.DuckDBPyConnection, statement: Statement, question: Question | None) -> Answer:
    described = con.description or []
    return Answer(
        columns=[column[0] for column in described],
        numeric=[
            any(word in str(column[1]).upper() for word in _NUMBERS) and "[" not in str(column[1])
            for column in described
        ],
        rows=export.rows_of(con),
        drawn=question.drawn if question is not None else None,
        order=statement.order,
    )


def _to_terminal(answer: Answer, limit: int) -> None:
    shown, total = render.terminal(answer, sys.stdout, limit)
    if total > shown:
        _say(f"{shown:,} of {total:,} rows; --rows {total} draws all, --format csv or -o FILE writes all")
    else:
        _say(f"{total:,} row{'' if total == 1 else 's'}")


def _to_file(
    con: duckdb.DuckDBPyConnection, path: Path, form: str, statement: Statement, question: Question | None
) -> None:
    if form == "parquet":
        export.write_parquet(con, path)
        return
    with path.open("w", encoding="utf-8", newline="") as out:
        export.write_text(_answer(con, statement, question), form, out)


def _say(text: str) -> None:
    print(text, file=sys.stderr)
