"""What the rows of a batch are about: images, texts or numbers, each known by its digest."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from secondguess.analysis.content import Undecodable, number_digests, pixel_digests, png, text_digests
from secondguess.analysis.errors import BadInput
from secondguess.trainer.recording import columns
from secondguess.trainer.recording.images import file_of, pixels, sequence


@dataclass(frozen=True)
class Content:
    """What the rows of a batch are: kind, a digest for each, how to get the content of a row.

    The rows in undecodable have an image that cannot be decoded, why, and in place of its digest that of its bytes.
    """

    kind: str | None = None
    digests: list[str] | None = None
    read: Callable[[int], Any] = lambda row: None
    undecodable: Mapping[int, Undecodable] = field(default_factory=dict)

    def column(self, rows: int) -> pa.Array:
        """The digest of each row's content, NULL where it has none that can be kept."""
        if self.digests is None:
            return pa.nulls(rows, pa.string())
        kept = [None if row in self.undecodable else digest for row, digest in enumerate(self.digests)]
        return pa.array(kept, pa.string())


class Contents:
    """Says what batches are about, and remembers the digests of the last epoch's arrays: most epochs see them again."""

    def __init__(self) -> None:
        self._digests: dict[bytes, list[str]] = {}  # of the last epoch's batches, by their raw bytes
        self.begin()

    def begin(self) -> None:
        """Start an epoch."""
        self._next_digests: dict[bytes, list[str]] = {}

    def keep(self) -> None:
        """End an epoch, whose batches are those that the next one is likely to have."""
        self._digests = self._next_digests

    def of(self, images: Any, content: Any, rows: int, channels: str | None) -> Content:
        """What a batch is about; raises BadInput where that cannot be."""
        if images is not None and content is not None:
            raise BadInput("both images and content: give the images, and the rest as columns of your own")
        if images is not None:
            images = sequence(images)
            same_length(rows, images=images)
            return self._of_images(images, channels)
        if content is None:
            return Content()
        values = columns.plain(content)
        values = values if isinstance(values, np.ndarray) else list(values)
        if isinstance(values, np.ndarray) and values.dtype == object and values.ndim == 2:
            values = _texts(values)
        same_length(rows, content=values)
        try:
            if all(isinstance(value, str) for value in values):
                return Content("text", text_digests(list(values)), lambda row: values[row])
            numbers = np.asarray(values, np.float64).reshape(rows, -1)
        except (TypeError, ValueError):
            raise BadInput("content must be texts, or numbers with the same count in every row") from None
        return Content("numbers", number_digests(numbers), lambda row: numbers[row].tolist())

    def _of_images(self, images: Any, channels: str | None) -> Content:
        raw = b""
        if isinstance(images, np.ndarray):
            head = f"{images.dtype}{images.shape}{channels}".encode()
            raw = hashlib.sha256(head + np.ascontiguousarray(images).data).digest() if images.size else b""
        digests = self._digests.get(raw) or self._next_digests.get(raw)
        undecodable: dict[int, Undecodable] = {}
        stretches: list[Any] = []
        if digests is None:
            stretches = pixels(images, undecodable, channels)
            digests = [digest for stretch in stretches for digest in pixel_digests(stretch)]
        if raw:
            self._next_digests[raw] = digests
        flat = [image for stretch in stretches for image in stretch]
        for row in undecodable:  # in ascending order, so that the rows behind come to their places
            digests.insert(row, hashlib.sha256(_bytes_of(images[row])).hexdigest())
            flat.insert(row, None)

        def read(row: int) -> bytes:
            file = file_of(images[row]) if not isinstance(images, np.ndarray) else None
            return file or png(flat[row] if flat else pixels([images[row]], channels=channels)[0][0])

        return Content("image", digests, read, undecodable)


def same_length(rows: int, **parts: Any) -> None:
    """Raise BadInput where a part of a batch has not as many values as that has rows."""
    for name, values in parts.items():
        if values is not None and len(values) != rows:
            raise BadInput(f"{name} has {len(values)} values; the batch has {rows} rows")


def _texts(cells_BxK: NDArray[Any]) -> NDArray[Any]:
    """The texts of a data frame's column; its cells where they are numbers. Raises BadInput for several of texts."""
    if cells_BxK.shape[1] == 1:
        return cells_BxK[:, 0]
    if any(isinstance(cell, str) for cell in cells_BxK.flat):
        raise BadInput(
            f"content has {cells_BxK.shape[1]} columns, some of texts; give the texts that a row is about as one: "
            "content=frame['text'], and the rest as columns of your own"
        )
    return cells_BxK


def _bytes_of(image: Any) -> bytes:
    """What tells an image that cannot be decoded from another: its file, or for a PIL image where that lies."""
    return bytes(image) if isinstance(image, bytes | bytearray) else str(getattr(image, "filename", image)).encode()
