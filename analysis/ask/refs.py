"""Table references, `RUN[/TABLE][@EPOCH]`, the committed epochs that they name, and what their reader should know."""

import unicodedata
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from secondguess.analysis.errors import BadInput, Damaged, NotFound, SecondguessError, listing
from secondguess.analysis.moments import Moment
from secondguess.analysis.schema import DEFAULT_TABLE, read_as, reference, whole_name
from secondguess.analysis.store import verified
from secondguess.analysis.store.records import Epoch
from secondguess.analysis.store.runs import Run, list_runs

_WORDS = ("last", "best", "all")
_NEVER_BY_CHANCE = 20  # labelled rows of which no model gets all wrong


@dataclass(frozen=True)
class TableRef:
    """A reference as typed; table and epoch are None where left out."""

    run: str
    table: str | None
    epoch: Moment | str | None


@dataclass(frozen=True)
class Selection:
    """The epochs that one reference names, in order, of one table of one run."""

    run: str
    table: str
    epochs: tuple[Epoch, ...]

    @property
    def name(self) -> str:
        """The reference that names the same."""
        return reference(self.run, self.table, self.epochs[0].moment if len(self.epochs) == 1 else None)


def parse(text: str) -> TableRef:
    """Read a reference; raises BadInput where it is none."""
    left, at, epoch = unicodedata.normalize("NFC", text).partition("@")
    run, slash, table = left.partition("/")
    if not run or (slash and not table) or (at and not epoch):
        raise BadInput(f"{text!r} is not a table reference; write RUN, RUN@EPOCH or RUN/TABLE@EPOCH")
    if not at:
        return TableRef(run, table or None, None)
    if (moment := Moment.parse(epoch)) is not None:
        return TableRef(run, table or None, moment)
    if epoch in _WORDS:
        return TableRef(run, table or None, epoch)
    raise BadInput(
        f"{text!r}: epoch {epoch!r} is neither a number nor one of {', '.join(_WORDS)}; a step of an epoch is spelled "
        "2:1500"
    )


@dataclass(frozen=True)
class Referent:
    """What a reference names in a store, as far as there is such a thing.

    selection is None where it names no epoch that there is; epochs are all of its table, none where it names no table.
    """

    text: str
    ref: TableRef
    selection: Selection | None
    epochs: tuple[Epoch, ...] = ()


def named(runs: Mapping[str, Run], text: str, epochs: str) -> Referent:
    """What a reference names, as `resolve`, but for what it does not name; raises BadInput where it is none."""
    ref = parse(text)
    try:
        table = select(runs[ref.run], replace(ref, epoch="all"), epochs) if ref.run in runs else None
    except SecondguessError:
        table = None
    if table is None:
        return Referent(text, ref, None)
    by_moment = {epoch.moment: epoch for epoch in table.epochs}
    try:
        chosen = _chosen(text, by_moment, epochs if ref.epoch is None else ref.epoch)
    except SecondguessError:
        return Referent(text, ref, None, table.epochs)
    return Referent(text, ref, Selection(table.run, table.table, chosen), table.epochs)


def resolve(runs: Mapping[str, Run], text: str, epochs: str) -> Selection:
    """The selection a reference names; `epochs` ("last" or "all") decides where it names no epoch.

    Raises NotFound naming what exists, BadInput for `best` of a table without truth.
    """
    ref = parse(text)
    if ref.run not in runs:
        raise NotFound(f"no run named {ref.run!r}; the store has {listing(runs) or 'no runs yet'}")
    return select(runs[ref.run], ref, epochs)


def select(run: Run, ref: TableRef, epochs: str) -> Selection:
    """The selection that a reference names in its run; as `resolve`, or Damaged where a record cannot be read."""
    try:
        name = ref.table or _default_table(run.name, run.tables)
        if name not in run.tables:
            raise NotFound(f"run {run.name!r} has no table {name!r}; it has: {listing(run.tables) or 'none yet'}")
        by_moment = dict(sorted(run.tables[name].items()))
        chosen = _chosen(whole_name(run.name, name), by_moment, epochs if ref.epoch is None else ref.epoch)
    except NotFound as error:
        if faults := [*run.faults, *run.lost()]:
            raise Damaged(f"{error}; {faults[0]}") from None
        raise
    return Selection(run.name, name, chosen)


def called(run: Run, table: str) -> str:
    """What answers call a table of a run, which is a reference too: RUN where that alone means it, else RUN/TABLE."""
    return run.name if list(run.tables) == [table] else reference(run.name, table)


def _default_table(run: str, tables: Mapping[str, object]) -> str:
    if DEFAULT_TABLE in tables:
        return DEFAULT_TABLE
    if len(tables) > 1:
        one = whole_name(run, next(iter(tables)))
        raise BadInput(f"run {run!r} has several tables: {listing(tables)}; name one, as in {one}")
    return next(iter(tables), DEFAULT_TABLE)


def _chosen(name: str, epochs: Mapping[Moment, Epoch], epoch: Moment | str) -> tuple[Epoch, ...]:
    """The epochs that are named; an epoch without a step is the last of its validations."""
    if epoch == "all":
        return tuple(epochs.values())
    if epoch == "last":
        return (epochs[max(epochs)],)
    if epoch == "best":
        return (_best(name, epochs),)
    moment = epoch if isinstance(epoch, Moment) else Moment.parse(epoch)
    if moment is not None and moment.step is None:
        moment = max((one for one in epochs if one.epoch == moment.epoch), default=moment)
    if moment is None or moment not in epochs:
        raise NotFound(f"{name} has no epoch {epoch}; it has: {listing(epochs)}")
    return (epochs[moment],)


def _best(name: str, epochs: Mapping[Moment, Epoch]) -> Epoch:
    best = fewest_errors(epochs.values())
    if best is None:
        lacks = next((epoch.lacks for epoch in epochs.values()), "truth")
        raise BadInput(f"{name} has no {lacks}, so no epoch of it is best; name an epoch, or last")
    return best


def fewest_errors(epochs: Iterable[Epoch]) -> Epoch | None:
    """The validation with the fewest errors, the earliest of equals; None where none are counted."""
    counted = [epoch for epoch in epochs if epoch.errors is not None]
    return min(counted, key=lambda epoch: (epoch.errors or 0, epoch.moment), default=None)


Runs = Mapping[str, Run]
"""The runs of a store by name."""


def listed(
    store: Path, chosen: Callable[[Runs], Iterable[Selection]], known: Runs | None = None, *, used: bool = True
) -> tuple[Runs, list[Selection]]:
    """The runs of a store, those known or else listed now, and what is chosen of them.

    Where a chosen file is gone they are listed again, and chosen from again, until the same ones are gone as before: a
    compaction may just have removed it. Where all are used, their files are verified here, which may take a while.
    """
    runs = list_runs(store) if known is None else known
    look = verified.faults if used else verified.plain_faults
    before: set[Path] = set()
    while True:
        selections = list(chosen(runs))
        faults = look(epoch.rows_file for selection in selections for epoch in selection.epochs)
        gone = {path for path, said in faults.items() if said == verified.MISSING}
        if gone == before:
            return runs, selections
        before, runs = gone, list_runs(store)


def tables_of(run: Run) -> list[Selection]:
    """Every table of a run with all its epochs."""
    return [Selection(run.name, table, tuple(epochs.values())) for table, epochs in run.tables.items()]


def whole(selection: Selection) -> Selection:
    """The selection without the epochs whose file is gone or is not what was written."""
    faults = verified.faults(epoch.rows_file for epoch in selection.epochs)
    if not faults:
        return selection
    return replace(selection, epochs=tuple(epoch for epoch in selection.epochs if epoch.file not in faults))


def present(selection: Selection) -> Selection:
    """The selection as `whole`; raises Damaged where none of its epochs is left."""
    rest = whole(selection)
    if selection.epochs and not rest.epochs:
        file = selection.epochs[0].rows_file
        said = verified.fault(file) or "was damaged"
        raise Damaged(f"{selection.name} is committed, but its file {file.path} {said}; restore it from a copy")
    return rest


def run_notes(runs: Iterable[Run]) -> list[str]:
    """What is wrong in the runs' folders: records that cannot be read or are gone, files that are gone or damaged.

    Of files that nothing asked for is said what is seen without reading them, or was found before.
    """
    notes: list[str] = []
    for run in runs:
        epochs = [epoch for table in run.tables.values() for epoch in table.values()]
        notes += [*run.lost(), *run.faults, *_renamed(run)]
        for file, said in verified.plain_faults(epoch.rows_file for epoch in epochs).items():
            there = [epoch for epoch in epochs if epoch.file == file]
            name = whole_name(there[0].run, there[0].table, listing(epoch.moment for epoch in there))
            notes.append(f"left out {name}: {file} {said}")
        notes += metrics_notes(run, verified.plain_faults(run.metrics_files))
    return list(dict.fromkeys(notes))


def metrics_notes(run: Run, faults: Mapping[Path, str]) -> list[str]:
    """What is said of a run's metrics that are left out."""
    return [f"left out metrics of {run.name}: {path} {said}" for path, said in faults.items()]


def _renamed(run: Run) -> list[str]:
    """Which columns of a run's tables have another name where they are asked about than in their files."""
    notes = []
    for name, epochs in run.tables.items():
        for columns in dict.fromkeys(epoch.columns for epoch in epochs.values()):
            own = [column for column, _ in columns]
            pairs = zip(own, read_as(own), strict=True)
            table = whole_name(run.name, name)
            notes += [f"{table}: its column {old!r} is called {new!r}" for old, new in pairs if old != new]
    return notes


def row_notes(chosen: Iterable[Selection]) -> list[str]:
    """What the counts leave aside: rows with NaN scores, rows without a label."""
    notes = []
    for epoch in (epoch for selection in chosen for epoch in selection.epochs):
        if epoch.nan_scores:
            notes.append(f"{epoch.name}: {epoch.nan_scores:,} of {epoch.rows:,} rows have NaN scores, so no confidence")
        several = epoch.task == "multi-label"  # where all labels of a row are seldom right
        if epoch.errors is not None and epoch.errors == epoch.labelled >= _NEVER_BY_CHANCE and not several:
            notes.append(
                f"{epoch.name}: every labelled row is an error; if guesses and truths name the classes in two ways, "
                "import it again with --classes"
            )
        if epoch.unlabelled and epoch.errors is not None:
            notes.append(
                f"{epoch.name}: {epoch.unlabelled:,} of {epoch.rows:,} rows are unlabelled, so neither right nor wrong"
            )
    return notes
