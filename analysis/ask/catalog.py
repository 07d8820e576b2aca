"""A store as views of a DuckDB connection: its tables, references to them, examples, runs and metrics by their names.

Views are plain SQL over the store's files, so any DuckDB reads them; each names the files that there are as it is made.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from itertools import chain, count, repeat
from pathlib import Path

import duckdb

from secondguess.analysis.ask import scope
from secondguess.analysis.ask.refs import (
    Runs,
    Selection,
    called,
    fewest_errors,
    listed,
    parse,
    present,
    run_notes,
    select,
    tables_of,
)
from secondguess.analysis.ask.relations import over_runs, runs_relation
from secondguess.analysis.ask.scope import Relation
from secondguess.analysis.engine.duck import explained, register, starting_over
from secondguess.analysis.engine.sqltext import identifier, literal
from secondguess.analysis.errors import AlreadyThere, BadInput, Damaged, listing
from secondguess.analysis.moments import Moment
from secondguess.analysis.schema import COMPUTED, at_epoch, folded, whole_name
from secondguess.analysis.store.runs import Run

MOST_EPOCHS = 200
"""Epochs that have views of their own: each is bound as it is made, which opens its file."""
_OURS = "secondguess: a view of "
_FILES = ", of the files"  # behind the store's path, which may have a comma itself
_DEFAULT_SCHEMA = "main"
_FOOTERS = "parquet_metadata_cache"


@dataclass(frozen=True)
class Catalog:
    """The views of a store: the SELECT of each by its name, every file they read, and what their reader should know."""

    store: Path
    selects: Mapping[str, str]
    files: frozenset[Path]
    notes: tuple[str, ...]


def catalog(store: Path, most_epochs: int = MOST_EPOCHS) -> Catalog:
    """The views that a store has now: each table over all runs, and of each run RUN, RUN@last, RUN@best and RUN@EPOCH.

    RUN/TABLE and its last and best are views, too, and the epochs of a table that RUN alone does not mean. All have the
    computed columns (`schema.COMPUTED`) beside their own. Of more than most_epochs epochs those that are left have no
    view of their own, which a note says. Raises NotFound without a store, BadInput where it has no table yet.
    """
    runs, selections = listed(store, lambda runs: [one for run in runs.values() for one in tables_of(run)])
    if not selections:
        raise BadInput(f"{store} has no table yet, so there is nothing to make views of; record or import one")
    made = _Made(store)
    made.try_to("runs", lambda: runs_relation(runs.values()))
    made.try_to("metrics", lambda: scope.metrics(runs.values()))
    epochs = [epoch for selection in selections for epoch in selection.epochs]
    if any(epoch.examples_file is not None for epoch in epochs):
        made.try_to("examples", lambda: scope.examples(epochs))
    tables: dict[str, list[Selection]] = {}
    for selection in selections:
        tables.setdefault(selection.table.casefold(), []).append(selection)
    for named in tables.values():
        made.try_to(named[0].table, partial(over_runs, named[0].table, named, COMPUTED))
    for selection in selections:
        _of_table(made, runs[selection.run], selection)
    if left := _of_epochs(made, runs, selections, most_epochs):
        made.notes.append(
            f"{left:,} epochs have no view of their own, since there are more than {most_epochs:,}; "
            'read one with WHERE epoch = N, from "RUN"'
        )
    return made.catalog(run_notes(runs.values()))


def create(con: duckdb.DuckDBPyConnection, store: Path, schema: str | None = None, database: str = "") -> Catalog:
    """Make the views of a store in a schema of a connection (None: main), all or none, in the place of earlier ones.

    Raises AlreadyThere where a table, or a view that is not of this store, has one of the names; it is left as it is.
    """
    name = schema or _DEFAULT_SCHEMA
    if not isinstance(name, str) or not name.strip() or "\0" in name:
        raise BadInput(f"schema is {schema!r}; name one, as in schema='predictions'")
    where = ".".join(map(identifier, filter(None, (database, name))))

    def attempt() -> Catalog:
        made = catalog(store)
        register(con)
        with _footers_read_once(con), _whole(con):
            con.execute(f"CREATE SCHEMA IF NOT EXISTS {where}")
            for old in _earlier(con, made, database, name):
                con.execute(f"DROP VIEW {where}.{identifier(old)}")
            for view, select in made.selects.items():
                con.execute(f"CREATE VIEW {where}.{identifier(view)} AS\n{select}")
                con.execute(f"COMMENT ON VIEW {where}.{identifier(view)} IS {literal(_comment(store))}")
        return made

    try:
        return starting_over(attempt)
    except duckdb.InvalidInputException as error:
        if "read-only" in str(error):
            raise BadInput(
                "this connection is read-only, so it takes no views; use one of your own, as duckdb.connect(), "
                "or a file of views: secondguess sql --duckdb FILE"
            ) from None
        raise explained(error) from None
    except duckdb.Error as error:
        raise explained(error) from None


def views_in(con: duckdb.DuckDBPyConnection, database: str) -> tuple[int, int]:
    """How many views of a store a database has, and how many tables and views that are none."""
    views = con.execute(
        "SELECT comment FROM duckdb_views() WHERE NOT internal AND database_name = $name", {"name": database}
    ).fetchall()
    tables = con.execute(
        "SELECT table_name FROM duckdb_tables() WHERE database_name = $name", {"name": database}
    ).fetchall()
    ours = sum(str(comment or "").startswith(_OURS) for (comment,) in views)
    return ours, len(views) - ours + len(tables)


def _of_store(store: Path) -> str:
    return f"{_OURS}{store}{_FILES}"


def _comment(store: Path) -> str:
    """What DuckDB shows of a view (`duckdb_views()`), and what tells it from one of the user's."""
    return (
        f"{_of_store(store)} that it had when this was made; make it anew for new epochs, or where a file is gone "
        "since a run was compacted: store.attach(con), or secondguess sql --duckdb FILE --overwrite"
    )


class _Made:
    """The views so far; a name that is taken is noted, never replaced."""

    def __init__(self, store: Path) -> None:
        self.store = store
        self.notes: list[str] = []
        self._relations: dict[str, Relation] = {}
        self._damaged: dict[str, list[str]] = {}
        self._names: dict[str, str] = {}  # as DuckDB compares them

    def is_free(self, name: str) -> bool:
        """Whether no view is called so, as DuckDB compares names."""
        return folded(name) not in self._names

    def reference(self, run: Run, name: str) -> None:
        """A view of what a reference names."""
        self.try_to(name, lambda: scope.stacked(name, [present(select(run, parse(name), "all"))], added=COMPUTED))

    def try_to(self, name: str, make: Callable[[], Relation]) -> None:
        """A view of what make returns; where its name is taken, or no file of it is left, that is noted."""
        if not self.is_free(name):
            self.notes.append(f"{name!r} has no view, since {self._names[folded(name)]!r} is another")
            return
        try:
            self._relations[name] = make()
            self._names[folded(name)] = name
        except Damaged as error:
            self._damaged.setdefault(str(error), []).append(name)
        except BadInput as error:
            self.notes.append(f"{name!r} has no view: {error}")

    def catalog(self, notes: Sequence[str]) -> Catalog:
        """All views."""
        relations = self._relations
        lost = [f"no view of {listing(names, 6)}: {fault}" for fault, names in self._damaged.items()]
        said = dict.fromkeys((*notes, *lost, *self.notes, *scope.all_notes(relations)))
        selects = {name: relation.sql for name, relation in relations.items()}
        return Catalog(self.store, selects, scope.all_files(relations), tuple(said))


def _of_table(made: _Made, run: Run, selection: Selection) -> None:
    """The views of a table with all its epochs, with its last and its best one, by each name that means it."""
    words = ["last"] if fewest_errors(selection.epochs) is None else ["last", "best"]
    for base in dict.fromkeys((called(run, selection.table), whole_name(run.name, selection.table))):
        for name in (base, *(at_epoch(base, word) for word in words)):
            made.reference(run, name)


def _of_epochs(made: _Made, runs: Runs, selections: Iterable[Selection], most: int) -> int:
    """The views of single epochs, and of their steps, the latest first; returns for how many there are none."""
    ages = (zip(count(), repeat(one), reversed(one.epochs), strict=False) for one in selections)
    moments = [(one, epoch.moment) for _, one, epoch in sorted(chain.from_iterable(ages), key=lambda each: each[0])]
    for one, moment in moments[:most]:
        run = runs[one.run]
        whens: dict[Moment | int, None] = dict.fromkeys((moment.epoch, moment))
        for when in whens:
            name = at_epoch(called(run, one.table), when)
            if made.is_free(name):
                made.reference(run, name)
    return max(0, len(moments) - most)


def _earlier(con: duckdb.DuckDBPyConnection, made: Catalog, database: str, schema: str) -> list[str]:
    """The views of this store that a schema has from before; raises AlreadyThere for another's of a name of these."""
    there = con.execute(
        """SELECT database_name, view_name, comment FROM duckdb_views() WHERE NOT internal AND schema_name = $schema
        UNION ALL SELECT database_name, table_name, NULL FROM duckdb_tables() WHERE schema_name = $schema""",
        {"schema": schema},
    ).fetchall()
    names = {folded(name): name for name in made.selects}
    here = database or con.execute("SELECT current_database()").fetchall()[0][0]
    ours = []
    for where, name, comment in there:
        if where == here and str(comment or "").startswith(_of_store(made.store)):
            ours.append(name)
        elif where in (here, "temp") and folded(name) in names:
            said = str(comment or "")
            whose = f"the store {said[len(_OURS) :].partition(_FILES)[0]}" if said.startswith(_OURS) else "yours"
            raise AlreadyThere(
                f"the connection has a table or view {name!r} already, of {whose}, which stays as it is; "
                "put these into a schema of their own: schema='predictions', or --schema predictions"
            )
    return ours


@contextmanager
def _footers_read_once(con: duckdb.DuckDBPyConnection) -> Iterator[None]:
    """Let DuckDB keep what it reads of files for the block: many views are of one file, whose footer may be long."""
    ((kept,),) = con.execute(f"SELECT current_setting('{_FOOTERS}')").fetchall()
    with suppress(duckdb.Error):  # a connection whose settings are locked
        con.execute(f"SET {_FOOTERS} = true")
    try:
        yield
    finally:
        with suppress(duckdb.Error):
            con.execute(f"SET {_FOOTERS} = {literal(kept)}")


@contextmanager
def _whole(con: duckdb.DuckDBPyConnection) -> Iterator[None]:
    """All of the block, or none of it; within a transaction of the user's it is a part of that."""
    one, other = (con.execute("SELECT txid_current()").fetchall() for _ in range(2))
    if one == other:  # BEGIN within a transaction would abort it
        yield
        return
    con.execute("BEGIN TRANSACTION")
    try:
        yield
    except BaseException:
        con.execute("ROLLBACK")
        raise
    con.execute("COMMIT")
