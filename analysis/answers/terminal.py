"""Answers for a person: drawn in a terminal, or as Markdown."""

import re
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import IO, Any

from secondguess.analysis.answers.answer import MOST_BARS, Answer, Row, TableAt, bars, brief, cell, tables_in
from secondguess.analysis.answers.classes import COUNTED_ROWS, ordered, whole
from secondguess.analysis.answers.grid import Grid, GridColumn
from secondguess.analysis.console import shortened
from secondguess.analysis.schema import STEP, at_epoch, is_score, own_name, score_index

_FEW_SCORES = 4  # so many are still shown as numbers
_FEW_HIGHEST = 3
_LONGEST_TEXT = 160  # characters of what an example says
_LONGEST_CLASS = 16  # characters of a class beside its score
_WIDEST_MATRIX = 20
_LABEL = str | int | float | None


@dataclass(frozen=True)
class _Shown:
    """A column to draw: the name of the (first) one in the answer that it shows, its head and its cells."""

    name: str
    head: str
    cells: list[str]
    right: bool


def plain(answer: Answer, rows: Sequence[Row], same: Mapping[int, object]) -> Grid:
    """One table; what is the same in every row (same: its value by column) is said once above it."""
    columns = [GridColumn(shown.head, shown.cells, shown.right) for shown in _shown(answer, rows, same)]
    return Grid(
        columns, " · ".join(f"{cell(answer.columns[index])} {cell(_only(value))}" for index, value in same.items())
    )


def _only(value: object) -> object:
    """What a group shows of a column whose rows all hold the same: that; anything else as it is."""
    values = value.get("values") if isinstance(value, dict) else None
    return values[0]["value"] if isinstance(values, list) and len(values) == 1 else value


def under(answer: Answer, rows: Sequence[Row], same: Mapping[int, object]) -> Grid:
    """The sides of a join one below the other, so that a column of one can be compared with that of the other."""
    places = range(answer.sides)
    columns: list[GridColumn] = []
    sides: dict[str, dict[int, _Shown]] = {}
    for shown in _shown(answer, rows):
        base, place = own_name(shown.name, answer.sides)
        if place is None:
            below = [""] * (len(places) - 1)
            columns.append(
                GridColumn(shown.head, [line for text in shown.cells for line in (text, *below)], shown.right)
            )
        elif base not in _said(answer):
            sides.setdefault(shown.head.replace(shown.name, base, 1), {})[place] = shown
    examples = {str(value) for index, value in same.items() if answer.columns[index].startswith("examples_")}
    if len(examples) == 1:
        sides.pop("examples", None)
    columns.append(GridColumn("table", [at_epoch(*order) for _ in rows for order in answer.order], False))
    # What the comparison is about comes first, and so goes last where there is little room.
    for head in sorted(sides, key=lambda head: head not in {"guess", "truth"} and not head.startswith("scores ")):
        parts = sides[head]
        blank = [""] * len(rows)
        lines = zip(*(parts[place].cells if place in parts else blank for place in places), strict=True)
        right = all(shown.right for shown in parts.values())
        columns.append(GridColumn(head, [text for row in lines for text in row], right))
    return Grid(columns, f"examples {cell(min(examples))}" if len(examples) == 1 else "")


def beside(answer: Answer, rows: Sequence[Row], width: int) -> list[Grid]:
    """The tables asked about next to each other, a row per value of the key, in the order they were named.

    Where they are too wide for that, below each other; none for a single table.
    """
    at = answer.columns.index(answer.drawn[1][0] if answer.drawn else "")
    if len(answer.order) < 2 or not rows or not all(isinstance(row[at], _LABEL) for row in rows):
        return []
    of_tables = zip(tables_in(answer.columns, rows, answer.order), rows, strict=True)
    by_key = {(*table, row[at]): row for table, row in of_tables}
    keys = ordered((row[at] for row in rows), answer.classes)
    for apart in ([GridColumn("", [""] * len(keys), False)], []):
        columns = [_key(answer, at, keys, "\n")]
        for number, order in enumerate(answer.order):
            columns += [*(apart if number else ()), *_side(answer, by_key, order, keys, f"{at_epoch(*order)}\n")]
        if not Grid(columns).too_wide(width):
            return [Grid(columns)]
    own = {order: [key for key in keys if (*order, key) in by_key] for order in answer.order}
    return [
        Grid([_key(answer, at, present), *_side(answer, by_key, order, present)], f"\n{at_epoch(*order)}")
        for order, present in own.items()
    ]


def _said(answer: Answer) -> set[str]:
    """The columns that a table's name says."""
    return {"run", "epoch", *([STEP] if any(moment.step is not None for _, moment in answer.order) else [])}


def _key(answer: Answer, at: int, keys: Sequence[Any], above: str = "") -> GridColumn:
    return GridColumn(above + cell(answer.columns[at]), [brief(key) or "none" for key in keys], answer.numeric[at])


def _side(
    answer: Answer, by_key: Mapping[Any, Row], order: TableAt, keys: Sequence[Any], title: str = ""
) -> Iterator[GridColumn]:
    """The columns of one table, but its key; a dot where it has no row of that key."""
    said = {*_said(answer), answer.drawn[1][0] if answer.drawn else ""}
    others = [index for index, name in enumerate(answer.columns) if name not in said]
    for place, index in enumerate(others):
        rows = [by_key.get((*order, key)) for key in keys]
        none = "·" if place == 0 else ""
        above = "" if not title else title if place == 0 else "\n"
        yield GridColumn(
            above + cell(answer.columns[index]),
            [brief(row[index]) if row else none for row in rows],
            answer.numeric[index],
        )


def matrices(answer: Answer, rows: Sequence[Row], width: int) -> list[Grid]:
    """A matrix for each table asked about: the first column down, the second across; none where one is too wide.

    Names that are too wide for heads are numbered, and said with their rows.
    """
    names = answer.drawn[1] if answer.drawn else ()
    down, across, count = (answer.columns.index(name) for name in names)
    if not all(isinstance(label, _LABEL) for row in rows for label in (row[down], row[across])):
        return []
    of_tables = list(zip(tables_in(answer.columns, rows, answer.order), rows, strict=True))
    corner = f"{names[0]} ↓  {names[1]} →"
    for numbered in (False, True):
        grids: list[Grid] = []
        for order in answer.order:
            counts = {(row[down], row[across]): row[count] for table, row in of_tables if table == order}
            labels = ordered((label for pair in counts for label in pair), answer.classes)
            grids.append(_matrix(f"{at_epoch(*order)}\n{corner}", counts, labels, numbered))
        if not any(grid.too_wide(width) or len(grid.columns) > _WIDEST_MATRIX + 1 for grid in grids):
            return grids
    return []


def _matrix(title: str, counts: Mapping[tuple[Any, Any], Any], labels: Sequence[Any], numbered: bool) -> Grid:
    heads = [str(number) if numbered else cell(label) or "none" for number, label in enumerate(labels)]
    present = [place for place, label in enumerate(labels) if any(pair[0] == label for pair in counts)]
    said = [f"{heads[place]} {cell(labels[place])}" if numbered else cell(labels[place]) for place in present]
    columns = [GridColumn(title, said, False)]
    for head, label in zip(heads, labels, strict=True):
        columns.append(
            GridColumn(f"\n{head}", [cell(counts.get((labels[place], label), "·")) for place in present], True)
        )
    return Grid(columns)


def _shown(answer: Answer, rows: Sequence[Row], without: Iterable[int] = ()) -> Iterator[_Shown]:
    """The columns to draw: the scores of a table as bars, in the place of the first."""
    scores: dict[str, list[int]] = {}
    for index, name in enumerate(answer.columns):
        base, _ = own_name(name, answer.sides)
        if is_score(base) and answer.numeric[index]:
            scores.setdefault(name.removeprefix(base), []).append(index)
    folded = {indexes[0]: (side, indexes) for side, indexes in scores.items() if len(indexes) > _FEW_SCORES}
    skipped = {*without, *(index for _, indexes in folded.values() for index in indexes[1:])}
    for index, name in enumerate(answer.columns):
        if index in folded:
            side, indexes = folded[index]
            first, last = (
                score_index(own_name(answer.columns[end], answer.sides)[0]) for end in (indexes[0], indexes[-1])
            )
            cells = [_scores_cell(answer, indexes, row) for row in rows]
            yield _Shown(f"scores{side}", f"scores{side} {first}…{last}", cells, False)
        elif index not in skipped:
            texts = [brief(row[index]) for row in rows]
            if name == "content":
                texts = [text if len(text) <= _LONGEST_TEXT else f"{text[: _LONGEST_TEXT - 1]}…" for text in texts]
            yield _Shown(cell(name), cell(name), texts, answer.numeric[index])


def _scores_cell(answer: Answer, indexes: Sequence[int], row: Row) -> str:
    """The scores of a row as bars; of more classes than a line has room for, the highest few with their classes."""
    scores = [row[at] for at in indexes]
    if len(indexes) <= MOST_BARS:
        return bars(scores, 1)
    there = [place for place, score in enumerate(scores) if score is not None and score == score]
    highest = sorted(there, key=lambda place: -scores[place])[:_FEW_HIGHEST]
    return ", ".join(f"{_class_of(answer, indexes[place])}: {cell(scores[place])}" for place in highest)


def _class_of(answer: Answer, at: int) -> str:
    index = score_index(own_name(answer.columns[at], answer.sides)[0]) or 0
    return shortened(cell(answer.classes[index]), _LONGEST_CLASS) if index < len(answer.classes) else str(index)


_ORIGIN = {"run", "epoch", "examples"}  # what many rows have in common
_MARKS = r"([\\|<>*`\[\]]|(?<![^\W_])_|_(?![^\W_]))"  # what Markdown would read as more than itself
_DRAWN_WHOLE = {"beside": beside, "matrix": matrices}
_WIDTH = 160  # of what is no terminal: a file, a pipe


@dataclass(frozen=True)
class Extent:
    """What of an answer was drawn: so many rows of so many, in so many characters; hidden are the columns left out."""

    shown: int
    total: int
    width: int
    hidden: tuple[str, ...]


def markdown(answer: Answer) -> Iterable[str]:
    """The lines of a Markdown table."""
    yield "| " + " | ".join(escaped(name) for name in answer.columns) + " |"
    yield "|" + "|".join("--:" if number else "---" for number in answer.numeric) + "|"
    for row in answer.rows:
        yield "| " + " | ".join(escaped(value) for value in row) + " |"


def escaped(value: object) -> str:
    """A value as Markdown shows it as it is, in one line."""
    lines = value.splitlines() if isinstance(value, str) else [value]
    return "<br>".join(re.sub(_MARKS, r"\\\1", cell(line)) for line in lines)


def terminal(answer: Answer, out: IO[str], limit: int) -> Extent:
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
        arranged = under if how == "under" and answer.sides > 1 else plain
        grids = [arranged(answer, shown, same)]
    hidden = dict.fromkeys(name for grid in grids for name in grid.print(out, width))
    return Extent(len(shown), total, width, tuple(hidden))


def _rest(answer: Answer, shown: Sequence[Row], rows: Iterable[Row]) -> tuple[int, dict[int, object]]:
    """How many rows there are, and what the columns of origin hold, by index, where they hold the same in all."""
    if not shown:
        return 0, {}
    first = shown[0]
    same = {index for index, name in enumerate(answer.columns) if own_name(name, answer.sides)[0] in _ORIGIN}
    total = len(shown)
    same = {index for index in same if all(row[index] == first[index] for row in shown)}
    for row in rows:
        total += 1
        same = {index for index in same if row[index] == first[index]}
    return total, {index: first[index] for index in sorted(same)} if total > 1 or "id" in answer.columns else {}
