"""The page's server: its routes, and what it says where something is wrong."""

import contextlib
import hashlib
import logging
from collections.abc import AsyncIterator
from functools import cache
from importlib.resources import files
from pathlib import Path

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from secondguess.analysis.answers.html import SHEET, sheet
from secondguess.analysis.errors import SecondguessError
from secondguess.analysis.page import urls
from secondguess.analysis.page.gate import Gate, Keys
from secondguess.analysis.page.pages import (
    check,
    compare,
    example,
    export,
    gallery,
    head,
    question,
    run,
    runs,
    saving,
    sql,
    table,
)
from secondguess.analysis.page.site import Site, drawn, is_ahead, site, status_of
from secondguess.analysis.serving.pool import Busy, Workers

_log = logging.getLogger("secondguess")
_STATIC = {SHEET: "text/css", "mark.svg": "image/svg+xml"} | {
    f"{name}.js": "text/javascript"
    for name in ("secondguess", "scrollers", "scrubber", "heads", "titles", "sizes", "gallery")
}


def application(
    store: Path, keys: Keys, port: int, *, hosts: tuple[str, ...] = (), seconds: float = 20, memory: str = "2GB"
) -> ASGIApp:
    """The page of a store as an ASGI application behind its gate.

    A question may take so many seconds and so much memory.
    """
    return Gate(pages_of(store, keys, seconds=seconds, memory=memory), keys, port, hosts)


def pages_of(store: Path, keys: Keys | None = None, *, seconds: float, memory: str) -> Starlette:
    """The pages of a store, for whoever asks."""

    @contextlib.asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with Workers(seconds, memory) as workers:
            app.state.site = Site(store, workers, keys or Keys())
            yield

    pages = {
        "/runs": runs.runs,
        "/run": run.run,
        "/check": check.page,
        "/table": table.page,
        "/head": head.page,
        "/gallery": gallery.page,
        "/example": example.page,
        "/questions": question.page,
        "/compare": compare.page,
        "/sql": sql.page,
        "/save": saving.naming,
        "/saved": saving.page,
    }
    routes = [Route("/image/{key}", _image)]  # first, since a page asks for fifty
    routes += [Route(path + twin, page) for path, page in pages.items() for twin in ("", ".json")]
    routes += [
        Route("/", lambda request: RedirectResponse(urls.runs())),
        *(Route(f"/sql{twin}", sql.run, methods=["POST"]) for twin in ("", ".json")),
        Route("/sql/export", sql.export, methods=["POST"]),
        Route("/save", saving.save, methods=["POST"]),
        Route("/saved", saving.change, methods=["POST"]),
        Route("/export", export.export),
        Route("/marked", gallery.marked),
        Route("/chosen", runs.chosen),
        Route("/remark", runs.remark, methods=["POST"]),
        Route("/help", _help),
        Route("/static/{name}", _static),
    ]
    said = {SecondguessError: _fault, ClientDisconnect: _left, 404: _unknown, 500: _broken}
    return Starlette(routes=routes, lifespan=lifespan, exception_handlers=said)


async def _image(request: Request) -> Response:
    image = site(request).images.get(request.path_params["key"])
    if image is None:
        return PlainTextResponse("this image is not held any more; load its page again\n", 404)
    kind, data = image
    # Its address is the digest of its bytes, so it never changes; with another cookie it is asked for anew.
    kept = {"cache-control": "private, max-age=31536000, immutable", "vary": "cookie"}
    return Response(data, media_type=kind, headers={"content-security-policy": "sandbox; default-src 'none'", **kept})


async def _static(request: Request) -> Response:
    name = request.path_params["name"]
    if name not in _STATIC:
        return PlainTextResponse("no such file\n", 404)
    data = _file(name)
    tag = f'"{hashlib.sha256(data).hexdigest()[:32]}"'
    kept = {"cache-control": "private, no-cache", "etag": tag}  # asked for each time, and sent where it is another
    if request.headers.get("if-none-match") == tag:
        return Response(status_code=304, headers=kept)
    return Response(data, media_type=_STATIC[name], headers=kept)


@cache
def _file(name: str) -> bytes:
    return sheet().encode() if name == SHEET else (files("secondguess.analysis.page") / "static" / name).read_bytes()


async def _help(request: Request) -> Response:
    return drawn(request, "help.html", {"title": "Keys and signs", "here": ""}, {})


async def _fault(request: Request, error: Exception) -> Response:
    if isinstance(error, Busy) and is_ahead(request):  # nobody waits for it, and it is no fault in the browser's eyes
        return Response(status_code=204, headers={"cache-control": "no-store"})
    known = error if isinstance(error, SecondguessError) else SecondguessError(str(error))
    context = {
        "title": "Not found" if status_of(known) == 404 else "This cannot be shown",
        "here": "",
        "message": str(known),
    }
    return drawn(request, "error.html", context, {"error": str(known)}, status_of(known))


async def _left(request: Request, error: Exception) -> Response:
    """Whoever asked is gone, before all of the question had come."""
    return PlainTextResponse("", 499)


async def _unknown(request: Request, error: Exception) -> Response:
    context = {"title": "No such page", "here": "", "message": "There is no page at this address."}
    return drawn(request, "error.html", context, {"error": "no such page"}, 404)


async def _broken(request: Request, error: Exception) -> Response:
    """Something nobody thought of: the page says what to do; the log says what happened, without the address."""
    _log.error("the page failed: %s: %s", type(error).__name__, error)
    message = (
        "Something went wrong here. The terminal says what; the store is untouched. Go back, or ask in the terminal."
    )
    return drawn(
        request, "error.html", {"title": "This failed", "here": "", "message": message}, {"error": message}, 500
    )
