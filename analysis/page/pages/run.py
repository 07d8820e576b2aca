"""The page of one run, or of several together: config, metrics, tables and epochs, and where they come from."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from secondguess.analysis.answers import charts, lines
from secondguess.analysis.answers.answer import records
from secondguess.analysis.answers.sides import side
from secondguess.analysis.ask.metrics import binned
from secondguess.analysis.errors import NotFound, listing
from secondguess.analysis.moments import Moment
from secondguess.analysis.page import urls
from secondguess.analysis.page.pages import facts
from secondguess.analysis.page.pages.controls import few
from secondguess.analysis.page.pages.question import title
from secondguess.analysis.page.site import Site, drawn, fragment, site, with_chart
from secondguess.analysis.schema import WRONG, Task, at_epoch, reference
from secondguess.analysis.serving.bounds import few_tables
from secondguess.analysis.serving.worker import Reply
from secondguess.analysis.store.records import Epoch
from secondguess.analysis.store.runs import Run
from secondguess.analysis.tables.view import TableView

MOST_EPOCHS, MOST_METRICS = 20, 12
# What a table is asked first, of all its epochs and of its last one.
_ASKED: Mapping[Task, tuple[Sequence[str], Sequence[str]]] = {
    "classification": (("errors-over-time",), ("errors-by-guess", "confusion")),
    "multi-label": (("errors-over-time", "multi-label"), ("errors-by-label", "labels")),
    "regression": (("regression",), ("residuals", "worst")),
}


async def run(request: Request) -> Response:
    """One run, or several together: config, metrics, tables and epochs."""
    page_site = site(request)
    known = page_site.runs(request)
    names = list(dict.fromkeys(request.query_params.getlist("run"))) or list(known)[:1]
    few_tables(names)
    if missing := [name for name in names if name not in known]:
        raise NotFound(f"no run named {missing[0]!r}; the store has: {listing(known) or 'none yet'}")
    rows = [facts.facts(known[name]) for name in names]
    reply = await _measured(request, page_site, known, names)
    notes = list(reply.notes) if reply is not None else []
    measured = records(reply.columns, reply.rows) if reply is not None else []
    chosen, others = _chosen_metrics(measured, request.query_params.getlist("metric"))
    origins = [facts.came_from(row) for row in rows]
    context = {
        "title": " and ".join(names),
        "here": "Runs",
        "rows": rows,
        "config": _settings([row["config"] for row in rows]),
        "origin": _settings(origins),
        "tables": _tables(known, names),
        "metrics": chosen,
        "other_metrics": [(name, _metric_url(names, name)) for name in others],
        "all_metrics": urls.run(*names) if names else None,
        "notes": notes,
    }
    data = {
        "runs": [{key: row[key] for key in facts.DATA} for row in rows],
        "metrics": measured,
        "more": reply is not None and reply.more,
        "notes": notes,
    }
    answer = drawn(request, "run.html", context, data)
    return with_chart(request, answer, partial(_charts, measured, names, chosen)) if chosen else answer


async def _measured(request: Request, page_site: Site, known: Mapping[str, Run], names: Sequence[str]) -> Reply | None:
    """The runs' metrics in so many points that a chart draws them whole; None where there is no run."""
    if not names:
        return None
    text, most = binned(names)
    return await page_site.ask(request, "sql", text, most=most, runs=known)


def _chosen_metrics(measured: Sequence[Mapping[str, Any]], asked: Sequence[str]) -> tuple[list[str], list[str]]:
    """The metrics to draw, those asked for or the first ones, and the others."""
    there = list(dict.fromkeys(row["name"] for row in measured))
    chosen = [name for name in there if name in asked] or there[:MOST_METRICS]
    return chosen, [name for name in there if name not in chosen]


def _metric_url(names: Sequence[str], metric: str) -> str:
    return urls.run(*names, metric=metric)


def _charts(measured: Sequence[Mapping[str, Any]], names: Sequence[str], metrics: Sequence[str]) -> str:
    """A chart for each metric, drawn when the rest of the page was sent."""
    drawn_ones = []
    for metric in metrics:
        rows = [row for row in measured if row["name"] == metric]
        points = [row for row in rows if row["value"] is not None]
        drawn_ones.append(
            {
                "name": metric,
                "svg": charts.svg(lines.metric(points, names, rows[0]["axis"])) if points else "",
                "values": sum(row["n"] for row in rows),
                "odd": sum(row["odd"] for row in rows),
                "last": [(row["run"], row["value"]) for row in _last(points)],
            }
        )
    sides = {name: side(place) if len(names) > 1 else "" for place, name in enumerate(names)}
    return fragment("metrics.html", charts=drawn_ones, colours=sides)


def _last(points: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Each run's last point; points are in order of x."""
    return list({row["run"]: row for row in points}.values())


def _settings(settings: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """One line per key, those that differ first; a value is bold where it is not as in the first run."""
    same, keys = facts.compared(settings)
    order = [*keys, *(key for key, _ in same)]
    return [
        {
            "key": key,
            "values": [
                (None if each.get(key) is None else facts.shown(each[key]), each.get(key) != settings[0].get(key))
                for each in settings
            ],
        }
        for key in order
    ]


def _tables(known: Mapping[str, Run], names: Sequence[str]) -> list[dict[str, Any]]:
    """For each table's name its epochs, the runs that have it side by side."""
    tables = []
    for table in dict.fromkeys(table for name in names for table in known[name].tables):
        runs = [name for name in names if table in known[name].tables]
        refs = [reference(name, table) for name in runs]
        epochs = sorted({epoch for name in runs for epoch in known[name].tables[table]})
        shown = few(epochs, most=MOST_EPOCHS)
        lines = [(epoch, _epoch_url(refs, epoch), _cells(known, runs, table, refs, epoch)) for epoch in shown]
        tables.append(
            {
                "name": table,
                "runs": [(name, side(names.index(name))) for name in runs],
                "epochs": lines,
                "more": len(epochs) - len(shown),
                "asks": _asks(known[runs[0]].tables[table], refs),
            }
        )
    return tables


def _asks(epochs: Mapping[Moment, Epoch], refs: Sequence[str]) -> list[tuple[str, str]]:
    """The questions that a table of this kind is asked first, by title, with their addresses."""
    over, at_last = _ASKED[epochs[max(epochs)].task]
    last = [at_epoch(ref, "last") for ref in refs]
    asked = [(name, urls.question(name, refs)) for name in over] + [
        (name, urls.question(name, last)) for name in at_last
    ]
    return [(title(name), url) for name, url in asked]


def _epoch_url(refs: Sequence[str], epoch: Moment) -> str:
    """The runs' tables at an epoch, side by side where all have it."""
    return urls.table(TableView(tuple(at_epoch(ref, epoch) for ref in refs)))


def _cells(
    known: Mapping[str, Run], runs: Sequence[str], table: str, refs: Sequence[str], epoch: Moment
) -> list[dict[str, Any] | None]:
    """What each run has of an epoch; None where it has not that epoch."""
    cells: list[dict[str, Any] | None] = []
    for name, ref in zip(runs, refs, strict=True):
        entry = known[name].tables[table].get(epoch)
        if entry is None:
            cells.append(None)
            continue
        view = TableView((at_epoch(ref, epoch),))
        wrong = TableView(view.tables, where=(WRONG,))
        cells.append(
            {
                "rows": entry.rows,
                "errors": entry.errors,
                "lacks": entry.lacks,
                "url": urls.table(view),
                "wrong": urls.table(wrong),
            }
        )
    return cells
