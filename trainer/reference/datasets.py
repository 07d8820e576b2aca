"""Labelled examples as tensors: scikit-learn's digits, MNIST and Fashion-MNIST."""

import contextlib
import gzip
import math
import os
import sys
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from secondguess.analysis.errors import BadInput, MissingExtra

FASHION = (
    *("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat"),
    *("Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
)

# Each data set's name in torchvision, which is also the folder that torchvision puts it in, and its class names.
TORCHVISION = {"mnist": ("MNIST", None), "fashion-mnist": ("FashionMNIST", FASHION)}

# Where scikit-learn's own example of classifying these digits splits them.
DIGITS_TRAIN = 898


@dataclass(frozen=True)
class LabelledImages:
    """Labelled images in the order of their data set.

    An id names the split and the place in it (of digits, which come unsplit, the place in the whole), so that it means
    the same image whatever the batch size.
    """

    name: str
    ids: tuple[str, ...]
    images: torch.Tensor  # uint8, NxHxW
    labels: torch.Tensor  # int64, N
    classes: tuple[str, ...] | None  # a label is a place in it; None: a label is the class itself

    def share(self, rank: int, count: int) -> "LabelledImages":
        """What one of so many processes gets: every so many-th example, from its own place on."""
        if count == 1:
            return self
        mine = slice(rank, None, count)
        return replace(self, ids=self.ids[mine], images=self.images[mine], labels=self.labels[mine])


def load(dataset: str, data: str | Path) -> tuple[LabelledImages, LabelledImages]:
    """The training and the test examples of `dataset`.

    MNIST's four raw files (plain or .gz) are taken from the folder `data`, its `raw` or its `MNIST/raw`, and otherwise
    downloaded into `data/MNIST/raw`; digits are part of scikit-learn and need no folder.
    Raises BadInput if there is no such data set, and if its files can be neither read nor downloaded.
    """
    if dataset == "digits":
        return _digits()
    if dataset in TORCHVISION:
        return _split(dataset, "train", Path(data)), _split(dataset, "test", Path(data))
    raise BadInput(f"no data set named {dataset!r}; there are digits, {', '.join(TORCHVISION)}")


def _digits() -> tuple[LabelledImages, LabelledImages]:
    with _extra():
        from sklearn.datasets import load_digits  # a second, which whoever trains on MNIST need not wait for
    digits = load_digits()
    # Values are 0 to 16.
    images = torch.from_numpy(np.rint(digits.images * (255 / 16)).astype(np.uint8))
    labels = torch.from_numpy(digits.target.astype(np.int64))
    ids = tuple(f"digits-{i:04d}" for i in range(len(labels)))
    head, tail = slice(DIGITS_TRAIN), slice(DIGITS_TRAIN, None)
    return (
        LabelledImages("digits-train", ids[head], images[head], labels[head], None),
        LabelledImages("digits-test", ids[tail], images[tail], labels[tail], None),
    )


def _split(dataset: str, split: str, data: Path) -> LabelledImages:
    folder, classes = TORCHVISION[dataset]
    images_path, labels_path = _raw_files(folder, split, data)
    images, labels = _read_idx(images_path, dimensions=3), _read_idx(labels_path, dimensions=1).long()
    if len(images) != len(labels) or not len(labels):
        raise BadInput(f"{images_path} has {len(images):,} images, {labels_path} has {len(labels):,} labels")
    if classes is not None and int(labels.max()) >= len(classes):
        raise BadInput(f"{labels_path} has a label {int(labels.max())}; {dataset} has {len(classes)} classes")
    ids = tuple(f"{split}-{i:05d}" for i in range(len(labels)))
    return LabelledImages(f"{dataset}-{split}", ids, images, labels, classes)


def _raw_files(folder: str, split: str, data: Path) -> tuple[Path, Path]:
    """The files of one split's images and labels, downloaded if `data` has them nowhere."""
    prefix = "train" if split == "train" else "t10k"
    names = (f"{prefix}-images-idx3-ubyte", f"{prefix}-labels-idx1-ubyte")
    # All these data sets name their files alike: a folder named after another one holds that one.
    others = {other for other, _ in TORCHVISION.values()} - {folder}
    for place in (data / folder / "raw", data / "raw", data):
        if not others & set(place.resolve().parts[-2:]):
            images, labels = (_plain_or_gz(place / name) for name in names)
            if images and labels:
                return images, labels
    _download(folder, data, names)
    return data / folder / "raw" / names[0], data / folder / "raw" / names[1]


def _plain_or_gz(path: Path) -> Path | None:
    for file in (path, path.with_name(f"{path.name}.gz")):
        if os.path.isfile(file):  # False, not an error, in a folder that cannot be entered
            return file
    return None


def _download(folder: str, data: Path, names: tuple[str, str]) -> None:
    with _extra():
        from torchvision import datasets
    source = getattr(datasets, folder)
    try:
        # torchvision reports on stdout, which is for data.
        with contextlib.redirect_stdout(sys.stderr):
            source(root=str(data), download=True)
    except (OSError, RuntimeError) as error:
        reason = str(error).strip().splitlines()[-1]
        raise BadInput(
            f"no {' and '.join(names)} in {data}, {data / 'raw'} or {data / folder / 'raw'}, and downloading them "
            f"failed ({reason}); put {folder}'s four raw files into {data}, or use the digits, which need no files"
        ) from error


def _read_idx(path: Path, dimensions: int) -> torch.Tensor:
    """The uint8 array in a raw file: bytes 0, 0, 8 (the type) and the number of dimensions, their sizes, the values.

    Sizes are big-endian 32-bit integers, as the MNIST page of LeCun, Cortes and Burges defines them.
    """
    try:
        content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (OSError, EOFError, zlib.error) as error:
        raise BadInput(f"cannot read {path} ({error}); remove it to have it downloaded again") from error
    start = 4 + 4 * dimensions
    shape = [int.from_bytes(content[i : i + 4]) for i in range(4, start, 4)]
    if content[:4] != bytes([0, 0, 8, dimensions]) or len(content) - start != math.prod(shape):
        raise BadInput(f"{path} is not a whole raw file; remove it to have it downloaded again")
    return torch.from_numpy(np.frombuffer(content, np.uint8, offset=start).reshape(shape).copy())


@contextlib.contextmanager
def _extra() -> Iterator[None]:
    """Where something is imported that is not always installed: raises MissingExtra, which says what brings it."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise MissingExtra((error.name or "").partition(".")[0], "train") from error
