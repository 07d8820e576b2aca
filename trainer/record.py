"""All predictions of a model at once, as scikit-learn has them: `record("predictions", run="rf", truth=y, …)`."""

import logging
import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from secondguess.analysis.errors import BadInput
from secondguess.analysis.schema import DEFAULT_TABLE
from secondguess.trainer.recorder import Recorder
from secondguess.trainer.recording.columns import plain

_log = logging.getLogger("secondguess")

_ALONE: Mapping[str, Any] = {"rank": 0, "world_size": 1}  # all rows are here, whichever processes there are besides


def record(
    store: str | os.PathLike[str],
    *,
    run: str,
    truth: Any = None,
    guess: Any = None,
    scores: Any = None,
    ids: Any = None,
    classes: Any = None,
    table: str = DEFAULT_TABLE,
    config: object = None,
    overwrite: bool = False,
    **columns: Any,
) -> str:
    """Record a finished run of one epoch; returns its name.

    scores are what `predict_proba` returns, N x C, and classes the estimator's `classes_`: the labels, in the order of
    the columns. ids are, left out, the labels of truth's pandas index if it has other ones than positions, else the
    positions of the rows, which is said: they name the examples of one order of one data set only. images, content,
    confidence and columns of one's own are as in `TableRecorder.add`. Raises as that does, and AlreadyThere where the
    run exists and is not to be overwritten.
    """
    names = _class_names(classes)
    known = set(names or ())
    labels: dict[str, Any] = {
        name: _labels(values, known) if known and values is not None else values
        for name, values in (("truth", truth), ("guess", guess))
    }
    first = next((values for values in (truth, guess, scores) if values is not None), None)
    if first is None:
        raise BadInput("neither truth nor guess nor scores: nothing to record; give scores=model.predict_proba(X)")
    if ids is None and not {"images", "content"} & columns.keys():
        ids = _index(first)
        if ids is None:
            ids = [str(row) for row in range(len(first))]
            _log.warning(
                "run %s: ids are the rows' positions, as no ids are given; compare it with runs of the same rows", run
            )
    with Recorder(store, run=run, config=config, classes=names, overwrite=overwrite, **_ALONE) as recorder:
        with recorder.table(table, epoch=1) as rows:
            rows.add(ids=ids, scores=scores, **labels, **columns)
        return recorder.run


def _class_names(classes: Any) -> list[str] | None:
    """The labels as names; None where there are none, and where they are the numbers from 0 that they stand for."""
    if classes is None:
        return None
    labels = np.asarray(plain(classes)).tolist() if not isinstance(classes, str) else None
    if not isinstance(labels, list) or any(isinstance(label, list) for label in labels):
        raise BadInput("classes must be a list of labels, as an estimator's classes_")
    numbers = labels == list(range(len(labels))) and not any(isinstance(label, bool) for label in labels)
    return None if numbers else [_text(label) for label in labels]


def _labels(values: Any, known: set[str]) -> list[str | None]:
    """Labels by the names of their classes: the number 3 is the class that is called 3, and no place among them."""
    items = values.tolist() if hasattr(values := plain(values), "tolist") else list(values)
    return [None if item is None or item != item else _text(item) for item in items]


def _text(label: Any) -> str:
    return str(int(label)) if isinstance(label, float) and label.is_integer() else str(label)


def _index(values: Any) -> Sequence[Any] | None:
    """The labels of a pandas index that says more than positions do."""
    index = getattr(values, "index", None)
    if index is None or callable(index) or type(index).__name__ == "RangeIndex":
        return None
    return [item if isinstance(item, str) else str(item) for item in index.tolist()]
