"""`secondguess check`: what is wrong or odd in a store, and what can be done about it."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from secondguess.analysis.commands import output, progress
from secondguess.analysis.commands.options import answering
from secondguess.analysis.engine.sqltext import literal
from secondguess.analysis.engine.statement import Statement
from secondguess.analysis.errors import SecondguessError

if TYPE_CHECKING:
    from secondguess.analysis.store.check import Checked
    from secondguess.analysis.store.mending import Step

_COLUMNS = ("what", "grave", "path", "run", "said")


@click.command()
@click.argument("runs", nargs=-1, metavar="[RUN]...")
@answering(engine=False)
@click.option(
    "--repair", is_flag=True, help="Say which missing records the files can give back; with --yes, write them."
)
@click.option("--gc", is_flag=True, help="Say what has been left over for a day and can go; with --yes, remove it.")
@click.option("--yes", is_flag=True, help="Do what --repair and --gc say.")
@click.option("--dry-run", is_flag=True, help="Do nothing, whatever else is said.")
def check(runs: tuple[str, ...], store: Path, **given: Any) -> None:
    """Read every record and file of the store, or of some runs, and list what is wrong or odd in it.

    What is wrong: missing, altered, unreadable, newer (of a format that this version cannot read), outside (behind a
    link that leads out of the store), unrecorded (rows that no record names). Besides: left over, foreign, no digest.
    The exit code is 1 where something is wrong. What is committed is never touched.
    """
    # A quarter of a second of Arrow, which `--help` need not wait for.
    from secondguess.analysis.store import mending
    from secondguess.analysis.store.check import check as look

    wanted = {name: given.pop(name) for name in ("repair", "gc", "yes", "dry_run")}
    store = store.absolute()
    with progress.shown("reading every file"):
        checked = look(store, runs)
    steps = [*(mending.repairs(checked) if wanted["repair"] else ())]
    steps += [*(mending.removals(checked) if wanted["gc"] else ())]
    doing = wanted["yes"] and not wanted["dry_run"]
    for step in steps:
        _say(f"{'' if doing else 'would '}{step.said}")
        if doing:
            _do(step)
    if steps and doing:
        with progress.shown("reading every file"):
            checked = look(store, runs)
    elif (wanted["repair"] or wanted["gc"]) and not steps:
        _say("there is nothing to repair or remove")
    elif steps:
        _say("--yes does so")
    statement = _statement(checked)
    output.give(lambda con: statement, store, output.OutputOptions(**given))
    _say(checked.line)
    if not checked.is_sound:
        sys.exit(1)


def _do(step: "Step") -> None:
    try:
        step.do()
    except (OSError, SecondguessError) as error:
        _say(f"that was not done: {error}")


def _statement(checked: "Checked") -> Statement:
    """The findings as the rows of a statement."""
    rows = [[each.what, each.is_grave, each.path, each.run, each.said] for each in checked.findings]
    values = ",\n  ".join(f"({', '.join(literal(value) for value in row)})" for row in rows)
    nothing = f"({', '.join(['NULL'] * len(_COLUMNS))})"
    where = "" if rows else "\nWHERE false"
    casts = "CAST(what AS VARCHAR) AS what, CAST(grave AS BOOLEAN) AS grave, path::VARCHAR AS path, run::VARCHAR AS run"
    source = f"(VALUES\n  {values or nothing}\n) found({', '.join(_COLUMNS)})"
    return Statement("", f"SELECT {casts}, said::VARCHAR AS said\nFROM {source}{where}")


def _say(text: str) -> None:
    print(" ".join(text.splitlines()), file=sys.stderr)
