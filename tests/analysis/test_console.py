"""What is written on a terminal: names, labels and messages of others are text there and nothing else."""

import io
import json
import os
import pty
import subprocess
import sys
import threading
from pathlib import Path
from urllib.parse import quote

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from stores import record
from waiting import HANG_S

from secondguess.analysis.console import readable, say, spelled_out

# Sets the window's title, clears the screen, turns the reading direction, rings; the second by one 8-bit character.
HOSTILE = "a\x1b]0;owned\x07\x9b2J\u202e\x1b[2J\b\rz"
ROWS = [
    [
        {
            "ids": ["a", HOSTILE],
            "guess": [0, 1],
            "truth": [1, 0],
            "scores": [[0.9, 0.1], [0.2, 0.8]],
            "note": [HOSTILE] * 2,
        }
    ]
]


def test_a_text_is_spelled_out_as_python_writes_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert spelled_out("a\x1b[1m\tb\nc\u202e") == r"a\x1b[1m\tb\nc\u202e"
    say("one\x1b[1m\ntwo\t\x9b", err=True)
    assert capsys.readouterr().err == "one\\x1b[1m\ntwo\t\\x9b\n"


def test_data_stay_as_they_are_where_no_terminal_reads_them() -> None:
    out = io.StringIO()
    readable(out).write(HOSTILE)
    assert out.getvalue() == HOSTILE


def on_a_terminal(*args: str) -> bytes:
    """All that a command writes on a terminal, both streams."""
    ours, theirs = pty.openpty()
    taken: list[bytes] = []

    def take() -> None:
        while True:
            try:
                taken.append(os.read(ours, 1 << 16))
            except OSError:  # its last writer is gone
                return

    reader = threading.Thread(target=take)
    reader.start()
    command = [sys.executable, "-m", "secondguess", *args]
    subprocess.run(
        command, stdin=theirs, stdout=theirs, stderr=theirs, env=os.environ | {"TERM": "xterm"}, timeout=HANG_S
    )
    os.close(theirs)
    reader.join(HANG_S)
    os.close(ours)
    return b"".join(taken)


def assert_obeyed_nothing(written: bytes) -> None:
    assert written
    assert b"Traceback" not in written
    for bad in (b"\x1b]", b"\x07", "\x9b".encode(), b"\x1b[2J", b"\b", "\u202e".encode()):
        assert bad not in written, written


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store that somebody sent: hostile ids, classes, columns, config, folder, question, view."""
    store = tmp_path_factory.mktemp("sent") / "s"
    record(store, "cnn", ROWS, classes=[HOSTILE, "b"], config={"lr": HOSTILE, HOSTILE: 1})
    record(store, "other", ROWS, classes=[HOSTILE, "b"])
    (store / "other").rename(store / quote(HOSTILE))
    (store / "questions").mkdir()
    (store / "questions" / f"{HOSTILE.replace('/', '')}.sql").write_text(f"-- Help {HOSTILE}\nSELECT 1 AS x")
    (store / "questions" / "mine.sql").write_text(
        f'-- Help {HOSTILE}\n-- $n int = 1 {HOSTILE}\nSELECT id, note AS "{HOSTILE}" FROM predictions ORDER BY id'
    )
    (store / "views").mkdir()
    (store / "views" / "v.json").write_text(json.dumps({"tables": [HOSTILE]}))
    return store


@pytest.mark.parametrize(
    "args",
    [
        ["runs"],
        ["runs", "--format", "csv"],
        ["ask"],
        ["ask", "mine", "--help"],
        ["ask", "mine", "cnn"],
        ["ask", "mine", "cnn", "--format", "markdown"],
        ["ask", "mine", "cnn", "--format", "json"],
        ["ask", "mine", "cnn", "--show-sql"],
        ["ask", "errors", "cnn"],
        ["ask", "confusion", "cnn"],
        ["ask", "errors-by-guess", "cnn"],
        ["ask", HOSTILE, "cnn"],
        ["ask", "errors", HOSTILE],
        ["table", "cnn", "--group", "note"],
        ["table", "--saved", "v"],
        ["table", "cnn", "--where", f"note = '{HOSTILE}'", "--show-sql"],
        ["sql", f'SELECT * FROM "{HOSTILE}"'],
        ["sql", "SELECT config FROM runs"],
        ["sql", f"SELECT '{HOSTILE}' AS x, 1 / '{HOSTILE}'"],
    ],
    ids=lambda args: " ".join(args)[:24].replace(HOSTILE, "…").encode("unicode_escape").decode(),
)
def test_a_terminal_obeys_nothing_that_a_store_holds(store: Path, args: list[str]) -> None:
    assert_obeyed_nothing(on_a_terminal(*args, "--store", str(store)))


def test_a_terminal_obeys_nothing_that_an_imported_file_holds(tmp_path: Path) -> None:
    table = pa.table({"id": ["a"], "guess": [HOSTILE], "truth": ["b"], HOSTILE: [1], f"x{HOSTILE}": [HOSTILE]})
    path = tmp_path / f"t{HOSTILE}.parquet"
    pq.write_table(table, path)
    for more in (["--dry-run"], [], ["--guess", HOSTILE + "!"]):
        assert_obeyed_nothing(on_a_terminal("import", str(path), *more, "--store", str(tmp_path / "s")))
