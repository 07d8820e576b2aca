"""Protobuf's wire format without its schema: field numbers and raw values.

Weighed against protobuf, which wants generated messages: W&B's and TensorBoard's come with packages that an import does
without, and know no field of a later version.
"""

import struct
from collections.abc import Iterator

WireValue = int | bytes
_SIZES = {1: 8, 5: 4}


def fields(message: bytes) -> Iterator[tuple[int, WireValue]]:
    """Yield (field number, value) in order: an int for a varint, bytes for everything else.

    Raises ValueError where the message is cut short or uses groups, which neither W&B nor TensorBoard does.
    """
    at, end = 0, len(message)
    while at < end:
        key, at = (message[at], at + 1) if message[at] < 0x80 else _varint(message, at)
        kind = key & 7
        if kind == 0:
            value, at = _varint(message, at)
            yield key >> 3, value
            continue
        if kind == 2:
            size, at = (message[at], at + 1) if at < end and message[at] < 0x80 else _varint(message, at)
        elif kind in _SIZES:
            size = _SIZES[kind]
        else:
            raise ValueError(f"wire type {kind}")
        if at + size > end:
            raise ValueError("cut short")
        yield key >> 3, message[at : at + size]
        at += size


def text(value: WireValue) -> str:
    """A string field; raises ValueError for another kind or invalid UTF-8."""
    return value.decode() if isinstance(value, bytes) else part(value).decode()


def part(value: WireValue) -> bytes:
    """A field with a length; raises ValueError for another kind."""
    if isinstance(value, int):
        raise ValueError("a number where text was expected")
    return value


def number(value: WireValue) -> int:
    """An int32 or int64 field; raises ValueError for another kind."""
    if not isinstance(value, int):
        raise ValueError("text where a number was expected")
    return value - (1 << 64) if value >> 63 else value


def zigzag(value: WireValue) -> int:
    """An sint64 field; raises ValueError for another kind."""
    if not isinstance(value, int):
        raise ValueError("text where a number was expected")
    return (value >> 1) ^ -(value & 1)


def double(value: WireValue) -> float:
    """A double field; raises ValueError for another kind."""
    raw = part(value)
    if len(raw) != 8:
        raise ValueError("a double of another size")
    return float(struct.unpack("<d", raw)[0])


def _varint(message: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    try:
        while (byte := message[at]) & 0x80:
            value |= (byte & 0x7F) << shift
            shift += 7
            at += 1
            if shift > 63:
                raise ValueError("a number of more than 64 bits")
    except IndexError:
        raise ValueError("cut short") from None
    return (value | byte << shift) & 0xFFFF_FFFF_FFFF_FFFF, at + 1
