"""`secondguess view`: the page on this machine."""

from pathlib import Path
from typing import Any

import click

from secondguess.analysis.commands.options import STORE
from secondguess.analysis.errors import MissingExtra
from secondguess.analysis.store.runs import list_runs


@click.command()
@STORE
@click.option(
    "--port", type=click.IntRange(0, 65535), default=0, help="The port [default: this store's last one, or a free one]."
)
@click.option("--host", default="127.0.0.1", help="The address to listen on [default: this machine alone].")
@click.option("--no-browser", is_flag=True, help="Do not open a browser; the address is printed.")
@click.option(
    "--seconds", type=click.FloatRange(min=0.1), default=20, help="The longest a question may take [default: 20]."
)
@click.option("--memory", default="2GB", help="How much memory a question may take [default: 2GB].")
@click.option("--new-token", is_flag=True, help="Let in no browser that was let in before.")
def view(store: Path, no_browser: bool, **how: Any) -> None:
    """Look at the predictions in a browser: a page of this machine's own, with nothing from elsewhere.

    The port stays that of the store, and a browser that was let in stays so for 30 days, so bookmarks go on working.
    """
    list_runs(store.absolute())
    try:
        from secondguess.analysis.page import server
    except ModuleNotFoundError as error:
        raise MissingExtra(f"{error.name}, which `secondguess view` needs,", "view") from None
    server.serve(store.absolute(), server.Wanted(browser=not no_browser, **how))
