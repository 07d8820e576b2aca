"""Second-guess your model: what it got wrong, how that changed, and which of two models to trust.

A name is imported when it is first used: who asks needs nothing of who records, and the other way round.
"""

from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from secondguess import callbacks
    from secondguess.analysis.connection import Connection, connect, views
    from secondguess.analysis.errors import SecondguessError
    from secondguess.trainer.record import record
    from secondguess.trainer.recorder import Recorder

__all__ = ["Connection", "Recorder", "SecondguessError", "callbacks", "connect", "record", "views"]

# What is said where the operating system has no locks of POSIX's, on which every record of a store stands.
ELSEWHERE = "secondguess runs on Linux and macOS, whose locks on files it counts on; on Windows use it in WSL"
RUNS_HERE = find_spec("fcntl") is not None


def __getattr__(name: str) -> object:
    if not RUNS_HERE and name in __all__:
        raise ImportError(ELSEWHERE)
    if name in {"connect", "Connection", "views"}:
        from secondguess.analysis import connection

        return getattr(connection, name)
    if name == "SecondguessError":
        from secondguess.analysis.errors import SecondguessError

        return SecondguessError
    if name == "Recorder":
        from secondguess.trainer.recorder import Recorder

        return Recorder
    if name == "record":
        from secondguess.trainer.record import record

        return record
    if name == "callbacks":
        return import_module("secondguess.callbacks")  # a module like any other: `import secondguess.callbacks` works
    raise AttributeError(f"module 'secondguess' has no attribute {name!r}; it has {', '.join(__all__)}")


def __dir__() -> list[str]:
    return sorted(__all__)
