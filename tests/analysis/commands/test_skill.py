"""What `secondguess skill` teaches an agent is so: every command in it runs and answers."""

import csv
import io
import json
import re
import shlex
from pathlib import Path

import pytest

from secondguess.analysis.cli import main

TEXT = (Path(__file__).parents[3] / "analysis" / "commands" / "SKILL.md").read_text()
BLOCKS = re.findall(r"^```\n(.*?)^```$", TEXT, re.DOTALL | re.MULTILINE)
COMMANDS = [line for block in BLOCKS for line in block.splitlines()]


def test_it_is_printed_with_the_front_matter_that_agents_want(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SECONDGUESS_STORE", raising=False)
    main(["skill"])
    said = capsys.readouterr().out
    assert said == TEXT
    matter = re.match(r"---\nname: secondguess\ndescription: (.+)\n---\n", said)
    assert matter is not None
    assert 100 < len(matter[1]) <= 1_024  # what agents take
    assert said.count("\n") < 150
    assert len(re.findall(r"^## \d+\. ", said, re.MULTILINE)) == 10


def test_it_names_another_store_than_the_usual(capsys: pytest.CaptureFixture[str]) -> None:
    main(["skill", "--store", "s3://bucket/p"])
    said = capsys.readouterr().out
    assert "here that is `s3://bucket/p`, so write it with each call" in said
    assert "the default is `predictions`" not in said
    assert len(said.splitlines()) == len(TEXT.splitlines())


def test_all_its_commands_are_ours() -> None:
    assert len(COMMANDS) > 15
    assert [command for command in COMMANDS if not command.startswith("secondguess ")] == []


@pytest.mark.parametrize("number", range(len(COMMANDS)))
def test_each_command_runs_and_answers(
    demo_store: Path, number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SECONDGUESS_STORE", str(demo_store))
    words = shlex.split(COMMANDS[number])[1:]
    main(words)
    out, said = capsys.readouterr()
    if "-o" in words:
        assert (tmp_path / "wrong.md").read_text().count("wrong-images/") == 5
        assert "wrote 5 " in said
    elif words[-1] == "json":
        assert json.loads(out)
    elif words[-1] == "csv":
        assert len(list(csv.reader(io.StringIO(out)))) > 1
    else:
        assert out.strip()
