"""Prediction files as somebody has them: which format one is, and what is packed taken out of its package.

Weighed against the suffix alone, which standard input lacks and a renamed file has wrong: what a binary format begins
with decides before it.
"""

import bz2
import gzip
import lzma
import os
import re
import shutil
import struct
import sys
import zipfile
import zlib
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, Any, BinaryIO

import pyarrow as pa

from secondguess.analysis.errors import BadInput, Damaged, NotFound, listing
from secondguess.analysis.opening import open_regular

STDIN = "-"
_PIPED = "standard input"
FORMATS = ("csv", "tsv", "jsonl", "json", "parquet", "arrow", "xlsx")
"""What a file can be; the first two differ by their usual delimiter only."""
_SUFFIXES = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".tab": "tsv",
    ".txt": "csv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "json",
    ".parquet": "parquet",
    ".pq": "parquet",
    ".arrow": "arrow",
    ".feather": "arrow",
    ".ipc": "arrow",
    ".xlsx": "xlsx",
}
_PACKED = (".gz", ".zst", ".zip", ".bz2", ".xz")
_BINARY = ((b"PAR1", "parquet"), (b"ARROW1", "arrow"), (b"FEA1", "arrow"))
_PIECE = 1 << 20
_ALWAYS = 1 << 30  # bytes that any package may hold
_TIMES = 200  # as much as it takes itself is what a larger one may hold: text shrinks to a tenth, rarely to a fiftieth
_LAYERS = 3
_NUMBER = re.compile(r"(\d+)")


@dataclass(frozen=True)
class DataFile:
    """A file that can be read: where it lies, what messages call it, and which of FORMATS it is."""

    path: Path
    name: str
    format: str


def named_files(sources: Sequence[str]) -> list[str]:
    """The files behind the names of files, folders and patterns, in the order of their names; `-` stays.

    Numbers within names count as numbers. Of a folder its files of known formats are taken, if all are of one. Raises
    NotFound where there is none, BadInput where a folder has several formats.
    """
    files: list[str] = []
    for source in sources:
        path = Path(source)
        if source == STDIN or path.is_file() or path.is_fifo():
            files.append(source)
        elif path.is_dir():
            files += _inside(path)
        else:
            files += _matching(source)
    return list(dict.fromkeys(files))


def is_pattern(source: str) -> bool:
    """Whether the source stands for the files that match it."""
    return any(mark in source for mark in "*?[") and not Path(source).exists()


def _matching(pattern: str) -> list[str]:
    path = Path(pattern)
    if not is_pattern(pattern):
        raise NotFound(f"no file or folder {pattern}")
    root = Path(path.anchor) if path.is_absolute() else Path()
    try:
        found = [str(file) for file in root.glob(str(path.relative_to(path.anchor))) if file.is_file()]
    except (ValueError, NotImplementedError) as error:
        raise BadInput(f"{pattern} is no pattern for files: {error}") from None
    if not found:
        raise NotFound(f"no file matches {pattern}")
    return sorted(found, key=by_number)


def _inside(folder: Path) -> list[str]:
    files = sorted((str(file) for file in folder.iterdir() if file.is_file()), key=by_number)
    by_format: dict[str, list[str]] = {}
    for file in files:
        known = format_by_name(file)
        if known is not None and not Path(file).name.startswith((".", "_")):
            by_format.setdefault(known, []).append(file)
    if not by_format:
        raise NotFound(f"{folder} holds no file of a known format ({', '.join(_SUFFIXES)})")
    if len(by_format) > 1:
        counts = ", ".join(f"{len(names)} {known}" for known, names in by_format.items())
        most = max(by_format.values(), key=len)
        pattern = folder / f"*{''.join(_endings(most[0]))}"
        raise BadInput(f"{folder} holds files of several formats ({counts}); name those of one table: '{pattern}'")
    return next(iter(by_format.values()))


def by_number(name: str) -> list[Any]:
    """What sorts names with their numbers as numbers."""
    return [int(part) if part.isdecimal() else part for part in _NUMBER.split(name)]


def _endings(name: str) -> list[str]:
    """The suffixes that say format and packages, as `.csv`, `.gz`."""
    kept: list[str] = []
    for suffix in reversed(Path(name).suffixes):
        if suffix.lower() in _PACKED:
            kept.insert(0, suffix)
            continue
        return [suffix, *kept] if suffix.lower() in _SUFFIXES else kept
    return kept


def stem_of(name: str) -> str:
    """A file's name without the suffixes that say its format and packages."""
    if name in {STDIN, _PIPED}:
        return "stdin"
    return Path(name).name.removesuffix("".join(_endings(name)))


def format_by_name(name: str) -> str | None:
    """The format that a file's suffixes say; None where they say none."""
    return next((_SUFFIXES[suffix.lower()] for suffix in _endings(name) if suffix.lower() in _SUFFIXES), None)


def unpacked(source: str, folder: Path, format: str | None = None) -> DataFile:
    """A file ready to be read, taken out of its packages and, for `-` or a pipe, put into the folder.

    Raises NotFound or BadInput for what is no file of a known format, or a package that holds much more than it takes
    or several files, Damaged for a broken one.
    """
    if source == STDIN:
        path, name = folder / "stdin", _PIPED
        with path.open("wb") as out:
            shutil.copyfileobj(sys.stdin.buffer, out, _PIECE)
    elif Path(source).is_fifo():
        path, name = folder / f"pipe-{len(list(folder.iterdir()))}", source
        with Path(source).open("rb") as pipe, path.open("wb") as out:
            shutil.copyfileobj(pipe, out, _PIECE)
    else:
        path, name = Path(source), source
        open_regular(path, links=True).close()
    piped = path != Path(source)
    told = name
    for layer in range(_LAYERS + 1):
        with closing(open_regular(path, links=True)) as file:
            head = file.read(64)
        packed = _package(path, head)
        if packed is None:
            return DataFile(path, name, _format(path, name, head, format or format_by_name(told), piped))
        if layer < _LAYERS:
            made = folder / f"unpacked-{len(list(folder.iterdir()))}"
            inner = packed(path, made, name)
            told = inner or told
            path = made
    raise BadInput(f"{name} is packed more than {_LAYERS} times")


def _format(path: Path, name: str, head: bytes, told: str | None, piped: bool) -> str:
    for mark, format in _BINARY:
        if head.startswith(mark):
            return format
    if zipfile.is_zipfile(path):
        return "xlsx"
    if told in {"parquet", "xlsx"}:
        raise Damaged(f"{name} cannot be read: it does not begin as a file of the format {told} does")
    if told is not None:
        return told
    if not piped:
        raise BadInput(
            f"{name} is none of {', '.join(_SUFFIXES)}, nor such a file packed as {', '.join(_PACKED)}; "
            f"--format names its format: {', '.join(FORMATS)}"
        )
    return "json" if head.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] in {b"[", b"{"} else "csv"


Unpack = Callable[[Path, Path, str], str | None]


def _package(path: Path, head: bytes) -> Unpack | None:
    """What takes a file out of its package, and returns its name in there if it has one; None for no package."""
    for mark, opened in _STREAMS:
        if head.startswith(mark):
            return partial(_out_of_stream, opened)
    if head.startswith(b"PK\x03\x04") and not zipfile.is_zipfile(path):
        raise Damaged(f"{path} cannot be unpacked: its end is missing; copy it again")
    if head.startswith(b"PK") and zipfile.is_zipfile(path) and not _is_workbook(path):
        return _out_of_zip
    return None


_STREAMS: tuple[tuple[bytes, Callable[[Path], Any]], ...] = (
    (b"\x1f\x8b", gzip.open),
    (b"\x28\xb5\x2f\xfd", lambda path: pa.CompressedInputStream(pa.OSFile(str(path)), "zstd")),
    (b"BZh", bz2.open),
    (b"\xfd7zXZ\x00", lzma.open),
)
_NO_ZIP = (zipfile.BadZipFile, NotImplementedError, ValueError, struct.error)
_BROKEN = (OSError, EOFError, zlib.error, lzma.LZMAError, zipfile.BadZipFile, pa.ArrowException)


def _out_of_stream(opened: Callable[[Path], Any], path: Path, made: Path, name: str) -> None:
    _copied(lambda: opened(path), path, made, name)


def _is_workbook(path: Path) -> bool:
    with suppress(*_NO_ZIP), zipfile.ZipFile(path) as package:  # which is said when it is unpacked
        return "[Content_Types].xml" in package.namelist()
    return False


def _out_of_zip(path: Path, made: Path, name: str) -> str | None:
    try:
        with zipfile.ZipFile(path) as package:
            inside = [
                about
                for about in package.infolist()
                if not about.filename.endswith("/") and not about.filename.startswith("__MACOSX/")
            ]
            if len(inside) != 1:
                names = listing([about.filename for about in inside]) or "nothing"
                raise BadInput(f"{name} has {len(inside)} files ({names}); unpack it and name the file")
            if inside[0].flag_bits & 1:
                raise BadInput(f"{name} is locked with a password; unpack it first")
            _copied(lambda: package.open(inside[0]), path, made, name)
            return inside[0].filename
    except _NO_ZIP as error:
        if isinstance(error, BadInput):
            raise
        raise Damaged(f"{name} cannot be unpacked: {error}") from None


def _copied(opened: Callable[[], IO[bytes] | Any], path: Path, made: Path, name: str) -> None:
    """Write what is packed; raises BadInput where that is far more than a file of predictions shrinks by."""
    most = max(_ALWAYS, _TIMES * os.path.getsize(path))
    with made.open("wb") as out:
        try:
            with opened() as packed:
                _bounded(packed, out, most, name)
        except _BROKEN as error:
            raise Damaged(f"{name} cannot be unpacked: {str(error).splitlines()[0] or 'it ends too early'}") from None


def _bounded(packed: Any, out: BinaryIO, most: int, name: str) -> None:
    left = most
    for piece in iter(partial(packed.read, _PIECE), b""):
        left -= len(piece)
        if left < 0:
            raise BadInput(
                f"{name} holds more than {most:,} bytes, far more than it takes; unpack it yourself if that is right"
            )
        out.write(piece)
