"""What an import takes of memory does not grow with the rows of its file."""

import subprocess
import sys
from pathlib import Path

import pytest

from secondguess.analysis.store.runs import find_epoch

BLOCK = 50_000
FEW, MANY = 200, 600  # blocks: ten million rows are more than is held in memory anyway
MOST_GROWTH = 120_000_000

IMPORT = """
import sys
from secondguess.analysis.cli import main
main(sys.argv[1:])
print(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")))
"""


def peak(folder: Path, blocks: int) -> int:
    """The bytes that an import takes at most of a file in which each id comes in two epochs."""
    path = folder / f"{blocks}.csv"
    rests = [f",{row % 10},{row % 7}\n" for row in range(BLOCK)]
    with path.open("w") as file:
        file.write("id,epoch,guess,truth\n")
        for block in range(blocks):
            epoch, start = divmod(block, blocks // 2)
            file.writelines(f"{start * BLOCK + row:09d},{epoch}{rest}" for row, rest in enumerate(rests))
    command = [sys.executable, "-c", IMPORT, "import", str(path), "--run", f"r{blocks}", "--store", str(folder / "s")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    path.unlink()
    assert f"{blocks * BLOCK // 2:,} ids come again, but not within one epoch" in done.stdout
    return int(done.stdout.split()[-1]) * 1024


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads the peak of memory as Linux tells it")
def test_three_times_as_many_rows_of_ids_that_come_again_take_no_more_memory(tmp_path: Path) -> None:
    few, many = peak(tmp_path, FEW), peak(tmp_path, MANY)
    assert many < few + MOST_GROWTH, f"{few:,} bytes of memory, then {many:,}"
    found = find_epoch(tmp_path / "s", f"r{MANY}", "test_predictions", 1)
    assert found.rows == MANY * BLOCK and not found.unique
