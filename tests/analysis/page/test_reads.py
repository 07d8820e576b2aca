"""How often a request reads the store: it is listed once, and each table that is named is looked up once."""

import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import duckdb
import pytest
from page import table_url
from page_in_process import texts
from stores import epoch
from stores import writer as writer_of

from secondguess.analysis.ask import questions, refs, statements
from secondguess.analysis.serving.pool import Workers
from secondguess.analysis.store.runs import list_runs
from secondguess.analysis.tables import select
from secondguess.analysis.tables.view import TableView

pytest_plugins = ["page"]

PAIR = ("cnn@1", "double@3")


@contextmanager
def counted() -> Iterator[Counter[str]]:
    """How often this process lists a store, looks a table up, and asks a worker without saying which runs there are."""
    found: Counter[str] = Counter()
    counts = {list_runs.__code__: "listed", refs.select.__code__: "looked up"}

    def look(frame: FrameType, event: str, _: Any) -> None:
        if event == "call" and frame.f_code in counts:
            found[counts[frame.f_code]] += 1
        if event == "call" and frame.f_code is Workers.ask.__code__ and frame.f_locals["asked"].runs is None:
            found["left to a worker"] += 1

    sys.setprofile(look)
    try:
        yield found
    finally:
        sys.setprofile(None)


@pytest.mark.parametrize(
    ("path", "tables"),
    [
        (table_url("cnn@3"), 1),
        (table_url(*PAIR, join="inner"), 2),
        (table_url(*PAIR, side="1"), 2),
        (table_url("cnn", "double", at="2"), 2),
        (table_url(*PAIR, path="/example", row="1"), 2),
        ("/questions?q=errors&t=cnn&t=double", 2),
        ("/questions?q=errors-by-guess&t=cnn@1&t=double@3", 2),
        ("/questions?q=confusion&t=cnn@1&t=double@3", 2),
        ("/questions?q=disagreements&t=cnn@1&t=cnn@3", 2),
        ("/runs", 0),
        ("/run?run=cnn&run=double", 0),
        ("/sql", 0),
    ],
)
def test_a_page_lists_the_store_once_and_looks_each_table_up_once(shared_store: Path, path: str, tables: int) -> None:
    with counted() as found:
        texts(shared_store, path)
    assert found == Counter({"listed": 1, "looked up": tables})


BUILDS: Mapping[str, Any] = {
    "table": lambda con, store, **how: select.statement(con, store, TableView(PAIR, "inner"), **how),
    "stacked at an epoch": lambda con, store, **how: select.statement(
        con, store, TableView(("cnn", "double"), at=2), **how
    ),
    "question": lambda con, store, **how: statements.question(
        con, store, questions.find(store, "errors"), PAIR, {}, **how
    ),
}


@pytest.mark.parametrize("build", BUILDS.values(), ids=BUILDS)
def test_a_statement_lists_the_store_at_most_once_and_looks_each_table_up_once(shared_store: Path, build: Any) -> None:
    with counted() as found:
        build(duckdb.connect(), shared_store)
    assert found == Counter({"listed": 1, "looked up": 2})
    known = list_runs(shared_store)
    with counted() as found:
        build(duckdb.connect(), shared_store, known=known)
    assert found == Counter({"looked up": 2})


def test_runs_that_are_known_are_listed_anew_where_a_compaction_has_removed_a_file(tmp_path: Path) -> None:
    writer = writer_of(tmp_path)
    writer.commit(epoch(1, ["a"], guess=[1], truth=[2]))
    writer.commit(epoch(2, ["a"], guess=[1], truth=[2]))
    known = list_runs(tmp_path)
    assert [len(run.tables) for run in known.values()] == [1]
    writer.end()
    writer.close()
    con = duckdb.connect()
    text = select.statement(con, tmp_path, TableView(("cnn@1",), columns=("id",)), known=known).text
    assert con.execute(text).fetchall() == [("a",)]
    text = statements.sql(con, tmp_path, "SELECT epoch FROM test_predictions ORDER BY 1", known).text
    assert con.execute(text).fetchall() == [(1,), (2,)]
