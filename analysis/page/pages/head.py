"""What stands in a column's head: bars of its numbers or its values, each of which leads to the rows that have it."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from secondguess.analysis.answers.cells import number
from secondguess.analysis.answers.classes import label_text
from secondguess.analysis.answers.columns import PageColumn
from secondguess.analysis.ask import refs
from secondguess.analysis.ask.refs import Runs
from secondguess.analysis.engine.sqltext import literal
from secondguess.analysis.errors import BadInput, NotFound, SecondguessError
from secondguess.analysis.page import urls
from secondguess.analysis.page.site import Site, drawn, site
from secondguess.analysis.tables import heads
from secondguess.analysis.tables.view import TableView

_SHOWN = {"score": "bins", "number": "bins", "label": "values", "text": "values"}
_WIDE, _HIGH, _BAR = 68, 24, 22  # pixels
_LOOKED_UP = {"image", "content", "digest"}  # for the rows of a page alone
_MOST_SIDES = 3  # of a join, whose heads stand one above the other
_MORE = ("size", "side", "pin", "heads")


@dataclass(frozen=True)
class Head:
    """A column of a view whose head is asked for: rows are those of `rows`, and links lead to filters of `view`."""

    view: TableView
    rows: TableView
    column: str
    more: Mapping[str, Any]

    def url(self, *conditions: str) -> str:
        """The address of the view with these filters in the place of those that this head wrote."""
        others, _ = heads.chosen(self.view, self.column)
        return urls.table(replace(others, where=(*others.where, *conditions)), **self.more)

    def kept(self, condition: str) -> bool:
        """Whether the view has this filter."""
        return condition in self.view.where


def placed(view: TableView, column: PageColumn, more: Mapping[str, Any], of: str | None) -> list[dict[str, Any]]:
    """What the head of a column shows, one for each of its names, with its address; none of images, texts and ids.

    drawn is what `inlined` makes of it.
    """
    show = _SHOWN.get(column.kind)
    if (
        show is None
        or column.title in _LOOKED_UP
        or (column.kind == "label" and view.join is not None and len(view.tables) > _MOST_SIDES)
    ):
        return []
    rows = view if of is None else replace(view, tables=(of,))
    return [
        {
            "key": f"{of or ''} {name}",
            "show": show,
            "head": Head(view, rows, name, more),
            "url": urls.head(view, name, show, of=of, **more),
            "drawn": None,
        }
        for name in column.names[:_MOST_SIDES]
    ]


async def inlined(request: Request, page_site: Site, runs: Runs, panels: Sequence[Mapping[str, Any]]) -> None:
    """Draw all heads of a page with it, for who has no script that asks for them one by one."""
    for dist in (dist for panel in panels for column in panel["columns"] for dist in column["dists"]):
        try:
            dist["drawn"] = await distribution(request, page_site, runs, dist["head"], dist["show"])
        except SecondguessError as error:
            dist["drawn"] = {"said": str(error)}


async def page(request: Request) -> Response:
    """A head of a view's: its column is named, `show` says how, `of` which table of several side by side."""
    query = request.query_params
    view = urls.read_table(query)
    show, of = query.get("show", "values"), query.get("of")
    if show not in {"bins", "values"}:
        raise BadInput(f"show is {show!r}, neither bins nor values")
    if of is not None and of not in view.tables:
        raise NotFound(f"there is no table {of!r} in this view; it has {', '.join(view.tables)}")
    rows = view if of is None else replace(view, tables=(of,))
    more = {name: query.get(name) for name in _MORE}
    page_site = site(request)
    runs = page_site.runs(request)
    head = Head(view, rows, query.get("column", ""), more)
    made = await distribution(request, page_site, runs, head, show)
    return drawn(request, "head.html", {"head": made}, made["data"])


async def distribution(request: Request, page_site: Site, runs: Runs, head: Head, show: str) -> dict[str, Any]:
    """The distribution of a column as it is drawn; raises SecondguessError for a column that is not there."""
    reach = await _reach(request, page_site, runs, head, numbers=show == "bins")
    options: dict[str, Any] = {"column": head.column}
    if show == "bins":
        low, high, whole = reach
        edges = [] if low is None else heads.edges(low, high, whole=bool(whole))
        options["edges"] = edges or ["0", "1"]
    elif reach[0] > heads.MANY:
        said = f"about {_rounded(reach[0])} different"
        return {"column": head.column, "said": said, "bars": [], "data": {"column": head.column, "about": reach[0]}}
    others, keeps = _apart(head, show, options.get("edges", ()))
    reply = await page_site.ask(request, "head", others, options=options, runs=runs, most=2 * heads.MANY)
    counts = [(place, rows, kept if keeps(place) else 0) for place, rows, kept in reply.rows]
    data = {"column": head.column, "sql": reply.sql, "seconds": reply.seconds}
    if show == "bins":
        return _bins(head, edges, counts, data)
    return _values(head, counts, data)


def _apart(head: Head, show: str, edges: Sequence[str]) -> tuple[TableView, Callable[[Any], bool]]:
    """The rows without the filters that the head wrote itself, and whether these keep what has a place or a value.

    What a bar counts does not change with which bars are chosen, so it is asked once; the bars that are chosen are kept
    whole. Filters between the edges are left to be asked.
    """
    others, values = heads.chosen(head.rows, head.column)
    own = [text for text in head.rows.where if text not in others.where]
    if show == "values":
        return others, lambda value: not own or _literal(value) in values
    places = [heads.places(text, head.column, edges) for text in own]
    if any(each is None for each in places):
        return head.rows, lambda place: True
    return others, lambda place: all(each is not None and place in each for each in places)


def _literal(value: Any) -> str:
    """A value as SQL; nothing for one that no filter can name."""
    try:
        return literal(value)
    except TypeError:
        return ""


async def _reach(request: Request, page_site: Site, runs: Runs, head: Head, *, numbers: bool) -> tuple[Any, ...]:
    """How far a column's values reach, whatever the filter; asked once of the same rows."""
    sides = len(head.rows.tables) if head.rows.join is not None else 1
    if numbers and (known := heads.ends(head.column, sides)) is not None:
        return (*known, False)
    view = heads.span(head.rows, head.column, numbers=numbers)
    named = [refs.named(runs, text, "last") for text in view.tables]
    files = tuple(str(epoch.file) for table in named for epoch in table.epochs)
    key = (json.dumps(view.as_dict()), files)
    if key not in page_site.reaches:
        reply = await page_site.ask(request, "table", view, runs=runs)
        page_site.reaches[key] = reply.rows[0]
    return page_site.reaches[key]


def _rounded(count: int) -> str:
    """A number that is known to some percent, in two digits."""
    digits = len(str(count)) - 2
    return f"{round(count, -digits):,}"


def _bins(
    head: Head, edges: Sequence[str], counts: Sequence[tuple[Any, int, int]], data: Mapping[str, Any]
) -> dict[str, Any]:
    """A bar for each bin, and what lies in none."""
    by_place = {place: (rows, kept) for place, rows, kept in counts}
    bins = [by_place.get(place, (0, 0)) for place in range(len(edges) - 1)]
    most = max((rows for rows, _ in bins), default=0)
    step = _WIDE / max(1, len(bins))
    bars = []
    for place, (rows, kept) in enumerate(bins):
        low, high = edges[place], edges[place + 1]
        condition = heads.between(head.column, low, high, last=place == len(bins) - 1)
        now = head.kept(condition)
        bars.append(
            {
                "x": round(place * step, 2),
                "width": round(step - (1 if step > 2 else 0), 2),
                "step": round(step, 2),
                "height": _height(rows, most),
                "kept": _height(kept, most),
                "url": head.url() if now else head.url(condition),
                "now": now,
                "text": _said(f"{_minus(low)} to {_minus(high)}", rows, kept),
            }
        )
    name = heads.bare(head.column)
    apart = (("null", -1, f"{name} IS NULL"), ("NaN or infinite", None, f"NOT isfinite({name})"))
    others = [(word, by_place[place][0], head.url(text)) for word, place, text in apart if place in by_place]
    said = [
        {"low": float(edges[n]), "high": float(edges[n + 1]), "rows": r, "kept": k} for n, (r, k) in enumerate(bins)
    ]
    rest = {"null": by_place.get(-1, (0, 0))[0], "not_finite": by_place.get(None, (0, 0))[0]}
    return {
        "column": head.column,
        "name": name,
        "bars": bars if edges else [],
        "said": "" if edges else "no numbers",
        "ends": (_minus(edges[0]), _minus(edges[-1])) if edges else ("", ""),
        "edges": " ".join(edges),
        "base": head.url(),
        "others": others,
        "wide": _WIDE,
        "high": _HIGH,
        "data": {**data, "bins": said, **rest},
    }


def _values(head: Head, every: Sequence[tuple[Any, int, int]], data: Mapping[str, Any]) -> dict[str, Any]:
    """A bar for each value, and how many there are besides."""
    counts, total = every[: heads.VALUES], len(every)
    most = max((rows for _, rows, _ in counts), default=1)
    _, chosen = heads.chosen(head.view, head.column)
    lines = []
    in_order = counts
    if total <= len(counts):  # all are there: in their own order they are found sooner
        in_order = sorted(
            counts, key=lambda each: (each[0] is None, isinstance(each[0], str), 0 if each[0] is None else each[0])
        )
    for value, rows, kept in in_order:
        text = _literal(value)
        url = urls.table(heads.toggled(head.view, head.column, text), **head.more) if text else ""
        lines.append(
            {
                "label": label_text(value) if value is None or isinstance(value, list) else _plain(value),
                "missing": value is None,
                "rows": rows,
                "width": round(rows / most * _BAR, 1),
                "kept": round(kept / most * _BAR, 1),
                "url": url,
                "now": text in chosen,
                "text": _said(label_text(value), rows, kept),
            }
        )
    grouped = replace(heads.plain(head.view), group=(head.column,), sort=("-n",), limit=None)
    return {
        "column": head.column,
        "lines": lines,
        "bars": [],
        "said": "",
        "wide": _BAR,
        "more": (total - len(lines), urls.table(grouped)) if total > len(lines) else None,
        "clear": head.url() if chosen else None,
        "data": {
            **data,
            "values": [{"value": value, "rows": rows, "kept": kept} for value, rows, kept in counts],
            "different": total,
        },
    }


def _order(counted: tuple[Any, int, int]) -> tuple[bool, bool, Any]:
    value = counted[0]
    return value is None, isinstance(value, str), 0 if value is None else value


def _plain(value: Any) -> str | None:
    return value if isinstance(value, str) else number(value)


def _height(rows: int, most: int) -> float:
    """The height of a bar, of few rows too little to be overlooked."""
    return max(1.0, round(rows / most * _HIGH, 1)) if rows else 0


def _said(what: str, rows: int, kept: int) -> str:
    return f"{what}: {rows:,} rows" if rows == kept else f"{what}: {kept:,} of {rows:,} rows"


def _minus(edge: str) -> str:
    return edge.replace("-", "−")
