"""Files that are either whole and durable or not there, and are never overwritten.

Weighed against atomicwrites, which its author gave up in 2022.
"""

import contextlib
import errno
import fcntl
import hashlib
import json
import logging
import os
import shutil
import stat
import tempfile
import uuid
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from secondguess.analysis import signals
from secondguess.analysis.objects.path import ObjectPath, delete
from secondguess.analysis.store.seal import sealed

_log = logging.getLogger("secondguess")

# A folder's fsync is refused by some file systems; a file's never is without loss.
_NO_FOLDER_SYNC = {errno.EINVAL, errno.ENOTSUP, errno.EACCES, errno.EBADF}

_synced_later: ContextVar[bool] = ContextVar("_synced_later", default=False)


@contextlib.contextmanager
def synced_at_end(folder: Path) -> Iterator[None]:
    """Leave what is written within the block unsynced, file by file; all below the folder is when the block ends well.

    For a folder that nobody looks into before it is moved to its place: one wait for the disk in place of twenty.
    """
    token = _synced_later.set(True)
    try:
        yield
    finally:
        _synced_later.reset(token)
    for place, _, names in os.walk(folder):
        for name in names:
            handle = os.open(os.path.join(place, name), os.O_RDONLY)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)
        sync_folder(Path(place))


def make_folder(folder: Path) -> None:
    """Make a folder and its missing parents, durably; raises OSError where that is impossible."""
    if isinstance(folder, ObjectPath):
        return
    missing = []
    while not folder.is_dir():
        missing.append(folder)
        folder = folder.parent
    for new in reversed(missing):
        with contextlib.suppress(FileExistsError):
            os.mkdir(new)
        try:
            sync_folder(new.parent)
        except OSError:
            # A later try would find the folder there and never sync it; in use by others already, it stays.
            with contextlib.suppress(OSError):
                os.rmdir(new)
            raise


def make_private(folder: Path) -> None:
    """Make a folder that nobody but its owner can look into; one that is there stays as it is. Raises OSError."""
    if not isinstance(folder, ObjectPath) and not folder.is_dir():
        make_folder(folder.parent)
        with contextlib.suppress(FileExistsError):
            os.mkdir(folder, 0o700)
        sync_folder(folder.parent)


def here(folder: Path) -> Path:
    """Where on this machine what goes to a folder is made: there, but for a bucket's in a private temporary folder.

    Raises OSError where somebody else has that.
    """
    if not isinstance(folder, ObjectPath):
        return folder
    private = Path(tempfile.gettempdir()) / f"secondguess-{os.getuid()}"
    make_private(private)
    about = private.lstat()
    if about.st_uid != os.getuid() or not stat.S_ISDIR(about.st_mode) or about.st_mode & 0o077:
        raise OSError(errno.EACCES, f"{private} is not private; remove it, or name another folder in TMPDIR")
    return private


def sync_below(folder: Path) -> None:
    """Make every entry of a folder and of those in it survive a power loss."""
    for inside, _, _ in () if isinstance(folder, ObjectPath) else os.walk(folder):
        sync_folder(Path(inside))


def sync_folder(folder: Path) -> None:
    """Make the folder's entries survive a power loss, where the file system can be asked to."""
    if isinstance(folder, ObjectPath) or _synced_later.get():
        return
    try:
        handle = os.open(folder, os.O_RDONLY)
    except PermissionError:  # a folder that may be entered, not listed
        return
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in _NO_FOLDER_SYNC:
            raise
    finally:
        os.close(handle)


class Part:
    """A file that is being written under a temporary name: `publish` makes it visible, leaving the block drops it.

    Of one that goes to a bucket the file is in a temporary folder of this machine until then.

    It hashes what is written (`sha256`) and counts it (`size`, bytes). No glob for Parquet finds it. As long as its
    process lives it is locked, so that nobody clears it away.
    """

    def __init__(self, folder: Path) -> None:
        folder = here(folder)
        make_folder(folder)
        self.size = 0
        self.closed = False
        self._process = os.getpid()
        self._hash = hashlib.sha256()
        while True:
            self.path = folder / f"{uuid.uuid4().hex}.part"
            self._handle = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
            if _is_ours(self._handle, self.path):
                break
            os.close(self._handle)
        self._withdraw = signals.promise(partial(os.unlink, self.path))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._drop()
        except OSError as fault:
            # The file has its name by now, or is given up: what is left is litter, and swept later.
            _log.warning("%s could not be removed: %s", self.path, fault)

    def _drop(self) -> None:
        self._withdraw()
        try:
            self.close()
        finally:
            if os.getpid() == self._process:  # a forked child leaves its parent's files alone
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(self.path)

    @property
    def sha256(self) -> str:
        """The digest of everything written so far, in hex."""
        return self._hash.hexdigest()

    def write(self, data: Any) -> int:
        """Append bytes; returns how many."""
        view = memoryview(data).cast("B")
        self._hash.update(view)
        done = 0
        while done < len(view):
            done += os.write(self._handle, view[done:])
        self.size += done
        return done

    def tell(self) -> int:
        """The number of bytes written."""
        return self.size

    def flush(self) -> None:
        """Nothing is buffered here."""

    def close(self) -> None:
        """Close the file, where it is still open."""
        if not self.closed:
            self.closed = True
            # Whoever still writes must not meet another file under a number that is given out again.
            handle, self._handle = self._handle, -1
            os.close(handle)

    def publish(self, final: Path | Callable[[Self], Path]) -> Path:
        """Give the file its name, durably: put-if-absent. A callable makes the name out of this part.

        Raises FileExistsError where the name is taken, OSError where data or name could not be made durable: then it
        has no name.
        """
        if not _synced_later.get():
            os.fsync(self._handle)
        path = final(self) if callable(final) else final
        make_folder(path.parent)
        give_name(self.path, path)
        try:
            sync_folder(path.parent)
        except OSError:
            path.unlink()
            raise
        return path


def _is_ours(handle: int, path: Path) -> bool:
    """Lock a new file; False where somebody who clears up took it for a dead one before it was locked."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks, where nobody clears up
        return True
    return path.exists()


def drop_if_dead(part: Path, *, look_only: bool = False) -> bool:
    """Remove a part whose process has ended, or only look; False where one still writes it."""
    try:
        handle = os.open(part, os.O_RDONLY | os.O_NOFOLLOW)
    except OSError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if not look_only:
            os.unlink(part)
    except OSError:
        return False
    finally:
        os.close(handle)
    return True


def give_name(part: Path, final: Path) -> None:
    """Give a file a name, put-if-absent; raises FileExistsError where it is taken.

    A name in a bucket is given to a copy of it.
    """
    if isinstance(final, ObjectPath):
        final.put(part, absent=True)
        return
    try:
        os.link(part, final)
    except OSError as error:
        if error.errno not in {errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK}:
            raise
        _rename_if_absent(part, final)  # file systems without hard links: FAT, some network mounts


def _rename_if_absent(part: Path, final: Path) -> None:
    """Rename under the folder's lock, which ends with its holder, so that a killed one blocks nobody."""
    folder = os.open(final.parent, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        if final.exists():
            raise FileExistsError(errno.EEXIST, "exists", str(final))
        os.rename(part, final)
    finally:
        os.close(folder)


def remove_folder(folder: Path) -> None:
    """Remove a folder with all that lies in it; raises OSError."""
    if isinstance(folder, ObjectPath):
        delete(path for path in folder.rglob("*") if path.is_file())
    else:
        shutil.rmtree(folder)


def put_record(final: Path, record: dict[str, Any], incoming: Path) -> None:
    """Create a JSON record, sealed, under a name that must be new; raises FileExistsError where it is taken."""
    if isinstance(final, ObjectPath):
        final.put(record_bytes(record), absent=True)
        return
    with Part(incoming) as part:
        part.write(record_bytes(record))
        part.publish(final)


def record_bytes(record: dict[str, Any]) -> bytes:
    """A record as it lies on disk, with its seal."""
    return json.dumps(sealed(record), ensure_ascii=False, indent=1, allow_nan=False).encode()


def put_text(final: Path, text: str, incoming: Path, *, overwrite: bool = False) -> None:
    """Create or, with overwrite, replace a text file in one step; raises FileExistsError where the name is taken."""
    if isinstance(final, ObjectPath):
        final.put(text.encode(), absent=not overwrite)
        return
    with Part(incoming) as part:
        part.write(text.encode())
        if overwrite and final.exists():
            os.replace(part.path, final)
            sync_folder(final.parent)
        else:
            part.publish(final)
