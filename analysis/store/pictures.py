"""Encoded images as 8-bit pixels, with a limit on what a file may claim to be."""

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from analysis.errors import BadInput

_LARGEST = 16_000_000  # pixels; a file may claim any size before it is decoded
_FORMATS = ["PNG", "JPEG", "GIF", "WEBP", "BMP"]
_MODES = {"L", "LA", "RGB", "RGBA"}


def decoded(data: bytes) -> NDArray[np.uint8]:
    """An encoded image's pixels, H x W x C, C from 1 to 4; raises BadInput where it is none, or claims too many."""
    try:
        image = Image.open(io.BytesIO(data), formats=_FORMATS)
        if image.width * image.height > _LARGEST:
            raise BadInput(f"an image claims {image.width} x {image.height} pixels; at most {_LARGEST:,} are taken")
        image.load()
    except (OSError, Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise BadInput(f"an image's bytes cannot be decoded: {error}") from None
    return eight_bit(image)


def eight_bit(image: Image.Image) -> NDArray[np.uint8]:
    """A PIL image's pixels, H x W x C; raises BadInput for more than 8 bits a channel."""
    if image.mode not in _MODES:
        if image.mode[0] in "IF":  # Pillow would clip them, and make unlike images equal
            raise BadInput(f"an image has the mode {image.mode}, more than 8 bits a channel; convert it first")
        try:
            image = image.convert("L" if image.mode == "1" else "RGBA" if image.has_transparency_data else "RGB")
        except ValueError as error:
            raise BadInput(f"an image has the mode {image.mode}: {error}; convert it first") from None
    pixels = np.asarray(image, np.uint8)
    return pixels[..., None] if pixels.ndim == 2 else pixels
