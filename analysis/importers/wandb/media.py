"""The files behind W&B's media cells: found, checked against their digests, never decoded."""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Protocol, TypeVar

from secondguess.analysis.content import check_pixels
from secondguess.analysis.errors import BadInput, NotFound, SecondguessError
from secondguess.analysis.importers import checksums
from secondguess.analysis.importers.source import MediaCount
from secondguess.analysis.importers.wandb.table.types import LOST
from secondguess.analysis.opening import below, checked_name, open_regular, read_regular

MEDIA_LIMIT = 16 << 20
_ROW_LIMIT = 64 << 20
_NO_NAMES = frozenset({"", ".", ".."})

T = TypeVar("T")


class MediaFiles(Protocol):
    """The files that belong to a table, by their path in its artifact."""

    def read(self, path: str) -> bytes:
        """The content of a file; raises NotFound, or BadInput where it is refused."""

    def local(self, path: str) -> Path:
        """Where the file lies, for one that is too large to be held; raises as `read`."""


@dataclass(frozen=True)
class FolderFiles:
    """The files of a downloaded artifact."""

    root: Path

    def read(self, path: str) -> bytes:
        """The content of a file of at most MEDIA_LIMIT bytes."""
        return read_regular(below(self.root, path), MEDIA_LIMIT)

    def local(self, path: str) -> Path:
        """Where the file lies."""
        file = below(self.root, path)
        open_regular(file).close()
        return file


class Entry(NamedTuple):
    """One file of an artifact's manifest; `md5` is base64, `local_path` where the bytes waited for upload."""

    path: str
    md5: str
    local_path: str = ""
    ref: str = ""


@dataclass(frozen=True)
class WandbFolders:
    """W&B's own folders: data folders, which have `artifacts/staging`, and cache folders; the likely ones first."""

    data: Sequence[Path] = ()
    cache: Sequence[Path] = ()

    @classmethod
    def of(cls, environment: Mapping[str, str], home: Path) -> "WandbFolders":
        """The folders that W&B uses in this environment."""
        shared = Path(environment.get("XDG_DATA_HOME") or home / ".local" / "share") / "wandb"
        cached = Path(environment.get("XDG_CACHE_HOME") or home / ".cache") / "wandb"
        mac = home / "Library"
        data = [shared, mac / "Application Support" / "wandb"]
        cache = [cached, mac / "Caches" / "wandb"]
        if own := environment.get("WANDB_DATA_DIR"):
            data.insert(0, Path(own))
        if own := environment.get("WANDB_CACHE_DIR"):
            cache.insert(0, Path(own))
        return cls(data, cache)

    def beside(self, run: Path) -> "WandbFolders":
        """These, after those that lie beside a run's folder, as in a store's own mirror."""
        return WandbFolders((run.parent / "data", *self.data), (run.parent / "cache", *self.cache))


class StagedFiles:
    """The files of an artifact that was logged but not yet uploaded, from W&B's staging folder or its cache.

    A file counts only if its MD5 is the manifest's, so a log cannot make another file be read in its place.
    """

    def __init__(self, entries: Mapping[str, Entry], folders: WandbFolders) -> None:
        self.entries = entries
        self._folders = folders
        self._staging: dict[str, bool] = {}

    def read(self, path: str) -> bytes:
        """The content of a file of at most MEDIA_LIMIT bytes."""
        return self._first(self._entry(path), _read_same)

    def local(self, path: str) -> Path:
        """Where the file lies."""
        return self._first(self._entry(path), _find_same)

    def _entry(self, path: str) -> Entry:
        entry = self.entries.get(path)
        if entry is None:
            raise NotFound(f"{path!r} is not in the artifact's manifest")
        if entry.ref:
            raise NotFound(f"{path!r} is only a reference to {entry.ref[:80]}")
        return entry

    def _first(self, entry: Entry, take: Callable[[str, Entry], T]) -> T:
        if self._is_staged(entry.local_path):  # where nearly all are
            with suppress(NotFound, BadInput):
                return take(entry.local_path, entry)
        refusal: SecondguessError = NotFound(f"no file {entry.path!r} in W&B's staging folder or cache")
        for place in self._places(entry):
            try:
                if isinstance(place, BadInput):
                    raise place
                return take(place, entry)
            except NotFound:
                continue
            except BadInput as error:
                refusal = error
        raise refusal

    def _places(self, entry: Entry) -> Iterator[str | BadInput]:
        name = entry.local_path.rpartition("/")[2]
        if entry.local_path.startswith("/"):
            if self._is_staged(entry.local_path):
                yield entry.local_path
            else:
                yield BadInput(f"{entry.path!r} is said to be at {entry.local_path[:80]!r}, outside W&B's folders")
        md5 = _md5_hex(entry)
        if name not in _NO_NAMES and "\0" not in name:
            for data in self._folders.data:
                yield str(data / "artifacts" / "staging" / name)
        for cache in self._folders.cache:
            yield str(checksums.object_file(cache, md5))

    def _is_staged(self, place: str) -> bool:
        """Whether the path is absolute and of a file right in a staging folder."""
        folder, _, name = place.rpartition("/")
        if folder not in self._staging:
            self._staging[folder] = folder.startswith("/") and is_staging(folder)
        return self._staging[folder] and name not in _NO_NAMES and "\0" not in name


def is_staging(folder: str) -> bool:
    """Whether the folder is one that W&B stages files in, by its name and behind any links."""
    ends = os.path.join(os.sep, "artifacts", "staging")
    if "\0" in folder or os.path.normpath(folder) != folder:
        return False
    return folder.endswith(ends) and os.path.realpath(folder).endswith(ends)


class MediaCells:
    """Turns media cells into their content, and counts what became of them."""

    def __init__(self, files: MediaFiles | None, count: MediaCount) -> None:
        self._files = files
        self.count = count
        self.bytes = 0
        self._row_end = 0

    def begin_row(self) -> None:
        """Allow the next row its share of memory."""
        self._row_end = self.bytes + _ROW_LIMIT

    def load(self, kind: str, cell: Any) -> dict[str, Any] | None:
        """The cell as a value of MEDIA; None, and counted, where its file is gone or refused."""
        try:
            path, data = self._read(kind, cell)
        except NotFound as error:
            self.count.missing += 1
            self.count.say(str(error))
            return None
        except BadInput as error:
            self.count.refused += 1
            self.count.say(str(error))
            return None
        self.count.whole += 1
        self.bytes += len(data)
        return {"bytes": data, "path": path}

    def _read(self, kind: str, cell: Any) -> tuple[str, bytes]:
        if cell is LOST:
            raise NotFound("W&B kept only the word for the class of some media here")
        if not isinstance(cell, dict):
            raise BadInput(f"{str(cell)[:80]!r} is no media cell")
        path = checked_name(cell.get("path"))
        if self._files is None:
            raise NotFound(f"no folder to take {path!r} from")
        if self.bytes > self._row_end:
            raise BadInput(f"{path!r} is left out: one row has more than {_ROW_LIMIT:,} bytes of media")
        data = self._files.read(path)
        size = cell.get("size")
        if isinstance(size, int) and size != len(data):
            raise BadInput(f"{path!r} is not the file that the table means: it has {len(data):,} bytes, not {size:,}")
        digest = cell.get("sha256")
        if isinstance(digest, str) and digest and not checksums.is_sha256(data, digest):
            raise BadInput(f"{path!r} is not the file that the table means: its sha256 differs")
        if kind == "image":
            check_pixels(path, data)
        return path, data


def _md5_hex(entry: Entry) -> str:
    md5 = checksums.md5_hex(entry.md5)
    if md5 is None:
        raise BadInput(f"{entry.path!r} has no MD5 in the artifact's manifest, so no file can be taken for it")
    return md5


def _read_same(place: str, entry: Entry) -> bytes:
    data = read_regular(place, MEDIA_LIMIT)
    _check_md5(checksums.md5(data), place, entry)
    return data


def _find_same(place: str, entry: Entry) -> Path:
    _check_md5(checksums.md5_of(Path(place)), place, entry)
    return Path(place)


def _check_md5(md5: str, place: str, entry: Entry) -> None:
    if md5 != _md5_hex(entry):
        raise BadInput(f"{place} is not {entry.path!r}: its MD5 differs from the manifest's")
