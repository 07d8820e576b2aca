"""Answers drawn as more than rows: matrices whose cells lead to their rows, tables of errors next to each other."""

from collections.abc import Mapping, Sequence
from typing import Any

from analysis.questions import Question
from analysis.sqltext import identifier, literal
from analysis.tableview import TableView
from analysis.web import cells, urls
from analysis.web.drawing import SIDES, records
from analysis.web.worker import Found


def _by_table(found: Found) -> list[tuple[str, int]]:
    return list(dict.fromkeys(found.order))


def matrices(asked: Question, found: Found) -> list[dict[str, Any]]:
    """Of an answer drawn as a matrix, one for each table, each cell leading to its rows."""
    if asked.drawn is None or asked.drawn[0] != "matrix":
        return []
    rows = records(found.columns, found.rows)
    by_table = {table: [row for row in rows if (row["run"], row["epoch"]) == table] for table in _by_table(found)}
    return [_matrix(f"{run}@{epoch}", asked.drawn[1], own, found) for (run, epoch), own in by_table.items()]


def _matrix(table: str, named: Sequence[str], rows: Sequence[Mapping[str, Any]], found: Found) -> dict[str, Any]:
    down, across, count = named
    place = {name: number for number, name in enumerate(found.classes)}
    labels = sorted(
        {row[name] for row in rows for name in (down, across)},
        key=lambda label: (label is None, place.get(str(label), len(place)), str(label)),
    )
    held = {(row[down], row[across]): row[count] for row in rows}
    most = max((value for (one, other), value in held.items() if one != other), default=0)
    lines = []
    for label in labels:
        line = []
        for other in labels:
            value = held.get((label, other), 0)
            view = TableView((table,), where=(_is(down, label), _is(across, other)))
            shade = 0 if label == other or not most else -(-value * 6 // most)
            url = urls.table(view) if value else ""
            line.append({"value": value, "url": url, "shade": shade, "right": label == other})
        lines.append({"label": _text(label), "cells": line, "sum": sum(each["value"] for each in line)})
    return {"name": table, "labels": list(map(_text, labels)), "lines": lines, "down": down, "across": across}


def _text(label: Any) -> str:
    return "null" if label is None else cells.text(label)


def _is(column: str, value: Any) -> str:
    return f"{identifier(column)} IS NOT DISTINCT FROM {literal(value)}"


def butterfly(asked: Question, found: Found) -> dict[str, Any] | None:
    """Of errors by guess: a row per guess, the tables next to each other on one scale."""
    if (
        asked.drawn is None
        or asked.drawn[0] != "beside"
        or "errors" not in found.columns
        or "truths" not in found.columns
    ):
        return None
    rows = records(found.columns, found.rows)
    order = _by_table(found)
    key = asked.drawn[1][0]
    most = max((row["errors"] for row in rows), default=1)
    labels = list(dict.fromkeys(row[key] for row in rows))
    labels.sort(key=lambda label: (label is None, str(label).rjust(8) if isinstance(label, int) else str(label)))
    lines = []
    for label in labels:
        parts = []
        for place, (run, epoch) in enumerate(order):
            row = next((row for row in rows if (row["run"], row["epoch"], row[key]) == (run, epoch, label)), None)
            where = (_is(key, label), "guess <> truth")
            truths = sorted((row["truths"] or {}).items(), key=lambda item: (-item[1], str(item[0]))) if row else []
            parts.append(
                {
                    "errors": row["errors"] if row else 0,
                    "width": round((row["errors"] if row else 0) / most * 80, 1),
                    "truths": [(cells.text(truth), count) for truth, count in truths[:4]],
                    "more": max(0, len(truths) - 4),
                    "ids": list(row.get("ids") or ()) if row else [],
                    "images": [],
                    "url": urls.table(TableView((f"{run}@{epoch}",), where=where)) if row else "",
                    "side": SIDES[place] if len(order) > 1 and place < 2 else "",
                    "table": f"{run}@{epoch}",
                }
            )
        lines.append({"label": _text(label), "parts": parts})
    totals = [sum(row["errors"] for row in rows if (row["run"], row["epoch"]) == each) for each in order]
    return {"tables": [f"{run}@{epoch}" for run, epoch in order], "lines": lines, "totals": totals, "most": most}
