"""The client of one bucket: put-if-absent, list, read, delete, and its files for DuckDB and pyarrow.

S3 goes through boto3: one request on the wire for each thing done, credentials wherever AWS's own tools look for them,
safe in threads. Weighed on 1 M rows at 20 ms a request: obstore (0.60 s) hangs for ever in a forked child; s3fs
(0.64 s) is boto3 (0.63 s) in a thread of its own, with retries that cannot be counted; pyarrow cannot put if absent.
"""

import os
import re
import threading
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from secondguess.analysis.errors import BadInput, MissingExtra
from secondguess.analysis.objects.client import PACKAGES, Access, Client, Entry

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

__all__ = ["SCHEMES", "Bucket", "Entry", "bucket"]

SCHEMES = ("s3", "gs", "az")

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,254}")
_KNOWN_AT_MOST = 200_000  # entries: some 60 MB

_SHORT = 256 << 10  # bytes of a range that is kept
_KEPT_AT_MOST = 256  # such ranges: 64 MB, and few are as long


class Bucket:
    """One bucket, open as long as the process lives; a forked child opens its own (`bucket`).

    Every request is tried five times (AWS_MAX_ATTEMPTS says otherwise) with growing random pauses, 30 s in all at most
    besides the waiting for answers; then it raises an OSError whose text is one line and names no secret.
    """

    def __init__(self, url: str, client: Client) -> None:
        self.url = url
        self._client = client
        self._known: dict[str, Entry] = {}
        self._ranges: dict[tuple[str, str, int, int], bytes] = {}

    def __repr__(self) -> str:
        return f"Bucket({self.url!r})"

    def entries(self, prefix: str) -> list[Entry]:
        """All objects whose key starts with the prefix, in the order of their keys."""
        entries = self._client.entries(prefix)
        if len(self._known) + len(entries) > _KNOWN_AT_MOST:
            self._known = {}
        self._known |= {entry.key: entry for entry in entries[:_KNOWN_AT_MOST]}
        return entries

    def entry(self, key: str) -> Entry:
        """One object as last listed or looked at, asked for where it was not; raises FileNotFoundError."""
        if (known := self._known.get(key)) is None:
            known = self._known[key] = self._client.entry(key)
        return known

    def read(self, key: str) -> bytes:
        """The content; raises FileNotFoundError."""
        return self._client.read(key)[0]

    def read_from(self, key: str) -> tuple[bytes, str]:
        """The content and its ETag, in one request; raises FileNotFoundError."""
        return self._client.read(key)

    def read_range(self, entry: Entry, start: int, end: int) -> bytes:
        """The bytes from start up to end; raises OSError where the object is another one by now.

        Short ranges are kept, for footers are read by each question anew.
        """
        wanted = (entry.key, entry.etag, start, end)
        if (kept := self._ranges.get(wanted)) is not None:
            return kept
        try:
            data = self._client.read(entry.key, (start, end), entry.etag)[0]
        except OSError:
            self._known.pop(entry.key, None)
            raise
        if len(data) <= _SHORT and entry.etag:
            if len(self._ranges) >= _KEPT_AT_MOST:
                self._ranges = {}
            self._ranges[wanted] = data
        return data

    def put(self, key: str, data: bytes | Path, *, absent: bool = False) -> str:
        """Write bytes, or a local file in parts of 16 MB, and return the ETag.

        With `absent` it is one conditional request, and FileExistsError says that the key is taken. An answer may be
        lost after the object was written: then the next try meets the key taken, and what lies there is read. The same
        bytes are ours. So bytes that must have one writer hold something that no other writer's do.
        """
        self._known.pop(key, None)
        size = len(data) if isinstance(data, bytes) else data.stat().st_size
        etag = self._client.put(key, data, absent=absent)
        self._known[key] = Entry(key, size, etag, datetime.now(UTC))
        return etag

    def delete(self, keys: Iterable[str]) -> None:
        """Remove objects, a thousand a request; those that are not there are none to remove."""
        names = list(keys)
        for key in names:
            self._known.pop(key, None)
        self._client.delete(names)

    def access(self) -> Access:
        """Where the bucket is asked for, for other tools; no secret."""
        return self._client.access()

    def filesystem(self) -> "AbstractFileSystem":
        """The objects as files to read, for `register_filesystem` of DuckDB and for pyarrow."""
        return _files(self.url.split("://")[0])


_open: dict[str, Bucket] = {}
_opening = threading.Lock()


def _forget() -> None:
    """What a forked child does: its parent's connections are not its own, and no thread is left that holds the lock."""
    global _opening
    _open.clear()
    _opening = threading.Lock()


os.register_at_fork(after_in_child=_forget)


def bucket(url: str) -> Bucket:
    """The bucket in which a URL such as `s3://bucket/any/key` lies, one for the process.

    Raises BadInput for another scheme or no name, MissingExtra where its package is not installed, OSError for a
    profile that is not there.
    """
    scheme, name = _parted(url)
    place = f"{scheme}://{name}"
    with _opening:
        if place not in _open:
            _open[place] = Bucket(place, _client(scheme, name))
        return _open[place]


def filesystems() -> "list[AbstractFileSystem]":
    """The files of every kind of bucket that this process has opened."""
    with _opening:
        schemes = {url.split("://")[0] for url in _open}
    return [_files(scheme) for scheme in sorted(schemes)]


def _files(scheme: str) -> "AbstractFileSystem":
    from secondguess.analysis.objects.ranges import BucketFiles

    return BucketFiles(scheme, bucket)


def _parted(url: str) -> tuple[str, str]:
    scheme, separator, rest = url.partition("://")
    known = ", ".join(f"{scheme}://" for scheme in SCHEMES)
    if not separator or scheme not in SCHEMES:
        raise BadInput(f"{_shown(url)!r} is not in a bucket that can be opened; those are {known}")
    if not _NAME.fullmatch(name := rest.partition("/")[0]):
        raise BadInput(f"{_shown(url)!r} names no bucket; write {scheme}://BUCKET/FOLDER")
    return scheme, name


def _shown(url: str) -> str:
    """The URL without what may be a password in it."""
    parts = urlsplit(url)
    return url if "@" not in parts.netloc else url.replace(parts.netloc, parts.netloc.rpartition("@")[2])


def _client(scheme: str, name: str) -> Client:
    try:
        import fsspec  # how its files are handed to DuckDB  # noqa: F401

        if scheme != "s3":
            from secondguess.analysis.objects.foreign import Foreign

            return Foreign(scheme, name)
        from secondguess.analysis.objects.s3 import S3
    except ModuleNotFoundError as error:
        package = str(error.name).partition(".")[0]
        raise MissingExtra(f"{package}, which opens {scheme}://,", "s3") from None
    except ImportError:
        raise BadInput(f"{scheme}:// needs a package that is not installed: pip install {PACKAGES[scheme]}") from None
    return S3(name)
