"""Saved views: keeping a view under a name, naming it anew, deleting it; what came of it is said on the view's page."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from secondguess.analysis.errors import AlreadyThere, BadInput, SecondguessError
from secondguess.analysis.page import urls
from secondguess.analysis.page.pages.sending import sent_form
from secondguess.analysis.page.site import Site, drawn, site
from secondguess.analysis.schema import checked_name
from secondguess.analysis.store.runs import list_runs
from secondguess.analysis.tables import saved
from secondguess.analysis.tables.view import TableView


async def save(request: Request) -> Response:
    """Keep a view; where its name is taken, or cannot be one, lead to the page that asks for another."""
    page_site = site(request)
    form = await sent_form(request, page_site)
    if isinstance(form, Response):
        return form
    name, view = dict(form).get("name", "").strip(), urls.read_table(QueryParams(form))
    try:
        saved.save(page_site.store, name, view, overwrite=dict(form).get("replace") == "1")
    except (AlreadyThere, BadInput):
        return RedirectResponse(urls.naming(view, name), 303)
    return RedirectResponse(urls.table(view, saved=name), 303)


async def naming(request: Request) -> Response:
    """The form that keeps a view; of a name that is taken it asks whether to replace that view."""
    page_site, query = site(request), request.query_params
    list_runs(page_site.store)
    name, view = query.get("name", "").strip(), urls.read_table(query)
    fault = _unusable(page_site, name) if "name" in query else ""
    fields = [part for part in urls.query(view) if part[0] != "name"]
    context = {"title": "Save", "here": "Tables", "fields": fields, "back": urls.table(view), "name": name}
    said = {"fault": fault, "taken": name in saved.names(page_site.store)}
    return drawn(request, "saving.html", {**context, **said}, {"name": name, "fault": fault or None})


async def page(request: Request) -> Response:
    """One saved view: what it is, with a form to name it anew and one to delete it."""
    page_site, query = site(request), request.query_params
    list_runs(page_site.store)
    name, new = query.get("name", ""), query.get("new", query.get("name", ""))
    view, damaged = _loaded(page_site, name)
    url, fault = None if view is None else urls.table(view), _unusable(page_site, new) if new != name else ""
    context = {"title": name, "here": "Tables", "name": name, "url": url, "damaged": damaged, "new": new}
    return drawn(
        request,
        "saved.html",
        {**context, "fault": fault},
        {"name": name, "url": url, "fault": fault or damaged or None},
    )


async def change(request: Request) -> Response:
    """Name a saved view anew, or delete it."""
    page_site = site(request)
    form = await sent_form(request, page_site)
    if isinstance(form, Response):
        return form
    list_runs(page_site.store)
    said = dict(form)
    name, new, how = said.get("name", ""), said.get("new", "").strip(), said.get("how", "")
    view = _loaded(page_site, name)[0]
    if how == "rename":
        try:
            saved.rename(page_site.store, name, new)
        except (AlreadyThere, BadInput):
            return RedirectResponse(urls.saved(name, new), 303)
        return RedirectResponse(urls.saved(new) if view is None else urls.table(view, saved=new), 303)
    if how != "delete":
        raise BadInput(f"how is {how!r}, neither rename nor delete")
    saved.remove(page_site.store, name)
    return RedirectResponse("/table" if view is None else urls.table(view, unsaved=name), 303)


def _unusable(page_site: Site, name: str) -> str:
    """Why a view cannot be kept under this name; empty where it can."""
    try:
        checked_name("view", name)
    except BadInput as fault:
        return str(fault)
    return f"There is a view named {name!r} already." if name in saved.names(page_site.store) else ""


def note(page_site: Site, view: TableView, name: str | None, unsaved: str | None) -> dict[str, Any] | None:
    """What is said on a view's page of its having been saved under a name, or deleted; None where that is not so."""
    there: Sequence[str] = saved.names(page_site.store) if name or unsaved else ()
    kept = _loaded(page_site, name)[0] if name and name in there else None
    if kept is not None and replace(kept, limit=view.limit) == view:  # a page has a limit of its own
        return {"name": name, "url": urls.saved(str(name))}
    return {"name": unsaved, "url": None} if unsaved and unsaved not in there else None


def _loaded(page_site: Site, name: str) -> tuple[TableView | None, str]:
    """A saved view, or what is wrong with its file; raises NotFound where there is none."""
    saved.find(page_site.store, name)
    try:
        return saved.load(page_site.store, name), ""
    except SecondguessError as fault:
        return None, str(fault)
