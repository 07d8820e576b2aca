"""Names and values written as SQL come back from DuckDB as they went in."""

import datetime
import decimal
import math

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from secondguess.analysis.engine.sqltext import identifier, literal, pattern, read_parquet
from secondguess.analysis.engine.statement import Parameter, Statement
from secondguess.analysis.errors import BadInput

TEXT = st.text(st.characters(exclude_categories=["Cs"]))
NASTY = [
    "'",
    '"',
    "''",
    "a'b\"c",
    "\n\r\n",
    "-- x",
    "/* */",
    "; select 1",
    "\\",
    "\0",
    "a\0'b",
    "$x",
    "%s",
    "{}",
    "😀 가",
]


CON = duckdb.connect()


def back(value):
    """The value that DuckDB reads out of its literal, and its type."""
    return CON.execute(f"SELECT {literal(value)}, typeof({literal(value)})").fetchall()[0]


@given(TEXT)
def test_any_text_comes_back_from_its_literal(text):
    assert back(text) == (text, "VARCHAR")


@pytest.mark.parametrize("text", NASTY)
def test_text_that_looks_like_sql_comes_back_and_stays_one_value_in_an_expression(text):
    assert back(text)[0] == text
    assert CON.sql(f"SELECT length({literal(text)}), {literal(text)}[1]").fetchall() == [(len(text), text[:1])]


@given(TEXT.filter(lambda name: name != ""))
@example('"')
@example('a"b""c')
@example("x\n; drop table y --")
@example("\0")
@example("id\0'")
@example("😀")
def test_any_name_is_a_column_and_a_relation(name):
    found = CON.sql(f"WITH {identifier(name)} AS (SELECT 7 AS {identifier(name)}) SELECT * FROM {identifier(name)}")
    assert found.columns == [name]
    assert found.fetchall() == [(7,)]


@pytest.mark.parametrize(
    ("value", "type"),
    [
        (None, '"NULL"'),
        (True, "BOOLEAN"),
        (False, "BOOLEAN"),
        (0, "INTEGER"),
        (-1, "INTEGER"),
        (2**31, "BIGINT"),
        (-(2**63), "BIGINT"),
        (2**64, "HUGEINT"),
        (0.1, "DOUBLE"),
        (-0.5, "DOUBLE"),
        (1e300, "DOUBLE"),
        (5e-324, "DOUBLE"),
        (math.inf, "DOUBLE"),
        (-math.inf, "DOUBLE"),
        (decimal.Decimal("1.50"), "DECIMAL(38,2)"),
        (decimal.Decimal("-1E+3"), "DECIMAL(38,0)"),
        (decimal.Decimal("1E-20"), "DECIMAL(38,20)"),
        (b"", "BLOB"),
        (b"\x00'\\x41\xff", "BLOB"),
        (datetime.date(2026, 2, 28), "DATE"),
        (datetime.date(1, 1, 1), "DATE"),
        (datetime.datetime(2026, 2, 28, 23, 59, 58, 1), "TIMESTAMP"),
        (datetime.time(23, 59, 58, 1), "TIME"),
        ([1, 2, -3], "INTEGER[]"),
        (["a'b", "\n"], "VARCHAR[]"),
        ([[1], [2, 3]], "INTEGER[][]"),
        ([], '"NULL"[]'),
    ],
)
def test_a_value_comes_back_as_itself_and_in_its_type(value, type):
    assert back(value) == (value, type)


def test_nan_comes_back_as_nan():
    found, kind = back(math.nan)
    assert math.isnan(found)
    assert kind == "DOUBLE"


def test_a_time_with_a_zone_comes_back_as_the_same_moment():
    moment = datetime.datetime(2026, 2, 28, 23, 59, tzinfo=datetime.timezone(datetime.timedelta(hours=5, minutes=30)))
    found, kind = back(moment)
    assert found == moment
    assert kind == "TIMESTAMP WITH TIME ZONE"


@given(st.floats(allow_nan=False))
def test_any_float_comes_back_to_the_last_bit(value):
    found = back(value)[0]
    assert found == value
    assert math.copysign(1, found) == math.copysign(1, value)


@given(st.integers(-(2**127) + 1, 2**127 - 1))
def test_any_whole_number_of_128_bits_comes_back(value):
    assert back(value)[0] == value


@pytest.mark.parametrize("value", [object(), {"a": 1}, decimal.Decimal("NaN"), datetime.timedelta(1)])
def test_a_value_without_a_literal_is_refused(value):
    with pytest.raises(TypeError, match="no SQL literal"):
        literal(value)


@given(st.one_of(st.integers(-9, 9), st.sampled_from([-0.5, -math.inf, "a", None])), st.sampled_from(["-", "+", " "]))
def test_a_value_stands_wherever_its_parameter_stood(value, before):
    body = f"SELECT coalesce({before}$x, 1) AS a, [$x, $x][1] AS b" if not isinstance(value, str) else "SELECT $x AS a"
    data = body.encode()
    places = [place for place in range(len(data)) if data[place : place + 2] == b"$x"]
    statement = Statement("", body, tuple(Parameter("x", place, 2) for place in places), {"x": value})
    shown = CON.sql(statement.text).fetchall()
    assert shown == CON.execute(statement.sql, statement.bound).fetchall()


def test_a_comment_at_the_end_of_the_text_does_not_swallow_what_comes_round_it():
    assert CON.sql(Statement("", "SELECT 1 -- one").text).fetchall() == [(1,)]


PARAMETER_TEXT = "SELECT '가😀$x' AS a, $x AS b -- $x"


def test_places_are_counted_in_bytes():
    start = PARAMETER_TEXT.encode().index(b", $x") + 2
    statement = Statement("", PARAMETER_TEXT, (Parameter("x", start, 2),), {"x": "é"})
    assert CON.sql(statement.text).fetchall() == [("가😀$x", "é")]


FOLDERS = [
    "plain",
    "a b",
    "it's",
    'q"q',
    "a*b",
    "a?b",
    "a[1]b",
    "[!x]",
    "**",
    "{a,b}",
    "lr=0.1",
    "run=7",
    "é 😀",
    "%20",
    "#;--",
]


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """One file in each of the folders, and one in folders that their names match as patterns."""
    root = tmp_path_factory.mktemp("folders")
    for name in [*FOLDERS, "axb", "a1b", "y"]:
        (root / name).mkdir()
        pq.write_table(pa.table({"name": [name]}), root / name / "x.parquet")
    return root


@pytest.mark.parametrize("name", FOLDERS)
def test_a_file_is_read_alone_whatever_its_folder_is_called(folders, name):
    found = CON.sql(f"SELECT * FROM {read_parquet([folders / name / 'x.parquet'])}")
    assert (found.columns, found.fetchall()) == (["name"], [(name,)])


def test_a_path_that_no_pattern_names_is_refused(tmp_path):
    with pytest.raises(BadInput, match="rename the folder"):
        pattern(tmp_path / "a*" / "b\\c")
    assert pattern(tmp_path / "b\\c") == str(tmp_path / "b\\c")
