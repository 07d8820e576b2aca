"""The page of one example: its image, its truth, and what every run said of it at every epoch."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from analysis.errors import BadInput, NotFound, SecondguessError
from analysis.refs import parse
from analysis.sqltext import identifier, literal
from analysis.store.runs import list_runs
from analysis.tableview import TableView
from analysis.web import cells, urls
from analysis.web.drawing import Site, drawn, records, site, sql_of
from analysis.web.table_page import chosen
from analysis.web.worker import Found


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
    said = await _said(request, held, view.tables, str(name), stem)
    seen = await _seen(request, held, str(name), stem)
    context = {
        "title": str(name),
        "here": "Tables",
        "id": name,
        "image": seen.get("key"),
        "text": seen.get("text"),
        "digest": seen.get("digest"),
        "earlier": urls.example(view, row - 1) if row else None,
        "later": urls.example(view, row + 1) if len(found.rows) > place + 1 else None,
        "row": row + 1,
        "total": found.total,
        "back": urls.table(replace(view, offset=row - row % (view.limit or 50))),
        **_spoken(said),
        "sql": sql_of(said.sql),
        "seconds": said.seconds,
    }
    return drawn(
        request,
        "example.html",
        context,
        {
            "id": name,
            "said": records(said.columns, said.rows),
            "digest": seen.get("digest"),
            "content": seen.get("text"),
        },
    )


async def _near(request: Request, held: Site, view: TableView, row: int) -> Found:
    """The ids, and the examples' file where there is one, of a view's row and those before and after it."""
    file = "examples" if view.join is None else "examples_a"
    near = replace(chosen(view, row), columns=("id", file))
    try:
        return await held.ask(request, "table", near)
    except BadInput:  # a table without examples has no such column
        return await held.ask(request, "table", replace(near, columns=("id",)))


async def _said(request: Request, held: Site, tables: Sequence[str], name: str, stem: str | None) -> Found:
    """Every row about the example; of all runs, or where those cannot be read together of the view's own."""
    known = list_runs(held.store)
    ref = parse(tables[0])
    table = ref.table or (
        "test_predictions" if "test_predictions" in known[ref.run].tables else next(iter(known[ref.run].tables))
    )
    where = f"WHERE id = {literal(name)}" + (f" AND examples = {literal(stem)}" if stem else "")
    try:
        return await held.ask(request, "sql", f"SELECT * FROM {identifier(table)} {where} ORDER BY run, epoch")
    except BadInput:
        own = identifier(f"{ref.run}/{table}")
        return await held.ask(request, "sql", f"SELECT * FROM {own} {where} ORDER BY run, epoch")


async def _seen(request: Request, held: Site, name: str, stem: str | None) -> dict[str, Any]:
    """The example's image or text, where the store has it."""
    if stem is None:
        return {}
    try:
        found = await held.ask(
            request, "sql", f"SELECT * FROM examples WHERE id = {literal(name)} AND examples = {literal(stem)} LIMIT 1"
        )
    except SecondguessError:  # the file is gone: the page says what was said of it
        return {}
    if not found.rows:
        return {}
    row = dict(zip(found.columns, found.rows[0], strict=True))
    image = row.get("image")
    key = held.images.keep(image["bytes"]) if isinstance(image, dict) and image.get("bytes") else None
    content = row.get("content")
    return {"key": key, "digest": row.get("digest"), "text": None if content is None else cells.text(content)}


def _spoken(said: Found) -> dict[str, Any]:
    """What each run said: its guesses by epoch, the truth's score as a line, the last scores."""
    rows = records(said.columns, said.rows)
    truth = next((row["truth"] for row in rows if row["truth"] is not None), None)
    scores = [name for name in said.columns if name.startswith("score_") and name[6:].isdigit()]
    runs: dict[str, dict[str, Any]] = {}
    for row in rows:
        held = runs.setdefault(row["run"], {"name": row["run"], "guesses": [], "points": []})
        wrong = row["guess"] != row["truth"] if row["truth"] is not None else None
        held["guesses"].append(
            (row["epoch"], cells.Label(cells.text(row["guess"]), wrong, "" if row["guess"] is not None else "null"))
        )
        if row["truth_score"] is not None:
            held["points"].append(row["truth_score"])
        values = [row[name] for name in scores]
        known = [value for value in values if value is not None]
        held["scores"] = [cells.bar(value, max(known, default=2.0)) for value in values] if known else []
        held["epoch"] = row["epoch"]
    for held in runs.values():
        step = 200 / max(1, len(held["points"]) - 1)
        held["line"] = [
            (round(4 + place * step, 1), round(44 - value * 40, 1)) for place, value in enumerate(held["points"])
        ]
    classes = [said.classes[int(name[6:])] if int(name[6:]) < len(said.classes) else name[6:] for name in scores]
    return {"truth": None if truth is None else cells.text(truth), "runs": list(runs.values()), "classes": classes}
