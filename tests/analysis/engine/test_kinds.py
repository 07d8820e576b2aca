"""What a column holds, against what DuckDB says of values."""

from pathlib import Path

import duckdb
import pytest

from secondguess.analysis.engine.kinds import kind_of_sql

NUMBERS = ["TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT"]


@pytest.mark.parametrize("type", [*NUMBERS, "UHUGEINT", "FLOAT", "DOUBLE", "DECIMAL(5,2)"])
def test_what_duckdb_counts_with_is_a_number(type: str) -> None:
    (column,) = duckdb.sql(f"SELECT CAST(1 AS {type})").types
    assert kind_of_sql(str(column)) == "number"


@pytest.mark.parametrize(
    "value", ["'1'", "true", "[1]", "DATE '2020-01-01'", "INTERVAL 1 DAY", "{'a': 1}", "MAP {1: 2}"]
)
def test_what_it_does_not_count_with_is_none(value: str) -> None:
    (column,) = duckdb.sql(f"SELECT {value}").types
    assert kind_of_sql(str(column)) != "number"


def test_what_a_number_is_stands_once() -> None:
    """Beside what Spark calls each of DuckDB's types."""
    root = Path(__file__).parents[3] / "analysis"
    named = [path for path in root.rglob("*.py") if "INT(EGER)" in path.read_text() or '"TINYINT"' in path.read_text()]
    assert {str(path.relative_to(root)) for path in named} == {"engine/kinds.py", "engine/spark/types.py"}
