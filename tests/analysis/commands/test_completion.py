"""Completion in real shells: commands, questions, runs, tables, epochs, columns, options, files; no line breaks it."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from recording import record
from waiting import HANG_S

from secondguess.analysis.commands.completion import split

ODD = "my run & 'co'"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a store `predictions`, a command `secondguess`, and a file."""
    path = tmp_path_factory.mktemp("place")
    store = path / "predictions"
    rows = [("a", 0, 0), ("b", 1, 0)]
    record(store, "cnn-1", {1: rows, 2: rows, 10: rows}, columns={"mood": ["x", "y"]})
    record(store, ODD, {3: rows})
    record(store, "texts", {1: rows}, table="reviews")
    (path / "bin").mkdir()
    (path / "bin" / "secondguess").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m secondguess "$@"\n')
    (path / "bin" / "secondguess").chmod(0o755)
    (path / "file.sql").write_text("SELECT 1")
    return path


def environment(place: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("SECONDGUESS")}
    python = os.pathsep.join([str(Path(__file__).parents[3]), os.environ.get("PYTHONPATH", "")])
    return {**kept, "PATH": f"{place / 'bin'}:{os.environ['PATH']}", "PYTHONPATH": python, "HOME": str(place)}


def shell(place: Path, *command: str, script: str = "") -> list[str]:
    done = subprocess.run(
        command, input=script, capture_output=True, text=True, timeout=HANG_S, cwd=place, env=environment(place)
    )
    assert done.stderr == "", done.stderr
    return done.stdout.splitlines()


def in_bash(place: Path, line: str) -> list[str]:
    """What bash would put in place of the word that it takes the end of the line for."""
    script = r"""
eval "$(secondguess completion bash)"
complete -p secondguess | grep -q _secondguess || echo not registered
compopt() { echo "compopt $*"; }
COMP_LINE=$LINE; COMP_POINT=${#LINE}
_secondguess secondguess
printf '%s\n' "${COMPREPLY[@]}"
"""
    command = ["bash", "--norc", "-c", f"LINE={quoted(line)}\n{script}"]
    return [text for text in shell(place, *command) if text]


def in_zsh(place: Path, line: str) -> list[str]:
    """What zsh offers, seen in a terminal of its own: the line after each Tab, without what redraws it."""
    script = r"""
zmodload zsh/zpty
zpty z zsh -f -i
zpty -w z 'PROMPT=; autoload -Uz compinit; compinit -u -D; eval "$(secondguess completion zsh)"'
zpty -w z 'compadd() { builtin print -rl -- "OFFER" "$@" > $HOME/offered; builtin compadd "$@"; }; print ready'
zpty -r z out '*ready*ready*'
zpty -w -n z "$LINE"$'\t'
sleep 2
zpty -d z
"""
    (place / "offered").unlink(missing_ok=True)
    shell(place, "zsh", "-f", "-c", f"LINE={quoted(line)}\n{script}")
    return (place / "offered").read_text().splitlines() if (place / "offered").exists() else []


def in_fish(place: Path, line: str) -> list[str]:
    """What fish offers for a line."""
    script = f"secondguess completion fish | source\ncomplete -C {quoted_for_fish(line)}\n"
    return shell(place, "fish", "--no-config", "-c", script)


def quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"


def quoted_for_fish(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


# By line what bash gets in place of the last word, which begins anew at @ : and =, and what others get for all of it.
LINES = [
    ("secondguess compl", ["completion"], ["completion"]),
    ("secondguess ask errors-by-g", ["errors-by-guess"], ["errors-by-guess"]),
    ("secondguess ask re", ["regression", "reliability", "residuals"], ["regression", "reliability", "residuals"]),
    ("secondguess ask errors cn", ["cnn-1"], ["cnn-1"]),
    ("secondguess ask errors cnn-1@1", ["@1", "@10"], ["cnn-1@1", "cnn-1@10"]),
    ("secondguess ask errors cnn-1@b", ["@best"], ["cnn-1@best"]),
    ("secondguess compare cnn-1@2 tex", ["texts/reviews"], ["texts/reviews"]),
    ("secondguess ask errors texts/", ["texts/reviews"], ["texts/reviews"]),
    ("secondguess table cnn-1 --whe", ["--where"], ["--where"]),
    ("secondguess table cnn-1 --sort mo", ["mood"], ["mood"]),
    ("secondguess ask reliability cnn-1 --binning m", ["mass"], ["mass"]),
    ("secondguess runs --format ma", ["markdown"], ["markdown"]),
    ("secondguess rm cnn-1 te", ["texts"], ["texts"]),
    ("secondguess table cnn-1 --at 1", ["1", "10"], ["1", "10"]),
    ("secondguess view --export out cn", ["cnn-1"], ["cnn-1"]),
    ("secondguess nonsense ", [], []),
]


@pytest.mark.parametrize(("line", "replies"), [(line, bash) for line, bash, _ in LINES])
def test_bash(place: Path, line: str, replies: list[str]) -> None:
    assert [text for text in in_bash(place, line) if not text.startswith("compopt")] == replies


def test_bash_completes_the_value_behind_an_equals_sign(place: Path) -> None:
    assert in_bash(place, "secondguess runs --format=ma") == ["markdown"]
    assert in_bash(place, "secondguess runs --format ma") == ["markdown"]


def test_bash_reads_a_name_with_spaces_and_quotes_as_one_word(place: Path) -> None:
    assert in_bash(place, "secondguess ask errors my") == ["compopt -o nospace", r"my\ run\ \&\ \'co\'"]
    assert in_bash(place, 'secondguess ask errors "my') == ["compopt -o nospace", ODD]
    assert in_bash(place, rf'secondguess ask errors "{ODD}"@') == ["@last", "@best", "@all", "@3"]
    assert in_bash(place, r"secondguess ask errors my\ run\ \&\ \'co\'@b") == ["@best"]


def test_bash_completes_columns_within_a_condition_and_files(place: Path) -> None:
    assert in_bash(place, "secondguess table cnn-1 --where 'wrong AND moo") == ["compopt -o nospace", "wrong AND mood"]
    assert in_bash(place, "secondguess gate cnn-1@1 cnn-1@2 --protect fi") == ["compopt -o default"]


def test_bash_itself_completes_in_a_terminal(place: Path) -> None:
    """Readline, as it is: Tab after the beginning of a run, its epoch after @."""
    if shutil.which("script") is None:
        pytest.skip("needs script")
    keys = 'eval "$(secondguess completion bash)"\nsecondguess ask errors cnn-\t@be\t --rows 1\n'
    keys += "secondguess ask errors my\t@be\t --rows 1\nexit\n"
    done = subprocess.run(
        ["script", "-qec", "bash --norc -i", "/dev/null"],
        input=keys,
        capture_output=True,
        text=True,
        timeout=HANG_S,
        cwd=place,
        env={**environment(place), "TERM": "dumb", "PS1": "$ "},
    )
    said = done.stdout.replace("\x07", "")
    assert "cnn-1@best" in said
    assert "no run named" not in said
    assert said.count("1 row") == 2


@pytest.mark.skipif(shutil.which("zsh") is None, reason="needs zsh")
@pytest.mark.parametrize(("line", "replies"), [(line, others) for line, _, others in LINES])
def test_zsh(place: Path, line: str, replies: list[str]) -> None:
    offered = in_zsh(place, line)
    assert (offered[offered.index("--") + 1 :] if "--" in offered else []) == replies


@pytest.mark.skipif(shutil.which("fish") is None, reason="needs fish")
@pytest.mark.parametrize(("line", "replies"), [(line, others) for line, _, others in LINES])
def test_fish(place: Path, line: str, replies: list[str]) -> None:
    assert in_fish(place, line) == replies


@pytest.mark.parametrize("shell_name", ["bash", "zsh", "fish"])
@pytest.mark.parametrize(
    "line",
    ["", "secondguess", "secondguess ask errors 'open", 'secondguess "', "secondguess \\", "\x01", "secondguess --"],
)
def test_no_line_breaks_it_and_an_empty_store_has_nothing(tmp_path: Path, shell_name: str, line: str) -> None:
    command = [sys.executable, "-m", "secondguess", "completion", shell_name, "--line", line]
    done = subprocess.run(command, capture_output=True, text=True, timeout=HANG_S, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("a b", (["a"], "b", "")),
        ("a b ", (["a", "b"], "", "")),
        ("a 'b c", (["a"], "b c", "'")),
        ('a "b c', (["a"], "b c", '"')),
        (r"a b\ c", (["a"], "b c", "")),
        ("a 'b'@", (["a"], "b@", "")),
        ("", ([], "", "")),
    ],
)
def test_a_line_is_read_as_a_shell_reads_it(line: str, found: tuple[list[str], str, str]) -> None:
    assert split(line) == found
