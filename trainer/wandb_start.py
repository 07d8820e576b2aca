"""How a W&B run in a process of its own is to begin."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class RunStart:
    """What the child is told first; paths are absolute, `temporary` is a folder of its own, times are seconds."""

    store: str
    run: str
    project: str
    config: Mapping[str, object]
    rows: int | None
    mode: Literal["offline", "online"]
    temporary: str
    start_timeout_s: float
    patience_s: float
    grace_s: float
