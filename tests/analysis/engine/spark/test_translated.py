"""What is said of a statement as Spark has it: the order it comes in, its joins, its names and texts."""

from pathlib import Path

import duckdb
import pytest

from secondguess.analysis.engine.spark.quoting import quoted, text
from secondguess.analysis.engine.spark.translated import translated
from secondguess.analysis.engine.sqltext import read_parquet
from secondguess.analysis.errors import Refused


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("rows") / "rows [1].parquet"
    duckdb.sql(f"COPY (SELECT 'a' AS id, 1 AS guess, 0.5::FLOAT AS p) TO '{path}'")
    return path


def sql(file: Path, body: str, columns: int = 1, scope: str = "", *options: str) -> str:
    rows = read_parquet([file], *options)
    items = ", ".join(["id", "guess", "p", *(["file_row_number"] if options else [])])
    before = f'WITH "cnn@1" AS (SELECT {items} FROM {rows}){scope}\n'
    with duckdb.connect() as con:
        return translated(con, f"{before}SELECT * FROM (\n{body}\n)", [file], columns).sql


def test_files_are_read_under_names(file: Path) -> None:
    with duckdb.connect() as con:
        made = translated(con, f"SELECT * FROM (SELECT id FROM {read_parquet([file])})", [file], 1)
    (source,) = made.sources
    assert (source.name, source.files, dict(source.columns)) == (
        "sg_0",
        (file,),
        {"id": "VARCHAR", "guess": "INTEGER", "p": "FLOAT"},
    )
    assert made.sql == "SELECT * FROM (SELECT `sg_0`.`id` AS `id` FROM `sg_0` AS `sg_0`) AS sg_answer(c0)"


def test_rows_of_a_table_come_as_they_were_recorded(file: Path) -> None:
    made = sql(file, 'SELECT id FROM "cnn@1" LIMIT 2', 1, "", "file_row_number = true")
    assert "ORDER BY `cnn@1`.`file_row_number` NULLS LAST LIMIT 2" in made
    assert "ORDER BY" not in sql(file, 'SELECT count(*) FROM "cnn@1"', 1, "", "file_row_number = true")


def test_sides_joined_by_position_are_joined_by_their_ids(file: Path) -> None:
    scope = ', "joined" AS (SELECT a.id FROM "cnn@1" a POSITIONAL JOIN "cnn@1" b)'
    assert "`cnn@1` AS `a` JOIN `cnn@1` AS `b` ON (`a`.`id` = `b`.`id`)" in sql(file, "SELECT * FROM joined", 1, scope)
    with pytest.raises(Refused, match="Spark cannot run"):
        sql(file, 'SELECT a.id FROM "cnn@1" a POSITIONAL JOIN "cnn@1" b')


def test_a_float_is_compared_as_one(file: Path) -> None:
    assert "(`cnn@1`.`p` > CAST(0.9 AS FLOAT))" in sql(file, 'SELECT id FROM "cnn@1" WHERE p > 0.9')


@pytest.mark.parametrize(
    ("body", "said"),
    {
        'SELECT random() FROM "cnn@1"': "the function rand",
        'SELECT hash(id) FROM "cnn@1"': "the function hash",
        'SELECT row_number() OVER () FROM "cnn@1"': "row_number() OVER (), which goes by no order,",
        'SELECT list(id) FROM "cnn@1"': "a list without ORDER BY",
        'SELECT id FROM "cnn@1" LIMIT 50%': "LIMIT 50 PERCENT",
        'SELECT DISTINCT ON (guess) id FROM "cnn@1"': "Spark cannot run 'DISTINCT ON",
        'SELECT id FROM "cnn@1" TABLESAMPLE 50%': "TABLESAMPLE",
        'SELECT guess IN (SELECT 1) FROM "cnn@1"': "IN (SELECT 1 ",
        "SELECT p || '' FROM \"cnn@1\"": "Spark writes or reads REAL as TEXT unlike DuckDB",
    }.items(),
)
def test_what_spark_would_compute_otherwise_is_refused_by_name(file: Path, body: str, said: str) -> None:
    with pytest.raises(Refused) as raised:
        sql(file, body)
    assert said in str(raised.value)
    assert "ask DuckDB: --engine duckdb" in str(raised.value)


def test_names_and_texts_are_quoted_so_that_sparks_parser_reads_nothing_into_them() -> None:
    assert quoted("a`b${x}") == "`a``b${x}`"
    assert text("plain, text") == "'plain, text'"
    assert text("it's") == "CAST(X'69742773' AS STRING)"
    assert text("\\n${x}") == "CAST(X'5C6E247B787D' AS STRING)"
    assert text("é") == "CAST(X'C3A9' AS STRING)"
