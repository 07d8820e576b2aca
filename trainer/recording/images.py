"""Images as training loops have them, turned into 8-bit pixels."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from secondguess.analysis.content import Pixels, Undecodable, decoded, eight_bit
from secondguess.analysis.errors import BadInput, NotFound
from secondguess.analysis.opening import read_regular
from secondguess.trainer.recording.columns import plain

_CHANNELS = (1, 2, 3, 4)
_LONGEST = 64 << 20  # bytes of an image's file


def pixels(images: Any, lost: dict[int, Undecodable] | None = None, channels: str | None = None) -> list[Pixels]:
    """8-bit pixels: an n x H x W x C array for each stretch of images with one size, in order.

    Takes an array (N x H x W, N x H x W x C or N x C x H x W; uint8, or floats in [0, 1]), or a sequence of such
    images, PIL images, encoded bytes, paths of files, or {bytes, path} as the store has them. channels is "first" or
    "last" where an array could be either.
    lost, where given, takes the place of each image that cannot be decoded, and why: it is left out. Else it is
    refused. Raises BadInput for anything else; normalised floats are refused, since their pixels cannot be known, and
    so is what has more than 8 bits.
    """
    if isinstance(images, np.ndarray):
        return [_channels_last(_eight_bit(images), channels)] if len(images) else []
    stretches: list[list[Pixels]] = []
    for place, image in enumerate(images):
        try:
            pixels_HxWxC = _one(image, channels)
        except Undecodable as error:
            if lost is None:
                raise
            lost[place] = error
            continue
        if stretches and stretches[-1][0].shape == pixels_HxWxC.shape:
            stretches[-1].append(pixels_HxWxC)
        else:
            stretches.append([pixels_HxWxC])
    return [np.stack(stretch) for stretch in stretches]


def file_of(image: Any) -> bytes | None:
    """The encoded file that an image is, is the path of, or has as {bytes, path}; None for any other image.

    Raises Undecodable for no image at all, and for a path where no file can be read.
    """
    if image is None:
        raise Undecodable("an image is None")
    if isinstance(image, bytes | bytearray):
        return bytes(image)
    if isinstance(image, Mapping):  # as the store and Hugging Face's data sets have them
        return file_of(next((image[key] for key in ("bytes", "path") if image.get(key) is not None), None))
    if not isinstance(image, str | os.PathLike):
        return None
    try:
        return read_regular(Path(image), _LONGEST, links=True)
    except (BadInput, NotFound) as error:
        raise Undecodable(f"an image cannot be read: {error}") from None


def _one(image: Any, channels: str | None) -> Pixels:
    file = file_of(image)
    if file is not None:
        return decoded(file)
    if isinstance(image, Image.Image):
        return eight_bit(image)
    array = _as_array(image)
    if array.ndim not in (2, 3):
        shape = f"an image has shape {array.shape}" if array.ndim else f"an image is a {type(image).__name__}"
        raise BadInput(f"{shape}; expected H x W, H x W x C or C x H x W, a PIL image or encoded bytes")
    pixels_HxWxC: Pixels = _channels_last(_eight_bit(array[None]), channels)[0]
    return pixels_HxWxC


def _as_array(image: Any) -> NDArray[Any]:
    array: NDArray[Any] = np.asarray(plain(image))
    return array


def _channels_last(images: Pixels, channels: str | None) -> Pixels:
    """N x H x W x C, from N x H x W, N x H x W x C or N x C x H x W; BadInput where both fit and none is told."""
    if 0 in images.shape[1:]:
        raise BadInput(f"images have shape {images.shape}: no pixels")
    if images.ndim == 3:
        return images[..., None]
    first = images.ndim == 4 and images.shape[1] in _CHANNELS
    last = images.ndim == 4 and images.shape[3] in _CHANNELS
    if first and last and images.shape[1] != 2 and images.shape[1:] != (1, 1, 1) and channels is None:
        raise BadInput(
            f"images have shape {images.shape}: the channels may come first or last; say which, channels='first' or "
            "channels='last'"
        )
    if last and channels != "first":
        return images
    if first and channels != "last":
        return np.ascontiguousarray(np.moveaxis(images, 1, 3))
    raise BadInput(f"images have shape {images.shape}; expected N x H x W, N x H x W x C or N x C x H x W, C up to 4")


def _eight_bit(images: NDArray[Any]) -> Pixels:
    if images.dtype == np.uint8:
        return np.ascontiguousarray(images)
    if images.dtype == np.bool_:
        return images.astype(np.uint8) * np.uint8(255)
    if not np.issubdtype(images.dtype, np.floating):
        raise BadInput(f"images are {images.dtype}; expected uint8 in 0 to 255, or floats in [0, 1]")
    if not np.isfinite(images).all():
        raise BadInput("images have pixels that are NaN or infinite")
    low, high = float(images.min(initial=0)), float(images.max(initial=0))
    if low < 0 or high > 1:
        raise BadInput(
            f"images are floats from {low:.3g} to {high:.3g}; if they were normalised, their pixels are lost: "
            "record them before that, as uint8 or as floats in [0, 1]"
        )
    return np.round(images * 255).astype(np.uint8)


def sequence(images: Any) -> Sequence[Any] | NDArray[Any]:
    """Images as an array where they are one tensor or array of numbers, else as a list."""
    if isinstance(images, bytes | str):
        raise BadInput("images are one text or file; expected a sequence of images, one per row")
    if not hasattr(images, "detach") and not hasattr(images, "__array_interface__"):
        return list(plain(images))
    array = _as_array(images)
    return list(array) if array.dtype.kind in "OSU" else array
