"""The process that answers a page's questions: it can be killed at any moment, and nothing else is lost."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import islice
from multiprocessing.connection import Connection
from pathlib import Path
from time import perf_counter
from typing import Any

import duckdb

from secondguess.analysis.answers import files
from secondguess.analysis.answers.answer import Answer
from secondguess.analysis.ask import questions, statements
from secondguess.analysis.ask.refs import Runs
from secondguess.analysis.engine import duck
from secondguess.analysis.engine.duck import Build, answered
from secondguess.analysis.engine.kinds import kind_of_sql
from secondguess.analysis.engine.statement import JoinReport
from secondguess.analysis.errors import SecondguessError
from secondguess.analysis.tables import select
from secondguess.analysis.tables.usual import usual
from secondguess.analysis.tables.view import TableView

_MOST_ROWS = 1_000


@dataclass(frozen=True)
class Asked:
    """What a page asks: how names one of table, question, sql, export, and what has what it needs.

    runs are those of the store, where the page has listed them.
    """

    how: str
    store: Path
    what: Any = None
    refs: tuple[str, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)
    most: int = _MOST_ROWS
    runs: Runs | None = None


@dataclass(frozen=True)
class Reply:
    """An answer: rows with their columns and SQL types, the statement, and what its reader should know.

    total is the number of rows of which these are a part, None where it is not known; more says that rows were left
    out since there were more than a page takes. seconds is the time the answer took in this process. sides is how many
    tables stand side by side in it; own the part of the statement that is not its scope.
    """

    columns: Sequence[str]
    types: Sequence[str]
    rows: Sequence[tuple[Any, ...]]
    total: int | None
    more: bool
    sql: str
    notes: tuple[str, ...]
    reports: tuple[JoinReport, ...]
    classes: tuple[str, ...]
    order: tuple[tuple[str, int], ...]
    seconds: float
    sides: int = 1
    own: str = ""

    @property
    def remarks(self) -> tuple[str, ...]:
        """What the reader of the answer should know, with a line for each join."""
        return (*self.notes, *(report.line for report in self.reports))


def serve(pipe: Connection, memory: str) -> None:
    """Answer what comes through the pipe, until it closes: a Reply, or the SecondguessError that it raised."""
    with suppress(BrokenPipeError):  # whoever asked has ended
        _serve(pipe, memory)


def _serve(pipe: Connection, memory: str) -> None:
    con = duck.fresh(memory)
    pipe.send(None)  # it takes questions now; what it took to begin is no question's time
    while True:
        try:
            asked = pipe.recv()
        except EOFError:
            return
        try:
            answer: Reply | SecondguessError = _answer(asked, memory, con)
        except SecondguessError as error:
            answer = error
        except duckdb.OutOfMemoryException:
            answer = SecondguessError(f"this takes more than {memory} of memory; filter more, or use Python")
        pipe.send(answer)
        con.close()
        con = duck.fresh(memory)  # while nobody waits: no question finds what another left


def _answer(asked: Asked, memory: str, con: duckdb.DuckDBPyConnection) -> Reply:
    if asked.how == "export":
        return _exported(asked, memory)
    began = perf_counter()
    with answered(_anew(asked), duck.page, memory, con) as (statement, (rows, total)):
        first_rows = list(islice(rows.rows, asked.most + 1))
        return Reply(
            columns=tuple(rows.columns),
            types=tuple(rows.types),
            rows=first_rows[: asked.most],
            total=total if total is not None or len(first_rows) > asked.most else len(first_rows),
            more=len(first_rows) > asked.most,
            sql=statement.text,
            notes=statement.notes,
            reports=statement.reports,
            classes=statement.classes,
            order=statement.order,
            seconds=perf_counter() - began,
            sides=statement.sides,
            own=statement.own,
        )


def _exported(asked: Asked, memory: str) -> Reply:
    """Write every row of a view to a file; of images, text formats get none."""
    path, form = Path(asked.options["path"]), asked.options["form"]
    build = partial(select.statement, store=asked.store, view=asked.what)
    if form == "parquet":
        with answered(build, duck.batches, memory) as (_, reader):
            count = files.write_parquet(reader, path)
    else:
        with answered(build, duck.rows, memory) as (_, rows), path.open("w", encoding="utf-8", newline="") as out:
            numeric = [kind_of_sql(kind) == "number" for kind in rows.types]
            count = files.write_text(Answer(rows.columns, numeric, rows.rows), form, out)
    return Reply((), (), (), count, False, "", (), (), (), (), 0)


def _anew(asked: Asked) -> Build:
    """Make the statement of the runs that the page has listed; again, of those there are then, where files are gone."""
    known = iter([asked.runs])
    return lambda con: _build(replace(asked, runs=next(known, None)))(con)


def _build(asked: Asked) -> Build:
    if asked.how == "table":
        view: TableView = asked.what
        chosen = partial(usual, view, scores=asked.options.get("scores", True))
        return partial(select.statement, store=asked.store, view=view, usual=chosen, known=asked.runs)
    if asked.how == "question":
        question = questions.find(asked.store, asked.what)
        build = partial(statements.question, store=asked.store, asked=question, known=asked.runs)
        return partial(build, refs=asked.refs, given=asked.options)
    return partial(statements.sql, store=asked.store, text=asked.what, known=asked.runs)
