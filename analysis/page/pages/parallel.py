"""Runs as lines across axes, one for each key of the config, to their error rate: which settings go with few errors."""

import math
from collections.abc import Sequence
from typing import Any

from secondguess.analysis.ask import settings
from secondguess.analysis.ask.sweep import RunRow
from secondguess.analysis.page import urls

_MOST_AXES = 10
_MOST_VALUES = 14  # of a key that is text; of more the first are told apart, and the rest are one
_APART, _LEFT, _TOP, _HIGH = 150, 60, 30, 260  # pixels
_NONE = 24  # pixels below an axis: where a run has no such key
_BEST = 0.1  # the share of the runs that is drawn strong


def lines(rows: Sequence[RunRow], columns: Sequence[str]) -> dict[str, Any]:
    """The axes with their ticks, and a line for each run that has an error rate, the best ones last and strong."""
    judged = [row for row in rows if row["best_error_rate"] is not None]
    judged.sort(key=lambda row: -row["best_error_rate"])
    names = [*columns[:_MOST_AXES], "best_error_rate"]
    axes = [_Axis(name, place, judged) for place, name in enumerate(names)]
    strong = max(1, round(_BEST * len(judged)))
    return {
        "axes": axes,
        "lines": [
            {
                "points": " ".join(f"{axis.x},{axis.y(row.get(axis.name))}" for axis in axes),
                "best": place >= len(judged) - strong,
                "title": f"{row['run']}: {100 * row['best_error_rate']:.2f} %",
                "url": urls.run(row["run"]),
            }
            for place, row in enumerate(judged)
        ],
        "left": len(rows) - len(judged),
        "more": max(0, len(columns) - _MOST_AXES),
        "strong": strong,
        "wide": 2 * _LEFT + _APART * (len(axes) - 1) + 40,
        "high": _TOP + _HIGH + _NONE + 24,
        "top": _TOP,
        "foot": _TOP + _HIGH,
        "none": _TOP + _HIGH + _NONE,
    }


class _Axis:
    """One column's axis: numbers by size, by their logarithm where they span a hundredfold, anything else in order."""

    def __init__(self, name: str, place: int, rows: Sequence[RunRow]) -> None:
        self.name, self.x = name, _LEFT + place * _APART
        self.head = "best error rate" if name == "best_error_rate" else name
        there: list[Any] = [row[name] for row in rows if row.get(name) is not None]
        self._numbers = [float(value) for value in there if _is_number(value)]
        self._is_number = bool(there) and len(self._numbers) == len(there)
        self.lacks = len(there) < len(rows)
        if self._is_number:
            low, high = min(self._numbers), max(self._numbers)
            self.is_log = low > 0 and high / low >= 100
            self._ends = (self._scaled(low), self._scaled(high))
            values = sorted(set(self._numbers))
            shown = values if len(values) <= 6 else [low, *self._between(low, high), high]
            self.ticks = [(self.y(value), self._said(value)) for value in shown]
        else:
            self.is_log = False
            texts = sorted(dict.fromkeys(map(settings.text, there)))
            self._texts = {text: place for place, text in enumerate(texts[:_MOST_VALUES])}
            if len(texts) > _MOST_VALUES:
                self._texts |= dict.fromkeys(texts[_MOST_VALUES:], _MOST_VALUES)
            self._count = max(self._texts.values(), default=0)
            self.ticks = [(self._at(place), text) for text, place in self._texts.items() if place < _MOST_VALUES]
            if len(texts) > _MOST_VALUES:
                self.ticks.append((self._at(_MOST_VALUES), f"{len(texts) - _MOST_VALUES} others"))

    def y(self, value: Any) -> float:
        """The pixel of a value; below the axis where there is none."""
        if value is None:
            return _TOP + _HIGH + _NONE
        if not self._is_number:
            return self._at(self._texts.get(settings.text(value), 0))
        low, high = self._ends
        share = (self._scaled(float(value)) - low) / (high - low) if high > low else 0.5
        return round(_TOP + (1 - share) * _HIGH, 1)

    def _at(self, place: int) -> float:
        return round(_TOP + (place / self._count if self._count else 0.5) * _HIGH, 1)

    def _scaled(self, value: float) -> float:
        return math.log10(value) if self.is_log else value

    def _between(self, low: float, high: float) -> list[float]:
        if self.is_log:
            return [
                10.0**power for power in range(math.ceil(math.log10(low) + 0.3), math.floor(math.log10(high) + 0.7))
            ]
        return [low + (high - low) * part / 4 for part in (1, 2, 3)]

    def _said(self, value: float) -> str:
        return f"{100 * value:.3g} %" if self.name == "best_error_rate" else f"{value:.4g}"


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
