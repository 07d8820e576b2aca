"""Which epoch a logged table belongs to, from the history rows of its run."""

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from secondguess.analysis.schema import MIRROR_EPOCH
from secondguess.analysis.store.commits import Metric

EPOCH_KEY = "epoch"
# Where a row says the step of a validation within its epoch: as the mirror of a run of ours does, and Lightning.
_STEP_KEYS = ("step", "global_step", "trainer/global_step")
_MOST = 1 << 31


class _OurEpoch(float):
    """An epoch that a mirror of ours said in somebody else's run: it counts from 1, however that run does."""


@dataclass
class EpochClock:
    """The epochs of a run's history, in the order of its rows.

    `shift` is added to every epoch: 1 where the run counts from 0, so that epoch 1 is after the first pass. A run with
    fractions of epochs counts what it has finished, so there 0 is no epoch.
    """

    key: str = EPOCH_KEY
    last: float | None = None
    _smallest: float = math.inf
    _whole: bool = True

    def see(self, row: Mapping[str, Any]) -> float | None:
        """Take note of a row; returns its own epoch, None where it has none."""
        if isinstance(ours := row.get(MIRROR_EPOCH), int) and not isinstance(ours, bool) and 1 <= ours < _MOST:
            self.last = _OurEpoch(ours)
            return self.last
        value: Any = row
        for key in [self.key] if self.key in row else self.key.split("."):
            value = value.get(key) if isinstance(value, Mapping) else None
        if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < _MOST:
            return None
        self.last = value
        self._smallest = min(self._smallest, value)
        self._whole = self._whole and value == int(value)
        return value

    @property
    def shift(self) -> int:
        """What is added to every epoch."""
        return 1 if self._smallest == 0 and self._whole else 0

    def epoch(self, told: float | None) -> int | None:
        """The epoch that a row's value means; None for none, or one that is no whole number from 1."""
        if told is None or told != int(told):
            return None
        if isinstance(told, _OurEpoch):
            return int(told)
        shifted = int(told) + self.shift
        return shifted if 1 <= shifted < _MOST else None


@dataclass(frozen=True)
class Epochs:
    """The epochs of the versions of one table, in order, what to say about them, and the steps that tell them apart."""

    numbers: Sequence[int]
    notes: Sequence[str] = field(default=())
    steps: Sequence[int] | None = None


def step_in(row: Mapping[str, Any]) -> int | None:
    """The step within its epoch that a row says, a whole number from 0; None where it says none."""
    values = (row.get(key) for key in _STEP_KEYS)
    whole = (int(value) for value in values if isinstance(value, int | float) and 0 <= value < 1 << 53)
    return next(whole, None)


def assigned(
    key: str, told: Sequence[float | None], clock: EpochClock, steps: Sequence[int | None] | None = None
) -> Epochs:
    """The epoch of each version of a table, from what its own or the last earlier row says; else its ordinal from 1.

    Where two versions would get the same epoch, or a row's epoch is no whole number, all get ordinals, and a note; but
    where the rows that have them say their steps within these epochs, too, and so tell all apart, they are that.
    """
    ordinals = range(1, len(told) + 1)
    odd = [value for value in told if value is not None and clock.epoch(value) is None]
    if odd:
        note = f"the versions of {key!r} are numbered in order: {clock.key} {odd[0]:g} is no whole number from 0"
        return Epochs(ordinals, [note])
    known = [clock.epoch(value) for value in told]
    numbers = [ordinal if epoch is None else epoch for epoch, ordinal in zip(known, ordinals, strict=True)]
    if len(set(numbers)) < len(numbers):
        twice = next(number for number, times in Counter(numbers).items() if times > 1)
        whole = [step for step in steps or () if step is not None]
        if len(whole) == len(numbers) == len(set(zip(numbers, whole, strict=True))):
            return Epochs(numbers, [f"{key!r} has several versions in epoch {twice}, told apart by their step"], whole)
        note = f"the versions of {key!r} are numbered in order: {clock.key} {twice} would belong to more than one"
        return Epochs(ordinals, [note])
    without = known.count(None)
    if without and clock.last is not None:
        return Epochs(
            numbers, [f"{without} of the versions of {key!r} come before any {clock.key}; they have their ordinal"]
        )
    return Epochs(numbers)


TABLES = {"table-file", "incremental-table-file", "joined-table", "partitioned-table"}
_OF_WANDB = {"_step", "_timestamp", "_runtime", "_wandb"}
_DEEPEST = 50


def tables_in(values: Mapping[str, Any], outer: str = "", depth: int = 0) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield (key, value) of each table in a row; keys of nested ones are joined by dots, those in lists by position."""
    for key, value in values.items():
        parts = value
        if isinstance(value, list) and value and isinstance(value[0], dict):
            parts = {str(index): one for index, one in enumerate(value)}
        if not isinstance(parts, dict):
            continue
        if str(parts.get("_type")) in TABLES:
            yield f"{outer}{key}", parts
        elif "_type" not in parts and depth < _DEEPEST:
            yield from tables_in(parts, f"{outer}{key}.", depth + 1)


def metrics_in(step: int | None, values: Mapping[str, Any], clock: EpochClock) -> Iterator[Metric]:
    """Yield the numbers of a row as metrics, with the epoch that the row itself names; nested names get dots."""
    epoch = clock.epoch(clock.see(values))
    for name, value in _numbers(values):
        if name not in {*_OF_WANDB, MIRROR_EPOCH} and (name != clock.key or epoch is None):
            yield step, epoch, name, value


def _numbers(values: Mapping[str, Any], outer: str = "", depth: int = 0) -> Iterator[tuple[str, float]]:
    for key, value in values.items():
        if isinstance(value, bool | int | float):
            try:
                yield f"{outer}{key}", float(value)
            except OverflowError:
                continue
        elif isinstance(value, dict) and "_type" not in value and depth < _DEEPEST:
            yield from _numbers(value, f"{outer}{key}.", depth + 1)
