"""The run that a callback records: it opens with a training loop and ends with it, and what fails stops no training."""

import logging
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, get_args

from secondguess.analysis.errors import AlreadyThere, BadInput, SecondguessError, listing
from secondguess.analysis.moments import Moment
from secondguess.analysis.objects.path import place
from secondguess.analysis.schema import Task, checked_name, whole_name
from secondguess.trainer.callbacks import order
from secondguess.trainer.recorder import Recorder
from secondguess.trainer.recording.columns import class_names
from secondguess.trainer.recording.ranks import Ranks

_log = logging.getLogger("secondguess")

_OPTIONS = ("config", "classes", "wandb", "resume", "reopen", "overwrite", "session", "patience_s", "unlabelled")
_NUMBER = re.compile(r"-?\d[\d.e+-]*")  # the same failure has others in each batch
_PLACES = "places"  # said of a run once, whichever loops record it
_WHOLE = 1e-6  # of an epoch, by which a loop that adds fractions misses its end


_open: dict[tuple[str, str], "PredictionRun"] = {}  # by store and run, those that are open in this process


def moment_of(done: float, step: int) -> Moment:
    """When a validation is: done are the passes that are finished, and the part of one, step the training's steps.

    With a whole number of passes it is the end of the last one; within a pass it is that step of it; before the first
    step it is step 0 of epoch 1.
    """
    whole = round(done)
    if whole >= 1 and abs(done - whole) < _WHOLE:
        return Moment(whole)
    return Moment(int(done) + 1, step)


def alone(ok: bool) -> bool:
    """What all processes say of something, where there is one."""
    return ok


@dataclass(frozen=True)
class Processes:
    """This process's place among those of a training; agree says whether all of them say yes, and each of them asks."""

    rank: int = 0
    count: int = 1
    agree: Callable[[bool], bool] = alone

    def session(self, number: int) -> str | None:
        """What tells the number-th opening of a run in this start of the training from others; None of one process."""
        if self.count == 1:
            return None
        ranks = Ranks.of(self.rank, self.count, None, 1.0)
        return f"{ranks.session} {number}" if ranks is not None else None


@dataclass
class PredictionRun:
    """A run of the store that a callback fills; nothing that fails in it reaches the training, unless strict.

    What fails is a warning of the logger `secondguess` at once, and again, counted, when the loop ends.
    """

    store: Any
    name: str
    strict: bool
    options: Mapping[str, Any]  # the Recorder's, and what its tables take for no label (unlabelled)
    prefix: str = ""  # of its tables
    task: Task | None = None  # what their guesses and truths are, where those do not tell
    instead_of_places: str = ""  # where ids may be that nobody saw
    is_named_by_model: bool = False  # and not by data sets, where the user says no classes
    recorder: Recorder | None = None
    processes: Processes = field(default_factory=Processes)

    def __post_init__(self) -> None:
        if self.task not in (None, *get_args(Task)):
            raise BadInput(f"task is {self.task!r}; it is one of: {listing(get_args(Task))}")
        checked_name("run", self.name)
        checked_name("table", f"{self.prefix}val_predictions")
        if strange := self.options.keys() - {*_OPTIONS}:
            raise TypeError(f"{listing(sorted(strange))} is no option; the Recorder's are {listing(_OPTIONS)}")
        classes = self.options.get("classes")
        is_none = isinstance(classes, list | tuple) and not classes  # which says that classes have no names
        self.options = {**self.options, "classes": [] if is_none else class_names(classes)}
        self._loop: Any = None
        self._openings = 0
        self._made = False
        self._failed: dict[str, str] = {}  # what is not recorded, and why
        self._said: set[str] = set()
        self._refused = False

    def __getstate__(self) -> dict[str, Any]:
        """To another process go the settings: each opens a Recorder of its own."""
        return {**self.__dict__, "recorder": None, "processes": Processes(), "_loop": None}

    @property
    def is_open(self) -> bool:
        """Whether there is a run to record into."""
        return self.recorder is not None

    def open(
        self, processes: Processes, *, classes: Sequence[str] | None = None, config: Any = None, loop: Any = None
    ) -> None:
        """Open the run for a loop: made by the first, gone on with by those after it; where it is open, it stays so.

        classes and config are what the loop knows, where the user gave none; no classes at all are given by []. loop
        is one object to all callbacks of a loop, and another in each: what one that broke off left open is ended.
        """
        self._loop = loop
        if self.recorder is not None or self._refused:
            return
        self.processes = processes
        self._openings += 1
        options = {name: value for name, value in self.options.items() if name != "unlabelled"}
        given = options.get("classes")
        found = None if self.task == "regression" else classes
        options["classes"] = found if given is None else given or None
        options["config"] = options["config"] if options.get("config") is not None else config
        if self._made:
            options |= {"resume": True, "overwrite": False, "reopen": True, "classes": None}
        with self.guarded(f"run {self.name}"):
            if any(options.get(how) for how in ("resume", "reopen", "overwrite")):
                self._end_broken()
            self._opened(processes, options)
        if self.recorder is not None:
            _open[self._place] = self
        self._made = self._made or self.recorder is not None

    @property
    def _place(self) -> tuple[str, str]:
        return str(place(self.store).absolute()), self.name

    def _end_broken(self) -> None:
        """End the run as interrupted where another loop of this process, which broke off, has it open.

        transformers and Keras tell a callback of no exception, and in a notebook the process goes on.
        """
        other = _open.get(self._place)
        if other is not None and other is not self and other._loop is not self._loop:
            other.close(finished=False)

    def _opened(self, processes: Processes, options: dict[str, Any]) -> None:
        """Open the Recorders of all processes or of none, the first one's before those that look for it."""
        fault = None
        for turn in (True, False):
            if turn is (processes.rank == 0):
                try:
                    options["session"] = options.get("session") or processes.session(self._openings)
                    ranks = {"rank": processes.rank, "world_size": processes.count}
                    self.recorder = self._recorder({**ranks, **options})
                except Exception as error:  # which is raised when the others, who wait, have heard of it
                    fault = error
            if not processes.agree(fault is None):
                self._refused = True
                self._closed(finished=False)
                fault = fault or SecondguessError("another process could not begin it, and says why")
                break
        if fault is not None:
            raise fault

    def _recorder(self, options: dict[str, Any]) -> Recorder:
        """A run that is gone on with keeps its names of the classes, where the user gives no others."""
        try:
            return Recorder(self.store, run=self.name, **options)
        except BadInput:
            if self.options.get("classes") is not None or not (options.get("resume") or options.get("reopen")):
                raise
            return Recorder(self.store, run=self.name, **{**options, "classes": None})

    def say_other_classes(self, table: str, dataset: Any) -> None:
        """Say of a data set that it has other names for its classes, or another order, than the run."""
        classes = self.recorder.classes if self.recorder is not None else None
        names = order.class_names(dataset)
        if classes is None or names in (None, classes) or self.options.get("classes") is not None:
            return
        if self.is_named_by_model and not {*map(str.casefold, names or ())} & {*map(str.casefold, classes)}:
            return  # the same classes by other names, as labels of a data set and id2label often are
        self.say(
            f"{self.name}/{table}: the data set calls its classes {listing(names or (), 4)}, the run "
            f"{listing(classes, 4)}, and a label's number is taken for the run's; classes= says which they are"
        )

    @contextmanager
    def guarded(self, what: str) -> Iterator[None]:
        """A block whose failure is said and counted as that of what is not recorded, and raised only if strict."""
        try:
            yield
        except Exception as error:
            self.failed(what, error)
            if self.strict:
                raise

    def failed(self, what: str, error: BaseException) -> None:
        """Say once why something is not recorded, and remember it for the end."""
        self._failed.setdefault(what, self.say_failed(what, error))

    def say_failed(self, what: str, error: BaseException) -> str:
        """Say once why something is not recorded; returns why."""
        why = str(error) if isinstance(error, SecondguessError) else f"{type(error).__name__}: {error}"
        self.say(f"{what} is not recorded, and training goes on: {why}", once=_NUMBER.sub("#", why))
        return why

    def say(self, text: str, once: str | None = None) -> None:
        """Warn of something, once of what has the same words."""
        once = text if once is None else once
        if once not in self._said:
            self._said.add(once)
            _log.warning("%s", text)

    def refuse(self, why: BaseException) -> None:
        """Tell the first of several processes that this one records nothing more, so that it waits for nothing."""
        if self.recorder is not None and self.processes.rank:
            self.recorder.refuse(why)

    def say_places(self) -> None:
        """Say what ids are that are places."""
        text = "ids are places in the data set, as it has no ids; compare it with runs on the same data set"
        self.say(f"run {self.name}: {text}{self.instead_of_places}", once=_PLACES)

    def log(self, moment: Moment, step: int, metrics: Mapping[str, Any]) -> None:
        """Keep what are numbers among a loop's metrics."""
        if self.recorder is None:
            return
        numbers = {}
        for name, value in metrics.items():
            if name in {"step", "epoch"} or isinstance(value, str | bool):
                continue
            try:
                numbers[name] = float(value)
            except (TypeError, ValueError, RuntimeError):  # the last from a tensor of several numbers
                continue
        if numbers:
            self.recorder.log(step=step, epoch=moment.epoch, **numbers)

    def close(self, *, finished: bool) -> None:
        """End the run with its loop, and say again what is not recorded of it."""
        self._refused = False
        self._closed(finished)
        failed, self._failed = self._failed, {}
        self._said = {text for text in self._said if text == _PLACES}
        if failed:
            what, why = next(iter(failed.items()))
            _log.warning(
                "run %s: not recorded: %s; %s%s",
                *(self.name, listing(failed, 4), f"of {what}: " if len(failed) > 1 else "", why),
            )

    def _closed(self, finished: bool) -> None:
        recorder, self.recorder = self.recorder, None
        if recorder is not None and _open.get(self._place) is self:
            del _open[self._place]
        if recorder is not None:
            strict, self.strict = self.strict, self.strict and finished  # no error takes the place of the user's own
            try:
                with self.guarded(f"the end of run {self.name}"):
                    recorder.close(finished=finished)
            finally:
                self.strict = strict

    def table(self, name: str, moment: Moment, **how: Any) -> Any:
        """A table of the run at a moment, to be entered; None where it is there already, which is said."""
        if self.recorder is None:
            return None
        usual = () if self.task == "regression" else -100  # among numbers that are predicted it is one of them
        how = {"unlabelled": self.options.get("unlabelled", usual), "task": self.task, **how}
        try:
            return self.recorder.table(name, epoch=moment.epoch, step=moment.step, **how)
        except AlreadyThere:
            at = whole_name(self.name, name, moment)
            self.say(
                f"{at} is recorded already, and stays as it is: another evaluation at the same point of the training, "
                "or a resumed training's, is left out; another data set needs a table of its own",
                once=f"{self.name}/{name} again",
            )
            return None
