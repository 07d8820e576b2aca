"""`secondguess ask errors` from start to end, against a bare Python process that runs the same SQL with DuckDB.

    python tests/benchmarks/bench_asking.py --mnist DIR

The store holds two runs of 5 epochs with 10,000 rows each and MNIST's images, as recorded by training. Both processes
are started anew each time; the pairs run in turn.
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench_recording import likely_scores
from timing import in_turn, machine, ratio

import secondguess as sg
from secondguess.trainer.recorder import Recorder
from secondguess.trainer.reference.datasets import load

BARE = "import duckdb, sys; print(duckdb.connect().execute(sys.argv[1]).fetchall())"


def main() -> None:
    """Record the store, run the pairs, print the table."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--mnist", required=True, metavar="DIR", help="the folder with MNIST's raw files")
    options.add_argument("--rounds", type=int, default=15)
    chosen = options.parse_args()
    _, test = load("mnist", chosen.mnist)
    truth = test.labels.numpy()
    with tempfile.TemporaryDirectory() as folder:
        store = Path(folder) / "predictions"
        for seed, run in enumerate(("cnn", "double")):
            with Recorder(store, run=run) as recorder:
                for epoch, scores_BxC in enumerate(likely_scores(seed, truth, 5), 1):
                    with recorder.table("test_predictions", epoch=epoch, dataset="mnist-test") as table:
                        table.add(ids=list(test.ids), images=test.images.numpy(), truth=truth, scores=scores_BxC)
        sql = sg.connect(store).statement("errors", "cnn@5").text
        ours = [sys.executable, "-m", "secondguess", "ask", "errors", "cnn@5", "--store", str(store)]
        peers = {"ours": lambda: _timed(ours), "bare": lambda: _timed([sys.executable, "-c", BARE, sql])}
        in_turn(peers, 2)  # the page cache
        times = in_turn(peers, chosen.rounds)
    middle = {name: statistics.median(found) for name, found in times.items()}
    print(f"\nAsking for the errors of an epoch, 10,000 rows, two runs of 5 epochs ({machine()})\n")
    print("| | bare duckdb, s | secondguess ask, s | ratio |\n|---|--:|--:|--:|")
    times_more = ratio(times["ours"], times["bare"])
    print(f"| process, start to end | {middle['bare']:.3f} | {middle['ours']:.3f} | {times_more} |")


def _timed(command: list[str]) -> float:
    start = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
