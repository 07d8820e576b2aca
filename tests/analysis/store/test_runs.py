"""What a store holds, read from its records, whatever state they are in."""

import json
import os
import shutil
import unicodedata
from pathlib import Path
from typing import Any

import pytest
from stores import epoch, read_record, write_record, writer

from secondguess.analysis.errors import NotFound
from secondguess.analysis.store import records
from secondguess.analysis.store.runs import find_epoch, find_run, list_runs, run_folder
from secondguess.analysis.store.writer import RunWriter


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """Epochs 1, 2 and 3 of an interrupted run."""
    store = tmp_path / "predictions"
    run = writer(store)
    for number in (3, 1, 2):
        run.commit(epoch(number, ["a"]))
    run.close()
    return store


COMMITS = "cnn/commits/test_predictions"


def epochs(store: Path) -> list[int]:
    return list(find_run(store, "cnn").tables.get("test_predictions", {}))


def test_epochs_are_listed_in_order_however_they_were_committed(store: Path) -> None:
    assert epochs(store) == [1, 2, 3]


def test_epochs_are_in_order_where_a_merged_file_surrounds_one_that_stayed_alone(store: Path) -> None:
    (bad,) = store.glob("cnn/test_predictions/epoch-00002-*")
    bad.write_bytes(b"not what was written")
    run = RunWriter.resume(store, "cnn")
    run.end()
    run.close()
    assert epochs(store) == [1, 2, 3]


def test_runs_are_listed_oldest_first(store: Path) -> None:
    for name, created in (("b", "2020-01-02"), ("a", "2020-01-02"), ("z", "2019-01-01")):
        (store / name).mkdir()
        (store / name / "run.json").write_text(json.dumps({"format": 1, "name": name, "created": created}))
    assert list(list_runs(store)) == ["z", "a", "b", "cnn"]


def test_only_folders_with_a_run_json_are_runs(store: Path) -> None:
    (store / "examples").mkdir()
    (store / "file").write_text("")
    (store / "ghost" / "commits" / "t").mkdir(parents=True)
    assert list(list_runs(store)) == ["cnn"]


def test_a_run_is_found_under_its_folders_name(store: Path) -> None:
    """A folder may be copied and renamed; what its files say of the run is then another name."""
    shutil.copytree(store / "cnn", run_folder(store, "lr=0.1: [x]"))
    found = find_epoch(store, "lr=0.1: [x]", "test_predictions", 1)
    assert (found.run, found.recorded_as) == ("lr=0.1: [x]", "cnn")
    assert found.file.is_file()


def test_a_folder_whose_name_came_decomposed_is_found_composed(store: Path) -> None:
    shutil.copytree(store / "cnn", store / unicodedata.normalize("NFD", "Müller"))
    assert find_run(store, "Müller").folder.is_dir()


def test_what_is_not_there_is_answered_with_what_is(store: Path, tmp_path: Path) -> None:
    with pytest.raises(NotFound, match=r"no store at .*nowhere; record one with `secondguess train`"):
        list_runs(tmp_path / "nowhere")
    with pytest.raises(NotFound, match=r"no run named 'cnn3' in .*; the store has: cnn"):
        find_run(store, "cnn3")
    with pytest.raises(NotFound, match="run 'cnn' has no table 'train'; it has: test_predictions"):
        find_epoch(store, "cnn", "train", 1)
    with pytest.raises(NotFound, match="cnn/test_predictions has no epoch 9; it has: 1, 2, 3"):
        find_epoch(store, "cnn", "test_predictions", 9)
    (tmp_path / "empty").mkdir()
    with pytest.raises(NotFound, match="the store has no runs yet"):
        find_run(tmp_path / "empty", "cnn")


def test_a_run_is_running_then_interrupted_then_finished(store: Path) -> None:
    run = RunWriter.resume(store, "cnn")
    assert find_run(store, "cnn").state == "running"
    run.close()
    assert find_run(store, "cnn").state == "interrupted"
    run = RunWriter.resume(store, "cnn")
    run.end()
    assert find_run(store, "cnn").state == "finished"
    run.close()
    assert find_run(store, "cnn").state == "finished"


def test_a_copied_run_is_running_nowhere(store: Path) -> None:
    run = RunWriter.resume(store, "cnn")
    shutil.copytree(store / "cnn", store / "copy", ignore=shutil.ignore_patterns(".lock"))
    assert find_run(store, "copy").state == "interrupted"
    run.close()


# Records that cannot be trusted are refused by name; the rest answers.


def without(key: str) -> Any:
    return lambda record: {name: value for name, value in record.items() if name != key}


def entry_with(**changes: Any) -> Any:
    return lambda record: {**record, "epochs": [{**record["epochs"][0], **changes}]}


BROKEN: dict[str, tuple[Any, str]] = {
    "empty": (lambda record: "", "cannot be read"),
    "cut short": (lambda record: json.dumps(record)[:100], "cannot be read"),
    "no text": (lambda record: b"\xff\xfe\x00", "cannot be read"),
    "too deep": (lambda record: "[" * 100_000, "cannot be read"),
    "another kind of JSON": (lambda record: [1, 2], "is not one of secondguess"),
    "without a format": (without("format"), "is not one of secondguess"),
    "newer": (lambda record: {**record, "format": 3}, r"has format 3, this secondguess reads up to 2: upgrade it"),
    "newer and unknown": (lambda record: {"format": 99}, "has format 99"),
    "without epochs": (without("epochs"), "is not what a commit of that name says"),
    "no epochs": (lambda record: {**record, "epochs": []}, "is not what a commit"),
    "without a file": (without("file"), "is not what a commit"),
    "without columns": (without("columns"), "is not what a commit"),
    "without classes": (without("classes"), "is not what a commit"),
    "another epoch": (entry_with(epoch=7), "is not what a commit of that name says"),
    "an epoch in words": (entry_with(epoch="two"), "is not what a commit"),
    "rows in words": (entry_with(rows="many"), "is not what a commit"),
    "columns of numbers": (lambda record: {**record, "columns": [[1, 2]]}, "is not what a commit"),
    "a file outside": (
        lambda record: {**record, "file": {**record["file"], "name": "../../x.parquet"}},
        "is not what a commit",
    ),
    "a file anywhere": (
        lambda record: {**record, "file": {**record["file"], "name": "/etc/passwd"}},
        "is not what a commit",
    ),
    "a set of ids in numbers": (entry_with(id_set=7), "is not what a commit"),
    "examples outside": (entry_with(examples="../cnn/run.json"), "is not what a commit"),
}


@pytest.mark.parametrize(("change", "message"), BROKEN.values(), ids=list(BROKEN))
def test_a_commit_that_cannot_be_trusted_is_left_out_by_name(store: Path, change: Any, message: str) -> None:
    path = store / COMMITS / "00002.json"
    changed = change(read_record(path))
    if isinstance(changed, bytes | str):
        path.write_bytes(changed if isinstance(changed, bytes) else changed.encode())
    else:
        write_record(path, changed)
    run = find_run(store, "cnn")
    assert list(run.tables["test_predictions"]) == [1, 3]
    (fault,) = run.faults
    assert str(path) in fault
    with pytest.raises(AssertionError, match=message):
        raise AssertionError(fault)


def test_a_record_need_not_say_which_set_its_ids_are(store: Path) -> None:
    path = store / COMMITS / "00002.json"
    said = read_record(path)
    sets = said["epochs"][0].pop("id_set"), said["epochs"][0].pop("id_truth_set")
    write_record(path, said)
    first, second = (find_epoch(store, "cnn", "test_predictions", number) for number in (1, 2))
    assert (second.id_set, second.id_truth_set) == (None, None)
    assert (first.id_set, first.id_truth_set) == sets
    assert find_run(store, "cnn").faults == []


def test_a_copied_record_counts_once_and_is_named(store: Path) -> None:
    shutil.copy(store / COMMITS / "00002.json", store / COMMITS / "00002 (copy).json")
    run = find_run(store, "cnn")
    assert list(run.tables["test_predictions"]) == [1, 2, 3]
    assert [fault for fault in run.faults if "00002 (copy).json" in fault]


def test_a_record_that_is_a_folder_or_a_link_to_nothing_stops_nobody(store: Path) -> None:
    (store / COMMITS / "00004.json").mkdir()
    (store / COMMITS / "00005.json").symlink_to("nowhere.json")
    run = find_run(store, "cnn")
    assert list(run.tables["test_predictions"]) == [1, 2, 3]
    assert len(run.faults) == 2


def test_files_that_are_no_json_are_no_records(store: Path) -> None:
    for name in ("00002.json.bak", ".DS_Store", "notes.txt"):
        (store / COMMITS / name).write_text("mine")
    assert find_run(store, "cnn").damage() == []


@pytest.mark.parametrize(
    "text",
    [
        *("{", "", "[]", '{"format": 9}', '{"format": 1, "created": "yesterday"}', '{"format": 1, "created": 5}'),
        *('{"format": 1, "name": 5}', '{"format": 1, "config": [1]}', '{"format": 1, "classes": 3}'),
    ],
)
def test_a_run_whose_run_json_is_broken_is_listed_and_its_epochs_answer(store: Path, text: str) -> None:
    (store / "cnn" / "run.json").write_text(text)
    run = list_runs(store)["cnn"]
    assert (run.about, list(run.tables["test_predictions"])) == ({}, [1, 2, 3])
    assert [str(store / "cnn" / "run.json") in fault for fault in run.faults] == [True]


@pytest.mark.parametrize("text", ["{", '{"format": 1, "metrics": "x"}', '{"format": 1, "metrics": {"name": "../x"}}'])
def test_a_broken_end_leaves_a_run_interrupted_and_says_so(store: Path, text: str) -> None:
    (store / "cnn" / "commits" / "end.json").write_text(text)
    run = find_run(store, "cnn")
    assert (run.state, run.metrics) == ("interrupted", [])
    assert "end.json" in run.damage()[0]


def test_a_record_that_goes_while_it_is_read_makes_the_reader_list_again(
    store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Merging puts its record first, so whoever misses an old one finds the new one."""
    read, merged = records.read_regular, []

    def read_regular(path: Path, *how: Any, **more: Any) -> bytes:
        if path.name == "00001.json" and not merged:
            merged.append(True)
            run = RunWriter.resume(store, "cnn")
            run.end()
            run.close()
        return read(path, *how, **more)

    monkeypatch.setattr(records, "read_regular", read_regular)
    assert epochs(store) == [1, 2, 3]
    assert merged
    assert os.listdir(store / COMMITS) == ["00001-00003.json"]


def test_score_columns_are_counted_by_name(store: Path) -> None:
    run = RunWriter.resume(store, "cnn")
    run.commit(epoch(1, ["a"], table="t", **{"score_0": [0.5], "score_1": [0.5], "score_²": [1], "score_total": [1]}))
    run.close()
    assert find_epoch(store, "cnn", "t", 1).scores == 2


# Records check themselves


def test_a_record_with_one_bit_changed_is_left_out_by_name(store: Path) -> None:
    """Whatever bit it is, but in the name of its digest: a digit of a count is JSON as valid as before."""
    path = store / COMMITS / "00002.json"
    data = path.read_bytes()
    for bit in range(0, 8 * len(data), 7):
        changed = bytearray(data)
        changed[bit // 8] ^= 1 << bit % 8
        path.write_bytes(changed)
        run = find_run(store, "cnn")
        if run.tables["test_predictions"].keys() != {1, 3} or str(path) not in run.faults[0]:
            assert run.tables["test_predictions"][2].rows == 1
            assert b'"sha256"' not in bytes(changed).rpartition(b"\n ")[2]


def test_a_record_that_was_edited_is_read_once_its_digest_is_taken_out(store: Path) -> None:
    path = store / "cnn" / "run.json"
    said = read_record(path) | {"config": {"lr": 2}}
    path.write_text(json.dumps(said))
    (fault,) = find_run(store, "cnn").damage()
    assert "or was edited; restore it from a copy, or take its sha256 out to have it read as it is" in fault
    del said["sha256"]
    path.write_text(json.dumps(said))
    assert (find_run(store, "cnn").damage(), find_run(store, "cnn").about["config"]) == ([], {"lr": 2})


def test_a_record_that_is_laid_out_anew_is_the_same_record(store: Path) -> None:
    path = store / "cnn" / "run.json"
    path.write_text(json.dumps(read_record(path), indent=4, sort_keys=True, ensure_ascii=True))
    assert find_run(store, "cnn").damage() == []


def test_a_run_whose_run_json_is_gone_is_listed_with_what_is_missing(store: Path) -> None:
    (store / "cnn" / "run.json").unlink()
    run = list_runs(store)["cnn"]
    assert list(run.tables["test_predictions"]) == [1, 2, 3]
    assert [str(store / "cnn" / "run.json") in fault for fault in run.faults] == [True]


def test_an_epoch_whose_record_is_gone_is_said_by_its_file(store: Path) -> None:
    (store / COMMITS / "00002.json").unlink()
    (file,) = store.glob("cnn/test_predictions/epoch-00002-*")
    (said,) = find_run(store, "cnn").lost()
    assert said.startswith(f"no record names {file}: its record is gone, or it was never committed")


def test_an_end_says_which_epochs_there_were(store: Path) -> None:
    run = RunWriter.resume(store, "cnn")
    run.end()
    run.close()
    assert read_record(store / "cnn" / "commits" / "end.json")["tables"] == {"test_predictions": [1, 2, 3]}
    assert find_run(store, "cnn").lost() == []
    shutil.rmtree(store / COMMITS)
    shutil.rmtree(store / "cnn" / "test_predictions")
    (said,) = find_run(store, "cnn").lost()
    assert said.startswith("cnn/test_predictions@1, 2, 3 was committed when the run ended, but no record is left")


def test_nothing_is_lost_while_a_run_is_recorded(store: Path) -> None:
    (store / COMMITS / "00002.json").unlink()
    run = RunWriter.resume(store, "cnn")
    (store / COMMITS / "00003.json").unlink()
    assert find_run(store, "cnn").lost() == []
    run.close()


@pytest.mark.parametrize(
    ("source", "started"),
    [
        (None, "2026-01-02T03:04:05+00:00"),
        ({"kind": "csv", "place": "a.csv"}, None),
        ({"kind": "wandb", "id": "x", "started": "2025-06-07T08:09:10"}, "2025-06-07T08:09:10"),
    ],
)
def test_an_imported_run_began_when_its_source_says_and_not_when_it_was_imported(tmp_path, source, started) -> None:
    about = {"format": 1, "name": "a", "created": "2026-01-02T03:04:05+00:00"} | ({"source": source} if source else {})
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "run.json").write_text(json.dumps(about))
    assert list_runs(tmp_path)["a"].started == started
