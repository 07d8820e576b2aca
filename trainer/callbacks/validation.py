"""One pass of a loop over a data set: its batches become a table of the run, which is whole or not there."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

from secondguess.analysis.errors import BadInput, SecondguessError
from secondguess.analysis.moments import Moment
from secondguess.analysis.schema import whole_name
from secondguess.trainer.callbacks import order
from secondguess.trainer.callbacks.batches import Normalisation, probabilities
from secondguess.trainer.callbacks.run import PredictionRun
from secondguess.trainer.recording.columns import plain, plain_item
from secondguess.trainer.recording.table import TableRecorder

IdFunction = Callable[[Any, Sequence[int] | None], Any]

_LABELS = ("targets", "labels", "label", "y")  # what data sets call those of all their examples
_NO_ORDER = "nothing says which examples the rows are about: the loader does not give them in the data set's order; "


@dataclass
class Examples:
    """Which examples the rows of a pass are: by ids in the batch, by id_fn, or by their places in the data set.

    id_fn is given a batch and its rows' places in the whole data set, None where those are not known.
    """

    dataset: Any = None
    batches: Iterator[Sequence[int]] | None = None
    id_fn: IdFunction | None = None
    ids: Sequence[Any] | None = None  # of the data set, in its order
    remedy: str = "name what has them in the batch with ids=, give id_fn=, or a loader with shuffle=False"
    by_place: bool = field(default=False, init=False)
    places: list[int] | None = field(default=None, init=False)  # of the last batch
    _names: Sequence[Any] | None = field(default=None, init=False)
    _labels: tuple[str, Sequence[Any]] | None = field(default=None, init=False)
    _sorted: bool = field(default=False, init=False)  # a batch has these labels in another order
    _looked: bool = field(default=False, init=False)

    @classmethod
    def of_loader(cls, loader: Any, id_fn: IdFunction | None = None, ids: Sequence[Any] | None = None) -> "Examples":
        """Those of a data loader of torch, whose sampler says the order where it is known before."""
        return cls(getattr(loader, "dataset", None), order.batches(loader), id_fn, ids)

    def turn(self) -> None:
        """Go on to the next batch; every batch is one turn, recorded or not."""
        self.places = None
        if self.batches is not None:
            self.places = [int(place) for place in next(self.batches, ())]

    def of(self, batch: Any, rows: int, given: Any, truth: Any = None) -> Any:
        """The ids of the batch's rows; raises BadInput where nothing says them."""
        dataset, places = self.dataset, self.places
        if places is not None:
            if len(places) != rows:
                raise BadInput(
                    f"the batch has {rows} rows, its loader's sampler gives {len(places)}; give ids= or id_fn="
                )
            if self.ids is None:
                dataset, places = order.whole(dataset, places)
        if given is not None:
            return given
        if self.id_fn is not None:
            return self.id_fn(batch, places)
        if places is None:
            raise BadInput(_NO_ORDER + self.remedy)
        if not self._looked:
            self._names = self.ids if self.ids is not None else order.named_ids(dataset)
            columns = ((name, order.column(dataset, name)) for name in _LABELS)
            self._labels = next(
                ((name, of) for name, of in columns if of is not None and len(of) == len(dataset)), None
            )
            self._looked = True
        self._compare(places, truth)
        self.by_place = self._names is None
        return places if self._names is None else at_places(self._names, places, "ids")

    def _compare(self, places: Sequence[int], truth: Any) -> None:
        """Note whether a batch has the data set's labels in another order, or others, as a transform makes them."""
        if self._labels is None or len(getattr(truth, "shape", ())) != 1:
            return
        name, labels = self._labels
        said, expected = plain(truth).tolist(), [plain_item(label) for label in at_places(labels, places, name)]
        if {*map(type, expected)} != {int} or sorted(said) != sorted(expected):
            self._labels = None
        elif said != expected:
            self._sorted = True

    def check_whole(self, rows: int) -> None:
        """Raise BadInput where a whole pass had other numbers of rows than there are ids, or was sorted."""
        if self._sorted and self._labels is not None:
            raise BadInput(
                f"batches have the data set's labels ({self._labels[0]}) in another order than the sampler gives their "
                "rows, as where a collate_fn sorts them, so that nothing says which is which; name what has the ids in "
                "the batch with ids=, or give id_fn="
            )
        if self.ids is not None and len(self.ids) != rows:
            raise BadInput(f"ids has {len(self.ids)} values, the data set {rows} rows; give one for each, in its order")


def at_places(values: Sequence[Any], places: Sequence[int], what: str) -> list[Any]:
    """The values of these examples, out of a sequence with one for each; raises BadInput where it has not as many."""
    if len(values) <= max(places, default=-1):
        raise BadInput(f"{what} has {len(values)} values, the data set more rows; give one for each, in its order")
    at = getattr(values, "iloc", values)  # a pandas Series is asked by place, not by what its index calls it
    return [at[place] for place in places]


class Validation:
    """A pass whose batches go to a table of the run as they come; the first failure gives the table up."""

    def __init__(
        self,
        run: PredictionRun,
        table: str,
        moment: Moment,
        examples: Examples,
        normalisation: Normalisation,
        *,
        by_rank: bool = True,
        truth_from: str | None = None,
    ) -> None:
        """A pass that is begun in all processes at once; by_rank says that each of them has a share of its rows.

        truth_from is what to do about rows that have no truth, of a pass that should have one.
        """
        self.run, self.table, self.moment, self.examples = run, table, moment, examples
        self.normalisation = normalisation
        self.name = whole_name(run.name, table, moment)
        self._stack = ExitStack()
        self._rows: TableRecorder | None = None
        self._count = 0
        self._has_images = self._images_lost = False
        self.is_begun = False
        self.fault: Exception | None = None
        self._truth_from = truth_from
        self._repeats = by_rank and run.processes.count > 1

    def begin(self) -> None:
        """Open the table; where it is there already, or not all processes can, the pass is left out."""
        # Samplers of several processes repeat examples to give each as many: by their place they are known.
        duplicates = "first" if self._repeats and self.examples.batches is not None else "refuse"
        table, fault = None, None
        with self.run.guarded(self.name):
            try:
                table = self.run.table(self.table, self.moment, duplicates=duplicates)
            except Exception as error:  # which is raised when the others, who wait, have heard of it
                fault = error
            if self.run.processes.agree(table is not None) and table is not None:
                self._rows = self._stack.enter_context(table)
                self.is_begun = True
                self.run.say_other_classes(self.table, self.examples.dataset)
            if fault is not None:
                raise fault

    def look(self, batch: Any, read: Callable[[], Mapping[str, Any]]) -> None:
        """Say before the training what of a batch could not be recorded; nothing of it is."""
        if self.fault is None:
            try:
                self.examples.turn()
                self.columns(batch, read())
            except Exception as error:
                self.fault = error
                self.run.say_failed(f"{self.run.name}/{self.table}", error)
                if self.run.strict:
                    raise

    def add(self, batch: Any, read: Callable[[], Mapping[str, Any]]) -> None:
        """Record a batch of which `read` says the columns, as `TableRecorder.add` has them, or logits.

        Where it fails the table is given up, which is said; later batches are passed over then.
        """
        if not self.is_begun or self.fault is not None:
            return
        try:
            self.examples.turn()
            columns = self.columns(batch, read())
            assert self._rows is not None
            self._rows.add(**columns)
            self._count += len(columns["ids"])
        except Exception as error:
            self.give_up(error)
        except BaseException:
            self.drop()
            raise

    def give_up(self, error: Exception) -> None:
        """Say why the table cannot be recorded; raises it if strict."""
        self.fault = error
        self.run.failed(self.name, error)
        if self.run.strict:
            self.drop()
            raise error

    def columns(self, batch: Any, said: Mapping[str, Any]) -> dict[str, Any]:
        """The columns of a batch for the table: scores out of logits, pixels out of images, ids; raises BadInput."""
        columns = {name: values for name, values in said.items() if values is not None}
        if "logits" in columns and "scores" in columns:
            raise BadInput("both logits and scores are given for one batch; give one of them")
        for name in ("logits", "scores"):
            if name in columns:
                what = columns.pop("what", name)
                several = self.run.task == "multi-label"
                how = {"logits": name == "logits", "what": what, "several": several}
                columns["scores"] = probabilities(columns.pop(name), **how)
        columns.pop("what", None)
        rows = next((len(columns[name]) for name in ("scores", "guess") if name in columns), None)
        if rows is None:
            raise BadInput("neither scores nor logits nor guess: nothing says what the model said of the batch")
        columns["ids"] = self.examples.of(batch, rows, columns.get("ids"), columns.get("truth"))
        if "truth" not in columns and self._truth_from is not None:
            self.run.say(f"{self.run.name}/{self.table} is recorded without truth: {self._truth_from}")
        self._with_images(columns, rows)
        return columns

    def _with_images(self, columns: dict[str, Any], rows: int) -> None:
        """Images as pixels; without those that cannot be known the rows are recorded all the same, which is said."""
        images = columns.pop("images", None)
        if images is None:
            if self._images_lost and self._has_images:
                columns["images"] = [None] * rows
            return
        try:
            if not self._images_lost:
                columns["images"] = self.normalisation.pixels(images)
                columns["channels"] = self.normalisation.channels if hasattr(images, "shape") else None
                self._has_images = True
                return
        except BadInput as error:
            self._images_lost = True
            self.run.say(f"{self.run.name}/{self.table} is recorded without images: {error}", once=str(error))
            if self.run.strict:
                raise
        if self._has_images:  # a table has images or none: these rows have none among others that have
            columns["images"] = [None] * rows

    def finish(self, metrics: Mapping[str, Any] | None = None, step: int = 0) -> None:
        """Commit the table with the loop's metrics, once all processes have their part of it; else give it up."""
        if not self.is_begun:
            return
        with self.run.guarded(self.name):
            if self.fault is None:
                try:
                    self.examples.check_whole(self._count)
                except BadInput as error:
                    self.give_up(error)
            is_whole = self.run.processes.agree(self.fault is None)
            if not is_whole or not (self._count or self._repeats):
                self.drop()
                if not is_whole and self.fault is None:
                    raise SecondguessError("another process could not record its part of it, and says why")
                if is_whole:
                    raise BadInput("the data set gave no rows")
                return
            self.run.log(self.moment, step, metrics or {})
            self.is_begun = False
            try:
                self._stack.close()
            except Exception as error:
                self.run.refuse(error)
                raise
            if self.examples.by_place and self.run.processes.rank == 0:
                self.run.say_places()

    def drop(self) -> None:
        """Give the table up; what is committed of others stays."""
        self.is_begun = False
        stack, self._stack = self._stack, ExitStack()
        why = self.fault or BadInput(f"{self.name} was given up")
        try:
            stack.__exit__(type(why), why, why.__traceback__)
        except Exception as error:
            if error is not why:
                self.run.failed(self.name, error)
