"""A store opened in Python gives lazy DuckDB relations that combine with each other and with everything else."""

import threading

import duckdb
import pandas as pd
import pytest
from recording import add, bytes_of, record

import secondguess as sg
from secondguess.analysis.errors import BadInput, Damaged, NotFound, Refused
from secondguess.trainer.recorder import Recorder

ROWS = [("a", 4, 4), ("b", 4, 1), ("c", 1, 4), ("d", 0, 0)]


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    path = tmp_path_factory.mktemp("store")
    record(path, "cnn", {1: ROWS, 2: [("a", 4, 4), ("b", 4, 4), ("c", 1, 4), ("d", 0, 0)]})
    return path


def test_answers_are_duckdb_relations_on_the_connections_own_session(store):
    open_store = sg.connect(store)
    for found in (open_store.runs(), open_store.ask("errors", "cnn@1"), open_store.sql("FROM cnn")):
        assert isinstance(found, duckdb.DuckDBPyRelation)
    assert isinstance(open_store.con, duckdb.DuckDBPyConnection)
    assert repr(open_store) == f"<secondguess store {store}>"


def test_a_relation_runs_only_when_it_is_read(store):
    found = sg.connect(store).sql("SELECT error('ran') AS x, id FROM cnn")
    assert found.columns == ["x", "id"]
    with pytest.raises(duckdb.InvalidInputException, match="ran"):
        found.fetchall()


def test_an_answer_comes_as_pandas_polars_arrow_or_is_asked_on(store):
    errors = sg.connect(store).ask("errors", "cnn@1")
    expected = [("b", 1, 4), ("c", 4, 1)]
    assert list(errors.df()[["id", "guess", "truth"]].itertuples(index=False, name=None)) == expected
    assert errors.pl().select("id", "guess", "truth").rows() == expected
    assert errors.to_arrow_table().select(["id", "guess", "truth"]).to_pylist() == [
        {"id": "b", "guess": 1, "truth": 4},
        {"id": "c", "guess": 4, "truth": 1},
    ]
    assert errors.filter("truth = 4").project("id").fetchall() == [("b",)]
    assert errors.aggregate("count(*)").fetchall() == [(2,)]
    assert errors.order("id DESC").limit(1).project("id").fetchall() == [("c",)]


def test_relations_combine_with_each_other(store):
    open_store = sg.connect(store)
    first = open_store.ask("errors", "cnn@1").set_alias("first")
    second = open_store.sql('SELECT id, guess FROM "cnn@2"').set_alias("second")
    both = first.join(second, "first.id = second.id").project("first.id, first.guess, second.guess").order("1")
    assert both.fetchall() == [("b", 1, 4), ("c", 4, 4)]
    assert first.project("id").union(second.project("id")).aggregate("count(*)").fetchall() == [(6,)]
    found = open_store.con.sql("SELECT count(*) FROM first JOIN second USING (id)")  # by their Python names
    assert found.fetchall() == [(2,)]


def test_relations_combine_with_data_frames_on_the_connection(store):
    open_store = sg.connect(store)
    weights = pd.DataFrame({"id": ["a", "b"], "weight": [1.0, 2.5]})
    errors = open_store.ask("errors", "cnn@1")
    found = open_store.con.sql("SELECT errors.id, weight FROM errors JOIN weights USING (id)")
    assert found.fetchall() == [("b", 2.5)]
    assert (len(errors), len(weights)) == (2, 2)


def test_a_store_can_be_opened_on_a_connection_of_ones_own(store):
    con = duckdb.connect()
    con.execute("CREATE TABLE wanted AS SELECT 'c' AS id").fetchall()
    open_store = sg.connect(store, con=con)
    assert open_store.con is con
    errors = open_store.ask("errors", "cnn@1")
    assert con.sql("SELECT errors.id FROM errors SEMI JOIN wanted USING (id)").fetchall() == [("c",)]
    assert len(errors) == 2
    with pytest.raises(NotFound, match="no relation named 'wanted'"):
        open_store.sql("FROM wanted")


def test_an_answer_can_be_written_to_parquet(store, tmp_path):
    sg.connect(store).ask("errors", "cnn@1").write_parquet(str(tmp_path / "errors.parquet"))
    assert duckdb.sql(f"SELECT id FROM '{tmp_path / 'errors.parquet'}' ORDER BY id").fetchall() == [("b",), ("c",)]


def test_a_variable_of_the_callers_is_no_relation_of_the_store(store):
    frame = pd.DataFrame({"x": [1]})
    open_store = sg.connect(store)
    for text in ("FROM frame", "SELECT (WITH frame AS (SELECT 1) SELECT 1) FROM frame"):
        with pytest.raises(NotFound, match="no relation named 'frame'"):
            open_store.sql(text)
    assert len(frame) == 1


def test_python_goes_through_the_guard_too(store):
    before = bytes_of(store)
    open_store = sg.connect(store)
    for text in ("COPY (SELECT 1) TO 'x'", "FROM read_text('/etc/passwd')", "SELECT 1; SELECT 2", "SELECT $x"):
        with pytest.raises((Refused, BadInput)):
            open_store.sql(text)
    assert bytes_of(store) == before


def test_what_duckdb_refuses_is_one_line_that_says_why(store):
    with pytest.raises(Refused) as caught:
        sg.connect(store).sql("SELECT gess FROM cnn")
    assert str(caught.value).startswith('Binder Error: Referenced column "gess" not found in FROM clause!')
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize(
    "make", [lambda path: path / "none", lambda path: ((path / "file").write_text("") and None) or path / "file"]
)
def test_a_store_that_is_not_there_is_refused_at_once(tmp_path, make):
    with pytest.raises(NotFound, match="no store at"):
        sg.connect(make(tmp_path))


def test_new_epochs_are_seen_by_the_next_call_while_the_run_goes_on(tmp_path):
    with Recorder(tmp_path, run="cnn", wandb="off") as recorder:
        open_store = sg.connect(tmp_path)
        for epoch in (1, 2):
            with recorder.table("test_predictions", epoch=epoch) as table:
                add(table, ROWS)
            assert open_store.sql("SELECT count(*) FROM cnn").fetchall() == [(4 * epoch,)]
            assert open_store.ask("errors-over-time", "cnn").project("epoch").fetchall()[-1] == (epoch,)
            assert open_store.runs().project("state").fetchall() == [("running",)]
    assert open_store.runs().project("state").fetchall() == [("finished",)]
    record(tmp_path, "second", {1: ROWS})
    assert open_store.runs().project("run").fetchall() == [("cnn",), ("second",)]


def kept_over_a_compaction(path):
    """An open store and relations from before its run ended."""
    recorder = Recorder(path, run="cnn", wandb="off")
    for epoch in (1, 2, 3):
        recorder.log(loss=1.0)
        with recorder.table("test_predictions", epoch=epoch) as table:
            add(table, ROWS)
    open_store = sg.connect(path)
    kept = {
        "sql": open_store.sql("FROM test_predictions"),
        "filtered": open_store.sql("FROM cnn").filter("epoch = 2"),
        "one epoch": open_store.sql('SELECT count(*) FROM "cnn@2"'),
        "errors": open_store.ask("errors", "cnn@all"),
        "aggregated": open_store.ask("errors-over-time", "cnn").aggregate("sum(errors)"),
        "joined": open_store.ask("disagreements", "cnn@1", "cnn@2"),
        "metrics": open_store.sql("FROM metrics"),
    }
    recorder.close()
    return open_store, kept


def test_a_relation_kept_over_a_compaction_says_to_ask_again_and_asking_again_works(tmp_path):
    open_store, kept = kept_over_a_compaction(tmp_path)
    for name, relation in kept.items():
        for read in (relation.fetchall, relation.df, relation.pl, relation.to_arrow_table):
            with pytest.raises(duckdb.Error) as caught:
                read()
            assert "the store was compacted, ask again" in str(caught.value), name
    assert open_store.sql("SELECT count(*) FROM test_predictions").fetchall() == [(12,)]
    assert open_store.ask("errors-over-time", "cnn").project("epoch, errors").fetchall() == [(1, 2), (2, 2), (3, 2)]


def test_an_answer_is_whole_whenever_a_run_is_compacted(tmp_path):
    """Readers that ask while runs end get all rows of all committed epochs, whatever they meet."""
    for number in range(6):
        record(tmp_path, f"run {number}", dict.fromkeys((1, 2, 3), ROWS), finish=False)
    done = threading.Event()

    def finish():
        for number in range(6):
            with Recorder(tmp_path, run=f"run {number}", wandb="off", resume=True):
                pass
        done.set()

    thread = threading.Thread(target=finish)
    thread.start()
    from secondguess.analysis.ask import statements
    from secondguess.analysis.engine.duck import answered, rows

    asked = 0
    while not done.is_set() or not asked:
        with answered(lambda con: statements.sql(con, tmp_path, "SELECT count(*) FROM test_predictions"), rows) as (
            _,
            found,
        ):
            assert list(found.rows) == [(6 * 3 * 4,)]
        asked += 1
    thread.join()


def test_a_damaged_file_is_named_in_one_line(tmp_path):
    record(tmp_path, "cnn", {1: ROWS})
    (file,) = (tmp_path / "cnn" / "test_predictions").iterdir()
    file.write_bytes(b"not parquet at all, but long enough to be looked at")
    open_store = sg.connect(tmp_path)
    with pytest.raises((Damaged, Refused)) as caught:
        open_store.ask("errors", "cnn")
    assert str(file) in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_the_statement_behind_an_answer_can_be_had(store):
    statement = sg.connect(store).statement("errors", "cnn@1", limit=1)
    assert len(duckdb.sql(statement.text).fetchall()) == 1
    assert statement.order == (("cnn", 1),)
    assert statement.values == {"limit": 1}
