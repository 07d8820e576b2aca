"""Arrow without pandas: in a process that imports, and nowhere else."""

import subprocess
import sys
from pathlib import Path

import pytest

TABLE = '{"columns": ["id", "guess", "when"], "data": [["a", 1, null], ["b", 2, null]]}'
IMPORT = """
import sys
from secondguess.analysis.cli import main
main(["import", sys.argv[1], "--store", sys.argv[2]])
print(*sorted({"pandas", "duckdb", "wandb", "rich", "torch"} & set(sys.modules)))
"""
LATER = """
from secondguess.analysis.importers.unseen_pandas import keep_pandas_unseen
keep_pandas_unseen()
import pyarrow as pa
print(pa.table({"a": [1, 2]}).to_pandas()["a"].tolist())
import pandas
print(pa.array(pandas.Series([1.5, None])).to_pylist())
"""

THREADS = """
import os
from secondguess.analysis.importers.unseen_pandas import keep_pandas_unseen
keep_pandas_unseen()
import numpy
names = [open(f"/proc/self/task/{thread}/comm").read() for thread in os.listdir("/proc/self/task")]
own = open("/proc/self/comm").read()  # as the threads of OpenBLAS are called too, and that of Arrow's allocator is not
print(names.count(own), os.environ.get("OPENBLAS_NUM_THREADS"))
"""


def said(code: str, *arguments: str) -> list[str]:
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


def test_an_import_loads_neither_pandas_nor_anything_else_that_it_does_not_need(tmp_path: Path) -> None:
    (tmp_path / "t.table.json").write_text(TABLE)
    assert said(IMPORT, str(tmp_path / "t.table.json"), str(tmp_path / "store"))[-1] == ""


def test_whoever_asks_arrow_for_pandas_still_gets_it() -> None:
    assert said(LATER) == ["[1, 2]", "[1.5, None]"]


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="only Linux says how many threads a process has")
def test_numpy_comes_without_threads_that_turn_in_circles_and_what_is_started_later_may_have_them() -> None:
    assert said(THREADS) == ["1 None"]
