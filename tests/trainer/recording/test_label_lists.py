"""Several labels a row and numbers, as training loops have them: what they become, and what is refused."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from needs_torch import NEEDS_TORCH

import secondguess as sg
from secondguess.analysis.errors import BadInput
from secondguess.analysis.store.runs import list_runs
from secondguess.trainer.recording.label_lists import labels

NAMES = ["cat", "dog", "fish"]
HOT = [[1, 0, 1], [0, 0, 0]]


def sparse() -> Any:
    return pytest.importorskip("scipy.sparse").csr_matrix(np.array(HOT))


def tensor() -> Any:
    return pytest.importorskip("torch", reason=NEEDS_TORCH).tensor(HOT)


@pytest.mark.parametrize(
    ("truth", "classes", "expected"),
    [
        ([["fish", "cat"], []], NAMES, [["cat", "fish"], []]),
        ([[2, 0], None], NAMES, [["cat", "fish"], None]),
        ([{"fish", "cat"}, ()], None, [["cat", "fish"], []]),
        ([np.array([2, 0]), []], None, [[0, 2], []]),
        (np.array(HOT), NAMES, [["cat", "fish"], []]),
        (np.array(HOT, bool), None, [[0, 2], []]),
        (np.array(HOT, np.float32), NAMES, [["cat", "fish"], []]),
        (sparse, NAMES, [["cat", "fish"], []]),
        (tensor, None, [[0, 2], []]),
        (pa.array([["b"], None]), None, [["b"], None]),
    ],
)
def test_labels_come_as_sorted_lists(truth: Any, classes: Any, expected: Any) -> None:
    made = labels(truth() if callable(truth) else truth, [[], []], None, classes, None)
    assert made["truth"].to_pylist() == expected


def test_a_guess_is_the_classes_with_a_score_of_a_half_or_more() -> None:
    scores = np.array([[0.5, 0.49, 0.9], [0.1, 0.2, 0.3], [np.nan, 0.9, 0.9]])
    made = labels(None, None, scores, NAMES, None)
    assert made["guess"].to_pylist() == [["cat", "fish"], [], None]
    assert made["score_2"].to_pylist() == pytest.approx([0.9, 0.3, 0.9])
    assert set(made) == {"guess", "score_0", "score_1", "score_2"}


@pytest.mark.parametrize("scores", [[0.75, 0.25], [[0.75], [0.25]]])
def test_one_score_a_row_is_that_of_the_only_label(scores: Any) -> None:
    """Where a row has one class it is that of the second of two, whose first is then what the second is not."""
    made = labels(np.array([[1], [0]]), None, np.array(scores), None, None)
    assert (made["guess"].to_pylist(), made["truth"].to_pylist()) == ([[0], []], [[0], []])
    assert made["score_0"].to_pylist() == [0.75, 0.25] and "score_1" not in made
    with pytest.raises(BadInput, match="scores have 1 columns; there are 2 classes"):
        labels(None, None, np.array(scores), ["cat", "dog"], None)


@pytest.mark.parametrize("classes", [None, ["cat", "dog"]])
def test_rows_of_0_and_1_for_each_of_two_classes_are_not_taken_for_their_numbers(classes: Any) -> None:
    with pytest.raises(
        BadInput, match=r"truth has rows such as \[1, 0\], which may be the numbers of two classes or 0 and"
    ):
        labels([[0, 1], [1, 0]], [[], []], None, classes, None)
    both = labels([[0, 1], [1]], [[], []], None, classes, None)["truth"].to_pylist()
    assert both == ([[0, 1], [1]] if classes is None else [["cat", "dog"], ["dog"]])


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"truth": [["bird"]], "guess": [[]]}, "truth 'bird' in row 0 of the batch is not a class; classes: cat, dog"),
        ({"truth": [[3]], "guess": [[]]}, r"truth 3 in row 0 of the batch is outside the 3 classes \(0 to 2\)"),
        ({"truth": [[1, 0, 1]], "guess": [[]]}, "truth has 'dog' twice in row 0 of the batch; rows of 0 and 1"),
        ({"truth": [["cat"], [0.5]], "guess": [[], []]}, "truth has 0.5 in row 1 of the batch, which is neither"),
        ({"truth": ["cat"], "guess": [[]]}, "truth in row 0 of the batch is 'cat', not a list of labels"),
        ({"truth": np.array([[1, 2, 0]]), "guess": [[]]}, "truth is an array with other values than 0 and 1"),
        ({"truth": np.array([[1, 0]]), "guess": [[]]}, "truth has 2 columns; there are 3 classes"),
        ({"truth": [[], []], "guess": [[]]}, "truth has 2 values; the batch has 1 rows"),
        ({"truth": 3, "guess": [[]]}, "truth is int; expected a list of labels for each row"),
        ({"truth": [[]]}, "neither scores nor guess"),
        ({"guess": [[]], "confidence": [0.5]}, "confidence is of one guess a row"),
        ({"scores": [[2.0, 0.0, 0.0]]}, "score 2 in row 0 of the batch is not a probability"),
    ],
)
def test_what_are_no_lists_of_labels_is_refused(given: dict[str, Any], message: str) -> None:
    whole = {"truth": None, "guess": None, "scores": None, "confidence": None, **given}
    with pytest.raises(BadInput, match=message):
        labels(classes=NAMES, **whole)


def test_names_and_numbers_do_not_mix_without_classes() -> None:
    with pytest.raises(BadInput, match="truth has names and numbers as labels"):
        labels([["a"], [1]], [[], []], None, None, None)
    with pytest.raises(BadInput, match="truth has names, but the classes of the scores are the numbers 0 to 1"):
        labels([["a"]], None, [[0.5, 0.5]], None, None)


def test_lists_that_are_empty_for_an_epoch_are_of_what_the_others_are(tmp_path: Path) -> None:
    with sg.Recorder(tmp_path, run="r") as recorder:
        for epoch, guess in ((1, [[], []]), (2, [["x"], []])):
            with recorder.table("t", epoch=epoch, task="multi-label") as table:
                table.add(ids=["a"], truth=[["x"]], guess=guess[:1])
                table.add(ids=["b"], truth=[[]], guess=guess[1:])
    found = sg.connect(tmp_path).sql("SELECT epoch, id, guess, typeof(guess) FROM t ORDER BY ALL").fetchall()
    assert found == [
        *((1, "a", [], "VARCHAR[]"), (1, "b", [], "VARCHAR[]")),
        *((2, "a", ["x"], "VARCHAR[]"), (2, "b", [], "VARCHAR[]")),
    ]


def test_numbers_with_fractions_are_a_regression_and_whole_ones_are_classes(tmp_path: Path) -> None:
    """As scikit-learn's type_of_target has it: [1.0, 2.0] is multiclass, [1.5, 2.0] continuous."""
    with sg.Recorder(tmp_path, run="r") as recorder:
        for name, truth in (("whole", [1.0, np.nan]), ("real", [1, 2.5])):
            with recorder.table(name, epoch=1) as table:
                table.add(ids=["a"], truth=truth[:1], guess=np.array([1.0]))
                table.add(ids=["b"], truth=truth[1:], guess=np.array([2.0]))
    tables = {name: entry[max(entry)] for name, entry in list_runs(tmp_path)["r"].tables.items()}
    assert {name: (each.task, each.errors, each.unlabelled) for name, each in tables.items()} == {
        "whole": ("classification", 0, 1),
        "real": ("regression", None, 0),
    }
    assert dict(tables["real"].columns)["guess"] == "double"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"scores": [[0.5, 0.5]], "truth": [0]}, "task='regression' has numbers as guesses, without scores"),
        ({"guess": ["a"], "truth": ["b"]}, "guess is text, which task='regression' has no use for"),
    ],
)
def test_a_regression_is_of_numbers(tmp_path: Path, given: dict[str, Any], message: str) -> None:
    with sg.Recorder(tmp_path, run="r") as recorder:
        with pytest.raises(BadInput, match=message), recorder.table("t", epoch=1, task="regression") as table:
            table.add(ids=["a"], **given)
        with recorder.table("t", epoch=1, task="regression") as table:
            table.add(ids=["a"], truth=[1], guess=[2])
    (epoch,) = list_runs(tmp_path)["r"].tables["t"].values()
    assert epoch.task == "regression"


def test_a_task_that_there_is_not_is_refused(tmp_path: Path) -> None:
    with sg.Recorder(tmp_path, run="r") as recorder, pytest.raises(BadInput, match="task is 'ranking'; it is one of:"):
        recorder.table("t", epoch=1, task="ranking")  # type: ignore[arg-type]
