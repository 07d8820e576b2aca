"""A foreign table's rows turned into rows of our schema."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from analysis.errors import BadInput
from analysis.importers.roles import Roles
from analysis.schema import RESERVED_COLUMNS, is_score, score_column
from analysis.store.content import pixel_digests
from analysis.store.pictures import decoded


@dataclass(frozen=True)
class Layout:
    """How the columns of all versions of one table become ours: roles, label type, new names of the other columns."""

    roles: Roles
    label: pa.DataType
    others: Mapping[str, str]

    @property
    def renamed(self) -> list[str]:
        """The columns that could not keep their name, as `old is called new`."""
        return [f"column {old!r} is called {new!r}" for old, new in self.others.items() if old != new]


def layout(schemas: Sequence[pa.Schema], roles: Roles) -> Layout:
    """The layout that fits all versions: guess and truth are text if any is, else float64 if any is, else int64."""
    kinds = {
        schema.field(name).type for schema in schemas for name in (roles.guess, roles.truth) if name in schema.names
    }
    whole = all(pa.types.is_integer(kind) or pa.types.is_boolean(kind) or pa.types.is_null(kind) for kind in kinds)
    numbers = all(pa.types.is_floating(kind) for kind in kinds if not pa.types.is_integer(kind))
    label = pa.int64() if whole else pa.float64() if numbers else pa.string()
    taken = {"step"}
    others: dict[str, str] = {}
    used = {roles.id, roles.guess, roles.truth, roles.image, *roles.scores}
    for name in dict.fromkeys(name for schema in schemas for name in schema.names if name not in used):
        new = name
        while new.casefold() in taken or new.casefold() in RESERVED_COLUMNS or is_score(new.casefold()):
            new = f"source_{new}"
        taken.add(new.casefold())
        others[name] = new
    return Layout(roles, label, others)


@dataclass(frozen=True)
class Pictures:
    """The images of a batch: each row's digest, None where it has none or cannot be decoded; the files by digest."""

    digests: list[str | None]
    files: dict[str, bytes]
    broken: int


def pictures(batch: pa.RecordBatch, column: str | None) -> Pictures:
    """Decode a batch's images, which are checked for their claimed size before."""
    digests: list[str | None] = [None] * batch.num_rows
    files: dict[str, bytes] = {}
    broken = 0
    cells = batch.column(column).to_pylist() if column is not None else []
    for row, cell in enumerate(cells):
        data = cell and cell["bytes"]
        if not data:
            continue
        try:
            digest = pixel_digests(decoded(data)[None])[0]
        except BadInput:
            broken += 1
            continue
        digests[row] = digest
        files[digest] = data
    return Pictures(digests, files, broken)


def rows(batch: pa.RecordBatch, how: Layout, seen: Pictures, place: tuple[str, int, int | None]) -> pa.Table:
    """The batch in our schema's columns; place is (run, epoch, step).

    Without an id column the image's digest is the id, and where there is none the id is NULL.
    """
    run, epoch, step = place
    count, roles = batch.num_rows, how.roles
    columns: dict[str, Any] = {
        "run": pa.DictionaryArray.from_arrays(pa.array(np.zeros(count, np.int32)), [run]),
        "epoch": pa.array(np.full(count, epoch, np.int32)),
        "id": _text(batch.column(roles.id)) if roles.id is not None else pa.array(seen.digests, pa.string()),
    }
    for role in ("guess", "truth"):
        name = getattr(roles, role)
        if name is not None and name in batch.schema.names:
            columns[role] = _label(batch.column(name), how.label)
    columns.update(_scores(batch, roles, columns))
    columns["step"] = pa.array([step] * count, pa.int64())
    for name, new in how.others.items():
        if name in batch.schema.names:
            columns[new] = batch.column(name)
    return pa.table(columns)


def _scores(batch: pa.RecordBatch, roles: Roles, found: Mapping[str, Any]) -> dict[str, pa.Array]:
    if not roles.scores:
        return {}
    columns = [batch.column(name).cast(pa.float32(), safe=False) for name in roles.scores]
    # A NULL score is none, as NaN is: W&B's artifact tables keep NaN as NULL.
    scores_BxC = np.stack([column.fill_null(np.nan).to_numpy(zero_copy_only=False) for column in columns], axis=1)
    names = roles.classes or tuple(map(str, range(len(roles.scores))))
    broken = np.isnan(scores_BxC).any(axis=1)
    picked = {}
    for role, name in (("guess", "confidence"), ("truth", "truth_score")):
        if role in found:
            picked[name] = _picked(scores_BxC, found[role], names, broken if role == "guess" else np.zeros_like(broken))
    return {**picked, **{score_column(index): column for index, column in enumerate(columns)}}


def _picked(
    scores_BxC: NDArray[np.float32], label: pa.Array, classes: Sequence[str], without: NDArray[np.bool_]
) -> pa.Array:
    """Each row's score of its label's class; NULL where the label is no class, or the score is NaN."""
    place = pc.index_in(label.cast(pa.string()), pa.array(classes, pa.string()))
    missing = place.is_null().to_numpy(zero_copy_only=False) | without
    index = place.fill_null(0).to_numpy(zero_copy_only=False)
    found = scores_BxC[np.arange(len(scores_BxC)), index]
    return pa.array(found, pa.float32(), mask=missing | np.isnan(found))


def _label(values: pa.Array, kind: pa.DataType) -> pa.Array:
    if pa.types.is_floating(values.type):
        values = pc.if_else(pc.is_nan(values), None, values)  # NaN is how many a table says: no label
    return _text(values) if pa.types.is_string(kind) else values.cast(kind)


def _text(values: pa.Array) -> pa.Array:
    if pa.types.is_nested(values.type) or pa.types.is_binary(values.type):
        return pa.array([None if value is None else str(value) for value in values.to_pylist()], pa.string())
    return values.cast(pa.string())
