"""Which hashes come more than once."""

from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from secondguess.analysis.store.id_sets import Hashes, repeated
from secondguess.analysis.store.kept import KeptColumns

MOST_HELD = 4 << 20
_PART_BITS = 6
_PARTS = 1 << _PART_BITS


class Recurrence:
    """Hashes of 64 bits, of which it tells those that recur, in 100 MB of memory however many there are.

    Beyond MOST_HELD they wait in a temporary file, in 64 parts by their highest bits, of which one at a time is in
    memory. Raises OSError where the disk does not take them.
    """

    def __init__(self, most_held: int = MOST_HELD) -> None:
        self._most_held = most_held
        self._added = self._waiting = 0
        self._held: list[Hashes] = []
        self._file: KeptColumns | None = None

    def add(self, hashes: Hashes) -> None:
        """Take the next ones."""
        self._held.append(hashes)
        self._added += len(hashes)
        self._waiting += len(hashes)
        if self._waiting > self._most_held:
            self._put_away()

    def again(self) -> int:
        """How many were there before, each time that they came."""
        return self._added - sum(int(np.count_nonzero(_differ(part, 1))) for part in self._parts())

    def repeated(self) -> Iterator[Hashes]:
        """Those that came more than once, each once, in order, in pieces of at least one."""
        return (again for part in self._parts() if (again := repeated(part)).size)

    def _parts(self) -> Iterator[Hashes]:
        """All of them, but each twice at most once they are put away, sorted and in parts; equal ones in the same."""
        if self._file is None:
            self._held = [_sorted(self._held)]
            yield from self._held
            return
        self._put_away()
        for part in range(_PARTS):
            batches = self._file.read(slice(part, None, _PARTS))
            yield _sorted([batch.column(0).to_numpy() for batch in batches])

    def _put_away(self) -> None:
        self._file = self._file or KeptColumns()
        hashes = _sorted(self._held)
        hashes = hashes[_differ(hashes, 2)]  # of an id that comes a million times two are enough
        bounds = np.arange(1, _PARTS, dtype=np.uint64) << np.uint64(64 - _PART_BITS)
        for part in np.split(hashes, np.searchsorted(hashes, bounds)):
            self._file.add([pa.array(part)])
        self._held, self._waiting = [], 0


def _sorted(several: list[Hashes]) -> Hashes:
    hashes = np.concatenate(several) if several else np.zeros(0, np.uint64)
    hashes.sort()
    return hashes


def _differ(hashes: Hashes, back: int) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Of sorted hashes, which are another one than so many places before."""
    differ = np.ones(len(hashes), np.bool_)
    differ[back:] = hashes[back:] != hashes[:-back]
    return differ
