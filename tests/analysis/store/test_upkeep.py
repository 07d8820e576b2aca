"""Merging a finished run's epochs, and clearing away what no record names."""

import hashlib
import logging
import os
import resource
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq
import pytest
from stores import epoch, names, plain, read_record, writer

from secondguess.analysis.store import upkeep
from secondguess.analysis.store.commits import EpochRows
from secondguess.analysis.store.runs import Run, find_run
from secondguess.analysis.store.upkeep import sweep
from secondguess.analysis.store.writer import RunWriter


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "predictions"


@pytest.fixture
def run(store: Path) -> Iterator[RunWriter]:
    """A run of three epochs, not ended."""
    run = writer(store)
    for number in (1, 2, 3):
        run.commit(epoch(number, ["b", "a"], note=["x", "y"]))
    yield run
    run.close()


ROWS = [(1, "a"), (1, "b"), (2, "a"), (2, "b"), (3, "a"), (3, "b")]


def records(store: Path, table: str = "test_predictions") -> list[str]:
    return names(store / "cnn" / "commits" / table)


def test_ending_a_run_leaves_one_file_and_one_record_with_the_same_rows(run: RunWriter, store: Path) -> None:
    glob = store / "*/test_predictions/*.parquet"
    assert records(store) == ["00001.json", "00002.json", "00003.json"]
    assert plain(glob) == ROWS
    run.end()
    assert records(store) == ["00001-00003.json"]
    (file,) = (store / "cnn" / "test_predictions").iterdir()
    assert file.name.startswith("epochs-00001-00003-")
    assert plain(glob) == ROWS
    assert list((store / "cnn" / ".incoming").iterdir()) == []


def test_the_merged_record_says_of_each_epoch_what_its_own_record_said(run: RunWriter, store: Path) -> None:
    folder = store / "cnn" / "commits" / "test_predictions"
    before = [read_record(folder / f"0000{number}.json") for number in (1, 2, 3)]
    run.end()
    after = read_record(folder / "00001-00003.json")
    data = (store / "cnn" / after["file"]["name"]).read_bytes()
    assert after["epochs"] == [said for record in before for said in record["epochs"]]
    assert [record["columns"] for record in before] == [after["columns"]] * 3
    assert after["supersedes"] == ["00001.json", "00002.json", "00003.json"]
    assert after["file"]["rows"] == 6
    assert after["file"]["sha256"] == hashlib.sha256(data).hexdigest()


def test_no_row_group_spans_two_epochs_and_order_is_kept(run: RunWriter, store: Path) -> None:
    run.end()
    (path,) = (store / "cnn" / "test_predictions").iterdir()
    with pq.ParquetFile(path) as file:
        groups = [file.read_row_group(index, ["epoch", "id"]) for index in range(file.num_row_groups)]
    assert [group["epoch"].unique().to_pylist() for group in groups] == [[1], [2], [3]]
    assert [group["id"].to_pylist() for group in groups] == [["b", "a"]] * 3


def test_metrics_are_merged_too(store: Path) -> None:
    run = writer(store)
    for number in (1, 2):
        rows = epoch(number, ["a"])
        run.commit(EpochRows(rows.table, number, rows.rows, metrics=[(number, None, "loss", 1.0 / number)]))
    run.end([(3, None, "loss", 0.125)])
    run.close()
    assert plain(store / "cnn/metrics/*.parquet", "step, value") == [(1, 1.0), (2, 0.5), (3, 0.125)]
    assert len(names(store / "cnn" / "metrics")) == 2  # the merged one and the end's


def test_a_single_epoch_stays_as_it_is(store: Path) -> None:
    run = writer(store)
    run.commit(epoch(4, ["a"]))
    before = {path: path.read_bytes() for path in store.rglob("0*.json")}
    run.end()
    run.close()
    assert records(store) == ["00004.json"]
    assert {path: path.read_bytes() for path in store.rglob("0*.json")} == before


def test_epochs_with_other_columns_or_classes_stay_apart(store: Path) -> None:
    run = writer(store)
    for number in (1, 2):
        run.commit(epoch(number, ["a"]))
    for number in (3, 5):
        run.commit(epoch(number, ["a"], note=["x"]))
    rows = epoch(6, ["a"], note=["x"])
    run.commit(EpochRows(rows.table, 6, rows.rows, classes=["zero", "one"]))
    run.end()
    run.close()
    assert records(store) == ["00001-00002.json", "00003-00005.json", "00006.json"]
    assert list(find_run(store, "cnn").tables["test_predictions"]) == [1, 2, 3, 5, 6]


def test_a_file_grows_to_the_limit_and_larger_epochs_stay_alone(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = writer(store)
    for number in (1, 2, 3, 4, 5):
        run.commit(epoch(number, [str(n) for n in range(50_000 if number == 3 else 10)]))
    (small,) = store.glob("cnn/test_predictions/epoch-00001-*")
    (large,) = store.glob("cnn/test_predictions/epoch-00003-*")
    monkeypatch.setattr(upkeep, "_LARGEST_FILE", 3 * small.stat().st_size)
    assert large.stat().st_size > 3 * small.stat().st_size
    run.end()
    run.close()
    assert records(store) == ["00001-00002.json", "00003.json", "00004-00005.json"]


def test_categories_of_unlike_epochs_are_merged(store: Path) -> None:
    """A record calls a dictionary of text text, so both of these are: 300 values do not fit into 8-bit numbers."""
    run = writer(store)
    values = {1: pd.Categorical(["u", "v"]), 2: ["w", None], 3: pd.Categorical([f"c{n}" for n in range(300)])}
    for number, column in values.items():
        run.commit(epoch(number, [str(n) for n in range(len(column))], kind=column))
    run.end()
    run.close()
    found = plain(store / "*/test_predictions/*.parquet", "epoch, id, kind")
    assert [row for row in found if row[0] < 3] == [(1, "0", "u"), (1, "1", "v"), (2, "0", "w"), (2, "1", None)]
    assert [row[2] for row in found if row[0] == 3] == [f"c{n}" for n in sorted(range(300), key=str)]


def test_more_epochs_than_a_process_may_open_files_are_merged(store: Path) -> None:
    run = writer(store)
    for number in range(1, 81):
        run.commit(epoch(number, ["a"]))
    held = {int(name) for name in os.listdir("/proc/self/fd")}  # earlier tests leave some open
    free = [number for number in range(len(held) + 41) if number not in held]
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (free[40], limits[1]))
        run.end()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    run.close()
    assert records(store) == ["00001-00080.json"]
    assert plain(store / "*/test_predictions/*.parquet", "count(*)") == [(80,)]


# What cannot be merged, and what is not ours


def test_a_damaged_epoch_stays_alone_so_that_its_damage_is_still_found(
    run: RunWriter, store: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (file,) = (store / "cnn" / "test_predictions").glob("epoch-00002-*")
    bad = bytearray(file.read_bytes())
    bad[len(bad) // 2] ^= 1
    file.write_bytes(bad)
    with caplog.at_level(logging.WARNING, "secondguess"):
        run.end()
    assert f"not compacted: {file} is not what was written there" in caplog.text
    assert records(store) == ["00001-00003.json", "00002.json"]
    assert file.read_bytes() == bad
    assert list(find_run(store, "cnn").tables["test_predictions"]) == [1, 2, 3]


def test_an_epoch_whose_file_is_gone_keeps_the_others_from_nothing(run: RunWriter, store: Path) -> None:
    (file,) = (store / "cnn" / "test_predictions").glob("epoch-00003-*")
    file.unlink()
    run.end()
    assert records(store) == ["00001-00002.json", "00003.json"]
    assert find_run(store, "cnn").state == "finished"


def test_a_full_disk_leaves_the_epochs_in_files_of_their_own_and_the_run_finished(
    run: RunWriter, store: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(*args: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(upkeep, "_concatenate", full)
    with caplog.at_level(logging.WARNING, "secondguess"):
        run.end()
    assert "the epochs of cnn/test_predictions stay in separate files: [Errno 28] No space left" in caplog.text
    assert find_run(store, "cnn").state == "finished"
    assert plain(store / "*/test_predictions/*.parquet") == ROWS


@pytest.mark.parametrize("record", ["{", '{"format": 3}', "", '{"format": 1}'])
def test_while_a_record_cannot_be_read_nothing_is_merged_or_cleared(run: RunWriter, store: Path, record: str) -> None:
    """It may name any of the files."""
    (store / "cnn" / "commits" / "test_predictions" / "00002.json").write_text(record)
    (store / "cnn" / "test_predictions" / "epoch-00009-0123456789ab.parquet").write_bytes(b"named by whom?")
    files = sorted((store / "cnn" / "test_predictions").iterdir())
    run.end()
    assert sorted((store / "cnn" / "test_predictions").iterdir()) == files
    assert find_run(store, "cnn").state == "finished"


def test_foreign_files_and_folders_are_left_alone(run: RunWriter, store: Path, tmp_path: Path) -> None:
    table, commits = store / "cnn" / "test_predictions", store / "cnn" / "commits" / "test_predictions"
    backup = store / "cnn" / "test_predictions backup"
    shutil.copytree(table, backup)
    elsewhere = tmp_path / "elsewhere"
    shutil.copytree(table, elsewhere)
    (store / "cnn" / "link").symlink_to(elsewhere)
    foreign = [
        *(table / "mine.parquet", table / "epoch-00001-notes.txt", table / "plots" / "loss.png"),
        *(commits / "00001.json.bak", commits / ".DS_Store", store / "cnn" / ".incoming" / "mine.part"),
        *(store / "cnn" / "metrics" / "metrics.csv", store / "cnn" / "README"),
    ]
    for path in foreign:
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"mine")
    run.end()
    assert [path.read_bytes() for path in foreign] == [b"mine"] * len(foreign)
    assert len(list(backup.iterdir())) == 3
    assert len(list(elsewhere.iterdir())) == 3
    assert records(store) == ["00001-00003.json", "00001.json.bak"]


def test_sweeping_deletes_superseded_records_and_files_that_none_names(run: RunWriter, store: Path) -> None:
    """As after a kill between the merged record and the end of the sweep."""
    cnn = store / "cnn"
    copy = store.parent / "copy"
    shutil.copytree(cnn, copy)
    run.end()
    for path in copy.rglob("*"):
        if path.is_file() and not (cnn / path.relative_to(copy)).exists():
            shutil.copy(path, cnn / path.relative_to(copy))
    assert plain(store / "*/test_predictions/*.parquet") == sorted(ROWS * 2)  # a bare glob sees both
    before = find_run(store, "cnn")
    assert [(number, found.file.name[:18]) for number, found in before.tables["test_predictions"].items()] == [
        (number, "epochs-00001-00003") for number in (1, 2, 3)
    ]
    sweep(Run(store, "cnn", cnn))
    assert records(store) == ["00001-00003.json"]
    assert plain(store / "*/test_predictions/*.parquet") == ROWS


def test_a_reader_of_the_records_sees_each_epoch_once_at_every_step_of_ending(
    run: RunWriter, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []

    def looked(real: Any) -> Any:
        def call(*args: Any) -> Any:
            found = find_run(store, "cnn").tables["test_predictions"]
            seen.append([(number, held.file.is_file()) for number, held in found.items()])
            return real(*args)

        return call

    for name in ("link", "unlink"):
        monkeypatch.setattr(os, name, looked(getattr(os, name)))
    run.end()
    assert len(seen) > 8
    assert {tuple(step) for step in seen} == {((1, True), (2, True), (3, True))}
