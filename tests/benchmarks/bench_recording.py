"""Recording an epoch's predictions: our Recorder against wandb.Table + log, the same rows, in turn.

    python tests/benchmarks/bench_recording.py --mnist DIR

10,000 rows, 10 scores, 28 x 28 images, 5 epochs a round. W&B runs offline, as in the tutorial: a row at a time into a
table, then `run.log`. Ours takes batches of 64 and returns when the epoch is on the disk (fsync). Disk is what each
leaves: W&B's run folder and its staging folder, our store.
"""

import argparse
import os
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import wandb
from timing import machine, ratio, size

from secondguess.trainer.recorder import Recorder
from secondguess.trainer.reference.datasets import load

BATCH = 64


def main() -> None:
    """Run the rounds and print the table."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--mnist", required=True, metavar="DIR", help="the folder with MNIST's raw files")
    options.add_argument("--rounds", type=int, default=2)
    options.add_argument("--epochs", type=int, default=5)
    chosen = options.parse_args()
    _, test = load("mnist", chosen.mnist)
    images, truth, ids = test.images.numpy(), test.labels.numpy(), list(test.ids)
    first: dict[str, list[float]] = {"wandb": [], "ours": []}
    later: dict[str, list[float]] = {"wandb": [], "ours": []}
    disk: dict[str, list[float]] = {"wandb": [], "ours": []}
    for seed in range(chosen.rounds):
        with tempfile.TemporaryDirectory() as folder:
            scores = likely_scores(seed, truth, chosen.epochs)
            times = _round(Path(folder), ids, images, truth, scores)
            for name in first:
                first[name].append(times[name][0])
                later[name].extend(times[name][1:])
                disk[name].append(size(Path(folder) / name))
    print(f"\nRecording {len(ids):,} rows with images and 10 scores ({machine()})\n")
    print("| | W&B table, s | Recorder, s | ratio |\n|---|--:|--:|--:|")
    for title, times in (("first epoch", first), ("later epochs", later)):
        middle = [statistics.median(times[name]) for name in ("wandb", "ours")]
        print(f"| {title} | {middle[0]:.2f} | {middle[1]:.3f} | {ratio(times['wandb'], times['ours'])} |")
    middle = [statistics.median(disk[name]) / 1e6 for name in ("wandb", "ours")]
    times_less = ratio(disk["wandb"], disk["ours"])
    print(f"| disk of {chosen.epochs} epochs, MB | {middle[0]:.1f} | {middle[1]:.1f} | {times_less} |")


def likely_scores(seed: int, truth: np.ndarray, epochs: int) -> list[np.ndarray]:
    """Softmax scores that look like a trained network's: mostly sure, sometimes wrong."""
    random = np.random.default_rng(seed)
    found = []
    for _ in range(epochs):
        logits = random.normal(0, 2, (len(truth), 10))
        logits[np.arange(len(truth)), truth] += 9
        exp = np.exp(logits - logits.max(1, keepdims=True))
        found.append((exp / exp.sum(1, keepdims=True)).astype(np.float32))
    return found


def _round(folder: Path, ids: list, images: np.ndarray, truth: np.ndarray, scores: list) -> dict[str, list[float]]:
    theirs = folder / "wandb"
    theirs.mkdir()
    for name in ("WANDB_DIR", "WANDB_DATA_DIR", "WANDB_CACHE_DIR", "WANDB_CONFIG_DIR", "WANDB_ARTIFACT_DIR"):
        os.environ[name] = str(theirs)
    os.environ.update(WANDB_MODE="offline", WANDB_SILENT="true", WANDB_ERROR_REPORTING="false")
    times: dict[str, list[float]] = {"wandb": [], "ours": []}
    run = wandb.init(project="bench", settings=wandb.Settings(console="off", x_disable_stats=True))
    with Recorder(folder / "ours", run="bench") as recorder:
        for epoch, scores_BxC in enumerate(scores, 1):
            start = time.perf_counter()
            table = wandb.Table(columns=["id", "image", "guess", "truth", *(f"score_{i}" for i in range(10))])
            for row, name in enumerate(ids):
                guess = int(scores_BxC[row].argmax())
                table.add_data(name, wandb.Image(images[row]), guess, int(truth[row]), *scores_BxC[row].tolist())
            run.log({"test_predictions": table, "epoch": epoch})
            times["wandb"].append(time.perf_counter() - start)
            start = time.perf_counter()
            with recorder.table("test_predictions", epoch=epoch, dataset="mnist-test") as ours:
                for at in range(0, len(ids), BATCH):
                    rows = slice(at, at + BATCH)
                    ours.add(ids=ids[rows], images=images[rows], truth=truth[rows], scores=scores_BxC[rows])
            times["ours"].append(time.perf_counter() - start)
    run.finish()
    return times


if __name__ == "__main__":
    main()
