"""What the process that asks W&B tells of its downloads."""

import contextlib
import os
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

from analysis.child import Events

_WATCH_S = 1.0
_SPARE_BYTES = 64 << 20  # what the SDK may write besides the files themselves


@contextlib.contextmanager
def watched(place: Path, cache: Path, size: int, events: Events) -> Iterator[None]:
    """Tell of progress as the folders grow, and end the process if they grow beyond what was announced."""
    over = threading.Event()

    def watch() -> None:
        seen = -1
        while not over.wait(_WATCH_S):
            now = _bytes_below(place) + _bytes_below(cache / "artifacts" / "tmp")
            if now > 2 * size + _SPARE_BYTES:
                events.send("failed", "Damaged", f"W&B sends more than the {size:,} bytes that its manifest announces")
                shutil.rmtree(place, ignore_errors=True)
                os._exit(1)
            if now != seen:
                seen = now
                events.send("sign")

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        over.set()
        watcher.join()


def _bytes_below(folder: Path) -> int:
    total = 0
    for place, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(OSError):
                total += os.stat(os.path.join(place, name)).st_size
    return total
