"""Training dynamics of 10 runs x 20 epochs x 60,000 rows against pandas and polars, each from Parquet to one answer.

    python tests/benchmarks/bench_dynamics.py [--rows 60000]

pandas is vectorised: it reads the columns it needs, sorts by run, id and epoch, computes row by row in NumPy, and
groups once (groupby.agg, no apply); polars does the same lazily, with its windows. The three run in turn.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
from timing import in_turn, machine, ratio

import secondguess as sg
from secondguess.trainer.recorder import Recorder

CLASSES, RUNS, EPOCHS = 10, 10, 20
SCORES = [f"score_{index}" for index in range(CLASSES)]
COLUMNS = ["run", "epoch", "id", "guess", "truth", "truth_score", *SCORES]
LEAST = 2.0**-149


def main() -> None:
    """Record the store, run the three in turn, print the table."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--rows", type=int, default=60_000)
    options.add_argument("--rounds", type=int, default=3)
    chosen = options.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "predictions"
        for run in range(RUNS):
            _record(path, run, chosen.rows)
        store = sg.connect(path)
        files = sorted(map(str, path.glob("*/test_predictions/*.parquet")))
        names = [f"r{run}" for run in range(RUNS)]
        peers: dict[str, Callable[[], object]] = {
            "pandas": lambda: by_pandas(files),
            "polars": lambda: by_polars(files),
            "ours": lambda: store.ask("dynamics", *names).to_arrow_table(),
        }
        _same(by_pandas(files), store.ask("dynamics", *names).df())
        times = in_turn({name: _timed(call) for name, call in peers.items()}, chosen.rounds)
    middle = {name: statistics.median(found) for name, found in times.items()}
    print(f"\nTraining dynamics of {RUNS * EPOCHS * chosen.rows:,} rows ({machine()})\n")
    print("| | s | secondguess takes | target |\n|---|--:|--:|--:|")
    for name in ("pandas", "polars"):
        goal = "0.1" if name == "pandas" else ""
        print(f"| {name} | {middle[name]:.2f} | {ratio(times['ours'], times[name])} | {goal} |")
    print(f"| secondguess | {middle['ours']:.2f} | | |")


def _record(store: Path, run: int, rows: int) -> None:
    random = np.random.default_rng(run)
    truth = np.random.default_rng(99).integers(0, CLASSES, rows)
    ids = [f"train-{place:05d}" for place in range(rows)]
    with Recorder(store, run=f"r{run}") as recorder:
        for epoch in range(1, EPOCHS + 1):
            logits = random.normal(size=(rows, CLASSES)).astype(np.float32) * 2
            logits[np.arange(rows), truth] += epoch / 4
            powers = np.exp(logits - logits.max(1, keepdims=True))
            with recorder.table("test_predictions", epoch=epoch) as table:
                table.add(ids=ids, truth=truth, scores=powers / powers.sum(1, keepdims=True))


def by_pandas(files: list[str]) -> pd.DataFrame:
    """The numbers of `ask dynamics`, as one would write them with pandas."""
    frame = pd.concat([pd.read_parquet(file, columns=COLUMNS) for file in files], ignore_index=True)
    frame = frame.sort_values(["run", "id", "epoch"], kind="stable", ignore_index=True)
    scores, truth = frame[SCORES].to_numpy(copy=True), frame["truth"].to_numpy()
    scores[np.arange(len(scores)), truth] = -1
    frame["p"] = frame["truth_score"].astype("float64")
    other = np.maximum(scores.max(1).astype("float64"), LEAST)
    frame["margin"] = np.log(np.maximum(frame["p"], LEAST)) - np.log(other)
    frame["right"] = frame["guess"] == frame["truth"]
    again = (frame["run"] == frame["run"].shift()) & (frame["id"] == frame["id"].shift())
    before = frame["right"].shift(fill_value=False)
    frame["forgotten"] = again & before & ~frame["right"]
    frame["flipped"] = again & (frame["guess"] != frame["guess"].shift())
    frame["learned"] = frame["epoch"].where(frame["right"])
    frame["learned_anew"] = frame["epoch"].where(frame["right"] & ~(again & before))
    frame["missed"] = frame["epoch"].where(~frame["right"])
    by_run = frame.groupby(["run", "id", "truth"], sort=False, observed=True).agg(
        epochs=("epoch", "size"),
        right=("right", "sum"),
        forgotten=("forgotten", "sum"),
        flips=("flipped", "sum"),
        first=("learned", "min"),
        stable=("learned_anew", "max"),
        missed=("missed", "max"),
    )
    by_run["forgotten"] = by_run["forgotten"].where(by_run["right"] > 0, by_run["epochs"])
    by_run["stable"] = by_run["stable"].where(by_run["stable"] > by_run["missed"].fillna(0), np.inf)
    counted = by_run.groupby(["id", "truth"], observed=True).agg(
        {"forgotten": "sum", "flips": "sum", "first": "min", "stable": "max"}
    )
    means = frame.groupby(["id", "truth"], observed=True).agg(
        mean_truth_score=("p", "mean"), correctness=("right", "mean"), aum=("margin", "mean")
    )
    means["variability"] = frame.groupby(["id", "truth"], observed=True)["p"].std(ddof=0)
    return means.join(counted).reset_index()


def by_polars(files: list[str]) -> pl.DataFrame:
    """The same with polars."""
    others = [pl.when(pl.col("truth") != index).then(pl.col(name)) for index, name in enumerate(SCORES)]
    order = {"partition_by": ["run", "id"], "order_by": "epoch"}
    rows = pl.scan_parquet(files).select(
        *("run", "epoch", "id", "truth"),
        pl.col("truth_score").cast(pl.Float64).alias("p"),
        pl.max_horizontal(others).cast(pl.Float64).alias("other"),
        (pl.col("guess") == pl.col("truth")).alias("right"),
        pl.col("guess"),
    )
    rows = rows.with_columns(
        pl.col("right").shift().over(**order).alias("before"),
        (pl.col("guess") != pl.col("guess").shift().over(**order)).alias("flipped"),
        (pl.max_horizontal("p", pl.lit(LEAST)).log() - pl.max_horizontal("other", pl.lit(LEAST)).log()).alias("margin"),
    )
    by_run = rows.group_by("run", "id", "truth").agg(
        pl.len().alias("epochs"),
        pl.col("right").sum().alias("rights"),
        (~pl.col("right") & pl.col("before")).sum().alias("forgotten"),
        pl.col("flipped").sum().alias("flips"),
        pl.col("epoch").filter(pl.col("right")).min().alias("first"),
    )
    counted = by_run.group_by("id", "truth").agg(
        pl.when(pl.col("rights") > 0).then(pl.col("forgotten")).otherwise(pl.col("epochs")).sum().alias("forgotten"),
        pl.col("flips").sum(),
        pl.col("first").min(),
    )
    means = rows.group_by("id", "truth").agg(
        pl.col("p").mean().alias("mean_truth_score"),
        pl.col("p").std(ddof=0).alias("variability"),
        pl.col("right").mean().alias("correctness"),
        pl.col("margin").mean().alias("aum"),
    )
    return means.join(counted, on=["id", "truth"]).sort("id").collect()


def _same(pandas: pd.DataFrame, ours: pd.DataFrame) -> None:
    """Raise AssertionError where they do not come to the same numbers."""
    for theirs, own in (("mean_truth_score", "mean_truth_score"), ("variability", "variability"), ("aum", "aum")):
        np.testing.assert_allclose(pandas[theirs], ours[own], atol=1e-9)
    np.testing.assert_array_equal(pandas["forgotten"], ours["forgetting_events"])
    np.testing.assert_array_equal(pandas["stable"].replace(np.inf, np.nan), ours["stable_since"].astype("float64"))


def _timed(call: Callable[[], object]) -> Callable[[], float]:
    def timed() -> float:
        start = time.perf_counter()
        call()
        return time.perf_counter() - start

    return timed


if __name__ == "__main__":
    main()
