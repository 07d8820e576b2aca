"""A table file of 1 GB is imported in less memory than it has bytes."""

import json
import random
import subprocess
import sys
from pathlib import Path

import pytest

from secondguess.analysis.store.runs import find_epoch

BYTES = 1_000_000_000
ROWS = 50_000  # in a block, which is written again and again under new ids

IMPORT = """
import sys
from secondguess.analysis.cli import main
main(sys.argv[1:])
print(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")))
"""


@pytest.fixture
def large(tmp_path: Path) -> Path:
    """A table of ids, guesses, truths and ten scores, as wandb.Table writes it."""
    chance = random.Random(0)
    rests = [
        json.dumps([row % 10, row % 7, *(chance.random() for _ in range(10))]).removeprefix("[") for row in range(ROWS)
    ]
    path = tmp_path / "large.table.json"
    names = ["id", "guess", "truth", *(f"score_{number}" for number in range(10))]
    with path.open("w") as file:
        file.write(json.dumps({"columns": names})[:-1] + ', "data": [')
        start = 0
        while file.tell() < BYTES:
            rows = (f'["test-{start + row:07d}", {rest}' for row, rest in enumerate(rests))
            file.write((", " if start else "") + ", ".join(rows))
            start += ROWS
        file.write("]}")
    return path


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads the peak of memory as Linux tells it")
def test_a_table_of_a_gigabyte_takes_less_than_that_of_memory(large: Path, tmp_path: Path) -> None:
    size = large.stat().st_size
    command = [sys.executable, "-c", IMPORT, "import", str(large), "--run", "r", "--store", str(tmp_path / "store")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    large.unlink()
    peak = int(done.stdout.split()[-1]) * 1024
    found = find_epoch(tmp_path / "store", "r", "large", 1)
    blocks = found.rows // ROWS
    assert size >= BYTES and found.rows == blocks * ROWS > 4_000_000
    assert found.errors == blocks * sum(row % 10 != row % 7 for row in range(ROWS))
    assert found.unique
    assert peak < BYTES, f"{peak:,} bytes of memory for {size:,} of the file"
