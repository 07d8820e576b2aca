"""Two recipes, each trained several times: whether one errs less whatever the seed, from runs x examples."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from scipy.special import nctdtrinc, ndtr, stdtrit

from secondguess.analysis.ask import questions, refs, statements
from secondguess.analysis.ask.scope import run_names
from secondguess.analysis.engine.sqltext import literal
from secondguess.analysis.errors import BadInput, listing
from secondguess.analysis.evidence.ledger import Run
from secondguess.analysis.evidence.paired import Interval, Verdict
from secondguess.analysis.schema import LEVEL, at_epoch

ONE_RUN = "one run a side: this interval does not contain the seed"
_RIGHT = """-- Which of the runs have an example right, as a text of 0 and 1 in their order
-- tables: 2..n
-- ids: unique
WITH named AS (
  SELECT list_position({names}, concat(run, '@', epoch, ':' || at_step)) AS place, id, truth, wrong
  FROM predictions
),
by_example AS (
  SELECT
    id,
    count(wrong) AS labelled,
    min(truth) = max(truth) OR count(truth) = 0 AS agreed,
    string_agg(CASE WHEN wrong THEN '0' ELSE '1' END, '' ORDER BY place) AS pattern
  FROM named
  GROUP BY id
)
SELECT
  CASE WHEN labelled < {count} THEN 'not labelled in all' WHEN NOT agreed THEN 'truths differ' END AS left_out,
  CASE WHEN labelled = {count} AND agreed THEN pattern END AS pattern,
  count(*) AS examples
FROM by_example
GROUP BY ALL
ORDER BY ALL"""


@dataclass(frozen=True)
class Estimate:
    """The difference of two recipes' accuracies, b - a, with the variances of its two sources of chance.

    degrees are Satterthwaite's, of the interval's t. seed_share is the share of the difference's variance that is the
    seed's, None where there is none of either. superior is the chance that a fresh run of b is more accurate than a
    fresh one of a on these examples, with its interval; None where no two runs of a recipe differ.
    """

    accuracy_a: float
    accuracy_b: float
    interval: Interval
    degrees: float
    seed_share: float | None
    superior: float | None
    superior_interval: Interval

    @property
    def difference(self) -> float:
        """accuracy_b - accuracy_a."""
        return self.accuracy_b - self.accuracy_a


@dataclass(frozen=True)
class Recipes:
    """Two sets of runs compared on the examples that all have, labelled alike."""

    runs_a: tuple[str, ...]
    runs_b: tuple[str, ...]
    n: int
    estimate: Estimate
    level: float = LEVEL
    excluded: Mapping[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    sql: str = ""

    @property
    def seeded(self) -> bool:
        """Whether both recipes were trained more than once, so that the interval contains the seed."""
        return min(len(self.runs_a), len(self.runs_b)) > 1

    @property
    def verdict(self) -> Verdict:
        """Which recipe errs less: said where the interval excludes 0, and nowhere else."""
        low, high = self.estimate.interval
        return "cannot_tell" if low <= 0 <= high else "b_better" if low > 0 else "a_better"

    @property
    def in_words(self) -> str:
        """The verdict as a sentence."""
        first, second = listing(self.runs_a, 3), listing(self.runs_b, 3)
        if self.verdict == "cannot_tell":
            return f"these {self.n:,} examples and these runs cannot tell {first} and {second} apart"
        less, more = (second, first) if self.verdict == "b_better" else (first, second)
        return f"{less}: err less than {more}"

    def as_dict(self) -> dict[str, Any]:
        """The comparison as plain values: what `--format json` writes."""
        made = self.estimate
        return {
            "runs_a": list(self.runs_a),
            "runs_b": list(self.runs_b),
            "n": self.n,
            "accuracy_a": made.accuracy_a,
            "accuracy_b": made.accuracy_b,
            "difference": made.difference,
            "interval": list(made.interval),
            "level": self.level,
            "degrees": made.degrees,
            "p_superior": made.superior,
            "p_superior_interval": list(made.superior_interval),
            "seed_share": made.seed_share,
            "verdict": self.verdict,
            "excluded": dict(self.excluded),
            "notes": list(self.notes),
        }


def estimate(right: Any, first: int, examples: Any = None, level: float = LEVEL) -> Estimate:
    """Estimate the difference of two recipes from which of their runs have which example right.

    right is N x R of 0 and 1, the first columns being the runs of a; examples, N, says how many examples each row is,
    one where it is left out. Runs and examples are both drawn by chance, runs within a recipe, examples the same for
    all: of the mean squares of runs, of examples (paired: of the difference of the recipes' means) and of what is left
    the variance of the difference is put together (Searle, Casella and McCulloch 1992, Variance components, chapter 4),
    with Satterthwaite's degrees of freedom (1946) and a t interval. Of one run a side, no seed is in it.
    """
    right = np.asarray(right, float)
    counts = np.ones(len(right)) if examples is None else np.asarray(examples, float)
    n = float(counts.sum())
    sides = (right[:, :first], right[:, first:])
    means = [counts @ side.mean(1) / n for side in sides]
    change = sides[1].mean(1) - sides[0].mean(1)
    squares = [(_square(counts, change) / n, n - 1)]
    seed, left, spread = 0.0, 0.0, []
    for side in sides if min(side.shape[1] for side in sides) > 1 else ():
        runs = side.shape[1]
        accuracies = counts @ side / n
        between = float(np.var(accuracies, ddof=1))
        residual = side - side.mean(1, keepdims=True) - accuracies + accuracies.mean()
        rest = float(counts @ (residual**2).sum(1)) / max((n - 1) * (runs - 1), 1)
        squares += [(between / runs, runs - 1), (-rest / (n * runs), (n - 1) * (runs - 1))]
        seed += max(0.0, between - rest / n) / runs
        left += rest / (n * runs)
        spread.append((between, runs))
    variance = sum(value for value, _ in squares)
    # Half of what it has in it whatever the others are: the floor with which simulated worlds are covered best.
    variance = max(variance, left / 2)
    error = math.sqrt(variance)
    degrees = variance**2 / sum(value**2 / max(df, 1) for value, df in squares) if variance else math.inf
    reach = float(stdtrit(degrees, 0.5 + level / 2)) * error if variance else 0.0
    difference = means[1] - means[0]
    chance, bounds = _superior(difference, spread, level)
    return Estimate(
        float(means[0]),
        float(means[1]),
        (max(-1.0, float(difference - reach)), min(1.0, float(difference + reach))),
        float(degrees),
        seed / variance if variance else None,
        chance,
        bounds,
    )


def _square(counts: Any, values: Any) -> float:
    """The variance of values that stand for so many examples each."""
    n = counts.sum()
    middle = counts @ values / n
    return float(counts @ (values - middle) ** 2 / max(n - 1, 1))


def _superior(difference: float, spread: Sequence[tuple[float, int]], level: float) -> tuple[float | None, Interval]:
    """The chance that a fresh run of b is more accurate than one of a, of normal accuracies; and its interval.

    The interval is that of the noncentral t (Hedges and Olkin 1985, Statistical methods for meta-analysis, chapter 5),
    of the difference of the means over the runs' spread, with Satterthwaite's degrees of freedom.
    """
    total = sum(between for between, _ in spread)
    if len(spread) < 2 or not total:
        return None, (0.0, 1.0)
    error = math.sqrt(sum(between / runs for between, runs in spread))
    degrees = error**4 / sum((between / runs) ** 2 / (runs - 1) for between, runs in spread)
    scale = math.sqrt(total) / error
    t = difference / error
    bounds = [float(nctdtrinc(degrees, 0.5 + side * level / 2, t)) / scale for side in (1, -1)]
    return float(ndtr(difference / math.sqrt(total))), (float(ndtr(bounds[0])), float(ndtr(bounds[1])))


def compare(
    run: Run,
    store: Path,
    runs_a: Sequence[str],
    runs_b: Sequence[str],
    known: refs.Runs,
    *,
    level: float = LEVEL,
) -> Recipes:
    """Compare two sets of runs, named by references; known are the store's runs.

    Raises BadInput where one run is in both sets, or no example is labelled alike in all.
    """
    if not 0 < level < 1:
        raise BadInput(f"the level is {level}, not a share between 0 and 1, as 0.95")
    named = [*runs_a, *runs_b]
    selections = [refs.resolve(known, name, "last") for name in named]
    called = run_names(known, selections)
    names = [at_epoch(called[one.run, one.table], epoch.moment) for one in selections for epoch in one.epochs]
    if len(names) != len(named):
        raise BadInput("a recipe's runs are compared at one epoch each; name it, as in 'cnn-*@5'")
    if twice := [name for place, name in enumerate(names) if name in names[:place]]:
        raise BadInput(f"{twice[0]} is named twice; each run is on one side, once")
    sql = _RIGHT.format(names=literal(names), count=len(names))
    asked = questions.read("compare", sql)
    statement, rows = run(
        partial(statements.question, store=store, asked=asked, refs=tuple(named), given={}, known=known)
    )
    kept = [(pattern, count) for left_out, pattern, count in rows if left_out is None]
    if not kept:
        raise BadInput(f"no example is labelled alike in all of {listing(names)}, so there is nothing to compare")
    right = np.array([[int(mark) for mark in pattern] for pattern, _ in kept])
    made = estimate(right, len(runs_a), [count for _, count in kept], level)
    first, second = tuple(names[: len(runs_a)]), tuple(names[len(runs_a) :])
    notes = [*statement.remarks]
    if min(len(first), len(second)) < 2:
        notes.append(ONE_RUN)
    stems = {epoch.examples for one in selections for epoch in one.epochs}
    if len(stems) > 1:
        notes.append("the runs do not name one examples file, so what has one id is taken to be one example")
    return Recipes(
        first,
        second,
        sum(count for _, count in kept),
        made,
        level,
        {left_out: count for left_out, _, count in rows if left_out is not None},
        tuple(notes),
        statement.text,
    )
