"""A table view as images, each with its guess and its truth, in groups if wanted; some of them can be marked."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from secondguess.analysis.answers import cells
from secondguess.analysis.answers.answer import records
from secondguess.analysis.answers.cells import Cell
from secondguess.analysis.answers.classes import label_text
from secondguess.analysis.answers.columns import PageColumn, shown
from secondguess.analysis.answers.sides import side
from secondguess.analysis.ask import refs
from secondguess.analysis.engine.sqltext import is_value, literal
from secondguess.analysis.errors import BadInput, SecondguessError
from secondguess.analysis.page import urls
from secondguess.analysis.page.pages import controls
from secondguess.analysis.page.site import Site, drawn, large, site, status_of
from secondguess.analysis.serving.worker import Reply
from secondguess.analysis.tables import heads
from secondguess.analysis.tables.view import TableView

SIZES = {"small": 56, "middle": 96, "large": 160, "huge": 256}
COUNTS = (20, 50, 100, 200, 500)
_GROUPS = 12  # on a page: each is a question of its own
_FEWEST = 4  # images of a group
_TO = {"table": "/table", "gallery": "/gallery", "csv": "/export", "json": "/export"}


async def page(request: Request) -> Response:
    """Draw a view as images."""
    page_site, query = site(request), request.query_params
    view = _view(query)
    more = {name: query.get(name, "").strip() or None for name in ("size", "by", "from")}
    runs = page_site.runs(request)
    named = [refs.named(runs, text, "last") for text in view.tables]
    context: dict[str, Any] = {
        "title": " and ".join(view.tables),
        "here": "Tables",
        "view": view,
        "size": SIZES.get(more["size"] or "", SIZES["middle"]),
        "names": [(text, side(place) if len(view.tables) > 1 else "") for place, text in enumerate(view.tables)],
        "chips": controls.chips(view, more, "/gallery"),
        "hidden": [part for part in urls.query(view, **more) if part[0] not in {"offset", "from"}],
        "at_hand": controls.at_hand(named, view),
        "by": more["by"] or "",
        "links": _links(view, more),
        "groups": [],
    }
    try:
        groups, facts = await _groups(request, page_site, view, more)
    except SecondguessError as error:
        return drawn(request, "gallery.html", {**context, "error": error}, {"error": str(error)}, status_of(error))
    data = {"groups": [{key: group[key] for key in ("label", "total", "rows")} for group in groups], **facts["data"]}
    context |= {"groups": groups, **facts}
    return await large(len(groups) * 500, lambda: drawn(request, "gallery.html", context, data))


async def marked(request: Request) -> Response:
    """Lead on to the rows that were marked: as a table, which can be saved, as images, or as a file."""
    query = request.query_params
    view, to = _view(query), query.get("to", "table")
    if to not in _TO:
        raise BadInput(f"to is {to!r}, not one of {', '.join(_TO)}")
    marks = list(dict.fromkeys(name for name in query.getlist("mark") if name))
    if not marks:
        raise BadInput("nothing is marked; tick the images that are meant, and send the form again")
    these = f"{heads.bare(view.key[0])} IN ({', '.join(map(literal, marks))})"
    kept = replace(view, where=(these,), wandb_filter=(), limit=None, offset=0)
    more = {"format": to} if _TO[to] == "/export" else {"size": query.get("size"), "by": query.get("by")}
    return RedirectResponse(urls.table(kept, _TO[to], **more))


def _view(query: QueryParams) -> TableView:
    """The view of an address, of rows that are not grouped."""
    view = urls.read_table(query)
    limit = min(view.limit or 100, COUNTS[-1])
    return replace(view, group=(), aggregate=(), wandb_aggregate=(), columns=None, limit=limit)


def _links(view: TableView, more: Mapping[str, Any]) -> dict[str, Any]:
    """Where the controls of the page lead."""
    first = replace(view, offset=0)
    return {
        "table": urls.table(replace(first, limit=None)),
        "sizes": [
            (name, urls.gallery(view, **{**more, "size": name}), name == (more["size"] or "middle")) for name in SIZES
        ],
        "counts": [(count, urls.gallery(replace(first, limit=count), **more), count == view.limit) for count in COUNTS],
        "by": [
            (name, urls.gallery(first, **{**more, "by": name, "from": None}))
            for name in (("guess", "truth") if view.join is None else ("guess_a", "guess_b", "truth_a"))
        ],
        "plain": urls.gallery(first, **{**more, "by": None, "from": None}),
        "reset": urls.gallery(TableView(view.tables, view.join, view.key)),
    }


async def _groups(
    request: Request, page_site: Site, view: TableView, more: Mapping[str, Any]
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """The images in their groups, or all as one, and the addresses before and after them."""
    if not more["by"]:
        reply = await _rows(request, page_site, view)
        total = reply.total if reply.total is not None else len(reply.rows)
        last = view.offset + len(reply.rows)
        turned = {
            "earlier": _turned(view, more, max(0, view.offset - (view.limit or 1))) if view.offset else None,
            "later": _turned(view, more, last) if last < total else None,
            "range": (view.offset + 1, last),
            "total": total,
            "what": "rows",
        }
        group = _group(page_site, view, reply, ("", total, None))
        return [group], {**turned, "notes": reply.notes, "reports": reply.reports, "data": {"total": total}}
    start = urls.read_from(request.query_params)
    counted = replace(heads.plain(view), group=(more["by"],), sort=(), limit=_GROUPS, offset=start)
    there = await page_site.ask(request, "table", _largest_first(counted), runs=page_site.runs(request))
    total = there.total if there.total is not None else len(there.rows)
    each = max(_FEWEST, (view.limit or 1) // max(1, len(there.rows)))
    groups, notes, reports = [], list(there.notes), there.reports
    for value, rows, *_ in there.rows:
        own = replace(view, where=(*view.where, is_value(there.columns[0], value)), limit=each, offset=0)
        reply = await _rows(request, page_site, own)
        url = urls.gallery(replace(own, limit=view.limit), **{**more, "by": None, "from": None})
        groups.append(_group(page_site, own, reply, (label_text(value), rows, url)))
    last = start + len(there.rows)
    turned = {
        "earlier": urls.gallery(view, **{**more, "from": max(0, start - _GROUPS)}) if start else None,
        "later": urls.gallery(view, **{**more, "from": last}) if last < total else None,
        "range": (start + 1, last),
        "total": total,
        "what": f"groups by {more['by']}, the largest first",
    }
    return groups, {**turned, "notes": notes, "reports": reports, "data": {"total": total, "by": more["by"]}}


def _largest_first(view: TableView) -> TableView:
    """The groups of a view with how many rows each has, the largest first."""
    count = "rows in group"
    columns = (*view.group, count)
    return replace(view, aggregate=((count, "count(*)"),), columns=columns, sort=(f'-"{count}"',))


async def _rows(request: Request, page_site: Site, view: TableView) -> Reply:
    options = {"scores": False}
    return await page_site.ask(request, "table", view, options=options, runs=page_site.runs(request))


def _turned(view: TableView, more: Mapping[str, Any], offset: int) -> str:
    return urls.gallery(replace(view, offset=offset), **more)


def _group(page_site: Site, view: TableView, reply: Reply, told: tuple[str, int, str | None]) -> dict[str, Any]:
    """A group of images: its label, how many rows it has, where all of them are; its images as they are drawn."""
    label, total, url = told
    columns = shown(reply.columns, reply.types, reply.sides, reply.classes)
    rows = cells.rows(columns, reply.columns, reply.rows, page_site.images, view.offset, verdicts=reply.verdicts)
    example = urls.table(view, "/example")
    tiles = [_tile(columns, row.cells, f"{example}&row={row.number}") for row in rows]
    key = view.key[0]
    kept = [name for name in reply.columns if not name.startswith(("image", "content"))]
    data = [{name: row[name] for name in kept} for row in records(reply.columns, reply.rows)]
    for tile, row in zip(tiles, data, strict=True):
        tile["id"] = row.get(key)
    return {"label": label, "total": total, "url": url, "tiles": tiles, "rows": data}


def _tile(columns: Sequence[PageColumn], row: Sequence[Cell], url: str) -> dict[str, Any]:
    """What is drawn of a row: its picture or its text, its guesses and its truth."""
    tile: dict[str, Any] = {"url": url, "pictures": (), "text": "", "guess": None, "truth": None, "key": ""}
    for column, cell in zip(columns, row, strict=True):
        if column.kind == "picture" and not tile["pictures"]:
            tile["pictures"] = cell.parts[0]
        elif column.title == "content" and cell.parts:
            tile["text"] = cell.parts[0] or ""
        elif column.kind == "label":
            tile[column.title] = cell
        elif column.kind == "key":
            tile["key"] = cell.parts[0] or ""
    return tile
