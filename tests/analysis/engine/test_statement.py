"""What --show-sql prints gives the same rows in a plain DuckDB session, whatever the names and values in it."""

import json
import subprocess
import sys
from functools import partial

import duckdb
import pytest
from recording import record, record_prices, record_tags
from waiting import HANG_S

from secondguess.analysis.ask import questions, statements
from secondguess.analysis.cli import main
from secondguess.analysis.engine.duck import answered, rows
from secondguess.trainer.recorder import Recorder

NASTY = ["it's", 'say "hi"', "a\nb", "-- x", "; drop", "😀 가", "\\", "$limit", "a\0b", " "]
SESSION = """
import duckdb, json, sys
for line in sys.stdin:
    print(json.dumps(repr(duckdb.connect().execute(json.loads(line)).fetchall())), flush=True)
"""

OWN = """-- Rows by every type of option
-- tables: 1..n
-- $least float = null
-- $day date = 2026-02-28
-- $name text = null
-- $some int = 3
SELECT run, id, guess, $least AS least, $day AS day, $name AS name, 10-$some AS some
FROM predictions
WHERE ($name IS NULL OR guess = $name) AND (confidence >= $least) IS NOT FALSE AND day <= $day
UNION ALL
SELECT '$name', '-- $day', $name, $least, $day, "$none", -$some FROM (SELECT '$x' AS "$none" WHERE $some < 0)
ORDER BY run, id
"""


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """Runs with classes, ids, truths and columns whose names and values look like SQL."""
    import datetime

    path = tmp_path_factory.mktemp('it\'s a "store"; -- ') / "pre [1] dictions"
    count = len(NASTY)
    scores = [[0.75 if index == place else 0.25 / (count - 1) for index in range(count)] for place in range(count)]
    for run, shift in (('it\'s; -- a "run"', 1), ("run 😀 2", 2)):
        truth = [NASTY[(place + (place % shift == 0)) % count] for place in range(count)]
        columns = {'a "b"\n; --': list(NASTY), "day": [datetime.date(2026, 2, 1)] * count}
        epochs = {1: list(zip(NASTY, truth, scores, strict=True)), 2: list(zip(NASTY, NASTY, scores, strict=True))}
        record(path, run, epochs, classes=NASTY, columns=columns, content=dict(zip(NASTY, NASTY, strict=True)))
    with Recorder(path, run="plain", wandb="off", config={"note": "it's; --", "lr": 0.001}) as recorder:
        recorder.log(loss=0.5)
        with recorder.table("test_predictions", epoch=1) as table:
            table.add(ids=["x"], truth=["😀 가"], guess=["it's"], day=[datetime.date(2026, 2, 1)])
    record_tags(path)
    record_prices(path)
    (path / "questions").mkdir()
    (path / "questions" / "own.sql").write_text(OWN)
    return path


@pytest.fixture(scope="module")
def session():
    """A plain DuckDB session in another process: SQL in, the rows' repr out."""
    process = subprocess.Popen(
        [sys.executable, "-c", SESSION], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdin is not None and process.stdout is not None

    def run(sql):
        process.stdin.write(json.dumps(sql) + "\n")
        process.stdin.flush()
        return json.loads(process.stdout.readline())

    yield run
    process.stdin.close()
    process.stdout.close()
    process.wait(timeout=HANG_S)


def shown(capsys, store, *args):
    """What the command prints on stderr, all of it: the statement, and notes as comments."""
    main([*args, "--store", str(store), "--show-sql", "--format", "json"])
    return capsys.readouterr().err


def given(build):
    """The rows that the command line's own connection gives, its values bound."""
    with answered(build, rows) as (_, found):
        return repr(list(found.rows))


ONE, TWO = 'it\'s; -- a "run"', "run 😀 2"
TABLES = {
    "calibration": [(ONE, TWO)],
    "calibration-difference": [(ONE, TWO)],
    "classification": [(ONE, TWO)],
    "confusion": [(ONE,), (f"{ONE}@1", f"{TWO}@1")],
    "data-map": [(ONE, TWO)],
    "disagreements": [(f"{ONE}@1", f"{TWO}@2"), (f"{TWO}@1", "plain@1")],
    "dynamics": [(ONE, TWO)],
    "errors": [(f"{ONE}@1",), (f"{ONE}@1", TWO)],
    "errors-by-guess": [(f"{ONE}@1",), (f"{TWO}@1", f"{ONE}@1")],
    "errors-over-time": [(ONE, TWO, "plain")],
    "flips": [(ONE, TWO)],
    "ledger": [(ONE, TWO)],
    "reliability": [(ONE, TWO)],
    "risk-coverage": [(ONE, TWO)],
    "temperature": [(ONE,)],
    "trajectories": [(ONE, TWO)],
    "errors-by-label": [("tags",), ("tags@1", "tags@2")],
    "labels": [("tags@1", "tags@2")],
    "multi-label": [("tags",)],
    "regression": [("price",)],
    "residuals": [("price@1", "price@2")],
    "worst": [("price@1", "price@2")],
    "own": [(ONE,), (ONE, "plain")],
}


def test_every_question_is_tried_here(store):
    assert sorted(questions.names(store)) == sorted(TABLES)


@pytest.mark.parametrize(("name", "tables"), [(name, refs) for name, held in TABLES.items() for refs in held])
def test_a_question_gives_the_same_rows_when_its_sql_is_pasted(store, session, capsys, name, tables):
    build = partial(statements.question, store=store, asked=questions.find(store, name), refs=tables, given={})
    expected = given(build)
    assert session(shown(capsys, store, "ask", name, *tables)) == expected
    assert expected != "[]" or name in {"disagreements", "ledger"}


@pytest.mark.parametrize("value", [*NASTY, "", "'; COPY (SELECT 1) TO 'x.csv'; --", "$day", "%s", None])
def test_text_is_written_as_the_value_it_is(store, session, capsys, value):
    options = [] if value is None else ["--name", value]
    build = partial(
        statements.question, store=store, asked=questions.find(store, "own"), refs=[ONE, TWO], given={"name": value}
    )
    expected = given(build)
    assert session(shown(capsys, store, "ask", "own", ONE, TWO, *options)) == expected
    if value in NASTY:
        assert expected.count("(") > 1  # the row whose guess it is, in each run


@pytest.mark.parametrize(
    ("option", "value"),
    [
        *(("least", value) for value in ("nan", "inf", "-inf", "-0.0", "-0.5", "1e-300", "0.1")),
        *(("some", value) for value in ("-1", "0", "5", "-9007199254740993")),
        *(("day", value) for value in ("0001-01-01", "2026-02-28", "9999-12-31")),
    ],
)
def test_numbers_and_dates_are_written_as_the_values_they_are(store, session, capsys, option, value):
    build = partial(
        statements.question, store=store, asked=questions.find(store, "own"), refs=[ONE], given={option: value}
    )
    assert session(shown(capsys, store, "ask", "own", ONE, f"--{option}={value}")) == given(build)


@pytest.mark.parametrize(
    "text",
    [
        "SELECT run, epoch, id, guess, truth FROM test_predictions ORDER BY ALL",
        'SELECT a.id, b.guess FROM "run 😀 2@1" a JOIN "it\'s; -- a ""run""@2" b USING (id) ORDER BY id -- the end',
        "SELECT id, examples, content FROM examples ORDER BY ALL;",
        "SELECT * FROM metrics",
        "SELECT * EXCLUDE (created) FROM runs ORDER BY run",
        "WITH plain AS (SELECT id FROM plain) FROM plain",
        "PIVOT (SELECT id, guess FROM plain) ON guess IN ('it''s', '; drop') USING count(*)",
        "SELECT column_name FROM (DESCRIBE plain)",
        "SELECT 'a;b' || '--' AS \"x;\ny\", E'\\'', $$;$$",
        "FROM (VALUES (1, 'NaN'::DOUBLE), (2, NULL)) t(a, b)",
    ],
)
def test_free_sql_gives_the_same_rows_when_it_is_pasted(store, session, capsys, text):
    assert session(shown(capsys, store, "sql", text)) == given(lambda con: statements.sql(con, store, text))


def test_the_list_of_runs_gives_the_same_rows_when_its_sql_is_pasted(store, session, capsys):
    assert session(shown(capsys, store, "runs")) == given(lambda con: statements.runs_statement(store))


def test_all_of_stderr_can_be_pasted_notes_and_all(tmp_path, session, capsys):
    record(tmp_path, "a", {1: [("x", 0, [float("nan"), 0.5]), ("y", None, [1.0, 0.0])]})
    record(tmp_path, "b", {1: [("y", 0, [1.0, 0.0])]})
    text = shown(capsys, tmp_path, "ask", "disagreements", "a", "b")
    assert [line for line in text.splitlines() if line.startswith("-- ")] == [
        "-- a/test_predictions@1: 1 of 2 rows have NaN scores, so no confidence",
        "-- a/test_predictions@1: 1 of 2 rows are unlabelled, so neither right nor wrong",
        "-- joined a@1 with b@1 on id: 1 matched, 1 only in a@1, 0 only in b@1, 0 with another truth; "
        "examples not compared",
    ]
    assert session(text) == "[]"


def test_a_statement_is_one_select_that_names_its_files(store, capsys):
    text = shown(capsys, store, "ask", "errors", "plain")
    (statement,) = duckdb.extract_statements(text)
    assert statement.type == duckdb.StatementType.SELECT
    assert str(store).replace("'", "''").replace("[1]", "[[]1]") in text
