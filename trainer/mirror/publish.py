"""A recorded run as a W&B run: its config, its metrics, and each table in the history row of its epoch."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from secondguess.analysis.errors import NotFound, NotWritten
from secondguess.analysis.moments import Moment
from secondguess.analysis.store import parquet, verified
from secondguess.analysis.store.commits import Metric
from secondguess.analysis.store.lock import hold
from secondguess.analysis.store.runs import Run, find_run
from secondguess.analysis.store.writer import RunWriter
from secondguess.trainer.mirror.mirror import MirrorReport, WandbMirror, WandbOptions, require_wandb

_log = logging.getLogger("secondguess")


@dataclass(frozen=True)
class PlannedRow:
    """One row of W&B's history; `table` is the table that goes with it, if one does, of a step of the epoch."""

    values: Mapping[str, float]
    epoch: int | None = None
    table: str | None = None
    step: int | None = None


@dataclass(frozen=True)
class Published:
    """How many history rows were to be sent, those with tables among them, what W&B got, and why it is not noted."""

    history_rows: int
    report: MirrorReport
    not_noted: str = ""


def publish(store: Path, run: str, options: WandbOptions) -> Published:
    """Send a run as a new W&B run and wait until W&B has it.

    Raises NotFound for a run that is not there or has nothing committed, MissingExtra without the package wandb. What
    W&B does not take is in the report.
    """
    require_wandb()
    stored_run = find_run(store, run)
    rows = list(history(metrics_of(stored_run), {table: list(epochs) for table, epochs in stored_run.tables.items()}))
    if not rows:
        raise NotFound(f"run {run!r} has no committed table and no metrics yet; nothing to publish")
    config = stored_run.about.get("config")
    config = config if isinstance(config, Mapping) else {}
    mirror = WandbMirror(
        options, store=stored_run.store, run=stored_run.name, config=config, classes=classes_of(stored_run)
    )
    for row in rows:
        if row.table is not None and row.epoch is not None:
            mirror.table(row.table, Moment(row.epoch, row.step), row.values)
        else:
            mirror.log(row.values if row.epoch is None else {"epoch": row.epoch, **row.values})
    report = mirror.close(exit_code=0 if stored_run.state == "finished" else 1)
    return Published(
        len(rows),
        report,
        noted(stored_run, f"wandb-{report.wandb_id}", report.about()) if report.mode is not None else "",
    )


def noted(run: Run, name: str, about: Mapping[str, Any]) -> str:
    """Keep beside the commits where else the run is, as the recorder does; returns why that was not possible."""
    try:
        lock = hold(run.folder)
    except BlockingIOError:
        return "it is being recorded"
    except OSError as error:
        return str(error.strerror)
    try:
        RunWriter(run, lock).note(name, about)
    except NotWritten as error:
        return str(error)
    finally:
        lock.release()
    return ""


def classes_of(run: Run) -> Sequence[str] | None:
    """The names of the classes, if all tables have the same."""
    known = {epoch.classes for epochs in run.tables.values() for epoch in epochs.values()}
    return known.pop() if len(known) == 1 else None


def metrics_of(run: Run) -> list[Metric]:
    """The committed metrics of a run, in the order in which they were logged; files that are damaged are said."""
    faults = verified.faults(run.metrics_files, kept=False)
    for path, said in faults.items():
        _log.warning("left out metrics of %s: %s %s", run.name, path, said)
    whole = [path for path in run.metrics if path not in faults]
    tables = []
    for path in whole:
        with parquet.opened(path) as file:
            tables.append(file.read(["step", "epoch", "name", "value"]))
    if not tables:
        return []
    rows = pa.concat_tables(tables, promote_options="permissive").to_pylist()
    metrics = [(row["step"], row["epoch"], row["name"], row["value"]) for row in rows]
    return sorted(metrics, key=lambda metric: -1 if metric[0] is None else metric[0])  # stable: files are in order


def history(metrics: Sequence[Metric], tables: Mapping[str, Sequence[Moment]]) -> Iterator[PlannedRow]:
    """Yield the rows of W&B's history: the metrics of one step and epoch together, and each table with its epoch.

    A second value of a metric, at the same step and epoch, begins a new row. The tables of an epoch go with its last
    rows, those of a step within it with the rows of that step; one for which there is none comes before the rows of
    later epochs.
    """
    rows = _rows(metrics)
    at_moment: dict[Moment, list[int]] = {}
    for at, (step, epoch, _) in enumerate(rows):
        if epoch is not None:
            at_moment.setdefault(Moment(epoch), []).append(at)
            if step is not None:
                at_moment.setdefault(Moment(epoch, step), []).append(at)
    placed: dict[int, tuple[str, int | None]] = {}
    alone: list[tuple[Moment, str]] = []
    for moment in sorted({moment for moments in tables.values() for moment in moments}):
        names = [table for table, moments in tables.items() if moment in moments]
        own = [at for at in at_moment.get(moment, []) if at not in placed][-len(names) :]
        without = len(names) - len(own)
        alone.extend((moment, name) for name in names[:without])
        placed.update(zip(own, ((name, moment.step) for name in names[without:]), strict=True))
    for at, (_, epoch, values) in enumerate(rows):
        while alone and epoch is not None and alone[0][0].epoch < epoch:
            yield _alone(*alone.pop(0))
        yield PlannedRow(values, epoch, *placed.get(at, (None, None)))
    for moment, name in alone:
        yield _alone(moment, name)


def _alone(moment: Moment, table: str) -> PlannedRow:
    return PlannedRow({}, moment.epoch, table, moment.step)


def _rows(metrics: Sequence[Metric]) -> list[tuple[int | None, int | None, dict[str, float]]]:
    """The metrics of one step and epoch together, in order."""
    rows: list[tuple[int | None, int | None, dict[str, float]]] = []
    before: tuple[int | None, int | None] | None = None
    for step, epoch, name, value in metrics:
        if (step, epoch) != before or step is None or name in rows[-1][2]:
            rows.append((step, epoch, {}))
        before = (step, epoch)
        rows[-1][2][name] = value
    return rows
