"""A store opened in Python: answers as lazy DuckDB relations on one connection."""

import logging
import os
import shutil
import weakref
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import duckdb

from secondguess.analysis.answers.answer import Answer
from secondguess.analysis.ask import catalog, questions, statements
from secondguess.analysis.engine import engines
from secondguess.analysis.engine.duck import Build, explained, register, spill_folder, starting_over
from secondguess.analysis.engine.engines import DUCKDB, Engine
from secondguess.analysis.engine.statement import Statement
from secondguess.analysis.errors import BadInput
from secondguess.analysis.notebook import Compared, ComparedRecipes, Table, remember
from secondguess.analysis.objects.path import place
from secondguess.analysis.schema import DEFAULT_STORE, LEVEL, MOST_MARKS
from secondguess.analysis.signals import heard
from secondguess.analysis.store.runs import list_runs
from secondguess.analysis.store.verified import every_file
from secondguess.analysis.tables import saved as saved_views
from secondguess.analysis.tables import select
from secondguess.analysis.tables.spelling import spelled

if TYPE_CHECKING:
    import altair as alt

_log = logging.getLogger("secondguess")
Built = TypeVar("Built")
_OF_FRAMES = ("table", "epoch", "step", "overwrite", "id", "guess", "truth", "image", "scores", "classes", "regression")


class Connection:
    """An open store. Its relations live on one DuckDB connection, `con`, so they combine with each other.

    Each call lists the store again, so new epochs are seen; a relation that is kept while a run is compacted says so
    when it is used, and is asked for again.
    """

    def __init__(
        self, store: Path, con: duckdb.DuckDBPyConnection, *, verify: bool = False, engine: Engine = DUCKDB
    ) -> None:
        self.store = store
        self.con = con
        self.engine = engine
        self.verify = verify  # whether large files, too, are read to see that they are as they were written
        self._cursors: list[duckdb.DuckDBPyConnection] = []

    def __repr__(self) -> str:
        return f"<secondguess store {self.store}>"

    def runs(self) -> duckdb.DuckDBPyRelation:
        """The runs and their tables; columns as in `ask.relations.runs_relation`."""
        return self._relation(lambda con: statements.runs_statement(self.store))

    def ask(self, question: str, *tables: str, **options: object) -> duckdb.DuckDBPyRelation:
        """The answer to a question about tables: `ask("errors-by-guess", "cnn@5")`; raises SecondguessError.

        What a join matched and what was left out is logged as a warning of the logger `secondguess`.
        """
        return self._relation(self._asked(question, tables, options))

    def statement(self, question: str, *tables: str, **options: object) -> Statement:
        """The statement behind `ask`; its `text` can be pasted into any DuckDB session."""
        return self._settled(partial(self._built, self._asked(question, tables, options)))

    def chart(self, question: str, *tables: str, **options: object) -> "alt.Chart":
        """The chart of a question's answer, as Altair's object that draws itself without a network.

        Raises SecondguessError, BadInput where the answer has no chart.
        """
        from secondguess.analysis.answers import charts
        from secondguess.analysis.ask import charted

        build = self._asked(question, tables, options)
        statement, relation = self._asked_for(build)
        rows = heard(relation.limit(MOST_MARKS + 1).fetchall, self._interrupt)
        how = charted.charted(statement.drawn, relation.columns, statement.order) if len(rows) > MOST_MARKS else None
        if how is not None:  # a chart is of all rows
            statement, relation = self._answer(lambda con: charted.of_chart(build(con), how))
            rows = heard(relation.fetchall, self._interrupt)
        answer = Answer(relation.columns, (), rows, statement.drawn, statement.order, statement.classes)
        made: alt.Chart | None = charts.chart(answer, said=how.said if how is not None else "")
        if made is None:
            raise BadInput(f"{question} {charts.NO_CHART}")
        return charts.offline(made)  # type: ignore[no-any-return]  # what it was given

    def table(self, *tables: str, **how: object) -> Table:
        """Tables as W&B's table panel shows them: `table("cnn@5", where="wrong", group="guess", sort="-n")`.

        Keywords are the fields of `tables.view.TableView`, spelled as `tables.spelling` says, and saved, the name of a
        saved view. What joins did is logged, and in the answer's `statement.reports`. Raises SecondguessError.
        """
        saved = how.pop("saved", None)
        view = spelled(
            {**how, "tables": tables}, saved_views.load(self.store, str(saved)) if saved is not None else None
        )
        build = partial(select.statement, store=self.store, view=view)
        return Table(
            *self._asked_for(build), view, lambda usual: self._answer(partial(build, usual=usual)), self._interrupt
        )

    def compare(
        self,
        *tables: str,
        by: str | None = None,
        level: float = LEVEL,
        floor: str | Sequence[str] = (),
        with_: str | Sequence[str] = (),
    ) -> Any:
        """Whether tables differ: `compare("cnn@1", "cnn@5")` is a `notebook.Compared`; of several tables one per pair.

        by splits the examples by a column; level is that of intervals and verdicts; floor names runs that differ by
        seed only, as "cnn-*@5". With with_, `compare("cnn-*@5", with_="double-*@5")`, the runs of two recipes are
        compared: a `notebook.ComparedRecipes`. What is left out is logged. Raises SecondguessError.
        """
        from secondguess.analysis.evidence import several
        from secondguess.analysis.evidence.recipes import Recipes

        floors, others = ([each] if isinstance(each, str) else list(each) for each in (floor, with_))
        made: list[Any]
        if others:
            if by is not None or floors:
                raise BadInput("by and floor go with two tables, not with with_, which compares sets of runs")
            made = [several.of_recipes(self._ran, self.store, tables, others, level=level)]
        else:
            made = several.compared(self._ran, self.store, tables, by=by, level=level, floor=floors)
        for note in dict.fromkeys(note for one in made for note in one.notes):
            _log.warning(note)
        shown = [
            ComparedRecipes(one)
            if isinstance(one, Recipes)
            else Compared(one, partial(self.ask, "ledger", one.a, one.b))
            for one in made
        ]
        return shown[0] if len(shown) == 1 else shown

    def _ran(self, build: Build) -> tuple[Statement, list[tuple[Any, ...]]]:
        statement, relation = self._answer(build)
        return statement, heard(relation.fetchall, self._interrupt)

    def sql(self, text: str) -> duckdb.DuckDBPyRelation:
        """One SELECT over the tables, references such as "cnn@5", examples, runs and metrics; raises Refused."""
        return self._relation(lambda con: statements.sql(con, self.store, text))

    def attach(
        self, con: duckdb.DuckDBPyConnection | None = None, *, schema: str | None = None
    ) -> duckdb.DuckDBPyConnection:
        """Make the store's tables, references ("cnn@5"), examples, runs and metrics views of a connection; returns it.

        con is one of yours, or this store's own; schema one for them alone. What is made: `ask.catalog.catalog`. A view
        reads the files that there are now: attach again for new epochs, or where DuckDB finds no files that match,
        since a run was compacted. What has no view is logged. Raises AlreadyThere where the connection has something
        else of such a name, which is left alone.
        """
        con = self.con if con is None else _of_duckdb(con)
        with every_file(self.verify):
            made = heard(partial(catalog.create, con, self.store, schema), con.interrupt)
        for note in made.notes:
            _log.warning(note)
        return con

    def import_frame(self, frame: Any, *, run: str, **how: Any) -> str:
        """Import predictions that are in a pandas or polars DataFrame, an Arrow table or a DuckDB relation.

        how are the options of `secondguess import`: table, epoch, step, overwrite, id, guess, truth, image, scores,
        classes, regression.
        What columns are taken for, and what is odd about the rows, is logged as a warning of the logger `secondguess`.
        Returns the run's name; raises SecondguessError.
        """
        from secondguess.analysis.importers import importing, writing

        if unknown := [name for name in how if name not in _OF_FRAMES]:
            raise BadInput(f"import_frame has no option {unknown[0]!r}; it has: {', '.join(_OF_FRAMES)}")
        options: dict[str, Any] = dict.fromkeys(_OF_FRAMES) | {"overwrite": False} | how
        imported = importing.bring_frame(frame, self.store, importing.how(run=run, **options))
        _log.warning("\n".join(writing.described(imported)))
        return imported.run

    def _asked(self, question: str, tables: tuple[str, ...], options: dict[str, object]) -> Build:
        asked = questions.find(self.store, question)
        return partial(statements.question, store=self.store, asked=asked, refs=tables, given=options)

    def _built(self, build: Build) -> Statement:
        with self.con.cursor() as cursor, every_file(self.verify):
            self._cursors.append(cursor)
            try:
                return build(cursor)
            finally:
                self._cursors.remove(cursor)

    def _relation(self, build: Build) -> duckdb.DuckDBPyRelation:
        statement, relation = self._asked_for(build)
        remember(statement, relation, self.con)
        return relation

    def _asked_for(self, build: Build) -> tuple[Statement, duckdb.DuckDBPyRelation]:
        statement, relation = self._answer(build)
        for note in statement.remarks:
            _log.warning(note)
        return statement, relation

    def _answer(self, build: Build) -> tuple[Statement, duckdb.DuckDBPyRelation]:
        def attempt() -> tuple[Statement, duckdb.DuckDBPyRelation]:
            statement = self._built(build)
            return statement, self.engine.relation(self.con, statement)

        return self._settled(attempt)

    def _settled(self, attempt: Callable[[], Built]) -> Built:
        try:
            return heard(partial(starting_over, attempt), self._interrupt)
        except duckdb.Error as error:
            raise explained(error) from None

    def _interrupt(self) -> None:
        for con in (self.con, *self._cursors):
            con.interrupt()


def connect(
    store: str | os.PathLike[str] = DEFAULT_STORE,
    con: duckdb.DuckDBPyConnection | None = None,
    *,
    verify: bool = False,
    engine: str = "duckdb",
    master: str | None = None,
) -> Connection:
    """Open a store, on a DuckDB connection of your own if you like; raises NotFound where there is no store.

    Ours spills into a private folder, which goes with it. With verify files of 64 MB and more are read, too, to see
    that they are as they were written. With the engine spark, on a master as local[2], answers come from Spark at once
    and whole, and are relations of the connection as ever.
    """
    running = engines.opened(engine, master)
    path = place(store).absolute()
    list_runs(path)
    if con is None:
        spill = spill_folder()
        con = duckdb.connect(config={"temp_directory": str(spill)})
        weakref.finalize(con, _remove, spill, os.getpid())
    register(_of_duckdb(con))
    return Connection(path, con, verify=verify, engine=running)


def views(
    con: duckdb.DuckDBPyConnection,
    store: str | os.PathLike[str] | Connection = DEFAULT_STORE,
    *,
    schema: str | None = None,
) -> duckdb.DuckDBPyConnection:
    """Make the tables of a store views of a connection of yours, as `Connection.attach` does; returns it."""
    if isinstance(store, Connection):
        return store.attach(con, schema=schema)
    return connect(store, con).attach(schema=schema)


def _of_duckdb(con: duckdb.DuckDBPyConnection) -> duckdb.DuckDBPyConnection:
    """The connection; raises BadInput for anything else, such as what ibis and SQLAlchemy have round one."""
    if not isinstance(con, duckdb.DuckDBPyConnection):
        raise BadInput(
            f"con is a {type(con).__module__}.{type(con).__qualname__}, not a connection of DuckDB's; pass one, as "
            "duckdb.connect(), duckdb.default_connection() or, of ibis, backend.con"
        )
    return con


def _remove(spill: Path, process: int) -> None:
    if os.getpid() == process:  # a forked child leaves its parent's alone
        shutil.rmtree(spill, ignore_errors=True)
