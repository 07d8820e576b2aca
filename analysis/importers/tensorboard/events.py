"""An event file of TensorBoard's: records with checksums, of which those with scalars are read.

Weighed against TensorBoard's own reader, 57 MB with what it needs, of which it uses little here: it ends at a record
that is cut off or damaged, and does not say so. What is read here is the same (`tests/…/test_events.py`).
"""

import struct
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from secondguess.analysis.importers.wire import WireValue, double, fields, number, part, text
from secondguess.analysis.opening import open_regular

MARK = ".tfevents."  # in the name of every event file

_POLYNOMIAL = 0x82F63B78  # CRC-32C
_LARGEST = 64 << 20  # bytes of a record: one with an image has some
_SMALL = 64 << 10  # bytes: larger ones have images and the like, which are left out without a look at their checksum
_START = 1  # of a session, after which values of its step and later ones come again
# Field numbers of TensorFlow's messages.
_WALL_TIME, _STEP, _SUMMARY, _SESSION = 1, 2, 5, 7
_TAG, _SIMPLE, _IMAGE, _HISTOGRAM, _AUDIO, _TENSOR, _METADATA = 1, 2, 4, 5, 6, 8, 9
_KINDS = {_IMAGE: "images", _HISTOGRAM: "histograms", _AUDIO: "audio"}
_FLOAT, _DOUBLE, _INT32, _INT64 = 1, 2, 3, 9  # types of a tensor
_CONTENT = {_FLOAT: "<f", _DOUBLE: "<d", _INT32: "<i", _INT64: "<q"}
_VALUES = {5: "<f", 6: "<d", 7: None, 10: None}  # where a tensor has them one by one: packed, the last two as varints


def _table() -> list[int]:
    table = []
    for byte in range(256):
        for _ in range(8):
            byte = byte >> 1 ^ (_POLYNOMIAL if byte & 1 else 0)
        table.append(byte)
    return table


_TABLE = _table()


def masked_crc(data: bytes) -> int:
    """The checksum that stands behind data: CRC-32C, turned and moved as TFRecord has it."""
    crc, table = 0xFFFFFFFF, _TABLE
    for byte in data:
        crc = table[(crc ^ byte) & 0xFF] ^ crc >> 8
    crc ^= 0xFFFFFFFF
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


@dataclass(frozen=True)
class Scalar:
    """A value of a metric, at a step and a moment in seconds since 1970."""

    tag: str
    step: int
    time: float
    value: float


@dataclass
class Events:
    """What an event file holds: its scalars in order, what it has besides, and what could not be read.

    restarts are (place among the scalars, step) where a session began anew. began is the first moment that it names.
    """

    scalars: list[Scalar] = field(default_factory=list)
    others: Counter[str] = field(default_factory=Counter)
    restarts: list[tuple[int, int]] = field(default_factory=list)
    began: float | None = None
    records: int = 0
    damaged: int = 0
    fault: str = ""


def read_events(path: Path) -> Events:
    """Read an event file as far as it goes; raises NotFound, BadInput for what is no regular file, OSError."""
    events = Events()
    plugins: dict[str, str] = {}
    with closing(open_regular(path, links=True)) as file:
        for data, crc in _records(file, path.stat().st_size, events):
            if len(data) <= _SMALL and masked_crc(data) != crc:
                events.damaged += 1
                continue
            scalars = len(events.scalars)
            try:
                _take(data, events, plugins)
            except (ValueError, struct.error):
                events.damaged += 1
                del events.scalars[scalars:]
                continue
            if len(data) > _SMALL and len(events.scalars) > scalars and masked_crc(data) != crc:
                events.damaged += 1
                del events.scalars[scalars:]
    return events


def _records(file: IO[bytes], size: int, events: Events) -> Iterator[tuple[bytes, int]]:
    """Each record with the checksum that it should have, as long as the lengths have theirs."""
    at = 0
    while at < size:
        head = file.read(12)
        if len(head) < 12:
            events.fault = f"is cut off after {events.records:,} records"
            return
        if masked_crc(head[:8]) != struct.unpack("<I", head[8:])[0]:
            events.fault = f"is damaged at byte {at:,}, and was read up to there, {events.records:,} records"
            return
        (length,) = struct.unpack("<Q", head[:8])
        if at + 16 + length > size:
            events.fault = f"is cut off after {events.records:,} records"
            return
        if length > _LARGEST:
            file.seek(length + 4, 1)
            events.others["records of more than 64 MB"] += 1
        else:
            data = file.read(length)
            yield data, struct.unpack("<I", file.read(4))[0]
        events.records += 1
        at += 16 + length


def _take(data: bytes, events: Events, plugins: dict[str, str]) -> None:
    """Take what an event says; raises ValueError for what is none."""
    time, step, summaries, began = 0.0, 0, [], False
    for key, value in fields(data):
        if key == _WALL_TIME:
            time = double(value)
        elif key == _STEP:
            step = number(value)
        elif key == _SUMMARY:
            summaries.append(part(value))
        elif key == _SESSION:
            began = any(inner == 1 and number(said) == _START for inner, said in fields(part(value)))
    if events.began is None and time > 0:
        events.began = time
    if began:
        events.restarts.append((len(events.scalars), step))
    for summary in summaries:
        for key, value in fields(summary):
            if key == 1:
                _value(part(value), step, time, events, plugins)


def _value(data: bytes, step: int, time: float, events: Events, plugins: dict[str, str]) -> None:
    tag, simple, tensor, kind, plugin = "", None, None, "", ""
    for key, value in fields(data):
        if key == _TAG:
            tag = text(value)
        elif key == _SIMPLE:
            (simple,) = struct.unpack("<f", part(value))
        elif key == _TENSOR:
            tensor = part(value)
        elif key == _METADATA:
            plugin = _plugin(part(value))
        elif key in _KINDS:
            kind = _KINDS[key]
    plugin = plugins.setdefault(tag, plugin) or plugin
    number_ = simple if simple is not None else _scalar(tensor) if tensor is not None else None
    if number_ is None or plugin not in {"", "scalars"}:
        events.others[kind or plugin or "values of other kinds"] += 1
        return
    events.scalars.append(Scalar(tag, step, time, number_))


def _plugin(metadata: bytes) -> str:
    """The name of the plugin that shows a value."""
    for key, value in fields(metadata):
        if key == 1:
            return next((text(said) for inner, said in fields(part(value)) if inner == 1), "")
    return ""


def _scalar(tensor: bytes) -> float | None:
    """The number of a tensor without dimensions; None for another."""
    dtype, content, values = 0, b"", {}
    for key, value in fields(tensor):
        if key == 1:
            dtype = number(value)
        elif key == 2 and any(inner == 2 for inner, _ in fields(part(value))):
            return None
        elif key == 4:
            content = part(value)
        elif key in _VALUES:
            values[key] = value
    if dtype not in _CONTENT:
        return None
    if content:
        return float(struct.unpack(_CONTENT[dtype], content)[0])
    return next((_first(key, value) for key, value in values.items()), 0.0)


def _first(key: int, value: WireValue) -> float:
    """The only value of those that stand one by one, packed or not."""
    if isinstance(value, int):
        return float(number(value))
    form = _VALUES[key]
    if form is not None:
        return float(struct.unpack(form, value)[0])
    with suppress(StopIteration):
        # A varint alone, as the wire has it behind a key.
        return float(number(next(fields(b"\x08" + value))[1]))
    raise ValueError("a tensor without its value")
