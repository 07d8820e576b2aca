"""The only writer of a run: creates it, commits its epochs, ends it."""

import contextlib
import itertools
import logging
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import pyarrow as pa
import pyarrow.compute as pc

from secondguess.analysis.errors import (
    AlreadyThere,
    BadInput,
    Damaged,
    NotReached,
    NotWritten,
    SecondguessError,
    listing,
)
from secondguess.analysis.moments import Moment
from secondguess.analysis.objects.path import ObjectPath, forget
from secondguess.analysis.schema import FORMAT_VERSION, STEP, checked_name, encoded, whole_name
from secondguess.analysis.store import parquet, verified
from secondguess.analysis.store.commits import (
    EpochRows,
    Metric,
    WrittenRows,
    check_steps,
    check_types,
    now,
    record,
    write_epoch,
)
from secondguess.analysis.store.disk import Part, make_folder, make_private, put_record, sync_below, sync_folder
from secondguess.analysis.store.lease import Lease, Leased
from secondguess.analysis.store.lock import Held, RunLock, hold, is_held
from secondguess.analysis.store.records import Epoch, format_of
from secondguess.analysis.store.runs import Run, check_open, find_run, list_runs, run_folder
from secondguess.analysis.store.upkeep import compact, sweep
from secondguess.analysis.store.workplace import REPLACING, Workplace, clear

_log = logging.getLogger("secondguess")

METRICS = pa.schema(
    [("run", pa.string()), ("step", pa.int64()), ("epoch", pa.int32()), ("name", pa.string()), ("value", pa.float64())]
)


@dataclass(frozen=True)
class _Replaced:
    """A run that another one replaces once that has something committed: its lock, and where the other is made."""

    lock: Held
    folder: Path
    place: Workplace


class RunWriter:
    """An open run, whose lock it holds; what the disk refuses raises NotWritten and leaves the store as it was.

    A run that replaces another is made in a workplace, and takes its place with its first committed epoch.
    """

    def __init__(self, run: Run, lock: Held, replaced: _Replaced | None = None) -> None:
        self.run = run
        self.incoming = (run.folder if replaced is None else replaced.place.path) / ".incoming"
        self._lock = lock
        self._replaced = replaced
        self._process = os.getpid()
        self._had_ended = False
        self._moments: dict[str, set[Moment]] = {}
        self._steps: dict[str, dict[bool, Moment]] = {}  # whether the column `step` is that of validations, and where
        self._types: dict[str, dict[str, str]] = {}

    @classmethod
    def create(
        cls, store: Path, name: str, about: Mapping[str, Any], *, overwrite: bool = False, if_empty: bool = False
    ) -> Self:
        """Begin a run; raises AlreadyThere where it exists and is not to be overwritten, or is being recorded.

        A run that is overwritten, also if_empty, stays as it is until the new one has its first committed epoch.
        """
        name = checked_name("run", name)
        _make_store(store)
        clear(store)
        existing = list_runs(store) if store.is_dir() else {}  # a bucket has no folder before its first object
        check_twins(existing, name)
        if name in existing and not overwrite and not (if_empty and existing[name].is_empty):
            raise _taken(existing[name])
        with writing(f"run {name!r} could not be begun"):
            if name in existing:
                return cls._replacing(existing[name], about)
            make_folder(folder := run_folder(store, name))
            return cls(Run(store, name, folder), _begun(folder, name, about))

    @classmethod
    def _replacing(cls, old: Run, about: Mapping[str, Any]) -> Self:
        held = locked(old.folder, old.name)  # so that nobody else resumes or replaces it meanwhile
        with _released_on_error(held):
            place = Workplace(old.store, REPLACING)
            try:
                folder = place.path / encoded(old.name)
                make_folder(folder)
                lock = _begun(folder, old.name, about)
            except BaseException:
                place.close()
                raise
        return cls(Run(old.store, old.name, folder), lock, _Replaced(held, old.folder, place))

    @classmethod
    def resume(cls, store: Path, name: str, *, ended: bool = False) -> Self:
        """Open an interrupted run again, with ended one that has ended, too.

        Raises NotFound, AlreadyThere where it is being recorded, or has ended and may not have; Damaged where a record
        cannot be read.
        """
        name = checked_name("run", name)
        if store.is_dir():
            clear(store)
        folder = find_run(store, name).folder
        with writing(f"run {name!r} cannot be resumed"):
            lock = locked(folder, name)
            with _released_on_error(lock):
                run = find_run(store, name)  # as it stands now that nobody else changes it
                if run.end is not None and not ended:
                    raise _finished(name)
                if damage := run.damage():
                    raise Damaged(f"run {name!r} cannot be resumed: {listing(damage, 1)}")
                if run.end is None:  # else what no record names may be all that is left of one
                    sweep(run)
                _sync(store.parent, store)
                sync_below(run.folder)
        writer = cls(run, lock)
        writer._had_ended = run.end is not None
        return writer

    def committed(self) -> Mapping[str, Mapping[Moment, Epoch]]:
        """The epochs committed so far, per table, each step of one by itself."""
        return self._fresh().tables

    def last_step(self) -> int:
        """The highest step among the committed metrics, 0 before the first."""
        run = self._fresh()
        faults = verified.faults(run.metrics_files, kept=False)
        files = [path for path in run.metrics if path not in faults]
        steps = [_last_step(path) for path in files]
        return max((step for step in steps if step is not None), default=0)

    def commit(self, epoch: EpochRows) -> None:
        """Make an epoch durable and visible as its rows come, or raise AlreadyThere: never half, never twice.

        Raises BadInput for a step of an epoch whose end is committed.
        """
        self.check_open()
        commit = self.run.commits_folder / encoded(epoch.table) / f"{epoch.moment.stem}.json"
        name = whole_name(self.run.name, epoch.table, epoch.moment)
        self.check_free(epoch.table, epoch.moment)
        if commit.exists():
            raise written_once(name)
        check_types(epoch, self._types[epoch.table])
        check_steps(epoch, self._steps[epoch.table])
        files: list[dict[str, Any] | None] = []
        with writing(f"{name} could not be recorded"):
            try:
                make_folder(commit.parent)  # it tells a later sweep that the table's folder holds files of ours
                written = self._write_rows(epoch)
                files.append(written.file)
                files.append(metrics := self._write_metrics(epoch.metrics))
                put_record(commit, record(epoch, written, metrics), self.incoming)
                self._take_place()
            except BaseException as error:
                self._withdraw(files, commit)
                if isinstance(error, FileExistsError):
                    raise AlreadyThere(
                        f"{name} was just committed by another process; these rows are dropped"
                    ) from None
                raise
        self._moments[epoch.table].add(epoch.moment)
        self._types[epoch.table].update(epoch.types)
        if STEP in epoch.types:
            self._steps[epoch.table].setdefault(epoch.has_steps, epoch.moment)

    def check_free(self, table: str, moment: Moment) -> None:
        """Raise AlreadyThere where it is committed, BadInput for a step of an epoch whose end is."""
        there = self._committed(table)
        if moment in there:
            raise written_once(whole_name(self.run.name, table, moment))
        check_open(whole_name(self.run.name, table), moment, there)

    def end(self, metrics: Sequence[Metric] = (), **about: Any) -> None:
        """Merge each table's epochs into as few files as fit, then record that the run finished.

        A run that dies in between is interrupted, so that whoever resumes it finds and clears what was left. One that
        had ended when it was opened stays ended as it was; of what came since, metrics without a table are not kept,
        which is said.
        """
        self.check_open()
        run = self._fresh()
        if run.end is not None and not self._had_ended:
            raise AlreadyThere(f"run {self.run.name!r} has ended; it ends once")
        if run.end is not None:
            if metrics:
                _log.warning(
                    "run %s had ended: %d metrics that came after the last table are not kept", run.name, len(metrics)
                )
            if not run.unnamed():
                compact(run)
            return
        with writing(f"the end of run {self.run.name!r} could not be recorded"):
            compact(self._fresh())
            entry = self._write_metrics(metrics)
            committed = self.committed()
            tables = {table: [moment.plain for moment in moments] for table, moments in committed.items()}
            version = format_of(moment for moments in committed.values() for moment in moments)
            how = {"format": version, "ended": now(), "status": "finished", **about}
            how |= {"tables": tables, "metrics": entry}
            end = self.run.commits_folder / "end.json"
            try:
                put_record(end, how, self.incoming)
                if metrics:  # a run that ends with nothing replaces nothing
                    self._take_place()
            except BaseException:
                self._withdraw([entry], end)
                raise

    def note(self, name: str, about: Mapping[str, Any]) -> None:
        """Keep a further record beside the commits, such as where W&B put its copy; a taken name gets -2, -3, …."""
        self.check_open()
        name = encoded(name).replace("/", "%2F")
        with writing(f"{name} of run {self.run.name!r} could not be recorded"):
            for count in itertools.count(1):
                path = self.run.commits_folder / f"{name}{'' if count == 1 else f'-{count}'}.json"
                with contextlib.suppress(FileExistsError):
                    put_record(path, {"format": FORMAT_VERSION, **about}, self.incoming)
                    return

    def close(self) -> None:
        """Let the run go; one that has not ended is interrupted from now on."""
        if self._replaced is not None:
            if not self._has_place():
                _log.warning("nothing was committed, so run %r is the one that was there before", self.run.name)
            self._replaced.place.close()
            self._replaced.lock.release()
        self._lock.release()

    def _fresh(self) -> Run:
        return Run(self.run.store, self.run.name, self.run.folder)

    def check_open(self) -> None:
        """Raise SecondguessError where this process may write no more: forked, closed, or the folder gone."""
        if os.getpid() != self._process:
            raise SecondguessError(f"run {self.run.name!r} was opened by another process; only that one writes to it")
        if not self._lock.holds() and isinstance(self._lock, Lease):
            raise SecondguessError(
                f"run {self.run.name!r} is closed, or another process has taken it over, since its lease had ended; "
                "nothing more is recorded there"
            )
        if not self._lock.holds():
            raise SecondguessError(
                f"run {self.run.name!r} is closed, or its folder {self.run.folder} was removed or replaced; "
                "nothing more is recorded there"
            )

    def has_steps(self, table: str) -> bool:
        """Whether a column `step` of the table is that of its validations."""
        return bool(self._committed(table)) and True in self._steps[table]

    def _committed(self, table: str) -> set[Moment]:
        """The committed epochs of a table; read once, for this process is the only one to add to them."""
        if table not in self._moments:
            earlier = self.committed()
            if twins := [name for name in earlier if name != table and name.casefold() == table.casefold()]:
                raise BadInput(f"table {table!r} differs from {twins[0]!r} only in case; choose another name")
            epochs = earlier.get(table, {})
            self._moments[table] = set(epochs)
            self._types[table] = {name: kind for known in epochs.values() for name, kind in known.columns}
            with_step = [known for known in epochs.values() if STEP in dict(known.columns)]
            self._steps[table] = {known.has_steps: known.moment for known in reversed(with_step)}
        return self._moments[table]

    def _take_place(self) -> None:
        """Give the run its name, where another one had it until now."""
        if self._replaced is not None and not self._has_place():
            self._replaced.place.take_place(self.run.folder, self._replaced.folder, self._replaced.lock)
            if isinstance(self._replaced.folder, ObjectPath):  # it was copied, and held by the lease from now on
                self._lock.release()
                self._lock, self.run = self._replaced.lock, Run(self.run.store, self.run.name, self._replaced.folder)
        self._has_place()

    def _has_place(self) -> bool:
        """Whether the run lies where its name leads, which is noted."""
        if self._replaced is None:
            return True
        at = self._replaced.folder
        if self.run.folder != at and isinstance(self._lock, RunLock) and self._lock.is_of(at):
            self.run = Run(self.run.store, self.run.name, self._replaced.folder)
            self._lock.moved(self._replaced.folder)
            self._replaced.lock.release()
        return self.run.folder == self._replaced.folder

    def _withdraw(self, files: Sequence[dict[str, Any] | None], commit: Path | None = None) -> None:
        """Remove the files of a failed commit, but what a record names: two writers of the same rows share a file."""
        if not self._has_place() and commit is not None:
            commit.unlink(missing_ok=True)  # nobody has seen it
        if isinstance(self.run.folder, ObjectPath):
            forget(self.run.folder)  # another writer's record may have come since it was listed
        run = self._fresh()
        with contextlib.suppress(NotReached):  # then what is there is not known, and all of it stays
            self._drop(files, run)

    @staticmethod
    def _drop(files: Sequence[dict[str, Any] | None], run: Run) -> None:
        if run.damage():
            return
        live = [record["file"]["name"] for records in run.commits.values() for _, record in records]
        kept = {*(run.folder / name for name in live), *run.metrics}
        for path in (run.folder / file["name"] for file in files if file is not None):
            if path not in kept:
                try:
                    path.unlink()
                except OSError as fault:
                    _log.warning("%s belongs to no epoch and could not be removed: %s", path, fault)

    def _write_rows(self, epoch: EpochRows) -> WrittenRows:
        about = {"run": self.run.name, "table": epoch.table, "about": dict(self.run.about)}
        return write_epoch(epoch, about, self.incoming, self.run.folder / encoded(epoch.table))

    def _write_metrics(self, metrics: Sequence[Metric]) -> dict[str, Any] | None:
        if not metrics:
            return None
        columns = [[self.run.name] * len(metrics), *(list(column) for column in zip(*metrics, strict=True))]
        rows = pa.table(columns, schema=METRICS.with_metadata(parquet.footer({"run": self.run.name})))
        with Part(self.incoming) as part:
            parquet.write_table(part, rows)
            return parquet.publish(part, self.run.folder / "metrics", "metrics", rows.num_rows)


def _last_step(path: Path) -> int | None:
    with parquet.opened(path) as file:
        step: int | None = pc.max(file.read(["step"])["step"]).as_py()
        return step


@contextlib.contextmanager
def writing(what: str) -> Iterator[None]:
    """Say what could not be written where the disk refuses: NotWritten."""
    try:
        yield
    except NotWritten:
        raise
    except OSError as error:
        raise NotWritten(what, error) from error


@contextlib.contextmanager
def _released_on_error(lock: Held) -> Iterator[None]:
    try:
        yield
    except BaseException:
        lock.release()
        raise


def check_twins(existing: Iterable[str], name: str) -> None:
    """Raise AlreadyThere where a run's name differs from another one's only in case."""
    if twins := [other for other in existing if other != name and other.casefold() == name.casefold()]:
        raise AlreadyThere(f"run {name!r} differs from {twins[0]!r} only in case; choose another name")


def _make_store(store: Path) -> None:
    try:
        str(store).encode()
        make_private(store)
        with Part(store):
            pass
    except UnicodeEncodeError:
        raise BadInput(f"the path {str(store)!r} is no Unicode text, which Parquet's readers need; rename it") from None
    except OSError as error:
        raise BadInput(f"cannot write to the store {store}: {error.strerror}; name another folder") from None


def _begun(folder: Path, name: str, about: Mapping[str, Any]) -> Held:
    """The lock of a run that begins in this folder, its first record written."""
    lock = locked(folder, name)
    with _released_on_error(lock):
        names = {path.name for path in folder.iterdir()}
        if "run.json" not in names and (foreign := names - {".lock", ".lease", ".incoming"}):
            raise AlreadyThere(f"{folder} is no run, but holds {listing(sorted(foreign))}; choose another name")
        _sync(folder.parent.parent, folder.parent)
        record = {"format": FORMAT_VERSION, "name": name, "created": now(), **about}
        try:
            put_record(folder / "run.json", record, folder / ".incoming")
        except FileExistsError:
            lock.release()
            raise _taken(Run(folder.parent, name, folder)) from None
    return lock


def _sync(*folders: Path) -> None:
    """Make folders durable that another process may have made and left so: one that died between the two."""
    for folder in folders:
        sync_folder(folder)


def locked(folder: Path, name: str) -> Held:
    """The lock of a run; raises AlreadyThere where another process has it."""
    try:
        return hold(folder)
    except Leased as error:
        raise AlreadyThere(f"run {name!r} is being recorded: {error.strerror}; choose another name, or wait") from None
    except (BlockingIOError, FileNotFoundError):  # gone: somebody replaces it at this moment
        other = "another process, or an open Recorder of this one"
        raise AlreadyThere(f"run {name!r} is being recorded by {other}; choose another name") from None


def written_once(name: str) -> AlreadyThere:
    """What is said of an epoch that is committed."""
    return AlreadyThere(
        f"{name} is already committed; an epoch is written once, and several validations within one each with a step "
        "of its own (step=…)"
    )


def check_begins(store: Path, name: str, *, goes_on: bool, reopens: bool = False) -> None:
    """Raise AlreadyThere where nobody begins a run of that name, or goes on with it: it is there, or has ended.

    reopens says that it may have ended.
    """
    folder = run_folder(store, name)
    if not (folder / "run.json").exists() or is_held(folder):
        return
    run = Run(store, name, folder)
    if not goes_on:
        raise _taken(run)
    if run.end is not None and not reopens:
        raise _finished(name)


def _finished(name: str) -> AlreadyThere:
    return AlreadyThere(f"run {name!r} has finished and cannot be resumed; choose another name, or say reopen=True")


def _taken(run: Run) -> AlreadyThere:
    more = "; go on with `secondguess train --resume`, or resume=True" if run.state == "interrupted" else ""
    how = "choose another name, or --overwrite it (in Python overwrite=True)"
    return AlreadyThere(f"run {run.name!r} exists already ({run.state}); {how}{more}")
