"""A committed file is as it was written before anything is answered from it, and what is not is left out by name."""

import json
import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pytest
from stores import names, read_record, record, told, writer

import secondguess as sg
from secondguess.analysis.errors import Damaged
from secondguess.analysis.store import verified
from secondguess.analysis.store.examples import share
from secondguess.analysis.store.rows import read_epoch
from secondguess.analysis.store.runs import find_epoch, find_run
from secondguess.analysis.store.verified import StoredFile
from secondguess.trainer.recorder import Recorder

TABLE = "test_predictions"


def batch(truth: list[int], guess: list[int]) -> dict[str, Any]:
    levels = np.arange(len(truth), dtype=np.uint8)[:, None, None] * np.ones((1, 2, 3), np.uint8)
    return {"ids": list("abcd"[: len(truth)]), "images": levels, "truth": truth, "guess": guess}


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """A run of three epochs in three files, with 3, 2 and 1 errors of 4, metrics and images; it goes on."""
    store = tmp_path / "predictions"
    recorder = Recorder(store, run="cnn")
    for number, guess in ((1, [1, 1, 1, 1]), (2, [0, 1, 0, 1]), (3, [0, 0, 0, 1])):
        with recorder.table(TABLE, epoch=number, loss=1 / number) as rows:
            rows.add(**batch([0, 0, 0, 0], guess))
    recorder.close(finished=False)
    return store


def file_of(store: Path, epoch: int) -> Path:
    return find_epoch(store, "cnn", TABLE, epoch).file


def flip(path: Path, bit: int) -> None:
    data = bytearray(path.read_bytes())
    data[bit // 8] ^= 1 << bit % 8
    path.write_bytes(data)


def errors(store: Path, capsys: pytest.CaptureFixture[str], *tables: str) -> tuple[dict[int, int] | None, str, int]:
    """The errors per epoch, what is said besides, and the exit code."""
    rows, said, code = told(capsys, "ask", "errors-over-time", *tables, "--store", str(store))
    return {row["epoch"]: row["errors"] for row in rows} if rows is not None else None, said, code


def test_an_epoch_whose_file_has_one_bit_changed_is_left_out_by_name(
    store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert errors(store, capsys, "cnn") == ({1: 4, 2: 2, 3: 1}, "", 0)
    damaged = file_of(store, 2)
    flip(damaged, 8 * 100 + 3)
    rest, said, code = errors(store, capsys, "cnn")
    assert (rest, code) == ({1: 4, 3: 1}, 0)
    assert f"left out cnn/test_predictions@2: {damaged} is not as it was written" in said


def test_an_epoch_that_is_named_and_damaged_is_refused_with_its_file(
    store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flip(file_of(store, 2), 8 * 100)
    rest, said, code = errors(store, capsys, "cnn@2")
    assert (rest, code) == (None, 1)
    assert f"its file {file_of(store, 2)} is not as it was written" in said
    assert errors(store, capsys, "cnn@1")[::2] == ({1: 4}, 0)


@pytest.mark.parametrize("kind", ["missing", "cut", "longer", "emptied", "a folder", "zeros at the end", "a hole"])
def test_a_file_that_is_not_whole_leaves_out_its_own_epoch_only(
    store: Path, capsys: pytest.CaptureFixture[str], kind: str
) -> None:
    path = file_of(store, 3)
    data = path.read_bytes()
    path.unlink()
    if kind == "a folder":
        path.mkdir()
    elif kind != "missing":
        half = len(data) // 2
        path.write_bytes(
            {
                "cut": data[:-1],
                "longer": data + b"\0",
                "emptied": b"",
                "zeros at the end": data[:-64] + bytes(64),
                "a hole": data[:half] + bytes(64) + data[half + 64 :],
            }[kind]
        )
    rest, said, code = errors(store, capsys, "cnn")
    assert (rest, code) == ({1: 4, 2: 2}, 0)
    assert f"left out cnn/test_predictions@3: {path} " in said


def test_a_file_cut_at_any_length_or_with_a_hole_anywhere_is_left_out(
    store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = file_of(store, 2)
    data = path.read_bytes()
    random = np.random.default_rng(0)
    cut = [data[:length] for length in random.integers(0, len(data), 40)]
    places = random.integers(4, len(data) - 24, 16)
    holes = [data[:place] + bytes(16) + data[place + 16 :] for place in places]
    for bad in [*cut, *(hole for hole in holes if hole != data)]:
        path.write_bytes(bad)
        rest = sg.connect(store).ask("errors-over-time", "cnn").fetchall()
        assert [row[:3] for row in rest] == [("cnn", 1, 4), ("cnn", 3, 1)]


def test_metrics_that_are_damaged_come_short_and_say_so(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = find_run(store, "cnn").metrics[1]
    flip(path, 8 * 60)
    rows, said, _ = told(capsys, "sql", "SELECT epoch, value FROM metrics ORDER BY ALL", "--store", str(store))
    assert rows == [{"epoch": 1, "value": 1.0}, {"epoch": 3, "value": pytest.approx(1 / 3)}]
    assert f"left out metrics of cnn: {path} is not as it was written" in said
    path.unlink()
    rows, said, _ = told(capsys, "sql", "SELECT epoch FROM metrics ORDER BY ALL", "--store", str(store))
    assert (rows, f"left out metrics of cnn: {path} is missing" in said) == ([{"epoch": 1}, {"epoch": 3}], True)


def test_metrics_whose_record_cannot_be_read_come_short_and_say_so(
    store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (store / "cnn" / "commits" / TABLE / "00002.json").write_text("{")
    rows, said, _ = told(capsys, "sql", "SELECT epoch FROM metrics ORDER BY ALL", "--store", str(store))
    assert rows == [{"epoch": 1}, {"epoch": 3}]
    assert "the metrics of cnn are short of those that its unreadable records name" in said


# Examples


def examples_of(store: Path) -> Path:
    (path,) = (store / "examples").iterdir()
    return path


def test_the_record_says_what_the_examples_file_is(store: Path) -> None:
    said = read_record(store / "cnn" / "commits" / TABLE / "00001.json")["examples"]
    path = examples_of(store)
    assert said == {path.name: {"bytes": path.stat().st_size, "sha256": verified.digest_of(path)}}


def test_damaged_examples_are_missing_pictures_and_a_note(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = examples_of(store)
    flip(path, 8 * 120)
    assert errors(store, capsys, "cnn")[::2] == ({1: 4, 2: 2, 3: 1}, 0)
    rows, said, code = told(capsys, "table", "cnn@3", "--columns", "id,guess,image", "--store", str(store))
    assert (code, [(row["id"], row["image"]) for row in rows]) == (0, [(name, None) for name in "abcd"])
    assert f"left out examples: {path} is not as it was written" in said
    rows, said, code = told(capsys, "sql", "SELECT count(*) FROM examples", "--store", str(store))
    assert (rows, code) == (None, 1)
    assert f"examples file {path} is not as it was written" in said


@pytest.mark.parametrize("kind", ["missing", "cut"])
def test_examples_that_are_gone_or_cut_leave_pages_with_a_note(
    store: Path, capsys: pytest.CaptureFixture[str], kind: str
) -> None:
    path = examples_of(store)
    data = path.read_bytes()
    path.unlink()
    if kind == "cut":
        path.write_bytes(data[:100])
    for join in ([], ["cnn@2", "--join", "inner"]):
        rows, said, code = told(capsys, "table", "cnn@3", *join, "--columns", "id,image", "--store", str(store))
        assert (code, [row["image"] for row in rows]) == (0, [None] * 4)
        assert f"left out examples: {path} " in said


def test_of_several_examples_files_the_whole_ones_are_read(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    record(store, "other", [[batch([1, 1], [1, 1])]])
    damaged = find_epoch(store, "cnn", TABLE, 1).examples
    assert damaged is not None
    flip(damaged, 8 * 120)
    rows, said, _ = told(capsys, "sql", "SELECT count(*) AS n FROM examples", "--store", str(store))
    assert (rows, f"left out examples: {damaged} " in said) == ([{"n": 2}], True)


def test_an_older_record_names_examples_without_a_digest_and_they_are_read(
    store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for path in (store / "cnn" / "commits" / TABLE).iterdir():
        said = read_record(path)
        del said["examples"], said["sha256"]
        path.write_text(json.dumps(said))
    sql = "SELECT count(*) AS n FROM examples"
    assert told(capsys, "sql", sql, "--store", str(store)) == ([{"n": 4}], "", 0)
    examples_of(store).write_bytes(examples_of(store).read_bytes()[:-3])
    assert "is no whole Parquet file" in told(capsys, "sql", sql, "--store", str(store))[1]


def test_a_run_that_finds_the_examples_there_takes_their_digest(store: Path) -> None:
    """The first writer's order of rows stays."""
    mixed = batch([0, 0, 0, 0], [0, 0, 0, 0])
    mixed = {"ids": mixed["ids"][::-1], "images": mixed["images"][::-1], "truth": [0] * 4, "guess": [0] * 4}
    before = examples_of(store).read_bytes()
    record(store, "other", [[mixed]])
    assert examples_of(store).read_bytes() == before
    assert find_epoch(store, "other", TABLE, 1).examples_file == find_epoch(store, "cnn", TABLE, 1).examples_file


def test_a_run_that_finds_the_examples_damaged_writes_them_beside(
    store: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    damaged = examples_of(store)
    flip(damaged, 8 * 120)
    record(store, "other", [[batch([0, 0, 0, 0], [0, 0, 0, 0])]])
    assert f"{damaged} is damaged, so its examples are written anew beside it" in caplog.text
    new = find_epoch(store, "other", TABLE, 1).examples
    assert new is not None and names(store / "examples") == sorted([damaged.name, new.name])
    rows, _, _ = told(capsys, "table", "other@1", "--columns", "id,image", "--store", str(store))
    assert all(row["image"] for row in rows)


def test_an_import_that_finds_its_examples_there_in_another_order_takes_their_digest(
    store: Path, tmp_path: Path
) -> None:
    mixed = batch([0, 0, 0, 0], [0, 0, 0, 0])
    mixed = {"ids": mixed["ids"][::-1], "images": mixed["images"][::-1], "truth": [0] * 4, "guess": [0] * 4}
    record(tmp_path / "staged", "other", [[mixed]])
    staged, kept = examples_of(tmp_path / "staged"), examples_of(store)
    assert (staged.name, staged.read_bytes() == kept.read_bytes()) == (kept.name, False)
    there = share(staged, store / "examples")
    assert there is not None and (there.name, there.sha256) == (kept.name, verified.digest_of(kept))


# What is remembered


def memory(caches: Path) -> set[Path]:
    return set((caches / "secondguess").glob("verified-*.json"))


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A cache folder of the test's own, for files however new."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "caches"))
    monkeypatch.setattr(verified, "_SETTLED_NS", 0)
    yield tmp_path / "caches"


def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the files that are read for their digest from now on."""
    seen: list[str] = []
    digest = verified.digest_of

    def counted(path: Path) -> str:
        seen.append(path.name)
        return digest(path)

    monkeypatch.setattr(verified, "digest_of", counted)
    verified._known.cache_clear()
    return seen


def test_a_file_is_read_once_and_remembered_in_a_file_of_the_users_own(
    store: Path, own: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = reads(monkeypatch)
    sg.connect(store).ask("errors", "cnn@3").fetchall()
    assert seen == [file_of(store, 3).name]
    verified._known.cache_clear()  # as another process
    sg.connect(store).ask("errors", "cnn@3").fetchall()
    assert len(seen) == 1
    (path,) = memory(own)
    modes = [stat.S_IMODE(each.stat().st_mode) for each in (path, path.parent)]
    assert modes == [0o600, 0o700]
    assert names(path.parent) == [path.name]


@pytest.mark.parametrize("bad", [b"", b"{", b"[1]", b"\xff", b'{"cnn": 1}', b"[" * 100_000])
def test_a_memory_that_is_lost_or_broken_costs_reading_again(
    store: Path, own: Path, monkeypatch: pytest.MonkeyPatch, bad: bytes
) -> None:
    sg.connect(store).ask("errors", "cnn@3").fetchall()
    (path,) = memory(own)
    path.write_bytes(bad)
    seen = reads(monkeypatch)
    assert len(sg.connect(store).ask("errors", "cnn@3").fetchall()) == 1
    assert seen == [file_of(store, 3).name]


def test_a_cache_folder_that_takes_nothing_is_no_fault(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert len(sg.connect(store).ask("errors", "cnn@3").fetchall()) == 1


def test_a_change_with_the_size_and_time_put_back_is_seen(
    store: Path, own: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = file_of(store, 3)
    assert errors(store, capsys, "cnn@3")[0] == {3: 1}
    before = path.stat()
    flip(path, 8 * 100)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert errors(store, capsys, "cnn@3")[2] == 1


def test_a_file_that_is_too_new_for_its_clock_is_not_remembered(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "caches"))
    monkeypatch.setattr(verified, "_SETTLED_NS", 10**18)
    sg.connect(store).ask("errors", "cnn@3").fetchall()
    assert memory(tmp_path / "caches") == set()


def test_a_large_file_is_read_for_its_digest_where_every_file_is(
    store: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verified, "LARGE", 10)
    flip(file_of(store, 3), 8 * (file_of(store, 3).stat().st_size - 300))
    question = ["ask", "errors-over-time", "cnn", "--store", str(store)]
    assert "is not as it was written" not in told(capsys, *question)[1]
    rows, said, _ = told(capsys, *question, "--verify")
    assert ([row["epoch"] for row in rows], "is not as it was written" in said) == ([1, 2], True)
    with pytest.raises(Damaged, match="is not as it was written"):
        sg.connect(store, verify=True).ask("errors", "cnn@3")


@pytest.mark.parametrize("place", [-1, 100])
def test_a_large_file_that_cannot_be_read_says_how_to_leave_it_out(
    store: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, place: int
) -> None:
    monkeypatch.setattr(verified, "LARGE", 10)
    path = file_of(store, 3)
    data = bytearray(path.read_bytes())
    data[place] ^= 1
    path.write_bytes(data)
    rest, said, code = errors(store, capsys, "cnn")
    assert (rest, code) == (None, 1)
    assert "a file is damaged: restore it, or leave it out by name with --verify" in said


def test_a_large_file_that_is_cut_is_seen_without_reading_it(
    store: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verified, "LARGE", 10)
    os.truncate(file_of(store, 3), 500)
    rest, said, _ = errors(store, capsys, "cnn")
    assert (rest, "has 500 bytes, not the" in said) == ({1: 4, 2: 2}, True)


def test_what_a_mirror_is_given_is_verified_and_nothing_written_of_it(store: Path, own: Path) -> None:
    assert read_epoch(store, "cnn", TABLE, 1, None).rows == 4
    assert not own.exists()
    flip(file_of(store, 1), 8 * 100)
    with pytest.raises(Damaged, match=r"cnn/test_predictions@1 is committed, but its file .* is not as it was written"):
        read_epoch(store, "cnn", TABLE, 1, None)


# Links


def moved_out(path: Path, outside: Path) -> None:
    """Put a link in the place of a file or folder that leads to where it is now."""
    outside.mkdir(exist_ok=True)
    shutil.move(path, outside / path.name)
    path.symlink_to(outside / path.name)


@pytest.mark.parametrize(
    ("what", "said_of"),
    [
        ("cnn/test_predictions/epoch-00002-*.parquet", "lies behind a link that leads out of the store"),
        ("cnn/commits/test_predictions/00002.json", "is a link that leads out of the store"),
    ],
)
def test_what_lies_behind_a_link_out_of_the_store_is_left_out_by_name(
    store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], what: str, said_of: str
) -> None:
    (path,) = store.glob(what)
    moved_out(path, tmp_path / "outside")
    rest, said, code = errors(store, capsys, "cnn")
    assert (rest, code) == ({1: 4, 3: 1}, 0)
    assert f"{path} {said_of}" in said


@pytest.mark.parametrize("what", ["cnn", "cnn/commits", "cnn/commits/test_predictions", "cnn/test_predictions"])
def test_no_folder_behind_a_link_out_of_the_store_is_read(
    store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], what: str
) -> None:
    moved_out(store / what, tmp_path / "outside")
    rest, said, code = errors(store, capsys, "cnn")
    assert (rest, code) == (None, 1)
    assert "link that leads out of the store" in said
    assert "link that leads out of the store" in told(capsys, "runs", "--store", str(store))[1]


def test_no_examples_and_no_run_json_behind_a_link_are_read(
    store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    moved_out(store / "examples", tmp_path / "outside")
    moved_out(store / "cnn" / "run.json", tmp_path / "outside")
    said = told(capsys, "sql", "SELECT count(*) FROM examples", "--store", str(store))[1]
    assert "lies behind a link that leads out of the store" in said
    rows, said, _ = told(capsys, "runs", "--store", str(store))
    assert ([row["origin"] for row in rows], "run.json is a link that leads out" in said) == ([None], True)


def test_the_store_itself_may_be_a_link_and_links_within_it_are_followed(
    store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "link").symlink_to(store)
    (store / "copy").symlink_to("cnn")
    assert errors(tmp_path / "link", capsys, "cnn@3") == ({3: 1}, "", 0)
    assert errors(tmp_path / "link", capsys, "copy@3") == ({3: 1}, "", 0)


def test_a_file_of_no_record_is_read_by_nobody(store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    duckdb.sql(f"COPY (SELECT 'secret' AS id, 9 AS epoch) TO '{tmp_path}/secret.parquet'")
    (store / "cnn" / TABLE / "mine.parquet").symlink_to(tmp_path / "secret.parquet")
    rows, _, _ = told(capsys, "sql", f"SELECT count(*) AS n FROM {TABLE}", "--store", str(store))
    assert rows == [{"n": 12}]


def test_looking_at_what_is_seen_reads_nothing(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    epoch = find_epoch(store, "cnn", TABLE, 1)
    flip(epoch.file, 8 * 100)
    seen = reads(monkeypatch)
    assert (verified.plain_faults([epoch.rows_file]), seen) == ({}, [])
    assert list(verified.faults([epoch.rows_file])) == [epoch.file]
    assert list(verified.plain_faults([epoch.rows_file])) == [epoch.file]  # it was found before


def test_nothing_is_remembered_where_the_user_has_no_home(store: Path) -> None:
    code = f"import secondguess as sg; print(len(sg.connect({str(store)!r}).ask('errors', 'cnn@3').fetchall()))"
    done = subprocess.run(
        [sys.executable, "-c", code], env={"PATH": os.environ["PATH"]}, capture_output=True, text=True, check=True
    )
    assert done.stdout == "1\n"


def test_a_file_of_another_store_is_judged_by_its_own(store: Path, tmp_path: Path) -> None:
    run = writer(tmp_path / "second")
    run.close()
    gone = StoredFile(tmp_path / "second", tmp_path / "second" / "cnn" / "x.parquet", "00", 1)
    whole = find_epoch(store, "cnn", TABLE, 1).rows_file
    assert verified.faults([gone, whole]) == {gone.path: "is missing"}
