"""The columns of committed rows for tables elsewhere, which know numbers, texts, truth and JSON."""

import json
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import pyarrow as pa
import pyarrow.types as kinds

from secondguess.analysis.schema import ROW_COLUMNS, is_score


def columns(predictions: pa.Table) -> Mapping[str, pa.ChunkedArray]:
    """Id, guess, truth and scores, then the user's own columns; what a table elsewhere has no place for is text."""
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
