"""Opening files whose names somebody else chose: regular files only, below one folder only, through no link.

Weighed against openat2's RESOLVE_BENEATH, which does it all in the kernel: neither Python nor macOS has it.
"""

import errno
import os
import re
import stat
from io import BufferedReader
from pathlib import Path

from secondguess.analysis.errors import BadInput, NotFound
from secondguess.analysis.objects.path import ObjectPath

_LONGEST_PATH = 4096
_PLAIN = re.compile(r"(?:[\w-][\w.-]*/)*[\w-][\w.-]*", re.ASCII)  # what nearly all names are: one look is enough
_ODD = re.compile(r"[\x00-\x1f\x7f\\\ud800-\udfff]")
_DRIVE = re.compile(r"[A-Za-z]:")
_NO_NAMES = frozenset({"", ".", ".."})
# A pipe without a writer would hang the open, were it not for O_NONBLOCK.
_FLAGS = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC


def open_regular(path: Path, *, links: bool = False) -> BufferedReader:
    """Open a regular file for reading; raises NotFound, or BadInput for a device, a pipe or (unless `links`) a link."""
    return os.fdopen(_opened(path, links)[0], "rb")


def read_regular(path: Path | str, limit: int, *, links: bool = False) -> bytes:
    """Read a regular file of at most `limit` bytes; raises as `open_regular`, and BadInput for a longer one.

    So an object of a bucket, and NotReached where that does not answer.
    """
    if isinstance(path, ObjectPath):
        return _read_object(path, limit)
    handle, size = _opened(path, links)
    try:
        if size > limit:
            raise BadInput(f"{path} has {size:,} bytes; at most {limit:,} are read")
        data = os.read(handle, size)
        while len(data) < size and (more := os.read(handle, size - len(data))):
            data += more
        return data
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {error.strerror}") from None
    finally:
        os.close(handle)


def _read_object(path: ObjectPath, limit: int) -> bytes:
    try:
        if (size := path.stat().st_size) > limit:
            raise BadInput(f"{path} has {size:,} bytes; at most {limit:,} are read")
        return path.read_bytes()
    except FileNotFoundError:
        raise NotFound(f"no object {path}") from None


def below(root: Path, name: str) -> Path:
    """The path of a file below the folder, from a relative name with `/`.

    Raises BadInput for a name that could leave the folder, here or on another system, or leads through a link.
    """
    parts = checked_name(name).split("/")
    folder = root.joinpath(*parts[:-1])
    if os.path.realpath(folder) != os.path.join(os.path.realpath(root), *parts[:-1]):
        raise BadInput(f"{name!r} leads through a link in {root}; links are not followed")
    return folder / parts[-1]


def checked_name(name: object) -> str:
    """The relative name of a file, if it stays below any folder it is put in; raises BadInput otherwise."""
    if not isinstance(name, str) or not name or len(name) > _LONGEST_PATH:
        raise BadInput(f"{str(name)[:80]!r} is not the name of a file")
    if _PLAIN.fullmatch(name):
        return name
    if _ODD.search(name) or _DRIVE.match(name):
        raise BadInput(f"{name[:80]!r} is not a plain relative path")
    if not _NO_NAMES.isdisjoint(name.split("/")):
        raise BadInput(f"{name[:80]!r} leads out of its folder")
    return name


def _opened(path: Path | str, links: bool) -> tuple[int, int]:
    """The handle and the size of a regular file."""
    try:
        handle = os.open(path, _FLAGS if links else _FLAGS | os.O_NOFOLLOW)
    except (FileNotFoundError, NotADirectoryError):
        raise NotFound(f"no file {path}") from None
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise BadInput(f"{path} is a link; links are not followed") from None
        raise BadInput(f"{path} cannot be read: {error.strerror}") from None
    about = os.fstat(handle)
    if not stat.S_ISREG(about.st_mode):
        os.close(handle)
        raise BadInput(f"{path} is not a regular file")
    return handle, about.st_size
