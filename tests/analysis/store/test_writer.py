"""Runs begun, committed to and ended: what is written, and what is refused."""

import hashlib
import json
import math
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import stores
from stores import ABOUT, epoch, names, plain, read_record, writer
from waiting import HANG_S

from secondguess.analysis.errors import AlreadyThere, BadInput, Damaged, NotFound, NotWritten, SecondguessError
from secondguess.analysis.store import parquet, remarks, tally
from secondguess.analysis.store.commits import EpochRows, ExamplesFile
from secondguess.analysis.store.runs import find_epoch, find_run, list_runs
from secondguess.analysis.store.writer import RunWriter


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "predictions"


def test_a_run_begins_as_a_folder_that_says_what_it_is(store: Path) -> None:
    run = RunWriter.create(store / "deep", "cnn 2", {"origin": "recorded", "config": {"lr": 0.1}, "classes": ["a"]})
    said = read_record(store / "deep" / "cnn 2" / "run.json")
    assert said.pop("created").endswith("+00:00")
    assert len(said.pop("sha256")) == 64
    assert said == {"format": 1, "name": "cnn 2", "origin": "recorded", "config": {"lr": 0.1}, "classes": ["a"]}
    assert names(store / "deep") == ["cnn 2"]
    assert names(store / "deep" / "cnn 2") == ["run.json"]
    run.close()


def test_a_commit_says_what_its_file_holds(store: Path) -> None:
    run = writer(store)
    rows = epoch(
        3,
        ["x", "y", "z", "u"],
        guess=["cat", "dog", None, "cat"],
        truth=["cat", "cat", "dog", None],
        score_0=pa.array([0.9, math.nan, 0.5, 0.6], pa.float32()),
        note=[1, None, 2, 3],
    )
    run.commit(
        EpochRows(
            rows.table, 3, rows.rows, ["cat", "dog"], lambda: ExamplesFile("mnist-test-0123456789ab.parquet", "5ab", 7)
        )
    )
    run.close()
    said = read_record(store / "cnn" / "commits" / "test_predictions" / "00003.json")
    data = (store / "cnn" / said["file"]["name"]).read_bytes()
    sha256 = hashlib.sha256(data).hexdigest()
    parts = b"\1\0\0\0" * 4, b"xyzu"  # the ids' lengths and the ids
    ids = hashlib.sha256(b"".join(hashlib.sha256(part).digest() for part in parts)).hexdigest()
    assert said.pop("committed").endswith("+00:00")
    assert len(said.pop("sha256")) == 64
    assert said == {
        "format": 1,
        "file": {
            "name": f"test_predictions/epoch-00003-{sha256[:12]}.parquet",
            "rows": 4,
            "bytes": len(data),
            "sha256": sha256,
        },
        "columns": [
            *(["run", "string"], ["epoch", "int32"], ["id", "string"], ["guess", "string"], ["truth", "string"]),
            *(["score_0", "float"], ["note", "int64"]),
        ],
        "classes": ["cat", "dog"],
        "epochs": [
            {
                "epoch": 3,
                "rows": 4,
                "errors": 2,
                "unlabelled": 1,
                "nan_scores": 1,
                "ids": ids,
                "unique": True,
                "id_set": "422461f5a4df504e994f10863c16e2c9",
                "id_truth_set": "9bea4117d4896a38fe4f88dffc855557",
                "examples": "mnist-test-0123456789ab.parquet",
            }
        ],
        "metrics": None,
        "examples": {"mnist-test-0123456789ab.parquet": {"bytes": 7, "sha256": "5ab"}},
    }


def test_a_file_moved_elsewhere_still_says_what_it_is(store: Path, tmp_path: Path) -> None:
    run = RunWriter.create(store, "cnn", {"origin": "recorded", "config": {"lr": 0.1}, "classes": None})
    run.commit(epoch(2, ["a", "b"]))
    run.close()
    (file,) = store.glob("*/test_predictions/*.parquet")
    moved = shutil.move(file, tmp_path / "moved.parquet")
    footer = json.loads(pq.read_metadata(moved).metadata[b"secondguess"])
    said = read_record(store / "cnn" / "commits" / "test_predictions" / "00002.json")
    assert footer["format"] == 1
    assert (footer["run"], footer["table"]) == ("cnn", "test_predictions")
    assert footer["epochs"] == said["epochs"]
    assert footer["about"]["config"] == {"lr": 0.1}
    assert plain(moved, "run, epoch, id") == [("cnn", 2, "a"), ("cnn", 2, "b")]


# Rows as they come


def stream(*sizes: int, ids: Callable[[int], str] = str) -> tuple[pa.RecordBatchReader, list[dict[str, Any]]]:
    """Batches of these sizes whose labels have other dictionaries each, and all their rows."""
    kind = pa.dictionary(pa.int8(), pa.string())
    schema = pa.schema([("run", pa.string()), ("epoch", pa.int32()), ("id", pa.string()), ("guess", kind)])
    batches, start = [], 0
    for number, size in enumerate(sizes):
        guess = [f"class {number}-{row % 3}" for row in range(size)]
        columns = ["cnn"] * size, [1] * size, [ids(start + row) for row in range(size)], guess
        batches.append(pa.record_batch([pa.array(*pair) for pair in zip(columns, schema.types, strict=True)], schema))
        start += size
    return pa.RecordBatchReader.from_batches(schema, iter(batches)), [row for one in batches for row in one.to_pylist()]


@pytest.mark.parametrize("sizes", [(7,), (1, 1, 1, 1), (5, 0, 6), (12, 1), (3, 9, 4), (0,), ()])
def test_a_stream_of_batches_of_any_size_becomes_row_groups_of_one_size(
    sizes: tuple[int, ...], store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parquet, "_ROW_GROUP", 5)
    rows, expected = stream(*sizes)
    run = writer(store)
    run.commit(EpochRows("t", 1, rows))
    run.close()
    (file,) = store.glob("cnn/t/*.parquet")
    with pq.ParquetFile(file) as found:
        assert found.read().to_pylist() == expected
        groups = [found.metadata.row_group(at).num_rows for at in range(found.num_row_groups)]
    assert groups == [5] * (sum(sizes) // 5) + ([sum(sizes) % 5] if sum(sizes) % 5 else [])
    said = find_epoch(store, "cnn", "t", 1)
    assert (said.rows, said.unique) == (sum(sizes), True)


def test_categories_of_many_batches_keep_their_dictionary(store: Path) -> None:
    """100 batches with 3 classes each: 8-bit numbers cannot hold them, and text in full would take 400,000 bytes."""
    rows, expected = stream(*[300] * 100)
    run = writer(store)
    run.commit(EpochRows("t", 1, rows))
    run.close()
    (file,) = store.glob("cnn/t/*.parquet")
    assert pq.read_table(file).to_pylist() == expected
    group = pq.read_metadata(file).row_group(0)
    guess = next(group.column(at) for at in range(group.num_columns) if group.column(at).path_in_schema == "guess")
    assert guess.total_uncompressed_size < 60_000


def test_long_texts_make_smaller_row_groups(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parquet, "_GROUP_BYTES", 1_000)
    run = writer(store)
    run.commit(EpochRows("t", 1, stream(10, 10, 10, ids=lambda row: str(row) * 50)[0]))
    run.close()
    (file,) = store.glob("cnn/t/*.parquet")
    assert pq.read_metadata(file).num_row_groups > 1


def test_a_stream_that_fails_leaves_nothing_and_says_why(store: Path) -> None:
    run = writer(store)
    schema = epoch(1, ["a"]).rows.schema

    def broken() -> Iterator[pa.RecordBatch]:
        yield from epoch(1, ["a"]).rows.to_batches()
        raise Damaged("t.table.json ends within row 1")

    with pytest.raises(Damaged, match=r"t\.table\.json ends within row 1"):
        run.commit(EpochRows("t", 1, pa.RecordBatchReader.from_batches(schema, broken())))
    run.commit(epoch(1, ["a"], table="t"))
    run.close()
    assert plain(store / "*/t/*.parquet") == [(1, "a")]
    assert list((store / "cnn" / ".incoming").iterdir()) == []


def test_the_examples_file_is_asked_for_after_the_last_row(store: Path) -> None:
    seen: list[int] = []

    def batches() -> Iterator[pa.RecordBatch]:
        for number in (1, 2):
            seen.append(number)
            yield from epoch(1, [str(number)]).rows.to_batches()

    rows = pa.RecordBatchReader.from_batches(epoch(1, ["a"]).rows.schema, batches())
    run = writer(store)
    run.commit(EpochRows("t", 1, rows, examples=lambda: ExamplesFile(f"after-{len(seen)}.parquet", "", 0)))
    run.close()
    found = find_epoch(store, "cnn", "t", 1).examples
    assert found is not None and found.name == "after-2.parquet"


@pytest.mark.parametrize("ids", [["a", "b", "c"], ["a", "b", "a"], ["a", None, "c"]])
def test_ids_with_one_hash_are_compared_before_the_file_has_its_name(
    ids: list[str], store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tally, "id_hashes", lambda ids: [np.zeros(len(ids), np.uint64)] * 2)
    run = writer(store)
    run.commit(epoch(1, ids, table="t"))
    run.close()
    (file,) = store.glob("cnn/t/*.parquet")
    said = read_record(store / "cnn" / "commits" / "t" / "00001.json")
    assert said["epochs"][0]["unique"] is (ids == ["a", "b", "c"])
    assert json.loads(pq.read_metadata(file).metadata[b"secondguess"])["epochs"] == said["epochs"]
    assert said["file"]["sha256"] == hashlib.sha256(file.read_bytes()).hexdigest()
    assert plain(file) == sorted(((1, name) for name in ids), key=lambda row: (row[1] is None, row[1]))
    assert list((store / "cnn" / ".incoming").iterdir()) == []


# What is committed once


def test_an_epoch_is_committed_once(store: Path) -> None:
    run = writer(store)
    run.commit(epoch(1, ["a"]))
    with pytest.raises(AlreadyThere, match="cnn/test_predictions@1 is already committed"):
        run.commit(epoch(1, ["b"]))
    run.close()
    assert plain(store / "*/test_predictions/*.parquet") == [(1, "a")]


def test_an_epoch_that_was_merged_is_committed_once_too(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that died between merging and ending goes on, and finds no record of the name 00001 any more."""
    run = writer(store)
    for number in (1, 2):
        run.commit(epoch(number, ["a"]))
    monkeypatch.setattr(run, "_write_metrics", lambda metrics: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        run.end()
    run.close()
    again = RunWriter.resume(store, "cnn")
    assert names(store / "cnn" / "commits" / "test_predictions") == ["00001-00002.json"]
    with pytest.raises(AlreadyThere, match="@1 is already committed"):
        again.commit(epoch(1, ["b"]))
    again.commit(epoch(3, ["a"]))
    again.end()
    again.close()
    assert plain(store / "*/test_predictions/*.parquet") == [(1, "a"), (2, "a"), (3, "a")]
    assert names(store / "cnn" / "commits" / "test_predictions") == ["00001-00003.json"]


def test_a_guess_or_truth_keeps_its_type(store: Path) -> None:
    run = writer(store)
    run.commit(epoch(1, ["a"], guess=["cat"], truth=["cat"]))
    for labels in ({"guess": [1], "truth": [1]}, {"guess": [1.5], "truth": [1.5]}):
        with pytest.raises(BadInput, match=r"guess is \w+ in epoch 2, but string in 'test_predictions' so far"):
            run.commit(epoch(2, ["a"], **labels))
    with pytest.raises(BadInput, match="guess is int64, but truth string; give both alike"):
        run.commit(epoch(1, ["a"], table="other", truth=["cat"]))
    run.commit(epoch(2, ["a"], guess=["dog"]))
    run.close()


def test_a_commit_that_fails_does_not_fix_the_type(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = writer(store)
    with monkeypatch.context() as broken:
        broken.setattr(run, "_write_rows", lambda *args: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            run.commit(epoch(1, ["a"], guess=["cat"]))
    run.commit(epoch(1, ["a"], guess=[1]))
    run.close()


def test_tables_differ_by_more_than_case(store: Path) -> None:
    run = writer(store)
    run.commit(epoch(1, ["a"], table="Test"))
    with pytest.raises(BadInput, match="'test' differs from 'Test' only in case"):
        run.commit(epoch(1, ["a"], table="test"))
    run.close()


def test_metrics_are_committed_with_a_table_and_at_the_end(store: Path) -> None:
    run = writer(store)
    rows = epoch(1, ["a"])
    run.commit(EpochRows(rows.table, 1, rows.rows, metrics=[(1, None, "loss", 0.5), (2, None, "loss", math.inf)]))
    run.commit(EpochRows(rows.table, 2, epoch(2, ["a"]).rows, metrics=[(None, 2, "acc", 1.0)]))
    assert run.last_step() == 2
    run.end([(9, None, "loss", 0.25)])
    assert run.last_step() == 9
    run.close()
    assert plain(store / "cnn/metrics/*.parquet", "run, step, epoch, name, value") == [
        ("cnn", 1, None, "loss", 0.5),
        ("cnn", 2, None, "loss", math.inf),
        ("cnn", 9, None, "loss", 0.25),
        ("cnn", None, 2, "acc", 1.0),
    ]
    assert sorted(path.name for path in find_run(store, "cnn").metrics) == names(store / "cnn" / "metrics")


def test_without_metrics_the_last_step_is_0(store: Path) -> None:
    run = writer(store)
    run.commit(epoch(1, ["a"]))
    assert run.last_step() == 0
    run.close()


def test_a_run_ends_once(store: Path) -> None:
    run = writer(store)
    run.end(seconds=3)
    assert find_run(store, "cnn").end is not None
    assert read_record(store / "cnn" / "commits" / "end.json")["seconds"] == 3
    with pytest.raises(AlreadyThere, match="it ends once"):
        run.end()
    run.close()


def test_a_note_that_is_there_stays_and_the_next_gets_a_number(store: Path) -> None:
    run = writer(store)
    for count in range(3):
        run.note("wandb-abc", {"count": count})
    run.close()
    commits = store / "cnn" / "commits"
    found = {name: read_record(commits / name)["count"] for name in names(commits)}
    assert found == {"wandb-abc.json": 0, "wandb-abc-2.json": 1, "wandb-abc-3.json": 2}


# Who may write


def test_a_run_that_exists_is_refused_with_its_state_and_the_choice(store: Path) -> None:
    run = writer(store)
    with pytest.raises(
        AlreadyThere, match=r"run 'cnn' exists already \(running\); choose another name, or --overwrite"
    ):
        writer(store)
    run.commit(epoch(1, ["a"]))
    run.close()
    with pytest.raises(AlreadyThere, match=r"\(interrupted\); choose another name.*overwrite=True.*resume=True"):
        writer(store)
    run = RunWriter.resume(store, "cnn")
    run.end()
    run.close()
    with pytest.raises(AlreadyThere, match=r"exists already \(finished\); choose another name"):
        writer(store)


@pytest.mark.parametrize("is_over", [True, False])
def test_a_run_of_which_nothing_was_recorded_takes_no_name(store: Path, is_over: bool) -> None:
    """As where a training broke off before its first epoch, or every batch of it was refused."""
    run = writer(store)
    with pytest.raises(AlreadyThere, match=r"exists already \(running\)"):
        RunWriter.create(store, "cnn", ABOUT, if_empty=True)
    if is_over:
        run.end()
    run.close()
    run = RunWriter.create(store, "cnn", ABOUT, if_empty=True)
    run.commit(epoch(1, ["a"]))
    run.close()
    assert list(find_run(store, "cnn").tables) == ["test_predictions"]
    with pytest.raises(AlreadyThere, match="exists already"):
        RunWriter.create(store, "cnn", ABOUT, if_empty=True)


def test_a_run_that_has_metrics_or_a_note_alone_or_lost_its_epoch_is_there(store: Path) -> None:
    run = writer(store)
    run.end([(1, None, "loss", 0.5)])
    run.close()
    other = RunWriter.create(store, "lost", ABOUT)
    other.commit(epoch(1, ["a"]))
    other.close()
    (record,) = (store / "lost" / "commits" / "test_predictions").iterdir()
    record.unlink()
    RunWriter.create(store, "noted", ABOUT).close()
    remarks.change(store, "noted", note="out of memory at 512")
    RunWriter.create(store, "brought", {**ABOUT, "source": {"kind": "wandb"}}).close()
    for name in ("cnn", "lost", "noted", "brought"):
        with pytest.raises(AlreadyThere, match="exists already"):
            RunWriter.create(store, name, ABOUT, if_empty=True)


def test_overwriting_replaces_everything(store: Path) -> None:
    for first in (True, False):
        run = RunWriter.create(store, "cnn", ABOUT, overwrite=True)
        run.commit(epoch(1 if first else 7, ["a"]))
        run.close()
    assert plain(store / "*/test_predictions/*.parquet") == [(7, "a")]
    assert list(find_run(store, "cnn").tables["test_predictions"]) == [7]
    assert [path.name for path in store.iterdir()] == ["cnn"]


def test_what_the_disk_refuses_is_one_line_that_names_what_was_lost(
    store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = writer(store)
    run.commit(epoch(1, ["a"]))

    def full(*args: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as broken:
        broken.setattr(os, "write", full)
        for call, lost in (
            (lambda: run.commit(epoch(2, ["a"])), "cnn/test_predictions@2 could not be recorded"),
            (run.end, "the end of run 'cnn' could not be recorded"),
            (lambda: run.note("n", {}), "n of run 'cnn' could not be recorded"),
            (lambda: writer(store, "other"), "run 'other' could not be begun"),
        ):
            with pytest.raises(NotWritten, match=f"{lost}: No space left on device") as refused:
                call()
            assert (isinstance(refused.value, OSError), refused.value.errno) == (True, 28)
    run.commit(epoch(2, ["a"]))
    run.end()
    run.close()
    assert plain(store / "*/test_predictions/*.parquet") == [(1, "a"), (2, "a")]


def test_a_run_that_belongs_to_somebody_else_is_not_resumed(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writer(store).close()
    monkeypatch.setattr(os, "open", refusing_to_write(os.open))
    with pytest.raises(NotWritten, match="run 'cnn' cannot be resumed: Permission denied"):
        RunWriter.resume(store, "cnn")


def refusing_to_write(real: Any) -> Any:
    def call(path: Any, flags: int, mode: int = 0o777) -> int:
        if flags & (os.O_RDWR | os.O_WRONLY):
            raise PermissionError(13, "Permission denied")
        return int(real(path, flags, mode))

    return call


def test_a_store_whose_path_is_no_text_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="is no Unicode text"):
        writer(tmp_path / os.fsdecode(b"caf\xe9"))


def test_a_run_that_is_being_recorded_is_not_overwritten(store: Path) -> None:
    run = writer(store)
    run.commit(epoch(1, ["a"]))
    with pytest.raises(AlreadyThere, match="is being recorded by another process"):
        RunWriter.create(store, "cnn", ABOUT, overwrite=True)
    run.commit(epoch(2, ["a"]))
    run.close()


def test_runs_differ_by_more_than_case(store: Path) -> None:
    writer(store, "Straße").close()
    with pytest.raises(AlreadyThere, match="'STRASSE' differs from 'Straße' only in case"):
        writer(store, "STRASSE")


def test_a_folder_that_is_no_run_is_left_alone(store: Path) -> None:
    (store / "cnn").mkdir(parents=True)
    (store / "cnn" / "thesis.tex").write_text("two years of work")
    with pytest.raises(AlreadyThere, match=r"is no run, but holds thesis\.tex; choose another name"):
        RunWriter.create(store, "cnn", ABOUT, overwrite=True)
    assert (store / "cnn" / "thesis.tex").read_text() == "two years of work"


def test_a_run_that_died_before_it_began_does_not_block_its_name(store: Path) -> None:
    (store / "cnn" / ".incoming").mkdir(parents=True)
    (store / "cnn" / ".lock").touch()
    writer(store).close()
    assert list(list_runs(store)) == ["cnn"]


@pytest.mark.parametrize("place", ["file", "file/below"])
def test_a_store_that_cannot_be_one_is_refused_before_anything_is_recorded(tmp_path: Path, place: str) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(BadInput, match=r"cannot write to the store .*; name another folder"):
        writer(tmp_path / place)
    assert (tmp_path / "file").read_text() == "in the way"


def test_after_closing_nothing_is_committed(store: Path) -> None:
    run = writer(store)
    run.close()
    calls: list[Any] = [lambda: run.commit(epoch(1, ["a"])), run.end, lambda: run.note("n", {})]
    for call in calls:
        with pytest.raises(SecondguessError, match="is closed, or its folder"):
            call()
    assert not (store / "cnn" / "commits").exists()


def test_a_run_whose_folder_is_taken_away_is_recorded_no_further(store: Path) -> None:
    """What is reported as recorded must be found again; it would go into a folder that is no run."""
    run = writer(store)
    run.commit(epoch(1, ["a"]))
    shutil.rmtree(store / "cnn")
    with pytest.raises(SecondguessError, match="was removed or replaced"):
        run.commit(epoch(2, ["a"]))
    assert not (store / "cnn").exists()
    other = writer(store)
    with pytest.raises(SecondguessError, match="was removed or replaced"):
        run.commit(epoch(2, ["a"]))
    run.close()
    other.commit(epoch(1, ["b"]))
    other.close()
    assert plain(store / "*/test_predictions/*.parquet") == [(1, "b")]


FORKED = """
import os, sys
sys.path[:0] = sys.argv[2:]
from pathlib import Path
from secondguess.analysis.errors import SecondguessError
from secondguess.analysis.store.runs import find_run
from stores import epoch, writer

store = Path(sys.argv[1])
run = writer(store)
run.commit(epoch(1, ["a"]))
child = os.fork()
if child == 0:
    for call in (lambda: run.commit(epoch(2, ["a"])), run.end, lambda: run.note("n", {})):
        try:
            call()
        except SecondguessError as error:
            print(error, flush=True)
    run.close()
    os._exit(0)
os.waitpid(child, 0)
assert find_run(store, "cnn").state == "running"  # the child let go of its copy, not of the run
run.commit(epoch(2, ["a"]))
if os.fork() == 0:
    os.close(1)
    sys.stdin.read()
    os._exit(0)
os._exit(0)  # the parent dies, its child goes on
"""


def test_a_forked_child_never_commits_and_does_not_hold_the_run(store: Path) -> None:
    paths = [str(Path(stores.__file__).parent)]
    parent = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", FORKED, str(store), *paths],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert parent.stdin is not None
    assert parent.stdout is not None
    with parent.stdin, parent.stdout:
        said = parent.stdout.read().splitlines()
        assert said == ["run 'cnn' was opened by another process; only that one writes to it"] * 3
        assert parent.wait(timeout=HANG_S) == 0
        assert find_run(store, "cnn").state == "interrupted"
    assert list(find_run(store, "cnn").tables["test_predictions"]) == [1, 2]


# Going on


def test_an_interrupted_run_goes_on(store: Path) -> None:
    run = writer(store)
    run.commit(epoch(1, ["a"]))
    run.close()
    run = RunWriter.resume(store, "cnn")
    assert list(run.committed()["test_predictions"]) == [1]
    run.commit(epoch(2, ["a"]))
    run.end()
    run.close()
    assert find_run(store, "cnn").state == "finished"
    assert find_epoch(store, "cnn", "test_predictions", 2).rows == 1


def test_resuming_clears_away_what_was_never_committed(store: Path) -> None:
    run = writer(store)
    run.commit(epoch(1, ["a"]))
    run.close()
    table = store / "cnn" / "test_predictions"
    (table / "epoch-00002-0123456789ab.parquet").write_bytes(b"half")
    (store / "cnn" / ".incoming" / f"{'0' * 32}.part").write_bytes(b"half")
    (table / "notes.txt").write_text("mine")
    RunWriter.resume(store, "cnn").close()
    assert len(list(table.glob("*.parquet"))) == 1
    assert list((store / "cnn" / ".incoming").iterdir()) == []
    assert (table / "notes.txt").read_text() == "mine"


def test_resuming_clears_the_file_of_a_first_epoch_that_was_never_committed(
    store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = writer(store)
    monkeypatch.setattr("secondguess.analysis.store.writer.put_record", lambda *args: None)
    monkeypatch.setattr(run, "_withdraw", lambda files: None)
    run.commit(epoch(1, ["a"]))  # whose record never comes, as when the process dies
    run.close()
    assert len(list(store.glob("cnn/test_predictions/*.parquet"))) == 1
    RunWriter.resume(store, "cnn").close()
    assert list(store.glob("cnn/test_predictions/*.parquet")) == []


def test_what_cannot_be_resumed_says_so_and_is_not_held(store: Path) -> None:
    with pytest.raises(NotFound, match="no store at"):
        RunWriter.resume(store, "cnn")
    run = writer(store, "done")
    with pytest.raises(AlreadyThere, match="is being recorded by another process"):
        RunWriter.resume(store, "done")
    run.end()
    run.close()
    for _ in range(2):
        with pytest.raises(AlreadyThere, match="'done' has finished and cannot be resumed"):
            RunWriter.resume(store, "done")
    with pytest.raises(NotFound, match=r"no run named 'cnn' in .*; the store has: done"):
        RunWriter.resume(store, "cnn")
    assert find_run(store, "done").state == "finished"


@pytest.mark.parametrize("record", ["run.json", "commits/test_predictions/00001.json", "commits/end.json"])
def test_a_run_with_an_unreadable_record_is_not_resumed_and_nothing_of_it_is_cleared(store: Path, record: str) -> None:
    run = writer(store)
    for number in (1, 2):
        run.commit(epoch(number, ["a"]))
    run.close()
    (store / "cnn" / record).write_text("{")
    before = sorted(store.rglob("*"))
    with pytest.raises(Damaged, match=f"cannot be resumed: record .*{record}"):
        RunWriter.resume(store, "cnn")
    assert sorted(store.rglob("*")) == before
    assert find_run(store, "cnn").state == "interrupted"
