"""Cells as pages draw them: the strip of an example's guesses."""

import pytest

from secondguess.analysis.answers import cells


def test_a_strip_has_the_guesses_in_order_with_gaps_between_runs() -> None:
    """4 4 9 | - "two words": right twice, wrong, another run, none, and a name in quotes."""
    drawn = cells.strip('4 4 9 | - "two words"', [4])
    assert [(label.text, label.wrong, label.missing) for _, _, label in drawn.spans] == [
        ("4", False, ""),
        ("9", True, ""),
        ("-", None, "none"),
        ("two words", True, ""),
    ]
    assert [(x, width) for x, width, _ in drawn.spans] == [(0, 28), (28, 14), (56, 14), (70, 14)]
    assert drawn.words == "2 times 4, 9 | -, two words"


def test_a_strip_of_many_epochs_is_no_wider_than_its_column() -> None:
    drawn = cells.strip(" ".join(["1"] * 500 + ["2"] * 500), [2])
    assert drawn.width == pytest.approx(240)
    assert [round(width) for _, width, _ in drawn.spans] == [120, 120]


def test_a_curve_breaks_where_a_score_is_missing() -> None:
    drawn = cells.curve([0.0, 1.0, None, 0.5])
    assert drawn.lines == ("7,20 21,0", "49,10")
    assert (drawn.width, drawn.words) == (56, "from .00 to .50, at most 1.0")
    assert cells.curve([None, float("nan")]) is None
