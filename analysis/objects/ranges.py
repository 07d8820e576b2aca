"""A bucket's objects as files that DuckDB and pyarrow read: a request for each range asked for, nothing ahead of it."""

import fnmatch
import io
import re
from collections.abc import Callable
from datetime import datetime
from typing import Any, Protocol

from fsspec.spec import AbstractFileSystem

from secondguess.analysis.objects.client import Entry

_WILDCARD = re.compile(r"[*?[]")
_ONE = re.compile(r"\[([*?[])\]")  # how a wildcard is written that stands for itself


class Ranges(Protocol):
    """What is read: a bucket, as far as files need it."""

    def entry(self, key: str) -> Entry:
        """What is known of one object."""

    def entries(self, prefix: str) -> list[Entry]:
        """All objects below a prefix."""

    def read_range(self, entry: Entry, start: int, end: int) -> bytes:
        """The bytes from start up to end of that version of the object."""


class BucketFile(io.RawIOBase):
    """An object that is open for reading: no buffer, so that what is asked for is what is fetched."""

    def __init__(self, ranges: Ranges, entry: Entry) -> None:
        super().__init__()
        self._ranges = ranges
        self._entry = entry
        self._at = 0
        self.size = entry.size

    def readable(self) -> bool:
        """Always."""
        return True

    def seekable(self) -> bool:
        """Always."""
        return True

    def tell(self) -> int:
        """The place of the next byte read."""
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move to another place; costs no request."""
        self._at = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self.size}[whence]
        return self._at

    def read(self, size: int | None = -1) -> bytes:
        """The next bytes, all the rest without a size; one request."""
        end = self.size if size is None or size < 0 else min(self.size, self._at + size)
        if end <= self._at:
            return b""
        data = self._ranges.read_range(self._entry, self._at, end)
        self._at = end
        return data

    def readall(self) -> bytes:
        """All the rest; one request."""
        return self.read()

    def readinto(self, buffer: Any) -> int:
        """Fill the buffer as far as there is content; one request."""
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)


class BucketFiles(AbstractFileSystem):  # type: ignore[misc]
    """The files of all buckets of a kind, for reading; each is asked for anew, so that a forked child has its own."""

    cachable = False

    def __init__(self, protocol: str, bucket: Callable[[str], Ranges]) -> None:
        super().__init__()
        self.protocol = protocol
        self._bucket = bucket

    def _split(self, path: str) -> tuple[Ranges, str, str]:
        """The bucket of a path, its name, and the key within it."""
        name, _, key = path.removeprefix(f"{self.protocol}://").partition("/")
        return self._bucket(f"{self.protocol}://{name}"), name, key

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        # fsspec's own takes the class's protocol, and cuts what looks like a query off a URL.
        return path.split("://", 1)[-1]

    def unstrip_protocol(self, name: str) -> str:
        """The URL of a path."""
        return name if "://" in name else f"{self.protocol}://{name}"

    def open(self, path: str, mode: str = "rb", **_: Any) -> BucketFile:
        """Open an object for reading; no request where a listing or an earlier look named it."""
        if mode not in {"r", "rb"}:
            raise PermissionError(f"{self.unstrip_protocol(path)}: the files of a store are only read here")
        ranges, _name, key = self._split(path)
        return BucketFile(ranges, ranges.entry(key))

    def info(self, path: str, **_: Any) -> dict[str, Any]:
        """What is known of an object."""
        ranges, name, key = self._split(path)
        return _info(name, ranges.entry(key))

    def exists(self, path: str, **_: Any) -> bool:
        """Whether the object is there."""
        try:
            self.info(path)
        except FileNotFoundError:
            return False
        return True

    def modified(self, path: str) -> datetime:
        """When the object was last written."""
        ranges, _name, key = self._split(path)
        return ranges.entry(key).modified

    def glob(self, path: str, **_: Any) -> list[str]:
        """The objects whose path fits a pattern as DuckDB writes them; where only one can fit, that one, unasked."""
        plain = _ONE.sub(r"\1", path)
        if not _WILDCARD.search(_ONE.sub("", path)):
            return [self._strip_protocol(plain)]
        ranges, name, key = self._split(path)
        wildcard = _WILDCARD.search(key)
        start = key[: wildcard.start()] if wildcard is not None else key
        return [f"{name}/{entry.key}" for entry in ranges.entries(start) if _fits(entry.key, key)]

    def ls(self, path: str, detail: bool = True, **_: Any) -> list[Any]:
        """All objects below a folder, at any depth."""
        ranges, name, key = self._split(f"{path.rstrip('/')}/")
        infos = [_info(name, entry) for entry in ranges.entries(key)]
        return infos if detail else [info["name"] for info in infos]


def _fits(key: str, pattern: str) -> bool:
    """Whether each part between slashes fits its part of the pattern."""
    parts, patterns = key.split("/"), pattern.split("/")
    return len(parts) == len(patterns) and all(map(fnmatch.fnmatchcase, parts, patterns))


def _info(bucket: str, entry: Entry) -> dict[str, Any]:
    return {
        "name": f"{bucket}/{entry.key}",
        "size": entry.size,
        "type": "file",
        "ETag": entry.etag,
        "LastModified": entry.modified,
    }
