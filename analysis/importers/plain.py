"""What a run elsewhere says of itself, as our records can hold it: no NaN, no infinities, no halves of letters."""

import math
from collections.abc import Mapping
from typing import Any

from secondguess.analysis.importers.wandb.unicode import whole_text


def plain(value: Any) -> Any:
    """The value with its numbers that JSON lacks as text (`NaN`, `Infinity`), and text that UTF-8 can hold."""
    if isinstance(value, str):
        return whole_text(value)
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, Mapping):
        return {whole_text(str(key)): plain(one) for key, one in value.items()}
    return [plain(one) for one in value] if isinstance(value, list | tuple) else value
