"""Who waits longer than a second before a terminal is told how far it is; nobody else is."""

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest
from recording import record
from waiting import HANG_S

SLOW = "SELECT count(*) AS n FROM range(60000) a, range(60000) b WHERE (a.range * b.range) % 7 = 3"


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("store")
    record(path, "cnn", {1: [("a", 0, 0)]})
    return path


def on_terminal(*args: str) -> tuple[int, str, str]:
    """The exit code, stdout, and what a terminal got on stderr."""
    ours, theirs = pty.openpty()
    command = [sys.executable, *(args if args[0] == "-c" else ("-m", "secondguess", *args))]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=theirs, text=True)
    os.close(theirs)
    said = b""
    while True:
        try:
            part = os.read(ours, 4096)
        except OSError:  # the other side is closed
            break
        if not part:
            break
        said += part
    os.close(ours)
    out, _ = process.communicate(timeout=HANG_S)
    return process.returncode, out, said.decode()


def test_what_takes_long_says_how_far_it_is_and_takes_it_away(store: Path) -> None:
    code, out, said = on_terminal("sql", SLOW, "--store", str(store), "--seconds", "3", "--format", "csv")
    assert (code, out) == (1, "")
    assert "\ranswering:" in said
    assert " %" in said
    assert "\x1b" not in said
    last = said.rpartition("\r")[0].splitlines()[-1]
    assert said.rstrip().endswith("--seconds"), last


def test_what_is_quick_says_nothing(store: Path) -> None:
    code, out, said = on_terminal("sql", "SELECT 42 AS n", "--store", str(store), "--format", "csv")
    assert (code, out, said) == (0, "n\n42\n", "")


def test_no_terminal_hears_of_it(store: Path) -> None:
    command = [sys.executable, "-m", "secondguess", "sql", SLOW, "--store", str(store), "--seconds", "2"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=HANG_S)
    assert done.stderr == "secondguess: stopped after 2 seconds; filter more, or give it more with --seconds\n"


def test_steps_are_shares_of_all_of_them() -> None:
    code = "import time; from secondguess.analysis.commands.progress import steps\nwith steps('pages') as tell:\n"
    code, _, said = on_terminal("-c", f"{code} tell(1, 4); time.sleep(1.7)")
    assert (code, "\rpages: 25 % 1 s" in said, said.endswith("\r")) == (0, True, True)
