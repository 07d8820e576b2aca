"""Reading a JSON file of any size value by value, so that no more than one value is ever held.

Many rows at once are read by orjson, in half the time of Python's json, unless they have what it does not read alike.
Weighed against ijson, which streams JSON too, but refuses NaN and Infinity, which Python's json writes and W&B's files
have. Nor is a table read by `wandb.Table`, which holds all of it, or by Arrow's JSON reader, which takes lines.
"""

import codecs
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import orjson

from secondguess.analysis.errors import BadInput, Damaged
from secondguess.analysis.importers.wandb.table.types import column_types
from secondguess.analysis.opening import open_regular

VALUE_LIMIT = 16 << 20
_PIECE = 1 << 20
_NEAR_THE_END = 64
_SPACE = re.compile(r"[ \t\n\r]*")
_STRING = re.compile(r'"(?:[^"\\]+|\\.)*+"', re.DOTALL)
_decode = json.JSONDecoder().raw_decode
# Digits, the points before them and the quotes around them stay apart from all else.
_OUTLINE = bytes(
    ord("0") if letter in b"0123456789" else letter if letter in b'."' else ord(",") for letter in range(256)
)
_LONG = b"," + b"0" * 19


@dataclass
class Meter:
    """How many characters have been read, of all the files that share it."""

    read: int = 0


class JsonText:
    """An open JSON file. Takes UTF-8 with or without a byte order mark, and W&B's NaN and Infinity.

    Every method raises Damaged, naming the file and what it was reading, for text that is not JSON, ends too early,
    is nested too deep, or has a value of more than VALUE_LIMIT characters.
    """

    def __init__(self, file: BinaryIO, name: str, meter: Meter | None = None) -> None:
        self._file = file
        self._utf8 = codecs.getincrementaldecoder("utf-8-sig")()
        self._name = name
        self._text = ""
        self._at = 0
        self._meter = meter or Meter()
        self._ended = False
        self._tries = 3

    def next(self) -> str:
        """The next character that is no space, which stays; empty at the end of the file."""
        while True:
            space = _SPACE.match(self._text, self._at)
            assert space is not None
            self._at = space.end()
            if self._at < len(self._text):
                return self._text[self._at]
            if self._ended:
                return ""
            self._more(_PIECE)

    def take(self, expected: str, where: str) -> None:
        """Pass over the one character that must come next."""
        character = self.next()
        if character != expected:
            raise self.broken(f"{expected!r} is missing", where)
        self._at += 1

    def value(self, where: str) -> Any:
        """The next value."""
        self.next()
        while True:
            try:
                value, end = _decode(self._text, self._at)
            except json.JSONDecodeError as error:
                if self._ended and self._is_cut(error):
                    raise self.broken("the file ends within it", where) from None
                if self._ended or not self._could_go_on(error):
                    raise self.broken(error.msg, where) from None
            except RecursionError:
                raise self.broken("it is nested too deep", where) from None
            except ValueError as error:  # an integer of more digits than Python converts
                raise self.broken(str(error).split(";")[0], where) from None
            else:
                if end < len(self._text) or self._ended:
                    self._at = end
                    return value
            length = len(self._text) - self._at
            if length > VALUE_LIMIT:
                raise self.broken(f"it is longer than {VALUE_LIMIT:,} characters", where)
            self._more(min(max(_PIECE, 3 * length), VALUE_LIMIT + 1 - length))

    def keys(self) -> Iterator[str]:
        """Yield the keys of the object that comes next; the caller takes each value before it asks for the next key."""
        self.take("{", "the beginning")
        while self.next() != "}":
            key = self.value("a key")
            if not isinstance(key, str):
                raise self.broken("a key is not text", "the beginning")
            self.take(":", f"key {key[:40]!r}")
            yield key
            if self.next() != "}":
                self.take(",", f"the end of {key[:40]!r}")
        self._at += 1

    def lists(self, what: str) -> Iterator[list[Any]]:
        """Yield the lists in the list that comes next; `what` is what one is called, to be numbered from 0."""
        self.take("[", f"the beginning of the {what}s")
        index = 0
        more = self.next() != "]"
        if not more:
            self._at += 1
        while more:
            if many := self._many():
                yield from many
                index += len(many)
                continue
            value = self.value(f"{what} {index}")
            if not isinstance(value, list):
                raise self.broken("it is no list", f"{what} {index}")
            more = self.next() == ","
            if not more and self.next() != "]":
                raise self.broken("',' or ']' is missing", f"{what} {index}")
            self._at += 1
            yield value
            index += 1

    def items(self, what: str) -> Iterator[tuple[Any, int]]:
        """Yield the values in the list that comes next, and how many characters each has."""
        self.take("[", f"the beginning of the {what}s")
        index = 0
        more = self.next() != "]"
        if not more:
            self._at += 1
        while more:
            start = self._meter.read - len(self._text) + self._at
            value = self.value(f"{what} {index}")
            size = self._meter.read - len(self._text) + self._at - start
            more = self.next() == ","
            if not more and self.next() != "]":
                raise self.broken("',' or ']' is missing", f"{what} {index}")
            self._at += 1
            yield value, size
            index += 1

    def _many(self) -> list[list[Any]]:
        """The lists that are held whole, except the last, if one step can read them; else none.

        What is held up to a "]," is a row of whole lists exactly if it is JSON once it is put in brackets: within a
        text or a deeper list it is not.
        """
        cut = self._text.rfind("],", self._at) + 1 if self._tries else 0
        if not cut:
            return []
        text = f"[{self._text[self._at : cut]}]"
        try:
            lists = _whole(text)
        except (ValueError, RecursionError):
            lists = []
        if set(map(type, lists)) != {list}:
            self._tries -= 1
            return []
        self._at = cut + 1
        return lists

    def end(self) -> None:
        """Make sure that nothing follows."""
        if self.next():
            raise self.broken("something follows", "the end")

    def broken(self, why: str, where: str) -> Damaged:
        """What to raise."""
        return Damaged(f"{self._name} cannot be read at {where}: {why}")

    def _could_go_on(self, error: json.JSONDecodeError) -> bool:
        """Whether the text may only be cut where the file has not been read further."""
        return error.pos > len(self._text) - _NEAR_THE_END or self._is_cut(error)

    def _is_cut(self, error: json.JSONDecodeError) -> bool:
        # Of a text that does not end the place is its first quote, of anything else that is missing the end.
        begun = self._text.startswith('"', error.pos) and _STRING.match(self._text, error.pos) is None
        return begun or error.pos >= len(self._text.rstrip())

    def _more(self, size: int) -> None:
        raw = self._file.read(size)
        self._ended = not raw
        try:
            more = self._utf8.decode(raw, final=self._ended)
        except UnicodeDecodeError as error:
            raise Damaged(f"{self._name} is not UTF-8 text: {error.reason}") from None
        self._meter.read += len(more)
        self._text = self._text[self._at :] + more
        self._at = 0


def _whole(text: str) -> list[Any]:
    """The list that all of a text is, as Python's json reads it; raises ValueError or RecursionError for another."""
    data = text.encode()
    if _LONG not in data.translate(_OUTLINE):  # orjson reads whole numbers beyond 64 bits as floats
        with suppress(orjson.JSONDecodeError):  # of NaN, Infinity and 1e999, half a surrogate pair, or a fault
            return orjson.loads(data)  # type: ignore[no-any-return]
    value, end = _decode(text)
    if end != len(text):
        raise ValueError("something follows")
    return value  # type: ignore[no-any-return]  # what JSON has in brackets is a list


_MOST_COLUMNS = 10_000
_KEPT = {"_type", "columns", "column_types"}


class TableText:
    """An open table file, read up to its rows."""

    def __init__(self, file: BinaryIO, path: Path, meter: Meter | None = None) -> None:
        self._path = path
        self._text = JsonText(file, str(path), meter)
        self._keys = self._text.keys()
        self._about: dict[str, Any] = {}
        if not any(self._is_data(key) for key in self._keys):
            raise Damaged(f"{path} has no data")
        if self._about.get("_type", "table") != "table":
            raise BadInput(f"{path} is a {self._about['_type']!s:.40}, not a table")
        self.columns = self._columns()
        self.types = column_types(self._about["column_types"], self.columns) if "column_types" in self._about else None

    def rows(self) -> Iterator[list[Any]]:
        """Yield the rows; raises Damaged for one that is no row of this table, or where the file ends too early."""
        width = len(self.columns)
        for index, row in enumerate(self._text.lists("row")):
            if len(row) != width:
                raise Damaged(f"{self._path}: row {index} has {len(row):,} cells for {width:,} columns")
            yield row
        for key in self._keys:
            if self._is_data(key):
                raise Damaged(f"{self._path} has its data twice")
        self._text.end()

    def _is_data(self, key: str) -> bool:
        if key == "data":
            return True
        value = self._text.value(f"{key[:40]!r}")
        if key in self._about:
            raise Damaged(f"{self._path} has its {key} twice")
        if key in _KEPT:
            self._about[key] = value
        return False

    def _columns(self) -> list[str]:
        told = self._about.get("columns")
        if not isinstance(told, list):
            raise Damaged(f"{self._path} does not name its columns before its data")
        if len(told) > _MOST_COLUMNS:
            raise Damaged(f"{self._path} has {len(told):,} columns; at most {_MOST_COLUMNS:,} are read")
        for index, name in enumerate(told):
            if not isinstance(name, str | int | float):
                raise Damaged(f"{self._path}: the name of column {index} is no text")
        return [str(name) for name in told]


@contextmanager
def open_table(path: Path, meter: Meter | None = None) -> Iterator[TableText]:
    """Open a table file; raises NotFound, Damaged or BadInput, which name it."""
    with open_regular(path) as file:
        yield TableText(file, path, meter)
