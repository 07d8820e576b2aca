"""The page of free SQL: a box, the schema beside it, an answer with a time limit."""

import hmac
import re
from collections.abc import Mapping
from functools import partial
from typing import Any

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from secondguess.analysis.answers import cells
from secondguess.analysis.answers.answer import records
from secondguess.analysis.answers.columns import shown
from secondguess.analysis.ask.refs import Runs
from secondguess.analysis.ask.scope import columns_of, has_steps
from secondguess.analysis.engine.sqltext import identifier
from secondguess.analysis.errors import SecondguessError
from secondguess.analysis.page import bounds
from secondguess.analysis.page.pages import faults
from secondguess.analysis.page.pool import TooSlow
from secondguess.analysis.page.site import Site, drawn, large, site, sql_of, status_of
from secondguess.analysis.page.worker import Reply
from secondguess.analysis.schema import DEFAULT_TABLE, at_epoch, is_score
from secondguess.analysis.store.runs import Run, list_runs

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


_LARGEST = 131_072  # bytes of a form
_EXAMPLE = f"SELECT truth, guess, count(*) AS n\nFROM {DEFAULT_TABLE}\nWHERE wrong\nGROUP BY ALL\nORDER BY n DESC"


async def page(request: Request) -> Response:
    """Show the box; a text in the address is put into it and not run."""
    known = list_runs(site(request).store)
    return _drawn(request, known, request.query_params.get("sql") or _EXAMPLE, None, None)


async def run(request: Request) -> Response:
    """Run what the form sent."""
    page_site = site(request)
    if too_large(request):
        return PlainTextResponse("the form is larger than 128 KB; use the command line\n", 413)
    form = await request.form(max_files=0, max_fields=20)
    if not allowed(page_site, str(form.get("csrf", ""))):
        return PlainTextResponse("this form is not of this page; reload it and send it again\n", 403)
    text = str(form.get("sql", ""))
    known = list_runs(page_site.store)
    try:
        reply = await page_site.ask(request, "sql", text, runs=known)
    except SecondguessError as error:
        return _drawn(request, known, text, None, error)
    return await large(len(reply.rows) * len(reply.columns), partial(_drawn, request, known, text, reply, None))


def too_large(request: Request) -> bool:
    """Whether a form is larger than any that this server draws, or does not say how large it is."""
    length = request.headers.get("content-length", "")
    return not length.isdecimal() or int(length) > _LARGEST


def allowed(page_site: Site, csrf: str) -> bool:
    """Whether a form is one that this server drew."""
    return hmac.compare_digest(csrf.encode(), page_site.keys.csrf.encode())


def _drawn(request: Request, known: Runs, text: str, reply: Reply | None, error: SecondguessError | None) -> Response:
    page_site = site(request)
    columns = shown(reply.columns, reply.types, reply.sides, reply.classes) if reply is not None else []
    fault = error.fault if error is not None else None
    references, more_references = bounds.listed(list(known))
    context = {
        "title": "SQL",
        "here": "SQL",
        "text": text,
        "reply": reply,
        "columns": [{"shown": column} for column in columns],
        "rows": cells.rows(columns, reply.columns, reply.rows, page_site.images, 0, verdicts=reply.verdicts)
        if reply is not None
        else [],
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
