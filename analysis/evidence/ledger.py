"""What changed from one table to another, example by example: the counts, and what can be said of them."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import combinations
from pathlib import Path
from typing import Any

from secondguess.analysis.ask import questions, refs, statements
from secondguess.analysis.ask.scope import columns_of, has_steps
from secondguess.analysis.engine.duck import Build
from secondguess.analysis.engine.sqltext import identifier
from secondguess.analysis.engine.statement import JoinReport, Statement
from secondguess.analysis.errors import BadInput, Refused, listing
from secondguess.analysis.evidence import paired
from secondguess.analysis.evidence.paired import Counts, Interval, Verdict
from secondguess.analysis.schema import LEVEL, OUTCOME, at_epoch, folded, outcome
from secondguess.analysis.store.records import Epoch

Row = tuple[Any, ...]
Run = Callable[[Build], tuple[Statement, Sequence[Row]]]
"""How a door runs a statement: what builds it, to the statement and its rows."""

_MOST_GROUPS = 1_000
_OUTCOMES = f"""-- What became of the examples
-- tables: 2
SELECT {OUTCOME}, NULL AS truth, NULL AS guess_a, NULL AS guess_b, count(*) AS examples
FROM joined
GROUP BY {OUTCOME}
ORDER BY {OUTCOME}"""
# As `flips`, which says what became of each row: here of each group of rows that are alike, which are few.
_FLIPS = f"""-- What became of the examples, by truth and both guesses
-- tables: 2
SELECT {outcome("{}_a", "{}_b")} AS outcome, truth_a AS truth, guess_a, guess_b, sum(examples) AS examples
FROM (
  SELECT wrong_a, wrong_b, truth_a, truth_b, guess_a, guess_b, count(*) AS examples
  FROM joined
  GROUP BY ALL
)
GROUP BY ALL
ORDER BY ALL"""
_BY = """-- What became of the examples, by a column
-- tables: 2
SELECT {column} AS value, {outcome}, count(*) AS examples
FROM joined{examples}
WHERE {outcome} IS NOT NULL
GROUP BY ALL
ORDER BY ALL"""
_OF_EXAMPLES = " JOIN examples ON examples.id = joined.id AND examples.examples = joined.examples_a"


@dataclass(frozen=True)
class Group:
    """The examples with one value of a column: what became of them, the interval, and the verdict by Holm."""

    value: Any
    counts: Counts
    interval: Interval
    p_holm: float
    verdict: Verdict

    def as_dict(self) -> dict[str, Any]:
        """The group as plain values, for JSON."""
        return {
            "value": self.value,
            **self.counts.as_dict(),
            "interval": list(self.interval),
            "p_holm": self.p_holm,
            "verdict": self.verdict,
        }


@dataclass(frozen=True)
class Pair:
    """The examples of one truth that were guessed as another class: how many in each table, what became of them."""

    truth: Any
    guess: Any
    errors_a: int
    errors_b: int
    fixed: int
    broken: int

    def as_dict(self) -> dict[str, Any]:
        """The pair as plain values, for JSON."""
        return dict(vars(self))


@dataclass(frozen=True)
class Comparison:
    """Two tables on the examples that both have, with one truth: what changed, and whether it can be told from chance.

    difference is accuracy_b - accuracy_a, interval its bounds at this level, p_mid and p_exact McNemar's. p_holm is
    p_mid corrected for the comparisons that were made with it, else None; the verdict goes by it. classes and by are
    the examples by their truth and by a column; excluded counts the rows that are left out, by reason. sql is the whole
    statement of the counts, question its own part.
    """

    a: str
    b: str
    counts: Counts
    level: float = LEVEL
    p_holm: float | None = None
    classes: tuple[Group, ...] = ()
    pairs: tuple[Pair, ...] = ()
    by: tuple[Group, ...] = ()
    by_column: str | None = None
    excluded: Mapping[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    floor: "Floor | None" = None
    report: JoinReport | None = None
    sql: str = ""
    question: str = ""

    @property
    def interval(self) -> Interval:
        """The bounds of the difference."""
        return paired.difference_interval(self.counts.fixed, self.counts.broken, self.counts.n, self.level)

    @property
    def p_exact(self) -> float:
        """McNemar's exact p."""
        return paired.p_exact(self.counts.fixed, self.counts.broken)

    @property
    def p_mid(self) -> float:
        """McNemar's mid-p."""
        return paired.p_mid(self.counts.fixed, self.counts.broken)

    @property
    def verdict(self) -> Verdict:
        """Which of the two errs less, if that can be told."""
        return paired.verdict(self.p_mid if self.p_holm is None else self.p_holm, self.interval, self.level)

    @property
    def detectable(self) -> float | None:
        """The smallest difference that so many discordant examples could show in four of five cases; None: none."""
        return paired.detectable(self.counts.discordant, self.counts.n, self.level)

    @property
    def accuracy_intervals(self) -> tuple[Interval, Interval]:
        """Wilson's intervals of both accuracies."""
        n = self.counts.n
        right = (n - self.counts.errors_a, n - self.counts.errors_b)
        return paired.wilson(right[0], n, self.level), paired.wilson(right[1], n, self.level)

    @property
    def in_words(self) -> str:
        """The verdict as a sentence."""
        if self.verdict != "cannot_tell":
            return f"{self.b if self.verdict == 'b_better' else self.a} errs less"
        same = f"these {self.counts.n:,} examples cannot tell {self.a} and {self.b} apart"
        told = self.detectable
        if told is None:
            return f"{same}; with {self.counts.discordant} that only one of them has right no test could tell"
        return f"{same}; a difference of {points(told)} could be told"

    def as_dict(self) -> dict[str, Any]:
        """The comparison as plain values: what `--format json` writes."""
        holm = {} if self.p_holm is None else {"p_holm": self.p_holm}
        low, high = self.accuracy_intervals
        return {
            "a": self.a,
            "b": self.b,
            **self.counts.as_dict(),
            "accuracy_a_interval": list(low),
            "accuracy_b_interval": list(high),
            "interval": list(self.interval),
            "approximate": self.counts.discordant < paired.FEW,
            "level": self.level,
            "p_exact": self.p_exact,
            "p_mid": self.p_mid,
            **holm,
            "detectable": self.detectable,
            "verdict": self.verdict,
            "classes": [group.as_dict() for group in self.classes],
            "pairs": [pair.as_dict() for pair in self.pairs],
            "by": [group.as_dict() for group in self.by],
            "excluded": dict(self.excluded),
            "floor": None if self.floor is None else self.floor.as_dict(),
            "notes": list(self.notes),
        }


@dataclass(frozen=True)
class Floor:
    """How much runs differ that differ by seed only: the mean over their pairs."""

    runs: tuple[str, ...]
    pairs: tuple[Counts, ...]

    @property
    def churn(self) -> float:
        """The share of examples whose guesses differ between two of them."""
        return sum(counts.churn for counts in self.pairs) / len(self.pairs)

    @property
    def negative_flip_rate(self) -> float:
        """The share that one of two has right and the other wrong, by either side: half of the discordant ones."""
        return sum(counts.discordant / 2 / counts.n for counts in self.pairs) / len(self.pairs)

    def as_dict(self) -> dict[str, Any]:
        """The floor as plain values, for JSON."""
        return {
            "runs": list(self.runs),
            "pairs": len(self.pairs),
            "churn": self.churn,
            "negative_flip_rate": self.negative_flip_rate,
        }


def most_changed(made: Comparison, labels: Sequence[Any], most: int) -> list[Any]:
    """All labels, or of more than `most` those of the confusions that changed most, in the order of labels."""
    if len(labels) <= most:
        return list(labels)
    chosen: set[Any] = set()
    for pair in made.pairs:  # most changed first
        if len(more := chosen | {pair.truth, pair.guess}) <= most:
            chosen = more
    return [label for label in labels if label in chosen]


def points(share: float) -> str:
    """A difference of two shares as a person reads it: percentage points, to two figures."""
    value = 100 * share
    digits = 1 if abs(value) >= 1 else 2 if abs(value) >= 0.1 else 3
    return f"{value:.{digits}f} points"


def compare(
    run: Run,
    store: Path,
    a: str,
    b: str,
    *,
    by: str | None = None,
    level: float = LEVEL,
    known: refs.Runs | None = None,
) -> Comparison:
    """Compare two tables, named by references; known are the store's runs where they are listed already.

    Raises BadInput where both are one table, or share no labelled example.
    """
    if not 0 < level < 1:
        raise BadInput(f"the level is {level}, not a share between 0 and 1, as 0.95")
    runs, chosen = _epochs(store, (a, b), known)
    if chosen[0] == chosen[1]:
        raise BadInput(f"{a} and {b} are one table; name another to compare it with")
    judged = any(epoch.right is not None or epoch.task == "multi-label" for epoch in chosen)
    asked = questions.read("compare", _OUTCOMES if judged else _FLIPS)
    statement, rows = run(partial(statements.question, store=store, asked=asked, refs=(a, b), given={}, known=runs))
    names = [at_epoch(*order) for order in statement.order]
    comparison = _counted(names[0], names[1], rows, statement.reports[0], level)
    notes = (*statement.remarks, *comparison.notes, *_chosen_here((a, b), names))
    comparison = replace(comparison, notes=tuple(dict.fromkeys(notes)), report=statement.reports[0])
    comparison = replace(comparison, sql=statement.text, question=statement.own)
    if by is None:
        return comparison
    groups = _by(partial(_again, run, store, (a, b), runs), chosen, by, level)
    return replace(comparison, by_column=by, by=groups)


def compare_all(
    run: Run,
    store: Path,
    tables: Sequence[str],
    known: refs.Runs,
    *,
    by: str | None = None,
    level: float = LEVEL,
) -> list[Comparison]:
    """Compare each table with each that is named after it; p_holm of several is corrected for all of them."""
    made = [compare(run, store, a, b, by=by, level=level, known=known) for a, b in combinations(tables, 2)]
    if len(made) == 1:
        return made
    corrected = paired.holm([comparison.p_mid for comparison in made])
    return [replace(comparison, p_holm=p) for comparison, p in zip(made, corrected, strict=True)]


def alike(comparisons: Iterable[Comparison]) -> list[list[str]]:
    """The largest groups of tables of which no two are told apart; a table may be in several.

    "Not told apart" is not transitive, so no ranking follows from it.
    """
    apart: dict[str, set[str]] = {}
    for comparison in comparisons:
        for one, other in ((comparison.a, comparison.b), (comparison.b, comparison.a)):
            apart.setdefault(one, set()).update({other} if comparison.verdict != "cannot_tell" else ())
    groups: list[list[str]] = []

    def grow(group: list[str], open_: list[str], done: list[str]) -> None:
        """Every maximal group that has this one in it (Bron and Kerbosch 1973)."""
        if not open_ and not done:
            groups.append(group)
        while open_:
            one = open_.pop(0)
            grow(
                [*group, one],
                [other for other in open_ if other not in apart[one]],
                [other for other in done if other not in apart[one]],
            )
            done = [*done, one]

    grow([], list(apart), [])
    return groups


def floor(run: Run, store: Path, tables: Sequence[str], known: refs.Runs) -> Floor:
    """How much tables of runs that differ by seed only differ from each other; raises BadInput for one alone."""
    if len(tables) < 2:
        raise BadInput(f"a floor is what lies between runs; {listing(tables)} is one, so name more, as in 'cnn-*@5'")
    pairs = (compare(run, store, a, b, known=known).counts for a, b in combinations(tables, 2))
    return Floor(tuple(tables), tuple(pairs))


def _epochs(store: Path, tables: Sequence[str], known: refs.Runs | None) -> tuple[refs.Runs, list[Epoch]]:
    """The store's runs, and the epochs that the references name, as the question finds them."""
    runs, selections = refs.listed(
        store, lambda runs: [refs.resolve(runs, table, "last") for table in tables], known, used=False
    )
    return runs, [epoch for selection in selections for epoch in selection.epochs]


def _chosen_here(tables: Sequence[str], names: Sequence[str]) -> list[str]:
    return [
        f"{name} is the best epoch by these very examples, so its accuracy is optimistic"
        for table, name in zip(tables, names, strict=True)
        if refs.parse(table).epoch == "best"
    ]


def _counted(a: str, b: str, rows: Sequence[Row], report: JoinReport, level: float) -> Comparison:
    """The comparison of rows as `flips` gives them: outcome, truth, both guesses, examples."""
    kept = [row for row in rows if row[0] is not None]
    left_out = sum(row[-1] for row in rows if row[0] is None)
    excluded = {
        "only_a": report.only_left,
        "only_b": report.only_right,
        "without_id_a": report.nulls_left,
        "without_id_b": report.nulls_right,
        "truths_differ": min(report.truths_differ, left_out),
        "unlabelled": left_out - min(report.truths_differ, left_out),
    }
    counts = _tallied((row[0], row[-1]) for row in kept)
    if not counts.n:
        reasons = ", ".join(f"{count:,} {name}" for name, count in excluded.items() if count) or "there are no rows"
        raise BadInput(f"{a} and {b} have no labelled example in common ({reasons}), so there is nothing to compare")
    by_class = [row for row in kept if row[1] is not None]
    missing = [(name, sum(row[-1] for row in by_class if row[place] is None)) for name, place in ((a, 2), (b, 3))]
    notes = [f"{name}: {count:,} labelled rows without a guess count as wrong" for name, count in missing if count]
    groups = _grouped(((row[1], row[0], row[-1]) for row in by_class), level)
    return Comparison(
        a, b, counts, level, classes=tuple(groups), pairs=_pairs(by_class), excluded=excluded, notes=tuple(notes)
    )


def _tallied(outcomes: Iterable[tuple[str, int]]) -> Counts:
    totals: dict[str, int] = {}
    for became, count in outcomes:
        totals[became] = totals.get(became, 0) + count
    return Counts(**totals)


def _grouped(rows: Iterable[tuple[Any, str, int]], level: float) -> list[Group]:
    """Rows of value, outcome and examples by their value, in the order that the values come in."""
    outcomes: dict[Any, list[tuple[str, int]]] = {}
    for value, became, count in rows:
        outcomes.setdefault(value, []).append((became, count))
    tallies = {value: _tallied(parts) for value, parts in outcomes.items()}
    ordered = sorted(tallies, key=_place)
    corrected = paired.holm([paired.p_mid(tallies[value].fixed, tallies[value].broken) for value in ordered])
    groups = []
    for value, p in zip(ordered, corrected, strict=True):
        counts = tallies[value]
        interval = paired.difference_interval(counts.fixed, counts.broken, counts.n, level)
        groups.append(Group(value, counts, interval, p, paired.verdict(p, interval, level)))
    return groups


def _place(value: Any) -> tuple[bool, bool, Any]:
    """Where a value stands among others: numbers in order, then texts, then the one that is missing."""
    return value is None, isinstance(value, str), 0 if value is None else value


def _pairs(rows: Iterable[Row]) -> tuple[Pair, ...]:
    """Each truth with each class that it was taken for, most changed first."""
    found: dict[tuple[Any, Any], list[int]] = {}
    for became, truth, guess_a, guess_b, count in rows:
        for guess, errors, changed in ((guess_a, 0, "fixed"), (guess_b, 1, "broken")):
            if guess == truth or (became in ("fixed", "broken") and became != changed):
                continue
            numbers = found.setdefault((truth, guess), [0, 0, 0, 0])
            numbers[errors] += count
            if became == changed:
                numbers[2 + errors] += count
    made = [Pair(truth, guess, *numbers) for (truth, guess), numbers in found.items()]
    return tuple(sorted(made, key=lambda pair: (-abs(pair.errors_a - pair.errors_b), str(pair.truth), str(pair.guess))))


def _again(run: Run, store: Path, tables: tuple[str, str], known: refs.Runs, sql: str) -> Sequence[Row]:
    """The rows of another question about the same tables."""
    asked = questions.read("compare", sql)
    _, rows = run(partial(statements.question, store=store, asked=asked, refs=tables, given={}, known=known))
    return rows


def _by(ask: Callable[[str], Sequence[Row]], chosen: Sequence[Epoch], by: str, level: float) -> tuple[Group, ...]:
    """The examples by a column, whose counts a question gives."""
    column, of_examples = _column(chosen, by)
    sql = _BY.format(column=column, outcome=OUTCOME, examples=_OF_EXAMPLES if of_examples else "")
    try:
        rows = ask(sql)
    except Refused:
        if of_examples:  # whose columns only their file knows
            raise BadInput(f"{_no_column(chosen, by)}, nor have their examples one") from None
        raise
    if any(isinstance(row[0], list | dict) for row in rows):
        raise BadInput(f"{by} has lists or pictures in its cells; name a column of plain values")
    groups = _grouped(rows, level)
    if len(groups) > _MOST_GROUPS:
        raise BadInput(f"{by} has {len(groups):,} values, more than {_MOST_GROUPS:,}; name a column with fewer")
    return tuple(groups)


def _column(chosen: Sequence[Epoch], by: str) -> tuple[str, bool]:
    """A column by name as SQL, of the tables or else of their examples; raises BadInput naming those there are."""
    steps = has_steps(chosen)
    sides = [{folded(name): name for name, _ in columns_of(epoch, steps=steps)} for epoch in chosen]
    suffixed = {f"{name}_{letter}" for side, letter in zip(sides, "ab", strict=True) for name in side if name != "id"}
    if folded(by) in suffixed or folded(by) == "id":
        return f"joined.{identifier(by)}", False
    for side, letter in zip(sides, "ab", strict=True):
        if folded(by) in side:
            return f"joined.{identifier(f'{side[folded(by)]}_{letter}')}", False
    if any(epoch.examples is not None for epoch in chosen):
        return f"examples.{identifier(by)}", True
    raise BadInput(_no_column(chosen, by))


def _no_column(chosen: Sequence[Epoch], by: str) -> str:
    steps = has_steps(chosen)
    names = dict.fromkeys(name for epoch in chosen for name, _ in columns_of(epoch, steps=steps))
    return f"neither table has a column {by!r}; there are: {listing(names, 30)}"
