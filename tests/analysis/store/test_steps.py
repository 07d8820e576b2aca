"""Several validations within an epoch: their records, their files, what is refused, and what a kill leaves."""

import os
import shutil
import signal
import zipfile
from pathlib import Path

import duckdb
import pyarrow.parquet as pq
import pytest
import recording_process
from recording_process import STEPS, add_validation
from stores import names, plain, read_record, record, told, write_record
from waiting import HANG_S

import secondguess as sg
from secondguess.analysis.cli import main
from secondguess.analysis.errors import AlreadyThere, BadInput
from secondguess.analysis.store.check import check
from secondguess.analysis.store.mending import repairs
from secondguess.analysis.store.runs import find_run, list_runs
from secondguess.trainer.recorder import Recorder

TABLE = "test_predictions"
ALL = ["1:10", "1:20", "2:10", "2"]


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "predictions"


def recorded(store: Path, run: str = "cnn", *, finished: bool = True) -> Path:
    recorder = Recorder(store, run=run)
    for epoch, step in STEPS:
        add_validation(recorder, epoch, step)
    recorder.close(finished=finished)
    return store / run


def moments(store: Path, run: str = "cnn") -> list[str]:
    return [str(moment) for moment in find_run(store, run).tables.get(TABLE, {})]


ROWS = [(epoch, step, name) for epoch, step in STEPS for name in ("a", "b")]


def test_each_validation_is_a_record_and_a_file_of_its_own_and_a_plain_reader_tells_their_rows_apart(
    store: Path,
) -> None:
    run = recorded(store, finished=False)
    assert names(run / "commits" / TABLE) == [
        "00001-s00000010.json",
        "00001-s00000020.json",
        "00002-s00000010.json",
        "00002.json",
    ]
    assert [name.rpartition("-")[0] for name in names(run / TABLE)] == [
        "epoch-00001-s00000010",
        "epoch-00001-s00000020",
        "epoch-00002",
        "epoch-00002-s00000010",
    ]
    assert plain(run / TABLE / "*.parquet", "epoch, step, id") == ROWS


def test_merged_validations_are_one_file_in_order_whose_row_groups_never_span_two(store: Path) -> None:
    run = recorded(store)
    assert names(run / "commits" / TABLE) == ["00001-s00000010-00002.json"]
    [file] = (run / TABLE).iterdir()
    with pq.ParquetFile(file) as opened:
        groups = [opened.read_row_group(number, ["epoch", "step"]) for number in range(opened.num_row_groups)]
    assert [set(zip(*group.to_pydict().values(), strict=True)) for group in groups] == [
        {(1, 10)},
        {(1, 20)},
        {(2, 10)},
        {(2, None)},
    ]
    assert moments(store) == ALL
    assert read_record(run / "commits" / "end.json")["tables"] == {TABLE: ["1:10", "1:20", "2:10", 2]}


def test_versions_that_know_no_steps_refuse_the_records_that_have_some_and_no_others(store: Path) -> None:
    recorded(store, finished=False)
    record(store, "old", [[{"ids": ["a"], "guess": [1]}], [{"ids": ["a"], "guess": [2]}]])
    formats = {path.stem: read_record(path)["format"] for path in (store / "cnn" / "commits" / TABLE).iterdir()}
    assert formats == {"00001-s00000010": 2, "00001-s00000020": 2, "00002-s00000010": 2, "00002": 1}
    assert {read_record(path)["format"] for path in (store / "old").rglob("*.json")} == {1}


def test_a_store_without_steps_is_written_as_it_was_before_there_were_any(store: Path) -> None:
    record(store, "cnn", [[{"ids": ["a"], "guess": [1]}], [{"ids": ["a"], "guess": [2]}]])
    [path] = (store / "cnn" / "commits" / TABLE).iterdir()
    assert path.name == "00001-00002.json"
    assert [sorted(entry) for entry in read_record(path)["epochs"]] == [
        ["epoch", "errors", "examples", "id_set", "id_truth_set", "ids", "nan_scores", "rows", "unique", "unlabelled"]
    ] * 2
    assert plain(store / "cnn" / TABLE / "*.parquet", "*") == [("cnn", 1, "a", 1), ("cnn", 2, "a", 2)]
    assert read_record(store / "cnn" / "commits" / "end.json")["tables"] == {TABLE: [1, 2]}


def test_a_store_that_was_written_before_there_were_steps_is_read_as_it_was(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Two runs of a finished and an unfinished recording, the second with a column `step` of its own."""
    with zipfile.ZipFile(Path(__file__).parent / "without-steps.zip") as packed:
        packed.extractall(tmp_path)
    assert check(tmp_path).is_sound
    assert [moments(tmp_path, run) for run in ("cnn", "own")] == [["1", "2"], ["1", "2"]]
    answer, said, _ = told(capsys, "ask", "errors-over-time", "cnn", "own", "--store", str(tmp_path))
    assert said == ""
    rows = answer["rows"] if isinstance(answer, dict) else answer
    assert [tuple(row.values()) for row in rows] == [
        ("cnn", 1, 1, 0.5, 2, 0),
        ("cnn", 2, 1, 0.5, 2, 0),
        ("own", 1, 1, 0.5, 2, 0),
        ("own", 2, 1, 0.5, 2, 0),
    ]
    opened = sg.connect(tmp_path)
    assert opened.sql('SELECT id, step FROM "own@2" ORDER BY id').fetchall() == [("x", 7), ("y", 8)]
    assert "step" not in opened.sql("SELECT * FROM cnn").columns
    with Recorder(tmp_path, run="own", resume=True) as recorder:
        assert (recorder.last_epoch, recorder.last_step) == (2, None)
        with recorder.table(TABLE, epoch=3) as table:
            table.add(ids=["x", "y"], truth=[1, 2], guess=[1, 2], step=[9, 10])
    assert opened.sql('SELECT step FROM "own@3" ORDER BY id').fetchall() == [(9,), (10,)]


def test_a_column_step_of_an_older_run_is_read_as_it_was(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with Recorder(store, run="old") as recorder:
        for epoch in (1, 2):
            with recorder.table(TABLE, epoch=epoch) as table:
                table.add(ids=["a"], truth=["x"], guess=["y"], step=["warm-up"])
    rows, said, _ = told(capsys, "table", "old@2", "--columns", "id,step", "--store", str(store))
    assert (rows["rows"] if isinstance(rows, dict) else rows) == [{"id": "a", "step": "warm-up"}]
    errors, said, _ = told(capsys, "ask", "errors-over-time", "old", "--store", str(store))
    rows = errors["rows"] if isinstance(errors, dict) else errors
    assert [(row["epoch"], row["errors"], "step" in row) for row in rows] == [(1, 1, False), (2, 1, False)]
    assert said == ""


def test_a_step_that_is_there_or_whose_epoch_has_ended_is_refused_with_what_to_do(store: Path) -> None:
    with Recorder(store, run="cnn") as recorder:
        add_validation(recorder, 1, 20)
        with pytest.raises(AlreadyThere, match=r"cnn/test_predictions@1:20 is already committed"):
            add_validation(recorder, 1, 20)
        add_validation(recorder, 1, 10)  # in any order, as epochs come
        add_validation(recorder, 1, None)
        with pytest.raises(
            BadInput, match=r"@1 is committed without a step, as the end of epoch 1, so no step .* \(1:30\)"
        ):
            add_validation(recorder, 1, 30)
        add_validation(recorder, 2, 0)
    assert moments(store) == ["1:10", "1:20", "1", "2:0"]


@pytest.mark.parametrize("step", [-1, 1.5, "10", True, 2**63])
def test_a_step_is_a_whole_number_from_0(store: Path, step: object) -> None:
    with Recorder(store, run="cnn") as recorder, pytest.raises(BadInput, match=r"step .* is not a whole number from 0"):
        recorder.table(TABLE, epoch=1, step=step)  # type: ignore[arg-type]


def test_a_table_has_steps_or_a_column_of_that_name_and_not_both(store: Path) -> None:
    with Recorder(store, run="cnn") as recorder:
        add_validation(recorder, 1, 10)
        no_other = pytest.raises(BadInput, match="has steps, so no column 'step' of one's own")
        with no_other, recorder.table(TABLE, epoch=2) as table:
            table.add(ids=["a"], guess=[1], step=[3])
        with recorder.table("own", epoch=1) as table:
            table.add(ids=["a"], guess=[1], step=[3])
        no_steps = pytest.raises(BadInput, match="has a column 'step' of its own, in epoch 1")
        with no_steps, recorder.table("own", epoch=2, step=5) as table:
            table.add(ids=["a"], guess=[1])
    assert moments(store) == ["1:10"]


def test_a_loop_that_counts_from_0_and_validates_every_half_epoch_is_recorded_as_lightning_calls_it(
    store: Path,
) -> None:
    with Recorder(store, run="cnn", first_epoch=0) as recorder:
        for current_epoch, global_step in ((0, 5), (0, 10), (1, 15), (1, 20)):
            add_validation(recorder, current_epoch, global_step)
    assert moments(store) == ["1:5", "1:10", "2:15", "2:20"]


def test_a_second_validation_without_a_step_is_refused_with_the_remedy(store: Path) -> None:
    with Recorder(store, run="cnn") as recorder:
        add_validation(recorder, 1, None)
        with pytest.raises(AlreadyThere, match=r"@1 is already committed; .* each with a step of its own \(step=…\)"):
            add_validation(recorder, 1, None)


def test_a_resumed_run_says_how_far_it_came(store: Path) -> None:
    recorder = Recorder(store, run="cnn")
    assert (recorder.last_epoch, recorder.last_step) == (0, None)
    add_validation(recorder, 1, None)
    add_validation(recorder, 2, 10)
    recorder.close(finished=False)
    with Recorder(store, run="cnn", resume=True) as resumed:
        assert (resumed.last_epoch, resumed.last_step) == (2, 10)
        add_validation(resumed, 2, 20)
        add_validation(resumed, 2, None)
        assert (resumed.last_epoch, resumed.last_step) == (2, None)
    assert moments(store) == ["1", "2:10", "2:20", "2"]


def test_a_record_with_an_impossible_step_is_left_out_by_name(store: Path) -> None:
    path = recorded(store, finished=False) / "commits" / TABLE / "00001-s00000010.json"
    content = read_record(path)
    for step in (20, -10, "10", None):
        write_record(path, {**content, "epochs": [{**content["epochs"][0], "step": step}]})
        run = find_run(store, "cnn")
        assert moments(store) == ALL[1:]
        assert "is not what a commit of that name says" in " ".join(run.damage())


def test_a_lost_record_of_a_step_is_found_and_made_anew(store: Path) -> None:
    run = recorded(store, finished=False)
    (run / "commits" / TABLE / "00001-s00000020.json").unlink()
    found = check(store)
    assert [finding.what for finding in found.findings if finding.is_grave] == ["unrecorded"] * 2  # rows, metrics
    for step in repairs(found):
        step.do()
    assert moments(store) == ALL
    assert check(store).is_sound


def test_what_the_end_names_and_is_gone_is_said_with_its_step(store: Path) -> None:
    run = recorded(store)
    shutil.rmtree(run / "commits" / TABLE)
    shutil.rmtree(run / TABLE)
    [said] = find_run(store, "cnn").lost()
    assert said.startswith("cnn/test_predictions@1:10, 1:20, 2:10, 2 was committed when the run ended")


def test_labels_of_one_validation_leave_the_others_as_they_are(store: Path, tmp_path: Path) -> None:
    with Recorder(store, run="cnn") as recorder:
        for epoch, step in ((1, None), (2, 10), (2, 20)):
            with recorder.table(TABLE, epoch=epoch, step=step) as table:
                table.add(ids=["a", "b"], guess=["x", "y"])
    (tmp_path / "truth.csv").write_text("id,truth\na,x\nb,x\n")
    main(["label", "cnn@2:10", str(tmp_path / "truth.csv"), "--store", str(store)])
    tables = find_run(store, "cnn").tables[TABLE]
    assert {str(moment): epoch.errors for moment, epoch in tables.items()} == {"1": None, "2:10": 1, "2:20": None}
    main(["label", "cnn", str(tmp_path / "truth.csv"), "--store", str(store)])
    tables = find_run(store, "cnn").tables[TABLE]
    assert {str(moment): epoch.errors for moment, epoch in tables.items()} == {"1": 1, "2:10": 1, "2:20": 1}
    assert check(store).is_sound


def killed_at(store: Path, call: int) -> bytes:
    child, pipe = recording_process.run(recording_process.steps_killed_at, store, call)
    with pipe:
        child.join(HANG_S)
        assert child.exitcode in {0, -signal.SIGKILL}
        return b"".join(iter(lambda: os.read(pipe.fileno(), 64), b""))


def all_hold(store: Path, said: bytes) -> None:
    """What was acknowledged is there, nothing half is, and the run goes on from there."""
    acknowledged = [number for number in said if number != 255]
    run = list_runs(store).get("cnn") if store.is_dir() else None
    there = moments(store) if run is not None else []
    assert there == ALL[: len(there)]
    assert len(acknowledged) <= len(there) <= len(acknowledged) + 1
    for epoch in run.tables.get(TABLE, {}).values() if run is not None else ():
        step = "IS NULL" if epoch.step is None else f"= {epoch.step}"
        columns = duckdb.sql(f"SELECT * FROM read_parquet('{epoch.file}') LIMIT 0").columns
        where = f"epoch = {epoch.epoch}" + (f" AND step {step}" if "step" in columns else "")
        rows = f"SELECT id, guess FROM read_parquet('{epoch.file}') WHERE {where} ORDER BY id"
        assert duckdb.sql(rows).fetchall() == [("a", epoch.step or 0), ("b", epoch.step or 0)]
    if run is None or run.state == "finished":
        return
    with Recorder(store, run="cnn", resume=True) as recorder:
        for epoch, step in STEPS[len(there) :]:
            add_validation(recorder, epoch, step)
    assert moments(store) == ALL
    assert plain(store / "cnn" / TABLE / "*.parquet", "epoch, step, id") == ROWS
    assert check(store).is_sound


def test_a_kill_before_some_of_the_file_operations_leaves_the_validations_before_it(store: Path) -> None:
    call, seen = 1, set[int]()
    while True:
        place = store / str(call)
        said = killed_at(place, call)
        all_hold(place, said)
        seen.add(len(said))
        if b"\xff" in said:
            break
        call += 5
    assert len(seen) > 3, "the kills should fall on different validations"


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_kill_before_any_file_operation_leaves_the_validations_before_it(store: Path) -> None:
    call, said = 0, b""
    while b"\xff" not in said:
        call += 1
        said = killed_at(store / str(call), call)
        all_hold(store / str(call), said)
