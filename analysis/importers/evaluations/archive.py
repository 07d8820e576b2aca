"""The members of a zip file, those packed with zstd too, which `zipfile` reads from Python 3.14 on only."""

import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import pyarrow as pa

from secondguess.analysis.errors import Damaged, NotFound
from secondguess.analysis.opening import open_regular

_ZSTD = 93
_LOCAL = struct.Struct("<4s22xHH")  # signature, …, lengths of the name and of the extra field
_MOST_BYTES = 512 << 20
_BROKEN = (OSError, EOFError, zlib.error, struct.error, zipfile.BadZipFile, NotImplementedError, RuntimeError)


class Archive:
    """An open zip file, called `name` in messages; its members by their names, of those called alike the last."""

    def __init__(self, file: IO[bytes], name: str) -> None:
        self._file = file
        self._name = name
        try:
            self._zip = zipfile.ZipFile(file)
        except _BROKEN as error:
            raise Damaged(f"{name} cannot be read: {error}; it was cut off, or is no zip file") from None
        self._members = {about.filename: about for about in self._zip.infolist()}

    @property
    def names(self) -> list[str]:
        """The members' names, in the order in which they were written."""
        return list(self._members)

    def __contains__(self, member: str) -> bool:
        return member in self._members

    def read(self, member: str) -> bytes:
        """What a member holds; raises NotFound, or Damaged for one that is broken or holds more than 512 MiB."""
        about = self._members.get(member)
        if about is None:
            raise NotFound(f"{self._name} has no {member}")
        if about.file_size > _MOST_BYTES:
            raise Damaged(f"{self._name}: {member} holds {about.file_size:,} bytes; at most {_MOST_BYTES:,} are read")
        try:
            content = self._zstd(about) if about.compress_type == _ZSTD else self._zip.read(about)
        except (*_BROKEN, pa.ArrowException) as error:
            raise Damaged(f"{self._name}: {member} cannot be unpacked: {str(error).splitlines()[0]}") from None
        return content

    def _zstd(self, about: zipfile.ZipInfo) -> bytes:
        self._file.seek(about.header_offset)
        mark, name, extra = _LOCAL.unpack(self._file.read(_LOCAL.size))
        if mark != b"PK\x03\x04":
            raise zipfile.BadZipFile("no header where it should be")
        self._file.seek(name + extra, 1)
        packed = self._file.read(about.compress_size)
        with pa.CompressedInputStream(pa.BufferReader(packed), "zstd") as stream:
            content = bytes(stream.read(about.file_size + 1))
        if len(content) != about.file_size or zlib.crc32(content) != about.CRC:
            raise zipfile.BadZipFile("its checksum is another")
        return content


@contextmanager
def open_archive(path: Path, name: str) -> Iterator[Archive]:
    """Open a zip file for reading; raises NotFound, BadInput, Damaged."""
    with open_regular(path, links=True) as file:
        yield Archive(file, name)
