"""The page of a table view: one or more tables stacked, joined or side by side, with every operation as a link."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from secondguess.analysis.answers.sides import side
from secondguess.analysis.ask import refs, seen
from secondguess.analysis.ask.refs import Referent, Runs, Selection
from secondguess.analysis.errors import BadInput, Refused, SecondguessError
from secondguess.analysis.page import urls
from secondguess.analysis.page.pages import controls, saving
from secondguess.analysis.page.pages.faults import FilterFault, each_left_out, filter_fault
from secondguess.analysis.page.pages.head import inlined
from secondguess.analysis.page.pages.panels import panels
from secondguess.analysis.page.site import Site, drawn, large, site, status_of
from secondguess.analysis.schema import WRONG, reference
from secondguess.analysis.serving import bounds
from secondguess.analysis.tables import saved
from secondguess.analysis.tables.view import TableView

_ROWS = 50
_TRIES = 5  # filters that are left out to find the one that is wrong


async def page(request: Request) -> Response:
    """Draw a table view; what is wrong with it is said beside its controls."""
    page_site = site(request)
    query = request.query_params
    runs = page_site.runs(request)
    if not query.getlist("t"):
        return _choice(request, page_site, runs)
    view = urls.read_table(query)
    view = view if view.limit is not None else replace(view, limit=_ROWS)
    if (picked := [name for name in query.getlist("c") if name.strip()]) and "columns" not in query:
        view = replace(view, columns=tuple(picked))
    said = bounds.columns_said(len(view.columns or ()), "name others under Columns")
    if view.columns is not None:  # each link of the page repeats them
        view = replace(view, columns=view.columns[: bounds.MOST_COLUMNS])
    more = {name: query.get(name) for name in ("size", "side", "pin", "heads")}
    named = [refs.named(runs, text, "last") for text in view.tables]
    if (place := urls.read_nth(query)) is not None:
        moved = replace(view, at=controls.nth(named, place), exact=query.get("exact") == "1")
        return RedirectResponse(urls.table(moved, path="/table", **more))
    error: SecondguessError | None = None
    fault: FilterFault | None = None
    drawn_panels: list[dict[str, Any]] = []
    summary: dict[str, Any] = {}
    try:
        drawn_panels, summary = await panels(request, page_site, runs, view, more)
    except SecondguessError as wrong:
        error, fault = wrong, filter_fault(view, wrong)
        possible = [fault] if fault is not None else each_left_out(view, wrong) if isinstance(wrong, Refused) else []
        drawn_panels, summary, fault = await _as_it_was(request, page_site, runs, possible, more)
    if more["heads"] == "all":
        await inlined(request, page_site, runs, drawn_panels)
    for panel in drawn_panels if said else ():
        panel["notes"] = panel["data"]["notes"] = [said, *panel["notes"]]
    if drawn_panels and more["side"] and view.join is None:  # of a stack its answer says it
        beside = drawn_panels[0]
        beside["notes"] = beside["data"]["notes"] = [*seen.notes(_shown(named, view), runs), *beside["notes"]]
    drawing = partial(_drawn, request, (runs, named), (view, more), (drawn_panels, summary), (error, fault))
    return await large(sum(panel["cells"] for panel in drawn_panels), drawing)


def _shown(named: Sequence[Referent], view: TableView) -> list[Selection]:
    """The epochs that are shown of the tables side by side."""
    shown = []
    for table in named:
        epochs = table.selection.epochs if table.selection is not None else ()
        if view.at is not None:
            epochs = tuple(epoch for epoch in table.epochs if epoch.moment <= view.at)[-1:]
        if epochs:
            shown.append(Selection(epochs[0].run, epochs[0].table, epochs))
    return shown


async def _as_it_was(
    request: Request, page_site: Site, runs: Runs, possible: Sequence[FilterFault], more: Mapping[str, Any]
) -> tuple[list[dict[str, Any]], dict[str, Any], FilterFault | None]:
    """The answer without the filter that is wrong, so that it stays in sight, and which that is."""
    for fault in possible[:_TRIES]:
        others = fault.others
        for _ in range(_TRIES):
            try:
                return *await panels(request, page_site, runs, others, more), replace(fault, others=others)
            except SecondguessError as wrong:
                further = filter_fault(others, wrong)  # another filter is wrong too
                if further is None:
                    break
                others = further.others
    return [], {}, possible[0] if len(possible) == 1 else None


def _drawn(
    request: Request,
    there: tuple[Runs, Sequence[Referent]],
    asked: tuple[TableView, Mapping[str, Any]],
    answer: tuple[list[dict[str, Any]], dict[str, Any]],
    wrong: tuple[SecondguessError | None, FilterFault | None],
) -> Response:
    """The page round an answer, or round what is wrong and the answer without it; there is what the tables name."""
    runs, named = there
    (whole, more), (drawn_panels, summary), (error, fault) = asked, answer, wrong
    view = whole if fault is None else fault.others
    at_hand, more_columns = bounds.listed(controls.at_hand(named, view))
    known, more_tables = bounds.listed([table["name"] for table in _tables(runs)])
    context = {
        "title": " and ".join(view.tables),
        "saved": saving.note(site(request), whole, *map(request.query_params.get, ("saved", "unsaved"))),
        "here": "Tables",
        "view": view,
        "panels": drawn_panels,
        "summary": summary,
        "error": error,
        "fault": fault,
        "mended": urls.table(fault.mended, **more) if fault is not None and fault.instead else None,
        "size": controls.SIZES.get(more["size"] or "", 28),
        "heads": _heads(named, view),
        "links": controls.links(view, more),
        "chips": controls.chips(view, more),
        "at_hand": at_hand,
        "more_columns": more_columns,
        "known": known,
        "more_tables": more_tables,
        "steps": controls.steps(named, view, more),
        "at": controls.slider(named, view, more),
        "hidden": [part for part in urls.query(view, **more) if part[0] != "offset"],
    }
    if error is not None:
        return drawn(request, "table.html", context, {"error": str(error)}, status_of(error))
    data = {"panels": [panel["data"] for panel in drawn_panels], "summary": summary}
    return drawn(request, "table.html", context, data)


def _choice(request: Request, page_site: Site, runs: Runs) -> Response:
    """Every table of the store, and the views that were saved in it."""
    tables = _tables(runs)
    saved_views = []
    for name in saved.names(page_site.store):
        try:
            view: dict[str, Any] = {"url": urls.table(saved.load(page_site.store, name)), "fault": None}
        except SecondguessError as fault:
            view = {"url": None, "fault": str(fault)}
        saved_views.append({"name": name, **view, "change": urls.saved(name)})
    context = {"title": "Tables", "here": "Tables", "tables": tables, "saved": saved_views}
    return drawn(request, "choose.html", context, {"tables": tables, "saved": saved_views})


def _tables(runs: Runs) -> list[dict[str, Any]]:
    """Every table of the store, with the address of its last epoch."""
    tables = []
    for run in runs.values():
        for table, epochs in run.tables.items():
            last = max(epochs)
            name = reference(run.name, table, last)
            entry = epochs[last]
            tables.append(
                {
                    "name": name,
                    "url": urls.table(TableView((name,))),
                    "wrong": urls.table(TableView((name,), where=(WRONG,))),
                    "rows": entry.rows,
                    "errors": entry.errors,
                    "lacks": entry.lacks,
                    "epochs": len(epochs),
                }
            )
    return tables


def _heads(named: Sequence[Referent], view: TableView) -> list[dict[str, Any]]:
    """Each table's name and how often it errs, where its record says so."""
    heads = []
    for place, table in enumerate(named):  # of one that names nothing the page says so where the rows would be
        epochs = table.selection.epochs if table.selection is not None else ()
        entry = epochs[0] if len(epochs) == 1 and view.at is None else None
        colour = side(place) if len(view.tables) > 1 else ""
        heads.append({"name": table.text, "side": colour, "entry": entry})
    return heads


def chosen(view: TableView, row: int) -> TableView:
    """The view of one row and its neighbours: what the page of an example reads."""
    if row < 0:
        raise BadInput(f"row is {row}, not a row of a table")
    return replace(view, offset=max(0, row - 1), limit=3 if row else 2)
