"""Rows with any number of labels each: what the lists of a foreign column hold, and the column that they become."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import pyarrow as pa

from secondguess.analysis.errors import BadInput, listing
from secondguess.analysis.importers.classes import Classes
from secondguess.analysis.importers.facts import parts_of
from secondguess.analysis.importers.hugging_face import class_labels, exported
from secondguess.analysis.importers.label_scores import are_chances, guess_of, label_scores
from secondguess.analysis.importers.looked import Looked
from secondguess.analysis.importers.roles import Roles
from secondguess.analysis.importers.scores import Found
from secondguess.analysis.importers.shapes import Column
from secondguess.analysis.schema import LABEL_FROM
from secondguess.analysis.score_names import are_numbered, numbered_order

_AT_ONCE = 10_000  # cells in memory together


@dataclass(frozen=True)
class LabelLists:
    """What lists of labels hold: the names, none for numbers, and how long each is where all are of 0 and 1 alone.

    are_single says that each of those has one 1.
    """

    names: frozenset[str]
    width: int | None
    are_single: bool


def roles(looked: Looked) -> Roles | None:
    """Guess, truth and scores where labels stand in lists, and are made so; None where they do not.

    Guesses alone are unlabelled, and are names; truths alone need scores. Raises BadInput.
    """
    guess = _first(looked, "guess", looked.given.guess)
    truth = _first(looked, "truth", looked.given.truth, besides=guess)
    if guess is None and (truth is None or not _may_be_scores(looked)):
        return None
    if truth is None and (looked.given.truth or _called(looked, "truth") or not (guess and guess[1].names)):
        return None
    found = dict(each for each in (guess, truth) if each is not None)
    labels = {name for lists in found.values() for name in lists.names}
    told, why = _told(looked, list(found))
    scores = label_scores(looked, labels, list(found), told)
    names = told if told is not None or scores is None else _named(scores, found, labels)
    if guess is None:
        if scores is None:
            return None
        assert truth is not None
        _check_guessable(looked, truth, scores, names)
    for column in made_of(found, names):
        looked.make(column)
    looked.notes.append(_said(found))
    if looked.given.classes is None and names is not None:
        looked.classes = Classes(tuple(names), True, why or "as the scores are called")
    columns = [name for name, _ in (guess or (None, None), truth or (None, None))]
    if guess is None and scores is not None:
        column = guess_of(scores, names)
        looked.make(column)
        looked.notes.append(f"no column has the guess: it is the labels with a score of at least {LABEL_FROM}")
        columns[0] = column.field.name
    elif scores is not None and not are_chances(looked, scores):
        looked.notes.append(f"the scores ({scores.columns[0]}, …) are no probabilities (logits?) and stay as they are")
    return Roles(guess=columns[0], truth=columns[1], scores=scores.columns if scores is not None else ())


def _named(scores: Found, found: Mapping[str, LabelLists], labels: set[str]) -> Sequence[str] | None:
    """The names of the scores, if they are those of the labels; raises BadInput where labels are numbers of cells."""
    if not labels <= set(scores.labels) or (not labels and are_numbered(scores.labels)):
        return None
    numbered = [column for column, lists in found.items() if not lists.names]
    in_order = scores.scores.keys is None and numbered_order(scores.labels) is None
    if numbered and not in_order and not are_numbered(scores.labels):
        raise BadInput(
            f"{numbered[0]!r} has numbers, and the scores name their classes in another order; "
            f"name those ({listing(scores.labels, 4)}) in the order of the numbers: --classes 'NAME,NAME,…'"
        )
    return scores.labels


def _said(found: Collection[str]) -> str:
    """What is said of the columns with lists."""
    have = "have" if len(found) > 1 else "has"
    return f"{' and '.join(found)} {have} lists of labels: a multi-label table, right where they are equal"


def _check_guessable(looked: Looked, truth: tuple[str, LabelLists], scores: Found, names: Sequence[str] | None) -> None:
    """Raise BadInput where the guesses do not follow from the scores."""
    column, lists = truth
    first = scores.columns[0]
    if lists.are_single:
        raise BadInput(
            f"{column!r} has one 1 in each cell, so one class a row and not several; make it the class's number, or "
            "name the column with the guesses, in lists: --guess COLUMN"
        )
    if not are_chances(looked, scores):
        raise BadInput(
            f"no column has the guesses, and the scores ({first}, …) are not from 0 to 1; make chances of them, "
            "1 / (1 + exp(-x)), or name the column with the guesses: --guess COLUMN"
        )
    if lists.names and names is None:
        raise BadInput(
            f"no column has the guesses, and the {len(scores.columns)} scores ({first}, …) have no names; name their "
            "labels in their order: --classes 'NAME,NAME,…'"
        )


def _first(
    looked: Looked, role: str, told: str | None, besides: tuple[str, LabelLists] | None = None
) -> tuple[str, LabelLists] | None:
    """The likeliest column for a role that has lists of labels, and what these hold."""
    for name in _called(looked, role) if told is None else [told]:
        taken = besides is not None and name == besides[0]
        if not taken and _may_have(looked, name) and (lists := lists_of(_cells(looked, name))) is not None:
            return name, lists
    return None


def _may_be_scores(looked: Looked) -> bool:
    """Whether what may be called a guess is scores, so that guesses may follow from them."""
    if looked.given.guess is not None:
        return False
    grouped = {name for group in looked.names.groups for name, _ in group}
    facts = {name: looked.facts.get(name) for name in looked.names.columns("guess") if name not in grouped}
    return all(each is not None and each.is_scores for each in facts.values())


def _told(looked: Looked, columns: Sequence[str]) -> tuple[Sequence[str] | None, str]:
    """The names of the classes as a person or the file gives them, and which of them does."""
    if looked.given.classes is not None:
        return looked.given.classes, "as given"
    named = class_labels(looked.versions)
    if names := next((named[column] for column in columns if column in named), None):
        return names, "as the file's ClassLabel names them"
    for rows in looked.versions:
        if names := exported(rows.schema.metadata).get("classes"):
            return [str(name) for name in names], "as the export names them"
    return None, ""


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


def lists_of(cells: Iterable[Any]) -> LabelLists | None:
    """What all lists of a column hold; None where a cell is no list of names or of whole numbers, or none has any.

    A list may be JSON, or as Python prints it, in a text. One of 0 and 1 for each class may be of real numbers, or of
    False and True.
    """
    kinds: set[type] = set()
    widths: set[int] = set()
    names: set[str] = set()
    bits = single = True
    for value in cells:
        labels = parts_of(value)
        if not isinstance(labels, list):
            return None
        kinds |= {type(label) for label in labels}
        bits = bits and all(label in (0, 1) for label in labels)
        if kinds - {str, int} and not (bits and kinds <= {int, float, bool}):
            return None
        single = single and bits and sum(labels) == 1
        widths.add(len(labels))
        names.update(label for label in labels if isinstance(label, str))
    width = min(widths) if bits and len(widths) == 1 and min(widths) > 1 else None
    if not kinds or (str in kinds and len(kinds) > 1) or (width is None and kinds - {str, int}):
        return None
    return LabelLists(frozenset(names), width, width is not None and single)


def made_of(columns: Mapping[str, LabelLists], names: Sequence[str] | None) -> list[Column]:
    """The columns as sorted lists, of names if any holds names; numbers are places among those that are told.

    Lists of 0 and 1 have one for each class. Raises BadInput where these classes are not told, or are other in number.
    """
    named = names is not None or any(lists.names for lists in columns.values())
    kind = pa.list_(pa.string() if named else pa.int64())
    return [
        Column(pa.field(column, kind), (column,), partial(_of_batch, reading(column, lists, kind, names)))
        for column, lists in columns.items()
    ]


def reading(column: str, lists: LabelLists, kind: pa.DataType, names: Sequence[str] | None) -> "Reading":
    """How the cells of a column become lists; raises BadInput where they have 0 and 1 for other classes."""
    if lists.width is not None and lists.width != len(names or ()):
        given = f"{len(names)} are given" if names is not None else "name them"
        raise BadInput(
            f"{column!r} has {lists.width} times 0 or 1 in each cell, one for each class; {given} in the order of "
            "the cells: --classes 'NAME,NAME,…'"
        )
    return Reading(column, kind, lists.width is not None, names)


@dataclass(frozen=True)
class Reading:
    """How the cells of a column become the lists that are stored."""

    column: str
    kind: pa.DataType
    are_bits: bool
    classes: Sequence[str] | None

    def __call__(self, cells: Iterable[Any]) -> pa.Array:
        """The lists; raises BadInput for a label that is no class, and for one that a cell has twice."""
        return pa.array([None if cell is None else self._labels(cell) for cell in cells], self.kind)

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


def _of_batch(how: Reading, batch: pa.RecordBatch) -> pa.Array:
    return how(batch.column(how.column).to_pylist())


def _cells(looked: Looked, column: str) -> Iterator[Any]:
    """The cells that are there, few of them in memory."""
    for rows in looked.versions:
        if column not in rows.schema.names:
            continue
        for batch in rows.batches({column}):
            there = batch.column(column).drop_null()
            for start in range(0, len(there), _AT_ONCE):
                yield from there[start : start + _AT_ONCE].to_pylist()
