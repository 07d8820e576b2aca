"""`secondguess view`: the page on this machine."""

import shutil
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

import click

from secondguess.analysis import signals
from secondguess.analysis.commands import progress
from secondguess.analysis.commands.options import STORE
from secondguess.analysis.console import say
from secondguess.analysis.errors import BadInput
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
@click.option(
    "--export",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="FOLDER",
    help="Write pages as files into a new or empty FOLDER instead: those at the ADDRESSes, or all runs and more.",
)
@click.option("--new-token", is_flag=True, help="Let in no browser that was let in before.")
@click.argument("addresses", nargs=-1, metavar="[ADDRESS]...")
def view(store: Path, no_browser: bool, addresses: tuple[str, ...], export: Path | None, **how: Any) -> None:
    """Look at the predictions in a browser: a page of this machine's own, with nothing from elsewhere.

    The port stays that of the store, and a browser that was let in stays so for 30 days, so bookmarks go on working.

    With --export, an ADDRESS is one that the browser shows, or a table such as cnn@5. The files have their images in
    them, lead to each other, and ask nothing of a network; without an ADDRESS they are the page of all runs, each run's
    page, and the tables, comparisons and questions that these lead to, 200 at most.
    """
    list_runs(store.absolute())
    from secondguess.analysis.page import server

    if export is not None:
        _export(store.absolute(), export, addresses, (how["seconds"], how["memory"]))
        return
    if addresses:
        raise BadInput(f"an ADDRESS goes with --export FOLDER, which writes its page; leave out {addresses[0]!r}")
    server.serve(store.absolute(), server.Wanted(browser=not no_browser, **how))


def _export(store: Path, folder: Path, addresses: tuple[str, ...], limits: tuple[float, str]) -> None:
    """Write pages as files into a folder that is there once all of them are."""
    from secondguess.analysis.page import snapshot
    from secondguess.analysis.serving.listening import checked

    if folder.resolve().is_relative_to(store.resolve()):
        raise BadInput(f"{folder} lies in the store, which only recording writes to; name a folder outside {store}")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise BadInput(f"{folder} is there and not empty; name a new folder, or empty this one")
    checked(limits[1])
    folder.parent.mkdir(parents=True, exist_ok=True)
    beside = Path(tempfile.mkdtemp(dir=folder.parent))
    remove = partial(shutil.rmtree, beside, ignore_errors=True)
    try:
        with progress.steps("drawing pages") as tell, signals.undone(remove):
            (beside / "pages").mkdir()
            made = snapshot.write(store, beside / "pages", addresses, limits, tell)
            (beside / "pages").replace(folder)
    finally:
        remove()
    for fault in made.faults:
        say(fault, err=True)
    pages = f"{len(made.pages):,} page{'' if len(made.pages) == 1 else 's'}"
    say(f"wrote {pages}, {made.bytes / 1e6:.1f} MB, to {folder}; open {folder / 'index.html'}", err=True)
    if made.left:
        say(f"{made.left:,} more that they lead to are left out; name their addresses to have them", err=True)
