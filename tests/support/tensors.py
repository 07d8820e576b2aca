"""Tensors among a test's parameters: where there is no torch, those cases are skipped and say so."""

from collections.abc import Callable
from typing import Any

import pytest

torch: Any
try:
    import torch
except ModuleNotFoundError:
    torch = None

NEEDS_TORCH = "needs torch: pip install 'secondguess[train]'"


def with_torch(make: Callable[[Any], Any], *more: Any, id: str | None = None) -> Any:
    """A case whose first parameter is made with torch."""
    if torch is None:
        return pytest.param(None, *more, id=id, marks=pytest.mark.skip(reason=NEEDS_TORCH))
    return pytest.param(make(torch), *more, id=id)
