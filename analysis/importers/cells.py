"""Cells of which W&B says what they are: media, times, decimal numbers, bytes."""

import re
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta, tzinfo
from decimal import Decimal, InvalidOperation
from typing import Any

import pyarrow as pa

from analysis.importers.columns import Column, Reading, Seen, media_column, said_besides
from analysis.importers.plain_cells import PlainSeen
from analysis.importers.wandb_types import ANY, WandbType

_DAY = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_EPOCH = datetime(1970, 1, 1)
_YEARS_NS = (-62_135_596_800_000_000_000, 253_402_300_800_000_000_000)  # the years 1 to 9999


def seen(kind: WandbType, reading: Reading, depth: int = 0) -> Seen:
    """The start of a column of which W&B says that kind."""
    match kind.kind:
        case "media":
            return _MediaSeen(kind.media, reading)
        case "timestamp":
            return _TimesSeen(reading)
        case "decimal":
            return _DecimalsSeen(reading)
        case "bytes":
            return _BytesSeen(reading)
        case _:
            return PlainSeen(kind, reading, depth, seen)


class _MediaSeen:
    """References to files of one kind."""

    def __init__(self, media: str, reading: Reading) -> None:
        self._media = media
        self._reading = reading
        self._besides: set[str] = set()

    def add(self, values: Sequence[Any]) -> None:
        there = [value for value in values if value is not None]
        self._reading.media_cells += len(there)
        self._besides |= said_besides(there)

    def column(self) -> Column:
        return media_column(self._media, self._reading, self._besides)


class _TimesSeen:
    """Dates and times: ISO text (the run's own file), or whole nanoseconds since 1970 (from NumPy, or an artifact)."""

    def __init__(self, reading: Reading) -> None:
        self._plain = PlainSeen(WandbType("timestamp"), reading, 0, seen)
        self._whole_days = True
        self._zones: set[bool] = set()
        self._bad = self._fine = False
        self._ends = (0, 0)

    def add(self, values: Sequence[Any]) -> None:
        self._plain.add(values)
        texts = [value for value in values if type(value) is str]
        numbers = [value for value in values if type(value) is int]
        try:
            self._zones.update(datetime.fromisoformat(text).tzinfo is not None for text in texts)
        except ValueError:
            self._bad = True
        self._whole_days = self._whole_days and all(map(_DAY.fullmatch, texts)) and not numbers
        if numbers:
            self._fine = self._fine or any(number % 1000 for number in numbers)
            self._ends = min(self._ends[0], *numbers), max(self._ends[1], *numbers)

    def column(self) -> Column:
        kinds = self._plain.kinds - {type(None)}
        apart = self._ends[0] < _YEARS_NS[0] or self._ends[1] >= _YEARS_NS[1]
        if self._bad or apart or not kinds <= {str, int}:
            return self._plain.column()
        if kinds == {str} and self._whole_days:
            return Column(pa.date32(), date.fromisoformat)
        if len(self._zones) > 1:
            note = "has times with and without a zone; kept as text"
            return Column(pa.string(), _moment_text, notes=[note])
        if kinds == {int} and self._fine and self._ends[0] >= -(1 << 63) and self._ends[1] < 1 << 63:
            return Column(pa.timestamp("ns"))
        if True in self._zones:
            return Column(pa.timestamp("us", "UTC"), lambda value: _moment(value, UTC))
        return Column(pa.timestamp("us"), _moment)


class _DecimalsSeen:
    """Decimal numbers: text (the run's own file) or floats (an artifact)."""

    def __init__(self, reading: Reading) -> None:
        self._plain = PlainSeen(WandbType("string"), reading, 0, seen)
        self._before = self._after = 0
        self._bad = False

    def add(self, values: Sequence[Any]) -> None:
        self._plain.add(values)
        for text in values:
            if type(text) is str and not self._bad:
                try:
                    digits, exponent = Decimal(text).as_tuple()[1:]
                except InvalidOperation:
                    self._bad = True
                    return
                if not isinstance(exponent, int):
                    self._bad = True
                    return
                self._before = max(self._before, len(digits) + exponent)
                self._after = max(self._after, -exponent)

    def column(self) -> Column:
        kinds = self._plain.kinds - {type(None)}
        if kinds == {str} and not self._bad and self._before + self._after <= 38:
            return Column(pa.decimal128(max(1, self._before + self._after), self._after), Decimal)
        if kinds <= {str, int, float} and float in kinds and not self._bad:
            return Column(pa.float64(), float, notes=["has decimal numbers, of which W&B kept some as floats"])
        return self._plain.column()


class _BytesSeen:
    """Bytes: lists of numbers (the run's own file)."""

    def __init__(self, reading: Reading) -> None:
        self._plain = PlainSeen(ANY, reading, 0, seen)
        self._bad = False

    def add(self, values: Sequence[Any]) -> None:
        self._plain.add(values)
        self._bad = self._bad or not all(_is_bytes(value) for value in values if value is not None)

    def column(self) -> Column:
        return self._plain.column() if self._bad else Column(pa.binary(), bytes)


def _moment(value: Any, zone: tzinfo | None = None) -> datetime:
    if isinstance(value, str):
        moment = datetime.fromisoformat(value)
        return moment if zone is None or moment.tzinfo else moment.replace(tzinfo=zone)
    return (_EPOCH + timedelta(microseconds=value // 1000)).replace(tzinfo=zone)


def _moment_text(value: Any) -> str:
    return value if isinstance(value, str) else _moment(value).isoformat()


def _is_bytes(value: Any) -> bool:
    return isinstance(value, list) and all(type(one) is int and 0 <= one < 256 for one in value)
