"""The order in which loaders give out examples is told by their samplers, or not at all."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import polars
import pyarrow as pa
import pytest
from needs_torch import torch
from torch.utils.data import (
    BatchSampler,
    ConcatDataset,
    DataLoader,
    DistributedSampler,
    IterableDataset,
    RandomSampler,
    Sampler,
    SequentialSampler,
    Subset,
    TensorDataset,
    WeightedRandomSampler,
)

from secondguess.trainer.callbacks import order

NUMBERS = torch.arange(7)
DATA = TensorDataset(NUMBERS)


class Backwards(SequentialSampler):
    """Anybody's sampler, which is no sequential one for all that it is called."""

    def __iter__(self) -> Any:
        return iter(range(6, -1, -1))


class Stream(IterableDataset):  # type: ignore[type-arg]
    def __iter__(self) -> Any:
        return iter(range(7))


@pytest.mark.parametrize(
    "loader",
    [
        DataLoader(DATA, batch_size=3),
        DataLoader(DATA, batch_size=3, drop_last=True),
        DataLoader(DATA, batch_size=None),
        DataLoader(DATA, batch_size=2, sampler=DistributedSampler(DATA, 2, 1, shuffle=False)),
        DataLoader(DATA, batch_size=2, sampler=DistributedSampler(DATA, 2, 0, shuffle=True, seed=5)),
        DataLoader(DATA, batch_size=2, sampler=[4, 2, 0]),
        DataLoader(DATA, batch_sampler=[[6], [5, 4]]),
        DataLoader(DATA, batch_sampler=BatchSampler(SequentialSampler(DATA), 5, False)),
    ],
    ids=["sequential", "drop_last", "single", "distributed", "by-seed", "list", "lists", "batch_sampler"],
)
def test_what_is_told_is_what_comes(loader: Any) -> None:
    told = order.batches(loader)
    assert told is not None
    came = [batch[0].reshape(-1).tolist() for batch in loader]
    assert [list(places) for places in told] == came


@pytest.mark.parametrize(
    "loader",
    [
        DataLoader(DATA, batch_size=3, shuffle=True),
        DataLoader(DATA, sampler=RandomSampler(DATA)),
        DataLoader(DATA, sampler=WeightedRandomSampler([1.0] * 7, 7)),
        DataLoader(DATA, sampler=Backwards(DATA)),
        DataLoader(Stream()),
        [1, 2, 3],
    ],
    ids=["shuffled", "random", "weighted", "anybodys", "stream", "no-loader"],
)
def test_no_order_is_told_where_none_is_known(loader: Any) -> None:
    assert order.batches(loader) is None


def test_lightnings_wrappers_tell_what_they_hold() -> None:
    wrappers = pytest.importorskip("lightning.pytorch.overrides.distributed", reason="needs lightning")

    def loader(sampler: Sampler[int]) -> Any:
        unrepeated = wrappers.UnrepeatedDistributedSamplerWrapper(sampler, num_replicas=2, rank=1, shuffle=False)
        inner = BatchSampler(unrepeated, 2, False)
        return DataLoader(DATA, batch_sampler=wrappers._IndexBatchSamplerWrapper(inner))

    told = order.batches(loader(SequentialSampler(DATA)))
    assert told is not None and list(map(list, told)) == [[1, 3], [5]]
    assert order.batches(loader(RandomSampler(DATA))) is None


@pytest.mark.parametrize("rank", [0, 1])
def test_accelerates_shards_tell_what_they_give(rank: int) -> None:
    shards = pytest.importorskip("accelerate.data_loader", reason="needs accelerate")
    sampler = shards.BatchSamplerShard(BatchSampler(SequentialSampler(DATA), 2, False), 2, rank)
    told = order.batches(DataLoader(DATA, batch_sampler=sampler))
    assert told is not None and list(map(list, told)) == [[[0, 1], [4, 5]], [[2, 3], [6, 0]]][rank]


def test_a_subset_leads_to_the_whole() -> None:
    assert order.whole(Subset(Subset(DATA, [6, 5, 4, 3]), [0, 2]), [1, 0]) == (DATA, [4, 6])
    assert order.whole(DATA, range(2)) == (DATA, [0, 1])


class Transforming(Subset):  # type: ignore[type-arg]
    """A subset as people make it, to transform what it gives."""


def test_a_class_of_ones_own_that_is_a_subset_leads_to_the_whole() -> None:
    assert order.whole(Transforming(Subset(DATA, [6, 5, 4, 3]), [0, 2]), [1, 0]) == (DATA, [4, 6])


class Named(TensorDataset):
    ids = tuple(f"n{number}" for number in range(7))
    classes = ("cat", "dog")


def test_a_data_sets_own_ids_and_classes() -> None:
    assert order.named_ids(Named(NUMBERS)) == Named.ids
    assert order.class_names(Named(NUMBERS)) == ["cat", "dog"]
    assert order.named_ids(DATA) is None and order.class_names(DATA) is None
    short = Named(NUMBERS)
    short.ids = ("one",)
    assert order.named_ids(short) is None


def test_classes_in_an_array_or_an_index_and_those_that_joined_data_sets_share() -> None:
    encoded = SimpleNamespace(classes=np.array(["cat", "dog"]))
    assert order.class_names(encoded) == ["cat", "dog"]
    assert order.class_names(SimpleNamespace(classes=pd.Index(["cat", "dog"]))) == ["cat", "dog"]
    assert order.class_names(SimpleNamespace(classes=NUMBERS)) is None
    other = Named(NUMBERS)
    other.classes = ("dog", "cat")
    assert order.class_names(ConcatDataset([Named(NUMBERS), Subset(Named(NUMBERS), [1])])) == ["cat", "dog"]
    assert order.class_names(ConcatDataset([Named(NUMBERS), other])) is None
    assert order.class_names(ConcatDataset([Named(NUMBERS), DATA])) is None


def test_columns_and_class_labels_of_hugging_face() -> None:
    datasets = pytest.importorskip("datasets", reason="needs datasets")
    features = datasets.Features({"id": datasets.Value("string"), "label": datasets.ClassLabel(names=["no", "yes"])})
    data = datasets.Dataset.from_dict({"id": ["a", "b"], "label": [1, 0]}, features=features)
    assert order.named_ids(data) == ["a", "b"]
    assert order.class_names(data) == ["no", "yes"]
    assert order.column(data, "text") is None


@pytest.mark.parametrize("frame", [pd.DataFrame, polars.DataFrame, pa.table])
def test_columns_of_a_table_are_no_attributes_of_it(frame: Any) -> None:
    """Whose `size`, `shape` and the like are other things."""
    data = frame({"id": ["a", "b"], "shape": [3, 4]})
    assert order.named_ids(data) == ["a", "b"]
    assert order.column(data, "shape") == [3, 4]
    lines = SimpleNamespace(columns=["id"], id=["a", "b"])  # a data set of one's own, asked by place alone
    assert order.column(lines, "id") == ["a", "b"]


def test_names_that_are_no_names_are_left_alone() -> None:
    assert order.class_names(SimpleNamespace(classes=3)) is None
    assert order.class_names(SimpleNamespace(classes=["a", "a"])) is None
