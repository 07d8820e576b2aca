"""The labels of a data set's examples, where a model that looks at these is not given them."""

import random
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import import_module
from typing import Any

import numpy as np

from secondguess.trainer.callbacks import order


def labels(dataset: Any, names: Sequence[str]) -> Sequence[Any] | None:
    """A label for each example: a column of one of these names, else what each item has under one; None without.

    Items are read one by one then, and what they draw by lot is drawn as if they had not been.
    """
    if not hasattr(dataset, "__len__") or not hasattr(dataset, "__getitem__") or not len(dataset):
        return None
    for name in names:
        values = order.column(dataset, name)
        if values is not None and len(values) == len(dataset):
            return values
    with _draws_kept():
        item = dataset[0]
        name = next((name for name in names if isinstance(item, Mapping) and item.get(name) is not None), "")
        return [dataset[place].get(name) for place in range(len(dataset))] if name else None


@contextmanager
def _draws_kept() -> Iterator[None]:
    """A block after which random numbers go on as before it."""
    torch = import_module("torch")
    kept = random.getstate(), np.random.get_state(), torch.get_rng_state()
    try:
        yield
    finally:
        random.setstate(kept[0])
        np.random.set_state(kept[1])
        torch.set_rng_state(kept[2])
