"""Lightning's validations, tests and predictions as tables of a run."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from secondguess.analysis.errors import BadInput
from secondguess.analysis.moments import Moment
from secondguess.trainer.callbacks import order
from secondguess.trainer.callbacks.batches import Normalisation, item
from secondguess.trainer.callbacks.frameworks import FrameworkCallback
from secondguess.trainer.callbacks.run import PredictionRun, Processes, alone, checked_name, moment_of
from secondguess.trainer.callbacks.validation import Examples, IdFunction, Validation

Predictions = Callable[[Any, Any], Mapping[str, Any]]

# What a step's dict calls things, where no argument says how it does.
_NAMES = {
    "logits": ("logits",),
    "scores": ("scores", "probs", "probabilities"),
    "guess": ("guess", "preds", "pred"),
    "truth": ("truth", "targets", "target", "labels", "label", "y"),
}
_INPUTS = ("images", "image", "pixel_values", "x", "inputs", "input")


class LightningPredictions(FrameworkCallback):
    """A callback for the Trainer of `lightning` or `pytorch_lightning` that records each validation, whole.

    `LightningPredictions("predictions", run="vit")` records what validation_step returns, a dict with "logits" or
    "probs" and, unless the batch is (x, y), "targets". Where it returns a loss alone, `logits=True` or `logits=False`
    says whether the module's own forward, which it calls once, gives logits or probabilities: what that gave is taken,
    and it is not called again. Neither is guessed.

    logits: that, or the key of logits in the dict; scores: the key of probabilities; guess, truth, images, content: the
    keys of those, in the dict or in the batch, or their places in a batch that is a tuple. predictions(outputs, batch)
    gives all of it as a dict instead, by the names of `TableRecorder.add`, or "logits". columns names further ones.

    images are the batch's first item where it has the shape of images, as `mean` and `std` say they were before they
    were normalised; images=False is without. A key, or a function of a place in the data set, leads elsewhere. Of
    images whose pixels cannot be known the rows are recorded without, which is said.

    ids: the key of them in the batch; or id_fn(batch, places); else the data set's own (`ids`, `id`, `filenames`), or
    the place in it, of a subset that in the whole set, as the loader's sampler says: a loader that shuffles is refused.
    classes are the names of the classes, else the data set's `classes`.

    Tables: val_predictions, test_predictions, predict_predictions, of several loaders with _0, _1 or their names after
    that; prefix stands before. The end of an epoch is `@N`, a validation within one `@N:step`, one before any training
    `@1:0`; the sanity check is left out. The metrics that are logged are kept, too. Of several processes each records
    its part; what a sampler repeats is dropped and counted. What fails stops no training unless strict. options are
    the Recorder's: config (else the module's hyperparameters), wandb, resume, overwrite, session, patience_s.
    """

    framework = ("lightning.pytorch:Callback", "pytorch_lightning:Callback")

    def __init__(
        self,
        store: Any,
        *,
        run: str,
        logits: bool | str | None = None,
        scores: str | None = None,
        guess: str | None = None,
        truth: str | int | None = None,
        images: Any = None,
        content: str | int | None = None,
        columns: Sequence[str] = (),
        predictions: Predictions | None = None,
        ids: str | int | None = None,
        id_fn: IdFunction | None = None,
        mean: Any = None,
        std: Any = None,
        channels: str = "first",
        classes: Sequence[str] | None = None,
        prefix: str = "",
        strict: bool = False,
        **options: Any,
    ) -> None:
        super().__init__()
        self._run = PredictionRun(store, checked_name(run), strict, {**options, "classes": classes})
        self._reader = StepReader(
            logits,
            {"scores": scores, "guess": guess, "truth": truth, "content": content},
            images,
            columns,
            ids,
            predictions,
        )
        self._id_fn = id_fn
        self._prefix = prefix
        self._normalisation = Normalisation(mean, std, channels)
        self._passes: list[Validation] = []
        self._hook: Any = None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_passes": [], "_hook": None}

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        """Begin the run, or say why that cannot be, before the first epoch."""
        self._open(trainer, pl_module)

    def on_validation_start(self, trainer: Any, pl_module: Any) -> None:
        """Begin the tables of a validation; the sanity check's batches are looked at, and not recorded."""
        self._begin(trainer, pl_module, "val")

    def on_test_start(self, trainer: Any, pl_module: Any) -> None:
        """Begin the tables of a test."""
        self._begin(trainer, pl_module, "test")

    def on_predict_start(self, trainer: Any, pl_module: Any) -> None:
        """Begin the tables of a prediction."""
        self._begin(trainer, pl_module, "predict")

    def on_validation_batch_end(
        self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int, dataloader_idx: int = 0
    ) -> None:
        """Record a batch of a validation, of a test, of a prediction."""
        if self._passes:
            at = self._passes[dataloader_idx]
            (at.look if trainer.sanity_checking else at.add)(batch, partial(self._reader.read, outputs, batch, at))

    on_test_batch_end = on_validation_batch_end
    on_predict_batch_end = on_validation_batch_end

    def on_validation_end(self, trainer: Any, pl_module: Any) -> None:
        """Commit the tables of a validation, of a test, of a prediction, with the metrics that are logged by then."""
        self._unhook()
        passes, self._passes = self._passes, []
        if not trainer.sanity_checking:
            for each in passes:
                each.finish({} if trainer.predicting else trainer.callback_metrics, trainer.global_step)

    on_test_end = on_validation_end
    on_predict_end = on_validation_end

    def on_exception(self, trainer: Any, pl_module: Any, exception: BaseException) -> None:
        """Leave the run interrupted; what is committed stays."""
        self._unhook()
        for each in self._passes:
            each.drop()
        self._passes = []
        self._run.close(finished=False)

    def teardown(self, trainer: Any, pl_module: Any, stage: str) -> None:
        """End the run with its loop; the next loop of the same callback goes on with it."""
        self._run.close(finished=True)

    def _open(self, trainer: Any, module: Any) -> None:
        with self._run.guarded(f"run {self._run.name}"):
            names = next(filter(None, map(_classes_of, _loaders(trainer))), None)
            hyperparameters = getattr(module, "hparams", None)
            agree = trainer.strategy.reduce_boolean_decision if trainer.world_size > 1 else alone
            processes = Processes(trainer.global_rank, trainer.world_size, agree)
            self._run.open(processes, classes=names, config=dict(hyperparameters) if hyperparameters else None)

    def _begin(self, trainer: Any, module: Any, stage: str) -> None:
        self._passes = []
        self._open(trainer, module)
        table = f"{self._prefix}{stage}_predictions"
        with self._run.guarded(f"{self._run.name}/{table}"):
            named = dict(zip(_names(trainer, table), _loaders(trainer), strict=True)) if self._run.is_open else {}
            moment = _moment(trainer)
            for name, loader in named.items():
                examples = Examples.of_loader(loader, self._id_fn)
                self._passes.append(Validation(self._run, name, moment, examples, self._normalisation))
        self._unhook()
        if self._passes:
            self._reader.forward = []
            self._hook = module.register_forward_hook(self._reader.saw)
        if not trainer.sanity_checking:
            for each in self._passes:
                each.begin()

    def _unhook(self) -> None:
        if self._hook is not None:
            self._hook.remove()
            self._hook = None


class StepReader:
    """What a step's outputs and its batch say, by the names of `TableRecorder.add`."""

    def __init__(
        self,
        logits: bool | str | None,
        named: Mapping[str, str | int | None],
        images: Any,
        columns: Sequence[str],
        ids: str | int | None,
        predictions: Predictions | None,
    ) -> None:
        self.logits = logits
        self.named = {name: at for name, at in named.items() if at is not None}
        self.images, self.columns, self.ids, self.predictions = images, columns, ids, predictions
        self.forward: list[Any] = []

    def saw(self, module: Any, inputs: Any, output: Any) -> None:
        """Remember what the module's forward gave; the last of two is enough to know that there were several."""
        self.forward = [*self.forward[-1:], output]

    def read(self, outputs: Any, batch: Any, at: Validation) -> Mapping[str, Any]:
        """The columns of a batch; raises BadInput where nothing says them."""
        seen, self.forward = self.forward, []
        if self.predictions is not None:
            said = dict(self.predictions(outputs, batch))
            return {"ids": item(self.ids, batch), **said} if self.ids is not None else said
        said = self._scores(outputs, seen)
        named = outputs if isinstance(outputs, Mapping) else {}
        for name in ("truth", "content"):
            if name in self.named:
                said[name] = item(self.named[name], named, batch)
        if "truth" not in said:
            said["truth"] = _named(named, "truth", _named(batch, "truth", _at(batch, 1)))
        said |= {name: item(name, named, batch) for name in self.columns}
        if self.ids is not None:
            said["ids"] = item(self.ids, named, batch)
        if "content" not in said:
            said["images"] = self._images(named, batch, at)
        return said

    def _scores(self, outputs: Any, seen: Sequence[Any]) -> dict[str, Any]:
        named = outputs if isinstance(outputs, Mapping) else {}
        if isinstance(self.logits, str):
            return {"logits": item(self.logits, named), "what": repr(self.logits)}
        for name in ("scores", "guess"):
            if name in self.named:
                return {name: item(self.named[name], named)}
        if self.logits is None:
            for name in ("logits", "scores", "guess"):
                if (values := _named(named, name)) is not None:
                    if name == "guess" and len(getattr(values, "shape", (0,))) > 1:
                        raise BadInput(
                            "the step's predictions have a column for each class: say logits= or scores= with their "
                            "key, logits='preds' for one"
                        )
                    return {name: values}
        rows = getattr(outputs, "shape", ())
        what, output = (
            ("what the step returned", outputs) if len(rows) else ("what forward gave", seen[-1] if seen else None)
        )
        if output is None or not hasattr(output, "shape"):
            raise BadInput(_NOTHING.format(_told(outputs)))
        if len(seen) > 1 and not len(rows):
            raise BadInput(
                "the step called the module's forward several times; return what it says, or give predictions="
            )
        if self.logits is None:
            raise BadInput(
                f"{what}, of shape {tuple(output.shape)}, may be logits or probabilities: say LightningPredictions(…, "
                "logits=True) or logits=False"
            )
        return {"logits" if self.logits else "scores": output, "what": what}

    def _images(self, named: Mapping[str, Any], batch: Any, at: Validation) -> Any:
        if self.images is False:
            return None
        if callable(self.images):
            if at.examples.places is None:
                raise BadInput("images is a function of a place in the data set, which this loader does not say")
            return [self.images(place) for place in at.examples.places]
        if self.images not in (None, True):
            return item(self.images, named, batch)
        first = next((batch[name] for name in _INPUTS if isinstance(batch, Mapping) and name in batch), _at(batch, 0))
        first = batch if hasattr(batch, "shape") else first
        return first if self.images is True or at.normalisation.is_image(first) else None


_NOTHING = (
    "the step returned {}, and did not call the module's own forward: return a dict with 'logits' or 'probs' from it, "
    "or give predictions=, a function of (outputs, batch)"
)


def _told(outputs: Any) -> str:
    if isinstance(outputs, Mapping):
        return f"a dict of {', '.join(map(str, outputs))}"
    return "nothing" if outputs is None else "a loss" if hasattr(outputs, "shape") else f"a {type(outputs).__name__}"


def _named(source: Any, what: str, otherwise: Any = None) -> Any:
    """The first that has one of the usual names, of a dict."""
    return next((source[name] for name in _NAMES[what] if isinstance(source, Mapping) and name in source), otherwise)


def _at(batch: Any, place: int) -> Any:
    return batch[place] if isinstance(batch, list | tuple) and len(batch) > place else None


def _classes_of(loader: Any) -> list[str] | None:
    dataset = getattr(loader, "dataset", None)
    return order.class_names(order.whole(dataset, ())[0]) if dataset is not None else None


def _combined(trainer: Any) -> Any:
    """The loaders of the loop that is running."""
    loops = {"validate": "validate_loop", "test": "test_loop", "predict": "predict_loop"}
    name = loops.get(str(trainer.state.fn.value))
    loop = getattr(trainer, name) if name is not None else trainer.fit_loop.epoch_loop.val_loop
    return loop._combined_loader


def _loaders(trainer: Any) -> list[Any]:
    combined = _combined(trainer)
    return list(combined.flattened) if combined is not None else []


def _names(trainer: Any, table: str) -> list[str]:
    """What the tables of the loaders are called: the one as it is, several with their names or numbers."""
    combined = _combined(trainer)
    count = len(combined.flattened)
    if count == 1:
        return [table]
    if combined._mode != "sequential":
        raise BadInput(
            f"the {count} loaders are combined in the mode {combined._mode!r}, whose batches have rows of several data "
            "sets; they are recorded one by one where the mode is 'sequential'"
        )
    given = combined.iterables
    return [f"{table}_{key}" for key in (given if isinstance(given, Mapping) else range(count))]


def _moment(trainer: Any) -> Moment:
    """When this validation is: the passes that are finished, and the step within one where it is not at its end."""
    done = float(trainer.current_epoch)
    if trainer.state.fn.value == "fit" and not trainer.sanity_checking:
        done += 1.0 if trainer.fit_loop.epoch_loop.batch_progress.is_last_batch else 0.5
    return moment_of(done, trainer.global_step)
