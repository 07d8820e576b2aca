"""What recording processes of the tests do, in children that can be killed; a fork server starts them at once."""

import contextlib
import ctypes
import errno
import io
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from stores import epoch
from waiting import HANG_S

from secondguess.analysis.errors import AlreadyThere
from secondguess.analysis.store.runs import Run
from secondguess.analysis.store.writer import RunWriter
from secondguess.trainer.recorder import Recorder

processes = get_context("forkserver")
processes.set_forkserver_preload(
    ["secondguess.trainer.recorder", "secondguess.analysis.cli", "secondguess.analysis.connection", "pandas"]
)

ROWS = 20


def guess_of(number: int, row: int) -> int:
    return (7 * number + row) % 10


def add_epoch(recorder: Recorder, number: int) -> None:
    """ROWS rows with images, one epoch-dependent guess each."""
    recorder.log(loss=1 / number)
    with recorder.table("test_predictions", epoch=number, acc=number) as table:
        for half in (range(ROWS // 2), range(ROWS // 2, ROWS)):
            table.add(
                ids=[f"id-{row}" for row in half],
                images=np.array(half, np.uint8)[:, None, None] * np.ones((1, 4, 4), np.uint8),
                truth=[row % 10 for row in half],
                guess=[guess_of(number, row) for row in half],
            )


def record_and_say(store: Path, epochs: int, says: int) -> None:
    """Record and end a run; write the number of each committed epoch as one byte, 255 when the run has ended."""
    with Recorder(store, run="cnn") as recorder:
        for number in range(1, epochs + 1):
            add_epoch(recorder, number)
            os.write(says, bytes([number]))
    os.write(says, b"\xff")


def to_be_killed(store: Path, epochs: int, pipe: Any) -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with contextlib.suppress(KeyboardInterrupt):
        record_and_say(store, epochs, pipe.fileno())


def killed_at(store: Path, epochs: int, call: int, pipe: Any) -> None:
    """The same, killed by itself just before its n-th call that changes a disk."""
    with interrupted_at(call, lambda: os.kill(os.getpid(), signal.SIGKILL)):
        record_and_say(store, epochs, pipe.fileno())


STEPS = ((1, 10), (1, 20), (2, 10), (2, None))  # of the validations of a run: two in each of two epochs


def add_validation(recorder: Recorder, epoch: int, step: int | None) -> None:
    """Two rows whose guess is the step, 0 at the end of an epoch."""
    with recorder.table("test_predictions", epoch=epoch, step=step, acc=epoch) as table:
        table.add(ids=["a", "b"], content=["first", "second"], truth=[10, 20], guess=[step or 0] * 2)


def steps_killed_at(store: Path, call: int, pipe: Any) -> None:
    """Record and end a run of several validations in an epoch, killed by itself just before its n-th call to a disk.

    Writes a byte for each validation when it is committed, 255 when the run has ended.
    """
    with interrupted_at(call, lambda: os.kill(os.getpid(), signal.SIGKILL)):
        with Recorder(store, run="cnn") as recorder:
            for number, (epoch, step) in enumerate(STEPS, start=1):
                add_validation(recorder, epoch, step)
                os.write(pipe.fileno(), bytes([number]))
        os.write(pipe.fileno(), b"\xff")


CALLS = ("open", "write", "fsync", "link", "unlink", "mkdir", "rename", "rmdir")


@contextmanager
def interrupted_at(number: int, do: Callable[[], None], *, persistent: bool = False) -> Iterator[list[str]]:
    """Do something instead of the n-th file operation, and of all later ones if persistent; gives those that came.

    Opening a record to read it is none: one that cannot be read is damage, and nothing is cleared beside it.
    """
    came: list[str] = []
    real = {name: getattr(os, name) for name in CALLS}

    def wrapped(name: str) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            if name == "open" and args[1] & os.O_NONBLOCK:
                return real[name](*args, **kwargs)
            came.append(name)
            if len(came) == number or (persistent and len(came) > number):
                do()
            return real[name](*args, **kwargs)

        return call

    for name in CALLS:
        setattr(os, name, wrapped(name))
    try:
        yield came
    finally:
        for name, call in real.items():
            setattr(os, name, call)


def raising(number: int) -> Callable[[], None]:
    def fail() -> None:
        raise OSError(number, errno.errorcode[number])

    return fail


class NoLock:
    """A lock that keeps nobody out, as on a file system that has none."""

    def holds(self) -> bool:
        return True

    def release(self) -> None:
        pass


def race_to_commit(store: Path, rounds: int, rows: str, barrier: Any, pipe: Any) -> None:
    """Commit every epoch at the same time as another process; sends a letter per round: won, lost or else."""
    writer = RunWriter(Run(store, "cnn", store / "cnn"), NoLock())  # type: ignore[arg-type]
    for number in range(1, rounds + 1):
        barrier.wait(HANG_S)
        pipe.send(attempted(lambda number=number: writer.commit(epoch(number, [rows if number % 2 else "same"]))))


def race_to_begin(store: Path, rounds: int, rows: str, barrier: Any, pipe: Any) -> None:
    """Record a whole run at the same time as another process."""

    def record(run: str) -> None:
        with Recorder(store, run=run) as recorder, recorder.table("test_predictions", epoch=1) as table:
            table.add(ids=[rows], guess=[0])

    for number in range(1, rounds + 1):
        barrier.wait(HANG_S)
        pipe.send(attempted(lambda number=number: record(f"run-{number}")))


def attempted(commit: Callable[[], None]) -> str:
    try:
        commit()
    except AlreadyThere:
        return "lost"
    except BaseException as error:
        return repr(error)
    return "won"


def with_small_files(store: Path, limit: int, pipe: Any) -> None:
    """Record epochs 1, 2 and 3, of which 2 is larger than a file may get; sends what became of each."""
    import resource

    with Recorder(store, run="cnn") as recorder:
        for number, rows in ((1, 10), (2, 200_000), (3, 10)):
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
            try:
                with recorder.table("test_predictions", epoch=number) as table:
                    table.add(ids=[str(row) for row in range(rows)], guess=np.arange(rows))
                pipe.send("kept")
            except OSError as error:
                pipe.send(errno.errorcode[error.errno or 0])
            finally:
                resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


def bound_by_permissions() -> None:
    """Be bound by the permissions of files, as root is not: its right to pass over them is given up.

    It stays root, for the checkout may lie where nobody else may read.
    """
    version = 0x20080522  # of the two structures of Linux's capset
    header, none = (ctypes.c_uint32 * 2)(version, 0), (ctypes.c_uint32 * 6)()
    if os.getuid() == 0 and ctypes.CDLL(None, use_errno=True).capset(header, none):
        raise OSError(ctypes.get_errno(), "capset")


def as_reader(store: Path, commands: list[list[str]], pipe: Any) -> None:
    """Run commands, and try to record, as a user who may only read; sends exit code, stdout and stderr of each."""
    from secondguess.analysis.cli import main

    bound_by_permissions()
    for command in commands:
        out, err = io.StringIO(), io.StringIO()
        code = 0
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            try:
                main(command)
            except SystemExit as stop:
                code = int(stop.code or 0)
        pipe.send((code, out.getvalue(), err.getvalue()))
    try:
        Recorder(store, run="mine")
    except BaseException as error:
        pipe.send(repr(error))


def commit_slowly(store: Path, epochs: int, go_on: Any) -> None:
    """Record epochs while somebody reads, who says when to go on after three, then end the run, which merges them."""
    with Recorder(store, run="cnn") as recorder:
        for number in range(1, epochs + 1):
            add_epoch(recorder, number)
            if number == 3:
                go_on.wait(HANG_S)


def run(target: Callable[..., None], *args: Any) -> Any:
    """A started child with a pipe to read what it sends, as (process, pipe)."""
    ours, theirs = processes.Pipe(duplex=False)
    child = processes.Process(target=target, args=(*args, theirs))
    child.start()
    theirs.close()
    return child, ours


def sent(pipe: Any) -> list[Any]:
    """All that a child sends until it ends."""
    found = []
    with contextlib.suppress(EOFError), pipe:
        while True:
            found.append(pipe.recv())
    return found
