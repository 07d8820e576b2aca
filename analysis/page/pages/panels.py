"""A table view as it is drawn: a table, or side by side one for each, and what a join of two comes to."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from starlette.requests import Request

from secondguess.analysis.answers import cells
from secondguess.analysis.answers.answer import records
from secondguess.analysis.answers.columns import PageColumn, fits, shown
from secondguess.analysis.answers.sides import row_sides, side
from secondguess.analysis.ask.refs import Runs
from secondguess.analysis.engine import expressions
from secondguess.analysis.engine.expressions import order
from secondguess.analysis.engine.sqltext import identifier
from secondguess.analysis.errors import SecondguessError, listing
from secondguess.analysis.page import urls
from secondguess.analysis.page.pages import head
from secondguess.analysis.page.pages.best import with_best
from secondguess.analysis.page.pages.controls import grouped
from secondguess.analysis.page.site import Site, large
from secondguess.analysis.serving import bounds
from secondguess.analysis.serving.worker import Reply
from secondguess.analysis.tables import changes
from secondguess.analysis.tables.view import TableView

_MOST_ADDRESSES = 2_000_000  # characters of all those that cells would lead to, less what is twice there
_NAMELESS = ("",) * bounds.MOST_COLUMNS
_LEADLESS = "cells do not lead to filters here, since so many long addresses would be a page of many megabytes"
_UNSORTED = {"best", "picture", "bins", "counts", "ids"}


def heads(
    view: TableView, columns: Sequence[PageColumn], grouped_by: bool, more: Mapping[str, Any], of: str | None = None
) -> list[dict[str, Any]]:
    """Each column with what its head leads to, and what stands in it of rows that are not grouped.

    of is the one table of several side by side.
    """
    names = [name for column in columns if column.kind != "best" for name in column.names]
    around = (names, pins(more), grouped_by)
    made = [{"shown": column, **_head(view, column, around, more), "dists": []} for column in columns]
    if not grouped_by and more.get("heads") != "none":
        for each in made:
            each["dists"] = head.placed(view, each["shown"], more, of)
    return made


def pins(more: Mapping[str, Any]) -> tuple[str, ...]:
    """The columns that are pinned to the left."""
    return expressions.names(more["pin"]) if more.get("pin") else ()


def _head(
    view: TableView,
    column: PageColumn,
    around: tuple[Sequence[str], Sequence[str], bool],
    more: Mapping[str, Any],
) -> dict[str, Any]:
    names, pinned, grouped_by = around
    quoted_names = [(name, identifier(name)) for name in column.names]
    now = [order(text) for text in view.sort]
    down = next((down for text, down in now if any(text in pair for pair in quoted_names)), None)
    largest_first = column.kind in {"score", "number"} if down is None else not down
    left = tuple(name for name in names if name not in column.names)
    is_pinned = column.names[0] in pinned
    others = [name for name in pinned if name not in column.names]

    def sorted_by(term: str) -> str:
        return urls.table(replace(view, sort=(term,), offset=0), **more)

    def pinned_to(pinned: Sequence[str]) -> str:
        return urls.table(view, **{**more, "pin": urls.listed(pinned) or None})

    return {
        "sort": None
        if column.kind in _UNSORTED
        else sorted_by(f"-{quoted_names[0][1]}" if largest_first else quoted_names[0][1]),
        "direction": None if down is None else "descending" if down else "ascending",
        "orders": [(name, sorted_by(quoted), sorted_by(f"-{quoted}")) for name, quoted in quoted_names],
        "change": sorted_by(f"-({quoted_names[1][1]} - {quoted_names[0][1]})") if column.compared else None,
        "group": None
        if grouped_by or column.kind in {"score", "best"}
        else urls.table(grouped(view, *column.names), **more),
        "hide": urls.table(replace(view, columns=left), **more) if left else None,
        "pinned": is_pinned,
        "pin": pinned_to(others if is_pinned else [*others, column.names[0]]),
    }


async def panels(
    request: Request, page_site: Site, runs: Runs, view: TableView, more: Mapping[str, Any]
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """One panel with everything in it, or side by side one per table; and how many guesses a join of two changes."""
    if more["side"] and view.join is None:
        views = [replace(view, tables=(table,)) for table in view.tables]
        options = {"scores": len(views) < 2}
        replies = await asyncio.gather(
            *(page_site.ask(request, "table", each, options=options, runs=runs) for each in views)
        )
        both = zip(views, replies, strict=True)
        made = [(each, await with_best(request, page_site, runs, each, answer)) for each, answer in both]
        return [await _panel(page_site, each, answer, (view, more)) for each, answer in made], {}
    if view.join is not None and len(view.tables) == 2:
        answer, counted = await asyncio.gather(
            page_site.ask(request, "table", view, runs=runs), _changes(request, page_site, runs, view)
        )
        answer = await with_best(request, page_site, runs, view, answer)
        return [await _panel(page_site, view, answer, (view, more))], counted
    answer = await page_site.ask(request, "table", view, runs=runs)
    answer = await with_best(request, page_site, runs, view, answer)
    return [await _panel(page_site, view, answer, (view, more))], {}


async def _changes(request: Request, page_site: Site, runs: Runs, view: TableView) -> dict[str, Any]:
    """How many guesses differ between two tables, and in which way; nothing where they cannot be compared."""
    try:
        reply = await page_site.ask(request, "table", changes.counted(view), runs=runs)
    except SecondguessError:  # tables without guesses or truth: there is nothing to say of them
        return {}
    return dict(zip(reply.columns, reply.rows[0], strict=True)) if reply.rows else {}


async def _panel(
    page_site: Site, view: TableView, reply: Reply, page: tuple[TableView, Mapping[str, Any]]
) -> dict[str, Any]:
    """One table as it is drawn, of how many cells."""
    size = len(reply.rows) * len(reply.columns)
    return {"cells": size, **await large(size, partial(_parts, page_site, view, reply, page))}


def _parts(page_site: Site, view: TableView, reply: Reply, page: tuple[TableView, Mapping[str, Any]]) -> dict[str, Any]:
    """The parts of a drawn table: heads, rows, the range of them, the statement."""
    whole, more = page
    # Each cell leads to addresses that repeat all that the view says.
    leads = len(urls.table(view)) * len(reply.rows) * len(reply.columns) < _MOST_ADDRESSES
    columns = shown(reply.columns, reply.types, reply.sides, reply.classes, pins(more))
    total = reply.total if reply.total is not None else len(reply.rows)
    place = whole.tables.index(view.tables[0]) if len(view.tables) == 1 and len(whole.tables) > 1 else None
    by_group = bool(view.group or view.aggregate or view.wandb_aggregate)
    return {
        "columns": heads(whole, columns, by_group, more, of=view.tables[0] if place is not None else None),
        "rows": cells.rows(
            columns,
            reply.columns if leads else _NAMELESS,
            reply.rows,
            page_site.images,
            view.offset,
            verdicts=reply.verdicts,
        ),
        "row_sides": row_sides(reply.columns, reply.rows, reply.order) if view.join is None else [],
        "fits": fits(columns) and len(whole.tables) == len(view.tables),
        "view": view,
        "side": side(place) if place is not None else "",
        "name": view.tables[0] if place is not None else "",
        "total": total,
        "range": (view.offset + 1, view.offset + len(reply.rows)),
        **_pager(view, total, len(reply.rows), whole, more),
        "sql": {"text": reply.sql, "short": _gist(view, reply.columns)},
        "seconds": reply.seconds,
        "notes": reply.notes if leads else (*reply.notes, _LEADLESS),
        "reports": reply.reports,
        "grouped": by_group,
        "verdicts": reply.verdicts,
        "data": {
            "columns": list(reply.columns),
            "rows": records(reply.columns, reply.rows),
            "total": total,
            "sql": reply.sql,
            "notes": list(reply.remarks),
            "reports": [report.as_dict() for report in reply.reports],
        },
    }


def _gist(view: TableView, columns: Sequence[str]) -> str:
    """What the statement comes to, in the words of SQL: for the eye, the whole stands beside it."""
    how = {None: ", ", "inner": " JOIN ", "outer": " FULL JOIN "}[view.join]
    parts = [f"SELECT {listing(columns, 5)} FROM {how.join(view.tables)}"]
    parts += [f"USING ({', '.join(view.key)})"] if view.join is not None else []
    parts += [f"WHERE {' AND '.join((*view.where, *view.wandb_filter))}"] if view.where or view.wandb_filter else []
    parts += [f"GROUP BY {', '.join(view.group)}"] if view.group else []
    parts += [f"ORDER BY {', '.join(view.sort)}"] if view.sort else []
    return " ".join(parts)


def _pager(view: TableView, total: int, rows: int, whole: TableView, more: Mapping[str, Any]) -> dict[str, Any]:
    """The addresses of the page before and the page after, and of the last one where it is farther away."""
    limit = view.limit or rows or 1
    last = (total - 1) // limit * limit
    places = {
        "earlier": max(0, view.offset - limit) if view.offset else None,
        "later": view.offset + rows if view.offset + rows < total else None,
        "final": last if view.offset + 2 * limit < total else None,
        "initial": 0 if view.offset > limit else None,
    }
    return {
        name: None if offset is None else urls.table(replace(whole, offset=offset), **more)
        for name, offset in places.items()
    }
