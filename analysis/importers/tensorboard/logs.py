"""Folders of event files as runs with metrics alone, and metrics that join a run that is there."""

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pyarrow.compute as pc

from secondguess.analysis.console import say
from secondguess.analysis.errors import BadInput, Damaged, counted, listing
from secondguess.analysis.importers.files.unpacked import by_number, format_by_name
from secondguess.analysis.importers.source import SourceRun
from secondguess.analysis.importers.tensorboard.events import MARK, Events, Scalar, read_events
from secondguess.analysis.store import parquet
from secondguess.analysis.store.additions import add_metrics, opened
from secondguess.analysis.store.commits import Metric
from secondguess.analysis.store.runs import Run

# Folders that hold a part of one run, as Keras and others name them, and none of their own.
_PARTS = frozenset({"train", "training", "validation", "valid", "val", "test", "testing", "eval", "evaluation", "dev"})
_BESIDE = frozenset({"metrics.csv"})  # what loggers put beside their event files


def is_logs(path: Path) -> bool:
    """Whether a path is an event file, or a folder with some and with no prediction files beside them."""
    if path.is_file():
        return MARK in path.name
    names = [inner.name for inner in path.iterdir() if inner.is_file()]
    data = [name for name in names if format_by_name(name) is not None and name not in _BESIDE and MARK not in name]
    return not data and next(_event_files(path), None) is not None


def _event_files(folder: Path) -> Iterator[Path]:
    return (path for path in folder.rglob(f"*{MARK}*") if path.is_file())


def logged_runs(path: Path) -> list[SourceRun]:
    """The runs of an event file or a folder of them: one, or one for each folder of a run in it, however deep.

    A folder is one run if it has event files itself, or if its folders are called as parts of one are (train,
    validation); the folders in a run are the beginnings of its metrics' names. One of several is called as its path is,
    which is how TensorBoard shows it. Of several runs those without scalars are left out, which is said. Raises Damaged
    where nothing is read.
    """
    path = path.absolute()
    if path.is_file():
        return [_run(path.parent, [path], path.parent.name)]
    files = sorted(_event_files(path), key=lambda file: by_number(str(file)))
    runs: list[SourceRun] = []
    faults: list[Damaged] = []
    for folder, some in _run_folders(path, files):
        name = path.name if folder == path else folder.relative_to(path).as_posix()
        try:
            runs.append(_run(folder, some, name))
        except Damaged as damage:
            faults.append(damage)
    if not runs and faults:
        raise faults[0]
    for fault in faults:
        say(f"left out: {fault}", err=True)
    return runs


def _run_folders(folder: Path, files: Sequence[Path]) -> Iterator[tuple[Path, Sequence[Path]]]:
    """The folders of runs in a folder, each with its event files."""
    inner: dict[str, list[Path]] = {}
    for file in files:
        if file.parent == folder:
            yield folder, files
            return
        inner.setdefault(file.relative_to(folder).parts[0], []).append(file)
    if all(name.casefold() in _PARTS for name in inner):
        yield folder, files
        return
    for name, some in inner.items():
        yield from _run_folders(folder / name, some)


@dataclass
class _Reading:
    """The metrics of a run while its files are read: values by name and step, the last of each."""

    values: dict[tuple[str, int], float] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    others: Counter[str] = field(default_factory=Counter)
    again: int = 0
    undone: int = 0
    began: float | None = None

    def take(self, prefix: str, events: Events) -> None:
        """Take a file's scalars, those before a restart but for what the session that began then does again."""
        places = dict(events.restarts)
        for place, scalar in enumerate([*events.scalars, None]):
            if place in places:
                self._undo(prefix, places[place])
            if scalar is not None:
                self._put(prefix, scalar)
        self.others += events.others
        if events.began is not None:
            self.began = min(events.began, self.began or events.began)

    def named(self) -> dict[tuple[str, int], float]:
        """The values by the metric's whole name and step, in the order of the steps."""
        whole: dict[tuple[str, int], float] = {}
        for (name, step), value in sorted(self.values.items(), key=lambda item: item[0][1]):
            key = (name.removeprefix("\0").replace("\0", "/"), step)
            self.again += key in whole
            whole[key] = value
        return whole

    def _undo(self, prefix: str, step: int) -> None:
        gone = [key for key in self.values if key[1] >= step and _folder_of(key[0]) == prefix]
        for key in gone:
            del self.values[key]
        self.undone += len(gone)

    def _put(self, prefix: str, scalar: Scalar) -> None:
        key = (f"{prefix}\0{scalar.tag}", scalar.step)
        self.again += key in self.values
        self.values.pop(key, None)
        self.values[key] = scalar.value


def _folder_of(name: str) -> str:
    return name.partition("\0")[0]


def _run(folder: Path, files: Sequence[Path], name: str) -> SourceRun:
    reading = _Reading()
    for file in files:
        inside = file.parent.relative_to(folder).as_posix()
        events = read_events(file)
        reading.take("" if inside == "." else inside, events)
        if events.fault:
            reading.notes.append(f"{file.relative_to(folder)} {events.fault}")
        if events.damaged:
            reading.notes.append(f"{file.relative_to(folder)}: {events.damaged:,} damaged records were left out")
    if not reading.values:
        why = f" ({listing(reading.notes, 2)})" if reading.notes else ""
        raise Damaged(f"{folder} has no scalars in {counted(len(files), 'event file')}{why}")
    metrics = [(step, None, name, value) for (name, step), value in reading.named().items()]
    origin = {"kind": "tensorboard", "place": str(folder), **_started(reading.began)}
    notes = tuple(_notes(metrics, reading, len(files)))
    return SourceRun(name, origin, metrics=partial(iter, metrics), notes=notes, metrics_alone=True)


def _notes(metrics: Sequence[Metric], reading: _Reading, files: int) -> Iterator[str]:
    names = list(dict.fromkeys(name for _, _, name, _ in metrics))
    steps = [step for step, _, _, _ in metrics if step is not None]
    yield (
        f"{counted(len(metrics), 'value')} of {counted(len(names), 'metric')} ({listing(names, 6)}), steps "
        f"{min(steps):,} to {max(steps):,}, from {counted(files, 'event file')}"
    )
    if reading.again:
        yield f"{counted(reading.again, 'value')} came again at the same step; the last one of each is taken"
    if reading.undone:
        yield f"taken back by a restart at an earlier step: {counted(reading.undone, 'value')}"
    if reading.others:
        yield "left out: " + ", ".join(f"{count:,} {kind}" for kind, count in sorted(reading.others.items()))
    yield from reading.notes


def _started(began: float | None) -> dict[str, str]:
    if began is None or not 0 < began < 1 << 33:
        return {}
    return {"started": datetime.fromtimestamp(began, UTC).isoformat(timespec="milliseconds")}


def joined(source: SourceRun, store: Path, name: str, *, dry_run: bool) -> list[str]:
    """Add a log's metrics to a run that has ended, but for values that it has already; returns what was done.

    Raises as `store.additions.opened`, and BadInput for a run without tables, or where all is there already.
    """
    with opened(store, name) as run:
        there = _values_of(run)
        every = list(source.metrics())
        new = [metric for metric in every if (metric[2], metric[0]) not in there]
        other = sum(not _same(there.get((name_, step), value), value) for step, _, name_, value in every)
        unlike = f", {other:,} of them with another value" if other else ""
        if not new and other:
            raise BadInput(
                f"run {name!r} has values of these metrics at each of the {len(every):,} steps of {source.name}"
                f"{unlike}, which stay; import the log as a run of its own: leave out --run"
            )
        if not new:
            raise BadInput(f"run {name!r} has all {counted(len(every), 'value')} of {source.name} already")
        if not dry_run:
            add_metrics(run, new)
    lines = [f"run {name}", *(f"  {note}" for note in source.notes)]
    done = "would be added" if dry_run else "added"
    lines.append(f"  {counted(len(new), 'value')} {done} to the run, of which nothing else changes")
    if len(new) < len(every):
        left = counted(len(every) - len(new), "value")
        lines.append(f"  left out: {left} that the run has at the same step{unlike}")
    return lines


def _same(one: float, other: float) -> bool:
    return one == other or (math.isnan(one) and math.isnan(other))


def _values_of(run: Run) -> dict[tuple[str, int | None], float]:
    values: dict[tuple[str, int | None], float] = {}
    for path in run.metrics:
        with parquet.opened(path) as file:
            rows = file.read(["name", "step", "value"])
        rows = rows.filter(pc.is_valid(rows["step"]))
        names, steps, numbers = (rows[column].to_pylist() for column in ("name", "step", "value"))
        values |= dict(zip(zip(names, steps, strict=True), numbers, strict=True))
    return values
