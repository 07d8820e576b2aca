"""--seconds ends a command that takes longer, with one line, exit code 1, and nothing half-written."""

import subprocess
import sys
import time
from pathlib import Path

import pytest
from page import make_store
from waiting import HANG_S

ENDLESS = (
    "SELECT count(*) FROM range(100000) a, range(100000) b, range(100000) c WHERE (a.range + b.range * c.range) % 7 = 3"
)
IN_ONE_CALL = "SELECT levenshtein(repeat('ab', 100000), repeat('ba', 100000)) AS n"  # no interrupt reaches it
FOREVER = "SELECT range FROM range(1000000000000)"  # it gives rows all the time


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_store(tmp_path_factory.mktemp("limit") / "predictions")


def said(store: Path, *args: str) -> tuple[int, str, float]:
    """The exit code, what stands on stderr, and how long it took."""
    began = time.monotonic()
    command = [sys.executable, "-m", "secondguess", *args, "--store", str(store)]
    done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, timeout=HANG_S)
    return done.returncode, done.stderr, time.monotonic() - began


@pytest.mark.parametrize("text", [ENDLESS, IN_ONE_CALL, FOREVER])
def test_what_takes_longer_is_stopped(store: Path, text: str) -> None:
    code, line, took = said(store, "sql", text, "--seconds", "0.5", "--format", "csv")
    assert (code, line) == (1, "secondguess: stopped after 0.5 seconds; filter more, or give it more with --seconds\n")
    assert took < 30


@pytest.mark.parametrize("suffix", [".csv", ".json", ".parquet"])
def test_a_file_that_would_take_longer_is_not_there(store: Path, tmp_path: Path, suffix: str) -> None:
    code, line, _ = said(store, "sql", FOREVER, "--seconds", "0.5", "-o", str(tmp_path / f"answer{suffix}"))
    assert (code, line.split(";")[0]) == (1, "secondguess: stopped after 0.5 seconds")
    assert list(tmp_path.iterdir()) == []


def test_what_hears_nothing_is_ended_and_what_it_began_is_undone_before(tmp_path: Path) -> None:
    """As a call of DuckDB's that no interrupt reaches, with a file beside it that is half written."""
    part = tmp_path / "part"
    code = f"""
import time
from pathlib import Path
from secondguess.analysis import signals
from secondguess.analysis.commands.time_limit import within
signals.listen()
part = Path({str(part)!r})
part.touch()
with within(0.1), signals.undone(part.unlink):
    time.sleep(600)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=HANG_S)
    assert (done.returncode, done.stderr.split(";")[0]) == (1, "secondguess: stopped after 0.1 seconds")
    assert not part.exists()


def test_tables_and_questions_take_it_too(store: Path) -> None:
    slow = f"({ENDLESS.replace('= 3', '= epoch')}) = 0"
    assert said(store, "table", "cnn@3", "--where", slow, "--seconds", "0.5")[0] == 1
    assert said(store, "ask", "errors", "cnn@3", "--seconds", "60")[0] == 0


def test_comparing_takes_it_too_and_a_gate_that_was_stopped_judged_nothing(store: Path, tmp_path: Path) -> None:
    """Each statement of several is watched: the last one here, of the ids that must not break, never ends."""
    slow = f"SELECT id FROM test_predictions WHERE ({ENDLESS.replace('= 3', '= epoch')}) = 0"
    (tmp_path / "slow.sql").write_text(slow)
    code, line, _ = said(store, "gate", "cnn@1", "cnn@3", "--protect", str(tmp_path / "slow.sql"), "--seconds", "2")
    assert code == 2
    assert line == "secondguess: not judged: stopped after 2 seconds; give it more with --seconds\n"
    assert said(store, "compare", "cnn@1", "cnn@3", "--seconds", "60")[0] == 0


def test_what_is_done_in_time_is_as_ever(store: Path) -> None:
    assert said(store, "sql", "SELECT 42 AS n", "--seconds", "60")[:2] == (0, "1 row\n")
    assert said(store, "sql", "SELEC", "--seconds", "60")[0] == 1
