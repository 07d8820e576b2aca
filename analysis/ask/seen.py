"""Which tables saw the same examples, as far as their records say: what a reader of their counts should know."""

from collections.abc import Hashable, Iterable, Sequence

from secondguess.analysis.ask.refs import Runs, Selection, called
from secondguess.analysis.errors import counted, listing
from secondguess.analysis.schema import at_epoch
from secondguess.analysis.store.records import Epoch


def examples_of(epoch: Epoch) -> Hashable:
    """What is the same for tables about the same ids, in whatever order."""
    return epoch.ids if epoch.id_set is None else epoch.id_set


def notes(chosen: Sequence[Selection], runs: Runs) -> list[str]:
    """What is said where tables that stand together saw different examples, or where that is not known."""
    epochs = [epoch for selection in chosen for epoch in selection.epochs]
    groups: dict[Hashable, list[Epoch]] = {}
    for epoch in epochs:
        groups.setdefault(examples_of(epoch), []).append(epoch)
    if len(groups) > 1:
        alike = len({epoch.rows for epoch in epochs}) == 1
        unsure = alike and any(epoch.id_set is None for epoch in epochs)  # a record of before says their order, too
        parts = [f"{_named(group, runs)} ({counted(group[0].rows, 'row')})" for group in groups.values()]
        said = "these tables saw different examples"
        said = "it is not known whether these tables saw the same examples" if unsure else said
        return [f"{said}: {listing(parts, 3)}; a count of one is no count of another"]
    files = dict.fromkeys(epoch.examples.stem for epoch in epochs if epoch.examples is not None)
    if len(files) > 1:
        return [
            f"the same ids are in several files of examples ({listing(files, 3)}), so they may mean different ones; "
            "a join says whether they do"
        ]
    return []


def _named(epochs: Iterable[Epoch], runs: Runs) -> str:
    """Tables with their epochs, each table once."""
    by_table: dict[str, list[Epoch]] = {}
    for epoch in epochs:
        by_table.setdefault(called(runs[epoch.run], epoch.table), []).append(epoch)
    return listing([_at(name, group) for name, group in by_table.items()], 3)


def _at(name: str, epochs: Sequence[Epoch]) -> str:
    if len(epochs) == 1:
        return at_epoch(name, epochs[0].moment)
    return f"{name} at {len(epochs):,} epochs from {epochs[0].moment} to {epochs[-1].moment}"
