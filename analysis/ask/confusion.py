"""How often each truth was guessed as what, and what follows: margins, shares, the most common mistakes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil, sqrt
from typing import Any

MOST_DRAWN = 25  # classes of a matrix that are drawn

Counts = Mapping[tuple[Any, Any], int]
"""The number of rows of each (truth, guess)."""


@dataclass(frozen=True)
class Margins:
    """Of each label how many rows have it as their truth, how many as their guess, and how many as both."""

    all: Mapping[Any, int]
    guessed: Mapping[Any, int]
    right: Mapping[Any, int]

    @property
    def rows(self) -> int:
        """The number of rows."""
        return sum(self.all.values())

    @property
    def errors(self) -> int:
        """The number of rows whose guess is not their truth."""
        return self.rows - sum(self.right.values())

    def recall(self, label: Any) -> float | None:
        """The share of the label's rows that were guessed so; None where there are none."""
        return self.right[label] / self.all[label] if self.all[label] else None

    def precision(self, label: Any) -> float | None:
        """The share of the rows guessed so that are of the label; None where there are none."""
        return self.right[label] / self.guessed[label] if self.guessed[label] else None


def margins(counts: Counts, labels: Sequence[Any]) -> Margins:
    """The margins of a table of counts over these labels."""
    return Margins(
        all={label: sum(counts.get((label, other), 0) for other in labels) for label in labels},
        guessed={label: sum(counts.get((other, label), 0) for other in labels) for label in labels},
        right={label: counts.get((label, label), 0) for label in labels},
    )


def mistakes(counts: Counts) -> list[tuple[int, Any, Any]]:
    """What was guessed instead of what, (how often, truth, guess), the most common first."""
    triples = [(value, one, other) for (one, other), value in counts.items() if one != other and value]
    return sorted(triples, key=lambda mistake: -mistake[0])


def half(counts: Counts) -> int:
    """The number of most common mistakes that are half of all."""
    numbers = [value for value, _, _ in mistakes(counts)]
    return next((many for many in range(len(numbers)) if 2 * sum(numbers[:many]) >= sum(numbers)), len(numbers))


def most_mistaken(counts: Sequence[Counts], labels: Sequence[Any], most: int) -> list[Any]:
    """All labels, or of more than `most` those with most mistakes in all tables, in the order of labels."""
    if len(labels) <= most:
        return list(labels)
    number = dict.fromkeys(labels, 0)
    for value, one, other in (mistake for table in counts for mistake in mistakes(table)):
        number[one] += value
        number[other] += value
    chosen = set(sorted(labels, key=lambda label: -number[label])[:most])
    return [label for label in labels if label in chosen]


def by_similarity(counts: Sequence[Counts], labels: Sequence[Any]) -> list[Any]:
    """The labels so that those which are taken for each other most often stand beside each other, if they can.

    The most common confusions join their labels first, end to end; what is never confused comes last, in its own order.
    """
    number: dict[tuple[int, int], int] = {}
    place = {label: position for position, label in enumerate(labels)}
    for value, one, other in (mistake for table in counts for mistake in mistakes(table)):
        low, high = sorted((place[one], place[other]))
        number[low, high] = number.get((low, high), 0) + value
    chains = {position: [position] for position in range(len(labels))}
    for (one, other), _ in sorted(number.items(), key=lambda pair: (-pair[1], pair[0])):
        first, second = chains[one], chains[other]
        if first is second:
            continue
        # The ends that are confused come together: a chain is turned where its other end would.
        if first.index(one) < len(first) / 2:
            first.reverse()
        if second.index(other) >= len(second) / 2:
            second.reverse()
        first.extend(second)
        for position in second:
            chains[position] = first
    distinct = {id(chain): chain for chain in chains.values()}.values()
    in_order = sorted(distinct, key=lambda chain: (-len(chain), chain[0]))
    return [labels[position] for chain in in_order for position in chain]


def blocks(counts: Sequence[Counts], labels: Sequence[Any]) -> list[list[Any]]:
    """Labels in order of similarity, in about as many blocks as each has labels; in the last those never confused."""
    confused = {label for table in counts for _, *pair in mistakes(table) for label in pair}
    there = [label for label in labels if label in confused]
    size = max(1, ceil(sqrt(len(there))))
    parts = [list(there[start : start + size]) for start in range(0, len(there), size)]
    rest = [label for label in labels if label not in confused]
    return [*parts, rest] if rest else parts


def folded(counts: Counts, parts: Sequence[Sequence[Any]]) -> dict[tuple[int, int], int]:
    """How many mistakes lie between each two blocks, by their places: of the truth's, of the guess's."""
    place = {label: number for number, part in enumerate(parts) for label in part}
    sums: dict[tuple[int, int], int] = {}
    for value, one, other in mistakes(counts):
        key = place[one], place[other]
        sums[key] = sums.get(key, 0) + value
    return sums
