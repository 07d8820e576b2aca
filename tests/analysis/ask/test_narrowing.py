"""Any answer can be filtered and sorted, from every door, as a table is."""

import pytest
from recording import record

import secondguess as sg
from secondguess.analysis.cli import main
from secondguess.analysis.errors import BadInput, Refused

ROWS = [("a", 0, 0), ("b", 0, 1), ("c", 1, 1), ("d", 1, 1), ("e", 2, 0)]


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    path = tmp_path_factory.mktemp("store")
    record(path, "cnn", {1: ROWS})
    questions = path / "questions"
    questions.mkdir()
    own = (
        "-- Ids from one on\n-- $where text = 'a'  the first\nSELECT id FROM predictions WHERE id >= $where ORDER BY id"
    )
    (questions / "own.sql").write_text(own)
    (questions / "remark.sql").write_text("-- Ids\nSELECT id FROM predictions ORDER BY id DESC -- the last first")
    return path


def confusion(path, **how):
    return [row[2:] for row in sg.connect(path).ask("confusion", "cnn", **how).fetchall()]


def test_rows_are_kept_by_conditions_and_sorted_by_expressions(path):
    assert confusion(path) == [(0, 0, 1), (0, 1, 1), (1, 1, 2), (2, 0, 1)]
    assert confusion(path, where="truth <> guess") == [(0, 1, 1), (2, 0, 1)]
    assert confusion(path, where=["truth <> guess", "guess = 1"]) == [(0, 1, 1)]
    assert confusion(path, sort="-rows, truth + guess desc") == [(1, 1, 2), (2, 0, 1), (0, 1, 1), (0, 0, 1)]


def test_rows_that_sort_alike_stay_in_the_answers_order(path):
    assert [row[0] for row in sg.connect(path).ask("remark", "cnn", sort="1 < 2").fetchall()] == [
        "e",
        "d",
        "c",
        "b",
        "a",
    ]


def test_the_command_line_takes_them(path, capsys):
    main(
        ["ask", "confusion", "cnn", "--where", "rows = 1", "--sort", "-truth", "--store", str(path), "--format", "csv"]
    )
    rows = capsys.readouterr().out.splitlines()
    assert rows == ["run,epoch,truth,guess,rows", "cnn,1,2,0,1", "cnn,1,0,0,1", "cnn,1,0,1,1"]


def test_a_questions_own_option_of_that_name_is_its_own(path):
    assert sg.connect(path).ask("own", "cnn", where="d").fetchall() == [("d",), ("e",)]


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ({"where": "nothing = 1"}, "nothing"),
        ({"where": "rows >"}, "in the filter 'rows >'"),
        ({"where": "rows > (SELECT 1 FROM predictions)"}, "it reads 'predictions'; name columns of the answer only"),
        ({"where": "1) OR (1"}, "in the filter"),
        ({"sort": "rows; DROP TABLE x"}, "in the sort"),
        ({"sort": "getvariable('x')"}, "in the sort"),
        ({"where": 3}, "where 3 is no text"),
    ],
)
def test_what_is_no_expression_over_the_answer_is_refused(path, how, said):
    with pytest.raises((BadInput, Refused), match=said.replace("(", r"\(").replace(")", r"\)")):
        confusion(path, **how)


def test_places_of_parameters_move_with_the_question(path):
    """Values are written into the SQL that is shown where the question has their names."""
    statement = sg.connect(path).statement("own", "cnn", sort="-id")
    assert "$" not in statement.text
    assert "id >= 'a'" in statement.text
