"""A comparison of two tables as a picture: what the page draws with links, and a report without."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from secondguess.analysis.answers.classes import label_text
from secondguess.analysis.answers.comparison import lines, signed
from secondguess.analysis.answers.confusion_change import matrix
from secondguess.analysis.engine.sqltext import is_value
from secondguess.analysis.evidence.ledger import Comparison, Group, Pair
from secondguess.analysis.tables.view import TableView

Link = Callable[[TableView], str]
"""From the view of the rows that a number counts to its address, or to nothing."""

IMAGES = 18  # of what broke, and of what was fixed
_MOST = 20  # classes, and pairs of classes
_WIDE = 480  # pixels of the areas, and of the interval
_LEAST = 6  # pixels of an area that is not empty
_BAR = 80  # pixels of the most that changed in a class, to one side
WAYS: Mapping[str, tuple[str, str]] = {"broken": ("NOT wrong_a", "wrong_b"), "fixed": ("wrong_a", "NOT wrong_b")}
_BOTH = ("wrong_a", "wrong_b")
_AREAS = (
    ("broken", "broken", WAYS["broken"]),
    ("fixed", "fixed", WAYS["fixed"]),
    ("both_wrong_same", "wrong twice, one guess", (*_BOTH, "guess_a IS NOT DISTINCT FROM guess_b")),
    ("both_wrong_other", "wrong twice, two guesses", (*_BOTH, "guess_a IS DISTINCT FROM guess_b")),
)


def drawing(made: Comparison, link: Link) -> dict[str, Any]:
    """What is shown of a comparison, as words, numbers, pixels and, where link gives a view one, addresses."""
    verdict, *said = lines(made)
    classes = sorted(made.classes, key=lambda group: -abs(group.counts.fixed - group.counts.broken))
    changed = [pair for pair in made.pairs if pair.errors_a != pair.errors_b]
    return {
        "made": made,
        "verdict": verdict,
        "lines": said,
        "square": _square(made, link),
        "areas": _areas(made, link),
        "interval": _interval(made),
        "classes": _classes(made, classes[:_MOST], link),
        "more_classes": max(0, len(classes) - _MOST),
        "matrix": matrix(made, lambda *where: link(view_of(made, *where))),
        "pairs": [_pair(made, pair, link) for pair in changed[:_MOST]],
        "more_pairs": max(0, len(changed) - _MOST),
    }


def view_of(made: Comparison, *where: str, sort: Sequence[str] = ()) -> TableView:
    """The rows of both tables that a number counts."""
    alike = ("truth_a = truth_b",) if made.excluded.get("truths_differ") else ()
    return TableView((made.a, made.b), "inner", where=(*where, *alike), sort=tuple(sort))


def _square(made: Comparison, link: Link) -> dict[str, Any]:
    """The counts of both right, broken, fixed and both wrong, each with its rows."""
    counts = made.counts
    both_wrong = counts.both_wrong_same + counts.both_wrong_other
    return {
        "both_right": (counts.both_right, link(view_of(made, "NOT wrong_a", "NOT wrong_b"))),
        "broken": (counts.broken, link(view_of(made, *WAYS["broken"]))),
        "fixed": (counts.fixed, link(view_of(made, *WAYS["fixed"]))),
        "both_wrong": (both_wrong, link(view_of(made, *_BOTH))),
        "right_a": counts.n - counts.errors_a,
        "right_b": counts.n - counts.errors_b,
    }


def _areas(made: Comparison, link: Link) -> list[dict[str, Any]]:
    """What is wrong in one of the tables or both, as areas beside each other that lead to their rows."""
    counts = vars(made.counts)
    there = [(name, text, where) for name, text, where in _AREAS if counts[name]]
    total = sum(counts[name] for name, _, _ in there)
    spare = _WIDE - _LEAST * len(there)
    areas, x = [], 0.0
    for name, text, where in there:
        width = _LEAST + spare * counts[name] / total
        url = link(view_of(made, *where))
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
        "text": signed(made, made.level),
    }


def _classes(made: Comparison, groups: Sequence[Group], link: Link) -> list[dict[str, Any]]:
    most = max((max(group.counts.fixed, group.counts.broken) for group in groups), default=0) or 1
    rows = []
    for group in groups:
        of_class = is_value("truth_a", group.value)
        counts = group.counts
        ways = {
            how: {
                "count": getattr(counts, how),
                "url": link(view_of(made, of_class, *where)),
                "width": round(_BAR * getattr(counts, how) / most, 1),
            }
            for how, where in WAYS.items()
        }
        rows.append(
            {
                "name": label_text(group.value),
                "url": link(view_of(made, of_class)),
                "n": counts.n,
                "errors": (counts.errors_a, counts.errors_b),
                **ways,
                "net": counts.errors_b - counts.errors_a,
                "p": group.p_holm,
                "told": group.verdict != "cannot_tell",
            }
        )
    return rows


def _pair(made: Comparison, pair: Pair, link: Link) -> dict[str, Any]:
    """A truth with the class it was taken for, and how often that is in each table: the confusion's difference."""
    of_class = is_value("truth_a", pair.truth)
    sides = []
    for letter, count in (("a", pair.errors_a), ("b", pair.errors_b)):
        guessed = is_value(f"guess_{letter}", pair.guess)
        sides.append((count, link(view_of(made, of_class, guessed))))
    return {
        "truth": label_text(pair.truth),
        "guess": "none" if pair.guess is None else label_text(pair.guess),
        "sides": sides,
        "net": pair.errors_b - pair.errors_a,
    }


def strip(made: Comparison, how: str, rows: Sequence[Mapping[str, Any]], link: Link) -> dict[str, Any]:
    """Examples that broke or were fixed, (id, guess_a, guess_b) and whatever else draws them, with both guesses."""
    letter = "b" if how == "broken" else "a"
    parts = [
        {**row, "labels": [(label_text(row.get(f"guess_{one}")), one, one == letter) for one in "ab"]} for row in rows
    ]
    return {
        "how": how,
        "count": getattr(made.counts, how),
        "of": letter,
        "url": link(surest(made, how)),
        "parts": parts,
    }


def surest(made: Comparison, how: str) -> TableView:
    """The rows that broke or were fixed, the most confident mistakes first."""
    return view_of(made, *WAYS[how], sort=(f"-confidence_{'b' if how == 'broken' else 'a'}", "id"))
