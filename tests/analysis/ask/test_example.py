"""What a store has of one example, asked from Python."""

from pathlib import Path
from typing import Any

import pytest
from recording import record

import secondguess as sg
from secondguess.analysis.ask import example
from secondguess.analysis.ask.example import Example
from secondguess.analysis.errors import Refused
from secondguess.analysis.moments import Moment

ODD = 'it\'s "x"\0'


@pytest.fixture
def store(tmp_path: Path) -> Path:
    content = {ODD: "first", "y": "second"}
    for run, said in (("a", 1), ("b", 0)):
        rows = [(ODD, 0, said), ("y", 1, said)]
        record(tmp_path, run, {1: rows, 2: rows}, content=content, dataset="texts", columns={"note": ["n", "m"]})
    return tmp_path


def asked(store: Path, text: str) -> list[tuple[Any, ...]]:
    return sg.connect(store).sql(text).fetchall()


def stem(store: Path) -> str:
    return str(asked(store, "SELECT DISTINCT examples FROM examples")[0][0])


def test_what_was_said_of_an_example_begins_with_the_runs_that_are_named(store: Path) -> None:
    own = Example("test_predictions", ODD, stem(store))
    assert [(row[0], row[1], row[4], row[-1]) for row in asked(store, example.said(own, ["b"]))] == [
        *(("b", 1, 0, False), ("b", 2, 0, False)),
        *(("a", 1, 1, True), ("a", 2, 1, True)),
    ]
    assert [row[0] for row in asked(store, example.said(own))] == ["a", "a", "b", "b"]
    assert asked(store, example.said(Example("test_predictions", ODD, "another file"))) == []


def test_its_whole_rows_have_the_users_columns_and_last_whether_they_are_errors(store: Path) -> None:
    found = sg.connect(store).sql(
        example.whole(Example("test_predictions", "y", None), [("a", Moment(2)), ("b", Moment(1))])
    )
    assert found.columns[-1] == "wrong"
    assert found.project("run, epoch, note, wrong").fetchall() == [("a", 2, "m", False), ("b", 1, "m", True)]


def test_what_its_file_says_of_it(store: Path) -> None:
    found = sg.connect(store).sql(example.described(Example("test_predictions", ODD, stem(store))))
    assert found.project("id, content").fetchall() == [(ODD, "first")]


def test_the_surest_of_each_mistake(tmp_path: Path) -> None:
    rows = [("x", 0, [0.25, 0.75]), ("y", 0, [0.125, 0.875]), ("z", 1, [0.25, 0.75]), ("w", 1, [1.0, 0.0])]
    record(tmp_path, "a", {1: rows})
    assert sorted(asked(tmp_path, example.surest("a@1", "truth", "guess", 1))) == [(0, 1, ["y"]), (1, 0, ["w"])]


def test_images_are_looked_up_by_file_and_id(store: Path) -> None:
    # Texts have no images, and say so.
    with pytest.raises(Refused, match="image"):
        asked(store, example.images([stem(store)], [ODD]))
