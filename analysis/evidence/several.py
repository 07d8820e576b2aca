"""Comparisons as people ask for them: tables by reference or pattern, in pairs, with the floor of their seeds."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from secondguess.analysis.ask.patterns import expanded
from secondguess.analysis.errors import BadInput, listing
from secondguess.analysis.evidence import ledger, recipes
from secondguess.analysis.evidence.ledger import Comparison, Run
from secondguess.analysis.evidence.recipes import Recipes
from secondguess.analysis.schema import LETTERS, LEVEL
from secondguess.analysis.store.runs import list_runs


def compared(
    run: Run,
    store: Path,
    tables: Sequence[str],
    *,
    by: str | None = None,
    level: float = LEVEL,
    floor: Sequence[str] = (),
) -> list[Comparison]:
    """Each pair of the tables compared, in the order named; raises BadInput for fewer than two, or more than 25."""
    runs = list_runs(store)
    named = expanded(runs, tables)
    if not 2 <= len(named) <= len(LETTERS):
        raise BadInput(f"two tables or more are compared, {len(LETTERS)} at most, not {len(named)}: {listing(named)}")
    made = ledger.compare_all(run, store, named, runs, by=by, level=level)
    if not floor:
        return made
    between = ledger.floor(run, store, expanded(runs, floor), runs)
    return [replace(one, floor=between) for one in made]


def of_recipes(
    run: Run, store: Path, first: Sequence[str], second: Sequence[str], *, level: float = LEVEL
) -> Recipes | Comparison:
    """Two recipes compared, each by its runs; where each has one, these two tables, with a note of what that lacks."""
    runs = list_runs(store)
    runs_a, runs_b = (expanded(runs, side) for side in (first, second))
    if len(runs_a) == len(runs_b) == 1:
        one = ledger.compare(run, store, runs_a[0], runs_b[0], level=level, known=runs)
        return replace(one, notes=(*one.notes, recipes.ONE_RUN))
    return recipes.compare(run, store, runs_a, runs_b, runs, level=level)
