"""The only writer of a run: creates it, commits its epochs, ends it."""

import os
import shutil
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

import pyarrow as pa
import pyarrow.compute as pc

from analysis.errors import AlreadyThere, BadInput, SecondguessError, listing
from analysis.schema import FORMAT_VERSION, checked_name, encoded, is_score
from analysis.store import parquet
from analysis.store.compaction import compact, sweep
from analysis.store.files import Part, make_folder, put_record
from analysis.store.lock import RunLock
from analysis.store.records import Epoch
from analysis.store.runs import Run, find_run, list_runs, run_folder

METRICS = pa.schema(
    [("run", pa.string()), ("step", pa.int64()), ("epoch", pa.int32()), ("name", pa.string()), ("value", pa.float64())]
)


@dataclass(frozen=True)
class EpochRows:
    """One epoch of one table, ready to be committed.

    rows has the columns of `analysis.schema`, run and epoch among them. examples is the name of a file in the store's
    `examples` folder. metrics are (step, epoch, name, value), to be committed with the rows.
    """

    table: str
    epoch: int
    rows: pa.Table
    classes: Sequence[str] | None = None
    examples: str | None = None
    metrics: Sequence[tuple[int | None, int | None, str, float]] = field(default=())


class RunWriter:
    """An open run, whose lock it holds; a method raises OSError where the disk does, with the store unchanged."""

    def __init__(self, run: Run, lock: RunLock) -> None:
        self.run = run
        self._lock = lock
        self._process = os.getpid()
        self._types: dict[str, dict[str, str | None]] = {}

    @classmethod
    def create(cls, store: Path, name: str, about: Mapping[str, Any], *, overwrite: bool = False) -> Self:
        """Begin a run; raises AlreadyThere where it exists and is not to be overwritten, or is being recorded."""
        name = checked_name("run", name)
        _make_store(store)
        existing = list_runs(store)
        if twins := [other for other in existing if other != name and other.casefold() == name.casefold()]:
            raise AlreadyThere(f"run {name!r} differs from {twins[0]!r} only in case; choose another name")
        folder = run_folder(store, name)
        if name in existing:
            if not overwrite:
                raise _taken(existing[name])
            _discard(existing[name])
        make_folder(folder)
        lock = _locked(folder, name)
        try:
            foreign = {path.name for path in folder.iterdir()} - {".lock", ".incoming", "run.json"}
            if foreign:
                raise AlreadyThere(f"{folder} is no run, but holds {listing(sorted(foreign))}; choose another name")
            record = {"format": FORMAT_VERSION, "name": name, "created": _now(), **about}
            put_record(folder / "run.json", record, folder / ".incoming")
        except FileExistsError:
            lock.release()
            raise _taken(Run(store, name, folder)) from None
        except BaseException:
            lock.release()
            raise
        return cls(Run(store, name, folder), lock)

    @classmethod
    def resume(cls, store: Path, name: str) -> Self:
        """Open an interrupted run again; raises NotFound, or AlreadyThere where it has ended or is being recorded."""
        run = find_run(store, checked_name("run", name))
        if run.end is not None:
            raise AlreadyThere(f"run {name!r} has finished and cannot be resumed; choose another name")
        lock = _locked(run.folder, name)
        sweep(run)
        return cls(run, lock)

    def committed(self) -> Mapping[str, Mapping[int, Epoch]]:
        """The epochs committed so far, per table."""
        return self._fresh().tables

    def commit(self, epoch: EpochRows) -> None:
        """Make an epoch durable and visible, or raise AlreadyThere where it is committed: never half, never twice."""
        if os.getpid() != self._process:
            raise SecondguessError(f"run {self.run.name!r} was opened by another process; only that one commits")
        commit = self.run.folder / "commits" / encoded(epoch.table) / f"{epoch.epoch:05d}.json"
        name = f"{self.run.name}/{epoch.table}@{epoch.epoch}"
        if commit.exists():
            raise AlreadyThere(f"{name} is already committed; an epoch is written once")
        self._check_types(epoch)
        metrics = self._write_metrics(epoch.metrics)
        written = self._write_rows(epoch)
        record = {
            "format": FORMAT_VERSION,
            "committed": _now(),
            "file": written,
            "columns": parquet.columns(epoch.rows.schema),
            "classes": list(epoch.classes) if epoch.classes is not None else None,
            "epochs": [_entry(epoch)],
            "metrics": metrics,
        }
        try:
            put_record(commit, record, self.incoming)
        except FileExistsError:
            raise AlreadyThere(f"{name} was just committed by another process; this one's rows are dropped") from None

    def end(self, metrics: Sequence[tuple[int | None, int | None, str, float]] = (), **about: Any) -> None:
        """Record that the run finished, then merge each table's epochs into as few files as fit."""
        record = {
            "format": FORMAT_VERSION,
            "ended": _now(),
            "status": "finished",
            **about,
            "metrics": self._write_metrics(metrics),
        }
        put_record(self.run.folder / "commits" / "end.json", record, self.incoming)
        compact(self._fresh())

    def note(self, name: str, about: Mapping[str, Any]) -> None:
        """Keep a further record beside the commits, such as where W&B put its copy."""
        put_record(self.run.folder / "commits" / f"{name}.json", {"format": FORMAT_VERSION, **about}, self.incoming)

    def close(self) -> None:
        """Let the run go; one that has not ended is interrupted from now on."""
        self._lock.release()

    @property
    def incoming(self) -> Path:
        """The folder for files that are still being written."""
        return self.run.folder / ".incoming"

    def _fresh(self) -> Run:
        return Run(self.run.store, self.run.name, self.run.folder)

    def _check_types(self, epoch: EpochRows) -> None:
        """Raise BadInput where guess or truth is of another type than in the table's earlier epochs."""
        types = {name: kind for name, kind in parquet.columns(epoch.rows.schema) if name in {"guess", "truth"}}
        if epoch.table not in self._types:
            earlier = self.committed()
            if twins := [name for name in earlier if name != epoch.table and name.casefold() == epoch.table.casefold()]:
                raise BadInput(f"table {epoch.table!r} differs from {twins[0]!r} only in case; choose another name")
            last = next(iter(earlier.get(epoch.table, {}).values()), None)
            self._types[epoch.table] = {name: last.type_of(name) if last else kind for name, kind in types.items()}
        for name, kind in types.items():
            known = self._types[epoch.table].get(name)
            if known not in (None, kind):
                raise BadInput(f"{name} is {kind} in epoch {epoch.epoch}, but {known} in {epoch.table!r} so far")

    def _write_rows(self, epoch: EpochRows) -> dict[str, Any]:
        about = {"run": self.run.name, "table": epoch.table, "epochs": [_entry(epoch)], "about": dict(self.run.about)}
        rows = epoch.rows.replace_schema_metadata(parquet.footer(about))
        folder = self.run.folder / encoded(epoch.table)
        with Part(self.incoming) as part:
            parquet.write_table(part, rows)
            return parquet.publish(part, folder, f"epoch-{epoch.epoch:05d}", rows.num_rows)

    def _write_metrics(self, metrics: Sequence[tuple[int | None, int | None, str, float]]) -> dict[str, Any] | None:
        if not metrics:
            return None
        columns = [[self.run.name] * len(metrics), *(list(column) for column in zip(*metrics, strict=True))]
        rows = pa.table(columns, schema=METRICS.with_metadata(parquet.footer({"run": self.run.name})))
        with Part(self.incoming) as part:
            parquet.write_table(part, rows)
            return parquet.publish(part, self.run.folder / "metrics", "metrics", rows.num_rows)


def _entry(epoch: EpochRows) -> dict[str, Any]:
    rows = epoch.rows
    guess, ids = rows["guess"], rows["id"]
    errors, unlabelled = None, 0
    if "truth" in rows.column_names:
        truth = rows["truth"]
        unlabelled = truth.null_count
        same = pc.fill_null(pc.equal(_plain(guess), _plain(truth)), False)
        errors = rows.num_rows - unlabelled - (pc.sum(same).as_py() or 0)
    return {
        "epoch": epoch.epoch,
        "rows": rows.num_rows,
        "errors": errors,
        "unlabelled": unlabelled,
        "nan_scores": _nan_scores(rows),
        "ids": parquet.ids_digest(ids),
        "unique": ids.null_count == 0 and pc.count_distinct(ids).as_py() == rows.num_rows,
        "examples": epoch.examples,
    }


def _nan_scores(rows: pa.Table) -> int:
    """The number of rows with a NaN among their scores."""
    broken = pa.scalar(False)
    for name in filter(is_score, rows.column_names):
        broken = pc.or_(broken, pc.is_nan(rows[name]))
    return (pc.sum(broken).as_py() or 0) if not isinstance(broken, pa.Scalar) else 0


def _plain(values: pa.ChunkedArray) -> pa.ChunkedArray:
    return values.cast(values.type.value_type) if pa.types.is_dictionary(values.type) else values


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def _make_store(store: Path) -> None:
    try:
        make_folder(store)
        with Part(store):
            pass
    except OSError as error:
        raise BadInput(f"cannot write to the store {store}: {error.strerror}; name another folder") from None


def _locked(folder: Path, name: str) -> RunLock:
    try:
        return RunLock(folder)
    except BlockingIOError:
        raise AlreadyThere(f"run {name!r} is being recorded by another process; choose another name") from None


def _taken(run: Run) -> AlreadyThere:
    resume = "; resume it, " if run.state == "interrupted" else "; "
    return AlreadyThere(f"run {run.name!r} exists already ({run.state}){resume}choose another name, or --overwrite it")


def _discard(run: Run) -> None:
    """Delete a run that is to be replaced. It leaves the store in one step, so no reader sees half of it."""
    lock = _locked(run.folder, run.name)
    try:
        gone = run.store / ".replaced" / uuid.uuid4().hex
        make_folder(gone.parent)
        os.rename(run.folder, gone)
    finally:
        lock.release()
    shutil.rmtree(gone.parent, ignore_errors=True)
