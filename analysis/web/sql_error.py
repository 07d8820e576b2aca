"""Where in a person's SQL an error is, so that it can be shown under the text."""

import re
from dataclasses import dataclass

_LINE = re.compile(r" ?\(line (\d+), column (\d+)\)")
_WORD = re.compile(r"\w+")
# What a message calls by its name: "guss", 'nothing', the function foo, read_text is not allowed.
_NAMED = re.compile(r"\"([^\"]+)\"|'([^']+)'|name (\w+) does not exist|(\w+) is not allowed")


@dataclass(frozen=True)
class Place:
    """A line of the SQL, its number from 1, and the signs below it that point at what is wrong."""

    number: int
    line: str
    carets: str


def place(sql: str, message: str) -> Place | None:
    """Where the error is: as the message says, or where the first name that it names stands; None if it is nowhere."""
    if found := _LINE.search(message):
        number, column = int(found[1]), int(found[2])
        lines = sql.split("\n")
        if number > len(lines):
            return None
        word = _WORD.match(lines[number - 1], column - 1)
        return _at(lines, number, column - 1, len(word[0]) if word else 1)
    for names in _NAMED.findall(message):
        name = next(filter(None, names))
        if at := re.search(rf"(?<!\w){re.escape(name)}(?!\w)", sql, re.IGNORECASE):
            before = sql[: at.start()].split("\n")
            return _at(sql.split("\n"), len(before), len(before[-1]), len(name))
    return None


def _at(lines: list[str], number: int, start: int, many: int) -> Place:
    line = lines[number - 1]
    space = "".join("\t" if sign == "\t" else " " for sign in line[:start])
    return Place(number, line, space + "^" * max(1, min(many, len(line) - start)))


def without_place(message: str) -> str:
    """The message without the line and column that the carets show."""
    return _LINE.sub("", message)
