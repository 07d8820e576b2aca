"""What waits for W&B, and the account of what became of it.

Weighed against `queue.Queue`, which wakes the other thread with every row, in a training's every step.
"""

from __future__ import annotations

import logging
import math
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from secondguess.analysis.moments import Moment
from secondguess.analysis.schema import at_epoch


@dataclass(frozen=True)
class RunStart:
    """What the child is told first; paths are absolute, times are seconds.

    folder is where W&B writes, temporary a folder of the child's own.
    """

    store: str
    folder: str
    run: str
    project: str
    config: Mapping[str, object]
    rows: int | None
    mode: Literal["offline", "online"]
    temporary: str
    start_timeout_s: float
    patience_s: float
    grace_s: float


HISTORY_LIMIT = 50_000
"""History rows that may wait; those that come while so many wait are dropped and counted. Tables are never dropped."""

_BATCH = 1_000
_TEXT_LIMIT = 300
_NAP_S = 0.1
ALLOWANCE_S = 0.02  # a row with a picture takes about 1 ms on an idle machine; the child runs beside a busy training

_log = logging.getLogger("secondguess")

Mode = Literal["offline", "online", "live"]


@dataclass(frozen=True)
class TimedRow:
    """One row of the run's history, and when it was logged, in seconds since 1970."""

    values: Mapping[str, object]
    time_s: float


@dataclass(frozen=True)
class EpochTable:
    """A committed table, to be one history row together with its epoch, its step within it if any, and metrics."""

    table: str
    epoch: int
    step: int | None
    metrics: Mapping[str, object]
    time_s: float

    @property
    def moment(self) -> Moment:
        """When the table was predicted."""
        return Moment(self.epoch, self.step)


@dataclass(frozen=True)
class RowCount:
    """How many of an epoch's committed rows W&B was given."""

    sent: int
    committed: int

    def __str__(self) -> str:
        return f"{self.sent:,} of {self.committed:,}"


@dataclass(frozen=True)
class MirrorReport:
    """What W&B got of a run, and what it did not.

    `mode` is the one really used, None if W&B never started; `rows` holds each table's last sent epoch;
    `history_dropped` counts the rows of `log` that W&B did not get, for whatever reason.
    """

    wandb_id: str | None
    mode: Mode | None
    folder: Path | None
    tables_asked: int
    tables_sent: int
    rows: Mapping[str, RowCount]
    history_asked: int
    history_dropped: int
    faults: tuple[str, ...]

    def about(self) -> dict[str, object]:
        """Returns the report as plain JSON values."""
        return {
            **asdict(self),
            "folder": self.folder and str(self.folder),
            "rows": {table: asdict(count) for table, count in self.rows.items()},
            "faults": list(self.faults),
        }


def describe(fault: BaseException) -> str:
    """Returns a fault's type and the first line of its text, even if its text cannot be made."""
    return "".join(traceback.format_exception_only(fault)).strip().partition("\n")[0][:_TEXT_LIMIT]


class Outbox:
    """The queue between a training and W&B, safe between threads; no call on the training's side waits for W&B."""

    def __init__(self, limit: int = HISTORY_LIMIT, clock: Callable[[], float] = time.monotonic) -> None:
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._limit = limit
        self._waiting: deque[TimedRow | EpochTable] = deque()
        self._exit_code: int | None = None
        self._stopped = False
        self._clock = clock
        self._last_sign = clock()
        self._rows_ahead = 0
        self._note = ""
        self._opened: tuple[Mode, str | None, Path | None] | None = None
        self._history_asked = 0
        self._history_sent = 0
        self._tables: dict[tuple[str, Moment], RowCount | None] = {}
        self._faults: dict[str, tuple[str, int]] = {}
        self.ended = threading.Event()

    def put_row(self, values: Mapping[str, object]) -> None:
        """Queues one history row, or counts it as dropped."""
        with self._lock:
            self._history_asked += 1
            room = len(self._waiting) < self._limit and not self._stopped
            if room:
                self._waiting.append(TimedRow(_with_text_keys(values), time.time()))
        if not room and not self._stopped:
            self.fault("queue", f"more than {self._limit:,} history rows waited for W&B; newer ones were dropped")

    def put_table(self, table: str, moment: Moment, metrics: Mapping[str, object]) -> None:
        """Queues one committed table."""
        with self._lock:
            self._tables[table, moment] = None
            if not self._stopped:
                self._waiting.append(
                    EpochTable(table, moment.epoch, moment.step, _with_text_keys(metrics), time.time())
                )
        self._wake.set()

    def close(self, exit_code: int) -> None:
        """Says that nothing more comes; patience is counted anew from here."""
        with self._lock:
            self._exit_code = exit_code
            self._last_sign = self._clock()
        self._wake.set()

    def stop(self) -> None:
        """Gives up on everything that still waits."""
        with self._lock:
            self._stopped = True
            self._waiting.clear()
        self._wake.set()

    def abandon(self) -> None:
        """Stops without waiting for anybody: the program ends at this moment, and nobody is told of faults any more."""
        self._stopped = True

    @property
    def stopped(self) -> bool:
        """Whether W&B was given up."""
        return self._stopped

    @property
    def exit_code(self) -> int | None:
        """How the run ended; None while it goes on."""
        return self._exit_code

    def take(self) -> list[TimedRow | EpochTable] | None:
        """Waits a moment for messages and hands over some, perhaps none; None when there will be no more."""
        # A nap instead of a wake-up for each row: rows come at every training step, and a switch of threads costs more.
        self._wake.wait(_NAP_S)
        with self._lock:
            self._wake.clear()
            if self._stopped or (self._exit_code is not None and not self._waiting):
                return None
            batch = [self._waiting.popleft() for _ in range(min(_BATCH, len(self._waiting)))]
            if self._waiting or self._exit_code is not None:
                self._wake.set()
            return batch

    def opened(self, mode: Mode, run_id: str | None, folder: Path | None) -> None:
        """Notes that W&B has started."""
        with self._lock:
            self._opened = (mode, run_id, folder)
        self.sign()
        if folder is not None:
            _log.info("W&B: %s run %s in %s", mode, run_id, folder)

    def sign(self, rows_ahead: int = 0, note: str = "") -> None:
        """Notes a sign of progress, with the rows of the table in work and what W&B says it is doing."""
        with self._lock:
            self._last_sign = self._clock()
            self._rows_ahead = rows_ahead
            self._note = note

    def rows_sent(self, count: int) -> None:
        """Notes that W&B took `count` more history rows."""
        with self._lock:
            self._history_sent += count
        self.sign()

    def table_sent(self, table: str, moment: Moment, count: RowCount) -> None:
        """Notes that W&B took a table."""
        with self._lock:
            self._tables[table, moment] = count
        self.sign()

    def fault(self, kind: str, text: str, level: int = logging.WARNING) -> None:
        """Counts a fault, which is a sign of progress too; the first of its kind is logged."""
        with self._lock:
            first, times = self._faults.get(kind, (text, 0))
            self._faults[kind] = (first, times + 1)
            self._last_sign = self._clock()
        if not times:
            _log.log(level, "%s", text)

    def patience_left(self, patience_s: float) -> float:
        """Returns the seconds until W&B counts as hanging; a table in work is given more, by its rows.

        Until W&B has started there is no end: who starts it has a limit of its own.
        """
        with self._lock:
            if self._opened is None:
                return math.inf
            return self._last_sign + patience_s + self._rows_ahead * ALLOWANCE_S - self._clock()

    def progress(self) -> tuple[int, int, str]:
        """Returns tables sent, tables asked and what W&B says it is doing."""
        with self._lock:
            return sum(sent is not None for sent in self._tables.values()), len(self._tables), self._note

    def missing(self) -> str:
        """Names what W&B has not got: `test_predictions@4, test_predictions@5, 12 history rows`; empty if nothing."""
        with self._lock:
            names = [at_epoch(table, epoch) for (table, epoch), sent in self._tables.items() if sent is None]
            rows = self._history_asked - self._history_sent
        return ", ".join(names + ([f"{rows:,} history row{'s'[: rows > 1]}"] if rows else []))

    def report(self) -> MirrorReport:
        """Returns the account so far."""
        with self._lock:
            mode, run_id, folder = self._opened or (None, None, None)
            sent = {table: count for (table, _), count in self._tables.items() if count is not None}
            return MirrorReport(
                wandb_id=run_id,
                mode=mode,
                folder=folder,
                tables_asked=len(self._tables),
                tables_sent=sum(count is not None for count in self._tables.values()),
                rows=sent,
                history_asked=self._history_asked,
                history_dropped=self._history_asked - self._history_sent,
                faults=tuple(f"{text} ({n} times)" if n > 1 else text for text, n in self._faults.values()),
            )


def _with_text_keys(values: Mapping[str, object]) -> dict[str, object]:
    return {str(key): value for key, value in values.items()}
