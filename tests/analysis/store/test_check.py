"""The check of a store names all that is wrong or odd in it, and touches nothing that is committed."""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from recording import bytes_of
from stores import epoch, read_record, told, write_record, writer

import secondguess as sg
from secondguess.analysis.cli import main
from secondguess.analysis.errors import NotFound, SecondguessError
from secondguess.analysis.store import mending, upkeep, verified
from secondguess.analysis.store.check import Finding, check
from secondguess.analysis.store.lock import RunLock
from secondguess.analysis.store.runs import find_epoch, find_run
from secondguess.analysis.store.writer import RunWriter
from secondguess.analysis.tables import saved
from secondguess.analysis.tables.view import TableView
from secondguess.trainer.recorder import Recorder

TABLE = "test_predictions"
COMMITS = f"cnn/commits/{TABLE}"
DAY_S = 24 * 3600 + 60


def recorded(store: Path, run: str = "cnn", *, finished: bool = False, epochs: int = 3) -> None:
    """A run with metrics and images, in a file an epoch unless it is finished."""
    levels = np.arange(4, dtype=np.uint8)[:, None, None] * np.ones((1, 2, 3), np.uint8)
    recorder = Recorder(store, run=run, config={"lr": 0.5})
    for number in range(1, epochs + 1):
        with recorder.table(TABLE, epoch=number, loss=1 / number) as rows:
            guess = [int(row >= number) for row in range(4)]
            rows.add(ids=list("abcd"), images=levels, truth=[0] * 4, guess=guess, note=[f"n{number}"] * 4)
    recorder.close(finished=finished)
    opened = RunWriter(find_run(store, run), RunLock(store / run))
    opened.note("wandb-abc", {"mode": "offline"})
    opened.close()


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """Epochs 1, 2 and 3 of an interrupted run with 3, 2 and 1 errors, a saved view and a question."""
    store = tmp_path / "predictions"
    recorded(store)
    saved.save(store, "wrong ones", TableView(("cnn@1",), where=("wrong",), columns=("id", "guess")))
    (store / "questions").mkdir()
    (store / "questions" / "mine.sql").write_text("-- How many\nSELECT count(*) AS n FROM predictions")
    return store


def found(store: Path, *names: str) -> list[tuple[str, str]]:
    """What is found, and where."""
    return [(each.what, each.path) for each in check(store, names).findings]


def test_a_sound_store_has_nothing_to_say(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recorded(store, "double", finished=True)
    checked = check(store)
    assert (checked.findings, checked.is_sound) == ((), True)
    every = [path for path in store.rglob("*") if path.is_file() and path.name != ".lock"]
    assert (checked.files, checked.bytes) == (len(every), sum(path.stat().st_size for path in every))
    rows, said, code = told(capsys, "check", "--store", str(store))
    assert (rows, code) == ([], 0)
    assert f"read {len(every)} files of {checked.bytes:,} bytes: nothing is wrong" in said


def test_what_is_wrong_is_listed_with_exit_code_1(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = find_epoch(store, "cnn", TABLE, 2).file
    data = bytearray(file.read_bytes())
    data[100] ^= 1
    file.write_bytes(data)
    rows, said, code = told(capsys, "check", "--store", str(store))
    where = str(file.relative_to(store))
    assert (rows, code) == (
        [
            {
                "what": "altered",
                "grave": True,
                "path": where,
                "run": "cnn",
                "said": "is not as it was written (its sha256 differs); it holds cnn/test_predictions@2",
            }
        ],
        1,
    )
    assert "1 thing is wrong" in said


def test_what_is_remembered_of_a_file_is_not_believed(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk changes a bit without changing a time; the next question does not believe it either."""
    stored = find_epoch(store, "cnn", TABLE, 2).rows_file
    file = stored.path
    monkeypatch.setattr(verified, "_SETTLED_NS", 0)
    assert verified.faults([stored]) == {}
    about = file.stat()
    data = bytearray(file.read_bytes())
    data[100] ^= 1
    lstat = os.lstat
    file.write_bytes(data)
    monkeypatch.setattr(os, "lstat", lambda path: about if Path(path) == file else lstat(path))
    assert verified.faults([stored]) == {}
    assert found(store) == [("altered", str(file.relative_to(store)))]
    with pytest.raises(SecondguessError, match="is not as it was written"):
        sg.connect(store).ask("errors", "cnn@2")


def test_a_deleted_file_and_a_deleted_record_are_named_everywhere(
    store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    gone = find_epoch(store, "cnn", TABLE, 1).file
    gone.unlink()
    (store / COMMITS / "00002.json").unlink()
    (left,) = (store / "cnn" / TABLE).glob("epoch-00002-*")
    rows, said, code = told(capsys, "ask", "errors-over-time", "cnn", "--store", str(store))
    assert ([row["epoch"] for row in rows], code) == ([3], 0)
    assert f"left out cnn/test_predictions@1: {gone} is missing" in said
    assert f"no record names {left}" in said
    assert f"no record names {left}" in told(capsys, "runs", "--store", str(store))[1]
    _, refusal, code = told(capsys, "ask", "errors", "cnn@2", "--store", str(store))
    assert ("has no epoch 2" in refusal, f"no record names {left}" in refusal, code) == (True, True, 1)
    assert ("missing", str(gone.relative_to(store))) in found(store)
    assert ("unrecorded", str(left.relative_to(store))) in found(store)
    assert told(capsys, "check", "--store", str(store))[2] == 1


def test_a_deleted_run_json_is_named_everywhere(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (store / "cnn" / "run.json").unlink()
    rows, said, _ = told(capsys, "ask", "errors-over-time", "cnn", "--store", str(store))
    assert ([row["epoch"] for row in rows], "run.json is missing" in said) == ([1, 2, 3], True)
    rows, said, _ = told(capsys, "runs", "--store", str(store))
    assert ([row["run"] for row in rows], "run.json is missing" in said) == (["cnn"], True)
    assert found(store) == [("missing", "cnn/run.json")]


def test_foreign_files_and_parts_are_left_out_of_answers_and_named(
    store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Also a file of rows copied from another store, whose name is like ours."""
    folder = store / "cnn" / TABLE
    shutil.copy(find_epoch(store, "cnn", TABLE, 1).file, folder / "mine.parquet")
    (folder / "epoch-00009-0123456789ab.parquet").write_bytes(b"PAR1")
    (folder / ".DS_Store").write_bytes(b"")
    (store / "cnn" / "notes.txt").write_text("mine")
    (store / "cnn" / "commits" / "notes.txt").write_text("mine")
    (store / COMMITS / "00001.json.bak").write_text("mine")
    (store / "cnn" / "metrics" / "x.parquet").write_text("mine")
    (store / "cnn" / ".incoming" / f"{'a' * 32}.part").write_text("half")
    (store / ".incoming").mkdir(exist_ok=True)
    (store / ".incoming" / f"{'b' * 32}.part").write_text("half")
    (store / ".replaced" / "c").mkdir(parents=True)
    (store / ".importing-d").mkdir()
    (store / "other").mkdir()
    (store / "examples" / "old.parquet").write_text("?")
    (store / "views" / "notes.txt").write_text("mine")
    rows, _, code = told(capsys, "sql", f"SELECT count(*) AS n FROM {TABLE}", "--store", str(store))
    assert (rows, code) == ([{"n": 12}], 0)
    assert sorted(found(store)) == sorted(
        [
            ("altered", f"cnn/{TABLE}/epoch-00009-0123456789ab.parquet"),
            *(("foreign", f"cnn/{TABLE}/{name}") for name in (".DS_Store", "mine.parquet")),
            *(("foreign", f"cnn/{name}") for name in ("notes.txt", "commits/notes.txt", "metrics/x.parquet")),
            *(("foreign", name) for name in (f"{COMMITS}/00001.json.bak", "other", "views/notes.txt")),
            ("left over", f"cnn/.incoming/{'a' * 32}.part"),
            *(("left over", name) for name in (f".incoming/{'b' * 32}.part", ".replaced/c", ".importing-d")),
            ("left over", "examples/old.parquet"),
        ]
    )


BROKEN: dict[str, tuple[Any, str]] = {
    "empty": ("", "unreadable"),
    "cut": (lambda record: json.dumps(record)[:100], "unreadable"),
    "no text": (b"\xff\xfe", "unreadable"),
    "no object": ("[1]", "unreadable"),
    "newer": (lambda record: {**record, "format": 3}, "newer"),
    "edited": (lambda record: json.dumps({**record, "classes": ["x"]}), "altered"),
    "of another epoch": (lambda record: {**record, "epochs": [{**record["epochs"][0], "epoch": 7}]}, "unreadable"),
}


@pytest.mark.parametrize(("change", "what"), BROKEN.values(), ids=list(BROKEN))
def test_a_record_that_cannot_be_trusted_is_named_and_the_rest_answers(
    store: Path, capsys: pytest.CaptureFixture[str], change: Any, what: str
) -> None:
    path = store / COMMITS / "00002.json"
    changed = change(read_record(path)) if callable(change) else change
    if isinstance(changed, bytes | str):
        path.write_bytes(changed if isinstance(changed, bytes) else changed.encode())
    else:
        write_record(path, changed)
    rows, said, code = told(capsys, "ask", "errors-over-time", "cnn", "--store", str(store))
    assert ([row["epoch"] for row in rows], code) == ([1, 3], 0)
    assert str(path) in said
    assert (what, f"{COMMITS}/00002.json") in found(store)


def test_a_number_that_two_records_have_is_named(store: Path) -> None:
    shutil.copy(store / COMMITS / "00002.json", store / COMMITS / "00002 (copy).json")
    assert found(store) == [("unreadable", f"{COMMITS}/00002 (copy).json")]


def test_an_older_store_is_sound_and_says_what_carries_no_digest(
    store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for path in [*store.glob("cnn/*.json"), *store.glob("cnn/commits/**/*.json"), *store.glob("views/*.json")]:
        said = read_record(path)
        for key in ("sha256", "examples"):
            said.pop(key, None)
        path.write_text(json.dumps(said))
    assert {what for what, _ in found(store)} == {"no digest"}
    assert len(found(store)) == 7  # run.json, three records, a note, the view, the examples
    rows, said, code = told(capsys, "check", "--store", str(store))
    assert ({row["grave"] for row in rows}, code) == ({False}, 0)
    assert "nothing is wrong, 7 more said" in said


def test_views_and_questions_that_are_cut_empty_or_no_files_are_named(store: Path) -> None:
    view = store / "views" / "wrong ones.json"
    view.write_text(view.read_text()[:20])
    (store / "questions" / "mine.sql").write_text("")
    (store / "questions" / "folder.sql").mkdir()
    (store / "questions" / "bytes.sql").write_bytes(b"-- \xff\xfe")
    (store / "questions" / "gone.sql").symlink_to("nowhere.sql")
    os.mkfifo(store / "views" / "pipe.json")
    names = ["questions/bytes.sql", "questions/folder.sql", "questions/gone.sql", "questions/mine.sql"]
    assert found(store) == [("unreadable", name) for name in [*names, "views/pipe.json", "views/wrong ones.json"]]


def test_links_that_lead_out_of_the_store_are_named(store: Path, tmp_path: Path) -> None:
    recorded(store, "double")
    outside = tmp_path / "outside"
    outside.mkdir()
    for name in (f"{COMMITS}/00001.json", f"cnn/{find_epoch(store, 'cnn', TABLE, 2).file.parent.name}", "double"):
        shutil.move(store / name, outside / Path(name).name)
        (store / name).symlink_to(outside / Path(name).name)
    said = [(what, path) for what, path in found(store) if what == "outside"]
    assert ("outside", "double") in said
    assert ("outside", f"{COMMITS}/00001.json") in said
    assert sum(path.startswith(f"cnn/{TABLE}/epoch-") for _, path in said) == 2


def test_some_runs_are_checked_alone(store: Path) -> None:
    recorded(store, "double")
    (store / "cnn" / "run.json").unlink()
    (store / "mine").mkdir()
    assert found(store, "double") == []
    assert found(store, "cnn") == [("missing", "cnn/run.json")]
    with pytest.raises(NotFound, match=r"no run named 'x' in .*; the store has: "):
        check(store, ["x"])


def test_a_run_that_is_recorded_has_nothing_left_over(store: Path) -> None:
    run = RunWriter.resume(store, "cnn")
    (store / "cnn" / ".incoming" / f"{'a' * 32}.part").write_text("half")
    (store / COMMITS / "00002.json").unlink()
    assert found(store) == [] or {what for what, _ in found(store)} == {"unrecorded"}
    run.close()


def test_a_check_reads_and_writes_nothing(store: Path) -> None:
    (store / "cnn" / "run.json").unlink()
    before = bytes_of(store)
    main_of("check", "--repair", "--gc", "--store", str(store))
    main_of("check", "--repair", "--gc", "--yes", "--dry-run", "--store", str(store))
    assert bytes_of(store) == before


def main_of(*command: str) -> int:
    try:
        main(list(command))
    except SystemExit as ended:
        return int(ended.code or 0)
    return 0


# Repair


def test_a_run_json_is_made_anew_from_the_files_of_the_run(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = store / "cnn" / "run.json"
    before = path.read_bytes()
    path.unlink()
    _, said, code = told(capsys, "check", "--repair", "--store", str(store))
    assert (code, path.exists()) == (1, False)
    assert "would write cnn/run.json as the footers of the run's files have it" in said
    assert told(capsys, "check", "--repair", "--yes", "--store", str(store))[::2] == ([], 0)
    assert json.loads(path.read_bytes()) == json.loads(before)


@pytest.mark.parametrize("finished", [False, True])
def test_a_deleted_record_is_made_anew_from_its_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], finished: bool
) -> None:
    store = tmp_path / "predictions"
    recorded(store, finished=finished)
    path = max((store / COMMITS).iterdir())
    before = read_record(path)
    path.unlink()
    sql = "SELECT epoch, name, value FROM metrics ORDER BY ALL"
    expected = [(number, "loss", 1 / number) for number in (1, 2, 3)]
    assert sg.connect(store).sql(sql).fetchall() != expected
    assert main_of("check", "--repair", "--yes", "--store", str(store)) == 0
    capsys.readouterr()
    after = read_record(path)
    for key in ("committed", "sha256", "supersedes", "repaired"):
        before.pop(key, None), after.pop(key, None)
    if finished:
        del before["examples"], after["examples"]  # no other record says what they are
    assert after == before
    assert sg.connect(store).sql(sql).fetchall() == expected
    rows = told(capsys, "ask", "errors-over-time", "cnn", "--store", str(store))[0]
    assert [row["errors"] for row in rows] == [3, 2, 1]


def test_no_record_is_made_of_a_file_that_is_damaged(store: Path) -> None:
    (store / COMMITS / "00002.json").unlink()
    (file,) = (store / "cnn" / TABLE).glob("epoch-00002-*")
    data = bytearray(file.read_bytes())
    data[100] ^= 1
    file.write_bytes(data)
    checked = check(store)
    assert ("altered", str(file.relative_to(store))) in found(store)
    assert list(mending.repairs(checked)) == []


def test_a_record_that_is_there_but_damaged_stays_as_it_is(store: Path) -> None:
    path = store / COMMITS / "00002.json"
    path.write_text("{")
    main_of("check", "--repair", "--gc", "--yes", "--store", str(store))
    assert path.read_text() == "{"


# What is left over


def removed(store: Path, later_s: float = DAY_S) -> list[str]:
    """Remove what is left over, as if so much time had passed; returns what was said."""
    steps = list(mending.removals(check(store), time.time() + later_s))
    for step in steps:
        step.do()
    return [step.said for step in steps]


def test_parts_of_writers_that_are_gone_are_removed_after_a_day(store: Path) -> None:
    parts = [store / "cnn" / ".incoming" / f"{'a' * 32}.part", store / ".incoming" / f"{'b' * 32}.part"]
    for part in parts:
        part.parent.mkdir(exist_ok=True)
        part.write_text("half")
    before = bytes_of(store)
    assert removed(store, 3600) == []
    assert bytes_of(store) == before
    assert len(removed(store)) == 2
    assert [part.exists() for part in parts] == [False, False]
    assert bytes_of(store).keys() == before.keys() - {str(part.relative_to(store)) for part in parts}


def test_foreign_files_and_examples_that_nobody_names_stay(store: Path) -> None:
    (store / "cnn" / TABLE / "mine.parquet").write_text("mine")
    (store / "examples" / "old.parquet").write_text("mine")
    (store / COMMITS / "00002.json").unlink()  # its rows wait for a repair
    before = bytes_of(store)
    assert removed(store) == []
    assert bytes_of(store) == before


def test_what_a_killed_merge_left_is_removed_with_its_rows_counted_once(
    store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = RunWriter.resume(store, "cnn")
    monkeypatch.setattr(upkeep, "sweep", lambda run: None)
    upkeep.compact(find_run(store, "cnn"))
    run.close()
    left = [path for what, path in found(store) if what == "left over"]
    assert len(left) == 9  # three records, their files of rows and of metrics
    assert check(store).is_sound
    assert removed(store, 3600) == []
    assert len(removed(store)) == 9
    assert found(store) == []
    assert sg.connect(store).sql(f"SELECT count(*) FROM {TABLE}").fetchall() == [(12,)]


def test_nothing_superseded_goes_while_the_merged_file_is_damaged(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = RunWriter.resume(store, "cnn")
    monkeypatch.setattr(upkeep, "sweep", lambda run: None)
    upkeep.compact(find_run(store, "cnn"))
    run.close()
    (merged,) = (store / "cnn" / TABLE).glob("epochs-*")
    merged.write_bytes(merged.read_bytes()[:-1])
    assert removed(store) == []


@pytest.fixture
def recording(store: Path) -> Iterator[RunWriter]:
    run = RunWriter.resume(store, "cnn")
    yield run
    run.close()


def test_nothing_of_a_writer_at_work_is_removed(store: Path, recording: RunWriter) -> None:
    part = recording.incoming / f"{'a' * 32}.part"
    part.write_text("half")
    assert removed(store) == []
    recording.commit(epoch(4, ["a"]))
    assert (part.exists(), list(find_run(store, "cnn").tables[TABLE])) == (True, [1, 2, 3, 4])


def test_a_writer_that_begins_between_looking_and_removing_keeps_its_files(store: Path) -> None:
    part = store / "cnn" / ".incoming" / f"{'a' * 32}.part"
    part.write_text("half")
    (step,) = mending.removals(check(store), time.time() + DAY_S)
    with (store / "cnn" / ".lock").open("r+") as lock:
        import fcntl

        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(SecondguessError, match="run 'cnn' is being recorded"):
            step.do()
    assert part.exists()


def test_an_import_at_work_is_left_alone(store: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path; from secondguess.analysis.store.adoption import staging\n"
        "with staging(Path(sys.argv[1])) as folder:\n    print(folder.path, flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(store)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as importer:
        assert importer.stdout is not None
        folder = Path(importer.stdout.readline().strip())
        assert (removed(store), folder.is_dir()) == ([], True)
        importer.kill()
    assert [said.split(",")[0] for said in removed(store)] == [f"remove {folder.name}"]
    assert not folder.exists()


def test_a_run_that_was_set_aside_is_removed_only_where_another_took_its_place(store: Path) -> None:
    (store / ".replaced").mkdir()
    shutil.copytree(store / "cnn", store / ".replaced" / "old")
    kept = store / ".replaced" / "lost"
    shutil.copytree(store / "cnn", kept)
    write_record(kept / "run.json", read_record(kept / "run.json") | {"name": "nowhere else"})
    assert removed(store) == ["remove .replaced/old, which was replaced by another run"]
    assert kept.is_dir()


def test_a_run_that_waits_to_be_brought_back_is_said_and_not_removed(store: Path) -> None:
    """Killed between the two renames of a system that knows no exchange."""
    place = store / f".replacing-{'0' * 32}"
    (place / ".aside").mkdir(parents=True)
    (store / "cnn").rename(place / ".aside" / "cnn")
    waiting = ("left over", f"{place.name}/.aside/cnn", "waits for the next writer to bring it back")
    assert waiting in [(found.what, found.path, found.said) for found in check(store).findings]
    assert removed(store) == []
    assert (place / ".aside" / "cnn" / "run.json").is_file()


def test_a_long_read_goes_on_while_what_was_superseded_is_removed(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reader = sg.connect(store).sql(f"SELECT epoch, id FROM {TABLE} ORDER BY ALL").to_arrow_reader(1)
    first = reader.read_next_batch().to_pylist()
    test_what_a_killed_merge_left_is_removed_with_its_rows_counted_once(store, monkeypatch)
    rest = [row for batch in reader for row in batch.to_pylist()]
    assert [(row["epoch"], row["id"]) for row in [*first, *rest]] == [(n, name) for n in (1, 2, 3) for name in "abcd"]


# One bit anywhere


def questions(store: Path) -> dict[str, list[str]]:
    """What one usually asks, of all that a store has."""
    where = ["--store", str(store), "--format", "json"]
    return {
        "runs": ["runs", *where],
        "errors": ["ask", "errors", "cnn@3", *where],
        "over time": ["ask", "errors-over-time", "cnn", *where],
        "by guess": ["ask", "errors-by-guess", "cnn@all", *where],
        "notes": ["sql", f"SELECT epoch, id, note FROM {TABLE} ORDER BY ALL", *where],
        "metrics": ["sql", "SELECT * FROM metrics ORDER BY ALL", *where],
        "images": [
            "sql",
            "SELECT id, digest, truth, to_base64(image.bytes) AS image FROM examples ORDER BY ALL",
            *where,
        ],
        "saved": ["table", "--saved", "wrong ones", *where],
    }


def answers(store: Path, capsys: pytest.CaptureFixture[str]) -> dict[str, tuple[str, str, int]]:
    """The answer to each question, what is said besides, and the exit code."""
    told: dict[str, tuple[str, str, int]] = {}
    for name, command in questions(store).items():
        code = main_of(*command)
        out, err = capsys.readouterr()
        told[name] = (out, err, code)
    return told


def flips(store: Path, count: int, capsys: pytest.CaptureFixture[str], seed: int) -> None:
    """Flip bits, in a file of each kind in turn: an answer that changes says so, and check names the file."""
    kinds = {
        "rows": f"cnn/{TABLE}/*.parquet",
        "examples": "examples/*.parquet",
        "metrics": "cnn/metrics/*.parquet",
        "commit": f"{COMMITS}/*.json",
        "run": "cnn/run.json",
        "note or end": "cnn/commits/*.json",
        "view": "views/*.json",
    }
    random = np.random.default_rng(seed)
    before = answers(store, capsys)
    assert all(code == 0 for _, _, code in before.values())
    for number in range(count):
        paths = sorted(store.glob(list(kinds.values())[number % len(kinds)]))
        path = paths[random.integers(len(paths))]
        data = path.read_bytes()
        bit = int(random.integers(8 * len(data)))
        changed = bytearray(data)
        changed[bit // 8] ^= 1 << bit % 8
        path.write_bytes(changed)
        where = f"bit {bit} of {path.relative_to(store)}"
        for name, (out, err, code) in answers(store, capsys).items():
            silent = code == 0 and err == before[name][1]
            assert not (silent and out != before[name][0]), f"{where}: {name} answers {out}"
        main_of("check", "--store", str(store), "--format", "json")
        named = {row["path"] for row in json.loads(capsys.readouterr().out)}
        assert str(path.relative_to(store)) in named, where
        path.write_bytes(data)


@pytest.mark.parametrize("finished", [False, True])
def test_one_changed_bit_never_changes_an_answer_in_silence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], finished: bool
) -> None:
    store = tmp_path / "predictions"
    recorded(store, finished=finished)
    saved.save(store, "wrong ones", TableView(("cnn@1",), where=("wrong",), columns=("id", "guess")))
    flips(store, 7, capsys, seed=1)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_150_changed_bits_never_change_an_answer_in_silence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], seed: int
) -> None:
    store = tmp_path / "predictions"
    recorded(store, finished=seed % 2 == 0)
    saved.save(store, "wrong ones", TableView(("cnn@1",), where=("wrong",), columns=("id", "guess")))
    flips(store, 42, capsys, seed=seed)


def test_a_finding_is_grave_or_of_interest() -> None:
    assert [Finding(what, "x", None, "").is_grave for what in ("altered", "foreign")] == [True, False]


def test_the_kinds_of_a_run_with_no_records_at_all(tmp_path: Path) -> None:
    run = writer(tmp_path)
    run.close()
    assert found(tmp_path) == []
