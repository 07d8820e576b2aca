"""What an example is: the kind and size that an image's bytes claim, its pixels, its PNG; digests of all content.

Files are decoded by Pillow and measured by imagesize. PNGs are written by hand: Pillow writes the same one of 28 x 28
in five times as long.
"""

import hashlib
import io
import struct
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache, lru_cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from secondguess.analysis.errors import BadInput

if TYPE_CHECKING:
    from PIL.Image import Image

Pixels = NDArray[np.uint8]

PIXEL_LIMIT = 16_000_000  # of one image; a file may claim any size before it is decoded
# What is decoded, by the names of Pillow.
_FORMATS = ("PNG", "JPEG", "GIF", "WEBP", "BMP")
_PNG, _PNG_HEAD = b"\x89PNG\r\n\x1a\n", 33  # how it begins, and in how many bytes it says its size
_BITMAP = b"BM"
_STARTS = {
    _PNG: ("image/png", ".png"),
    b"\xff\xd8\xff": ("image/jpeg", ".jpg"),
    b"GIF8": ("image/gif", ".gif"),
    _BITMAP: ("image/bmp", ".bmp"),
}
_WEBP = ("image/webp", ".webp")
_MODES = {"L", "LA", "RGB", "RGBA"}
_COLOUR_TYPE = {1: 0, 2: 4, 3: 2, 4: 6}  # PNG's numbers for grey, grey+alpha, RGB, RGBA
_MOST_KNOWN = 200_000  # files whose pixels' digest is kept, about 50 MB


def sniffed(data: bytes) -> str | None:
    """The type that an image's first bytes say: PNG, JPEG, GIF, WebP or BMP; None for all else."""
    return _kind(data)[0]


def suffix(data: bytes) -> str:
    """What the name of an image's file ends in, `.bin` where its first bytes say nothing."""
    return _kind(data)[1]


def _kind(data: bytes) -> tuple[str | None, str]:
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return _WEBP
    return next((kind for start, kind in _STARTS.items() if data.startswith(start)), (None, ".bin"))


def check_pixels(path: str, data: bytes) -> None:
    """Raise BadInput where the header claims too many pixels, or is of no image that is known."""
    if sniffed(data) is None:
        raise BadInput(f"{path!r} is no PNG, JPEG, GIF, WebP or BMP image")
    size = claimed(data)
    if size is None:
        raise BadInput(f"{path!r} ends within its image header")
    if size[0] * size[1] > PIXEL_LIMIT:
        raise BadInput(f"{path!r} claims {size[0]:,} x {size[1]:,} pixels; at most {PIXEL_LIMIT:,} are taken")


def claimed(data: bytes) -> tuple[int, int] | None:
    """Width and height that an image's header claims; nothing is decoded. None where it claims none."""
    width, height = _png_size(data[:_PNG_HEAD]) if data.startswith(_PNG) else _size(data)
    if width >= 0 and height >= 0 and not data.startswith(_BITMAP):
        return width, height
    # Sizes beyond 32,767 of a GIF and those of OS/2's bitmaps are read wrong there. Pillow takes ten times as long.
    from PIL import Image

    try:
        with Image.open(io.BytesIO(data), formats=_FORMATS) as image:
            return image.size
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        return PIXEL_LIMIT + 1, 1
    except MemoryError:
        raise
    except Exception:
        return None


def too_large(data: bytes) -> str | None:
    """The size that an image claims, as a person reads it, where it is more than is taken; None for all else."""
    size = claimed(data) if sniffed(data) is not None else None
    if size is None or size[0] * size[1] <= PIXEL_LIMIT:
        return None
    return f"{size[0]:,} x {size[1]:,} pixels"


def _size(data: bytes) -> tuple[int, int]:
    """Width and height as imagesize reads them, negative where it cannot."""
    import imagesize

    width, height = imagesize.get(io.BytesIO(data), exif_rotation=False)
    return int(width), int(height)


# Most images of a table are PNGs of one size, whose heads are the same bytes.
_png_size = lru_cache(256)(_size)


def decoded(data: bytes) -> Pixels:
    """An encoded image's pixels, H x W x C, C from 1 to 4.

    Raises Undecodable where it is none, or claims too many, BadInput for more than 8 bits a channel.
    """
    from PIL import Image

    _is_known(data)
    with _decoding():
        image = Image.open(io.BytesIO(data), formats=_FORMATS)
    if image.width * image.height > PIXEL_LIMIT:
        raise Undecodable(f"an image claims {image.width} x {image.height} pixels; at most {PIXEL_LIMIT:,} are taken")
    return eight_bit(image)


class Undecodable(BadInput):
    """One image whose file is broken, or claims more pixels than are taken: it is missing, the others are not."""


@contextmanager
def _decoding() -> Iterator[None]:
    """Whatever Pillow raises is the file's fault: its decoders meet broken bytes with errors of any type."""
    try:
        yield
    except (BadInput, MemoryError):
        raise
    except Exception as error:
        raise Undecodable(f"an image's bytes cannot be decoded: {error or type(error).__name__}") from None


def _is_known(data: bytes) -> None:
    if sniffed(data) is None:
        raise Undecodable("an image's bytes cannot be decoded: they are no PNG, JPEG, GIF, WebP or BMP image")


def eight_bit(image: "Image") -> Pixels:
    """A PIL image's pixels, H x W x C; raises as `decoded`, for an image that waits in its file too."""
    with _decoding():
        image.load()
    if image.mode not in _MODES:
        if image.mode[0] in "IF":  # Pillow would clip them, and make unlike images equal
            raise BadInput(f"an image has the mode {image.mode}, more than 8 bits a channel; convert it first")
        try:
            image = image.convert("L" if image.mode == "1" else "RGBA" if image.has_transparency_data else "RGB")
        except ValueError as error:
            raise BadInput(f"an image has the mode {image.mode}: {error}; convert it first") from None
    pixels = np.asarray(image, np.uint8)
    return pixels[..., None] if pixels.ndim == 2 else pixels


def png(image_HxWxC: Pixels) -> bytes:
    """The image as a PNG file, lossless and uncompressed.

    The Parquet file it goes into compresses many images at once, better and faster than each can be alone: 10,000 of
    MNIST take 1.8 MB there, as compressed PNGs 2.0 MB and twenty times as long.
    """
    height, width, channels = image_HxWxC.shape
    lines = np.zeros((height, width * channels + 1), np.uint8)  # each line begins with its filter: 0, none
    lines[:, 1:] = image_HxWxC.reshape(height, -1)
    return _png_head(height, width, channels) + _chunk(b"IDAT", zlib.compress(lines.data, 0)) + _PNG_END


@cache
def _png_head(height: int, width: int, channels: int) -> bytes:
    """What every PNG file of one size begins with."""
    header = struct.pack(">IIBBBBB", width, height, 8, _COLOUR_TYPE[channels], 0, 0, 0)
    return _PNG + _chunk(b"IHDR", header)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(data, zlib.crc32(kind)))


_PNG_END = _chunk(b"IEND", b"")


def pixel_digests(images_NxHxWxC: Pixels) -> list[str]:
    """The sha256, in hex, of each image: of its width and height (uint32, little-endian), then of its RGBA pixels.

    Pixels are 8-bit, line by line. C is 1 (grey), 2 (grey, alpha), 3 (RGB) or 4 (RGBA), so grey equals the same grey
    as RGB, and opaque the same with full alpha.
    """
    count, height, width, channels = images_NxHxWxC.shape
    rgba = np.empty((count, height, width, 4), np.uint8)
    for at in range(3):  # four times as fast as all three at once
        rgba[..., at] = images_NxHxWxC[..., at if channels > 2 else 0]
    rgba[..., 3] = images_NxHxWxC[..., -1] if channels in (2, 4) else 255
    size = hashlib.sha256(struct.pack("<II", width, height))
    pixels, length = rgba.reshape(-1).data, height * width * 4
    digests = []
    for image in range(count):
        hasher = size.copy()
        hasher.update(pixels[image * length : (image + 1) * length])
        digests.append(hasher.hexdigest())
    return digests


class FileDigests:
    """Digests of the pixels in encoded images: a file that comes again, epoch after epoch, is decoded once."""

    def __init__(self) -> None:
        self._known: dict[bytes, str | None] = {}
        self.dark: set[str] = set()
        """The digests of images with no value above 1 in their colours: to an eye they are black."""

    def of(self, data: bytes) -> str | None:
        """The digest of the file's pixels, as `pixel_digests`; None where it cannot be decoded."""
        key = hashlib.sha256(data).digest()
        if key not in self._known:
            if len(self._known) >= _MOST_KNOWN:
                self._known.clear()
            self._known[key] = self._decoded(data)
        return self._known[key]

    def _decoded(self, data: bytes) -> str | None:
        try:
            pixels = decoded(data)
        except BadInput:
            return None
        digest = pixel_digests(pixels[None])[0]
        if pixels[..., :3].max(initial=0) <= 1:
            self.dark.add(digest)
        return digest


def text_digests(texts: Sequence[str]) -> list[str]:
    """The sha256, in hex, of each text: of `text`, a zero byte and the text in UTF-8."""
    return [hashlib.sha256(b"text\0" + text.encode()).hexdigest() for text in texts]


def number_digests(rows_NxK: NDArray[np.float64]) -> list[str]:
    """The sha256, in hex, of each row of numbers: of `numbers`, a zero byte and the row as little-endian float64."""
    return [hashlib.sha256(b"numbers\0" + row.astype("<f8").tobytes()).hexdigest() for row in rows_NxK]
