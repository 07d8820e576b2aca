"""Tables that stand together and saw different examples: every answer that counts them says so."""

from pathlib import Path

import pytest
from page_in_process import texts
from recording import record

from secondguess.analysis.cli import main

SAID = "these tables saw different examples: a@1, b@1 (2 rows), c@1 (3 rows)"


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """a and b of the same two examples, in two orders; c of one more."""
    path = tmp_path_factory.mktemp("store") / "predictions"
    record(path, "a", {1: [("x", 0, 0), ("y", 1, 0)], 2: [("x", 0, 0), ("y", 1, 0)]})
    record(path, "b", {1: [("y", 1, 1), ("x", 0, 1)]})
    record(path, "c", {1: [("x", 0, 0), ("y", 1, 0), ("z", 1, 0)]})
    return path


@pytest.mark.parametrize("question", ["errors-by-guess", "confusion", "errors-over-time", "errors"])
def test_a_question_says_it_where_they_differ_and_only_there(
    store: Path, question: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["ask", question, "a@1", "b@1", "c@1", "--store", str(store)]) is None
    assert SAID in capsys.readouterr().err
    assert main(["ask", question, "a@1", "a@2", "b", "--store", str(store)]) is None
    assert "different examples" not in capsys.readouterr().err


def test_a_stack_says_it_in_the_terminal(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["table", "a@1", "b@1", "c@1", "--store", str(store)]) is None
    assert SAID in capsys.readouterr().err


def test_the_page_says_it_of_each_way_to_see_several_tables(store: Path) -> None:
    tables = "t=a@1&t=b@1&t=c@1"
    ways = [
        f"/table?{tables}",
        f"/table?{tables}&side=1",
        *(f"/questions?q={q}&{tables}" for q in ("confusion", "errors-by-guess")),
    ]
    assert [SAID in text for text in texts(store, *ways)] == [True] * 4
    assert SAID not in texts(store, "/table?t=a@1&t=b@1&side=1")[0]


def test_a_curve_over_epochs_says_which_of_them_saw_what(
    store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    record(tmp_path / "p", "grown", {1: [("x", 0, 0)], 2: [("x", 0, 0), ("y", 1, 0)], 3: [("x", 0, 1), ("y", 1, 0)]})
    assert main(["ask", "errors-over-time", "grown", "--store", str(tmp_path / "p")]) is None
    said = "these tables saw different examples: grown@1 (1 row), grown at 2 epochs from 2 to 3 (2 rows)"
    assert said in capsys.readouterr().err
