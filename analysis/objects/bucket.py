"""Stub."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Entry:
    """One object."""

    key: str
    size: int
    etag: str
    modified: datetime


class Bucket:
    """A bucket."""

    url: str

    def entries(self, prefix: str) -> list[Entry]:
        """Everything."""
        raise NotImplementedError

    def read(self, key: str) -> bytes:
        """Content."""
        raise NotImplementedError

    def read_from(self, key: str) -> tuple[bytes, str]:
        """Content and ETag."""
        raise NotImplementedError

    def put(self, key: str, data: bytes | Path, *, absent: bool = False) -> str:
        """Put."""
        raise NotImplementedError

    def delete(self, keys: Iterable[str]) -> None:
        """Delete."""
        raise NotImplementedError

    def filesystem(self) -> Any:
        """Ranges."""
        raise NotImplementedError


def bucket(url: str) -> Bucket:
    """The bucket."""
    raise NotImplementedError


def filesystems() -> list[Any]:
    """Those in use."""
    return []
