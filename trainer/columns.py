"""Columns as training loops have them (lists, NumPy arrays, tensors), turned into Arrow columns of one batch."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from analysis.errors import BadInput
from analysis.schema import RESERVED_COLUMNS, is_score, score_column

_LABEL_TYPES = {"int64", "double", "string", "null"}
_TOLERANCE = 1e-3  # half-precision softmax leaves [0, 1] by that much


def plain(values: Any) -> Any:
    """A tensor as a NumPy array on the CPU, anything else as it is; bfloat16 becomes float32."""
    if not hasattr(values, "detach"):
        return values
    values = values.detach().cpu()
    return (values.float() if str(values.dtype) == "torch.bfloat16" else values).numpy()


def texts(ids: Any) -> list[str]:
    """Ids as text; raises BadInput for one that is missing or a float."""
    found = []
    for row, name in enumerate(np.asarray(ids).tolist() if isinstance(ids, np.ndarray) else ids):
        name = plain(name)
        if name is None or isinstance(name, float) or (isinstance(name, np.ndarray) and name.dtype.kind == "f"):
            raise BadInput(f"id {name!r} in row {row} of the batch is not text or an integer")
        found.append(name.decode() if isinstance(name, bytes) else str(name))
    return found


def probabilities(scores: Any, classes: Sequence[str] | None) -> NDArray[np.float32]:
    """Scores as B x C float32; raises BadInput unless there is one column per class, each in [0, 1] or not finite."""
    found = np.asarray(plain(scores))
    if found.ndim != 2 or found.shape[1] == 0:
        raise BadInput(f"scores have shape {found.shape}; expected one row per example and one column per class")
    if classes is not None and found.shape[1] != len(classes):
        raise BadInput(f"scores have {found.shape[1]} columns; there are {len(classes)} classes")
    if found.dtype.kind not in "fiub":
        raise BadInput(f"scores are {found.dtype}; expected numbers")
    with np.errstate(invalid="ignore"):
        outside = np.isfinite(found) & ((found < -_TOLERANCE) | (found > 1 + _TOLERANCE))
    if outside.any():
        row, column = np.argwhere(outside)[0]
        raise BadInput(
            f"score {found[row, column]:.4g} in row {row} of the batch is not a probability; "
            "give softmax or sigmoid outputs, not logits"
        )
    return found.astype(np.float32)


def labels(values: Any, what: str, classes: Sequence[str] | None, count: int | None) -> pa.Array:
    """Guesses or truths as Arrow: dictionary text where classes have names, else int64, float64 or text as given.

    None is an unlabelled row. Integers are class numbers where there are classes or `count` score columns; raises
    BadInput for one outside them.
    """
    values = plain(values)
    try:
        found = pa.array(values if isinstance(values, np.ndarray) else [plain_item(item) for item in values])
        if pa.types.is_integer(found.type) or pa.types.is_boolean(found.type):
            found = found.cast(pa.int64())
        elif pa.types.is_floating(found.type):
            found = found.cast(pa.float64())
    except (pa.ArrowException, TypeError, OverflowError) as error:
        raise BadInput(f"{what} cannot be a column of numbers or names: {error}") from None
    if not _LABEL_TYPES & {str(found.type)}:
        raise BadInput(f"{what} is {found.type}; expected class numbers, names, or numbers")
    if pa.types.is_integer(found.type) and (classes is not None or count is not None):
        _inside(found, what, len(classes) if classes is not None else count or 0)
    return found if classes is None else _named(found, what, classes)


def plain_item(item: Any) -> Any:
    """One value out of a list: a tensor or NumPy scalar as Python's own, NaN as it is."""
    item = plain(item)
    return item.item() if isinstance(item, np.generic | np.ndarray) and np.ndim(item) == 0 else item


def _inside(found: pa.Array, what: str, count: int) -> None:
    outside = pc.or_(pc.less(found, 0), pc.greater_equal(found, count))
    if pc.any(outside).as_py():
        row = pc.index(outside, True).as_py()
        raise BadInput(
            f"{what} {found[row]} in row {row} of the batch is outside the {count} classes (0 to {count - 1})"
        )


def _named(found: pa.Array, what: str, classes: Sequence[str]) -> pa.Array:
    """Class numbers and names as dictionary text over `classes`."""
    if pa.types.is_floating(found.type):
        raise BadInput(f"{what} is a float; expected one of the {len(classes)} classes, by number or name")
    number = {name: index for index, name in enumerate(classes)}
    indices = found.to_pylist()
    if pa.types.is_string(found.type):
        for row, name in enumerate(indices):
            if name is not None and name not in number:
                raise BadInput(
                    f"{what} {name!r} in row {row} of the batch is not a class; classes: {', '.join(classes)}"
                )
        indices = [None if name is None else number[name] for name in indices]
    return pa.DictionaryArray.from_arrays(pa.array(indices, pa.int32()), pa.array(classes, pa.string()))


def scored(
    scores_BxC: NDArray[np.float32], guess: pa.Array | None, truth: pa.Array | None, classes: Sequence[str] | None
) -> dict[str, pa.Array]:
    """The columns that follow from the scores: guess (where none was given), confidence, truth_score, score_<i>.

    The guess is the class with the largest score, ties to the lowest. A row with a NaN score has no guess of its own
    and no confidence.
    """
    rows = np.arange(len(scores_BxC))
    broken: NDArray[np.bool_] = np.asarray(np.isnan(scores_BxC).any(axis=1))
    if guess is None:
        largest = np.where(broken, 0, np.nan_to_num(scores_BxC, nan=-1).argmax(axis=1))
        guess = pa.array(largest, pa.int64(), mask=broken)
        if classes is not None:
            guess = pa.DictionaryArray.from_arrays(guess.cast(pa.int32()), pa.array(classes, pa.string()))
    columns = {"guess": guess, "confidence": _picked(scores_BxC, rows, guess, broken)}
    if truth is not None:
        columns["truth_score"] = _picked(scores_BxC, rows, truth, np.zeros_like(broken))
    for index in range(scores_BxC.shape[1]):
        columns[score_column(index)] = pa.array(np.ascontiguousarray(scores_BxC[:, index]))
    return columns


def _picked(scores: NDArray[np.float32], rows: NDArray[Any], label: pa.Array, without: NDArray[np.bool_]) -> pa.Array:
    """Each row's score of its label's class; NULL without a label, where the score is NaN, and where told."""
    numbers = label.indices if pa.types.is_dictionary(label.type) else label
    if not pa.types.is_integer(numbers.type):
        return pa.nulls(len(rows), pa.float32())
    index = numbers.fill_null(0).to_numpy(zero_copy_only=False)
    picked = scores[rows, index]
    missing = numbers.is_null().to_numpy(zero_copy_only=False) | np.isnan(picked) | without
    return pa.array(picked, pa.float32(), mask=missing)


def extras(given: Mapping[str, Any], rows: int) -> dict[str, pa.Array]:
    """The user's own columns; raises BadInput for a reserved name, or one that differs from another only in case."""
    found: dict[str, pa.Array] = {}
    seen: set[str] = set()
    for name, values in given.items():
        folded = name.casefold()
        if folded in RESERVED_COLUMNS or is_score(folded) or not name.strip() or folded in seen:
            raise BadInput(f"column {name!r} cannot be added: the name is reserved, empty, or there twice; rename it")
        seen.add(folded)
        values = plain(values)
        try:
            found[name] = pa.array(values.tolist() if isinstance(values, np.ndarray) and values.ndim > 1 else values)
        except (pa.ArrowException, TypeError) as error:
            raise BadInput(f"column {name!r} cannot be stored: {error}") from None
        if len(found[name]) != rows:
            raise BadInput(f"column {name!r} has {len(found[name])} values; the batch has {rows} rows")
    return found
