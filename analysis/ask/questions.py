"""Named questions: one SQL file each, whose comments say what it answers and what it takes.

Weighed against aiosql, which has the idea: it knows no options with types and defaults.
"""

import datetime
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib.resources import files
from importlib.resources.abc import Traversable
from itertools import takewhile
from pathlib import Path
from statistics import NormalDist
from typing import Any, get_args

from secondguess.analysis.console import spelled_out
from secondguess.analysis.errors import BadInput, NotFound, listing
from secondguess.analysis.opening import read_regular
from secondguess.analysis.schema import Task

_LONGEST = 1 << 20  # bytes of a question
_HEADER = re.compile(r"--\s*(?P<key>[a-z]+):\s*(?P<value>.*)")
_OPTION = re.compile(
    r"--\s*\$(?P<name>[a-z][a-z_]*)\s+(?P<type>int|float|level|text|date|\([\w|]+\))\s*=\s*(?P<default>'[^']*'|\S+)\s*(?P<help>.*)"
)
_TYPES: dict[str, Any] = {
    "int": int,
    "float": float,
    "level": float,
    "text": str,
    "date": datetime.date.fromisoformat,
}
_PLAIN: dict[str, Any] = {
    "int": int,
    "float": (int, float),
    "level": (int, float),
    "text": str,
    "date": datetime.date,
}
_KEYS = ("epochs", "tables", "tasks", "drawn", "truth", "verdicts", "ids", "steps", "spark")
# What a question is asked of where its header does not say: tables whose rows are right or wrong.
_JUDGED: tuple[Task, ...] = ("classification", "multi-label")
# How an answer is drawn, and how many columns that names.
_DRAWN = {"histogram": 3, "beside": 1, "under": 1, "matrix": 3, "curve": 2, "cells": 3, "strip": 2}
# What every command has.
_TAKEN = {"help", "store", "format", "output", "show_sql", "rows", "chart", "spreadsheet", "verify", "engine", "master"}


@dataclass(frozen=True)
class Option:
    """A `$name` of a question: its type's reader, its default, and what it means.

    A level is how sure a two-sided interval is, as 0.95: the SQL is given the normal deviate that it reaches to. A type
    in brackets, as `(width|mass)`, is a text that is one of these.
    """

    name: str
    type: str
    default: Any
    help: str

    @property
    def choices(self) -> tuple[str, ...]:
        """The texts that it may be; none where any is."""
        return tuple(self.type[1:-1].split("|")) if self.type.startswith("(") else ()

    def read(self, value: object) -> Any:
        """The value in the option's type, read from text where it is text; raises BadInput for one that is not."""
        try:
            typed = value.item() if hasattr(value, "item") else value  # a NumPy scalar
            if isinstance(typed, str):
                typed = _TYPES[self.type](typed) if not self.choices else typed
            if typed is None or typed in self.choices:
                return typed
            if not self.choices and isinstance(typed, _PLAIN[self.type]) and not isinstance(typed, bool):
                if self.type == "float":
                    return float(typed)
                if self.type == "level":
                    return _level(typed)
                if self.type != "int" or -(2**63) <= typed < 2**63:
                    return typed
        except (ValueError, OverflowError):
            pass
        wanted = "a share between 0 and 1, as 0.95" if self.type == "level" else f"of type {self.type}"
        if self.choices:
            wanted = f"one of: {listing(self.choices)}"
        raise BadInput(f"{self.name} {value!r} is not {wanted}")

    def bound(self, value: object) -> Any:
        """What the SQL is given for a value."""
        typed = self.read(value)
        return NormalDist().inv_cdf(0.5 + typed / 2) if self.type == "level" and typed is not None else typed


def _level(value: float) -> float:
    """The level, if it is a share between 0 and 1; raises ValueError."""
    if not 0 < value < 1:
        raise ValueError
    return value


@dataclass(frozen=True)
class Question:
    """A question: its SELECT, its help line, and how it is asked.

    epochs ("last" or "all") decides where a reference names no epoch; tables is how many references it takes, (at
    least, at most or None). drawn says how a terminal may lay the answer out, as (how, columns): `beside KEY`, the
    tables next to each other; `under KEY`, one below the other per row of `joined`; `matrix DOWN ACROSS COUNT`; and
    a chart: `curve X Y`, `cells X Y COUNT`, `histogram LOW HIGH COUNT`; `strip GUESSES SCORES`, sequences as
    `trajectories` writes them. verdicts says that it may be asked of tables whose rows are right by a column of theirs,
    not by guess against truth; unique, that a table in which an id comes twice is refused; tasks, of what tables it is
    asked. Where steps are told, it has a column `step` that is left out where no table asked about has steps. not_spark
    says why Spark cannot run it, where it cannot. about is what the comments below the header say.
    """

    name: str
    help: str
    sql: str
    epochs: str
    tables: tuple[int, int | None]
    options: tuple[Option, ...]
    drawn: tuple[str, tuple[str, ...]] | None
    truth: bool
    verdicts: bool = True
    steps: bool = False
    unique: bool = False
    tasks: tuple[Task, ...] = _JUDGED
    not_spark: str = ""
    about: str = ""

    def told(self) -> dict[str, Any]:
        """How it is asked, as plain values for JSON: tables are how many at least and at most, None for any number."""
        options = [
            {
                "name": option.name,
                "type": "text" if option.choices else option.type,
                "choices": list(option.choices),
                "default": str(option.default) if isinstance(option.default, datetime.date) else option.default,
                "help": option.help,
            }
            for option in self.options
        ]
        return {
            "name": self.name,
            "help": self.help,
            "about": self.about,
            "tables": list(self.tables),
            "epochs": self.epochs,
            "truth": self.truth,
            "tasks": list(self.tasks),
            "not_spark": self.not_spark or None,
            "options": options,
        }

    def values(self, given: Mapping[str, object]) -> dict[str, Any]:
        """A value for each option, given or default; raises BadInput for one it does not have."""
        known = {option.name: option for option in self.options}
        if unknown := set(given) - set(known):
            raise BadInput(f"{self.name} has no option {min(unknown)!r}; it has: {listing(known) or 'none'}")
        return {name: option.bound(given.get(name, option.default)) for name, option in known.items()}


def names(store: Path) -> list[str]:
    """The questions there are: the built-in ones, then those in `<store>/questions`, which cannot replace them."""
    return list(_sources(store))


def fitting(store: Path, task: Task) -> list[str]:
    """The questions that are asked of tables of a task: those of no other first."""
    known = {name: found.tasks for name in names(store) if (found := _readable(store, name)) is not None}
    own = [name for name, tasks in known.items() if tasks == (task,)]
    return [*own, *(name for name, tasks in known.items() if task in tasks and name not in own)]


def _readable(store: Path, name: str) -> Question | None:
    try:
        return find(store, name)
    except BadInput:
        return None


def find(store: Path, name: str) -> Question:
    """The question of that name; raises NotFound naming those there are, BadInput where its file is no question."""
    known = _sources(store)
    if name not in known:
        raise NotFound(f"no question named {name!r}; there are: {listing(known, 40)}")
    try:
        text = _text(known[name])
    except (OSError, UnicodeDecodeError, NotFound, BadInput) as error:
        raise BadInput(f"question {name!r} cannot be read: {error}") from None
    return read(name, text)


def _text(source: Traversable) -> str:
    """What a question's file says: of the store's folder any name may be found there, a pipe's or a disk's too."""
    if not isinstance(source, Path):
        return source.read_text(encoding="utf-8")
    return read_regular(source, _LONGEST, links=True).decode("utf-8-sig")


def read(name: str, text: str) -> Question:
    """Read a question file, whose first comment lines are its header; raises BadInput naming what is wrong in it."""
    lines = text.strip().splitlines()
    comments = list(takewhile(lambda line: line.startswith("--"), lines))
    if not comments or _HEADER.fullmatch(comments[0]) or not comments[0].strip("- "):
        raise BadInput(f"question {name!r} must begin with a comment that says what it answers")
    options: dict[str, Option] = {}
    header: dict[str, str] = {}
    rest: list[str] = []
    for line in comments[1:]:
        if match := _HEADER.fullmatch(line):
            header[_one_of(name, "a header line", match["key"], _KEYS)] = match["value"].strip()
        elif line.removeprefix("--").lstrip().startswith("$"):
            option = _option(name, line, {*options, *_TAKEN})
            options[option.name] = option
        else:
            rest.append(line)
    if not any(line.strip() for line in lines[len(comments) :]):
        raise BadInput(f"question {name!r}: the SQL is empty; write a SELECT below its header")
    return Question(
        name=name,
        help=spelled_out(comments[0].removeprefix("--").strip()),
        sql="\n".join([*rest, *lines[len(comments) :]]),
        epochs=_one_of(name, "epochs", header.get("epochs", "last"), ("last", "all")),
        tables=_count(name, header.get("tables", "1..n")),
        options=tuple(options.values()),
        drawn=_drawn(name, header["drawn"]) if "drawn" in header else None,
        truth=_one_of(name, "truth", header.get("truth", "needed"), ("needed", "optional")) == "needed",
        verdicts=_one_of(name, "verdicts", header.get("verdicts", "taken"), ("taken", "refused")) == "taken",
        steps=_one_of(name, "steps", header.get("steps", "untold"), ("told", "untold")) == "told",
        unique=_one_of(name, "ids", header.get("ids", "any"), ("any", "unique")) == "unique",
        tasks=_tasks(name, header.get("tasks", ", ".join(_JUDGED))),
        not_spark=_not_spark(name, header.get("spark", "yes")),
        about=spelled_out(" ".join(line.removeprefix("--").strip() for line in rest)),
    )


def _sources(store: Path) -> dict[str, Traversable]:
    sources: dict[str, Traversable] = {}
    for folder in (files("secondguess.analysis") / "sql", store / "questions"):
        if folder.is_dir():
            own = {path.name.removesuffix(".sql"): path for path in folder.iterdir() if path.name.endswith(".sql")}
            sources.update(
                {name: own[name] for name in sorted(own) if name not in sources and not name.startswith(".")}
            )
    return sources


def _one_of(name: str, key: str, value: str, allowed: tuple[str, ...]) -> str:
    if value not in allowed:
        raise BadInput(f"question {name!r}: {key} is {value!r}, not one of {', '.join(allowed)}")
    return value


def _tasks(name: str, text: str) -> tuple[Task, ...]:
    """The tasks of the tables that a question is asked of, with commas between them."""
    return tuple(_one_of(name, "tasks", task.strip(), get_args(Task)) for task in text.split(","))  # type: ignore[misc]


def _count(name: str, text: str) -> tuple[int, int | None]:
    low, dots, high = text.partition("..")
    if low.isdecimal() and (not dots or high == "n" or (high.isdecimal() and int(low) <= int(high))):
        return int(low), (int(low) if not dots else None if high == "n" else int(high))
    raise BadInput(f"question {name!r}: tables is {text!r}, not a number or a range such as 1..2 or 1..n")


def _not_spark(name: str, value: str) -> str:
    """Why Spark cannot run a question: what stands after a `no,`; nothing for a yes."""
    answer, _, reason = value.partition(",")
    if _one_of(name, "spark", answer.strip(), ("yes", "no")) == "no" and not reason.strip():
        raise BadInput(f"question {name!r}: spark is 'no' without the reason; write -- spark: no, REASON")
    return reason.strip() if answer.strip() == "no" else ""


def _drawn(name: str, text: str) -> tuple[str, tuple[str, ...]]:
    how, *columns = text.split() or [""]
    if len(columns) != _DRAWN[_one_of(name, "drawn", how, tuple(_DRAWN))]:
        raise BadInput(f"question {name!r}: drawn {how} names {_DRAWN[how]} columns, not {len(columns)}")
    return how, tuple(columns)


def _option(name: str, line: str, taken: set[str]) -> Option:
    match = _OPTION.fullmatch(line)
    if match is None:
        types = f"{', '.join(_TYPES)} or (one|another)"
        raise BadInput(
            f"question {name!r}: {line!r} is no option; write -- $name TYPE = default  help, where TYPE is {types}"
        )
    if match["name"] in taken:
        raise BadInput(f"question {name!r}: an option cannot be called {match['name']!r}, which there is already")
    option = Option(match["name"], match["type"], None, spelled_out(match["help"]))
    try:
        return replace(option, default=None if match["default"] == "null" else option.read(match["default"].strip("'")))
    except BadInput as error:
        raise BadInput(f"question {name!r}: the default of {error}") from None
