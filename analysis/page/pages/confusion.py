"""An answer that is a matrix: one per table with margins, its most common mistakes in words, every number a link."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from secondguess.analysis.answers.answer import records, tables_in
from secondguess.analysis.answers.classes import heads, label_text, ordered
from secondguess.analysis.answers.sides import side
from secondguess.analysis.ask import confusion
from secondguess.analysis.ask.confusion import Counts, Margins
from secondguess.analysis.ask.questions import Question
from secondguess.analysis.engine.sqltext import is_value
from secondguess.analysis.errors import BadInput
from secondguess.analysis.page import urls
from secondguess.analysis.schema import WRONG, at_epoch
from secondguess.analysis.serving.worker import Reply
from secondguess.analysis.tables.view import TableView

MOST_CLASSES, MOST_MISTAKES = confusion.MOST_DRAWN, 10
_LONGEST_HEAD = 4  # letters above a column
_SHADES = 6
_MOST_ZOOMED = 64  # classes of a block


def matrices(asked: Question, reply: Reply, fold: str = "", link: Callable[[str], str] = str) -> list[dict[str, Any]]:
    """Of an answer drawn as a matrix, one for each table, each cell leading to its rows.

    Of many classes those with most mistakes; or with a fold of `all` the blocks of like classes, each cell leading to
    the link of its own fold, such as `3-7`: the classes of one block by those of another. Raises BadInput for another.
    """
    if asked.drawn is None or asked.drawn[0] != "matrix":
        return []
    down, across, count = asked.drawn[1]
    rows = records(reply.columns, reply.rows)
    order = list(dict.fromkeys(reply.order))
    labels = ordered((row[name] for row in rows for name in (down, across)), reply.classes)
    of_tables = list(zip(tables_in(reply.columns, reply.rows, reply.order), rows, strict=True))
    counts = [{(row[down], row[across]): row[count] for of, row in of_tables if of == table} for table in order]
    tables = [
        (at_epoch(*table), side(place), pairs) for place, (table, pairs) in enumerate(zip(order, counts, strict=True))
    ]
    parts = confusion.blocks(counts, confusion.by_similarity(counts, labels)) if len(labels) > MOST_CLASSES else []
    folds = {"parts": len(parts), "folded": link("all"), "unfolded": link(""), "fold": fold if parts else ""}
    if parts and fold == "all":
        return [
            {**_folded(table, side, (down, across), pairs, (labels, parts), link), **folds}
            for table, side, pairs in tables
        ]
    kept = [confusion.most_mistaken(counts, labels, MOST_CLASSES)] * 2
    if parts and fold:
        kept = [parts[place][:_MOST_ZOOMED] for place in _places(fold, len(parts))]
    elif parts:  # what is confused stands together
        chosen = set(kept[0])
        kept = [[label for part in parts for label in part if label in chosen]] * 2
    return [
        {**_matrix(table, side, (down, across), pairs, (labels, kept[0], kept[1])), **folds}
        for table, side, pairs in tables
    ]


def _places(fold: str, parts: int) -> list[int]:
    """The places of two blocks, from 0; raises BadInput for what names none."""
    numbers = [int(text) - 1 for text in fold.split("-") if text.isdecimal() and len(text) < 6]
    if len(numbers) != 2 or fold.count("-") != 1 or not all(0 <= number < parts for number in numbers):
        raise BadInput(f"fold is {fold!r}, neither all nor two of the {parts} blocks, as in 1-2")
    return numbers


def _folded(
    table: str,
    side: str,
    named: tuple[str, str],
    counts: Counts,
    grouped: tuple[Sequence[Any], Sequence[Sequence[Any]]],
    link: Callable[[str], str],
) -> dict[str, Any]:
    """One table's matrix of blocks of classes: how many mistakes lie between each two of them."""
    labels, parts = grouped
    sums = confusion.folded(counts, parts)
    most = max(sums.values(), default=0)
    counted = confusion.margins(counts, labels)
    names = [f"{label_text(part[0])} … {label_text(part[-1])} ({len(part)} classes)" for part in parts]
    lines = []
    for down, part in enumerate(parts):
        cells = []
        for across, name in enumerate(names):
            value = sums.get((down, across), 0)
            cells.append(
                {
                    "value": value,
                    "url": link(f"{down + 1}-{across + 1}"),
                    "shade": -(-value * _SHADES // most) if most else 0,
                    "right": False,
                    "title": f"{named[0]} {names[down]}, {named[1]} {name}: {value:,} mistakes",
                }
            )
        every, right = (sum(numbers[label] for label in part) for numbers in (counted.all, counted.right))
        lines.append(
            {
                "label": str(down + 1),
                "name": names[down],
                "cells": cells,
                "errors": every - right,
                "all": every,
                "recall": _share(right / every if every else None, 3),
            }
        )
    guessed = [sum(counted.guessed[label] for label in part) for part in parts]
    rights = [sum(counted.right[label] for label in part) for part in parts]
    shares = [_share(right / count if count else None, 2) for right, count in zip(rights, guessed, strict=True)]
    return {
        **_whole(table, side, named, counts, (labels, counted)),
        "heads": [(str(place + 1), name) for place, name in enumerate(names)],
        "listed": [(str(place + 1), name) for place, name in enumerate(names)],
        "listed_down": [],
        "lines": lines,
        "errors": [count - right for count, right in zip(guessed, rights, strict=True)],
        "precision": [share.removeprefix("0") for share in shares],
        "left": 0,
    }


def _whole(
    table: str, side: str, named: tuple[str, str], counts: Counts, counted: tuple[Sequence[Any], Margins]
) -> dict[str, Any]:
    """What is said of a table whichever of its classes are drawn."""
    labels, margins = counted
    return {
        "name": table,
        "side": side,
        "down": named[0],
        "across": named[1],
        "wrong": margins.errors,
        "rows": margins.rows,
        "classes": len(labels),
        "mistakes": _mistakes(table, named, counts),
        "half": confusion.half(counts),
        "pairs": len(labels) * (len(labels) - 1),
        "every": urls.table(TableView((table,), where=(WRONG,), group=(named[0], named[1]), sort=("-n",))),
    }


def _matrix(
    table: str,
    side: str,
    named: tuple[str, str],
    counts: Counts,
    chosen: tuple[Sequence[Any], Sequence[Any], Sequence[Any]],
) -> dict[str, Any]:
    """One table's matrix of some classes by some; its margins count every class, also those that are not drawn."""
    labels, truths, guesses = chosen
    short, listed = heads(guesses, _LONGEST_HEAD)
    short_down, listed_down = (short, []) if truths == guesses else heads(truths, _LONGEST_HEAD)
    most = max((value for (one, other), value in counts.items() if one != other), default=0)
    counted = confusion.margins(counts, labels)
    there = [pair for pair in zip(short_down, truths, strict=True) if counted.all[pair[1]] or pair[1] is not None]
    lines = [_line(table, named, pair, (guesses, counts, most), counted) for pair in there]
    return {
        **_whole(table, side, named, counts, (labels, counted)),
        "heads": [(head, label_text(label)) for head, label in zip(short, guesses, strict=True)],
        "listed": listed,
        "listed_down": listed_down,
        "lines": lines,
        "errors": [counted.guessed[label] - counted.right[label] for label in guesses],
        "precision": [_share(counted.precision(label), 2).removeprefix("0") for label in guesses],
        "left": len(labels) - len(guesses),
    }


def _line(
    table: str,
    named: tuple[str, str],
    labelled: tuple[str, Any],
    drawn: tuple[Sequence[Any], Counts, int],
    counted: Margins,
) -> dict[str, Any]:
    """One truth's row: a cell for each guess that is drawn, and the margins."""
    head, label = labelled
    kept, counts, most = drawn
    return {
        "label": head,
        "name": label_text(label),
        "cells": [_cell(table, named, label, other, counts.get((label, other), 0), most) for other in kept],
        "errors": counted.all[label] - counted.right[label],
        "all": counted.all[label],
        "recall": _share(counted.recall(label), 3),
    }


def _share(share: float | None, digits: int) -> str:
    """A share in so many digits, never rounded up to 1; a dash where there is nothing to have a share of."""
    if share is None:
        return "–"
    return f"{min(share, 1 - 10**-digits) if share < 1 else share:.{digits}f}"


def _cell(table: str, named: tuple[str, str], label: Any, other: Any, value: int, most: int) -> dict[str, Any]:
    down, across = named
    view = TableView((table,), where=(is_value(down, label), is_value(across, other)))
    return {
        "value": value,
        "url": urls.table(view) if value else "",
        "shade": 0 if label == other or not most else -(-value * _SHADES // most),
        "right": label == other,
        "title": f"{down} {label_text(label)}, {across} {label_text(other)}: {value:,}",
    }


def _mistakes(table: str, named: tuple[str, str], counts: Counts) -> list[dict[str, Any]]:
    """The most common mistakes, the most frequent first."""
    down, across = named
    wrong = sorted(
        confusion.mistakes(counts), key=lambda mistake: (-mistake[0], label_text(mistake[1]), label_text(mistake[2]))
    )
    mistakes = []
    for value, one, other in wrong[:MOST_MISTAKES]:
        view = TableView((table,), where=(is_value(down, one), is_value(across, other)), sort=("-confidence", "id"))
        mistakes.append(
            {
                "truth": label_text(one),
                "guess": label_text(other),
                "count": value,
                "key": (table, one, other),
                "view": view,
                "url": urls.table(view),
                "images": [],
            }
        )
    return mistakes


def tied(mistakes: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Of mistakes, the most common one and those just as common, three at most: what one sentence can name."""
    return [each for each in mistakes[:3] if each["count"] == mistakes[0]["count"]]
