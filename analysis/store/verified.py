"""What was verified: committed files whose bytes have the digest that their records say.

A file is read once, before its first use. That it was whole is remembered by its size, inode and times, in a small file
of the user's cache folder, whose loss costs no more than reading again.
"""

import hashlib
import json
import os
import stat
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from secondguess.analysis import caches
from secondguess.analysis.objects.path import ObjectPath

MISSING = "is missing"
LARGE = 64 << 20  # bytes: a larger file is read for its digest only where every file is asked for
_SETTLED_NS = 2_000_000_000  # the coarsest clock of a file system: a later change may have the same times
_LATELY_S = 1.0  # one question looks at a file several times
_MAGIC = b"PAR1"  # what a whole Parquet file begins and ends with

_every: ContextVar[bool] = ContextVar("_every", default=False)

_Seen = tuple[int, int, int, int]
"""size in bytes, inode, mtime and ctime in ns"""


@dataclass(frozen=True)
class StoredFile:
    """A file that a record of a store names, and what it was written as; None where the record does not say."""

    store: Path
    path: Path
    sha256: str | None = None
    size: int | None = None


@contextmanager
def every_file(on: bool = True) -> Iterator[None]:
    """Within the block large files are verified too, where it is on."""
    token = _every.set(on or _every.get())
    try:
        yield
    finally:
        _every.reset(token)


def faults(files: Iterable[StoredFile], *, kept: bool = True) -> dict[Path, str]:
    """What is wrong with which of these files, as `is missing`; those that are not known to be whole are read.

    Unless it is kept, nothing is written down of it: by whoever records, who writes into the store alone.
    """
    return _each(files, read=True, kept=kept)


def plain_faults(files: Iterable[StoredFile]) -> dict[Path, str]:
    """What is seen to be wrong with which of these files without reading them, or was found before."""
    return _each(files, read=False)


def faults_anew(files: Iterable[StoredFile]) -> dict[Path, str]:
    """As `faults`, each file read whatever its size and whatever is remembered of it, which this replaces."""
    with every_file():
        return _each(files, read=True, anew=True)


def fault(file: StoredFile, *, kept: bool = True) -> str | None:
    """What is wrong with a file, if anything is; as `faults`."""
    return faults([file], kept=kept).get(file.path)


def _each(files: Iterable[StoredFile], *, read: bool, anew: bool = False, kept: bool = True) -> dict[Path, str]:
    by_store: dict[Path, list[StoredFile]] = {}
    for file in dict.fromkeys(files):
        by_store.setdefault(file.store, []).append(file)
    return {
        path: said
        for store, some in by_store.items()
        for path, said in _known(store, caches.folder()).faults(some, read=read, anew=anew, kept=kept).items()
    }


def leads_out(store: Path, path: str | Path) -> bool:
    """Whether a path, its links followed, is not below the store, whose own path may be a link."""
    if isinstance(store, ObjectPath):
        return False
    root = os.path.realpath(store)
    there = os.path.realpath(path)
    return there != root and not there.startswith(root.rstrip(os.sep) + os.sep)


def digest_of(path: Path) -> str:
    """The sha256 of a file's bytes, in hex; raises OSError."""
    with path.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def digest_fault(path: Path, sha256: str) -> str | None:
    """What is wrong with a file's bytes, all of them read, if they have not this digest."""
    try:
        digest = digest_of(path)
    except FileNotFoundError:
        return MISSING
    except OSError as error:
        return f"cannot be read ({error.strerror})"
    return None if digest == sha256 else "is not as it was written (its sha256 differs)"


class _Verified:
    """The files of one store that are known to be whole, and those that were found not to be, as they were then."""

    def __init__(self, store: Path, memory: Path) -> None:
        self._store = store
        self._memory = memory
        self._whole: dict[str, list[object]] | None = None  # by path within the store: what was seen, and the digest
        self._broken: dict[str, tuple[_Seen, str]] = {}
        self._folders: dict[Path, tuple[float, bool]] = {}
        self._lately: dict[str, tuple[float, list[object]]] = {}  # files that are too new to be remembered for long

    def faults(self, files: Iterable[StoredFile], *, read: bool, anew: bool, kept: bool) -> dict[Path, str]:
        """What is wrong with which of the files."""
        if anew:
            self._broken.clear()
            self._lately.clear()
            self._whole = {}
        found: dict[Path, str] = {}
        unknown: list[tuple[StoredFile, _Seen]] = []
        for file in files:
            said, seen = self._at_a_glance(file, self._leads_out(file.path.parent))
            if said is not None:
                found[file.path] = said
            elif seen is not None and not self._knows(file, seen):
                unknown.append((file, seen))
        if unknown and read:
            found.update(self._read(unknown, anew=anew, kept=kept))
        return found

    def _leads_out(self, folder: Path) -> bool:
        """Whether a folder of files lies outside; looked at anew for each question."""
        now = time.monotonic()
        looked, outside = self._folders.get(folder, (-_LATELY_S, False))
        if now - looked >= _LATELY_S:
            outside = leads_out(self._store, folder)
            self._folders[folder] = (now, outside)
        return outside

    def _at_a_glance(self, file: StoredFile, outside: bool) -> tuple[str | None, _Seen | None]:
        """What is wrong with a file that need not be read to see it, and what is seen of it where it is to be read."""
        try:
            about = file.path.lstat() if isinstance(file.path, ObjectPath) else os.lstat(file.path)
            if outside or (stat.S_ISLNK(about.st_mode) and leads_out(file.store, file.path)):
                return "lies behind a link that leads out of the store, and is not read", None
            if stat.S_ISLNK(about.st_mode):
                about = file.path.stat()
        except (FileNotFoundError, NotADirectoryError):
            return MISSING, None
        except OSError as error:
            return f"cannot be read ({error.strerror})", None
        if not stat.S_ISREG(about.st_mode):
            return "is no plain file", None
        if file.size is not None and about.st_size != file.size:
            return f"has {about.st_size:,} bytes, not the {file.size:,} that were written", None
        if file.sha256 is None:
            return (None if _looks_whole(file.path) else "is no whole Parquet file"), None
        seen = _seen(file.path, about)
        before, said = self._broken.get(str(file.path), (None, None))
        if before == seen:
            return said, None
        # Of a bucket's file a question reads ranges: the whole is read only where that is asked for.
        unread = isinstance(file.path, ObjectPath) or about.st_size > LARGE
        return None, None if unread and not _every.get() else seen

    def _knows(self, file: StoredFile, seen: _Seen) -> bool:
        if self._whole is None:
            self._whole = _remembered(self._memory)
        key, told = self._key(file), [*seen, file.sha256]
        read_at, lately = self._lately.get(key, (0.0, []))
        return self._whole.get(key) == told or (lately == told and time.monotonic() - read_at < _LATELY_S)

    def _read(self, files: Sequence[tuple[StoredFile, _Seen]], *, anew: bool, kept: bool) -> dict[Path, str]:
        """Read files for their digests; unless anew, not those that another process has read meanwhile."""
        whole = {**(self._whole or {}), **_remembered(self._memory)}
        again = {self._key(file) for file, _ in files} if anew else set()
        self._whole = {key: told for key, told in whole.items() if key not in again}
        found: dict[Path, str] = {}
        new: dict[str, list[object]] = {}
        for file, seen in files:
            if file.sha256 is None or self._knows(file, seen):
                continue
            said = digest_fault(file.path, file.sha256)
            if said is not None:
                found[file.path] = said
                self._broken[str(file.path)] = (seen, said)
            elif time.time_ns() - max(seen[2:]) > _SETTLED_NS:
                new[self._key(file)] = [*seen, file.sha256]
            else:
                self._lately[self._key(file)] = (time.monotonic(), [*seen, file.sha256])
        self._whole |= new
        if kept and (new or anew):
            there = {key: told for key, told in self._whole.items() if (self._store / key).exists()}
            _remember(self._memory, there)
        return found

    def _key(self, file: StoredFile) -> str:
        return str(file.path).removeprefix(str(self._store)).lstrip(os.sep)


def _seen(path: Path, about: os.stat_result) -> _Seen:
    """What tells a file from another of its name."""
    if isinstance(path, ObjectPath):
        return (about.st_size, int.from_bytes(hashlib.sha256(str(path.etag).encode()).digest()[:7]), 0, 0)
    return (about.st_size, about.st_ino, about.st_mtime_ns, about.st_ctime_ns)


def _looks_whole(path: Path) -> bool:
    """Whether a file begins and ends as one of Parquet does: of one without a digest no more is known."""
    try:
        with path.open("rb") as opened:
            head = opened.read(4)
            opened.seek(-4, os.SEEK_END)
            return head == opened.read(4) == _MAGIC
    except OSError:
        return False


@cache
def _known(store: Path, kept_in: Path) -> _Verified:
    where = str(store) if isinstance(store, ObjectPath) else os.path.realpath(store)
    name = hashlib.sha256(os.fsencode(where)).hexdigest()[:24]
    return _Verified(store, kept_in / f"verified-{name}.json")


def _remembered(memory: Path) -> dict[str, list[object]]:
    try:
        said = json.loads(memory.read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return said if isinstance(said, dict) else {}


def _remember(memory: Path, whole: dict[str, list[object]]) -> None:
    caches.keep(memory, json.dumps(whole, separators=(",", ":")).encode())
