"""What a step of a Lightning module returned, and its batch, as the Recorder takes it; what is not said is refused."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from secondguess.analysis.errors import BadInput
from secondguess.trainer.callbacks.batches import array, item
from secondguess.trainer.callbacks.validation import Validation

Predictions = Callable[[Any, Any], Mapping[str, Any]]

# What a step's dict calls things, where no argument says how it does.
_NAMES = {
    "logits": ("logits",),
    "scores": ("scores", "probs", "probabilities"),
    "guess": ("guess", "preds", "pred"),
    "truth": ("truth", "targets", "target", "labels", "label", "y"),
}
_INPUTS = ("images", "image", "pixel_values", "x", "inputs", "input")


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
        for name in ("logits", "scores", *(["guess"] if self.logits is None else [])):
            if (values := _named(named, name)) is not None:
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
            if (values := _named(seen[0], "logits")) is not None:  # as transformers' models give them
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
        first = next((batch[name] for name in _INPUTS if isinstance(batch, Mapping) and name in batch), _at(batch, 0))
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


def _named(source: Any, what: str, otherwise: Any = None) -> Any:
    """The first that has one of the usual names, of a dict."""
    return next((source[name] for name in _NAMES[what] if isinstance(source, Mapping) and name in source), otherwise)


def _at(batch: Any, place: int) -> Any:
    return batch[place] if isinstance(batch, list | tuple) and len(batch) > place else None
