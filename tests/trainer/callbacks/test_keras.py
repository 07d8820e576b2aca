"""What a Keras model says of a data set at the end of each epoch becomes a table, on torch and on JAX."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pytest
from many_ranks import read
from scipy.special import softmax

from secondguess.analysis.content import decoded
from secondguess.analysis.store.runs import find_run

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(find_spec("keras") is None, reason="needs keras: pip install keras jax"),
]

VAL = "val_predictions"
EXAMPLES = 11
TRUTH = [n % 3 for n in range(EXAMPLES)]
LOOP = Path(__file__).parents[2] / "support/keras_loop.py"


@dataclass
class Ran:
    """What a training printed, what the logger said, and the store."""

    said: dict[str, Any]
    warnings: list[str]
    store: Path

    def scores(self, table: str = VAL) -> np.ndarray:
        return np.array(read(self.store, "k", table, "score_0, score_1, score_2"))

    def moments(self, run: str = "k", table: str = VAL) -> list[str]:
        return [str(moment) for moment in find_run(self.store, run).tables.get(table, {})]


CASES = [
    "usual",
    "logits",
    "refused",
    "strict",
    "normalised",
    "pydataset",
    "loader",
    "shuffling",
    "spent",
    "broken",
    "regression",
    "inputs",
    "evaluated",
    "readme",
]


@pytest.fixture(scope="module", params=["torch", "jax"])
def backend(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Ran]:
    """All cases in a process of its own, for a backend is chosen once; it writes nothing into the home folder."""
    if find_spec(request.param) is None:
        pytest.skip(f"needs {request.param}")
    folder = tmp_path_factory.mktemp(request.param)
    home = folder / "home"
    home.mkdir()
    own = {"KERAS_BACKEND": request.param, "JAX_PLATFORMS": "cpu", "HOME": str(home)}
    own |= {"KERAS_HOME": str(folder / "keras"), "MPLCONFIGDIR": str(folder / "matplotlib")}
    words = [sys.executable, str(LOOP), str(folder / "stores"), *CASES]
    done = subprocess.run(words, env={**os.environ, **own}, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    assert list(home.iterdir()) == []
    lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    assert {said["backend"] for said in lines} == {request.param}
    return {said["case"]: Ran(said, said["warnings"], folder / "stores" / said["case"]) for said in lines}


def test_each_epoch_is_recorded_whole_and_the_training_is_the_same(backend: dict[str, Ran]) -> None:
    done = backend["usual"]
    assert done.said["is_callback"] and done.said["same"]
    rows = read(done.store, "k", VAL, "epoch, id, truth")
    assert rows == [(epoch, str(n), TRUTH[n]) for epoch in (1, 2) for n in range(EXAMPLES)]
    assert np.allclose(done.scores()[EXAMPLES:], done.said["scores"], atol=1e-6)
    errors = [epoch.errors for epoch in find_run(done.store, "k").tables[VAL].values()]
    assert [1 - wrong / EXAMPLES for wrong in errors] == pytest.approx(done.said["accuracy"])
    assert read(done.store, "k", "test_predictions", "epoch, id, truth") == [(2, str(n), TRUTH[n]) for n in range(5)]
    run = find_run(done.store, "k")
    assert run.state == "finished"
    metrics = duckdb.sql(f"SELECT DISTINCT name, epoch FROM '{run.folder}/metrics/*.parquet'").fetchall()
    assert {("val_accuracy", 1), ("val_accuracy", 2), ("loss", 2)} <= set(metrics)
    files = [str(path) for path in (done.store / "examples").glob("*.parquet")]
    assert duckdb.sql(f"SELECT count(image.bytes) FROM read_parquet({files})").fetchall() == [(EXAMPLES + 5,)]


def test_the_readmes_line(backend: dict[str, Ran]) -> None:
    epochs = find_run(backend["readme"].store / "predictions", "k").tables[VAL]
    assert [epoch.rows for epoch in epochs.values()] == [EXAMPLES, EXAMPLES]


def test_logits_are_said_to_be(backend: dict[str, Ran]) -> None:
    done = backend["logits"]
    assert np.allclose(done.scores()[EXAMPLES:], softmax(np.array(done.said["outputs"]), axis=1), atol=1e-5)


def test_outputs_that_are_no_probabilities_are_refused_and_training_goes_on(backend: dict[str, Ran]) -> None:
    done = backend["refused"]
    assert done.said["epochs"] == 2 and done.moments() == []
    first, last = done.warnings
    assert "the model's outputs are no probabilities" in first and "say logits=True" in first
    assert last.startswith("run k: not recorded: k/val_predictions@1, k/val_predictions@2; of k/val_predictions@1")


def test_strict_stops_it(backend: dict[str, Ran]) -> None:
    assert "say logits=True" in backend["strict"].said["raised"]


def test_normalised_images_are_what_they_were(backend: dict[str, Ran]) -> None:
    done = backend["normalised"]
    files = [str(path) for path in (done.store / "examples").glob("*.parquet")]
    images = duckdb.sql(f"SELECT image.bytes FROM read_parquet({files}) ORDER BY id::INT").fetchall()
    assert [decoded(image)[:, :, 0].tolist() for (image,) in images] == done.said["pixels"]


def test_numbers_are_recorded_as_numbers(backend: dict[str, Ran]) -> None:
    done = backend["regression"]
    rows = read(done.store, "k", "test_predictions", "truth, guess")
    assert [truth for truth, _ in rows] == [truth / 4 for truth in TRUTH]
    assert np.allclose([guess for _, guess in rows], done.said["outputs"], atol=1e-6)


def test_inputs_and_outputs_of_other_forms(backend: dict[str, Ran]) -> None:
    done = backend["inputs"]
    assert [text for text in done.warnings if "ids are places" not in text] == []
    columns = "id, truth, score_0, score_1, score_2"
    frame, lists = (read(done.store, "k", table, columns) for table in ("frame", "lists"))
    assert frame == lists and [row[:2] for row in frame] == [(str(n), n % 3) for n in range(EXAMPLES)]
    for run in ("two", "listed"):
        assert read(done.store, run, "test_predictions", "id, truth") == [(str(n), n % 3) for n in range(EXAMPLES)]


def test_data_that_shuffle_are_refused_but_with_a_function_of_the_batch(backend: dict[str, Ran]) -> None:
    done = backend["shuffling"]
    assert done.moments(table=f"{VAL}_drawn") == [] and done.moments(table=f"{VAL}_in_order") == ["1", "2"]
    assert done.moments("ids", "test_predictions") == [] and done.moments("after") == []
    assert len([text for text in done.warnings if "training goes on: nothing says which" in text]) == 3
    assert "give data that does not shuffle (shuffle=False, as an attribute of a PyDataset, too" in done.warnings[0]
    rows = read(done.store, "fn", "test_predictions", "id, truth")
    kinds = ("cat", "dog", "hen")
    assert sorted(rows) == sorted((f"n{n}", kinds[n % 3]) for n in range(EXAMPLES))


def test_a_training_after_one_that_broke_off_in_the_same_process(backend: dict[str, Ran]) -> None:
    done = backend["broken"]
    assert done.moments() == ["1", "2"] and find_run(done.store, "k").state == "finished"


def test_data_without_rows_and_with_other_numbers_of_labels_are_refused(backend: dict[str, Ran]) -> None:
    done = backend["spent"]
    assert done.moments() == ["1"]
    said = [text for text in done.warnings if "is not recorded, and training goes on" in text]
    assert [text.split("goes on: ")[1][:40] for text in said] == [
        "no rows are left: a generator gives them",
        "the data set gave no rows",
        "x has 5 rows, y has 11; give a label for",
    ]


def test_evaluate_says_that_nothing_of_it_is_recorded(backend: dict[str, Ran]) -> None:
    (said,) = backend["evaluated"].warnings
    assert "KerasPredictions.record(model, (x_test, y_test)) records a test" in said


def test_a_pydataset_is_asked_in_order(backend: dict[str, Ran]) -> None:
    done = backend["pydataset"]
    kinds = ("cat", "dog", "hen")
    rows = read(done.store, "k", VAL, "id, truth")
    assert rows == [(str(n), kinds[n % 3]) for n in range(EXAMPLES)] * 2


def test_a_loader_in_order_one_that_shuffles_and_batches_that_ids_name(backend: dict[str, Ran]) -> None:
    done = backend["loader"]
    assert [name for (name,) in read(done.store, "k", f"{VAL}_in_order", "id")[:EXAMPLES]] == list(map(str, range(11)))
    assert done.moments(table=f"{VAL}_shuffled") == []
    assert any("nothing says which examples the rows are about" in text for text in done.warnings)
    rows = read(done.store, "named", "test_predictions", "id, truth")
    assert rows == [(f"n{n}", n % 3) for n in range(EXAMPLES)] and done.moments("named", "test_predictions") == ["1:0"]
