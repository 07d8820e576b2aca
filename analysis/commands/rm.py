"""`secondguess rm`: runs that go, with what they alone need."""

import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import click

from secondguess.analysis.ask import refs
from secondguess.analysis.ask.patterns import expanded
from secondguess.analysis.commands.options import STORE
from secondguess.analysis.console import say
from secondguess.analysis.errors import BadInput, SecondguessError, listing
from secondguess.analysis.store import removal
from secondguess.analysis.store.runs import Run, list_runs
from secondguess.analysis.tables import saved


@click.command()
@click.argument("runs", nargs=-1, required=True, metavar="RUN...")
@STORE
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--dry-run", is_flag=True, help="Say what would go, and do nothing.")
def rm(runs: tuple[str, ...], store: Path, yes: bool, dry_run: bool) -> None:
    """Remove runs for good, and the examples files that no other run needs; 'sweep-*' is each run whose name it fits.

    What W&B keeps of them, and saved views that name them, stay and are said.
    """
    store = store.absolute()
    plan = removal.planned(store, expanded(list_runs(store), runs))
    for line in _said(store, plan):
        say(line, err=True)
    if dry_run:
        say("nothing was removed; leave out --dry-run to do so", err=True)
        return
    if not yes:
        if not sys.stdin.isatty():
            raise BadInput("nothing was removed; --yes does so without asking")
        click.confirm(f"Remove {_many(len(plan.runs), 'run')} for good?", abort=True, err=True)
    gone = removal.remove(store, plan)
    files = f" and {_many(len(gone), 'examples file')}" if gone else ""
    say(f"removed {listing(run.name for run in plan.runs)}{files}", err=True)


def _said(store: Path, plan: removal.Removal) -> list[str]:
    """What goes and what stays, a line each."""
    lines = [f"{run.name}: {_tables(run)}; {_size([run.folder])}" for run in plan.runs]
    if plan.examples:
        names = listing(path.name for path in plan.examples)
        which = f"examples/{names}, {_size(plan.examples)}, which no other run has"
        lines.append(f"{which}, stays: {plan.stays}" if plan.stays else which)
    if folders := removal.wandb_folders(store, plan.runs):
        lines.append(f"what W&B keeps of it stays, {_size(folders)}: {listing(map(str, folders))}")
    if views := _views(store, {run.name for run in plan.runs}):
        lines.append(f"saved views that name it stay, and show nothing without it: {listing(views)}")
    return lines


def _tables(run: Run) -> str:
    epochs = [f"{name} of {_many(len(epochs), 'epoch')}" for name, epochs in run.tables.items()]
    return ", ".join(epochs) or "no tables"


def _views(store: Path, runs: set[str]) -> Sequence[str]:
    """The saved views that name one of these runs."""
    found = []
    for name in saved.names(store):
        with suppress(SecondguessError):
            if {refs.parse(table).run for table in saved.load(store, name).tables} & runs:
                found.append(name)
    return found


def _size(paths: Sequence[Path]) -> str:
    files = [file for path in paths for file in ([path] if path.is_file() else path.rglob("*"))]
    total = sum(file.lstat().st_size for file in files if file.is_file() and not file.is_symlink())
    return f"{total / 1e6:,.1f} MB" if total >= 50_000 else f"{total / 1e3:,.1f} KB"


def _many(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"
