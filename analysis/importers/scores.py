"""Which columns, or which one, have the scores of the classes: names propose, all values decide."""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from secondguess.analysis.errors import BadInput, listing
from secondguess.analysis.importers.classes import Classes, as_text
from secondguess.analysis.importers.facts import kind_of
from secondguess.analysis.importers.hugging_face import class_labels
from secondguess.analysis.importers.looked import Looked
from secondguess.analysis.importers.shapes import Scores
from secondguess.analysis.importers.source import TableRows
from secondguess.analysis.importers.written import numbers
from secondguess.analysis.score_names import are_numbered, beginning, labels_of, numbered_order, order_of

_SLACK = 0.05  # as `oddities` has it: rounded scores still add up to 1 within that
_MOST = 0.5  # of the rows say what the scores are; the others are counted as odd
_NEARLY_ALL = 0.99
_OURS = re.compile(r"score_\d+")


@dataclass(frozen=True)
class Found:
    """The scores, the columns that they come in, and the classes' names in their order."""

    scores: Scores
    columns: tuple[str, ...]
    labels: tuple[str, ...]


@dataclass
class _Sums:
    """Of how many rows without a hole the scores are probabilities, logarithms of some, or highest for the guess."""

    rows: int = 0
    probable: int = 0
    logs: int = 0
    agreeing: int = 0
    guessed: int = 0

    def share(self, count: int) -> float:
        return count / self.rows if self.rows else 1.0


def found_scores(looked: Looked, guess: str | None, truth: str | None) -> Found | None:
    """The scores that a person named, or that names propose and values bear out; None where there are none."""
    if looked.given.no_scores:
        return None
    if looked.given.scores is not None:
        return _told(looked, looked.given.scores, guess, truth)
    for name in [one for role in ("scores", "confidence", "guess") for one in looked.names.columns(role)]:
        facts = looked.facts.get(name)
        if facts is None or name in (guess, truth):
            continue
        if facts.is_scores and (name in looked.names.columns("scores") or _is_probable(looked, name)):
            return _of_cells(looked, name)
        if facts.kind == "nested" and facts.is_nested and len(facts.lengths) > 1:
            shown = listing(sorted(facts.lengths), 4)
            looked.notes.append(f"{name} has lists of {shown} numbers, and scores are as many as classes: it stays")
    shares = [name for name in looked.names.columns("guess") if name in looked.facts and looked.facts[name].is_share]
    for members in [*([name for name, _ in group] for group in looked.names.groups), shares]:
        names = [name for name in members if is_numbers(looked, name) and name not in (guess, truth)]
        if len(names) > 1 and (found := _proposed(looked, names, guess, truth)) is not None:
            return found
    return _unnamed(looked, guess, truth) if looked.commands.strict else None


def guess_of(looked: Looked, scores: Found, truth: str | None) -> str:
    """The column, which is made, with the class of the highest score; raises BadInput where truths leave that open."""
    column = scores.scores.guess("highest score", _meant(looked, scores, truth))
    looked.make(column)
    looked.notes.append("no column has the guess: it is the class with the highest score")
    return str(column.field.name)


def _meant(looked: Looked, scores: Found, truth: str | None) -> Sequence[str | int]:
    """What the scores' classes are as labels, which are as the truths are: names, or numbers."""
    told = looked.given.classes or class_labels(looked.versions).get(truth or "")
    in_cells = scores.scores.keys is not None
    if told is not None and len(told) == len(scores.labels):
        by_place = dict(zip(order_of(scores.labels, told, in_cells=in_cells), told, strict=True))
        return [by_place[place] for place in range(len(told))]
    facts = looked.facts[truth] if truth is not None else None
    if scores.labels == _numbers(len(scores.labels)) and (facts is None or facts.is_whole):
        return list(range(len(scores.labels)))
    by_number = looked.classes is not None and looked.classes.by_number
    if facts is None or not (in_cells and facts.is_integer and looked.commands.strict) or by_number:
        return scores.labels
    names = sorted(scores.labels)
    orders = [names, names[::-1]] if len(names) == 2 else [names]
    raise BadInput(
        f"{truth!r} has numbers, and the scores name their classes in any order; say which is which: "
        + looked.commands.offer(*({"truth": truth, "classes": ",".join(order)} for order in orders))
    )


def in_order(looked: Looked, scores: Found | None) -> tuple[str, ...]:
    """The scores' columns in the order of the classes that a person or the file names, else as they come."""
    if scores is None:
        return ()
    named = looked.classes.names if looked.classes is not None else None
    classes = looked.given.classes or named or scores.labels
    in_cells = scores.scores.keys is not None
    return tuple(scores.columns[place] for place in order_of(scores.labels, classes, in_cells=in_cells))


def _numbers(count: int) -> tuple[str, ...]:
    return tuple(map(str, range(count)))


def add_up(looked: Looked, names: Sequence[str]) -> bool:
    """Whether the columns are probabilities that add up to 1 in nearly every row."""
    sums = _sums(looked, Scores(tuple(names), len(names), decimal_comma=looked.decimal_comma), names, None)
    return sums.rows > 0 and sums.share(sums.probable) >= _NEARLY_ALL


def _told(looked: Looked, pattern: str, guess: str | None, truth: str | None) -> Found:
    if pattern in looked.facts and looked.facts[pattern].is_scores:
        return _of_cells(looked, pattern)
    names = matching(looked, pattern, (guess, truth))
    scores = _wide(looked, names)
    labels = labels_of(names, _known(looked, guess, truth) or set())
    _say_logs(looked, names[0], _sums(looked, scores, labels, guess))
    return _taken(looked, scores, names, labels, guess, truth)


def matching(looked: Looked, pattern: str, besides: Collection[str | None]) -> list[str]:
    """The columns of numbers that fit a pattern; raises BadInput where none does."""
    names = [name for name in looked.fields if fnmatchcase(name, pattern) and is_numbers(looked, name)]
    names = [name for name in names if name not in besides]
    if not names:
        raise BadInput(f"no numeric column matches --scores {pattern!r}; the table has: {listing(list(looked.fields))}")
    return names


def is_numbers(looked: Looked, name: str) -> bool:
    """Whether a column has nothing but numbers."""
    facts = looked.facts.get(name)
    if facts is not None:
        return facts.is_number and facts.kind in {"text", "number"}
    return kind_of(looked.fields[name]) == "number"


def _wide(looked: Looked, names: Sequence[str]) -> Scores:
    return Scores(tuple(names), len(names), softmax=looked.given.softmax, decimal_comma=looked.decimal_comma)


def _is_probable(looked: Looked, name: str) -> bool:
    """Whether the cells of a column that is not called scores have probabilities."""
    facts = looked.facts[name]
    keys = list(facts.keys)
    scores = Scores((name,), len(keys) or min(facts.lengths), keys or None)
    sums = _sums(looked, scores, keys or [], None)
    return sums.rows > 0 and sums.share(sums.probable) >= _NEARLY_ALL


def _of_cells(looked: Looked, name: str) -> Found:
    found = of_cells(looked, name, looked.given.classes)
    _say_logs(looked, name, _sums(looked, found.scores, found.labels, None))
    if looked.facts[name].keys and found.labels != _numbers(len(found.labels)):
        looked.classes = Classes(found.labels, True, f"as {name} has them", by_number=are_numbered(found.labels))
    return found


def of_cells(looked: Looked, name: str, classes: Sequence[str] | None = None) -> Found:
    """Scores that stand in the cells of one column, by the classes that these name or by their places.

    They come in the order of classes that are named, else of numbers such as LABEL_1's; raises BadInput where the
    classes are others.
    """
    facts = looked.facts[name]
    keys = list(facts.keys)
    width = len(keys) or min(facts.lengths)
    if keys and classes is not None:
        keys = [keys[place] for place in order_of(keys, classes, in_cells=True)]
    elif keys:
        keys = [keys[place] for place in numbered_order(keys) or range(width)]
    scores = Scores((name,), width, keys or None, softmax=looked.given.softmax)
    labels = tuple(keys) or _numbers(width)
    columns = tuple(f"{name}_{label}" for label in labels)
    for place, column in enumerate(columns):
        looked.make(scores.column(place, column))
    looked.used.add(name)
    return Found(scores, columns, labels)


def _proposed(looked: Looked, names: list[str], guess: str | None, truth: str | None) -> Found | None:
    """The scores that these columns are, if the values say so."""
    scores, labels = _wide(looked, names), labels_of(names, _known(looked, guess, truth) or set())
    ours = all(_OURS.fullmatch(name) for name in names)
    if ours and not looked.commands.strict:  # a run of W&B's, whose scores are kept whatever they are
        return _taken(looked, scores, names, labels, guess, truth)
    sums = _sums(looked, scores, labels, guess)
    pattern = f"{beginning(names)}*"
    known = _known(looked, guess, truth)
    numbered = labels == _numbers(len(labels))
    are_classes = (
        numbered or known is None or not known or bool(known & set(labels)) or _by_number(looked, names, known)
    )
    agrees = sums.guessed > 0 and sums.agreeing / sums.guessed >= _MOST
    if are_classes and (sums.share(sums.probable) >= _MOST or sums.share(sums.logs) >= _MOST or agrees):
        _say_logs(looked, names[0], sums)
        return _taken(looked, scores, names, labels, guess, truth)
    if guess is None and are_classes and truth is not None and sums.rows:
        raise BadInput(
            f"{listing(names, 4)} are no probabilities (their rows do not add up to 1); say what they are: "
            + looked.commands.offer(
                {"scores": pattern, "truth": truth},
                {"scores": pattern, "truth": truth, "softmax": True},
                {"no_scores": True, "truth": truth},
            )
        )
    looked.notes.append(
        f"{listing(names, 4)} are no scores of classes, as their values show: they stay columns "
        f"(--scores '{pattern}' takes them all the same)"
    )
    return None


def _known(looked: Looked, guess: str | None, truth: str | None) -> set[str] | None:
    """The labels that there are, None where they are too many to know."""
    known: set[str] = set()
    for name in (guess, truth):
        if name in looked.facts:
            values = looked.facts[name].values
            if values is None:
                return None
            known |= values
    return known


def _by_number(looked: Looked, names: Sequence[str], known: set[str]) -> bool:
    """Whether the labels may be the numbers of the columns."""
    return known <= set(map(str, range(len(names))))


def _sums(looked: Looked, scores: Scores, labels: Sequence[str], guess: str | None) -> _Sums:
    sums = _Sums()
    plain = Scores(scores.sources, scores.width, scores.keys, decimal_comma=scores.decimal_comma)
    guess = guess if guess in looked.fields else None
    for rows in looked.versions:
        for batch in rows.batches({*scores.sources, *([guess] if guess else [])}):
            if not set(scores.sources) <= set(batch.schema.names):
                continue
            scores_BxC = plain.of(batch)
            with np.errstate(invalid="ignore"):  # infinities of both signs have no sum
                total = scores_BxC.sum(axis=1, dtype=np.float64)
            whole = np.isfinite(total)  # of float32s no sum is too large
            if not whole.all():
                scores_BxC, total = scores_BxC[whole], total[whole]
            _add(sums, scores_BxC, total)
            if guess is not None and guess in batch.schema.names:
                texts = as_text(batch.column(guess), batch.schema.field(guess))
                places = pc.index_in(texts, pa.array(list(labels), pa.string())).fill_null(-1).to_numpy()[whole]
                sums.guessed += int((places >= 0).sum())
                sums.agreeing += int(((places >= 0) & (scores_BxC.argmax(axis=1) == places)).sum())
    return sums


def _add(sums: _Sums, scores_BxC: NDArray[np.float32], total: NDArray[np.float64]) -> None:
    """Take the next rows, whose scores add up to total."""
    if not len(scores_BxC):
        return
    highest = scores_BxC.max(axis=1)
    sums.rows += len(scores_BxC)
    share = (scores_BxC.min(axis=1) >= 0) & (highest <= 1)
    sums.probable += int((share & (abs(total - 1) <= _SLACK)).sum())
    negative = highest <= 0
    if negative.any():
        raised = np.exp(scores_BxC[negative].astype(np.float64))
        sums.logs += int((abs(raised.sum(axis=1) - 1) <= _SLACK).sum())


def _say_logs(looked: Looked, name: str, sums: _Sums) -> None:
    """Say what scores are that are no probabilities; they stay what they are unless a person wants a softmax."""
    if looked.given.softmax or sums.share(sums.probable) >= _MOST:
        return
    what = "logarithms of probabilities" if sums.share(sums.logs) >= _MOST else "no probabilities (logits?)"
    looked.notes.append(
        f"the scores ({name}, …) are {what} and stay as they are; --softmax makes probabilities of them"
    )


def _taken(
    looked: Looked, scores: Scores, names: Sequence[str], labels: tuple[str, ...], guess: str | None, truth: str | None
) -> Found:
    for place, name in enumerate(names):
        if looked.given.softmax or looked.is_text(name):
            looked.make(scores.column(place, name))
    known = _known(looked, guess, truth)
    numbers_ = _numbers(len(labels))
    if labels != numbers_ and known and not known & set(labels) and _by_number(looked, names, known):
        looked.classes = Classes(labels, True, "as the scores are called; labels are their numbers", by_number=True)
    elif (labels != numbers_ and not all(label.isdecimal() for label in labels)) or labels != numbers_:
        looked.classes = Classes(labels, True, "as the scores are called")
    return Found(scores, tuple(names), labels)


def _unnamed(looked: Looked, guess: str | None, truth: str | None) -> Found | None:
    """Columns that are called as the classes are: by the labels, or by nothing but rows that add up to 1."""
    known = _known(looked, guess, truth) or set()
    spoken = {name for role in looked.names.by_role for name in looked.names.columns(role)}
    names = [
        name
        for name, facts in looked.facts.items()
        if name not in spoken and facts.some and is_numbers(looked, name) and facts.low >= 0 and facts.high <= 1
    ]
    called = {label.casefold() for label in known}
    by_label = [name for name in names if name.casefold() in called]
    ways = [by_label, names] if called <= {name.casefold() for name in names} else [by_label]
    for chosen in ways:
        if len(chosen) > 1 and any(looked.facts[name].fractions for name in chosen) and add_up(looked, chosen):
            return _called(looked, chosen, known, guess, truth)
    return None


def _called(looked: Looked, chosen: Sequence[str], known: set[str], guess: str | None, truth: str | None) -> Found:
    """The scores that stand in columns which are called as the classes are."""
    scores = _wide(looked, chosen)
    spelled = {label.casefold(): label for label in known}
    labels = tuple(spelled.get(name.casefold(), name) for name in chosen)
    looked.notes.append(f"{listing(chosen, 4)} add up to 1 in every row: they are the scores of the classes so called")
    found = _taken(looked, scores, chosen, labels, guess, truth)
    if labels != _numbers(len(labels)):
        looked.classes = Classes(labels, True, "as the scores are called")
    return found


def bounds_by(
    versions: Sequence[TableRows], guess: str, confidence: str, decimal_comma: bool
) -> dict[str, tuple[float, float]] | None:
    """The lowest and highest confidence of each guess; None where more than two are guessed."""
    bounds: dict[str, tuple[float, float]] = {}
    for rows in versions:
        for batch in rows.batches({guess, confidence}):
            if not {guess, confidence} <= set(batch.schema.names):
                continue
            texts = as_text(batch.column(guess), batch.schema.field(guess))
            values = batch.column(confidence)
            if not (pa.types.is_floating(values.type) or pa.types.is_integer(values.type)):
                values = numbers(as_text(values, batch.schema.field(confidence)), decimal_comma)
            if len(bounds) > 2:
                continue  # a reader that is left in the middle of a file may not end well
            for label in pc.unique(texts).drop_null().to_pylist():
                own = pc.min_max(values.filter(pc.equal(texts, label))).as_py()
                if own["min"] is not None:
                    low, high = bounds.get(label, (np.inf, -np.inf))
                    bounds[label] = (min(low, own["min"]), max(high, own["max"]))
    return bounds if len(bounds) <= 2 else None
