"""What a batch's outputs say as the Recorder takes it: probabilities out of logits, pixels out of normalised images."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from secondguess.analysis.errors import BadInput
from secondguess.trainer.recording.columns import plain

_SUM = 0.02  # by which rows of a softmax in half precision miss 1
_OUTSIDE = 1e-3  # by which half precision leaves [0, 1]
_PIXEL = 0.01  # by which an image that was normalised in half precision misses [0, 1]
_SHAPE = "expected a row for each example, with a column for each class or one number"


def array(values: Any) -> NDArray[Any]:
    """A tensor of any framework and device, or a list of numbers, as an array; bfloat16 as float32."""
    values = plain(values)
    numbers = np.asarray(values if isinstance(values, np.ndarray) else np.asarray(values))
    return numbers.astype(np.float32) if numbers.dtype.name == "bfloat16" else numbers


def probabilities(values: Any, *, logits: bool, what: str, several: bool = False) -> NDArray[np.float32]:
    """The probabilities of B x C, B x 1 or B numbers: their softmax, or sigmoid of one, where they are logits.

    what is what the numbers are called in an error. several says that a row may have several labels, so that each
    number is one's by itself: its sigmoid, where it is a logit. Raises BadInput for another shape, for logits whose
    rows sum to 1 or that are whole numbers, and for probabilities whose rows do not, or that are one whole number.
    """
    numbers = array(values)
    if numbers.dtype.kind not in "fiu" or numbers.ndim not in (1, 2) or 0 in numbers.shape[1:]:
        raise BadInput(
            f"{what} are {numbers.dtype} of shape {numbers.shape}; {_SHAPE}: a class for each token or pixel is not "
            "recorded"
        )
    is_one_number = numbers.ndim == 1 or numbers.shape[1] == 1
    if numbers.dtype.kind in "iu" and (logits or is_one_number):
        raise BadInput(
            f"{what} are whole numbers of shape {numbers.shape}, as guesses of classes are, and no "
            f"{'logits' if logits else 'probabilities'}; give them as the guess (in a step's dict: 'preds')"
        )
    numbers = numbers.astype(np.float64)
    is_one_of = numbers.ndim == 2 and numbers.shape[1] > 1 and not several
    sums = numbers.sum(axis=1) if is_one_of else np.ones(len(numbers))
    near = np.abs(sums - 1) <= _SUM
    inside = (numbers >= -_OUTSIDE) & (numbers <= 1 + _OUTSIDE)
    if not logits:
        _check_probabilities(numbers, sums, inside | ~np.isfinite(numbers), what)
        return numbers.astype(np.float32)
    if is_one_of and len(numbers) and near.all() and inside.all():
        raise BadInput(f"{what} sum to 1 in each row, as probabilities do, but are said to be logits; say logits=False")
    with np.errstate(over="ignore", invalid="ignore"):
        if not is_one_of:
            numbers = 1 / (1 + np.exp(-numbers if several else -numbers.reshape(-1)))
        else:
            powers = np.exp(numbers - numbers.max(axis=1, keepdims=True))
            numbers = powers / powers.sum(axis=1, keepdims=True)
    return np.asarray(numbers, np.float32)


def _check_probabilities(numbers: NDArray[Any], sums: NDArray[Any], inside: NDArray[Any], what: str) -> None:
    if not inside.all():
        row = int(np.argwhere(~inside)[0][0])
        or_numbers = "" if numbers.shape[1:] > (1,) else "; if numbers are predicted, task='regression'"
        raise BadInput(
            f"{what} are no probabilities: {numbers[~inside][0]:.4g} in row {row} of the batch; if they are logits, "
            f"say logits=True{or_numbers}"
        )
    if (np.abs(sums - 1) > _SUM).any():  # a sum that is NaN is a missing score
        row = int(np.argmax(np.abs(sums - 1) > _SUM))
        raise BadInput(
            f"{what} are no probabilities of classes: row {row} of the batch sums to {sums[row]:.4g}, not 1; if they "
            "are logits, say logits=True; for several labels a row task='multi-label'"
        )


@dataclass(frozen=True)
class Normalisation:
    """How images were normalised, one mean and deviation for all channels or one for each, and where those stand."""

    mean: Sequence[float] | float | None = None
    std: Sequence[float] | float | None = None
    channels: str = "first"

    def __post_init__(self) -> None:
        if (self.mean is None) != (self.std is None):
            raise BadInput("give both mean and std of the normalisation of the images, or neither")
        if self.channels not in ("first", "last"):
            raise BadInput(f"channels is {self.channels!r}; it is 'first' or 'last'")

    def is_image(self, values: Any) -> bool:
        """Whether an input has the shape of images: B x C x H x W, or B x H x W x C, with 1, 3 or 4 channels."""
        shape = getattr(values, "shape", ())
        return len(shape) == 4 and int(shape[1 if self.channels == "first" else 3]) in (1, 3, 4)

    def pixels(self, values: Any) -> Any:
        """Images as they were before they were normalised, as uint8; raises BadInput where that cannot be known.

        What is no array of numbers (files, paths, PIL images) is left to the Recorder.
        """
        if isinstance(values, list | tuple):
            return [self.pixels(value) for value in values]
        if not hasattr(values, "shape"):
            return values
        if "bfloat16" in str(getattr(values, "dtype", "")):
            raise BadInput("images are bfloat16, which holds no 8-bit pixels; images=… for where they are before that")
        images = array(values)
        if images.dtype.kind != "f":
            if images.dtype not in (np.uint8, np.bool_):
                raise BadInput(f"images are {images.dtype}; expected uint8, or floats; or images=False")
            return images
        said = "floats"
        images = images.astype(np.float32, copy=False)  # which holds 8 bits and more, in half the memory
        if self.mean is not None and self.std is not None:
            said = f"with mean={self._said(self.mean)}, std={self._said(self.std)} undone, numbers"
            images = images * self._each(self.std, images.ndim) + self._each(self.mean, images.ndim)
        low, high = (float(images.min()), float(images.max())) if images.size else (0.0, 0.0)
        if not (low >= -_PIXEL and high <= 1 + _PIXEL):
            raise BadInput(
                f"images are {said} from {low:.3g} to {high:.3g}, not in [0, 1]: give mean= and std= of their "
                "normalisation as it was, images=… for where they are before it, or images=False"
            )
        return np.round(np.clip(images, 0, 1) * 255).astype(np.uint8)

    def _each(self, numbers: Sequence[float] | float, dimensions: int) -> NDArray[np.float32]:
        values = np.asarray(plain(numbers), np.float32).reshape(-1)
        shape = [1] * dimensions
        shape[-3 if self.channels == "first" and dimensions > 2 else -1] = len(values)
        return values.reshape(shape if len(values) > 1 else [1] * dimensions)

    @staticmethod
    def _said(numbers: Any) -> list[float]:
        return [float(f"{number:.4g}") for number in np.asarray(plain(numbers), np.float64).reshape(-1)]


def item(at: str | int, *sources: Any) -> Any:
    """What stands at a key or place of the first of these that has it: a mapping, an object's attribute, a sequence.

    Raises BadInput naming what there is.
    """
    for source in sources:
        if isinstance(at, str):
            if isinstance(source, Mapping) or hasattr(source, "keys"):
                if at in source:
                    return source[at]
            elif at.isidentifier() and not hasattr(source, "shape") and hasattr(source, at):
                return getattr(source, at)
        elif isinstance(source, list | tuple) and -len(source) <= at < len(source):
            return source[at]
    there = "; ".join(filter(None, map(_told, sources)))
    raise BadInput(f"nothing is called {at!r} in what came: {there or 'nothing that has names'}")


def _told(source: Any) -> str:
    if isinstance(source, Mapping) or hasattr(source, "keys"):
        return f"names {', '.join(map(str, source.keys()))}"
    return f"a {type(source).__name__} of {len(source)}" if isinstance(source, list | tuple) else ""
