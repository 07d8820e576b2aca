"""`secondguess demo`: what comes with the package, which is what its recipe trains."""

import json
import shutil
import zipfile
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from needs_torch import NEEDS_TORCH
from s3_server import bucket_url, s3_process, s3_server

import secondguess as sg
from secondguess.analysis.cli import main
from secondguess.analysis.commands.demo import MODELS
from secondguess.analysis.store.runs import list_runs

__all__ = ["bucket_url", "s3_process", "s3_server"]  # the fixtures
BUNDLED = files("secondguess.analysis") / "demo"


def demo(store: Path, *words: str) -> None:
    main(["demo", "--no-page", "--store", str(store), *words])


def refused(capsys: pytest.CaptureFixture[str], store: Path, *words: str) -> str:
    with pytest.raises(SystemExit):
        demo(store, *words)
    return capsys.readouterr().err


def test_two_models_and_five_epochs_of_899_digits_are_there(tmp_path: Path, capsys) -> None:
    """The errors are those that their training said; a second time nothing changes."""
    demo(tmp_path / "demo")
    told = capsys.readouterr().err
    assert told == f"{tmp_path / 'demo'} has cnn (5 epochs), double (5 epochs); ask it:\n"
    store = sg.connect(tmp_path / "demo")
    over = store.ask("errors-over-time", "cnn", "double").fetchall()
    assert [(run, errors, rows) for run, _, errors, _, rows, _ in over] == [
        *(("cnn", errors, 899) for errors in (80, 51, 45, 35, 46)),
        *(("double", errors, 899) for errors in (60, 46, 59, 43, 54)),
    ]
    assert store.table("cnn@5", where="wrong", columns="id,image", limit=1).fetchall()[0][1]["bytes"][:4] == b"\x89PNG"
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "demo").rglob("*.parquet")}
    demo(tmp_path / "demo")
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "demo").rglob("*.parquet")} == before


def test_it_goes_into_a_bucket_too(bucket_url: str, capsys) -> None:
    main(["demo", "--no-page", "--store", bucket_url])
    assert capsys.readouterr().err == f"{bucket_url} has cnn (5 epochs), double (5 epochs); ask it:\n"


def test_it_is_small(tmp_path: Path) -> None:
    assert sum(len((BUNDLED / f"{name}.zip").read_bytes()) for name in MODELS) < 1_000_000


@pytest.mark.parametrize("name", MODELS)
def test_its_config_is_the_recipes(name: str) -> None:
    """As `secondguess train` takes these options: `--l1-size 64` is l1_size 64."""
    with (BUNDLED / f"{name}.zip").open("rb") as file, zipfile.ZipFile(file) as package:
        about = json.loads(package.read(f"{name}/run.json"))
    config: dict[str, Any] = about["config"]
    said = dict(zip(MODELS[name][::2], MODELS[name][1::2], strict=True))
    own = {key.removeprefix("--").replace("-", "_"): float(value) for key, value in said.items()}
    usual = {"l1_size": 32, "l2_size": 64, "lr": 0.001, "epochs": 5, "batch_size": 32, "dataset": "digits", "seed": 0}
    assert {key: config[key] for key in usual} == {**usual, **own}
    assert about["provenance"]["git"]["changed"] is False


def test_a_store_with_other_runs_is_left_alone(tmp_path: Path, capsys) -> None:
    with sg.Recorder(tmp_path, run="mine") as recorder, recorder.table("t", epoch=1) as table:
        table.add(ids=["a"], truth=[0], guess=[0])
    assert "has runs of its own (mine); name another place: --store PATH" in refused(capsys, tmp_path)
    assert list(list_runs(tmp_path)) == ["mine"]


def test_half_a_demo_is_completed_and_a_broken_one_is_named(tmp_path: Path, capsys) -> None:
    tmp_path = tmp_path / "a demo"
    demo(tmp_path)
    shutil.rmtree(tmp_path / "double")
    demo(tmp_path)
    assert list(list_runs(tmp_path)) == ["cnn", "double"]
    shutil.rmtree(tmp_path / "cnn" / "commits")
    assert f"the run cnn in {tmp_path} is not whole; `secondguess rm cnn --store '{tmp_path}'`" in refused(
        capsys, tmp_path
    )


def test_what_it_cannot_do_is_said(tmp_path: Path, capsys, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert "'--epochs' is an option of training; add --train" in refused(capsys, tmp_path, "--", "--epochs", "3")
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "a file").touch()
    assert "a file is a file, not a folder; name another place: --store" in refused(capsys, tmp_path / "a file")
    demo(tmp_path / "a store")
    said = refused(capsys, tmp_path / "a store", "--train", "--", "--epochs", "1")
    again = f"secondguess demo --train --store '{tmp_path}/a store' -- --epochs 1 --overwrite"
    assert f"has cnn, double already; name another place: --store PATH; or anew: {again}\n" in said


def test_training_says_each_command_as_it_runs(tmp_path: Path, capsys) -> None:
    pytest.importorskip("torch", reason=NEEDS_TORCH)
    demo(tmp_path / "s", "--train", "--", "--epochs", "1", "--wandb", "off", "--batch-size", "256")
    said = capsys.readouterr().err
    assert f"secondguess train --run double {' '.join(MODELS['double'])} --epochs 1 --wandb off" in said
    assert {name: run.about["config"]["l1_size"] for name, run in list_runs(tmp_path / "s").items()} == {
        "cnn": 32,
        "double": 64,
    }
