"""Table views against hand-written DuckDB SQL, polars and pandas on the same Parquet files.

    python tests/benchmarks/bench_tables.py [--rows 10000000] [--rounds 5] [--memory [50000000]] [--data DIR]

Runs a and b have the same ids in one order, s has them shuffled; all have 10 classes and their scores, and an examples
file with an image per id. Run e has 20 epochs of a tenth of the rows. Ours is the whole answer: finding the tables,
making the statement on a locked connection, which counts what a join matches, running it, fetching the rows; the peers
open a connection, too. All give the same rows, which is checked; of equal rows a plain sort gives any. Short lines get
more rounds. --memory instead joins two tables of so many rows in a process of its own. --data keeps the store of 4 GB
(with --memory 6 GB) in a folder, where a later run with the same numbers finds it.
"""

import argparse
import math
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from string import ascii_lowercase
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
from bench_recording import likely_scores
from timing import in_turn, machine, pairs, ratio

from secondguess.analysis.content import png
from secondguess.analysis.engine import duck
from secondguess.analysis.engine.statement import Statement
from secondguess.analysis.schema import DEFAULT_TABLE
from secondguess.analysis.store import parquet
from secondguess.analysis.store.commits import EpochRows, ExamplesFile
from secondguess.analysis.store.disk import Part
from secondguess.analysis.store.examples import IMAGE
from secondguess.analysis.store.runs import list_runs
from secondguess.analysis.store.writer import RunWriter
from secondguess.analysis.tables import select
from secondguess.analysis.tables.view import TableView

EPOCHS, BESIDE = 20, 5  # epochs side by side: ours, polars'
PIECE = 100_000
IMAGES = 10_000  # different ones
SECONDS, MOST_ROUNDS = 10, 25  # of a line

PREDICTIONS = pa.schema(
    [
        ("run", pa.dictionary(pa.int32(), pa.string())),
        ("epoch", pa.int32()),
        ("id", pa.string()),
        ("guess", pa.int64()),
        ("truth", pa.int64()),
        ("confidence", pa.float32()),
        ("truth_score", pa.float32()),
        *((f"score_{index}", pa.float32()) for index in range(10)),
    ]
)

Rows = list[tuple[Any, ...]]
Answer = Callable[[], Rows]


@dataclass(frozen=True)
class Line:
    """One comparison: ours at most, or with `faster` the best peer at least, `bound` times the other.

    The peers' rows are to be those of `checked`, where that is not ours. alone leaves out how long the statement took
    to make, with what its join matches. tied is the column of ours that alone is to be the peers', where rows that are
    equal in it may be others.
    """

    what: str
    ours: TableView
    peers: Mapping[str, Answer]
    bound: float
    faster: bool = False
    checked: TableView | None = None
    alone: bool = False
    tied: int | None = None


def main() -> None:
    """Write the store, run the lines, print the table."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--rows", type=int, default=10_000_000, help="rows of a table")
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--memory", type=int, nargs="?", const=50_000_000, metavar="ROWS")
    options.add_argument("--data", type=Path, metavar="DIR", help="where to keep the data; a temporary folder else")
    chosen = options.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if chosen.memory is not None:
            _memory(_written(chosen.data or Path(folder), chosen.memory, write_large), chosen.memory)
            return
        store = _written(chosen.data or Path(folder), chosen.rows, write_store)
        print(f"\nTable views of {chosen.rows:,} rows ({machine()}, DuckDB {duckdb.__version__})\n")
        print("| | peer | peer, s | ours, s | ratio | target | met |\n|---|---|--:|--:|--:|--:|---|")
        for line in lines(store, chosen.rows):
            compare(store, line, chosen.rounds)
        print("\n| a page of 50 with images | without, s | with, s | more, ms | target | met |")
        print("|---|--:|--:|--:|--:|---|")
        for offset in (0, chosen.rows // 2):
            pictures(store, offset, chosen.rounds)


def _written(folder: Path, rows: int, write: Callable[[Path, int], None]) -> Path:
    """The store that is written, or was written whole before."""
    store = folder / f"{write.__name__}-{rows}"
    done = store.with_suffix(".done")
    if not done.exists():
        shutil.rmtree(store, ignore_errors=True)
        write(store, rows)
        done.touch()
    return store


def write_large(store: Path, rows: int) -> None:
    """Write the runs a, b and s without examples."""
    for run in ("a", "b"):
        write_run(store, run, np.arange(rows))
    write_run(store, "s", np.random.default_rng(0).permutation(rows))


def write_store(store: Path, rows: int) -> None:
    """Write the runs a, b, s and e, and their examples."""
    examples = write_examples(store, rows)
    order = np.random.default_rng(0).permutation(rows)
    write_run(store, "a", np.arange(rows), examples=examples)
    write_run(store, "b", np.arange(rows), examples=examples)
    write_run(store, "s", order, examples=examples)
    write_run(store, "e", np.arange(rows // 10), epochs=EPOCHS, examples=examples)


def write_run(
    store: Path, run: str, order: np.ndarray, *, epochs: int = 1, examples: ExamplesFile | None = None
) -> None:
    """Write a run whose rows are about the examples of these numbers, in this order."""
    writer = RunWriter.create(store, run, {"origin": "recorded", "config": {}, "classes": None})
    try:
        for epoch in range(1, epochs + 1):
            rows = pa.RecordBatchReader.from_batches(PREDICTIONS, _predictions(run, epoch, order))
            writer.commit(EpochRows(DEFAULT_TABLE, epoch, rows, examples=lambda: examples))
        writer.end()
    finally:
        writer.close()


def _predictions(run: str, epoch: int, order: np.ndarray) -> Iterator[pa.RecordBatch]:
    """The rows as the Recorder gives them, in pieces; a network that is right in about 98 of 100 cases."""
    for number, start in enumerate(range(0, len(order), PIECE)):
        piece = order[start : start + PIECE]
        truth = piece * 7919 % 10
        (scores_BxC,) = likely_scores([ord(run), epoch, number], truth, 1)
        columns = [
            pa.DictionaryArray.from_arrays(pa.array(np.zeros(len(piece), np.int32)), [run]),
            np.full(len(piece), epoch, np.int32),
            _ids(piece),
            scores_BxC.argmax(1),
            truth,
            scores_BxC.max(1),
            scores_BxC[np.arange(len(piece)), truth],
            *(np.ascontiguousarray(scores) for scores in scores_BxC.T),
        ]
        yield pa.record_batch(columns, schema=PREDICTIONS)


def _ids(numbers: np.ndarray) -> pa.Array:
    return pc.binary_join_element_wise("test", pc.utf8_lpad(pa.array(numbers).cast(pa.string()), 8, "0"), "-")


def write_examples(store: Path, rows: int) -> ExamplesFile:
    """Write the examples file as the Recorder does, in row groups of some megabytes."""
    random = np.random.default_rng(0)
    images_NxHxWxC = np.zeros((IMAGES, 28, 28, 1), np.uint8)
    images_NxHxWxC[:, 8:20, 8:20] = random.integers(0, 256, (IMAGES, 12, 12, 1))
    images = pa.array([png(image) for image in images_NxHxWxC], pa.binary())
    name = "mnist-test-000000000000.parquet"
    schema = pa.schema([("id", pa.string()), ("digest", pa.string()), ("truth", pa.int64()), ("image", IMAGE)])
    with Part(store / ".incoming") as part:
        with parquet.open_writer(part, schema.with_metadata(parquet.footer({"dataset": "mnist-test"}))) as writer:
            for start in range(0, rows, PIECE):
                piece = np.arange(start, min(start + PIECE, rows))
                seen = images.take(pa.array(piece % IMAGES))
                image = pa.StructArray.from_arrays([seen, pa.nulls(len(piece), pa.string())], fields=list(IMAGE))
                columns = [_ids(piece), _digests(random, len(piece)), pa.array(piece * 7919 % 10), image]
                writer.write_table(pa.Table.from_arrays(columns, schema=schema))
        part.publish(store / "examples" / name)
        return ExamplesFile(name, part.sha256, part.size)


def _digests(random: np.random.Generator, count: int) -> pa.Array:
    """Different texts of 64 hexadecimal digits."""
    text = random.bytes(32 * count).hex().encode()
    ends = np.arange(0, 64 * (count + 1), 64, dtype=np.int32)
    return pa.StringArray.from_buffers(count, pa.py_buffer(ends), pa.py_buffer(text))


def lines(store: Path, rows: int) -> Iterator[Line]:
    """What is compared, all but the pictures."""
    a, b, s, e = (sorted({str(found.file) for found in _epochs(store, run)}) for run in "abse")
    stem = _epochs(store, "a")[0].examples.stem
    one = TableView(("a",))
    sure = [*PREDICTIONS.names, "examples"].index("confidence")
    plain = f"SELECT *, '{stem}' AS examples FROM read_parquet({a})"
    whole = f"SELECT * EXCLUDE (file_row_number), '{stem}' AS examples FROM read_parquet({a}, file_row_number = true)"
    first = "ORDER BY confidence DESC NULLS LAST, file_row_number LIMIT 50"
    yield Line(
        "filter: wrong guesses, the 50 surest",
        replace(one, where=("guess <> truth",), sort=("-confidence",), limit=50),
        {"DuckDB": _sql(f"{whole} WHERE guess <> truth {first}")},
        1.1,
    )
    yield Line(
        "filter: the first 50 wrong guesses",
        replace(one, where=("guess <> truth",), limit=50),
        {"DuckDB": _sql(f"{plain} WHERE guess <> truth LIMIT 50")},
        1.1,
    )
    yield Line(
        "group: guess, n",
        replace(one, group=("guess",), columns=("guess", "n")),
        {"DuckDB": _sql(f"SELECT guess, count(*) FROM read_parquet({a}) GROUP BY guess ORDER BY guess")},
        1.1,
    )
    yield Line(
        "group: guess, avg(confidence)",
        replace(one, group=("guess",), aggregate=(("sure", "avg(confidence)"),), columns=("guess", "sure")),
        {"DuckDB": _sql(f"SELECT guess, avg(confidence) FROM read_parquet({a}) GROUP BY guess ORDER BY guess")},
        1.1,
    )
    surest = replace(one, sort=("-confidence",), limit=50)
    yield Line("sort: the 50 surest", surest, {"DuckDB": _sql(f"{whole} {first}")}, 1.1)
    any_order = _sql(f"{plain} ORDER BY confidence DESC NULLS LAST LIMIT 50")
    yield Line("… against any order of ties", surest, {"DuckDB": any_order}, 1.1, tied=sure)
    changed = TableView(
        ("a", "b"),
        join="inner",
        where=("guess_a <> guess_b",),
        group=("guess_a", "guess_b"),
        columns=("guess_a", "guess_b", "n"),
    )
    yield Line(
        "two tables, one order: changed guesses",
        changed,
        {"polars": partial(_polars, a, b), "pandas": partial(_pandas, a, b), "DuckDB": _hash_join(a, b)},
        5,
        faster=True,
    )
    shuffled = replace(changed, tables=("a", "s"))
    other = Line("two tables, other order: changed guesses", shuffled, {"DuckDB": _hash_join(a, s)}, 1.1)
    yield other
    yield replace(other, what=f"{other.what}, without the join's report", alone=True)
    yield Line(
        f"{EPOCHS} epochs side by side ({rows // 10:,} rows each) against {BESIDE}",
        _beside(EPOCHS),
        {"polars": partial(_polars_epochs, e)},
        1,
        checked=_beside(BESIDE),
    )


def _beside(epochs: int) -> TableView:
    """For how many examples the first guess ever changed."""
    return TableView(
        tuple(f"e@{epoch}" for epoch in range(1, epochs + 1)),
        join="inner",
        where=(" OR ".join(f"guess_a <> guess_{letter}" for letter in ascii_lowercase[1:epochs]),),
        aggregate=(("changed", "count(*)"),),
        columns=("changed",),
    )


def _epochs(store: Path, run: str) -> list[Any]:
    return list(list_runs(store)[run].tables[DEFAULT_TABLE].values())


def _sql(sql: str) -> Answer:
    def answer() -> Rows:
        with duckdb.connect() as con:
            return con.execute(sql).fetchall()

    return answer


def _hash_join(left: Sequence[str], right: Sequence[str]) -> Answer:
    return _sql(
        f"""SELECT a.guess, b.guess, count(*)
        FROM read_parquet({left}) a JOIN read_parquet({right}) b USING (id)
        WHERE a.guess <> b.guess GROUP BY ALL ORDER BY ALL"""
    )


def _polars(left: Sequence[str], right: Sequence[str]) -> Rows:
    sides = [pl.scan_parquet(list(files)).select("id", "guess") for files in (left, right)]
    joined = sides[0].join(sides[1], on="id", suffix="_b").filter(pl.col("guess") != pl.col("guess_b"))
    return joined.group_by("guess", "guess_b").len().sort("guess", "guess_b").collect().rows()


def _pandas(left: Sequence[str], right: Sequence[str]) -> Rows:
    sides = [pd.concat(pd.read_parquet(file, columns=["id", "guess"]) for file in files) for files in (left, right)]
    joined = sides[0].merge(sides[1], on="id", suffixes=("_a", "_b"))
    changed = joined[joined["guess_a"] != joined["guess_b"]]
    found = changed.groupby(["guess_a", "guess_b"]).size()
    return [(*key, count) for key, count in found.items()]


def _polars_epochs(files: Sequence[str]) -> Rows:
    stacked = pl.scan_parquet(list(files))
    sides = [
        stacked.filter(pl.col("epoch") == epoch).select("id", pl.col("guess").alias(f"guess_{epoch}"))
        for epoch in range(1, BESIDE + 1)
    ]
    joined = sides[0]
    for side in sides[1:]:
        joined = joined.join(side, on="id")
    others = [pl.col("guess_1") != pl.col(f"guess_{epoch}") for epoch in range(2, BESIDE + 1)]
    return joined.filter(pl.any_horizontal(others)).select(pl.len()).collect().rows()


def ours(store: Path, view: TableView, *, alone: bool = False) -> tuple[Rows, float]:
    """The rows of a view, as `secondguess table` gets them, and the seconds that took; alone, once it is known how."""
    start = time.perf_counter()
    with duck.answered(partial(select.statement, store=store, view=view), _fetched) as (_, (found, known)):
        pass
    return found, time.perf_counter() - (known if alone else start)


def compare(store: Path, line: Line, rounds: int) -> None:
    """Check that all give the same rows, time them in turn, print the line."""
    expected, _ = ours(store, line.checked or line.ours)
    for name, peer in line.peers.items():
        found = peer()
        if not _same(found, expected, line.tied):
            raise SystemExit(f"{line.what}: {name} gives {found[:3]} …, ours {expected[:3]} …")
    calls = {name: partial(_timed, peer) for name, peer in line.peers.items()}
    calls["ours"] = lambda: ours(store, line.ours, alone=line.alone)[1]
    times = _rounds(calls, rounds)
    own = times.pop("ours")
    best = [min(found) for found in zip(*times.values(), strict=True)]
    slow, fast = (best, own) if line.faster else (own, best)
    middle = statistics.median(pairs(slow, fast))
    met = middle >= line.bound if line.faster else middle <= line.bound
    peers = ", ".join(times)
    taken = ", ".join(f"{statistics.median(found):.3f}" for found in times.values())
    target = f"at least {line.bound}x faster" if line.faster else f"at most {line.bound}x"
    print(
        f"| {line.what} | {peers} | {taken} | {statistics.median(own):.3f} | {ratio(slow, fast)} | {target} "
        f"| {'yes' if met else 'NO'} |",
        flush=True,
    )


def pictures(store: Path, offset: int, rounds: int) -> None:
    """Time a page with its pictures against the same page without, in turn; print the line."""
    without = TableView(("a",), sort=("-confidence",), columns=("id", "guess", "truth"), limit=50, offset=offset)
    beside = replace(without, columns=("id", "image", "guess", "truth"))
    peers = {"without": without, "with": beside}
    found = {name: ours(store, view)[0] for name, view in peers.items()}
    if [(row[0], *row[2:]) for row in found["with"]] != found["without"] or not all(row[1] for row in found["with"]):
        raise SystemExit("a page with images is not the page without them")
    times = _rounds({name: lambda view=view: ours(store, view)[1] for name, view in peers.items()}, rounds)
    more = [(a - b) * 1000 for a, b in zip(times["with"], times["without"], strict=True)]
    middle = [statistics.median(times[name]) for name in ("without", "with")]
    most = f"{statistics.median(more):.0f} ({min(more):.0f} to {max(more):.0f})"
    print(
        f"| from row {offset:,} | {middle[0]:.3f} | {middle[1]:.3f} | {most} | under 150 "
        f"| {'yes' if statistics.median(more) < 150 else 'NO'} |",
        flush=True,
    )


CHILD = """import atexit, re, sys
from pathlib import Path
from secondguess.analysis.cli import main
atexit.register(lambda: print(re.search(r"VmHWM:.*", Path("/proc/self/status").read_text())[0], file=sys.stderr))
main(sys.argv[1:])"""


def _memory(store: Path, rows: int) -> None:
    """Join two tables of one order, and of two, each in a new process; print the memory that it had at most."""
    print(f"\nJoining two tables of {rows:,} rows in a process of its own ({machine()})\n")
    print("| | s | most memory, GB | target | met |\n|---|--:|--:|--:|---|")
    for what, run in (("one order", "b"), ("other order", "s")):
        command = ["table", "a", run, "--join", "inner", "--where", "guess_a <> guess_b", "--group", "guess_a,guess_b"]
        command += ["--columns", "guess_a,guess_b,n", "--format", "csv", "--store", str(store)]
        start = time.perf_counter()
        child = subprocess.run([sys.executable, "-c", CHILD, *command], check=True, capture_output=True, text=True)
        taken = time.perf_counter() - start
        most = int(child.stderr.rsplit("VmHWM:", 1)[1].split()[0]) * 1024 / 1e9
        print(f"| {what} | {taken:.1f} | {most:.2f} | under 2 | {'yes' if most < 2 else 'NO'} |", flush=True)


def _fetched(con: duckdb.DuckDBPyConnection, statement: Statement) -> tuple[Rows, float]:
    start = time.perf_counter()
    return list(duck.rows(con, statement).rows), start


def _rounds(calls: dict[str, Callable[[], float]], least: int) -> dict[str, list[float]]:
    """Time the calls in turn, in more rounds where they are quick."""
    once = sum(found for (found,) in in_turn(calls, 1).values())
    return in_turn(calls, max(least, min(MOST_ROUNDS, int(SECONDS / once))))


def _timed(call: Answer) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def _same(found: Rows, expected: Rows, tied: int | None) -> bool:
    """Whether rows are the same, sums of fractions but for the order in which they were added."""
    if tied is not None:
        found, expected = ([(row[tied],) for row in rows] for rows in (found, expected))
    alike = (math.isclose(a, b) if isinstance(a, float) else a == b for a, b in _cells(found, expected))
    return len(found) == len(expected) and all(alike)


def _cells(found: Rows, expected: Rows) -> Iterator[tuple[Any, Any]]:
    for row, other in zip(found, expected, strict=False):
        yield from zip(row, other, strict=True)


if __name__ == "__main__":
    main()
