"""Committed rows as a `wandb.Table`."""

from __future__ import annotations

import io
from collections.abc import Callable

import pyarrow.types as kinds
import wandb
from PIL import Image
from wandb.sdk.data_types._dtypes import AnyType, UnknownType

from secondguess.analysis.store.rows import CommittedRows
from secondguess.trainer.mirror.cells import columns

_CHUNK = 250
_PNG_MODES = {"1", "L", "LA", "P", "RGB", "RGBA"}

Sign = Callable[[int], None]


def to_wandb_table(rows: CommittedRows, sign: Sign = lambda _: None) -> wandb.Table:
    """Returns the tutorial's columns `id, image, guess, truth, score_0 …`, then the user's own.

    `image` is there if the table has images, `truth` if it has labels. Images are handed over as 8-bit pixels.
    """
    cells = columns(rows.predictions)
    images = rows.images
    names = ["id", *(["image"] if images is not None else []), *(name for name in cells if name != "id")]
    count = rows.predictions.num_rows
    sign(count)
    # Else W&B fixes the type of a dict or list by its first row, and refuses a null or NaN inside a later one.
    types = [AnyType if name in cells and kinds.is_nested(cells[name].type) else UnknownType for name in names]
    table = wandb.Table(columns=[*names], data=[], dtype=types)
    for start in range(0, count, _CHUNK):
        chunk = {name: column[start : start + _CHUNK].to_pylist() for name, column in cells.items()}
        if images is not None:
            chunk["image"] = [_image(encoded) for encoded in images[start : start + _CHUNK]]
        for row in zip(*(chunk[name] for name in names), strict=True):
            table.add_data(*row)
        sign(count)
    return table


def _image(encoded: bytes | None) -> wandb.Image | None:
    if encoded is None:
        return None
    picture = Image.open(io.BytesIO(encoded))
    return wandb.Image(picture if picture.mode in _PNG_MODES else picture.convert("RGB"))
