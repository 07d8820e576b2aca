"""Which score is of which class, by what the scores are called."""

import re
from collections.abc import Sequence

from secondguess.analysis.errors import BadInput, listing

_NUMBERED = re.compile(r"(\D*)(\d{1,9})")


def labels_of(names: Sequence[str], known: set[str]) -> tuple[str, ...]:
    """Which labels the columns are called as, as those that are known spell it, else what each name has for itself."""
    spelled = {**{_plain(label): label for label in sorted(known)}, **{label: label for label in known}}
    before = len(beginning(list(names)))
    after = len(beginning([name[before:][::-1] for name in names]))
    own = [name[before : len(name) - after] for name in names]
    # What all begin or end with is cut where a word ends: `prob_cat` and `prob_car` are cat and car.
    while before and (names[0][before - 1].isalpha() and not all(one[:1].isdecimal() for one in own)):
        before -= 1
        own = [name[before : len(name) - after] for name in names]
    while after and names[0][len(names[0]) - after].isalpha() and not all(one[-1:].isdecimal() for one in own):
        after -= 1
        own = [name[before : len(name) - after] for name in names]
    own = [one.strip(" _-.") if after else one for one in own]
    cuts = ((start, end) for start in range(before, -1, -1) for end in (after, 0))
    ways = ([name[start : len(name) - end] for name in names] for start, end in cuts)
    # Labels may begin or end alike themselves: `class_a` and `class_b`.
    own = next((way for way in ways if all(_plain(one) in spelled for one in way)), own)
    return tuple(spelled.get(one) or spelled.get(_plain(one), one) for one in own)


def _plain(label: str) -> str:
    return label.casefold().replace("_", " ")


def order_of(labels: Sequence[str], classes: Sequence[str], *, in_cells: bool = False) -> list[int]:
    """The places of scores, which are called so, in the order of the classes that are named.

    By the names of both, else by the scores' numbers, else as they come, which is the order of columns. Raises BadInput
    where some scores alone are called as classes are, or where cells, which come in any order, name other classes.
    """
    own, told, count = list(labels), list(classes), len(labels)
    if len(told) != count or own == told:
        return list(range(count))
    for _ in range(2):  # as they are spelled, else in whatever case
        if sorted(own) == sorted(told) and len(set(own)) == count:
            return [own.index(name) for name in told]
        own, told = ([name.casefold() for name in names] for names in (own, told))
    if (order := numbered_order(own)) is not None:
        return order
    if in_cells or set(own) & set(told):
        raise BadInput(
            f"what is called {listing(labels, 4)} cannot be put in the order of the classes {listing(classes, 4)}; "
            "name both alike"
        )
    return list(range(count))


def numbered_order(labels: Sequence[str]) -> list[int] | None:
    """The places of labels such as LABEL_2 in the order of their numbers; None where they are called otherwise."""
    numbers = _numbers(labels)
    if numbers is None or len(set(numbers)) < len(numbers):
        return None
    return sorted(range(len(numbers)), key=numbers.__getitem__)


def are_numbered(labels: Sequence[str]) -> bool:
    """Whether labels are called 0, 1, … or LABEL_0, LABEL_1, …: by the places of their classes, and by nothing else."""
    return _numbers(labels) == list(range(len(labels)))


def _numbers(labels: Sequence[str]) -> list[int] | None:
    matches = [_NUMBERED.fullmatch(label) for label in labels]
    if len({match[1] if match is not None else None for match in matches}) != 1:
        return None
    return [int(match[2]) for match in matches if match is not None] or None


def beginning(names: Sequence[str]) -> str:
    """What all names begin with, letter by letter."""
    first, last = min(names), max(names)
    return next((first[:at] for at, letter in enumerate(first) if letter != last[at : at + 1]), first)
