"""Train the reference network and record every epoch's predictions."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
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
from secondguess.trainer.reference.datasets import LabelledImages, load
from secondguess.trainer.reference.settings import Settings
from secondguess.trainer.reference.training import READ_EVERY, Training

PROJECT = "table-quickstart"
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
    is lost alone: training goes on, and SecondguessError names it at the end.
    """
    training_set, test_set = load(settings.dataset, settings.data)
    labels = torch.cat([training_set.labels, test_set.labels])
    training = Training(settings, training_set, len(test_set.classes or range(int(labels.max()) + 1)))
    console = Console(stderr=True, highlight=False, markup=False, emoji=False, soft_wrap=True)
    tables = [_RecordedTable(DEFAULT_TABLE, "acc", test_set)]
    if settings.train_table:
        tables.append(_RecordedTable("train_predictions", "train_acc", training_set))
    done: list[EpochResult] = []
    lost: list[str] = []
    # cuDNN's fastest algorithms add in no fixed order; the same seed must give the same guesses.
    with _recorder(settings, test_set) as recorder, torch.backends.cudnn.flags(enabled=True, deterministic=True):
        begun = _begun(recorder, settings, test_set, console)
        for number in range(1, settings.epochs + 1):
            if number <= begun:
                _again(training, recorder, tables, (number, begun), console)
                continue
            loss = _one_pass(training, recorder, number, console)
            scores = [training.scores(table.examples) for table in tables]
            for table, scores_NxC in zip(tables, scores, strict=True):
                try:
                    _record(recorder, table, number, scores_NxC)
                except NotWritten as fault:  # a full disk costs the table, not the training
                    lost.append(at_epoch(table.name, number))
                    console.print(spelled_out(f"lost: {fault}"))
            done.append(EpochResult(number, loss, _wrong(test_set, scores[0]), len(test_set.ids)))
            console.print(f"epoch {number} of {settings.epochs}: {done[-1]}")
    _say_where(recorder, settings.store, console)
    if lost:
        raise SecondguessError(f"not recorded: {listing(lost)}; the other epochs are in {settings.store}")
    return done


@dataclass(frozen=True)
class _RecordedTable:
    """A table to be recorded each epoch, and the metric that is its accuracy in percent."""

    name: str
    metric: str
    examples: LabelledImages


def _recorder(settings: Settings, test_set: LabelledImages) -> Recorder:
    return Recorder(
        settings.store,
        run=settings.run,
        config=_config(settings, test_set),
        classes=test_set.classes,
        wandb=_sink(settings),
        overwrite=settings.overwrite,
        resume=settings.resume,
    )


def _sink(settings: Settings) -> str | WandbOptions:
    if settings.wandb == "off":
        return "off"
    return WandbOptions(mode=settings.wandb, project=PROJECT, rows=settings.wandb_rows)


def _config(settings: Settings, test_set: LabelledImages) -> dict[str, Any]:
    """The settings that are kept with the run; img_count is how many images a table has where the tutorial looks."""
    most = len(test_set.ids) if settings.wandb == "off" else settings.wandb_rows or TUTORIAL_ROWS
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
    }


def _begun(recorder: Recorder, settings: Settings, test_set: LabelledImages, console: Console) -> int:
    """The last epoch that a resumed run has, 0 of a new one; raises BadInput where it was begun otherwise."""
    last = recorder.last_epoch
    if last == 0:
        return 0
    if last > settings.epochs:
        raise BadInput(f"run {settings.run!r} has {last} epochs already; name more with --epochs")
    config = {**recorder.config}
    kept = {"epochs", "img_count", "test_batch_size"}  # what changes no epoch
    mine = {name: value for name, value in _config(settings, test_set).items() if name not in kept}
    if differs := [name for name, value in mine.items() if config.get(name) != value]:
        options = " ".join(f"--{name.replace('_', '-')} {config.get(name)}" for name in differs)
        raise BadInput(f"run {settings.run!r} was begun otherwise; resume it with {options}")
    console.print(
        f"{settings.run} has {last} of {settings.epochs} epochs; they are trained again, and not recorded again"
    )
    return last


def _again(
    training: Training, recorder: Recorder, tables: Sequence[_RecordedTable], at: tuple[int, int], console: Console
) -> None:
    """Train for an epoch that is recorded, up to the last of them, whose tables may not all be: no weights are kept."""
    number, last = at
    _one_pass(training, None, number, console)
    for table in tables if number == last else ():
        with suppress(AlreadyThere):
            _record(recorder, table, number, training.scores(table.examples))


def _one_pass(training: Training, recorder: Recorder | None, epoch: int, console: Console) -> float:
    """Train for one epoch, log each step's loss with the recorder, if there is one, and return their mean."""
    count = -(-len(training.labels) // training.settings.batch_size)
    total = 0.0
    step = (epoch - 1) * count
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        bar = progress.add_task(f"epoch {epoch} of {training.settings.epochs}", total=count)
        steps = training.steps()
        while losses := list(islice(steps, READ_EVERY)):
            for loss in torch.stack(losses).tolist():
                step += 1
                total += loss
                if recorder is not None:
                    recorder.log(step=step, loss=loss)
            progress.update(bar, advance=len(losses))
    return total / count


def _record(recorder: Recorder, table: _RecordedTable, epoch: int, scores_NxC: torch.Tensor) -> None:
    """Record one table of an epoch; raises NotWritten where the disk does not take it."""
    examples = table.examples
    right = len(examples.ids) - _wrong(examples, scores_NxC)
    acc: dict[str, Any] = {table.metric: 100 * right / len(examples.ids)}
    with recorder.table(table.name, epoch=epoch, dataset=examples.name, **acc) as rows:
        rows.add(ids=examples.ids, images=examples.images, truth=examples.labels, scores=scores_NxC)


def _wrong(examples: LabelledImages, scores_NxC: torch.Tensor) -> int:
    """How many guesses are wrong; a NaN score is no guess, and so no right one."""
    return int(((scores_NxC.argmax(1) != examples.labels) | scores_NxC.isnan().any(1)).sum())


def _say_where(recorder: Recorder, store: str, console: Console) -> None:
    console.print(f"recorded as {recorder.run} in {store}")
    if recorder.report is not None and recorder.report.mode is not None:
        rows = ", ".join(f"{count} rows of {table}" for table, count in recorder.report.rows.items())
        console.print(f"W&B ({recorder.report.mode}) has {rows or 'no table'} per epoch")
