"""`secondguess gate`: whether a model may replace another, as an exit code."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from secondguess.analysis.commands import output
from secondguess.analysis.commands.options import SECONDS, STORE
from secondguess.analysis.console import readable, say, spelled_out
from secondguess.analysis.errors import BadInput, SecondguessError
from secondguess.analysis.opening import read_regular
from secondguess.analysis.schema import LEVEL

if TYPE_CHECKING:
    from secondguess.analysis.evidence.gate import Rule
    from secondguess.analysis.evidence.ledger import Comparison

_LONGEST = 1 << 20  # bytes of a SELECT


@click.command()
@click.argument("a")
@click.argument("b")
@click.option("--max-broken", type=click.IntRange(min=0), metavar="N", help="At most N examples that a has right.")
@click.option("--max-broken-rate", metavar="SHARE", help="At most this share of all examples: 0.5% or 0.005.")
@click.option("--min-gain", metavar="SHARE", help="Accuracy of B less that of A, at least: 0, 1%, -0.5%.")
@click.option(
    "--significant",
    is_flag=True,
    help="Hold shares by the worse end of their interval: with --min-gain -0.5% a test of non-inferiority.",
)
@click.option(
    "--protect",
    type=click.Path(path_type=Path),
    metavar="FILE.sql",
    help="A SELECT of ids, none of which may be broken.",
)
@click.option("--level", type=float, default=LEVEL, metavar="SHARE", help=f"Of the intervals [default: {LEVEL}].")
@click.option("--format", "form", type=click.Choice(["table", "json", "markdown"]), default="table")
@SECONDS
@STORE
def gate(a: str, b: str, store: Path, form: str, **how: Any) -> None:
    """Hold what changed from table A to table B against rules; exit 0 passed, 1 failed, 2 could not be judged.

    Not judged: a table that is missing, tables with other examples or labels, no rule, a --protect without ids.
    """
    try:
        comparison, rules = _judged(store.absolute(), (a, b), how)
    except (SecondguessError, OSError) as error:
        say(f"secondguess: not judged: {' '.join(str(error).splitlines())}", err=True)
        sys.exit(2)
    passed = all(rule.passed for rule in rules)
    for note in comparison.notes:
        say(" ".join(note.splitlines()), err=True)
    from secondguess.analysis.answers.files import jsonable

    out = readable(sys.stdout)
    if form == "json":
        told = {"passed": passed, "rules": [rule.as_dict() for rule in rules], "comparison": comparison.as_dict()}
        out.write(json.dumps(jsonable(told), ensure_ascii=False, indent=1, allow_nan=False) + "\n")
    else:
        out.write(_text(comparison, rules, passed, markdown=form == "markdown"))
    sys.exit(0 if passed else 1)


def _judged(store: Path, tables: tuple[str, str], how: dict[str, Any]) -> tuple["Comparison", list["Rule"]]:
    from secondguess.analysis.evidence import gate as evidence
    from secondguess.analysis.evidence.ledger import compare

    rates = {name: None if how[name] is None else evidence.share(how[name]) for name in ("max_broken_rate", "min_gain")}
    if how["max_broken"] is None and how["protect"] is None and set(rates.values()) == {None}:
        raise BadInput("no rule is named; add --max-broken, --max-broken-rate, --min-gain or --protect")
    select = None if how["protect"] is None else _protecting(how["protect"])
    with output.watching(how["seconds"], hint="give it more with --seconds", code=2) as watch:
        run = output.running(watch)
        comparison = compare(run, store, *tables, level=how["level"])
        rules = evidence.rules(comparison, evidence.Bounds(how["max_broken"], **rates, significant=how["significant"]))
        if select is not None:
            rules.append(evidence.protected(run, store, tables, select))
    return comparison, rules


def _protecting(file: Path) -> str:
    """The SELECT in a file; raises BadInput."""
    try:
        return read_regular(file, _LONGEST, links=True).decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"{file} cannot be read: {error}") from None


def _text(comparison: "Comparison", rules: list["Rule"], passed: bool, *, markdown: bool) -> str:
    from secondguess.analysis.answers.comparison import lines
    from secondguess.analysis.answers.terminal import escaped

    verdict = f"{'passed' if passed else 'failed'}: {comparison.a} → {comparison.b}"
    said = [
        f"{'ok  ' if rule.passed else 'FAIL'} {rule.name}: {rule.value:g}, bound {rule.bound:g} ({rule.said})"
        for rule in rules
    ]
    if markdown:
        verdict = f"**{escaped(verdict)}**\n"
        said = [f"- {escaped(line)}" for line in [*said, *lines(comparison)]]
    return "\n".join(map(spelled_out, verdict.split("\n"))) + "\n" + "\n".join(map(spelled_out, said)) + "\n"
