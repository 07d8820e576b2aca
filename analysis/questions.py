"""Named questions: one SQL file each, whose comments say what it answers and what it takes."""

import datetime
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

from analysis.errors import BadInput, NotFound, listing

_HEADER = re.compile(r"--\s*(?P<key>[a-z]+):\s*(?P<value>.*)")
_OPTION = re.compile(r"--\s*\$(?P<name>[a-z_]+)\s+(?P<type>int|float|text|date)\s*=\s*(?P<default>\S+)\s*(?P<help>.*)")
_TYPES: dict[str, Any] = {"int": int, "float": float, "text": str, "date": datetime.date.fromisoformat}


@dataclass(frozen=True)
class Option:
    """A `$name` of a question: its type's reader, its default, and what it means."""

    name: str
    type: str
    default: Any
    help: str

    def read(self, value: object) -> Any:
        """The value in the option's type; raises BadInput for one that is not."""
        if value is None or not isinstance(value, str):
            return value
        try:
            return _TYPES[self.type](value)
        except ValueError:
            raise BadInput(f"--{self.name} {value!r} is not of type {self.type}") from None


@dataclass(frozen=True)
class Question:
    """A question: its SELECT, its help line, and how it is asked.

    epochs ("last" or "all") decides where a reference names no epoch; tables is how many references it takes, (at
    least, at most or None). drawn says how a terminal may lay the answer out, as (how, columns).
    """

    name: str
    help: str
    sql: str
    epochs: str
    tables: tuple[int, int | None]
    options: tuple[Option, ...]
    drawn: tuple[str, tuple[str, ...]] | None
    truth: bool

    def values(self, given: Mapping[str, object]) -> dict[str, Any]:
        """A value for each option, given or default; raises BadInput for one it does not have."""
        known = {option.name: option for option in self.options}
        if unknown := set(given) - set(known):
            raise BadInput(f"{self.name} has no option {min(unknown)!r}; it has: {listing(known) or 'none'}")
        return {name: option.read(given.get(name, option.default)) for name, option in known.items()}


def all_questions(store: Path) -> dict[str, Question]:
    """The questions by name: the built-in ones, then those in `<store>/questions`, which cannot replace them."""
    found: dict[str, Question] = {}
    for source in _sources(store):
        name = source.name.removesuffix(".sql")
        if name not in found:
            found[name] = read(name, source.read_text(encoding="utf-8"))
    return found


def find(store: Path, name: str) -> Question:
    """The question of that name; raises NotFound naming those there are."""
    known = all_questions(store)
    if name not in known:
        raise NotFound(f"no question named {name!r}; there are: {listing(known)}")
    return known[name]


def read(name: str, text: str) -> Question:
    """Read a question file; raises BadInput naming the line that says too little."""
    lines = text.strip().splitlines()
    comments = [line for line in lines if line.startswith("--")]
    if not comments or _HEADER.fullmatch(comments[0]):
        raise BadInput(f"question {name!r} must begin with a comment that says what it answers")
    header = {found["key"]: found["value"].strip() for line in comments[1:] if (found := _HEADER.fullmatch(line))}
    how, _, columns = header.get("drawn", "").partition(" ")
    return Question(
        name=name,
        help=comments[0].removeprefix("--").strip(),
        sql="\n".join(line for line in lines if not (_HEADER.fullmatch(line) or _OPTION.fullmatch(line))),
        epochs=_one_of(name, "epochs", header.get("epochs", "last"), ("last", "all")),
        tables=_count(name, header.get("tables", "1..n")),
        options=tuple(_option(found) for line in comments if (found := _OPTION.fullmatch(line))),
        drawn=(how, tuple(columns.split())) if how else None,
        truth=header.get("truth", "needed") == "needed",
    )


def _sources(store: Path) -> Iterator[Traversable]:
    for folder in (files("analysis") / "sql", store / "questions"):
        if folder.is_dir():
            yield from sorted(
                (path for path in folder.iterdir() if path.name.endswith(".sql")), key=lambda path: path.name
            )


def _one_of(name: str, key: str, value: str, allowed: tuple[str, ...]) -> str:
    if value not in allowed:
        raise BadInput(f"question {name!r}: {key} is {value!r}, not one of {', '.join(allowed)}")
    return value


def _count(name: str, text: str) -> tuple[int, int | None]:
    low, dots, high = text.partition("..")
    if low.isdigit() and (high.isdigit() or high == "n" or not dots):
        return int(low), (int(low) if not dots else None if high == "n" else int(high))
    raise BadInput(f"question {name!r}: tables is {text!r}, not a number or a range such as 1..2 or 1..n")


def _option(found: re.Match[str]) -> Option:
    default = None if found["default"] == "null" else _TYPES[found["type"]](found["default"])
    return Option(found["name"], found["type"], default, found["help"])
