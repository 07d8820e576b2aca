"""The page of a table view: one or more tables stacked, joined or side by side, with every operation as a link."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from analysis import refs, views
from analysis.errors import BadInput, SecondguessError
from analysis.store.runs import Run, list_runs
from analysis.tableview import TableView
from analysis.web import cells, urls
from analysis.web import table_controls as controls
from analysis.web.columns import fits, shown
from analysis.web.drawing import SIDES, Site, drawn, records, site, sql_of, status_of
from analysis.web.worker import Found

_ROWS = 50


async def page(request: Request) -> Response:
    """Draw a table view; what is wrong with it is said beside its controls."""
    held = site(request)
    query = request.query_params
    runs = list_runs(held.store)
    if not query.getlist("t"):
        return _choice(request, held, runs)
    view = urls.read_table(query)
    view = view if view.limit is not None else replace(view, limit=_ROWS)
    if (picked := [name for name in query.getlist("c") if name.strip()]) and "columns" not in query:
        view = replace(view, columns=tuple(picked))
    more = {name: query.get(name) for name in ("size", "side")}
    error: SecondguessError | None = None
    panels: list[dict[str, Any]] = []
    summary: dict[str, Any] = {}
    try:
        panels, summary = await _panels(request, held, view, more)
    except SecondguessError as found:
        error = found
    size = controls.SIZES.get(more["size"] or "", 28)
    context = {
        "title": " and ".join(view.tables),
        "here": "Tables",
        "view": view,
        "panels": panels,
        "summary": summary,
        "error": error,
        "size": size,
        "heads": _heads(runs, view),
        "links": controls.links(view, more),
        "steps": controls.steps(runs, view, more),
        "at": controls.slider(runs, view),
        "hidden": [part for part in urls.query(view, **more) if part[0] not in {"offset", "limit"}],
    }
    data = (
        {"error": str(error)}
        if error is not None
        else {"panels": [panel["data"] for panel in panels], "summary": summary}
    )
    return drawn(request, "table.html", context, data, 200 if error is None else status_of(error))


def _choice(request: Request, held: Site, runs: Mapping[str, Run]) -> Response:
    """Every table of the store, and the views that were saved in it."""
    tables = _tables(runs)
    saved = []
    for name in views.names(held.store):
        try:
            saved.append({"name": name, "url": urls.table(views.load(held.store, name)), "fault": None})
        except SecondguessError as fault:
            saved.append({"name": name, "url": None, "fault": str(fault)})
    context = {"title": "Tables", "here": "Tables", "tables": tables, "saved": saved}
    return drawn(request, "choose.html", context, {"tables": tables, "saved": saved})


def _tables(runs: Mapping[str, Run]) -> list[dict[str, Any]]:
    """Every table of the store, with the address of its last epoch."""
    found = []
    for run in runs.values():
        for table, epochs in run.tables.items():
            name = run.name if table == "test_predictions" else f"{run.name}/{table}"
            last = max(epochs)
            entry = epochs[last]
            found.append(
                {
                    "name": f"{name}@{last}",
                    "url": urls.table(TableView((f"{name}@{last}",))),
                    "wrong": urls.table(TableView((f"{name}@{last}",), where=("guess <> truth",))),
                    "rows": entry.rows,
                    "errors": entry.errors,
                    "epochs": len(epochs),
                }
            )
    return found


async def _panels(
    request: Request, held: Site, view: TableView, more: Mapping[str, Any]
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """One panel with everything in it, or side by side one per table; and what a join of two comes to."""
    if more["side"] and view.join is None:
        views = [replace(view, tables=(table,)) for table in view.tables]
        found = await asyncio.gather(*(held.ask(request, "table", each) for each in views))
        return [_panel(held, each, answer, (view, more), 1) for each, answer in zip(views, found, strict=True)], {}
    if view.join is not None and len(view.tables) == 2:
        answer, counted = await asyncio.gather(held.ask(request, "table", view), _changes(request, held, view))
        return [_panel(held, view, answer, (view, more), 2)], counted
    answer = await held.ask(request, "table", view)
    return [_panel(held, view, answer, (view, more), len(view.tables) if view.join else 1)], {}


async def _changes(request: Request, held: Site, view: TableView) -> dict[str, Any]:
    """How many guesses differ between two tables, and in which way; nothing where they cannot be compared."""
    right = {side: f"guess_{side} = truth_{side}" for side in SIDES}
    counts = (
        ("differ", "count(*) FILTER (WHERE guess_a IS DISTINCT FROM guess_b)"),
        ("fixed", f"count(*) FILTER (WHERE NOT ({right['a']}) AND {right['b']})"),
        ("broken", f"count(*) FILTER (WHERE {right['a']} AND NOT ({right['b']}))"),
        (
            "both",
            f"count(*) FILTER (WHERE NOT ({right['a']}) AND NOT ({right['b']}) AND guess_a IS DISTINCT FROM guess_b)",
        ),
    )
    plain = TableView(
        view.tables,
        view.join,
        view.key,
        view.allow_duplicates,
        view.at,
        view.exact,
        aggregate=counts,
        columns=tuple(name for name, _ in counts),
    )
    try:
        found = await held.ask(request, "table", plain)
    except SecondguessError:  # tables without guesses or truth: there is nothing to say of them
        return {}
    return dict(zip(found.columns, found.rows[0], strict=True)) if found.rows else {}


def _panel(
    held: Site, view: TableView, found: Found, page: tuple[TableView, Mapping[str, Any]], sides: int
) -> dict[str, Any]:
    """One table as it is drawn: heads, rows, the range of them, the statement."""
    whole, more = page
    columns = shown(found.columns, found.types, sides, found.classes)
    rows = cells.rows(columns, found.columns, found.rows, held.images, view.offset)
    total = found.total if found.total is not None else len(found.rows)
    last = view.offset + len(found.rows)
    place = whole.tables.index(view.tables[0]) if len(view.tables) == 1 and len(whole.tables) > 1 else None
    return {
        "columns": [{"shown": column, **controls.head(whole, column, more)} for column in columns],
        "rows": rows,
        "fits": fits(columns) and len(whole.tables) == len(view.tables),
        "view": view,
        "side": SIDES[place] if place is not None and place < len(SIDES) else "",
        "name": view.tables[0] if place is not None else "",
        "total": total,
        "first": view.offset + 1,
        "last": last,
        "earlier": urls.table(replace(whole, offset=max(0, view.offset - (view.limit or _ROWS))), **more)
        if view.offset
        else None,
        "later": urls.table(replace(whole, offset=last), **more) if last < total else None,
        "sql": sql_of(found.sql),
        "seconds": found.seconds,
        "notes": [note for note in found.notes if not note.startswith("joined ")],
        "reports": found.reports,
        "grouped": bool(view.group or view.aggregate),
        "data": {
            "columns": list(found.columns),
            "rows": records(found.columns, found.rows),
            "total": total,
            "sql": found.sql,
            "notes": list(found.notes),
            "reports": [report.as_dict() for report in found.reports],
        },
    }


def _heads(runs: Mapping[str, Run], view: TableView) -> list[dict[str, Any]]:
    """Each table's name and how often it errs, where its record says so."""
    found = []
    for place, table in enumerate(view.tables):
        entry = None
        try:
            selection = refs.resolve(runs, table, "last")
            entry = selection.epochs[-1] if len(selection.epochs) == 1 and view.at is None else None
        except SecondguessError:
            pass  # the page says it where the rows would be
        side = SIDES[place] if len(view.tables) > 1 and place < len(SIDES) else ""
        found.append({"name": table, "side": side, "entry": entry})
    return found


def chosen(view: TableView, row: int) -> TableView:
    """The view of one row and its neighbours: what the page of an example reads."""
    if row < 0:
        raise BadInput(f"row is {row}, not a row of a table")
    return replace(view, offset=max(0, row - 1), limit=3 if row else 2)
