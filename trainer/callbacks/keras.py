"""What a Keras model says of a validation set at the end of each epoch, as tables of a run."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib import import_module
from itertools import chain, count
from typing import Any

from secondguess.analysis.errors import BadInput
from secondguess.analysis.moments import Moment
from secondguess.analysis.schema import DEFAULT_TABLE, Task
from secondguess.trainer.callbacks import order
from secondguess.trainer.callbacks.batches import Normalisation, array, item
from secondguess.trainer.callbacks.frameworks import FrameworkCallback
from secondguess.trainer.callbacks.run import PredictionRun, Processes, moment_of
from secondguess.trainer.callbacks.validation import Examples, IdFunction, Validation, at_places

_RANDOM = {"RandomSampler", "SubsetRandomSampler", "WeightedRandomSampler"}  # of torch


class KerasPredictions(FrameworkCallback):
    """A callback for Keras 3's `fit`, on any of its backends, that records a data set at the end of each epoch, whole.

    `KerasPredictions("predictions", run="k", data=(x_val, y_val))` predicts on data, which Keras does not hand to a
    callback, batch by batch, and records that as val_predictions. data is (x, y), a PyDataset, a torch DataLoader or a
    tf.data.Dataset that gives (x, y), or a dict of several by their names: val_predictions_NAME. y is class numbers or
    one-hot; without one the rows have no label.

    The model's outputs are probabilities, and are refused where they are not; logits=True says that they are logits,
    task="regression" that they are numbers, task="multi-label" that a row may have several labels. output names one of
    several outputs. images are x where it has their shape and is uint8 or in [0, 1], or is so when the normalisation by
    mean and std is undone; images=False is without, another array (or a function of a place) has them elsewhere.
    content are texts, one for each example.

    ids, one for each example, or id_fn(batch, places); else the data set's own (`ids`, `id`, `filenames`), or the
    place in it. What does not say its order (a tf.data.Dataset, a generator) needs ids, and is then taken to come in
    their order; what says that it shuffles, or has an on_epoch_end and does not say `shuffle = False`, is refused but
    with id_fn. classes are the names of the classes, else the data set's `class_names`; with classes=[] they are
    numbers.

    `record(model, data)` records a test, as test_predictions, after the training or without one. The epochs' metrics
    are kept, too. What fails stops no training unless strict. options are the Recorder's: config, wandb, resume,
    overwrite; and unlabelled, the label, or a list of them, that stands for none (-100).
    """

    framework = ("keras.callbacks:Callback",)

    def __init__(
        self,
        store: Any,
        *,
        run: str,
        data: Any = None,
        logits: bool = False,
        task: Task | None = None,
        output: str | int | None = None,
        images: Any = None,
        content: Sequence[str] | None = None,
        ids: Sequence[Any] | None = None,
        id_fn: IdFunction | None = None,
        mean: Any = None,
        std: Any = None,
        channels: str | None = None,
        classes: Sequence[str] | None = None,
        batch_size: int = 256,
        prefix: str = "",
        strict: bool = False,
        **options: Any,
    ) -> None:
        super().__init__()
        if batch_size < 1:
            raise BadInput(f"batch_size is {batch_size}; it is at least 1")
        self._run = PredictionRun(store, run, strict, {**options, "classes": classes}, prefix, task)
        self._data = data
        self._says = "guess" if task == "regression" else "logits" if logits else "scores"
        self._output = output
        self._images, self._content = images, content
        self._ids, self._id_fn = ids, id_fn
        self._normalisation = Normalisation(mean, std, channels or _channels())
        self._batch_size = batch_size
        self._prefix = prefix
        self._epochs = 0
        self._is_fitting = False

    def on_train_begin(self, logs: Any = None) -> None:
        """Begin the run, or say why that cannot be, before the first epoch."""
        self._is_fitting = True
        if self._data is None:
            with self._run.guarded(f"run {self._run.name}"):
                raise BadInput("nothing is recorded without data=(x_val, y_val): Keras does not hand it to a callback")
        self._open(self._data)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Record the data set as the model sees it now."""
        self._epochs = epoch + 1
        if self._data is not None:
            sets = self._data if isinstance(self._data, Mapping) else {"": self._data}
            for name, data in sets.items():
                table = f"{self._prefix}val_predictions" + (f"_{name}" if name else "")
                self._record(self.model, data, table, Moment(epoch + 1), logs or {})  # type: ignore[attr-defined]

    def on_train_end(self, logs: Any = None) -> None:
        """End the run with the training; `record` goes on with it."""
        self._is_fitting = False
        self._run.close(finished=True)

    def on_test_begin(self, logs: Any = None) -> None:
        """Say that evaluate(), and predict(), hand no data to a callback."""
        if not self._is_fitting:
            self._run.say(
                f"run {self._run.name}: evaluate() and predict() hand no data to a callback, so nothing of them is "
                "recorded; KerasPredictions.record(model, (x_test, y_test)) records a test"
            )

    on_predict_begin = on_test_begin

    def record(self, model: Any, data: Any, table: str | None = None, *, epoch: int | None = None) -> None:
        """Record what the model says of a data set now, which is given as in `data`: as test_predictions by default.

        It is that of the last epoch that this callback saw, or of epoch, as where the weights of an earlier one were
        restored; before any it is `@1:0`.
        """
        self._open(data)
        moment = moment_of(self._epochs if epoch is None else epoch, 0)
        self._record(model, data, table or f"{self._prefix}{DEFAULT_TABLE}", moment, {})
        self._run.close(finished=True)

    def _open(self, data: Any) -> None:
        with self._run.guarded(f"run {self._run.name}"):
            sets = data.values() if isinstance(data, Mapping) else [data]
            names = next(filter(None, (order.class_names(_dataset(each)) for each in sets)), None)
            self._run.open(Processes(), classes=names, loop=getattr(self, "params", None))

    def _record(self, model: Any, data: Any, table: str, moment: Moment, logs: Mapping[str, Any]) -> None:
        with self._run.guarded(f"{self._run.name}/{table}"):
            batches, examples = self._batches(data)
            at = Validation(self._run, table, moment, examples, self._normalisation)
            at.begin()
            for x, y in batches if at.is_begun else ():
                if at.fault is not None:
                    break
                at.add((x, y), self._reading(model, x, y, at))
            at.finish(logs, moment.epoch if moment.step is None else moment.step)

    def _reading(self, model: Any, x: Any, y: Any, at: Validation) -> Callable[[], Mapping[str, Any]]:
        def read() -> Mapping[str, Any]:
            said = model.predict_on_batch(x)
            if self._output is not None:
                said = _of_output(model, said, self._output)
            if isinstance(said, list | tuple | Mapping):
                raise BadInput(
                    f"the model has {len(said)} outputs; say which are the scores with output=, a name or number"
                )
            truth = y
            if self._output is not None and isinstance(y, Mapping | list | tuple):
                truth = _of_output(model, y, self._output)
            columns = {self._says: said, "what": "the model's outputs", "truth": None if y is None else array(truth)}
            if self._content is not None:
                columns["content"] = self._at_places(self._content, "content", at)
            else:
                columns["images"] = self._pictures(x, at)
            return columns

        return read

    def _pictures(self, x: Any, at: Validation) -> Any:
        if self._images is False:
            return None
        if callable(self._images):
            return [self._images(place) for place in self._places("images", at)]
        if self._images not in (None, True) if not hasattr(self._images, "shape") else True:
            return self._at_places(self._images, "images", at)
        x = array(x) if hasattr(x, "shape") else x
        if self._images is True or at.normalisation.is_image(x):
            return x
        return None

    def _at_places(self, values: Any, what: str, at: Validation) -> Any:
        return at_places(values, self._places(what, at), what)

    @staticmethod
    def _places(what: str, at: Validation) -> list[int]:
        if at.examples.places is None:
            raise BadInput(f"{what} cannot be looked up: the data do not say their order; give ids= in theirs")
        return at.examples.places

    def _batches(self, data: Any) -> tuple[Iterator[tuple[Any, Any]], Examples]:
        """The batches (x, y) of a data set, and which examples they are."""
        if isinstance(data, tuple | list) and len(data) in (1, 2, 3) and not _is_loader(data):
            x, y = _arrays(data[0]), data[1] if len(data) > 1 else None
            rows = _rows(x)
            if y is not None and (labels := _rows(y)) != rows:
                raise BadInput(f"x has {rows} rows, y has {labels}; give a label for each")
            starts = range(0, rows, self._batch_size)
            spans = [slice(start, min(start + self._batch_size, rows)) for start in starts]
            given = (([range(rows)[span] for span in spans]) if rows else []).__iter__()
            return ((_cut(x, span), _cut(y, span)) for span in spans), Examples(None, given, self._id_fn, self._ids)
        if hasattr(data, "shape"):
            return self._batches((data,))
        if _shuffles(data):
            examples = Examples(_dataset(data), None, self._id_fn)
            examples.remedy = (
                "give data that does not shuffle (shuffle=False, as an attribute of a PyDataset, too, whose "
                "on_epoch_end leaves the order alone), or id_fn="
            )
            return _pairs(data), examples
        if _is_numbered(data):
            return self._in_turn(data, _pairs(data))
        known = order.batches(data) if hasattr(data, "sampler") else None
        if known is not None:
            return map(_pair, data), Examples(_dataset(data), known, self._id_fn, self._ids)
        if hasattr(data, "__next__"):
            if (first := next(data, None)) is None:
                raise BadInput(
                    "no rows are left: a generator gives them once; give (x, y), a PyDataset, a DataLoader or what "
                    "else can be gone through anew in each epoch"
                )
            data = chain([first], data)
        if self._ids is not None:
            return self._in_turn(data, map(_pair, data))
        return map(_pair, data), Examples(_dataset(data), None, self._id_fn)

    def _in_turn(self, data: Any, pairs: Iterator[tuple[Any, Any]]) -> tuple[Iterator[tuple[Any, Any]], Examples]:
        """Batches whose rows are counted as they come: a PyDataset is asked for them by number, or ids name them."""
        sizes: list[int] = []
        at = count()

        def counted() -> Iterator[tuple[Any, Any]]:
            for x, y in pairs:
                sizes.append(_rows(x))
                yield x, y

        def places() -> Iterator[Sequence[int]]:
            while True:
                yield [next(at) for _ in range(sizes.pop(0))] if sizes else []

        return counted(), Examples(_dataset(data), places(), self._id_fn, self._ids)


def _pairs(data: Any) -> Iterator[tuple[Any, Any]]:
    """The batches of data that can be gone through anew, a PyDataset's by their numbers."""
    return map(_pair, (data[number] for number in range(len(data))) if _is_numbered(data) else data)


def _pair(batch: Any) -> tuple[Any, Any]:
    """The inputs and labels of a batch (x, y), (x, y, weights), (x,) or x, as any backend takes them."""
    if isinstance(batch, tuple | list):
        return _arrays(batch[0]), batch[1] if len(batch) > 1 else None
    return _arrays(batch), None


def _arrays(x: Any) -> Any:
    """Inputs as arrays where they are what some backend does not take: torch's tensors, data frames, lists of rows."""
    if isinstance(x, Mapping):
        return {name: _arrays(value) for name, value in x.items()}
    if isinstance(x, list | tuple):
        return [_arrays(value) for value in x] if x and hasattr(x[0], "shape") else array(x)
    return array(x) if hasattr(x, "detach") or hasattr(x, "to_numpy") else x


def _rows(x: Any) -> int:
    """How many rows there are in an array, in a list of labels, in several arrays."""
    first = next(iter(x.values())) if isinstance(x, Mapping) else x[0] if _is_several(x) else x
    return int(first.shape[0]) if hasattr(first, "shape") else len(first)


def _is_several(values: Any) -> bool:
    """Whether these are a list of arrays, one for each input or output, and no list of rows."""
    return isinstance(values, list | tuple) and len(values) > 0 and len(getattr(values[0], "shape", ())) > 0


def _cut(values: Any, span: slice) -> Any:
    if isinstance(values, Mapping):
        return {name: value[span] for name, value in values.items()}
    if _is_several(values):
        return [value[span] for value in values]
    return None if values is None else getattr(values, "iloc", values)[span]


def _of_output(model: Any, values: Any, output: str | int) -> Any:
    """What is of one output, which a list of them has in the order of the model's output names."""
    names = list(getattr(model, "output_names", None) or ())
    if isinstance(values, list | tuple) and output in names:
        output = names.index(output)
    return item(output, values)


def _is_numbered(data: Any) -> bool:
    return any(kind.__name__ == "PyDataset" for kind in type(data).__mro__)


def _shuffles(data: Any) -> bool:
    """Whether its rows may come in another order each time, as a loader says, a PyDataset by `shuffle`.

    One that does not say, but does something after each epoch of a training, as where it draws its order anew, may.
    """
    if _is_numbered(data):
        shuffle = getattr(data, "shuffle", None)
        return bool(shuffle) if shuffle is not None and not callable(shuffle) else _is_changed_between_epochs(data)
    return type(getattr(data, "sampler", None)).__name__ in _RANDOM


def _is_changed_between_epochs(data: Any) -> bool:
    usual = next(kind for kind in type(data).__mro__ if kind.__name__ == "PyDataset")
    hooks = ("on_epoch_begin", "on_epoch_end")
    return any(getattr(type(data), hook, None) is not getattr(usual, hook, None) for hook in hooks)


def _is_loader(data: Any) -> bool:
    return not hasattr(data[0], "__len__") and not isinstance(data[0], Mapping)


def _dataset(data: Any) -> Any:
    return getattr(data, "dataset", data)


def _channels() -> str:
    """Where the framework is told that images have their channels."""
    return "first" if import_module("keras").config.image_data_format() == "channels_first" else "last"
