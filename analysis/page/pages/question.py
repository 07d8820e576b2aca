"""The page of questions: each with its tables, its options, its answer."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from secondguess.analysis.answers import cells, charts
from secondguess.analysis.answers.answer import Answer, records, tables_in
from secondguess.analysis.answers.columns import PageColumn, shown
from secondguess.analysis.answers.lines import Naming
from secondguess.analysis.answers.sides import row_sides
from secondguess.analysis.ask import charted, questions
from secondguess.analysis.ask.questions import Question
from secondguess.analysis.engine.sqltext import is_value
from secondguess.analysis.errors import SecondguessError
from secondguess.analysis.page import urls
from secondguess.analysis.page.pages import butterfly, confusion, controls, named
from secondguess.analysis.page.pages.images import Asking, add_images, add_mistakes
from secondguess.analysis.page.site import Site, drawn, large, site, sql_of, status_of, with_chart
from secondguess.analysis.schema import MOST_MARKS, at_epoch, reference
from secondguess.analysis.serving.bounds import MOST_ROWS, few_tables, listed
from secondguess.analysis.serving.worker import Reply
from secondguess.analysis.store.records import Epoch
from secondguess.analysis.tables.view import TableView

_SORTS = {
    "flips": "-flips",
    "learned late": "-first_learned",
    "forgotten": "-forgetting_events",
    "never stable": "stable_since IS NOT NULL, -stable_since",
}
_MOST_SCORES = 12  # columns; of more classes none is shown
_MOST_CELLS = 200_000  # of matrices and of errors by guess, which are drawn of all their rows


@dataclass(frozen=True)
class Drawing:
    """Which part of an answer of many classes is drawn: guesses from a place on, a fold of a matrix; and its links."""

    start: int
    fold: str
    folded: Callable[[str], str]


async def page(request: Request) -> Response:
    """The questions there are, or one of them with its answer."""
    page_site = site(request)
    name = request.query_params.get("q")
    if name:
        return await _one(request, page_site, questions.find(page_site.store, name))
    there = [_listed(page_site, each) for each in questions.names(page_site.store)]
    data = {"questions": [{key: each[key] for key in ("name", "help", "fault")} for each in there]}
    return drawn(request, "questions.html", {"title": "Questions", "here": "Questions", "listed": there}, data)


async def _one(request: Request, page_site: Site, asked: Question) -> Response:
    """One question: its form, and where its tables are named its answer."""
    query = request.query_params
    names = tuple(text for text in query.getlist("t") if text.strip())
    few_tables(names)
    options = {key[2:]: value for key, value in query.items() if key.startswith("o.") and value.strip()}
    if _is(asked, "beside") and any(option.name == "ids" for option in asked.options):
        options = {"ids": str(butterfly.IMAGES), **options}
    least, most = asked.tables
    runs = page_site.runs(request)
    tables = [reference(run.name, table) for run in runs.values() for table in run.tables]
    context: dict[str, Any] = {"title": title(asked.name), "here": "Questions", "asked": asked, "refs": names}
    menu, more_tables = listed(tables)
    context |= {"options": options, "least": least, "most": most, "tables": menu, "more_tables": more_tables}
    chosen = [named.chosen(runs, text, asked.epochs) for text in names]
    if (put := named.moved(query, chosen, names)) is not None:
        return RedirectResponse(urls.question(asked.name, put, options))
    context |= {
        "at": named.slider(chosen, names, "/questions", urls.question_form(asked.name, options)),
        "steps": named.steps(chosen, names, lambda others: urls.question(asked.name, others, options)),
        "swapped": _swapped(asked, names, options),
    }
    if len(names) < least:
        return drawn(request, "question.html", context, {"question": asked.name, "tables": tables})
    over_time = asked.drawn is None and asked.epochs == "all"  # whose chart has more points than the page has rows
    more: dict[str, Any] = {"most": MOST_MARKS} if over_time else {}
    more = {"most": _MOST_CELLS} if _is(asked, "matrix") or _is(asked, "beside") else more
    try:
        reply = await page_site.ask(request, "question", asked.name, refs=names, options=options, runs=runs, **more)
    except SecondguessError as fault:
        return drawn(request, "question.html", {**context, "error": fault}, {"error": str(fault)}, status_of(fault))
    whole = reply
    if over_time and len(reply.rows) > MOST_ROWS:
        reply = replace(reply, rows=reply.rows[:MOST_ROWS], more=True)
    entries = named.entries(runs, chosen)
    fold = query.get("fold", "").strip()
    drawing = Drawing(urls.read_from(query), fold, lambda other: urls.question(asked.name, names, options, fold=other))
    size = len(reply.rows) * len(reply.columns)
    context |= await large(size, partial(_answered, page_site, asked, reply, entries, drawing))
    if all(option.name != "sort" for option in asked.options):
        for column in context["columns"]:
            column.update(_sorting(asked, names, options, column["shown"]))
    if _is(asked, "strip"):
        context["sorts"] = [
            (name, urls.question(asked.name, names, {**options, "sort": sort})) for name, sort in _SORTS.items()
        ]
    context["pages"] = _pages(asked, names, options, context["butterfly"])
    asking = Asking(runs, entries)
    await _illustrated(request, page_site, context, asking)
    context["left_out"] = list(dict.fromkeys(asking.notes))
    data = _data(reply)
    data = {**data, "notes": [*data["notes"], *context["left_out"]]}
    answer = await large(size, partial(drawn, request, "question.html", context, data))
    if not context["chart"]:
        return answer
    chosen_lines = query.getlist("line")
    how = charted.charted(asked.drawn, whole.columns, whole.order) if whole.more else None
    if how is not None:  # a chart is of all rows, the page's table of the first
        most = MOST_MARKS + 1
        whole = await page_site.ask(
            request, "chart", (asked.name, how), refs=names, options=options, runs=runs, most=most
        )
    elif whole.more:
        return answer
    naming = Naming(
        frozenset(chosen_lines), lambda run: urls.question(asked.name, names, options, lines=_turned(chosen_lines, run))
    )
    return with_chart(request, answer, partial(_chart, asked, names, whole, how.said if how else "", naming))


def _pages(
    asked: Question, names: Sequence[str], options: Mapping[str, str], wings: Mapping[str, Any] | None
) -> dict[str, Any] | None:
    """Of many guesses the range that is shown, and the addresses of those before and after them; None of few."""
    if wings is None or wings["every"] <= butterfly.MOST_GUESSES:
        return None
    start, most = wings["start"], butterfly.MOST_GUESSES
    last = start + len(wings["lines"])
    places = {
        "earlier": max(0, start - most) if start else None,
        "later": last if last < wings["every"] else None,
    }
    turned = {
        name: None if place is None else urls.question(asked.name, names, options, **{"from": place})
        for name, place in places.items()
    }
    return {"range": (start + 1, last), "every": wings["every"], **turned}


def _sorting(asked: Question, names: Sequence[str], options: Mapping[str, str], column: PageColumn) -> dict[str, str]:
    """Where the head of an answer's column leads, and how the answer is sorted by it now."""
    how = controls.sorting(column, options.get("sort", ""))
    url = urls.question(asked.name, names, {**options, "sort": how["sorting"]})
    return {"sort": url, "direction": how["direction"]}


def _turned(chosen: Sequence[str], run: str) -> list[str]:
    """The chosen lines with one more, or without it if it was among them."""
    return [name for name in chosen if name != run] if run in chosen else [*chosen, run]


def title(name: str) -> str:
    """A question's name as a heading: errors-by-guess is Errors by guess."""
    words = name.replace("-", " ").replace("_", " ")
    return words[:1].upper() + words[1:]


def _is(asked: Question, how: str) -> bool:
    return asked.drawn is not None and asked.drawn[0] == how


def _data(reply: Reply) -> dict[str, Any]:
    """The answer as JSON."""
    return {
        "columns": list(reply.columns),
        "rows": records(reply.columns, reply.rows),
        "sql": reply.sql,
        "notes": list(reply.remarks),
        "more": reply.more,
        "reports": [report.as_dict() for report in reply.reports],
    }


def _swapped(asked: Question, names: Sequence[str], options: Mapping[str, str]) -> str | None:
    """The address of the same question with its two tables the other way round."""
    return urls.question(asked.name, names[::-1], options) if len(names) == 2 else None


def _chart(asked: Question, names: Sequence[str], reply: Reply, said: str, naming: Naming) -> str:
    """The chart of an answer, each mark leading to its rows; nothing where it has none."""
    answer = Answer(reply.columns, (), reply.rows, asked.drawn, reply.order, reply.classes)
    led = partial(_examples_where, names)
    made = charts.chart(answer, urls.table, led, said, naming)
    return charts.svg(made) if made is not None else ""


def _examples_where(names: Sequence[str], where: str) -> str:
    return urls.question("dynamics", names, {"where": where})


def _listed(page_site: Site, name: str) -> dict[str, Any]:
    try:
        asked = questions.find(page_site.store, name)
        return {"name": name, "help": asked.help, "url": urls.question(name), "fault": None}
    except SecondguessError as fault:
        return {"name": name, "help": "", "url": "", "fault": str(fault)}


def _answered(
    page_site: Site, asked: Question, reply: Reply, entries: Mapping[str, Epoch], drawing: Drawing
) -> dict[str, Any]:
    hidden = (
        {"examples", "run", "epoch", *(["step"] if _has_steps(reply) else [])} if reply.sides > 1 else {"examples"}
    )  # said in the heading, or for joins only
    columns = [
        column for column in shown(reply.columns, reply.types, reply.sides, reply.classes) if column.title not in hidden
    ]
    if _is(asked, "strip") and asked.drawn is not None:
        how = dict(zip(asked.drawn[1], ("sequence", "scores"), strict=True))
        columns = [replace(each, kind=how.get(each.title, each.kind)) for each in columns]
    scores = sum(column.kind == "score" for column in columns)
    if scores > _MOST_SCORES:
        columns = [column for column in columns if column.kind != "score"]
    squares = confusion.matrices(asked, reply, drawing.fold, drawing.folded)
    wings = butterfly.butterfly(asked, reply, drawing.start)
    plain = not squares and wings is None
    return {
        "reply": reply,
        "columns": [{"shown": column} for column in columns],
        "rows": cells.rows(columns, reply.columns, reply.rows, page_site.images, 0, verdicts=reply.verdicts)
        if plain
        else [],
        "left_scores": scores if scores > _MOST_SCORES else 0,
        "sql": sql_of(reply),
        "matrices": squares,
        "tied": [confusion.tied(matrix["mistakes"]) for matrix in squares],
        "butterfly": wings,
        "chart": plain,  # the others are charts themselves
        "row_sides": row_sides(reply.columns, reply.rows, reply.order, by_run=asked.epochs == "all") if plain else [],
        "row_urls": _row_urls(reply) if plain else [],
        "pictures": _pictures(reply) if plain and "id" in reply.columns else [],
        "examples": _examples(reply, entries),
    }


def _has_steps(reply: Reply) -> bool:
    return any(moment.step is not None for _, moment in reply.order)


def _row_urls(reply: Reply) -> list[str]:
    """For each row about a table's epoch, not an example, the address of that table; [] where rows are neither."""
    if not {"run", "epoch"} <= set(reply.columns) or "id" in reply.columns:
        return []
    there, known = set(reply.order), tables_in(reply.columns, reply.rows, reply.order)
    return [
        urls.table(TableView((at_epoch(name, number),))) if (name, number) in there else "" for name, number in known
    ]


def _pictures(reply: Reply) -> list[dict[str, Any]]:
    """For each row about an example its table and id, from which its image is found; [] where rows do not say."""
    rows = records(reply.columns, reply.rows)
    tables = [at_epoch(run, epoch) for run, epoch in dict.fromkeys(reply.order)]
    owners = (
        [(at_epoch(*table),) for table in tables_in(reply.columns, reply.rows, reply.order)]
        if ({"run", "epoch"} <= set(reply.columns))
        else [tuple(tables)] * len(rows)
    )
    parts = []
    for row, own in zip(rows, owners, strict=True):
        if row["id"] is None or not set(own) <= set(tables):
            return []
        view = TableView(own, "inner" if len(own) > 1 else None, where=(is_value("id", row["id"]),))
        parts.append({"table": own[0], "ids": [row["id"]], "images": [], "view": view, "url": urls.example(view, 0)})
    return parts


def _examples(reply: Reply, entries: Mapping[str, Epoch]) -> int | None:
    """The number of rows of each table asked about, where it is the same of all."""
    named = [entries.get(at_epoch(run, epoch)) for run, epoch in reply.order]
    counts = {entry.rows if entry is not None else None for entry in named}
    return counts.pop() if len(counts) == 1 else None


async def _illustrated(request: Request, page_site: Site, context: Mapping[str, Any], asking: Asking) -> None:
    """Look up the images that a drawing shows."""
    if context["butterfly"] is not None:
        parts = [part for line in context["butterfly"]["lines"] for part in line["parts"]]
        await add_images(request, page_site, asking, parts)
    if context["pictures"]:
        await add_images(request, page_site, asking, context["pictures"])
    if context["matrices"]:
        await add_mistakes(request, page_site, asking, context["matrices"])
