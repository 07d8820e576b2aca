"""Files whose names somebody else chose: only plain ones of a bounded size are read, wherever they lie in a store."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from stores import record
from waiting import HANG_S

from secondguess.analysis.cli import main
from secondguess.analysis.errors import BadInput, NotFound
from secondguess.analysis.opening import below, checked_name, open_regular, read_regular

ROWS = [[{"ids": ["a", "b"], "guess": [0, 1], "truth": [0, 0]}]]


def a_pipe(path: Path) -> None:
    os.mkfifo(path)


def a_device(path: Path) -> None:
    path.symlink_to("/dev/zero")


def a_terabyte(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(1 << 40)


def a_folder(path: Path) -> None:
    path.mkdir()


ODD = pytest.mark.parametrize("odd", [a_pipe, a_device, a_terabyte, a_folder])


@ODD
def test_what_is_no_plain_file_of_a_bounded_size_is_refused_at_once(
    tmp_path: Path, odd: Callable[[Path], None]
) -> None:
    odd(tmp_path / "x")
    for links in (False, True):
        with pytest.raises(BadInput, match=f"{tmp_path / 'x'} (is|has|cannot)"):
            read_regular(tmp_path / "x", 1 << 20, links=links)


def test_a_plain_file_is_read_through_a_link_only_where_that_is_wanted(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"12345")
    (tmp_path / "link").symlink_to("x")
    assert read_regular(tmp_path / "x", 5) == b"12345"
    assert read_regular(tmp_path / "link", 5, links=True) == b"12345"
    with open_regular(tmp_path / "x") as file:
        assert file.read() == b"12345"
    with pytest.raises(BadInput, match="has 5 bytes; at most 4 are read"):
        read_regular(tmp_path / "x", 4)
    with pytest.raises(BadInput, match="links are not followed"):
        read_regular(tmp_path / "link", 5)
    with pytest.raises(NotFound, match="no file"):
        read_regular(tmp_path / "gone", 5)


@pytest.mark.parametrize(
    "name", ["", ".", "..", "../x", "a/../x", "/etc/passwd", "a//b", "a\\..\\x", "C:x", "a\0", "\ud800", "x" * 5000, 7]
)
def test_a_name_that_could_leave_its_folder_is_refused(tmp_path: Path, name: object) -> None:
    with pytest.raises(BadInput):
        checked_name(name)


def test_a_name_that_leads_through_a_link_is_refused(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "out").symlink_to("/etc")
    assert below(tmp_path / "in", "a/b") == tmp_path / "in" / "a" / "b"
    with pytest.raises(BadInput, match="leads through a link"):
        below(tmp_path / "in", "out/passwd")


@ODD
def test_an_odd_file_among_the_questions_views_and_records_costs_itself(
    tmp_path: Path, odd: Callable[[Path], None]
) -> None:
    """In a process of its own, which is cut off where it hangs or takes all memory."""
    store = tmp_path / "s"
    record(store, "one", ROWS)
    record(store, "two", ROWS)
    for folder in ("questions", "views"):
        (store / folder).mkdir()
    odd(store / "questions" / "mine.sql")
    odd(store / "views" / "mine.json")
    end = store / "one" / "commits" / "end.json"
    end.unlink()
    odd(end)

    def told(*args: str) -> tuple[int, str]:
        command = [sys.executable, "-m", "secondguess", *args, "--store", str(store)]
        limited = ["prlimit", f"--as={4 << 30}", *command]
        done = subprocess.run(limited, capture_output=True, text=True, timeout=HANG_S)
        assert "Traceback" not in done.stderr
        return done.returncode, done.stdout + done.stderr

    code, text = told("ask")
    assert (code, "question 'mine' cannot be read" in text) == (0, True)
    code, text = told("ask", "mine", "one")
    assert (code, "question 'mine' cannot be read" in text) == (1, True)
    code, text = told("table", "--saved", "mine")
    assert (code, "is not a saved view" in text) == (1, True)
    code, text = told("runs", "--format", "csv")
    assert (code, "two,finished" in text, "end.json" in text) == (0, True, True)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("name", "\ud800"),
        ("origin", "\ud800"),
        ("config", {"a": "\udc00"}),
        ("config", {"\udfff": 1}),
        ("config", 3),
        ("classes", False),
        ("classes", {"a": 1}),
        ("provenance", "x"),
        ("created", "\ud800"),
        ("created", 3),
        ("source", ["x"]),
    ],
)
def test_one_odd_record_costs_its_own_run_by_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], key: str, value: object
) -> None:
    record(tmp_path, "one", ROWS)
    record(tmp_path, "two", ROWS)
    path = tmp_path / "one" / "run.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {key: value}))
    main(["runs", "--store", str(tmp_path), "--format", "csv"])
    out, err = capsys.readouterr()
    assert "two,finished" in out
    assert str(path) in err
