"""Paths in a bucket, and what is known of the objects below them: what works on a folder works on these.

A bucket has no folders: one is there while an object lies below it. What lies below a store is listed as a whole, anew
for each question and after ten seconds; what this process writes is known at once. Weighed against universal_pathlib,
whose paths of buckets are no pathlib.Path, and ask the bucket anew for each look.
"""

import errno
import fnmatch
import io
import math
import os
import re
import stat
import time
from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path, PosixPath
from typing import Any, Self

from secondguess.analysis.errors import BadInput, NotReached
from secondguess.analysis.objects import contents
from secondguess.analysis.objects.bucket import Bucket, bucket
from secondguess.analysis.objects.client import Entry

_FRESH_S = 10.0
_AT_ONCE = 16  # records that are read beside each other: each takes a round trip
_URL = re.compile(r"([a-z][a-z0-9+.-]+):/+(.*)", re.DOTALL | re.IGNORECASE)


def place(store: str | os.PathLike[str]) -> Path:
    """Where a store lies: a folder, or below a URL such as s3://bucket/predictions; raises BadInput for any other."""
    if isinstance(store, ObjectPath):
        return store
    if not isinstance(store, str | os.PathLike):
        raise BadInput(f"a store is named by its folder or its URL, not by a {type(store).__qualname__}")
    text = os.fspath(store)
    match = _URL.fullmatch(text)
    if match is None:
        return Path(text)
    scheme, rest = match[1].lower(), match[2]
    if scheme == "file":
        return Path("/" + rest)
    parts = rest.split("/")
    if not parts[0] or not {".", ".."}.isdisjoint(parts):
        raise BadInput(f"{text!r} names no place in a bucket; one is named as in {scheme}://BUCKET/FOLDER")
    path = ObjectPath(f"{scheme}://{rest.strip('/')}")
    bucket(str(path))
    return path


class ObjectPath(PosixPath):
    """A path in a bucket. What of pathlib asks the operating system, and is not here, raises TypeError."""

    __slots__ = ()

    def __str__(self) -> str:
        """The URL; of what is relative to another path the names alone."""
        scheme, slash, rest = super().__str__().partition("/")
        return f"{scheme}//{rest}" if scheme.endswith(":") else f"{scheme}{slash}{rest}"

    def __fspath__(self) -> str:
        """Nothing of the operating system finds it."""
        raise TypeError(f"{self} lies in a bucket, and is no file of this machine")

    def __reduce__(self) -> tuple[Any, ...]:
        return place, (str(self),)

    @property
    def key(self) -> str:
        """The object's name in its bucket."""
        return "/".join(self.parts[2:])

    @property
    def bucket(self) -> Bucket:
        """The bucket that it lies in."""
        return bucket(str(self))

    def is_absolute(self) -> bool:
        """Always."""
        return True

    def absolute(self) -> Self:
        """Itself."""
        return self

    def resolve(self, strict: bool = False) -> Self:
        """Itself: there are no links."""
        return self

    def is_symlink(self) -> bool:
        """Never."""
        return False

    def is_file(self, **_: Any) -> bool:
        """Whether there is an object of this name."""
        return self.key in _objects(self, file=True).entries

    def is_dir(self, **_: Any) -> bool:
        """Whether an object lies below."""
        return self.key in _objects(self).folders

    def exists(self, **_: Any) -> bool:
        """Whether it is either."""
        return self.is_file() or self.is_dir()

    def iterdir(self) -> Generator[Self, None, None]:
        """What lies right below; raises FileNotFoundError where nothing does."""
        names = _objects(self).folders.get(self.key)
        if names is None:
            raise FileNotFoundError(errno.ENOENT, "nothing lies there", str(self))
        yield from (self / name for name in sorted(names))

    def glob(self, pattern: str, **_: Any) -> Generator[Self, None, None]:
        """What lies below under such names, `*` for any part of one; without `**`."""
        return self._matching(pattern.split("/"))

    def rglob(self, pattern: str, **_: Any) -> Generator[Self, None, None]:
        """What lies below, however deep, under such a name."""
        if not self.is_dir():
            return
        for path in self.iterdir():
            if fnmatch.fnmatchcase(path.name, pattern):
                yield path
            yield from path.rglob(pattern)

    def _matching(self, patterns: list[str]) -> Generator[Self, None, None]:
        for path in self.iterdir() if self.is_dir() else ():
            if fnmatch.fnmatchcase(path.name, patterns[0]):
                if len(patterns) == 1:
                    yield path
                else:
                    yield from path._matching(patterns[1:])

    def stat(self, **_: Any) -> os.stat_result:
        """Its size and when it was written; raises FileNotFoundError."""
        known = _objects(self, file=True)
        entry = known.entries.get(self.key)
        if entry is None and self.key not in known.folders:
            raise FileNotFoundError(errno.ENOENT, "no such object", str(self))
        mode = stat.S_IFREG | 0o644 if entry is not None else stat.S_IFDIR | 0o755
        size, when = (entry.size, entry.modified.timestamp()) if entry is not None else (0, 0.0)
        return os.stat_result((mode, 0, 0, 1, 0, 0, size, when, when, when))

    def lstat(self) -> os.stat_result:
        """As stat."""
        return self.stat()

    @property
    def etag(self) -> str | None:
        """What tells its content from another; None where there is no such object."""
        entry = _objects(self, file=True).entries.get(self.key)
        return entry.etag if entry is not None else None

    def read_bytes(self) -> bytes:
        """Its content; raises FileNotFoundError. A record is read once for an ETag."""
        if (kept := contents.kept(str(self), self.etag)) is not None:
            return kept
        try:
            with _reading():
                content, etag = self.bucket.read_from(self.key)
        except FileNotFoundError:
            for known in _covering(self):  # what was listed is older than its removal
                known.drop(self.key)
            raise
        if self.suffix == ".json":
            contents.keep(str(self), etag, content)
        return content

    def read_text(self, encoding: str | None = None, errors: str | None = None, newline: str | None = None) -> str:
        """Its content as text."""
        return self.read_bytes().decode(encoding or "utf-8", errors or "strict")

    def open(self, mode: str = "rb", *_: Any, **__: Any) -> Any:
        """It, opened for reading bytes by ranges."""
        if mode != "rb":
            raise TypeError(f"{self} lies in a bucket, where a file is opened for reading only")
        return io.BufferedReader(self.bucket.filesystem().open(str(self), "rb"))

    def put(self, content: bytes | Path, *, absent: bool = False) -> None:
        """Write it, in one step, from bytes or a file of this machine; absent raises FileExistsError where it is."""
        etag = self.bucket.put(self.key, content, absent=absent)
        size = len(content) if isinstance(content, bytes) else content.stat().st_size
        for known in _covering(self):
            known.add(Entry(self.key, size, etag, datetime.now(UTC)))

    def unlink(self, missing_ok: bool = False) -> None:
        """Delete the object."""
        delete([self])

    def mkdir(self, mode: int = 0o777, parents: bool = False, exist_ok: bool = False) -> None:
        """Nothing: a folder is there while an object lies below it."""


def delete(paths: Iterable[ObjectPath]) -> None:
    """Delete objects of one bucket, many in one request; those that are gone are gone."""
    some = list(paths)
    if some:
        some[0].bucket.delete(path.key for path in some)
        for path in some:
            for known in _covering(path):
                known.drop(path.key)


def look(root: ObjectPath, within_s: float = 0.0) -> None:
    """List what lies below anew, unless that was done so many seconds ago."""
    known = _known.get(str(root))
    if known is None or time.monotonic() - known.looked >= within_s:
        _known[str(root)] = _listed(root)


def forget(path: ObjectPath) -> None:
    """Let what is known around a path be listed anew when it is asked for again."""
    for known in _covering(path):
        known.looked = -math.inf


def forget_all() -> None:
    """Let everything be listed anew when it is asked for again."""
    for known in _known.values():
        known.looked = -math.inf


def warm(paths: Iterable[Path]) -> None:
    """Read small objects of a bucket beside each other, so that reading one by one waits no more."""
    some = [path for path in paths if isinstance(path, ObjectPath) and contents.kept(str(path), path.etag) is None]
    if len(some) > 1:
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            list(pool.map(_read_if_there, some))


def _read_if_there(path: ObjectPath) -> None:
    try:
        path.read_bytes()
    except (OSError, NotReached):  # which whoever needs it meets again
        return


@dataclass
class _Objects:
    """The objects below a path, by key, and the names right below each folder."""

    entries: dict[str, Entry]
    looked: float = field(default_factory=time.monotonic)

    @cached_property
    def folders(self) -> dict[str, set[str]]:
        names: dict[str, set[str]] = {}
        for key in self.entries:
            _enter(names, key)
        return names

    def add(self, entry: Entry) -> None:
        self.entries[entry.key] = entry
        _enter(self.folders, entry.key)

    def drop(self, key: str) -> None:
        self.entries.pop(key, None)
        self.__dict__.pop("folders", None)


def _enter(folders: dict[str, set[str]], key: str) -> None:
    """Let each folder above a key have the name that leads to it."""
    while key:
        folder, _, name = key.rpartition("/")
        names = folders.setdefault(folder, set())
        if name in names:
            return
        names.add(name)
        key = folder


_known: dict[str, _Objects] = {}


def _covering(path: ObjectPath) -> Iterator[_Objects]:
    """What is known of the folders above a path, and of itself."""
    for folder in (path, *path.parents[:-2]):
        if (known := _known.get(str(folder))) is not None:
            yield known


def _objects(path: ObjectPath, *, file: bool = False) -> _Objects:
    """What is known around a path; listed where that is nothing, or too old."""
    for folder in (path, *path.parents[:-2]):
        known = _known.get(str(folder))
        if known is not None and not (file and folder == path):
            if time.monotonic() - known.looked > _FRESH_S:
                look(folder)
            return _known[str(folder)]
    root = path.parent if file and len(path.parts) > 3 else path
    look(root)
    return _known[str(root)]


def _listed(root: ObjectPath) -> _Objects:
    prefix = f"{root.key}/" if root.key else ""
    with _reading():
        return _Objects({entry.key: entry for entry in root.bucket.entries(prefix)})


@contextmanager
def _reading() -> Iterator[None]:
    """Let what a bucket does not answer be said to a person: nothing that is left out could be told from what is not.

    That an object is gone stays as it is.
    """
    try:
        yield
    except FileNotFoundError:
        raise
    except OSError as error:
        raise NotReached(str(error)) from None
