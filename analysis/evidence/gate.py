"""Whether a model may replace another: rules with a bound each, held against what changed."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from secondguess.analysis.ask import questions, statements
from secondguess.analysis.errors import BadInput, listing
from secondguess.analysis.evidence import paired
from secondguess.analysis.evidence.ledger import Comparison, Run
from secondguess.analysis.schema import OUTCOME

_OUTCOMES = f"""-- What became of each example
-- tables: 2
SELECT id, {OUTCOME} FROM joined WHERE {OUTCOME} IS NOT NULL ORDER BY id"""
_OTHER = ("only_a", "only_b", "without_id_a", "without_id_b", "truths_differ")


@dataclass(frozen=True)
class Bounds:
    """What is asked of b: at most so many or such a share of a's right examples broken, at least such a gain.

    The gain is accuracy_b - accuracy_a. Where it is significant, the end of the interval that is worse must keep the
    bound of a share too, not the point alone; a count is what it is.
    """

    max_broken: int | None = None
    max_broken_rate: float | None = None
    min_gain: float | None = None
    significant: bool = False


@dataclass(frozen=True)
class Rule:
    """A rule with its bound, the value that is held against it, and whether it keeps it; said is the value's source."""

    name: str
    bound: float
    value: float
    passed: bool
    said: str

    def as_dict(self) -> dict[str, Any]:
        """The rule as plain values, for JSON."""
        return dict(vars(self))


def share(text: str) -> float:
    """A share that is written as 0.5% or 0.005; raises BadInput for another text, and for 5, which could be either."""
    number, percent, rest = text.strip().partition("%")
    try:
        value = float(number) / (100 if percent else 1)
    except ValueError:
        value = float("nan")
    if rest or not abs(value) <= 1:
        raise BadInput(f"{text!r} is no share; write it as 0.5% or 0.005")
    return value


def rules(comparison: Comparison, bounds: Bounds) -> list[Rule]:
    """Each rule that has a bound; raises BadInput where the tables do not hold the same examples, or none is asked."""
    if other := [f"{comparison.excluded[name]:,} {name}" for name in _OTHER if comparison.excluded[name]]:
        raise BadInput(f"{comparison.a} and {comparison.b} do not have the same examples: {', '.join(other)}")
    counts, n = comparison.counts, comparison.counts.n
    end = f"end of the interval at {100 * comparison.level:g} %" if bounds.significant else "point estimate"
    made: list[Rule] = []
    if bounds.max_broken is not None:
        kept = counts.broken <= bounds.max_broken
        made.append(Rule("max-broken", bounds.max_broken, counts.broken, kept, "counted"))
    if bounds.max_broken_rate is not None:
        upper = paired.wilson(counts.broken, n, comparison.level)[1]
        rate = upper if bounds.significant else counts.negative_flip_rate
        made.append(Rule("max-broken-rate", bounds.max_broken_rate, rate, rate <= bounds.max_broken_rate, end))
    if bounds.min_gain is not None:
        gain = comparison.interval[0] if bounds.significant else counts.difference
        made.append(Rule("min-gain", bounds.min_gain, gain, gain >= bounds.min_gain, end))
    return made


def protected(run: Run, store: Path, tables: Sequence[str], select: str) -> Rule:
    """The rule that none of the ids that a SELECT gives is broken; said names those that are.

    Raises BadInput where it gives none, or ids that the two tables have not both.
    """
    _, rows = run(partial(statements.sql, store=store, text=select))
    ids = list(dict.fromkeys(str(row[0]) for row in rows if row and row[0] is not None))
    if not ids:
        raise BadInput("the protected SELECT gives no id, so there is nothing to protect; its first column is the id")
    asked = questions.read("gate", _OUTCOMES)
    _, rows = run(partial(statements.question, store=store, asked=asked, refs=tables, given={}))
    outcomes = {str(name): outcome for name, outcome in rows}
    if missing := [name for name in ids if name not in outcomes]:
        raise BadInput(
            f"{len(missing):,} protected ids are not labelled examples of both tables, so they are not judged: "
            f"{listing(missing)}"
        )
    broken = [name for name in ids if outcomes[name] == "broken"]
    return Rule("protect", 0, len(broken), not broken, listing(broken) or f"{len(ids):,} ids, none broken")
