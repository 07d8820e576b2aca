"""A hidden folder of a store where a run is made until it takes its place, and what is left of those that were killed.

A run takes another one's place by an exchange of the two folders' names, in one step. Where the file system has none,
it takes two renames: between them the old run lies in `.aside`, where `Workplace.aside` lets readers find it, and from
where the next writer brings it back. Weighed against a pointer to the folder that counts, which no other tool follows.
"""

import ctypes
import errno
import logging
import os
import re
import shutil
import sys
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any

from secondguess.analysis import signals
from secondguess.analysis.errors import AlreadyThere
from secondguess.analysis.objects.path import ObjectPath
from secondguess.analysis.schema import decoded
from secondguess.analysis.store import remarks
from secondguess.analysis.store.arrival import arrive
from secondguess.analysis.store.disk import drop_if_dead, here, make_folder, sync_folder
from secondguess.analysis.store.lock import Held, RunLock, is_held
from secondguess.analysis.store.runs import ASIDE, is_workplace, set_aside

_log = logging.getLogger("secondguess")

IMPORTING, REPLACING, RANKS = ".importing-", ".replacing-", ".ranks-"
_FORMER = ".replaced"  # where versions up to 0.1 put what they replaced
_PART = re.compile(r"[0-9a-f]{32}\.part")
_PATIENCE_S = 4.0  # for a change of names that a signal meets
_RENAME_SWAP = 2  # RENAME_EXCHANGE of Linux, RENAME_SWAP of macOS
_NO_EXCHANGE = {errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EXDEV, errno.EPERM}


class Workplace:
    """An open workplace, locked as long as its process lives; closing removes it and all that lies there."""

    def __init__(self, store: Path, prefix: str) -> None:
        self.store = store
        self._process = os.getpid()
        self._changing = threading.Lock()
        while True:
            self.path = here(store) / f"{prefix}{uuid.uuid4().hex}"
            os.mkdir(self.path, 0o700)
            # Whoever clears up may take it for a dead one until it is locked, and then has it.
            with suppress(BlockingIOError, FileNotFoundError):
                self._lock = RunLock(self.path)
                break
        self._withdraw = signals.promise(self._abandon)

    def take_place(self, new: Path, final: Path, old: Held | None) -> None:
        """Give a run that was made here its name; what had the name is deleted. All of it happens, or nothing.

        old is the lock on the run that is replaced, where there is one. Raises AlreadyThere where the name is another's
        by now, OSError.
        """
        with signals.finished_first(_PATIENCE_S), self._changing:
            if isinstance(final, ObjectPath):
                arrive(new, final, self.store, old)
            else:
                self._take_place(new, final, old)

    def _take_place(self, new: Path, final: Path, old: Held | None) -> None:
        if old is None or not old.holds():  # there is none, or somebody took it away
            try:
                os.rename(new, final)
            except OSError as error:
                if error.errno not in {errno.ENOTEMPTY, errno.EEXIST}:
                    raise
                raise AlreadyThere(f"run {decoded(final.name)!r} exists already; it came meanwhile") from None
            sync_folder(self.store)
            return
        if (final / remarks.FILE).is_file() and not (new / remarks.FILE).exists():  # what was said of the run stays
            shutil.copyfile(final / remarks.FILE, new / remarks.FILE)
        aside = self._swapped(new, final)
        try:
            sync_folder(self.store)
            sync_folder(self.path)
        except OSError:
            _put_back(new, final, aside)
            raise
        shutil.rmtree(aside, ignore_errors=True)

    def _swapped(self, new: Path, final: Path) -> Path:
        """Where the old run lies after the new one has its name."""
        if exchange(new, final):
            return new
        aside = self.path / ASIDE / final.name
        make_folder(aside.parent)
        try:
            os.rename(final, aside)
            os.rename(new, final)
        except BaseException:
            if aside.exists() and not final.exists():
                os.rename(aside, final)
            raise
        return aside

    def close(self) -> None:
        """Remove the workplace, unless a run waits there to be brought back; not in a forked child."""
        if os.getpid() == self._process:
            self._withdraw()
            if not set_aside(self.path):
                shutil.rmtree(self.path, ignore_errors=True)
            self._lock.release()

    def _abandon(self) -> None:
        """Remove the workplace beside a thread that may be at work; a change of names is left to the next writer."""
        if self._changing.acquire(blocking=False) and not set_aside(self.path):
            shutil.rmtree(self.path, ignore_errors=True)


@contextmanager
def workplace(store: Path, prefix: str) -> Iterator[Workplace]:
    """A workplace that goes when the block ends."""
    place = Workplace(store, prefix)
    try:
        yield place
    finally:
        place.close()


def _put_back(new: Path, final: Path, aside: Path) -> None:
    """Undo a swap."""
    if aside == new:
        exchange(final, new)
    else:
        os.rename(final, new)
        os.rename(aside, final)


def exchange(one: Path, other: Path) -> bool:
    """Exchange the names of two folders in one step; False where the system or the file system cannot."""
    call = _system_exchange()
    if call is None:
        return False
    if call(os.fsencode(one), os.fsencode(other)) == 0:
        return True
    number = ctypes.get_errno()
    if number in _NO_EXCHANGE:
        return False
    raise OSError(number, os.strerror(number), str(one))


@cache
def _system_exchange() -> Any:
    """The operating system's call, None where it has none."""
    library = ctypes.CDLL(None, use_errno=True)
    if sys.platform == "darwin" and hasattr(library, "renamex_np"):
        return lambda one, other: library.renamex_np(one, other, _RENAME_SWAP)
    if hasattr(library, "renameat2"):
        here = -100  # AT_FDCWD: paths are as the process sees them
        return lambda one, other: library.renameat2(here, one, here, other, _RENAME_SWAP)
    return None


def remains(store: Path) -> list[Path]:
    """What killed processes left beside a store's runs: workplaces that nobody holds, and files half written."""
    store = here(store)
    left = [folder for folder in _folders(store) if not is_held(folder)]
    if (store / _FORMER).is_dir():
        left.append(store / _FORMER)
    return left + [part for part in _parts(store) if drop_if_dead(part, look_only=True)]


def clear(store: Path) -> None:
    """Bring back what a killed process had set aside, remove the rest of what `remains` names, and say so.

    So, of a bucket's, what they left in the folder of this machine where its files are made.
    """
    store = here(store)
    for folder in _folders(store):
        try:
            lock = RunLock(folder, patience_s=0)
        except OSError:  # somebody works there, or clears it at this moment, or it is not ours to clear
            continue
        try:
            if _brought_back(store, folder):
                given_up = _given_up(folder)
                shutil.rmtree(folder, ignore_errors=True)
                _say_cleared(folder)
                for run in given_up:
                    _log.warning("what was to replace run %r had nothing committed yet: it is the one from before", run)
        finally:
            lock.release()
    if (former := store / _FORMER).is_dir():
        shutil.rmtree(former, ignore_errors=True)
        _say_cleared(former)
    if parts := [part for part in _parts(store) if drop_if_dead(part)]:
        more = f" and {len(parts) - 1:,} more" if len(parts) > 1 else ""
        _log.warning("cleared %s%s, left by a process that was killed", parts[0], more)


def _given_up(folder: Path) -> list[str]:
    """The runs that were to be replaced out of this workplace, and stay."""
    if not folder.name.startswith(REPLACING):
        return []
    begun = [path for path in _listed(folder) if (path / "run.json").is_file()]
    return [decoded(path.name) for path in begun if not any((path / "commits").rglob("*.json"))]


def _say_cleared(folder: Path) -> None:
    if not folder.exists():
        _log.warning("cleared %s, left by a process that was killed", folder)


def _brought_back(store: Path, folder: Path) -> bool:
    """Give the runs that were set aside their names again, where no other has them; False where that fails."""
    for run in set_aside(folder):
        if not (store / run.name / "run.json").exists():
            try:
                os.rename(run, store / run.name)
                sync_folder(store)
            except OSError as fault:
                _log.warning("run %r, set aside in %s, cannot be brought back: %s", decoded(run.name), run, fault)
                return False
            _log.warning("run %r is back as it was: what was replacing it was killed", decoded(run.name))
    return True


def _folders(store: Path) -> list[Path]:
    return sorted(path for path in store.iterdir() if is_workplace(path) and path.is_dir() and not path.is_symlink())


def _parts(store: Path) -> list[Path]:
    """Our files that are being written, or were: in the store, in its `.incoming` and in those of its runs."""
    folders = [store, *(folder for folder in store.iterdir() if not folder.is_symlink())]
    inside = [
        path for folder in (folders[0], *(folder / ".incoming" for folder in folders)) for path in _listed(folder)
    ]
    return sorted(path for path in inside if _PART.fullmatch(path.name))


def _listed(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except OSError:
        return []
