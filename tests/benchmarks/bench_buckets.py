"""What a bucket costs: the same statements on files here, through our files of a bucket, and through DuckDB's httpfs.

    python tests/benchmarks/bench_buckets.py [--rows 1000000] [--latency-ms 20] [--mb-per-s 50] [--rounds 5]
                                             [--plain PYTHON]

The bucket is on the loopback, and answers each request so late and each connection so slowly. PLAIN is the Python of an
environment with duckdb 1.5.5 and duckdb-extension-httpfs 1.5.5, for DuckDB 2.0 has no httpfs package; without it that
column is left out. Each statement runs on a new connection, so that footers are read each time; of a line the median
of the rounds, after one that is not counted, and the requests and bytes of one round.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import duckdb
import numpy as np
from timing import machine

from secondguess.analysis.objects.httpfs import before
from secondguess.analysis.objects.path import place
from secondguess.trainer.recorder import Recorder

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))
from s3_server import S3Server, environment, running

QUESTIONS = {
    "errors by guess": "SELECT guess, count(*), avg(confidence) FROM {t} WHERE guess <> truth GROUP BY guess",
    "errors, 5 columns": "SELECT id, guess, truth, confidence, truth_score FROM {t} WHERE guess <> truth",
    "every column": "SELECT * FROM {t} WHERE guess <> truth",
}
PLAIN = """
import sys, time
from pathlib import Path
import duckdb, duckdb_extension_httpfs
(extension,) = Path(duckdb_extension_httpfs.__file__).parent.rglob("httpfs.duckdb_extension")
rounds, set_up, statement = int(sys.argv[1]), sys.argv[2], sys.argv[3]
for _ in range(rounds + 1):
    con = duckdb.connect(config={"allow_unsigned_extensions": "true"})
    con.execute(f"LOAD '{extension}'")
    con.execute(set_up)
    print("ready", flush=True)
    sys.stdin.readline()
    began = time.perf_counter()
    con.execute(statement).fetchall()
    print(time.perf_counter() - began, flush=True)
"""


def record(store: str, rows: int) -> None:
    rng = np.random.default_rng(0)
    with Recorder(place(store), run="cnn") as recorder, recorder.table("test_predictions", epoch=1) as table:
        for start in range(0, rows, 100_000):
            count = min(100_000, rows - start)
            scores = rng.dirichlet(np.ones(10) * 0.2, count).astype(np.float32)
            truth = np.where(rng.random(count) < 0.05, rng.integers(0, 10, count), scores.argmax(1))
            table.add(ids=[f"test-{row:07d}" for row in range(start, start + count)], scores=scores, truth=truth)


def ours(statement: str, url: str, rounds: int, server: S3Server | None) -> tuple[float, int, int]:
    """Seconds, requests, bytes of a statement in this process."""
    seconds = []
    for _ in range(rounds + 1):
        with duckdb.connect() as con:
            if server is not None:
                bucket = place(url).bucket  # type: ignore[attr-defined]
                bucket._ranges.clear()
                con.register_filesystem(bucket.filesystem())
                server.clear_log()
            began = time.perf_counter()
            con.execute(statement).fetchall()
            seconds.append(time.perf_counter() - began)
    return statistics.median(seconds[1:]), *((0, 0) if server is None else (len(server.log), server.bytes_read()))


def plain(python: str, statement: str, url: str, rounds: int, server: S3Server) -> tuple[float, int, int]:
    """The same in a plain DuckDB with httpfs."""
    set_up = before([place(url)])[1]
    command = [python, "-c", PLAIN, str(rounds), set_up, statement]
    seconds = []
    environ = {**os.environ, **environment(server)}
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environ) as process:
        assert process.stdin is not None and process.stdout is not None
        for _ in range(rounds + 1):
            assert process.stdout.readline() == "ready\n"
            server.clear_log()
            print("go", file=process.stdin, flush=True)
            seconds.append(float(process.stdout.readline()))
    return statistics.median(seconds[1:]), len(server.log), server.bytes_read()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--latency-ms", type=float, default=20.0)
    parser.add_argument("--mb-per-s", type=float, default=50.0)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--plain", metavar="PYTHON")
    args = parser.parse_args()
    print(machine())
    with tempfile.TemporaryDirectory() as folder, running() as server:
        os.environ.update(environment(server))
        server.make_bucket("bench")
        url = "s3://bench/predictions"
        for store in (folder, url):
            record(store, args.rows)
        (here,) = Path(folder).rglob("epoch*.parquet")
        (there,) = map(str, place(url).rglob("epoch*.parquet"))
        print(f"{args.rows:,} rows of ten scores, {here.stat().st_size / 1e6:.1f} MB")
        for latency_s, rate in ((0.0, 0.0), (args.latency_ms / 1000, args.mb_per_s * 1e6)):
            server.pace(latency_s, rate)
            print(f"{1000 * latency_s:g} ms a request, {f'{rate / 1e6:g} MB/s' if rate else 'any number of bytes'}")
            for name, question in QUESTIONS.items():
                files, bucket = (question.format(t=f"read_parquet('{path}')") for path in (here, there))
                line = [f"here {ours(files, '', args.rounds, None)[0]:.3f} s"]
                ways = {"our files": ours(bucket, url, args.rounds, server)}
                if args.plain:
                    ways["httpfs"] = plain(args.plain, bucket, url, args.rounds, server)
                for way, (seconds, requests, size) in ways.items():
                    line.append(f"{way} {seconds:.3f} s, {requests} requests, {size / 1e6:.1f} MB")
                print(f"  {name}: " + "; ".join(line), flush=True)


if __name__ == "__main__":
    main()
