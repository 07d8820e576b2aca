"""Importing an offline W&B table against the time W&B took to log it, and a large table file.

    python tests/benchmarks/bench_importing.py --mnist DIR

10,000 rows with MNIST's images and 10 scores. W&B logs them as a script of the tutorial's kind does: init, a table
built a row at a time, `run.log`, finish. Then `secondguess import` takes the run folder. Each is a process of its own,
in turn, timed from its start to its end; of each also the time without loading packages (and, for W&B, `init`), and
the processor time, which the disk does not change. Python keeps what it compiles, as for packages that pip installed:
the first round, in which it does, is not counted. Then a `.table.json` of 1 GB without images. Then 400,000 rows in the
formats that people have, each beside a peer in the same run: DuckDB, which writes the same as Parquet (CSV read as all
text), and orjson, whose values become columns of Arrow; once with any numbers as scores, once with probabilities. Of
these the processor time counts, of whole processes.
"""

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from bench_recording import likely_scores
from timing import in_turn, machine, ratio

from secondguess.trainer.reference.datasets import load

LOG = """
import sys, time
import numpy as np
import wandb
rows = np.load(sys.argv[1])
images, truth, scores, ids = (rows[name] for name in ("images", "truth", "scores", "ids"))
run = wandb.init(project="bench", settings=wandb.Settings(console="off", x_disable_stats=True))
start = time.perf_counter()
table = wandb.Table(columns=["id", "image", "guess", "truth", *(f"score_{i}" for i in range(10))])
for row, name in enumerate(ids):
    guess = int(scores[row].argmax())
    table.add_data(str(name), wandb.Image(images[row]), guess, int(truth[row]), *scores[row].tolist())
run.log({"test_predictions": table, "epoch": 1})
run.finish()
print(time.perf_counter() - start)
"""
IMPORT = """
import sys, time
from secondguess.analysis.cli import cli, main
cli.get_command(None, "import")
import secondguess.analysis.importers.unseen_pandas
secondguess.analysis.importers.unseen_pandas.keep_pandas_unseen()
import secondguess.analysis.importers.importing
start = time.perf_counter()
main(["import", *sys.argv[1:]])
print(time.perf_counter() - start)
print(next((line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")), 0))
"""
PARTS = ("start to end", "without loading packages", "processor time")
Times = tuple[float, float, float]


def main() -> None:
    """Run the rounds and print the table."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--mnist", required=True, metavar="DIR", help="the folder with MNIST's raw files")
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--megabytes", type=int, default=1000, help="size of the large table file")
    chosen = options.parse_args()
    _, test = load("mnist", chosen.mnist)
    truth = test.labels.numpy()
    logged: list[Times] = []
    imported: list[Times] = []
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    for seed in range(chosen.rounds + 1):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            scores = likely_scores(seed, truth, 1)[0]
            np.savez(folder / "rows.npz", images=test.images.numpy(), truth=truth, scores=scores, ids=list(test.ids))
            logged.append(_timed(LOG, [str(folder / "rows.npz")], folder)[0])
            imported.append(_timed(IMPORT, [str(folder / "wandb"), "--store", str(folder / "store")], folder)[0])
    print(f"\nImporting from W&B ({machine()})\n")
    print("| 10,000 rows with images | W&B log, s | secondguess import, s | ratio |\n|---|--:|--:|--:|")
    counted = zip(*logged[1:], strict=True), zip(*imported[1:], strict=True)
    for part, theirs, ours in zip(PARTS, *counted, strict=True):
        middle = [statistics.median(times) for times in (theirs, ours)]
        print(f"| {part} | {middle[0]:.2f} | {middle[1]:.2f} | {ratio(theirs, ours)} |")
    _large(chosen.megabytes)
    _formats(chosen.rounds, probable=False)
    _formats(chosen.rounds, probable=True)


def _large(megabytes: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "large.table.json"
        rows = _write(path, megabytes * 1_000_000)
        size = path.stat().st_size / 1e6
        times, peak = _timed(IMPORT, [str(path), "--store", str(Path(name) / "store")], Path(name))
    print("\n| rows without images | file, MB | secondguess import, s | peak of memory, MB |\n|--:|--:|--:|--:|")
    print(f"| {rows:,} | {size:,.0f} | {times[0]:.1f} | {peak / 1e3:,.0f} |")


COPY = """
import sys, duckdb
read = f"read_csv('{sys.argv[1]}', all_varchar=true)" if sys.argv[1].endswith("csv") else f"'{sys.argv[1]}'"
duckdb.sql(f"COPY (FROM {read}) TO '{sys.argv[1]}.copy' (FORMAT parquet, COMPRESSION zstd)")
"""
COLUMNS = """
import gc, sys, pyarrow as pa
from orjson import loads
gc.set_threshold(100_000)
with open(sys.argv[1], "rb") as file:
    if sys.argv[1].endswith("table.json"):
        columns = zip(*loads(file.read())["data"])
    else:
        rows = [loads(line) for line in file]
        columns = ([row.get(key) for row in rows] for key in rows[0])
    arrays = [pa.array(column) for column in columns]
"""
PEERS = {"csv": COPY, "parquet": COPY, "jsonl": COLUMNS, "table.json": COLUMNS}


def _formats(rounds: int, probable: bool = False) -> None:
    """The formats beside their peers; the scores are any numbers from 0 to 1, or probable ones that add up to 1."""
    what = "400,000 rows of probabilities" if probable else "400,000 rows"
    print(f"\n| {what} as | peer, s of processor | secondguess import, s | ratio |\n|---|--:|--:|--:|")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _write_formats(folder, probable)
        for kind, peer in PEERS.items():
            path = folder / f"large.{kind}"
            peers: dict[str, Callable[[], float]] = {
                "theirs": lambda path=path, peer=peer: _processor(peer, [str(path)], folder),  # type: ignore[misc]
                "ours": lambda path=path: _imported(path, folder),  # type: ignore[misc]
            }
            times = in_turn(peers, rounds + 1)
            theirs, ours = times["theirs"][1:], times["ours"][1:]
            middle = [statistics.median(one) for one in (theirs, ours)]
            print(f"| {kind} | {middle[0]:.2f} | {middle[1]:.2f} | {ratio(ours, theirs)} |")


def _imported(path: Path, folder: Path) -> float:
    with tempfile.TemporaryDirectory(dir=folder) as store:
        return _processor(IMPORT, [str(path), "--store", store], folder)


def _processor(code: str, arguments: Sequence[str], folder: Path) -> float:
    return _timed(f"{code}\nprint(0)", arguments, folder)[0][2]


def _write_formats(folder: Path, probable: bool = False) -> None:
    """The rows of the large table, 400,000 of them, in each format."""
    chance = random.Random(0)
    rests = []
    for row in range(50_000):
        scores, guess = [chance.random() for _ in range(10)], row % 10
        if probable:
            scores = [score**6 for score in scores]
            scores, guess = [score / sum(scores) for score in scores], scores.index(max(scores))
        rests.append([guess, row % 7, *scores])
    names = ["id", "guess", "truth", *(f"score_{i}" for i in range(10))]
    rows = [[f"test-{at:07d}", *rests[at % 50_000]] for at in range(400_000)]
    with (folder / "large.csv").open("w") as file:
        file.writelines(",".join(map(str, row)) + "\n" for row in [names, *rows])
    with (folder / "large.jsonl").open("w") as file:
        file.writelines(json.dumps(dict(zip(names, row, strict=True))) + "\n" for row in rows)
    with (folder / "large.table.json").open("w") as file:
        json.dump({"columns": names, "data": rows}, file)
    pq.write_table(pa.table(dict(zip(names, zip(*rows, strict=True), strict=True))), folder / "large.parquet")


def _write(path: Path, size: int) -> int:
    """A table of 50,000 rows again and again under new ids, as `wandb.Table` writes it; returns how many rows."""
    chance = random.Random(0)
    rests = [json.dumps([row % 10, row % 7, *(chance.random() for _ in range(10))])[1:] for row in range(50_000)]
    rows = 0
    with path.open("w") as file:
        columns = ["id", "guess", "truth", *(f"score_{i}" for i in range(10))]
        file.write(json.dumps({"columns": columns})[:-1] + ', "data": [')
        while file.tell() < size:
            block = (f'["test-{rows + row:07d}", {rest}' for row, rest in enumerate(rests))
            file.write((", " if rows else "") + ", ".join(block))
            rows += len(rests)
        file.write("]}")
    return rows


def _timed(code: str, arguments: Sequence[str], folder: Path) -> tuple[Times, float]:
    """The seconds of PARTS that a process took, and the last number it printed."""
    places = {f"WANDB_{name}_DIR": str(folder) for name in ("DATA", "CACHE", "CONFIG", "ARTIFACT")}
    places["WANDB_DIR"] = str(folder)
    quiet = {"WANDB_MODE": "offline", "WANDB_SILENT": "true", "WANDB_ERROR_REPORTING": "false"}
    before, start = os.times(), time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        env=os.environ | places | quiet,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        check=True,
    )
    taken, after = time.perf_counter() - start, os.times()
    said = [line for line in done.stdout.splitlines() if line.replace(".", "").isdecimal()]
    processor = after.children_user + after.children_system - before.children_user - before.children_system
    return (taken, float(said[0]), processor), float(said[-1])


if __name__ == "__main__":
    main()
