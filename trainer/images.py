"""Images as training loops have them, turned into 8-bit pixels and files."""

import io
import struct
import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from analysis.errors import BadInput

_CHANNELS = (1, 2, 3, 4)
_COLOUR_TYPE = {1: 0, 2: 4, 3: 2, 4: 6}  # PNG's numbers for grey, grey+alpha, RGB, RGBA
_LARGEST = 16_000_000  # pixels; a file may claim any size before it is decoded

Pixels = NDArray[np.uint8]


def pixels(images: Any) -> list[Pixels]:
    """8-bit pixels: an n x H x W x C array for each stretch of images with one size, in order.

    Takes an array (N x H x W, N x H x W x C or N x C x H x W; uint8, or floats in [0, 1]), or a sequence of such images,
    PIL images or encoded bytes. Raises BadInput for anything else; normalised floats are refused, since their pixels
    cannot be known.
    """
    if isinstance(images, np.ndarray):
        return [_channels_last(_eight_bit(images))] if len(images) else []
    stretches: list[list[Pixels]] = []
    for image in images:
        found = _one(image)
        if stretches and stretches[-1][0].shape == found.shape:
            stretches[-1].append(found)
        else:
            stretches.append([found])
    return [np.stack(stretch) for stretch in stretches]


def png(image_HxWxC: Pixels) -> bytes:
    """The image as a PNG file, lossless.

    Written here because it is most of the cost of an epoch's first recording: Pillow takes four times as long for a
    28 x 28 image.
    """
    height, width, channels = image_HxWxC.shape
    header = struct.pack(">IIBBBBB", width, height, 8, _COLOUR_TYPE[channels], 0, 0, 0)
    lines = np.zeros((height, width * channels + 1), np.uint8)  # each line begins with its filter: 0, none
    lines[:, 1:] = image_HxWxC.reshape(height, -1)
    body = _chunk(b"IHDR", header) + _chunk(b"IDAT", zlib.compress(lines.data, 3)) + _chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(data, zlib.crc32(kind)))


def _one(image: Any) -> Pixels:
    if isinstance(image, bytes | bytearray):
        image = _opened(bytes(image))
    if isinstance(image, Image.Image) and image.mode not in {"L", "LA", "RGB", "RGBA"}:
        image = image.convert("L" if image.mode == "1" else "RGBA" if "transparency" in image.info else "RGB")
    found = _as_array(image)
    if found.ndim not in (2, 3):
        raise BadInput(f"an image has shape {found.shape}; expected H x W, H x W x C or C x H x W")
    return _channels_last(_eight_bit(found[None]))[0]


def _opened(data: bytes) -> Image.Image:
    try:
        image = Image.open(io.BytesIO(data), formats=["PNG", "JPEG", "GIF", "WEBP", "BMP"])
        if image.width * image.height > _LARGEST:
            raise BadInput(f"an image claims {image.width} x {image.height} pixels; at most {_LARGEST:,} are taken")
        image.load()
    except OSError as error:
        raise BadInput(f"an image's bytes cannot be decoded: {error}") from None
    return image


def _as_array(image: Any) -> NDArray[Any]:
    return np.asarray(image.detach().cpu() if hasattr(image, "detach") else image)


def _channels_last(images: Pixels) -> Pixels:
    """N x H x W x C, from N x H x W, N x H x W x C or N x C x H x W; where both fit, the last axis is the channels."""
    if images.ndim == 3:
        return images[..., None]
    if images.ndim == 4 and images.shape[3] in _CHANNELS:
        return images
    if images.ndim == 4 and images.shape[1] in _CHANNELS:
        return np.ascontiguousarray(np.moveaxis(images, 1, 3))
    raise BadInput(f"images have shape {images.shape}; expected N x H x W, N x H x W x C or N x C x H x W, C up to 4")


def _eight_bit(images: NDArray[Any]) -> Pixels:
    if images.dtype == np.uint8:
        return np.ascontiguousarray(images)
    if images.dtype == np.bool_:
        return images.astype(np.uint8) * np.uint8(255)
    if not np.issubdtype(images.dtype, np.floating):
        raise BadInput(f"images are {images.dtype}; expected uint8 in 0 to 255, or floats in [0, 1]")
    if not np.isfinite(images).all() or images.min(initial=0) < 0 or images.max(initial=0) > 1:
        low, high = float(np.nanmin(images)), float(np.nanmax(images))
        raise BadInput(
            f"images are floats from {low:.3g} to {high:.3g}: they were normalised, their pixels are lost; "
            "record them before normalising, as uint8 or as floats in [0, 1]"
        )
    return np.round(images * 255).astype(np.uint8)


def sequence(images: Any) -> Sequence[Any] | NDArray[Any]:
    """Images as an array where they are one tensor or array, else as they are."""
    return _as_array(images) if hasattr(images, "detach") or hasattr(images, "__array_interface__") else images
