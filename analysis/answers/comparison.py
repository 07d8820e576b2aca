"""A comparison of tables for people and for programs: text, Markdown, HTML, JSON, CSV."""

import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import IO, Any

from secondguess.analysis.answers.answer import Answer
from secondguess.analysis.answers.files import jsonable, write_text
from secondguess.analysis.answers.grid import Grid, GridColumn
from secondguess.analysis.answers.terminal import escaped, markdown
from secondguess.analysis.console import spelled_out
from secondguess.analysis.errors import listing
from secondguess.analysis.evidence import paired
from secondguess.analysis.evidence.flipped import Flipped
from secondguess.analysis.evidence.ledger import Comparison, Floor, Group, alike, points

_MOST = 12  # classes and pairs that a person is shown
_OUTCOMES = (
    ("both right", "both_right"),
    ("fixed", "fixed"),
    ("broken", "broken"),
    ("wrong both times, one guess", "both_wrong_same"),
    ("wrong both times, two guesses", "both_wrong_other"),
)
_VERDICTS = {"a_better": "a errs less", "b_better": "b errs less", "cannot_tell": "cannot tell"}
_TEXTS = {"a", "b", "became", "verdict"}  # columns that hold no number, as the first of each table


@dataclass(frozen=True)
class Cells:
    """A table of texts; left_out counts the rows that there are besides, all_in says what has them."""

    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    left_out: int = 0
    all_in: str = "--format json has all"

    @property
    def numeric(self) -> list[bool]:
        """Which columns hold numbers."""
        return [place > 0 and name not in _TEXTS for place, name in enumerate(self.head)]

    @property
    def rest(self) -> str:
        """What is said below the table of the rows that it does not show, if anything."""
        return f"{self.left_out:,} more; {self.all_in}" if self.left_out else ""


def percent(share: float) -> str:
    """A share as a person reads it."""
    return f"{100 * share:.2f} %"


def signed(comparison: Comparison | Group, level: float) -> str:
    """The difference in percentage points with its interval: `+1.3 points (95 %: +1.0 to +1.6)`."""
    low, high = (f"{100 * bound:+.{_digits(comparison)}f}" for bound in comparison.interval)
    difference = f"{100 * comparison.counts.difference:+.{_digits(comparison)}f}"
    return f"{difference} points ({100 * level:g} %: {low} to {high})"


def _digits(comparison: Comparison | Group) -> int:
    """So many decimals that the interval is wider than ten of the last one."""
    low, high = comparison.interval
    return 1 if high - low > 0.01 else 2 if high - low > 0.001 else 3


def lines(comparison: Comparison) -> list[str]:
    """What there is to say of a comparison, a sentence each, the verdict first."""
    counts, level = comparison.counts, comparison.level
    accuracies = []
    for name, accuracy, bounds in zip(
        (comparison.a, comparison.b),
        (counts.accuracy_a, counts.accuracy_b),
        comparison.accuracy_intervals,
        strict=True,
    ):
        accuracies.append(f"{name} {percent(accuracy)} ({100 * bounds[0]:.2f} to {100 * bounds[1]:.2f})")
    approximate = f", approximate: {counts.discordant} discordant examples" if counts.discordant < paired.FEW else ""
    holm = "" if comparison.p_holm is None else f", {_p(comparison.p_holm)} by Holm for several comparisons"
    told = comparison.detectable
    said = [
        comparison.in_words,
        f"accuracy on {counts.n:,} examples: {', '.join(accuracies)}",
        f"difference: {signed(comparison, level)}{approximate}",
        f"McNemar: p {_p(comparison.p_mid)} (mid-p), {_p(comparison.p_exact)} (exact){holm}",
        f"guesses that differ {percent(counts.churn)}, broken {percent(counts.negative_flip_rate)}",
    ]
    if told is not None:
        said.append(f"with {counts.discordant:,} discordant examples a difference of {points(told)} could be told")
    if comparison.floor is not None:
        said.append(floor_line(comparison.floor, comparison))
    if out := [f"{count:,} {name.replace('_', ' ')}" for name, count in comparison.excluded.items() if count]:
        said.append(f"left out: {', '.join(out)} (a is {comparison.a}, b {comparison.b})")
    return [spelled_out(line) for line in said]


def floor_line(floor: Floor, comparison: Comparison) -> str:
    """What seeds alone change, beside what this pair changes."""
    return (
        f"seeds alone change {percent(floor.churn)} of the guesses and break {percent(floor.negative_flip_rate)} "
        f"({len(floor.runs)} runs); this pair changes {percent(comparison.counts.churn)} and breaks "
        f"{percent(comparison.counts.negative_flip_rate)}"
    )


def _p(p: float) -> str:
    return f"{p:.3f}" if p >= 0.0005 else f"{p:.1e}"


def outcomes(comparison: Comparison) -> Cells:
    """How many examples became what."""
    counts = vars(comparison.counts)
    rows = [[said, f"{counts[name]:,}", percent(counts[name] / comparison.counts.n)] for said, name in _OUTCOMES]
    return Cells(["from a to b", "examples", "share"], rows)


def groups(comparison: Comparison, made: Sequence[Group], name: str) -> Cells:
    """What became of the examples of each value, the largest differences first."""
    ordered = sorted(made, key=lambda group: -abs(group.counts.difference))
    head = [name, "examples", "fixed", "broken", "difference", "verdict"]
    rows = [
        [
            "none" if group.value is None else spelled_out(str(group.value)),
            f"{group.counts.n:,}",
            f"{group.counts.fixed:,}",
            f"{group.counts.broken:,}",
            signed(group, comparison.level),
            _VERDICTS[group.verdict],
        ]
        for group in ordered[:_MOST]
    ]
    return Cells(head, rows, len(ordered) - len(rows))


def pairs(comparison: Comparison) -> Cells:
    """What was taken for what, the largest changes first."""
    changed = [pair for pair in comparison.pairs if pair.errors_a != pair.errors_b]
    head = ["truth → guess", "in a", "in b", "fixed", "broken"]
    rows = [
        [
            spelled_out(f"{pair.truth} → {'none' if pair.guess is None else pair.guess}"),
            *(f"{number:,}" for number in (pair.errors_a, pair.errors_b, pair.fixed, pair.broken)),
        ]
        for pair in changed[:_MOST]
    ]
    return Cells(head, rows, len(changed) - len(rows))


def tables(comparison: Comparison) -> list[Cells]:
    """The tables of a comparison, each with its head, without those that have no rows."""
    made = [outcomes(comparison)]
    if comparison.by:
        made.append(by(comparison))
    elif len(comparison.classes) > 1:
        made.append(groups(comparison, comparison.classes, "truth"))
    made.append(pairs(comparison))
    return [table for table in made if table.rows]


def by(comparison: Comparison) -> Cells:
    """What became of the examples by the column that was asked for."""
    return groups(comparison, comparison.by, spelled_out(comparison.by_column or ""))


def examples(comparison: Comparison, flipped: Mapping[str, Sequence[Flipped]]) -> Cells:
    """Examples that changed, the most confident mistakes first."""
    rows = [
        [spelled_out(one.id), how, *("none" if guess is None else spelled_out(str(guess)) for guess in one.guesses)]
        for how, some in flipped.items()
        for one in some
    ]
    more = sum(getattr(comparison.counts, how) for how in flipped) - len(rows)
    return Cells(["example", "became", "a", "b"], rows, more, "`secondguess ask ledger` has all")


def several(comparisons: Sequence[Comparison]) -> Cells:
    """One row for each comparison."""
    head = ["a", "b", "difference", "fixed", "broken", "p (Holm)", "verdict"]
    rows = [
        [
            spelled_out(one.a),
            spelled_out(one.b),
            signed(one, one.level),
            f"{one.counts.fixed:,}",
            f"{one.counts.broken:,}",
            _p(one.p_mid if one.p_holm is None else one.p_holm),
            _VERDICTS[one.verdict],
        ]
        for one in comparisons
    ]
    return Cells(head, rows)


def sentences(comparisons: Sequence[Comparison]) -> list[str]:
    """What is said of several comparisons together."""
    apart = [
        spelled_out(f"{one.in_words} than {one.a if one.verdict == 'b_better' else one.b}")
        for one in comparisons
        if one.verdict != "cannot_tell"
    ]
    same = [spelled_out(", ".join(group)) for group in alike(comparisons) if len(group) > 1]
    return [
        *(apart or ["no two of these tables can be told apart"]),
        *(f"not told apart: {group}" for group in same),
        *(f"{one.a} → {one.b}: {floor_line(one.floor, one)}" for one in comparisons if one.floor is not None),
        "p values are Holm's for all of these comparisons; the intervals are each for one at a time",
    ]


def _told(comparisons: Sequence[Comparison]) -> tuple[list[str], list[tuple[str, Cells]]]:
    """What is said of comparisons, and the tables below it, each with its title, which may be empty."""
    if len(comparisons) == 1:
        return lines(comparisons[0]), [("", table) for table in tables(comparisons[0])]
    split = [(f"{spelled_out(one.a)} → {spelled_out(one.b)}", by(one)) for one in comparisons if one.by]
    return sentences(comparisons), [("", several(comparisons)), *split]


def to_text(comparisons: Sequence[Comparison], out: IO[str], width: int) -> None:
    """Write for a terminal of this width."""
    said, drawn = _told(comparisons)
    print(*said, sep="\n", file=out)
    for title, table in drawn:
        print(file=out)
        cells = zip(*table.rows, strict=True)
        columns = [GridColumn(*column) for column in zip(table.head, map(list, cells), table.numeric, strict=True)]
        hidden = Grid(columns, title).print(out, width)
        too_wide = f"too wide for {width} characters: {listing(hidden)}; --format json has all" if hidden else ""
        for rest in filter(None, (table.rest, too_wide)):
            print(rest, file=out)


def to_markdown(comparisons: Sequence[Comparison], flipped: Mapping[str, Sequence[Flipped]] | None = None) -> str:
    """What goes into a pull request: the verdict, tables, and of one comparison some examples that changed, by how."""
    said, drawn = _told(comparisons)
    if len(comparisons) == 1 and flipped:
        drawn.append(("", examples(comparisons[0], flipped)))
    parts = said_in_markdown(said)
    for title, table in drawn:
        body = "\n".join(markdown(Answer(table.head, table.numeric, [tuple(row) for row in table.rows])))
        parts += [part for part in (escaped(title), body, table.rest) if part]
    return "\n\n".join(parts) + "\n"


def said_in_markdown(said: Sequence[str]) -> list[str]:
    """Sentences, the verdict first, as paragraphs of Markdown."""
    first, *rest = (escaped(line) for line in said)
    return [f"**{first}**", "\n".join(f"- {line}" for line in rest)]


def said_in_html(said: Sequence[str]) -> list[str]:
    """Sentences, the verdict first, as parts of a fragment for a notebook."""
    first, *rest = (escape(line) for line in said)
    return [f"<p><strong>{first}</strong></p>", "<ul>", *(f"<li>{line}</li>" for line in rest), "</ul>"]


def to_html(comparison: Comparison) -> str:
    """A fragment for a notebook."""
    parts = said_in_html(lines(comparison))
    for table in tables(comparison):
        cells = "".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in table.rows)
        head = "".join(f"<th>{escape(name)}</th>" for name in table.head)
        parts.append(f"<table><tr>{head}</tr>{cells}</table>")
        if table.rest:
            parts.append(f"<p>{escape(table.rest)}</p>")
    return "\n".join(parts)


def to_json(comparisons: Sequence[Comparison]) -> str:
    """One comparison as one object; several as `tables`, `comparisons` and `groups`, those not told apart."""
    if len(comparisons) == 1:
        value: Any = comparisons[0].as_dict()
    else:
        names = dict.fromkeys(name for one in comparisons for name in (one.a, one.b))
        value = {
            "tables": list(names),
            "comparisons": [one.as_dict() for one in comparisons],
            "groups": alike(comparisons),
        }
    return as_json(value)


def as_json(value: Any) -> str:
    """Plain values as strict JSON."""
    return json.dumps(jsonable(value), ensure_ascii=False, indent=1, allow_nan=False) + "\n"


def to_csv(comparisons: Sequence[Comparison]) -> str:
    """A row for each comparison: what in its JSON is a number or a text; the interval as low and high."""
    rows = []
    for one in comparisons:
        plain = {name: value for name, value in one.as_dict().items() if not isinstance(value, list | dict)}
        plain |= {"low": one.interval[0], "high": one.interval[1], "p_holm": one.p_holm}
        plain.pop("floor", None)
        rows.append(plain)
    return as_csv(rows)


def as_csv(rows: Sequence[dict[str, Any]]) -> str:
    """Rows of the same names as CSV."""
    out = io.StringIO()
    write_text(Answer(list(rows[0]), (), [tuple(row.values()) for row in rows]), "csv", out)
    return out.getvalue()
