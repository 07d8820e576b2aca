"""The process that holds a W&B run, so that a W&B that hangs can be killed: JSON lines in, JSON lines out.

In: the run's start, then `{"rows": […]}` and `{"table": …}` as the outbox has them, last `{"finish": code}`.
Out: `failed`, `opened`, `rows_sent`, `table_sent`, `fault`, `sign`, `finished`; each is a sign of progress.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from secondguess.analysis.child import Events, private_pipes
from secondguess.analysis.moments import Moment
from secondguess.analysis.objects.path import place
from secondguess.trainer.mirror.outbox import ALLOWANCE_S, EpochTable, RowCount, RunStart, TimedRow, describe

_NICENESS = 10
_ORPHAN_CHECK_S = 1.0


class PipeAccount(Events):
    """The way back to the training, which the delivery tells what became of the messages."""

    stopped = False

    def __init__(self, descriptor: int) -> None:
        super().__init__(descriptor)
        self._last = time.monotonic()
        self._rows_ahead = 0

    def send(self, name: str, *values: object) -> None:
        """Writes one event."""
        self._last = time.monotonic()
        super().send(name, *values)

    def sign(self, rows_ahead: int = 0, note: str = "") -> None:
        """Tells of progress."""
        self._rows_ahead = rows_ahead
        self.send("sign", rows_ahead, note)

    def rows_sent(self, count: int) -> None:
        """Tells that W&B took `count` more history rows."""
        self.send("rows_sent", count)

    def table_sent(self, table: str, moment: Moment, count: RowCount) -> None:
        """Tells that W&B took a table."""
        self.sign()
        self.send("table_sent", table, moment.epoch, moment.step, count.sent, count.committed)

    def fault(self, kind: str, text: str) -> None:
        """Tells of a fault."""
        self.sign()
        self.send("fault", kind, text)

    def silence_s(self) -> float:
        """Returns the seconds since the last event, less what the table in work may take."""
        return time.monotonic() - self._last - self._rows_ahead * ALLOWANCE_S


def main() -> None:
    """Serves one run and ends."""
    # Raises SystemExit wherever this process is, so that a W&B that hangs may still write its log's end.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    parent = os.getppid()
    inbox, outbox = private_pipes()
    events = PipeAccount(outbox)
    lines = _lines(inbox, parent)
    first = next(lines, None)
    if first is None:
        return
    start = RunStart(**json.loads(first))
    threading.Thread(target=_end_with_the_training, args=(parent, start.patience_s, events), daemon=True).start()
    try:
        _serve(start, lines, events)
    finally:
        shutil.rmtree(start.temporary, ignore_errors=True)


def _lines(inbox: int, parent: int) -> Iterator[bytes]:
    """Yields lines until the training closes the pipe or dies; its own forks may hold the pipe open after it."""
    rest = b""
    while True:
        if not select.select([inbox], [], [], _ORPHAN_CHECK_S)[0]:
            if os.getppid() != parent:
                return
            continue
        data = os.read(inbox, 1 << 16)
        if not data:
            return
        *whole, rest = (rest + data).split(b"\n")
        yield from whole


def _end_with_the_training(parent: int, patience_s: float, events: PipeAccount) -> None:
    """Kills this process if the training is gone, so that nobody else can, and W&B hangs."""
    while True:
        time.sleep(_ORPHAN_CHECK_S)
        if os.getppid() != parent and events.silence_s() > patience_s:
            os.kill(os.getpid(), signal.SIGKILL)


def _serve(start: RunStart, lines: Iterator[bytes], events: PipeAccount) -> None:
    opened = _open(start, events)
    if opened is None:
        return
    wandb_run, delivery, run = opened
    committed = delivery.Committed(place(start.store), start.run, start.rows)
    exit_code = 1
    with contextlib.suppress(SystemExit):
        for line in lines:
            message = json.loads(line)
            if "finish" in message:
                exit_code = message["finish"]
                break
            delivery.deliver(_messages(message), run, committed, events)
            _clear(start.temporary)
    folder = wandb_run.folder(run)
    try:
        wandb_run.finish(run, exit_code, lambda note: events.sign(0, note))
    except BaseException as fault:
        events.fault("finish", f"W&B did not finish the run: {describe(fault)}")
    if not wandb_run.log_is_whole(folder):
        events.fault("log", f"W&B's own log of the run is damaged, perhaps by a full disk: {folder}")
    events.send("finished")


def _open(start: RunStart, events: PipeAccount) -> tuple[Any, Any, Any] | None:
    """Returns the modules that use W&B and the started run; None if that failed, which is told."""
    stage = "import"
    try:
        os.makedirs(start.temporary, 0o700, exist_ok=True)
        # Not through TMPDIR: wandb-core would put its socket there, and a socket's path has 107 characters at most.
        tempfile.tempdir = start.temporary
        # Imported this late so that a broken or hanging W&B is reported, and finds the pipes out of its reach.
        from secondguess.trainer.mirror import delivery
        from secondguess.trainer.mirror import run as wandb_run

        # Not before: beside a busy training a start of 2 s would take 20 s.
        os.nice(_NICENESS)
        stage = "start"
        run = wandb_run.open_run(start)
        events.send("opened", start.mode, run.id, str(wandb_run.folder(run)))
    except BaseException as fault:
        events.send("failed", stage, describe(fault))
        return None
    return wandb_run, delivery, run


def _clear(temporary: str) -> None:
    """Removes the images that W&B made and has copied to its staging folder; it would keep them until the end."""
    for file in Path(temporary).glob("*wandb-media/*"):
        file.unlink(missing_ok=True)


def _messages(message: Mapping[str, Any]) -> list[TimedRow | EpochTable]:
    """Returns the messages of one line, each with the time of its making as W&B's own `_timestamp`."""
    if "rows" in message:
        return [TimedRow({"_timestamp": row["time_s"], **row["values"]}, row["time_s"]) for row in message["rows"]]
    metrics = {"_timestamp": message["time_s"], **message["metrics"]}
    return [EpochTable(message["table"], message["epoch"], message["step"], metrics, message["time_s"])]


if __name__ == "__main__":
    main()
