"""The records of a W&B log file: LevelDB's framing with ordinary CRC-32.

Weighed against plyvel and other readers of LevelDB, which open databases, not a log alone, and want CRC-32C, masked.
W&B's own reader is inside its program wandb-core.
"""

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from secondguess.analysis.errors import Damaged

FIRST_RECORD = 7
_HEADER = struct.Struct("<4sHB")
_SIGN, _MAGIC, _VERSION = b":W&B", 0xBEE1, 0
_BLOCK = 1 << 15
_FRAME = struct.Struct("<IHB")
_FULL, _FIRST, _MIDDLE, _LAST = 1, 2, 3, 4
_SEEDS = [zlib.crc32(bytes([kind])) for kind in range(5)]
_RECORD_LIMIT = 64 << 20


@dataclass(frozen=True)
class Frame:
    """One record: where its first part begins in the file, and its payload."""

    offset: int
    payload: bytes


def check_header(file: BinaryIO, name: str) -> bool:
    """Whether the log has begun; raises Damaged where the file is no W&B log, or one of a later version."""
    file.seek(0)
    head = file.read(_HEADER.size)
    whole = _HEADER.pack(_SIGN, _MAGIC, _VERSION)
    if len(head) < len(whole):
        if whole.startswith(head):
            return False
        raise Damaged(f"{name} is no W&B log")
    sign, magic, version = _HEADER.unpack(head)
    if (sign, magic) != (_SIGN, _MAGIC):
        raise Damaged(f"{name} is no W&B log")
    if version != _VERSION:
        raise Damaged(f"{name} is a W&B log of version {version}; only version {_VERSION} can be read")
    return True


def frames(file: BinaryIO, name: str, start: int = FIRST_RECORD) -> Iterator[Frame]:
    """Yield the records from an offset on, one at a time.

    Ends quietly at a last record that is not all there. Raises Damaged, naming file and offset, where a checksum or the
    order of the parts is wrong, or where a record is larger than 64 MB.
    """
    begun, parts, size = start, list[bytes](), 0
    for offset, kind, part in _parts(file, name, start):
        if (kind in (_FULL, _FIRST)) == bool(parts):
            raise Damaged(f"{name} is damaged at byte {offset:,}: a record begins or ends out of place")
        if not parts:
            begun, size = offset, 0
        size += len(part)
        if size > _RECORD_LIMIT:
            raise Damaged(f"{name} has a record of more than {_RECORD_LIMIT:,} bytes at byte {begun:,}")
        parts.append(part)
        if kind in (_FULL, _LAST):
            yield Frame(begun, b"".join(parts))
            parts = []


def _parts(file: BinaryIO, name: str, start: int) -> Iterator[tuple[int, int, bytes]]:
    """Yield (offset, kind, payload) of each part of a record."""
    at = start
    hole: int | None = None
    file.seek(start)
    while block := file.read(_BLOCK - at % _BLOCK):
        whole = not (at + len(block)) % _BLOCK
        inside = 0
        while inside + _FRAME.size <= len(block):
            crc, length, kind = _FRAME.unpack_from(block, inside)
            end = inside + _FRAME.size + length
            if not (crc or length or kind) and not any(block[inside:]):
                hole = at + inside if hole is None else hole  # a file system's zeros after a crash
                break
            if hole is not None:
                raise Damaged(f"{name} is damaged at byte {hole:,}: zeros where records were")
            if end > len(block) and not whole:
                return
            part = block[inside + _FRAME.size : end]
            if end > len(block) or not _FULL <= kind <= _LAST or zlib.crc32(part, _SEEDS[kind]) != crc:
                raise Damaged(f"{name} is damaged at byte {at + inside:,}: a checksum is wrong")
            yield at + inside, kind, part
            inside = end
        if not whole:
            return
        at += len(block)
