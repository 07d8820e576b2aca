"""The heads of a table's columns: what a click on one, or on its menu, leads to."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from analysis.answers.columns import Shown
from analysis.engine import expressions
from analysis.engine.expressions import order
from analysis.engine.sqltext import identifier
from analysis.tables.view import TableView
from analysis.web import urls
from analysis.web.table_controls import grouped

_UNSORTED = {"picture", "bins", "counts", "ids"}


def heads(view: TableView, columns: Sequence[Shown], grouped_by: bool, more: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Each column with what its head leads to: sorting by it, grouping by it, pinning it, leaving it out."""
    names = [name for column in columns for name in column.names]
    pinned = pins(more)
    return [{"shown": column, **_head(view, column, (names, pinned, grouped_by), more)} for column in columns]


def pins(more: Mapping[str, Any]) -> tuple[str, ...]:
    """The columns that are pinned to the left."""
    return expressions.names(more["pin"]) if more.get("pin") else ()


def _head(
    view: TableView,
    column: Shown,
    around: tuple[Sequence[str], Sequence[str], bool],
    more: Mapping[str, Any],
) -> dict[str, Any]:
    names, pinned, grouped_by = around
    held = [(name, identifier(name)) for name in column.names]
    now = [order(text) for text in view.sort]
    down = next((down for text, down in now if any(text in pair for pair in held)), None)
    largest_first = column.kind in {"score", "number"} if down is None else not down
    left = tuple(name for name in names if name not in column.names)
    is_pinned = column.names[0] in pinned
    others = [name for name in pinned if name not in column.names]

    def sorted_by(term: str) -> str:
        return urls.table(replace(view, sort=(term,), offset=0), **more)

    def pinned_to(pinned: Sequence[str]) -> str:
        return urls.table(view, **{**more, "pin": urls.listed(pinned) or None})

    return {
        "sort": None if column.kind in _UNSORTED else sorted_by(f"-{held[0][1]}" if largest_first else held[0][1]),
        "direction": None if down is None else "descending" if down else "ascending",
        "orders": [(name, sorted_by(quoted), sorted_by(f"-{quoted}")) for name, quoted in held],
        "change": sorted_by(f"-({held[1][1]} - {held[0][1]})") if column.compared else None,
        "group": None if grouped_by or column.kind == "score" else urls.table(grouped(view, *column.names), **more),
        "hide": urls.table(replace(view, columns=left), **more) if left else None,
        "pinned": is_pinned,
        "pin": pinned_to(others if is_pinned else [*others, column.names[0]]),
    }
