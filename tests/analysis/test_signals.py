"""Ctrl-C and SIGTERM end every command in a moment: one line, 130 or 143, nothing half done."""

import fcntl
import os
import signal
import socket
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from page import Answer, children, serving
from recording import record
from waiting import HANG_S, SOON_S, until

import secondguess as sg
from secondguess.analysis.store.runs import find_run, list_runs
from secondguess.trainer.recorder import Recorder

MAIN = "from secondguess.analysis.cli import main; main()"
LISTENING = "SELECT count(*) FROM range(1000000000000) a WHERE a.range % 7 = 3"
INSIDE_ONE_CALL = "SELECT length(repeat('x', 3000000000)) FROM range(500)"
ONE_LONG_CALL = "SELECT levenshtein(repeat('a', 2000000), repeat('b', 2000000))"
SPILLING = "SELECT a.range, b.range FROM range(10000000) a, range(10000000) b ORDER BY hash(a.range)"
GIVING_ROWS = "SELECT range, repeat('x', 10) AS text FROM range(100000000000)"


@pytest.fixture
def store(tmp_path: Path) -> Path:
    store = tmp_path / "predictions"
    record(store, "cnn", {1: [("a", 1, 1), ("b", 1, 0)]})
    return store


class Command:
    """A command that runs in a process of its own, whose temporary files lie in `temporary`."""

    def __init__(
        self, folder: Path, *words: str | Path, code: str = MAIN, ignoring: bool = True, **environ: str
    ) -> None:
        self.temporary = folder / "temporary"
        self.temporary.mkdir(exist_ok=True)
        before = signal.signal(signal.SIGINT, signal.SIG_IGN if ignoring else signal.SIG_DFL)
        try:
            self.process = subprocess.Popen(
                [sys.executable, "-c", code, *map(str, words)],
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                env={**os.environ, **environ, "TMPDIR": str(self.temporary)},
                start_new_session=True,
            )
        finally:
            signal.signal(signal.SIGINT, before)

    @property
    def seconds(self) -> float:
        """The processor time it has used."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def busy(self) -> None:
        """Wait until it has worked for a second more than its start takes."""
        until(lambda: list(self.temporary.glob("secondguess-*")))
        began = self.seconds
        until(lambda: self.seconds > began + 1)

    def ended(self, number: signal.Signals, *, group: bool = False) -> tuple[int, str, str]:
        """Its exit code, stdout and stderr after a signal, which ends it soon."""
        assert self.process.poll() is None, self.process.communicate()
        began = time.monotonic()
        if group:
            os.killpg(self.process.pid, number)
        else:
            self.process.send_signal(number)
        out, err = self.process.communicate(timeout=HANG_S)
        assert time.monotonic() - began < SOON_S
        return self.process.returncode, out, err


LINE = "secondguess: interrupted\n"
BOTH = pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
ONE_OR_BOTH = pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), pytest.param(signal.SIGTERM, 143, marks=pytest.mark.slow)]
)


@pytest.mark.parametrize("query", [LISTENING, INSIDE_ONE_CALL, ONE_LONG_CALL, SPILLING])
@ONE_OR_BOTH
def test_sql_ends_with_one_line_and_its_spill_goes(
    store: Path, tmp_path: Path, query: str, number: signal.Signals, code: int
) -> None:
    """Also where a shell without a terminal started it in the background, where SIGINT is ignored."""
    command = Command(tmp_path, "sql", query, "--store", store)
    command.busy()
    assert command.ended(number) == (code, "", LINE)
    assert list(command.temporary.iterdir()) == []


def test_output_that_nobody_takes_keeps_nobody(store: Path, tmp_path: Path) -> None:
    command = Command(tmp_path, "sql", GIVING_ROWS, "--format", "csv", "--store", store)
    assert command.process.stdout is not None
    pipe = command.process.stdout.fileno()
    until(lambda: int.from_bytes(fcntl.ioctl(pipe, termios.FIONREAD, bytes(4)), sys.byteorder) >= 60_000)
    command.process.send_signal(signal.SIGTERM)
    assert command.process.wait(HANG_S) == 143
    assert command.process.communicate()[1] == LINE


def test_a_signal_while_the_command_is_loaded_ends_it(store: Path, tmp_path: Path) -> None:
    code = "import sys; from secondguess.__main__ import main; print(flush=True); main()"
    command = Command(tmp_path, "sql", LISTENING, "--store", store, code=code)
    assert command.process.stdout is not None
    command.process.stdout.readline()
    until(lambda: (signal.SIGINT - 1) in caught(command.process.pid))
    assert command.ended(signal.SIGINT) == (130, "", LINE)


def caught(pid: int) -> list[int]:
    """The signals that a process catches, less 1."""
    mask = next(line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("SigCgt"))
    bits = int(mask.split()[1], 16)
    return [bit for bit in range(64) if bits >> bit & 1]


def test_ctrl_c_of_a_terminal_is_the_same(store: Path, tmp_path: Path) -> None:
    """The whole group gets it."""
    command = Command(tmp_path, "sql", LISTENING, "--store", store, ignoring=False)
    command.busy()
    assert command.ended(signal.SIGINT, group=True) == (130, "", LINE)


@pytest.mark.parametrize(
    "words",
    [
        ["table", "cnn@1", "--add", "x = list_sum(list_transform(range(300000000), lambda y: y % 7))", "--sort", "x"],
        ["ask", "slow", "cnn@1"],
    ],
)
def test_table_and_ask_end_the_same(store: Path, tmp_path: Path, words: list[str]) -> None:
    (store / "questions").mkdir()
    (store / "questions" / "slow.sql").write_text(
        "-- Slow.\n-- epochs: last\n-- tables: 1\n"
        "SELECT id, list_sum(list_transform(range(300000000), lambda y: y % 7)) AS x FROM predictions ORDER BY x, id\n"
    )
    command = Command(tmp_path, *words, "--store", store)
    command.busy()
    assert command.ended(signal.SIGINT) == (130, "", LINE)


@pytest.mark.parametrize("name", ["out.csv", "out.json", "out.parquet"])
@pytest.mark.parametrize("query", [GIVING_ROWS, INSIDE_ONE_CALL])
def test_a_file_that_is_not_whole_is_not_there_and_the_one_before_stays(
    store: Path, tmp_path: Path, name: str, query: str
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / name).write_text("before")
    command = Command(tmp_path, "sql", query, "-o", out / name, "--store", store)
    command.busy()
    assert command.ended(signal.SIGTERM) == (143, "", LINE)
    assert [path.name for path in out.iterdir()] == [name]
    assert (out / name).read_text() == "before"


def test_images_beside_a_file_that_is_not_whole_go_with_it(store: Path, tmp_path: Path) -> None:
    import numpy as np

    with Recorder(store, run="pictures") as recorder, recorder.table("test_predictions", epoch=1) as table:
        images = np.random.default_rng(0).integers(0, 256, (3000, 4, 4), dtype=np.uint8)
        table.add(ids=[str(row) for row in range(3000)], images=images, guess=[0] * 3000)
    out = tmp_path / "out"
    out.mkdir()
    query = "SELECT image FROM examples, range(100000)"
    command = Command(tmp_path, "sql", query, "-o", out / "out.csv", "--store", store)
    until(lambda: len(list(out.glob("out-images/*"))) > 10)
    assert command.ended(signal.SIGINT) == (130, "", LINE)
    assert list(out.iterdir()) == []


@BOTH
def test_an_import_leaves_the_store_as_it_was(store: Path, tmp_path: Path, number: signal.Signals, code: int) -> None:
    before = sorted(path for path in store.rglob("*"))
    with (tmp_path / "big.csv").open("w") as rows:
        rows.write("id,guess\n")
        rows.writelines(f"row-{row},{row % 10}\n" for row in range(2_000_000))
    command = Command(tmp_path, "import", tmp_path / "big.csv", "--store", store)
    until(lambda: list(store.glob(".importing-*/big/.incoming/*.part")))
    exit_code, out, err = command.ended(number)
    assert (exit_code, out, err.splitlines()) == (
        code, "", ["test_predictions: id = id, guess = guess", "secondguess: interrupted"]
    )  # fmt: skip
    assert sorted(path for path in store.rglob("*")) == before


def test_an_import_from_a_server_that_says_nothing_ends_with_the_process_that_asks_it(tmp_path: Path) -> None:
    pytest.importorskip("wandb")
    store = tmp_path / "store"
    with socket.create_server(("127.0.0.1", 0)) as server:
        environ = {"WANDB_BASE_URL": f"http://127.0.0.1:{server.getsockname()[1]}", "WANDB_API_KEY": "0" * 40}
        command = Command(tmp_path, "import", "entity/project/run", "--store", store, **environ)
        server.accept()[0].close()
        started = children(command.process.pid)
        assert command.ended(signal.SIGINT, group=True) == (130, "", LINE)
    until(lambda: not any(Path(f"/proc/{child}").exists() for child in started))
    assert [path for path in store.rglob("*") if path.name not in {".incoming", "wandb"}] == []


@ONE_OR_BOTH
@pytest.mark.parametrize("mirror", ["off", "offline"])
def test_a_training_is_interrupted_keeps_its_epochs_and_goes_on(
    tmp_path: Path, number: signal.Signals, code: int, mirror: str
) -> None:
    pytest.importorskip("torch")
    store = tmp_path / "store"
    words = ["train", "--dataset", "digits", "--l1-size", "2", "--l2-size", "2", "--epochs", "10000"]
    command = Command(tmp_path, *words, "--run", "cnn", "--wandb", mirror, "--store", store)
    until(
        lambda: (
            "cnn" in list_runs(store) and len(find_run(store, "cnn").tables.get("test_predictions", {})) > 1
            if store.is_dir()
            else False
        )
    )
    started = children(command.process.pid)
    exit_code, _, err = command.ended(number, group=True)
    *epochs, last = err.splitlines()
    assert (exit_code, last) == (code, LINE.strip())
    assert all(line.startswith("epoch ") for line in epochs)
    until(lambda: not any(Path(f"/proc/{child}").exists() for child in started))
    run = find_run(store, "cnn")
    committed = list(run.tables["test_predictions"])
    assert (run.state, committed) == ("interrupted", list(range(1, len(committed) + 1)))
    with Recorder(store, run="cnn", resume=True) as recorder:
        assert recorder.last_epoch == len(committed) >= len(epochs) >= 1


COMMITTING = """
import sys, time
from secondguess.analysis import signals
from secondguess.analysis.store import disk
from secondguess.trainer.recorder import Recorder

signals.listen()
published = disk.Part.publish

def slowly(part, final):
    print("within", flush=True)
    time.sleep({wait})  # a slow disk
    return published(part, final)

with Recorder(sys.argv[1], run="cnn") as recorder:
    with recorder.table("test_predictions", epoch=1) as table:
        table.add(ids=["a"], guess=[0])
    disk.Part.publish = slowly
    with recorder.table("test_predictions", epoch=2) as table:
        table.add(ids=["a"], guess=[0])
    print("beyond", flush=True)
"""


@BOTH
@pytest.mark.parametrize(("wait", "epochs"), [(0.2, [1, 2]), (1000, [1])])
def test_a_commit_that_a_signal_meets_is_finished_if_it_can_be_and_else_is_none(
    tmp_path: Path, number: signal.Signals, code: int, wait: float, epochs: list[int]
) -> None:
    command = Command(tmp_path, tmp_path / "store", code=COMMITTING.format(wait=wait))
    assert command.process.stdout is not None
    assert command.process.stdout.readline() == "within\n"
    exit_code, out, err = command.ended(number)
    assert (exit_code, out.replace("within\n", ""), err) == (code, "", LINE)
    run = find_run(tmp_path / "store", "cnn")
    assert (run.state, list(run.tables["test_predictions"])) == ("interrupted", epochs)
    assert list((tmp_path / "store").rglob("*.part")) == []


@BOTH
def test_a_publishing_ends_and_w_and_b_s_process_with_it(
    store: Path, tmp_path: Path, number: signal.Signals, code: int
) -> None:
    pytest.importorskip("wandb")
    command = Command(tmp_path, "publish", "cnn", "--store", store)
    until(lambda: children(command.process.pid))
    started = children(command.process.pid)
    assert command.ended(number, group=True) == (code, "", LINE)
    until(lambda: not any(Path(f"/proc/{child}").exists() for child in started))


@ONE_OR_BOTH
@pytest.mark.parametrize("group", [False, True])
def test_the_page_ends_with_its_busy_workers_and_open_connections(
    store: Path, tmp_path: Path, number: signal.Signals, code: int, group: bool
) -> None:
    with serving(store, tmp_path / "log", start_new_session=True) as server:
        answers: list[Answer] = []
        askers = [threading.Thread(target=lambda: answers.append(server.sql(LISTENING))) for _ in range(3)]
        for asker in askers:
            asker.start()
        workers = server.workers()
        until(lambda: sum(user_seconds(pid) for pid in workers) > 2)
        everyone = children(server.process.pid)
        began = time.monotonic()
        (os.killpg if group else os.kill)(server.process.pid, number)
        assert server.process.wait(HANG_S) == code
        assert time.monotonic() - began < SOON_S
        until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in everyone))
        for asker in askers:
            asker.join()
    assert [answer.status for answer in answers] == [400] * 3  # what the client says of a connection that ends
    assert (tmp_path / "log").read_text() == LINE


def user_seconds(pid: int) -> float:
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11]) / os.sysconf("SC_CLK_TCK")
    except OSError:
        return 0


# In a program of one's own


@contextmanager
def pressed(when: Callable[[], object]) -> Iterator[None]:
    """Ctrl-C in this process, once something is so."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)

    def press() -> None:
        until(when)
        os.kill(os.getpid(), signal.SIGINT)

    presser = threading.Thread(target=press)
    presser.start()
    try:
        yield
    finally:
        presser.join()
        signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize(
    "column",
    [
        "x = (SELECT count(*) FROM range(1000000000000) a WHERE a.range % 7 = 3)",
        "x = list_sum(list_transform(range(30000000), lambda y: y % (guess + 2)))",
    ],
)
def test_ctrl_c_while_a_notebook_draws_a_table_is_a_keyboard_interrupt(store: Path, column: str) -> None:
    table = sg.connect(store).table("cnn@1", add=[column], sort="x")
    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt), pressed(lambda: time.monotonic() > began + 0.5):
        table._repr_html_()


def test_what_a_program_computes_is_given_and_raised_as_it_is(store: Path) -> None:
    connection = sg.connect(store)
    assert connection.sql('SELECT id FROM "cnn@1" ORDER BY id').fetchall() == [("a",), ("b",)]
    with pytest.raises(sg.SecondguessError, match="no run named 'none'"):
        connection.table("none@1")
