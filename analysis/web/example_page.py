"""The page of one example: its image, its truth, and what every run said of it at every epoch."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from analysis.errors import BadInput, NotFound, SecondguessError
from analysis.refs import parse
from analysis.schema import DEFAULT_TABLE, whole_name
from analysis.sides import side
from analysis.sqltext import identifier, literal
from analysis.store.runs import Run, list_runs
from analysis.tableview import TableView
from analysis.web import cells, example_drawing, urls
from analysis.web.drawing import Site, drawn, records, site, sql_of
from analysis.web.example_drawing import Sides
from analysis.web.table_page import chosen
from analysis.web.worker import Found

_MOST = 20_000  # rows about one example: of 100 runs with 200 epochs each
_LONGEST = 20_000  # characters of a text


async def page(request: Request) -> Response:
    """Draw the example in a row of a view, with the ones before and after it there."""
    held = site(request)
    view = urls.read_table(request.query_params)
    text = request.query_params.get("row", "0")
    if not text.isdecimal():
        raise BadInput(f"row is {text!r}, not a row of a table")
    row = int(text)
    found = await _near(request, held, view, row)
    place = 1 if row else 0
    if len(found.rows) <= place:
        raise NotFound(f"the view has no row {row + 1:,}; it has {found.total or 0:,}")
    name = found.rows[place][0]
    stem = found.rows[place][1] if len(found.columns) > 1 else None
    if name is None:
        raise NotFound("this row has no id, so nothing else is known of its example")
    runs = list_runs(held.store)
    colours = example_drawing.sides(runs, view)
    own = _Own(_table_of(runs, view), str(name), stem)
    said, scored, seen = await asyncio.gather(
        _said(request, held, own, colours), _scores(request, held, own, colours), _seen(request, held, own)
    )
    context = {
        "title": str(name),
        "here": "Tables",
        "id": name,
        "set": stem,
        **seen,
        **_around(view, row, found),
        **example_drawing.spoken(said, own.table, colours, runs),
        "scores": example_drawing.scores(scored, colours),
        "extras": example_drawing.extras(scored),
        "cut": said.more,
        "sql": sql_of(said.sql),
        "seconds": said.seconds,
    }
    return drawn(request, "example.html", context, _data(context, said, scored))


def _around(view: TableView, row: int, near: Found) -> dict[str, Any]:
    """Where the example stands in the view, with the ones before and after it; near are its rows there."""
    return {
        "earlier": urls.example(view, row - 1) if row else None,
        "later": urls.example(view, row + 1) if len(near.rows) > (2 if row else 1) else None,
        "row": row + 1,
        "total": near.total,
        "back": urls.table(replace(view, offset=row - row % (view.limit or 50))),
        "refs": [(table, side(place)) for place, table in enumerate(view.tables)],
        "filters": (*view.where, *view.wandb_filter),
    }


@dataclass(frozen=True)
class _Own:
    """Which example: its id, the file that describes it where there is one, and the table that speaks of it."""

    table: str
    id: str
    stem: str | None

    @property
    def where(self) -> str:
        """The condition that a row is about it."""
        return f"id = {literal(self.id)}" + (f" AND examples = {literal(self.stem)}" if self.stem else "")


def _data(context: Mapping[str, Any], said: Found, scored: Found) -> dict[str, Any]:
    """What the page says, as JSON."""
    return {
        "id": context["id"],
        "row": context["row"],
        "total": context["total"],
        "digest": context["digest"],
        "content": context["text"],
        "facts": context["facts"],
        "examples": context["set"],
        "said": records(said.columns, said.rows),
        "more": said.more,
        "scores": records(scored.columns, scored.rows),
        "classes": list(scored.classes),
    }


async def _near(request: Request, held: Site, view: TableView, row: int) -> Found:
    """The ids, and the examples' file where there is one, of a view's row and those before and after it."""
    file = "examples" if view.join is None else "examples_a"
    near = replace(chosen(view, row), columns=("id", file))
    try:
        return await held.ask(request, "table", near)
    except BadInput:  # a table without examples has no such column
        return await held.ask(request, "table", replace(near, columns=("id",)))


def _table_of(runs: Mapping[str, Run], view: TableView) -> str:
    """The name of the table that the view's first reference names."""
    ref = parse(view.tables[0])
    held = runs[ref.run].tables
    return ref.table or (DEFAULT_TABLE if DEFAULT_TABLE in held else next(iter(held)))


async def _asked(request: Request, held: Site, own: _Own, colours: Sides, select: tuple[str, str, str]) -> Found:
    """Rows about the example; of all runs, or where those cannot be read together of the view's own."""
    columns, more, order = select
    for relation in (own.table, whole_name(colours.tables[0][0], own.table)):
        text = f"SELECT {columns} FROM {identifier(relation)} WHERE {own.where}{more} ORDER BY {order}"
        try:
            return await held.ask(request, "sql", text, most=_MOST)
        except BadInput as error:
            fault = error
    raise fault


async def _said(request: Request, held: Site, own: _Own, colours: Sides) -> Found:
    """Every row about the example, without its scores: those of the view's runs first."""
    first = " ".join(f"WHEN {literal(run)} THEN {place}" for place, (run, _) in enumerate(colours.tables))
    columns = "run, epoch, id, guess, truth, confidence, truth_score"
    order = f"CASE run {first} ELSE {len(colours.tables)} END, run, epoch"
    return await _asked(request, held, own, colours, (columns, "", order))


async def _scores(request: Request, held: Site, own: _Own, colours: Sides) -> Found:
    """The whole rows of the view's tables."""
    here = " OR ".join(f"(run = {literal(run)} AND epoch = {epoch})" for run, epoch in colours.tables)
    return await _asked(request, held, own, colours, ("*", f" AND ({here})", "run, epoch"))


async def _seen(request: Request, held: Site, own: _Own) -> dict[str, Any]:
    """The example's image or text, where the store has it, and what is known of it besides."""
    nothing: dict[str, Any] = {"image": None, "facts": {}, "digest": None, "text": None}
    if own.stem is None:
        return nothing
    try:
        found = await held.ask(request, "sql", f"SELECT * FROM examples WHERE {own.where} LIMIT 1")
    except SecondguessError:  # the file is gone: the page says what was said of it
        return nothing
    if not found.rows:
        return nothing
    row = dict(zip(found.columns, found.rows[0], strict=True))
    image = row.get("image")
    data = image["bytes"] if isinstance(image, dict) and image.get("bytes") else None
    key = held.images.keep(data) if data else None
    content = row.get("content")
    return {
        "image": key,
        "facts": example_drawing.picture_facts(data) if key and data else {},
        "digest": row.get("digest"),
        "text": None if content is None else _whole(content),
    }


def _whole(content: Any) -> str:
    """A text in full: it is what the page is about."""
    return content[:_LONGEST] if isinstance(content, str) else cells.text(content)
