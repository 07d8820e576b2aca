"""An answer that is a matrix: one per table with margins, its most common mistakes in words, every number a link."""

from collections.abc import Mapping, Sequence
from typing import Any

from analysis.class_order import ordered
from analysis.questions import Question
from analysis.schema import at_epoch
from analysis.sides import side
from analysis.tableview import TableView
from analysis.web import urls
from analysis.web.class_labels import heads, is_value, text
from analysis.web.drawing import records
from analysis.web.worker import Found

MOST_CLASSES, MOST_MISTAKES = 25, 10
_LONGEST_HEAD = 4  # letters above a column
_SHADES = 6


def matrices(asked: Question, found: Found) -> list[dict[str, Any]]:
    """Of an answer drawn as a matrix, one for each table, each cell leading to its rows."""
    if asked.drawn is None or asked.drawn[0] != "matrix":
        return []
    down, across, count = asked.drawn[1]
    rows = records(found.columns, found.rows)
    order = list(dict.fromkeys(found.order))
    labels = ordered((row[name] for row in rows for name in (down, across)), found.classes)
    kept = _most_mistaken(labels, rows, (down, across, count))
    drawn = []
    for place, table in enumerate(order):
        held = {(row[down], row[across]): row[count] for row in rows if (row["run"], row["epoch"]) == table}
        drawn.append(_matrix(at_epoch(*table), side(place), (down, across), held, (labels, kept)))
    return drawn


def _most_mistaken(labels: Sequence[Any], rows: Sequence[Mapping[str, Any]], names: Sequence[str]) -> list[Any]:
    """All labels, or of many those with most mistakes, in their order."""
    if len(labels) <= MOST_CLASSES:
        return list(labels)
    down, across, count = names
    mistakes = dict.fromkeys(labels, 0)
    for row in rows:
        if row[down] != row[across]:
            mistakes[row[down]] += row[count]
            mistakes[row[across]] += row[count]
    most = set(sorted(labels, key=lambda label: -mistakes[label])[:MOST_CLASSES])
    return [label for label in labels if label in most]


def _matrix(
    table: str,
    side: str,
    named: tuple[str, str],
    held: Mapping[tuple[Any, Any], int],
    chosen: tuple[Sequence[Any], Sequence[Any]],
) -> dict[str, Any]:
    """One table's matrix; its margins count every class, also those that are not drawn."""
    labels, kept = chosen
    short, listed = heads(kept, _LONGEST_HEAD)
    most = max((value for (one, other), value in held.items() if one != other), default=0)
    total = {label: sum(held.get((label, other), 0) for other in labels) for label in labels}
    guessed = {label: sum(held.get((other, label), 0) for other in labels) for label in labels}
    right = {label: held.get((label, label), 0) for label in labels}
    there = [pair for pair in zip(short, kept, strict=True) if total[pair[1]] or pair[1] is not None]
    lines = [_line(table, named, pair, (kept, held, most), (total, right)) for pair in there]
    return {
        "name": table,
        "side": side,
        "down": named[0],
        "across": named[1],
        "heads": [(head, text(label)) for head, label in zip(short, kept, strict=True)],
        "listed": listed,
        "lines": lines,
        "errors": [guessed[label] - right[label] for label in kept],
        "precision": [_share(right[label], guessed[label], 2).removeprefix("0") for label in kept],
        "wrong": sum(total.values()) - sum(right.values()),
        "rows": sum(total.values()),
        "classes": len(labels),
        "left": len(labels) - len(kept),
        "mistakes": _mistakes(table, named, held),
        "half": _half(held),
        "pairs": len(labels) * (len(labels) - 1),
    }


def _half(held: Mapping[tuple[Any, Any], int]) -> int:
    """The number of most common mistakes that are half of all."""
    counts = sorted((value for (one, other), value in held.items() if one != other), reverse=True)
    return next((many for many in range(len(counts)) if 2 * sum(counts[:many]) >= sum(counts)), len(counts))


def _line(
    table: str,
    named: tuple[str, str],
    labelled: tuple[str, Any],
    drawn: tuple[Sequence[Any], Mapping[tuple[Any, Any], int], int],
    counts: tuple[Mapping[Any, int], Mapping[Any, int]],
) -> dict[str, Any]:
    """One truth's row: a cell for each guess that is drawn, and the margins."""
    head, label = labelled
    kept, held, most = drawn
    total, right = counts
    return {
        "label": head,
        "name": text(label),
        "cells": [_cell(table, named, label, other, held.get((label, other), 0), most) for other in kept],
        "errors": total[label] - right[label],
        "all": total[label],
        "recall": _share(right[label], total[label], 3),
    }


def _share(part: int, whole: int, digits: int) -> str:
    """A share in so many digits, never rounded up to 1; a dash where there is nothing to have a share of."""
    if not whole:
        return "–"
    share = part / whole
    return f"{min(share, 1 - 10**-digits) if part < whole else share:.{digits}f}"


def _cell(table: str, named: tuple[str, str], label: Any, other: Any, value: int, most: int) -> dict[str, Any]:
    down, across = named
    view = TableView((table,), where=(is_value(down, label), is_value(across, other)))
    return {
        "value": value,
        "url": urls.table(view) if value else "",
        "shade": 0 if label == other or not most else -(-value * _SHADES // most),
        "right": label == other,
        "title": f"{down} {text(label)}, {across} {text(other)}: {value:,}",
    }


def _mistakes(table: str, named: tuple[str, str], held: Mapping[tuple[Any, Any], int]) -> list[dict[str, Any]]:
    """The most common mistakes, the most frequent first."""
    down, across = named
    wrong = sorted(
        ((value, one, other) for (one, other), value in held.items() if one != other and value),
        key=lambda item: (-item[0], text(item[1]), text(item[2])),
    )
    found = []
    for value, one, other in wrong[:MOST_MISTAKES]:
        view = TableView((table,), where=(is_value(down, one), is_value(across, other)), sort=("-confidence", "id"))
        found.append(
            {
                "truth": text(one),
                "guess": text(other),
                "count": value,
                "key": (table, one, other),
                "view": view,
                "url": urls.table(view),
                "images": [],
            }
        )
    return found


def tied(mistakes: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Of mistakes, the most common one and those just as common, three at most: what one sentence can name."""
    return [each for each in mistakes[:3] if each["count"] == mistakes[0]["count"]]
