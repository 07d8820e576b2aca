"""`secondguess table` and `secondguess save`: a table view spelled as options."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import click

from secondguess.analysis.commands import output
from secondguess.analysis.commands.options import STORE, answering
from secondguess.analysis.console import say
from secondguess.analysis.moments import Moment
from secondguess.analysis.tables import saved as views
from secondguess.analysis.tables import select
from secondguess.analysis.tables.spelling import spelled

_PAGE = 50  # rows of a table on the terminal


def _moment(text: str) -> Moment:
    """An epoch, or a step of one, as it is spelled."""
    if (moment := Moment.parse(text)) is None:
        raise click.BadParameter(f"{text!r} is neither an epoch nor a step of one, as in 2:1500")
    return moment


_text = partial(click.option, type=str)
_texts = partial(click.option, type=str, multiple=True)
_rows = partial(click.option, type=click.IntRange(min=0))
_OPTIONS = (
    click.argument("tables", nargs=-1, metavar="[TABLE]..."),
    click.option("--stack", is_flag=True, help="Put the tables under each other, as without --join."),
    click.option(
        "--join", type=click.Choice(["inner", "outer"]), help="Put the tables side by side: keys of all, or of any."
    ),
    _text(
        "--key",
        metavar="COLUMNS",
        help="Join on this column [default: id]; digest is the image's. Further ones stand in where it is NULL.",
    ),
    click.option("--allow-duplicates", is_flag=True, help="Let repeated keys multiply rows."),
    click.option(
        "--at",
        type=_moment,
        metavar="EPOCH",
        help="Each table at this epoch (3, or 2:1500), or at its last one before.",
    ),
    click.option("--exact", is_flag=True, help="With --at: only tables that have this very epoch."),
    _texts("--add", metavar="'NAME = SQL'", help="Compute a column of each row."),
    _texts("--where", metavar="SQL", help="Keep the rows for which this is true; of several, all."),
    click.option("--only", nargs=2, multiple=True, metavar="COLUMN VALUE", help="Keep the rows with this value."),
    click.option("--exclude", nargs=2, multiple=True, metavar="COLUMN VALUE", help="Leave out rows with this value."),
    _text("--group", metavar="COLUMNS", help="A row per value of these columns, their number n, what the others hold."),
    _texts("--aggregate", metavar="'NAME = SQL'", help="Compute a column of each group: 'sure = avg(confidence)'."),
    _text("--sort", metavar="EXPRESSIONS", help="Sort by these; with - before one, largest first. NULL is smallest."),
    _text("--columns", metavar="COLUMNS", help="Show these columns; image is the picture."),
    _rows("--limit", metavar="N", help=f"Show N rows [default: {_PAGE} are drawn, all are written]."),
    _rows("--offset", metavar="N", help="Leave out the first N rows."),
    _texts("--wandb-add", metavar="'NAME = EXPR'", help="As --add, in W&B's expression language."),
    _texts("--wandb-filter", metavar="EXPR", help="As --where, in W&B's expression language."),
    _texts("--wandb-aggregate", metavar="'NAME = EXPR'", help="As --aggregate, in W&B's expression language."),
)


def _viewing(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options that make a view."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def _with_texts(own: Sequence[str], others: Sequence[str]) -> Sequence[str]:
    """The columns of a view where none are chosen: its own, and after the id what the examples say as text."""
    texts = [name for name in others if name == "content"]  # that of all sides
    place = next((number for number, name in enumerate(own, 1) if name == "id"), len(own))
    return [*own[:place], *texts, *own[place:]]


@click.command()
@_viewing
@click.option("--saved", metavar="NAME", help="Begin with a saved view; other options change it.")
@answering(rows=False)
@click.option(
    "--report", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE", help="Write what joins did, as JSON."
)
def table(store: Path, saved: str | None, report: Path | None, **given: Any) -> None:
    """Show tables as W&B's table panel does: stack, join, filter, group, sort, choose columns, page through.

    TABLE is RUN[/TABLE][@EPOCH], as in cnn@5; EPOCH a number, last (the default), best or all.
    """
    how = {
        name: given.pop(name)
        for name in ("form", "file", "show_sql", "spreadsheet", "seconds", "verify", "engine", "master")
    }
    view = spelled(given, views.load(store.absolute(), saved) if saved is not None else None)
    drawn = how["form"] in (None, "table") and how["file"] is None
    if view.limit is None and drawn:
        view = replace(view, limit=_PAGE)
    grouped = view.group or view.aggregate or view.wandb_aggregate
    build = partial(
        select.statement, store=store.absolute(), view=view, usual=_with_texts if drawn and not grouped else None
    )
    output.give(
        build, store, output.OutputOptions(**how, rows=_PAGE if view.limit is None else view.limit, report=report)
    )


@click.command()
@click.argument("name")
@_viewing
@STORE
@click.option("--overwrite", is_flag=True, help="Replace the view of this name.")
def save(name: str, store: Path, overwrite: bool, **given: Any) -> None:
    """Save a view under NAME: a small file in the store, which `secondguess table --saved NAME` shows."""
    view = spelled(given)
    output.check(partial(select.statement, store=store.absolute(), view=view))
    path = views.save(store.absolute(), name, view, overwrite=overwrite)
    say(f"saved in {path}")
