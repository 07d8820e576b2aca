"""`secondguess publish`: a recorded run sent to the real W&B SDK later, offline or to a server on the loopback."""

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image
from wandb_faults import OfflineRun
from wandb_server import WandbServer, environment, wandb_server

import secondguess as sg
from secondguess.analysis.cli import main
from secondguess.analysis.errors import MissingExtra, NotFound, SecondguessError
from secondguess.analysis.importers.wandb.project import read_project
from secondguess.analysis.importers.wandb.server.download import Downloader
from secondguess.analysis.moments import Moment
from secondguess.analysis.store.rows import read_epoch
from secondguess.analysis.store.runs import find_run
from secondguess.trainer.mirror.command import publish
from secondguess.trainer.mirror.mirror import WandbOptions
from secondguess.trainer.mirror.publish import PlannedRow, history
from secondguess.trainer.mirror.publish import publish as send
from secondguess.trainer.recorder import Recorder

__all__ = ["wandb_server"]  # the fixture

ROWS, CLASSES = 6, 3
IMAGES = np.random.default_rng(0).integers(0, 256, (ROWS, 8, 8), dtype=np.uint8)


@pytest.fixture(autouse=True)
def at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No cloud, no key of the user's, no home of the user's."""
    with WandbServer() as nobody:
        for name, value in environment(nobody, tmp_path / "sdk").items():
            monkeypatch.setenv(name, value)


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """A run of two epochs, four steps each."""
    with Recorder(tmp_path / "store", run="cnn", config={"lr": 0.001, "name": "é"}) as recorder:
        for epoch in (1, 2):
            for _ in range(4):
                recorder.log(loss=1 / epoch)
            scores = np.random.default_rng(epoch).random((ROWS, CLASSES)).astype(np.float32)
            with recorder.table("test_predictions", epoch=epoch, acc=90.0 + epoch) as table:
                scores /= scores.sum(1, keepdims=True)
                table.add(images=IMAGES, truth=np.arange(ROWS) % CLASSES, scores=scores)
    return tmp_path / "store"


def test_metrics_of_one_step_are_a_row_and_a_table_goes_with_its_epoch() -> None:
    metrics = [
        (1, None, "loss", 0.5),
        (1, None, "lr", 0.1),
        (2, None, "loss", 0.25),
        (2, 1, "acc", 90.0),
        (2, 1, "acc", 95.0),
        (3, 3, "acc", 91.0),
    ]
    tables = {"test": [Moment(1), Moment(3)], "train": [Moment(1)], "bare": [Moment(2), Moment(3)]}
    assert list(history(metrics, tables)) == [
        PlannedRow({"loss": 0.5, "lr": 0.1}),
        PlannedRow({"loss": 0.25}),
        PlannedRow({"acc": 90.0}, 1, "test"),
        PlannedRow({"acc": 95.0}, 1, "train"),
        PlannedRow({}, 2, "bare"),
        PlannedRow({"acc": 91.0}, 3, "bare"),
        PlannedRow({}, 3, "test"),
    ]
    metrics = [(10, 1, "acc", 1.0), (20, 1, "acc", 2.0), (20, 2, "acc", 3.0), (30, 2, "acc", 4.0)]
    tables = {"t": [Moment(1, 10), Moment(1, 20), Moment(2, 20), Moment(2)], "u": [Moment(2, 25)]}
    assert list(history(metrics, tables)) == [
        PlannedRow({"acc": 1.0}, 1, "t", 10),
        PlannedRow({"acc": 2.0}, 1, "t", 20),
        PlannedRow({"acc": 3.0}, 2, "t", 20),
        PlannedRow({"acc": 4.0}, 2, "t"),
        PlannedRow({}, 2, "u", 25),
    ]
    assert list(history([], {"t": [Moment(1)]})) == [PlannedRow({}, 1, "t")]


def test_a_run_published_offline_is_a_wandb_run_with_its_tables(store: Path) -> None:
    store = store.rename(store.with_name("my store"))
    done = CliRunner().invoke(publish, ["cnn", "--store", str(store), "--project", "mine"])
    assert done.exit_code == 0, done.output
    (folder,) = (store / "wandb").glob("offline-run-*")
    said = done.stderr.splitlines()
    assert said[0] == "2 tables, 6 of 6 rows each; 10 history rows"
    assert said[-1] == f"to upload it: wandb sync '{folder}'"
    assert done.stdout == ""
    log = OfflineRun(folder)
    assert (log.name, log.project, log.exit_code) == ("cnn", "mine", 0)
    assert {key: log.config[key] for key in ("lr", "name")} == {"lr": 0.001, "name": "é"}
    assert [row.get("loss") for row in log.history] == [1, 1, 1, 1, None, 0.5, 0.5, 0.5, 0.5, None]
    tables = [row for row in log.history if "test_predictions" in row]
    assert [(row["epoch"], row["acc"]) for row in tables] == [(1, 91.0), (2, 92.0)]
    committed = read_epoch(store, "cnn", "test_predictions", 2, None).predictions
    sent = log.table("test_predictions", tables[1]["test_predictions"])
    assert sent["columns"] == ["id", "image", "guess", "truth", "score_0", "score_1", "score_2"]
    assert [row[0] for row in sent["data"]] == committed["id"].to_pylist()
    assert [row[4] for row in sent["data"]] == committed["score_0"].to_pylist()


def test_a_published_run_says_where_wandb_has_it_and_its_import_that_it_is_here(
    store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["publish", "cnn", "--store", str(store)])
    (folder,) = (store / "wandb").glob("offline-run-*")
    name = folder.name.rpartition("-")[2]
    note = json.loads((store / "cnn" / "commits" / f"wandb-{name}.json").read_text())
    assert (note["wandb_id"], note["folder"], note["tables_sent"]) == (name, str(folder), 2)
    assert find_run(store, "cnn").state == "finished"
    main(["import", str(folder), "--store", str(store)])
    assert "the run that W&B mirrors is here already: 'cnn'" in capsys.readouterr().out


def test_a_run_that_is_being_recorded_is_published_but_not_noted(tmp_path: Path) -> None:
    with Recorder(tmp_path / "store", run="cnn") as recorder:
        with recorder.table("t", epoch=1) as table:
            table.add(ids=["a"], guess=[1])
        done = CliRunner().invoke(publish, ["cnn", "--store", str(tmp_path / "store")])
    assert "1 table, 1 of 1 rows each; 1 history row" in done.stderr
    assert done.stderr.splitlines()[-1] == "run cnn does not say that it was published: it is being recorded"
    assert not list((tmp_path / "store" / "cnn" / "commits").glob("wandb-*"))


def test_only_so_many_rows_are_sent_and_that_is_said(store: Path) -> None:
    done = CliRunner().invoke(publish, ["cnn", "--store", str(store), "--rows", "4"])
    assert done.stderr.splitlines()[0] == "2 tables, 4 of 6 rows each; 10 history rows"


def test_a_run_published_online_comes_back_equal(
    store: Path, wandb_server: WandbServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environment(wandb_server, tmp_path / "sdk").items():
        monkeypatch.setenv(name, value)
    done = CliRunner().invoke(publish, ["cnn", "--store", str(store), "--wandb", "online"])
    assert done.exit_code == 0, (done.output, done.exception)
    assert done.stderr.splitlines()[0] == "2 tables, 6 of 6 rows each; 10 history rows"
    (run,) = read_project("me/table-quickstart", downloader=Downloader(tmp_path / "cache"))
    assert (run.name, run.config["lr"], run.finished) == ("cnn", 0.001, True)
    assert [value for _, _, name, value in run.metrics() if name == "loss"] == [1.0] * 4 + [0.5] * 4
    assert [(table.key, table.epoch) for table in run.tables] == [("test_predictions", 1), ("test_predictions", 2)]
    for table in run.tables:
        committed = read_epoch(store, "cnn", "test_predictions", table.epoch or 0, None)
        found = [row for batch in table.read().batches() for row in batch.to_pylist()]
        for name in ("id", "guess", "truth", "score_0", "score_1", "score_2"):
            assert [row[name] for row in found] == committed.predictions[name].to_pylist(), name
        assert (np.stack([pixels(row["image"]["bytes"]) for row in found]) == IMAGES).all()


def pixels(encoded: bytes) -> Any:
    return np.asarray(Image.open(io.BytesIO(encoded)))


@pytest.mark.slow
def test_a_server_that_is_not_there_leaves_the_run_offline_and_is_an_error(store: Path) -> None:
    done = CliRunner().invoke(publish, ["cnn", "--store", str(store), "--wandb", "online"])
    assert done.exit_code == 1
    assert isinstance(done.exception, SecondguessError)
    assert "W&B could not be reached" in str(done.exception)
    assert done.stderr.splitlines()[0] == "2 tables, 6 of 6 rows each; 10 history rows"
    assert ", offline: " in done.stderr


def test_what_is_not_there_is_not_published(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(NotFound, match="no run named 'nope'"):
        send(store, "nope", WandbOptions())
    Recorder(store, run="empty").close()
    with pytest.raises(NotFound, match="'empty' has no committed table and no metrics yet"):
        send(store, "empty", WandbOptions())
    done = CliRunner().invoke(publish, ["cnn", "--store", str(store), "--rows", "-1"])
    assert "--rows is '-1'; it can be a number from 1, or all" in str(done.exception)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match=r"pip install 'secondguess\[wandb\]'"):
        send(store, "cnn", WandbOptions())


@pytest.mark.slow
def test_a_run_that_was_published_and_imported_equals_itself_row_by_row(
    store: Path, tmp_path: Path, wandb_server: WandbServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environment(wandb_server, tmp_path / "online").items():
        monkeypatch.setenv(name, value)
    main(["publish", "cnn", "--wandb", "online", "--store", str(store)])
    main(["import", "me/table-quickstart", "--store", str(tmp_path / "there")])
    here, there = sg.connect(store), sg.connect(tmp_path / "there")
    for rows in (
        "SELECT * EXCLUDE (examples) FROM test_predictions ORDER BY epoch, id",
        "SELECT id, digest, truth FROM examples ORDER BY id",
        "SELECT name, value FROM metrics ORDER BY ALL",
    ):
        expected = here.sql(rows)
        assert there.sql(rows).project(", ".join(expected.columns)).fetchall() == expected.fetchall()


def test_an_imported_run_has_no_column_of_the_steps_that_importing_adds(tmp_path: Path) -> None:
    """Where a source has a column of that name itself, it has another one in the store."""
    (tmp_path / "a.csv").write_text("id,pred,label\nx,0,1\ny,1,1\n")
    (tmp_path / "b.csv").write_text("id,pred,label,step\nx,0,1,7\ny,1,1,8\n")
    for run in ("a", "b"):
        main(["import", str(tmp_path / f"{run}.csv"), "--run", run, "--store", str(tmp_path / "store")])
    columns = {}
    for run in ("a", "b"):
        sent = send(tmp_path / "store", run, WandbOptions(mode="offline"))
        assert sent.report.folder is not None
        (file,) = sent.report.folder.rglob("*.table.json")
        columns[run] = json.loads(file.read_text())["columns"]
    assert columns["a"] == ["id", "guess", "truth"]
    assert columns["b"][:3] == ["id", "guess", "truth"]
    assert "step" not in columns["b"]
    assert len(columns["b"]) == 4
