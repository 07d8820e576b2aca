"""How the page of an example is drawn from rows: which epochs, runs, classes and colours."""

from itertools import pairwise
from pathlib import Path
from typing import Any

from page import make_store

from secondguess.analysis.ask import refs
from secondguess.analysis.page.pages import example_drawing
from secondguess.analysis.page.pages.example_drawing import TableColours
from secondguess.analysis.serving.worker import Reply
from secondguess.analysis.store.runs import list_runs
from secondguess.analysis.tables.view import TableView

NARROW = ("run", "epoch", "id", "guess", "truth", "confidence", "truth_score", "wrong")


def found(columns: Any, rows: Any, classes: Any = ()) -> Reply:
    return Reply(columns, (), rows, None, False, "", (), (), classes, (), 0)


def said(*rows: tuple[str, int, int, int]) -> Reply:
    """Of (run, epoch, guess, truth) rows, the truth's score .5 when right and .1 when wrong."""
    return found(
        NARROW,
        [
            (run, epoch, "x", guess, truth, 0.5, 0.5 if guess == truth else 0.1, guess != truth)
            for run, epoch, guess, truth in rows
        ],
    )


def spoken(rows: Reply, *tables: tuple[str, int]) -> dict[str, Any]:
    return example_drawing.spoken(rows, "test_predictions", TableColours(tables), {})


def test_of_many_epochs_the_first_the_last_and_those_of_the_view_stay() -> None:
    drawn = spoken(said(*(("cnn", epoch, 1, 1) for epoch in range(1, 101))), ("cnn", 42))
    assert {1, 42, 100} <= set(drawn["epochs"])
    assert len(drawn["epochs"]) <= 13
    assert len(drawn["epochs"]) + drawn["more_epochs"] == 100
    [line] = drawn["curve"]["lines"]
    assert len(line["points"]) == 100


def test_an_epoch_that_a_run_has_not_is_said() -> None:
    first, second = spoken(said(("cnn", 1, 1, 2), ("cnn", 2, 2, 2), ("late", 1, 2, 2)), ("cnn", 2))["runs"]
    assert [cell["missing"] for cell in second["cells"] if not cell["labels"]] == ["not yet"]
    assert [cell["labels"][0].wrong for cell in first["cells"]] == [True, False]


def test_how_many_runs_say_otherwise_is_counted_at_each_ones_last_epoch() -> None:
    drawn = spoken(said(("a", 1, 1, 1), ("a", 2, 3, 1), ("b", 1, 1, 1), ("c", 1, 2, 1)), ("a", 2))
    assert (drawn["wrong"], drawn["judged"]) == (2, 3)


def test_of_many_runs_the_first_twelve_are_drawn_and_the_rest_counted() -> None:
    drawn = spoken(said(*((f"run-{number:02}", 1, 1, 1) for number in range(15))), ("run-00", 1))
    assert (len(drawn["runs"]), drawn["more_runs"], drawn["judged"]) == (12, 3, 15)


def test_names_at_the_lines_do_not_cover_each_other() -> None:
    drawn = spoken(said(*((f"run-{number:02}", epoch, 1, 1) for number in range(12) for epoch in (1, 2))), ("x", 1))
    places = sorted(line["y"] for line in drawn["curve"]["lines"])
    assert min(below - above for above, below in pairwise(places)) >= 13
    assert (places[0] > 0, places[-1] < 190) == (True, True)


def test_of_a_hundred_classes_the_truth_and_the_largest_scores_are_shown() -> None:
    names = tuple(f"score_{number}" for number in range(100))
    scores = [0.001] * 100
    scores[7], scores[60] = 0.6, 0.2
    classes = tuple(f"class {number}" for number in range(100))
    drawn = example_drawing.scores(
        found((*NARROW, *names), [("cnn", 1, "x", "class 7", "class 99", 0.6, 0.001, True, *scores)], classes),
        TableColours((("cnn", 1),)),
    )
    assert drawn is not None
    shown = {line["label"]: line for line in drawn["classes"]}
    assert {"class 7", "class 60", "class 99"} <= set(shown)
    assert (len(shown), drawn["left"], drawn["left_most"]) == (12, 88, "0.001")
    assert [label for label, line in shown.items() if line["truth"]] == ["class 99"]
    assert shown["class 7"]["parts"][0]["wrong"] is True


def test_two_epochs_of_one_run_are_the_first_and_the_second_table(tmp_path: Path) -> None:
    runs = list_runs(make_store(tmp_path / "predictions"))

    def sides(view: TableView) -> TableColours:
        return example_drawing.sides([refs.named(runs, name, "last") for name in view.tables], view)

    colours = sides(TableView(("cnn@1", "cnn@3")))
    assert [colours.of_table("cnn", epoch) for epoch in (1, 2, 3)] == ["a", "a", "b"]
    assert colours.of_table("double", 3) == ""
    at_two = sides(TableView(("double", "cnn"), at=2))
    assert at_two.tables == (("double", 2), ("cnn", 2))


def test_bytes_that_are_no_image_have_no_size() -> None:
    assert example_drawing.picture_facts(b"\x89PNG\r\n\x1a\nnothing more") == {}
