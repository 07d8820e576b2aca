"""Columns as training loops have them (lists, NumPy arrays, tensors), turned into Arrow columns of one batch."""

from collections.abc import Collection, Mapping, Sequence
from functools import cache
from pathlib import PurePath
from typing import Any
from uuid import UUID

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from secondguess.analysis.errors import BadInput, listing
from secondguess.analysis.schema import RESERVED_COLUMNS, folded, is_score, score_column, task_of
from secondguess.analysis.score_names import labels_of, order_of

_LABEL_TYPES = {"int64", "double", "string", "null"}
_ONE_CLASS = 'rows with any number of labels are a table of their own kind: say task="multi-label"'
_PLAIN = (int, str, float, bool, type(None))  # of which there may be a million in a list
_TOLERANCE = 1e-3  # half-precision softmax leaves [0, 1] by that much


def plain(values: Any) -> Any:
    """A tensor of any framework as a NumPy array on the CPU, an Arrow column as a list, anything else as it is.

    bfloat16 becomes float32; a data frame is the array of its cells, and so is a sparse matrix.
    """
    if hasattr(values, "toarray"):
        return values.toarray()
    if isinstance(values, pa.Array | pa.ChunkedArray):
        return values.to_pylist()
    if hasattr(values, "to_numpy") and hasattr(values, "columns"):
        return values.to_numpy()
    if isinstance(values, list | tuple) and values and hasattr(values[0], "detach"):
        return [plain(value) for value in values]
    if not hasattr(values, "detach"):
        return _of_framework(values)
    values = values.detach().cpu()
    return (values.float() if str(values.dtype) == "torch.bfloat16" else values).numpy()


def _of_framework(values: Any) -> Any:
    """An array of JAX, TensorFlow and the like as NumPy's; what has rows or names of its own stays as it is."""
    if isinstance(values, np.ndarray | np.generic) or hasattr(values, "to_numpy"):
        return values
    if not all(hasattr(values, name) for name in ("__array__", "dtype", "shape")):
        return values
    array = np.asarray(values)
    return array.astype(np.float32) if array.dtype.name == "bfloat16" else array


def by_class(values: Any, classes: Sequence[str] | None) -> Any:
    """The values as `plain` has them; the columns of a data frame or dict in the order of the classes they are called.

    Raises BadInput where only some are called as classes are, and for a dict that names other ones than there are.
    """
    if isinstance(values, Mapping):
        return _of_dict(values, classes)
    own = plain(values)
    named = values.column_names if isinstance(values, pa.Table) else getattr(values, "columns", None)
    known = list(named) if named is not None else []
    if classes is None or len(known) != len(classes) or known == list(range(len(known))):
        return own
    if not all(isinstance(name, str) for name in known):
        known = list(map(str, known))
        if sorted(known) != sorted(classes):
            return own
    return np.asarray(own)[:, order_of(labels_of(known, set(classes)), classes)]


def _of_dict(values: Mapping[Any, Any], classes: Sequence[str] | None) -> NDArray[Any]:
    """A column for each class, of a dict that has one under its name or, where there are no names, under its number."""
    names = list(map(str, values))
    wanted = list(map(str, range(len(names)))) if classes is None else classes
    if sorted(names) != sorted(wanted):
        raise BadInput(
            f"a dict has values of {listing(names, 4)}, but the classes are {listing(wanted, 4)}; give it each as a key"
        )
    by_name = dict(zip(names, values.values(), strict=True))
    try:
        return np.column_stack([plain(by_name[name]) for name in wanted])
    except ValueError as error:
        raise BadInput(f"a dict has values of unlike lengths: {error}") from None


def class_names(classes: Any) -> list[str] | None:
    """The names of the classes in their order, out of a list or column of them, or a dict from or to their numbers.

    Raises BadInput for what has no order, as a set, for what are no names, and for a name that is there twice.
    """
    if classes is None:
        return None
    names = _numbered(classes) if isinstance(classes, Mapping) else plain(classes)
    if isinstance(names, str | bytes | set | frozenset) or not hasattr(names, "__iter__"):
        raise BadInput(f"classes must be a list of names, in the order of the scores, not {type(classes).__name__}")
    names = [plain_item(name) for name in names]
    if not all(isinstance(name, str) for name in names):
        raise BadInput("classes must be a list of names; numbers as names are texts, as str(number) has them")
    if not names or len(set(names)) != len(names):
        raise BadInput("classes must be at least one name, each of them once")
    try:
        "".join(names).encode()
    except UnicodeEncodeError:
        raise BadInput("classes are not valid Unicode text") from None
    return names


def _numbered(classes: Mapping[Any, Any]) -> list[Any]:
    """The names out of a dict like id2label, from the numbers 0, 1, …, or like class_to_idx, to them."""
    by_number = classes if 0 in classes else {number: name for name, number in classes.items()}
    if sorted(by_number, key=str) != sorted(range(len(classes)), key=str):
        raise BadInput("classes as a dict go from the numbers 0, 1, … to names, or from names to these numbers")
    return [by_number[number] for number in range(len(by_number))]


def texts(ids: Any) -> list[str]:
    """Ids as text; raises BadInput for one that is neither text nor an integer."""
    if isinstance(ids, str | bytes):
        raise BadInput(f"ids are the text {ids!r}; expected one id per row")
    names = list(ids) if isinstance(ids, list | tuple) and set(map(type, ids)) == {str} else list(map(_text, ids))
    try:
        "".join(names).encode()
    except UnicodeEncodeError as error:
        raise BadInput(f"ids are not valid Unicode text: {error.object[error.start - 20 : error.end]!r}") from None
    return names


def _text(name: Any) -> str:
    name = plain_item(name)
    if isinstance(name, bytes):
        return name.decode(errors="surrogateescape")  # which is refused with the rest that is no Unicode
    if isinstance(name, str | int | UUID | PurePath) and not isinstance(name, bool):
        return str(name)
    raise BadInput(f"id {name!r} is neither text nor an integer nor a path; give str(id)")


def probabilities(scores: Any, classes: Sequence[str] | None, *, several: bool = False) -> NDArray[np.float32]:
    """Scores as B x C float32; raises BadInput unless there is one column per class, each in [0, 1] or not finite.

    One number per row, of shape B or B x 1, is the probability of the second of two classes, but where a row may have
    several labels (several) that of the only one. A data frame's columns go with the classes that they are called as,
    in any order.
    """
    try:
        scores_BxC = np.asarray(by_class(scores, classes))
        if scores_BxC.dtype == object and scores_BxC.ndim == 1:  # a column of lists, as data frames have it
            scores_BxC = np.asarray([plain(row) for row in scores_BxC])
    except ValueError as error:  # rows of unlike length
        raise BadInput(f"scores are no table of numbers: {error}") from None
    if scores_BxC.ndim == 1 or (scores_BxC.ndim == 2 and scores_BxC.shape[1] == 1):
        scores_BxC = scores_BxC.reshape(-1, 1)
        if not several and (classes is None or len(classes) != 1):
            return _of_two(_in_range(scores_BxC), classes)
    if scores_BxC.ndim != 2 or scores_BxC.shape[1] == 0:
        raise BadInput(f"scores have shape {scores_BxC.shape}; expected one row per example and one column per class")
    if classes is not None and scores_BxC.shape[1] != len(classes):
        raise BadInput(
            f"scores have {scores_BxC.shape[1]} columns; there are {len(classes)} classes ({listing(classes, 4)}): "
            "classes= names one for each column, in their order"
        )
    return _in_range(scores_BxC)


def _of_two(second_Bx1: NDArray[np.float32], classes: Sequence[str] | None) -> NDArray[np.float32]:
    """The scores of two classes, by that of the second: what one sigmoid output says."""
    if classes is not None and len(classes) != 2:
        raise BadInput(
            f"scores have one number per row, the probability of the second of two classes, but there are "
            f"{len(classes)} classes; give one column per class"
        )
    return np.concatenate([1 - second_Bx1, second_Bx1], axis=1)


def _in_range(scores_BxC: NDArray[Any]) -> NDArray[np.float32]:
    """The scores as float32; raises BadInput for what is no number, and for finite ones outside of [0, 1]."""
    if scores_BxC.dtype.kind not in "fiub":
        raise BadInput(f"scores are {scores_BxC.dtype}; expected numbers")
    with np.errstate(invalid="ignore"):
        outside = np.isfinite(scores_BxC) & ((scores_BxC < -_TOLERANCE) | (scores_BxC > 1 + _TOLERANCE))
    if outside.any():
        row, column = np.argwhere(outside)[0]
        raise BadInput(
            f"score {scores_BxC[row, column]:.4g} in row {row} of the batch is not a probability; "
            "give softmax or sigmoid outputs, not logits"
        )
    return scores_BxC.astype(np.float32)


def confidences(values: Any) -> pa.Array:
    """The guesses' own probabilities as float32, NULL for NaN; raises BadInput unless they are numbers in [0, 1]."""
    numbers = probabilities(np.asarray(plain(values)).reshape(-1, 1), None)[:, 1]
    return pa.array(numbers, mask=np.isnan(numbers))


def labels(
    values: Any, what: str, classes: Sequence[str] | None, count: int | None, unlabelled: Collection[object] = ()
) -> pa.Array:
    """Guesses or truths as Arrow: dictionary text where classes have names, else int64, float64 or text as given.

    None, NaN and what is in `unlabelled` are unlabelled rows. Integers, B, B x 1 or one-hot B x C, and floats that are
    whole numbers, are class numbers; raises BadInput for one outside the classes or `count` score columns, and for what
    is no class.
    """
    values = one_each(by_class(values, classes), what, len(classes) if classes is not None else count)
    try:
        values = values if isinstance(values, np.ndarray) else [plain_item(item) for item in values]
        column = pa.array(values, from_pandas=True)
        if pa.types.is_integer(column.type) or pa.types.is_boolean(column.type):
            column = column.cast(pa.int64())
        elif pa.types.is_floating(column.type) or pa.types.is_decimal(column.type):
            column = column.cast(pa.float64())
            if _is_whole(column):
                column = column.cast(pa.int64())
        column = _without(column, unlabelled)
    except (pa.ArrowException, TypeError, OverflowError, UnicodeEncodeError) as error:
        raise BadInput(f"{what} cannot be a column of numbers or names: {error}") from None
    if not _LABEL_TYPES & {str(column.type)}:
        raise BadInput(f"{what} is {column.type}; expected class numbers, names, or numbers")
    if count is not None and classes is None and str(column.type) in {"string", "double"}:
        if str(column.type) == "double":
            example = next(value for value in column.to_pylist() if value is not None)
            raise BadInput(
                f"{what} has values such as {example}, but the classes of the scores are the numbers 0 to {count - 1}; "
                "numbers to be predicted as such (regression) are no classes and have no scores: give class numbers or "
                "names"
            )
        raise BadInput(
            f"{what} is text, but the classes of the scores are the "
            f"numbers 0 to {count - 1}; give those, or the Recorder the classes' names"
        )
    if pa.types.is_integer(column.type) and (classes is not None or count is not None):
        named = "" if classes is not None else "; if classes are counted otherwise, classes= has their names, in order"
        _inside(column, what, len(classes) if classes is not None else count or 0, named)
    return column if classes is None else _named(column, what, classes)


def numbers(labels: Mapping[str, pa.Array], scored: bool, classes: Sequence[str] | None) -> dict[str, pa.Array]:
    """Guesses and truths of a regression as float64; raises BadInput for text, and beside scores or classes."""
    if scored or classes is not None:
        raise BadInput(
            "task='regression' has numbers as guesses, without scores, confidence or classes; leave them out"
        )
    for what, column in labels.items():
        if pa.types.is_string(column.type):
            raise BadInput(f"{what} is text, which task='regression' has no use for; give numbers")
    return {what: column.cast(pa.float64()) for what, column in labels.items()}


def alike(kinds: Sequence[pa.DataType], before: str | None) -> pa.DataType | None:
    """The type that guess and truth, of these, take together where they are no classes; None where they stay.

    before is the type of the guesses of earlier epochs. Where one is real numbers both are float64; lists in which no
    row has a label yet are of what the other's are, or were before, or else of text.
    """
    task = task_of([*map(str, kinds), before or ""])
    if task == "regression" and all(pa.types.is_integer(kind) or pa.types.is_floating(kind) for kind in kinds):
        return pa.float64()
    empty = pa.list_(pa.null())
    if task == "multi-label" and empty in kinds:
        known = [kind for kind in kinds if kind != empty]
        return known[0] if known else pa.list_(pa.int64() if "int" in (before or "") else pa.string())
    return None


def one_each(values: Any, what: str, count: int | None = None) -> Any:
    """Labels with one for each row: of B x 1 the one, of one-hot B x C the class; raises BadInput for other tables.

    count is how many classes there are, where that is known.
    """
    table_BxC = values
    if isinstance(values, list | tuple) and values and hasattr(values[0], "__len__") and not isinstance(values[0], str):
        try:
            table_BxC = np.asarray(values)
        except ValueError:
            raise BadInput(f"{what} has rows of unlike lengths; {_ONE_CLASS}") from None
    if getattr(table_BxC, "shape", None) == ():
        raise BadInput(f"{what} is a single value, of shape (); expected one for each row, as of shape (1,)")
    if not isinstance(table_BxC, np.ndarray) or table_BxC.ndim < 2:
        return values
    if table_BxC.ndim == 2 and table_BxC.shape[1] == 1:
        return table_BxC[:, 0]
    if table_BxC.ndim > 2 or not np.isin(table_BxC, (0, 1)).all():
        raise BadInput(f"{what} has shape {table_BxC.shape}; expected one class per row, or one-hot rows of 0 and 1")
    if count is not None and table_BxC.shape[1] != count:
        raise BadInput(
            f"{what} has {table_BxC.shape[1]} columns; there are {count} classes: give one-hot rows a column for each"
        )
    ones = (table_BxC == 1).sum(axis=1)
    if (ones != 1).any():
        row = int(np.argmax(ones != 1))
        raise BadInput(f"{what} names {ones[row]} classes in row {row} of the batch (multi-label); {_ONE_CLASS}")
    return table_BxC.argmax(axis=1)


def _is_whole(column: pa.Array) -> bool:
    """Whether all numbers of a column of floats are whole ones, as they are where NaN stands for no label."""
    numbers = column.drop_null().to_numpy()
    return bool((np.isfinite(numbers) & (numbers == np.trunc(numbers)) & (np.abs(numbers) < 2**53)).all())


def _without(column: pa.Array, unlabelled: Collection[object]) -> pa.Array:
    """The column without the values that stand for no label; those of another type stand in no row of it."""
    for value in unlabelled:
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if is_number == (pa.types.is_integer(column.type) or pa.types.is_floating(column.type)):
            stands_for_none = pc.equal(column, pa.scalar(value).cast(column.type, safe=False))
            column = pc.if_else(stands_for_none, pa.scalar(None, column.type), column)
    return column


def plain_item(item: Any) -> Any:
    """One value out of a list: a tensor or NumPy scalar as Python's own, NaN as it is."""
    if type(item) in _PLAIN:
        return item
    item = plain(item)
    return item.item() if isinstance(item, np.generic | np.ndarray) and np.ndim(item) == 0 else item


def _inside(labels_B: pa.Array, what: str, count: int, named: str) -> None:
    ends = pc.min_max(labels_B)
    if labels_B.null_count < len(labels_B) and not 0 <= ends["min"].as_py() <= ends["max"].as_py() < count:
        outside = pc.or_(pc.less(labels_B, 0), pc.greater_equal(labels_B, count))
        row = pc.index(outside, True).as_py()
        raise BadInput(
            f"{what} {labels_B[row]} in row {row} of the batch is outside the {count} classes (0 to {count - 1}); "
            f"if it stands for no label, say so: unlabelled={labels_B[row]}{named}"
        )


def _named(labels_B: pa.Array, what: str, classes: Sequence[str]) -> pa.Array:
    """Class numbers and names as dictionary text over `classes`."""
    if pa.types.is_floating(labels_B.type):
        raise BadInput(f"{what} is a float; expected one of the {len(classes)} classes, by number or name")
    number = {name: index for index, name in enumerate(classes)}
    indices = labels_B.to_pylist()
    if pa.types.is_string(labels_B.type):
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
        guess = pa.array(scores_BxC.argmax(axis=1), mask=broken if broken.any() else None)
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
    missing = without
    if numbers.null_count:
        missing = missing | numbers.is_null().to_numpy(zero_copy_only=False)
        numbers = numbers.fill_null(0)
    picked = scores[rows, numbers.to_numpy(zero_copy_only=False)]
    missing = missing | np.isnan(picked)
    return pa.array(picked, mask=missing if missing.any() else None)


def extras(given: Mapping[str, Any], rows: int) -> dict[str, pa.Array]:
    """The user's own columns; raises BadInput for a reserved name, or one that differs from another only in case."""
    columns: dict[str, pa.Array] = {}
    seen: set[str] = set()
    for name, values in given.items():
        low = folded(name)
        if low in RESERVED_COLUMNS or is_score(low) or not name.strip() or low in seen:
            raise BadInput(f"column {name!r} cannot be added: the name is reserved, empty, or there twice; rename it")
        seen.add(low)
        values = plain(values)
        if isinstance(values, list | tuple) and values and hasattr(values[0], "ndim"):
            values = [plain_item(value) for value in values]
        try:
            columns[name] = _lists(values) if isinstance(values, np.ndarray) and values.ndim > 1 else pa.array(values)
            _storable(pa.schema([(name, columns[name].type)]))
        except (pa.ArrowException, TypeError, ValueError, OverflowError) as error:
            raise BadInput(f"column {name!r} cannot be stored: {error}") from None
        if len(columns[name]) != rows:
            raise BadInput(f"column {name!r} has {len(columns[name])} values; the batch has {rows} rows")
    return columns


def _lists(values: NDArray[Any]) -> pa.Array:
    """An array of B rows as lists, of lists where it has more dimensions than two, of numbers of its own type."""
    column = pa.array(np.ascontiguousarray(values).reshape(-1))
    for size in values.shape[:0:-1]:
        ends = pa.array(range(0, len(column) + 1, size) if size else [0] * (len(values) + 1), pa.int32())
        column = pa.ListArray.from_arrays(ends, column)
    return column


@cache
def _storable(schema: pa.Schema) -> None:
    """Raise what Parquet has against a column before an epoch is collected for it."""
    pq.ParquetWriter(pa.BufferOutputStream(), schema).close()
