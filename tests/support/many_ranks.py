"""Several ranks of one training, as threads of a test or as processes that can be killed, and what they record."""

import os
import signal
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
from recording_process import interrupted_at
from waiting import HANG_S

from secondguess.analysis.store.runs import find_run
from secondguess.trainer.recorder import Recorder

TABLE = "test_predictions"
EXAMPLES = 11
CLASSES = ["even", "odd", "neither"]


def together(count: int, do: Callable[[int], None]) -> dict[int, BaseException | None]:
    """What each rank's thread raised, all of them at once."""
    raised: dict[int, BaseException | None] = {}

    def one(rank: int) -> None:
        raised[rank] = None
        try:
            do(rank)
        except BaseException as error:
            raised[rank] = error

    threads = [threading.Thread(target=one, args=(rank,)) for rank in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(HANG_S)
        assert not thread.is_alive()
    return raised


def share(rank: int, count: int, examples: int = EXAMPLES) -> list[int]:
    """What torch's DistributedSampler gives a rank without shuffling: in turn, filled up with the first ones."""
    every = list(range(examples))
    return (every + every[: -examples % count])[rank::count]


def opened(store: Path, rank: int, count: int, **how: Any) -> Recorder:
    given = {"run": "cnn", "session": "first", "patience_s": HANG_S, **how}
    return Recorder(store, rank=rank, world_size=count, **given)


def images_of(numbers: Sequence[int]) -> np.ndarray:
    return np.array(numbers, np.uint8)[:, None, None] * np.ones((1, 4, 4), np.uint8)


def scores_of(epoch: int, numbers: Sequence[int]) -> list[list[float]]:
    """Scores that can be written down exactly, another class ahead in each epoch."""
    return [
        [0.25 + 0.5 * ((number + epoch) % 3 == column) - 0.125 * (column == 2) for column in range(3)]
        for number in numbers
    ]


def batch_of(epoch: int, numbers: Sequence[int]) -> dict[str, Any]:
    """A batch with all that a batch can have: images, classes, one row in five unlabelled, a column of one's own."""
    return {
        "ids": [f"test-{number}" for number in numbers],
        "images": images_of(numbers),
        "truth": [None if number % 5 == 4 else number % 2 for number in numbers],
        "scores": scores_of(epoch, numbers),
        "note": [None if number < 8 else f"n{number}" for number in numbers],
    }


def add(recorder: Recorder, epoch: int, numbers: Sequence[int], *, step: int | None = None, **how: Any) -> None:
    """One epoch of a table in batches of two."""
    with recorder.table(TABLE, epoch=epoch, step=step, acc=epoch, **how) as table:
        for at in range(0, len(numbers), 2):
            table.add(**batch_of(epoch, numbers[at : at + 2]))


def read(store: Path, run: str = "cnn", table: str = TABLE, columns: str = "* EXCLUDE (run)") -> list[tuple[Any, ...]]:
    """All rows of a run, in the order of moments, and of the rows of each."""
    rows: list[tuple[Any, ...]] = []
    for epoch in find_run(store, run).tables.get(table, {}).values():
        step = "NULL" if epoch.step is None else epoch.step
        same = f"epoch = {epoch.epoch}" + (f" AND step IS NOT DISTINCT FROM {step}" * epoch.has_steps)
        with duckdb.connect() as own:  # ranks that are threads may ask at the same time
            rows += own.sql(f"SELECT {columns} FROM read_parquet('{epoch.file}') WHERE {same}").fetchall()
    return rows


def said_of_ranks(store: Path, run: str = "cnn") -> Mapping[int | str, Any]:
    """What the records say of the ranks, by epoch."""
    live = find_run(store, run).commits[TABLE]
    return {entry["epoch"]: entry["ranks"] for _, record in live for entry in record["epochs"]}


def rank_process(store: Path, rank: int, count: int, plan: Mapping[str, Any], wait: Any, pipe: Any) -> None:
    """A rank that records epochs after the last one; sends each that is handed in, and the error it ends with.

    plan: epochs; die, a moment "before", "during" or "after" of an epoch when it kills itself; late, an epoch before
    which it waits for `wait`; fork, whether a forked child tries to record; call, the one of those that change a disk
    at which it kills itself; how, options of the Recorder.
    """
    with interrupted_at(plan.get("call", 0), lambda: os.kill(os.getpid(), signal.SIGKILL)) as came:
        _record(store, rank, count, plan, wait, pipe)
    if "call" in plan:
        pipe.send(("calls", len(came)))


def _record(store: Path, rank: int, count: int, plan: Mapping[str, Any], wait: Any, pipe: Any) -> None:
    try:
        with opened(store, rank, count, **plan.get("how", {})) as recorder:
            pipe.send(("last", recorder.last_epoch))
            if plan.get("fork"):
                pipe.send(("forked", _in_a_fork(recorder, share(rank, count))))
            for epoch in range(recorder.last_epoch + 1, plan["epochs"] + 1):
                if plan.get("late") == epoch:
                    pipe.send(("waits", epoch))
                    assert wait.wait(HANG_S)
                _perhaps(plan, "before", epoch)
                numbers = share(rank, count)
                with recorder.table(TABLE, epoch=epoch, acc=epoch) as table:
                    for at in range(0, len(numbers), 2):
                        table.add(**batch_of(epoch, numbers[at : at + 2]))
                        _perhaps(plan, "during", epoch)
                pipe.send(("handed in", epoch))
                _perhaps(plan, "after", epoch)
    except BaseException as error:
        pipe.send((type(error).__name__, str(error)))
    else:
        pipe.send(("done", None))


def _perhaps(plan: Mapping[str, Any], when: str, epoch: int) -> None:
    if plan.get("die") == (when, epoch):
        os.kill(os.getpid(), signal.SIGKILL)


def _in_a_fork(recorder: Recorder, numbers: Sequence[int]) -> str:
    """What a forked child meets that records and then closes its copy of the recorder."""
    ours, theirs = os.pipe()
    if not (child := os.fork()):
        try:
            add(recorder, 1, numbers)
        except BaseException as error:
            os.write(theirs, f"{type(error).__name__}: {error}".encode())
        recorder.close()
        os._exit(0)
    os.waitpid(child, 0)
    os.close(theirs)
    with os.fdopen(ours) as said:
        return said.read()
