"""Answers in a terminal: tables, tables side by side, a matrix. It lays out values and computes none."""

import datetime
import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import IO, Any

from rich.box import SIMPLE_HEAD
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

_BARS = "▁▂▃▄▅▆▇█"
_SCORE = re.compile(r"score_\d+(_[a-z])?")
_ORIGIN = re.compile(r"(run|epoch|examples)(_[a-z])?")
_WIDEST_MATRIX = 20
_WIDTH = 160  # of what is no terminal: a file, a pipe

Row = tuple[Any, ...]


@dataclass(frozen=True)
class Answer:
    """A result: its columns, which of them are numbers, its rows (read once), and how it may be drawn.

    drawn is (how, columns) from the question; order is the (run, epoch) asked about, first the left one.
    """

    columns: Sequence[str]
    numeric: Sequence[bool]
    rows: Iterable[Row]
    drawn: tuple[str, tuple[str, ...]] | None = None
    order: Sequence[tuple[str, int]] = ()


def cell(value: object) -> str:
    """A value as a person reads it in a table cell; NULL is empty."""
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.4f}" if math.isfinite(value) and (value == 0 or 1e-4 <= abs(value) < 1e6) else f"{value:g}"
    if isinstance(value, bytes):
        return f"<{len(value):,} bytes>"
    if isinstance(value, dict):
        if isinstance(value.get("bytes"), bytes):
            return f"<image, {len(value['bytes']):,} bytes>"
        return ", ".join(f"{cell(key)}: {cell(item)}" for key, item in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(cell(item) for item in value)
    if isinstance(value, datetime.datetime):
        return value.isoformat(sep=" ", timespec="seconds")
    return str(value)


def terminal(answer: Answer, out: IO[str], limit: int) -> tuple[int, int]:
    """Draw an answer, at most `limit` of its rows; returns how many were drawn and how many there are."""
    console = Console(file=out, width=None if out.isatty() else _WIDTH, highlight=False)
    rows = iter(answer.rows)
    shown = list(islice(rows, limit))
    total = len(shown) + sum(1 for _ in rows)
    console.print(_layout(answer, shown, whole=total == len(shown)))
    return len(shown), total


def markdown(answer: Answer) -> Iterable[str]:
    """The lines of a Markdown table."""
    yield "| " + " | ".join(_escaped(name) for name in answer.columns) + " |"
    yield "|" + "|".join("--:" if number else "---" for number in answer.numeric) + "|"
    for row in answer.rows:
        yield "| " + " | ".join(_escaped(cell(value)) for value in row) + " |"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("|", "\\|").replace("\n", "<br>")


def _layout(answer: Answer, rows: list[Row], whole: bool) -> RenderableType:
    if answer.drawn is not None and whole and rows:
        how, columns = answer.drawn
        if how == "beside" and len(answer.order) > 1:
            return _beside(answer, rows, columns[0])
        if how == "matrix":
            labels = {row[answer.columns.index(name)] for row in rows for name in columns[:2]}
            if len(labels) <= _WIDEST_MATRIX:
                return _matrices(answer, rows, columns)
    return _plain(answer, rows, whole)


def _plain(answer: Answer, rows: list[Row], whole: bool) -> RenderableType:
    """One table: score columns drawn as bars, and what is the same in every row said once above it."""
    same = {
        index: cell(rows[0][index])
        for index, name in enumerate(answer.columns)
        if _ORIGIN.fullmatch(name) and whole and len(rows) > 1 and len({row[index] for row in rows}) == 1
    }
    scores: dict[str, list[int]] = {}
    for index, name in enumerate(answer.columns):
        if found := _SCORE.fullmatch(name):
            scores.setdefault(f"scores{found[1] or ''}", []).append(index)
    folded = {index for held in scores.values() if len(held) > 1 for index in held}
    kept = [index for index in range(len(answer.columns)) if index not in same and index not in folded]
    table = _table()
    for index in kept:
        table.add_column(Text(answer.columns[index]), justify="right" if answer.numeric[index] else "left")
    bars = [(name, held) for name, held in scores.items() if len(held) > 1]
    for name, held in bars:
        table.add_column(f"{name} {_class_of(answer.columns[held[0]])}…{_class_of(answer.columns[held[-1]])}")
    for row in rows:
        cells = [cell(row[index]) for index in kept]
        table.add_row(*map(Text, cells), *(_bars([row[index] for index in held]) for _, held in bars))
    if not same:
        return table
    return Group(Text(" · ".join(f"{answer.columns[index]} {value}" for index, value in same.items())), table)


def _class_of(column: str) -> str:
    return column.split("_")[1]


def _bars(scores: Sequence[float | None]) -> str:
    """Probabilities as one character each, `?` for NaN, a space where there is none."""
    return "".join(
        " " if score is None else "?" if math.isnan(score) else _BARS[min(7, max(0, int(score * 8)))]
        for score in scores
    )


def _beside(answer: Answer, rows: list[Row], key: str) -> RenderableType:
    """The tables asked about next to each other, a row per value of the key, in the order they were named."""
    run, epoch, at = (answer.columns.index(name) for name in ("run", "epoch", key))
    others = [index for index in range(len(answer.columns)) if index not in {run, epoch, at}]
    found = {(row[run], row[epoch], row[at]): row for row in rows}
    keys = sorted({row[at] for row in rows}, key=lambda value: (value is None, value))
    table = _table()
    table.add_column(key, justify="right" if answer.numeric[at] else "left")
    for name, number in answer.order:
        for place, index in enumerate(others):
            title = f"{name}@{number}\n" if place == 0 else "\n"
            table.add_column(Text(title + answer.columns[index]), justify="right" if answer.numeric[index] else "left")
    for value in keys:
        sides = [found.get((name, number, value)) for name, number in answer.order]
        table.add_row(
            cell(value), *(Text(cell(side[index]) if side else "no row") for side in sides for index in others)
        )
    return table


def _matrices(answer: Answer, rows: list[Row], columns: Sequence[str]) -> RenderableType:
    """A matrix for each table asked about: the first column down, the second across."""
    run, epoch, down, across, count = (answer.columns.index(name) for name in ("run", "epoch", *columns))
    drawn: list[RenderableType] = []
    for name, number in answer.order:
        held = {(row[down], row[across]): row[count] for row in rows if (row[run], row[epoch]) == (name, number)}
        labels = sorted({label for pair in held for label in pair}, key=lambda value: (value is None, value))
        table = _table()
        table.add_column(Text(f"{name}@{number}\n{columns[0]} ↓  {columns[1]} →"), style="bold")
        for label in labels:
            table.add_column(Text("\n" + (cell(label) or "none")), justify="right")
        for truth in labels:
            if any(pair[0] == truth for pair in held):
                table.add_row(cell(truth), *(Text(cell(held.get((truth, guess), "·"))) for guess in labels))
        drawn.append(table)
    return Group(*drawn)


def _table() -> Table:
    return Table(box=SIMPLE_HEAD, pad_edge=False, show_edge=False, header_style="bold", padding=(0, 1))
