"""What every page needs: the store, the workers, the templates; and its answer as HTML or as JSON."""

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlencode

from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response, StreamingResponse

from secondguess.analysis.answers.cells import Bar, DrawnRow, Images
from secondguess.analysis.answers.files import jsonable
from secondguess.analysis.answers.html import environment
from secondguess.analysis.ask import questions
from secondguess.analysis.ask.questions import Question
from secondguess.analysis.ask.refs import Runs, parse, run_notes
from secondguess.analysis.errors import AlreadyThere, BadInput, NotFound, SecondguessError
from secondguess.analysis.page import urls
from secondguess.analysis.page.answers import Answers
from secondguess.analysis.page.gate import Keys
from secondguess.analysis.page.kept import KeptAnswers, key_of
from secondguess.analysis.serving.pool import Busy, Gone, TooSlow, Visit, Workers
from secondguess.analysis.serving.worker import Asked, Reply
from secondguess.analysis.store.remembered import Listed, RememberedRuns
from secondguess.analysis.tables.view import TableView, kept

CHART = b"<!--chart-->"
_SHORT = 160
_EVERY_RUN = re.compile(r"\b(runs|metrics)\b", re.IGNORECASE)
_OF_FILES = {"question", "chart"}  # which a file of the store may say
# Of these the same is answered while the store stays the same.
_KEPT = {"table", "head", "best", "runs", "question", "chart", "sql", "compare"}
_MANY_CELLS = 2_000
Drawn = TypeVar("Drawn")


@dataclass
class Site:
    """One open page: its store, its workers, its secrets, and the images it has shown."""

    store: Path
    workers: Workers
    keys: Keys
    images: Images = field(default_factory=Images)
    answers: Answers = field(default_factory=Answers)
    kept: KeptAnswers[Reply] = field(default_factory=KeptAnswers)
    charts: KeptAnswers[str] = field(default_factory=KeptAnswers)
    facts: dict[str, Any] = field(default_factory=dict)  # what the page of runs says of each, while it is as it was
    counted: dict[Any, int] = field(default_factory=dict)  # what was counted of epochs, which do not change
    reaches: dict[Any, tuple[Any, ...]] = field(default_factory=dict)  # of columns of epochs, which do not change
    _noted: tuple[str | None, list[str]] = field(default=(None, []), init=False)
    checking: asyncio.Lock = field(default_factory=asyncio.Lock)  # a check reads the whole store: one at a time

    @cached_property
    def _remembered(self) -> RememberedRuns:
        return RememberedRuns(self.store)

    def listed(self, request: Request) -> Listed:
        """The runs of the store, as they are when a request first asks for them; raises NotFound without a store."""
        known: Listed | None = request.scope.get("listed")
        if known is None:
            known = request.scope["listed"] = self._remembered.list()
        return known

    def runs(self, request: Request) -> Runs:
        """The runs of the store by name, oldest first; as `listed`."""
        return self.listed(request).runs

    def noted(self, request: Request) -> list[str]:
        """What is wrong in the runs' folders; looked at again when something there is another."""
        listed = self.listed(request)
        if listed.state is None or self._noted[0] != listed.state:
            self._noted = (listed.state, run_notes(listed.runs.values()))
        return self._noted[1]

    async def ask(self, request: Request, how: str, what: Any = None, *, fresh: bool = False, **more: Any) -> Reply:
        """The answer to a question of a page, the one that is kept where the store is as it was, unless it is fresh.

        Raises SecondguessError; Busy where it is asked ahead and others wait for theirs.
        """
        visit = request.scope.setdefault("visit", Visit(asyncio.get_running_loop().time()))
        own = questions.find(self.store, what if how == "question" else what[0]) if how in _OF_FILES else None
        asked = Asked(how, self.store, what, **more)
        asked = replace(asked, only=asked.only or _needed(asked, own))
        ahead = is_ahead(request)

        async def ask() -> Reply:
            if ahead and self.workers.busy:
                raise Busy("others wait for answers; what is asked ahead can be asked again")
            # What was asked ahead is answered whoever left: it is most likely asked again.
            return await self.workers.ask(asked, None if ahead else request.is_disconnected, visit)

        state = self.listed(request).state if how in _KEPT and not fresh else None
        if state is None:
            return await ask()
        key = key_of(state, how, what, own, asked.refs, dict(asked.options), asked.most, asked.only)
        return await self.kept.answer(key, ask)


@lru_cache(4_096)
def _score(parts: tuple[Bar, ...], truth: bool, head: str, pinned: bool) -> Markup:
    """The cell of a score; most cells of a page are the same, next to nothing, and drawn once."""
    cells: Any = _TEMPLATES.get_template("table_cells.html").module
    drawn: Markup = cells.score(parts, truth, head, pinned)
    return drawn


class CellUrls:
    """The addresses that the cells of a view lead to; the same value is the same address, which is made once."""

    def __init__(self, view: TableView) -> None:
        self._view = view
        self._made: dict[tuple[str, str, str], str] = {}
        self._example = urls.table(view, "/example")
        self._whole = urls.table(view)
        self._first = urls.table(replace(view, offset=0))

    def only(self, name: str, value: Any) -> str:
        """The view with only this value in a column."""
        return self._filtered("only", name, value)

    def exclude(self, name: str, value: Any) -> str:
        """The view without this value in a column."""
        return self._filtered("exclude", name, value)

    def example(self, row: int) -> str:
        """The page of the example in a row, counted from 0."""
        return f"{self._example}&row={row}"

    def group(self, row: DrawnRow, columns: Sequence[Mapping[str, Any]]) -> str:
        """The rows of a group."""
        view = self._view
        rows = replace(view, group=(), aggregate=(), wandb_aggregate=(), sort=(), columns=None, offset=0)
        for cell, column in zip(row.cells, columns, strict=True):
            if column["shown"].names[0] in view.group and cell.name:
                rows = _filtered(rows, "only", cell.name, cell.value)
        return urls.table(rows)

    def _filtered(self, how: str, name: str, value: Any) -> str:
        key = (how, name, repr(value))
        if key not in self._made:
            self._made[key] = self._filtering(how, name, value)
        return self._made[key]

    def _filtering(self, how: str, name: str, value: Any) -> str:
        """The view with one filter more, whose address is the same but for that: it is made once."""
        try:
            condition = kept(how, name, value)
        except BadInput:  # what no filter can name
            return self._whole
        return f"{self._first}&{urlencode({'where': condition})}"


def _filtered(view: TableView, how: str, name: str, value: Any) -> TableView:
    """The view as a click on a cell filters it; what no filter can name leaves it as it is."""
    try:
        return view.only(name, value) if how == "only" else view.exclude(name, value)
    except BadInput:
        return view


_TEMPLATES = environment("secondguess.analysis.page")
_TEMPLATES.globals |= {"cell_urls": CellUrls, "image_source": urls.image, "score_cell": _score}


def site(request: Request) -> Site:
    """The open page that a request belongs to."""
    page_site: Site = request.app.state.site
    return page_site


def _needed(asked: Asked, own: Question | None) -> tuple[str, ...]:
    """The runs that are asked about, where it is about no others; nothing where it may be about any."""
    names = asked.what.tables if isinstance(asked.what, TableView) else asked.refs
    if asked.runs is None or not names or (own is not None and _EVERY_RUN.search(own.sql)):
        return ()
    try:
        runs = tuple(dict.fromkeys(parse(name).run for name in names))
    except BadInput:  # which its answer says
        return ()
    return runs if all(name in asked.runs for name in runs) else ()


def is_ahead(request: Request) -> bool:
    """Whether a browser asks for a page that its user may go to next."""
    return "prefetch" in request.headers.get("sec-purpose", request.headers.get("purpose", ""))


async def large(cells: int, draw: Callable[[], Drawn]) -> Drawn:
    """What is drawn of so many cells: of many in a thread, so that others are answered meanwhile."""
    return await asyncio.to_thread(draw) if cells > _MANY_CELLS else draw()


def drawn(
    request: Request, template: str, context: Mapping[str, Any], data: Mapping[str, Any], status: int = 200
) -> Response:
    """A page, or where its address ends in .json, the data behind it."""
    if request.url.path.endswith(".json"):
        return JSONResponse(jsonable(dict(data)), status)
    page_site = site(request)
    text = _TEMPLATES.get_template(template).render(
        **context, store=f"{page_site.store.name}/", csrf=page_site.keys.csrf, path=request.url.path
    )
    return HTMLResponse(text, status)


def fragment(template: str, **context: Any) -> str:
    """A part of a page."""
    return _TEMPLATES.get_template(template).render(**context)


def with_chart(request: Request, answer: Response, make: Callable[[], str]) -> Response:
    """The page with its chart, which is sent last, so that nothing else waits for it.

    It is kept: at the same address and of the same state of the store a chart is the same.
    """
    page_site = site(request)
    state = page_site.listed(request).state
    key = key_of(state, "drawing", request.url.path, request.url.query)

    async def drawing() -> str:
        return await asyncio.to_thread(make)

    before, mark, after = bytes(answer.body).partition(CHART)
    if not mark:
        return answer

    async def parts() -> AsyncIterator[bytes]:
        yield before
        yield (await (drawing() if state is None else page_site.charts.answer(key, drawing))).encode()
        yield after

    return StreamingResponse(parts(), answer.status_code, media_type="text/html")


def status_of(error: SecondguessError) -> int:
    """The HTTP status that says what kind of error it is."""
    if isinstance(error, NotFound):
        return 404
    if isinstance(error, AlreadyThere):
        return 409
    if isinstance(error, TooSlow | Busy):
        return 503
    return 499 if isinstance(error, Gone) else 400


def sql_of(reply: Reply) -> dict[str, str]:
    """An answer's statement in full, and its own part in one line."""
    line = " ".join(reply.own.split())
    return {"text": reply.sql, "short": line if len(line) <= _SHORT else f"{line[: _SHORT - 1]}…"}
