"""`secondguess publish --to mlflow`: with MLflow's real client, into both of its local stores, and back."""

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from recording import record_prices, record_tags
from s3_server import bucket_url, s3_process, s3_server
from stores import ran as said
from stores import told as answered

import secondguess as sg
from secondguess.analysis.cli import main
from secondguess.analysis.errors import MissingExtra
from secondguess.analysis.objects.path import place
from secondguess.analysis.store.rows import read_wrong
from secondguess.analysis.store.runs import find_run
from secondguess.analysis.tracking import quiet
from secondguess.trainer.mirror.mlflow import MlflowOptions, Sent, publish

__all__ = ["bucket_url", "s3_process", "s3_server"]  # the fixtures

pytestmark = pytest.mark.skipif(find_spec("mlflow") is None, reason="needs MLflow's client: the extra mlflow")
IMAGES = np.random.default_rng(0).integers(0, 256, (6, 8, 8), dtype=np.uint8)
# Guesses of epoch 2: 0, 0, 0, 1, 1, 1 with confidence 0.5, 0.75, 1, 0.5, 0.75, 1; truth 0, 1, 2, 0, 1, none.
SURE = [0.5, 0.75, 1.0, 0.5, 0.75, 1.0]
TRUTH = [0, 1, 2, 0, 1, None]


@pytest.fixture
def store(tmp_path: Path) -> Path:
    store = tmp_path / "store"
    with sg.Recorder(
        store, run="cnn", config={"lr": 0.001, "net: it": {"deep": True}}, classes=["é", "b", "c"]
    ) as recorder:
        for epoch in (1, 2):
            recorder.log(**{"loss/test": 1 / epoch, "größe (%)": epoch})
            with recorder.table("test_predictions", epoch=epoch) as table:
                scores = [[sure, 1 - sure, 0.0] if row < 3 else [0.0, sure, 1 - sure] for row, sure in enumerate(SURE)]
                table.add(ids=[f"0{row}" for row in range(6)], images=IMAGES, truth=TRUTH, scores=scores)
        with recorder.table("no labels é", epoch=1) as table:
            table.add(ids=["x"], guess=[1])
    return store


@pytest.fixture(params=["sqlite", "files"])
def tracking(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The address of a store of MLflow's, its artifacts in a folder of the test's."""
    (tmp_path / "theirs").mkdir()
    monkeypatch.chdir(tmp_path / "theirs")
    address = f"sqlite:///{tmp_path}/theirs/mlflow.db" if request.param == "sqlite" else f"{tmp_path}/theirs/mlruns"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
    return address


def seen(tracking: str, code: str) -> str:
    """What a process of MLflow's own sees."""
    quiet = {"MLFLOW_ALLOW_FILE_STORE": "true", "MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_TRACKING_URI": tracking}
    start = "import mlflow\nclient = mlflow.MlflowClient()\n(run,) = mlflow.search_runs(search_all_experiments=True, "
    start += "output_format='list')\n"
    done = subprocess.run(
        [sys.executable, "-c", start + code], capture_output=True, text=True, env={**os.environ, **quiet}
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_mlflow_shows_the_run_and_it_comes_back(store: Path, tracking: str, tmp_path: Path, capsys: Any) -> None:
    """MLflow's own reader makes numbers of ids such as 02, which its file has as texts."""
    text, code = said(capsys, "publish", "cnn", "--to", "mlflow", "--store", store)
    assert code == 0, text
    assert text.startswith("3 tables, each whole; 4 values of metrics\nrun ")
    assert "test_predictions@2: 3 of 3 wrong rows, the most confident first, come with their images" in text
    assert "metrics whose names MLflow does not take are called otherwise: größe (%) is größe ___" in text
    shown = seen(
        tracking,
        "print(run.info.run_name, run.info.status, sorted(run.data.params.items()))\n"
        "print([(m.step, m.value) for m in client.get_metric_history(run.info.run_id, 'loss/test')])\n"
        "print(run.data.metrics['secondguess/test_predictions/error_rate'])\n"
        "print(run.data.tags['secondguess.run'], run.data.tags['secondguess.store'])\n"
        "table = client.load_table(run.info.experiment_id, 'tables/test_predictions/epoch-00002.json')\n"
        "print(list(table.columns), table.guess.tolist(), table.truth.tolist())\n"
        "wrong = client.load_table(run.info.experiment_id, 'wrong/test_predictions/epoch-00002.json')\n"
        "print(wrong.id.tolist(), [one['type'] for one in wrong.image])\n",
    ).splitlines()
    assert shown == [
        "cnn FINISHED [('lr', '0.001'), ('net_ it', '{\"deep\": true}')]",
        "[(1, 1.0), (2, 0.5)]",
        "0.6",
        f"cnn {store}",
        "['id', 'guess', 'truth', 'score_0', 'score_1', 'score_2'] ['é', 'é', 'é', 'b', 'b', 'b'] "
        "['é', 'b', 'c', 'é', 'b', nan]",
        "[2, 1, 3] ['image', 'image', 'image']",
    ]
    other = tmp_path / "other"
    main(["import", "mlruns:/cnn", "--store", str(other)])
    rows = 'SELECT epoch, id, guess, truth, score_0, score_1, score_2 FROM "{}@all" ORDER BY ALL'
    assert sg.connect(other).sql(rows.format("cnn")).fetchall() == sg.connect(store).sql(rows.format("cnn")).fetchall()
    pictured = 'SELECT p.id, e.digest FROM "cnn/{}@2" p JOIN examples e USING (examples, id) ORDER BY 1'
    every = dict(sg.connect(store).sql(pictured.format("test_predictions")).fetchall())
    wrong = dict(sg.connect(other).sql(pictured.format("test_predictions wrong")).fetchall())
    assert wrong == {id_: every[id_] for id_ in ("01", "02", "03")}
    assert find_run(other, "cnn").about["config"] == {"lr": 0.001, "net: it": {"deep": True}}
    values = "SELECT step, name, value FROM metrics ORDER BY ALL"
    assert sg.connect(other).sql(values).fetchall() == sg.connect(store).sql(values).fetchall()


@pytest.mark.parametrize("name", ["it's", 'a "b"', 'it\'s "b" \\ `%'])
def test_a_run_comes_back_by_its_name_whatever_signs_it_has(
    tmp_path: Path, tracking: str, capsys: Any, name: str
) -> None:
    for run in (name, "its"):
        with sg.Recorder(tmp_path / "s", run=run) as recorder, recorder.table("test_predictions", epoch=1) as table:
            table.add(ids=["a"], guess=[0], truth=[0])
        assert said(capsys, "publish", run, "--to", "mlflow", "--store", tmp_path / "s")[1] == 0
    assert said(capsys, "import", f"mlruns:/{name}", "--store", tmp_path / "t")[1] == 0
    assert find_run(tmp_path / "t", name).name == name


def test_a_second_time_is_said(store: Path, tracking: str, capsys: Any) -> None:
    assert "published before" not in said(capsys, "publish", "cnn", "--to", "mlflow", "--store", store)[0]
    assert "it was published before, as run " in said(capsys, "publish", "cnn", "--to", "mlflow", "--store", store)[0]


def test_verdicts_and_steps_come_back(tmp_path: Path, tracking: str, capsys: Any) -> None:
    (tmp_path / "p.csv").write_text("id,guess,correct\n1,a,true\n2,b,false\n3,b,\n")
    main(["import", str(tmp_path / "p.csv"), "--right", "correct", "--run", "judged", "--store", str(tmp_path / "s")])
    with sg.Recorder(tmp_path / "s", run="steps") as recorder:
        for step in (10, 20, None):
            with recorder.table("test_predictions", epoch=1, step=step) as table:
                table.add(ids=["a", "b"], guess=[1, 0], truth=[1, 1])
    for run in ("judged", "steps"):
        assert said(capsys, "publish", run, "--to", "mlflow", "--store", tmp_path / "s")[1] == 0
        assert said(capsys, "import", f"mlruns:/{run}", "--store", tmp_path / "t")[1] == 0
        command = ("ask", "errors-over-time", run, "--store")
        before, after = (answered(capsys, *command, str(tmp_path / place))[0] for place in ("s", "t"))
        assert before == after
        assert len(after) == (1 if run == "judged" else 3)


def test_a_run_that_cannot_be_read_fails_there_too(store: Path, tracking: str, capsys: Any) -> None:
    file = next((store / "cnn" / "test_predictions").glob("*.parquet"))
    file.write_bytes(file.read_bytes()[:-1] + b"x")
    text, code = said(capsys, "publish", "cnn", "--to", "mlflow", "--store", store)
    assert ("is not as it was written" in text, text.count("\n"), code) == (True, 1, 1)
    assert seen(tracking, "print(run.info.status)") == "FAILED\n"


def test_how_much_is_sent_is_said(store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "theirs").mkdir()
    monkeypatch.chdir(tmp_path / "theirs")  # where MLflow's client puts artifacts
    sent = publish(store, "cnn", MlflowOptions("mine", f"sqlite:///{tmp_path}/theirs/a.db", rows=2, images=1))
    assert sent.tables == {"test_predictions@1": (2, 6), "test_predictions@2": (2, 6), "no labels é@1": (1, 1)}
    assert "2 are not whole (test_predictions@1: 2 of 6 rows, test_predictions@2: 2 of 6 rows)" in sent.lines()[0]
    assert "test_predictions@2: 1 of 3 wrong rows, the most confident first, come with their images" in sent.notes


def test_numbers_that_mlflow_cannot_hold_are_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A regression that diverged."""
    monkeypatch.chdir(tmp_path)
    with sg.Recorder(tmp_path / "s", run="prices") as recorder:
        for epoch, guess in ((1, [0.5, 2.0]), (2, [float("inf"), 2.0])):
            with recorder.table("test_predictions", epoch=epoch) as table:
                table.add(ids=["a", "b"], truth=[1.5, 2.5], guess=guess)
    sent = publish(tmp_path / "s", "prices", MlflowOptions("mine", str(tmp_path / "mlruns")))
    said = "test_predictions@2: MLflow's tables have no infinite numbers; those of guess are null there"
    assert sent.notes == [said]
    (file,) = tmp_path.glob("mlruns/*/*/artifacts/tables/test_predictions/epoch-00002.json")
    assert '["a",null,1.5' in file.read_text().replace(" ", "")


def test_a_store_of_mlflows_is_asked_for_a_run(store: Path, tracking: str, capsys: Any) -> None:
    publish(store, "cnn", MlflowOptions("mine", tracking))
    place = tracking.removeprefix("sqlite:///")
    for source in {place, str(Path(place).parent)}:
        text, code = said(capsys, "import", source, "--store", store)
        words = f"{source} is MLflow's store, of which a run is imported by its id or its name: MLFLOW_TRACKING_URI="
        assert (text, code) == (f"secondguess: {words}{tracking} secondguess import mlruns:/RUN\n", 1)
    (Path(place).parent / "p.csv").write_text("id,guess,truth\na,1,1\n")
    assert said(capsys, "import", Path(place).parent, "--store", store)[1] == 0


def test_infinite_metrics_come_back(tmp_path: Path, tracking: str, capsys: Any) -> None:
    with sg.Recorder(tmp_path / "s", run="cnn") as recorder:
        recorder.log(up=float("inf"), down=float("-inf"), loss=2.5)
        with recorder.table("test_predictions", epoch=1) as table:
            table.add(ids=["a"], truth=[1], guess=[1])
    publish(tmp_path / "s", "cnn", MlflowOptions("mine", tracking))
    assert said(capsys, "import", "mlruns:/cnn", "--store", tmp_path / "t")[1] == 0
    back = sg.connect(tmp_path / "t").sql("SELECT name, value FROM metrics ORDER BY name").fetchall()
    assert back == [("down", float("-inf")), ("loss", 2.5), ("up", float("inf"))]


def test_a_server_that_does_not_answer_is_not_waited_for_long(
    tmp_path: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries = "MLFLOW_HTTP_REQUEST_MAX_RETRIES"
    monkeypatch.delenv(tries, raising=False)
    with quiet():
        assert os.environ[tries] == "3"
    assert tries not in os.environ
    monkeypatch.setenv(tries, "0")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")  # where nobody listens
    text, code = said(capsys, "import", "mlruns:/cnn", "--store", tmp_path / "t")
    assert (text.count("\n"), code) == (1, 1)
    assert text.startswith("secondguess: mlruns:/cnn: API request to http://127.0.0.1:9/")
    assert os.environ[tries] == "0"


def test_from_a_bucket(bucket_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with sg.Recorder(f"{bucket_url}/s", run="cnn") as recorder, recorder.table("test_predictions", epoch=1) as table:
        table.add(ids=["a", "b"], images=IMAGES[:2], truth=[0, 1], guess=[1, 1])
    options = MlflowOptions("mine", str(tmp_path / "mlruns"))
    sent = publish(place(f"{bucket_url}/s"), "cnn", options)
    assert sent.tables == {"test_predictions@1": (2, 2)}
    assert "test_predictions@1: 1 of 1 wrong rows, the most confident first, come with their images" in sent.notes
    again = publish(place(f"{bucket_url}/s"), "cnn", options)
    assert again.notes[0].startswith(f"it was published before, as run {sent.run_id} (")


def test_the_wrong_rows_are_those_of_the_question(store: Path, capsys: Any) -> None:
    rows = read_wrong(store, "cnn", "test_predictions", 2, 2)
    assert (rows.predictions["id"].to_pylist(), rows.rows) == (["02", "01"], 3)
    asked, _, _ = answered(capsys, "ask", "errors", "cnn@2", "--store", str(store))
    assert {row["id"] for row in asked} == {"01", "02", "03"}
    assert read_wrong(store, "cnn", "no labels é", 1, 5).predictions.num_rows == 0


def test_wrong_lists_of_labels_are_those_that_differ(tmp_path: Path) -> None:
    how: Any = {"epoch": 1, "task": "multi-label"}
    guess, truth = [["cat"], ["dog"], ["dog", "cow"], ["cat"]], [["cat"], ["cow", "dog"], ["cow", "dog"], None]
    with sg.Recorder(tmp_path / "s", run="tags") as recorder, recorder.table("test_predictions", **how) as table:
        table.add(ids=list("abcd"), truth=truth, guess=guess, images=IMAGES[:4])
    rows = read_wrong(tmp_path / "s", "tags", "test_predictions", 1, 5)
    assert (rows.predictions["id"].to_pylist(), rows.rows) == (["b"], 1)
    sent = publish(tmp_path / "s", "tags", MlflowOptions("mine", str(tmp_path / "mlruns")))
    assert sent.tables == {"test_predictions@1": (4, 4)}


def test_what_cannot_be_is_said_in_one_line(store: Path, tmp_path: Path, capsys: Any, monkeypatch: Any) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    (tmp_path / "file").write_text("no database")
    mlflow = ("publish", "cnn", "--to", "mlflow", "--store", store)
    for words, part in (
        ((*mlflow, "--tracking-uri", f"sqlite:///{tmp_path}/file"), "MLflow's store cannot be opened"),
        ((*mlflow, "--tracking-uri", "http://127.0.0.1:1"), "MLflow's store cannot be opened"),
        ((*mlflow, "--tracking-uri", "nothing://x"), "MLflow's store cannot be opened"),
        ((*mlflow, "--wandb", "online"), "--wandb online is for --to wandb"),
        ((*mlflow, "--rows", "none"), "it can be a number from 1, or all"),
        (("publish", "cnn", "--images", "3", "--store", store), "are for --to mlflow"),
        (("publish", "nn", "--to", "mlflow", "--store", store), "no run named 'nn'"),
    ):
        text, code = said(capsys, *words)
        assert (part in text, text.count("\n"), code) == (True, 1, 1), text
    monkeypatch.setitem(sys.modules, "mlflow", None)
    with pytest.raises(MissingExtra, match=r"--to mlflow needs.*secondguess\[mlflow\]"):
        publish(store, "cnn", MlflowOptions("x"))


def test_wrong_rows_of_labels_in_lists(tmp_path: Path) -> None:
    record_tags(tmp_path)
    rows = read_wrong(tmp_path, "tags", "test_predictions", 1, 2)
    assert (rows.predictions["id"].to_pylist(), rows.rows) == (["a", "b"], 3)
    record_prices(tmp_path)
    assert read_wrong(tmp_path, "price", "test_predictions", 1, 2).rows == 0


@pytest.mark.parametrize(
    ("tables", "metrics", "line"),
    [
        ({"a": (3, 3)}, 1, "1 table, each whole; 1 value of metrics"),
        ({"a": (3, 3), "b": (2, 2)}, 2_000, "2 tables, each whole; 2,000 values of metrics"),
        ({"a": (3, 4), "b": (2, 2)}, 0, "2 tables, of which 1 is not whole (a: 3 of 4 rows); 0 values of metrics"),
    ],
)
def test_what_was_sent_is_counted_in_words(tables: dict[str, tuple[int, int]], metrics: int, line: str) -> None:
    assert Sent("abc", "here", metrics, tables).lines() == [line, "run abc in here"]
