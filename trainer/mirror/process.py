"""The training's end of the child process: starts it, feeds it, kills it."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import sys
import threading
import uuid
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import groupby
from pathlib import Path
from typing import Any, Literal

from secondguess.analysis import child, signals
from secondguess.analysis.moments import Moment
from secondguess.trainer.mirror.outbox import EpochTable, Outbox, RowCount, RunStart, TimedRow

_JOIN_S = 5.0
_MOMENT_S = 0.3  # for W&B to write its log's end where a signal ends the program


class ProcessFeed:
    """A W&B run in a child process, and the thread that starts and feeds it."""

    def __init__(self, start: RunStart, outbox: Outbox) -> None:
        self._start = start
        self._outbox = outbox
        self._child: Child | None = None
        self._lock = threading.Lock()
        self._withdraw = signals.promise(self._kill)
        self._thread = threading.Thread(target=self._run, name="secondguess-wandb", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Kills the child if it still runs."""
        self._outbox.stop()
        with self._lock:
            if self._child is not None:
                self._child.kill()
        self._thread.join(_JOIN_S)
        self._withdraw()

    def _kill(self) -> None:
        self._outbox.abandon()
        if self._child is not None:
            self._child.kill(_MOMENT_S)
            self._child.clear()

    def _run(self) -> None:
        try:
            child = self._open()
            if child is not None:
                self._pump(child)
        finally:
            self._outbox.stop()
            self._outbox.ended.set()

    def _open(self) -> Child | None:
        """Returns a child whose run has started, offline if online does not work; None if neither does."""
        modes: tuple[Literal["online", "offline"], ...] = ("online", "offline")
        for mode in modes[self._start.mode == "offline" :]:
            self._outbox.sign()
            limit_s = self._start.start_timeout_s
            limit_s = limit_s if mode == "online" else max(limit_s, self._start.patience_s)
            child = self._launch(replace(self._start, mode=mode))
            if child is None:
                return None
            settled = child.settled.wait(limit_s)
            if child.opened:
                return child
            child.end()
            if self._outbox.stopped:
                return None
            reason = child.verdict() if settled else f"no answer in {limit_s:g} s"
            if (settled and child.stage == "import") or mode == "offline":
                self._outbox.fault("start", f"W&B did not start ({reason}): the run is kept in Parquet only")
                return None
            self._outbox.fault("online", f"W&B could not be reached ({reason}): its run is kept offline")
        return None

    def _launch(self, start: RunStart) -> Child | None:
        with self._lock:
            if self._outbox.stopped:
                return None
            try:
                self._child = Child(start, self._outbox)
            except OSError as fault:
                self._outbox.fault("start", f"W&B's process did not start ({fault}): the run is kept in Parquet only")
                return None
            return self._child

    def _pump(self, child: Child) -> None:
        while (batch := self._outbox.take()) is not None:
            if not all(child.send(message) for message in _messages(batch)):
                break
        else:
            child.send({"finish": self._outbox.exit_code})
        child.end(kill=False)
        if not child.finished and not self._outbox.stopped:
            lost = self._outbox.missing() or "the end of the run"
            self._outbox.fault("died", f"W&B's process died ({child.verdict()}); not in W&B: {lost}")


class Child:
    """One child process with its pipes and the thread that listens to it."""

    def __init__(self, start: RunStart, outbox: Outbox) -> None:
        self._outbox = outbox
        self._grace_s = start.grace_s
        self._temporary = f"{start.temporary}-{uuid.uuid4().hex}"
        first = {**vars(start), "config": dict(start.config), "temporary": self._temporary}
        self._failure = self.stage = ""
        self.opened = self.finished = False
        self.settled = threading.Event()
        self._process = child.start("secondguess.trainer.mirror.child", _environment(os.environ, Path(start.folder)))
        self._listener = threading.Thread(target=self._listen, name="secondguess-wandb-events", daemon=True)
        self._listener.start()
        self.send(first)

    def verdict(self) -> str:
        """Returns why it ended, in its own words if it had any."""
        return self._failure or f"exit code {self._process.returncode}"

    def send(self, message: Mapping[str, object]) -> bool:
        """Writes one message, however long that takes; returns whether the process was there to take it."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(child.line(message, _plain))
            self._process.stdin.flush()
        except OSError:
            return False
        return True

    def kill(self, grace_s: float | None = None) -> None:
        """Kills the process, after a moment for W&B to write its log's end; wandb-core ends by itself without it."""
        grace_s = self._grace_s if grace_s is None else grace_s
        for sent in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                if self._process.poll() is None:
                    os.killpg(self._process.pid, sent)
            self._listener.join(grace_s)

    def end(self, *, kill: bool = True) -> None:
        """Waits for the process to end, after killing it if asked to, and closes everything."""
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):
            self._process.stdin.close()
        if kill:
            self.kill()
        self._listener.join()
        self.clear()

    def clear(self) -> None:
        """Removes what the process kept for itself."""
        shutil.rmtree(self._temporary, ignore_errors=True)

    def _listen(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as lines:
            for line in lines:
                if (event := child.event(line)) is not None:
                    self._hear(*event)
        self._process.wait()
        self.settled.set()

    def _hear(self, event: str, *values: Any) -> None:
        outbox = self._outbox
        match event, values:
            case "opened", (mode, run_id, folder):
                outbox.opened(mode, run_id, Path(folder))
                self.opened = True
                self.settled.set()
            case "failed", (stage, text):
                self.stage, self._failure = stage, text
                self.settled.set()
            case "sign", (rows_ahead, note):
                outbox.sign(rows_ahead, note)
            case "rows_sent", (count,):
                outbox.rows_sent(count)
            case "table_sent", (table, epoch, step, sent, committed):
                outbox.table_sent(table, Moment(epoch, step), RowCount(sent, committed))
            case "fault", (kind, text) if not outbox.stopped:
                outbox.fault(kind, text)
            case "finished", ():
                self.finished = True


def _environment(inherited: Mapping[str, str], folder: Path) -> dict[str, str]:
    """Returns the environment in which W&B writes below `folder/wandb` only."""
    own = {
        "WANDB_DIR": str(folder),
        "WANDB_DATA_DIR": str(folder / "wandb" / "data"),
        "WANDB_CACHE_DIR": str(folder / "wandb" / "cache"),
        "WANDB_ARTIFACT_DIR": str(folder / "wandb" / "artifacts"),
        "WANDB_PROGRAM": inherited.get("WANDB_PROGRAM", (sys.argv or [""])[0]),
    }
    return child.environment(inherited, own)


def _messages(batch: Iterable[TimedRow | EpochTable]) -> Iterator[dict[str, object]]:
    """Yields what the child reads: neighbouring history rows together, each table by itself."""
    for is_row, group in groupby(batch, key=lambda message: isinstance(message, TimedRow)):
        if is_row:
            yield {"rows": [vars(message) for message in group]}
        else:
            yield from (vars(message) for message in group)


def _plain(value: Any) -> object:
    """Returns a number of NumPy or torch as Python's own."""
    try:
        return value.item()
    except (AttributeError, TypeError, ValueError, RuntimeError):
        return str(value)
