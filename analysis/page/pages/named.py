"""The tables that a page's address names: what each is, its record, and links to its other epochs."""

from collections.abc import Callable, Sequence
from typing import Any

from starlette.datastructures import QueryParams

from secondguess.analysis.answers.sides import side
from secondguess.analysis.ask import refs
from secondguess.analysis.ask.refs import Referent, Runs
from secondguess.analysis.ask.scope import run_names
from secondguess.analysis.errors import BadInput, SecondguessError
from secondguess.analysis.moments import Moment
from secondguess.analysis.page import urls
from secondguess.analysis.page.pages.controls import few, nth, over
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


def moved(given: QueryParams, tables: Sequence[Referent | None], names: Sequence[str]) -> tuple[str, ...] | None:
    """The names as a slider's form asks for them, each at its last epoch up to the one asked for; None without one.

    Those that name other than one epoch stay, and so does one that has no epoch as early. Raises BadInput for what is
    no epoch.
    """
    there = [table for table in tables if table is not None and table.selection is not None]
    said = given.get("at", "").strip()
    place = urls.read_nth(given)
    if place is None and not said:
        return None
    moment = Moment.parse(said) if place is None else nth(there, place)
    if moment is None:
        raise BadInput(f"at is {said!r}, not an epoch")
    put = []
    for text, table in zip(names, tables, strict=True):
        before = [epoch.moment for epoch in table.epochs if epoch.moment <= moment] if _steady(table) and table else []
        put.append(at_epoch(text.partition("@")[0], max(before)) if before else text)
    return tuple(put)


def slider(
    tables: Sequence[Referent | None], names: Sequence[str], action: str, hidden: Sequence[tuple[str, str]]
) -> dict[str, Any] | None:
    """The slider over the epochs of what is asked about, where each is asked about at one epoch."""
    known = [table for table in tables if table is not None and _steady(table)]
    if not known or len(known) < len(tables) or len({text.partition("@")[0] for text in names}) < len(names):
        return None
    now = max(epoch.moment for table in known if table.selection for epoch in table.selection.epochs)
    return over(known, now, {"action": action, "hidden": [*hidden, *(("t", text) for text in names)], "holds": True})


def _steady(table: Referent | None) -> bool:
    return table is not None and table.selection is not None and len(table.selection.epochs) == 1


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
