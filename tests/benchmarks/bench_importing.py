"""Importing an offline W&B table against the time W&B took to log it, and a large table file.

    python tests/benchmarks/bench_importing.py --mnist DIR

10,000 rows with MNIST's images and 10 scores: `run.log` of a table built a row at a time, then `secondguess import` of
the run folder, start to end, in turn. Then a `.table.json` of a million rows without images.
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
from pathlib import Path

import wandb
from bench_recording import likely_scores
from timing import machine, ratio

from trainer.datasets import load


def main() -> None:
    """Run the rounds and print the table."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--mnist", required=True, metavar="DIR", help="the folder with MNIST's raw files")
    options.add_argument("--rounds", type=int, default=2)
    options.add_argument("--rows", type=int, default=1_000_000, help="rows of the large table file")
    chosen = options.parse_args()
    _, test = load("mnist", chosen.mnist)
    logged, imported = [], []
    for seed in range(chosen.rounds):
        with tempfile.TemporaryDirectory() as folder:
            logged.append(_log(Path(folder), test, seed))
            imported.append(_import(Path(folder) / "wandb", Path(folder) / "store"))
    with tempfile.TemporaryDirectory() as folder:
        path = _large(Path(folder) / "large.table.json", chosen.rows)
        megabytes, large = path.stat().st_size / 1e6, _import(path, Path(folder) / "store")
    print(f"\nImporting from W&B ({machine()})\n")
    print("| | W&B log, s | secondguess import, s | ratio |\n|---|--:|--:|--:|")
    middle = [statistics.median(times) for times in (logged, imported)]
    print(f"| 10,000 rows with images | {middle[0]:.2f} | {middle[1]:.2f} | {ratio(logged, imported)} |")
    print(f"| {chosen.rows:,} rows without images, {megabytes:.0f} MB | | {large:.2f} | |")


def _log(folder: Path, test: object, seed: int) -> float:
    for name in ("WANDB_DIR", "WANDB_DATA_DIR", "WANDB_CACHE_DIR", "WANDB_CONFIG_DIR", "WANDB_ARTIFACT_DIR"):
        os.environ[name] = str(folder)
    os.environ.update(WANDB_MODE="offline", WANDB_SILENT="true", WANDB_ERROR_REPORTING="false")
    images, truth = test.images.numpy(), test.labels.numpy()
    (scores_BxC,) = likely_scores(seed, truth, 1)
    run = wandb.init(project="bench", settings=wandb.Settings(console="off", x_disable_stats=True))
    start = time.perf_counter()
    table = wandb.Table(columns=["id", "image", "guess", "truth", *(f"score_{i}" for i in range(10))])
    for row, name in enumerate(test.ids):
        guess = int(scores_BxC[row].argmax())
        table.add_data(name, wandb.Image(images[row]), guess, int(truth[row]), *scores_BxC[row].tolist())
    run.log({"test_predictions": table, "epoch": 1})
    taken = time.perf_counter() - start
    run.finish()
    wandb.teardown()
    return taken


def _large(path: Path, rows: int) -> Path:
    chance = random.Random(0)
    columns = ["id", "guess", "truth", *(f"score_{i}" for i in range(10))]
    with path.open("w") as out:
        out.write(json.dumps({"columns": columns})[:-1] + ', "data": [')
        for row in range(rows):
            cells = [f"test-{row:07d}", row % 10, row % 7, *(chance.random() for _ in range(10))]
            out.write(("," if row else "") + json.dumps(cells))
        out.write("]}")
    return path


def _import(source: Path, store: Path) -> float:
    start = time.perf_counter()
    command = [sys.executable, "-m", "analysis", "import", str(source), "--store", str(store)]
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
