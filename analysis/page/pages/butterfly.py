"""Errors by guess: a row per guess, and of each table how many, what was true instead, and the surest of them."""

from collections.abc import Mapping, Sequence
from typing import Any

from secondguess.analysis.answers.answer import TableAt, records, tables_in
from secondguess.analysis.answers.classes import heads, label_text, ordered
from secondguess.analysis.answers.sides import side
from secondguess.analysis.ask.questions import Question
from secondguess.analysis.engine.sqltext import is_value
from secondguess.analysis.page import urls
from secondguess.analysis.schema import WRONG, at_epoch
from secondguess.analysis.serving.worker import Reply
from secondguess.analysis.tables.view import TableView

IMAGES = 8  # of each guess
MOST_GUESSES = 50  # that are drawn at once; the totals count all
_MOST_BARS = 12  # classes that have a bar each
_LONGEST_HEAD = 2  # letters under a bar
_STEP, _HIGH = 14, 40  # pixels from bar to bar, and of the largest
_WIDE = 64  # pixels of the most errors


def butterfly(asked: Question, reply: Reply, start: int = 0) -> dict[str, Any] | None:
    """Of errors by guess: the tables next to each other, all bars of a kind on one scale; None for other answers.

    Of many guesses those from a place on, the ones with most errors first.
    """
    if asked.drawn is None or asked.drawn[0] != "beside" or not {"errors", "truths"} <= set(reply.columns):
        return None
    rows = records(reply.columns, reply.rows)
    order = list(dict.fromkeys(reply.order))
    key = asked.drawn[1][0]
    of_tables = zip(tables_in(reply.columns, reply.rows, reply.order), rows, strict=True)
    by_guess = {(table, row[key]): row for table, row in of_tables}
    guesses: Sequence[Any] = ordered((row[key] for row in rows), reply.classes)
    every = len(guesses)
    guesses = _most_wrong(guesses, by_guess, start)
    truths = ordered({*(truth for row in rows for truth in row["truths"] or {}), *guesses} - {None}, reply.classes)
    scale = {
        "errors": max((row["errors"] for row in rows), default=1),
        "truths": max((count for row in rows for count in (row["truths"] or {}).values()), default=1),
    }
    short, listed = heads(truths, _LONGEST_HEAD)
    bars = list(zip(truths, short, strict=True)) if len(truths) <= _MOST_BARS else []
    lines = []
    for guess in guesses:
        parts = [_part(table, place, key, guess, by_guess.get((table, guess))) for place, table in enumerate(order)]
        for part in parts:
            _scaled(part, guess, bars, scale)
        lines.append({"label": label_text(guess), "parts": parts})
    return {
        "key": key,
        "tables": [(at_epoch(run, epoch), side(place)) for place, (run, epoch) in enumerate(order)],
        "totals": [sum(row["errors"] for (table, _), row in by_guess.items() if table == each) for each in order],
        "lines": lines,
        "every": every,
        "start": start,
        "most": scale["truths"],
        "most_errors": scale["errors"],
        "listed": listed if bars else [],
        "named": any(len(label_text(guess)) > _LONGEST_HEAD for guess in guesses),
        "wide": _STEP * len(bars),
    }


def _most_wrong(
    guesses: Sequence[Any], by_guess: Mapping[tuple[TableAt, Any], Mapping[str, Any]], start: int
) -> Sequence[Any]:
    """All guesses in their order, or of many some from a place on, those with most errors in all tables first."""
    if len(guesses) <= MOST_GUESSES:
        return guesses
    errors = dict.fromkeys(guesses, 0)
    for (_, guess), row in by_guess.items():
        errors[guess] += row["errors"]
    return sorted(guesses, key=lambda guess: -errors[guess])[start : start + MOST_GUESSES]


def _part(table: TableAt, place: int, key: str, guess: Any, row: Mapping[str, Any] | None) -> dict[str, Any]:
    """What one table has of one guess."""
    name = at_epoch(*table)
    view = TableView((name,), where=(is_value(key, guess), WRONG), sort=("-confidence", "id"))
    return {
        "table": name,
        "side": side(place),
        "errors": row["errors"] if row else 0,
        "truths": dict(row["truths"] or {}) if row else {},
        "ids": list(row.get("ids") or ()) if row else [],
        "images": [],
        "view": view,
        "url": urls.table(view) if row else "",
    }


def _scaled(part: dict[str, Any], guess: Any, bars: Sequence[tuple[Any, str]], scale: Mapping[str, int]) -> None:
    """Give a part its bars: of all errors, and of each true label; with many classes the labels in words."""
    truths = part["truths"]
    part["width"] = round(part["errors"] / scale["errors"] * _WIDE, 1)
    largest = max(truths.values(), default=0)
    part["bars"] = [
        {
            "x": place * _STEP,
            "head": "·" if label == guess else head,
            "name": label_text(label),
            "count": truths.get(label, 0),
            "height": round(truths.get(label, 0) / scale["truths"] * _HIGH, 1),
            "most": bool(largest) and truths.get(label, 0) == largest,
            "url": urls.table(TableView((part["table"],), where=(*part["view"].where[:1], is_value("truth", label)))),
        }
        for place, (label, head) in enumerate(bars)
    ]
    words = sorted(truths.items(), key=lambda item: (-item[1], label_text(item[0])))
    part["said"] = ", ".join(f"{label_text(label)}: {count:,}" for label, count in words)
    part["words"] = [(label_text(label), count) for label, count in words[:4]]
    part["more_words"] = max(0, len(words) - 4)
