"""Tiny stores of literal rows for the tests of the asking side."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from secondguess.trainer.recorder import Recorder

NAN = float("nan")
SaidRow = tuple[str, Any, Any]  # id, truth (None: unlabelled), and scores as a list or the guess itself


def record(
    store: Path,
    run: str,
    epochs: Mapping[int, Sequence[SaidRow]],
    *,
    table: str = "test_predictions",
    classes: Sequence[str] | None = None,
    dataset: str | None = None,
    content: Mapping[str, str] | None = None,
    labelled: bool = True,
    columns: Mapping[str, Sequence[Any]] | None = None,
    finish: bool = True,
) -> None:
    """Record a run of one table. content gives each id a text; columns holds one value per row, the same each epoch."""
    with_rest = {} if finish else {"resume": (store / run).exists()}
    recorder = Recorder(store, run=run, classes=classes, wandb="off", **with_rest)
    for epoch, rows in epochs.items():
        with recorder.table(table, epoch=epoch, dataset=dataset) as open_table:
            add(open_table, rows, content=content, labelled=labelled, columns=columns)
    recorder.close(finished=finish)


def add(
    table: Any,
    rows: Sequence[SaidRow],
    *,
    content: Mapping[str, str] | None = None,
    labelled: bool = True,
    columns: Mapping[str, Sequence[Any]] | None = None,
) -> None:
    """Add literal rows as one batch."""
    ids, truth, said = zip(*rows, strict=True)
    given: dict[str, Any] = {"ids": list(ids), **(columns or {})}
    if labelled:
        given["truth"] = list(truth)
    if content is not None:
        given["content"] = [content[name] for name in ids]
    if isinstance(said[0], list):
        table.add(scores=np.array(said, np.float32), **given)
    else:
        table.add(guess=list(said), **given)


TAGS = {  # id: truth, and what is guessed after one epoch and after two
    "a": (["cat", "dog"], ["cat"], ["cat", "dog"]),
    "b": ([], ["dog"], []),
    "c": (["dog"], ["dog"], ["cat", "dog"]),
    "d": (["fish"], [], None),
    "e": (None, ["cat"], ["cat"]),
}
PRICES = {"p": (1.5, 2.0, 1.75), "q": (4.0, 3.0, 4.5), "r": (2.5, 2.5, NAN), "s": (None, 1.0, 2.0)}


def record_tags(store: Path, run: str = "tags") -> None:
    """A multi-label run of the literal rows above."""
    _record_columns(store, run, TAGS, "multi-label")


def record_prices(store: Path, run: str = "price") -> None:
    """A run of regression of the literal rows above."""
    _record_columns(store, run, PRICES, "regression")


def _record_columns(store: Path, run: str, rows: Mapping[str, Sequence[Any]], task: Any) -> None:
    with Recorder(store, run=run, wandb="off") as recorder:
        for epoch in (1, 2):
            with recorder.table("test_predictions", epoch=epoch, task=task) as table:
                truth, guess = ([row[place] for row in rows.values()] for place in (0, epoch))
                table.add(ids=list(rows), truth=truth, guess=guess)


def bytes_of(folder: Path) -> dict[str, bytes]:
    """Every file below a folder, to see whether anything was written."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def like_digits(store: Path, run: str, seed: int) -> None:
    """Record 200 images of ten classes, of which fewer are taken for another in each epoch."""
    rows = 200
    images = np.random.default_rng(0).integers(0, 256, (rows, 8, 8), dtype=np.uint8)
    chance = np.random.default_rng(seed)
    with Recorder(store, run=run, config={"seed": seed}) as recorder:
        for epoch in range(1, 6):
            recorder.log(epoch=epoch, train_loss=1 / epoch)
            scores = chance.dirichlet([0.2] * 10, rows).astype(np.float32)
            right = chance.random(rows) < 0.5 + epoch / 12
            scores[right] = scores[right] / 4 + np.eye(10, dtype=np.float32)[np.arange(rows) % 10][right] * 0.75
            with recorder.table("test_predictions", epoch=epoch, dataset="digits-test", loss=1 / epoch) as table:
                table.add(
                    ids=[f"digits-{row}" for row in range(rows)],
                    images=images,
                    truth=np.arange(rows) % 10,
                    scores=scores / scores.sum(1, keepdims=True),
                )
