"""All predictions of a model in one line, as scikit-learn gives them."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import secondguess as sg
from secondguess.analysis.errors import AlreadyThere, BadInput

SCORES = np.array([[0.75, 0.25], [0.25, 0.75], [0.5, 0.5]])


def rows(store: Path, columns: str = "id, guess, truth, confidence", run: str = "rf") -> list[tuple[Any, ...]]:
    return sg.connect(store).sql(f"SELECT {columns} FROM {run} ORDER BY id").fetchall()


def test_what_an_estimator_says_is_recorded_in_one_line(tmp_path: Path) -> None:
    """Numbers from scikit-learn itself: the errors and the confidence of the guesses."""
    pytest.importorskip("sklearn")
    from sklearn.datasets import load_iris
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import accuracy_score

    X, y = load_iris(return_X_y=True)
    names = np.array(["setosa", "versicolor", "virginica"])[y]
    model = LogisticRegression(max_iter=1000).fit(X, names)
    told = sg.record(tmp_path, run="lr", truth=names, scores=model.predict_proba(X), classes=model.classes_)
    assert told == "lr"
    store = sg.connect(tmp_path)
    ((accuracy, rows),) = store.sql("SELECT avg((guess = truth)::INT), count(*) FROM lr").fetchall()
    assert (accuracy, rows) == (pytest.approx(accuracy_score(names, model.predict(X))), 150)
    ((sure,),) = store.sql("SELECT avg(confidence) FROM lr").fetchall()
    assert sure == pytest.approx(model.predict_proba(X).max(axis=1).mean())


def test_labels_that_are_numbers_are_the_classes_of_that_name_and_no_places(tmp_path: Path) -> None:
    sg.record(tmp_path, run="rf", truth=[3, 7, 7], scores=SCORES, classes=np.array([3, 7]), ids=["a", "b", "c"])
    assert rows(tmp_path) == [("a", "3", "3", 0.75), ("b", "7", "7", 0.75), ("c", "3", "7", 0.5)]


def test_labels_that_are_the_numbers_from_0_stay_numbers(tmp_path: Path) -> None:
    sg.record(
        tmp_path, run="rf", truth=np.array([0, 1, 1]), scores=SCORES, classes=np.array([0, 1]), ids=["a", "b", "c"]
    )
    assert rows(tmp_path) == [("a", 0, 0, 0.75), ("b", 1, 1, 0.75), ("c", 0, 1, 0.5)]


NAMES = ["cat", "dog", "hen"]
OF_THREE = np.array([[0.75, 0.25, 0.0], [0.25, 0.75, 0.0], [0.0, 0.25, 0.75]])


@pytest.mark.parametrize(
    ("truth", "how", "expected"),
    [
        (np.eye(3)[[0, 2, 1]], {}, ["cat", "hen", "dog"]),
        (np.eye(3, dtype=int).tolist(), {}, NAMES),
        (pd.get_dummies(pd.Series(["hen", "dog", "cat"]))[["hen", "cat", "dog"]], {}, ["hen", "dog", "cat"]),
        (pd.DataFrame({"y": NAMES}), {}, NAMES),
        (np.array(NAMES)[:, None], {}, NAMES),
        ([0, 2, 1], {}, ["cat", "hen", "dog"]),
        (pd.Series(["cat", pd.NA, "hen"], dtype="string"), {}, ["cat", None, "hen"]),
        (pd.Series([0, pd.NA, 2], dtype="Int64"), {}, ["cat", None, "hen"]),
        ([0, -1, 2], {"unlabelled": -1}, ["cat", None, "hen"]),
        (np.array([0, 2, 1], np.float32), {}, ["cat", "hen", "dog"]),
        ([0, 2, 1], {"classes": {"hen": 2, "dog": 1, "cat": 0}}, ["cat", "hen", "dog"]),
        (np.array([True, False, True]), {}, ["dog", "cat", "dog"]),
        (np.array([b"cat", b"dog", b"hen"]), {"classes": [b"cat", b"dog", b"hen"]}, NAMES),
    ],
    ids=[
        "one-hot",
        "lists",
        "dummies",
        "frame",
        "column",
        "places",
        "NA",
        "Int64",
        "unlabelled",
        "floats",
        "dict",
        "true",
        "bytes",
    ],
)
def test_truths_in_other_forms_are_those_classes(tmp_path: Path, truth: Any, how: Any, expected: Any) -> None:
    sg.record(tmp_path, run="rf", truth=truth, scores=OF_THREE, **{"classes": NAMES, **how})
    assert rows(tmp_path, "guess, truth") == list(zip(NAMES, expected, strict=True))


@pytest.mark.parametrize(
    ("scores", "classes"),
    [
        ({"b": [0.25, 0.75], "a": [0.75, 0.25]}, ["a", "b"]),
        ({1: [0.25, 0.75], 0: [0.75, 0.25]}, None),
        (pd.DataFrame({7: [0.25, 0.75], 3: [0.75, 0.25]}), [3, 7]),
    ],
    ids=["dict", "numbers", "frame"],
)
def test_scores_go_with_the_classes_that_they_are_called_as(tmp_path: Path, scores: Any, classes: Any) -> None:
    sg.record(tmp_path, run="rf", scores=scores, classes=classes)
    assert rows(tmp_path, "score_0, score_1") == [(0.75, 0.25), (0.25, 0.75)]


def test_other_tasks_have_their_word(tmp_path: Path) -> None:
    sg.record(tmp_path, run="rf", truth=[1.0, 2.0], guess=[1.0, 3.0], task="regression")
    assert rows(tmp_path, "guess, truth") == [(1.0, 1.0), (3.0, 2.0)]
    tags = np.array([[1, 0], [1, 1], [0, 0]])
    sg.record(tmp_path, run="tags", truth=tags, scores=SCORES, classes=["a", "b"], task="multi-label")
    assert rows(tmp_path, "truth", "tags") == [(["a"],), (["a", "b"],), ([],)]


def test_what_scikit_learn_says_of_several_labels_a_row_is_taken_as_it_is(tmp_path: Path) -> None:
    """Sparse truths, and from a forest a table of two columns for each label."""
    pytest.importorskip("sklearn")
    from sklearn.datasets import make_multilabel_classification
    from sklearn.ensemble import RandomForestClassifier

    X, y = make_multilabel_classification(40, n_classes=3, random_state=0, sparse=False, return_indicator="sparse")
    model = RandomForestClassifier(n_estimators=5, random_state=0).fit(X, y.toarray())
    how: dict[str, Any] = {"truth": y, "classes": NAMES, "task": "multi-label"}
    sg.record(tmp_path, run="rf", scores=model.predict_proba(X), **how)
    says, has = ([[NAMES[n] for n in np.flatnonzero(row)] for row in hot] for hot in (model.predict(X), y.toarray()))
    assert rows(tmp_path, "id, guess, truth") == sorted(zip(map(str, range(40)), says, has, strict=True))
    with pytest.raises(BadInput, match=r"those at 1 have shape \(40, 1\): of a label that all or none"):
        sg.record(tmp_path, run="one", scores=[model.predict_proba(X)[0], np.ones((40, 1))], **how)
    with pytest.raises(BadInput, match="of one that has several outputs record each with its own"):
        sg.record(tmp_path, run="one", scores=model.predict_proba(X), **{**how, "classes": model.classes_})


def test_scores_may_be_sparse(tmp_path: Path) -> None:
    sparse = pytest.importorskip("scipy.sparse")
    sg.record(tmp_path, run="rf", truth=[0, 1, 1], scores=sparse.csr_matrix(SCORES), ids=["a", "b", "c"])
    assert rows(tmp_path) == [("a", 0, 0, 0.75), ("b", 1, 1, 0.75), ("c", 0, 1, 0.5)]


def test_rows_go_by_the_index_of_whichever_has_one(tmp_path: Path) -> None:
    sg.record(tmp_path, run="rf", truth=[0, 1, 1], scores=pd.DataFrame(SCORES, index=["x", "y", "z"]))
    assert [name for (name,) in rows(tmp_path, "id")] == ["x", "y", "z"]


def test_booleans_are_classes_by_their_names(tmp_path: Path) -> None:
    sg.record(tmp_path, run="rf", truth=[False, True, None], scores=SCORES, classes=[False, True], ids=["a", "b", "c"])
    assert rows(tmp_path, "id, guess, truth") == [("a", "False", "False"), ("b", "True", "True"), ("c", "False", None)]


def test_ids_are_the_index_of_the_labels_or_the_rows_positions_which_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    sg.record(tmp_path, run="rf", truth=pd.Series([0, 1, 1], index=["x", "y", "z"]), scores=SCORES)
    assert [name for (name,) in rows(tmp_path, "id")] == ["x", "y", "z"]
    assert "positions" not in caplog.text
    for number, truth in enumerate(([0, 1, 1], pd.Series([0, 1, 1]))):
        sg.record(tmp_path, run=f"rf{number}", truth=truth, scores=SCORES)
        assert [name for (name,) in rows(tmp_path, "id", f"rf{number}")] == ["0", "1", "2"]
    assert caplog.text.count("ids are the rows' positions, as no ids are given") == 2


@pytest.mark.parametrize("part", [slice(100, 103), slice(None, 99, -1)], ids=["test", "reversed"])
def test_a_part_of_a_frame_keeps_its_places_in_the_whole(tmp_path: Path, part: slice) -> None:
    frame = pd.DataFrame({"y": [0, 1, 1] * 34 + [0]})[part]
    sg.record(tmp_path, run="rf", truth=frame["y"], guess=frame["y"].to_numpy())
    assert rows(tmp_path, "id, truth") == [("100", 1), ("101", 1), ("102", 0)]


def test_guesses_alone_and_columns_of_ones_own_are_recorded(tmp_path: Path) -> None:
    sg.record(tmp_path, run="rf", guess=["a", "b"], truth=["a", "a"], ids=["1", "2"], note=["x", "y"], config={"k": 1})
    assert rows(tmp_path, "id, guess, truth, note") == [("1", "a", "a", "x"), ("2", "b", "a", "y")]
    assert sg.connect(tmp_path).sql("SELECT config FROM runs").fetchall() == [('{"k": 1}',)]


def test_a_run_is_there_once_unless_it_is_overwritten(tmp_path: Path) -> None:
    how: dict[str, Any] = {"run": "rf", "guess": [0], "ids": ["a"]}
    sg.record(tmp_path, **how)
    with pytest.raises(AlreadyThere):
        sg.record(tmp_path, **how)
    sg.record(tmp_path, **{**how, "guess": [1]}, overwrite=True)
    assert rows(tmp_path, "guess") == [(1,)]


def test_what_was_refused_is_recorded_when_it_is_mended(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="score 3 in row 0 of the batch is not a probability"):
        sg.record(tmp_path, run="rf", truth=[0], scores=[[3.0, -1.0]], ids=["a"])
    sg.record(tmp_path, run="rf", truth=[0], scores=[[0.75, 0.25]], ids=["a"])
    assert rows(tmp_path) == [("a", 0, 0, 0.75)]


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({}, "neither truth nor guess nor scores"),
        ({"scores": SCORES, "truth": 5}, "truth is int; expected a value for each row"),
        ({"scores": SCORES, "truth": iter([1])}, "truth is list_iterator; expected a value for each row"),
        ({"scores": SCORES, "truth": {"a": 1}}, "truth is dict; expected a value for each row"),
        ({"scores": SCORES, "truth": np.eye(3)}, "truth has 3 columns; there are 2 classes"),
        ({"scores": SCORES, "truth": np.eye(3), "classes": ["a", "b"]}, "truth has 3 columns; there are 2 classes"),
        (
            {"scores": pd.DataFrame(SCORES, index=[*"abc"]), "truth": pd.Series([0, 1, 1], index=[*"cba"])},
            r"truth and scores have rows of other names or in another order, .* scores.loc\[truth.index\]",
        ),
        ({"scores": SCORES, "classes": "ab"}, "classes must be a list of labels"),
        ({"scores": SCORES, "classes": [[0], [1]]}, "classes must be a list of labels"),
        ({"scores": SCORES, "classes": ["a", "b", "c"]}, "scores have 2 columns; there are 3 classes"),
        ({"scores": SCORES, "classes": ["a", "b"], "truth": ["a", "b", "x"]}, "truth 'x' in row 2"),
    ],
)
def test_what_cannot_be_recorded_says_why(tmp_path: Path, how: dict[str, Any], message: str) -> None:
    with pytest.raises(BadInput, match=message):
        sg.record(tmp_path / "s", run="rf", **how)


def test_one_line_is_one_process_whatever_launched_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Under torchrun a process that says all at once waits for no other."""
    for name, value in {"RANK": "1", "WORLD_SIZE": "4", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "1"}.items():
        monkeypatch.setenv(name, value)
    sg.record(tmp_path, run="rf", truth=[0, 1, 1], scores=SCORES, ids=["a", "b", "c"])
    assert [row[0] for row in rows(tmp_path)] == ["a", "b", "c"]
