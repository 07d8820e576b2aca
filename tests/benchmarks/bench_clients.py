"""The page while many look at it at once: `secondguess view` on a store of MNIST, 20 clients for two minutes.

    python tests/benchmarks/bench_clients.py --mnist DIR [--clients 20] [--seconds 120]

Each client opens one page after the other over one connection, HTML without its images, in an order of its own. An
answer is in time if it is complete within two seconds; 99 of 100 should be.
"""

import argparse
import http.client
import random
import statistics
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlencode

from bench_page import DIFFER, MNIST_PAGES, PAIR, viewing, write_mnist
from timing import machine

PAGES: Sequence[tuple[str, tuple[tuple[str, str], ...]]] = [
    *MNIST_PAGES.values(),
    ("/runs", ()),
    ("/run", (("run", "cnn"),)),
    ("/table", (("t", "cnn@5"), ("group", "guess"))),
    ("/table", (("t", "cnn@5"), ("sort", "-confidence"), ("offset", "5000"))),
    ("/example", (("t", "cnn@5"), ("row", "7"))),
    ("/questions", (("q", "confusion"), ("t", "cnn@5"))),
    ("/table.json", (*PAIR, ("join", "inner"), DIFFER)),
    ("/sql", ()),
]


def main() -> None:
    """Write the store, let the clients in, print what they waited."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--mnist", required=True, metavar="DIR", help="the folder with MNIST's raw files")
    options.add_argument("--clients", type=int, default=20)
    options.add_argument("--seconds", type=float, default=120)
    chosen = options.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        store = Path(folder) / "predictions"
        write_mnist(store, chosen.mnist)
        with viewing(store) as (host, cookie):
            waited, others = visited(host, cookie, chosen.clients, chosen.seconds)
    print(f"\n{chosen.clients} clients for {chosen.seconds:g} seconds ({machine()})\n")
    print("| answers | others than 200 | p50, s | p90, s | p99, s | most, s | target p99, s | met |")
    print("|--:|--:|--:|--:|--:|--:|--:|---|")
    p50, p90, p99 = (statistics.quantiles(waited, n=100)[part - 1] for part in (50, 90, 99))
    met = "yes" if p99 < 2 and not others else "no"
    print(f"| {len(waited):,} | {len(others)} | {p50:.2f} | {p90:.2f} | {p99:.2f} | {max(waited):.2f} | 2 | {met} |")


def visited(host: str, cookie: str, clients: int, seconds: float) -> tuple[list[float], list[int]]:
    """How long each answer took, in seconds, until so much time has passed, and every status other than 200."""
    waited: list[float] = []
    others: list[int] = []
    end = time.monotonic() + seconds

    def client(number: int) -> None:
        chance = random.Random(number)
        line = http.client.HTTPConnection(host)
        while time.monotonic() < end:
            path, query = chance.choice(PAGES)
            began = time.monotonic()
            line.request("GET", f"{path}?{urlencode(query)}", headers={"Cookie": cookie})
            answer = line.getresponse()
            answer.read()
            waited.append(time.monotonic() - began)
            if answer.status != 200:
                others.append(answer.status)
        line.close()

    threads = [threading.Thread(target=client, args=(number,)) for number in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return waited, others


if __name__ == "__main__":
    main()
