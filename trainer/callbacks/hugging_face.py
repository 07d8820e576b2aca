"""Evaluations of transformers' Trainer as tables of a run."""

import weakref
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

from secondguess.analysis.errors import BadInput, listing
from secondguess.analysis.moments import Moment
from secondguess.analysis.schema import Task
from secondguess.trainer.callbacks import order, truths
from secondguess.trainer.callbacks.batches import Normalisation, array, item
from secondguess.trainer.callbacks.frameworks import FrameworkCallback
from secondguess.trainer.callbacks.run import PredictionRun, Processes, alone, moment_of
from secondguess.trainer.callbacks.validation import Examples, Validation, at_places

_LABELS = ("labels", "label", "label_ids")
_NO_LABELS = "the model is given none, and the data set has none; TrainingArguments(label_names=[…]) says their name"
_EVALUATED = ("", "eval", "validation", "val")  # what the one data set that is evaluated is called in data=
_REMEDY = (
    "evaluate a data set that is no stream in a loader that does not shuffle, as with "
    "train_sampling_strategy='group_by_length' it does"
)


class HuggingFacePredictions(FrameworkCallback):
    """A callback for transformers' Trainer that records each evaluation, whole.

    `HuggingFacePredictions("predictions", run="bert")` takes the logits where the model gives them, by a hook on the
    model that only looks: compute_metrics sees what it saw, and there need be none. Each row's truth is the label that
    the model is given, else that of the data set; -100 is no label. The names of the classes are the config's
    id2label, unless those are LABEL_0, LABEL_1, …, else the data set's ClassLabel.

    data: the data set that is evaluated, as the Trainer was given it, which drops what the model does not take; of
    several a dict by their names, "validation" (or "eval") and "test", as load_dataset gives them. ids and content are
    columns of it (or ids a sequence): texts to be kept with each example. decode=True keeps the texts that the
    Trainer's tokenizer makes of input_ids instead. images=True keeps pixel_values, as mean and std (else those of the
    Trainer's image processor) say they were before; they are held until an evaluation ends. Without ids each is the
    data set's `id` or `ids`, or the place in it, as the loader's sampler says: one that groups by length or shuffles is
    refused.

    Tables: val_predictions of evaluate(), val_predictions_NAME of several data sets, test_predictions of predict(),
    else the metric_key_prefix; prefix stands before. The end of an epoch is `@N`, a step within one `@N:step`, one
    before training `@1:0`, one after load_best_model_at_end that of the best; an evaluation at a point that was
    evaluated already is left out. Metrics are kept, too. Of several processes each records its part; what a sampler
    repeats is dropped and counted. task is what the model's problem_type says: "regression" (one label, too) and
    "multi-label" are tables of their own kinds; a class for each token and generated text are refused. What fails stops
    no training unless strict. options are the Recorder's: config, wandb, resume, reopen, overwrite, session,
    patience_s; and unlabelled, the label, or a list of them, that stands for none (-100).
    """

    framework = ("transformers:TrainerCallback",)

    def __init__(
        self,
        store: Any,
        *,
        run: str,
        data: Any = None,
        ids: str | Sequence[Any] | None = None,
        content: str | None = None,
        decode: bool = False,
        images: bool = False,
        mean: Any = None,
        std: Any = None,
        classes: Sequence[str] | None = None,
        task: Task | None = None,
        prefix: str = "",
        strict: bool = False,
        **options: Any,
    ) -> None:
        super().__init__()
        if data is None and (content is not None or isinstance(ids, str)):
            raise BadInput("ids and content are columns of data=, the data set as it was before the Trainer took it")
        if decode and content is not None:
            raise BadInput("both decode and content: give one of them, the texts are either")
        self._run = PredictionRun(store, run, strict, {**options, "classes": classes}, prefix, task)
        self._run.is_named_by_model = True
        if data is None:
            self._run.instead_of_places = "; the Trainer drops a column of ids, which data= and ids= name"
        self._has_task = task is not None
        self._data, self._ids, self._content = data, ids, content
        self._decode, self._images = decode, images
        self._normalisation = Normalisation(mean, std)
        self._prefix = prefix
        self._evaluation: _Evaluation | None = None
        self._watch = _Watch()
        self._hooks: list[Any] = []  # the models that are watched, weakly
        self._is_training = False
        self._known: list[tuple[Any, Sequence[Any] | None]] = []  # the labels of data sets whose model is not given any

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_evaluation": None, "_hooks": [], "_known": []}

    def on_init_end(self, args: Any, state: Any, control: Any, model: Any = None, **_: Any) -> None:
        """Look at what the model gives when it evaluates."""
        self._look_at(model)

    def on_train_begin(self, args: Any, state: Any, control: Any, model: Any = None, **kwargs: Any) -> None:
        """Begin the run, or say why that cannot be, before the first epoch."""
        self._is_training = True
        self._evaluation = None  # of a training that broke off
        self._look_at(model)
        if getattr(args.eval_strategy, "value", args.eval_strategy) != "no" or args.eval_on_start:
            self._open(args, state, model, kwargs.get("eval_dataloader") or kwargs.get("train_dataloader"))

    def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Forget what an evaluation that broke off left."""
        self._evaluation = None

    def on_prediction_step(self, args: Any, state: Any, control: Any, model: Any = None, **kwargs: Any) -> None:
        """Keep a batch of an evaluation."""
        loader, seen = kwargs.get("eval_dataloader"), self._watch.taken(model)
        if self._evaluation is None or self._evaluation.loader is not loader:
            self._evaluation = _Evaluation(loader)
            seen = seen[-1:]  # the model may have been asked by others before
        evaluation = self._evaluation
        if evaluation.fault is None:
            try:
                if not self._is_watched(model):
                    self._look_at(model)
                    raise BadInput(
                        "the callback came after the Trainer, whose model it did not see; give it to the Trainer when "
                        "that is made: Trainer(…, callbacks=[…]); the next evaluation is recorded"
                    )
                evaluation.batches.append(self._batch(seen, _label_names(args), kwargs))
            except Exception as error:
                evaluation.fault = error
                evaluation.batches.clear()

    def on_evaluate(
        self, args: Any, state: Any, control: Any, metrics: Any = None, model: Any = None, **kwargs: Any
    ) -> None:
        """Record what was evaluated."""
        self._record(args, state, model, metrics or {}, _NO_LABELS)

    def on_predict(
        self, args: Any, state: Any, control: Any, metrics: Any = None, model: Any = None, **kwargs: Any
    ) -> None:
        """Record what was predicted."""
        self._record(args, state, model, metrics or {})

    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """End the run with the training; an evaluation after it goes on with it."""
        self._is_training = False
        self._run.close(finished=True)

    def _look_at(self, model: Any) -> None:
        if hasattr(model, "register_forward_hook") and not self._is_watched(model):
            model.register_forward_hook(self._watch, with_kwargs=True)
            self._hooks = [*(each for each in self._hooks if each() is not None), weakref.ref(model)]

    def _is_watched(self, model: Any) -> bool:
        return any(each() is model for each in self._hooks)

    def _open(self, args: Any, state: Any, model: Any, loader: Any) -> None:
        if not self._has_task:
            self._run.task = _task_of(getattr(model, "config", None))
        with self._run.guarded(f"run {self._run.name}"):
            names = _class_names(model, self._data, getattr(loader, "dataset", None))
            agree = _agree if args.world_size > 1 else alone
            self._run.open(Processes(args.process_index, args.world_size, agree), classes=names, loop=state)

    def _batch(
        self, seen: Sequence[tuple[Mapping[str, Any], Any]], labels: Sequence[str], kwargs: Mapping[str, Any]
    ) -> dict[str, Any]:
        """What the model was given and gave in one step, as arrays in memory; raises BadInput for other tasks."""
        if len(seen) != 1:
            raise BadInput(
                f"the model was called {'several times' if seen else 'in no way that shows'} in a step of the "
                "evaluation, as where it generates text; one class for each example is recorded"
            )
        named, output = seen[0]
        logits = output.get("logits") if isinstance(output, Mapping) else getattr(output, "logits", None)
        if isinstance(output, tuple | list):  # (loss, logits, …), as without return_dict
            logits = next((values for values in output if len(getattr(values, "shape", ()))), None)
        if logits is None:
            has = listing(output) if isinstance(output, Mapping) else type(output).__name__
            raise BadInput(f"the model gives no logits (it gives {has}); a class for each example is recorded")
        if len(logits.shape) != 2:
            raise BadInput(
                f"the model's logits have shape {tuple(logits.shape)}: a class for each token, or text that is "
                "generated; one class for each example is recorded"
            )
        said: dict[str, Any] = {"logits": array(logits), "what": "the model's logits"}
        if self._run.task == "regression":
            if logits.shape[1] > 1:
                raise BadInput("the model says several numbers of each example; one is recorded")
            said = {"guess": array(logits)[:, 0]}
        truth = next((named[name] for name in labels if named.get(name) is not None), None)
        said["truth"] = array(truth) if truth is not None else None
        processor = kwargs.get("processing_class")
        if self._decode:
            if not callable(getattr(processor, "batch_decode", None)):
                raise BadInput("decode=True needs a tokenizer: Trainer(…, processing_class=tokenizer)")
            assert processor is not None
            said["content"] = list(processor.batch_decode(item("input_ids", named), skip_special_tokens=True))
        if self._images:
            said["images"] = self._pixels(item("pixel_values", named), self._normalised(processor))
        return said

    def _normalised(self, processor: Any) -> Normalisation:
        if self._normalisation.mean is None and getattr(processor, "do_normalize", False):
            return Normalisation(processor.image_mean, processor.image_std)
        return self._normalisation

    def _pixels(self, values: Any, normalisation: Normalisation) -> Any:
        """The images of a batch; as they came where their pixels cannot be known, of which one batch is enough."""
        evaluation = self._evaluation
        assert evaluation is not None
        if evaluation.is_without_images:
            return None
        evaluation.normalisation = normalisation
        try:
            return normalisation.pixels(values)
        except BadInput:  # which the Validation says again, and goes on without them
            evaluation.is_without_images = True
            return values

    def _record(
        self, args: Any, state: Any, model: Any, metrics: Mapping[str, Any], truth_from: str | None = None
    ) -> None:
        evaluation, self._evaluation = self._evaluation, None
        if evaluation is None:
            return
        self._open(args, state, model, evaluation.loader)
        if self._run.is_open:
            table = self._prefix + _table(metrics)
            moment = self._moment(args, state)
            examples = Examples.of_loader(evaluation.loader)
            examples.remedy = _REMEDY
            at = Validation(self._run, table, moment, examples, evaluation.normalisation, truth_from=truth_from)
            at.begin()
            if evaluation.fault is not None and at.is_begun:
                at.give_up(evaluation.fault)
            for batch in evaluation.last():
                at.add(batch, self._reading(batch, examples, evaluation, args, _name(metrics)))
            at.finish(metrics, state.global_step)
        if not self._is_training:
            self._run.close(finished=True)

    def _named_data(self, name: str) -> Any:
        """The data set of this name, as it was before the Trainer took it; raises BadInput where there is none."""
        if not isinstance(self._data, Mapping):
            return self._data
        names = [name] if name else _EVALUATED
        found = next((self._data[each] for each in names if each in self._data), None)
        if found is None and (self._content is not None or isinstance(self._ids, str)):
            raise BadInput(f"data has no data set {name or 'eval'!r}; it has {listing(self._data)}")
        return found

    def _truths(self, dataset: Any, data: Any, args: Any) -> Sequence[Any] | None:
        """The labels of the data set that is evaluated, or of data, which has a row for each of its examples."""
        for known, values in self._known:
            if known is dataset:
                return values
        names = _label_names(args)
        values = truths.labels(data, names) if data is not None else None
        values = truths.labels(dataset, names) if values is None else values
        self._known = [*self._known[-7:], (dataset, values)]
        return values

    def _moment(self, args: Any, state: Any) -> Moment:
        """When the weights are of: after a training that loads its best ones, when those were."""
        done, step = state.epoch or 0.0, state.global_step
        best = getattr(state, "best_global_step", None)
        if best and step and args.load_best_model_at_end and not self._is_training:
            done, step = done * best / step, best
        return moment_of(done, step)

    def _reading(
        self, batch: dict[str, Any], examples: Examples, evaluation: "_Evaluation", args: Any, name: str
    ) -> Callable[[], Mapping[str, Any]]:
        def read() -> Mapping[str, Any]:
            dataset, places = getattr(evaluation.loader, "dataset", None), examples.places
            data = self._named_data(name)
            wanted: dict[str, tuple[Any, Any]] = {"ids": (self._ids, data), "content": (self._content, data)}
            if batch["truth"] is None:
                wanted["truth"] = (self._truths(dataset, data, args), dataset)
            said = dict(batch)
            for what, (column, source) in wanted.items():
                if column is None:
                    continue
                if what not in evaluation.columns:
                    evaluation.columns[what] = _values(column, what, source, dataset)
                if places is None:
                    raise BadInput(f"{what} cannot be looked up: the loader shuffles, or groups by length")
                said[what] = at_places(evaluation.columns[what], places, what)
            return said

        return read


@dataclass
class _Evaluation:
    """The batches of an evaluation, in memory until it is known which one it is."""

    loader: Any
    batches: list[dict[str, Any]] = field(default_factory=list)
    columns: dict[str, Sequence[Any]] = field(default_factory=dict)  # of the whole data set
    fault: Exception | None = None
    normalisation: Normalisation = field(default_factory=Normalisation)  # of its images
    is_without_images: bool = False

    def last(self) -> list[dict[str, Any]]:
        """The batches of one pass: those before are of an evaluation of the same loader that broke off."""
        try:
            return self.batches[-len(self.loader) :]
        except TypeError:  # of a stream
            return self.batches


class _Watch:
    """A hook that keeps what a model was given and gave when it last evaluated, twice at most.

    A copy of the model, or one that is saved whole, has one that keeps its own.
    """

    def __init__(self) -> None:
        self._seen: dict[int, list[tuple[Mapping[str, Any], Any]]] = {}

    def __call__(self, model: Any, inputs: Any, named: Mapping[str, Any], output: Any) -> None:
        if not model.training:
            self._seen[id(model)] = [*self._seen.get(id(model), ())[-1:], (named, output)]

    def __reduce__(self) -> tuple[type, tuple[()]]:
        return _Watch, ()

    def taken(self, model: Any) -> list[tuple[Mapping[str, Any], Any]]:
        """What was seen of the model since it was last taken."""
        return self._seen.pop(id(model), [])


def _values(column: Any, what: str, data: Any, evaluated: Any) -> Sequence[Any]:
    """A column, or a sequence with a value for each example of the data set that is evaluated."""
    values = order.column(data, column) if isinstance(column, str) else column
    if values is None:
        raise BadInput(
            f"{what} is {column!r}, which data has not; it has the columns "
            f"{listing(getattr(data, 'column_names', None) or ['none'])}"
        )
    if len(values) != len(evaluated):
        raise BadInput(
            f"{what} has {len(values)} values, the data set that is evaluated {len(evaluated)}; give data= as the "
            "Trainer has it, by name where there are several"
        )
    return values


def _label_names(args: Any) -> Sequence[str]:
    return (*(getattr(args, "label_names", None) or ()), *_LABELS)


def _prefix(metrics: Mapping[str, Any]) -> str:
    """The metric_key_prefix of an evaluation, which the Trainer's own measurements have; they are the last."""
    return next((key[: -len("_runtime")] for key in reversed([*metrics]) if key.endswith("_runtime")), "eval")


def _name(metrics: Mapping[str, Any]) -> str:
    """The metric_key_prefix of an evaluation, of several data sets the name of this one."""
    prefix = _prefix(metrics)
    return prefix.removeprefix("eval_") if prefix != "eval" else ""


def _table(metrics: Mapping[str, Any]) -> str:
    prefix = _prefix(metrics)
    if prefix == "eval":
        return "val_predictions"
    name = prefix.removeprefix("eval_")
    return f"{name}_predictions" if name == prefix else f"val_predictions_{name}"


def _task_of(config: Any) -> Task | None:
    """What the model's config says of its labels; one label alone is a number, as the library has it."""
    named = getattr(config, "problem_type", None)
    if named == "regression" or (named is None and len(getattr(config, "id2label", None) or ()) == 1):
        return "regression"
    return "multi-label" if named == "multi_label_classification" else None


def _class_names(model: Any, data: Any, dataset: Any) -> list[str] | None:
    """The names of the classes: id2label but for its LABEL_0, LABEL_1, …, else those of the data sets."""
    by_number = getattr(getattr(model, "config", None), "id2label", None) or {}
    names = [str(by_number[number]) for number in sorted(by_number)]
    if names and names != [f"LABEL_{number}" for number in range(len(names))] and len(set(names)) == len(names):
        return names
    sets = [*(data.values() if isinstance(data, Mapping) else [data]), dataset]
    return next(filter(None, map(order.class_names, sets)), None)


def _agree(ok: bool) -> bool:
    """Whether all processes say yes; each of them asks."""
    said: list[bool] = import_module("accelerate.utils").gather_object([ok])
    return all(said)
