"""What a chart is drawn of where its answer has more rows than a chart has marks: all of them, not the first ones."""

import re
from collections import Counter
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from page_in_process import texts
from recording import record

import secondguess as sg
from secondguess.analysis.cli import main
from secondguess.analysis.schema import MOST_MARKS
from secondguess.analysis.store.runs import list_runs

MANY = 2_100  # classes of which each is guessed once in the place of another


def drawn(made: Any) -> list[dict[str, Any]]:
    return max(made.to_dict()["datasets"].values(), key=len)  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run in which class 7 is taken for 8 three times, and each class once for the one after it."""
    store = tmp_path_factory.mktemp("many") / "predictions"
    rows = [(f"r{row}", row, (row + 1) % MANY) for row in range(MANY)]
    record(store, "wide", {1: [*rows, ("x", 7, 8), ("y", 7, 8)]})
    return store


def test_errors_over_time_of_six_thousand_epochs_are_drawn_of_every_run(sweep_store: Path) -> None:
    """Thirty runs have room for 66 points each: means of three or four epochs, as the records count them."""
    runs = list_runs(sweep_store)
    marks = drawn(sg.connect(sweep_store).chart("errors-over-time", *runs))
    assert Counter(mark["run"] for mark in marks) == dict.fromkeys(runs, MOST_MARKS // 30)
    name = list(runs)[17]
    first = [epoch.errors for epoch in list(runs[name].tables["test_predictions"].values())[:4]]
    mark = next(mark for mark in marks if mark["run"] == name)
    assert (mark["epoch"], mark["errors"]) == (4, pytest.approx(sum(first) / 4))


def test_a_file_and_the_page_draw_all_runs_too_and_say_what_a_point_is(
    sweep_store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = list(list_runs(sweep_store))[:25]
    path = tmp_path / "errors.svg"
    asked = ["ask", "errors-over-time", *names, "--store", str(sweep_store), "--chart", str(path)]
    main([*asked, "-o", str(tmp_path / "errors.csv")])
    url = "/questions?" + urlencode([("q", "errors-over-time"), *(("t", name) for name in names)])
    for text in (path.read_text(), texts(sweep_store, url)[0]):
        assert "each point is the mean of up to 3 validations, at the last of them" in text
        assert set(re.findall(r'<path aria-label="([^"]*)"[^>]*line mark', text)) == set(names)
    assert len((tmp_path / "errors.csv").read_text().splitlines()) == 1 + 25 * 200  # the answer itself is whole


def test_of_many_classes_those_with_most_mistakes_are_drawn(many: Path) -> None:
    store = sg.connect(many)
    bars = store.chart("errors-by-guess", "wide")
    assert bars.to_dict()["title"]["text"] == "the 60 with most errors"
    assert max((mark["errors"], mark["key"]) for mark in drawn(bars)) == (3, "8")
    squares = store.chart("confusion", "wide")
    assert squares.to_dict()["title"]["text"] == "the 25 classes with most mistakes"
    assert {(mark["down"], mark["across"]): mark["count"] for mark in drawn(squares)}["7", "8"] == 3


def test_a_curve_of_many_points_keeps_points_of_its_own_from_end_to_end(many: Path) -> None:
    record(many, "sure", {1: [(f"s{row}", 0, [1 - row / 10_000, row / 10_000]) for row in range(4_000)]})
    marks = drawn(sg.connect(many).chart("risk-coverage", "sure", points=4_000))
    assert len(marks) == MOST_MARKS
    assert [mark for mark in marks if abs(round(mark["x"] * 4_000) - mark["x"] * 4_000) > 1e-6] == []
    assert max(mark["x"] for mark in marks) == 1
