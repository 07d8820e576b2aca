"""The page of free SQL: a box, the schema beside it, an answer with a time limit."""

import re
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from secondguess.analysis.answers import cells
from secondguess.analysis.answers.answer import records
from secondguess.analysis.answers.columns import shown
from secondguess.analysis.ask.refs import Runs
from secondguess.analysis.ask.scope import columns_of, has_steps
from secondguess.analysis.engine.sqltext import identifier, is_value
from secondguess.analysis.errors import SecondguessError
from secondguess.analysis.page import urls
from secondguess.analysis.page.answers import Answered
from secondguess.analysis.page.pages import faults
from secondguess.analysis.page.pages.controls import sorting
from secondguess.analysis.page.pages.export import TYPES, sent
from secondguess.analysis.page.pages.images import Asking, add_images
from secondguess.analysis.page.pages.sending import sent_form
from secondguess.analysis.page.site import drawn, large, site, sql_of, status_of
from secondguess.analysis.schema import DEFAULT_TABLE, at_epoch, is_score, reference
from secondguess.analysis.serving import bounds
from secondguess.analysis.serving.pool import TooSlow
from secondguess.analysis.serving.worker import Reply
from secondguess.analysis.store.records import Epoch
from secondguess.analysis.store.runs import Run
from secondguess.analysis.tables.view import TableView

_PLAIN = re.compile(r"[a-z_][a-z0-9_]*")
_WORDS = {"string": "text", "large_string": "text", "dictionary": "text", "float": "float", "double": "float"}
_OWN = {
    "examples": {"examples": "text", "id": "text", "digest": "text", "truth": "", "image": "image"},
    "runs": {
        **dict.fromkeys(("run", "state", "table_name"), "text"),
        **dict.fromkeys(("epochs", "validations", "rows", "errors"), "list"),
        "origin": "text",
        "created": "time",
        "config": "json",
    },
    "metrics": {"run": "text", "step": "int", "epoch": "int", "name": "text", "value": "float"},
}


def relations(runs: Mapping[str, Run]) -> list[dict[str, Any]]:
    """Each relation with what is inserted for it, its rows where they are known, and its columns."""
    columns: dict[str, dict[str, str]] = {}
    rows: dict[str, int] = {}
    for run in runs.values():
        for table, epochs in run.tables.items():
            for entry in epochs.values():
                own = columns.setdefault(table, {"run": "string", "epoch": "int32"})
                own.update(columns_of(entry, steps=has_steps(epochs.values())))
                rows[table] = rows.get(table, 0) + entry.rows
    tables = [_relation(name, {**own, "examples": "string"}, rows[name]) for name, own in columns.items()]
    return tables + [_relation(name, own, None) for name, own in _OWN.items()]


def _relation(name: str, columns: Mapping[str, str], rows: int | None) -> dict[str, Any]:
    scores = [column for column in columns if is_score(column)]
    listed = [
        {"name": column, "insert": written(column), "type": _type(kind)}
        for column, kind in columns.items()
        if column not in scores
    ]
    if scores:
        several = scores[0] if len(scores) == 1 else f"{scores[0]} … {scores[-1]}"
        listed.append({"name": several, "insert": scores[0], "type": "float"})
    menu, more = bounds.listed(listed)
    about = {"name": name, "insert": written(name), "rows": rows, "width": len(columns)}
    return {**about, "columns": menu, "more": more}


def written(name: str) -> str:
    """A name as SQL takes it: in quotes where it must be."""
    return name if _PLAIN.fullmatch(name) else identifier(name)


def _type(kind: str) -> str:
    if "dictionary" in kind:
        return "text"
    return "int" if re.fullmatch(r"u?int\d+", kind) else _WORDS.get(kind, kind)


def example(runs: Mapping[str, Run]) -> str:
    """A SELECT that this store can answer."""
    tables = {name: entry for run in runs.values() for name, epochs in run.tables.items() for entry in epochs.values()}
    able = {name for name, entry in tables.items() if entry.lacks is None and entry.right is None}
    names = sorted(tables, key=lambda name: (name not in able, name != DEFAULT_TABLE))
    if not names:
        return "SELECT 42 AS answer"
    if names[0] in able:
        found = f"SELECT truth, guess, count(*) AS n\nFROM {written(names[0])}\nWHERE wrong\n"
        return f"{found}GROUP BY ALL\nORDER BY n DESC"
    return f"SELECT run, epoch, count(*) AS n\nFROM {written(names[0])}\nGROUP BY ALL\nORDER BY ALL"


async def page(request: Request) -> Response:
    """Show the box; a text in the address is put into it and not run, but what came of it when it was sent is shown."""
    page_site, query = site(request), request.query_params
    known = page_site.runs(request)
    text, sort, key = query.get("sql", ""), query.get("sort", ""), query.get("answer", "")
    held = page_site.answers.get(key)
    if held is not None and text in ("", held.text) and sort == held.sort:
        return await _answered(request, known, held)
    waiting = "its answer is not held any more; Run asks again" if key else "it was not run; Run does" if text else ""
    return _drawn(request, known, Answered(text or example(known), sort), waiting=waiting)


async def run(request: Request) -> Response:
    """Run what the form sent; a page leads to the answer, so that going back to it sends nothing again."""
    page_site = site(request)
    fields = await sent_form(request, page_site)
    if isinstance(fields, Response):
        return fields
    form = dict(fields)
    text, sort = form.get("sql", ""), form.get("sort", "").strip()
    known = page_site.runs(request)
    try:
        reply = await page_site.ask(request, "sql", text, runs=known, options={"sort": sort}, fresh=True)
    except SecondguessError as error:
        made = Answered(text, sort, error=error)
    else:
        made = Answered(text, sort, reply)
    if request.url.path.endswith(".json"):
        return _drawn(request, known, made)
    return RedirectResponse(urls.sql(text, sort, page_site.answers.keep(made)), 303)


async def export(request: Request) -> Response:
    """Send every row of what the form sent as a file."""
    page_site = site(request)
    fields = await sent_form(request, page_site)
    if isinstance(fields, Response):
        return fields
    form = dict(fields)
    page_site.runs(request)
    text, sort = form.get("sql", ""), form.get("sort", "").strip()
    try:
        return await sent(request, page_site, text, form.get("format", "csv"), "answer", sort=sort)
    except SecondguessError as error:
        return RedirectResponse(urls.sql(text, sort, page_site.answers.keep(Answered(text, sort, error=error))), 303)


async def _answered(request: Request, known: Runs, made: Answered) -> Response:
    """The page with an answer, and where its rows say of which examples they are, with their images."""
    reply = made.reply
    pictures = _pictures(reply, known) if reply is not None else []
    if pictures:
        entries = {part["table"]: part.pop("entry") for part in pictures}
        await add_images(request, site(request), Asking(known, entries), pictures)
    size = len(reply.rows) * len(reply.columns) if reply is not None else 0
    return await large(size, partial(_drawn, request, known, made, pictures))


def _drawn(
    request: Request,
    known: Runs,
    made: Answered,
    pictures: Sequence[Mapping[str, Any]] = (),
    *,
    waiting: str = "",
) -> Response:
    page_site, reply, error = site(request), made.reply, made.error
    columns = shown(reply.columns, reply.types, reply.sides, reply.classes) if reply is not None else []
    fault = error.fault if error is not None else None
    references, more_references = bounds.listed(list(known))
    context = {
        "title": "SQL",
        "here": "SQL",
        "text": made.text,
        "sort": made.sort,
        "waiting": waiting,
        "kept": len(made.text) <= urls.LONGEST_SQL,
        "formats": list(TYPES),
        "reply": reply,
        "columns": [{"shown": column, **sorting(column, made.sort)} for column in columns],
        "rows": cells.rows(columns, reply.columns, reply.rows, page_site.images, 0, verdicts=reply.verdicts)
        if reply is not None
        else [],
        "pictures": pictures,
        "error": fault.reason if fault is not None else str(error or ""),
        "stopped": isinstance(error, TooSlow),
        "place": faults.place(fault),
        "relations": relations(known),
        "references": [(at_epoch(name, "last"), identifier(at_epoch(name, "last"))) for name in references],
        "more_references": more_references,
        "limit": f"{page_site.workers.seconds:g} s or {bounds.MOST_ROWS:,} rows",
        "sql": sql_of(reply) if reply is not None else None,
    }
    return drawn(request, "sql.html", context, _data(reply, error), 200 if error is None else status_of(error))


def _pictures(reply: Reply, known: Runs) -> list[dict[str, Any]]:
    """For each row its example, from which its image is found; [] where rows do not say which they are of."""
    if not {"run", "epoch", "id"} <= set(reply.columns):
        return []
    parts: list[dict[str, Any]] = []
    for row in records(reply.columns, reply.rows):
        entry = _entry(known, row["run"], row["epoch"], row.get("step"))
        if entry is None or not isinstance(row["id"], str):
            return []
        table = at_epoch(reference(entry.run, entry.table), entry.moment)
        view = TableView((table,), where=(is_value("id", row["id"]),))
        images = {"ids": [row["id"]], "images": []}
        parts.append({"table": table, "entry": entry, **images, "view": view, "url": urls.example(view, 0)})
    return parts


def _entry(known: Runs, run: Any, epoch: Any, step: Any) -> Epoch | None:
    """The one table of a run that has this epoch; None where there is none, or where there are several."""
    there = known[run].tables.values() if run in known else ()
    found = [entry for epochs in there for entry in epochs.values() if (entry.epoch, entry.step) == (epoch, step)]
    return found[0] if len(found) == 1 else None


def _data(reply: Reply | None, error: SecondguessError | None) -> dict[str, Any]:
    """The answer or the error as JSON."""
    if error is not None:
        return {"error": str(error)}
    if reply is None:
        return {}
    return {
        "columns": list(reply.columns),
        "rows": records(reply.columns, reply.rows),
        "more": reply.more,
        "notes": list(reply.notes),
    }
