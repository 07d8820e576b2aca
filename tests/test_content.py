"""Digests of examples, against hashlib and Pillow doing the same the slow way."""

import hashlib
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as nps
from PIL import Image

from analysis.store.content import number_digests, pixel_digests, text_digests

IMAGES = nps.arrays(
    np.uint8,
    st.tuples(st.integers(1, 4), st.integers(1, 5), st.integers(1, 5), st.integers(1, 4)),
)
MODES = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}


def by_hand(image: Image.Image) -> str:
    """The sha256 of width, height and the pixels as Pillow converts them to RGBA."""
    rgba = image.convert("RGBA")
    return hashlib.sha256(struct.pack("<II", *rgba.size) + rgba.tobytes()).hexdigest()


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
