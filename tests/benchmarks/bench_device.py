"""What recording costs a training: images per second, how busy a GPU is, the recorder's share of an epoch.

    python tests/benchmarks/bench_device.py [--mnist DIR] [--epochs 3] [--batch-size 32] [--device cuda]
        [--precision bf16] [--compile]

Without --mnist it trains on scikit-learn's digits. The recorder's share is the time that the training's own path spends
on what is recorded, of the time of an epoch: on a GPU handing it over, and waiting at the end for the last of it, while
a thread of its own records; on the CPU recording itself. The first epoch, which stores the images, is told apart.
Utilisation is what nvidia-smi samples five times a second.
"""

import argparse
import contextlib
import io
import statistics
import subprocess
import tempfile
import time
from dataclasses import dataclass, field
from itertools import pairwise

import torch
from timing import machine

from secondguess.trainer.reference import train as reference
from secondguess.trainer.reference.aside import Aside
from secondguess.trainer.reference.datasets import load
from secondguess.trainer.reference.settings import Settings
from secondguess.trainer.reference.training import Training


@dataclass
class Clock:
    """When epochs began, and how long the training's path was held up by what is recorded, in each of them."""

    began: list[float] = field(default_factory=list)
    held_up: list[float] = field(default_factory=list)
    end: float = 0.0


CLOCK = Clock()


class TimedTraining(Training):
    """A training that says when its epochs begin."""

    def steps(self):
        CLOCK.began.append(time.perf_counter())
        CLOCK.held_up.append(0.0)
        yield from super().steps()


class TimedAside(Aside):
    """One that says how long it holds the training up."""

    def do(self, task) -> None:
        start = time.perf_counter()
        super().do(task)
        CLOCK.held_up[-1] += time.perf_counter() - start

    def __exit__(self, *error) -> None:
        if torch.cuda.is_initialized():
            torch.cuda.synchronize()  # what the last epoch still computes is no recording
        start = time.perf_counter()
        super().__exit__(*error)
        CLOCK.end = time.perf_counter()
        CLOCK.held_up[-1] += CLOCK.end - start


@contextlib.contextmanager
def utilisation(device: str):
    """Percent of the time that the GPU computed, sampled while the block runs; nothing on the CPU."""
    samples: list[float] = []
    if not device.startswith("cuda"):
        yield samples
        return
    asks = ["nvidia-smi", "--query-gpu=utilization.gpu", "--format=csv,noheader,nounits", "--loop-ms=200", "--id=0"]
    with subprocess.Popen(asks, stdout=subprocess.PIPE, text=True) as sampler:
        try:
            yield samples
        finally:
            sampler.terminate()
            said = sampler.communicate()[0]
            samples += [float(line) for line in said.split() if line.strip().isdigit()]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mnist", metavar="DIR", help="the folder with MNIST/raw in it")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--precision", choices=("float32", "bf16"), default="float32")
    parser.add_argument("--compile", action="store_true")
    options = parser.parse_args()
    if options.epochs < 2:
        parser.error("the first epoch is told apart: two or more")
    how = {"batch_size": options.batch_size, "precision": options.precision, "compile": options.compile}
    dataset = {"dataset": "mnist", "data": options.mnist} if options.mnist else {"dataset": "digits"}
    train_set, _ = load(dataset["dataset"], dataset.get("data", ""))
    reference.Training, reference.Aside = TimedTraining, TimedAside
    with tempfile.TemporaryDirectory() as store, utilisation(options.device) as samples:
        settings = Settings(
            **dataset, **how, store=store, epochs=options.epochs, device=options.device, wandb="off", run="bench"
        )
        with contextlib.redirect_stderr(io.StringIO()):
            reference.train(settings)
    report(options, len(train_set.ids), samples)


def report(options: argparse.Namespace, examples: int, samples: list[float]) -> None:
    """Print the table."""
    seconds = [end - start for start, end in pairwise([*CLOCK.began, CLOCK.end])]
    shares = [100 * held / took for held, took in zip(CLOCK.held_up, seconds, strict=True)]
    on_gpu = options.device.startswith("cuda")
    where = torch.cuda.get_device_name(0) if on_gpu else f"CPU, {torch.get_num_threads()} threads"
    compiled = ", compiled" if options.compile else ""
    print(f"\nTraining on {where}, batches of {options.batch_size}, {options.precision}{compiled} ({machine()})\n")
    print("| | first epoch | later epochs |\n|---|--:|--:|")
    speeds = [examples / took for took in seconds]
    print(f"| images per second | {speeds[0]:,.0f} | {statistics.median(speeds[1:]):,.0f} |")
    print(
        f"| recording holds the training up, s | {CLOCK.held_up[0]:.3f} | {statistics.median(CLOCK.held_up[1:]):.3f} |"
    )
    print(f"| share of an epoch, % | {shares[0]:.2f} | {statistics.median(shares[1:]):.2f} |")
    busy = f"{statistics.median(samples):.0f} %" if samples else "no GPU"
    print(f"\nGPU utilisation, median: {busy}; goal of the share on a GPU: under 1 %")


if __name__ == "__main__":
    main()
