"""Cells of which W&B says what they are: media, times, decimal numbers, bytes."""

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta, tzinfo
from decimal import Decimal, InvalidOperation
from itertools import chain
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from secondguess.analysis.importers.source import MEDIA
from secondguess.analysis.importers.wandb.table.columns import (
    AS_JSON,
    Convert,
    Reading,
    Seen,
    TableColumn,
    as_json,
    media_column,
    said_besides,
)
from secondguess.analysis.importers.wandb.table.types import ANY, LOST, MEDIA_WORDS, WandbType, is_media
from secondguess.analysis.importers.wandb.unicode import is_unicode, whole_text
from secondguess.analysis.schema import folded

_DEEPEST = 16
_MOST_FIELDS = 256
_EXACT = 1 << 53
_EMPTY = {"number": pa.float64(), "string": pa.string(), "boolean": pa.bool_(), "timestamp": pa.timestamp("us")}
_NAMES = {bool: "booleans", int: "whole numbers", float: "numbers", str: "text", list: "lists", dict: "dicts"}

Start = Callable[[WandbType, Reading, int], Seen]
"""Begins a part of a value: its type, what the reading shares, how deep it lies."""


class PlainSeen:
    """Values as JSON has them; one type that holds them all without loss, or else JSON text."""

    def __init__(self, kind: WandbType, reading: Reading, depth: int, start: Start) -> None:
        self._kind = kind
        self._reading = reading
        self._depth = depth
        self._start = start
        self.kinds: set[type] = set()
        self._low = self._high = 0
        self._inexact = self._torn = False
        self._words: set[str] = set()
        self._media: set[str] = set()
        self._media_cells = self._texts = 0
        self._not_media = False
        self._besides: set[str] = set()
        self._items: Seen | None = None
        self._fields: dict[str, Seen] = {}

    def add(self, values: Sequence[Any]) -> None:
        """Take note of a batch."""
        kinds = set(map(type, values))
        self.kinds |= kinds
        if int in kinds:
            self._add_numbers([value for value in values if type(value) is int])
        if str in kinds:
            self._add_texts([value for value in values if type(value) is str])
        if list in kinds and self._depth < _DEEPEST:
            lists = [value for value in values if type(value) is list]
            if self._items is None:
                self._items = self._start(self._kind.element or ANY, self._reading, self._depth + 1)
            self._items.add(list(chain.from_iterable(lists)))
        if dict in kinds and self._depth < _DEEPEST:
            self._add_dicts([value for value in values if type(value) is dict])

    def add_array(self, values: pa.Array) -> None:
        """Take note of a batch that is a `plain_array`."""
        if len(values) == values.null_count:
            return
        if pa.types.is_boolean(values.type):
            self.kinds.add(bool)
        elif pa.types.is_floating(values.type):
            self.kinds.add(float)
        elif pa.types.is_integer(values.type):
            self.kinds.add(int)
            ends = pc.min_max(values).as_py()
            beyond = ends["min"] < -_EXACT or ends["max"] > _EXACT
            self._add_numbers(values.drop_null().to_pylist() if beyond else list(ends.values()))
        else:
            self.kinds.add(str)
            self._texts += len(values) - values.null_count
            if len(self._words) < 2:
                self._words.update(values.drop_null().unique()[:2].to_pylist())

    def _add_numbers(self, numbers: list[int]) -> None:
        low, high = min(numbers), max(numbers)
        self._low, self._high = min(self._low, low), max(self._high, high)
        if low < -_EXACT or high > _EXACT:
            self._inexact = self._inexact or any(not _is_double(number) for number in numbers)

    def _add_texts(self, texts: list[str]) -> None:
        self._texts += len(texts)
        if len(self._words) < 2:
            self._words.update(texts)
        if not self._torn:
            self._torn = not is_unicode("".join(texts))

    def _add_dicts(self, dicts: list[dict[str, Any]]) -> None:
        media = [value for value in dicts if is_media(value)] if self._kind.kind == "any" else []
        self._media.update(str(value["_type"]).removesuffix("-file") for value in media)
        self._media_cells += len(media)
        self._besides |= said_besides(media)
        if len(media) == len(dicts):
            return
        self._not_media = True
        for key in dict.fromkeys(chain.from_iterable(dicts)):
            if key not in self._fields:
                if len(self._fields) > _MOST_FIELDS:
                    return
                kind = self._kind.fields.get(key, ANY)
                self._fields[key] = self._start(kind, self._reading, self._depth + 1)
            self._fields[key].add([value.get(key) for value in dicts])

    def column(self) -> TableColumn:
        """The column that holds all that was seen; JSON text where no type does."""
        kinds = self.kinds - {type(None)}
        if not kinds:
            return TableColumn(_EMPTY.get(self._kind.kind, pa.null()))
        if kinds == {bool}:
            return TableColumn(pa.bool_())
        if kinds == {int} and self._low >= -(1 << 63) and self._high < 1 << 63:
            return TableColumn(pa.int64())
        if kinds <= {int, float} and float in kinds and not self._inexact:
            # Arrow itself takes no whole number beyond 2^53 as a double, though it is one.
            return TableColumn(pa.float64(), None if max(-self._low, self._high) <= _EXACT else float)
        if kinds == {str}:
            return self._text()
        if kinds == {list} and self._items is not None:
            return self._list(self._items.column())
        if kinds == {dict} and len(self._media) == 1 and not self._not_media:
            self._reading.media_cells += self._media_cells
            return media_column(next(iter(self._media)), self._reading, self._besides)
        if kinds == {dict} and not self._media and are_columns(self._fields):
            return self._struct({key: cells.column() for key, cells in self._fields.items()})
        return TableColumn(pa.string(), as_json, AS_JSON, [self._why(kinds)])

    def _text(self) -> TableColumn:
        if self._words <= self._reading.lost_words and len(self._words) == 1:
            (word,) = self._words
            self._reading.media_cells += self._texts
            note = f"has nothing but the word {word}, which W&B leaves of media that it keeps elsewhere; read as NULL"
            media = media_column(MEDIA_WORDS[word][0], self._reading)
            return TableColumn(MEDIA, lambda _: media.convert and media.convert(LOST), media.metadata, [note], True)
        if self._torn:
            return TableColumn(
                pa.string(), whole_text, notes=["has characters that are not Unicode; they are replaced"]
            )
        return TableColumn(pa.string())

    def _list(self, item: TableColumn) -> TableColumn:
        convert = _each(item.convert) if item.convert else None
        return TableColumn(pa.list_(item.field("item")), convert, notes=item.notes, loads=item.loads)

    def _struct(self, parts: dict[str, TableColumn]) -> TableColumn:
        converts = {key: part.convert for key, part in parts.items() if part.convert}
        return TableColumn(
            pa.struct([part.field(key) for key, part in parts.items()]),
            _values(converts) if converts else None,
            notes=[note for part in parts.values() for note in part.notes],
            loads=any(part.loads for part in parts.values()),
        )

    def _why(self, kinds: set[type]) -> str:
        if kinds == {int}:
            why = "has whole numbers beyond 64 bits"
        elif kinds == {int, float}:
            why = "has fractions beside whole numbers beyond 2^53"
        elif len(kinds) > 1:
            why = "mixes " + ", ".join(name for kind, name in _NAMES.items() if kind in kinds)
        else:
            why = "has values that are too deep, too unlike each other or too empty for a type of their own"
        kept = " (media only by their names)" if self._media else ""
        return f"{why}; kept as JSON text{kept}"


def _each(convert: Convert) -> Convert:
    return lambda values: [None if value is None else convert(value) for value in values]


def _values(converts: Mapping[str, Convert]) -> Convert:
    def converted(values: dict[str, Any]) -> dict[str, Any]:
        pairs = ((key, values.get(key), convert) for key, convert in converts.items())
        return values | {key: None if value is None else convert(value) for key, value, convert in pairs}

    return converted


def are_columns(names: Mapping[str, Any], most: int = _MOST_FIELDS) -> bool:
    """Whether the keys of dicts can be the fields of a struct, in DuckDB too, where case does not count."""
    fit = 0 < len(names) <= most and len(set(map(folded, names))) == len(names)
    return fit and all(name and is_unicode(name) for name in names)


def _is_double(number: int) -> bool:
    try:
        return int(float(number)) == number
    except OverflowError:
        return False


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

    def column(self) -> TableColumn:
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

    def column(self) -> TableColumn:
        kinds = self._plain.kinds - {type(None)}
        apart = self._ends[0] < _YEARS_NS[0] or self._ends[1] >= _YEARS_NS[1]
        if self._bad or apart or not kinds <= {str, int}:
            return self._plain.column()
        if kinds == {str} and self._whole_days:
            return TableColumn(pa.date32(), date.fromisoformat)
        if len(self._zones) > 1:
            note = "has times with and without a zone; kept as text"
            return TableColumn(pa.string(), _moment_text, notes=[note])
        if kinds == {int} and self._fine and self._ends[0] >= -(1 << 63) and self._ends[1] < 1 << 63:
            return TableColumn(pa.timestamp("ns"))
        if True in self._zones:
            return TableColumn(pa.timestamp("us", "UTC"), lambda value: _moment(value, UTC))
        return TableColumn(pa.timestamp("us"), _moment)


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

    def column(self) -> TableColumn:
        kinds = self._plain.kinds - {type(None)}
        if kinds == {str} and not self._bad and self._before + self._after <= 38:
            return TableColumn(pa.decimal128(max(1, self._before + self._after), self._after), Decimal)
        if kinds <= {str, int, float} and float in kinds and not self._bad:
            return TableColumn(pa.float64(), float, notes=["has decimal numbers, of which W&B kept some as floats"])
        return self._plain.column()


class _BytesSeen:
    """Bytes: lists of numbers (the run's own file)."""

    def __init__(self, reading: Reading) -> None:
        self._plain = PlainSeen(ANY, reading, 0, seen)
        self._bad = False

    def add(self, values: Sequence[Any]) -> None:
        self._plain.add(values)
        self._bad = self._bad or not all(_is_bytes(value) for value in values if value is not None)

    def column(self) -> TableColumn:
        return self._plain.column() if self._bad else TableColumn(pa.binary(), bytes)


def _moment(value: Any, zone: tzinfo | None = None) -> datetime:
    if isinstance(value, str):
        moment = datetime.fromisoformat(value)
        return moment if zone is None or moment.tzinfo else moment.replace(tzinfo=zone)
    return (_EPOCH + timedelta(microseconds=value // 1000)).replace(tzinfo=zone)


def _moment_text(value: Any) -> str:
    return value if isinstance(value, str) else _moment(value).isoformat()


def _is_bytes(value: Any) -> bool:
    return isinstance(value, list) and all(type(one) is int and 0 <= one < 256 for one in value)
