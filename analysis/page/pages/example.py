"""The page of one example: its image, its truth, and what every run said of it at every epoch."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from secondguess.analysis.answers.answer import LEFT_OUT, Cut, is_cut, records, text
from secondguess.analysis.answers.sides import side
from secondguess.analysis.ask import example, refs
from secondguess.analysis.ask.example import Example
from secondguess.analysis.ask.refs import Runs, parse
from secondguess.analysis.ask.scope import EXAMPLES_LEFT_OUT
from secondguess.analysis.errors import BadInput, Damaged, NotFound, SecondguessError
from secondguess.analysis.moments import Moment
from secondguess.analysis.page import urls
from secondguess.analysis.page.pages import controls, example_drawing
from secondguess.analysis.page.pages.table import chosen
from secondguess.analysis.page.site import Site, drawn, site, sql_of
from secondguess.analysis.schema import AT_STEP, DEFAULT_TABLE, STEP, WRONG, whole_name
from secondguess.analysis.serving.worker import Reply
from secondguess.analysis.store.runs import Run
from secondguess.analysis.tables.view import TableView

_MOST = 20_000  # rows about one example: of 100 runs with 200 epochs each


async def page(request: Request) -> Response:
    """Draw the example in a row of a view, with the ones before and after it there."""
    page_site = site(request)
    query = request.query_params
    view = urls.read_table(query)
    text = query.get("row", "0")
    if not text.isdecimal():
        raise BadInput(f"row is {text!r}, not a row of a table")
    row = int(text)
    runs = page_site.runs(request)
    named = [refs.named(runs, each, "last") for each in view.tables]
    if (nth := urls.read_nth(query)) is not None:
        put = replace(view, at=controls.nth(named, nth))
        return RedirectResponse(urls.table(put, "/example", row=row, id=query.get("id"), set=query.get("set")))
    near = await _near(request, page_site, runs, view, row)
    name, stem, here = _which(query, near, row)
    if is_cut(name):
        raise NotFound(f"the id of this row is longer than a page holds ({name.said}); ask with the command line")
    if name is None:
        raise NotFound("this row has no id, so nothing else is known of its example")
    colours = example_drawing.sides(named, view)
    own = Example(_table_of(runs, view), str(name), stem)
    tables = colours.tables
    first = list(dict.fromkeys(run for run, _ in tables))
    speakers, others = _speakers(runs, own, first, whole=request.url.path.endswith(".json"))
    asking = partial(_asked, request, page_site, runs, own, tables[0][0])
    said, (rest, unknown), scored, seen = await asyncio.gather(
        asking(partial(example.said, first=first), speakers),
        _others(asking, runs, own, others),
        asking(partial(example.whole, tables=tables), first),
        _seen(request, page_site, runs, own),
    )
    scored = _by_class(scored, runs, own.table)
    context = {
        "title": str(name),
        "here": "Tables",
        "id": name,
        "set": stem,
        **seen,
        **_around(view, row, near),
        "here_in_view": here,
        "at": controls.slider(named, view, {"row": row, "id": name, "set": stem}, "/example"),
        **example_drawing.spoken(said, own.table, colours, runs, rest),
        "scores": example_drawing.scores(scored, colours),
        "extras": example_drawing.extras(scored),
        "cut": said.more,
        "sql": sql_of(said),
        "seconds": said.seconds,
        "notes": list(dict.fromkeys([*said.notes, *unknown, *scored.notes, *seen["left_out"]])),
    }
    return drawn(request, "example.html", context, _data(context, said, scored))


def _which(query: QueryParams, near: Reply, row: int) -> tuple[Any, Any, bool]:
    """The example's id, the stem of the file about it if there is one, and whether it is in this row of the view.

    An address that names an example besides its row stays with it, while another epoch's view has it elsewhere. Raises
    NotFound where neither is there.
    """
    there = near.rows[1 if row else 0 :][:1]
    name, stem = (there[0][0], there[0][1] if len(near.columns) > 1 else None) if there else (None, None)
    asked = query.get("id")
    if asked is not None and (not there or asked != name or query.get("set") != stem):
        return asked, query.get("set"), False
    if not there:
        raise NotFound(f"the view has no row {row + 1:,}; it has {near.total or 0:,}")
    return name, stem, True


def _speakers(
    runs: Runs, own: Example, first: Sequence[str], *, whole: bool
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The runs whose every word about the example is shown, the view's first, and the others of which only the last is.

    Reading all epochs of all runs takes the longer the more there are; whole says that it is wanted all the same.
    """
    there = {name for name, run in runs.items() if own.table in run.tables and _is_about(run, own)}
    order = (*first, *sorted(there - set(first)))
    return (order, ()) if whole else (order[: example_drawing.MOST_RUNS], order[example_drawing.MOST_RUNS :])


def _is_about(run: Run, own: Example) -> bool:
    """Whether some epoch of the run is about the example's file, the last one first."""
    epochs = reversed(list(run.tables[own.table].values()))
    return own.stem is None or any(epoch.examples is not None and epoch.examples.stem == own.stem for epoch in epochs)


async def _others(
    asking: Callable[[Callable[[Example], str], Sequence[str]], Awaitable[Reply]],
    runs: Runs,
    own: Example,
    names: Sequence[str],
) -> tuple[dict[str, bool | None], list[str]]:
    """Of runs that are not shown whether each was wrong at its last epoch, and what is said where that is not known.

    Asked of all examples at once where they are few: it takes no longer, and the answer is kept for the next one.
    """
    if not names:
        return {}, []
    lasts = {name: max(runs[name].tables[own.table]) for name in names}
    rows_there = sum(runs[name].tables[own.table][moment].rows for name, moment in lasts.items())
    epochs = [moment.epoch for moment in lasts.values()]
    try:
        reply = await asking(partial(example.lasts, epochs=epochs, every=rows_there <= _MOST), names)
    except SecondguessError as fault:  # the page says what those said that are shown
        return {}, [f"{len(names):,} more runs are not counted here: {fault}"]
    rows = (row for row in records(reply.columns, reply.rows) if row["id"] == own.id)
    return {row["run"]: row[WRONG] for row in rows if lasts.get(row["run"]) == Moment.of(row)}, []


def _around(view: TableView, row: int, near: Reply) -> dict[str, Any]:
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


def _by_class(reply: Reply, runs: Runs, table: str) -> Reply:
    """The whole rows with a column per class, which would be too many to ask for."""
    rows = records(reply.columns, reply.rows)
    epochs = [runs[row["run"]].tables[table][Moment(row["epoch"], row[AT_STEP])] for row in rows]
    spread = example.by_class(rows, [epoch.score_classes for epoch in epochs], reply.classes)
    columns = tuple(spread[0]) if spread else reply.columns
    return replace(reply, columns=columns, rows=[tuple(row.values()) for row in spread])


def _data(context: Mapping[str, Any], said: Reply, scored: Reply) -> dict[str, Any]:
    """What the page says, as JSON."""
    said_rows = records(said.columns, said.rows)
    return {
        "id": context["id"],
        "row": context["row"],
        "total": context["total"],
        "digest": context["digest"],
        "content": context["text"],
        "facts": context["facts"],
        "examples": context["set"],
        "said": _told(said, {WRONG} if any(row["step"] is not None for row in said_rows) else {WRONG, STEP}),
        "more": said.more,
        "notes": context["notes"],
        "scores": _told(scored, {WRONG, AT_STEP}),
        "classes": list(scored.classes),
    }


def _told(reply: Reply, left_out: Collection[str]) -> list[dict[str, Any]]:
    """The rows as they were recorded."""
    return [
        {name: value for name, value in row.items() if name not in left_out}
        for row in records(reply.columns, reply.rows)
    ]


async def _near(request: Request, page_site: Site, runs: Runs, view: TableView, row: int) -> Reply:
    """The ids, and the examples' file where there is one, of a view's row and those before and after it."""
    file = "examples" if view.join is None else "examples_a"
    near = replace(chosen(view, row), columns=("id", file))
    if not any(_has_examples(runs, name) for name in view.tables):
        return await page_site.ask(request, "table", replace(near, columns=("id",)), runs=runs)
    try:
        return await page_site.ask(request, "table", near, runs=runs)
    except BadInput:  # a table without examples has no such column
        return await page_site.ask(request, "table", replace(near, columns=("id",)), runs=runs)


def _has_examples(runs: Runs, name: str) -> bool:
    """Whether some epoch of the run that a reference names says what its rows are about."""
    run = runs.get(parse(name).run)
    epochs = (epoch for table in run.tables.values() for epoch in table.values()) if run is not None else ()
    return any(epoch.examples_file is not None for epoch in epochs)


def _table_of(runs: Runs, view: TableView) -> str:
    """The name of the table that the view's first reference names."""
    ref = parse(view.tables[0])
    tables = runs[ref.run].tables
    return ref.table or (DEFAULT_TABLE if DEFAULT_TABLE in tables else next(iter(tables)))


async def _asked(
    request: Request,
    page_site: Site,
    runs: Runs,
    own: Example,
    run: str,
    sql: Callable[[Example], str],
    only: Sequence[str],
) -> Reply:
    """Rows about the example; of these runs, or where those cannot be read together of this one."""
    for each in (own, replace(own, table=whole_name(run, own.table))):
        try:
            return await page_site.ask(request, "sql", sql(each), most=_MOST, runs=runs, only=tuple(only))
        except BadInput as error:
            fault = error
    raise fault


async def _seen(request: Request, page_site: Site, runs: Runs, own: Example) -> dict[str, Any]:
    """The example's image or text, where the store has it, and what is known of it besides."""
    nothing: dict[str, Any] = {
        "image": None,
        "facts": {},
        "digest": None,
        "text": None,
        "left": "no image",
        "left_out": [],
    }
    if own.stem is None:
        return nothing
    try:
        reply = await page_site.ask(request, "sql", example.described(own), runs=runs)
    except Damaged as fault:  # the page says what was said of it
        return {**nothing, "left_out": [str(fault)]}
    except SecondguessError:
        return nothing
    nothing["left_out"] = [note for note in reply.notes if note.startswith(EXAMPLES_LEFT_OUT)]
    if not reply.rows:
        return nothing
    row = dict(zip(reply.columns, reply.rows[0], strict=True))
    image = row.get("image")
    data = image["bytes"] if isinstance(image, dict) and image.get("bytes") else None
    key = page_site.images.keep(data) if data else None
    content = row.get("content")
    return nothing | {
        "image": key,
        "facts": example_drawing.picture_facts(data) if key and data else {},
        "digest": row.get("digest"),
        "text": content if isinstance(content, str | None) else text(content),  # it is what the page is about
        "left": content.said if isinstance(content, Cut) else _left(image),
    }


def _left(image: Any) -> str:
    """Why an image is not shown."""
    return str(image.get(LEFT_OUT, "no image")) if isinstance(image, dict) else "no image"
