"""Committed rows as a `wandb.Table`."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import pyarrow as pa
import pyarrow.types as kinds
import wandb
from PIL import Image
from wandb.sdk.data_types._dtypes import AnyType, UnknownType

from secondguess.analysis.schema import ROW_COLUMNS, is_score
from secondguess.analysis.store.rows import CommittedRows

_CHUNK = 250
_PNG_MODES = {"1", "L", "LA", "P", "RGB", "RGBA"}

Sign = Callable[[int], None]


def to_wandb_table(rows: CommittedRows, sign: Sign = lambda _: None) -> wandb.Table:
    """Returns the tutorial's columns `id, image, guess, truth, score_0 …`, then the user's own.

    `image` is there if the table has images, `truth` if it has labels. Images are handed over as 8-bit pixels.
    """
    cells = _columns(rows.predictions)
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


def _columns(predictions: pa.Table) -> Mapping[str, pa.ChunkedArray]:
    names = predictions.column_names
    scores = [name for name in names if is_score(name)]
    own = [name for name in names if name not in ROW_COLUMNS and not is_score(name)]
    names = [name for name in ("id", "guess", "truth") if name in names] + scores + own
    return {name: _plain(predictions[name]) for name in names}


def _plain(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Returns a column whose values W&B takes; what it would refuse becomes text."""
    if kinds.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    text = _text(column)
    if text is None:
        return column
    return pa.chunked_array([[None if value is None else text(value) for value in column.to_pylist()]], pa.string())


def _text(column: pa.ChunkedArray) -> Callable[[Any], str] | None:
    kind = column.type
    if kinds.is_binary(kind) or kinds.is_large_binary(kind) or kinds.is_fixed_size_binary(kind):
        return bytes.hex
    if kinds.is_time(kind) or kinds.is_duration(kind):
        return str
    if kinds.is_nested(kind) and not _is_json(kind):
        return partial(json.dumps, default=str, ensure_ascii=False)
    return None


def _is_json(kind: pa.DataType) -> bool:
    """Returns whether values of that type are JSON all the way down, but for NaN and infinities, which W&B writes."""
    if kinds.is_struct(kind):
        return all(_is_json(field.type) for field in kind)
    if kinds.is_list(kind) or kinds.is_large_list(kind) or kinds.is_fixed_size_list(kind):
        return _is_json(kind.value_type)
    plain = (kinds.is_integer, kinds.is_floating, kinds.is_string, kinds.is_large_string, kinds.is_boolean)
    return kinds.is_null(kind) or any(is_plain(kind) for is_plain in plain)


def _image(encoded: bytes | None) -> wandb.Image | None:
    if encoded is None:
        return None
    picture = Image.open(io.BytesIO(encoded))
    return wandb.Image(picture if picture.mode in _PNG_MODES else picture.convert("RGB"))
