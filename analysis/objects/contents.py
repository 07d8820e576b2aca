"""What the records of buckets hold, kept as long as their ETags stay: in memory, and in the user's cache folder."""

import hashlib
from pathlib import Path

from secondguess.analysis import caches

_LONGEST = 1 << 20  # bytes

_kept: dict[str, tuple[str, bytes]] = {}


def kept(url: str, etag: str | None) -> bytes | None:
    """What the object of that URL and ETag holds, if it is known."""
    if etag is None:
        return None
    there = _kept.get(url)
    if there is not None and there[0] == etag:
        return there[1]
    try:
        content = _file(url, etag).read_bytes()
    except OSError:
        return None
    _kept[url] = (etag, content)
    return content


def keep(url: str, etag: str, content: bytes) -> None:
    """Keep what an object holds, unless that is long."""
    if len(content) <= _LONGEST:
        _kept[url] = (etag, content)
        caches.keep(_file(url, etag), content)


def _file(url: str, etag: str) -> Path:
    return caches.folder() / "records" / hashlib.sha256(f"{url} {etag}".encode()).hexdigest()[:40]
