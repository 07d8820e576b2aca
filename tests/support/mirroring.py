"""Short trainings that W&B mirrors, recorded with NumPy, as the tests and their child processes use them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from waiting import PATIENT

from secondguess.trainer.mirror.mirror import WandbOptions
from secondguess.trainer.mirror.outbox import MirrorReport
from secondguess.trainer.recorder import Recorder

ROWS, CLASSES = 12, 3
IMAGES = np.random.default_rng(0).integers(0, 256, (ROWS, 8, 8), dtype=np.uint8)
CONFIG = {"epochs": 2, "batch_size": 32, "lr": 0.001, "l1_size": 32, "l2_size": 64, "conv_kernel": 5, "img_count": 12}
TUTORIAL = ["id", "image", "guess", "truth", "score_0", "score_1", "score_2"]
OFFLINE, ONLINE = WandbOptions(**PATIENT), WandbOptions("online", **PATIENT)


def scores(epoch: int, rows: int = ROWS) -> Any:
    raw = np.random.default_rng(epoch).random((rows, CLASSES)).astype(np.float32)
    return raw / raw.sum(1, keepdims=True)


def truth(rows: int = ROWS) -> Any:
    return np.arange(rows) % CLASSES


def add(recorder: Recorder, epoch: int, name: str = "test_predictions", **extra: Any) -> None:
    with recorder.table(name, epoch=epoch, acc=90.0 + epoch) as table:
        ids = [f"t-{i}" for i in range(ROWS)]
        table.add(ids=ids, images=IMAGES, truth=truth(), scores=scores(epoch), **extra)


def nothing(_: Recorder) -> None:
    """What most trainings wait for before their end."""


def record(
    store: Path, wandb: Any, epochs: int = 2, run: str = "cnn", at_end: Callable[[Recorder], object] = nothing
) -> Recorder:
    """A training of three steps an epoch; fails if a W&B that hangs holds it up."""
    with Recorder(store, run=run, config=CONFIG, wandb=wandb) as recorder:
        for epoch in range(1, epochs + 1):
            for step in range(3):
                recorder.log(loss=1 / (epoch + step))
            add(recorder, epoch)
        at_end(recorder)
    return recorder


def local_epochs(store: Path, run: str = "cnn") -> list[int]:
    files = sorted((store / run / "test_predictions").glob("*.parquet"))
    return sorted({epoch for file in files for epoch in pq.read_table(file)["epoch"].to_pylist()})


def train(
    store: Path, wandb: Any, epochs: int = 2, run: str = "cnn", at_end: Callable[[Recorder], object] = nothing
) -> MirrorReport:
    """Records a training and returns what W&B got of it."""
    report = record(store, wandb, epochs, run, at_end).report
    assert report is not None
    assert local_epochs(store, run) == list(range(1, epochs + 1))
    return report


def so_far(recorder: Recorder) -> MirrorReport:
    """What W&B has got."""
    assert recorder._mirror is not None
    return recorder._mirror._outbox.report()
