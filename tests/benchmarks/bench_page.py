"""The page over HTTP, as a browser asks for it: `secondguess view` on a store of MNIST, and on a table of many rows.

    python tests/benchmarks/bench_page.py --mnist DIR [--rows 10000000] [--rounds 9]

A page is complete when its HTML and each of its images have arrived, one after the other over one connection, and its
chart, which is sent last. First byte is when the browser can begin to draw.
"""

import argparse
import http.client
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlencode, urlsplit

import numpy as np
from bench_recording import BATCH, likely_scores
from bench_tables import write_examples, write_run
from timing import machine

from secondguess.trainer.recorder import Recorder
from secondguess.trainer.reference.datasets import load

WRONG = ("where", "guess <> truth")
PAIR = (("t", "cnn@1"), ("t", "cnn@5"))
DIFFER = ("where", "guess_a IS DISTINCT FROM guess_b")
MNIST_PAGES = {
    "50 rows of 10,000, with images": ("/table", (("t", "cnn@5"),)),
    "the wrong ones": ("/table", (("t", "cnn@5"), WRONG)),
    "1 against 5 epochs, disagreements": ("/table", (*PAIR, ("join", "inner"), DIFFER)),
    "wrong, side by side": ("/table", (*PAIR, ("side", "1"), WRONG)),
    "errors grouped by guess, two models, with chart": (
        "/questions",
        (("q", "errors-by-guess"), ("t", "double@5"), ("t", "cnn@5")),
    ),
}
LARGE_PAGES = {
    "50 rows of {rows}, with images": ("/table", (("t", "a@1"),)),
    "from the middle": ("/table", (("t", "a@1"), ("offset", "{middle}"))),
    "the wrong ones, most confident first": ("/table", (("t", "a@1"), WRONG, ("sort", "-confidence"))),
}


def main() -> None:
    """Write the stores, open their pages, print the tables."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--mnist", required=True, metavar="DIR", help="the folder with MNIST's raw files")
    options.add_argument("--rows", type=int, default=10_000_000, help="rows of the large table")
    options.add_argument("--rounds", type=int, default=9)
    chosen = options.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        store = Path(folder) / "predictions"
        write_mnist(store, chosen.mnist)
        _table(f"MNIST, 10,000 rows an epoch ({machine()})", store, MNIST_PAGES, 150, chosen.rounds)
    with tempfile.TemporaryDirectory() as folder:
        store = Path(folder) / "predictions"
        write_run(store, "a", np.arange(chosen.rows), examples=write_examples(store, chosen.rows))
        named = {"rows": f"{chosen.rows:,}", "middle": chosen.rows // 2}
        pages = {
            what.format(**named): (path, tuple((key, value.format(**named)) for key, value in query))
            for what, (path, query) in LARGE_PAGES.items()
        }
        _table(f"a table of {chosen.rows:,} rows", store, pages, 500, chosen.rounds)


def write_mnist(store: Path, raw: str) -> None:
    """Two runs of 5 epochs about MNIST's test images, with scores like a trained network's."""
    _, test = load("mnist", raw)
    images, truth, ids = test.images.numpy(), test.labels.numpy(), list(test.ids)
    for seed, run in enumerate(("cnn", "double")):
        with Recorder(store, run=run) as recorder:
            for epoch, scores_BxC in enumerate(likely_scores(seed, truth, 5), 1):
                with recorder.table("test_predictions", epoch=epoch, dataset="mnist-test") as table:
                    for at in range(0, len(ids), BATCH):
                        rows = slice(at, at + BATCH)
                        table.add(ids=ids[rows], images=images[rows], truth=truth[rows], scores=scores_BxC[rows])


def _table(
    title: str, store: Path, pages: Mapping[str, tuple[str, tuple[tuple[str, str], ...]]], bound: int, rounds: int
) -> None:
    print(f"\nPages of {title}\n")
    print("| page | first byte, ms | complete, ms (least to greatest) | images | target, ms | met |")
    print("|---|--:|--:|--:|--:|---|")
    with viewing(store) as (host, cookie):
        for what, (path, query) in pages.items():
            address = f"{path}?{urlencode(query)}"
            opened = [_open(host, cookie, address) for _ in range(rounds + 2)][2:]  # the first two warm the workers
            first, whole = ([each[part] for each in opened] for part in (0, 1))
            middle = statistics.median(whole)
            spread = f"{middle:.0f} ({min(whole):.0f} to {max(whole):.0f})"
            met = "yes" if middle <= bound else "no"
            print(f"| {what} | {statistics.median(first):.0f} | {spread} | {opened[0][2]} | {bound} | {met} |")


@contextmanager
def viewing(store: Path) -> Iterator[tuple[str, str]]:
    """The page of a store; gives its host and the cookie that opens it."""
    command = [sys.executable, "-m", "secondguess", "view", "--no-browser", "--store", str(store)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            url = urlsplit(next(line.strip() for line in server.stdout if "http://" in line))
            opening = http.client.HTTPConnection(url.netloc)
            opening.request("GET", f"{url.path}?{url.query}")
            yield url.netloc, str(opening.getresponse().getheader("set-cookie")).partition(";")[0]
        finally:
            server.terminate()


def _open(host: str, cookie: str, address: str) -> tuple[float, float, int]:
    """Milliseconds until a page's first byte and until all of it has arrived, and the number of its images."""
    line = http.client.HTTPConnection(host)
    headers = {"Cookie": cookie}
    start = time.perf_counter()
    line.request("GET", address, headers=headers)
    answer = line.getresponse()
    begun = answer.read(1)
    first = time.perf_counter()
    text = (begun + answer.read()).decode()
    assert answer.status == 200, text
    images = sorted(set(re.findall(r'src="(/image/[0-9a-f]+)"', text)))
    for image in images:
        line.request("GET", image, headers=headers)
        assert line.getresponse().read()
    return (first - start) * 1000, (time.perf_counter() - start) * 1000, len(images)


if __name__ == "__main__":
    main()
