"""How an answer's columns and cells are put on the page, and what of a view an error is about."""

import re
from pathlib import Path

import pytest
from page_in_process import texts
from recording import record

import secondguess as sg
from secondguess.analysis import notebook
from secondguess.analysis.answers import cells, columns
from secondguess.analysis.cli import main

NUMBERS, COUNTS = "DOUBLE", 'STRUCT("values" STRUCT("value" BIGINT, "rows" BIGINT)[], distinct BIGINT)'


def test_sides_of_a_join_share_a_cell_and_pinned_columns_come_first() -> None:
    names = ("id", "guess_a", "guess_b", "confidence_a", "confidence_b", "score_0_a", "score_0_b")
    types = ("VARCHAR", "BIGINT", "BIGINT", "FLOAT", "FLOAT", "FLOAT", "FLOAT")
    found = columns.shown(names, types, 2, ("cat", "dog"), ("confidence_a",))
    assert [(column.head, column.kind, column.names) for column in found] == [
        ("confidence", "number", ("confidence_a", "confidence_b")),
        ("id", "key", ("id",)),
        ("guess", "label", ("guess_a", "guess_b")),
        ("cat", "score", ("score_0_a", "score_0_b")),
    ]
    assert [column.compared for column in found] == [True, False, False, False]


def test_a_groups_key_and_what_the_other_side_has_are_two_columns() -> None:
    found = columns.shown(("guess_a", "n", "guess_b"), ("BIGINT", "BIGINT", COUNTS), 2, ())
    assert [(column.head, column.kind) for column in found] == [
        ("guess_a", "label"),
        ("n", "number"),
        ("guess_b", "counts"),
    ]


def drawn(rows: list[tuple[object, ...]]) -> list[list[cells.Cell]]:
    """Joined rows of id, truth, guess and truth_score as cells."""
    names = ("id", "truth_a", "truth_b", "guess_a", "guess_b", "truth_score_a", "truth_score_b")
    types = ("VARCHAR", *["BIGINT"] * 4, "FLOAT", "FLOAT")
    shown = columns.shown(names, types, 2, ())
    return [row.cells for row in cells.rows(shown, names, rows, cells.Images(), 0)]


def test_equal_guesses_are_alike_and_a_truth_is_said_once() -> None:
    [[_, truth, guess, score]] = drawn([("x", 3, 3, 5, 5, 0.25, 0.5)])
    assert [label.text for label in truth.parts] == ["3"]
    assert (guess.alike, [label.wrong for label in guess.parts]) == (True, [True, True])
    assert (score.parts, score.change) == (("0.2500", "0.5000"), "+0.2500")


def test_a_label_that_differs_is_said_for_each_side() -> None:
    [[_, truth, guess, score]] = drawn([("x", 3, 4, 3, 4, 0.5, 0.25)])
    assert [label.text for label in truth.parts] == ["3", "4"]
    assert not guess.alike
    assert score.change == "−0.2500"


def test_a_side_without_a_row_is_absent_and_not_a_null() -> None:
    [[_, truth, guess, score], [_, _, null, _]] = drawn(
        [("x", None, 4, None, 4, None, 0.5), ("y", 4, 4, None, 4, 0.5, 0.5)]
    )
    assert [label.text for label in truth.parts] == ["4"]
    assert guess.absent == {0}
    assert null.absent == frozenset()
    assert (score.parts, score.change) == ((None, "0.5000"), None)


OWN = """-- My own
-- tables: 1..n
-- drawn: under id
SELECT run, epoch, id, guess, grade_b FROM predictions ORDER BY ALL"""


@pytest.fixture
def graded(tmp_path: Path) -> Path:
    """A store with a user's column that is called as if it were of a second table, and a question that shows it."""
    for run in ("cnn", "double"):
        record(tmp_path, run, {1: [("x", 0, 0)]}, columns={"grade_b": ["good"]})
    (tmp_path / "questions").mkdir()
    (tmp_path / "questions" / "own.sql").write_text(OWN)
    return tmp_path


def test_a_column_of_the_users_that_ends_like_a_side_is_shown_as_it_is_called(graded: Path) -> None:
    [page] = texts(graded, "/questions?q=own&t=cnn@1")
    heads = re.findall(r"<th scope=\"col\"[^>]*>\s*(?:<[^>]+>\s*)*([\w ]+)", page)
    assert heads == ["run", "epoch", "id", "guess", "grade_b"]
    store = sg.connect(graded)
    drawn = notebook.html(store.statement("own", "cnn@1"), store.ask("own", "cnn@1"))
    assert [name for name in ("run", "epoch", "grade_b") if f">{name}<" in drawn] == ["run", "epoch", "grade_b"]


def test_a_terminal_puts_nothing_one_below_the_other_that_is_not_joined(
    graded: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["ask", "own", "cnn", "double", "--store", str(graded)])
    assert "grade_b" in capsys.readouterr().out.split("\n")[1].split()


def test_a_statement_says_how_many_tables_stand_side_by_side(graded: Path) -> None:
    record(graded, "third", {1: [("x", 0, 1)]})
    (graded / "questions" / "three.sql").write_text("-- Three\n-- tables: 3\nSELECT id, guess_c FROM joined")
    store = sg.connect(graded)
    assert store.statement("own", "cnn", "double").sides == 1
    assert store.statement("disagreements", "cnn", "double").sides == 2
    assert store.statement("three", "cnn", "double", "third").sides == 3
    assert store.table("cnn", "double", "third", join="outer", group="id").statement.sides == 3
    assert store.table("cnn", "double").statement.sides == 1


def test_what_ends_like_a_side_that_there_is_not_is_a_column_of_its_own() -> None:
    found = columns.shown(("guess_a", "guess_b", "class_c"), ("BIGINT", "BIGINT", "VARCHAR"), 2, ())
    assert [(column.head, column.places) for column in found] == [("guess", (0, 1)), ("class_c", (2,))]
