"""How much memory a process has, where the system says it."""

import os
from pathlib import Path


def mapped_bytes(process: int | None = None) -> int | None:
    """The address space of a process, of this one unless another is named; None where nothing says it."""
    return _bytes(process, 0)


def resident_bytes(process: int | None = None) -> int | None:
    """What of it is in memory."""
    return _bytes(process, 1)


def _bytes(process: int | None, which: int) -> int | None:
    try:
        pages = Path(f"/proc/{process or 'self'}/statm").read_text().split()
    except OSError:
        return None
    return int(pages[which]) * os.sysconf("SC_PAGE_SIZE") if pages else None  # of one that has just ended it is empty
