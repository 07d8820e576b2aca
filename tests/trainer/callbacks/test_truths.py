"""Labels of a data set's examples: its column, its attribute, or what its items have."""

import random
from typing import Any

import numpy as np
import pytest
from needs_torch import torch

from secondguess.trainer.callbacks import truths

NAMES = ("labels", "label")


class Items:
    """Of three examples, whose items are drawn by lot."""

    def __len__(self) -> int:
        return 3

    def __getitem__(self, place: int) -> Any:
        return {"x": torch.rand(1) + np.random.rand() + random.random(), "label": place}


def test_labels_in_items_are_read_and_no_lot_is_drawn_otherwise() -> None:
    def drawn() -> list[float]:
        return [torch.rand(1).item(), np.random.rand(), random.random()]

    def seed() -> None:
        torch.manual_seed(1), np.random.seed(1), random.seed(1)

    seed()
    expected = drawn()
    seed()
    assert truths.labels(Items(), NAMES) == [0, 1, 2]
    assert drawn() == expected


def test_an_attribute_goes_first_where_it_has_one_for_each_example() -> None:
    data: Any = Items()
    data.labels = ["no", "yes"]  # the names of the classes
    assert truths.labels(data, NAMES) == [0, 1, 2]
    data.labels = [7, 8, 9]
    assert truths.labels(data, NAMES) == [7, 8, 9]


@pytest.mark.parametrize("data", [None, [], [1, 2], iter([{"label": 1}]), [{"x": 1}]])
def test_none_are_found_where_none_are(data: Any) -> None:
    assert truths.labels(data, NAMES) is None


def test_a_column_of_a_data_set_of_columns() -> None:
    datasets = pytest.importorskip("datasets", reason="needs datasets")
    assert truths.labels(datasets.Dataset.from_dict({"label": [1, 0]}), NAMES) == [1, 0]
