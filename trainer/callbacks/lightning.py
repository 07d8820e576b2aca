"""Lightning's validations, tests and predictions as tables of a run."""

from collections.abc import Mapping, Sequence
from functools import partial
from importlib import import_module
from typing import Any

from secondguess.analysis.errors import BadInput
from secondguess.analysis.moments import Moment
from secondguess.analysis.schema import Task
from secondguess.trainer.callbacks import order
from secondguess.trainer.callbacks.batches import Normalisation
from secondguess.trainer.callbacks.frameworks import FrameworkCallback
from secondguess.trainer.callbacks.run import PredictionRun, Processes, alone, moment_of
from secondguess.trainer.callbacks.steps import Predictions, StepReader
from secondguess.trainer.callbacks.validation import Examples, IdFunction, Validation

_NO_TRUTH = "no item is called as labels are; truth= is its key or place in the batch, or that in the step's dict"


class LightningPredictions(FrameworkCallback):
    """A callback for the Trainer of `lightning` or `pytorch_lightning` that records each validation, whole.

    `LightningPredictions("predictions", run="vit")` records what validation_step returns, a dict with "logits" or
    "probs" and, unless the batch is (x, y), "targets". Where it returns a loss alone, `logits=True` or `logits=False`
    says whether the module's own forward, which it calls once, gives logits or probabilities: what that gave is taken,
    and it is not called again. Neither is guessed.

    logits: that, or the key of logits in the dict; scores: the key of probabilities; guess, truth, images, content: the
    keys of those, in the dict or in the batch, or their places in a batch that is a tuple. predictions(outputs, batch)
    gives all of it as a dict instead, by the names of `TableRecorder.add`, or "logits". columns names further ones.
    task="regression" says that the outputs are numbers, task="multi-label" that a row may have several labels.

    images are the batch's first item where it has the shape of images, as `mean` and `std` say they were before they
    were normalised; images=False is without. A key, or a function of a place in the data set, leads elsewhere. Of
    images whose pixels cannot be known the rows are recorded without, which is said.

    ids: the key of them in the batch; or id_fn(batch, places); else the data set's own (`ids`, `id`, `filenames`), or
    the place in it, of a subset that in the whole set, as the loader's sampler says: a loader that shuffles is refused.
    classes are the names of the classes, else the data set's `classes`; with classes=[] they are numbers.

    Tables: val_predictions, test_predictions, predict_predictions, of several loaders with _0, _1 or their names after
    that; prefix stands before. The end of an epoch is `@N`, a validation within one `@N:step`, one before any training
    `@1:0`, a test of a checkpoint (`ckpt_path="best"`) that of when it was saved; the sanity check and fast_dev_run are
    left out. The metrics that are logged are kept, too. Of several processes each records its part; what a sampler
    repeats is dropped and counted. What fails stops no training unless strict. options are the Recorder's: config (else
    the module's hyperparameters), wandb, resume, reopen, overwrite, session, patience_s; and unlabelled, the label, or
    a list of them, that stands for none (-100).
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
        task: Task | None = None,
        prefix: str = "",
        strict: bool = False,
        **options: Any,
    ) -> None:
        super().__init__()
        self._run = PredictionRun(store, run, strict, {**options, "classes": classes}, prefix, task)
        self._reader = StepReader(
            logits,
            {"scores": scores, "guess": guess, "truth": truth, "content": content},
            images,
            columns,
            ids,
            predictions,
            is_number=task == "regression",
        )
        self._id_fn = id_fn
        self._prefix = prefix
        self._normalisation = Normalisation(mean, std, channels)
        self._passes: list[Validation] = []
        self._hook: Any = None
        self._weights: Moment | None = None  # when those of a checkpoint are of
        self._checkpoint: Any = None  # where that lies

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_passes": [], "_hook": None}

    def on_load_checkpoint(self, trainer: Any, pl_module: Any, checkpoint: Mapping[str, Any]) -> None:
        """Remember when the weights are of that a test or a prediction is of, until the next training."""
        with self._run.guarded(f"run {self._run.name}"):
            if trainer.state.fn.value != "fit":
                self._weights, self._checkpoint = _saved(checkpoint), trainer.ckpt_path

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        """Begin the run, or say why that cannot be, before the first epoch."""
        self._weights = self._checkpoint = None
        if not trainer.fast_dev_run and _loaders(trainer):
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

    def on_validation_batch_start(self, *_: Any) -> None:
        """Forget what forward gave before this batch, as for one of a table that is given up."""
        self._reader.forward = []

    on_test_batch_start = on_validation_batch_start
    on_predict_batch_start = on_validation_batch_start

    def on_validation_batch_end(
        self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int, dataloader_idx: int = 0
    ) -> None:
        """Record a batch of a validation, of a test, of a prediction."""
        if self._passes:
            at = self._passes[dataloader_idx]
            (at.look if _is_tried(trainer) else at.add)(batch, partial(self._reader.read, outputs, batch, at))

    on_test_batch_end = on_validation_batch_end
    on_predict_batch_end = on_validation_batch_end

    def on_validation_end(self, trainer: Any, pl_module: Any) -> None:
        """Commit the tables of a validation, of a test, of a prediction, with the metrics that are logged by then."""
        self._unhook()
        passes, self._passes = self._passes, []
        if not _is_tried(trainer):
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
        if not trainer.fast_dev_run:
            self._open(trainer, module)
        table = f"{self._prefix}{stage}_predictions"
        with self._run.guarded(f"{self._run.name}/{table}"):
            moment = self._moment(trainer)
            names = _names(trainer, table) if self._run.is_open or _is_tried(trainer) else []
            for name, loader in zip(names, _loaders(trainer), strict=False):
                examples = Examples.of_loader(loader, self._id_fn)
                truth_from = _NO_TRUTH if stage != "predict" else None
                at = Validation(self._run, name, moment, examples, self._normalisation, truth_from=truth_from)
                self._passes.append(at)
        self._unhook()
        if self._passes:
            self._reader.forward = []
            self._hook = module.register_forward_hook(self._reader.saw)
        if not _is_tried(trainer):
            for each in self._passes:
                each.begin()

    def _moment(self, trainer: Any) -> Moment:
        """When the weights are of: now, or those of the checkpoint of a test when it was saved.

        Lightning shows a callback the checkpoints that have callbacks' states, not those of weights alone.
        """
        path = trainer.ckpt_path if trainer.state.fn.value != "fit" else None
        if path is not None and path != self._checkpoint:
            try:
                saved = import_module("torch").load(path, mmap=True, weights_only=True)
                self._weights, self._checkpoint = _saved(saved), path
            except Exception as error:  # its hyperparameters may be of any class
                self._weights = None
                self._run.say(
                    f"run {self._run.name}: when {path} was saved is not known, so it counts as of now: {error}"
                )
        return _moment(trainer) if self._weights is None else self._weights

    def _unhook(self) -> None:
        if self._hook is not None:
            self._hook.remove()
            self._hook = None


def _classes_of(loader: Any) -> list[str] | None:
    return order.class_names(getattr(loader, "dataset", None))


def _is_tried(trainer: Any) -> bool:
    """Whether batches only show that the program works: they are looked at, and not recorded."""
    return bool(trainer.sanity_checking or trainer.fast_dev_run)


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


def _saved(checkpoint: Mapping[str, Any]) -> Moment:
    """When a checkpoint was saved, as its loops say; one without them at the end of its epoch."""
    step = int(checkpoint.get("global_step", 0))
    loops = checkpoint.get("loops", {}).get("fit_loop")
    if loops is None:
        return moment_of(checkpoint.get("epoch", 0) + 1, step)
    passes, is_last = loops["epoch_progress"]["current"], loops["epoch_loop.batch_progress"]["is_last_batch"]
    return moment_of(_done(passes["started"], passes["processed"], is_last), step)


def _done(started: int, processed: int, is_last: bool) -> float:
    """How many passes a training has done, whose last one may have ended before its last batch.

    Lightning counts a pass that was told to stop (max_steps, should_stop) as processed, one that broke off as started.
    """
    passes = max(started, processed)
    return passes if is_last or passes == 0 else passes - 0.5


def _moment(trainer: Any) -> Moment:
    """When this validation is: the passes that are finished, and the step within one where it is not at its end."""
    passes = trainer.fit_loop.epoch_progress.current
    done = _done(passes.started, passes.processed, trainer.fit_loop.epoch_loop.batch_progress.is_last_batch)
    return moment_of(done, trainer.global_step)
