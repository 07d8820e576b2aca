"""Pages written as files: those that were chosen, or those that the page of all runs leads to."""

import asyncio
import base64
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from html import escape, unescape
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit

from starlette.applications import Starlette
from starlette.types import Message

from secondguess.analysis.answers.html import sheet
from secondguess.analysis.errors import BadInput
from secondguess.analysis.page import urls
from secondguess.analysis.page.app import pages_of
from secondguess.analysis.page.leaf import leaf
from secondguess.analysis.tables.view import TableView

MOST_PAGES = 200
_FOLLOWED = ("/runs", "/run")  # whose links are pages too, where none were chosen
_ORDER = ("/runs", "/run", "/compare", "/questions", "/table")  # which of many, where there are more than that
_REDIRECTS = 3
_HREF = re.compile(r'href="(/[^"]*)"')


@dataclass
class Snapshot:
    """The files that were written: their pages, bytes, how many links lead to pages that were left out."""

    pages: list[str] = field(default_factory=list)
    bytes: int = 0
    left: int = 0
    faults: list[str] = field(default_factory=list)


def write(
    store: Path, folder: Path, chosen: Sequence[str], limits: tuple[float, str], tell: Callable[[int, int], None]
) -> Snapshot:
    """Write pages of a store into an empty folder, with an index.html; limits are seconds and memory of a question.

    chosen are addresses of the page, or references of tables; none are the page of all runs, each run's, and what these
    lead to, MOST_PAGES at most. tell hears how many are drawn of how many. Raises BadInput for one that is no page.
    """
    addresses = [address(text) for text in chosen]
    return asyncio.run(_written(store, folder, addresses, limits, tell))


def address(text: str) -> str:
    """The address of a page within its server, from one that a browser shows, or from a table's reference."""
    parts = urlsplit(text)
    if text.startswith("/") or parts.scheme in ("http", "https"):
        return _key(f"{parts.path or '/runs'}?{parts.query}")
    return _key(urls.table(TableView((text,))))


def _key(text: str) -> str:
    """An address as it is told from others, whatever its signs are written as."""
    parts = urlsplit(text)
    query = urlencode(parse_qsl(parts.query, keep_blank_values=True))
    return unquote(parts.path) + (f"?{query}" if query else "")


async def _written(
    store: Path, folder: Path, chosen: list[str], limits: tuple[float, str], tell: Callable[[int, int], None]
) -> Snapshot:
    app = pages_of(store, seconds=limits[0], memory=limits[1])
    made = Snapshot()
    async with app.router.lifespan_context(app):
        drawn, made.left = await _drawn(app, chosen, made.faults, tell)
        names = _names(list(drawn), first_is_index=len(chosen) < 2)
        images: dict[str, str | None] = {}
        for text in drawn.values():
            for source in set(re.findall(r'(?:src|href)="(/(?:image|static)/[^"]+)"', text)) - images.keys():
                images[source] = await _image(app, unescape(source))
    style = sheet()
    for key, text in drawn.items():
        link: Callable[[str], str | None] = lambda url: names.get(_key(url)) if url.startswith("/") else None  # noqa: E731
        _put(folder / names[key], leaf(text, style, link, images.get), made)
    if "index.html" not in names.values():
        titles = {names[key]: _title(text) for key, text in drawn.items()}
        _put(folder / "index.html", _index(titles, style), made)
    made.pages = list(drawn)
    return made


def _put(path: Path, text: str, made: Snapshot) -> None:
    data = text.encode()
    path.write_bytes(data)
    made.bytes += len(data)


async def _drawn(
    app: Starlette, chosen: list[str], faults: list[str], tell: Callable[[int, int], None]
) -> tuple[dict[str, str], int]:
    """Each page by its address, and how many that they lead to are not among them."""
    waiting = dict.fromkeys(chosen or [urls.runs()])
    drawn: dict[str, str] = {}
    while waiting and len(drawn) < MOST_PAGES:
        key = next(iter(waiting)) if chosen else min(waiting, key=_rank)
        del waiting[key]
        status, text = await _page(app, key)
        if status != 200:
            said = f"{key} cannot be drawn: {_said(text)}"
            if chosen or not drawn:
                raise BadInput(said)
            faults.append(said)
            continue
        drawn[key] = text
        tell(len(drawn), min(MOST_PAGES, len(drawn) + len(waiting)))
        if not chosen and urlsplit(key).path in _FOLLOWED:
            found = (_key(unescape(url)) for url in _HREF.findall(text))
            waiting |= dict.fromkeys(url for url in found if urlsplit(url).path in _ORDER and url not in drawn)
    return drawn, len(waiting)


def _rank(key: str) -> int:
    return _ORDER.index(urlsplit(key).path)


def _names(keys: Sequence[str], *, first_is_index: bool) -> dict[str, str]:
    """The file of each address; the first one's is what a person opens."""
    names = {}
    for number, key in enumerate(keys):
        words = re.sub(r"[^a-z0-9]+", "-", unquote(key).lower()).strip("-")[:60].strip("-")
        names[key] = f"{words}-{sha256(key.encode()).hexdigest()[:8]}.html"
        if number == 0 and first_is_index:
            names[key] = "index.html"
    return names


def _index(titles: dict[str, str], style: str) -> str:
    lines = "\n".join(f'<li><a href="{escape(name)}">{escape(title)}</a></li>' for name, title in titles.items())
    head = '<!doctype html>\n<html lang="en">\n<meta charset="utf-8">\n<title>secondguess</title>\n'
    view = '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
    return f"{head}{view}<style>{style}</style>\n<main>\n<h1>Pages</h1>\n<ul>\n{lines}\n</ul>\n</main>\n"


def _title(page: str) -> str:
    found = re.search(r"<title>(.*?)( · secondguess)?</title>", page, re.S)
    return unescape(found[1]) if found else ""


def _said(page: str) -> str:
    """What an error's page says."""
    found = re.search(r'role="alert".*?<p>(.*?)</p>', page, re.S)
    text = re.sub(r"<[^>]+>", "", found[1]) if found else page[:200]
    return " ".join(unescape(text).split())


async def _image(app: Starlette, source: str) -> str | None:
    """An image as a data address; None where it is not held."""
    status, kind, data = await _asked(app, source)
    return f"data:{kind};base64,{base64.b64encode(data).decode()}" if status == 200 else None


async def _page(app: Starlette, key: str) -> tuple[int, str]:
    """What the page says at an address, or where that leads."""
    for _ in range(_REDIRECTS):
        status, kind, data = await _asked(app, key)
        if status not in (303, 307):
            return (status, data.decode()) if kind.startswith("text/html") else (404, "it is no page")
        key = _key(kind)
    return 404, "it leads from one address to another"


async def _asked(app: Starlette, key: str) -> tuple[int, str, bytes]:
    """The status, the type (or where it leads), and the bytes at an address."""
    parts = urlsplit(key)
    scope = {
        "type": "http",
        "http_version": "1.1",
        "method": "GET",
        "path": unquote(parts.path),
        "query_string": parts.query.encode(),
        "headers": [(b"host", b"localhost")],
        "state": {},
    }
    sent: list[Message] = []

    async def receive() -> Message:
        return await asyncio.Future()  # whoever asked stays and waits

    async def send(message: Message) -> None:
        sent.append(message)

    await app(scope, receive, send)
    headers = {name.decode(): value.decode("latin-1") for name, value in sent[0]["headers"]}
    kind = headers.get("location") or headers.get("content-type", "")
    return sent[0]["status"], kind, b"".join(message.get("body", b"") for message in sent)
