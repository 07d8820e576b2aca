"""Each line of the README's tables "From where, to where" runs, on what it is for."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import secondguess as sg
from secondguess.analysis.cli import main
from secondguess.analysis.store.runs import list_runs

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
LINES = re.findall(
    r"^\| [^`|]+ \| `([^`]+)` \|$", README.partition("## From where")[2].partition("\n## ")[0], re.MULTILINE
)
COMMANDS = [line for line in LINES if line.startswith("secondguess ")]
LOGS = ROOT / "tests/analysis/importers/evaluations/logs"
ROWS = "id,guess,truth\na,1,1\nb,0,1\n"
MLFLOW = """
import mlflow
with mlflow.start_run(run_name="rf"):
    mlflow.log_table({"id": ["a", "b"], "prediction": [1, 0], "label": [1, 1]}, artifact_file="eval.json")
"""
WANDB = """
import wandb
with wandb.init(mode="offline", project="p") as run:
    run.log({"predictions": wandb.Table(columns=["id", "guess", "truth"], data=[["a", 1, 1], ["b", 0, 1]])})
"""


def logged(folder: Path, code: str) -> None:
    """What a process of another tool's own logs there."""
    kept = {f"WANDB_{name}_DIR": str(folder / f".wandb-{name}") for name in ("DATA", "CACHE", "CONFIG")}
    quiet = {"WANDB_SILENT": "true", "MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_TRACKING_URI": "sqlite:///mlflow.db"}
    ran = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, env={**os.environ, **kept, **quiet}, capture_output=True, text=True
    )
    assert ran.returncode == 0, ran.stderr


def data_set(folder: Path) -> None:
    main(["export", "cnn@5", "--hf", "my-data-set"])
    shutil.rmtree(folder / "predictions")


def scalars(folder: Path) -> None:
    from event_files import scalar, written

    written(folder / "logs/cnn", [scalar("val_loss", 1, 0.5)])


def samples(folder: Path) -> None:
    shutil.copytree(LOGS / "lm-eval-0.4.13/meta-llama__Llama-3", folder / "results/model")
    (found,) = (folder / "results/model").glob("samples_facts*.jsonl")
    found.rename(folder / "results/model/samples_facts.jsonl")


def quiz(folder: Path) -> None:
    (folder / "logs").mkdir()
    (log,) = (LOGS / "inspect-0.3.285").glob("*capitals*.eval")
    shutil.copy(log, folder / "logs/quiz.eval")


def packed(folder: Path) -> None:
    main(["export", "cnn", "cnn.zip"])
    shutil.rmtree(folder / "predictions")


READY: dict[str, Callable[[Path], object]] = {
    "import predictions.csv": lambda folder: (folder / "predictions.csv").write_text(ROWS),
    "import my-data-set": data_set,
    "import wandb/latest-run": lambda folder: logged(folder, WANDB),
    "import mlruns:/rf": lambda folder: logged(folder, MLFLOW),
    "import logs/cnn --run cnn": scalars,
    "import results/model/samples_facts.jsonl": samples,
    "import logs/quiz.eval": quiz,
    "import cnn.zip": packed,
}
MADE = {
    "sql --duckdb predictions.duckdb": "predictions.duckdb",
    "ask errors cnn@5 -o errors.csv": "errors.csv",
    "export cnn@5 --hf cnn-5": "cnn-5/README.md",
    "publish cnn --to mlflow": "mlflow.db",
    "view --export pages cnn@5": "pages/index.html",
}
NEEDS = {"wandb": "wandb", "mlruns": "mlflow", "mlflow": "mlflow", "logs/cnn": "tensorboard"}


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the demo's store in it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    monkeypatch.delenv("SECONDGUESS_STORE", raising=False)
    main(["demo", "--no-page", "--store", "predictions"])
    return tmp_path


def test_every_line_is_tried_here() -> None:
    assert {line.removeprefix("secondguess ") for line in COMMANDS} == {*READY, *MADE, "mcp"}
    assert len(LINES) - len(COMMANDS) == 6


@pytest.mark.slow
@pytest.mark.parametrize("line", [line for line in COMMANDS if "import" in line])
def test_what_comes_in_is_asked(here: Path, line: str, capsys: pytest.CaptureFixture[str]) -> None:
    for word, package in NEEDS.items():
        if word in line and find_spec(package) is None:
            pytest.skip(f"needs {package}")
    READY[line.removeprefix("secondguess ")](here)
    before = set(list_runs(here / "predictions")) if (here / "predictions").exists() else set()
    main(shlex.split(line)[1:])
    runs = list_runs(here / "predictions")
    if "--run cnn" in line:
        assert sg.connect("predictions").sql("SELECT value FROM metrics WHERE name = 'val_loss'").fetchall()[-1:] == [
            (0.5,)
        ]
        return
    (new,) = set(runs) - before
    (table, *_) = runs[new].tables
    assert runs[new].tables[table]
    main(["ask", "errors-over-time", f"{new}/{table}"])
    assert new in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.parametrize("line", [line for line in COMMANDS if "import" not in line and not line.endswith(" mcp")])
def test_what_goes_out_is_there(here: Path, line: str) -> None:
    if "mlflow" in line:
        pytest.importorskip("mlflow")
    main(shlex.split(line)[1:])
    assert (here / MADE[line.removeprefix("secondguess ")]).stat().st_size > 0


def test_an_agent_is_answered(here: Path) -> None:
    """A client that goes at once ends it; what it is asked is in `analysis/agents`."""
    pytest.importorskip("mcp")
    ran = subprocess.run([sys.executable, "-m", "secondguess", "mcp"], input="", capture_output=True, text=True)
    assert (ran.returncode, ran.stdout) == (0, ""), ran.stderr


def test_python_with_a_model_and_with_a_frame(here: Path) -> None:
    linear = pytest.importorskip("sklearn.linear_model")
    X, y = np.arange(20.0).reshape(10, 2), np.arange(10) % 2
    names: dict[str, Any] = {"sg": sg, "X": X, "y": y, "model": linear.LogisticRegression().fit(X, y)}
    names |= {"df": pd.DataFrame({"id": ["a"], "pred": ["x"], "label": ["y"]}), "store": sg.connect("predictions")}
    for line in LINES:
        if line.startswith(("sg.record", "store.")):
            exec(line, names)
    assert {"rf", "frame"} <= set(list_runs(here / "predictions"))


@pytest.mark.parametrize("line", [line for line in LINES if "callbacks" in line or line.startswith("table.add")])
def test_lines_of_a_framework_stand_in_a_block_that_its_own_test_runs(line: str) -> None:
    """`tests/trainer/callbacks` runs these blocks with the real libraries."""
    blocks = re.findall(r"```py\n(.*?)```", README, re.DOTALL)
    assert any(line in code for code in blocks)
