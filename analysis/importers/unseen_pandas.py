"""Arrow without what an import has no use for: pandas, and the threads of NumPy's linear algebra.

Arrow loads pandas with its first array, to know pandas' own types when it meets them, and NumPy with itself. The
threads of NumPy's OpenBLAS wait for work by turning in circles: a tenth of a second of each other processor.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.machinery import ModuleSpec
from types import SimpleNamespace
from typing import Any

_THREADS = "OPENBLAS_NUM_THREADS"


def keep_pandas_unseen() -> None:
    """Load Arrow and let it take pandas for not installed, in this process: a quarter of a second for an import of one.

    Only for a process that has no pandas object to give to Arrow. Whoever asks Arrow for one still gets it.
    """
    with _one_thread():
        import pyarrow as pa
    if "pandas" in sys.modules:
        return
    hidden: Any = SimpleNamespace(find_spec=_find_no_pandas)
    sys.meta_path.insert(0, hidden)
    try:
        pa.array([0])  # Arrow looks once
    finally:
        sys.meta_path.remove(hidden)


@contextmanager
def _one_thread() -> Iterator[None]:
    """Let NumPy's linear algebra, if it is loaded now, have this thread only, unless the environment says how many."""
    if _THREADS in os.environ:
        yield
        return
    os.environ[_THREADS] = "1"  # read once, by the library as it is loaded; what is started later is not to inherit it
    try:
        yield
    finally:
        del os.environ[_THREADS]


def _find_no_pandas(name: str, path: object = None, target: object = None) -> ModuleSpec | None:
    if name == "pandas":
        raise ModuleNotFoundError("pandas is kept unseen", name=name)
    return None
