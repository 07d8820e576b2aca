"""The requests of a bucket of another kind than S3's, through its own package for fsspec: gcsfs, adlfs.

Both put if absent in one conditional request where they are asked to (`mode="create"`), and look for credentials where
the tools of their services do.
"""

from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import fsspec

from secondguess.analysis.objects.client import Access, Entry

T = TypeVar("T")

_IN_ONE = 64 << 20  # bytes: larger files go up in parts


class Foreign:
    """A bucket that an fsspec file system opens; raises ImportError where its package is not installed."""

    def __init__(self, scheme: str, name: str, files: Any = None) -> None:
        self._url = f"{scheme}://{name}"
        self._name = name
        self._files = files if files is not None else fsspec.filesystem(scheme, use_listings_cache=False)

    def entries(self, prefix: str) -> list[Entry]:
        """All objects whose key starts with the prefix, in the order of their keys."""
        folder = prefix.rpartition("/")[0]

        def listed() -> list[Entry]:
            try:
                about = self._files.find(self._path(folder), detail=True)
            except FileNotFoundError:
                return []
            return sorted((self._entry(each) for each in about.values()), key=lambda entry: entry.key)

        every = self._asked(f"{self._url}/{prefix} cannot be listed", listed)
        return [entry for entry in every if entry.key.startswith(prefix)]

    def entry(self, key: str) -> Entry:
        """One object, unread; raises FileNotFoundError."""
        what = f"{self._url}/{key} cannot be read"
        return self._entry(self._asked(what, lambda: self._files.info(self._path(key))))

    def read(self, key: str, span: tuple[int, int] | None = None, etag: str = "") -> tuple[bytes, str]:
        """The content, or its bytes from `span[0]` up to `span[1]`, and the ETag.

        These packages read no version of choice: one that was listed anew meanwhile is told by its ETag.
        """
        start, end = span or (None, None)
        what = f"{self._url}/{key} cannot be read"
        data = bytes(self._asked(what, lambda: self._files.cat_file(self._path(key), start, end)))
        if span is not None:
            return data, etag
        return data, self.entry(key).etag

    def put(self, key: str, data: bytes | Path, *, absent: bool) -> str:
        """Write the object and return its ETag; with `absent` raises FileExistsError where the key is taken."""
        how: dict[str, Any] = {"mode": "create" if absent else "overwrite"}
        path = self._path(key)

        def write() -> object:
            if isinstance(data, Path) and data.stat().st_size > _IN_ONE:
                return self._files.put_file(str(data), path, overwrite=not absent, **how)
            return self._files.pipe_file(path, data if isinstance(data, bytes) else data.read_bytes(), **how)

        self._asked(f"{self._url}/{key} cannot be written", write)
        return self.entry(key).etag

    def access(self) -> Access:
        """Nothing that its service's own tools do not know."""
        return Access()

    def delete(self, keys: Iterable[str]) -> None:
        """Remove objects; those that are not there are none to remove."""
        for key in keys:
            with suppress(FileNotFoundError):
                what = f"{self._url}/{key} cannot be removed"
                self._asked(what, partial(self._files.rm_file, self._path(key)))

    def _path(self, key: str) -> str:
        return f"{self._name}/{key}" if key else self._name

    def _entry(self, about: dict[str, Any]) -> Entry:
        times = (about.get(name) for name in ("mtime", "last_modified", "created"))
        modified = next((time for time in times if isinstance(time, datetime)), datetime.now(UTC))
        etag = str(about.get("etag") or about.get("ETag") or f"{about['size']}-{modified}")
        key = str(about["name"]).lstrip("/").removeprefix(f"{self._name}/")
        return Entry(key, int(about["size"]), etag, modified.astimezone(UTC))

    def _asked(self, what: str, ask: Callable[[], T]) -> T:
        """What `ask` returns; raises an OSError that says in one line what went wrong."""
        try:
            return ask()
        except (FileNotFoundError, FileExistsError):
            raise
        except Exception as error:  # each of these packages has faults of its own
            said = " ".join(str(error).split())[:200]
            raise OSError(f"{what}: {type(error).__name__} {said}") from error
