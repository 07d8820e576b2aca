"""Values that Python has no like of leave DuckDB as text, at any depth; all others as Python's own."""

import datetime
from typing import Any

import duckdb
import pytest

from secondguess.analysis.engine import duck
from secondguess.analysis.engine.statement import Statement

DAY, MOMENT = datetime.date(2026, 2, 28), datetime.datetime(2026, 2, 28, 23, 59, 58)
AS_TEXT = {
    "DATE 'infinity'": "infinity",
    "DATE '-infinity'": "-infinity",
    "TIMESTAMP 'infinity'": "infinity",
    "TIMESTAMP '-infinity'": "-infinity",
    "TIMESTAMPTZ 'infinity'": "infinity",
    "TIMESTAMP_S 'infinity'": "infinity",
    "TIMESTAMP_MS '-infinity'": "-infinity",
    "TIMESTAMP_NS 'infinity'": "infinity",
    "TIMESTAMP_NS '2026-02-28 23:59:58.123456789'": "2026-02-28 23:59:58.123456789",
    "TIME_NS '10:00:00.123456789'": "10:00:00.123456789",
    "INTERVAL '1 month'": "1 month",
    "INTERVAL '1 month -30 days'": "1 month -30 days",
    "INTERVAL '300000 years'": "300000 years",
    "[DATE 'infinity', NULL, DATE '2026-02-28']": ["infinity", None, DAY],
    "[[DATE 'infinity'], [DATE '2026-02-28']]": [["infinity"], [DAY]],
    "array_value(DATE 'infinity', DATE '2026-02-28')": ["infinity", DAY],
    "{'span': INTERVAL '14 months', 'n': 1}": {"span": "1 year 2 months", "n": 1},
    "row(DATE 'infinity', 1)": ("infinity", 1),
    "MAP {'a': DATE 'infinity'}": {"a": "infinity"},
    "MAP {DATE '-infinity': [INTERVAL '1 year']}": {"-infinity": ["1 year"]},
}
AS_IT_IS = {
    "DATE '9999-12-31'": datetime.date(9999, 12, 31),
    "DATE '0001-01-01'": datetime.date(1, 1, 1),
    "TIMESTAMP '9999-12-31 23:59:59.999999'": datetime.datetime.max,
    "TIMESTAMP_NS '2026-02-28 23:59:58'": MOMENT,
    "TIME_NS '10:00:00.123456'": datetime.time(10, 0, 0, 123_456),
    "INTERVAL '36 hours'": datetime.timedelta(hours=36),
    "INTERVAL '1 day'": datetime.timedelta(days=1),
    "CAST(NULL AS DATE)": None,
    "CAST(NULL AS STRUCT(day DATE))": None,
    "CAST(NULL AS DATE[])": None,
    "{'date': 1}": {"date": 1},
    "DATE '20000-01-01'": "20000-01-01",
    "'infinity'::DOUBLE": float("inf"),
}


def _one(sql: str) -> Any:
    with duckdb.connect() as con:
        return next(duck.rows(con, Statement("", f"SELECT {sql} AS v")).rows)[0]


@pytest.mark.parametrize(("sql", "value"), [*AS_TEXT.items(), *AS_IT_IS.items()])
def test_a_value_leaves_duckdb_as_it_is(sql: str, value: Any) -> None:
    given = _one(sql)
    assert (type(given), given) == (type(value), value)


def test_columns_keep_their_names_types_and_order() -> None:
    """Also where two have one name, and where only some rows are text."""
    sql = "SELECT unnest([DATE 'infinity', DATE '2026-02-28']) AS \"a b\", 1 AS n, 2 AS n ORDER BY 1 DESC"
    with duckdb.connect() as con:
        plain = con.execute(f"SELECT * FROM ({sql})").description
        rows = duck.rows(con, Statement("", sql))
        assert list(rows.columns) == [column[0] for column in plain or []]
        assert list(rows.types) == ["DATE", "INTEGER", "INTEGER"]
        assert list(rows.rows) == [("infinity", 1, 2), (DAY, 1, 2)]
