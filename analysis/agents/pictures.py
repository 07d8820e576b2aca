"""An example's image as a model is shown it: in a format it knows, neither too small to see nor too large to send."""

import io
from typing import Any

from secondguess.analysis.content import decoded, sniffed

_LEAST, _MOST = 160, 1_024  # pixels of the longer side
_MOST_BYTES = 1 << 19  # a client takes 1 MB of text at once
_QUALITIES = (85, 60, 30)
_SHOWN = {"image/png", "image/jpeg", "image/gif", "image/webp"}


def shown(data: bytes) -> tuple[bytes, str, str]:
    """The image, its type, and what was done to it; raises ValueError for bytes that are no image.

    A small one has its pixels repeated, so that they stay what they are; a large one is drawn smaller.
    """
    from PIL import Image

    pixels_HxWxC = decoded(data)
    height, width, channels = pixels_HxWxC.shape
    longer = max(height, width)
    kind = sniffed(data)
    if _LEAST <= longer <= _MOST and kind in _SHOWN and len(data) <= _MOST_BYTES:
        return data, kind, ""
    image = Image.fromarray(pixels_HxWxC[:, :, 0] if channels == 1 else pixels_HxWxC)
    said = ""
    if longer < _LEAST:
        times = -(-_LEAST // longer)
        image = image.resize((width * times, height * times), Image.Resampling.NEAREST)
        said = f"an image of {width} x {height} pixels, each shown {times} times as wide and high"
    elif longer > _MOST:
        image.thumbnail((_MOST, _MOST))
        said = f"an image of {width:,} x {height:,} pixels, shown as {image.width} x {image.height}"
    return *_encoded(image), said


def _encoded(image: Any) -> tuple[bytes, str]:
    """The image as a PNG file, or where that is large as a JPEG."""
    out = io.BytesIO()
    image.save(out, "PNG", optimize=True)
    if out.tell() <= _MOST_BYTES:
        return out.getvalue(), "image/png"
    for quality in _QUALITIES:
        out = io.BytesIO()
        image.convert("RGB").save(out, "JPEG", quality=quality)
        if out.tell() <= _MOST_BYTES:
            break
    return out.getvalue(), "image/jpeg"
