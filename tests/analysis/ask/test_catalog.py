"""A store as views of a DuckDB connection, which whatever uses the connection sees by their names."""

from pathlib import Path
from typing import Any

import duckdb
import narwhals
import numpy as np
import pytest
from recording import record
from stores import record as batches

import secondguess as sg
from secondguess.analysis.ask.catalog import catalog
from secondguess.analysis.errors import AlreadyThere, BadInput
from secondguess.analysis.store.runs import list_runs
from secondguess.trainer.recorder import Recorder

FIRST = [("a", 4, 4), ("b", 4, 1), ("c", 1, 4), ("d", 0, 0)]
SECOND = [("a", 4, 4), ("b", 1, 1), ("c", 1, 4), ("d", 0, 0)]


@pytest.fixture
def store(tmp_path: Path) -> Path:
    record(tmp_path / "s", "cnn", {1: FIRST, 2: SECOND})
    return tmp_path / "s"


def names(con: duckdb.DuckDBPyConnection, schema: str = "main") -> set[str]:
    found = con.execute("SELECT view_name FROM duckdb_views() WHERE NOT internal AND schema_name = ?", [schema])
    return {name for (name,) in found.fetchall()}


def rows(con: duckdb.DuckDBPyConnection, sql: str) -> list[tuple[Any, ...]]:
    return con.execute(sql).fetchall()


def test_tables_references_and_the_stores_own_relations_are_views(store: Path) -> None:
    con = sg.views(duckdb.connect(), store)
    assert names(con) == {
        *("runs", "metrics", "test_predictions"),
        *("cnn", "cnn@last", "cnn@best", "cnn@1", "cnn@2"),
        *("cnn/test_predictions", "cnn/test_predictions@last", "cnn/test_predictions@best"),
    }
    assert rows(con, "SELECT epoch, count(*) FILTER (wrong) FROM test_predictions GROUP BY ALL ORDER BY ALL") == [
        (1, 2),
        (2, 1),
    ]
    assert rows(con, 'SELECT id FROM "cnn@1" WHERE wrong ORDER BY id') == [("b",), ("c",)]
    assert rows(con, 'SELECT id FROM "cnn@best" WHERE wrong') == [("c",)]
    assert rows(con, 'SELECT DISTINCT epoch FROM "CNN@Last"') == [(2,)]
    assert rows(con, "SELECT run, rows FROM runs") == [("cnn", [4, 4])]


def test_a_view_gives_the_rows_that_sql_of_the_store_gives(tmp_path: Path) -> None:
    scores = np.array([[0.7, 0.2, 0.1], [0.1, 0.3, 0.6]])
    images = np.zeros((2, 4, 4), np.uint8)
    images[1] = 9
    with Recorder(tmp_path, run="cnn", classes=["ant", "bee", "cat"]) as recorder:
        for step in (10, None):
            with recorder.table("test_predictions", epoch=1, step=step) as table:
                table.add(ids=["a", "b"], truth=[1, 2], scores=scores, images=images)
    store = sg.connect(tmp_path)
    con = store.attach(duckdb.connect())
    for name in ("test_predictions", "cnn@1", "cnn@1:10", "cnn/test_predictions@last"):
        columns = "id, wrong, at_step, truth_rank, round(other_score, 6), round(brier_score, 6), scores, guess, score_1"
        own = f'SELECT {columns} FROM "{name}" ORDER BY ALL'
        assert rows(con, own) == store.sql(own).fetchall(), name
    join = 'SELECT p.id, e.image.bytes IS NOT NULL FROM "cnn@1" p JOIN examples e USING (examples, id) ORDER BY ALL'
    assert rows(con, join) == store.sql(join).fetchall() == [("a", True), ("b", True)]


def test_views_may_have_a_schema_of_their_own(store: Path) -> None:
    con = duckdb.connect()
    con.execute("CREATE TABLE test_predictions AS SELECT 1 AS mine")
    sg.connect(store).attach(con, schema="my predictions")
    assert rows(con, "FROM test_predictions") == [(1,)]
    assert rows(con, 'SELECT count(*) FROM "my predictions"."cnn@1"') == [(4,)]


@pytest.mark.parametrize("mine", ["CREATE TABLE Runs AS SELECT 1", 'CREATE VIEW "cnn@1" AS SELECT 1', "TEMP"])
def test_what_a_connection_has_of_such_a_name_stays_and_nothing_is_made(store: Path, mine: str) -> None:
    con = duckdb.connect()
    con.execute("CREATE TEMP VIEW test_predictions AS SELECT 1" if mine == "TEMP" else mine)
    before = names(con)
    with pytest.raises(AlreadyThere, match="already, of yours, which stays as it is; put these into a schema"):
        sg.views(con, store)
    assert names(con) == before


def test_of_two_stores_the_second_does_not_hide_the_first(store: Path, tmp_path: Path) -> None:
    record(tmp_path / "other", "cnn", {1: FIRST})
    con = sg.views(duckdb.connect(), store)
    with pytest.raises(AlreadyThere, match=f"of the store {store}"):
        sg.views(con, tmp_path / "other")
    sg.views(con, tmp_path / "other", schema="other")
    assert rows(con, "SELECT count(*) FROM test_predictions") == [(8,)]
    assert rows(con, "SELECT count(*) FROM other.test_predictions") == [(4,)]


def test_of_stores_whose_paths_begin_alike_each_keeps_its_views(tmp_path: Path) -> None:
    con = duckdb.connect()
    for name in ("s, of b", "s"):
        record(tmp_path / name, "cnn", {1: [("a", 1, 1)]})
    sg.views(con, tmp_path / "s, of b")
    with pytest.raises(AlreadyThere, match=f"of the store {tmp_path / 's, of b'}, which stays"):
        sg.views(con, tmp_path / "s")
    con.execute("CREATE SCHEMA own; CREATE VIEW own.runs AS SELECT 1; COMMENT ON VIEW own.runs IS 'mine'")
    with pytest.raises(AlreadyThere, match="a table or view 'runs' already, of yours, which stays"):
        sg.views(con, tmp_path / "s", schema="own")


def test_what_is_no_connection_or_schema_is_refused_in_words(store: Path) -> None:
    for con in ("p.duckdb", duckdb, 5):
        with pytest.raises(BadInput, match="not a connection of DuckDB's; pass one, as duckdb"):
            sg.views(con, store)
        with pytest.raises(BadInput, match="not a connection of DuckDB's"):
            sg.connect(store).attach(con)
    with pytest.raises(BadInput, match="schema is 5; name one"):
        sg.views(duckdb.connect(), store, schema=5)
    with pytest.raises(BadInput, match="named by its folder or its URL, not by a DuckDBPyConnection"):
        sg.views(str(store), duckdb.connect())


def test_an_open_store_has_views_as_its_path_has(store: Path) -> None:
    con = sg.views(duckdb.connect(), sg.connect(store), schema="mine")
    assert con.sql('SELECT count(*) FROM mine."cnn@last"').fetchall() == [(4,)]


def test_attaching_again_sees_new_epochs_and_drops_what_is_gone(store: Path) -> None:
    con = sg.views(duckdb.connect(), store)
    record(store, "double", {1: FIRST})
    assert "double@1" not in names(con)
    sg.views(con, store)
    assert {"double@1", "cnn@2"} <= names(con)
    assert rows(con, "SELECT count(*) FROM test_predictions") == [(12,)]
    con.execute("CREATE TABLE mine AS SELECT 1")
    for path in sorted((store / "double").rglob("*"), reverse=True):
        path.unlink() if path.is_file() else path.rmdir()
    (store / "double").rmdir()
    sg.views(con, store)
    assert not any("double" in name for name in names(con))
    assert rows(con, "FROM mine") == [(1,)]


def test_a_view_of_files_that_were_compacted_says_so_until_it_is_made_anew(tmp_path: Path) -> None:
    with Recorder(tmp_path, run="cnn") as recorder:
        for epoch in (1, 2):
            with recorder.table("test_predictions", epoch=epoch) as table:
                table.add(ids=["a"], guess=[epoch])
        con = sg.views(duckdb.connect(), tmp_path)
        assert rows(con, "SELECT count(*) FROM test_predictions") == [(2,)]
    with pytest.raises(duckdb.IOException, match="No files found that match the pattern"):  # as the README has it
        con.execute("FROM test_predictions")
    sg.views(con, tmp_path)
    assert rows(con, "SELECT count(*) FROM test_predictions") == [(2,)]


def test_a_view_says_whose_it_is_and_how_it_is_made_anew(store: Path) -> None:
    con = sg.views(duckdb.connect(), store)
    ((said,),) = rows(con, "SELECT DISTINCT comment FROM duckdb_views() WHERE NOT internal")
    assert said.startswith(f"secondguess: a view of {store}, ")
    assert "store.attach(con), or secondguess sql --duckdb FILE --overwrite" in said


def test_it_is_a_part_of_a_transaction_of_the_users(store: Path) -> None:
    con = duckdb.connect()
    con.execute("BEGIN")
    sg.views(con, store)
    con.execute("ROLLBACK")
    assert names(con) == set()


def test_a_run_called_as_a_table_has_no_view_but_its_whole_name(store: Path, caplog: pytest.LogCaptureFixture) -> None:
    record(store, "test_predictions", {1: FIRST})
    con = sg.views(duckdb.connect(), store)
    assert "'test_predictions' has no view, since 'test_predictions' is another" in caplog.text
    assert rows(con, "SELECT count(*) FROM test_predictions") == [(12,)]
    assert rows(con, 'SELECT count(*) FROM "test_predictions/test_predictions"') == [(4,)]


def test_a_run_of_several_tables_is_named_with_each(store: Path) -> None:
    record(store, "two", {1: FIRST}, table="train_predictions")
    batches(store, "three", [[{"ids": ["a"], "guess": [1], "truth": [1]}]], table="val")
    con = sg.views(duckdb.connect(), store)
    assert {"two@1", "two/train_predictions", "three", "val", "train_predictions"} <= names(con)
    with Recorder(store, run="many") as recorder:
        for table in ("x", "y"):
            with recorder.table(table, epoch=1) as one:
                one.add(ids=["a"], guess=[1])
    sg.views(con, store)
    assert {"many/x", "many/x@1", "many/y@last"} <= names(con)
    assert not {"many", "many@1", "many/x@best"} & names(con)  # neither means one table, nor has it a truth


def test_epochs_beyond_a_number_are_left_out_and_said(store: Path) -> None:
    record(store, "double", {1: FIRST, 2: SECOND, 3: FIRST})
    made = catalog(store, most_epochs=3)
    assert {"cnn@2", "double@3", "cnn@1"} <= made.selects.keys()
    assert not {"double@2", "double@1"} & made.selects.keys()
    assert "2 epochs have no view of their own, since there are more than 3" in " ".join(made.notes)


def test_the_connections_settings_stay(store: Path) -> None:
    for value in (True, False):
        con = duckdb.connect()
        con.execute(f"SET parquet_metadata_cache = {value}")
        con.execute(f"SET lock_configuration = {value}")
        sg.views(con, store)
        assert rows(con, "SELECT current_setting('parquet_metadata_cache')") == [(value,)]


def test_a_damaged_epoch_is_left_out_and_said(store: Path, caplog: pytest.LogCaptureFixture) -> None:
    run = list_runs(store)["cnn"]
    file = next(iter(run.tables["test_predictions"].values())).file
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(duckdb.CatalogException):
        sg.views(duckdb.connect(), store).execute('FROM "cnn@1"')
    assert "no view of test_predictions, cnn, cnn/test_predictions: cnn is committed, but its file" in caplog.text


def test_a_store_without_a_table_says_so(tmp_path: Path) -> None:
    with Recorder(tmp_path, run="empty"):
        pass
    with pytest.raises(BadInput, match="has no table yet"):
        sg.views(duckdb.connect(), tmp_path)


def test_a_connection_that_only_reads_takes_no_views(store: Path, tmp_path: Path) -> None:
    duckdb.connect(str(tmp_path / "x.duckdb")).close()
    with pytest.raises(BadInput, match="this connection is read-only"):
        sg.views(duckdb.connect(str(tmp_path / "x.duckdb"), read_only=True), store)


def test_narwhals_takes_a_table_view(store: Path) -> None:
    table = sg.connect(store).table("cnn@1", columns="id, guess", sort="-id", limit=2)
    frame = narwhals.from_native(table)
    assert frame.collect().rows() == [("d", 0), ("c", 4)]
    assert frame.filter(narwhals.col("guess") == 4).select("id").collect().rows() == [("c",)]
