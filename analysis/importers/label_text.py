"""Ids and labels as text, as a person would write them down."""

import json
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

EXACT = float(1 << 53)
"""From here on, a float may stand for another whole number than was meant."""


def is_text(field: pa.Field) -> bool:
    """Whether a column is text in the source, or may be: cells of several kinds come as JSON text."""
    kind = field.type.value_type if pa.types.is_dictionary(field.type) else field.type
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def is_json(field: pa.Field) -> bool:
    """Whether the cells are JSON text, for want of one type that holds them all."""
    return (field.metadata or {}).get(b"json") == b"true"


def as_text(values: pa.Array, field: pa.Field) -> pa.Array:
    """A column as text: whole numbers without a point, NaN as NULL, text within JSON without its quotes.

    Bytes are the text they spell, or else hexadecimal digits.
    """
    if is_json(field):
        return pa.array([None if value is None else _bare(value) for value in values.to_pylist()], pa.string())
    if pa.types.is_nested(values.type) or pa.types.is_binary(values.type):
        return pa.array([None if value is None else _said(value) for value in values.to_pylist()], pa.string())
    if pa.types.is_floating(values.type):
        return _of_floats(values)
    return values.cast(pa.string())


def _of_floats(values: pa.Array) -> pa.Array:
    values = pc.if_else(pc.is_nan(values), None, values)
    numbers = values.fill_null(0).to_numpy(zero_copy_only=False)
    whole = pa.array((np.abs(numbers) < EXACT) & (numbers == np.trunc(numbers)))
    texts = pc.if_else(whole, values, None).cast(pa.int64()).cast(pa.string())
    return pc.coalesce(texts, values.cast(pa.string()))


def _said(value: Any) -> str:
    if not isinstance(value, bytes):
        return str(value)
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.hex()


def _bare(text: str) -> str:
    found: Any = json.loads(text) if text.startswith('"') else None
    return found if isinstance(found, str) else text
