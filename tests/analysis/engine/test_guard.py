"""A person's SQL reads the store's tables and does nothing else; what is useful is let through."""

import re
from contextlib import suppress
from itertools import groupby, product
from operator import itemgetter

import duckdb
import pytest
from hostile import HOSTILE, SECRET, filled
from recording import bytes_of, record

from secondguess.analysis.ask import statements
from secondguess.analysis.engine import guard
from secondguess.analysis.engine.duck import answered, fresh, locked, rows
from secondguess.analysis.engine.statement import Statement
from secondguess.analysis.errors import SecondguessError

pytest_plugins = ["hostile"]


def run(world, text):
    """The rows of a person's SQL, as the command line runs it."""
    with answered(lambda con: statements.sql(con, world / "store", text), rows) as (_, found):
        return list(found.rows)


@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: text[:70])
def test_what_does_more_than_read_the_tables_is_refused_in_one_line_and_changes_nothing(world, text, monkeypatch):
    monkeypatch.chdir(world / "out")
    a_python_variable = duckdb.sql("SELECT 1").df()  # what a replacement scan would find
    before = bytes_of(world)
    with pytest.raises(SecondguessError) as caught:
        run(world, filled(text, world))
    assert len(str(caught.value).splitlines()) == 1
    assert SECRET not in str(caught.value)
    assert bytes_of(world) == before
    assert len(a_python_variable) == 1


def test_the_guard_by_itself_lets_nothing_hostile_through_but_names_that_the_store_does_not_have(world):
    with duckdb.connect() as con:
        for text in HOSTILE:
            try:
                found = guard.inspect(con, filled(text, world))
            except SecondguessError:
                continue
            assert found.relations, text
            assert not set(found.relations) <= {"test_predictions", "cnn", "cnn@1", "examples", "runs", "metrics"}, text


RUNS_LONG = ("SELECT sleep_ms(60000)", "SELECT pg_sleep(60)")


@pytest.mark.parametrize("text", [text for text in HOSTILE if text not in RUNS_LONG], ids=lambda text: text[:70])
def test_the_engine_by_itself_writes_nothing_and_reads_nothing_outside(world, text, tmp_path, monkeypatch):
    """The second layer: the statement without the guard before it."""
    monkeypatch.chdir(world / "out")
    files = frozenset((world / "store").rglob("*.parquet"))
    text = filled(text, world).encode(errors="replace").decode()
    before = bytes_of(world)
    found: list[object] = []
    with suppress(duckdb.Error, SecondguessError):
        con = fresh(spill=tmp_path / "spill")
        statement = locked(con, lambda con: Statement("", text, files=files))
        with con:
            found = list(rows(con, statement).rows)
    assert SECRET not in str(found)
    assert "root:" not in str(found)
    assert bytes_of(world) == before


def test_no_setting_of_a_locked_connection_can_be_changed_back(world, tmp_path):
    con = fresh(spill=tmp_path / "spill")
    locked(con, lambda con: Statement("", "SELECT 1"))
    for statement in (
        "SET enable_external_access = true",
        "SET lock_configuration = false",
        "SET allowed_paths = ['/etc/passwd']",
        "SET allowed_directories = ['/']",
        "SET temp_directory = '/tmp'",
        "RESET enable_external_access",
        "PRAGMA enable_profiling='json'",
        "SET python_enable_replacements = true",
    ):
        with pytest.raises(duckdb.Error):
            con.execute(statement)
    con.close()


def test_an_answer_that_spills_leaves_nothing_behind(world, tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    import tempfile

    monkeypatch.setattr(tempfile, "tempdir", None)
    assert run(world, "SELECT count(*) FROM range(10)") == [(10,)]
    assert list(tmp_path.iterdir()) == []


USEFUL = [
    ("SELECT id, guess FROM test_predictions WHERE run = 'cnn' ORDER BY id", [("a", 0), ("b", 0), ("c", 1)]),
    ('FROM "cnn@1" SELECT id ORDER BY 1', [("a",), ("b",), ("c",)]),
    ("FROM cnn", 3),
    ("FROM CNN", 3),
    ('FROM "cnn 2@best" SELECT guess', [(1,)]),
    ('TABLE "cnn@last"', 3),
    ("VALUES (1, 'a'), (2, 'b')", [(1, "a"), (2, "b")]),
    ("SELECT 1;", [(1,)]),
    (";SELECT 1;;", [(1,)]),
    ("SELECT 1; -- the end", [(1,)]),
    ("SELECT 1 /* a; b */ ; /* c */", [(1,)]),
    ("SELECT 1 -- )", [(1,)]),
    ("-- first\nSELECT 1 -- last", [(1,)]),
    ("SELECT 'a;b--c' AS x, $$d;e$$", [("a;b--c", "d;e")]),
    ("SELECT 'é😀;' || '가' -- 😀\n;", [("é😀;가",)]),
    (
        'SELECT a.id, a.guess, b.guess FROM "cnn@1" a JOIN "cnn 2@1" b USING (id)',
        [("a", 0, 1)],
    ),
    (
        "SELECT id, row_number() OVER (ORDER BY id DESC) AS n FROM cnn ORDER BY id",
        [("a", 3), ("b", 2), ("c", 1)],
    ),
    (
        "SELECT id, sum(truth) OVER (ORDER BY id ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) FROM cnn ORDER BY id",
        [("a", 0), ("b", 1), ("c", 2)],
    ),
    ("SELECT id FROM cnn QUALIFY row_number() OVER (ORDER BY confidence DESC) = 1", [("a",)]),
    ("PIVOT (SELECT truth, guess FROM cnn) ON guess IN (0, 1) USING count(*) ORDER BY truth", [(0, 1, 0), (1, 1, 1)]),
    (
        "SELECT * FROM (UNPIVOT (SELECT id, truth, guess FROM cnn) ON truth, guess INTO NAME n VALUE v) WHERE id = 'b' "
        "ORDER BY n",
        [("b", "guess", 0), ("b", "truth", 1)],
    ),
    ("SELECT column_name, count FROM (SUMMARIZE cnn) WHERE column_name = 'id'", [("id", 3)]),
    ("SUMMARIZE SELECT truth FROM cnn", 1),
    ("SELECT column_name FROM (DESCRIBE cnn) WHERE column_name LIKE 'score%'", [("score_0",), ("score_1",)]),
    ("DESCRIBE cnn", 9),
    (
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 4) SELECT list(i) FROM n",
        [([1, 2, 3, 4],)],
    ),
    ("SELECT unnest([3, 1]) AS x ORDER BY x", [(1,), (3,)]),
    ("SELECT u FROM cnn, unnest([1]) AS t(u) WHERE id = 'a'", [(1,)]),
    ("SELECT list_transform([1, 2], lambda x: x * 10), list_filter([1, 2], lambda x: x > 1)", [([10, 20], [2])]),
    ("SELECT guess, count(*) FILTER (WHERE guess <> truth) FROM cnn GROUP BY ALL ORDER BY ALL", [(0, 1), (1, 0)]),
    ("SELECT r.i FROM range(2) r(i) ORDER BY 1", [(0,), (1,)]),
    ("SELECT a.id, b.n FROM cnn a, LATERAL (SELECT length(a.id) AS n) b WHERE a.id = 'a'", [("a", 1)]),
    ("SELECT id FROM cnn WHERE confidence = (SELECT max(confidence) FROM cnn)", [("a",)]),
    ("SELECT truth FROM cnn EXCEPT SELECT 0 FROM cnn", [(1,)]),
    ("SELECT id FROM cnn ORDER BY confidence DESC LIMIT 1 OFFSET 1", [("b",)]),
    ("SELECT count(*) FROM cnn TABLESAMPLE 100%", [(3,)]),
    (
        "SELECT truth, list(id ORDER BY id) FROM cnn GROUP BY ROLLUP (truth) ORDER BY truth NULLS LAST",
        [(0, ["a"]), (1, ["b", "c"]), (None, ["a", "b", "c"])],
    ),
    ("SELECT COLUMNS('score_.') FROM cnn WHERE id = 'c'", 1),
    ("SELECT * EXCLUDE (run) REPLACE (upper(id) AS id) FROM cnn", 3),
    (
        "SELECT CASE WHEN guess IS DISTINCT FROM truth THEN 'x' ELSE 'y' END FROM cnn ORDER BY id",
        [("y",), ("x",), ("y",)],
    ),
    ("SELECT run, table_name FROM runs ORDER BY run", [("cnn", "test_predictions"), ("cnn 2", "test_predictions")]),
    ("SELECT count(*) FROM RUNS a, runs b", [(4,)]),
    ("SELECT count(*) FROM metrics", [(0,)]),
    ("SELECT id, content FROM examples", [("a", "an example")]),
    (
        "SELECT p.id, e.content FROM test_predictions p LEFT JOIN examples e USING (examples, id) "
        "WHERE p.run = 'cnn 2'",
        [("a", "an example")],
    ),
    # A WITH name hides a table's, but not from itself, from those before it, or from outside its statement.
    ("WITH cnn AS (SELECT 7 AS x) FROM cnn", [(7,)]),
    ("WITH cnn AS (SELECT id FROM cnn WHERE guess <> truth) FROM cnn", [("b",)]),
    ("WITH b AS (SELECT count(*) AS n FROM cnn), cnn AS (SELECT 9 AS x) SELECT n, x FROM b, cnn", [(3, 9)]),
    ("SELECT (WITH cnn AS (SELECT 5 AS x) SELECT x FROM cnn), count(*) FROM cnn", [(5, 3)]),
    ("WITH CNN AS (SELECT 7 AS x) FROM cnn", [(7,)]),
    ("WITH a AS (SELECT 1 AS x) SELECT x FROM a UNION ALL SELECT x + 1 FROM a", [(1,), (2,)]),
    (
        "WITH RECURSIVE cnn AS (SELECT 0 AS n, '' AS s UNION ALL SELECT n + 1, s || 'x' FROM cnn WHERE n < 2) "
        "SELECT max(s) FROM cnn",
        [("xx",)],
    ),
    ('WITH "이름 😀" AS (SELECT 1 AS "열") SELECT "열" FROM "이름 😀"', [(1,)]),
]


@pytest.mark.parametrize(("text", "expected"), USEFUL, ids=lambda value: value[:70] if isinstance(value, str) else "")
def test_useful_sql_is_answered(world, text, expected):
    found = run(world, text)
    assert (len(found) if isinstance(expected, int) else found) == expected


@pytest.mark.parametrize(
    "name", ["실행 1", "Ärger", "ΣΑΣ", "it's", 'say "a"', "lr=0.1, wd=1e-4", "a;b", "--", "select", "😀"]
)
def test_a_run_of_any_name_is_a_relation_whatever_its_case(tmp_path, name):
    record(tmp_path / "store", name, {1: [("a", 0, [0.9, 0.1])]})
    for spelled in (name, name.upper(), f"{name}@last", f"{name}/Test_Predictions@1"):
        quoted = spelled.replace('"', '""')
        assert run(tmp_path, f'SELECT run, id FROM "{quoted}"') == [(name, "a")]


def test_the_refusal_says_what_to_do():
    con = duckdb.connect()
    for text, words in {
        "DROP TABLE x": "only a SELECT is run here",
        "PIVOT x ON y": "PIVOT needs its values named: PIVOT … ON column IN (…)",
        "SELECT 1; SELECT 2": "exactly one SELECT is run at a time, these are 2; run them one by one",
        "": "the SQL is empty; write a SELECT",
        "FROM read_csv('x')": "the table function read_csv is not allowed; allowed are generate_series, range",
        "SELECT getenv('x')": "the function getenv is not allowed here",
        "WITH x AS (COPY t TO 'y') FROM x": "only reading is allowed: COPY QUERY is not a SELECT",
        "FROM a.b": "a.b names a schema, which the store has none of; quote a name that contains a dot",
        "SELECT 1,\n  2 +\n  FROM": "(line 3, column",
        "FROM cnn@5 WHERE wrong": '(line 1, column 9); a table\'s name is quoted: "cnn@5"',
        "SELECT 'é'\nFROM a JOIN cnn/b@last USING (id)": '(line 2, column 16); a table\'s name is quoted: "cnn/b@last"',
    }.items():
        with pytest.raises(SecondguessError, match=re.escape(words)):
            guard.inspect(con, text)


@pytest.mark.parametrize(("additions", "refused"), [(290, False), (310, True), (900, True)])
def test_how_deep_sql_may_be_is_the_same_in_every_python(additions, refused):
    text = "SELECT 1" + "+1" * additions
    if refused:
        with pytest.raises(SecondguessError, match="nested too deeply"):
            guard.inspect(duckdb.connect(), text)
    else:
        assert guard.inspect(duckdb.connect(), text).relations == ()


def test_a_node_that_is_not_known_is_refused():
    """DuckDB's next kind of statement inside a SELECT fails until someone has looked at it."""
    with pytest.raises(SecondguessError, match="only reading is allowed: MERGE QUERY is not a SELECT"):
        guard._check({"type": "MERGE_QUERY_NODE"}, guard._Source(""))


def test_state_that_one_command_leaves_is_invisible_to_the_next(world):
    with answered(lambda con: Statement("", "SELECT 1"), lambda con, _: con) as (_, con):
        con.execute("CREATE TEMP TABLE t AS SELECT 1")
        con.execute("CREATE MACRO m() AS 1")
    for text in ("FROM t", "SELECT m()"):
        with pytest.raises(SecondguessError):
            run(world, text)


# A literal of each type that functions take; for the types of the second list, which may be many, each in turn.
LITERALS = {
    **{"VARCHAR": "'a-b'", "BOOLEAN": "true", "DATE": "DATE '2026-02-28'", "TIME": "TIME '10:00'", "BLOB": "'a'::BLOB"},
    **{"TIMESTAMP": "TIMESTAMP '2026-02-28'", "INTERVAL": "INTERVAL 1 DAY", "UUID": "uuid()", "JSON": "'{}'::JSON"},
    **{"DOUBLE": "2.5", "BIGINT": "2", "VARCHAR[]": "['a', 'b']", "BIGINT[]": "[1, 2]", "MAP": "MAP {1: 2}"},
}
ANY = ("[1, 2]", "'a-b'", "2", "lambda x: x", "MAP {1: 2}")


def calls(con):
    """Each function of DuckDB's as it can be called with simple arguments, by what it says its parameters are."""
    listed = con.execute(
        "SELECT DISTINCT function_name, len(parameters), parameter_types FROM duckdb_functions() "
        "WHERE function_type <> 'pragma' UNION SELECT unnest(['unnest', 'unlist']), 1, [NULL] ORDER BY ALL"
    ).fetchall()
    for name, number, types in listed:
        exact = [LITERALS.get(kind, f"2::{kind}" if kind and "INT" in kind else None) for kind in types]
        given = [[literal] if literal else ANY[: 5 if number < 3 else 3] for literal in exact]
        for arguments in product(*given) if number < 5 else ():
            yield name, f'"{name}"({", ".join(arguments)})'


def test_no_function_that_passes_as_one_value_changes_how_many_rows_there_are():
    refused, ran = set(), set()
    with duckdb.connect() as con:
        for name, of_name in groupby(calls(con), key=itemgetter(0)):
            each = [call for _, call in of_name]
            try:
                guard.expression(con, each[0])  # the guard knows it by its name
            except SecondguessError:
                refused.add(name)
                continue
            for call in each:
                with suppress(duckdb.Error):  # which a person is told of
                    assert len(con.execute(f"SELECT i, ({call}) FROM range(3) r(i)").fetchall()) == 3, call
                    assert len(con.execute(f"FROM range(3) r(i) ORDER BY ({call})").fetchall()) == 3, call
                    ran.add(name)
    assert {"regexp_split_to_table", "generate_subscripts", "unnest", "unlist"} <= refused
    assert len(ran) > 700


def test_a_persons_own_macro_is_one_value_only_if_it_gives_one():
    with duckdb.connect() as con:
        con.execute("CREATE MACRO many(x) AS unnest(x), (x, y) AS x + y")
        con.execute("CREATE MACRO hidden(x) AS 1 + MANY(x)")
        con.execute("CREATE MACRO one(x) AS (SELECT max(each) FROM (SELECT many(x) AS each))")
        for text in ("many(a)", "Hidden(a)", "abs(hidden(a))", "a.many()"):
            with pytest.raises(SecondguessError, match="gives several rows for one; write one value"):
                guard.expression(con, text)
        assert guard.expression(con, "one([1, 2])").text == "one([1, 2])"
        assert guard.expression(con, "(SELECT max(x) FROM (SELECT many([1, 2]) AS x))").relations == ()
