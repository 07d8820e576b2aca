"""The page over HTTP, as a browser asks for it: `secondguess view` on stores of the size of real work.

    python tests/benchmarks/bench_page.py [--mnist DIR] [--rows 10000000] [--rounds 9]

The stores are those of the tests: a sweep of 30 runs with 200 epochs each, one of a thousand classes, 500 runs; then
MNIST, where its folder is named, and a table of many rows. A page is complete when its HTML and each of its images have
arrived, one after the other over one connection, and its chart, which is sent last. First byte is when the browser can
begin to draw. Each round asks for another part of the same page, whose answer is not kept; again is the same address.
"""

import argparse
import http.client
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlencode, urlsplit

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))
from bench_recording import BATCH, likely_scores
from bench_tables import write_examples, write_run
from large_stores import large_store
from many_runs import many_runs
from timing import machine

from secondguess.analysis.store.runs import list_runs
from secondguess.trainer.recorder import Recorder
from secondguess.trainer.reference.datasets import load

Pages = Mapping[str, tuple[str, tuple[tuple[str, str], ...]]]
"""What a page is, its path and its query; {n} is the round, {after} the one after it, {offset} fifty rows for each."""

WRONG = ("where", "guess <> truth")
SKIP = ("offset", "{offset}")
PAIR = (("t", "cnn@1"), ("t", "cnn@5"))
DIFFER = ("where", "guess_a IS DISTINCT FROM guess_b")
BRUSH = ("where", "confidence >= 0.{n}5 AND confidence < 0.95")
MNIST_PAGES: Pages = {
    "runs": ("/runs", (("sort", "-epochs"),)),
    "50 rows of 10,000, with images": ("/table", (("t", "cnn@5"), SKIP)),
    "the wrong ones": ("/table", (("t", "cnn@5"), WRONG, ("limit", "4{n}"))),
    "1 against 5 epochs, disagreements": ("/table", (*PAIR, ("join", "inner"), DIFFER, ("limit", "4{n}"))),
    "wrong, side by side": ("/table", (*PAIR, ("side", "1"), WRONG, ("limit", "2{n}"))),
    "an example": ("/example", (("t", "cnn@5"), ("row", "1{n}"))),
    "errors grouped by guess, two models, with images": (
        "/questions",
        (("q", "errors-by-guess"), ("t", "double@5"), ("t", "cnn@5"), ("o.ids", "1{n}")),
    ),
    "confusion of two models": ("/questions", (("q", "confusion"), ("t", "double@{early}"), ("t", "cnn@5"))),
    "errors over time": (
        "/questions",
        (("q", "errors-over-time"), ("t", "cnn"), ("t", "double"), ("o.where", "epoch < 1{n}")),
    ),
    "a comparison": ("/compare", (("t", "cnn@{early}"), ("t", "double@5"))),
    "the run": ("/run", (("run", "cnn"),)),
    "100 images by guess": ("/gallery", (("t", "cnn@5"), WRONG, ("by", "guess"), ("limit", "10{n}"))),
    "a column's head": ("/head", (("t", "cnn@5"), BRUSH, ("column", "truth_score"), ("show", "bins"))),
}
LARGE_PAGES: Pages = {
    "50 rows of {rows}, with images": ("/table", (("t", "a@1"), SKIP)),
    "from the middle": ("/table", (("t", "a@1"), ("offset", "{middle}"), ("limit", "4{n}"))),
    "the wrong ones, most confident first": (
        "/table",
        (("t", "a@1"), WRONG, ("sort", "-confidence"), ("limit", "4{n}")),
    ),
    "the rows of a brush": ("/table", (("t", "a@1"), BRUSH)),
    "the head that was brushed": ("/head", (("t", "a@1"), BRUSH, ("column", "confidence"), ("show", "bins"))),
    "another head, of numbers": ("/head", (("t", "a@1"), BRUSH, ("column", "truth_score"), ("show", "bins"))),
    "another head, of labels": ("/head", (("t", "a@1"), BRUSH, ("column", "guess"))),
    "as images": ("/gallery", (("t", "a@1"), BRUSH, ("limit", "50"))),
}
MANY_PAGES: Pages = {
    "500 runs": ("/runs", (("offset", "{n}00"),)),
    "searched": ("/runs", (("q", "vit 000{n}"),)),
    "filtered and sorted": ("/runs", (("where", "lr > 0.00{n}"), ("sort", "-best_error_rate"))),
    "grouped by a key": ("/runs", (("group", "model"), ("q", "{n}"))),
    "config against error": ("/runs", (("view", "parallel"), ("q", "{n}"))),
}


def sweep_pages(names: Sequence[str]) -> Pages:
    """The pages of a sweep: of one of its runs, of two, of eight."""
    one, other = names[1], names[2]
    return {
        "runs": ("/runs", (("q", "sweep-{n}"),)),
        "a run": ("/run", (("run", one), ("metric", "train_loss"))),
        "eight runs": ("/run", tuple(("run", name) for name in names[:8])),
        "50 rows with images": ("/table", (("t", f"{one}@1{{n}}"),)),
        "two epochs, disagreements": (
            "/table",
            (("t", f"{one}@1{{n}}"), ("t", f"{one}@200"), ("join", "inner"), DIFFER),
        ),
        "two runs, side by side": ("/table", (("t", f"{one}@1{{n}}"), ("t", f"{other}@200"), ("side", "1"), WRONG)),
        "an example of thirty runs": ("/example", (("t", one), ("row", "1{n}"))),
        "errors by guess of two": ("/questions", (("q", "errors-by-guess"), ("t", f"{one}@1{{n}}"), ("t", other))),
        "confusion of two": ("/questions", (("q", "confusion"), ("t", f"{one}@1{{n}}"), ("t", other))),
        "errors over time of one": (
            "/questions",
            (("q", "errors-over-time"), ("t", one), ("o.where", "epoch < 19{n}")),
        ),
        "errors over time of eight": (
            "/questions",
            (("q", "errors-over-time"), *(("t", name) for name in names[:8]), ("o.where", "epoch < 19{n}")),
        ),
        "a comparison": ("/compare", (("t", f"{one}@1{{n}}"), ("t", other))),
    }


def wide_pages(name: str) -> Pages:
    """The pages of a run over a thousand classes."""
    return {
        "50 rows with photos": ("/table", (("t", name), SKIP)),
        "an example": ("/example", (("t", name), ("row", "1{n}"))),
        "errors by guess": ("/questions", (("q", "errors-by-guess"), ("t", name), ("o.ids", "{after}"))),
        "confusion": ("/questions", (("q", "confusion"), ("t", f"{name}@{{early}}"))),
        "100 images": ("/gallery", (("t", name), SKIP, ("limit", "100"))),
    }


def main() -> None:
    """Write the stores, open their pages, print the tables."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--mnist", metavar="DIR", help="the folder with MNIST's raw files")
    options.add_argument("--rows", type=int, default=10_000_000, help="rows of the large table; 0 leaves it out")
    options.add_argument("--rounds", type=int, default=9)
    chosen = options.parse_args()
    rounds = min(9, chosen.rounds)
    sweep, wide = large_store("sweep"), large_store("wide")
    names = list(list_runs(sweep))
    _table(f"a sweep of 30 runs with 200 epochs each ({machine()})", sweep, sweep_pages(names), 300, rounds)
    _table("a thousand classes", wide, wide_pages(next(iter(list_runs(wide)))), 300, rounds)
    with tempfile.TemporaryDirectory(dir=sweep.parent) as folder:  # whose files are links to those of the sweep
        _table("500 runs of 200 epochs each", many_runs(sweep, Path(folder), 500), MANY_PAGES, 300, min(5, rounds))
    with tempfile.TemporaryDirectory() as folder:
        store = Path(folder) / "predictions"
        if chosen.mnist is not None:
            write_mnist(store, chosen.mnist)
            _table("MNIST, 10,000 rows an epoch", store, MNIST_PAGES, 100, rounds)
    with tempfile.TemporaryDirectory() as folder:
        store = Path(folder) / "predictions"
        if chosen.rows:
            write_run(store, "a", np.arange(chosen.rows), examples=write_examples(store, chosen.rows))
            named = {"rows": f"{chosen.rows:,}", "middle": chosen.rows // 2}
            pages = {
                what.replace("{rows}", named["rows"]): (
                    path,
                    tuple((key, value.replace("{middle}", str(named["middle"]))) for key, value in query),
                )
                for what, (path, query) in LARGE_PAGES.items()
            }
            _table(f"a table of {chosen.rows:,} rows", store, pages, 500, rounds)


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


def _table(title: str, store: Path, pages: Pages, bound: int, rounds: int) -> None:
    print(f"\nPages of {title}\n")
    print("| page | first byte, ms | complete, ms (least to greatest) | again, ms | images | target, ms | met |")
    print("|---|--:|--:|--:|--:|--:|---|")
    time.sleep(2.1)  # of what has just been written nothing is kept
    with viewing(store) as (host, cookie):
        for what, (path, query) in pages.items():
            opened, again = [], []
            for number in range(rounds + 1):
                named = {"n": number, "after": number + 1, "offset": 50 * number, "early": 1 + number % 4}
                address = f"{path}?{urlencode([(key, value.format(**named)) for key, value in query])}"
                opened.append(_open(host, cookie, address))
                again.append(_open(host, cookie, address)[1])
            opened, again = opened[1:], again[1:]  # the first warms the workers
            first, whole = ([each[part] for each in opened] for part in (0, 1))
            middle = statistics.median(whole)
            spread = f"{middle:.0f} ({min(whole):.0f} to {max(whole):.0f})"
            met = "yes" if middle <= bound else "no"
            cells = (what, f"{statistics.median(first):.0f}", spread, f"{statistics.median(again):.0f}", opened[0][2])
            print(f"| {' | '.join(map(str, cells))} | {bound} | {met} |", flush=True)


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
