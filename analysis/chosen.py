"""The tables that are asked about: found in the store, whole, with what their reader should know."""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from analysis.errors import Damaged, listing
from analysis.refs import Selection
from analysis.schema import read_as, whole_name
from analysis.store.records import Epoch
from analysis.store.runs import Run, list_runs

Runs = Mapping[str, Run]
"""The runs of a store by name."""


def listed(
    store: Path, chosen: Callable[[Runs], Iterable[Selection]], known: Runs | None = None
) -> tuple[Runs, list[Selection]]:
    """The runs of a store, those known or else listed now, and what is chosen of them.

    Where a chosen file is gone they are listed again, and chosen from again: a compaction may just have removed it.
    """
    runs = list_runs(store) if known is None else known
    selections = list(chosen(runs))
    if all(epoch.file.is_file() for selection in selections for epoch in selection.epochs):
        return runs, selections
    runs = list_runs(store)
    return runs, list(chosen(runs))


def tables_of(run: Run) -> list[Selection]:
    """Every table of a run with all its epochs."""
    return [Selection(run.name, table, tuple(epochs.values())) for table, epochs in run.tables.items()]


def whole(selection: Selection) -> Selection:
    """The selection without the epochs whose file is gone."""
    return Selection(selection.run, selection.table, tuple(epoch for epoch in selection.epochs if epoch.file.is_file()))


def present(selection: Selection) -> Selection:
    """The selection without the epochs whose file is gone; raises Damaged where none is left."""
    found = whole(selection)
    if selection.epochs and not found.epochs:
        raise Damaged(f"{selection.name} is committed, but its file {selection.epochs[0].file} is missing; restore it")
    return found


def run_notes(runs: Iterable[Run]) -> list[str]:
    """What is wrong in the runs' folders: records that cannot be read, files that are gone."""
    found: list[str] = []
    for run in runs:
        gone: dict[Path, list[Epoch]] = {}
        for epoch in (epoch for table in run.tables.values() for epoch in table.values()):
            if not epoch.file.is_file():
                gone.setdefault(epoch.file, []).append(epoch)
        found += run.faults
        found += _renamed(run)
        for file, epochs in gone.items():
            name = whole_name(epochs[0].run, epochs[0].table, listing(epoch.epoch for epoch in epochs))
            found.append(f"left out {name}: {file} is missing")
    return list(dict.fromkeys(found))


def _renamed(run: Run) -> list[str]:
    """Which columns of a run's tables have another name where they are asked about than in their files."""
    found = []
    for name, epochs in run.tables.items():
        for columns in dict.fromkeys(epoch.columns for epoch in epochs.values()):
            own = [column for column, _ in columns]
            pairs = zip(own, read_as(own), strict=True)
            table = whole_name(run.name, name)
            found += [f"{table}: its column {old!r} is called {new!r}" for old, new in pairs if old != new]
    return found


def row_notes(chosen: Iterable[Selection]) -> list[str]:
    """What the counts leave aside: rows with NaN scores, rows without a label."""
    found = []
    for epoch in (epoch for selection in chosen for epoch in selection.epochs):
        if epoch.nan_scores:
            found.append(f"{epoch.name}: {epoch.nan_scores:,} of {epoch.rows:,} rows have NaN scores, so no confidence")
        if epoch.unlabelled and epoch.errors is not None:
            found.append(
                f"{epoch.name}: {epoch.unlabelled:,} of {epoch.rows:,} rows are unlabelled, so neither right nor wrong"
            )
    return found
