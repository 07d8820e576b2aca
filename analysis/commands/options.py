"""The options that commands share."""

from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import click

from secondguess.analysis.objects.path import place
from secondguess.analysis.schema import STORE_OPTION, default_store


def _store_above() -> Path:
    """The store where a command names none: the one named before it, or the default."""
    context = click.get_current_context(silent=True)
    above = context.parent.params.get("store") if context is not None and context.parent is not None else None
    return above or default_store()


STORE = click.option("--store", **{**STORE_OPTION, "default": _store_above})


SECONDS = click.option(
    "--seconds",
    type=click.FloatRange(min=0.1),
    metavar="N",
    help="Stop after N seconds, with nothing half-written to FILE [default: no limit].",
)


_ENGINE = (
    click.option(
        "--engine",
        type=click.Choice(["duckdb", "spark"]),
        default="duckdb",
        help="What runs it [default: duckdb]; spark is for what one machine is too small for.",
    ),
    click.option(
        "--master",
        metavar="URL",
        help="Where Spark runs it: local[2] [default], spark://HOST:7077, or sc://HOST:15002 for Spark Connect.",
    ),
)


def engines(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options that choose what runs a statement."""
    for option in reversed(_ENGINE):
        command = option(command)
    return command


def store_among(arguments: Sequence[str]) -> Path:
    """The store that arguments name, before they are parsed."""
    store = default_store()
    for name, value in pairwise([*arguments, ""]):
        if name == "--store" or name.startswith("--store="):
            store = place(value if name == "--store" else name.removeprefix("--store="))
    return store


def answering(*, rows: bool = True, engine: bool = True) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """The options of every command that answers something; rows adds how many are drawn, engine what runs it."""
    options = [
        STORE,
        click.option(
            "--format",
            "form",
            type=click.Choice(["table", "json", "csv", "markdown", "parquet"]),
            help="How to write the answer [default: table, or what FILE's suffix says]; parquet needs a FILE.",
        ),
        click.option(
            "-o",
            "--output",
            "file",
            type=click.Path(path_type=Path, dir_okay=False),
            metavar="FILE",
            help="Write all rows to FILE (.parquet, .csv, .json or .md).",
        ),
        click.option(
            "--spreadsheet",
            is_flag=True,
            help="In CSV: put ' before texts that begin with = + - @, a tab or a line break: a spreadsheet's formulas.",
        ),
        SECONDS,
        click.option(
            "--verify",
            is_flag=True,
            help="See that files of 64 MB and more, too, are as they were written, which reads all of them.",
        ),
        click.option(
            "--show-sql", is_flag=True, help="Print the complete SQL on stderr; it runs in any DuckDB session."
        ),
    ]
    if rows:
        options.append(
            click.option(
                "--rows",
                type=click.IntRange(min=1),
                metavar="N",
                default=50,
                help="Rows drawn as a table [default: 50]; the other formats write all.",
            )
        )

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        for option in reversed(options):
            command = option(command)
        return engines(command) if engine else command

    return decorate
