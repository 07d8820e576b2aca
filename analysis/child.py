"""W&B's SDK in a process of its own: how it is started, its environment, its private pipes, JSON lines both ways.

Made of `subprocess` and pipes: `multiprocessing` would run the user's own main module again in the child, and asyncio's
subprocesses want a loop that neither a training nor the command line has.
"""

import contextlib
import importlib.util
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

from secondguess.analysis.errors import MissingExtra

Event = list[Any]
"""Its name, then its values."""

# Left in, the first would take the SDK into the caller's own W&B process, the others into the caller's own run.
_NOT_INHERITED = ("WANDB_SERVICE", "WANDB_RUN_ID", "WANDB_RESUME", "WANDB_MODE", "WANDB_NAME", "WANDB_DISABLED")


def require_wandb() -> None:
    """Raise MissingExtra if the package `wandb` is not installed."""
    if importlib.util.find_spec("wandb") is None:
        raise MissingExtra("wandb", "wandb")


def start(module: str, environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
    """A process that runs a module of ours, with pipes to and from it; raises OSError."""
    return subprocess.Popen(
        # Its own process group: a terminal's Ctrl-C is its parent's to answer. -P: no package of ours in the user's
        # folder.
        [sys.executable, "-P", "-m", module],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=environment,
        process_group=0,
    )


def environment(inherited: Mapping[str, str], own: Mapping[str, str], without: Collection[str] = ()) -> dict[str, str]:
    """The environment in which the SDK keeps to the folders that `own` names, asks nothing and shares nothing."""
    root = Path(__file__).absolute().parents[2]  # which holds the package, also where that is reached by a link
    path = [entry for entry in inherited.get("PYTHONPATH", "").split(os.pathsep) if entry]
    if root.name not in ("site-packages", "dist-packages"):
        path.append(str(root))
    return {
        **{name: value for name, value in inherited.items() if name not in {*_NOT_INHERITED, *without}},
        "PYTHONPATH": os.pathsep.join(path),
        **own,
        "WANDB_CONSOLE": "off",
        "WANDB_SILENT": "true",
        "WANDB_ERROR_REPORTING": "false",
    }


def private_pipes() -> tuple[int, int]:
    """Move both pipes, in and out, out of the reach of what the SDK prints, asks and starts; returns their ends."""
    inbox, outbox = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1, 2):
        os.dup2(nothing, standard)
    return inbox, outbox


def line(message: object, default: Callable[[Any], object] | None = None) -> bytes:
    """A message as it goes through a pipe; default is what becomes of a value that JSON has not."""
    return json.dumps(message, default=default).encode() + b"\n"


def event(text: bytes) -> Event | None:
    """The event that a line of the child's tells; None for what Python itself writes at its start."""
    parsed: Event | None = json.loads(text) if text.startswith(b'["') else None
    return parsed


class Events:
    """The child's way to whoever started it, safe between threads; nobody listening is no fault."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._lock = threading.Lock()

    def send(self, name: str, *values: object) -> None:
        """Write one event."""
        with self._lock, contextlib.suppress(OSError):
            os.write(self._descriptor, line([name, *values]))
