"""What two tables take for what, as one matrix of differences: how much more often the second one does it."""

from collections.abc import Callable
from typing import Any

from secondguess.analysis.answers.classes import heads, label_text, ordered
from secondguess.analysis.engine.sqltext import is_value
from secondguess.analysis.evidence.ledger import Comparison, Pair, most_changed

Rows = Callable[..., str]
"""From conditions on the joined rows to the address of those, or to nothing."""

MOST_CLASSES = 20
_LONGEST_HEAD = 4  # letters above a column
_SHADES = 6


def matrix(made: Comparison, rows: Rows) -> dict[str, Any] | None:
    """Truth by guess, in each cell the second table's count minus the first one's; None where no guess has a class.

    On the diagonal are the right guesses, so that each row sums to 0. Of many classes those with the largest changes.
    """
    pairs = {(pair.truth, pair.guess): pair for pair in made.pairs}
    if not pairs:
        return None
    changes = {place: abs(pair.errors_b - pair.errors_a) for place, pair in pairs.items()}
    labels = ordered([*(group.value for group in made.classes), *(label for place in pairs for label in place)], ())
    kept = most_changed(made, labels, MOST_CLASSES)
    right = {group.value: group.counts.errors_a - group.counts.errors_b for group in made.classes}
    truths = [label for label in kept if label in right]
    short, listed = heads(kept, _LONGEST_HEAD)
    short_of = dict(zip(kept, short, strict=True))
    most = max(changes.values())
    left = sum(change for place, change in changes.items() if not {*place} <= {*kept})
    return {
        "heads": [(short_of[label], label_text(label)) for label in kept],
        "listed": listed,
        "lines": [
            {
                "label": short_of[truth],
                "name": label_text(truth),
                "cells": [_cell(truth, guess, pairs.get((truth, guess)), right[truth], most, rows) for guess in kept],
            }
            for truth in truths
        ],
        "classes": len(labels),
        "left": len(labels) - len(kept),
        "changed": sum(changes.values()),
        "changed_left": left,
    }


def _cell(truth: Any, guess: Any, pair: Pair | None, right: int, most: int, rows: Rows) -> dict[str, Any]:
    """One cell: the change, signed, whose excess it is, and where its rows are."""
    of_class, diagonal = is_value("truth_a", truth), truth == guess
    if diagonal:
        counts, change = None, right
        where = (of_class, "wrong_a <> wrong_b")
    else:
        counts = (0, 0) if pair is None else (pair.errors_a, pair.errors_b)
        change = counts[1] - counts[0]
        where = (of_class, f"({is_value('guess_a', guess)} OR {is_value('guess_b', guess)})")
    there = change != 0 or (counts is not None and any(counts))
    names = f"truth {label_text(truth)}, guess {label_text(guess)}"
    told = f": {counts[0]:,} and {counts[1]:,}" if counts is not None else ", right"
    return {
        "text": f"{change:+,}".replace("-", "−") if change else "0",
        "url": rows(*where) if there else "",
        "there": there,
        "right": diagonal,
        "side": "" if not change else "b" if change > 0 else "a",
        "shade": 0 if diagonal or not most else -(-abs(change) * _SHADES // most),
        "title": f"{names}{told}",
    }
