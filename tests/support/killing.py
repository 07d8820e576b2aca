"""Kills at random times, spread over the whole of what a child does, and what must hold after each."""

import contextlib
import hashlib
import io
import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import recording_process
from stores import ABOUT
from waiting import HANG_S

from secondguess.analysis.cli import main
from secondguess.analysis.store.runs import find_run
from secondguess.analysis.store.workplace import remains
from secondguess.analysis.store.writer import RunWriter

Ids = list[tuple[int, str]]  # epoch, id


def told(do: Callable[..., None], args: tuple[Any, ...], pipe: Any) -> None:
    """Do something in a child, and say when it begins and when it is done."""
    os.write(pipe.fileno(), b"b")
    do(*args)
    os.write(pipe.fileno(), b"d")


def killed(do: Callable[..., None], args: tuple[Any, ...], after_s: float | None) -> tuple[bool, float]:
    """Kill a child so long after it began; gives whether it was done by then, and how long it took or had."""
    child, pipe = recording_process.run(told, do, args)
    with pipe:
        assert os.read(pipe.fileno(), 1) == b"b"
        began = time.perf_counter()
        if after_s is None:
            child.join(HANG_S)
            assert child.exitcode == 0
        else:
            time.sleep(after_s)
            with contextlib.suppress(ProcessLookupError):
                os.kill(child.pid, signal.SIGKILL)
            child.join(HANG_S)
        return os.read(pipe.fileno(), 1) == b"d", time.perf_counter() - began


def killed_at_random(
    rounds: int,
    seed: int,
    prepare: Callable[[int], tuple[Callable[..., None], tuple[Any, ...]]],
    check: Callable[[int, bool], str],
) -> Counter[str]:
    """Kill what is prepared for each round at a random time of it; counts what the checks after each said.

    prepare gives what a round's child does; round 0 is not killed, and says how long it takes.
    """
    chance = random.Random(seed)
    done, takes_s = killed(*prepare(0), None)
    assert done
    seen: Counter[str] = Counter()
    for number in range(1, rounds + 1):
        done, _ = killed(*prepare(number), chance.uniform(0, takes_s))
        seen[check(number, done)] += 1
    return seen


def bring(*words: str) -> None:
    """`secondguess import`, without a word."""
    with contextlib.redirect_stderr(io.StringIO()), contextlib.redirect_stdout(io.StringIO()):
        main(["import", *words])


def readable(store: Path, run: str) -> Ids:
    """Epoch and id of each row of a run, each file being what its record says, and its examples being there."""
    found = find_run(store, run)
    assert found.damage() == []
    rows: Ids = []
    for live in found.commits.values():
        for _, record in live:
            data = (found.folder / record["file"]["name"]).read_bytes()
            assert hashlib.sha256(data).hexdigest() == record["file"]["sha256"]
    for epochs in found.tables.values():
        for epoch in epochs.values():
            assert epoch.examples is None or epoch.examples.is_file()
            sql = f"SELECT epoch, id FROM read_parquet('{epoch.file}') WHERE epoch = {epoch.epoch} ORDER BY ALL"
            rows += duckdb.sql(sql).fetchall()
    return rows


def next_writer(store: Path) -> None:
    """Write something else to a store, as anybody may, and see that nothing of killed processes is left after it."""
    writer = RunWriter.create(store, f"next-{len(list(store.iterdir()))}", ABOUT)
    writer.close()
    assert remains(store) == []
    assert [path.name for path in store.iterdir() if path.name.startswith((".importing", ".repl"))] == []
    assert list(store.glob("*.part")) == list((store / ".incoming").glob("*.part")) == []
