"""Which examples a data loader gives out in turn, as far as its sampler says so before it does."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from secondguess.trainer.recording.columns import plain

_TORCH = "torch.utils.data"
_IDS = ("ids", "id", "filenames")
_CLASSES = ("classes", "class_names")
_LABELS = ("label", "labels", "target")


def batches(loader: Any) -> Iterator[Sequence[int]] | None:
    """The places in the data set of each batch's rows; None where they are not known before the rows come.

    Known are a sequential sampler, torch's DistributedSampler, which draws lots by its seed and epoch alone, a list in
    the place of a sampler, and what Lightning and accelerate put round these.
    """
    batch_sampler, sampler = getattr(loader, "batch_sampler", None), getattr(loader, "sampler", None)
    if _is_iterable_only(getattr(loader, "dataset", None)) or type(loader).__name__ == "DataLoaderDispatcher":
        return None
    if batch_sampler is not None:
        inner = _batches(batch_sampler)
        return iter(inner) if inner is not None else None
    if sampler is not None and _is_in_order(sampler):  # without a batch sampler a loader gives single examples
        return ([place] for place in sampler)
    return None


def _batches(sampler: Any) -> Iterable[Sequence[int]] | None:
    kind = type(sampler).__name__
    if kind == "_IndexBatchSamplerWrapper":  # Lightning's, which keeps what it gave out: the one inside is asked
        return _batches(sampler._batch_sampler)
    if kind == "BatchSamplerShard":  # accelerate's
        return sampler if _batches(sampler.batch_sampler) is not None else None
    if kind == "BatchSampler" and _is_of_torch(sampler):
        return sampler if _is_in_order(sampler.sampler) else None
    return sampler if isinstance(sampler, list | tuple) else None


def _is_in_order(sampler: Any) -> bool:
    """Whether it gives the same places in turn each time that it is asked within an epoch."""
    kind = type(sampler).__name__
    if _is_of_torch(sampler):
        return kind in {"SequentialSampler", "DistributedSampler"}
    if kind in {"DistributedSamplerWrapper", "UnrepeatedDistributedSamplerWrapper"}:  # Lightning's
        return _is_in_order(sampler.dataset._sampler)
    return isinstance(sampler, list | tuple | range)


def _is_of_torch(sampler: Any) -> bool:
    return type(sampler).__module__.startswith(_TORCH)


def _is_iterable_only(dataset: Any) -> bool:
    return dataset is None or any(kind.__name__ == "IterableDataset" for kind in type(dataset).__mro__)


def whole(dataset: Any, places: Sequence[int]) -> tuple[Any, list[int]]:
    """The data set that subsets were taken of, and the places there: they stay the same however it was split."""
    chosen = [int(place) for place in places]
    while _is_subset(dataset):
        chosen = [int(dataset.indices[place]) for place in chosen]
        dataset = dataset.dataset
    return dataset, chosen


def _is_subset(dataset: Any) -> bool:
    """Whether it is torch's Subset, or a class of one's own that is one, as those that transform what they give."""
    is_one = any(kind.__name__ == "Subset" for kind in type(dataset).__mro__)
    return is_one and hasattr(dataset, "indices") and hasattr(dataset, "dataset")


def named_ids(dataset: Any) -> Sequence[Any] | None:
    """The ids that a data set has itself: an attribute or column `ids`, `id` or `filenames`, one for each example."""
    for name in _IDS:
        values = column(dataset, name)
        if values is not None and len(values) == len(dataset):
            return values
    return None


def column(dataset: Any, name: str) -> Sequence[Any] | None:
    """A column of a data set of columns, or an attribute with a value for each example; None where there is none."""
    is_frame = hasattr(dataset, "to_numpy")  # pandas' and polars'
    named = getattr(dataset, "columns" if is_frame else "column_names", None)
    if named is not None and name in list(named):
        return list(plain(dataset[name]))
    values = getattr(dataset, name, None)
    if values is None or isinstance(values, str | bytes | Mapping) or callable(values):
        return None
    return values if hasattr(values, "__len__") and hasattr(values, "__getitem__") else None


def class_names(dataset: Any) -> list[str] | None:
    """The names of the classes that a data set says: `classes`, `class_names`, or its label's ClassLabel."""
    features = getattr(dataset, "features", None)
    labels = [getattr(features.get(name), "names", None) for name in _LABELS] if isinstance(features, Mapping) else []
    said: Any
    for said in (*(getattr(dataset, name, None) for name in _CLASSES), *labels):
        names = said.tolist() if hasattr(said, "tolist") else said  # an encoder's classes_ are an array
        if isinstance(names, list | tuple) and names and all(isinstance(name, str) for name in names):
            return list(names) if len(set(names)) == len(names) else None
    if _is_subset(dataset):
        return class_names(dataset.dataset)
    parts = [class_names(part) for part in dataset.datasets] if _is_joined(dataset) else []
    return parts[0] if all(names == parts[0] for names in parts[1:]) and parts else None


def _is_joined(dataset: Any) -> bool:
    """Whether it is torch's ConcatDataset, whose parts may all have the same classes."""
    return any(kind.__name__ == "ConcatDataset" for kind in type(dataset).__mro__) and hasattr(dataset, "datasets")
