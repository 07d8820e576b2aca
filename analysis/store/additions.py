"""Adding to a run that has ended: further epochs, whose files and records join those that are there and stay."""

import contextlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from secondguess.analysis.errors import AlreadyThere, BadInput, Damaged, listing
from secondguess.analysis.moments import Moment
from secondguess.analysis.schema import encoded, whole_name
from secondguess.analysis.store import examples, parquet
from secondguess.analysis.store.commits import Metric, now
from secondguess.analysis.store.disk import Part, give_name, make_folder, put_record, sync_folder
from secondguess.analysis.store.lock import Held, hold
from secondguess.analysis.store.records import named
from secondguess.analysis.store.runs import Run, check_open, find_run
from secondguess.analysis.store.upkeep import compact
from secondguess.analysis.store.verified import digest_of
from secondguess.analysis.store.workplace import Workplace, clear
from secondguess.analysis.store.writer import METRICS, writing

# 5,000 small files take 0.2 s to open, 100 take 37 ms; what a relation reads stays until then.
_MOST_RECORDS = 32


@contextlib.contextmanager
def opened(store: Path, name: str) -> Iterator[Run]:
    """A run that has ended, its lock held, to be added to.

    Raises NotFound, AlreadyThere where it is being recorded or was interrupted, Damaged where a record of it cannot be
    read or is gone.
    """
    if store.is_dir():
        clear(store)
    lock = _locked(find_run(store, name))
    try:
        run = find_run(store, name)  # as it stands now that nobody else changes it
        check_ended(run, ours=True)
        incoming = run.folder / ".incoming"
        for path in incoming.iterdir() if incoming.is_dir() else ():
            with contextlib.suppress(FileNotFoundError):
                path.unlink()
        yield run
    finally:
        lock.release()


def _locked(run: Run) -> Held:
    if run.outside:
        raise Damaged(f"run {run.name!r} cannot be added to: {run.faults[0]}")
    try:
        return hold(run.folder)
    except (BlockingIOError, FileNotFoundError):
        raise AlreadyThere(f"run {run.name!r} is being recorded; add to it when it has ended") from None


def check_ended(run: Run, *, ours: bool = False) -> None:
    """Raise where a run cannot be added to: AlreadyThere where it has not ended, Damaged where a record is missing.

    The lock may be ours.
    """
    if damage := run.damage():
        raise Damaged(f"run {run.name!r} cannot be added to: {listing(damage, 1)}")
    if run.end is None:
        how = "is being recorded" if run.state == "running" and not ours else "was interrupted, and may be resumed"
        raise AlreadyThere(f"run {run.name!r} {how}; add to it when it has ended")
    if gone := run.gone():
        table, epochs = next(iter(gone.items()))
        raise Damaged(
            f"run {run.name!r} cannot be added to: the record of {whole_name(run.name, table, listing(epochs))} is "
            "gone; restore it from a copy, or see `secondguess check --repair`"
        )


def check_free(run: Run, epochs: Mapping[str, Collection[Moment]]) -> None:
    """Raise AlreadyThere where a run has one of these epochs of its tables, BadInput for a table called alike.

    So, too, for a step of an epoch whose end is there.
    """
    for table, numbers in epochs.items():
        if twins := [other for other in run.tables if other != table and other.casefold() == table.casefold()]:
            raise BadInput(f"table {table!r} differs from {twins[0]!r} of run {run.name!r} only in case")
        if there := sorted(set(numbers) & set(run.tables.get(table, {}))):
            every = listing(run.tables[table])
            raise AlreadyThere(
                f"{whole_name(run.name, table, listing(there))} is there already (epochs: {every}); add another one "
                "with --epoch, or name another run with --run; what is there is replaced with the whole run only, by "
                "--overwrite without --epoch"
            )
        for moment in numbers:
            check_open(whole_name(run.name, table), moment, run.tables.get(table, {}))


def add_epochs(place: Workplace, recorded_as: str, name: str) -> None:
    """Add all epochs of a finished run in a workplace to a run of its store.

    recorded_as is the name that both have in their files. What is there stays as it is; of a table's new epochs all
    come at once. Raises as `opened` and `check_free`, and NotWritten.
    """
    folder = place.path / encoded(recorded_as)
    with opened(place.store, name) as run, writing(f"{name} could not be added to"):
        new = Run(place.path, recorded_as, folder)
        check_free(run, {table: set(epochs) for table, epochs in new.tables.items()})
        examples.move(place.path, folder, place.store)
        done: list[Path] = []
        try:
            for table, live in Run(place.path, recorded_as, folder).commits.items():
                for record_name, record in live:
                    done += _moved(folder / record["file"]["name"], run.folder / record["file"]["name"])
                    commits = run.commits_folder / encoded(table)
                    make_folder(commits)
                    done.append(_put(commits / record_name, record, run.folder / ".incoming"))
        except BaseException:
            for path in reversed(done):  # records first: one that still names a file must not outlive it
                with contextlib.suppress(OSError):
                    path.unlink()
            raise
        now = Run(run.store, run.name, run.folder)
        if max(map(len, now.commits.values()), default=0) > _MOST_RECORDS and not now.unnamed():
            compact(now)


def add_metrics(run: Run, metrics: Sequence[Metric]) -> None:
    """Add metrics to a run that is `opened`: in a record that takes the place of its last table's last.

    Raises BadInput for a run without tables, NotWritten.
    """
    if not run.commits:
        raise BadInput(
            f"run {run.name!r} has no table that its metrics could join; import them as another run, with --run"
        )
    table = list(run.commits)[-1]
    name, record = run.commits[table][-1]
    incoming = run.folder / ".incoming"
    with writing(f"the metrics of {run.name!r} could not be added"):
        entry = _with_metrics(run, record["metrics"], metrics)
        content = {key: value for key, value in record.items() if key not in {"sha256", "revision"}}
        content |= {"committed": now(), "metrics": entry, "supersedes": [name]}
        try:
            put_record(*named(run.commits_folder / encoded(table), content), incoming)
        except BaseException:
            with contextlib.suppress(OSError):
                (run.folder / entry["name"]).unlink()
            raise


def _with_metrics(run: Run, old: Mapping[str, Any] | None, metrics: Sequence[Metric]) -> dict[str, Any]:
    """The file of a record's metrics with these behind them."""
    schema = METRICS.with_metadata(parquet.footer({"run": recorded_as(run)}))
    columns = [[recorded_as(run)] * len(metrics), *(list(column) for column in zip(*metrics, strict=True))]
    tables = [pa.table(columns, schema=schema)]
    if old is not None:
        parquet.verify(run.folder / old["name"], old["sha256"])
        with parquet.opened(run.folder / old["name"]) as file:
            tables.insert(0, file.read().replace_schema_metadata(schema.metadata).cast(schema))
    rows = pa.concat_tables(tables)
    with Part(run.folder / ".incoming") as part:
        parquet.write_table(part, rows)
        return parquet.publish(part, run.folder / "metrics", "metrics", rows.num_rows)


def _put(path: Path, record: dict[str, Any], incoming: Path) -> Path:
    """Commit a record that was one of another folder; what it superseded there is not here."""
    content = {key: value for key, value in record.items() if key not in {"sha256", "supersedes"}}
    put_record(path, content, incoming)
    return path


def _moved(source: Path, final: Path) -> list[Path]:
    """Give a file its name in the run; where it has it already, left by a killed process, it is the same."""
    make_folder(final.parent)
    try:
        give_name(source, final)
    except FileExistsError:
        parquet.verify(final, digest_of(source))
        return []
    finally:
        if final.parent.is_dir():
            sync_folder(final.parent)
    return [final]


def recorded_as(run: Run) -> str:
    """The run's name in its files: another one than it has, where its folder was renamed."""
    return str(run.about.get("name", run.name))
