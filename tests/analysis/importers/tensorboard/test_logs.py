"""`secondguess import LOGDIR`: TensorBoard's scalars as a run's metrics, of a new run or of one that is there."""

from pathlib import Path
from typing import Any

from event_files import restart, scalar, written
from page_in_process import texts
from stores import ran as said

import secondguess as sg
from secondguess.analysis.importers.tensorboard.logs import is_logs
from secondguess.analysis.store.check import check
from secondguess.analysis.store.runs import find_run


def metrics(store: Path, run: str) -> list[tuple[Any, ...]]:
    return sg.connect(store).sql(f"SELECT name, step, value FROM metrics WHERE run = '{run}' ORDER BY ALL").fetchall()


def trained(store: Path, run: str = "cnn") -> None:
    with sg.Recorder(store, run=run) as recorder:
        for epoch in (1, 2):
            recorder.log(loss=1 / epoch)
            with recorder.table("test_predictions", epoch=epoch) as table:
                table.add(ids=["a", "b"], guess=[0, 1], truth=[0, epoch - 1])
        recorder.log(last=3)


def test_a_folder_is_a_run_whose_folders_begin_the_names_of_its_metrics(tmp_path: Path, capsys: Any) -> None:
    """As Keras writes them."""
    for part, value in (("train", 1.0), ("validation", 2.0)):
        written(tmp_path / "keras" / part, [scalar("epoch_loss", step, value + step) for step in (0, 1)])
    text, code = said(capsys, "import", tmp_path / "keras", "--store", tmp_path / "s")
    assert code == 0, text
    assert text == (
        "run keras\n"
        "  4 values of 2 metrics (train/epoch_loss, validation/epoch_loss), steps 0 to 1, from 2 event files\n"
    )
    assert metrics(tmp_path / "s", "keras") == [
        ("train/epoch_loss", 0, 1.0),
        ("train/epoch_loss", 1, 2.0),
        ("validation/epoch_loss", 0, 2.0),
        ("validation/epoch_loss", 1, 3.0),
    ]
    run = find_run(tmp_path / "s", "keras")
    assert run.started is not None
    assert run.state == "finished"
    assert check(tmp_path / "s").findings == ()
    assert "epoch_loss" in texts(tmp_path / "s", "/run?run=keras")[0]
    assert said(capsys, "runs", "--store", tmp_path / "s")[1] == 0


def test_each_folder_of_a_folder_of_runs_is_a_run(tmp_path: Path, capsys: Any) -> None:
    for run in ("exp1", "exp2"):
        written(tmp_path / "logs" / run, [scalar("loss", 1, 0.5)])
        written(tmp_path / "logs" / run / "both_a", [scalar("both", 1, 0.25)])
    assert said(capsys, "import", tmp_path / "logs", "--store", tmp_path / "s")[1] == 0
    assert metrics(tmp_path / "s", "exp2") == [("both_a/both", 1, 0.25), ("loss", 1, 0.5)]
    text, code = said(capsys, "import", tmp_path / "logs", "--run", "x", "--store", tmp_path / "s")
    assert ("holds 2 runs, which cannot all be called 'x'" in text, code) == (True, 1)
    file = next((tmp_path / "logs" / "exp1").glob("*tfevents*"))
    assert said(capsys, "import", file, "--run", "one", "--store", tmp_path / "s")[1] == 0
    assert metrics(tmp_path / "s", "one") == [("loss", 1, 0.5)]


def test_runs_lie_as_deep_as_lightning_and_keras_put_them(tmp_path: Path, capsys: Any) -> None:
    """`TensorBoardLogger("logs", "net")` writes logs/net/version_0, TensorFlow's guide logs/fit/DATE/train."""
    for version, value in ((0, 0.5), (1, 0.25), (10, 0.125)):
        written(tmp_path / "logs" / "net" / f"version_{version}", [scalar("loss", 1, value)])
    for part, value in (("train", 2.0), ("validation", 3.0)):
        written(tmp_path / "logs" / "fit" / "20260102" / part, [scalar("epoch_loss", 0, value)])
    text, code = said(capsys, "import", tmp_path / "logs", "--store", tmp_path / "s")
    names = ["fit-20260102", "net-version_0", "net-version_1", "net-version_10"]
    assert ([line[4:] for line in text.splitlines() if line.startswith("run ")], code) == (names, 0)
    assert metrics(tmp_path / "s", "net-version_1") == [("loss", 1, 0.25)]
    assert metrics(tmp_path / "s", "fit-20260102") == [("train/epoch_loss", 0, 2.0), ("validation/epoch_loss", 0, 3.0)]


def test_a_restart_takes_back_what_the_session_does_again(tmp_path: Path, capsys: Any) -> None:
    """By TensorBoard's rule: values of the step and later ones, of that folder alone; of one step the last holds."""
    folder = tmp_path / "log"
    written(folder, [scalar("a", step, step) for step in range(5)] + [scalar("a", 1, 10)], ".1")
    written(folder / "train", [scalar("a", 4, 4)])
    written(folder, [restart(3), scalar("a", 3, 30)], ".2")
    text, _ = said(capsys, "import", folder, "--store", tmp_path / "s")
    assert "1 value came again at the same step; the last one of each is taken" in text
    assert "taken back by a restart at an earlier step: 2 values" in text
    assert metrics(tmp_path / "s", "log") == [
        ("a", 0, 0.0),
        ("a", 1, 10.0),
        ("a", 2, 2.0),
        ("a", 3, 30.0),
        ("train/a", 4, 4.0),
    ]


def test_metrics_join_a_run_that_is_there(tmp_path: Path, capsys: Any) -> None:
    store = tmp_path / "s"
    trained(store)
    trained(store, "other")
    before = metrics(store, "cnn")
    written(tmp_path / "log", [scalar("lr", 1, 0.5), scalar("lr", 2, 0.25), scalar("loss", 2, 9.0)])
    words = ("import", tmp_path / "log", "--run", "cnn", "--store", store)
    text, code = said(capsys, *words, "--dry-run")
    assert ("2 values would be added to the run" in text, metrics(store, "cnn"), code) == (True, before, 0)
    text, code = said(capsys, *words)
    assert code == 0, text
    assert "2 values added to the run, of which nothing else changes" in text
    assert "left out: 1 value that the run has at the same step, 1 of them with another value" in text
    assert metrics(store, "cnn") == sorted([*before, ("lr", 1, 0.5), ("lr", 2, 0.25)])
    assert metrics(store, "other") == before
    assert {finding.what for finding in check(store).findings} <= {"left over"}
    assert sg.connect(store).sql('SELECT count(*) FROM "cnn@all"').fetchall() == [(4,)]
    text, code = said(capsys, *words)
    assert ("has values of these metrics at each of the 3 steps of log, 1 of them with another value" in text) is True
    assert ("import the log as a run of its own: leave out --run" in text, code) == (True, 1)
    assert said(capsys, "export", "cnn", tmp_path / "cnn.zip", "--store", store)[1] == 0
    assert said(capsys, "import", tmp_path / "cnn.zip", "--store", tmp_path / "t")[1] == 0
    assert metrics(tmp_path / "t", "cnn") == metrics(store, "cnn")
    text, code = said(capsys, *words, "--overwrite")
    assert ("would replace run 'cnn' and its tables by metrics" in text, code) == (True, 1)


def test_values_that_are_no_number_are_the_same_where_both_are(tmp_path: Path, capsys: Any) -> None:
    store = tmp_path / "s"
    trained(store)
    written(tmp_path / "log", [scalar("lr", 1, float("nan")), scalar("lr", 2, float("inf"))])
    words = ("import", tmp_path / "log", "--run", "cnn", "--store", store)
    assert "another value" not in said(capsys, *words)[0]
    assert "run 'cnn' has all 2 values of log already" in said(capsys, *words)[0]
    written(tmp_path / "more", [scalar("lr", 1, float("nan")), scalar("lr", 3, float("nan"))])
    text, _ = said(capsys, "import", tmp_path / "more", *words[2:])
    assert "  1 value added to the run" in text
    assert "left out: 1 value that the run has at the same step\n" in text


def test_a_run_that_goes_on_or_has_no_table_is_not_added_to(tmp_path: Path, capsys: Any) -> None:
    written(tmp_path / "log", [scalar("lr", 1, 0.5)])
    written(tmp_path / "more", [scalar("lr", 2, 0.5)])
    assert said(capsys, "import", tmp_path / "log", "--store", tmp_path / "s")[1] == 0
    text, code = said(capsys, "import", tmp_path / "more", "--run", "log", "--store", tmp_path / "s")
    assert ("has no table" in text, code) == (True, 1)
    text, code = said(capsys, "import", tmp_path / "more", "--run", "log", "--overwrite", "--store", tmp_path / "s")
    assert (metrics(tmp_path / "s", "log"), code) == ([("lr", 2, 0.5)], 0)
    with sg.Recorder(tmp_path / "s", run="going"):
        text, code = said(capsys, "import", tmp_path / "log", "--run", "going", "--store", tmp_path / "s")
        assert ("is being recorded" in text, code) == (True, 1)


def test_what_cannot_be_read_is_said(tmp_path: Path, capsys: Any) -> None:
    file = written(tmp_path / "log", [scalar("a", step, step) for step in range(9)])
    file.write_bytes(file.read_bytes()[:-5])
    text, _ = said(capsys, "import", tmp_path / "log", "--store", tmp_path / "s")
    assert f"{file.name} is cut off after 9 records" in text
    assert len(metrics(tmp_path / "s", "log")) == 8
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "events.out.tfevents.1").write_bytes(b"nothing of the kind")
    text, code = said(capsys, "import", tmp_path / "bad", "--store", tmp_path / "s")
    assert ("has no scalars in 1 event file" in text, text.count("\n"), code) == (True, 1, 1)
    for option in (("--epoch", "2"), ("--guess", "x"), ("--table", "t")):
        text, code = said(capsys, "import", tmp_path / "log", *option, "--store", tmp_path / "s")
        assert ("has metrics and no tables; leave out all but" in text, code) == (True, 1)


def test_prediction_files_beside_event_files_are_what_a_folder_is_for(tmp_path: Path) -> None:
    written(tmp_path / "log", [scalar("a", 1, 1)])
    (tmp_path / "log" / "metrics.csv").write_text("step,a\n1,1\n")
    assert is_logs(tmp_path / "log")
    (tmp_path / "log" / "predictions.csv").write_text("id,guess,truth\n1,a,a\n")
    assert not is_logs(tmp_path / "log")


def test_a_run_without_scalars_keeps_no_other_from_coming(tmp_path: Path, capsys: Any) -> None:
    """As one is that ended before its first value."""
    written(tmp_path / "logs" / "a", [scalar("loss", 1, 0.5)])
    written(tmp_path / "logs" / "b", [])
    text, code = said(capsys, "import", tmp_path / "logs", "--store", tmp_path / "s")
    assert (f"left out: {tmp_path / 'logs' / 'b'} has no scalars in 1 event file" in text, code) == (True, 0)
    assert metrics(tmp_path / "s", "a") == [("loss", 1, 0.5)]
    text, code = said(capsys, "import", tmp_path / "logs" / "b", "--store", tmp_path / "s")
    assert ("b has no scalars in 1 event file" in text, code) == (True, 1)
