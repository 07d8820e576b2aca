"""The best scores of each row of a page, where there are too many classes for a column each."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from starlette.requests import Request

from secondguess.analysis.answers.columns import BEST
from secondguess.analysis.ask.refs import Runs, TableRef, parse
from secondguess.analysis.errors import BadInput, SecondguessError
from secondguess.analysis.page.site import Site
from secondguess.analysis.schema import is_score
from secondguess.analysis.serving.worker import Reply
from secondguess.analysis.store.records import Epoch
from secondguess.analysis.tables.usual import MANY_SCORES
from secondguess.analysis.tables.view import TableView

NAME = "best scores"


async def with_best(request: Request, page_site: Site, runs: Runs, view: TableView, reply: Reply) -> Reply:
    """The answer with one column more for each table side by side: the classes of the highest scores, with these.

    It is the answer itself where a view names its columns, where the scores have columns, and where rows are groups or
    have no id of their own. The scores are read of the page's rows alone.
    """
    key = view.key[0]
    plain = view.columns is None and not (view.group or view.aggregate or view.wandb_aggregate)
    if not plain or not _many(runs, view) or not reply.rows or key not in reply.columns:
        return reply
    place = list(reply.columns).index(key)
    keys = [row[place] for row in reply.rows]
    if None in keys or len(set(keys)) < len(keys):
        return reply
    try:
        found = await page_site.ask(request, "best", view, options={"keys": tuple(keys)}, runs=runs)
    except BadInput:  # a table without scores
        return reply
    except SecondguessError as fault:  # the rest stays
        return replace(reply, notes=(*reply.notes, f"the best scores are not shown: {fault}"))
    best = {row[0]: _named(row[1:], found.classes) for row in found.rows}
    if len(best) < len(keys) or len(found.rows) > len(keys):
        return reply
    names = [NAME + column.removeprefix("best") for column in found.columns[1:]]
    rows = [(*row, *best[name]) for row, name in zip(reply.rows, keys, strict=True)]
    types = (*reply.types, *(BEST for _ in names))
    return replace(
        reply, columns=(*reply.columns, *names), types=types, rows=rows, seconds=reply.seconds + found.seconds
    )


def _many(runs: Runs, view: TableView) -> bool:
    """Whether a table of the view has more classes than a row has columns for, as far as the records say."""
    epochs = [epoch for text in view.tables for epoch in _lasts(runs, parse(text))]
    return any(sum(is_score(name) for name, _ in epoch.columns) > MANY_SCORES for epoch in epochs)


def _lasts(runs: Runs, ref: TableRef) -> list[Epoch]:
    """The last epoch of a table that is named, or of each table of a run that is."""
    run = runs.get(ref.run)
    tables = run.tables if run is not None else {}
    return [list(epochs.values())[-1] for name, epochs in tables.items() if ref.table in (None, name) and epochs]


def _named(best: Sequence[Any], classes: Sequence[str]) -> list[list[dict[str, Any]]]:
    """The best scores of each side, with the names of their classes; none of a side that has no row."""
    return [
        [
            {"class": _name(each["class"], classes), "score": each["score"]}
            for each in side or ()
            if each["score"] is not None
        ]
        for side in best
    ]


def _name(place: int, classes: Sequence[str]) -> str:
    return classes[place] if place < len(classes) else str(place)
