"""Answers for a person: drawn in a terminal, or as Markdown."""

import re
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import IO

from analysis import layouts
from analysis.answer import Answer, Row, cell
from analysis.class_order import COUNTED_ROWS, whole

_ORIGIN = re.compile(r"(run|epoch|examples)(_[a-z0-9])?")
_MARKS = re.compile(r"([\\|<>*`\[\]]|(?<![^\W_])_|_(?![^\W_]))")  # what Markdown would read as more than itself
_DRAWN_WHOLE = {"beside": layouts.beside, "matrix": layouts.matrices}
_WIDTH = 160  # of what is no terminal: a file, a pipe


@dataclass(frozen=True)
class Drawn:
    """What of an answer was drawn: so many rows of so many, in so many characters; hidden are the columns left out."""

    shown: int
    total: int
    width: int
    hidden: tuple[str, ...]


def markdown(answer: Answer) -> Iterable[str]:
    """The lines of a Markdown table."""
    yield "| " + " | ".join(_escaped(name) for name in answer.columns) + " |"
    yield "|" + "|".join("--:" if number else "---" for number in answer.numeric) + "|"
    for row in answer.rows:
        yield "| " + " | ".join(_escaped(value) for value in row) + " |"


def _escaped(value: object) -> str:
    lines = value.splitlines() if isinstance(value, str) else [value]
    return "<br>".join(_MARKS.sub(r"\\\1", cell(line)) for line in lines)


def terminal(answer: Answer, out: IO[str], limit: int) -> Drawn:
    """Draw an answer as wide as the terminal is, at most `limit` of its rows; one drawn as a whole is not cut."""
    width = shutil.get_terminal_size((_WIDTH, 24)).columns
    how = answer.drawn[0] if answer.drawn is not None else ""
    drawing = _DRAWN_WHOLE[how] if whole(answer) else None
    rows = iter(answer.rows)
    shown = list(islice(rows, limit if drawing is None else max(limit, COUNTED_ROWS)))
    total, same = _rest(answer, shown, rows)
    grids = drawing(answer, shown, width) if drawing is not None and total == len(shown) else []
    if not grids:
        shown = shown[:limit]
        arranged = layouts.under if how == "under" and answer.sides > 1 else layouts.plain
        grids = [arranged(answer, shown, same)]
    hidden = dict.fromkeys(name for grid in grids for name in grid.print(out, width))
    return Drawn(len(shown), total, width, tuple(hidden))


def _rest(answer: Answer, shown: Sequence[Row], rows: Iterable[Row]) -> tuple[int, dict[int, object]]:
    """How many rows there are, and what the columns of origin hold, by index, where they hold the same in all."""
    if not shown:
        return 0, {}
    first = shown[0]
    same = {index for index, name in enumerate(answer.columns) if _ORIGIN.fullmatch(name)}
    total = len(shown)
    same = {index for index in same if all(row[index] == first[index] for row in shown)}
    for row in rows:
        total += 1
        same = {index for index in same if row[index] == first[index]}
    return total, {index: first[index] for index in sorted(same)} if total > 1 or "id" in answer.columns else {}
