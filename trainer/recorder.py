"""Record the predictions of any training loop: local Parquet first, W&B after it and off the loop's path."""

import logging
import operator
import os
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Self, get_args

import pyarrow as pa

from secondguess.analysis import signals
from secondguess.analysis.errors import BadInput, listing
from secondguess.analysis.moments import LAST_EPOCH, LAST_STEP, Moment
from secondguess.analysis.objects.path import place
from secondguess.analysis.schema import DEFAULT_STORE, Task, checked_name
from secondguess.analysis.store.commits import Metric
from secondguess.analysis.store.runs import list_runs
from secondguess.analysis.store.writer import RunWriter
from secondguess.trainer.mirror.mirror import MirrorReport, WandbMirror, WandbOptions, require_wandb
from secondguess.trainer.recording import provenance
from secondguess.trainer.recording.columns import class_names, plain
from secondguess.trainer.recording.gathering import Gathering
from secondguess.trainer.recording.ranks import Ranks
from secondguess.trainer.recording.shard import ShardWriter
from secondguess.trainer.recording.table import EpochOptions, Rows, TableRecorder, WriteExamples

_log = logging.getLogger("secondguess")

_LEFT = "its Recorder was closed before its end"
_PATIENCE_S = 4.0  # for what a signal meets to be committed whole, else it is not committed


class Recorder:
    """A run that is being recorded; a context manager, which ends the run when its block ends without an exception.

    `with Recorder("predictions", run="mine") as recorder:` makes the run, or raises AlreadyThere where it exists.
    classes are the names of the classes in the order of the score columns, or a dict from or to their numbers; without
    them guesses and truths are kept as they are given. wandb is "off", "offline", "online", a WandbOptions, or a live
    W&B run, which is never finished here. resume continues an interrupted run after its last committed epoch
    (`recorder.last_epoch`); with reopen one that has ended, too, as a test after its training does, and ends it no
    second time; overwrite replaces a run. first_epoch is how the loop calls its first epoch: with 0, what it calls 0 is
    epoch 1 here. Every epoch whose `table` block was left is durable, whatever happens later.

    Of a training in several processes each has a Recorder, which takes its rank and world_size from torchrun's
    environment, or as they are given. Each records its share of an epoch; rank 0 waits for those of all, for patience_s
    seconds, and commits the epoch once, whole. On other ranks a `table` block ends when the share is durable, and the
    Recorder's own block when rank 0 has committed all of them. Rank 0's are the metrics, the config, W&B, and what
    becomes of a run that is there. session is what all ranks of this start say, and those of no other; torchrun says it
    for them.
    """

    def __init__(
        self,
        store: str | os.PathLike[str] = DEFAULT_STORE,
        *,
        run: str,
        config: object = None,
        classes: Sequence[str] | None = None,
        wandb: object = "off",
        resume: bool = False,
        overwrite: bool = False,
        reopen: bool = False,
        first_epoch: int = 1,
        rank: int | None = None,
        world_size: int | None = None,
        session: str | None = None,
        patience_s: float = 600.0,
    ) -> None:
        self.store = place(store).absolute()
        self.report: MirrorReport | None = None
        self._process = os.getpid()
        self._closed = False
        self._step = 0
        self._metrics: list[Metric] = []
        self._tables: dict[str, TableRecorder] = {}
        self._before_first = _whole("first_epoch", first_epoch, 0, 1) - 1
        ranks = Ranks.of(rank, world_size, session, patience_s)
        self.rank, self.world_size = (ranks.rank, ranks.count) if ranks is not None else (0, 1)
        self._gathering: Gathering | None = None
        self._mirror: WandbMirror | None = None
        mirror = _mirror_of(wandb) if self.rank == 0 else None
        resume = resume or reopen
        if resume and overwrite:
            raise BadInput("resume continues a run, overwrite replaces it; choose one")
        config = provenance.plain({} if config is None else config)
        self.classes = class_names(classes)
        self._writer, going_on = self._opened(run, config, ranks, resume=resume, overwrite=overwrite, reopen=reopen)
        try:
            if going_on:
                self.classes = self._same_classes(self.classes)
            if going_on and isinstance(self._writer, RunWriter):
                self._step = self._writer.last_step()
            pa.array([0])  # pyarrow imports pandas for its first array: now, not within the first epoch
            self.run = self._writer.run.name
            if ranks is not None and isinstance(self._writer, RunWriter):
                self._gathering = Gathering(self._writer, ranks, {"classes": self.classes, "config": {**self.config}})
            if mirror is not None:
                self._mirror = WandbMirror(mirror, store=self.store, run=self.run, config=config, classes=self.classes)
        except BaseException as error:
            self._given_up(error)
            raise

    def _opened(
        self, run: str, config: Mapping[str, Any], ranks: Ranks | None, *, resume: bool, overwrite: bool, reopen: bool
    ) -> tuple[RunWriter | ShardWriter, bool]:
        """What writes for this rank, and whether the run was there before it."""
        if ranks is not None and ranks.rank:
            return ShardWriter(self.store, run, ranks, goes_on=resume, overwrites=overwrite, reopens=reopen), True
        if resume and self.store.is_dir() and checked_name("run", run) in list_runs(self.store):
            return RunWriter.resume(self.store, run, ended=reopen), True
        about = {"origin": "recorded", "config": config, "classes": self.classes, **provenance.gather()}
        # Other ranks, which may come first, could not tell an empty run from this start's, whose rank 0 has died.
        return RunWriter.create(self.store, run, about, overwrite=overwrite, if_empty=ranks is None), False

    def _given_up(self, error: BaseException) -> None:
        """Let go of what was opened before this error, and tell the other ranks of it."""
        try:
            if isinstance(self._writer, ShardWriter):
                self._writer.refuse(error)
            elif self._gathering is not None:
                self._gathering.close(self._writer, str(error))
        finally:
            self._writer.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        interrupted = kind is not None and issubclass(kind, KeyboardInterrupt)
        self._close(kind is None, interrupted, f"{kind.__name__}: {error}" if kind is not None else "")

    @property
    def config(self) -> Mapping[str, Any]:
        """The settings that the run was begun with."""
        return self._writer.run.about.get("config") or {}

    @property
    def last_epoch(self) -> int:
        """The last epoch with anything committed for any table, 0 before the first; `last_step` says how much of it."""
        return self._last.epoch

    @property
    def last_step(self) -> int | None:
        """The step of the last validation of that epoch; None where its end is committed, or it has no steps."""
        return self._last.step

    @property
    def _last(self) -> Moment:
        if isinstance(self._writer, ShardWriter):
            return self._writer.last
        return max((moment for epochs in self._writer.committed().values() for moment in epochs), default=Moment(0))

    def log(self, *, step: int | None = None, epoch: int | None = None, **metrics: object) -> None:
        """Keep metrics of a training step; step counts on by itself when left out.

        They become durable with the next table, or when the run ends. Of several ranks' only those of rank 0 are kept.
        Raises BadInput for a value that is no number.
        """
        if self._closed:
            raise BadInput(f"the recorder of run {self.run!r} is closed; log before its block ends")
        step = self._step + 1 if step is None else _whole("step", step, 0, LAST_STEP)
        epoch = epoch if epoch is None else _whole("epoch", epoch, 0, LAST_EPOCH) - self._before_first
        values = {name: _number(name, value) for name, value in metrics.items()}
        if self.rank:
            return
        self._step = step
        self._metrics.extend((step, epoch, name, value) for name, value in values.items())
        if self._mirror is not None:
            self._mirror.log(values if epoch is None else {"epoch": epoch, **values})

    def table(
        self,
        name: str,
        *,
        epoch: int,
        step: int | None = None,
        dataset: str | None = None,
        unlabelled: object = (),
        duplicates: str = "refuse",
        uneven: bool = False,
        task: Task | None = None,
        **metrics: object,
    ) -> TableRecorder:
        """A table of this epoch, committed with its metrics when its `with` block ends.

        step is for loops that validate several times within an epoch: each of its validations has one, a whole number
        from 0, as the loop counts it; the last one may go without, which is the end of the epoch. Of an epoch that has
        ended so no step is taken any more, else epochs and steps come in any order, and are read in theirs.
        dataset names the examples file (default: the table's name). unlabelled is the label, or a list of them, that
        stands for none: -100. duplicates="first" leaves out the rows of an id that was there in this epoch, as samplers
        of several processes repeat some to fill their batches, and says how many. uneven says that ranks may have other
        numbers of rows, by more than one. task says that guesses and truths are lists of labels ("multi-label": see
        `recording.label_lists`) or numbers ("regression", which numbers with fractions are unsaid). Raises BadInput for
        a name or epoch that cannot be, AlreadyThere for an epoch, or a step of it, that is committed; leaving the block
        raises SecondguessError where the shares of all ranks did not come, and commits nothing then.
        """
        name = checked_name("table", name)
        moment = Moment(self._counted_from_1(epoch), None if step is None else _whole("step", step, 0, LAST_STEP))
        if duplicates not in ("refuse", "first"):
            raise BadInput(f"duplicates is {duplicates!r}; it is 'refuse', or 'first' to keep the first row of an id")
        if task not in (None, *get_args(Task)):
            raise BadInput(f"task is {task!r}; it is one of: {listing(get_args(Task))}")
        none = tuple(unlabelled) if isinstance(unlabelled, list | tuple | set | frozenset) else (unlabelled,)
        self._say_first_epoch()
        values = {key: _number(key, value) for key, value in metrics.items()}
        dataset = checked_name("data set", dataset) if dataset is not None else name
        if twins := [known for known in self._tables if known != name and known.casefold() == name.casefold()]:
            raise BadInput(f"table {name!r} differs from {twins[0]!r} only in case; choose another name")
        if name not in self._tables:
            self._tables[name] = TableRecorder(self._writer, name, self.classes, self._commit, self._gathering)
        how = EpochOptions(dataset, none, duplicates == "first", uneven, task)
        return self._tables[name].begin(moment, how, values)

    def _say_first_epoch(self) -> None:
        if self._before_first and not self._tables:
            _log.warning("run %s: epochs are counted from 1: what the loop calls epoch 0 is epoch 1 here", self.run)

    def _counted_from_1(self, epoch: int) -> int:
        """The number of an epoch in the store, from what the loop calls it."""
        try:
            return _whole("epoch", epoch, 1 + self._before_first, LAST_EPOCH) - self._before_first
        except BadInput as error:
            if epoch != 0:
                raise
            raise BadInput(f"{error}; for a loop that counts from 0, Recorder(…, first_epoch=0)") from None

    def refuse(self, why: object) -> None:
        """Tell rank 0 that this rank records nothing more, and why, so that it waits for no share of it."""
        if isinstance(self._writer, ShardWriter):
            self._writer.refuse(why)

    def close(self, *, finished: bool = True) -> None:
        """End the run (or leave it interrupted), wait for W&B, and let the run go; once, and not in a forked child."""
        self._close(finished, interrupted=False)

    def _close(self, finished: bool, interrupted: bool, fault: str = "") -> None:
        if self._closed or os.getpid() != self._process:
            return
        self._closed = True
        if isinstance(self._writer, ShardWriter):
            self._leave(self._writer, finished, fault)
            return
        try:
            if finished and self._gathering is not None:
                self._gathering.meet()
            if finished:
                with signals.finished_first(_PATIENCE_S):
                    self._writer.end(self._metrics)
        finally:
            try:
                if self._gathering is not None:
                    self._gathering.close(self._writer, None if finished else fault or _LEFT)
            finally:
                self._end_mirror(self._writer, finished, interrupted)

    def _leave(self, writer: ShardWriter, finished: bool, fault: str) -> None:
        """End this rank's part, whose shares rank 0 has committed then; it is said why where that is before the end."""
        try:
            if finished:
                writer.end()
        finally:
            writer.close(None if finished else fault or _LEFT)

    def _end_mirror(self, writer: RunWriter, finished: bool, interrupted: bool) -> None:
        try:
            if self._mirror is not None:
                self.report = (
                    self._mirror.abandon() if interrupted else self._mirror.close(exit_code=0 if finished else 1)
                )
                writer.note(f"wandb-{self.report.wandb_id}", self.report.about())
        finally:
            writer.close()

    def _commit(self, table: TableRecorder, rows: Rows, examples: WriteExamples) -> None:
        step = self._step if table.step is None else table.step
        values = [(step, table.epoch, name, value) for name, value in table.metrics.items()]
        with signals.finished_first(_PATIENCE_S):
            self._writer.commit(table.committable(rows, examples, [*self._metrics, *values]))
        self._metrics.clear()
        if self._mirror is not None:
            self._mirror.table(table.name, table.moment, table.metrics)

    def _same_classes(self, classes: Sequence[str] | None) -> list[str] | None:
        known = self._writer.run.about.get("classes")
        if classes is not None and classes != known:
            raise BadInput(f"run {self._writer.run.name!r} was recorded with the classes {known}, not {classes}")
        return known


def _mirror_of(wandb: object) -> object | None:
    """What feeds W&B: None, options for a run of our own, or the user's live run."""
    if isinstance(wandb, str):
        if wandb not in {"off", "offline", "online"}:
            raise BadInput(f"wandb is {wandb!r}; expected off, offline, online, WandbOptions or a live W&B run")
        wandb = None if wandb == "off" else WandbOptions(mode="online" if wandb == "online" else "offline")
    if isinstance(wandb, WandbOptions):
        require_wandb()
    elif wandb is not None and not callable(getattr(wandb, "log", None)):
        raise BadInput(f"wandb is {wandb!r}; expected off, offline, online, WandbOptions or a live W&B run")
    return wandb


def _number(name: str, value: object) -> float:
    try:
        number = plain(value)  # without the gradient that a tensor may still need, of which torch would warn
        return float(number.item() if getattr(number, "size", None) == 1 else number)
    except (TypeError, ValueError, OverflowError, RuntimeError):  # the last from a tensor of several numbers
        raise BadInput(f"metric {name!r} is {value!r}, not a number") from None


def _whole(what: str, value: object, least: int, most: int) -> int:
    try:
        number = operator.index(value)  # type: ignore[arg-type]  # anything with __index__
    except TypeError:
        number = least - 1
    if isinstance(value, bool) or not least <= number <= most:
        first = ": epoch 1 is after the first pass" if what == "epoch" else ""
        raise BadInput(f"{what} {value!r} is not a whole number from {least} to {most}{first}")
    return number
