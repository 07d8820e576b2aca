"""How guesses and truths that have no value in common are meant: what one vocabulary says in the words of the other."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from secondguess.analysis.importers.facts import Facts

_NUMBERED = re.compile(r"(.*?\D)(0|[1-9]\d{0,8})")
_PAIRS = (("false", "true"), ("no", "yes"), ("n", "y"), ("f", "t"), ("neg", "pos"), ("negative", "positive"))
_FEW = 20
_TWO = 2


@dataclass(frozen=True)
class Reading:
    """What each value of the guesses, or of the truths, means in the words of the other, and how to say that."""

    of: str
    labels: Mapping[str, str | int]
    said: str


def meet(guess: Facts, truth: Facts) -> bool:
    """Whether some guess is a truth, as they are written; also where they are too many to tell."""
    if guess.values is None or truth.values is None or not guess.values or not truth.values:
        return True
    return not guess.values.isdisjoint(truth.values)


def is_binary(truth: Facts) -> bool:
    """Whether the truths are 0 and 1 only."""
    return truth.some and truth.values is not None and truth.values <= {"0", "1", "0.0", "1.0"}


def sides(truth: Facts) -> tuple[str, str] | None:
    """The two labels of a truth whose order their names tell: the negative one, the positive one."""
    if truth.values is None or len(truth.values) > 2:
        return None
    by_name = {_plain(value): value for value in truth.values}
    for no, yes in _PAIRS:
        if by_name and set(by_name) <= {no, yes} and len(by_name) == len(truth.values):
            style = next(iter(truth.values))
            return tuple(by_name.get(name, _styled(name, style)) for name in (no, yes))  # type: ignore[return-value]
    return None


def _styled(name: str, like: str) -> str:
    return name.upper() if like.isupper() and len(like) > 1 else name.title() if like[:1].isupper() else name


def is_regression(guess: Facts, truth: Facts) -> bool:
    """Whether both are numbers on a line and no names: fractions in both, or in one against more numbers than a few.

    Against a few, as stars from 1 to 5, fractions that leave 0 to 1 are numbers, too, unless the few are two classes.
    """
    if not (guess.is_number and truth.is_number and guess.some and truth.some):
        return False
    if guess.fractions and truth.fractions:
        return True
    parts, other = (guess, truth) if guess.fractions else (truth, guess)
    if not parts.fractions:
        return False
    if other.values is None or len(other.values) > _FEW:
        return True
    return len(other.values) > _TWO and not parts.is_share


def are_many_numbers(guess: Facts, truth: Facts) -> bool:
    """Whether both are whole numbers, and more of them than a few, as classes have and amounts have, too."""
    both = (guess, truth)
    return all(one.some and one.is_integer and (one.values is None or len(one.values) > _FEW) for one in both)


def reading(guess: Facts, truth: Facts) -> Reading | None:
    """The one reading by which guesses and truths have values in common; None where there is none, or no need."""
    if guess.values is None or truth.values is None:
        return None
    for one, other, of, what in ((guess, truth, "guess", "truth"), (truth, guess, "truth", "guess")):
        assert one.values is not None
        assert other.values is not None
        if (labels := _numbered(one.values, other.values)) is not None:
            shown = next(iter(sorted(one.values)))
            return Reading(of, labels, f"a {of} such as {shown!r} is read as {labels[shown]!r}, as the {what}s are")
    labels = _spelled(guess.values, truth.values)
    if labels is not None:
        changed = {old: new for old, new in labels.items() if old != new}
        shown = ", ".join(f"{old!r} as {new!r}" for old, new in sorted(changed.items())[:3])
        return Reading("guess", labels, f"guesses are read as the truths are spelled: {shown}")
    for one, other, of in ((guess, truth, "guess"), (truth, guess, "truth")):
        assert other.values is not None
        pair = sides(one)
        if pair is not None and other.values <= {"0", "1"}:
            return Reading(of, {pair[0]: 0, pair[1]: 1}, f"{pair[0]} and {pair[1]} of the {of} are read as 0 and 1")
    return None


def _numbered(values: set[str], others: set[str]) -> dict[str, str | int] | None:
    """LABEL_1 as 1, where all values are numbered so and the others are numbers."""
    matches = {value: _NUMBERED.fullmatch(value) for value in values}
    if not values or not all(matches.values()) or len({match[1] for match in matches.values() if match}) != 1:
        return None
    if not all(any(map(str.isalpha, match[1])) for match in matches.values() if match):
        return None
    if not all(other.isdecimal() for other in others):
        return None
    return {value: int(match[2]) for value, match in matches.items() if match}


def _spelled(values: set[str], others: set[str]) -> dict[str, str | int] | None:
    """Values that differ from the others in case and spaces only, if that tells one from another."""
    plain = {_plain(other): other for other in others}
    if len(plain) < len(others) or len({_plain(value) for value in values}) < len(values):
        return None
    labels: dict[str, str | int] = {value: plain.get(_plain(value), value) for value in values}
    return labels if any(_plain(value) in plain for value in values) else None


def respelled(guess: Facts, truth: Facts) -> Reading | None:
    """The guesses that are no truth but for their case and spaces, where others are; None where there are none."""
    if guess.values is None or truth.values is None:
        return None
    plain = {_plain(one): one for one in truth.values}
    if len(plain) < len(truth.values) or guess.is_number:
        return None
    labels: dict[str, str | int] = {
        value: plain[_plain(value)] for value in guess.values - truth.values if _plain(value) in plain
    }
    if not labels:
        return None
    shown = ", ".join(f"{old!r} as {new!r}" for old, new in sorted(labels.items())[:3])
    return Reading("guess", labels, f"guesses are read as the truths are spelled: {shown}")


def _plain(value: str) -> str:
    return re.sub(r"[\s_-]+", " ", value.strip()).casefold()


def class_orders(guess: Facts, truth: Facts) -> Sequence[str] | None:
    """The names where one of both has names and the other numbers from 0 that are fewer; else None."""
    for named, numbered in ((guess, truth), (truth, guess)):
        if named.values and numbered.values and not named.is_number and numbered.is_integer:
            highest = max(int(value) for value in numbered.values)
            if min(int(value) for value in numbered.values) >= 0 and highest < max(len(named.values), 2):
                return sorted(named.values)
    return None
