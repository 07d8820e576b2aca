"""Where in what a person wrote a fault is shown, whatever the words of the error."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st
from recording import record

from secondguess.analysis.ask import statements
from secondguess.analysis.commands.output import check
from secondguess.analysis.engine import duck, guard
from secondguess.analysis.engine.passages import FILTER, FREE_SQL, WANDB_FILTER, Passage
from secondguess.analysis.engine.statement import Statement
from secondguess.analysis.errors import Fault, SecondguessError
from secondguess.analysis.page.pages.faults import FilterFault, Place, filter_fault, place
from secondguess.analysis.tables import select
from secondguess.analysis.tables.view import TableView

# What is wrong, between the signs that stand for the caret's first and last.
SAID = [
    "«guss» = 1",
    "«nope»(guess) = 1",
    "guess = «=» 1",
    "«CAST('é' AS INTEGER)» = 1",  # found while the statement is planned
    "id«::INTEGER» = 1",  # found while rows are read
    "guess > «'é😀'»",
    "abs(«upper»(id, id)) = 1",
    "(SELECT count(*) FROM «nowhere») = 1",
    "(SELECT count(*) FROM runs x, runs y WHERE «run» = 'é') > 0",
    "(SELECT «x.nope» FROM runs x LIMIT 1) = 1",
    "guess «+» id = 'é'",
    "«nextval»('é') = 1",
]
OF_SQL = [
    "SELECT 1 fro «t»",
    "SELECT * FROM «nowhere»",
    'SELECT * FROM «"cnn@9"»',
    "SELECT «id» FROM cnn a, cnn b",
    "SELECT 'é', «$x» FROM cnn",
    "SELECT * FROM «read_text»('é')",
    "SELECT '€' AS n FROM cnn GROUP BY «nope»",
    *(f"SELECT 'é€' FROM cnn WHERE {text}" for text in SAID),
]
TRUE = [
    "guess IS NOT NULL",
    "'é€😀' <> 'guss nope nowhere id run ='",
    "/* ü guss */ true",
    "\"id\" <> 'ß'",
    "coalesce(truth, 0) > -1 -- é\n",
    "(confidence IS NULL OR true)",
]
JOINTS = [" AND ", "\nAND ", "\n\tAND\n  "]


@dataclass(frozen=True)
class Wrong:
    """A text, and the characters of it that are wrong."""

    text: str
    start: int
    length: int


def wrong(text: str) -> Wrong:
    """The text without the signs round what is wrong."""
    before, _, rest = text.partition("«")
    token, _, after = rest.partition("»")
    return Wrong(before + token + after, len(before), len(token))


@st.composite
def filters(draw: st.DrawFn) -> Wrong:
    """A faulty condition between others that are not, on one line or on several."""
    text = draw(st.sampled_from(SAID))
    for true in draw(st.lists(st.sampled_from(TRUE), max_size=3)):
        joint = draw(st.sampled_from(JOINTS))
        text = text + joint + true if draw(st.booleans()) else true + joint + text
    return wrong(draw(st.sampled_from(["", " ", "\n", "/* é */ "])) + text)


@st.composite
def selects(draw: st.DrawFn) -> Wrong:
    """A faulty SELECT, perhaps behind a comment, or within another, on one line or on several."""
    text = draw(st.sampled_from(OF_SQL))
    if draw(st.booleans()):
        text = f"WITH ü AS (\n{text}\n)\nSELECT 'é' AS \"€\", * FROM ü"
    return wrong(draw(st.sampled_from(["", "-- é guss\n", "\n\n  ", "; /* 😀 */ "])) + text)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("faults") / "store"
    record(folder, "cnn", {1: [("é", 0, 1), ("€2", 1, 1), ("3", 1, 0)]})
    record(folder, "é€😀", {1: [("3", 1, 1)]})
    return folder


def error_of(build: duck.Build) -> SecondguessError:
    with pytest.raises(SecondguessError) as raised, duck.answered(build, duck.page) as (_, (rows, _)):
        list(rows.rows)
    return raised.value


def of_sql(store: Path, text: str) -> SecondguessError:
    return error_of(lambda con: statements.sql(con, store, text))


def of_view(store: Path, view: TableView) -> SecondguessError:
    return error_of(lambda con: select.statement(con, store, view))


def at(wrong: Wrong) -> Place:
    """The line that is wrong, and what points at it."""
    before = wrong.text[: wrong.start].split("\n")
    line = wrong.text.split("\n")[len(before) - 1]
    return Place(len(before), line, "".join(" \t"[sign == "\t"] for sign in before[-1]) + "^" * wrong.length)


VIEWS: list[dict[str, Any]] = [
    {},
    {"limit": 1},
    {"group": ("truth",)},
    {"add": (("ü", "'é' || id"),), "sort": ("-id", "'€' || id")},
    {"where": ("id <> 'guss nope'",), "columns": ("id", "guess")},
    {"aggregate": (("most", "max('é' || id)"),)},
]


@given(wrong=filters(), how=st.sampled_from(VIEWS), first=st.booleans())
def test_the_caret_points_at_what_is_wrong_in_a_filter(store: Path, wrong: Wrong, how: dict[str, Any], first: bool):
    others = how.get("where", ())
    where = (wrong.text, *others) if first else (*others, wrong.text)
    tables = ("é€😀@1", "cnn@1") if "add" in how else ("cnn@1",)
    view = TableView(tables, **{**how, "where": where})
    fault = filter_fault(view, of_view(store, view))
    assert fault is not None
    assert (fault.field, fault.text) == ("where", wrong.text)
    assert fault.place == at(wrong)
    assert fault.others == TableView(tables, **{**how, "where": others})


@given(wrong=selects())
def test_the_caret_points_at_what_is_wrong_in_sql(store: Path, wrong: Wrong):
    fault = of_sql(store, wrong.text).fault
    assert fault is not None
    assert (fault.what, fault.text) == (FREE_SQL, wrong.text)
    assert place(fault) == at(wrong)


@pytest.fixture
def reworded(monkeypatch: pytest.MonkeyPatch) -> None:
    """DuckDB says everything in other words, which name other things."""
    words = 'the column "id" and the function guess(x) at or near "FROM" (line 9, column 9)'
    explained, why = duck.explained, guard._why

    def other(error: duckdb.Error, *rest: Any) -> SecondguessError:
        kind, _, told = str(error).partition("{")
        return explained(type(error)(kind + json.dumps({**json.loads("{" + told), "exception_message": words})), *rest)

    monkeypatch.setattr(duck, "explained", other)
    monkeypatch.setattr(guard, "_why", lambda tree, source: why({**tree, "error_message": words}, source))


@pytest.mark.usefixtures("reworded")
@pytest.mark.parametrize("text", SAID)
def test_the_caret_in_a_filter_stays_whatever_the_words(store: Path, text: str):
    view = TableView(("cnn@1",), where=("'é' <> '€'", wrong(text).text))
    error = of_view(store, view)
    error.args = ("in the filter 'guess': it says that there is no column 'guess'",)
    fault = filter_fault(view, error)
    assert fault is not None
    assert fault.place == at(wrong(text))


@pytest.mark.usefixtures("reworded")
@pytest.mark.parametrize("text", OF_SQL)
def test_the_caret_in_sql_stays_whatever_the_words(store: Path, text: str):
    error = of_sql(store, wrong(text).text)
    error.args = ("there is no 'SELECT' (line 1, column 1)",)
    assert place(error.fault) == at(wrong(text))


def test_the_caret_is_where_the_name_stands_and_not_where_a_text_has_it(store: Path):
    view = TableView(("cnn@1",), where=("'guss' <> id AND guss = 1",))
    fault = filter_fault(view, of_view(store, view))
    assert fault is not None
    assert fault.place == Place(1, "'guss' <> id AND guss = 1", "                 ^^^^")
    assert fault.reason.startswith("there is no column 'guss' (did you mean guess?); there are: ")


def test_a_row_that_only_the_count_meets_is_the_filters_fault(store: Path):
    """The page has its one row before the third is read."""
    view = TableView(("cnn@1",), where=("CAST(id AS INTEGER) > -1 OR guess = 1",), limit=1)
    record(store, "late", {1: [("3", 0, 1), ("4", 0, 1), ("é", 0, 0)]})
    view = TableView(("late@1",), where=("CAST(id AS INTEGER) > 0",), limit=1)
    fault = filter_fault(view, of_view(store, view))
    assert fault is not None
    assert fault.place == Place(1, "CAST(id AS INTEGER) > 0", "^^^^^^^^^^^^^^^^^^^")


def test_the_place_is_the_same_where_a_statement_is_only_looked_at(store: Path):
    with pytest.raises(SecondguessError) as raised:
        check(lambda con: statements.sql(con, store, "SELECT 'é', upper(id, id) FROM cnn"))
    assert raised.value.fault is not None
    assert (raised.value.fault.start, raised.value.fault.length) == (12, 5)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('row["guess"] > row["guss"]', Place(1, 'row["guess"] > row["guss"]', " " * 19 + "^^^^^^")),
        ('row["guess"] ==', Place(1, 'row["guess"] ==', " " * 15 + "^")),
        ('row["guess"] === 1 &&\n "é" > row["guess"]', Place(2, ' "é" > row["guess"]', "     ^")),
        ("", None),
    ],
)
def test_a_filter_in_wandbs_language_has_its_place(store: Path, text: str, expected: Place | None):
    view = TableView(("cnn@1",), where=("guess = 1",), wandb_filter=('row["guess"] == 1', text))
    fault = filter_fault(view, of_view(store, view))
    assert fault is not None
    assert (fault.field, fault.text, fault.place) == ("wandb_filter", text, expected)
    assert fault.others == TableView(("cnn@1",), where=("guess = 1",), wandb_filter=('row["guess"] == 1',))


def test_an_error_about_something_else_is_no_filters():
    view = TableView(("cnn@3",), where=("guss",))
    assert filter_fault(view, SecondguessError("no", fault=Fault("the column m", "guss", "no", 0, 4))) is None
    assert filter_fault(view, SecondguessError("no", fault=Fault(FILTER, "gus", "no", 0, 3))) is None
    assert filter_fault(view, SecondguessError("no", fault=Fault(WANDB_FILTER, "guss", "no", 0, 4))) is None
    assert filter_fault(view, SecondguessError("in the filter 'guss': no")) is None


def test_the_caret_stands_below_its_own_line():
    fault = FilterFault("where", "a\nb\nc", "no", Place(2, "b", "^"), TableView(("cnn",)))
    assert (fault.above, fault.below) == ("a\nb", "\nc")


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (Fault(FREE_SQL, "SELECT\tguss", "no", 7, 4), Place(1, "SELECT\tguss", " " * 6 + "\t^^^^")),
        (Fault(FREE_SQL, "SELECT 'a\nb'", "no", 7, 5), Place(1, "SELECT 'a", " " * 7 + "^^")),
        (Fault(FREE_SQL, "SELECT", "no", 6, 0), Place(1, "SELECT", " " * 6 + "^")),
        (Fault(FREE_SQL, "SELECT 1", "no"), None),
        (None, None),
    ],
)
def test_a_place_is_drawn_under_its_line(fault: Fault | None, expected: Place | None):
    assert place(fault) == expected


def test_an_error_outside_of_what_a_person_wrote_is_nowhere():
    statement = Statement("x AS (SELECT 'é')", "SELECT guss", passages=(Passage(FREE_SQL, "SELECT guss", length=11),))
    (passage,) = statement.in_sql
    assert statement.sql.encode()[passage.start :][: passage.length] == b"SELECT guss"
    con = duck.fresh()
    with pytest.raises(duckdb.Error) as raised:
        con.execute("SELECT nothing")
    assert duck.explained(raised.value, statement.in_sql).fault is None
