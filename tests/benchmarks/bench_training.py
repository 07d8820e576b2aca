"""Images per second of our training loop and of the tutorial's own, on the CPU, in turns.

    python tests/benchmarks/bench_training.py --mnist DIR [--rounds 7] [--steps 144] [--errors]

Each loop lives in its own process, as it would by itself, and only one of them runs at a time.
Neither logs anything. Speeds are medians; ratios are taken within one round.
"""

import argparse
import multiprocessing
import statistics
import time
from collections.abc import Iterator
from functools import partial
from itertools import islice
from multiprocessing.connection import Connection

import torch
import torchvision
from timing import in_turn, machine, ratio
from torch import nn

from secondguess.trainer.reference.datasets import load
from secondguess.trainer.reference.settings import Settings
from secondguess.trainer.reference.training import READ_EVERY, Training

WARM_UP = 20  # steps


class TutorialNet(nn.Module):
    """The tutorial's network as it stands there."""

    def __init__(self):
        super().__init__()
        self.layer1 = nn.Sequential(
            nn.Conv2d(1, 32, 5, stride=1, padding=2),
            nn.BatchNorm2d(32),
            nn.ReLU(),
            nn.MaxPool2d(kernel_size=2, stride=2),
        )
        self.layer2 = nn.Sequential(
            nn.Conv2d(32, 64, 5, stride=1, padding=2),
            nn.BatchNorm2d(64),
            nn.ReLU(),
            nn.MaxPool2d(kernel_size=2, stride=2),
        )
        self.fc = nn.Linear(7 * 7 * 64, 10)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        out = self.layer2(self.layer1(images))
        return self.fc(out.reshape(out.size(0), -1))


class Tutorial:
    """The tutorial's loop: ToTensor in a DataLoader with two workers."""

    def __init__(self, mnist: str):
        torch.manual_seed(0)
        self.mnist = mnist
        self.network = TutorialNet()

    def steps(self) -> Iterator[None]:
        loader = self._loader(train=True, batch_size=32)
        optimizer = torch.optim.Adam(self.network.parameters(), lr=0.001)
        criterion = nn.CrossEntropyLoss()
        self.network.train()
        for images, labels in loader:
            loss = criterion(self.network(images), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            yield

    def errors(self) -> int:
        self.network.eval()
        with torch.no_grad():
            batches = self._loader(train=False, batch_size=64)
            return sum(int((self.network(images).argmax(1) != labels).sum()) for images, labels in batches)

    def _loader(self, train: bool, batch_size: int):
        data = torchvision.datasets.MNIST(self.mnist, train=train, transform=torchvision.transforms.ToTensor())
        return torch.utils.data.DataLoader(data, batch_size=batch_size, shuffle=train, num_workers=2)


class Ours:
    """`secondguess train` without its recorder."""

    def __init__(self, mnist: str):
        train_set, self.test_set = load("mnist", mnist)
        self.training = Training(Settings(dataset="mnist", device="cpu"), train_set, classes=10)

    def steps(self) -> Iterator[None]:
        steps = self.training.steps()
        while losses := list(islice(steps, READ_EVERY)):
            torch.stack(losses).tolist()
            yield from [None] * len(losses)

    def errors(self) -> int:
        return int((self.training.scores(self.test_set).argmax(1) != self.test_set.labels).sum())


def serve(loop: type[Tutorial] | type[Ours], mnist: str, requests: Connection) -> None:
    """Answers a number of steps with the seconds they took, and "errors" with the errors after one whole epoch."""
    learner = loop(mnist)
    steps = learner.steps()
    list(islice(steps, WARM_UP))
    while (request := requests.recv()) is not None:
        if request == "errors":
            learner = loop(mnist)
            list(learner.steps())
            requests.send(learner.errors())
        else:
            start = time.perf_counter()
            list(islice(steps, request))
            requests.send(time.perf_counter() - start)


def ask(requests: Connection, request: object) -> float:
    requests.send(request)
    return requests.recv()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mnist", required=True, metavar="DIR", help="the folder with MNIST/raw in it")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--steps", type=int, default=144, help="per round and loop, 32 images each")
    parser.add_argument("--errors", action="store_true", help="also train one epoch each and count the errors")
    options = parser.parse_args()
    if WARM_UP + options.rounds * options.steps > 1875:
        parser.error("an epoch has 1,875 steps: fewer rounds or fewer steps")

    context = multiprocessing.get_context("spawn")
    loops: dict[str, Connection] = {}
    for name, loop in (("the tutorial's loop", Tutorial), ("secondguess train", Ours)):
        loops[name], theirs = context.Pipe()
        context.Process(target=serve, args=(loop, options.mnist, theirs)).start()
        theirs.close()  # a process that fails then ends the benchmark
    seconds = in_turn({name: partial(ask, pipe, options.steps) for name, pipe in loops.items()}, options.rounds)
    errors = {name: f"{ask(pipe, 'errors'):,}" for name, pipe in loops.items()} if options.errors else {}
    for pipe in loops.values():
        pipe.send(None)

    print(f"\nTraining on MNIST, batches of 32, {torch.get_num_threads()} threads ({machine()})\n")
    print("| | images per second | ratio | wrong of 10,000 after 1 epoch |\n|---|--:|--:|--:|")
    tutorial = seconds["the tutorial's loop"]
    for name, times in seconds.items():
        speed = 32 * options.steps / statistics.median(times)
        print(f"| {name} | {speed:,.0f} | {ratio(tutorial, times)} | {errors.get(name, 'not asked')} |")


if __name__ == "__main__":
    main()
