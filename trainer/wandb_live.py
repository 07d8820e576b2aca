"""A W&B run of the user's own, fed by a thread of this process."""

from __future__ import annotations

import importlib
import threading
from pathlib import Path
from typing import Any

from trainer.wandb_outbox import Outbox, describe

_JOIN_S = 0.5


class LiveFeed:
    """The thread that logs to a run which somebody else opened and will finish."""

    def __init__(self, live_run: Any, store: Path, run: str, rows: int | None, outbox: Outbox) -> None:
        self._live_run = live_run
        self._source = (store, run, rows)
        self._outbox = outbox
        self._thread = threading.Thread(target=self._run, name="secondguess-wandb-live", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Leaves the rest; a call that hangs inside W&B keeps its thread until the program ends."""
        self._outbox.stop()
        self._thread.join(_JOIN_S)

    def _run(self) -> None:
        outbox = self._outbox
        try:
            run_id, folder = getattr(self._live_run, "id", None), getattr(self._live_run, "dir", None)
            outbox.opened("live", run_id, Path(folder).parent if isinstance(folder, str) else None)
            # Imported here, in the thread, since it takes W&B's import with it.
            delivery: Any = importlib.import_module("trainer.wandb_delivery")
            committed = delivery.Committed(*self._source)
            while (batch := outbox.take()) is not None:
                delivery.deliver(batch, self._live_run, committed, outbox)
        except BaseException as fault:  # also what the delivery lets through: in this thread nobody else asks to stop
            outbox.fault("thread", f"W&B's thread ended ({describe(fault)}): the run is kept in Parquet only")
        finally:
            outbox.stop()
            outbox.ended.set()
