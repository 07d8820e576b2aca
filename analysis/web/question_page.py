"""The page of questions: each with its tables, its options, its answer."""

from collections.abc import Sequence
from functools import partial
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from analysis import charts, questions
from analysis.errors import SecondguessError
from analysis.questions import Question
from analysis.sqltext import literal
from analysis.store.runs import list_runs
from analysis.web import cells, urls
from analysis.web.columns import shown
from analysis.web.drawing import Site, drawn, records, site, sql_of, status_of, with_chart
from analysis.web.question_drawings import butterfly, matrices
from analysis.web.worker import Found


async def page(request: Request) -> Response:
    """The questions there are, or one of them with its answer."""
    held = site(request)
    name = request.query_params.get("q")
    if name:
        return await _one(request, held, questions.find(held.store, name))
    listed = [_listed(held, each) for each in questions.names(held.store)]
    data = {"questions": [{key: each[key] for key in ("name", "help")} for each in listed]}
    return drawn(request, "questions.html", {"title": "Questions", "here": "Questions", "listed": listed}, data)


async def _one(request: Request, held: Site, asked: Question) -> Response:
    """One question: its form, and where its tables are named its answer."""
    query = request.query_params
    refs = tuple(text for text in query.getlist("t") if text.strip())
    options = {key[2:]: value for key, value in query.items() if key.startswith("o.") and value.strip()}
    least, most = asked.tables
    tables = _tables(held)
    context: dict[str, Any] = {"title": asked.name, "here": "Questions", "asked": asked, "refs": refs, "tables": tables}
    context |= {"options": options, "least": least, "most": most}
    if len(refs) < least:
        return drawn(request, "question.html", context, {"question": asked.name, "tables": tables})
    try:
        found = await held.ask(request, "question", asked.name, refs=refs, options=options)
    except SecondguessError as fault:
        return drawn(request, "question.html", {**context, "error": fault}, {"error": str(fault)}, status_of(fault))
    context |= _answered(held, asked, found)
    if context["butterfly"] is not None and "ids" in found.columns:
        await _pictures(request, held, found, context["butterfly"]["lines"])
    data = {
        "columns": list(found.columns),
        "rows": records(found.columns, found.rows),
        "sql": found.sql,
        "notes": list(found.notes),
        "more": found.more,
        "reports": [report.as_dict() for report in found.reports],
    }
    return with_chart(drawn(request, "question.html", context, data), partial(_chart, asked, found))


def _tables(held: Site) -> list[str]:
    known = list_runs(held.store).values()
    return [run.name if table == "test_predictions" else f"{run.name}/{table}" for run in known for table in run.tables]


def _chart(asked: Question, found: Found) -> str:
    """The chart of an answer, each mark leading to its rows; nothing where it has none."""
    made = charts.chart(asked.drawn, found.columns, found.rows, found.order, urls.table)
    return charts.svg(made) if made is not None else ""


def _listed(held: Site, name: str) -> dict[str, Any]:
    try:
        asked = questions.find(held.store, name)
        return {"name": name, "help": asked.help, "url": urls.question(name), "fault": None}
    except SecondguessError as fault:
        return {"name": name, "help": "", "url": "", "fault": str(fault)}


def _answered(held: Site, asked: Question, found: Found) -> dict[str, Any]:
    sides = 2 if any(name.endswith("_b") for name in found.columns) else 1
    columns = shown(found.columns, found.types, sides, found.classes)
    return {
        "found": found,
        "columns": [{"shown": column} for column in columns],
        "rows": cells.rows(columns, found.columns, found.rows, held.images, 0),
        "sql": sql_of(found.sql),
        "matrices": matrices(asked, found),
        "butterfly": butterfly(asked, found),
    }


async def _pictures(request: Request, held: Site, found: Found, lines: Sequence[dict[str, Any]]) -> None:
    """Look up the images of the examples that the parts of a butterfly name."""
    known = list_runs(held.store)
    stems = {
        entry.examples.stem
        for run, epoch in found.order
        for table in known[run.partition("/")[0]].tables.values()
        if (entry := table.get(epoch)) is not None and entry.examples is not None
    }
    parts = [part for line in lines for part in line["parts"]]
    ids = sorted({name for part in parts for name in part["ids"]})
    if not stems or not ids:
        return
    files, names = (", ".join(map(literal, each)) for each in (sorted(stems), ids))
    try:
        seen = await held.ask(
            request, "sql", f"SELECT id, image FROM examples WHERE examples IN ({files}) AND id IN ({names})"
        )
    except SecondguessError:  # no images, or their file is gone: the names stay
        return
    keys = {name: held.images.keep(image["bytes"]) for name, image in seen.rows if image and image["bytes"]}
    for part in parts:
        part["images"] = [keys[name] for name in part["ids"] if keys.get(name)]
