"""The page of free SQL: a box, the schema beside it, an answer with a time limit."""

import hmac
from typing import Any

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from analysis.answers import cells
from analysis.answers.answer import records
from analysis.answers.columns import shown
from analysis.ask.refs import Runs
from analysis.engine.sqltext import identifier
from analysis.errors import SecondguessError
from analysis.schema import DEFAULT_TABLE, at_epoch
from analysis.store.runs import list_runs
from analysis.web import sql_error, sql_schema
from analysis.web.drawing import Site, drawn, site, sql_of, status_of
from analysis.web.worker import Found
from analysis.web.workers import TooSlow

_LARGEST = 131_072  # bytes of a form
_MOST = 1_000  # rows
_EXAMPLE = f"SELECT truth, guess, count(*) AS n\nFROM {DEFAULT_TABLE}\nWHERE wrong\nGROUP BY ALL\nORDER BY n DESC"


async def page(request: Request) -> Response:
    """Show the box; a text in the address is put into it and not run."""
    known = list_runs(site(request).store)
    return _drawn(request, known, request.query_params.get("sql") or _EXAMPLE, None, None)


async def run(request: Request) -> Response:
    """Run what the form sent."""
    held = site(request)
    if too_large(request):
        return PlainTextResponse("the form is larger than 128 KB; use the command line\n", 413)
    form = await request.form(max_files=0, max_fields=20)
    if not allowed(held, str(form.get("csrf", ""))):
        return PlainTextResponse("this form is not of this page; reload it and send it again\n", 403)
    text = str(form.get("sql", ""))
    known = list_runs(held.store)
    try:
        found = await held.ask(request, "sql", text, most=_MOST, runs=known)
    except SecondguessError as error:
        return _drawn(request, known, text, None, error)
    return _drawn(request, known, text, found, None)


def too_large(request: Request) -> bool:
    """Whether a form is larger than any that this server draws, or does not say how large it is."""
    length = request.headers.get("content-length", "")
    return not length.isdecimal() or int(length) > _LARGEST


def allowed(held: Site, csrf: str) -> bool:
    """Whether a form is one that this server drew."""
    return hmac.compare_digest(csrf.encode(), held.keys.csrf.encode())


def _drawn(request: Request, known: Runs, text: str, found: Found | None, error: SecondguessError | None) -> Response:
    held = site(request)
    columns = shown(found.columns, found.types, found.sides, found.classes) if found is not None else []
    fault = error.fault if error is not None else None
    context = {
        "title": "SQL",
        "here": "SQL",
        "text": text,
        "found": found,
        "columns": [{"shown": column} for column in columns],
        "rows": cells.rows(columns, found.columns, found.rows, held.images, 0) if found is not None else [],
        "error": fault.reason if fault is not None else str(error or ""),
        "stopped": isinstance(error, TooSlow),
        "place": sql_error.place(fault),
        "relations": sql_schema.relations(known),
        "references": [(at_epoch(name, "last"), identifier(at_epoch(name, "last"))) for name in known],
        "limit": f"{held.workers.seconds:g} s or {_MOST:,} rows",
        "sql": sql_of(found) if found is not None else None,
    }
    return drawn(request, "sql.html", context, _data(found, error), 200 if error is None else status_of(error))


def _data(found: Found | None, error: SecondguessError | None) -> dict[str, Any]:
    """The answer or the error as JSON."""
    if error is not None:
        return {"error": str(error)}
    if found is None:
        return {}
    return {"columns": list(found.columns), "rows": records(found.columns, found.rows), "more": found.more}
