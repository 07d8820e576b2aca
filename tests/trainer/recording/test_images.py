"""Images as people have them, against Pillow and NumPy."""

import contextlib
import io
import random
import struct
import warnings
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as nps
from PIL import Image
from tensors import NEEDS_TORCH, with_torch

from secondguess.analysis.errors import BadInput
from secondguess.trainer.recording.images import pixels, sequence


def arrays(*channels: int) -> st.SearchStrategy[np.ndarray]:
    shape = st.tuples(st.integers(1, 9), st.integers(1, 9), st.sampled_from(channels))
    return nps.arrays(np.uint8, shape)


def one(images: Any) -> np.ndarray:
    (stretch,) = pixels(images)
    (image,) = stretch
    return image


def encoded(image: Image.Image, kind: str = "PNG", **how: Any) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **how)
    return out.getvalue()


def colours() -> Image.Image:
    """12 x 10, every pixel of another colour."""
    return Image.fromarray(np.arange(10 * 12 * 3, dtype=np.uint8).reshape(10, 12, 3))


# What pixels() takes

GREY = np.arange(6, dtype=np.uint8).reshape(2, 3) * 40
COLOUR = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3)

FORMS: dict[str, tuple[Any, np.ndarray]] = {
    "H x W": (GREY, GREY[..., None]),
    "H x W x 1": (GREY[..., None], GREY[..., None]),
    "1 x H x W": (np.zeros((1, 7, 8), np.uint8), np.zeros((7, 8, 1), np.uint8)),
    "H x W x 3": (COLOUR, COLOUR),
    "3 x H x W": (np.moveaxis(np.tile(COLOUR, (4, 4, 1)), 2, 0), np.tile(COLOUR, (4, 4, 1))),
    "floats": (GREY / 255, GREY[..., None]),
    "bools": (GREY > 100, (GREY > 100)[..., None] * np.uint8(255)),
    "float16": ((GREY / 255).astype(np.float16), GREY[..., None]),
    "PIL grey": (Image.fromarray(GREY), GREY[..., None]),
    "PIL colour": (Image.fromarray(COLOUR), COLOUR),
    "PNG": (encoded(Image.fromarray(COLOUR)), COLOUR),
    "BMP": (encoded(Image.fromarray(COLOUR), "BMP"), COLOUR),
    "bytearray": (bytearray(encoded(Image.fromarray(GREY))), GREY[..., None]),
}
BLACK = np.zeros((7, 8, 3), np.uint8)
TENSORS = [
    with_torch(lambda torch: torch.from_numpy(GREY), GREY[..., None], id="tensor"),
    with_torch(lambda torch: torch.zeros(3, 7, 8, dtype=torch.uint8), BLACK, id="tensor 3 x H x W"),
    with_torch(lambda torch: torch.from_numpy(GREY / 255).requires_grad_(), GREY[..., None], id="with gradient"),
    with_torch(lambda torch: (torch.from_numpy(GREY) / 255).bfloat16(), GREY[..., None], id="bfloat16 tensor"),
]


@pytest.mark.parametrize(
    ("image", "expected"), [*(pytest.param(*form, id=name) for name, form in FORMS.items()), *TENSORS]
)
def test_an_image_of_any_form_comes_to_its_pixels(image: Any, expected: np.ndarray) -> None:
    found = one([image])
    assert found.dtype == np.uint8
    assert np.array_equal(found, expected)


@pytest.mark.parametrize(
    ("image", "expected"),
    [*(pytest.param(*FORMS[name], id=name) for name in ("H x W", "H x W x 3", "3 x H x W", "floats")), *TENSORS],
)
def test_a_batch_in_one_array_comes_to_the_same_pixels(image: Any, expected: np.ndarray) -> None:
    stack = np.stack([image] * 3) if isinstance(image, np.ndarray) else image.expand(3, *image.shape)
    (found,) = pixels(sequence(stack))
    assert np.array_equal(found, np.stack([expected] * 3))


@given(arrays(1, 3, 4), st.sampled_from([np.float16, np.float32, np.float64]))
def test_floats_in_0_to_1_come_to_the_bytes_they_were_made_of(image: np.ndarray, kind: type) -> None:
    (decoded,) = pixels([(image / 255).astype(kind)], channels="last")
    assert np.array_equal(decoded[0], image)


@pytest.mark.parametrize("shape", [(5, 3, 32, 3), (5, 3, 4, 4), (5, 1, 9, 3), (5, 4, 28, 1)])
def test_where_the_channels_could_be_first_or_last_it_must_be_said(shape: tuple[int, ...]) -> None:
    images = np.arange(np.prod(shape), dtype=np.uint8).reshape(shape)
    with pytest.raises(BadInput, match="the channels may come first or last; say which, channels='first'"):
        pixels(images)
    (last,) = pixels(images, channels="last")
    (first,) = pixels(images, channels="first")
    assert np.array_equal(last, images)
    assert np.array_equal(first, np.moveaxis(images, 1, 3))


def test_what_cannot_be_the_order_that_was_said_is_refused() -> None:
    with pytest.raises(BadInput, match="expected N x H x W"):
        pixels(np.zeros((5, 3, 32, 32), np.uint8), channels="last")


def test_a_path_is_the_image_in_its_file(tmp_path: Path) -> None:
    Image.fromarray(COLOUR).save(tmp_path / "a.png")
    for path in (tmp_path / "a.png", str(tmp_path / "a.png")):
        assert np.array_equal(one([path]), COLOUR)


def test_images_of_unlike_sizes_come_in_stretches_in_order() -> None:
    sizes = [(2, 3), (2, 3), (4, 4), (2, 3)]
    images = [np.full(size, at, np.uint8) for at, size in enumerate(sizes)]
    found = pixels(images)
    assert [stretch.shape for stretch in found] == [(2, 2, 3, 1), (1, 4, 4, 1), (1, 2, 3, 1)]
    assert [int(image[0, 0, 0]) for stretch in found for image in stretch] == [0, 1, 2, 3]


def test_no_images_are_no_stretches() -> None:
    assert pixels([]) == []
    assert pixels(np.zeros((0, 28, 28), np.uint8)) == []


@pytest.mark.parametrize(
    ("mode", "expected"),
    [("1", "L"), ("P", "RGB"), ("CMYK", "RGB"), ("HSV", "RGB"), ("YCbCr", "RGB"), ("PA", "RGBA")],
)
def test_other_modes_of_pillow_are_converted(mode: str, expected: str) -> None:
    image = colours().convert("LA").convert(mode) if mode == "PA" else colours().convert(mode)
    assert np.array_equal(one([image]), np.asarray(image.convert(expected)).reshape(10, 12, -1))


def test_a_transparent_palette_keeps_its_transparency() -> None:
    image = Image.new("P", (2, 1))
    image.putpalette([255, 0, 0, 0, 255, 0])
    image.putdata([0, 1])
    data = encoded(image, transparency=1)
    assert one([data])[0].tolist() == [[255, 0, 0, 255], [0, 255, 0, 0]]


# What pixels() refuses


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (np.zeros((1, 4, 4), np.int64), "images are int64; expected uint8"),
        (np.full((1, 4, 4), -0.1), "images are floats from -0.1 to 0; if they were normalised, their pixels are lost"),
        (np.full((1, 4, 4), 200.0), "images are floats from 0 to 200; .* as uint8 or as floats in"),
        (np.full((1, 4, 4), np.nan), "NaN or infinite"),
        (np.full((1, 4, 4), np.inf), "NaN or infinite"),
        (np.zeros((1, 5, 6, 7), np.uint8), r"images have shape \(1, 5, 6, 7\); expected N x H x W"),
        (np.zeros((1, 0, 4), np.uint8), r"images have shape \(1, 0, 4\): no pixels"),
        (np.zeros((1, 1, 2, 3, 4), np.uint8), "expected N x H x W"),
        ([np.zeros(4, np.uint8)], r"an image has shape \(4,\); expected H x W"),
        ([None], "an image is None"),
        (["cat.png"], "an image cannot be read: no file cat.png"),
        ([7], "an image is a int; expected"),
        ([b"no image"], "cannot be decoded"),
        ([b""], "cannot be decoded"),
        ([Image.new("I;16", (2, 2))], "mode I;16, more than 8 bits a channel; convert it first"),
        ([Image.new("F", (2, 2))], "mode F, more than 8 bits"),
        ([Image.new("La", (2, 2))], "mode La: .*; convert it first"),
        ([encoded(Image.new("I;16", (2, 2)))], "more than 8 bits"),
    ],
)
def test_what_has_no_8_bit_pixels_is_refused_with_the_reason(images: Any, message: str) -> None:
    with pytest.raises(BadInput, match=message):
        pixels(images)


@pytest.mark.parametrize("images", [b"one file", "one text"])
def test_one_file_or_text_is_no_batch(images: Any) -> None:
    with pytest.raises(BadInput, match="expected a sequence of images"):
        sequence(images)


def bomb(side: int) -> bytes:
    """A PNG of a few bytes that claims to be large."""
    header = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(b"\0" * 100)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )


@pytest.mark.parametrize("side", [4_001, 9_000, 13_000, 20_000, 2_000_000])
def test_an_image_that_claims_to_be_huge_is_refused_before_it_is_decoded(side: int) -> None:
    with pytest.raises(BadInput, match=r"claims|decompression bomb"):
        pixels([bomb(side)])


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "WEBP", "BMP"])
def test_broken_files_are_decoded_or_refused_and_nothing_else(kind: str) -> None:
    rng = random.Random(kind)
    good = encoded(colours(), kind)
    for trial in range(100):
        bad = bytearray(good[: rng.randrange(len(good))] if trial % 2 else good)
        for _ in range(rng.randrange(4) if bad else 0):
            bad[rng.randrange(len(bad))] = rng.randrange(256)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            with contextlib.suppress(BadInput):
                assert one([bytes(bad)]).dtype == np.uint8


def test_files_of_other_kinds_are_not_opened() -> None:
    for kind in ("TIFF", "PPM", "ICO"):
        with pytest.raises(BadInput, match="cannot be decoded"):
            pixels([encoded(colours(), kind)])


# sequence()


def test_a_tensor_stays_one_array() -> None:
    torch = pytest.importorskip("torch", reason=NEEDS_TORCH)
    assert isinstance(sequence(torch.zeros(2, 3, 3)), np.ndarray)


def test_an_array_stays_one_array_and_the_rest_becomes_a_list() -> None:
    assert isinstance(sequence(np.zeros((2, 3, 3), np.uint8)), np.ndarray)
    held = np.empty(2, object)
    held[:] = [colours(), colours()]
    for images in (held, (image for image in held), tuple(held), np.array([b"a", b"b"])):
        found = sequence(images)
        assert isinstance(found, list)
        assert len(found) == 2


def test_an_image_may_be_as_the_store_and_hugging_face_have_it(tmp_path: Path) -> None:
    file = encoded(colours(), "PNG")
    (tmp_path / "one.png").write_bytes(file)
    for image in ({"bytes": file, "path": None}, {"bytes": None, "path": str(tmp_path / "one.png")}, {"bytes": file}):
        assert np.array_equal(one([image]), one([file]))
    column = pa.array([{"bytes": file, "path": "one.png"}], pa.struct([("bytes", pa.binary()), ("path", pa.string())]))
    assert np.array_equal(one(sequence(column)), one([file]))
    with pytest.raises(BadInput, match="an image is None"):
        pixels([{"bytes": None, "path": None}])
