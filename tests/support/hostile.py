"""SQL that does more than read the store's tables, and a store with something to steal beside it.

The test modules name it in pytest_plugins and import it too, for which pytest wants: PYTEST_DONT_REWRITE.
"""

import os

import duckdb
import pytest
from recording import record

SECRET = "the-secret-outside-the-store"

# {file} is a committed file of the store, {store} the store, {new} a file in it that is not there, {out} a folder
# outside with secret.csv, .txt, .parquet and .duckdb in it.
READS_OUTSIDE = [
    *(
        f"FROM read_text('{path}')"
        for path in (
            *("/etc/passwd", "/proc/self/environ", "~/.bashrc", "http://127.0.0.1:9/x", "s3://b/x", "hf://datasets/x"),
            *("{out}/secret.txt", "{out}/secret.csv", "{out}/secret.parquet", "{store}/../out/secret.csv"),
            *("{store}//../out/secret.txt", "{store}/*/../../out/secret.txt", "{store}-secret/secret.txt"),
            *("file:{out}/secret.txt", "file://{out}/secret.txt", "file://localhost{out}/secret.txt", "secret.txt"),
            *("{store}/link/secret.txt", "{store}/link.txt", "{file}", "{store}/*/*/*.parquet"),
        )
    ),
    *(
        f"FROM {function}('{{out}}/secret.{suffix}')"
        for function, suffix in {
            **{"read_blob": "txt", "read_csv": "csv", "read_csv_auto": "csv", "sniff_csv": "csv", "read_json": "txt"},
            **{"read_ndjson": "txt", "read_parquet": "parquet", "parquet_scan": "parquet", "parquet_schema": "parquet"},
            **{"parquet_metadata": "parquet", "parquet_file_metadata": "parquet", "parquet_kv_metadata": "parquet"},
        }.items()
    ),
    "FROM '{out}/secret.csv'",
    "FROM '{out}/secret.parquet'",
    "FROM '{file}'",
    'FROM "{file}"',
    "FROM 'secret.csv'",
    "SUMMARIZE '{out}/secret.csv'",
    "DESCRIBE '{out}/secret.csv'",
    "SELECT * FROM (SUMMARIZE FROM '{out}/secret.csv')",
    "TABLE '{out}/secret.csv'",
    "FROM glob('{store}/*/*')",
    "FROM glob('/etc/*')",
    "FROM query('SELECT * FROM read_text(''/etc/passwd'')')",
    "FROM query_table('{out}/secret.csv')",
    "FROM query_table(['{out}/secret.csv'])",
    "FROM json_execute_serialized_sql(json_serialize_sql('FROM ''{out}/secret.csv'''))",
    "SELECT json_serialize_plan('FROM ''{out}/secret.csv''')",
    "SELECT (SELECT content FROM read_text('{out}/secret.txt'))",
    "SELECT 1 WHERE EXISTS (FROM read_text('{out}/secret.txt'))",
    "SELECT 1 FROM range(1) t(i), LATERAL (FROM read_text('{out}/secret.txt'))",
    "SELECT list_transform([1], x -> (SELECT count(*) FROM read_text('{out}/secret.txt')))",
    "SELECT count(*) FILTER (WHERE 1 IN (SELECT 1 FROM read_text('{out}/secret.txt'))) FROM range(1)",
    "SELECT 1 LIMIT (SELECT count(*) FROM read_text('{out}/secret.txt'))",
    "SELECT 1 ORDER BY (SELECT count(*) FROM read_text('{out}/secret.txt'))",
    "SELECT sum(1) OVER (ORDER BY (SELECT count(*) FROM read_text('{out}/secret.txt')))",
    "SELECT 1 QUALIFY row_number() OVER () = (SELECT count(*) FROM read_text('{out}/secret.txt'))",
    "SELECT CASE WHEN (SELECT true FROM read_text('{out}/secret.txt')) THEN 1 END",
    "SELECT 1 UNION ALL SELECT size FROM read_text('{out}/secret.txt')",
    "WITH x AS (FROM read_text('{out}/secret.txt')) FROM x",
    "WITH x AS MATERIALIZED (FROM read_text('{out}/secret.txt')) FROM x",
    "WITH RECURSIVE x AS (SELECT 1 i UNION ALL SELECT i + 1 FROM x, read_text('{out}/secret.txt') WHERE i < 3) FROM x",
    "VALUES ((SELECT content FROM read_text('{out}/secret.txt')))",
    "PIVOT (FROM read_text('{out}/secret.txt')) ON size IN (1) USING count(*)",
    "WITH \"{out}/secret.csv\" AS (SELECT 1 AS a) SELECT * FROM range(1), (FROM '{out}/secret.csv')",
    "SELECT (WITH \"{out}/secret.csv\" AS (SELECT 1) SELECT 1) FROM '{out}/secret.csv'",
    "SELECT getenv('HOME')",
    "SELECT main.getenv('HOME')",
    "SELECT 'HOME'.getenv()",
    "SELECT current_setting('secret_directory')",
    "SELECT getvariable('x')",
    "FROM duckdb_settings()",
    "FROM duckdb_databases()",
    "FROM duckdb_secrets()",
    "FROM pragma_database_list()",
    "FROM information_schema.tables",
    "FROM pg_catalog.pg_tables",
    "FROM sqlite_master",
    "FROM main.test_predictions",
    "SHOW TABLES",
    "SHOW ALL TABLES",
    "SHOW DATABASES",
    "FROM pandas_scan(1, 2, 3)",
    "FROM arrow_scan(1, 2, 3)",
    "FROM python_arrow_scan(1, 2)",
    "FROM a_python_variable",
    "FROM test_vector_types(NULL::INT)",
    "FROM checkpoint()",
    "FROM enable_logging()",
    "FROM enable_profiling()",
]
WRITES = [
    "COPY (SELECT 1) TO '{file}'",
    "COPY (SELECT 1) TO '{file}' (FORMAT csv, USE_TMP_FILE false)",
    "COPY (SELECT 1) TO '{new}'",
    "COPY (SELECT 1) TO '{out}/new.csv'",
    "COPY (SELECT 1 AS a) TO '{store}/parts' (PARTITION_BY (a))",
    "COPY test_predictions TO '{new}'",
    "COPY t FROM '{out}/secret.csv'",
    "EXPLAIN ANALYZE COPY (SELECT 1) TO '{file}' (USE_TMP_FILE false)",
    "EXPLAIN COPY (SELECT 1) TO '{new}'",
    "EXPLAIN SELECT 1",
    "EXPLAIN ANALYZE SELECT 1",
    *(
        f"WITH {recursive}x AS {materialized}({inner}) {outer}"
        for recursive in ("", "RECURSIVE ")
        for materialized in ("", "MATERIALIZED ", "NOT MATERIALIZED ")
        for inner in ("COPY (SELECT 1) TO '{file}' (USE_TMP_FILE false)", "COPY (SELECT 1) TO '{new}'")
        for outer in ("SELECT * FROM x", "SELECT 1")
    ),
    "SELECT * FROM (WITH x AS (COPY (SELECT 1) TO '{file}' (USE_TMP_FILE false)) SELECT * FROM x)",
    "WITH y AS (WITH x AS (COPY (SELECT 1) TO '{new}') SELECT * FROM x) SELECT * FROM y",
    "WITH x AS (INSERT INTO t VALUES (1) RETURNING *) SELECT * FROM x",
    "WITH x AS (UPDATE t SET a = 1 RETURNING *) SELECT * FROM x",
    "WITH x AS (DELETE FROM t RETURNING *) SELECT * FROM x",
    "SELECT 1; COPY (SELECT 1) TO '{file}' (USE_TMP_FILE false)",
    "SELECT 1; SELECT 2",
    "; COPY (SELECT 1) TO '{new}'; SELECT 1",
    "select 1) union all (select 2",
    "SELECT 1) TO '{new}'; SELECT (1",
    "SELECT 1); COPY (SELECT 1) TO '{file}' (USE_TMP_FILE false); SELECT * FROM (SELECT 1",
    "SELECT 1 /*",
    "EXPORT DATABASE '{store}/dump'",
    "IMPORT DATABASE '{store}/dump'",
    "ATTACH '{store}/new.duckdb'",
    "ATTACH '{out}/secret.duckdb'",
    "ATTACH ':memory:' AS m",
    "DETACH memory",
    "USE memory",
    "CREATE TABLE t (a INT)",
    "CREATE TABLE t AS SELECT 1",
    "CREATE OR REPLACE VIEW v AS SELECT 1",
    "CREATE TEMP MACRO m() AS 1",
    "CREATE SECRET s (TYPE s3)",
    "CREATE SEQUENCE q",
    "DROP TABLE test_predictions",
    "INSERT INTO test_predictions VALUES (1)",
    "UPDATE test_predictions SET truth = 1",
    "DELETE FROM test_predictions",
    "TRUNCATE test_predictions",
    "MERGE INTO test_predictions USING t ON true WHEN MATCHED THEN DELETE",
    "VACUUM",
    "CHECKPOINT",
    "ANALYZE",
    "BEGIN",
    "COMMIT",
    "PREPARE p AS SELECT 1",
    "EXECUTE p",
    "DEALLOCATE p",
    "SET enable_external_access = true",
    "SET memory_limit = '1GB'",
    "SET VARIABLE x = 1",
    "RESET ALL",
    "PRAGMA enable_profiling",
    "PRAGMA database_list",
    "PRAGMA enable_checkpoint_on_shutdown",
    "CALL pragma_version()",
    "CALL enable_logging()",
    "INSTALL httpfs",
    "LOAD httpfs",
    "LOAD '{out}/secret.txt'",
    "SELECT nextval('q')",
    "SELECT setval('q', 1)",
    "SELECT setseed(0.5)",
    "SELECT write_log('x')",
    "SELECT sleep_ms(60000)",
    "SELECT pg_sleep(60)",
    "PIVOT test_predictions ON guess",
    "",
    "   ",
    "-- nothing",
    ";",
    ";;",
    "hello",
    "SELECT",
    "SELECT \udcff",
    "SELECT 'x" + "x" * 70_000 + "'",
    "SELECT " + "+".join(["1"] * 950),
    "SELECT " + "(" * 5_000 + "1" + ")" * 5_000,
]
HOSTILE = [*READS_OUTSIDE, *WRITES]


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A folder with the store, a sibling whose name begins alike, and a folder outside; secrets in both."""
    world = tmp_path_factory.mktemp("world")
    out = world / "out"
    for folder in (out, world / "store-secret"):
        folder.mkdir()
        (folder / "secret.txt").write_text(SECRET)
        (folder / "secret.csv").write_text(f"a\n{SECRET}\n")
        duckdb.sql(f"SELECT '{SECRET}' AS a").write_parquet(str(folder / "secret.parquet"))
        duckdb.connect(str(folder / "secret.duckdb")).close()
    record(world / "store", "cnn", {1: [("a", 0, [0.9, 0.1]), ("b", 1, [0.8, 0.2]), ("c", 1, [0.3, 0.7])]})
    record(world / "store", "cnn 2", {1: [("a", 0, [0.2, 0.8])]}, content={"a": "an example"})
    os.symlink(out, world / "store" / "link")
    os.symlink(out / "secret.txt", world / "store" / "link.txt")
    return world


def filled(text, world):
    """The statement with the paths of this world in it."""
    store = world / "store"
    committed = min((store / "cnn" / "test_predictions").glob("*.parquet"))
    for name, path in {"file": committed, "store": store, "new": store / "new.csv", "out": world / "out"}.items():
        text = text.replace(f"{{{name}}}", str(path))
    return text
