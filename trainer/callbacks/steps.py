"""What a step of a Lightning module returned, and its batch, as the Recorder takes it; what is not said is refused."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import is_dataclass
from typing import Any

from secondguess.analysis.errors import BadInput, listing
from secondguess.trainer.callbacks.batches import array, item
from secondguess.trainer.callbacks.validation import Validation
from secondguess.trainer.recording.columns import plain

Predictions = Callable[[Any, Any], Mapping[str, Any]]

# What a step's dict calls things, where no argument says how it does.
_NAMES = {
    "logits": ("logits",),
    "scores": ("scores", "probs", "probabilities"),
    "guess": ("guess", "preds", "pred"),
}
_TRUTH = ("truth", "targets", "target", "labels", "label", "y")
_INPUTS = ("images", "image", "img", "imgs", "pixel_values", "x", "inputs", "input")


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
        is_number: bool = False,
    ) -> None:
        """is_number says that what was predicted are numbers, no classes."""
        self.is_number = is_number
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
        named, fields = _fields(outputs), _fields(batch)
        said = self._scores(outputs, named, seen)
        if "guess" not in said and (guess := self._guess(named)) is not None:
            said["guess"] = guess
        for name in ("truth", "content"):
            if name in self.named:
                said[name] = item(self.named[name], named, batch)
        if "truth" not in said:
            truth = _named(named, _TRUTH, _named(fields, _TRUTH))
            said["truth"] = _within(self._second(batch)) if truth is None else truth
        said |= {name: item(name, named, batch) for name in self.columns}
        if self.ids is not None:
            said["ids"] = item(self.ids, named, batch)
        if "content" not in said:
            said["images"] = self._images(named, batch, at)
        return said

    def _guess(self, named: Any) -> Any:
        """The guesses that a step says besides scores, as where a threshold of its own makes them."""
        if "guess" in self.named:
            return item(self.named["guess"], named)
        guess = _named(named, _NAMES["guess"])
        return None if guess is None or self.is_number or _is_unsaid(guess) else guess

    def _second(self, batch: Any) -> Any:
        """The labels in a batch (x, y): of more items the one that can be them; raises BadInput where several can."""
        if not isinstance(batch, list | tuple) or len(batch) < 3:
            return _at(batch, 1)
        elsewhere = [*self.named.values(), self.images, self.ids]
        used = {at % len(batch) for at in elsewhere if isinstance(at, int) and not isinstance(at, bool)}
        could = [at for at in range(1, len(batch)) if at not in used and _may_be_labels(batch[at])]
        if len(could) > 1:
            raise BadInput(
                f"the batch has {len(batch)} items, and those at the places {listing(could)} may be the truth: say "
                f"LightningPredictions(…, truth={could[0]}) or another, or return it as 'targets' in the step's dict"
            )
        return batch[could[0]] if could else None

    def _scores(self, outputs: Any, named: Any, seen: Sequence[Any]) -> dict[str, Any]:
        if isinstance(self.logits, str):
            return {"logits": item(self.logits, named), "what": repr(self.logits)}
        for name in ("scores", "guess"):
            if name in self.named:
                return {name: item(self.named[name], named)}
        for name in ("logits", "scores", *(["guess"] if self.logits is None else [])):
            if (values := _named(named, _NAMES[name])) is not None:
                if name == "guess" and not self.is_number and _is_unsaid(values):
                    raise BadInput(
                        "the step's predictions may be logits, probabilities or numbers: say logits=, scores= or "
                        "guess= with their key, logits='preds' for one"
                    )
                return {name: values}
        return self._unnamed(outputs, seen)

    def _unnamed(self, outputs: Any, seen: Sequence[Any]) -> dict[str, Any]:
        """What the step returned that is no loss, else what forward gave, which an argument says what it is."""
        is_returned = len(getattr(outputs, "shape", ())) > 0
        what, output = ("what the step returned", outputs) if is_returned else ("what forward gave", None)
        if not is_returned and len(seen) > 1:
            raise BadInput(
                "the step called the module's forward several times; return what it says, or give predictions="
            )
        if not is_returned and seen:
            if (values := _named(_fields(seen[0]), _NAMES["logits"])) is not None:  # as transformers' models give them
                return {"logits": values, "what": what}
            output = seen[0]
        if output is None or not hasattr(output, "shape"):
            raise BadInput(_NOTHING.format(_told(outputs)))
        if self.is_number:
            return {"guess": output}
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
        first = _named(_fields(batch), _INPUTS, _at(batch, 0))
        first = batch if hasattr(batch, "shape") else first
        return first if self.images is True or at.normalisation.is_image(first) else None


_NOTHING = (
    "the step returned {}, and did not call the module's own forward: return a dict with 'logits' or 'probs' from it, "
    "or give predictions=, a function of (outputs, batch)"
)


def _is_unsaid(values: Any) -> bool:
    """Whether predictions are no guesses of classes, one for each row: real numbers, or several columns."""
    numbers = array(values)
    return numbers.dtype.kind == "f" or numbers.ndim > 1


def _told(outputs: Any) -> str:
    if isinstance(outputs, Mapping):
        return f"a dict of {', '.join(map(str, outputs))}"
    return "nothing" if outputs is None else "a loss" if hasattr(outputs, "shape") else f"a {type(outputs).__name__}"


def _within(labels: Any) -> Any:
    """Labels as they are, or those in a dict of them."""
    return _named(labels, _TRUTH) if isinstance(labels, Mapping) else labels


def _may_be_labels(values: Any) -> bool:
    """Whether an item of a batch has the shape of labels: one number for each row, or a row of them."""
    numbers = plain(values)
    return getattr(numbers, "ndim", 0) in (1, 2) and numbers.dtype.kind in "fiub"


def _fields(source: Any) -> Any:
    """What has its items by name: a dict, a named tuple, a data class; nothing of what has no names."""
    if isinstance(source, Mapping) or hasattr(source, "keys"):
        return source
    if hasattr(source, "_asdict"):
        return source._asdict()
    return vars(source) if is_dataclass(source) and not isinstance(source, type) else {}


def _named(fields: Any, names: Sequence[str], otherwise: Any = None) -> Any:
    """The first of these names that is there."""
    return next((fields[name] for name in names if name in fields), otherwise)


def _at(batch: Any, place: int) -> Any:
    return batch[place] if isinstance(batch, list | tuple) and len(batch) > place else None
