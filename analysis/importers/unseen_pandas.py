"""Arrow without pandas, which it loads with its first array to know pandas' own types when it meets them."""

import sys
from importlib.machinery import ModuleSpec
from types import SimpleNamespace
from typing import Any

import pyarrow as pa


def keep_pandas_unseen() -> None:
    """Let Arrow take pandas for not installed, in this process: that is a sixth of a second for an import of one.

    Only for a process that has no pandas object to give to Arrow. Whoever asks Arrow for one still gets it.
    """
    if "pandas" in sys.modules:
        return
    hidden: Any = SimpleNamespace(find_spec=_find_no_pandas)
    sys.meta_path.insert(0, hidden)
    try:
        pa.array([0])  # Arrow looks once
    finally:
        sys.meta_path.remove(hidden)


def _find_no_pandas(name: str, path: object = None, target: object = None) -> ModuleSpec | None:
    if name == "pandas":
        raise ModuleNotFoundError("pandas is kept unseen", name=name)
    return None
