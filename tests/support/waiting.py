"""Waiting for what must come, with a limit that only a hang reaches, however busy the machine is."""

import time
from collections.abc import Callable
from typing import Any

HANG_S = 240  # a test that waits without a limit is ended by pytest after 300
SOON_S = 10  # what takes a second, or five for a commit, on a machine that others use too
PATIENT: dict[str, Any] = {"start_timeout_s": HANG_S, "patience_s": HANG_S}
"""The options of a W&B mirror that only a hang makes impatient."""


def until(ready: Callable[[], object]) -> None:
    """Wait until something is so."""
    end = time.monotonic() + HANG_S
    while not ready():
        assert time.monotonic() < end, f"it was not so within {HANG_S} seconds"
        time.sleep(0.02)
