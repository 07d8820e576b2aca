"""Verdicts in a foreign table: the column that says of each row whether it is right, as booleans."""

import pyarrow as pa
import pyarrow.compute as pc

from secondguess.analysis.errors import BadInput, listing
from secondguess.analysis.importers.classes import as_text

_RIGHT = ("true", "t", "1", "1.0", "yes", "y", "right", "correct", "c", "pass", "passed")
_WRONG = ("false", "f", "0", "0.0", "no", "n", "wrong", "incorrect", "i", "fail", "failed")
_SHOWN = 3


def verdicts(values: pa.Array, field: pa.Field) -> pa.Array:
    """Whether each row is right; NULL and NaN are no verdict. Raises BadInput for a value that is none, naming it."""
    if pa.types.is_null(values.type):
        return pa.nulls(len(values), pa.bool_())
    if pa.types.is_boolean(values.type):
        return values
    texts = as_text(values, field)
    words = pc.utf8_lower(pc.utf8_trim_whitespace(texts))
    right = pc.is_in(words, pa.array(_RIGHT))
    odd = texts.filter(pc.and_(texts.is_valid(), pc.invert(pc.or_(right, pc.is_in(words, pa.array(_WRONG))))))
    if len(odd):
        raise BadInput(
            f"column {field.name!r}, named for --right, holds {listing(odd.unique().slice(0, _SHOWN).to_pylist())}, "
            "neither right nor wrong; name a column of true and false, 1 and 0, yes and no, correct and incorrect"
        )
    return pc.if_else(texts.is_valid(), right, None)
