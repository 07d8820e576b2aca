"""Rows with any number of labels each, as lists or as arrays of 0 and 1, turned into Arrow columns of lists."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from secondguess.analysis.errors import BadInput
from secondguess.analysis.schema import LABEL_FROM, score_column
from secondguess.trainer.recording.columns import by_class, plain, plain_item, probabilities
from secondguess.trainer.recording.content import same_length


def labels(truth: Any, guess: Any, scores: Any, classes: Sequence[str] | None, confidence: Any) -> dict[str, pa.Array]:
    """The columns of a multi-label batch: guess, truth and score_<i>, none of which need add up to 1.

    guess and truth are lists of B lists, of class names or numbers, None where unlabelled, or arrays B x C of 0 and 1.
    Stored, each is sorted and has a label once. Without a guess it is the classes with a score of at least 0.5; a row
    with a NaN score has no guess of its own. Raises BadInput.
    """
    if confidence is not None:
        raise BadInput("confidence is of one guess a row; of several labels each has its score: give scores")
    scores_BxC = probabilities(scores, classes, several=True) if scores is not None else None
    count = scores_BxC.shape[1] if scores_BxC is not None else len(classes) if classes is not None else None
    columns: dict[str, pa.Array] = {}
    if guess is not None:
        columns["guess"] = _lists(guess, "guess", classes, count)
    elif scores_BxC is not None:
        columns["guess"] = _guessed(scores_BxC, classes)
    else:
        raise BadInput("neither scores nor guess: a prediction table needs what the model said")
    if truth is not None:
        columns["truth"] = _lists(truth, "truth", classes, count)
        same_length(len(columns["guess"]), truth=columns["truth"])
    if scores_BxC is not None:
        same_length(len(scores_BxC), **columns)
        for index in range(scores_BxC.shape[1]):
            columns[score_column(index)] = pa.array(np.ascontiguousarray(scores_BxC[:, index]))
    return columns


def _guessed(scores_BxC: NDArray[np.float32], classes: Sequence[str] | None) -> pa.Array:
    broken = [bool(np.isnan(row).any()) for row in scores_BxC]
    lists = [
        None if no else np.flatnonzero(row >= LABEL_FROM).tolist() for row, no in zip(scores_BxC, broken, strict=True)
    ]
    return _column(lists, "guess", classes, scores_BxC.shape[1])


def _lists(values: Any, what: str, classes: Sequence[str] | None, count: int | None) -> pa.Array:
    values = by_class(values, classes)
    if isinstance(values, np.ndarray) and values.ndim == 2 and values.dtype.kind in "biuf":
        if count is not None and values.shape[1] != count:
            raise BadInput(f"{what} has {values.shape[1]} columns; there are {count} classes")
        if not np.isin(values, (0, 1)).all():
            raise BadInput(
                f"{what} is an array with other values than 0 and 1; give those, or a list of lists of labels"
            )
        return _column([np.flatnonzero(row).tolist() for row in values], what, classes, values.shape[1])
    if isinstance(values, str) or not hasattr(values, "__iter__"):
        raise BadInput(
            f"{what} is {type(values).__name__}; expected a list of labels for each row, or an array of 0 and 1"
        )
    rows = [_of_row(row, what, at) for at, row in enumerate(values)]
    if [1, 0] in rows and count in (None, 2) and all(row in ([1, 0], [0, 1]) for row in rows):
        raise BadInput(
            f"{what} has rows such as [1, 0], which may be the numbers of two classes or 0 and 1 for each class: give "
            "those as an array, np.array(rows), and class numbers in order, [0, 1]"
        )
    return _column(rows, what, classes, count)


def _of_row(row: Any, what: str, at: int) -> list[Any] | None:
    row = plain(row)
    if row is None or (isinstance(row, float) and row != row):
        return None
    if isinstance(row, str | bytes) or not hasattr(row, "__iter__"):
        raise BadInput(f"{what} in row {at} of the batch is {row!r}, not a list of labels; [] is none of them")
    return [plain_item(label) for label in row]


def _column(
    lists: Sequence[Sequence[Any] | None], what: str, classes: Sequence[str] | None, count: int | None
) -> pa.Array:
    """The lists, each sorted; raises BadInput for a label that is no class, and for one that a row has twice."""
    rows = [
        None if row is None else [_label(label, what, at, classes, count) for label in row]
        for at, row in enumerate(lists)
    ]
    for at, row in enumerate(rows):
        if row is not None and len(set(row)) < len(row):
            twice = next(label for label in row if row.count(label) > 1)
            raise BadInput(
                f"{what} has {twice!r} twice in row {at} of the batch; rows of 0 and 1 for each class are given as an "
                "array: np.array(rows)"
            )
    kinds = {type(label) for row in rows if row is not None for label in row}
    if len(kinds) > 1:
        raise BadInput(f"{what} has names and numbers as labels; give one of them, or the Recorder the classes' names")
    named = classes is not None or kinds == {str}
    known = (
        pa.list_(pa.string() if named else pa.int64()) if kinds or named or count is not None else pa.list_(pa.null())
    )
    return pa.array([None if row is None else sorted(row) for row in rows], known)


def _label(label: Any, what: str, at: int, classes: Sequence[str] | None, count: int | None) -> str | int:
    if isinstance(label, str):
        if classes is not None and label not in classes:
            raise BadInput(f"{what} {label!r} in row {at} of the batch is not a class; classes: {', '.join(classes)}")
        if classes is None and count is not None:
            raise BadInput(f"{what} has names, but the classes of the scores are the numbers 0 to {count - 1}")
        return label
    if isinstance(label, bool) or not isinstance(label, int):
        raise BadInput(f"{what} has {label!r} in row {at} of the batch, which is neither a class's name nor its number")
    if count is not None and not 0 <= label < count:
        raise BadInput(f"{what} {label} in row {at} of the batch is outside the {count} classes (0 to {count - 1})")
    return label if classes is None else classes[label]
