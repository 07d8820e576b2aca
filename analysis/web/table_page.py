"""The page of a table view: one or more tables stacked, joined or side by side, with every operation as a link."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from analysis import refs, views
from analysis.errors import BadInput, SecondguessError
from analysis.schema import reference
from analysis.sides import side
from analysis.store.runs import Run, list_runs
from analysis.tableview import TableView
from analysis.web import table_controls as controls
from analysis.web import urls
from analysis.web.drawing import Site, drawn, site, status_of
from analysis.web.filter_fault import FilterFault, filter_fault
from analysis.web.panels import panels

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
    more = {name: query.get(name) for name in ("size", "side", "pin")}
    error: SecondguessError | None = None
    fault: FilterFault | None = None
    drawn_panels: list[dict[str, Any]] = []
    summary: dict[str, Any] = {}
    try:
        drawn_panels, summary = await panels(request, held, view, more)
    except SecondguessError as found:
        error, fault = found, filter_fault(view, found)
    if fault is not None:  # the answer as it was stays in sight
        with suppress(SecondguessError):
            drawn_panels, summary = await panels(request, held, fault.others, more)
    return _drawn(request, runs, (view, more), (drawn_panels, summary), (error, fault))


def _drawn(
    request: Request,
    runs: Mapping[str, Run],
    asked: tuple[TableView, Mapping[str, Any]],
    answer: tuple[list[dict[str, Any]], dict[str, Any]],
    wrong: tuple[SecondguessError | None, FilterFault | None],
) -> Response:
    """The page round an answer, or round what is wrong and the answer without it."""
    (whole, more), (drawn_panels, summary), (error, fault) = asked, answer, wrong
    view = whole if fault is None else fault.others
    context = {
        "title": " and ".join(view.tables),
        "here": "Tables",
        "view": view,
        "panels": drawn_panels,
        "summary": summary,
        "error": error,
        "fault": fault,
        "size": controls.SIZES.get(more["size"] or "", 28),
        "heads": _heads(runs, view),
        "links": controls.links(view, more),
        "chips": controls.chips(view, more),
        "at_hand": controls.at_hand(runs, view),
        "known": [table["name"] for table in _tables(runs)],
        "steps": controls.steps(runs, view, more),
        "at": controls.slider(runs, view, more),
        "hidden": [part for part in urls.query(view, **more) if part[0] != "offset"],
    }
    if error is not None:
        return drawn(request, "table.html", context, {"error": str(error)}, status_of(error))
    data = {"panels": [panel["data"] for panel in drawn_panels], "summary": summary}
    return drawn(request, "table.html", context, data)


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
            last = max(epochs)
            name = reference(run.name, table, last)
            entry = epochs[last]
            found.append(
                {
                    "name": name,
                    "url": urls.table(TableView((name,))),
                    "wrong": urls.table(TableView((name,), where=("guess <> truth",))),
                    "rows": entry.rows,
                    "errors": entry.errors,
                    "epochs": len(epochs),
                }
            )
    return found


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
        found.append({"name": table, "side": side(place) if len(view.tables) > 1 else "", "entry": entry})
    return found


def chosen(view: TableView, row: int) -> TableView:
    """The view of one row and its neighbours: what the page of an example reads."""
    if row < 0:
        raise BadInput(f"row is {row}, not a row of a table")
    return replace(view, offset=max(0, row - 1), limit=3 if row else 2)
