"""The page of all runs, and the way from it to a comparison of some."""

from collections.abc import Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from secondguess.analysis.ask import joins
from secondguess.analysis.ask.refs import run_notes
from secondguess.analysis.errors import BadInput, SecondguessError
from secondguess.analysis.page import urls
from secondguess.analysis.page.pages import facts
from secondguess.analysis.page.site import Site, drawn, site
from secondguess.analysis.schema import LETTERS, WRONG, at_epoch, reference
from secondguess.analysis.store.records import Epoch
from secondguess.analysis.store.runs import Run
from secondguess.analysis.tables import changes
from secondguess.analysis.tables.view import TableView

_MOST_KEYS = 8  # columns of config; more are said
_COUNTED = 2_000_000  # rows: of larger tables it would take too long to say on how many two epochs disagree


async def runs(request: Request) -> Response:
    """All runs: state, errors by epoch, the config that differs, where to begin."""
    page_site = site(request)
    known = page_site.runs(request)
    rows = [facts.facts(run) for run in known.values()]
    most = max((error for row in rows for error in row["errors"] if error is not None), default=0)
    for row in rows:
        row["line"] = facts.sparkline(row["errors"], most)
    same, keys = facts.compared([row["config"] for row in rows])
    starts = await _starts(request, page_site, known)
    notes = run_notes(known.values())
    context = {
        "title": "Runs",
        "here": "Runs",
        "rows": rows,
        "most": most,
        "least": facts.least(rows),
        "same": same,
        "keys": keys[:_MOST_KEYS],
        "more_keys": keys[_MOST_KEYS:],
        "starts": starts,
        "size": facts.readable(sum(row["bytes"] for row in rows)),
        "shown": facts.shown,
        "notes": notes,
        "check": urls.check(),
    }
    data = {
        "runs": [{key: row[key] for key in facts.DATA} for row in rows],
        "starts": starts,
        "notes": notes,
    }
    return drawn(request, "runs.html", context, data)


async def _starts(request: Request, page_site: Site, known: Mapping[str, Run]) -> list[dict[str, Any]]:
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


async def _differing(
    request: Request, page_site: Site, known: Mapping[str, Run], view: TableView, pair: tuple[Epoch, Epoch]
) -> str:
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
