"""A store opened in Python: answers as lazy DuckDB relations on one connection."""

import os
from pathlib import Path

import duckdb

from analysis import asking, questions
from analysis.engine import explained
from analysis.schema import DEFAULT_STORE
from analysis.sqltext import Statement
from analysis.store.runs import list_runs


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
        return self._relation(asking.runs_statement(self.store))

    def ask(self, question: str, *tables: str, **options: object) -> duckdb.DuckDBPyRelation:
        """The answer to a question about tables: `ask("errors-by-guess", "cnn@5")`; raises SecondguessError."""
        return self._relation(self.statement(question, *tables, **options))

    def statement(self, question: str, *tables: str, **options: object) -> Statement:
        """The statement behind `ask`; its `text` can be pasted into any DuckDB session."""
        asked = questions.find(self.store, question)
        return asking.question(self.con.cursor(), self.store, asked, tables, options)

    def sql(self, text: str) -> duckdb.DuckDBPyRelation:
        """One SELECT over the tables, references such as "cnn@5", examples, runs and metrics; raises Refused."""
        return self._relation(asking.sql(self.con.cursor(), self.store, text))

    def _relation(self, statement: Statement) -> duckdb.DuckDBPyRelation:
        try:
            return self.con.sql(statement.text)
        except duckdb.Error as error:
            raise explained(error) from None


def connect(store: str | os.PathLike[str] = DEFAULT_STORE, con: duckdb.DuckDBPyConnection | None = None) -> Connection:
    """Open a store, on a DuckDB connection of your own if you like; raises NotFound where there is no store."""
    path = Path(store).absolute()
    list_runs(path)
    return Connection(path, con if con is not None else duckdb.connect())
