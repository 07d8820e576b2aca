"""The README's lines for other loops, with the libraries themselves."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from many_ranks import read
from needs_torch import torch
from readme import block
from torch.utils.data import DataLoader, TensorDataset

import secondguess as sg
from secondguess.analysis.store.runs import find_run

VAL = "val_predictions"
EXAMPLES = 11
LOOP = Path(__file__).parents[2] / "support/accelerate_loop.py"


def expected() -> list[tuple[int, str, int]]:
    return [(epoch, str(n), n % 3) for epoch in (1, 2) for n in range(EXAMPLES)]


def pieces() -> dict[str, Any]:
    """A model and loaders of eleven examples in batches of 3."""
    torch.manual_seed(0)
    data = TensorDataset(torch.eye(EXAMPLES), torch.arange(EXAMPLES) % 3)
    loader = DataLoader(data, batch_size=3)
    return {"sg": sg, "torch": torch, "model": torch.nn.Linear(EXAMPLES, 3), "loader": loader, "train_loader": loader}


def told(model: Any) -> list[Any]:
    """What the model says now, of all examples at once."""
    with torch.no_grad():
        scores: list[Any] = torch.softmax(model(torch.eye(EXAMPLES)), 1).argmax(1).tolist()
    return scores


def test_a_validate_like_timms(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names = pieces()
    exec(block("def validate(model, loader, table)"), names)
    assert read(tmp_path / "predictions", "mine", VAL, "epoch, id, truth") == expected()
    assert [guess for (guess,) in read(tmp_path / "predictions", "mine", VAL, "guess")] == told(names["model"]) * 2


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_ignites_evaluator(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = pytest.importorskip("ignite.engine", reason="needs ignite: pip install pytorch-ignite")
    monkeypatch.chdir(tmp_path)
    names = pieces()
    optimizer = torch.optim.SGD(names["model"].parameters(), 0.1)
    trainer = engine.create_supervised_trainer(names["model"], optimizer, torch.nn.CrossEntropyLoss())
    events = {"Events": engine.Events, "create_supervised_evaluator": engine.create_supervised_evaluator}
    exec(block("create_supervised_evaluator"), names | events | {"trainer": trainer})
    assert read(tmp_path / "predictions", "mine", VAL, "epoch, id, truth") == expected()
    last = [guess for (guess,) in read(tmp_path / "predictions", "mine", VAL, "guess")][EXAMPLES:]
    assert last == told(names["model"])


@pytest.mark.slow
@pytest.mark.parametrize("count", [1, 2])
def test_accelerate_gathers_and_drops_what_it_repeats(tmp_path: Path, count: int) -> None:
    """Eleven examples in batches of 2: two processes see two of them twice."""
    pytest.importorskip("accelerate", reason="needs accelerate: pip install accelerate")
    home, folder = tmp_path / "home", tmp_path / "folder"
    home.mkdir()
    folder.mkdir()
    words = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(count), str(LOOP), str(folder)]
    environment = {**os.environ, "HOME": str(home), "OMP_NUM_THREADS": "1"}
    ran = subprocess.run([sys.executable, *words], env=environment, capture_output=True, text=True, timeout=240)
    assert ran.returncode == 0, ran.stderr
    rows = read(folder / "predictions", "mine", VAL, "epoch, id, truth")
    assert sorted(rows, key=lambda row: (row[0], int(row[1]))) == expected()
    assert find_run(folder / "predictions", "mine").state == "finished" and list(home.iterdir()) == []
