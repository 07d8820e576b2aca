"""Hashes that come again, in memory or in files."""

import subprocess
import sys

import numpy as np
import pytest

from secondguess.analysis.store.recurrence import Recurrence

TOP = 1 << 63
COUNT = """
import numpy as np, resource
from secondguess.analysis.store.recurrence import Recurrence
numbers = np.random.default_rng(0)
hashes = Recurrence()
def add(millions):
    for _ in range(millions):
        hashes.add(numbers.integers(0, 1 << 64, 1_000_000, np.uint64))
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
few, many = add(10), add(40)
print(hashes.again(), few // 1024, max(many, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss) // 1024)
"""


@pytest.mark.parametrize("most_held", [0, 2, 100])
@pytest.mark.parametrize(
    ("batches", "again", "repeated"),
    [
        ([], 0, []),
        ([[]], 0, []),
        ([[1, TOP, 1 << 58]], 0, []),
        ([[7, 7, 7]], 2, [7]),
        ([[1, TOP], [2, TOP], [1, 3, TOP]], 3, [1, TOP]),
        ([[5, 4, 3, 2, 1, 0], [0, 1, 2, 3, 4, 5]], 6, [0, 1, 2, 3, 4, 5]),
    ],
)
def test_each_that_is_there_already_came_before(
    batches: list[list[int]], again: int, repeated: list[int], most_held: int
) -> None:
    hashes = Recurrence(most_held)
    for batch in batches:
        hashes.add(np.array(batch, np.uint64))
    for _ in range(2):
        assert hashes.again() == again
        assert [one for piece in hashes.repeated() for one in piece.tolist()] == repeated


def test_fifty_million_take_no_more_memory_than_ten() -> None:
    done = subprocess.run([sys.executable, "-c", COUNT], capture_output=True, text=True, check=True)
    again, few, many = map(int, done.stdout.split())
    assert again == 0
    assert many < few + 32, f"{few} MB, then {many} MB"
