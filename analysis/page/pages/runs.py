"""The page of all runs: searched, filtered, sorted and grouped by what they came to and by their config."""

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from secondguess.analysis.ask import joins, sweep
from secondguess.analysis.ask.refs import Runs
from secondguess.analysis.ask.sweep import RunGroup
from secondguess.analysis.engine import expressions
from secondguess.analysis.errors import BadInput, SecondguessError
from secondguess.analysis.page import urls
from secondguess.analysis.page.kept import key_of
from secondguess.analysis.page.pages import facts, parallel
from secondguess.analysis.page.pages.sending import sent_form
from secondguess.analysis.page.site import Site, drawn, site, status_of
from secondguess.analysis.schema import LETTERS, WRONG, at_epoch, reference
from secondguess.analysis.store import remarks
from secondguess.analysis.store.records import Epoch
from secondguess.analysis.tables import changes
from secondguess.analysis.tables.view import TableView

_MOST_KEYS = 8  # columns of config that are shown where none are chosen; more are said
_ROWS = 100  # runs of a page
_MOST_GROUPS = 200
_COUNTED = 2_000_000  # rows: of larger tables it would take too long to say on how many two epochs disagree
_OTHERS = ("rows", "bytes", "origin", "started", "tags", "note")  # columns beside the config that can be chosen
_HEADS = {"bytes": "size", "errors": "last", "error_rate": "rate", "best_error_rate": "best"}


async def runs(request: Request) -> Response:
    """All runs, or those that are searched and filtered for, in order, as a table, in groups or as lines."""
    page_site, asked = site(request), _Asked(request.query_params)
    listed = page_site.listed(request)
    tag = f'W/"{key_of(request.url.path, request.url.query, listed.state)[:32]}"' if listed.state is not None else None
    if tag is not None and request.headers.get("if-none-match") == tag:
        return Response(status_code=304, headers={"etag": tag})
    known = listed.runs
    rows = facts.every(page_site.facts, listed)
    fault: SecondguessError | None = None
    kept = sweep.searched([row["swept"] for row in rows], asked.search)
    try:
        for name in (asked.columns or ()) if rows else ():
            sweep.known(name, [row["swept"] for row in rows])
        kept = await _filtered(request, page_site, known, kept, asked)
    except SecondguessError as error:
        fault = error
    by_name = {row["name"]: row for row in rows}
    chosen = [by_name[row["run"]] for row in kept]
    context = _context(rows, chosen, asked, listed.sizes)
    starts = await _starts(request, page_site, known) if asked.is_plain else []
    notes = page_site.noted(request)
    context |= {"starts": starts, "notes": notes, "check": urls.check(), "fault": fault, "shown": facts.shown}
    data = {
        "runs": [{key: row[key] for key in facts.DATA} for row in chosen],
        "groups": [_told(group) for group in context["groups"]],
        "starts": starts,
        "notes": notes,
        **({"error": str(fault)} if fault is not None else {}),
    }
    answer = drawn(request, "runs.html", context, data, 200 if fault is None else status_of(fault))
    if tag is not None and fault is None:
        answer.headers["etag"] = tag
    return answer


class _Asked:
    """What an address of the page asks for; every link of the page is one with a part of it changed."""

    def __init__(self, query: QueryParams) -> None:
        self.search = query.get("q", "").strip()
        self.where = tuple(text for text in query.getlist("where") if text.strip())
        self.sort = query.get("sort", "").strip()
        self.group = query.get("group", "").strip()
        self.how = query.get("view", "").strip()
        self.columns = _columns(query)
        offset = query.get("offset", "0")
        if not offset.isdecimal() or len(offset) > 12:
            raise BadInput(f"offset is {offset!r}, not a number of runs")
        self.offset = int(offset)
        if self.how not in {"", "parallel"}:
            raise BadInput(f"view is {self.how!r}; there is the table, which has no name, and parallel")

    @property
    def is_plain(self) -> bool:
        """Whether all runs are shown, as they come."""
        return not (self.search or self.where or self.sort or self.group or self.how or self.offset)

    def url(self, **changed: Any) -> str:
        """The address with some parts changed; an empty one is left out."""
        parts = {"q": self.search, "where": self.where, "sort": self.sort, "group": self.group, "view": self.how}
        if self.columns is not None:
            parts["columns"] = urls.listed(self.columns) or "none"
        pairs = []
        for name, value in {**parts, **changed}.items():
            pairs += [(name, each) for each in (value if isinstance(value, tuple) else (value,)) if each]
        return urls.runs() + (f"?{urlencode(pairs)}" if pairs else "")

    def hidden(self, *without: str) -> list[tuple[str, str]]:
        """The parts that a form repeats, without those it asks for."""
        query = QueryParams(self.url().partition("?")[2])
        return [pair for pair in query.multi_items() if pair[0] not in without]


def _columns(query: QueryParams) -> tuple[str, ...] | None:
    """The columns that are chosen, as a list or as ticked boxes; None where none are named."""
    if picked := [name for name in query.getlist("c") if name.strip()]:
        return tuple(picked)
    text = query.get("columns", "").strip()
    return () if text == "none" else expressions.names(text) if text else None


async def _filtered(
    request: Request, page_site: Site, known: Runs, rows: Sequence[sweep.RunRow], asked: _Asked
) -> list[sweep.RunRow]:
    """The runs for which the conditions are true, in the order that is asked for."""
    kept = list(rows)
    if asked.where and kept:
        what = (kept, asked.where)
        reply = await page_site.ask(request, "runs", what, most=len(kept) + 1, runs=known)
        names = {row[0] for row in reply.rows}
        kept = [row for row in kept if row["run"] in names]
    if asked.sort:
        column = sweep.known(asked.sort.removeprefix("-"), rows) if rows else ""
        kept = sweep.ordered(kept, column, down=asked.sort.startswith("-"))
    if asked.group and rows:
        sweep.known(asked.group, rows)
    return kept


def _context(
    every: Sequence[dict[str, Any]], chosen: Sequence[dict[str, Any]], asked: _Asked, sizes: Mapping[str, int]
) -> dict[str, Any]:
    """The parts of the page, of all runs and those that are chosen."""
    rows = list(chosen[asked.offset : asked.offset + _ROWS])
    most = max((row["most"] for row in chosen), default=0)
    for row in rows:
        row["line"] = facts.sparkline(row["rates"], most)
    same, keys = facts.compared([row["settings"] for row in chosen])
    keys = [sweep.column_of(key) for key in keys]
    own = [key for key in dict.fromkeys(name for row in every for name in row["swept"]) if key not in sweep.MEASURED]
    usual = [*keys[:_MOST_KEYS], *(name for name in _OTHERS if any(row["swept"][name] for row in every))]
    columns = [name for name in (usual if asked.columns is None else asked.columns) if name in {*own, *_OTHERS}]
    made = sweep.groups([row["swept"] for row in chosen], asked.group) if asked.group and chosen else []
    return {
        "title": "Runs",
        "here": "Runs",
        "rows": rows,
        "total": len(chosen),
        "all": len(every),
        "most": most,
        **facts.least(chosen),
        "same": same,
        "columns": [_head(name, asked, chosen) for name in columns],
        "fixed": {name: _head(name, asked, chosen) for name in ("run", "state", *_HEADS)},
        "more_keys": keys[_MOST_KEYS:] if asked.columns is None else [],
        "choices": [(name, name in columns) for name in (*own, *_OTHERS)],
        "grouping": [*own, "state", "origin", "tags"],
        "groups": made[:_MOST_GROUPS],
        "more_groups": max(0, len(made) - _MOST_GROUPS),
        "group_urls": [asked.url(where=(*asked.where, group.condition), group="") for group in made[:_MOST_GROUPS]],
        "best_urls": [urls.run(group.best["run"]) if group.best else "" for group in made[:_MOST_GROUPS]],
        "lines": parallel.lines([row["swept"] for row in chosen], [name for name in columns if name in own])
        if asked.how == "parallel"
        else None,
        "asked": asked,
        "chips": [(text, asked.url(where=tuple(one for one in asked.where if one != text))) for text in asked.where],
        "earlier": asked.url(offset=str(max(0, asked.offset - _ROWS))) if asked.offset else "",
        "later": asked.url(offset=str(asked.offset + _ROWS)) if asked.offset + _ROWS < len(chosen) else "",
        "size": facts.readable(sum(sizes.values())),
    }


def _head(name: str, asked: _Asked, rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """A column with what its head leads to: sorting by it, the other way round where it is sorted by."""
    now = {name: "ascending", f"-{name}": "descending"}.get(asked.sort)
    values = [row["swept"].get(name) for row in rows]
    numeric = all(isinstance(value, int | float) or value is None for value in values)
    turned = f"-{name}" if now == "ascending" else name
    return {"name": name, "head": _HEADS.get(name, name), "url": asked.url(sort=turned), "now": now, "numeric": numeric}


def _told(group: RunGroup) -> dict[str, Any]:
    """A group as JSON."""
    best = group.best["run"] if group.best is not None else None
    names = [row["run"] for row in group.runs]
    return {"value": group.value, "runs": names, "mean": group.mean, "spread": group.spread, "best": best}


async def remark(request: Request) -> Response:
    """Keep the tags and the note that a form of a run's page sends."""
    page_site = site(request)
    form = await sent_form(request, page_site)
    if isinstance(form, Response):
        return form
    said = dict(form)
    name, wanted = said.get("run", ""), [tag.strip() for tag in said.get("tags", "").split(",") if tag.strip()]
    now = page_site.runs(request).get(name)
    before = remarks.read(now).tags if now is not None else ()
    gone = [tag for tag in before if tag not in wanted]
    remarks.change(page_site.store, name, wanted, gone, said.get("note", ""))
    return RedirectResponse(urls.run(name), 303)


async def _starts(request: Request, page_site: Site, known: Runs) -> list[dict[str, Any]]:
    """The tutorial's three comparisons, as far as the store has what they compare."""
    starts: list[dict[str, Any]] = []
    ready = {run.name: table for run in known.values() if (table := facts.judged(run))}
    several = next((table for table in ready.values() if len(table) > 1), None)
    if several is not None:
        first, *_, last = several
        pair = (_reference(first), _reference(last))
        differ = TableView(pair, "inner", where=(changes.differing(),))
        number = await _differing(request, page_site, known, differ, (first, last))
        unit = "guesses differ" if number else "two bars per score"
        starts.append(_start("Where two epochs disagree", urls.table(differ), pair, number, unit))
        wrong = urls.table(TableView(pair, where=(WRONG,)), side="1")
        counts = f"{first.errors:,} → {last.errors:,}"
        starts.append(_start("Wrong, epoch beside epoch", wrong, pair, counts, f"errors of {last.rows:,}"))
    if len(ready) > 1:
        names = list(ready)[1::-1]  # the newer model left, as in the tutorial
        ends = [ready[name][-1] for name in names]
        pair = (_reference(ends[0]), _reference(ends[1]))
        counts = " : ".join(f"{end.errors:,}" for end in ends)
        url = urls.question("errors-by-guess", pair)
        starts.append(_start("Errors by guess, two models", url, pair, counts, f"errors of {ends[0].rows:,}"))
    return starts


def _reference(entry: Epoch) -> str:
    return reference(entry.run, entry.table, entry.moment)


def _start(text: str, url: str, refs: tuple[str, str], number: str, unit: str) -> dict[str, Any]:
    return {"text": text, "url": url, "refs": refs, "number": number, "unit": unit}


async def _differing(request: Request, page_site: Site, known: Runs, view: TableView, pair: tuple[Epoch, Epoch]) -> str:
    """On how many rows two epochs disagree, counted once, since epochs do not change; empty where it takes long."""
    key = tuple((str(entry.file), entry.moment) for entry in pair)
    if key not in page_site.counted:
        if sum(entry.rows for entry in pair) > _COUNTED:
            return ""
        many = TableView(view.tables, "inner", where=view.where, columns=("id",), limit=1)
        try:
            page_site.counted[key] = (await page_site.ask(request, "table", many, runs=known)).total or 0
        except SecondguessError:  # ids that repeat: the page behind the link says it
            return ""
    return f"{page_site.counted[key]:,}"


async def chosen(request: Request) -> Response:
    """Lead on to what the form of all runs asks for of those that are chosen."""
    query = request.query_params
    named = [query.get("first"), query.get("second"), *query.getlist("also")]
    names = list(dict.fromkeys(name for name in named if name))
    if len(names) < 2:
        raise BadInput("choose a first and a second run to compare, not the same one twice")
    if len(names) > len(LETTERS):
        raise BadInput(f"at most {len(LETTERS)} tables are compared; {len(names)} are chosen")
    return RedirectResponse(_comparison(query.get("how", "compare"), names))


def _comparison(how: str, names: list[str]) -> str:
    """The address of a comparison of two tables or more, each at its last epoch."""
    last = tuple(at_epoch(name, "last") for name in names)
    if how == "compare" and len(names) == 2:
        return urls.compare(last)
    if how == "errors":
        return urls.question("errors-by-guess", last)
    if how == "over":
        return urls.question("errors-over-time", names)
    if how == "confusion":
        return urls.question("confusion", last)
    if how == "runs":
        return urls.run(*dict.fromkeys(name.partition("/")[0] for name in names))
    if how == "side":
        return urls.table(TableView(last, where=(WRONG,)), side="1")
    if how == "stack":
        return urls.table(TableView(last))
    if how == "join":
        return urls.table(TableView(last, "inner"))
    return urls.table(TableView(last, "inner", where=(changes.differing(joins.letters(len(last))),)))
