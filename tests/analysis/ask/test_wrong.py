"""What an error is: a labelled row whose guess is distinct from its truth; records, questions and pages agree on it."""

import math
import re
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import duckdb
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from page_in_process import texts
from recording import record
from starlette.datastructures import QueryParams
from stores import epoch, writer

import secondguess as sg
from secondguess.analysis.answers import charts
from secondguess.analysis.answers.answer import Answer
from secondguess.analysis.cli import main
from secondguess.analysis.errors import BadInput
from secondguess.analysis.page import urls
from secondguess.analysis.page.pages import controls
from secondguess.analysis.schema import is_wrong, read_as, wrong
from secondguess.analysis.store.runs import list_runs
from secondguess.analysis.store.tally import Tally
from secondguess.analysis.tables import changes, select
from secondguess.analysis.tables.view import TableView

NAN = math.nan
# Of a model that diverges after its first epoch: a guess of NULL where the scores are NaN. z is unlabelled.
RIGHT, WRONG, LOST = [0.75, 0.25], [0.25, 0.75], [NAN, NAN]
DIVERGED = {
    1: [("u", "cat", RIGHT), ("v", "cat", WRONG), ("w", "cat", RIGHT), ("x", "cat", WRONG), ("z", None, RIGHT)],
    2: [("u", "cat", LOST), ("v", "cat", LOST), ("w", "cat", RIGHT), ("x", "cat", RIGHT), ("z", None, LOST)],
}


@pytest.fixture
def diverged(tmp_path: Path) -> Path:
    record(tmp_path, "cnn", DIVERGED, classes=["cat", "dog"])
    return tmp_path


def fetched(store: Path, sql: str) -> list[tuple[Any, ...]]:
    return sg.connect(store).sql(sql).fetchall()


def shown(store: Path, view: TableView) -> list[tuple[Any, ...]]:
    """The rows of a view's statement, as any DuckDB session gives them."""
    con = sg.connect(store).con
    return con.execute(select.statement(con, store, view).text).fetchall()


def test_a_guess_of_null_is_an_error_in_the_record_the_question_and_behind_the_pages_link(diverged: Path) -> None:
    view = TableView(("cnn@2",), columns=("id",))
    link = urls.read_table(QueryParams(parse_qsl(urlsplit(controls.links(view, {})["wrong"]).query)))
    assert list_runs(diverged)["cnn"].tables["test_predictions"][2].errors == 2
    assert sorted(row[2] for row in sg.connect(diverged).ask("errors", "cnn@2").fetchall()) == ["u", "v"]
    assert sorted(shown(diverged, link)) == [("u",), ("v",)]


def test_the_share_of_errors_is_that_of_the_labelled_rows_in_the_question_and_on_the_page(diverged: Path) -> None:
    """One of the five rows has no label."""
    last = list_runs(diverged)["cnn"].tables["test_predictions"][2]
    assert (last.labelled, last.error_rate) == (4, 0.5)
    assert [row[3] for row in sg.connect(diverged).ask("errors-over-time", "cnn").fetchall()] == [0.5, 0.5]
    runs, table = (" ".join(re.sub("<[^>]+>", "", text).split()) for text in texts(diverged, "/runs", "/table?t=cnn@2"))
    assert "cnn errs least: 2 of 4 wrong (50.00 %)" in runs
    assert "2 of 4 wrong" in table


def test_a_chart_leads_to_all_errors(diverged: Path) -> None:
    led: list[TableView] = []
    found = sg.connect(diverged).ask("errors-over-time", "cnn")
    answer = Answer(found.columns, (), found.fetchall(), order=[("cnn", 1), ("cnn", 2)])
    charts.chart(answer, lambda view: str(led.append(view)))
    assert [len(shown(diverged, view)) for view in led] == [2, 2]


def test_errors_that_go_and_come_are_counted_where_a_guess_is_null(diverged: Path) -> None:
    view = changes.counted(TableView(("cnn@1", "cnn@2"), "inner"))
    # u was right, x wrong; v is wrong both times, each time in another way; z is not labelled, its guess another.
    assert shown(diverged, view) == [(4, 1, 1, 1)]  # differ, fixed, broken, both


def test_wrong_is_null_where_a_row_is_unlabelled_and_where_a_table_has_no_guess_or_no_truth(diverged: Path) -> None:
    assert fetched(diverged, 'SELECT id, wrong FROM "cnn@2" ORDER BY id') == [
        *(("u", True), ("v", True), ("w", False), ("x", False)),
        ("z", None),
    ]
    with closing(writer(diverged, "odd")) as run:
        run.commit(epoch(1, ["a"], run="odd", table="none", guess=["cat"]))
        rows = epoch(1, ["a"], run="odd", truth=["cat"])
        run.commit(type(rows)("guessless", 1, rows.rows.drop_columns(["guess"])))
    assert fetched(diverged, 'SELECT wrong FROM "odd/none@1"') == [(None,)]
    assert fetched(diverged, 'SELECT wrong FROM "odd/guessless@1"') == [(None,)]


def test_each_side_of_a_join_has_its_own(diverged: Path) -> None:
    record(diverged, "few", {1: [("u", "cat", RIGHT), ("new", "dog", RIGHT)]}, classes=["cat", "dog"])
    rows = shown(diverged, TableView(("cnn@2", "few@1"), "outer", columns=("id", "wrong_a", "wrong_b"), sort=("id",)))
    assert rows == [
        *(("new", None, True), ("u", True, False), ("v", True, None)),
        *(("w", False, None), ("x", False, None), ("z", None, None)),
    ]
    by_truth = TableView(("cnn@2", "few@1"), "inner", ("truth",), allow_duplicates=True, where=("wrong_a AND wrong_b",))
    assert shown(diverged, by_truth) == []
    asked = "SELECT id FROM joined WHERE wrong_b AND NOT wrong_a"
    (diverged / "questions").mkdir()
    (diverged / "questions" / "new.sql").write_text(f"-- Errors that came\n-- tables: 2\n{asked}")
    assert sg.connect(diverged).ask("new", "cnn@1", "cnn@2").fetchall() == [("u",)]


def test_a_view_filters_groups_sorts_and_counts_by_it(diverged: Path) -> None:
    assert shown(diverged, TableView(("cnn@1",), where=("wrong",), columns=("id",))) == [("v",), ("x",)]
    grouped = TableView(("cnn@1",), group=("wrong",), columns=("wrong", "n"))
    assert shown(diverged, grouped) == [(None, 1), (False, 2), (True, 2)]
    counted = TableView(("cnn@2",), aggregate=(("wrong", "count(*) FILTER (WHERE wrong)"),), columns=("wrong",))
    assert shown(diverged, counted) == [(2,)]
    first = TableView(("cnn@1",), sort=("-wrong",), columns=("id", "wrong"), limit=1)
    assert shown(diverged, first) == [("v", True)]
    inside = TableView(("cnn@1",), where=('id IN (SELECT id FROM "cnn@2" WHERE wrong)',), columns=("id",))
    assert shown(diverged, inside) == [("u",), ("v",)]


OWN = ["run", "epoch", "id", "guess", "truth", "confidence", "truth_score", "score_0", "score_1"]


def test_it_is_there_where_it_is_named_so_that_a_star_and_a_view_have_the_columns_that_were_recorded(
    diverged: Path,
) -> None:
    store = sg.connect(diverged)
    assert store.sql('SELECT * FROM "cnn@1"').columns == OWN
    assert store.sql('SELECT * FROM "cnn@1" WHERE wrong').columns == [*OWN, "wrong"]
    assert store.sql('SELECT * EXCLUDE (wrong) FROM "cnn@1"').columns == OWN
    assert store.ask("errors", "cnn").columns == OWN
    assert store.table("cnn@1", where="wrong").columns == OWN
    assert "wrong" not in store.table("cnn@1").sql
    joined = store.table("cnn@1", "cnn@2", join="inner", where="wrong_a").columns
    assert joined == store.table("cnn@1", "cnn@2", join="inner").columns
    grouped = store.table("cnn@1", where="wrong", group="guess").columns
    assert grouped == store.table("cnn@1", group="guess").columns


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT guess = 'dog' AS wrong, count(*) FROM test_predictions GROUP BY wrong ORDER BY wrong",
        "SELECT wrong, count(*) FROM (SELECT guess = 'dog' AS wrong FROM test_predictions) GROUP BY wrong ORDER BY 1",
        "WITH w(wrong) AS (SELECT guess = 'dog' FROM test_predictions) SELECT wrong, count(*) FROM w GROUP BY 1 "
        "ORDER BY 1",
        "SELECT wrong.guess = 'dog', count(*) FROM test_predictions wrong GROUP BY 1 ORDER BY 1",
    ],
)
def test_what_a_person_calls_so_is_the_persons(diverged: Path, sql: str) -> None:
    assert [count for _, count in fetched(diverged, sql)] == [5, 2, 3]  # right or not cat, dog, NULL


def test_a_column_that_a_view_computes_by_that_name_is_the_views(diverged: Path) -> None:
    view = TableView(("cnn@1",), add=(("wrong", "id = 'z'"),), where=("wrong",), columns=("id", "wrong"))
    assert shown(diverged, view) == [("z", True)]


# A column of that name in a file: the recorder takes none, but files that are older than the rule may have one.


def test_the_recorder_refuses_a_column_of_that_name(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="column 'Wrong' cannot be added: the name is reserved"):
        record(tmp_path, "cnn", {1: [("x", 0, 0)]}, columns={"Wrong": [True]})


def test_a_files_own_column_of_that_name_is_called_otherwise_and_that_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with closing(writer(tmp_path)) as run:
        run.commit(epoch(1, ["x", "y"], guess=[1, 2], truth=[1, 1], wrong=["a", "b"]))
        run.commit(epoch(2, ["x", "y"], guess=[1, 2], truth=[1, 1]))
    store = sg.connect(tmp_path)
    assert store.sql('SELECT id, wrong, source_wrong FROM "cnn@1" ORDER BY id').fetchall() == [
        ("x", False, "a"),
        ("y", True, "b"),
    ]
    assert store.sql("SELECT epoch, source_wrong FROM test_predictions ORDER BY ALL").fetchall() == [
        *((1, "a"), (1, "b")),
        *((2, None), (2, None)),
    ]
    assert store.table("cnn@1", where="source_wrong = 'b'", columns="id, wrong").fetchall() == [("y", True)]
    assert "cnn/test_predictions: its column 'wrong' is called 'source_wrong'" in caplog.messages
    joined = shown(tmp_path, TableView(("cnn@1", "cnn@1"), "inner", ("source_wrong",), columns=("source_wrong",)))
    assert joined == [("a",), ("b",)]


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        (["id", "guess"], ["id", "guess"]),
        (["id", "Wrong", "x"], ["id", "source_wrong", "x"]),
        (["wrong", "source_wrong"], ["source_source_wrong", "source_wrong"]),
    ],
)
def test_what_a_files_columns_are_called(columns: list[str], expected: list[str]) -> None:
    assert read_as(columns) == expected


# Records count as the rule says

LABELS = {
    "int64": (pa.int64(), st.sampled_from([None, 0, 1, -1, 2**62])),
    "double": (pa.float64(), st.sampled_from([None, 0.0, -0.0, 0.5, math.inf, NAN])),
    "string": (pa.string(), st.sampled_from([None, "", "a", "A", "ä", "a\u0308", "\0"])),
    "boolean": (pa.bool_(), st.sampled_from([None, True, False])),
    "list": (pa.list_(pa.string()), st.sampled_from([None, [], ["a"], ["a", "b"], ["a, b"]])),
}


@given(st.data(), st.sampled_from(sorted(LABELS)), st.integers(0, 3))
def test_a_record_counts_the_rows_that_are_wrong_in_sql_and_in_python(data: st.DataObject, kind: str, cut: int) -> None:
    arrow, values = LABELS[kind]
    pairs = data.draw(st.lists(st.tuples(values, values), min_size=1, max_size=12))
    guess, truth = ([pair[side] for pair in pairs] for side in (0, 1))
    rows = pa.table(
        {
            "id": [str(number) for number in range(len(pairs))],
            "guess": pa.array(guess, arrow),
            "truth": pa.array(truth, arrow),
        }
    )
    tally = Tally()
    for part in (rows.slice(0, cut), rows.slice(cut)):
        tally.add(part)
    said = duckdb.sql(f"SELECT {wrong('guess', 'truth')} AS wrong FROM rows")
    assert [row[0] for row in said.fetchall()] == [is_wrong(*pair) for pair in pairs]
    errors = said.aggregate("CASE WHEN count(wrong) > 0 THEN count(*) FILTER (WHERE wrong) END").fetchall()
    assert [(tally.entry(1, None, True)["errors"],)] == (errors if kind != "double" else [(None,)])  # no classes


# Where a column says which rows are right

ANSWERS = """id,response,target,acc,part
a,foo bar,foo,1,0.5
b,baz,x,0,0.25
c,qux,qux,0,1
d,none,y,,0
"""


@pytest.fixture
def judged(tmp_path: Path) -> Path:
    """Answers that are right or wrong by a column: b and c wrong, d without a verdict."""
    (tmp_path / "lm.csv").write_text(ANSWERS)
    words = ("--guess", "response", "--truth", "target", "--right", "acc", "--store", str(tmp_path / "s"))
    main(["import", str(tmp_path / "lm.csv"), *words])
    return tmp_path / "s"


def test_a_column_that_says_which_rows_are_right_decides_records_questions_filters_and_joins(judged: Path) -> None:
    epoch = list_runs(judged)["lm"].tables["test_predictions"][1]
    assert (epoch.right, epoch.errors, epoch.unlabelled, epoch.error_rate) == ("acc", 2, 1, 2 / 3)
    asked = sg.connect(judged)
    assert asked.ask("errors", "lm@best").project("id").fetchall() == [("b",), ("c",)]
    over = asked.ask("errors-over-time", "lm").project("errors, accuracy, rows, unlabelled").fetchall()
    assert over == [(2, pytest.approx(1 / 3), 4, 1)]
    expected = [("a", False), ("b", True), ("c", True), ("d", None)]
    assert fetched(judged, "SELECT id, wrong FROM lm ORDER BY id") == expected
    assert shown(judged, TableView(("lm",), where=("wrong",), columns=("id",))) == [("b",), ("c",)]
    both = TableView(("lm", "lm"), join="inner", where=("wrong_a and wrong_b",), columns=("id",))
    assert [row[0] for row in shown(judged, both)] == ["b", "c"]


@pytest.mark.parametrize("question", ["confusion", "errors-by-guess"])
def test_what_compares_guess_with_truth_refuses_such_a_table_by_name(judged: Path, question: str) -> None:
    with pytest.raises(BadInput, match=rf"the column 'acc' says which rows of lm/test_predictions@1.*{question}"):
        sg.connect(judged).ask(question, "lm")


def test_a_guess_is_not_drawn_as_wrong_where_a_column_says_that_it_is_right(judged: Path, tmp_path: Path) -> None:
    (tmp_path / "plain.csv").write_text("id,pred,label\na,foo bar,foo\n")
    main(["import", str(tmp_path / "plain.csv"), "--store", str(judged)])
    plain, by_column, *_ = texts(
        judged,
        urls.table(TableView(("plain",))),
        urls.table(TableView(("lm",))),
        urls.runs(),
        urls.run("lm"),
        urls.question("errors", ["lm"]),
    )
    assert 'wrong">foo bar' in plain
    assert 'lab a">foo bar' in by_column or 'lab ">foo bar' in by_column
    assert 'wrong">foo bar' not in by_column


@pytest.mark.parametrize(
    ("words", "right"),
    [
        (("true", "False", ""), (True, False, None)),
        (("1", "0", ""), (True, False, None)),
        (("yes", "NO", " y "), (True, False, True)),
        (("C", "I", "C"), (True, False, True)),
        (("correct", "incorrect", "pass"), (True, False, True)),
    ],
)
def test_verdicts_are_read_in_the_usual_words(tmp_path: Path, words: tuple[str, ...], right: tuple[Any, ...]) -> None:
    (tmp_path / "v.csv").write_text("id,answer,ok\n" + "".join(f"{i},x,{word}\n" for i, word in enumerate(words)))
    main(["import", str(tmp_path / "v.csv"), "--guess", "answer", "--right", "ok", "--store", str(tmp_path / "s")])
    assert tuple(row[0] for row in fetched(tmp_path / "s", "SELECT ok FROM v ORDER BY id")) == right


@pytest.mark.parametrize(
    ("column", "said"),
    [
        ("part", "column 'part', named for --right, holds 0.5, 0.25"),
        ("nope", "no column 'nope' for --right: the table has: acc, part besides"),
        ("response", "no column 'response' for --right: it is taken for something else"),
    ],
)
def test_a_column_that_holds_no_verdicts_is_refused_by_what_it_holds(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], column: str, said: str
) -> None:
    (tmp_path / "lm.csv").write_text(ANSWERS)
    with pytest.raises(SystemExit):
        main(
            [
                *("import", str(tmp_path / "lm.csv"), "--guess", "response", "--truth", "target"),
                *("--right", column, "--store", str(tmp_path / "s")),
            ]
        )
    assert said in capsys.readouterr().err


def test_a_further_epoch_must_be_judged_alike_and_merged_and_labelled_rows_keep_their_verdicts(
    tmp_path: Path, judged: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    where = ("--run", "lm", "--guess", "response", "--store", str(judged))
    with pytest.raises(SystemExit):
        main(["import", str(tmp_path / "lm.csv"), "--epoch", "2", *where])
    assert "is judged by acc, so what is added must be too; name --right acc" in capsys.readouterr().err
    main(["import", str(tmp_path / "lm.csv"), "--epoch", "2", "--truth", "target", "--right", "acc", *where])
    (tmp_path / "l.csv").write_text("id,label\nd,none\n")
    main(["label", "lm", str(tmp_path / "l.csv"), "--replace", "--store", str(judged)])
    known = list_runs(judged)["lm"].tables["test_predictions"]
    assert [(epoch.right, epoch.errors, epoch.unlabelled) for epoch in known.values()] == [("acc", 2, 1)] * 2
