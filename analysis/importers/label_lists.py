"""Rows with any number of labels each: what the lists of a foreign column hold, and the column that they become."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from secondguess.analysis.errors import BadInput, listing
from secondguess.analysis.importers.classes import Classes
from secondguess.analysis.importers.facts import kind_of, parts_of
from secondguess.analysis.importers.hugging_face import exported
from secondguess.analysis.importers.looked import Looked
from secondguess.analysis.importers.roles import Roles
from secondguess.analysis.importers.shapes import Column
from secondguess.analysis.schema import is_score, score_column

_AT_ONCE = 10_000  # cells in memory together


@dataclass(frozen=True)
class LabelLists:
    """The lists of a column: whether they hold names, and how long each is where all hold 0 and 1 alone."""

    named: bool
    width: int | None


def roles(looked: Looked) -> Roles | None:
    """Guess and truth where both have lists of labels in their cells, and are made so; None where not both do."""
    found: dict[str, LabelLists] = {}
    for role, told in (("guess", looked.given.guess), ("truth", looked.given.truth)):
        names = _called(looked, role) if told is None else [told]
        lists = ((name, lists_of(looked, name)) for name in names if _may_have(looked, name) and name not in found)
        there = next(((name, each) for name, each in lists if each is not None), None)
        if there is None:
            return None
        found[there[0]] = there[1]
    for column in made_of(looked, list(found), list(found.values())):
        looked.make(column)
    guess, truth = found
    looked.notes.append(f"{guess} and {truth} have lists of labels: a multi-label table, right where they are equal")
    scores = _scores(looked)
    names = next((said for rows in looked.versions if (said := exported(rows.schema.metadata).get("classes"))), [])
    if scores and looked.given.classes is None and len(names) == len(scores):
        looked.classes = Classes(tuple(str(name) for name in names), True, "as the export names them")
    return Roles(guess=guess, truth=truth, scores=scores)


def _scores(looked: Looked) -> tuple[str, ...]:
    """The columns score_0, score_1, … of numbers; none where one is missing, or there are not as many as classes."""
    names = [score_column(place) for place in range(sum(map(is_score, looked.fields)))]
    there = all(name in looked.fields and kind_of(looked.fields[name]) == "number" for name in names)
    classes = looked.given.classes
    return tuple(names) if there and (classes is None or len(classes) == len(names)) else ()


def are_beside(looked: Looked) -> bool:
    """Whether a label has lists of several, so that another's lists of one are no single labels."""
    names = [*_called(looked, "guess"), *_called(looked, "truth"), looked.given.guess, looked.given.truth]
    facts = (looked.facts[name] for name in names if name in looked.facts)
    return any(each.kind == "nested" and not each.is_single and not each.is_scores for each in facts)


def _called(looked: Looked, role: str) -> list[str]:
    words = ("guess",) if role == "guess" else ("truth", "label")
    return [name for word in words for name in looked.names.columns(word)]


def _may_have(looked: Looked, name: str) -> bool:
    facts = looked.facts.get(name)
    if facts is None or facts.kind in {"nested", "json"}:
        return facts is not None
    return facts.kind == "text" and any(text[0] == "[" for text in facts.sample)


def lists_of(looked: Looked, column: str) -> LabelLists | None:
    """What all lists of a column hold; None where a cell is no list of names or of whole numbers, or none has any.

    A list may be JSON, or as Python prints it, in a text.
    """
    kinds: set[type] = set()
    widths: set[int] = set()
    bits = True
    for value in _cells(looked, column):
        labels = parts_of(value)
        if not isinstance(labels, list):
            return None
        kinds |= {type(label) for label in labels}
        if kinds - {str, int}:
            return None
        widths.add(len(labels))
        bits = bits and all(label in (0, 1) for label in labels)
    if len(kinds) != 1:
        return None
    return LabelLists(str in kinds, min(widths) if bits and len(widths) == 1 and min(widths) > 1 else None)


def made_of(looked: Looked, columns: Sequence[str], lists: Sequence[LabelLists]) -> list[Column]:
    """The columns as sorted lists, of names if any holds names; numbers are places among the classes that are given.

    Lists of 0 and 1 have one for each class. Raises BadInput where these classes are not given, or are other in number.
    """
    classes = looked.given.classes
    for column, found in zip(columns, lists, strict=True):
        if found.width is not None and found.width != len(classes or ()):
            given = f"{len(classes)} are given" if classes is not None else "name them"
            raise BadInput(
                f"{column!r} has {found.width} times 0 or 1 in each cell, one for each class; {given} in the order of "
                "the cells: --classes 'NAME,NAME,…'"
            )
    named = classes is not None or any(found.named for found in lists)
    kind = pa.list_(pa.string() if named else pa.int64())
    return [
        Column(pa.field(column, kind), (column,), _Made(column, kind, found.width is not None, classes))
        for column, found in zip(columns, lists, strict=True)
    ]


@dataclass(frozen=True)
class _Made:
    """The lists of a batch as they are stored."""

    column: str
    kind: pa.DataType
    are_bits: bool
    classes: Sequence[str] | None

    def __call__(self, batch: pa.RecordBatch) -> pa.Array:
        rows = [None if value is None else self._labels(value) for value in batch.column(self.column).to_pylist()]
        return pa.array(rows, self.kind)

    def _labels(self, value: Any) -> list[Any]:
        labels = parts_of(value)
        assert isinstance(labels, list)
        if self.are_bits:
            labels = [place for place, bit in enumerate(labels) if bit]
        named = [self._name(label) for label in labels]
        if len(set(named)) < len(named):
            raise BadInput(f"{self.column!r} has a label twice in the cell {str(value)[:80]!r}; leave it there once")
        return sorted(named)

    def _name(self, label: str | int) -> str | int:
        if isinstance(label, int) and self.classes is not None:
            if not 0 <= label < len(self.classes):
                raise BadInput(f"{self.column!r} has the label {label}, but there are {len(self.classes)} classes")
            return self.classes[label]
        if isinstance(label, str) and self.classes is not None and label not in self.classes:
            raise BadInput(f"{self.column!r} has the label {label!r}, which is none of {listing(self.classes, 6)}")
        return str(label) if pa.types.is_string(self.kind.value_type) else label


def _cells(looked: Looked, column: str) -> Iterator[Any]:
    """The cells that are there, few of them in memory."""
    for rows in looked.versions:
        if column not in rows.schema.names:
            continue
        for batch in rows.batches({column}):
            there = batch.column(column).drop_null()
            for start in range(0, len(there), _AT_ONCE):
                yield from there[start : start + _AT_ONCE].to_pylist()
