"""A store opened in Python: answers as lazy DuckDB relations on one connection."""

import logging
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TypeVar

import duckdb

from analysis import asking, questions
from analysis.engine import Build, explained, starting_over
from analysis.schema import DEFAULT_STORE
from analysis.sqltext import Statement
from analysis.store.runs import list_runs

_log = logging.getLogger("secondguess")
Built = TypeVar("Built")


class Connection:
    """An open store. Its relations live on one DuckDB connection, `con`, so they combine with each other.

    Each call lists the store again, so new epochs are seen; a relation that is kept while a run is compacted says so
    when it is used, and is asked for again.
    """

    def __init__(self, store: Path, con: duckdb.DuckDBPyConnection) -> None:
        self.store = store
        self.con = con

    def __repr__(self) -> str:
        return f"<secondguess store {self.store}>"

    def runs(self) -> duckdb.DuckDBPyRelation:
        """The runs and their tables; columns as in `analysis.catalog.runs`."""
        return self._relation(lambda con: asking.runs_statement(self.store))

    def ask(self, question: str, *tables: str, **options: object) -> duckdb.DuckDBPyRelation:
        """The answer to a question about tables: `ask("errors-by-guess", "cnn@5")`; raises SecondguessError.

        What a join matched and what was left out is logged as a warning of the logger `secondguess`.
        """
        return self._relation(self._asked(question, tables, options))

    def statement(self, question: str, *tables: str, **options: object) -> Statement:
        """The statement behind `ask`; its `text` can be pasted into any DuckDB session."""
        return _settled(partial(self._built, self._asked(question, tables, options)))

    def sql(self, text: str) -> duckdb.DuckDBPyRelation:
        """One SELECT over the tables, references such as "cnn@5", examples, runs and metrics; raises Refused."""
        return self._relation(lambda con: asking.sql(con, self.store, text))

    def _asked(self, question: str, tables: tuple[str, ...], options: dict[str, object]) -> Build:
        asked = questions.find(self.store, question)
        return partial(asking.question, store=self.store, asked=asked, refs=tables, given=options)

    def _built(self, build: Build) -> Statement:
        with self.con.cursor() as cursor:
            return build(cursor)

    def _relation(self, build: Build) -> duckdb.DuckDBPyRelation:
        def attempt() -> tuple[Statement, duckdb.DuckDBPyRelation]:
            statement = self._built(build)
            return statement, self.con.sql(statement.text)

        statement, found = _settled(attempt)
        for note in statement.notes:
            _log.warning(note)
        return found


def _settled(attempt: Callable[[], Built]) -> Built:
    try:
        return starting_over(attempt)
    except duckdb.Error as error:
        raise explained(error) from None


def connect(store: str | os.PathLike[str] = DEFAULT_STORE, con: duckdb.DuckDBPyConnection | None = None) -> Connection:
    """Open a store, on a DuckDB connection of your own if you like; raises NotFound where there is no store."""
    path = Path(store).absolute()
    list_runs(path)
    return Connection(path, con if con is not None else duckdb.connect())
