"""The runs of a store, each read once while its records stay as they are, and what tells the store's states apart.

A state is that of every file's name, size, inode and times, in a bucket of every object's name and ETag. What changed
in the last two seconds may change again within one tick of a file system's clock: such runs are read anew, and no state
of their store is told from the next.
"""

import hashlib
import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from secondguess.analysis.objects.path import ObjectPath, look
from secondguess.analysis.store.lease import LEASES
from secondguess.analysis.store.runs import Run, list_runs

_SETTLED_NS = 2_000_000_000  # the coarsest clock of a file system
_ASIDE = {"wandb"}  # what is no part of any answer
_Seen = tuple[str, int, int, int, int]


@dataclass(frozen=True)
class Listed:
    """The runs of a store; state is the same while nothing changes, None where that cannot be told. sizes are bytes."""

    runs: Mapping[str, Run]
    state: str | None
    sizes: Mapping[str, int]


class RememberedRuns:
    """The runs of one store, as they were when their files were last seen to be others."""

    def __init__(self, store: Path) -> None:
        self._store = store
        self._runs: dict[Path, tuple[tuple[_Seen, ...], Run]] = {}
        self._last = Listed({}, None, {})

    def list(self) -> Listed:
        """The store's runs: the very same mapping for as long as nothing changed; raises NotFound without a store."""
        if isinstance(self._store, ObjectPath):
            look(self._store)
        before = time.time_ns() - _SETTLED_NS
        looks = {folder: tuple(_look(folder)) for folder in _folders(self._store)}
        settled = {folder: all(max(seen[3:]) < before for seen in look) for folder, look in looks.items()}
        kept: dict[Path, tuple[tuple[_Seen, ...], Run]] = {}

        def same(run: Run) -> Run:
            look = looks.get(run.folder, ())
            known = self._runs.get(run.folder)
            if known is not None and known[0] == look and known[1].outside == run.outside:
                run = known[1]
            if look and settled[run.folder]:
                kept[run.folder] = (look, run)
            return run

        runs = list_runs(self._store, same)
        self._runs = kept
        state = None
        if all(settled.values()) and all(run.folder in kept for run in runs.values()):
            going = [(run.name, run.state) for run in runs.values() if run.end is None]
            top = self._store.stat()
            told = (top.st_ino, top.st_mtime_ns, sorted((str(folder), look) for folder, look in looks.items()), going)
            state = hashlib.sha256(repr(told).encode()).hexdigest()[:32]
        if state is None or state != self._last.state:
            sizes = {run.name: _bytes(looks.get(run.folder, ())) for run in runs.values()}
            self._last = Listed(runs, state, sizes)
        return self._last


def _bytes(look: tuple[_Seen, ...]) -> int:
    return sum(size for _, _, size, _, _ in look)


def _folders(store: Path) -> list[Path]:
    """Every folder of the store, but what is beside it."""
    if isinstance(store, ObjectPath):
        return [path for path in store.glob("*") if path.name not in _ASIDE and path.is_dir()]
    try:
        with os.scandir(store) as entries:
            return [Path(entry.path) for entry in entries if entry.name not in _ASIDE and entry.is_dir()]
    except OSError:  # which `list_runs` says
        return []


def _look(folder: Path) -> Iterator[_Seen]:
    """What is seen of a folder of the store; behind a link it may change at any moment."""
    if isinstance(folder, ObjectPath):
        yield from (_seen(path) for path in folder.rglob("*") if path.is_file() and path.parent.name != LEASES)
    elif folder.is_symlink():
        yield (str(folder), 0, 0, time.time_ns(), time.time_ns())
    else:
        yield from _files(folder)


def _seen(path: ObjectPath) -> _Seen:
    """What is seen of an object: its ETag tells one content from another."""
    return (str(path), int.from_bytes(hashlib.sha256(str(path.etag).encode()).digest()[:7]), path.stat().st_size, 0, 0)


def _files(folder: str | os.PathLike[str]) -> Iterator[_Seen]:
    """Every file and folder below a folder, in order; sizes are those of plain files."""
    try:
        with os.scandir(folder) as entries:
            there = sorted(entries, key=lambda entry: entry.name)
    except OSError:
        return
    for entry in there:
        try:
            about = entry.stat(follow_symlinks=False)
        except OSError:  # compacted at this moment: its folder says so
            continue
        is_folder = entry.is_dir(follow_symlinks=False)
        if entry.is_symlink():  # what it leads to changes without it
            yield (entry.path, about.st_ino, 0, time.time_ns(), time.time_ns())
            continue
        yield (entry.path, about.st_ino, 0 if is_folder else about.st_size, about.st_mtime_ns, about.st_ctime_ns)
        if is_folder:
            yield from _files(entry.path)
