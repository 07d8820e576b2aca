"""Probabilities out of logits and pixels out of normalised images; what is neither is refused, and never guessed."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from scipy.special import expit, softmax

from secondguess.analysis.errors import BadInput
from secondguess.trainer.callbacks.batches import Normalisation, item, probabilities

LOGITS = [[2.0, -1.0, 0.5], [1000.0, 0.0, -1000.0], [-np.inf, 0.0, 1.0]]
HALF = [[0.5, 0.25, 0.25], [0.125, 0.125, 0.75]]


def test_logits_become_their_softmax_and_one_number_its_sigmoid() -> None:
    assert probabilities(LOGITS, logits=True, what="logits") == pytest.approx(softmax(np.array(LOGITS), axis=1))
    one = np.array([-800.0, 0.0, 3.0])
    assert probabilities(one, logits=True, what="logits") == pytest.approx(expit(one))
    assert probabilities(one[:, None], logits=True, what="logits") == pytest.approx(expit(one))


def test_of_several_labels_each_has_its_own_sigmoid() -> None:
    logits = np.array([[2.0, -1.0], [0.0, 3.0]])
    assert probabilities(logits, logits=True, what="logits", several=True) == pytest.approx(expit(logits))
    assert probabilities([[0.9, 0.8]], logits=False, what="scores", several=True) == pytest.approx(
        np.array([[0.9, 0.8]])
    )


def test_a_logit_that_is_missing_is_a_score_that_is() -> None:
    scores = probabilities([[np.nan, 1.0], [3.0, 0.0]], logits=True, what="logits")
    assert np.isnan(scores).tolist() == [[True, True], [False, False]]
    assert np.isnan(probabilities([[np.nan, 1.0]], logits=False, what="scores")).tolist() == [[True, False]]


@pytest.mark.parametrize(
    ("values", "logits", "why"),
    [
        (HALF, True, r"sum to 1 in each row, as probabilities do, but are said to be logits; say logits=False"),
        (LOGITS[:1], False, r"no probabilities: 2 in row 0 of the batch; if they are logits, say logits=True$"),
        (
            [[0.5, 0.5], [0.9, 0.8]],
            False,
            r"row 1 of the batch sums to 1.7, not 1; .*say logits=True; for several labels",
        ),
        (np.zeros((2, 5, 3)), True, r"shape \(2, 5, 3\); .*a class for each token or pixel is not recorded"),
        ([["a"]], True, r"are <U1 of shape \(1, 1\)"),
        (np.zeros((2, 0)), True, r"shape \(2, 0\)"),
        (
            [0, 2],
            True,
            r"whole numbers of shape \(2,\), as guesses of classes are, and no logits; give them as the guess",
        ),
        ([[1, 0]], True, "whole numbers .* no logits"),
        (
            [[2.5], [0.5]],
            False,
            "no probabilities: 2.5 .* say logits=True; if numbers are predicted, task='regression'$",
        ),
        ([[1], [0]], False, "whole numbers .* no probabilities"),
    ],
)
def test_what_contradicts_what_is_said_of_it_is_refused(values: Any, logits: bool, why: str) -> None:
    with pytest.raises(BadInput, match=why):
        probabilities(values, logits=logits, what="scores")


def test_a_class_voted_for_is_one_with_probability_1() -> None:
    assert probabilities([[1, 0], [0, 1]], logits=False, what="scores").tolist() == [[1.0, 0.0], [0.0, 1.0]]


def test_half_precision_is_let_pass() -> None:
    rows = softmax(np.random.default_rng(0).normal(size=(50, 100)) * 4, axis=1).astype(np.float16)
    assert len(probabilities(rows, logits=False, what="scores")) == 50


@pytest.mark.parametrize("channels", ["first", "last"])
def test_a_normalisation_undone_gives_the_pixels_that_there_were(channels: str) -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (4, 3, 5, 6), np.uint8)
    mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    each = [np.array(numbers, np.float32).reshape(3, 1, 1) for numbers in (mean, std)]
    normalised = (pixels.astype(np.float32) / 255 - each[0]) / each[1]
    if channels == "last":
        normalised, pixels = np.moveaxis(normalised, 1, 3), np.moveaxis(pixels, 1, 3)
    assert np.array_equal(Normalisation(mean, std, channels).pixels(normalised), pixels)
    assert np.array_equal(np.stack(Normalisation(mean, std, channels).pixels(list(normalised))), pixels)
    half = normalised.astype(np.float16)
    assert np.array_equal(Normalisation(mean, std, channels).pixels(half), pixels)


def test_one_mean_is_that_of_every_channel() -> None:
    assert Normalisation([0.5], [0.5]).pixels(np.full((1, 3, 2, 2), -1.0)).max() == 0
    assert Normalisation(0.5, 0.5).pixels(np.ones((1, 2, 2))).min() == 255


@pytest.mark.parametrize(
    ("how", "images", "why"),
    [
        ({}, np.full((1, 1, 2, 2), 2.5), r"images are floats from 2.5 to 2.5, not in \[0, 1\]: give mean= and std="),
        (
            {"mean": [0.5], "std": [0.5]},
            np.full((1, 1, 2, 2), 3.0),
            r"with mean=\[0.5\], std=\[0.5\] undone, numbers from",
        ),
        ({}, np.full((1, 1, 2, 2), np.nan), "from nan to nan"),
        ({}, np.ones((1, 1, 2, 2), np.int64), "images are int64"),
    ],
)
def test_images_whose_pixels_cannot_be_known_are_refused(how: Any, images: Any, why: str) -> None:
    with pytest.raises(BadInput, match=why):
        Normalisation(**how).pixels(images)


def test_a_mean_goes_with_a_deviation() -> None:
    with pytest.raises(BadInput, match="both mean and std"):
        Normalisation(mean=0.5)
    with pytest.raises(BadInput, match="channels is 'middle'"):
        Normalisation(channels="middle")


@pytest.mark.parametrize(
    ("shape", "channels", "expected"),
    [
        ((2, 3, 8, 9), "first", True),
        ((2, 8, 9, 3), "first", False),
        ((2, 8, 9, 3), "last", True),
        ((2, 10), "first", False),
        ((2, 28, 28), "first", False),  # as well a text of 28 vectors
    ],
)
def test_images_are_known_by_their_shape(shape: tuple[int, ...], channels: str, expected: bool) -> None:
    assert Normalisation(channels=channels).is_image(np.zeros(shape)) is expected


def test_an_item_is_found_by_its_key_or_place() -> None:
    assert item("b", {"a": 1}, {"b": 2}) == 2
    assert item(1, {"a": 1}, (3, 4)) == 4
    assert item("id", SimpleNamespace(id=5)) == 5
    with pytest.raises(BadInput, match="nothing is called 'c' in what came: names a; a tuple of 2"):
        item("c", {"a": 1}, (3, 4))
