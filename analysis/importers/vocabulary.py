"""Guesses and truths in one vocabulary and of one type, as all their values say."""

from collections.abc import Sequence

import pyarrow as pa

from secondguess.analysis.errors import BadInput, listing
from secondguess.analysis.importers import readings, shapes
from secondguess.analysis.importers.classes import Classes
from secondguess.analysis.importers.hugging_face import class_labels
from secondguess.analysis.importers.looked import Looked
from secondguess.analysis.importers.scores import bounds_by

_HALF = 0.5
_TWO = 2


def met(looked: Looked, guess: str | None, truth: str | None) -> tuple[str | None, str | None]:
    """Guess and truth in one vocabulary and type."""
    _typed(looked, guess, truth)
    if looked.given.classes is not None or (looked.classes is not None and looked.classes.by_number):
        for name in (guess, truth):
            facts = looked.facts.get(name or "")
            if name and facts and facts.is_integer and name not in looked.made and looked.is_text(name):
                looked.make(shapes.number(name, pa.int64(), False))  # a number among names is the place of one
    if _class_names(looked, [name for name in (guess, truth) if name is not None and name in looked.facts]):
        return guess, truth
    if guess not in looked.facts or truth not in looked.facts or guess is None or truth is None:
        return guess, truth
    one, other = looked.facts[guess], looked.facts[truth]
    explicit = looked.given.guess is not None and looked.given.truth is not None
    if readings.is_regression(one, other):
        return _on_a_line(looked, guess, truth)
    if readings.meet(one, other) or not (one.some and other.some):
        if (meant := readings.respelled(one, other)) is not None and guess not in looked.made:
            looked.make(shapes.relabelled(guess, meant.labels, pa.string()))
            looked.notes.append(meant.said)
        return guess, truth
    if one.is_number and one.fractions and readings.is_binary(other) and not explicit:
        raise BadInput(
            f"{guess} goes from {one.low:g} to {one.high:g} and {truth} is 0 or 1; say from where on it means 1: "
            + looked.commands.offer(*({"guess": f"{guess} >= {bound}", "truth": truth} for bound in ("0", "0.5")))
        )
    if (meant := readings.reading(one, other)) is not None:
        column = guess if meant.of == "guess" else truth
        whole = all(isinstance(label, int) for label in meant.labels.values())
        looked.make(shapes.relabelled(column, meant.labels, pa.int64() if whole else pa.string()))
        if whole:
            rest = truth if column == guess else guess
            if looked.facts[rest].kind != "number":
                looked.make(shapes.number(rest, pa.int64(), False))
        looked.notes.append(meant.said)
        return guess, truth
    _ask_or_say(looked, guess, truth, explicit)
    return guess, truth


def asked_line(looked: Looked, guess: str | None, truth: str | None) -> tuple[str, str | None]:
    """Guess and truth on a line, as a person says they are; raises BadInput where there is none, or another value."""
    given = looked.given
    if given.classes or given.scores or given.softmax or given.right or given.confidence:
        raise BadInput("--regression is of numbers, without classes, scores, confidence or verdicts; leave one out")
    if guess is None:
        raise BadInput("--regression is of guesses that are numbers, and there are none; name them with --guess COLUMN")
    for name in [guess] if truth is None else [guess, truth]:
        facts = looked.facts.get(name)
        if facts is None or not facts.is_number:
            values = listing(sorted(facts.values), 3) if facts is not None and facts.values else "other values"
            raise BadInput(f"--regression is of numbers, and column {name!r} has {values}")
    return _on_a_line(looked, guess, truth)


def _on_a_line(looked: Looked, guess: str, truth: str | None) -> tuple[str, str | None]:
    for name in [guess] if truth is None else [guess, truth]:
        looked.make(shapes.number(name, pa.float64(), looked.decimal_comma))
    both = f"{guess} and {truth}" if truth is not None else f"the values of {guess}"
    looked.notes.append(
        f"{both} are numbers on a line, not classes: a table of regression, in which none is right or wrong"
    )
    return guess, truth


def _class_names(looked: Looked, labels: Sequence[str]) -> bool:
    """Names that the file itself gives for the numbers of guess and truth, those of them that there are."""
    named = class_labels(looked.versions)
    names = next((named[label] for label in labels if label in named), None)
    if names is None or looked.given.classes is not None:
        return False
    numbered = [name for name in labels if looked.facts[name].is_integer]
    if not numbered or any(looked.facts[name].kind != "text" for name in {*labels} - {*numbered}):
        return False
    for column in numbered:
        own = {str(place): name for place, name in enumerate(named.get(column) or names)}
        looked.make(shapes.relabelled(column, {**own, "-1": None}, pa.string()))
    looked.classes = Classes(tuple(names), True, "as the file's ClassLabel names them")
    return True


def _ask_or_say(looked: Looked, guess: str, truth: str, explicit: bool) -> None:
    """Say that guesses and truths never meet; stop where names for the numbers would settle it."""
    one, other = looked.facts[guess], looked.facts[truth]
    assert one.values is not None
    assert other.values is not None
    said = f"no {guess} is ever a {truth} ({listing(sorted(one.values), 4)} against {listing(sorted(other.values), 4)})"
    if looked.given.classes is not None:
        return
    names = readings.class_orders(one, other)
    if names is None or explicit or not looked.commands.strict:
        are_numbers = one.is_number and other.is_number
        way = "--regression takes them for numbers" if are_numbers else "--classes names the classes of numbers"
        looked.notes.append(f"{said}, so every labelled row is an error; {way}")
        return
    orders = [names, names[::-1]] if len(names) == 2 else [names]
    ways: list[dict[str, str | bool | None]] = [
        {"guess": guess, "truth": truth, "classes": ",".join(order)} for order in orders
    ]
    raise BadInput(
        f"{said}; name the classes in the order of their numbers, or (the last) keep them as they are: "
        + looked.commands.offer(*ways, {"guess": guess, "truth": truth})
    )


def _typed(looked: Looked, guess: str | None, truth: str | None) -> None:
    """Labels that are whole numbers in every row, of both, are numbers; all others stay as they are written."""
    there = [name for name in (guess, truth) if name in looked.facts and name not in looked.made]
    facts = [looked.facts[name] for name in there if name is not None]
    if not facts or not all(one.kind in {"text", "number"} for one in facts):
        return
    texts = [name for name in there if name is not None and looked.facts[name].kind == "text" and looked.is_text(name)]
    if all(one.is_integer or one.kind == "number" for one in facts):
        for name in texts:
            looked.make(shapes.number(name, pa.int64(), False))
    elif all(one.is_whole and one.some for one in facts):
        for name in there:
            if name is not None:
                looked.make(shapes.number(name, pa.int64(), False))
        looked.notes.append(f"labels such as 1.0 in {listing([name for name in there if name])} are read as 1")


def sure_of_one(looked: Looked, guess: str, truth: str | None, confidence: str) -> tuple[str | int, str | int] | None:
    """The two guesses where the confidence is always that of the second: low where the first is guessed.

    With a third class among the truths, or where a person says that it is the guess's, it is the guess's.
    """
    if guess not in looked.facts or looked.facts[confidence].low >= _HALF or looked.given.confidence is not None:
        return None
    true, guessed = looked.facts.get(truth or ""), looked.facts[guess]
    if true is not None and (true.values is None or len(true.values | (guessed.values or set())) > _TWO):
        return None
    bounds = bounds_by(looked.versions, guess, confidence, looked.decimal_comma)
    if bounds is None or len(bounds) != 2:
        return None
    (first, low), (second, high) = sorted(bounds.items(), key=lambda one: one[1])
    if low[1] > high[0] or low[1] >= _HALF > high[1]:
        return None
    looked.made.pop(confidence, None)
    looked.notes.append(f"{confidence} is low where {guess} is {first}: it is taken for the probability of {second}")
    return first, second
