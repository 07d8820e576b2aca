"""`secondguess note`: tags and a note of a run, kept in the store."""

from pathlib import Path

import click

from secondguess.analysis.console import say
from secondguess.analysis.errors import listing
from secondguess.analysis.schema import STORE_OPTION
from secondguess.analysis.store import remarks
from secondguess.analysis.store.runs import find_run


@click.command(short_help="Say something of a run: tags and a note.")
@click.argument("run", metavar="RUN")
@click.argument("note", metavar="[NOTE]", required=False)
@click.option("--tag", "tags", multiple=True, metavar="TAG", help="Give the run this tag; may be repeated.")
@click.option("--untag", multiple=True, metavar="TAG", help="Take this tag from the run; may be repeated.")
@click.option("--store", **STORE_OPTION)
def note(run: str, note: str | None, tags: tuple[str, ...], untag: tuple[str, ...], store: Path) -> None:
    """Give RUN tags and a note, in place of the one before; an empty NOTE deletes it. Alone it says what there is.

    They lie in the run's folder, and go where it goes; the page of runs shows them, searches them and filters by them.
    """
    said = remarks.read(find_run(store, run))
    if note is not None or tags or untag:
        said = remarks.change(store, run, tags, untag, note)
    say(f"{run}: {listing(said.tags, 50) or 'no tags'}")
    if said.note:
        say(said.note)
