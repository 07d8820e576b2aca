"""Hashes of rows, and how many of them come again."""

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from secondguess.analysis.importers.wandb.table.kept import KeptColumns

Array = NDArray[np.uint64]

MOST_HELD = 4 << 20
_PART_BITS = 6


class Hashes:
    """The different ones among hashes of 64 bits, in 100 MB of memory however many there are.

    Of more than MOST_HELD each keeps to one of 64 temporary files by its highest bits, so that each is counted alone.
    """

    def __init__(self, most_held: int = MOST_HELD) -> None:
        self._most_held = most_held
        self._added = self._waiting = 0
        self._held: list[Array] = []
        self._parts: list[KeptColumns] = []

    def add(self, hashes: Array) -> None:
        """Take the next ones; raises OSError where the disk does not take what there is no memory for."""
        self._held.append(hashes)
        self._added += len(hashes)
        self._waiting += len(hashes)
        if self._waiting > self._most_held:
            self._put_away()

    def again(self) -> int:
        """How many came before."""
        if not self._parts:
            return self._added - len(_different(self._held))
        self._put_away()
        return self._added - sum(map(_count, self._parts))

    def _put_away(self) -> None:
        self._parts = self._parts or [KeptColumns() for _ in range(1 << _PART_BITS)]
        hashes = _different(self._held)  # of an id that comes a million times one is kept
        bounds = np.arange(1, 1 << _PART_BITS, dtype=np.uint64) << np.uint64(64 - _PART_BITS)
        for part, own in zip(self._parts, np.split(hashes, np.searchsorted(hashes, bounds)), strict=True):
            part.add([pa.array(own)])
        self._held, self._waiting = [], 0


def _different(several: list[Array]) -> Array:
    """Each hash once, in order; np.unique does the same and loads more of NumPy."""
    hashes = np.concatenate([np.zeros(0, np.uint64), *several])
    hashes.sort()
    is_first = np.ones(len(hashes), np.bool_)
    is_first[1:] = hashes[1:] != hashes[:-1]
    return hashes[is_first]


def _count(part: KeptColumns) -> int:
    return len(_different([batch.column(0).to_numpy() for batch in part.read()]))
