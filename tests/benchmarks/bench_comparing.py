"""Comparing two tables: of 10 million rows against the join written by hand, of MNIST against a bare Python process.

    python tests/benchmarks/bench_comparing.py --mnist DIR [--rows 10000000]

By hand is one DuckDB statement over the same two files, joined by position, with the same counts: what became of the
examples, by truth and both guesses. The bare process imports duckdb and SciPy, runs that statement on the MNIST tables
and computes an exact binomial test. The pairs run in turn.
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import duckdb
import numpy as np
from bench_recording import likely_scores
from timing import in_turn, machine, ratio

import secondguess as sg
from secondguess.analysis.store.runs import list_runs
from secondguess.trainer.recorder import Recorder
from secondguess.trainer.reference.datasets import load

BY_HAND = """SELECT
  CASE
    WHEN a.truth IS NULL OR a.truth <> b.truth THEN NULL
    WHEN a.guess = a.truth AND b.guess = b.truth THEN 'both_right'
    WHEN a.guess = a.truth THEN 'broken'
    WHEN b.guess = b.truth THEN 'fixed'
    WHEN a.guess = b.guess THEN 'both_wrong_same'
    ELSE 'both_wrong_other'
  END AS outcome, a.truth, a.guess, b.guess, count(*)
FROM (SELECT id, guess, truth FROM read_parquet('{a}') WHERE epoch = {epoch}) a
POSITIONAL JOIN (SELECT id, guess, truth FROM read_parquet('{b}') WHERE epoch = {epoch}) b
GROUP BY ALL ORDER BY ALL"""
BARE = """import duckdb, sys
from scipy.stats import binomtest
rows = duckdb.connect().execute(sys.argv[1]).fetchall()
count = lambda name: sum(row[-1] for row in rows if row[0] == name)
print(binomtest(count('fixed'), count('fixed') + count('broken')).pvalue)"""
PART = 500_000  # rows that are added at once


def main() -> None:
    """Record the stores, run the pairs, print the table."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--mnist", required=True, metavar="DIR", help="the folder with MNIST's raw files")
    options.add_argument("--rows", type=int, default=10_000_000)
    options.add_argument("--rounds", type=int, default=7)
    chosen = options.parse_args()
    print(f"\nComparing two tables ({machine()})\n")
    print("| | by hand, s | secondguess, s | ratio | target | met |\n|---|--:|--:|--:|--:|---|")
    with tempfile.TemporaryDirectory() as folder:
        large = Path(folder) / "large"
        for seed, run in enumerate(("a", "b")):
            _record_large(large, run, chosen.rows, seed)
        store, con, sql = sg.connect(large), duckdb.connect(), by_hand(large, "a", "b", 1)
        assert sum(row[-1] for row in con.execute(sql).fetchall()) == store.compare("a", "b").counts.n
        peers: dict[str, Callable[[], float]] = {
            "bare": lambda: _timed(lambda: con.execute(sql).fetchall()),
            "ours": lambda: _timed(lambda: store.compare("a", "b")),
        }
        _row(f"{chosen.rows:,} rows, in one process", peers, chosen.rounds, 1.3)
        small = Path(folder) / "mnist"
        _record_mnist(small, chosen.mnist)
        ours = [sys.executable, "-m", "secondguess", "compare", "cnn@1", "double@1", "--store", str(small)]
        bare = [sys.executable, "-c", BARE, by_hand(small, "cnn", "double", 1)]
        _row("MNIST, a process, start to end", {"bare": _process(bare), "ours": _process(ours)}, 3 * chosen.rounds, 2)


def by_hand(store: Path, a: str, b: str, epoch: int) -> str:
    """The statement that one would write over two tables' files."""
    runs = list_runs(store)
    files = {name: runs[run].tables["test_predictions"][epoch].file for name, run in (("a", a), ("b", b))}
    return BY_HAND.format(**files, epoch=epoch)


def _row(what: str, peers: dict[str, Callable[[], float]], rounds: int, target: float) -> None:
    in_turn(peers, 2)  # the page cache
    times = in_turn(peers, rounds)
    middle = {name: statistics.median(found) for name, found in times.items()}
    met = "yes" if middle["ours"] / middle["bare"] <= target else "no"
    more = ratio(times["ours"], times["bare"])
    print(f"| {what} | {middle['bare']:.3f} | {middle['ours']:.3f} | {more} | {target} | {met} |")


def _record_large(store: Path, run: str, rows: int, seed: int) -> None:
    truth = np.random.default_rng(0).integers(0, 10, rows)
    wrong = np.random.default_rng(seed + 1).random(rows) < 0.03
    with Recorder(store, run=run) as recorder, recorder.table("test_predictions", epoch=1) as table:
        for start in range(0, rows, PART):
            part = slice(start, min(start + PART, rows))
            guess = np.where(wrong[part], (truth[part] + 1) % 10, truth[part])
            table.add(ids=[f"{place:08d}" for place in range(part.start, part.stop)], truth=truth[part], guess=guess)


def _record_mnist(store: Path, mnist: str) -> None:
    _, test = load("mnist", mnist)
    truth = test.labels.numpy()
    for seed, run in enumerate(("cnn", "double")):
        with Recorder(store, run=run) as recorder, recorder.table("test_predictions", epoch=1) as table:
            scores_BxC = next(iter(likely_scores(seed, truth, 1)))
            table.add(ids=list(test.ids), images=test.images.numpy(), truth=truth, scores=scores_BxC)


def _process(command: list[str]) -> Callable[[], float]:
    return lambda: _timed(lambda: subprocess.run(command, check=True, capture_output=True))


def _timed(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
