"""Two tables compared: the verdict first, then what changed, the images that broke and were fixed, classes, seeds."""

import asyncio
from typing import Any

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from secondguess.analysis.answers import compared
from secondguess.analysis.answers.answer import records
from secondguess.analysis.errors import BadInput, SecondguessError
from secondguess.analysis.evidence.ledger import Comparison
from secondguess.analysis.page import urls
from secondguess.analysis.page.pages import named
from secondguess.analysis.page.pages.images import Asking, add_images
from secondguess.analysis.page.site import Site, drawn, site, sql_of, status_of
from secondguess.analysis.schema import reference
from secondguess.analysis.serving.bounds import few_tables, listed


async def page(request: Request) -> Response:
    """The comparison of the two tables that the address names; without them, their form."""
    page_site = site(request)
    names = tuple(text for text in request.query_params.getlist("t") if text.strip())
    floor = request.query_params.get("floor", "").strip()
    few_tables(names)
    runs = page_site.runs(request)
    menu, more_tables = listed([reference(run.name, table) for run in runs.values() for table in run.tables])
    context: dict[str, Any] = {"title": "Compare", "here": "", "refs": names, "floor": floor, "tables": menu}
    context |= {"more_tables": more_tables, "steps": [], "at": None, "swapped": None}
    if len(names) > 2:
        raise BadInput(f"two tables are compared here, not {len(names)}; secondguess compare takes more")
    if len(names) < 2:
        return drawn(request, "compare.html", context, {"tables": menu})
    tables = [named.chosen(runs, text, "last") for text in names]
    if (put := named.moved(request.query_params, tables, names)) is not None:
        return RedirectResponse(urls.compare(put, floor))
    context["at"] = named.slider(tables, names, "/compare", [("floor", floor)] if floor else [])
    context["steps"] = named.steps(tables, names, lambda others: urls.compare(others, floor))
    context["swapped"] = urls.compare(names[::-1], floor)
    try:
        reply = await page_site.ask(request, "compare", refs=names, options={"floor": floor})
    except SecondguessError as fault:
        return drawn(request, "compare.html", {**context, "error": fault}, {"error": str(fault)}, status_of(fault))
    made = reply.comparison
    if made is None:
        raise TypeError("a comparison was asked for, and the reply has none")
    if request.url.path.endswith(".json"):
        return drawn(request, "compare.html", {}, made.as_dict())
    asking = Asking(runs, named.entries(runs, tables))
    strips = await asyncio.gather(*(_strip(request, page_site, made, how, asking) for how in ("broken", "fixed")))
    await add_images(request, page_site, asking, [part for strip in strips for part in strip["parts"]])
    context |= {"title": f"{made.a} and {made.b}", "reply": reply, "sql": sql_of(reply), "strips": strips}
    for part in (part for strip in strips for part in strip["parts"]):
        part["image"] = urls.image(part["images"][0][0]) if part["images"] else ""
    context |= {"notes": [*reply.notes, *dict.fromkeys(asking.notes)], **compared.drawing(made, urls.table)}
    return drawn(request, "compare.html", context, {})


async def _strip(request: Request, page_site: Site, made: Comparison, how: str, asking: Asking) -> dict[str, Any]:
    """Examples that broke or were fixed, each with its page."""
    view = compared.surest(made, how)
    parts: list[dict[str, Any]] = []
    options, tables = {"only": how, "sort": ", ".join(view.sort)}, (made.a, made.b)
    if getattr(made.counts, how):
        try:
            reply = await page_site.ask(
                request,
                "question",
                "ledger",
                refs=tables,
                options=options,
                most=compared.IMAGES,
                runs=asking.runs,
            )
        except SecondguessError as fault:  # the numbers stay
            asking.notes.append(f"the examples that were {how} are not shown: {fault}")
            return compared.strip(made, how, [], urls.table)
        for place, row in enumerate(records(reply.columns, reply.rows)):
            about = {"id": row["id"], "guess_a": row.get("guess_a"), "guess_b": row.get("guess_b")}
            images = {"table": made.a, "ids": [row["id"]], "images": [], "view": view}
            parts.append({**about, **images, "url": urls.example(view, place)})
    return compared.strip(made, how, parts, urls.table)
