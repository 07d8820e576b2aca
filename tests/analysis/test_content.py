"""What images claim, their pixels as PNG files, and digests of examples, against hashlib and Pillow doing the same."""

import hashlib
import io
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as nps
from PIL import Image

from secondguess.analysis import content
from secondguess.analysis.content import (
    FileDigests,
    check_pixels,
    claimed,
    number_digests,
    pixel_digests,
    png,
    sniffed,
    suffix,
    text_digests,
)
from secondguess.analysis.errors import BadInput

IMAGES = nps.arrays(
    np.uint8,
    st.tuples(st.integers(1, 4), st.integers(1, 5), st.integers(1, 5), st.integers(1, 4)),
)
MODES = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}


def arrays(*channels: int) -> st.SearchStrategy[np.ndarray]:
    shape = st.tuples(st.integers(1, 9), st.integers(1, 9), st.sampled_from(channels))
    return nps.arrays(np.uint8, shape)


def encoded(kind: str, size: tuple[int, int] = (5, 3), **options: Any) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", size, (200, 40, 40)).save(out, kind, **options)
    return out.getvalue()


def by_hand(image: Image.Image) -> str:
    """The sha256 of width, height and the pixels as Pillow converts them to RGBA."""
    rgba = image.convert("RGBA")
    return hashlib.sha256(struct.pack("<II", *rgba.size) + rgba.tobytes()).hexdigest()


# What an image's bytes claim


def claiming(width: int, height: int) -> bytes:
    """A PNG whose header claims a size, and that has no pixels."""
    head = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + head + struct.pack(">I", zlib.crc32(head))


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("PNG", {}),
        ("JPEG", {}),
        ("JPEG", {"progressive": True}),
        ("JPEG", {"comment": b"x" * 3000, "exif": b"Exif\0\0" + bytes(100)}),
        ("GIF", {}),
        ("BMP", {}),
        ("WEBP", {}),
        ("WEBP", {"lossless": True}),
        ("WEBP", {"exif": b"Exif\0\0" + bytes(100)}),
    ],
)
def test_the_size_is_read_from_every_kind_of_header(kind: str, options: dict[str, Any]) -> None:
    data = encoded(kind, **options)
    assert claimed(data) == (5, 3)
    check_pixels("a", data)


@pytest.mark.parametrize("size", [(100_000, 100_000), (9_000, 9_000), (16_000_001, 1)])
def test_an_image_that_claims_too_many_pixels_is_refused_by_its_header(size: tuple[int, int]) -> None:
    with pytest.raises(BadInput, match=rf"'a.png' claims {size[0]:,} x {size[1]:,} pixels; at most 16,000,000"):
        check_pixels("a.png", claiming(*size))
    check_pixels("a.png", claiming(4_000, 4_000))


@pytest.mark.parametrize(
    "data", [b"", b"x", b"<svg/>", b"<html>", b"%PDF-1.7", b"II*\0" + bytes(100), b"RIFF\0\0\0\0WAVE" + bytes(50)]
)
def test_what_is_no_image_is_no_image_cell(data: bytes) -> None:
    with pytest.raises(BadInput, match="is no PNG, JPEG, GIF, WebP or BMP image"):
        check_pixels("a.png", data)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "BMP", "WEBP"])
def test_an_image_cut_within_its_header_is_refused(kind: str) -> None:
    data = encoded(kind)
    for length in range(10):
        with pytest.raises(BadInput):
            check_pixels("a", data[:length])


OS2_BITMAP = struct.pack("<2sIHHI", b"BM", 26 + 12, 0, 0, 26) + struct.pack("<IHHHH", 12, 1, 3, 1, 24) + bytes(12)


@pytest.mark.parametrize(
    ("data", "size"),
    [
        (OS2_BITMAP, (1, 3)),
        (b"GIF89a" + struct.pack("<HH", 40_000, 2) + encoded("GIF", (1, 2))[10:], (40_000, 2)),
        (encoded("PNG", (7, 3))[:33], (7, 3)),
    ],
)
def test_a_size_that_few_readers_of_headers_know_is_read_too(data: bytes, size: tuple[int, int]) -> None:
    assert claimed(data) == size
    check_pixels("a", data)


@pytest.mark.parametrize(
    "data",
    [
        b"GIF89a" + struct.pack("<HH", 40_000, 40_000) + encoded("GIF")[10:],
        encoded("BMP")[:18] + struct.pack("<ii", 60_000, -60_000) + encoded("BMP")[26:],
        encoded("BMP")[:18] + struct.pack("<ii", -5, 2_000_000_000) + encoded("BMP")[26:],
    ],
)
def test_a_size_that_is_negative_as_a_signed_number_is_not_taken_for_small(data: bytes) -> None:
    with pytest.raises(BadInput, match="at most 16,000,000 are taken"):
        check_pixels("a", data)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (encoded("PNG"), ("image/png", ".png")),
        (encoded("JPEG"), ("image/jpeg", ".jpg")),
        (encoded("GIF"), ("image/gif", ".gif")),
        (encoded("WEBP"), ("image/webp", ".webp")),
        (encoded("BMP"), ("image/bmp", ".bmp")),
        (b"RIFF\0\0\0\0WAVE", (None, ".bin")),
        (b"", (None, ".bin")),
    ],
)
def test_type_and_suffix_are_those_of_the_first_bytes(data: bytes, said: tuple[str | None, str]) -> None:
    assert (sniffed(data), suffix(data)) == said


# png()


@given(arrays(1, 2, 3, 4))
def test_a_png_decodes_to_the_pixels_it_was_made_of(image: np.ndarray) -> None:
    decoded = Image.open(io.BytesIO(png(image)))
    decoded.verify()
    decoded = Image.open(io.BytesIO(png(image)))
    assert (decoded.format, decoded.mode, decoded.size) == ("PNG", MODES[image.shape[2]], image.shape[1::-1])
    assert np.array_equal(np.asarray(decoded).reshape(image.shape), image)


@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 300, 3), (300, 1, 4), (257, 255, 2), (28, 28, 1)])
def test_a_png_may_have_any_size(shape: tuple[int, int, int]) -> None:
    image = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(png(image)))).reshape(shape), image)


def test_a_png_is_made_of_a_view_as_of_a_copy() -> None:
    images = np.random.default_rng(0).integers(0, 256, (4, 6, 8, 3), np.uint8)
    view = images[1, ::2, ::-1]
    assert png(view) == png(view.copy())


def test_the_limit_and_the_first_bytes_of_images_are_written_once() -> None:
    root = Path(__file__).parents[2]
    modules = [path for package in ("analysis", "trainer") for path in (root / package).rglob("*.py")]
    for fact in ("16_000_000", r"\x89PNG", r"\xff\xd8"):
        assert [path.name for path in modules if fact in path.read_text()] == ["content.py"], fact


# Digests


def test_a_file_has_the_digest_of_its_pixels_and_is_decoded_once(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    decoded = content.decoded
    monkeypatch.setattr(content, "decoded", lambda data: (seen.append(data), decoded(data))[1])
    files = [encoded("PNG"), encoded("BMP"), b"broken", encoded("PNG", (3, 5))]
    known = FileDigests()
    expected = [by_hand(Image.open(io.BytesIO(file))) if file != b"broken" else None for file in files]
    for _ in range(3):  # epochs
        assert [known.of(file) for file in files] == expected
    assert seen == files
    assert expected[0] == expected[1]


def test_what_is_known_of_files_has_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(content, "_MOST_KNOWN", 2)
    known = FileDigests()
    files = [encoded("PNG", (width, 1)) for width in range(1, 6)]
    assert [known.of(file) for file in files * 2] == [by_hand(Image.open(io.BytesIO(file))) for file in files * 2]
    assert len(known._known) <= 2


@given(IMAGES)
def test_an_image_is_the_sha256_of_its_size_and_its_rgba_pixels(images: np.ndarray) -> None:
    mode = MODES[images.shape[3]]
    shape = images.shape[1:3] if mode == "L" else images.shape[1:]
    expected = [by_hand(Image.fromarray(image.reshape(shape))) for image in images]
    assert pixel_digests(images) == expected


def test_one_black_pixel_has_a_known_digest() -> None:
    # printf '\1\0\0\0\1\0\0\0\0\0\0\377' | sha256sum
    expected = "cbc8f9ff6915198f6183d1b67b89478ecbc1aa857a740c29e2d5f0fe952e2090"
    assert pixel_digests(np.zeros((1, 1, 1, 1), np.uint8)) == [expected]


@given(nps.arrays(np.uint8, (2, 3, 4)))
def test_grey_equals_the_same_grey_as_rgb_and_with_full_alpha(grey: np.ndarray) -> None:
    alpha = np.full_like(grey, 255)
    forms = [[grey], [grey, alpha], [grey] * 3, [grey, grey, grey, alpha]]
    found = {tuple(pixel_digests(np.stack(form, axis=-1))) for form in forms}
    assert len(found) == 1


def test_turned_and_reshaped_images_differ() -> None:
    pixels = np.arange(6, dtype=np.uint8)
    wide, tall = pixels.reshape(1, 2, 3, 1), pixels.reshape(1, 3, 2, 1)
    assert pixel_digests(wide) != pixel_digests(tall)


def test_the_memory_layout_of_pixels_does_not_matter() -> None:
    images = np.arange(2 * 3 * 4 * 3, dtype=np.uint8).reshape(2, 3, 4, 3)
    assert pixel_digests(np.asfortranarray(images)) == pixel_digests(images)
    assert pixel_digests(images[::-1]) == pixel_digests(images)[::-1]


def test_a_batch_may_be_empty() -> None:
    assert pixel_digests(np.zeros((0, 4, 4, 3), np.uint8)) == []
    assert text_digests([]) == []


def test_texts_and_numbers_are_hashed_with_what_they_are() -> None:
    assert text_digests(["ä", ""]) == [
        hashlib.sha256(b"text\0\xc3\xa4").hexdigest(),
        hashlib.sha256(b"text\0").hexdigest(),
    ]
    assert number_digests(np.array([[1.0, -2.5]])) == [
        hashlib.sha256(b"numbers\0" + struct.pack("<dd", 1.0, -2.5)).hexdigest()
    ]
    assert number_digests(np.array([[1.0]], ">f8")) == number_digests(np.array([[1.0]], "<f8"))


@pytest.mark.parametrize("text", ["numbers", "\0", "text\0x"])
def test_a_text_is_no_other_kind_of_content(text: str) -> None:
    as_number = number_digests(np.frombuffer(text.encode().ljust(8, b"\0"), "<f8")[None])
    assert text_digests([text]) != as_number
