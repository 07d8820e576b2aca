"""What DuckDB computes of odd values, Spark computes too: NULL, NaN, infinities, ties, texts with signs in them."""

from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest
from spark_cluster import alike

from secondguess.analysis.commands.output import ran
from secondguess.analysis.engine import engines
from secondguess.analysis.engine.engines import Engine
from secondguess.analysis.engine.sqltext import read_parquet
from secondguess.analysis.engine.statement import Statement
from secondguess.analysis.errors import Refused, SecondguessError

pytestmark = pytest.mark.timeout(900)  # Java starts first
ROWS = r"""VALUES
  (1, 0.9::FLOAT, 0.9::DOUBLE, 3::BIGINT, 7, 1.5::DECIMAL(6, 2), 'abc', true, [1, 2, NULL]::BIGINT[],
    DATE '2024-02-29', TIMESTAMP '2024-02-29 13:14:15.12', ['x', 'y'], {'a': 1, 'b': 'q'}, 2::UTINYINT),
  (2, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
  (3, 'nan', 'nan', -7, -7, -2.55, 'a\b''c%_d$' || chr(10), false, [], DATE '1969-12-31',
    TIMESTAMP '1969-12-31 23:59:59', [], {'a': -1, 'b': NULL}, 0),
  (4, 'inf', '-inf', 9007199254740993, 0, 0.05, 'é😀İΣ', true, [3, 1, 2], DATE '2000-01-01',
    TIMESTAMP '2000-01-01 00:00:00', ['B', 'a', NULL], {'a': 0, 'b': 'é'}, 255),
  (5, -0.0, -0.0, 0, 2147483647, 2.50, '', false, [5], DATE '2023-01-01', TIMESTAMP '2023-01-01 00:00:01', ['z'],
    {'a': 5, 'b': ''}, 1),
  (6, 2.5, -2.5, 2, 5, -0.50, 'B', true, [NULL], DATE '2024-12-31', TIMESTAMP '2024-12-31 12:00:00', ['ab', 'ab'],
    {'a': 6, 'b': 'z'}, 9)"""
NAMES = "n, f, d, b, i, m, s, bo, l, dt, ts, tl, st, u"
VALUES = r"""
f > 0.9; f >= 0.9; f = 0.9; f <> 0.9; 0.9 = f; f IN (0.9, 2.5); d IN (f); f BETWEEN 0.9 AND 3; nullif(f, 0.9)
f IS NOT DISTINCT FROM 0.9; d IS DISTINCT FROM 'nan'::DOUBLE; d = f; d = -0.0; f = 'nan'; d > 1e300; i = '7'; f = '0.9'
f + 0.1; f * 2; f / 2; f / d; d / 0; f / 0; i / 0; i / 2; b / i; m / 2; i // 2; d // 2; b % 2; i % -3; d % 2; d % 0
b + f; m + d; m + f; m * m; i + m; b * 2 - 1; -f; abs(d); 1 / 3; 7 // -2; -7 // 2; -7 % 3; 0.1 + 0.2; 0.1 * 3
2 ** 3 ** 2; -2 ** 2; 1 - 2 - 3; 2 * 3 % 4; NOT i = 7; NOT bo AND bo; 1 + 2 || 'x'; 'a' || 1 + 2; i IS NULL = false
CASE WHEN bo THEN f ELSE 0.5 END; CASE b WHEN 3 THEN 'three' END; CASE f WHEN 0.9 THEN 1 ELSE 2 END; if(bo, f, 1.5)
coalesce(f, 0.5); coalesce(f, d); greatest(f, d); least(f, d); greatest(f, 0.9); least(b, NULL); bo AND NULL; bo OR NULL
b NOT IN (3, NULL); s IN ('abc', 'B'); s = 'a\b''c%_d$' || chr(10); s > 'B'; s < 'é'; lower(s); trim(s); length(s)
s || 'x'; s || i; i || ''; m || ''; concat(s, 'x', NULL); concat_ws('-', s, i, 'z'); s LIKE 'a%'; s LIKE '%\%'
s LIKE 'a\b%'; s LIKE '%!%%' ESCAPE '!'; s NOT LIKE 'a%'; s ILIKE 'A%'; s ILIKE '%İσ'; s LIKE ''; substr(s, 2, 1)
replace(s, '\', '/'); starts_with(s, 'a'); suffix(s, 'c'); contains(s, 'b'); contains(tl, 'a'); instr(s, 'b')
regexp_matches(s, 'a.c'); regexp_matches(s, 'c$'); regexp_matches(s, 'd\$$'); regexp_matches(s, '\$.$')
regexp_matches(s, '[a-c]+'); regexp_full_match(s, 'a|abc'); sha256(s); md5(s); isnan(f); isinf(d); isfinite(d)
floor(d); floor(f); floor(m); ceil(d); trunc(d); round(d); round(f); round(m, 1); round(-2.5::DOUBLE); sqrt(d); ln(d)
log(d); log2(b); exp(d); pow(d, 2); d ^ 2; sign(d); sign(b); TRY_CAST(d AS INTEGER); TRY_CAST(f AS BIGINT)
CAST(m AS INTEGER); CAST(m AS FLOAT); CAST(b AS FLOAT); CAST(b AS VARCHAR); CAST(m AS VARCHAR); CAST(bo AS VARCHAR)
CAST(dt AS VARCHAR); CAST(ts AS VARCHAR); CAST(bo AS INTEGER); TRY_CAST(i AS TINYINT); TRY_CAST(s AS INTEGER)
TRY_CAST(s AS DOUBLE); TRY_CAST(s AS DATE); CAST('2.5' AS INTEGER); CAST('1e3' AS INTEGER); CAST(' 3 ' AS INTEGER)
TRY_CAST('1d' AS DOUBLE); TRY_CAST('2024' AS DATE); CAST('2024-1-5' AS DATE); CAST('yes' AS BOOLEAN)
CAST(2.5::DOUBLE AS INTEGER); CAST(2.5 AS INTEGER); dt = '2024-02-29'; dt + 1; dt - DATE '2000-01-01'; year(dt)
hour(ts); date_part('year', dt); ts > TIMESTAMP '2000-01-01 00:00:00'; l[1]; l[-1]; l[0]; l[9]; l[n]; l[:2]; l[2:]
tl[1]; list_sort(l); list_sort(l, 'DESC'); list_max(l); list_sum(l); list_avg(l); list_contains(l, 9)
list_position(l, 2); list_position(l, 9); list_concat(l, [9]); l || [9]; [i, b]; [f, d]; []; range(3, 1)
list_transform(l, lambda x: x / 2); list_filter([f, 0.1::FLOAT], lambda x: x >= 0.9); array_to_string(tl, ',')
array_to_string(l, ','); flatten([l, [1]]); st.a; struct_extract(st, 'b'); {'x': i, 'y': s}; u - 0; 1_000
'${x}' || '$y' || ':z'; 'it''s "q" `b`'; '\n\t\x41'; $$dollar$$; '/* c */ -- x'; 9999999999999999999; 1e21
row_number() OVER (ORDER BY d); row_number() OVER (ORDER BY d DESC); row_number() OVER (ORDER BY s NULLS FIRST)
rank() OVER (ORDER BY bo); sum(n) OVER (PARTITION BY bo ORDER BY n); lag(i, 2, -1) OVER (ORDER BY n)
last_value(i) OVER (ORDER BY n); ntile(3) OVER (ORDER BY n); count(*) FILTER (WHERE bo) OVER (ORDER BY n)
max(d) OVER (ORDER BY n ROWS BETWEEN 1 PRECEDING AND 1 FOLLOWING); (SELECT max(n) FROM t)
exists(SELECT 1 FROM t t2 WHERE t2.n = t.n + 1)
"""
SELECTS = """
SELECT count(*), count(f), count(DISTINCT bo), count(DISTINCT (bo, i)) FROM t
SELECT sum(b), sum(i), sum(f), sum(m), sum(bo), avg(b), avg(f), avg(m) FROM t WHERE n NOT IN (3, 4)
SELECT min(f), max(f), min(d), max(d), min(s), max(s), min(dt), max(bo), min(b, 2), max(b, 2), min(s, 3) FROM t
SELECT var_samp(i), var_pop(i), stddev(i), stddev_pop(i), median(i), quantile_cont(b, 0.25), corr(i, b) FROM t
SELECT bool_and(bo), bool_or(bo), count_if(bo), histogram(bo), histogram(s), histogram(i), any_value(bo) FROM t
SELECT list(i ORDER BY n), list(s ORDER BY n DESC), list(i ORDER BY d DESC NULLS LAST, n) FROM t
SELECT list(i ORDER BY s DESC), list(i ORDER BY s NULLS FIRST), list(i ORDER BY bo DESC, n) FROM t
SELECT list(i ORDER BY n) FILTER (WHERE n > 9), list(i ORDER BY n) FILTER (WHERE n > 4) FROM t
SELECT string_agg(s, ', ' ORDER BY n), first(i ORDER BY n), last(i ORDER BY d DESC) FROM t
SELECT string_agg(s, ', ' ORDER BY n), list(n ORDER BY n) FROM t WHERE s IS NULL
SELECT sum(n) FILTER (WHERE bo), avg(f) FILTER (WHERE n < 3), min(b, 2) FILTER (WHERE bo) FROM t
SELECT bo, count(*) FROM t GROUP BY ALL ORDER BY ALL
SELECT bo, s, count(*) FROM t GROUP BY 1, 2 ORDER BY 1 DESC, 2
SELECT bo, count(*) AS c FROM t GROUP BY bo HAVING c > 1 ORDER BY c DESC, bo
SELECT n FROM t QUALIFY row_number() OVER (PARTITION BY bo ORDER BY n) = 1 ORDER BY n
SELECT n, d FROM t ORDER BY d
SELECT n, d FROM t ORDER BY d DESC
SELECT n, s FROM t ORDER BY s
SELECT n AS q, q + 1 AS k FROM t ORDER BY k LIMIT 3 OFFSET 1
SELECT * EXCLUDE (l, tl, st) FROM t ORDER BY n
SELECT * REPLACE (n + 1 AS n) FROM t ORDER BY n
SELECT a.n, b.n FROM t a JOIN t b USING (n) ORDER BY a.n
SELECT n, a.i, b.i FROM (SELECT * FROM t WHERE n < 4) a FULL JOIN (SELECT * FROM t WHERE n > 2) b USING (n) ORDER BY n
SELECT count(*) FROM t a JOIN t b ON a.d = b.d
SELECT n FROM t SEMI JOIN (SELECT 3 AS n) u USING (n)
SELECT bo FROM t UNION SELECT bo FROM t ORDER BY bo
SELECT n FROM t EXCEPT SELECT 3 ORDER BY n
SELECT * FROM (VALUES (1, 'a'), (2, NULL)) v(x, y) ORDER BY x
WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r WHERE n < 5) SELECT * FROM r ORDER BY n
SELECT n FROM t WHERE NOT (d > 0) AND n NOT IN (SELECT i FROM t WHERE i IS NOT NULL) ORDER BY n
SELECT n FROM t WHERE n NOT IN (SELECT i FROM t) ORDER BY n
SELECT i AS "A b`c", s AS "x""y" FROM t ORDER BY n
SELECT (SELECT count(*) FROM t b WHERE b.n < a.n) AS k FROM t a ORDER BY k
SELECT x FROM (SELECT n, b FROM t) UNPIVOT (x FOR k IN (n, b)) ORDER BY x
""".strip().split("\n")
ERRORS = [
    "i + 1",
    "i % 0",
    "i // 0",
    "CAST(d AS INTEGER)",
    "CAST(s AS INTEGER)",
    "CAST('1d' AS DOUBLE)",
    "u - 6",
    "u + 1",
]


@pytest.fixture(scope="module")
def scope(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    file = tmp_path_factory.mktemp("odd") / "values.parquet"
    duckdb.sql(f"COPY (SELECT * FROM ({ROWS}) t({NAMES})) TO '{file}'")
    yield f"t AS (SELECT * FROM {read_parquet([file])})", file


@pytest.fixture(scope="module")
def spark() -> Engine:
    return engines.opened("spark", "local[2]")


def answers(scope: tuple[str, Path], body: str, spark: Engine) -> list[object]:
    made = Statement(scope[0], body, files=frozenset({scope[1]}))
    found: list[object] = []
    for engine in (engines.DUCKDB, spark):
        try:
            found.append([list(row) for row in ran(lambda con: made, engine)[1]])
        except SecondguessError as error:
            found.append(error)
    return found


@pytest.mark.slow
@pytest.mark.parametrize("line", VALUES.strip().split("\n"))
def test_values_of_odd_rows_are_the_same(scope: tuple[str, Path], spark: Engine, line: str) -> None:
    values = [value.strip() for value in line.split("; ")]
    items = ", ".join(f"{value} AS v{number}" for number, value in enumerate(values))
    ours, theirs = answers(scope, f"SELECT n, {items} FROM t ORDER BY n", spark)
    assert isinstance(ours, list), ours
    assert isinstance(theirs, list), theirs
    for mine, other in zip(ours, theirs, strict=True):
        assert {value: (a, b) for value, a, b in zip(["n", *values], mine, other, strict=True) if not alike(a, b)} == {}


@pytest.mark.slow
@pytest.mark.parametrize("number", range(len(SELECTS)))
def test_selects_of_odd_rows_give_the_same(scope: tuple[str, Path], spark: Engine, number: int) -> None:
    ours, theirs = answers(scope, SELECTS[number], spark)
    assert isinstance(ours, list), ours
    assert isinstance(theirs, list), theirs
    assert alike(ours, theirs), (ours, theirs)


@pytest.mark.slow
@pytest.mark.parametrize("value", ERRORS)
def test_what_is_an_error_in_duckdb_is_one_on_spark(scope: tuple[str, Path], spark: Engine, value: str) -> None:
    ours, theirs = answers(scope, f"SELECT {value} AS v FROM t", spark)
    assert isinstance(ours, SecondguessError)
    assert isinstance(theirs, SecondguessError)


@pytest.mark.slow
@pytest.mark.parametrize(
    "value",
    [
        *("upper('straße')", "reverse(s)", "CAST(d AS VARCHAR)", "round(d, 2)", "regexp_matches(s, 'a(?=b)')", "s[1]"),
        *("ts + INTERVAL 1 DAY", "substr(s, 0, 2)", "typeof(i)", "st < st", "l > [1]", "strftime(dt, '%Y')"),
    ],
)
def test_what_spark_does_otherwise_is_refused(scope: tuple[str, Path], spark: Engine, value: str) -> None:
    ours, theirs = answers(scope, f"SELECT {value} AS v FROM t ORDER BY n", spark)
    assert isinstance(theirs, Refused), (value, ours, theirs)
