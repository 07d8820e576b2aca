"""What survives kills and failing disks: each reported epoch, and nothing half."""

import contextlib
import errno
import hashlib
import itertools
import os
import random
import shutil
import signal
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet as pq
import pytest
import recording_process
from killing import killed_at_random
from recording_process import ROWS, add_epoch, guess_of, interrupted_at, raising, sent
from stores import plain, writer
from waiting import HANG_S

from secondguess.analysis.errors import BadInput
from secondguess.analysis.store.runs import find_run, list_runs
from secondguess.analysis.store.workplace import clear
from secondguess.trainer.recorder import Recorder

TABLE = "test_predictions"


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "predictions"


def visible(store: Path) -> list[int]:
    """The committed epochs, each checked: the file is what its record says, holds the right rows, and has images."""
    found = []
    held = list_runs(store).get("cnn") if store.is_dir() else None
    if held is None:
        return []
    said_of = {
        entry["epoch"]: record["file"] for _, record in held.commits.get(TABLE, ()) for entry in record["epochs"]
    }
    for epoch in held.tables.get(TABLE, {}).values():
        number = epoch.epoch
        data, said = epoch.file.read_bytes(), said_of[number]
        assert (len(data), hashlib.sha256(data).hexdigest()) == (said["bytes"], said["sha256"])
        rows = duckdb.sql(
            f"SELECT id, truth, guess FROM read_parquet('{epoch.file}') WHERE epoch = {number}"
        ).fetchall()
        assert rows == [(f"id-{row}", row % 10, guess_of(number, row)) for row in range(ROWS)]
        assert epoch.errors == sum(guess_of(number, row) != row % 10 for row in range(ROWS))
        assert epoch.examples is not None
        assert pq.read_table(epoch.examples, page_checksum_verification=True)["image"].null_count == 0
        found.append(number)
    return found


def no_half_files(store: Path) -> None:
    for file in store.rglob("*.parquet"):
        pq.read_table(file, page_checksum_verification=True)


# Kills


def after_a_kill(store: Path, said: bytes) -> None:
    """All that must hold of a run whose process was killed when it had said so much, and that it can go on."""
    acknowledged = [number for number in said if number != 255]
    found = visible(store)
    assert found[: len(acknowledged)] == acknowledged
    assert len(found) <= len(acknowledged) + 1
    no_half_files(store)
    held = list_runs(store).get("cnn") if store.is_dir() else None
    if held is None:
        assert said == b""
    elif held.state == "finished":
        assert acknowledged == found
    else:
        assert held.state == "interrupted"
        with Recorder(store, run="cnn", resume=True) as recorder:
            assert recorder.last_epoch == len(found)
            add_epoch(recorder, len(found) + 1)
        assert visible(store) == [*found, len(found) + 1]
        assert plain(store / "cnn" / TABLE / "*.parquet", "count(*)") == [((len(found) + 1) * ROWS,)]
        assert list((store / "cnn" / ".incoming").iterdir()) == []


def killed(store: Path, with_signal: signal.Signals, after: int, more_s: float) -> bytes:
    """Kill a recording that has said as many bytes, somewhere in what it does next."""
    child, pipe = recording_process.run(recording_process.to_be_killed, store, 4)
    with pipe:
        said = os.read(pipe.fileno(), after) if after else b""
        while len(said) < after:
            said += os.read(pipe.fileno(), after - len(said))
        child.join(more_s)
        with contextlib.suppress(ProcessLookupError):  # it got through
            os.kill(child.pid, with_signal)
        child.join(HANG_S)
        assert child.exitcode is not None
        return said + everything(pipe.fileno())


def everything(handle: int) -> bytes:
    return b"".join(iter(partial(os.read, handle, 64), b""))


def kill_at_random(store: Path, rounds: int, seed: int) -> Counter[int]:
    rng = random.Random(seed)
    reached: Counter[int] = Counter()
    assert killed(store / "whole", signal.SIGKILL, 5, HANG_S) == b"\1\2\3\4\xff"
    for number in range(rounds):
        place = store / str(number)
        kind = rng.choice([signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
        said = killed(place, kind, rng.randrange(5), rng.uniform(0, 0.02))
        after_a_kill(place, said)
        reached[len(said)] += 1
    return reached


def test_what_was_acknowledged_is_there_after_a_kill(store: Path) -> None:
    assert kill_at_random(store, 8, seed=1).total() == 8


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_what_was_acknowledged_is_there_after_each_of_100_kills(store: Path) -> None:
    reached = kill_at_random(store, 100, seed=2)
    assert len(reached) > 3, "the kills should fall on different epochs"


def kill_at(store: Path, call: int) -> bytes:
    child, pipe = recording_process.run(recording_process.killed_at, store, 2, call)
    with pipe:
        child.join(HANG_S)
        assert child.exitcode in {0, -signal.SIGKILL}
        return everything(pipe.fileno())


def kill_at_every(store: Path, step: int) -> int:
    """Kill before the n-th file operation for n = 1, 1 + step, … until a run gets through; gives that n."""
    call = 1
    while (said := kill_at(store / str(call), call))[-1:] != b"\xff":
        after_a_kill(store / str(call), said)
        call += step
    assert visible(store / str(call)) == [1, 2]
    return call


def test_a_kill_before_some_of_the_file_operations_leaves_the_old_state_or_the_new(store: Path) -> None:
    assert kill_at_every(store, 17) > 80


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_kill_before_any_of_the_file_operations_leaves_the_old_state_or_the_new(store: Path) -> None:
    assert kill_at_every(store, 1) > 80


# Failing disks


QUICK_AND_SLOW = [7, pytest.param(1, marks=pytest.mark.slow)]  # every operation is tried by the slow ones
ONCE_OR_ON = pytest.mark.parametrize("persistent", [False, True], ids=["once", "from then on"])


def failing(call: int, persistent: bool, do: Callable[[], object]) -> bool:
    """Do something on a disk whose n-th operation fails, with all later ones if persistent; False where n never came.

    The disk that cannot write also cannot store more: the two errors take turns.
    """
    fault = (errno.EIO, errno.ENOSPC)[call % 2]
    with interrupted_at(call, raising(fault), persistent=persistent) as came:
        try:
            do()
        except OSError as error:
            assert error.errno == fault
        except BadInput as error:
            assert os.strerror(fault) in str(error) or errno.errorcode[fault] in str(error)
    return len(came) >= call


def each_failing(
    step: int, template: Path, persistent: bool, prepare: Callable[[Path], Callable[[], object]]
) -> Iterator[Path]:
    """A copy of the store `template` for every step-th operation of what is prepared, after it failed there."""
    for call in itertools.count(1, step):
        store = template.with_name(str(call))
        if template.is_dir():
            shutil.copytree(template, store)
        if not failing(call, persistent, prepare(store)):
            assert call > 12
            return
        yield store
        shutil.rmtree(store, ignore_errors=True)


@pytest.mark.parametrize("step", QUICK_AND_SLOW)
@ONCE_OR_ON
def test_a_disk_that_fails_at_any_operation_of_beginning_a_run_leaves_the_name_free(
    store: Path, persistent: bool, step: int
) -> None:
    for place in each_failing(step, store, persistent, lambda place: lambda: writer(place).close()):
        if not place.is_dir() or list_runs(place) == {}:
            writer(place).close()
        assert list(list_runs(place)) == ["cnn"]


@pytest.mark.parametrize("step", QUICK_AND_SLOW)
@ONCE_OR_ON
@pytest.mark.parametrize("committed", [0, 1], ids=["first", "second"])
def test_a_disk_that_fails_at_any_operation_of_a_commit_changes_nothing(
    store: Path, persistent: bool, committed: int, step: int
) -> None:
    """The first makes the folders and writes the images."""
    recorder = Recorder(store, run="cnn")
    for number in range(1, committed + 1):
        add_epoch(recorder, number)
    recorder.close(finished=False)
    open_now: list[Recorder] = []

    def prepare(place: Path) -> Callable[[], None]:
        open_now[:] = [Recorder(place, run="cnn", resume=True)]
        return lambda: add_epoch(open_now[0], committed + 1)

    for place in each_failing(step, store, persistent, prepare):
        found = visible(place)
        no_half_files(place)
        if len(found) == committed:  # else the operation was one that may fail
            add_epoch(open_now[0], committed + 1)
            found = visible(place)
        assert found == list(range(1, committed + 2))
        assert plain(place / "cnn" / TABLE / "*.parquet", "count(*)") == [((committed + 1) * ROWS,)]
        open_now[0].close()
        assert visible(place) == found
        assert list((place / "cnn" / ".incoming").iterdir()) == []


@pytest.mark.parametrize("step", QUICK_AND_SLOW)
@ONCE_OR_ON
def test_a_disk_that_fails_at_any_operation_of_ending_a_run_loses_nothing(
    store: Path, persistent: bool, step: int
) -> None:
    recorder = Recorder(store, run="cnn")
    add_epoch(recorder, 1)
    add_epoch(recorder, 2)
    recorder.close(finished=False)

    def prepare(place: Path) -> Callable[[], None]:
        recorder = Recorder(place, run="cnn", resume=True)
        recorder.log(loss=0.125)
        return recorder.close

    for place in each_failing(step, store, persistent, prepare):
        assert visible(place) == [1, 2]
        no_half_files(place)
        if find_run(place, "cnn").state != "finished":
            Recorder(place, run="cnn", resume=True).close()
            assert visible(place) == [1, 2]
        assert find_run(place, "cnn").state == "finished"
        assert plain(place / "cnn" / TABLE / "*.parquet", "count(*)") == [(2 * ROWS,)]


def test_a_file_that_may_not_grow_loses_its_epoch_and_no_other(store: Path) -> None:
    child, pipe = recording_process.run(recording_process.with_small_files, store, 40_000)
    assert sent(pipe) == ["kept", "EFBIG", "kept"]
    child.join(HANG_S)
    assert child.exitcode == 0
    assert plain(store / "cnn" / TABLE / "*.parquet", "DISTINCT epoch") == [(1,), (3,)]
    assert find_run(store, "cnn").state == "finished"


# The order in which things become durable


def test_everything_a_record_names_is_durable_before_the_record_is_there(
    store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a power loss a record may only be there with its file, the file's folder, and the folders above."""
    log: list[tuple[str, str]] = []
    real = {name: getattr(os, name) for name in ("mkdir", "write", "fsync", "link")}

    def opened(handle: int) -> str:
        return os.readlink(f"/proc/self/fd/{handle}")

    def watched(name: str, path_of: Callable[..., str]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            done = real[name](*args, **kwargs)
            log.append((name, path_of(*args)))
            return done

        return call

    monkeypatch.setattr(os, "mkdir", watched("mkdir", lambda path, *mode: str(path)))
    monkeypatch.setattr(os, "write", watched("write", lambda handle, data: opened(handle)))
    monkeypatch.setattr(os, "fsync", watched("fsync", opened))
    monkeypatch.setattr(os, "link", watched("link", lambda part, final: f"{part} {final}"))
    recorder = Recorder(store, run="cnn")
    add_epoch(recorder, 1)
    add_epoch(recorder, 2)
    recorder.close()
    records = [at for at, (name, path) in enumerate(log) if name == "link" and path.endswith(".json")]
    assert len(records) == 5  # run.json, two epochs, their merger, the end
    unsynced: set[str] = set()
    for at, (name, path) in enumerate(log):
        if name == "link":
            part, final = path.split()
            assert part not in unsynced, "a file got its name before its data were durable"
            if at in records:
                assert {held for held in unsynced if not held.endswith(".part")} == set()
            unsynced.add(str(Path(final).parent))
        elif name == "mkdir":
            unsynced.add(str(Path(path).parent))
        elif name == "write":
            unsynced.add(path)
        else:
            unsynced.discard(path)
    assert unsynced == set()


# The end of a run


def end_it(store: Path) -> None:
    with Recorder(store, run="cnn", resume=True) as recorder:
        recorder.log(loss=0.125)


@pytest.mark.parametrize("rounds", [10, pytest.param(100, marks=[pytest.mark.slow, pytest.mark.timeout(900)])])
def test_a_kill_while_a_run_ends_loses_nothing(store: Path, rounds: int) -> None:
    recorder = Recorder(store, run="cnn")
    for number in (1, 2, 3):
        add_epoch(recorder, number)
    recorder.close(finished=False)

    def prepare(number: int) -> tuple[Callable[..., None], tuple[Any, ...]]:
        return end_it, (Path(shutil.copytree(store, store.with_name(str(number)))),)

    def check(number: int, done: bool) -> str:
        place = store.with_name(str(number))
        assert visible(place) == [1, 2, 3]
        no_half_files(place)
        state = find_run(place, "cnn").state
        assert state == "finished" or (state == "interrupted" and not done)
        if state == "interrupted":
            end_it(place)
        clear(place)
        assert visible(place) == [1, 2, 3]
        assert plain(place / "cnn" / TABLE / "*.parquet", "count(*)") == [(3 * ROWS,)]
        assert list((place / "cnn" / ".incoming").iterdir()) == []
        return state

    assert killed_at_random(rounds, 6, prepare, check).total() == rounds
