"""Plain PNG files decoded together, against Pillow decoding each by itself."""

import io
import struct
import zlib
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as nps
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from analysis.errors import BadInput
from analysis.store import plain_png
from analysis.store.pictures import decoded
from analysis.store.plain_png import decoded_together

COLOURS = {1: 0, 2: 4, 3: 2, 4: 6}  # PNG's number for so many channels
MODES = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}
SHAPES = st.tuples(st.integers(1, 7), st.integers(1, 7), st.integers(1, 4))


@pytest.fixture(autouse=True)
def company(monkeypatch: pytest.MonkeyPatch) -> None:
    """One image of a size is company enough."""
    monkeypatch.setattr(plain_png, "_FEWEST", 0)


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def header(width: int, height: int, colour: int = 0, depth: int = 8, interlaced: int = 0) -> bytes:
    return chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlaced))


def png(*chunks: bytes) -> bytes:
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks) + chunk(b"IEND", b"")


def of_lines(lines: bytes, width: int, height: int, channels: int = 1, parts: int = 1) -> bytes:
    """A file of filtered lines, its data in so many chunks."""
    data = zlib.compress(lines)
    size = -(-len(data) // parts)
    pieces = [data[at : at + size] for at in range(0, len(data), size)]
    return png(header(width, height, COLOURS[channels]), *(chunk(b"IDAT", piece) for piece in pieces))


def by_pillow(image: np.ndarray, **options: object) -> bytes:
    file = io.BytesIO()
    Image.fromarray(image[..., 0] if image.shape[2] == 1 else image, MODES[image.shape[2]]).save(file, "PNG", **options)
    return file.getvalue()


def together(files: Sequence[bytes]) -> dict[int, np.ndarray]:
    groups = decoded_together(files)
    return {place: image for places, pixels in groups for place, image in zip(places, pixels, strict=True)}


def alone(file: bytes) -> np.ndarray | None:
    """The pixels as Pillow sees them, None for what it refuses."""
    try:
        return decoded(file)
    except BadInput:
        return None


def assert_same(found: dict[int, np.ndarray], files: Sequence[bytes]) -> None:
    for place, image in found.items():
        expected = alone(files[place])
        assert expected is not None
        assert image.shape == expected.shape
        assert image.tobytes() == expected.tobytes()


@st.composite
def filtered(draw: st.DrawFn) -> bytes:
    """A file whose lines have any filters, and any bytes."""
    height, width, channels = draw(SHAPES)
    length = width * channels
    line = st.builds(
        lambda number, rest: bytes([number]) + rest, st.integers(0, 4), st.binary(min_size=length, max_size=length)
    )
    lines = draw(st.lists(line, min_size=height, max_size=height))
    return of_lines(b"".join(lines), width, height, channels, draw(st.integers(1, 3)))


@given(st.lists(filtered(), min_size=1, max_size=6))
def test_all_filters_give_the_pixels_that_pillow_sees(files: list[bytes]) -> None:
    found = together(files)
    assert sorted(found) == [*range(len(files))]
    assert_same(found, files)


@pytest.mark.parametrize("number", range(5))
def test_each_filter_alone_gives_the_pixels_that_pillow_sees(number: int) -> None:
    random = np.random.default_rng(number)
    files = []
    for channels in (1, 2, 3, 4):
        lines = random.integers(0, 256, (50, 6, 1 + 7 * channels), np.uint8)
        lines[:, :, 0] = number
        files += [of_lines(line.tobytes(), 7, 6, channels) for line in lines]
    found = together(files)
    assert len(found) == 200
    assert_same(found, files)


@given(nps.arrays(np.uint8, st.tuples(st.integers(1, 3), st.integers(1, 9), st.integers(1, 9), st.integers(1, 4))))
def test_what_pillow_writes_is_read(images: np.ndarray) -> None:
    files = [by_pillow(image, compress_level=level) for image in images for level in (0, 1, 9)]
    found = together(files)
    assert [found[place].tolist() for place in range(len(files))] == [
        image.tolist() for image in images for _ in range(3)
    ]


@given(st.lists(filtered(), min_size=1, max_size=3), st.data())
def test_a_damaged_file_is_left_out_or_has_the_pixels_that_pillow_sees(files: list[bytes], data: st.DataObject) -> None:
    damaged = []
    for file in files:
        at = data.draw(st.integers(0, len(file) - 1))
        bit = 1 << data.draw(st.integers(0, 7))
        damaged += [file[:at], file[at:], file + file[:at], file[:at] + bytes([file[at] ^ bit]) + file[at + 1 :]]
    assert_same(together(damaged), damaged)


GREY = bytes(3 * 3)
WITH_TEXT = PngInfo()
WITH_TEXT.add_text("a", "b")
LEFT_OUT = {
    "empty": b"",
    "a header alone": png(header(2, 3))[:33],
    "no data": png(header(2, 3)),
    "no pixels": png(header(0, 3), chunk(b"IDAT", zlib.compress(b""))),
    "interlaced": png(header(2, 3, interlaced=1), chunk(b"IDAT", zlib.compress(GREY))),
    "16 bits": png(header(1, 3, depth=16), chunk(b"IDAT", zlib.compress(GREY))),
    "1 bit": png(header(9, 3, depth=1), chunk(b"IDAT", zlib.compress(GREY))),
    "a palette": png(header(2, 3, 3), chunk(b"PLTE", bytes(3)), chunk(b"IDAT", zlib.compress(GREY))),
    "transparent grey": png(header(2, 3), chunk(b"tRNS", bytes(2)), chunk(b"IDAT", zlib.compress(GREY))),
    "gamma": png(header(2, 3), chunk(b"gAMA", bytes(4)), chunk(b"IDAT", zlib.compress(GREY))),
    "text": by_pillow(np.zeros((3, 2, 1), np.uint8), pnginfo=WITH_TEXT),
    "text after the data": png(header(2, 3), chunk(b"IDAT", zlib.compress(GREY)), chunk(b"tEXt", b"a\0b")),
    "a filter that is none": of_lines(b"\5\0\0" * 3, 2, 3),
    "a line less": of_lines(GREY[3:], 2, 3),
    "a line more": of_lines(GREY + GREY[:3], 2, 3),
    "no zlib": png(header(2, 3), chunk(b"IDAT", b"xxxx")),
    "zlib cut short": png(header(2, 3), chunk(b"IDAT", zlib.compress(GREY)[:-1])),
    "bytes after zlib": png(header(2, 3), chunk(b"IDAT", zlib.compress(GREY) + b"x")),
    "a checksum that is wrong": of_lines(GREY, 2, 3).replace(chunk(b"IDAT", zlib.compress(GREY))[-4:], b"abcd"),
    "in ten thousand chunks": of_lines(GREY, 2, 3).replace(header(2, 3), header(2, 3) + chunk(b"IDAT", b"") * 10_000),
    "JPEG": b"\xff\xd8\xff\xe0" + bytes(100),
    "large": by_pillow(np.zeros((40, 40, 1), np.uint8)),
}


@pytest.mark.parametrize("file", LEFT_OUT.values(), ids=list(LEFT_OUT))
def test_what_is_not_plain_is_left_out_and_its_company_is_not(file: bytes) -> None:
    plain = of_lines(GREY, 2, 3)
    found = together([plain, file, plain])
    assert sorted(found) == [0, 2]
    assert_same(found, [plain, file, plain])


def test_a_file_that_unpacks_to_more_than_it_says_is_unpacked_no_further(monkeypatch: pytest.MonkeyPatch) -> None:
    bomb = png(header(2, 3), chunk(b"IDAT", zlib.compress(bytes(10_000_000), 9)))
    asked: list[int] = []
    made = zlib.decompressobj

    class Watched:
        def __init__(self) -> None:
            self.stream = made()

        def decompress(self, data: bytes, most: int) -> bytes:
            asked.append(most)
            return self.stream.decompress(data, most)

        def __getattr__(self, name: str) -> object:
            return getattr(self.stream, name)

    monkeypatch.setattr(zlib, "decompressobj", Watched)
    assert together([bomb]) == {}
    assert asked == [3 * 3 + 1]


def test_few_images_of_a_size_are_left_to_a_decoder_of_single_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plain_png, "_FEWEST", 0.5)
    small, large = of_lines(GREY, 2, 3), of_lines(bytes(4 * 3), 3, 3)
    assert sorted(together([small] * 3 + [large] * 4)) == [0, 1, 2]
    assert sorted(together([small] * 2 + [large] * 5)) == [2, 3, 4, 5, 6]


def test_no_files_are_no_images() -> None:
    assert together([]) == {}
