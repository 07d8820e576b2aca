"""Train the reference network and record every epoch's predictions."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Any

import torch
from rich.console import Console
from rich.progress import Progress

from secondguess.analysis.console import spelled_out
from secondguess.analysis.errors import AlreadyThere, BadInput, NotWritten, SecondguessError, listing
from secondguess.analysis.schema import DEFAULT_TABLE, at_epoch
from secondguess.trainer.mirror.mirror import WandbOptions
from secondguess.trainer.recorder import Recorder
from secondguess.trainer.reference.aside import Aside
from secondguess.trainer.reference.datasets import LabelledImages, load
from secondguess.trainer.reference.group import Group, group
from secondguess.trainer.reference.settings import Settings
from secondguess.trainer.reference.training import READ_EVERY, Arriving, Said, Training, check_compiler

PROJECT = "table-quickstart"
# What is kept with a run only where it is otherwise.
_USUAL = {"precision": "float32", "compile": False, "world_size": 1}
TUTORIAL_ROWS = 10_000  # what the tutorial calls img_count is at most this


@dataclass(frozen=True)
class EpochResult:
    """What one epoch came to: the mean loss of its steps, and the test examples it got wrong."""

    number: int
    loss: float
    wrong: int
    rows: int

    def __str__(self) -> str:
        right = 100 * (self.rows - self.wrong) / self.rows
        return f"loss {self.loss:.3f}, {self.wrong:,} of {self.rows:,} wrong ({right:.2f} %)"


def train(settings: Settings) -> list[EpochResult]:
    """Train as the tutorial does and record what the network says about the whole test set after each epoch.

    Data are loaded before the run is made, so that data which are missing or unfit leave no run behind.
    One line per epoch goes to stderr, with a progress bar where that is a terminal. A table that the disk does not take
    is lost alone: training goes on, and SecondguessError names it at the end. Of several processes, as torchrun starts
    them, each trains on its share of every batch and records its share of every table; the first speaks for all. On a
    GPU what an epoch said is recorded while the next one trains.
    """
    with group(settings.device) as processes:
        if settings.compile:
            check_compiler(processes.device)
        with processes.first_first():
            training_set, test_set = load(settings.dataset, settings.data)
        labels = torch.cat([training_set.labels, test_set.labels])
        classes = len(test_set.classes or range(int(labels.max()) + 1))
        return _Trained(settings, Training(settings, training_set, classes, processes), training_set, test_set).train()


class _Trained:
    """One training of the network, and what is recorded of it."""

    def __init__(
        self, settings: Settings, training: Training, training_set: LabelledImages, test_set: LabelledImages
    ) -> None:
        self.settings = settings
        self.training = training
        self.test_set = test_set
        speaks = training.group.is_first
        self.console = Console(
            stderr=True, highlight=False, markup=False, emoji=False, soft_wrap=True, quiet=not speaks
        )
        self.tables = [_RecordedTable.of(DEFAULT_TABLE, "acc", test_set, training.group)]
        if settings.train_table:
            self.tables.append(_RecordedTable.of("train_predictions", "train_acc", training_set, training.group))
        self.done: list[EpochResult] = []
        self.lost: list[str] = []

    def train(self) -> list[EpochResult]:
        """Train and record all epochs, or those that a resumed run lacks."""
        settings, training = self.settings, self.training
        beside = training.device.type == "cuda"
        # cuDNN's fastest algorithms add in no fixed order; the same seed must give the same guesses.
        with (
            _recorder(settings, self.test_set, training.group) as recorder,
            torch.backends.cudnn.flags(enabled=True, deterministic=True),
            Aside(in_thread=beside) as aside,
        ):
            begun = _begun(recorder, settings, self.test_set, training.group, self.console)
            for number in range(1, settings.epochs + 1):
                if number <= begun:
                    _again(training, recorder, self.tables, (number, begun), self.console)
                    continue
                loss = _one_pass(training, (recorder, aside), number, self.console)
                said = [training.says(table.share) for table in self.tables]
                aside.do(partial(self._record, recorder, number, loss, said))
        _say_where(recorder, settings.store, self.console)
        if self.lost:
            raise SecondguessError(f"not recorded: {listing(self.lost)}; the other epochs are in {settings.store}")
        return self.done

    def _record(self, recorder: Recorder, number: int, loss: "_Mean", said: Sequence[Said]) -> None:
        for table, each in zip(self.tables, said, strict=True):
            try:
                _record(recorder, table, number, each)
            except NotWritten as fault:  # a full disk costs the table, not the training
                self.lost.append(at_epoch(table.name, number))
                self.console.print(spelled_out(f"lost: {fault}"))
        self.done.append(EpochResult(number, loss.value, int(said[0].wrong()), self.tables[0].rows))
        self.console.print(f"epoch {number} of {self.settings.epochs}: {self.done[-1]}")


@dataclass(frozen=True)
class _RecordedTable:
    """A table to be recorded each epoch, and the metric that is its accuracy in percent."""

    name: str
    metric: str
    share: LabelledImages  # this process's
    rows: int  # of all processes

    @classmethod
    def of(cls, name: str, metric: str, examples: LabelledImages, processes: Group) -> "_RecordedTable":
        """The table of some examples, of which this process has its share."""
        return cls(name, metric, examples.share(processes.rank, processes.count), len(examples.ids))


@dataclass
class _Mean:
    """The mean loss of an epoch's steps, as far as they have arrived."""

    steps: int
    total: float = 0.0

    @property
    def value(self) -> float:
        return self.total / self.steps


def _recorder(settings: Settings, test_set: LabelledImages, processes: Group) -> Recorder:
    return Recorder(
        settings.store,
        run=settings.run,
        config=_config(settings, test_set, processes),
        classes=test_set.classes,
        wandb=_sink(settings),
        overwrite=settings.overwrite,
        resume=settings.resume,
    )


def _sink(settings: Settings) -> str | WandbOptions:
    if settings.wandb == "off":
        return "off"
    return WandbOptions(mode=settings.wandb, project=PROJECT, rows=settings.wandb_rows)


def _config(settings: Settings, test_set: LabelledImages, processes: Group | None = None) -> dict[str, Any]:
    """The settings that are kept with the run; img_count is how many images a table has where the tutorial looks."""
    most = len(test_set.ids) if settings.wandb == "off" else settings.wandb_rows or TUTORIAL_ROWS
    further = {
        "precision": settings.precision,
        "compile": settings.compile,
        "world_size": processes.count if processes is not None else 1,
    }
    return {
        "epochs": settings.epochs,
        "batch_size": settings.batch_size,
        "lr": settings.lr,
        "l1_size": settings.l1_size,
        "l2_size": settings.l2_size,
        "conv_kernel": settings.conv_kernel,
        "img_count": min(len(test_set.ids), TUTORIAL_ROWS, most),
        "dataset": settings.dataset,
        "seed": settings.seed,
        "test_batch_size": settings.test_batch_size,
        **{name: value for name, value in further.items() if value != _USUAL[name]},
    }


def _begun(recorder: Recorder, settings: Settings, test_set: LabelledImages, processes: Group, console: Console) -> int:
    """The last epoch that a resumed run has, 0 of a new one; raises BadInput where it was begun otherwise."""
    last = recorder.last_epoch
    if last == 0:
        return 0
    if last > settings.epochs:
        raise BadInput(f"run {settings.run!r} has {last} epochs already; name more with --epochs")
    config = {**_USUAL, **recorder.config}
    kept = {"epochs", "img_count", "test_batch_size"}  # what changes no epoch
    mine = {
        **_USUAL,
        **{name: value for name, value in _config(settings, test_set, processes).items() if name not in kept},
    }
    if differs := [name for name, value in mine.items() if name not in kept and config.get(name) != value]:
        options = " ".join(_option(name, config.get(name)) for name in differs)
        raise BadInput(f"run {settings.run!r} was begun otherwise; resume it with {options}")
    console.print(
        f"{settings.run} has {last} of {settings.epochs} epochs; they are trained again, and not recorded again"
    )
    return last


def _option(name: str, value: object) -> str:
    """How a setting is given on the command line."""
    if name == "world_size":
        return f"torchrun --nproc-per-node {value}"
    if name == "compile":
        return "--compile" if value else "no --compile"
    return f"--{name.replace('_', '-')} {value}"


def _again(
    training: Training, recorder: Recorder, tables: Sequence[_RecordedTable], at: tuple[int, int], console: Console
) -> None:
    """Train for an epoch that is recorded, up to the last of them, whose tables may not all be: no weights are kept."""
    number, last = at
    _one_pass(training, None, number, console)
    for table in tables if number == last else ():
        said = training.says(table.share)
        with suppress(AlreadyThere):
            _record(recorder, table, number, said)


def _one_pass(training: Training, recording: tuple[Recorder, Aside] | None, epoch: int, console: Console) -> _Mean:
    """Train for one epoch, and log each step's loss, where it is to be recorded; gives their mean.

    Losses are read when those of the next steps are on their way, so that a GPU is never waited for while it has
    nothing to do.
    """
    mean = _Mean(training.steps_of_epoch)
    first = (epoch - 1) * mean.steps + 1
    with Progress(console=console, transient=True, disable=not (console.is_terminal and not console.quiet)) as progress:
        bar = progress.add_task(f"epoch {epoch} of {training.settings.epochs}", total=mean.steps)
        steps = training.steps()
        while losses := list(islice(steps, READ_EVERY)):
            if recording is not None:
                recorder, aside = recording
                aside.do(partial(_log, recorder, mean, first, training.losses(losses)))
            first += len(losses)
            progress.update(bar, advance=len(losses))
    return mean


def _log(recorder: Recorder, mean: _Mean, first: int, losses: Arriving) -> None:
    """Log the losses of steps, from the first on."""
    for step, loss in enumerate(losses().tolist(), start=first):
        mean.total += loss
        recorder.log(step=step, loss=loss)


def _record(recorder: Recorder, table: _RecordedTable, epoch: int, said: Said) -> None:
    """Record one table of an epoch; raises NotWritten where the disk does not take it."""
    share = table.share
    acc: dict[str, Any] = {table.metric: 100 * (table.rows - int(said.wrong())) / table.rows}
    with recorder.table(table.name, epoch=epoch, dataset=share.name, **acc) as rows:
        if share.ids:
            rows.add(ids=share.ids, images=share.images, truth=share.labels, scores=said.scores())


def _say_where(recorder: Recorder, store: str, console: Console) -> None:
    console.print(f"recorded as {recorder.run} in {store}")
    if recorder.report is not None and recorder.report.mode is not None:
        rows = ", ".join(f"{count} rows of {table}" for table, count in recorder.report.rows.items())
        console.print(f"W&B ({recorder.report.mode}) has {rows or 'no table'} per epoch")
