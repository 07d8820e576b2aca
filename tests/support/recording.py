"""Tiny stores of literal rows for the tests of the asking side."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from secondguess.trainer.recorder import Recorder

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


def bytes_of(folder: Path) -> dict[str, bytes]:
    """Every file below a folder, to see whether anything was written."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
