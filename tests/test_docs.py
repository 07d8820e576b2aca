"""What the README says is so: its commands run, its files exist, its Python works."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from secondguess.analysis.cli import main

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
COMMANDS = [line[2:] for line in README.splitlines() if line.startswith("$ ")]
OURS = [command for command in COMMANDS if command.startswith("secondguess ")]
# These need the offline runs of `make demo`; tests/test_importing.py runs their like.
ASKED = [command for command in OURS if "predictions/wandb" not in command and "cnn-" not in command]
BLOCKS = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


def test_the_first_two_commands_are_targets_of_the_makefile() -> None:
    makes = [command.split()[1] for command in COMMANDS if command.startswith("make ")]
    assert makes[:2] == ["demo", "test"]
    for target in makes:
        assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.MULTILINE), target


def test_every_other_command_is_ours() -> None:
    assert len(ASKED) > 8
    assert [command for command in COMMANDS if command not in OURS and not command.startswith("make ")] == []


@pytest.mark.parametrize("command", dict.fromkeys(ASKED))
def test_the_command_runs_and_answers(
    demo_store: Path, command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(demo_store.parent)
    main(shlex.split(command)[1:])
    assert capsys.readouterr().out.strip()


@pytest.mark.parametrize("number", range(len(BLOCKS)))
def test_the_python_runs(demo_store: Path, tmp_path: Path, number: int) -> None:
    if "Recorder(" not in BLOCKS[number]:
        tmp_path = demo_store.parent
    ran = subprocess.run([sys.executable, "-c", BLOCKS[number]], cwd=tmp_path, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr


def test_the_files_it_names_exist() -> None:
    named = set(re.findall(r"`((?:notebooks|tests|trainer|analysis|\.ci)/[\w./-]+)`", README))
    assert named
    assert [name for name in named if not (ROOT / name).exists()] == []


def test_nothing_is_left_to_be_filled_in() -> None:
    assert "@@" not in README
