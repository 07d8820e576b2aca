"""What is recorded of a training: ids, guesses, metrics and settings, whatever the batches."""

import errno
import io
import json
import os
import re
import struct
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import duckdb
import numpy as np
import pytest
from needs_torch import torch  # noqa: F401 - networks are trained here
from PIL import Image
from sklearn.datasets import load_digits

from secondguess.analysis.cli import main
from secondguess.analysis.errors import AlreadyThere, BadInput, SecondguessError
from secondguess.analysis.moments import Moment
from secondguess.analysis.store import disk
from secondguess.analysis.store.runs import find_run
from secondguess.trainer.recorder import Recorder
from secondguess.trainer.reference import train as module
from secondguess.trainer.reference.aside import Aside
from secondguess.trainer.reference.datasets import load
from secondguess.trainer.reference.settings import Settings
from secondguess.trainer.reference.train import _config, train
from secondguess.trainer.reference.training import Training

SMALL = Settings(epochs=1, l1_size=4, l2_size=8, lr=0.01, wandb="off")


def rows(store: Path, run: str, table: str = "test_predictions") -> list[tuple[object, ...]]:
    disk = str(store / run / table / "*.parquet")
    return duckdb.execute("SELECT epoch, id, guess, truth FROM read_parquet(?) ORDER BY ALL", [disk]).fetchall()


@pytest.fixture(scope="module")
def recorded(tmp_path_factory) -> Path:
    """A store with two runs of the same seed that differ in their test batches, one of them with a train table."""
    store = tmp_path_factory.mktemp("store")
    train(replace(SMALL, store=str(store), run="by-64", epochs=2, train_table=True))
    train(replace(SMALL, store=str(store), run="by-100", epochs=2, test_batch_size=100))
    return store


def test_test_batches_of_64_and_100_give_the_same_ids_to_the_same_images(recorded):
    by_64, by_100 = rows(recorded, "by-64"), rows(recorded, "by-100")
    assert len(by_64) == len(by_100) == 2 * 899
    assert [(epoch, id) for epoch, id, *_ in by_64] == [(epoch, id) for epoch, id, *_ in by_100]
    assert by_64 == by_100, "the same network makes the same guess of the same image"

    digits = load_digits()
    (pictures,) = recorded.glob("examples/digits-test-*.parquet")  # one file: both runs saw the same images
    found = duckdb.execute("SELECT id, truth, image.bytes FROM read_parquet(?)", [str(pictures)]).fetchall()
    assert len(found) == 899
    for id, truth, png in found:
        place = int(id.removeprefix("digits-"))
        pixels = np.asarray(Image.open(io.BytesIO(png)))
        assert np.array_equal(pixels.squeeze(), np.rint(digits.images[place] * 255 / 16)), id
        assert truth == digits.target[place]


def test_what_is_recorded_is_what_the_training_alone_says(recorded):
    train_set, test_set = load("digits", "")
    training = Training(SMALL, train_set, classes=10)
    for epoch in (1, 2):
        list(training.steps())
        guesses = training.scores(test_set).argmax(1).tolist()
        assert [guess for e, _, guess, _ in rows(recorded, "by-64") if e == epoch] == guesses


def test_the_train_table_holds_every_training_example(recorded):
    found = rows(recorded, "by-64", "train_predictions")
    assert [(epoch, id) for epoch, id, *_ in found] == [
        (epoch, f"digits-{place:04d}") for epoch in (1, 2) for place in range(898)
    ]
    assert [truth for epoch, _, _, truth in found if epoch == 1] == load_digits().target[:898].tolist()
    assert not (recorded / "by-100" / "train_predictions").exists()


def test_the_config_has_the_tutorials_keys(recorded):
    config = json.loads((recorded / "by-100" / "run.json").read_text())["config"]
    assert config == {
        "epochs": 2,
        "batch_size": 32,
        "lr": 0.01,
        "l1_size": 4,
        "l2_size": 8,
        "conv_kernel": 5,
        "img_count": 899,
        "dataset": "digits",
        "seed": 0,
        "test_batch_size": 100,
    }


def test_loss_is_logged_at_each_step_and_accuracy_once_per_epoch_in_percent(recorded):
    disk = str(recorded / "by-100" / "metrics" / "*.parquet")
    read = "SELECT step, epoch, value FROM read_parquet(?) WHERE name = ? ORDER BY step"
    losses = duckdb.execute(read, [disk, "loss"]).fetchall()
    assert [step for step, _, _ in losses] == list(range(1, 59))
    assert losses[-1][2] < losses[0][2]
    wrong = [sum(g != t for e, _, g, t in rows(recorded, "by-100") if e == epoch) for epoch in (1, 2)]
    accuracies = duckdb.execute(read, [disk, "acc"]).fetchall()
    assert accuracies == [
        (29, 1, pytest.approx(100 - 100 * wrong[0] / 899)),
        (58, 2, pytest.approx(100 - 100 * wrong[1] / 899)),
    ]


def test_a_diverged_model_is_recorded_and_all_of_it_is_wrong(tmp_path):
    (epoch,) = train(replace(SMALL, store=str(tmp_path), lr=1e30))
    assert np.isnan(epoch.loss)
    assert (epoch.wrong, epoch.rows) == (899, 899)
    assert {guess for _, _, guess, _ in rows(tmp_path, "cnn")} == {None}


def test_a_run_that_exists_is_refused_and_replaced_when_asked(tmp_path, capsys):
    settings = replace(SMALL, store=str(tmp_path), run="mine")
    train(settings)
    capsys.readouterr()
    with pytest.raises(AlreadyThere, match="mine"):
        train(settings)
    assert "epoch" not in capsys.readouterr().err
    train(replace(settings, overwrite=True, epochs=2))
    assert {epoch for epoch, *_ in rows(tmp_path, "mine")} == {1, 2}


def test_missing_data_leave_no_run_behind(tmp_path):
    (tmp_path / "data").write_text("a file, so that nothing can be downloaded into it")
    with pytest.raises(BadInput, match="put MNIST's four raw files into"):
        train(replace(SMALL, dataset="mnist", data=str(tmp_path / "data"), store=str(tmp_path / "store")))
    assert not (tmp_path / "store").exists()


def fashion(folder: Path, side: int) -> Path:
    """Four examples of labels 0 to 3, in each split, as Fashion-MNIST's raw files."""
    for prefix in ("train", "t10k"):
        images = struct.pack(">4i", 2051, 4, side, side) + bytes(range(4 * side * side))
        (folder / f"{prefix}-images-idx3-ubyte").write_bytes(images)
        (folder / f"{prefix}-labels-idx1-ubyte").write_bytes(struct.pack(">2i", 2049, 4) + bytes(range(4)))
    return folder


def test_class_names_are_recorded_and_every_class_has_a_score(tmp_path):
    train(replace(SMALL, dataset="fashion-mnist", data=str(fashion(tmp_path, side=8)), store=str(tmp_path / "store")))
    found = rows(tmp_path / "store", "cnn")
    assert [(id, truth) for _, id, _, truth in found] == [
        ("test-00000", "T-shirt/top"),
        ("test-00001", "Trouser"),
        ("test-00002", "Pullover"),
        ("test-00003", "Dress"),
    ]
    disk = str(tmp_path / "store" / "cnn" / "test_predictions" / "*.parquet")
    columns = [name for name, *_ in duckdb.execute("DESCRIBE SELECT * FROM read_parquet(?)", [disk]).fetchall()]
    assert [name for name in columns if name.startswith("score_")] == [f"score_{i}" for i in range(10)]


def test_images_too_small_for_the_network_leave_no_run_behind(tmp_path):
    with pytest.raises(BadInput, match="the images are 3x3"):
        train(replace(SMALL, dataset="fashion-mnist", data=str(fashion(tmp_path, 3)), store=str(tmp_path / "store")))
    assert not (tmp_path / "store").exists()


def test_a_disk_that_is_full_during_an_epoch_costs_that_epoch_and_not_the_training(tmp_path, monkeypatch, capsys):
    real, full = os.write, iter([False] * 3 + [True])  # the run's record is written, the first table is not

    def write(handle, data):
        if next(full, False):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real(handle, data)

    monkeypatch.setattr(disk.os, "write", write)
    with pytest.raises(SecondguessError, match="not recorded: test_predictions@1; the other epochs are in"):
        train(replace(SMALL, store=str(tmp_path), run="full", epochs=2))
    assert {epoch for epoch, *_ in rows(tmp_path, "full")} == {2}
    assert (tmp_path / "full" / "commits" / "end.json").exists()
    assert "No space left on device" in capsys.readouterr().err


def test_what_is_recorded_beside_the_training_is_the_same(recorded, tmp_path, monkeypatch, capsys):
    """As on a GPU, where the next epoch trains meanwhile: rows, metrics, and the lines in order."""
    monkeypatch.setattr(module, "Aside", lambda in_thread: Aside(in_thread=not in_thread))
    train(replace(SMALL, store=str(tmp_path), run="by-64", epochs=2, train_table=True))
    for table in ("test_predictions", "train_predictions"):
        assert rows(tmp_path, "by-64", table) == rows(recorded, "by-64", table)
    metrics = "SELECT step, epoch, name, value FROM read_parquet(?) ORDER BY ALL"
    found = [
        duckdb.execute(metrics, [str(store / "by-64/metrics/*.parquet")]).fetchall() for store in (tmp_path, recorded)
    ]
    assert found[0] == found[1]
    assert re.findall(r"^epoch (\d) of 2", capsys.readouterr().err, re.MULTILINE) == ["1", "2"]


def test_precision_and_compilation_are_kept_where_they_are_unusual_and_resumed_alike(tmp_path):
    settings = replace(SMALL, store=str(tmp_path), precision="bf16")
    _, test_set = load("digits", "")
    assert _config(settings, test_set)["precision"] == "bf16"
    assert "compile" not in _config(settings, test_set)
    with Recorder(tmp_path, run="cnn", config=_config(settings, test_set)) as recorder:
        with recorder.table("test_predictions", epoch=1) as table:
            table.add(ids=["a"], guess=[0], truth=[0])
        recorder.close(finished=False)
    with pytest.raises(BadInput, match=r"was begun otherwise; resume it with --precision bf16$"):
        train(replace(settings, resume=True, precision="float32"))


class TestResume:
    """`--resume` goes on with an interrupted run: the same guesses as those of one that was never interrupted."""

    def interrupted(self, store: Path, after: int, run: str = "cut", **more: object) -> Settings:
        """The settings of a run of three epochs, which was killed after so many of them."""
        settings = replace(SMALL, store=str(store), run=run, epochs=3, **more)
        code = (
            "import os\nfrom secondguess.trainer.reference import train as module\n"
            "from secondguess.trainer.reference.settings import Settings\nreal, seen = module._record, []\n"
            "def record(recorder, table, number, scores):\n"
            f"    seen.append(1)\n    real(recorder, table, number, scores)\n    len(seen) == {after} and os._exit(9)\n"
            f"module._record = record\nmodule.train({settings!r})\n"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        assert done.returncode == 9, done.stderr
        return settings

    def test_it_ends_as_a_run_that_was_not_interrupted(self, tmp_path, capsys):
        settings = self.interrupted(tmp_path, after=2)
        with pytest.raises(AlreadyThere, match="go on with `secondguess train --resume`"):
            train(settings)
        assert [result.number for result in train(replace(settings, resume=True))] == [3]
        assert "cut has 2 of 3 epochs; they are trained again, and not recorded again" in capsys.readouterr().err
        train(replace(settings, run="whole"))
        assert rows(tmp_path, "cut") == rows(tmp_path, "whole")
        assert len(rows(tmp_path, "cut")) == 3 * 899
        metrics = "SELECT step, epoch, name, value FROM read_parquet(?) ORDER BY ALL"
        paths = [str(tmp_path / run / "metrics/*.parquet") for run in ("cut", "whole")]
        found = [duckdb.execute(metrics, [path]).fetchall() for path in paths]
        cut, whole = ([each for each in rows_ if each[2] == "acc" or each[0] > 2 * 29] for rows_ in found)
        assert cut == whole
        assert find_run(tmp_path, "cut").state == "finished"

    def test_a_table_that_the_last_epoch_lacks_is_recorded(self, tmp_path):
        settings = self.interrupted(tmp_path, after=3, train_table=True)  # of epoch 2 the test table alone
        assert {*find_run(tmp_path, "cut").tables["train_predictions"]} == {Moment(1)}
        train(replace(settings, resume=True))
        train(replace(settings, run="whole"))
        for table in ("test_predictions", "train_predictions"):
            assert rows(tmp_path, "cut", table) == rows(tmp_path, "whole", table)

    def test_other_settings_are_refused_with_those_that_it_was_begun_with(self, tmp_path):
        settings = self.interrupted(tmp_path, after=1)
        other = replace(settings, resume=True, lr=0.5, l2_size=16)
        with pytest.raises(BadInput, match=r"was begun otherwise; resume it with --lr 0.01 --l2-size 8"):
            train(other)
        with pytest.raises(BadInput, match="choose one"):
            replace(other, overwrite=True)
        assert find_run(tmp_path, "cut").state == "interrupted"
        assert len(train(replace(settings, resume=True, epochs=4))) == 3

    def test_a_run_that_is_not_there_is_begun_and_one_that_has_finished_is_said(self, tmp_path):
        new = replace(SMALL, store=str(tmp_path), run="new", resume=True)
        assert len(train(new)) == 1
        with pytest.raises(AlreadyThere, match="has finished and cannot be resumed"):
            train(new)

    def test_the_command_has_the_option(self, tmp_path, capsys):
        settings = self.interrupted(tmp_path, after=1)
        small = ["--l1-size", "4", "--l2-size", "8", "--lr", "0.01", "--wandb", "off", "--epochs", "3"]
        main(["train", "--run", "cut", "--resume", "--store", str(tmp_path), *small])
        assert "cut has 1 of 3 epochs" in capsys.readouterr().err
        assert len(rows(tmp_path, "cut")) == settings.epochs * 899


def test_img_count_is_what_is_recorded_where_wandb_gets_nothing(tmp_path):
    def counted(run: str) -> int:
        return json.loads((tmp_path / run / "run.json").read_text())["config"]["img_count"]

    train(replace(SMALL, store=str(tmp_path), run="off"))
    assert counted("off") == 899
    _, test_set = load("digits", "")
    said = {wandb: _config(replace(SMALL, wandb=wandb), test_set)["img_count"] for wandb in ("off", "offline")}
    assert said == {"off": 899, "offline": 320}
    assert _config(replace(SMALL, wandb="offline", wandb_rows=None), test_set)["img_count"] == 899
