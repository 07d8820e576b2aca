"""An answer that is a matrix: one per table with margins, its most common mistakes in words, every number a link."""

from collections.abc import Mapping, Sequence
from typing import Any

from secondguess.analysis.answers.answer import records, tables_in
from secondguess.analysis.answers.classes import heads, label_text, ordered
from secondguess.analysis.answers.sides import side
from secondguess.analysis.ask import confusion
from secondguess.analysis.ask.confusion import Counts, Margins
from secondguess.analysis.ask.questions import Question
from secondguess.analysis.engine.sqltext import is_value
from secondguess.analysis.page import urls
from secondguess.analysis.page.worker import Reply
from secondguess.analysis.schema import at_epoch
from secondguess.analysis.tables.view import TableView

MOST_CLASSES, MOST_MISTAKES = confusion.MOST_DRAWN, 10
_LONGEST_HEAD = 4  # letters above a column
_SHADES = 6


def matrices(asked: Question, reply: Reply) -> list[dict[str, Any]]:
    """Of an answer drawn as a matrix, one for each table, each cell leading to its rows."""
    if asked.drawn is None or asked.drawn[0] != "matrix":
        return []
    down, across, count = asked.drawn[1]
    rows = records(reply.columns, reply.rows)
    order = list(dict.fromkeys(reply.order))
    labels = ordered((row[name] for row in rows for name in (down, across)), reply.classes)
    of_tables = list(zip(tables_in(reply.columns, reply.rows, reply.order), rows, strict=True))
    counts = [{(row[down], row[across]): row[count] for of, row in of_tables if of == table} for table in order]
    kept = confusion.most_mistaken(counts, labels, MOST_CLASSES)
    drawn = []
    for place, (table, pairs) in enumerate(zip(order, counts, strict=True)):
        drawn.append(_matrix(at_epoch(*table), side(place), (down, across), pairs, (labels, kept)))
    return drawn


def _matrix(
    table: str,
    side: str,
    named: tuple[str, str],
    counts: Counts,
    chosen: tuple[Sequence[Any], Sequence[Any]],
) -> dict[str, Any]:
    """One table's matrix; its margins count every class, also those that are not drawn."""
    labels, kept = chosen
    short, listed = heads(kept, _LONGEST_HEAD)
    most = max((value for (one, other), value in counts.items() if one != other), default=0)
    counted = confusion.margins(counts, labels)
    there = [pair for pair in zip(short, kept, strict=True) if counted.all[pair[1]] or pair[1] is not None]
    lines = [_line(table, named, pair, (kept, counts, most), counted) for pair in there]
    return {
        "name": table,
        "side": side,
        "down": named[0],
        "across": named[1],
        "heads": [(head, label_text(label)) for head, label in zip(short, kept, strict=True)],
        "listed": listed,
        "lines": lines,
        "errors": [counted.guessed[label] - counted.right[label] for label in kept],
        "precision": [_share(counted.precision(label), 2).removeprefix("0") for label in kept],
        "wrong": counted.errors,
        "rows": counted.rows,
        "classes": len(labels),
        "left": len(labels) - len(kept),
        "mistakes": _mistakes(table, named, counts),
        "half": confusion.half(counts),
        "pairs": len(labels) * (len(labels) - 1),
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
