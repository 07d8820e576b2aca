"""The scores of rows with several labels in other people's files: where they stand, and the guesses that they make."""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import secondguess as sg
from secondguess.analysis.cli import main

NAMES = ["cat", "dog", "ox"]
SCORES = [[0.75, 0.5, 0.25], [0.0, 0.25, 1.0], [0.25, 0.25, 0.25]]
TRUTHS = [["dog", "cat"], ["cat"], []]
GUESSES = [["cat", "dog"], ["ox"], []]  # by hand: those of at least 0.5


def taken(folder: Path, capsys: pytest.CaptureFixture[str], columns: dict[str, Any], *words: str) -> str:
    names = ("id", *columns)
    lines = [dict(zip(names, row, strict=True)) for row in zip("abc", *columns.values(), strict=True)]
    (folder / "t.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    main(["import", str(folder / "t.jsonl"), "--run", "r", "--store", str(folder / "s"), *words])
    return capsys.readouterr().out


def refused(folder: Path, capsys: pytest.CaptureFixture[str], columns: dict[str, Any], *words: str) -> str:
    with pytest.raises(SystemExit):
        taken(folder, capsys, columns, *words)
    assert not (folder / "s" / "r").exists()
    return capsys.readouterr().err


def rows(folder: Path, columns: str = "guess, truth, score_0, score_1, score_2") -> list[tuple[Any, ...]]:
    return sg.connect(folder / "s").sql(f"SELECT {columns} FROM r ORDER BY id").fetchall()


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ({"scores": [dict(zip(NAMES, row, strict=True)) for row in SCORES]}, []),
        ({"scores": [json.dumps(dict(zip(NAMES, row, strict=True))) for row in SCORES]}, []),
        ({"preds": [[{"label": n, "score": x} for n, x in zip(NAMES, row, strict=True)] for row in SCORES]}, []),
        ({"probs": SCORES}, ["--classes", "cat,dog,ox"]),
        ({"y_pred": SCORES}, ["--classes", "cat,dog,ox"]),
        ({"mine": SCORES}, ["--classes", "cat,dog,ox", "--scores", "mine"]),
        ({f"prob_{name}": [row[at] for row in SCORES] for at, name in enumerate(NAMES)}, []),
        ({f"sure {name}": [row[at] for row in SCORES] for at, name in enumerate(NAMES)}, ["--scores", "sure *"]),
        ({f"score_{at}": [row[at] for row in SCORES] for at in range(3)}, ["--classes", "cat,dog,ox"]),
    ],
)
def test_scores_stand_anywhere_and_make_the_guesses(tmp_path: Path, capsys, columns: Any, words: Any) -> None:
    said = taken(tmp_path, capsys, {"labels": TRUTHS, **columns}, *words)
    assert "no column has the guess: it is the labels with a score of at least 0.5" in said
    assert "classes = cat, dog, ox" in said
    assert "add up" not in said
    assert rows(tmp_path) == [
        (guess, sorted(truth), *scores) for guess, truth, scores in zip(GUESSES, TRUTHS, SCORES, strict=True)
    ]


def test_scores_that_nobody_names_are_said(tmp_path: Path, capsys) -> None:
    said = taken(tmp_path, capsys, {"labels": TRUTHS, "preds": GUESSES, "probs": SCORES})
    assert "scores = probs_0 … probs_2 (3), classes not told: --classes names those of the scores" in said


def test_guesses_that_are_there_stay(tmp_path: Path, capsys) -> None:
    """As with another threshold for each label."""
    taken(tmp_path, capsys, {"labels": TRUTHS, "preds": [["ox"], [], []], "probs": SCORES}, "--classes", "cat,dog,ox")
    assert rows(tmp_path, "guess, confidence, truth_score") == [
        (["ox"], None, None),
        ([], None, None),
        ([], None, None),
    ]


PLACES = [[1, 0], [0], []]
BITS = [[1.0, 1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 0.0]]
IN_COLUMNS = {f"prob_{name}": [row[at] for row in SCORES] for at, name in enumerate(NAMES)}
# Each cell names its classes, the least likely first, as a pipeline sorts them.
IN_CELLS = {"scores": [dict(sorted(zip(NAMES, row, strict=True), key=lambda each: each[1])) for row in SCORES]}
FROM_1 = {f"prob_{at + 1}": [row[at] for row in SCORES] for at in range(3)}
NUMBERED = {"scores": [{f"LABEL_{at}": row[at] for at in (2, 0, 1)} for row in SCORES]}


@pytest.mark.parametrize("labels", [PLACES, BITS])
@pytest.mark.parametrize(
    ("scores", "words"),
    [
        (IN_COLUMNS, []),
        (dict(reversed(IN_COLUMNS.items())), ["--classes", "cat,dog,ox"]),
        (IN_CELLS, ["--classes", "cat,dog,ox"]),
        (NUMBERED, ["--classes", "cat,dog,ox"]),
    ],
)
def test_truths_may_be_places_or_0_and_1(tmp_path: Path, capsys, labels: Any, scores: Any, words: Any) -> None:
    taken(tmp_path, capsys, {"labels": labels, **scores}, *words)
    assert rows(tmp_path) == [
        (guess, sorted(truth), *row) for guess, truth, row in zip(GUESSES, TRUTHS, SCORES, strict=True)
    ]


def test_without_names_labels_are_numbers(tmp_path: Path, capsys) -> None:
    taken(tmp_path, capsys, {"labels": [[1, 0], [0], []], "probs": SCORES})
    assert rows(tmp_path, "guess, truth, wrong") == [([0, 1], [0, 1], False), ([2], [0], True), ([], [], False)]


def test_numbered_columns_may_stand_in_any_order(tmp_path: Path, capsys) -> None:
    columns = {f"prob_{at}": [row[at] for row in SCORES] for at in (2, 0, 1)}
    taken(tmp_path, capsys, {"labels": [[1, 0], [0], []], **columns})
    found = rows(tmp_path)
    assert [row[:2] for row in found] == [([0, 1], [0, 1]), ([2], [0]), ([], [])]
    assert [list(row[2:]) for row in found] == SCORES


def test_the_classes_are_in_the_order_of_the_scores(tmp_path: Path, capsys) -> None:
    told = [dict(zip(NAMES[::-1], row[::-1], strict=True)) for row in SCORES]
    assert "classes = ox, dog, cat (as the scores are called)" in taken(
        tmp_path, capsys, {"labels": TRUTHS, "probs": told}
    )
    assert rows(tmp_path)[0] == (["cat", "dog"], ["cat", "dog"], 0.25, 0.5, 0.75)


def test_a_row_that_lacks_a_score_has_no_guess(tmp_path: Path, capsys) -> None:
    scores = [dict(zip(NAMES, SCORES[0], strict=True)), {"cat": 0.9}, {"cat": 0.1, "dog": None, "ox": 0.9}]
    said = taken(tmp_path, capsys, {"labels": TRUTHS, "scores": scores})
    assert "2 of 3 rows have no guess" in said
    assert "2 of 3 rows have a score that is NaN or NULL" in said
    assert [guess for (guess,) in rows(tmp_path, "guess")] == [["cat", "dog"], None, None]


def test_logits_stay_beside_guesses_and_make_none(tmp_path: Path, capsys) -> None:
    logits = {"logits": [[2.0, 0.5, -1.0], [-3.0, -1.0, 4.0], [-1.0, -1.0, -1.0]]}
    words = ["--classes", "cat,dog,ox"]
    assert "are not from 0 to 1; make chances of them" in refused(
        tmp_path, capsys, {"labels": TRUTHS, **logits}, *words
    )
    said = taken(tmp_path, capsys, {"labels": TRUTHS, "preds": GUESSES, **logits}, *words)
    assert "are no probabilities (logits?) and stay as they are" in said
    assert rows(tmp_path, "guess, score_0") == [(["cat", "dog"], 2.0), (["ox"], -3.0), ([], -1.0)]


@pytest.mark.parametrize(
    ("columns", "words", "message"),
    [
        (
            {"labels": TRUTHS, "probs": SCORES},
            [],
            "the 3 scores (probs_0, …) have no names; name their labels in their",
        ),
        ({"labels": TRUTHS, "probs": SCORES}, ["--classes", "cat,dog"], "3 scores in each cell, and --classes names 2"),
        ({"labels": TRUTHS, "probs": SCORES}, ["--softmax"], "--softmax makes the chances of one class a row"),
        ({"labels": TRUTHS, "probs": SCORES}, ["--no-scores"], "rows with several labels, of which there is no guess"),
        ({"labels": [[0, 1, 0], [1, 0, 0], [0, 0, 1]], "probs": SCORES}, [], "has one 1 in each cell, so one class a"),
        ({"labels": [[0, 1, 0], [1, 1, 0], [0, 0, 1]], "probs": SCORES}, [], "has 3 times 0 or 1 in each cell"),
        (
            {"labels": PLACES, **IN_CELLS},
            [],
            "'labels' has numbers, and the scores name their classes in another order",
        ),
        ({"labels": PLACES, **FROM_1}, [], "'labels' has numbers, and the scores name their classes in another order"),
        (
            {"labels": TRUTHS, **IN_CELLS},
            ["--classes", "cat,dog,elk"],
            "cannot be put in the order of the classes cat, dog, elk",
        ),
    ],
)
def test_what_cannot_be_is_refused_by_name(tmp_path: Path, capsys, columns: Any, words: Any, message: str) -> None:
    assert message in refused(tmp_path, capsys, columns, *words)


def test_scores_that_are_called_as_ours_are_scores(tmp_path: Path, capsys) -> None:
    """They need not add up to 1: each label has a chance of its own."""
    lists = {"id": ["a"], "truth": [["x", "y"]], "guess": [["x"]], "score_0": [0.75], "score_1": [0.5]}
    pq.write_table(pa.table(lists), tmp_path / "t.parquet")
    main(["import", f"{tmp_path}/t.parquet", "--run", "r", "--store", f"{tmp_path}/s", "--classes", "x,y"])
    assert "add up" not in capsys.readouterr().out
    found = rows(tmp_path, "guess, score_0, score_1, confidence, truth_score")
    assert found == [(["x"], 0.75, 0.5, None, None)]
