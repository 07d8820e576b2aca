"""Text files in any encoding, as UTF-8.

Weighed against charset-normalizer, which guesses among some ninety encodings: a wrong guess would be another name.
"""

import codecs
import os
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from pathlib import Path

from secondguess.analysis.errors import BadInput, Damaged
from secondguess.analysis.opening import open_regular

_PIECE = 1 << 20
# How a file begins that says its encoding; the longer beginnings first.
_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_WESTERN = ("cp1252", "latin-1")
_NOT_IN_CP1252 = frozenset(b"\x81\x8d\x8f\x90\x9d")


def in_utf8(
    path: Path, name: str, named: str | None, folder: Path, *, must_be: bool = False
) -> tuple[Path, str | None]:
    """A file in UTF-8 without a mark, `path` itself where it is one, else made in `folder`; and the encoding it had.

    name is what messages call it; must_be says that files of its kind are in UTF-8 unless they are named or marked. The
    encoding is None for UTF-8. Raises BadInput for an encoding that there is not, Damaged for a file that is neither in
    the named one nor, where none is, in UTF-8, UTF-16, UTF-32 or a Western one.
    """
    encoding = _known(named) if named is not None else _encoding(path, name)
    if must_be and named is None and encoding in _WESTERN:
        raise Damaged(f"{name} cannot be read: it is not in UTF-8; if you know its encoding: --encoding {encoding}")
    if encoding == "utf-8":
        return path, None
    made = folder / f"text-{len(os.listdir(folder))}"
    with made.open("w", encoding="utf-8", newline="") as out:
        for text in _decoded(path, name, encoding):
            out.write(text)
    return made, None if encoding == "utf-8-sig" else encoding


def _known(named: str) -> str:
    try:
        name = codecs.lookup(named).name
    except LookupError:
        raise BadInput(f"there is no encoding {named!r}; such as utf-8, utf-16, cp1252, latin-1, gb18030") from None
    return "utf-8-sig" if name == "utf-8" else name


def _encoding(path: Path, name: str) -> str:
    """The encoding of a file: as its first bytes say, else UTF-8 if all of it is, else a Western one."""
    with closing(open_regular(path, links=True)) as file:
        head = file.read(64)
    for mark, encoding in _MARKS:
        if head.startswith(mark):
            return encoding
    if b"\0" in head[1::2] and b"\0" not in head[::2]:
        return "utf-16-le"
    if b"\0" in head[::2] and b"\0" not in head[1::2]:
        return "utf-16-be"
    lines, is_plain = 1, True
    decoder = codecs.getincrementaldecoder("utf-8")()
    for piece in _pieces(path):
        try:
            decoder.decode(piece, final=not piece)
        except UnicodeDecodeError as error:
            # Letters of UTF-8 before it say that the rest is meant to be UTF-8, too.
            if not is_plain or not error.object[: error.start].isascii():
                line = lines + error.object[: error.start].count(b"\n")
                raise Damaged(
                    f"{name} is UTF-8 up to line {line:,}, where the byte 0x{error.object[error.start]:02x} is not; "
                    "mend it, or name its encoding: --encoding cp1252"
                ) from None
            return _western(path)
        lines, is_plain = lines + piece.count(b"\n"), is_plain and piece.isascii()
    return "utf-8"


def _western(path: Path) -> str:
    """Windows' Western encoding or, where there are bytes that it does not have, ISO's."""
    return _WESTERN[1] if any(not _NOT_IN_CP1252.isdisjoint(piece) for piece in _pieces(path)) else _WESTERN[0]


def _pieces(path: Path) -> Iterator[bytes]:
    """The bytes of a file, and at last none."""
    with closing(open_regular(path, links=True)) as file:
        yield from iter(partial(file.read, _PIECE), b"")
    yield b""


def _decoded(path: Path, name: str, encoding: str) -> Iterator[str]:
    decoder = codecs.getincrementaldecoder(encoding)()
    lines = 1
    for piece in _pieces(path):
        try:
            text = decoder.decode(piece, final=not piece)
        except UnicodeError as error:
            raise Damaged(f"{name} is not in the encoding {encoding}, from about line {lines:,} on ({error})") from None
        lines += text.count("\n")
        yield text
