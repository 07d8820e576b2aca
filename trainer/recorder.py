"""Record the predictions of any training loop: local Parquet first, W&B after it and off the loop's path."""

import logging
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pyarrow as pa

from analysis.errors import BadInput
from analysis.schema import DEFAULT_STORE, checked_name
from analysis.store.writer import RunWriter
from trainer import provenance
from trainer.table import TableRecorder
from trainer.wandb_sink import MirrorReport, WandbMirror, WandbOptions, require_wandb

_log = logging.getLogger("secondguess")

Metric = tuple[int | None, int | None, str, float]


class Recorder:
    """A run that is being recorded; a context manager, which ends the run when its block ends without an exception.

    `with Recorder("predictions", run="mine") as recorder:` makes the run, or raises AlreadyThere where it exists.
    classes are the names of the classes in the order of the score columns; without them guesses and truths are kept
    as they are given. wandb is "off", "offline", "online", a WandbOptions, or a live W&B run, which is never finished
    here. resume continues an interrupted run after its last committed epoch (`recorder.last_epoch`); overwrite
    replaces a run. Every epoch whose `table` block was left is durable, whatever happens later.
    """

    def __init__(
        self,
        store: str | os.PathLike[str] = DEFAULT_STORE,
        *,
        run: str,
        config: Mapping[str, Any] | None = None,
        classes: Sequence[str] | None = None,
        wandb: object = "off",
        resume: bool = False,
        overwrite: bool = False,
    ) -> None:
        self.store = Path(store).absolute()
        self.report: MirrorReport | None = None
        self._step = 0
        self._metrics: list[Metric] = []
        self._tables: dict[str, TableRecorder] = {}
        mirror = _mirror_of(wandb)
        if resume and overwrite:
            raise BadInput("resume continues a run, overwrite replaces it; choose one")
        config = provenance.plain(config or {})
        if resume and (self.store / checked_name("run", run)).exists():
            self._writer = RunWriter.resume(self.store, run)
            self.classes = self._same_classes(classes)
        else:
            self.classes = _checked_classes(classes)
            about = {"origin": "recorded", "config": config, "classes": self.classes, **provenance.gather()}
            self._writer = RunWriter.create(self.store, run, about, overwrite=overwrite)
        self.run = self._writer.run.name
        self._mirror = (
            WandbMirror(mirror, store=self.store, run=self.run, config=config) if mirror is not None else None
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close(finished=kind is None)

    @property
    def last_epoch(self) -> int:
        """The last epoch committed for any table, 0 before the first."""
        return max((epoch for epochs in self._writer.committed().values() for epoch in epochs), default=0)

    def log(self, *, step: int | None = None, epoch: int | None = None, **metrics: object) -> None:
        """Keep metrics of a training step; step counts on by itself when left out.

        They become durable with the next table, or when the run ends. Raises BadInput for a value that is no number.
        """
        self._step = self._step + 1 if step is None else int(step)
        values = {name: _number(name, value) for name, value in metrics.items()}
        self._metrics.extend((self._step, epoch, name, value) for name, value in values.items())
        if self._mirror is not None:
            self._mirror.log(values if epoch is None else {"epoch": epoch, **values})

    def table(self, name: str, *, epoch: int, dataset: str | None = None, **metrics: object) -> TableRecorder:
        """A table of this epoch, committed with its metrics when its `with` block ends.

        dataset names the examples file (default: the table's name). Raises BadInput for a name or epoch that cannot
        be, AlreadyThere for an epoch that is committed.
        """
        name = checked_name("table", name)
        if isinstance(epoch, bool) or not hasattr(epoch, "__index__") or int(epoch) < 1:
            raise BadInput(f"epoch {epoch!r} is not a whole number from 1: epoch 1 is after the first pass")
        values = {key: _number(key, value) for key, value in metrics.items()}
        dataset = checked_name("data set", dataset) if dataset is not None else name
        table = self._tables.get(name)
        if table is None:
            table = self._tables[name] = TableRecorder(self._writer, name, self.classes, self._commit)
        return table.begin(int(epoch), dataset, values)

    def close(self, *, finished: bool = True) -> None:
        """End the run (or leave it interrupted), wait for W&B, and let the run go."""
        try:
            if finished:
                self._writer.end(self._metrics)
        finally:
            try:
                if self._mirror is not None and self.report is None:
                    self.report = self._mirror.close(exit_code=0 if finished else 1)
                    self._writer.note(f"wandb-{self.report.wandb_id}", self.report.about())
            finally:
                self._writer.close()

    def _commit(self, table: TableRecorder, rows: pa.Table, examples: str | None) -> None:
        values = [(self._step, table.epoch, name, value) for name, value in table.metrics.items()]
        self._writer.commit(table.committable(rows, examples, [*self._metrics, *values]))
        self._metrics.clear()
        if self._mirror is not None:
            self._mirror.table(table.name, table.epoch, table.metrics)

    def _same_classes(self, classes: Sequence[str] | None) -> list[str] | None:
        known = self._writer.run.about.get("classes")
        if classes is not None and list(classes) != known:
            raise BadInput(f"run {self._writer.run.name!r} was recorded with the classes {known}, not {list(classes)}")
        return known


def _mirror_of(wandb: object) -> object | None:
    """What feeds W&B: None, options for a run of our own, or the user's live run."""
    if isinstance(wandb, str):
        if wandb not in {"off", "offline", "online"}:
            raise BadInput(f"wandb is {wandb!r}; expected off, offline, online, WandbOptions or a live W&B run")
        wandb = None if wandb == "off" else WandbOptions(mode="online" if wandb == "online" else "offline")
    if isinstance(wandb, WandbOptions):
        require_wandb()
    return wandb


def _checked_classes(classes: Sequence[str] | None) -> list[str] | None:
    if classes is None:
        return None
    if isinstance(classes, str) or not all(isinstance(name, str) for name in classes):
        raise BadInput("classes must be a list of names")
    if not classes or len(set(classes)) != len(classes):
        raise BadInput("classes must be at least one name, each of them once")
    return list(classes)


def _number(name: str, value: object) -> float:
    try:
        return float(value)  # type: ignore[arg-type]  # anything with __float__: NumPy and tensor scalars too
    except (TypeError, ValueError):
        raise BadInput(f"metric {name!r} is {value!r}, not a number") from None
