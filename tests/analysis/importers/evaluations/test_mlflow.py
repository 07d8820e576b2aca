"""Runs of MLflow's, written by its own client into both of its local stores."""

import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Mapping
from contextlib import closing
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

import secondguess as sg
from secondguess.analysis.cli import main
from secondguess.analysis.errors import MissingExtra
from secondguess.analysis.importers.evaluations.mlflow import is_mlflow, mlflow_run
from secondguess.analysis.store.runs import list_runs

needs_mlflow = pytest.mark.skipif(find_spec("mlflow") is None, reason="needs MLflow's client: the extra mlflow")
_SCRIPT = """
import mlflow, numpy as np, pandas as pd
with mlflow.start_run(run_name="rf/1 é") as run:
    mlflow.log_params({"depth": 3, "kind": "rf"})
    for step, value in enumerate((0.5, 0.75)):
        mlflow.log_metric("accuracy", value, step=step)
    rows = {"id": ["0001", "0002", "NA"], "question": ["é?", "b?", "c?"], "prediction": ["007", "x", "x"]}
    mlflow.log_table(rows | {"label": ["007", "8", "x"]}, artifact_file="eval/table.json")
    mlflow.log_table({"id": ["z"], "prediction": ["x"], "label": ["z"]}, artifact_file="other/table.json")
    for score in (0.5, 1.5):
        mlflow.log_table({"score": [score]}, artifact_file="more.json")
    pictures = [mlflow.Image(np.full((2, 2, 3), shade, np.uint8)) for shade in (0, 255)]
    mlflow.log_table({"id": ["a", "b"], "picture": pictures, "pred": [1, 0], "label": [1, 1]}, "shown.json")
    mlflow.log_table(pd.DataFrame({"id": ["a"], "pred": ["x"], "label": ["y"]}), "packed.parquet")
    mlflow.log_table({"id": ["a", "b"], "picture": pictures, "pred": [1, 0], "label": [1, 1]}, "pictured.parquet")
    mlflow.log_dict({"columns": "none"}, "other.json")
    mlflow.log_text("text", "notes/readme.txt")
    print(run.info.run_id)
with mlflow.start_run(run_name="bare"):
    mlflow.log_text("text", "readme.txt")
for _ in range(2):
    with mlflow.start_run(run_name="twice"):
        pass
"""


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A folder in which MLflow has written four runs into a database, and the id of the first."""
    folder = tmp_path_factory.mktemp("database")
    return folder, written(folder, {})


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The same in files."""
    folder = tmp_path_factory.mktemp("files")
    return folder, written(folder, {"MLFLOW_TRACKING_URI": "./mlruns"})


@pytest.fixture(scope="module", params=["database", "files"])
def theirs(request: pytest.FixtureRequest) -> tuple[Path, str]:
    """Either of both."""
    store: tuple[Path, str] = request.getfixturevalue(request.param)
    return store


def written(folder: Path, more: Mapping[str, str]) -> str:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("MLFLOW_")}
    quiet = {"MLFLOW_ALLOW_FILE_STORE": "true", "MLFLOW_DISABLE_TELEMETRY": "true"}
    done = subprocess.run(
        [sys.executable, "-c", _SCRIPT], cwd=folder, env=kept | quiet | dict(more), capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()[0]


@pytest.fixture(autouse=True)
def no_store_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)


def rows(store: Path, sql: str) -> list[tuple[Any, ...]]:
    return sg.connect(store).sql(sql).fetchall()


def refused(store: Path, capsys, source: str) -> str:
    with pytest.raises(SystemExit) as stop:
        main(["import", source, "--store", str(store)])
    assert stop.value.code == 1
    return str(capsys.readouterr().err).splitlines()[-1]


def content(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@needs_mlflow
def test_a_run_s_tables_parameters_and_metrics_come_in_and_its_store_stays_as_it_was(
    theirs: tuple[Path, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    folder, id_ = theirs
    before = content(folder)
    monkeypatch.chdir(folder)
    main(["import", f"mlruns:/{id_}", "--store", str(tmp_path)])
    (run,) = list_runs(tmp_path).values()
    assert (run.name, sorted(run.tables)) == (
        "rf-1 é",
        ["eval-table", "more", "other-table", "packed", "pictured", "shown"],
    )
    assert rows(tmp_path, 'SELECT id, question, guess, truth, wrong FROM "rf-1 é/eval-table" ORDER BY id') == [
        ("0001", "é?", "007", "007", False),
        ("0002", "b?", "x", "8", True),
        ("NA", "c?", "x", "x", False),
    ]
    assert rows(tmp_path, 'SELECT id, guess, truth FROM "rf-1 é/other-table"') == [("z", "x", "z")]
    assert run.about["config"] == {"depth": "3", "kind": "rf"}
    assert run.about["source"]["id"] == id_
    assert rows(tmp_path, 'SELECT score FROM "rf-1 é/more" ORDER BY score') == [(0.5,), (1.5,)]
    assert rows(tmp_path, "SELECT step, name, value FROM metrics ORDER BY step") == [
        (0, "accuracy", 0.5),
        (1, "accuracy", 0.75),
    ]
    assert rows(tmp_path, 'SELECT id, guess, truth FROM "rf-1 é/packed"') == [("a", "x", "y")]
    assert rows(
        tmp_path,
        'SELECT t.id, e.image IS NOT NULL, wrong FROM "rf-1 é/shown" t JOIN examples e USING (examples, id) ORDER BY 1',
    ) == [("a", True, False), ("b", True, True)]
    assert rows(
        tmp_path,
        'SELECT s.id, e.image = f.image FROM "rf-1 é/pictured" s JOIN examples e USING (examples, id) '
        'JOIN "rf-1 é/shown" t ON s.id = t.id JOIN examples f ON f.id = t.id AND f.examples = t.examples ORDER BY 1',
    ) == [("a", True), ("b", True)]
    assert content(folder) == before


@needs_mlflow
def test_pictures_that_are_gone_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    folder = tmp_path / "theirs"
    folder.mkdir()
    id_ = written(folder, {"MLFLOW_TRACKING_URI": "./mlruns"})
    monkeypatch.chdir(folder)
    for table in ("shown", "pictured"):
        next(folder.rglob(f"table_images/{table}/*.png")).unlink()
        main(["import", f"mlruns:/{id_}", "--table", table, "--run", table, "--store", str(tmp_path / "s")])
        said = capsys.readouterr()
        assert "2 rows, 1 images, 1 missing" in said.out
        assert said.out.count(" among the run's artifacts") == said.out.count("no image file") == 1
        assert "Downloading" not in said.err


@needs_mlflow
def test_a_run_is_named_by_its_name_too_and_the_store_by_its_address(
    theirs: tuple[Path, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, _ = theirs
    database = folder / "mlflow.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{database}" if database.exists() else str(folder / "mlruns"))
    main(["import", "mlruns:/rf/1 é", "--table", "eval/table", "--run", "mine", "--store", str(tmp_path)])
    assert rows(tmp_path, "SELECT count(*) FROM mine") == [(3,)]


@needs_mlflow
def test_what_is_not_there_or_not_one_run_is_refused_with_what_there_is(
    theirs: tuple[Path, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    monkeypatch.chdir(theirs[0])
    said = refused(tmp_path, capsys, "mlruns:/nope")
    assert "no run 'nope' in MLflow's store" in said and "it has: " in said and "bare" in said
    assert (
        "run bare of MLflow's has no table (mlflow.log_table, mlflow.evaluate); its artifacts: readme.txt"
        in refused(tmp_path, capsys, "mlruns:/bare")
    )
    said = refused(tmp_path, capsys, "mlruns:/twice")
    assert "2 runs of MLflow's are called 'twice'; name one by its id: secondguess import mlruns:/" in said
    assert "mlruns:/ names no run" in refused(tmp_path, capsys, "mlruns:/")
    assert not list(tmp_path.iterdir())


@needs_mlflow
def test_where_there_is_no_store_none_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    monkeypatch.chdir(empty)
    assert "no MLflow store in" in refused(tmp_path / "s", capsys, "mlruns:/a")
    for place in ("sqlite:///mlflow.db", "./mlruns", f"file://{empty}/mlruns"):
        monkeypatch.setenv("MLFLOW_TRACKING_URI", place)
        assert "MLflow's store is" in refused(tmp_path / "s", capsys, "mlruns:/a")
    with closing(sqlite3.connect(empty / "other.db")) as other:
        other.execute("CREATE TABLE mine (a INT)")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:///other.db")
    assert "is no store of MLflow's: it has no tables experiments, metrics, runs" in refused(
        tmp_path / "s", capsys, "mlruns:/a"
    )
    assert [path.name for path in empty.iterdir()] == ["other.db"]


@needs_mlflow
def test_a_broken_table_is_refused_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    id_ = written(tmp_path, {"MLFLOW_TRACKING_URI": "./mlruns"})
    (path,) = (tmp_path / "mlruns").rglob("more.json")
    path.write_text('{"columns":["a"],"data":[[1],')
    monkeypatch.chdir(tmp_path)
    assert "more.json cannot be read at row 1" in refused(tmp_path / "s", capsys, f"mlruns:/{id_}")


@needs_mlflow
def test_a_database_of_another_version_or_a_broken_one_is_refused_in_a_line(
    database: tuple[Path, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    id_ = database[1]
    shutil.copy(database[0] / "mlflow.db", tmp_path)
    with closing(sqlite3.connect(tmp_path / "mlflow.db")) as copy, copy:
        copy.execute("UPDATE alembic_version SET version_num = 'later'")
    monkeypatch.chdir(tmp_path)
    assert refused(tmp_path / "s", capsys, f"mlruns:/{id_}").startswith(f"secondguess: mlruns:/{id_}: ")
    (tmp_path / "mlflow.db").write_bytes((tmp_path / "mlflow.db").read_bytes()[:9_000])
    assert "mlruns:/" in refused(tmp_path / "s", capsys, f"mlruns:/{id_}")


@needs_mlflow
def test_images_that_are_gone_are_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    id_ = written(tmp_path, {"MLFLOW_TRACKING_URI": "./mlruns"})
    for path in tmp_path.rglob("table_images"):
        path.rename(tmp_path / "elsewhere")
    monkeypatch.chdir(tmp_path)
    main(["import", f"mlruns:/{id_}", "--table", "shown", "--store", str(tmp_path / "s")])
    assert "2 rows, 0 images, 2 missing" in capsys.readouterr().out


def test_without_its_client_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert pa.__version__  # what reads is loaded, so that the command stays in this process
    monkeypatch.setitem(sys.modules, "mlflow", None)
    with pytest.raises(MissingExtra, match=r"pip install 'secondguess\[mlflow\]'"):
        mlflow_run("mlruns:/a", tmp_path, None)


def test_a_source_of_mlflow_s_is_told_by_its_scheme() -> None:
    assert [is_mlflow(source) for source in ("mlruns:/a", "runs:/a", "mlruns", "a/runs:/b")] == [
        True,
        True,
        False,
        False,
    ]
