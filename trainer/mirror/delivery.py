"""Messages into a W&B run, one by one: the boundary where W&B's faults end."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import wandb

from secondguess.analysis.moments import Moment
from secondguess.analysis.schema import MIRROR_EPOCH, at_epoch
from secondguess.analysis.store.rows import read_epoch
from secondguess.trainer.mirror.outbox import EpochTable, RowCount, TimedRow, describe
from secondguess.trainer.mirror.table import to_wandb_table

_SIGN_EVERY_S = 0.2


class LoggingRun(Protocol):
    """The one method of a W&B run that the mirror needs."""

    def log(self, data: dict[str, object], /) -> object:
        """Adds one history row."""


class Account(Protocol):
    """Who is told what became of the messages."""

    @property
    def stopped(self) -> bool:
        """Whether nobody waits for the rest any more."""

    def sign(self, rows_ahead: int = 0, note: str = "") -> None:
        """Notes a sign of progress."""

    def rows_sent(self, count: int) -> None:
        """Notes that W&B took `count` more history rows."""

    def table_sent(self, table: str, moment: Moment, count: RowCount) -> None:
        """Notes that W&B took a table."""

    def fault(self, kind: str, text: str) -> None:
        """Counts a fault."""


@dataclass(frozen=True)
class Committed:
    """Where a run's committed tables lie, and how many rows of each are sent; None means all.

    in_live_run says that they go into a W&B run that somebody else opened, and that may count epochs its own way.
    """

    store: Path
    run: str
    rows: int | None
    in_live_run: bool = False


def deliver_config(about: Mapping[str, object], live_run: Any, to: Account) -> None:
    """Add to the config of a run that somebody else opened; whatever W&B raises is counted."""
    try:
        if about:
            live_run.config.update(dict(about), allow_val_change=True)
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as fault:
        to.fault("config", f"W&B did not take the names of the classes: {describe(fault)}")


def deliver(batch: Iterable[TimedRow | EpochTable], live_run: LoggingRun, committed: Committed, to: Account) -> None:
    """Logs each message as one history row; whatever W&B raises is counted and the next message tried."""
    sent, told = 0, time.monotonic()
    for message in batch:
        if to.stopped:
            return
        if isinstance(message, EpochTable):
            _deliver_table(message, live_run, committed, to)
            continue
        sent += _deliver_row(message.values, live_run, to)
        if time.monotonic() - told > _SIGN_EVERY_S:
            to.rows_sent(sent)
            sent, told = 0, time.monotonic()
    to.rows_sent(sent)


def _deliver_row(values: Mapping[str, object], live_run: LoggingRun, to: Account) -> bool:
    try:
        live_run.log(dict(values))
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as fault:
        to.fault(f"row {type(fault).__name__}", f"W&B refused a history row: {describe(fault)}")
        return False
    return True


def _deliver_table(message: EpochTable, live_run: LoggingRun, committed: Committed, to: Account) -> None:
    step = {} if message.step is None else {"step": message.step}
    own = {MIRROR_EPOCH: message.epoch} if committed.in_live_run else {}
    row: dict[str, object] = {"epoch": message.epoch, **own, **step, **message.metrics}
    # A longer table W&B would cut, with no more than a line in its own log.
    most = wandb.Table.MAX_ARTIFACT_ROWS
    limit = most if committed.rows is None else min(committed.rows, most)
    try:
        rows = read_epoch(committed.store, committed.run, message.table, message.moment, limit)
        table = to_wandb_table(rows, to.sign)
        live_run.log({message.table: table, **row})
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as fault:
        name = at_epoch(message.table, message.moment)
        to.fault(f"table {message.table} {type(fault).__name__}", f"W&B did not take {name}: {describe(fault)}")
        _deliver_row(row, live_run, to)
    else:
        to.table_sent(message.table, message.moment, RowCount(len(table.data), rows.rows))
