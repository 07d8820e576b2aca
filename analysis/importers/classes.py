"""What a foreign table's scores are scores of: the names of its classes, which W&B's tables have no place for."""

import csv
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from secondguess.analysis.errors import BadInput, listing
from secondguess.analysis.importers.roles import Roles
from secondguess.analysis.schema import CLASSES, MIRROR

EXACT = float(1 << 53)
"""From here on, a float may stand for another whole number than was meant."""


def is_text(field: pa.Field) -> bool:
    """Whether a column is text in the source, or may be: cells of several kinds come as JSON text."""
    kind = field.type.value_type if pa.types.is_dictionary(field.type) else field.type
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def is_json(field: pa.Field) -> bool:
    """Whether the cells are JSON text, for want of one type that holds them all."""
    return (field.metadata or {}).get(b"json") == b"true"


def as_text(values: pa.Array, field: pa.Field) -> pa.Array:
    """A column as text: whole numbers without a point, NaN as NULL, text within JSON without its quotes.

    Bytes are the text they spell, or else hexadecimal digits.
    """
    if is_json(field):
        return pa.array([None if value is None else _bare(value) for value in values.to_pylist()], pa.string())
    if pa.types.is_nested(values.type) or pa.types.is_binary(values.type):
        return pa.array([None if value is None else _said(value) for value in values.to_pylist()], pa.string())
    if pa.types.is_floating(values.type):
        return _of_floats(values)
    return values.cast(pa.string())


def _of_floats(values: pa.Array) -> pa.Array:
    values = pc.if_else(pc.is_nan(values), None, values)
    numbers = values.cast(pa.float32()) if pa.types.is_float16(values.type) else values  # which have no absolute values
    whole = pc.and_(pc.less(pc.abs(numbers), EXACT), pc.equal(numbers, pc.trunc(numbers)))
    texts = pc.if_else(whole, values, None).cast(pa.int64()).cast(pa.string())
    return pc.coalesce(texts, values.cast(pa.string()))


def _said(value: Any) -> str:
    if not isinstance(value, bytes):
        return str(value)
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.hex()


def _bare(text: str) -> str:
    value: Any = json.loads(text) if text.startswith('"') else None
    return value if isinstance(value, str) else text


@dataclass(frozen=True)
class Classes:
    """The classes in the order of the scores, as labels say them; empty where nobody tells.

    They are `named`, and `told` says by what, or else the numbers from 0. `by_number` says that a label which is a
    whole number is a place among them.
    """

    labels: tuple[str, ...] = ()
    named: bool = False
    told: str = ""
    by_number: bool = False

    @property
    def names(self) -> tuple[str, ...] | None:
        """The names, as a commit takes them; None for numbers, and where nobody tells."""
        return self.labels if self.named else None

    @property
    def line(self) -> str:
        """What a person is told about them, perhaps nothing."""
        return f"classes = {listing(self.labels, 6)} ({self.told})" if self.named else self.told


def given_classes(text: str | None) -> tuple[str, ...] | None:
    """The names that a person gave, with commas between them, as in CSV; raises BadInput for an odd list."""
    if text is None:
        return None
    names = tuple(name.strip() for row in csv.reader([text], skipinitialspace=True) for name in row)
    if not names or not all(names) or len(set(names)) < len(names):
        raise BadInput(f"--classes is {text!r}; expected names, each once, in the order of the scores: 'cat,dog'")
    return names


def mirrored_classes(config: Mapping[str, Any]) -> tuple[str, ...] | None:
    """The names that our own mirror wrote into the config of a W&B run."""
    ours = config.get(MIRROR)
    names = ours.get(CLASSES) if isinstance(ours, Mapping) else None
    if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
        return None
    return tuple(names) if len(set(names)) == len(names) else None


def without_classes(config: Mapping[str, Any]) -> dict[str, Any]:
    """The config without what our own mirror added to it."""
    return {key: value for key, value in config.items() if key != MIRROR or mirrored_classes(config) is None}


def classes_of(
    roles: Roles,
    batches: Iterable[pa.RecordBatch],
    given: Sequence[str] | None = None,
    mirrored: Sequence[str] | None = None,
) -> Classes:
    """The classes of a table: as given, else as its config has them, else as the scores' or the guesses' names tell.

    A list that names another number of classes than the table has scores is not of this table. The batches, of all its
    versions, are read only where nothing else tells.
    """
    count = len(roles.scores)
    if given is not None and count in {0, len(given)}:
        return Classes(tuple(given), True, "as given", by_number=True)
    if mirrored is not None and count in {0, len(mirrored)}:
        return Classes(tuple(mirrored), True, "as the run's config names them", by_number=True)
    numbers = tuple(map(str, range(count)))
    if roles.suffixes != numbers:
        return Classes(roles.suffixes, True, "as the scores are called")
    return _of_guesses(roles, batches, numbers) if count and roles.guess is not None else Classes(numbers)


def _of_guesses(roles: Roles, batches: Iterable[pa.RecordBatch], numbers: tuple[str, ...]) -> Classes:
    """The classes by their guesses: every name goes with the highest score of one class, and every class has one.

    Rows in which two classes share the highest score, or one has none, tell nothing.
    """
    names: set[str] = set()
    pairs: set[tuple[int, str]] = set()
    for batch in batches:
        if roles.guess not in batch.schema.names or pa.types.is_null(batch.column(roles.guess).type):
            continue
        if not is_text(batch.schema.field(roles.guess)):
            kind = batch.column(roles.guess).type
            are_names = pa.types.is_list(kind) and pa.types.is_string(kind.value_type)
            return Classes(numbers, told="classes not told: --classes names those of the scores" if are_names else "")
        guesses = as_text(batch.column(roles.guess), batch.schema.field(roles.guess))
        names.update(name for name in guesses.unique().to_pylist() if name is not None)
        pairs |= _pairs(scores_of(batch, roles.scores), guesses)
        if min(len(names), len(pairs)) > len(numbers):
            break
    if names <= set(numbers):
        return Classes(numbers)
    by_place = dict(pairs)
    if len(pairs) == len(by_place) == len(numbers) == len(set(by_place.values())):
        labels = tuple(by_place[place] for place in range(len(numbers)))
        return Classes(labels, True, "taken from the guesses: each name goes with one highest score")
    return Classes(told="classes not told, so no confidence: --classes names them")


def scores_of(batch: pa.RecordBatch, names: Sequence[str]) -> NDArray[np.float32]:
    """The scores as B x C; a NULL is NaN (W&B's artifact tables keep NaN as NULL), and so is a column not there."""
    return np.stack([score(batch, name).to_numpy(zero_copy_only=False) for name in names]).T


def score(batch: pa.RecordBatch, name: str) -> pa.Array:
    """One class's scores as float32, NULL where this version of the table has no such column."""
    if name not in batch.schema.names:
        return pa.nulls(batch.num_rows, pa.float32())
    return batch.column(name).cast(pa.float32(), safe=False)


def _pairs(scores_BxC: NDArray[np.float32], guesses: pa.Array) -> set[tuple[int, str]]:
    highest = scores_BxC.max(axis=1, keepdims=True)  # NaN where one is
    alone = (scores_BxC == highest).sum(axis=1) == 1
    places = scores_BxC.argmax(axis=1)[alone].tolist()
    pairs = set(zip(places, guesses.filter(pa.array(alone)).to_pylist(), strict=True))
    return {(place, name) for place, name in pairs if name is not None}
