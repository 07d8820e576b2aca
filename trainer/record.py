"""All predictions of a model at once, as scikit-learn has them: `record("predictions", run="rf", truth=y, …)`."""

import logging
import os
import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np

from secondguess.analysis.errors import BadInput
from secondguess.analysis.schema import DEFAULT_TABLE, Task
from secondguess.trainer.recorder import Recorder
from secondguess.trainer.recording.columns import by_class, class_names, one_each, plain, plain_item

_log = logging.getLogger("secondguess")

_NUMBER = re.compile(r"-?\d+(\.\d+)?")  # as the name of a class

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
    task: Task | None = None,
    unlabelled: object = (),
    **columns: Any,
) -> str:
    """Record a finished run of one epoch; returns its name.

    scores are what `predict_proba` returns, N x C, or a dict of them by class, and classes the estimator's `classes_`:
    the labels, in the order of the columns. Of several labels a row scores may be a list of N x 2, one for each label.
    ids are, left out, the labels of a pandas index if it has other ones than positions, else the positions of the rows,
    which is said: they name the examples of one order of one data set only. images, content, confidence and columns of
    one's own are as in `TableRecorder.add`, task and unlabelled as in `Recorder.table`. Raises as those do, and
    AlreadyThere where the run exists and is not to be overwritten.
    """
    names = _class_names(classes)
    scores = _of_outputs(scores) if task == "multi-label" else scores
    given = {"truth": truth, "guess": guess, "scores": by_class(scores, names) if scores is not None else None}
    sizes = {what: _size(values, what) for what, values in given.items() if values is not None}
    if not sizes:
        raise BadInput("neither truth nor guess nor scores: nothing to record; give scores=model.predict_proba(X)")
    index = _index({"truth": truth, "guess": guess, "scores": scores})
    if ids is None and not {"images", "content"} & columns.keys():
        ids = index
        if ids is None:
            ids = [str(row) for row in range(next(iter(sizes.values())))]
            _log.warning(
                "run %s: ids are the rows' positions, as no ids are given; compare it with runs of the same rows", run
            )
    if names is not None and task is None:
        none = unlabelled if isinstance(unlabelled, list | tuple | set | frozenset) else (unlabelled,)
        given |= {what: _labels(given[what], what, names, none) for what in ("truth", "guess") if what in sizes}
    with Recorder(store, run=run, config=config, classes=names, overwrite=overwrite, **_ALONE) as recorder:
        with recorder.table(table, epoch=1, task=task, unlabelled=unlabelled) as rows:
            rows.add(ids=ids, **given, **columns)
        return recorder.run


def _class_names(classes: Any) -> list[str] | None:
    """The labels as names; None where there are none, and where they are the numbers from 0 that they stand for."""
    if classes is None or isinstance(classes, Mapping):
        return class_names(classes)
    labels = np.asarray(plain(classes)).tolist() if not isinstance(classes, str) else None
    if not isinstance(labels, list) or any(isinstance(label, list) for label in labels):
        raise BadInput(
            "classes must be a list of labels, as an estimator's classes_; of one that has several outputs record each "
            "with its own, or with task='multi-label' the names of the labels"
        )
    numbers = labels == list(range(len(labels))) and not any(isinstance(label, bool) for label in labels)
    return None if numbers else [_text(label) for label in labels]


def _labels(values: Any, what: str, names: Sequence[str], unlabelled: Collection[object]) -> list[str | None]:
    """Labels by the names of their classes: the number 3 is the class that is called 3, else it is a place among them.

    One-hot rows are of the class whose column has the 1. None and what is in unlabelled is no label.
    """
    table = by_class(values, names)
    own = one_each(table, what, len(names))
    items = own.tolist() if hasattr(own, "tolist") else [plain_item(item) for item in own]
    if own is not table and np.shape(table)[1] > 1:
        return [names[number] for number in items]
    items = [None if _is_missing(item) or item in unlabelled else item for item in items]
    there = [item for item in items if item is not None]
    are_names = any(_NUMBER.fullmatch(name) or name in {"True", "False"} for name in names)
    if there and not are_names and all(map(_is_place, there)):
        return items  # which the Recorder takes for the places of classes
    return [None if item is None else _text(item) for item in items]


def _is_place(label: Any) -> bool:
    """Whether it may be the number of a class: also as boosted trees say it, in floats, or true for the second."""
    return isinstance(label, int) or (isinstance(label, float) and label.is_integer())


def _is_missing(item: Any) -> bool:
    return item is None or type(item).__name__ == "NAType" or item != item  # pandas' NA is not even itself


def _text(label: Any) -> str:
    if isinstance(label, bytes):
        return label.decode(errors="surrogateescape")  # which is refused where it is no Unicode
    return str(int(label)) if isinstance(label, float) and label.is_integer() else str(label)


def _size(values: Any, what: str) -> int:
    is_scalar = isinstance(values, str | bytes | Mapping) or not hasattr(values, "__len__")
    if is_scalar or getattr(values, "shape", (1,)) == ():
        raise BadInput(f"{what} is {type(values).__name__}; expected a value for each row, as a list or an array")
    return int(values.shape[0]) if hasattr(values, "shape") else len(values)


def _of_outputs(scores: Any) -> Any:
    """N x L, of what forests and the like say of L labels: a list of N x 2, whose second column is that it is there."""
    if not isinstance(scores, list) or any(np.ndim(of_label) != 2 for of_label in scores):
        return scores
    tables = [np.asarray(of_label) for of_label in scores]
    if odd := [at for at, table in enumerate(tables) if table.shape[1] != 2]:
        raise BadInput(
            f"scores are a list of N x 2, but those at {odd[0]} have shape {tables[odd[0]].shape}: of a label that all "
            "or none of the training's rows have, give both columns"
        )
    return np.column_stack([table[:, 1] for table in tables])


def _is_counted(index: Any) -> bool:
    """Whether an index is the one that rows without names have: a part of such rows keeps its places in the whole."""
    return type(index).__name__ == "RangeIndex" and (index.start, index.step) == (0, 1)


def _index(given: Mapping[str, Any]) -> Sequence[Any] | None:
    """The labels of the first pandas index that says more than positions do; raises BadInput where others differ."""
    known: dict[str, list[Any]] = {}
    for what, values in given.items():
        index = getattr(values, "index", None)
        if index is not None and not callable(index) and not _is_counted(index):
            known[what] = index.tolist()
    for what, labels in known.items():
        first = next(iter(known))
        if labels != known[first]:
            raise BadInput(
                f"{first} and {what} have rows of other names or in another order, by their index; put both in one "
                f"order, {what}.loc[{first}.index], or leave the names out: {what}.to_numpy()"
            )
    return [item if isinstance(item, str) else str(item) for item in next(iter(known.values()))] if known else None
