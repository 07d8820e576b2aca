"""When rows were predicted: at the end of an epoch, or at a step within it, as several validations of one epoch are."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import total_ordering
from typing import Any, Self

LAST_EPOCH = 2**31 - 1  # epochs are int32 in the files
LAST_STEP = 2**63 - 1

_SPELLED = re.compile(r"([0-9]{1,10})(?::([0-9]{1,19}))?")
_STEM = r"\d{5,}(?:-s\d{8,})?"
# What records and files are called for their moments, as a pattern: the first and the last, or the one.
SPAN = rf"{_STEM}(?:-{_STEM})?"


@total_ordering
@dataclass(frozen=True, eq=False)
class Moment:
    """An epoch, a whole number from 1, and perhaps a step within it, a whole number from 0; spelled `2` and `2:1500`.

    Without a step it is the end of the epoch, and comes after each step of it. Steps count as their loop counts them,
    within the epoch or over the training: they order the validations of one epoch and no others. A moment without a
    step equals the number of its epoch, so that what is kept by epoch is found by a number.
    """

    epoch: int
    step: int | None = None

    def __str__(self) -> str:
        return str(self.epoch) if self.step is None else f"{self.epoch}:{self.step}"

    def __hash__(self) -> int:
        return hash(self.epoch) if self.step is None else hash((self.epoch, self.step))

    def __eq__(self, other: object) -> bool:
        if isinstance(other, int) and not isinstance(other, bool):
            return self.step is None and self.epoch == other
        return isinstance(other, Moment) and self._order == other._order

    def __lt__(self, other: "Moment | int") -> bool:
        return self._order < (other._order if isinstance(other, Moment) else Moment(other)._order)

    @property
    def _order(self) -> tuple[int, bool, int]:
        return self.epoch, self.step is None, self.step or 0

    @property
    def stem(self) -> str:
        """What records and files are called for it, so that names in order are moments in order: `00002-s00001500`."""
        return f"{self.epoch:05d}" if self.step is None else f"{self.epoch:05d}-s{self.step:08d}"

    @property
    def plain(self) -> int | str:
        """The moment as JSON has it: the number of an epoch, or its spelling."""
        return self.epoch if self.step is None else str(self)

    @classmethod
    def of(cls, entry: Mapping[str, Any]) -> Self:
        """The moment of a record's entry or of a row, from its epoch and, where it has one, its step."""
        return cls(entry["epoch"], entry.get("step"))

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """The moment that is spelled so; None for any other text."""
        match = _SPELLED.fullmatch(text)
        if match is None:
            return None
        epoch, step = int(match[1]), None if match[2] is None else int(match[2])
        return cls(epoch, step) if epoch <= LAST_EPOCH and (step or 0) <= LAST_STEP else None
