"""The scores of tables with several labels a row: each label has a chance of its own, and they need not add up to 1."""

from collections.abc import Collection, Iterator, Sequence

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from secondguess.analysis.errors import BadInput
from secondguess.analysis.importers.looked import Looked
from secondguess.analysis.importers.scores import Found, is_numbers, matching, of_cells
from secondguess.analysis.importers.shapes import Column, Scores
from secondguess.analysis.schema import LABEL_FROM
from secondguess.analysis.score_names import are_numbered, labels_of, numbered_order, order_of


def label_scores(
    looked: Looked, labels: set[str], besides: Collection[str], classes: Sequence[str] | None
) -> Found | None:
    """The scores that a person named, or that names propose, in the order of the classes if those are told.

    None where there are none, or not as many as classes. labels are the names that rows have, besides the columns that
    have them. Raises BadInput for a softmax, and where a person named another number of classes.
    """
    given = looked.given
    if given.softmax:
        raise BadInput(
            "--softmax makes the chances of one class a row; of several labels each has its own, 1 / (1 + exp(-x)): "
            "make them before the import"
        )
    if given.no_scores:
        return None
    if given.scores is not None and not _in_cells(looked, given.scores):
        return _wide(looked, matching(looked, given.scores, besides), labels, classes)
    roles = ("scores", "confidence", "guess")
    cells = [name for role in roles for name in looked.names.columns(role) if name not in besides]
    for name in [given.scores] if given.scores is not None else filter(lambda name: _in_cells(looked, name), cells):
        facts = looked.facts[name]
        if classes is None or len(classes) == (count := len(facts.keys) or min(facts.lengths)):
            return of_cells(looked, name, classes)
        if given.classes is not None:
            raise BadInput(
                f"{name!r} has {count} scores in each cell, and --classes names {len(classes)} classes; name one for "
                "each, in their order, or leave the scores a column with --no-scores"
            )
        looked.notes.append(f"{name} has {count} scores, and there are {len(classes)} classes: it stays a column")
    for group in looked.names.groups:
        names = [name for name, _ in group if name not in besides and is_numbers(looked, name)]
        own = labels_of(names, labels) if len(names) > 1 else ()
        names = [names[place] for place in numbered_order(own) or range(len(names))]
        own = labels_of(names, labels) if own else ()
        if own and (labels <= set(own) or are_numbered(own)) and (classes is None or len(classes) == len(own)):
            return _wide(looked, names, labels, classes)
    return None


def _in_cells(looked: Looked, name: str) -> bool:
    return name in looked.facts and looked.facts[name].is_scores


def _wide(looked: Looked, names: Sequence[str], labels: set[str], classes: Sequence[str] | None) -> Found:
    """Scores in columns of their own."""
    own = labels_of(names, labels)
    names = [names[place] for place in order_of(own, classes)] if classes is not None else names
    scores = Scores(tuple(names), len(names), decimal_comma=looked.decimal_comma)
    for place, name in enumerate(names):
        if looked.is_text(name):
            looked.make(scores.column(place, name))
    return Found(scores, tuple(names), labels_of(names, labels))


def are_chances(looked: Looked, found: Found) -> bool:
    """Whether all scores lie between 0 and 1; those that are missing say nothing."""
    return all(
        ((scores_BxC >= 0) & (scores_BxC <= 1) | np.isnan(scores_BxC)).all() for scores_BxC in _of(looked, found)
    )


def _of(looked: Looked, found: Found) -> Iterator[NDArray[np.float32]]:
    for rows in looked.versions:
        if set(found.scores.sources) <= set(rows.schema.names):
            yield from map(found.scores.of, rows.batches(set(found.scores.sources)))


def guess_of(found: Found, names: Sequence[str] | None) -> Column:
    """The labels whose score is high enough, as a Recorder has them; none where a score is missing."""
    first = found.columns[0] if len(found.scores.sources) > 1 else found.scores.sources[0]
    kind = pa.list_(pa.int64() if names is None else pa.string())
    called = names if names is not None else range(len(found.labels))

    def make(batch: pa.RecordBatch) -> pa.Array:
        rows = [
            None
            if np.isnan(row).any()
            else sorted(called[place] for place in np.flatnonzero(row >= LABEL_FROM).tolist())
            for row in found.scores.of(batch)
        ]
        return pa.array(rows, kind)

    return Column(pa.field(f"{first} >= {LABEL_FROM}", kind), found.scores.sources, make)
