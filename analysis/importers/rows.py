"""A foreign table's rows turned into rows of our schema."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from secondguess.analysis.content import FileDigests, number_digests, text_digests
from secondguess.analysis.importers.classes import Classes, as_text, is_text, score
from secondguess.analysis.importers.roles import Roles
from secondguess.analysis.importers.verdicts import verdicts
from secondguess.analysis.schema import RESERVED_COLUMNS, folded, is_score, score_column


@dataclass(frozen=True)
class Layout:
    """How the columns of all versions of one table become ours: roles, classes, label type, the others' new names.

    content is the column with the texts or numbers that the rows are about, in the place of images.
    """

    roles: Roles
    classes: Classes
    label: pa.DataType
    others: Mapping[str, str]
    right: str | None = None
    content: str | None = None

    @property
    def line(self) -> str:
        """What the columns and the scores are taken for, as one line of text."""
        right = f"right = {self.right}" if self.right is not None else ""
        return ", ".join(filter(None, (self.roles.line, right, self.classes.line)))

    @property
    def verdict(self) -> str | None:
        """The column of ours that says which rows are right, None where guess against truth does."""
        return None if self.right is None else self.others[self.right]

    @property
    def renamed(self) -> list[str]:
        """The columns that could not keep their name, as `old is called new`."""
        return [f"column {old!r} is called {new!r}" for old, new in self.others.items() if old != new]


def layout(schemas: Sequence[pa.Schema], roles: Roles, classes: Classes) -> Layout:
    """The layout that fits all versions: guess and truth are lists if any is, else text, else float64, else int64.

    Where they are places among classes that have names, they become these names.
    """
    kinds = {
        schema.field(name).type for schema in schemas for name in (roles.guess, roles.truth) if name in schema.names
    }
    whole = all(pa.types.is_integer(kind) or pa.types.is_boolean(kind) or pa.types.is_null(kind) for kind in kinds)
    numbers = all(pa.types.is_floating(kind) for kind in kinds if not pa.types.is_integer(kind))
    label = pa.int64() if whole else pa.float64() if numbers else pa.string()
    label = pa.string() if classes.by_number else label
    label = next((kind for kind in kinds if pa.types.is_list(kind)), label)
    taken = {"step"}
    others: dict[str, str] = {}
    used = {roles.id, roles.guess, roles.truth, roles.image, roles.confidence, *roles.scores}
    for name in dict.fromkeys(name for schema in schemas for name in schema.names if name not in used):
        new = name
        while folded(new) in taken or folded(new) in RESERVED_COLUMNS or is_score(folded(new)):
            new = f"source_{new}"
        taken.add(folded(new))
        others[name] = new
    return Layout(roles, classes, label, others)


def with_content(how: Layout, content: str | None) -> Layout:
    """The layout where a column has what the rows are about, unless they have images."""
    if content is None or content not in how.others or how.roles.image is not None:
        return how
    return replace(how, content=content, others={old: new for old, new in how.others.items() if old != content})


@dataclass(frozen=True)
class BatchImages:
    """The images of a batch: each row's digest, None where it has none or cannot be decoded; the files by digest.

    So, too, the texts or numbers that its rows are about.

    broken are how many cannot be decoded, dark how many are black to an eye.
    """

    digests: list[str | None]
    files: dict[str, Any]
    broken: int = 0
    dark: int = 0


def about(batch: pa.RecordBatch, how: Layout, known: FileDigests) -> BatchImages:
    """What a batch's rows are about: their images, or texts or numbers where the layout says so."""
    if how.content is None or how.content not in batch.schema.names:
        return pictures(batch, how.roles.image, known)
    values = batch.column(how.content).to_pylist()
    digests = [None if value is None else _digest(value) for value in values]
    return BatchImages(digests, {name: value for name, value in zip(digests, values, strict=True) if name is not None})


def _digest(value: Any) -> str:
    return text_digests([value])[0] if isinstance(value, str) else number_digests(np.asarray([value], np.float64))[0]


def pictures(batch: pa.RecordBatch, column: str | None, known: FileDigests) -> BatchImages:
    """Decode those of a batch's images that are not known, which are checked for their claimed size before."""
    if column not in batch.schema.names:
        return BatchImages([None] * batch.num_rows, {})
    files = pc.struct_field(batch.column(column), "bytes").to_pylist()
    digests = [known.of(file) if file else None for file in files]
    broken = sum(1 for file, digest in zip(files, digests, strict=True) if file and digest is None)
    by_digest = {digest: file for digest, file in zip(digests, files, strict=True) if digest is not None}
    dark = sum(digest in known.dark for digest in digests)
    return BatchImages(digests, by_digest, broken, dark)


def rows(batch: pa.RecordBatch, how: Layout, seen: BatchImages, place: tuple[str, int, int | None]) -> pa.Table:
    """The batch in our schema's columns; place is (run, epoch, step).

    Without an id column the image's digest is the id, and where there is none the id is NULL.
    """
    run, epoch, step = place
    count, roles = batch.num_rows, how.roles
    columns: dict[str, Any] = {
        "run": pa.DictionaryArray.from_arrays(pa.repeat(pa.scalar(0, pa.int32()), count), [run]),
        "epoch": pa.repeat(pa.scalar(epoch, pa.int32()), count),
        "id": _ids(batch, roles.id) if roles.id is not None else pa.array(seen.digests, pa.string()),
    }
    for role in ("guess", "truth"):
        name = getattr(roles, role)
        if name is not None and name in batch.schema.names:
            columns[role] = _label(batch, name, how)
    columns.update(_scores(batch, how, columns))
    if roles.confidence is not None:
        columns["confidence"] = score(batch, roles.confidence)
    columns["step"] = pa.repeat(pa.scalar(step, pa.int64()), count)
    own = dict(zip(batch.schema.names, batch.columns, strict=True))
    for name, new in how.others.items():
        if name in own:
            columns[new] = own[name] if name != how.right else verdicts(own[name], batch.schema.field(name))
    return pa.table(columns)


def _ids(batch: pa.RecordBatch, name: str) -> pa.Array:
    if name not in batch.schema.names:
        return pa.nulls(batch.num_rows, pa.string())
    return as_text(batch.column(name), batch.schema.field(name))


def _scores(batch: pa.RecordBatch, how: Layout, labels: Mapping[str, Any]) -> dict[str, pa.Array]:
    if not how.roles.scores:
        return {}
    scores = [score(batch, name) for name in how.roles.scores]
    filled = [one.fill_null(np.nan) if one.null_count else one for one in scores]
    broken = reduce(pc.or_, map(pc.is_nan, filled))
    picked = {}
    for role, name in (("guess", "confidence"), ("truth", "truth_score")):
        if role in labels and not pa.types.is_list(how.label):
            own = pc.choose(places(labels[role], how.classes.labels), *filled)
            picked[name] = pc.if_else(broken if role == "guess" else pc.is_nan(own), None, own)
    return {**picked, **{score_column(at): one for at, one in enumerate(scores)}}


def places(labels: pa.Array | pa.ChunkedArray, classes: Sequence[str]) -> pa.Array | pa.ChunkedArray:
    """Each label's place among the classes, from 0; NULL where it is none of them, or NULL itself."""
    return pc.index_in(labels.cast(pa.string()), pa.array(classes, pa.string()))


def _label(batch: pa.RecordBatch, name: str, how: Layout) -> pa.Array:
    values, field = batch.column(name), batch.schema.field(name)
    if pa.types.is_list(how.label):
        return values
    if pa.types.is_floating(values.type):
        values = pc.if_else(pc.is_nan(values), None, values)  # NaN is how many a table says: no label
    if not pa.types.is_string(how.label):
        return values.cast(how.label)
    if not how.classes.by_number or is_text(field):
        return as_text(values, field)
    texts = as_text(values.cast(pa.int64()) if pa.types.is_boolean(values.type) else values, field)
    classes = pa.array(how.classes.labels, pa.string())
    numbers = pa.array(map(str, range(len(classes))), pa.string())
    return pc.coalesce(classes.take(pc.index_in(texts, numbers)), texts)
