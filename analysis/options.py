"""The options that commands share."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from analysis.schema import DEFAULT_STORE, STORE_VARIABLE


def default_store() -> Path:
    """The store where a command names none: the one named before it, the environment's, or the usual folder."""
    context = click.get_current_context(silent=True)
    above = context.parent.params.get("store") if context is not None and context.parent is not None else None
    return above or Path(os.environ.get(STORE_VARIABLE) or DEFAULT_STORE)


STORE = click.option(
    "--store",
    type=click.Path(path_type=Path),
    default=default_store,
    help=f"The folder that holds the runs [default: {DEFAULT_STORE}, or ${STORE_VARIABLE}].",
)


def answering(*, rows: bool = True) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """The options of every command that answers something; rows adds how many are drawn."""
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
        return command

    return decorate
