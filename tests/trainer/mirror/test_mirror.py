"""The W&B mirror: real SDK, real child process; only the live run's object is sometimes a fake."""

import _thread
import io
import json
import logging
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import mirroring
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import wandb
from mirroring import (
    CONFIG,
    IMAGES,
    OFFLINE,
    ONLINE,
    ROWS,
    TUTORIAL,
    add,
    record,
    scores,
    so_far,
    train,
    truth,
)
from PIL import Image
from waiting import HANG_S, PATIENT, until
from wandb_faults import OfflineRun, sabotage
from wandb_server import WandbServer

import secondguess as sg
from secondguess.analysis.cli import main
from secondguess.analysis.errors import MissingExtra
from secondguess.analysis.moments import Moment
from secondguess.analysis.store.rows import CommittedRows
from secondguess.analysis.store.runs import find_run, list_runs
from secondguess.trainer.mirror.mirror import WandbMirror, WandbOptions, require_wandb
from secondguess.trainer.mirror.outbox import MirrorReport, Outbox, RowCount
from secondguess.trainer.mirror.table import to_wandb_table
from secondguess.trainer.recorder import Recorder

# For what was seen to hang before patience counts.
BRIEF = WandbOptions(**PATIENT | {"patience_s": 1})

SUPPORT = str(Path(mirroring.__file__).parent)
FOREVER = "reached(); time.sleep(1e6)"
STOPPED = "reached(); os.kill(os.getpid(), signal.SIGSTOP)"
DEAD = "await_go(); os._exit(3)"
RAISES = "raise RuntimeError('no more')"


def at_log_of(epoch: int, what: str) -> str:
    """Sabotage: from this epoch's table on, W&B's log does `what`."""
    return f"""
import wandb
log = wandb.Run.log
def sabotaged(self, data, *args, **options):
    if data.get("epoch", 0) >= {epoch}:
        {what}
    return log(self, data, *args, **options)
wandb.Run.log = sabotaged
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def environment(home: Path) -> Iterator[pytest.MonkeyPatch]:
    """No cloud, no key of the user's, no home of the user's."""
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith(("WANDB_", "XDG_"))]:
            patch.delenv(name)
        patch.setenv("HOME", str(home))
        patch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")
        patch.setenv("WANDB_API_KEY", "k" * 40)
        yield patch


@pytest.fixture(autouse=True)
def at_home(environment: pytest.MonkeyPatch) -> None:
    """Every test runs in that environment."""


@dataclass(frozen=True)
class Recorded:
    store: Path
    report: MirrorReport
    run: OfflineRun

    @property
    def tables(self) -> list[dict[str, Any]]:
        return [row for row in self.run.history if "test_predictions" in row]


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory, environment: pytest.MonkeyPatch) -> Recorded:
    store = tmp_path_factory.mktemp("recorded") / "store"
    report = train(store, WandbOptions(rows=10, **PATIENT))
    assert report.folder is not None
    return Recorded(store, report, OfflineRun(report.folder))


def test_several_validations_of_an_epoch_have_their_step_in_w_and_b_and_come_back_as_they_were(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Recorder(tmp_path / "store", run="cnn", wandb=WandbOptions(**PATIENT)) as recorder:
        for epoch, step in ((1, 750), (1, 1500), (2, 750), (2, 1500)):
            with recorder.table("val", epoch=epoch, step=step, acc=step / 10) as table:
                table.add(ids=["a", "b"], images=IMAGES[:2], truth=["x", "y"], guess=["x", "x" if step == 750 else "y"])
    assert recorder.report is not None and recorder.report.folder is not None
    assert (recorder.report.tables_asked, recorder.report.tables_sent) == (4, 4)
    history = OfflineRun(recorder.report.folder).history
    assert [(row["epoch"], row["step"], row["acc"]) for row in history if "val" in row] == [
        (1, 750, 75.0),
        (1, 1500, 150.0),
        (2, 750, 75.0),
        (2, 1500, 150.0),
    ]
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "caches"))  # what asking remembers is no file of the mirror's
    main(["import", str(recorder.report.folder), "--run", "back", "--store", str(tmp_path / "there")])
    asked = "SELECT epoch, step, id, guess FROM val ORDER BY epoch, step, id"
    here, there = (sg.connect(tmp_path / name).sql(asked).fetchall() for name in ("store", "there"))
    assert here == there
    assert [str(moment) for moment in find_run(tmp_path / "there", "back").tables["val"]] == [
        "1:750",
        "1:1500",
        "2:750",
        "2:1500",
    ]


def test_an_offline_run_holds_name_project_config_and_its_end(recorded: Recorded) -> None:
    assert (recorded.run.name, recorded.run.project, recorded.run.exit_code) == ("cnn", "table-quickstart", 0)
    config = {key: value for key, value in recorded.run.config.items() if key != "_wandb"}
    assert config == CONFIG


def test_every_loss_is_a_history_row(recorded: Recorded) -> None:
    losses = [row["loss"] for row in recorded.run.history if "loss" in row]
    assert losses == pytest.approx([1, 1 / 2, 1 / 3, 1 / 2, 1 / 3, 1 / 4])


def test_a_table_is_in_the_history_row_of_its_epoch_and_acc(recorded: Recorded) -> None:
    assert [(row["epoch"], row["acc"]) for row in recorded.tables] == [(1, 91), (2, 92)]
    assert [row["test_predictions"]["_type"] for row in recorded.tables] == ["table-file"] * 2
    assert not [row for row in recorded.run.history if "epoch" in row and "test_predictions" not in row]


def test_a_table_has_the_tutorials_columns_and_numbers(recorded: Recorded) -> None:
    for row in recorded.tables:
        table = recorded.run.table("test_predictions", row["test_predictions"])
        assert table["columns"] == TUTORIAL
        expected = scores(row["epoch"])[:10]
        assert [cells[0] for cells in table["data"]] == [f"t-{i}" for i in range(10)]
        assert [cells[2] for cells in table["data"]] == expected.argmax(1).tolist()
        assert [cells[3] for cells in table["data"]] == truth(10).tolist()
        assert np.array([cells[4:] for cells in table["data"]]) == pytest.approx(expected)


def test_images_in_wandb_are_the_recorded_pixels(recorded: Recorded) -> None:
    for row in recorded.tables:
        files = recorded.run.files(row["test_predictions"])
        table = recorded.run.table("test_predictions", row["test_predictions"])
        pixels = [np.asarray(Image.open(io.BytesIO(files[cells[1]["path"]].read_bytes()))) for cells in table["data"]]
        assert np.array_equal(pixels, IMAGES[:10])


def test_the_report_says_how_much_of_what_was_sent(recorded: Recorded) -> None:
    report = recorded.report
    assert (report.mode, report.tables_sent, report.tables_asked) == ("offline", 2, 2)
    assert report.rows == {"test_predictions": RowCount(10, 12)}
    assert str(RowCount(320, 10_000)) == "320 of 10,000"
    assert (report.history_asked, report.history_dropped, report.faults) == (6, 0, ())
    assert json.loads(json.dumps(report.about()))["rows"] == {"test_predictions": {"sent": 10, "committed": 12}}


def test_what_wandb_stages_lies_in_the_store(recorded: Recorded, home: Path) -> None:
    staged = [path for row in recorded.tables for path in recorded.run.files(row["test_predictions"]).values()]
    assert len(staged) == 22
    assert all(path.is_relative_to(recorded.store / "wandb" / "data") and path.exists() for path in staged)
    assert list(home.rglob("*")) == []
    assert {path.name for path in (recorded.store / "wandb").glob("tmp*")} == set()


def test_two_mirrors_in_one_process_are_two_wandb_runs(tmp_path: Path) -> None:
    with Recorder(tmp_path, run="one", wandb=OFFLINE) as one, Recorder(tmp_path, run="two", wandb=OFFLINE) as two:
        add(one, 1)
        add(two, 1)
    assert one.report is not None and two.report is not None
    assert one.report.tables_sent == two.report.tables_sent == 1
    assert one.report.wandb_id != two.report.wandb_id
    assert one.report.folder != two.report.folder


LIVE = """
import sys, wandb
from pathlib import Path
from mirroring import OFFLINE, Recorder, add, train
store = Path(sys.argv[1])
live = wandb.init(project="mine", mode="offline", settings=wandb.Settings(console="off", x_disable_stats=True))
report = train(store, live)
assert report.mode == "live" and report.tables_sent == 2, report
with Recorder(store, run="own", wandb=OFFLINE) as own:
    add(own, 1)
assert own.report.wandb_id != live.id and own.report.tables_sent == 1, own.report
live.log({"after": 1})
live.finish(exit_code=7)
wandb.teardown()
print(live.dir)
"""


def logged_by(script: str, folder: Path) -> Path:
    """The folder of the W&B run that a script opens in a process of its own, and records into a store of the folder."""
    environment = {**os.environ, "PYTHONPATH": SUPPORT, "WANDB_DIR": str(folder), "WANDB_SILENT": "true"}
    for name in ("DATA", "CACHE", "CONFIG"):
        environment[f"WANDB_{name}_DIR"] = str(folder / name)
    command = [sys.executable, "-c", script, str(folder / "store")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return Path(done.stdout.split()[-1]).parent


def test_a_live_run_gets_the_rows_and_is_not_finished_by_us(tmp_path: Path) -> None:
    run = OfflineRun(logged_by(LIVE, tmp_path))
    assert (run.project, run.exit_code) == ("mine", 7)
    assert [row["epoch"] for row in run.history if "test_predictions" in row] == [1, 2]
    assert len([row for row in run.history if "loss" in row]) == 6
    assert run.history[-1]["after"] == 1


LIGHTNING = """
import sys, wandb
from mirroring import Recorder, scores, truth
live = wandb.init(project="mine", mode="offline", settings=wandb.Settings(console="off", x_disable_stats=True))
live.config.update({"lr": 0.1})
with Recorder(sys.argv[1], run="cnn", classes=["cat", "dog", "bird"], wandb=live) as recorder:
    for epoch in (1, 2):
        live.log({"train_loss": 0.5, "epoch": epoch - 1})
        with recorder.table("test_predictions", epoch=epoch) as table:
            table.add(ids=[f"t-{i}" for i in range(12)], truth=truth(), scores=scores(epoch))
live.finish()
wandb.teardown()
print(live.dir)
"""


def test_a_live_run_that_counts_epochs_from_0_is_imported_with_ours_and_the_names_of_the_classes(
    tmp_path: Path,
) -> None:
    folder = logged_by(LIGHTNING, tmp_path)
    main(["import", str(folder), "--run", "again", "--store", str(tmp_path / "store")])
    store = sg.connect(tmp_path / "store")
    rows = 'SELECT epoch, id, guess, truth, round(score_0, 5) FROM "{}@all" ORDER BY ALL'
    assert store.sql(rows.format("again")).fetchall() == store.sql(rows.format("cnn")).fetchall()
    runs = dict(store.sql("SELECT run, epochs FROM runs").fetchall())
    assert runs == {"cnn": [1, 2], "again": [1, 2]}
    losses = "SELECT epoch, name, value FROM metrics WHERE run = 'again' ORDER BY ALL"
    assert store.sql(losses).fetchall() == [(1, "train_loss", 0.5), (2, "train_loss", 0.5)]
    assert list_runs(tmp_path / "store")["again"].about["config"] == {"lr": 0.1}


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[WandbServer]:
    with WandbServer() as server:
        monkeypatch.setenv("WANDB_BASE_URL", server.url)
        yield server


def test_an_online_run_arrives_at_the_server(tmp_path: Path, server: WandbServer, home: Path) -> None:
    report = train(tmp_path, ONLINE)
    assert (report.mode, report.tables_sent, report.faults) == ("online", 2, ())
    assert [row["epoch"] for row in server.run.rows if "test_predictions" in row] == [1, 2]
    assert server.run.exit_code == 0
    assert list(home.rglob("*")) == []
    sent = {name for one in server.artifacts.values() for name in one.manifest["contents"]}
    assert len([name for name in sent if name.endswith(".png")]) == ROWS
    assert server.unknown == []


@pytest.mark.slow
def test_a_slow_server_is_waited_for_as_long_as_uploads_go_on(
    tmp_path: Path, server: WandbServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    signs: list[str] = []
    sign = Outbox.sign

    def counted(outbox: Outbox, rows_ahead: int = 0, note: str = "") -> None:
        signs.append(note)
        sign(outbox, rows_ahead, note)

    monkeypatch.setattr(Outbox, "sign", counted)
    server.delay_s = 0.6
    report = train(tmp_path, ONLINE)
    assert (report.mode, report.tables_sent, report.faults) == ("online", 2, ())
    assert server.run.exit_code == 0
    assert len({note for note in signs if note}) > 1  # each a sign of progress


def test_a_server_that_falls_silent_is_left(tmp_path: Path, server: WandbServer) -> None:
    recorder = Recorder(tmp_path, run="cnn", wandb=WandbOptions("online", **PATIENT | {"patience_s": 1}))
    with recorder:
        until(lambda: mode_of(recorder) == "online")
        server.mute.set()
        add(recorder, 1)
    assert recorder.report is not None
    assert recorder.report.mode == "online"
    assert "gave no sign of progress for 1 s" in recorder.report.faults[0]
    assert "wandb sync" in recorder.report.faults[0]


def mode_of(recorder: Recorder) -> str | None:
    return so_far(recorder).mode


def test_n1_refused_connections_make_an_offline_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound and not listening: refuses
        monkeypatch.setenv("WANDB_BASE_URL", f"http://127.0.0.1:{taken.getsockname()[1]}")
        report = train(tmp_path, WandbOptions("online", **PATIENT | {"start_timeout_s": 1}))
    assert (report.mode, report.tables_sent) == ("offline", 2)
    assert ["could not be reached" in fault for fault in report.faults] == [True]
    assert len([record for record in caplog.records if record.levelno >= logging.WARNING]) == 1


def test_n1_no_key_makes_an_offline_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WANDB_API_KEY")
    report = train(tmp_path, ONLINE)
    assert (report.mode, report.tables_sent) == ("offline", 2)
    assert "No API key" in report.faults[0]


def test_n2_a_server_that_never_answers_makes_an_offline_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as hole:
        monkeypatch.setenv("WANDB_BASE_URL", f"http://127.0.0.1:{hole.getsockname()[1]}")
        report = train(tmp_path, WandbOptions("online", **PATIENT | {"start_timeout_s": 1}))
    assert (report.mode, report.tables_sent) == ("offline", 2)
    assert ["could not be reached" in fault for fault in report.faults] == [True]


@pytest.mark.parametrize(
    ("what", "options", "fault"),
    [
        (STOPPED, BRIEF, "gave no sign of progress for 1 s; not in W&B: test_predictions@2, test_predictions@3"),
        (DEAD, OFFLINE, "process died (exit code 3); not in W&B: test_predictions@2, test_predictions@3"),
        (RAISES, OFFLINE, "did not take test_predictions@2: RuntimeError: no more (2 times)"),
    ],
    ids=["stopped", "dies", "raises"],
)
def test_n3_a_wandb_that_fails_from_epoch_2_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str, options: WandbOptions, fault: str
) -> None:
    folder = tmp_path / "sabotage"
    monkeypatch.setenv("PYTHONPATH", sabotage(folder, at_log_of(2, what)))

    def at_end(recorder: Recorder) -> None:
        until(lambda: so_far(recorder).tables_sent == 1)
        (folder / "go").touch()
        if what == STOPPED:
            until((folder / "reached").exists)

    report = train(tmp_path / "store", options, epochs=3, at_end=at_end)
    assert report.tables_sent == 1
    assert fault in report.faults[0]


def test_n3_a_training_is_not_held_up_by_a_full_pipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", sabotage(tmp_path / "sabotage", at_log_of(1, STOPPED)))
    with Recorder(tmp_path / "store", run="cnn", wandb=BRIEF) as recorder:
        add(recorder, 1)
        until((tmp_path / "sabotage" / "reached").exists)
        for _ in range(20_000):  # 1.5 MB; a pipe takes 64 KB
            recorder.log(loss=0.5, some_other_metric=0.25)
    assert recorder.report is not None
    assert recorder.report.history_dropped == 20_000
    assert "20,000 history rows" in recorder.report.faults[0]


def test_n4_a_finish_that_never_returns_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code = "import wandb\nwandb.Run.finish = lambda *a, **k: time.sleep(1e6)"
    monkeypatch.setenv("PYTHONPATH", sabotage(tmp_path / "sabotage", code))

    def at_end(recorder: Recorder) -> None:
        until(lambda: so_far(recorder).tables_sent == 2)

    report = train(tmp_path / "store", BRIEF, at_end=at_end)
    assert report.tables_sent == 2
    assert "not in W&B: the end of the run; the local Parquet has everything" in report.faults[0]


def test_n5_a_full_disk_under_wandb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code = "import resource\nresource.setrlimit(resource.RLIMIT_FSIZE, (900, 900))"
    monkeypatch.setenv("PYTHONPATH", sabotage(tmp_path / "sabotage", code))
    report = train(tmp_path / "store", OFFLINE)
    assert report.tables_sent == 0
    assert "did not take test_predictions@1: OSError: [Errno 27] File too large (2 times)" in report.faults[0]
    assert "own log of the run is damaged" in report.faults[-1]


def test_n5_a_folder_that_wandb_cannot_use(tmp_path: Path) -> None:
    (tmp_path / "wandb").write_text("a file in the folder's place")
    report = train(tmp_path, OFFLINE)
    assert report.mode is None
    assert (
        "did not start (FileExistsError" in report.faults[0] or "did not start (NotADirectoryError" in report.faults[0]
    )


class FakeRun:
    """A live run whose log does what a test wants."""

    id, dir = "fake", None

    def __init__(self, log: Callable[[dict[str, Any]], object]) -> None:
        self.log = log

    def finish(self) -> None:
        raise AssertionError("a live run is never finished by us")


class Odd(BaseException):
    def __str__(self) -> str:
        raise RuntimeError("no text either")


def test_n6_whatever_a_live_run_raises_is_counted(tmp_path: Path) -> None:
    chance = random.Random(0)
    kinds = [ValueError, OSError, MemoryError, Odd, GeneratorExit, RecursionError, StopIteration, ConnectionError]

    def log(_: object) -> None:
        raise chance.choice(kinds)("no\nmore")

    record(tmp_path, "off")
    expected = pq.read_table(next((tmp_path / "cnn" / "test_predictions").glob("*.parquet")))
    for trial in range(50):
        mirror = WandbMirror(FakeRun(log), store=tmp_path, run="cnn", config={})
        mirror.log({"loss": 0.5})
        mirror.table("test_predictions", Moment(1), {"acc": 91.0})
        report = mirror.close()
        assert (report.tables_sent, report.history_dropped) == (0, 1), trial
        assert report.faults
    train(tmp_path, FakeRun(log), run="again")
    found = pq.read_table(next((tmp_path / "again" / "test_predictions").glob("*.parquet")))
    assert found.drop_columns("run").equals(expected.drop_columns("run"))


@pytest.mark.parametrize("leaving", [KeyboardInterrupt, SystemExit])
def test_n6_a_live_run_that_asks_to_stop_stops_the_mirror_only(tmp_path: Path, leaving: type[BaseException]) -> None:
    def log(_: object) -> None:
        raise leaving

    report = train(tmp_path, FakeRun(log))
    assert report.tables_sent == 0
    assert leaving.__name__ in report.faults[0]


def test_a_live_run_that_hangs_is_left(tmp_path: Path) -> None:
    over = threading.Event()
    mirror = WandbMirror(FakeRun(lambda _: over.wait()), store=tmp_path, run="cnn", config={}, options=BRIEF)
    mirror.log({"loss": 0.5})
    report = mirror.close()
    over.set()
    assert (report.mode, report.history_dropped) == ("live", 1)
    assert "gave no sign of progress for 1 s; not in W&B: 1 history row;" in report.faults[0]


def test_a_slow_live_run_is_waited_for(tmp_path: Path) -> None:
    """Nine rows take 0.9 s each by the clock that patience goes by, which is 1 s."""
    rows: list[dict[str, Any]] = []
    now = [0.0]

    def log(row: dict[str, Any]) -> None:
        now[0] += 0.9
        time.sleep(0.21)  # after as long a time each row is told
        rows.append(row)

    record(tmp_path, "off")
    options = WandbOptions(patience_s=1, clock=lambda: now[0])
    mirror = WandbMirror(FakeRun(log), store=tmp_path, run="cnn", config={}, options=options)
    for step in range(8):
        mirror.log({"loss": float(step)})
    mirror.table("test_predictions", Moment(1), {"acc": 91.0})
    report = mirror.close()
    assert (report.tables_sent, report.history_dropped, report.faults) == (1, 0, ())
    assert [row["loss"] for row in rows[:8]] == list(range(8))
    assert rows[8].keys() == {"test_predictions", "epoch", "secondguess/epoch", "acc"}
    assert mirror.close() == report


SLOW_IMPORT = """
import sys
class Slow:
    @staticmethod
    def find_spec(name, *_):
        if name == "wandb":
            await_go()
sys.meta_path.insert(0, Slow)
"""


def test_n7_a_wandb_that_is_slow_to_import_makes_an_offline_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its import ends once the online start was given up."""
    folder = tmp_path / "sabotage"
    monkeypatch.setenv("PYTHONPATH", sabotage(folder, SLOW_IMPORT))

    def at_end(recorder: Recorder) -> None:
        until(lambda: so_far(recorder).faults)
        (folder / "go").touch()

    options = WandbOptions("online", **PATIENT | {"start_timeout_s": 1})
    report = train(tmp_path / "store", options, at_end=at_end)
    assert (report.mode, report.tables_sent) == ("offline", 2)
    assert ["could not be reached (no answer in 1 s)" in fault for fault in report.faults] == [True]


BROKEN = {
    "missing": "raise ImportError('No module named wandb')",
    "wrong version": "__version__ = '0.0.1'",
    "broken": "import does_not_exist",
    "ends the process": "import os; os._exit(9)",
}


@pytest.mark.parametrize("kind", BROKEN)
def test_n7_a_wandb_that_cannot_be_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, kind: str
) -> None:
    (tmp_path / "path").mkdir()
    (tmp_path / "path" / "wandb.py").write_text(BROKEN[kind])
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "path"))
    report = train(tmp_path / "store", ONLINE)
    assert (report.wandb_id, report.mode, report.tables_sent, report.history_dropped) == (None, None, 0, 6)
    assert "did not start" in report.faults[-1]
    assert len([record for record in caplog.records if record.levelno >= logging.WARNING]) <= 2


def test_wandb_asked_for_and_not_installed_is_named_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    require_wandb()
    monkeypatch.setitem(sys.modules, "wandb", None)
    with pytest.raises(MissingExtra, match=r"pip install 'secondguess\[wandb\]'"):
        require_wandb()


TRAINING = """
import sys, time
from pathlib import Path
from mirroring import OFFLINE, Recorder, add, so_far
from waiting import until
with Recorder(Path(sys.argv[1]), run="cnn", wandb=OFFLINE) as recorder:
    recorder.log(loss=0.5)
    add(recorder, 1)
    until(lambda: so_far(recorder).tables_sent == 1)
    print(recorder.store, flush=True)
    time.sleep(1000)
"""


def test_a_killed_training_leaves_a_failed_run_and_no_process(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": SUPPORT}
    command = [sys.executable, "-c", TRAINING, str(tmp_path)]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as training:
        try:
            assert training.stdout is not None
            assert training.stdout.readline().strip() == str(tmp_path)
            lists = Path(f"/proc/{training.pid}/task").glob("*/children")
            children = [child for children in lists for child in children.read_text().split()]
        finally:
            training.kill()
    (folder,) = (tmp_path / "wandb").glob("offline-run-*")
    until(lambda: OfflineRun(folder).exit_code is not None)
    assert OfflineRun(folder).exit_code == 1
    assert [row["epoch"] for row in OfflineRun(folder).history if "test_predictions" in row] == [1]
    until(lambda: not any(Path(f"/proc/{child}").exists() for child in children))
    assert list((tmp_path / "wandb").glob("tmp*")) == []


@pytest.fixture
def a_terminal() -> Iterator[None]:
    """Ctrl-C interrupts, also where the tests run in a shell's background, which ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def waits_for_wandb(thread: int) -> bool:
    """Whether a thread is within the mirror's wait."""
    frame = sys._current_frames().get(thread)
    while frame is not None and frame.f_code is not WandbMirror._wait.__code__:
        frame = frame.f_back
    return frame is not None


@pytest.mark.usefixtures("a_terminal")
def test_ctrl_c_leaves_the_wait(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", sabotage(tmp_path / "sabotage", at_log_of(1, FOREVER)))
    recorder = Recorder(tmp_path / "store", run="cnn", wandb=WandbOptions(**PATIENT, grace_s=HANG_S))
    add(recorder, 1)
    until((tmp_path / "sabotage" / "reached").exists)
    main = threading.get_ident()

    def press() -> None:
        until(lambda: waits_for_wandb(main))
        _thread.interrupt_main()

    presser = threading.Thread(target=press)
    presser.start()
    recorder.close()
    presser.join()
    assert recorder.report is not None
    assert "left by Ctrl-C; not in W&B: test_predictions@1" in recorder.report.faults[0]
    assert recorder.report.folder is not None
    assert OfflineRun(recorder.report.folder).exit_code == 1


def test_a_table_that_wandb_refuses_does_not_harm_the_next(tmp_path: Path) -> None:
    with Recorder(tmp_path, run="cnn", wandb=OFFLINE) as recorder:
        add(recorder, 1, "a:b")
        add(recorder, 1, "good")
    report = recorder.report
    assert report is not None and report.folder is not None
    assert (report.tables_asked, report.tables_sent, set(report.rows)) == (2, 1, {"good"})
    assert len(report.faults) == 1 and "did not take a:b@1: ValueError" in report.faults[0]
    history = OfflineRun(report.folder).history
    assert [(row["epoch"], row["acc"], "good" in row) for row in history] == [(1, 91, False), (1, 91, True)]


def test_columns_of_any_type_reach_a_wandb_table() -> None:
    predictions = pa.table(
        {
            "run": ["cnn"] * 2,
            "epoch": [1, 1],
            "id": ["a", "b"],
            "guess": pa.array(["cat", None]).dictionary_encode(),
            "truth": pa.array([None, None], pa.int64()),
            "confidence": [0.5, None],
            "truth_score": pa.array([None, None], pa.float64()),
            "score_0": [float("nan"), 0.25],
            "score_1": [0.5, float("inf")],
            "when": pa.array([datetime(2026, 1, 2), None]),
            "took": pa.array([timedelta(seconds=3), None]),
            "raw": [b"\x00\xff", None],
            "flag": [None, True],
            "list": [[1], [1, 2]],
            "gaps": [[1], [1, None]],
            "struct": [{"a": 1, "b": None}, {"a": None, "b": "x"}],
        }
    )
    table = to_wandb_table(CommittedRows(predictions, [None, png(IMAGES[0])], 2))
    artifact = wandb.Artifact("name", "type")
    written = json.loads(json.dumps(table.to_json(artifact)).replace("NaN", "null"))
    own = ["when", "took", "raw", "flag", "list", "gaps", "struct"]
    assert written["columns"] == ["id", "image", "guess", "truth", "score_0", "score_1", *own]
    first, second = written["data"]
    assert [first[1], second[1]["_type"]] == [None, "image-file"]
    assert [first[2:6], second[2:6]] == [["cat", None, None, 0.5], [None, None, 0.25, float("inf")]]
    assert first[7:] == ["0:00:03", "00ff", None, [1], [1], {"a": 1, "b": None}]
    assert second[6:] == [None, None, None, True, [1, 2], [1, None], {"a": None, "b": "x"}]


def png(pixels: Any) -> bytes:
    encoded = io.BytesIO()
    Image.fromarray(pixels).save(encoded, "PNG")
    return encoded.getvalue()


def test_the_training_imports_no_wandb() -> None:
    code = "import secondguess.trainer.recorder, sys; sys.exit('wandb' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_history_rows_beyond_the_limit_are_dropped_and_counted(caplog: pytest.LogCaptureFixture) -> None:
    outbox = Outbox(limit=3)
    for step in range(5):
        outbox.put_row({"loss": float(step)})
    outbox.put_table("test_predictions", Moment(1), {})
    outbox.close(0)
    assert len(outbox.take() or []) == 4
    assert outbox.take() is None
    outbox.rows_sent(3)
    assert (outbox.report().history_asked, outbox.report().history_dropped) == (5, 2)
    assert outbox.missing() == "test_predictions@1, 2 history rows"
    assert len(caplog.records) == 1
