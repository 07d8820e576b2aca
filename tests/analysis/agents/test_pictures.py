"""A model is shown an image that it can see: small ones larger, pixel by pixel, large ones smaller."""

from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from secondguess.analysis.agents.pictures import shown
from secondguess.analysis.errors import BadInput


def encoded(pixels: np.ndarray, form: str = "PNG") -> bytes:
    out = BytesIO()
    Image.fromarray(pixels).save(out, form)
    return out.getvalue()


def opened(data: bytes) -> np.ndarray:
    with Image.open(BytesIO(data)) as image:
        return np.asarray(image)


@pytest.mark.parametrize("channels", [None, 3, 4])
def test_each_pixel_of_a_small_image_becomes_a_square(channels: int | None) -> None:
    shape = (8, 6) if channels is None else (8, 6, channels)
    pixels = np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)
    data, kind, said = shown(encoded(pixels))
    assert kind == "image/png"
    assert (opened(data) == pixels.repeat(20, 0).repeat(20, 1)).all()
    assert said == "an image of 6 x 8 pixels, each shown 20 times as wide and high"


@pytest.mark.parametrize("form", ["PNG", "JPEG", "GIF", "WEBP"])
def test_an_image_that_can_be_seen_stays_as_it_is(form: str) -> None:
    data = encoded(np.zeros((200, 300), np.uint8), form)
    assert shown(data) == (data, f"image/{form.lower()}", "")


def test_what_few_know_becomes_a_png() -> None:
    data, kind, said = shown(encoded(np.full((200, 300), 7, np.uint8), "BMP"))
    assert (kind, said) == ("image/png", "")
    assert (opened(data) == 7).all()


def test_a_large_image_is_drawn_smaller_and_never_more_than_a_client_takes() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (1_500, 3_000, 3)).astype(np.uint8)
    data, kind, said = shown(encoded(noise))
    assert (kind, opened(data).shape) == ("image/jpeg", (512, 1_024, 3))
    assert len(data) < 700_000
    assert said == "an image of 3,000 x 1,500 pixels, shown as 1024 x 512"


def test_an_image_that_a_jpeg_still_has_too_many_bytes_of_loses_more() -> None:
    """A client takes 1 MB of text, and base64 makes four characters of three bytes."""
    noise = np.random.default_rng(0).integers(0, 256, (1_024, 1_024, 3)).astype(np.uint8)
    data, kind, said = shown(encoded(noise))
    assert (kind, opened(data).shape, said) == ("image/jpeg", (1_024, 1_024, 3), "")
    assert len(data) <= 1 << 19


def test_what_is_no_image_is_refused() -> None:
    with pytest.raises(BadInput, match="cannot be decoded"):
        shown(b"no image")
