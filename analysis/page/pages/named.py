"""The tables that a page's address names: what each is, its record, and links to its other epochs."""

from collections.abc import Callable, Sequence
from typing import Any

from secondguess.analysis.answers.sides import side
from secondguess.analysis.ask import refs
from secondguess.analysis.ask.refs import Referent, Runs
from secondguess.analysis.ask.scope import run_names
from secondguess.analysis.errors import SecondguessError
from secondguess.analysis.page.pages.controls import few
from secondguess.analysis.schema import at_epoch
from secondguess.analysis.store.records import Epoch


def chosen(runs: Runs, text: str, epochs: str) -> Referent | None:
    """What a reference names; None where it is none, which is said where the answer would be."""
    try:
        return refs.named(runs, text, epochs)
    except SecondguessError:
        return None


def entries(runs: Runs, tables: Sequence[Referent | None]) -> dict[str, Epoch]:
    """The records of what is asked about, by the names that the answer gives them."""
    asked = [table.selection for table in tables if table and table.selection]
    names = run_names(runs, asked)
    epochs = [epoch for selection in asked for epoch in selection.epochs]
    return {at_epoch(names[epoch.run, epoch.table], epoch.moment): epoch for epoch in epochs}


def steps(
    tables: Sequence[Referent | None], names: Sequence[str], url: Callable[[Sequence[str]], str]
) -> list[dict[str, Any]]:
    """For each table that is asked about at one epoch the epochs there are, as links that put it at one of them."""
    made = []
    for place, (text, table) in enumerate(zip(names, tables, strict=True)):
        if table is None or table.selection is None:
            continue
        epochs = [epoch.moment for epoch in table.epochs]
        now = table.selection.epochs[0].moment if len(table.selection.epochs) == 1 else None
        if now is None or len(epochs) < 2:
            continue
        base = text.partition("@")[0]
        links = []
        for epoch in few(epochs, [now]):
            others = (*names[:place], at_epoch(base, epoch), *names[place + 1 :])
            links.append((epoch, url(others), epoch == now))
        made.append({"name": at_epoch(base, now), "links": links, "side": side(place)})
    return made
