"""W&B's SDK in a process of its own: what it inherits, and what of it comes through the pipes."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from secondguess.analysis import child

ROOT = Path(__file__).parents[2]
MODULES = [path for package in ("analysis", "trainer") for path in (ROOT / package).rglob("*.py")]

LOUD = """
import json, os, sys
from secondguess.analysis.child import Events, private_pipes
print('["printed", "before"', flush=True)
inbox, outbox = private_pipes()
print('["printed", "after"]', flush=True)
os.system("echo '[\\"echoed\\"]'")
with open(inbox, "rb") as asked:
    Events(outbox).send("heard", json.loads(asked.readline()), sys.stdin.read())
"""


def test_what_the_sdk_prints_asks_and_starts_does_not_reach_the_pipes() -> None:
    done = subprocess.run([sys.executable, "-c", LOUD], input=child.line({"do": 1}), capture_output=True, cwd=ROOT)
    assert done.stdout.splitlines() == [b'["printed", "before"', b'["heard", {"do": 1}, ""]']


def test_an_event_is_a_line_of_ours_and_what_python_says_is_none() -> None:
    assert child.event(child.line(["sign", 3, "note"])) == ["sign", 3, "note"]
    assert child.event(b"Fatal Python error\n") is None
    assert child.event(b"[1, 2]\n") is None


def test_nobody_listening_is_no_fault() -> None:
    read, write = os.pipe()
    os.close(read)
    child.Events(write).send("sign")
    os.close(write)


def test_the_environment_is_the_callers_without_its_run_and_with_our_folders() -> None:
    inherited = {"HOME": "/home/me", "PYTHONPATH": "/mine", "WANDB_API_KEY": "key", "WANDB_DIR": "/theirs"}
    taken_out = {f"WANDB_{name}": "x" for name in ("SERVICE", "RUN_ID", "RESUME", "MODE", "NAME", "DISABLED")}
    found = child.environment({**inherited, **taken_out, "WANDB_ENTITY": "x"}, {"WANDB_DIR": "/ours"}, ["WANDB_ENTITY"])
    assert found == {
        "HOME": "/home/me",
        "PYTHONPATH": f"/mine:{ROOT}",
        "WANDB_API_KEY": "key",
        "WANDB_DIR": "/ours",
        "WANDB_CONSOLE": "off",
        "WANDB_SILENT": "true",
        "WANDB_ERROR_REPORTING": "false",
    }


def test_a_process_is_started_in_a_group_of_its_own_and_without_the_folder_it_is_started_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that a terminal's Ctrl-C is not its, and no `secondguess.trainer.py` of the user's is taken for ours."""
    (tmp_path / "shown.py").write_text("print('the user\\'s')")
    (tmp_path / "ours").mkdir()
    (tmp_path / "ours" / "shown.py").write_text("import os; print(os.getpgid(0) == os.getpid())")
    monkeypatch.chdir(tmp_path)
    with child.start("shown", {"PYTHONPATH": str(tmp_path / "ours")}) as process:
        assert process.stdout is not None
        assert process.stdout.read() == b"True\n"


@pytest.mark.parametrize(
    ("fact", "owner"),
    [
        ("WANDB_SILENT", "child.py"),
        ("os.dup2", "child.py"),
        ("b'[\"'", "child.py"),
        ('find_spec("wandb")', "child.py"),
        ('"<IHB"', "frames.py"),
    ],
)
def test_a_fact_about_the_child_and_its_log_stands_once(fact: str, owner: str) -> None:
    assert [path.name for path in MODULES if fact in path.read_text()] == [owner]
