"""One run in another one's place: the old one is there until the new one is, whatever is killed in between."""

import contextlib
import ctypes
import errno
import itertools
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import recording_process
from killing import Ids, killed_at_random, next_writer, readable
from recording_process import interrupted_at, raising
from stores import ABOUT, epoch, plain
from waiting import HANG_S

import secondguess as sg
from secondguess.analysis.engine import duck
from secondguess.analysis.engine.statement import Statement
from secondguess.analysis.errors import AlreadyThere, NotWritten, SecondguessError
from secondguess.analysis.importers.wandb.server.download import Downloader
from secondguess.analysis.store import workplace
from secondguess.analysis.store.adoption import staging
from secondguess.analysis.store.disk import Part
from secondguess.analysis.store.runs import find_run, list_runs
from secondguess.analysis.store.workplace import REPLACING, Workplace, clear, remains
from secondguess.analysis.store.writer import RunWriter
from secondguess.trainer.recorder import Recorder

OLD: Ids = [(1, "old-a"), (1, "old-b"), (2, "old-a")]
NEW: Ids = [(1, "new-a")]


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """A store with a finished run of two epochs."""
    store = tmp_path / "predictions"
    run = RunWriter.create(store, "cnn", ABOUT)
    run.commit(epoch(1, ["old-a", "old-b"]))
    run.commit(epoch(2, ["old-a"]))
    run.end()
    run.close()
    return store


def without_exchange() -> None:
    workplace._system_exchange = lambda: None  # type: ignore[assignment]


@pytest.fixture(params=["exchange", "two renames"])
def how(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """The file system can exchange two names in one step, or not."""
    if request.param == "two renames":
        monkeypatch.setattr(workplace, "_system_exchange", lambda: None)
    return str(request.param)


def hidden(store: Path) -> list[str]:
    return [path.name for path in store.iterdir() if path.name.startswith(".")]


@pytest.mark.usefixtures("how")
def test_a_run_that_is_recorded_over_is_readable_until_the_new_one_has_an_epoch(store: Path) -> None:
    writer = RunWriter.create(store, "cnn", ABOUT, overwrite=True)
    assert readable(store, "cnn") == OLD
    assert plain(store / "*/test_predictions/*.parquet") == OLD
    writer.commit(epoch(1, ["new-a"]))
    assert readable(store, "cnn") == NEW
    assert plain(store / "*/test_predictions/*.parquet") == NEW
    assert find_run(store, "cnn").state == "running"
    writer.commit(epoch(2, ["new-a"]))
    writer.end()
    writer.close()
    assert readable(store, "cnn") == [(1, "new-a"), (2, "new-a")]
    assert (find_run(store, "cnn").state, hidden(store)) == ("finished", [])


@pytest.mark.parametrize("ends", [False, True])
def test_a_run_that_commits_nothing_leaves_the_one_before_as_it_was_and_says_so(
    store: Path, ends: bool, caplog: pytest.LogCaptureFixture
) -> None:
    writer = RunWriter.create(store, "cnn", ABOUT, overwrite=True)
    if ends:
        writer.end()
    writer.close()
    assert caplog.messages == ["nothing was committed, so run 'cnn' is the one that was there before"]
    assert (readable(store, "cnn"), find_run(store, "cnn").state, hidden(store)) == (OLD, "finished", [])


def test_a_run_that_ends_with_metrics_alone_takes_the_place(store: Path) -> None:
    writer = RunWriter.create(store, "cnn", ABOUT, overwrite=True)
    writer.end([(1, 1, "loss", 0.5)])
    writer.close()
    assert (readable(store, "cnn"), find_run(store, "cnn").state) == ([], "finished")
    assert plain(store / "cnn/metrics/*.parquet", "value") == [(0.5,)]


def test_while_a_run_is_recorded_over_nobody_else_may_record_it(store: Path) -> None:
    writer = RunWriter.create(store, "cnn", ABOUT, overwrite=True)
    with pytest.raises(AlreadyThere, match="'cnn' is being recorded by another process"):
        RunWriter.create(store, "cnn", ABOUT, overwrite=True)
    writer.commit(epoch(1, ["new-a"]))
    with pytest.raises(AlreadyThere, match="'cnn' is being recorded by another process"):
        RunWriter.resume(store, "cnn")
    writer.close()
    again = RunWriter.resume(store, "cnn")
    again.commit(epoch(2, ["new-a"]))
    again.close()


def test_a_run_that_somebody_took_away_meanwhile_is_recorded_all_the_same(store: Path) -> None:
    writer = RunWriter.create(store, "cnn", ABOUT, overwrite=True)
    shutil.rmtree(store / "cnn")
    writer.commit(epoch(1, ["new-a"]))
    writer.close()
    assert readable(store, "cnn") == NEW


def test_a_name_that_another_run_took_meanwhile_stays_that_run_s(store: Path) -> None:
    writer = RunWriter.create(store, "cnn", ABOUT, overwrite=True)
    shutil.rmtree(store / "cnn")
    other = RunWriter.create(store, "cnn", ABOUT)
    other.commit(epoch(1, ["other"]))
    with pytest.raises(AlreadyThere, match="run 'cnn' exists already; it came meanwhile"):
        writer.commit(epoch(1, ["new-a"]))
    writer.close()
    other.close()
    assert readable(store, "cnn") == [(1, "other")]


@pytest.mark.usefixtures("how")
def test_two_tables_that_are_open_while_the_run_takes_its_place_are_both_recorded(
    store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With content that waits on disk, whose files must be found where they are by then."""
    monkeypatch.setattr("secondguess.analysis.store.examples.HELD_BYTES", 1)
    with Recorder(store, run="cnn", overwrite=True) as recorder:
        for number in (1, 2):
            with recorder.table("left", epoch=number) as left:
                for name in "ab":
                    left.add(ids=[name], content=[f"text {name}{number}"], guess=[0])
                with recorder.table("right", epoch=number) as right:
                    for name in "cd":
                        right.add(ids=[name], content=[f"text {name}{number}"], guess=[0])
    assert readable(store, "cnn") == [(n, name) for names in ("ab", "cd") for n in (1, 2) for name in names]
    assert hidden(store) == []


def test_a_relation_that_is_kept_over_the_change_of_runs_says_to_ask_again(store: Path) -> None:
    import duckdb

    kept = sg.connect(store).sql("SELECT epoch, id FROM test_predictions ORDER BY ALL")
    writer = RunWriter.create(store, "cnn", ABOUT, overwrite=True)
    assert kept.fetchall() == OLD
    kept = sg.connect(store).sql("SELECT epoch, id FROM test_predictions ORDER BY ALL")
    writer.commit(epoch(1, ["new-a"]))
    writer.close()
    with pytest.raises(duckdb.IOException, match="ask again"):
        kept.fetchall()


# What killed processes leave


def test_a_run_that_was_set_aside_is_read_and_is_back_with_the_next_writer(
    store: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A kill between the two renames, on a file system that cannot exchange names."""
    place = store / ".replacing-0123"
    (place / ".aside").mkdir(parents=True)
    (store / "cnn").rename(place / ".aside" / "cnn")
    assert readable(store, "cnn") == OLD
    assert sg.connect(store).sql("SELECT epoch, id FROM test_predictions ORDER BY ALL").fetchall() == OLD
    assert remains(store) == [place]
    clear(store)
    assert (readable(store, "cnn"), find_run(store, "cnn").folder, hidden(store)) == (OLD, store / "cnn", [])
    assert caplog.messages == [
        "run 'cnn' is back as it was: what was replacing it was killed",
        f"cleared {place}, left by a process that was killed",
    ]


def test_a_run_that_was_set_aside_is_resumed(store: Path) -> None:
    writer = RunWriter.create(store, "other", ABOUT)
    writer.commit(epoch(1, ["a"]))
    writer.close()
    (store / ".replacing-0123" / ".aside").mkdir(parents=True)
    (store / "other").rename(store / ".replacing-0123" / ".aside" / "other")
    with Recorder(store, run="other", resume=True) as recorder:
        assert recorder.last_epoch == 1


def test_a_killed_recording_over_a_run_that_is_resumed_says_that_the_run_is_the_one_from_before(
    store: Path, caplog: pytest.LogCaptureFixture
) -> None:
    RunWriter.create(store, "other", ABOUT).close()
    child, pipe = recording_process.run(begin_and_die, store)
    recording_process.sent(pipe)
    child.join(HANG_S)
    (left,) = remains(store)
    with Recorder(store, run="other", resume=True) as recorder:
        assert recorder.last_epoch == 0
    assert caplog.messages == [
        f"cleared {left}, left by a process that was killed",
        "what was to replace run 'other' had nothing committed yet: it is the one from before",
    ]


def begin_and_die(store: Path, pipe: Any) -> None:
    RunWriter.create(store, "other", ABOUT, overwrite=True)
    os.kill(os.getpid(), signal.SIGKILL)


def test_what_somebody_works_in_is_not_cleared(store: Path, caplog: pytest.LogCaptureFixture) -> None:
    place = Workplace(store, REPLACING)
    with Part(store), Part(store / ".incoming"):
        assert remains(store) == []
        clear(store)
        assert (len(hidden(store)), len(list(store.rglob("*.part")))) == (2, 2)
    place.close()
    assert caplog.messages == []


def test_half_written_files_of_the_dead_are_cleared_and_what_is_foreign_is_not(
    store: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """That of a run lies there where the kill came right after its end was recorded."""
    half = f"{'0f' * 16}.part"
    for folder in (store, store / ".incoming", store / "cnn" / ".incoming"):
        folder.mkdir(exist_ok=True)
        (folder / half).touch()
        (folder / "mine.part").touch()
    (store / ".replaced" / "89").mkdir(parents=True)
    (store / ".mine").mkdir()
    (store / ".importing-link").symlink_to(store / "cnn")
    clear(store)
    assert sorted(hidden(store)) == [".importing-link", ".incoming", ".mine"]
    assert {path.name for path in store.rglob("*.part")} == {"mine.part"}
    assert readable(store, "cnn") == OLD
    assert caplog.messages == [
        f"cleared {store / '.replaced'}, left by a process that was killed",
        f"cleared {store / '.incoming' / half} and 2 more, left by a process that was killed",
    ]


@pytest.mark.usefixtures("how")
@pytest.mark.parametrize("step", [5, pytest.param(1, marks=pytest.mark.slow)])
def test_a_disk_that_fails_anywhere_in_an_overwriting_leaves_the_old_run_and_the_next_try_works(
    store: Path, step: int
) -> None:
    for call in itertools.count(1, step):
        writer = None
        with interrupted_at(call, raising(errno.EIO)) as came:
            try:
                writer = RunWriter.create(store, "cnn", ABOUT, overwrite=True)
                writer.commit(epoch(1, ["new-a"]))
            except (OSError, ValueError):
                assert readable(store, "cnn") == OLD
        if len(came) < call:
            break
        if writer is not None and readable(store, "cnn") == OLD:
            writer.commit(epoch(1, ["new-a"]))
            assert readable(store, "cnn") == NEW
        if writer is not None:
            writer.close()
        restore(store)
    assert call > 30
    assert writer is not None
    writer.close()
    clear(store)
    assert hidden(store) == []


def restore(store: Path) -> None:
    """Record the old run over what is there."""
    writer = RunWriter.create(store, "cnn", ABOUT, overwrite=True)
    writer.commit(epoch(1, ["old-a", "old-b"]))
    writer.commit(epoch(2, ["old-a"]))
    writer.end()
    writer.close()
    assert readable(store, "cnn") == OLD


# Kills


def record_over(store: Path, exchange: bool) -> None:
    if not exchange:
        without_exchange()
    writer = RunWriter.create(store, "cnn", ABOUT, overwrite=True)
    writer.commit(epoch(1, ["new-a"]))
    writer.commit(epoch(2, ["new-a"]))
    writer.end()
    writer.close()


def after(store: Path) -> str:
    """That the old run or the new one is there in full, and is so after the next writer, who leaves no litter."""
    seen = readable(store, "cnn")
    which = "old" if seen == OLD else "new"
    assert which == "old" or seen in (NEW, [*NEW, (2, "new-a")])
    assert find_run(store, "cnn").state in ({"finished"} if which == "old" else {"finished", "interrupted"})
    next_writer(store)
    assert readable(store, "cnn") == seen
    return which


def kills(store: Path, rounds: int, seed: int) -> None:
    def prepare(number: int) -> tuple[Callable[..., None], tuple[Any, ...]]:
        copy = Path(shutil.copytree(store, store.with_name(str(number))))
        return record_over, (copy, number % 2 == 0)

    def check(number: int, done: bool) -> str:
        which = after(store.with_name(str(number)))
        assert which == "new" or not done
        return which

    seen = killed_at_random(rounds, seed, prepare, check)
    assert seen.total() == rounds
    assert rounds < 50 or len(seen) == 2, "the kills should fall before and after the change"


def test_a_kill_while_a_run_is_recorded_over_leaves_the_old_one_or_the_new(store: Path) -> None:
    kills(store, 10, seed=1)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_100_kills_while_a_run_is_recorded_over_leave_the_old_one_or_the_new(store: Path) -> None:
    kills(store, 100, seed=2)


def record_over_until(store: Path, exchange: bool, call: int, pipe: Any) -> None:
    """The same, killed by itself just before its n-th call that changes a disk, the exchange among them."""
    real = workplace._system_exchange()
    with interrupted_at(call, lambda: os.kill(os.getpid(), signal.SIGKILL)):
        before = os.unlink  # any call that is counted

        def exchanged(one: bytes, other: bytes) -> int:
            counted(before)
            done = int(real(one, other))
            counted(before)
            return done

        workplace._system_exchange = (lambda: exchanged) if exchange else (lambda: None)  # type: ignore[assignment]
        record_over(store, exchange=True)
    pipe.send("whole")


def counted(unlink: Callable[[str], None]) -> None:
    """A call that changes nothing."""
    with contextlib.suppress(FileNotFoundError):
        unlink("/nowhere/at/all")


def kill_at_every(store: Path, exchange: bool, step: int) -> None:
    seen: list[str] = []
    for call in itertools.count(1, step):
        copy = Path(shutil.copytree(store, store.with_name(f"{call}")))
        child, pipe = recording_process.run(record_over_until, copy, exchange, call)
        said = recording_process.sent(pipe)
        child.join(HANG_S)
        assert child.exitcode in {0, -signal.SIGKILL}
        seen.append(after(copy))
        if said:
            break
    assert seen == sorted(seen, reverse=True), "once the new run is there it stays"
    assert (seen[0], seen[-1]) == ("old", "new")
    assert len(seen) * step > 60


@pytest.mark.parametrize("exchange", [True, False])
def test_a_kill_before_some_of_the_calls_leaves_the_old_run_or_the_new(store: Path, exchange: bool) -> None:
    kill_at_every(store, exchange, 13)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("exchange", [True, False])
def test_a_kill_before_any_of_the_calls_leaves_the_old_run_or_the_new(store: Path, exchange: bool) -> None:
    kill_at_every(store, exchange, 1)


SCRIPT = """
import sys
sys.path[:0] = sys.argv[1:3]
from pathlib import Path
from stores import ABOUT, epoch
from secondguess.analysis.store.writer import RunWriter
writer = RunWriter.create(Path(sys.argv[3]), "cnn", ABOUT, overwrite=True)
writer.commit(epoch(1, ["new-a"]))
writer.commit(epoch(2, ["new-a"]))
writer.end()
writer.close()
"""
SYSTEM_CALLS = ("renameat2", "unlinkat", "rmdir", "link", "unlink", "mkdir", "fsync", "flock")


def killed_in(store: Path, call: str, number: int) -> tuple[bool, str]:
    """Kill a recording over a run in its n-th system call of a name; gives whether it came to that, and who won."""
    copy = Path(shutil.copytree(store, store.with_name(f"{call}-{number}")))
    tests = Path(recording_process.__file__).parent
    words = [sys.executable, "-c", SCRIPT, str(tests), str(tests.parents[1]), str(copy)]
    kill = f"inject={call}:signal=SIGKILL:when={number}"
    done = subprocess.run(["strace", "-f", "-qq", "-o", os.devnull, "-e", kill, *words], capture_output=True)
    assert done.returncode in (0, -signal.SIGKILL, 128 + signal.SIGKILL), done.stderr
    return done.returncode != 0, after(copy)


@pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace")
@pytest.mark.parametrize(("call", "number"), [("renameat2", 1), ("unlinkat", 1), ("unlinkat", 3), ("rmdir", 2)])
def test_a_kill_in_a_system_call_of_the_change_leaves_the_old_run_or_the_new(
    store: Path, call: str, number: int
) -> None:
    assert killed_in(store, call, number) == (True, "old" if call == "renameat2" else "new")


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace")
@pytest.mark.parametrize("call", SYSTEM_CALLS)
def test_a_kill_in_any_system_call_that_changes_a_disk_leaves_the_old_run_or_the_new(store: Path, call: str) -> None:
    for number in itertools.count(1):
        came, _ = killed_in(store, call, number)
        if not came:
            break
    assert number > 1


def record_over_often(store: Path, exchange: bool, rounds: int, pipe: Any) -> None:
    if not exchange:
        without_exchange()
    for number in range(1, rounds + 1):
        writer = RunWriter.create(store, "cnn", ABOUT, overwrite=True)
        writer.commit(epoch(1, [f"new-{number}"]))
        writer.end()
        writer.close()
    pipe.send("done")


@pytest.mark.parametrize("exchange", [True, False])
def test_readers_beside_it_see_the_old_run_or_the_new_and_never_none(store: Path, exchange: bool) -> None:
    child, pipe = recording_process.run(record_over_often, store, exchange, 40)
    seen = 0
    while not pipe.poll():
        assert "cnn" in list_runs(store)
        seen += 1
    child.join(HANG_S)
    assert child.exitcode == 0
    assert seen > 40
    assert readable(store, "cnn") == [(1, "new-40")]


def test_a_system_that_refuses_the_exchange_for_another_reason_is_believed(
    store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refusing(one: bytes, other: bytes) -> int:
        ctypes.set_errno(errno.EIO)
        return -1

    monkeypatch.setattr(workplace, "_system_exchange", lambda: refusing)
    writer = RunWriter.create(store, "cnn", ABOUT, overwrite=True)
    with pytest.raises(NotWritten, match="cnn/test_predictions@1 could not be recorded: Input/output error"):
        writer.commit(epoch(1, ["new-a"]))
    writer.close()
    assert readable(store, "cnn") == OLD


# Who may look


@pytest.fixture(params=[0o022, 0o002], ids=oct)
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def mode(path: Path) -> str:
    return oct(path.stat().st_mode & 0o7777)


def test_a_new_store_is_for_its_owner_alone_and_what_lies_in_it_follows_the_umask(tmp_path: Path, umask: int) -> None:
    """To let others read takes two steps: chmod of the store, and a umask that lets them."""
    store = tmp_path / "deep" / "predictions"
    for overwrite in (False, True):
        writer = RunWriter.create(store, "cnn", ABOUT, overwrite=overwrite)
        for place in store.glob(".replacing-*"):
            assert mode(place) == "0o700"
        writer.commit(epoch(1, ["a"]))
        writer.close()
    folders, files = {0o022: ("0o755", "0o644"), 0o002: ("0o775", "0o664")}[umask]
    assert (mode(store.parent), mode(store)) == (folders, "0o700")
    assert {mode(path) for path in store.rglob("*") if path.is_dir()} == {folders}
    assert {mode(path) for path in store.rglob("*") if path.is_file()} == {files}
    (tmp_path / "mine").mkdir(mode=0o777)
    RunWriter.create(tmp_path / "mine", "cnn", ABOUT).close()
    assert mode(tmp_path / "mine") == folders


def test_an_import_is_made_where_only_its_owner_looks(tmp_path: Path, umask: int) -> None:
    with staging(tmp_path / "predictions") as place:
        assert (mode(tmp_path / "predictions"), mode(place.path)) == ("0o700", "0o700")


def test_downloads_are_for_their_owner_alone(tmp_path: Path, umask: int, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = tmp_path / "predictions" / ".incoming" / "wandb"
    monkeypatch.setenv("WANDB_API_KEY", "0" * 40)
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:1")
    with pytest.raises(SecondguessError):
        Downloader(cache, timeout_s=1).ask({"what": "nothing"})
    assert (mode(tmp_path / "predictions"), mode(cache)) == ("0o700", "0o700")


def test_what_a_query_spills_is_for_its_owner_alone_and_goes_with_it(
    tmp_path: Path, umask: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    RunWriter.create(tmp_path / "predictions", "cnn", ABOUT).close()
    (tmp_path / "spill").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "spill"))

    def modes() -> list[str]:
        return [mode(path) for path in (tmp_path / "spill").iterdir()]

    with duck.answered(lambda con: Statement("", "SELECT 1"), duck.rows):
        assert modes() == ["0o700"]
    assert modes() == []
    connection = sg.connect(tmp_path / "predictions")
    assert modes() == ["0o700"]
    del connection
    assert modes() == []
