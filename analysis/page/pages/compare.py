"""Two tables compared: the verdict first, then what changed, the images that broke and were fixed, classes, seeds."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from secondguess.analysis.answers import comparison as said
from secondguess.analysis.answers.answer import records
from secondguess.analysis.answers.classes import label_text
from secondguess.analysis.ask.refs import Runs
from secondguess.analysis.engine.sqltext import is_value
from secondguess.analysis.errors import BadInput, SecondguessError
from secondguess.analysis.evidence.ledger import Comparison, Group, Pair
from secondguess.analysis.page import urls
from secondguess.analysis.page.bounds import few_tables, listed
from secondguess.analysis.page.pages import named
from secondguess.analysis.page.pages.images import Asking, add_images
from secondguess.analysis.page.site import Site, drawn, site, sql_of, status_of
from secondguess.analysis.schema import reference
from secondguess.analysis.store.runs import list_runs
from secondguess.analysis.tables.view import TableView

_IMAGES = 18
_MOST = 20  # classes, and pairs of classes
_WIDE = 480  # pixels of the areas, and of the interval
_LEAST = 6  # pixels of an area that is not empty
_BAR = 80  # pixels of the most that changed in a class, to one side
_WAYS: Mapping[str, tuple[str, str]] = {"broken": ("NOT wrong_a", "wrong_b"), "fixed": ("wrong_a", "NOT wrong_b")}
_BOTH = ("wrong_a", "wrong_b")
_AREAS = (
    ("broken", "broken", _WAYS["broken"]),
    ("fixed", "fixed", _WAYS["fixed"]),
    ("both_wrong_same", "wrong twice, one guess", (*_BOTH, "guess_a IS NOT DISTINCT FROM guess_b")),
    ("both_wrong_other", "wrong twice, two guesses", (*_BOTH, "guess_a IS DISTINCT FROM guess_b")),
)


async def page(request: Request) -> Response:
    """The comparison of the two tables that the address names; without them, their form."""
    page_site = site(request)
    names = tuple(text for text in request.query_params.getlist("t") if text.strip())
    floor = request.query_params.get("floor", "").strip()
    few_tables(names)
    runs = list_runs(page_site.store)
    menu, more_tables = listed([reference(run.name, table) for run in runs.values() for table in run.tables])
    context: dict[str, Any] = {"title": "Compare", "here": "", "refs": names, "floor": floor, "tables": menu}
    context |= {"more_tables": more_tables, "steps": [], "swapped": None}
    if len(names) > 2:
        raise BadInput(f"two tables are compared here, not {len(names)}; secondguess compare takes more")
    if len(names) < 2:
        return drawn(request, "compare.html", context, {"tables": menu})
    tables = [named.chosen(runs, text, "last") for text in names]
    context["steps"] = named.steps(tables, names, lambda others: urls.compare(others, floor))
    context["swapped"] = urls.compare(names[::-1], floor)
    try:
        reply = await page_site.ask(request, "compare", refs=names, options={"floor": floor})
    except SecondguessError as fault:
        return drawn(request, "compare.html", {**context, "error": fault}, {"error": str(fault)}, status_of(fault))
    made = reply.comparison
    if made is None:
        raise TypeError("a comparison was asked for, and the reply has none")
    if request.url.path.endswith(".json"):
        return drawn(request, "compare.html", {}, made.as_dict())
    asking = Asking(runs, named.entries(runs, tables))
    strips = await asyncio.gather(*(_strip(request, page_site, made, how, runs) for how in ("broken", "fixed")))
    await add_images(request, page_site, asking, [part for strip in strips for part in strip["parts"]])
    context |= {"title": f"{made.a} and {made.b}", "reply": reply, "sql": sql_of(reply), "strips": strips}
    context |= {"notes": [*reply.notes, *dict.fromkeys(asking.notes)], **_drawing(made)}
    return drawn(request, "compare.html", context, {})


def _drawing(made: Comparison) -> dict[str, Any]:
    """What the page shows of a comparison, as words, numbers, pixels and addresses."""
    verdict, *lines = said.lines(made)
    classes = sorted(made.classes, key=lambda group: -abs(group.counts.fixed - group.counts.broken))
    changed = [pair for pair in made.pairs if pair.errors_a != pair.errors_b]
    return {
        "made": made,
        "verdict": verdict,
        "lines": lines,
        "square": _square(made),
        "areas": _areas(made),
        "interval": _interval(made),
        "classes": _classes(made, classes[:_MOST]),
        "more_classes": max(0, len(classes) - _MOST),
        "pairs": [_pair(made, pair) for pair in changed[:_MOST]],
        "more_pairs": max(0, len(changed) - _MOST),
    }


def _view(made: Comparison, *where: str, sort: Sequence[str] = ()) -> TableView:
    """The rows of both tables that a number counts."""
    alike = ("truth_a = truth_b",) if made.excluded.get("truths_differ") else ()
    return TableView((made.a, made.b), "inner", where=(*where, *alike), sort=tuple(sort))


def _square(made: Comparison) -> dict[str, Any]:
    """The counts of both right, broken, fixed and both wrong, each with its rows."""
    counts = made.counts
    both_wrong = counts.both_wrong_same + counts.both_wrong_other
    return {
        "both_right": (counts.both_right, urls.table(_view(made, "NOT wrong_a", "NOT wrong_b"))),
        "broken": (counts.broken, urls.table(_view(made, *_WAYS["broken"]))),
        "fixed": (counts.fixed, urls.table(_view(made, *_WAYS["fixed"]))),
        "both_wrong": (both_wrong, urls.table(_view(made, *_BOTH))),
        "right_a": counts.n - counts.errors_a,
        "right_b": counts.n - counts.errors_b,
    }


def _areas(made: Comparison) -> list[dict[str, Any]]:
    """What is wrong in one of the tables or both, as areas beside each other that lead to their rows."""
    counts = vars(made.counts)
    there = [(name, text, where) for name, text, where in _AREAS if counts[name]]
    total = sum(counts[name] for name, _, _ in there)
    spare = _WIDE - _LEAST * len(there)
    areas, x = [], 0.0
    for name, text, where in there:
        width = _LEAST + spare * counts[name] / total
        url = urls.table(_view(made, *where))
        areas.append({"name": name, "text": text, "count": counts[name], "x": x, "width": width - 1, "url": url})
        x += width
    return areas


def _interval(made: Comparison) -> dict[str, Any]:
    """The difference with its interval on an axis of points, and what is too small to be told."""
    low, high = made.interval
    told = made.detectable or 0.0
    reach = 1.15 * max(abs(low), abs(high), told, 1e-6)

    def place(share: float) -> float:
        return round(_WIDE / 2 * (1 + share / reach), 1)

    return {
        "width": _WIDE,
        "low": place(low),
        "high": place(high),
        "middle": place(made.counts.difference),
        "zero": _WIDE / 2,
        "told": (place(-told), place(told)) if told else None,
        "ends": [f"{100 * share:+.2g}" for share in (-reach, reach)],
        "text": said.signed(made, made.level),
    }


def _classes(made: Comparison, groups: Sequence[Group]) -> list[dict[str, Any]]:
    most = max((max(group.counts.fixed, group.counts.broken) for group in groups), default=0) or 1
    rows = []
    for group in groups:
        of_class = is_value("truth_a", group.value)
        counts = group.counts
        ways = {
            how: {
                "count": getattr(counts, how),
                "url": urls.table(_view(made, of_class, *where)),
                "width": round(_BAR * getattr(counts, how) / most, 1),
            }
            for how, where in _WAYS.items()
        }
        rows.append(
            {
                "name": label_text(group.value),
                "url": urls.table(_view(made, of_class)),
                "n": counts.n,
                "errors": (counts.errors_a, counts.errors_b),
                **ways,
                "net": counts.errors_b - counts.errors_a,
                "p": group.p_holm,
                "told": group.verdict != "cannot_tell",
            }
        )
    return rows


def _pair(made: Comparison, pair: Pair) -> dict[str, Any]:
    """A truth with the class it was taken for, and how often that is in each table: the confusion's difference."""
    of_class = is_value("truth_a", pair.truth)
    sides = []
    for letter, count in (("a", pair.errors_a), ("b", pair.errors_b)):
        guessed = is_value(f"guess_{letter}", pair.guess)
        sides.append((count, urls.table(_view(made, of_class, guessed))))
    return {
        "truth": label_text(pair.truth),
        "guess": "none" if pair.guess is None else label_text(pair.guess),
        "sides": sides,
        "net": pair.errors_b - pair.errors_a,
    }


async def _strip(request: Request, page_site: Site, made: Comparison, how: str, runs: Runs) -> dict[str, Any]:
    """Examples that broke or were fixed, the most confident mistakes first, each with both guesses."""
    letter = "b" if how == "broken" else "a"
    sort = (f"-confidence_{letter}", "id")
    view = _view(made, *_WAYS[how], sort=sort)
    options = {"only": how, "sort": ", ".join(sort)}
    strip = {"how": how, "count": getattr(made.counts, how), "url": urls.table(view), "parts": [], "of": letter}
    if not strip["count"]:
        return strip
    try:
        reply = await page_site.ask(
            request, "question", "ledger", refs=(made.a, made.b), options=options, most=_IMAGES, runs=runs
        )
    except SecondguessError:  # the numbers stay
        return strip
    rows = records(reply.columns, reply.rows)
    strip["parts"] = [
        {
            "table": made.a,
            "ids": [row["id"]],
            "images": [],
            "view": view,
            "id": row["id"],
            "url": urls.example(view, place),
            "labels": [(label_text(row.get(f"guess_{one}")), one, one == letter) for one in "ab"],
        }
        for place, row in enumerate(rows)
    ]
    return strip
