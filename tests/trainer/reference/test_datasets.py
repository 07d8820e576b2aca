"""Labelled examples come in their data set's order, with ids that name them in it."""

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest
from needs_torch import torch
from sklearn.datasets import load_digits
from torchvision import datasets

from secondguess.analysis.errors import BadInput
from secondguess.trainer.reference.datasets import load

FILES = {
    "train-images-idx3-ubyte": struct.pack(">4i", 2051, 3, 4, 5) + bytes(range(60)),
    "train-labels-idx1-ubyte": struct.pack(">2i", 2049, 3) + bytes([7, 0, 9]),
    "t10k-images-idx3-ubyte": struct.pack(">4i", 2051, 2, 4, 5) + bytes(range(100, 140)),
    "t10k-labels-idx1-ubyte": struct.pack(">2i", 2049, 2) + bytes([3, 1]),
}
FASHION = ["T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"]


def raw_files(folder: Path, zipped: bool = False, **replaced: bytes) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in FILES.items():
        content = replaced.get(name.split("-idx")[0].replace("-", "_"), content)
        if zipped:
            (folder / f"{name}.gz").write_bytes(gzip.compress(content, mtime=0))
        else:
            (folder / name).write_bytes(content)
    return folder


def without_download(data: Path, torchvisions_folder: str) -> Path:
    """A file in the place of the folder that torchvision would download into."""
    (data / torchvisions_folder).write_text("in the way")
    return data


def test_digits_are_split_as_in_scikit_learns_example_and_scaled_to_8_bits():
    train, test = load("digits", "anywhere")
    assert (train.name, len(train.ids), train.ids[0], train.ids[-1]) == (
        "digits-train",
        898,
        "digits-0000",
        "digits-0897",
    )
    assert (test.name, len(test.ids), test.ids[0], test.ids[-1]) == ("digits-test", 899, "digits-0898", "digits-1796")
    assert train.images.shape == (898, 8, 8) and test.images.shape == (899, 8, 8)
    assert train.images.dtype == torch.uint8 and train.labels.dtype == torch.int64
    # The first digit's first line is 0 0 5 13 9 1 0 0 of 16.
    assert train.images[0, 0].tolist() == [0, 0, 80, 207, 143, 16, 0, 0]
    assert int(train.images.max()) == 255
    assert train.labels[:10].tolist() == list(range(10))
    assert np.array_equal(test.labels.numpy(), load_digits().target[898:])
    assert train.classes is None and test.classes is None


@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize("place", [".", "raw", "MNIST/raw"])
def test_raw_files_are_found_in_the_folder_its_raw_and_its_mnist_raw(tmp_path, place, zipped):
    raw_files(tmp_path / place, zipped)
    train, test = load("mnist", tmp_path)
    assert (train.name, train.ids) == ("mnist-train", ("train-00000", "train-00001", "train-00002"))
    assert (test.name, test.ids) == ("mnist-test", ("test-00000", "test-00001"))
    assert train.labels.tolist() == [7, 0, 9] and test.labels.tolist() == [3, 1]
    assert torch.equal(train.images, torch.arange(60, dtype=torch.uint8).reshape(3, 4, 5))
    assert torch.equal(test.images, torch.arange(100, 140, dtype=torch.uint8).reshape(2, 4, 5))
    assert test.classes is None


def test_fashion_mnist_has_class_names(tmp_path):
    raw_files(tmp_path / "FashionMNIST" / "raw")
    train, test = load("fashion-mnist", str(tmp_path))
    assert test.name == "fashion-mnist-test"
    assert list(train.classes or ()) == list(test.classes or ()) == FASHION


@pytest.mark.parametrize("place", ["MNIST", "MNIST/raw"])
def test_files_of_a_folder_named_after_another_data_set_are_not_taken_for_this_one(tmp_path, place):
    raw_files(tmp_path / "MNIST" / "raw")
    with pytest.raises(BadInput, match="put FashionMNIST's four raw files into"):
        load("fashion-mnist", without_download(tmp_path / place, "FashionMNIST"))


def test_what_is_neither_there_nor_downloaded_is_named_with_the_places_looked_at(tmp_path):
    with pytest.raises(BadInput) as error:
        load("mnist", without_download(tmp_path, "MNIST"))
    text = str(error.value)
    assert "no train-images-idx3-ubyte and train-labels-idx1-ubyte in " in text
    assert f"{tmp_path}, {tmp_path}/raw or {tmp_path}/MNIST/raw" in text
    assert "or use the digits, which need no files" in text
    assert "\n" not in text


@pytest.mark.parametrize(
    ("replaced", "message"),
    [
        ({"t10k_images": FILES["t10k-images-idx3-ubyte"][:-1]}, "t10k-images-idx3-ubyte is not a whole raw file"),
        ({"t10k_images": FILES["t10k-labels-idx1-ubyte"]}, "t10k-images-idx3-ubyte is not a whole raw file"),
        ({"t10k_labels": b""}, "t10k-labels-idx1-ubyte is not a whole raw file"),
        ({"t10k_labels": struct.pack(">2i", 2049, 1) + b"\1"}, "has 2 images, .* has 1 labels"),
        ({"train_labels": struct.pack(">2i", 2049, 3) + bytes([7, 10, 9])}, "has a label 10; fashion-mnist has 10"),
    ],
)
def test_damaged_files_are_named(tmp_path, replaced, message):
    raw_files(tmp_path, **replaced)
    with pytest.raises(BadInput, match=message):
        load("fashion-mnist", tmp_path)


@pytest.mark.parametrize("keep", [5, 15, -3])
def test_a_download_cut_short_is_named(tmp_path, keep):
    raw_files(tmp_path, zipped=True)
    path = tmp_path / "t10k-labels-idx1-ubyte.gz"
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(BadInput, match=r"cannot read .*t10k-labels-idx1-ubyte.gz .*remove it to have it downloaded"):
        load("mnist", tmp_path)


def test_an_unknown_data_set_is_refused_with_those_there_are():
    with pytest.raises(BadInput, match="no data set named 'cifar'; there are digits, mnist, fashion-mnist"):
        load("cifar", "data")


def test_mnist_is_what_torchvision_reads(mnist_dir, tmp_path):
    train, test = load("mnist", mnist_dir)
    assert train.images.shape == (60_000, 28, 28) and test.images.shape == (10_000, 28, 28)
    assert train.labels[:5].tolist() == [5, 0, 4, 1, 9] and test.labels[:5].tolist() == [7, 2, 1, 0, 4]
    assert (train.ids[42], test.ids[-1]) == ("train-00042", "test-09999")
    places = [Path(mnist_dir) / place for place in (".", "raw", "MNIST/raw")]
    raw = next(place for place in places if list(place.glob("*-idx3-ubyte")))
    (tmp_path / "MNIST").mkdir()
    (tmp_path / "MNIST" / "raw").symlink_to(raw.resolve())
    for examples, is_train in ((train, True), (test, False)):
        theirs = datasets.MNIST(str(tmp_path), train=is_train)
        assert torch.equal(examples.images, theirs.data) and torch.equal(examples.labels, theirs.targets)
