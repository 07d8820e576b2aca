"""How often each truth was guessed as what, and what follows: margins, shares, the most common mistakes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
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
