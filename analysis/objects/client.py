"""What lies in a bucket, and what a client of one must be able to do."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

PACKAGES = {"gs": "gcsfs", "az": "adlfs"}  # what opens buckets of these schemes; `s3` is an extra of ours


@dataclass(frozen=True)
class Entry:
    """One object: its key, size in bytes, ETag as the server writes it (quotes included), last change in UTC."""

    key: str
    size: int
    etag: str
    modified: datetime


@dataclass(frozen=True)
class Access:
    """Where a bucket is asked for: the endpoint (`http://host:port`) unless its service's own, the region.

    by_environment says that AWS_ACCESS_KEY_ID and its like hold the credentials.
    """

    endpoint: str = ""
    region: str = ""
    by_environment: bool = False


class StaleObject(OSError):
    """The object is another one than was asked for."""


class Client(Protocol):
    """The requests that a store makes; each answers whole or raises an OSError whose text is one line."""

    def entries(self, prefix: str) -> list[Entry]:
        """All objects whose key starts with the prefix, in the order of their keys."""

    def entry(self, key: str) -> Entry:
        """One object, unread; raises FileNotFoundError."""

    def read(self, key: str, span: tuple[int, int] | None = None, etag: str = "") -> tuple[bytes, str]:
        """The content, or its bytes from `span[0]` up to `span[1]`, and the ETag; with `etag` only of that version."""

    def put(self, key: str, data: bytes | Path, *, absent: bool) -> str:
        """Write the object and return its ETag; with `absent` raises FileExistsError where the key is taken."""

    def delete(self, keys: Iterable[str]) -> None:
        """Remove objects; those that are not there are none to remove."""

    def access(self) -> Access:
        """Where it is asked for, for other tools; no secret."""
