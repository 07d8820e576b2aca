"""A run's mirror in W&B: fed after the local commit, off the training's path, free to fail."""

from __future__ import annotations

import logging
import shlex
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from secondguess.analysis.child import require_wandb
from secondguess.analysis.moments import Moment
from secondguess.analysis.objects.path import ObjectPath
from secondguess.analysis.schema import CLASSES, MIRROR
from secondguess.trainer.mirror.outbox import HISTORY_LIMIT, MirrorReport, Outbox, RunStart, describe
from secondguess.trainer.mirror.process import ProcessFeed

__all__ = ["MirrorReport", "WandbMirror", "WandbOptions", "require_wandb"]

_LOOK_S = 0.1


@dataclass(frozen=True)
class WandbOptions:
    """What the mirror is to be.

    `rows`: rows of each table that are sent, from the first; None sends all.
    `history_limit`: history rows that may wait; those that come while so many wait are dropped and counted.
    `start_timeout_s`: an online start that is not ready by then goes offline.
    `patience_s`: how long `close` waits without any sign of progress before it gives up; a table in work gets more.
    `grace_s`: how long a W&B that was given up may take to write its log's end before it is killed.
    `clock`: what patience is measured by, in seconds.
    """

    mode: Literal["offline", "online"] = "offline"
    project: str = "table-quickstart"
    rows: int | None = 320
    start_timeout_s: float = 15.0
    patience_s: float = 60.0
    grace_s: float = 1.5
    history_limit: int = HISTORY_LIMIT
    clock: Callable[[], float] = time.monotonic


class _Feed(Protocol):
    def stop(self) -> None: ...


class WandbMirror:
    """An open mirror of one run. No call raises because of W&B, and none but `close` waits for it."""

    def __init__(
        self,
        target: WandbOptions | object,
        *,
        store: Path,
        run: str,
        config: Mapping[str, object],
        classes: Sequence[str] | None = None,
        options: WandbOptions | None = None,
    ) -> None:
        """Opens the mirror; the W&B run starts beside the training.

        Args:
            target: What W&B run to open, or the user's own open run, which is never finished here.
            store: Where it lies; W&B's files go to its folder `wandb`, of a bucket's to that of the working folder,
                and those of a run of the user's to neither.
            run: The run's name, in the store and in W&B.
            config: The run's config in W&B; a run of the user's keeps its own, to which the classes' names are added.
            classes: Their names, if they have some, which go into the config, for a table has no place for them.
            options: Rows and patience for a run of the user's.
        """
        self._options = target if isinstance(target, WandbOptions) else options or WandbOptions()
        self._outbox = Outbox(self._options.history_limit, self._options.clock)
        self._report: MirrorReport | None = None
        self._feed: _Feed
        if isinstance(target, WandbOptions):
            if classes is not None:
                config = {MIRROR: {CLASSES: [*classes]}, **config}
            self._feed = ProcessFeed(_run_start(target, store.absolute(), run, config), self._outbox)
        else:
            about = {MIRROR: {CLASSES: [*classes]}} if classes is not None else {}
            self._feed = LiveFeed(target, (store.absolute(), run, self._options.rows), about, self._outbox)

    def log(self, values: Mapping[str, float]) -> None:
        """Hands over one history row."""
        self._outbox.put_row(values)

    def table(self, table: str, moment: Moment, metrics: Mapping[str, float]) -> None:
        """Hands over a table that was committed: one history row with the table, `epoch` and the metrics.

        That of a step within the epoch has `step`, too.
        """
        self._outbox.put_table(table, moment, metrics)

    def close(self, exit_code: int = 0) -> MirrorReport:
        """Waits for W&B as long as it makes progress, and says what it got; a second call says the same.

        Ctrl-C leaves at once. The wait shows a bar where stderr is a terminal.
        """
        if self._report is None:
            self._outbox.close(exit_code)
            try:
                self._wait()
            except KeyboardInterrupt:
                self._leave("left", "W&B was left by Ctrl-C")
            self._feed.stop()
            self._report = self._outbox.report()
        return self._report

    def abandon(self) -> MirrorReport:
        """Leaves W&B at once, for the program is to end; the report says what W&B has not got."""
        if self._report is None:
            self._outbox.close(1)
            self._leave("left", "W&B was left, since the run was interrupted", logging.INFO)
            self._feed.stop()
            self._report = self._outbox.report()
        return self._report

    def _wait(self) -> None:
        with _bar() as show:
            while not self._outbox.ended.wait(_LOOK_S):
                show(*self._outbox.progress())
                if self._outbox.patience_left(self._options.patience_s) < 0:
                    self._leave("hang", f"W&B gave no sign of progress for {self._options.patience_s:g} s")
                    return

    def _leave(self, kind: str, why: str, level: int = logging.WARNING) -> None:
        lost = self._outbox.missing() or "the end of the run"
        so_far = self._outbox.report()
        command = f"wandb sync {shlex.quote(str(so_far.folder))}"
        sync = f"; to upload what waits there: {command}" if so_far.mode == "online" else ""
        self._outbox.fault(kind, f"{why}; not in W&B: {lost}; the local Parquet has everything{sync}", level)


@contextmanager
def _bar() -> Iterator[Callable[[int, int, str], None]]:
    """Gives a function that shows tables sent, tables asked and a note; it shows nothing where nobody looks."""
    console = Console(stderr=True)
    with Progress(
        TextColumn("W&B"),
        BarColumn(),
        TextColumn("{task.completed} of {task.total} tables"),
        TimeElapsedColumn(),
        TextColumn("{task.description}", markup=False),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    ) as progress:
        task = progress.add_task("", total=0)
        yield lambda sent, asked, note: progress.update(task, completed=sent, total=asked, description=note)


def _run_start(options: WandbOptions, store: Path, run: str, config: Mapping[str, object]) -> RunStart:
    folder = Path.cwd() if isinstance(store, ObjectPath) else store  # as W&B does where nobody says
    return RunStart(
        store=str(store),
        folder=str(folder),
        run=run,
        project=options.project,
        config=config,
        rows=options.rows,
        mode=options.mode,
        temporary=str(folder / "wandb" / "tmp"),
        start_timeout_s=options.start_timeout_s,
        patience_s=options.patience_s,
        grace_s=options.grace_s,
    )


_JOIN_S = 0.5


class LiveFeed:
    """The thread that logs to a run which somebody else opened and will finish."""

    def __init__(
        self, live_run: Any, source: tuple[Path, str, int | None], about: Mapping[str, object], outbox: Outbox
    ) -> None:
        """Log the committed rows of a source, (store, run, rows of a table); about is added to the run's config."""
        self._live_run = live_run
        self._source = source
        self._about = about
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
            from secondguess.trainer.mirror import delivery

            committed = delivery.Committed(*self._source, in_live_run=True)
            delivery.deliver_config(self._about, self._live_run, outbox)
            while (batch := outbox.take()) is not None:
                delivery.deliver(batch, self._live_run, committed, outbox)
        except BaseException as fault:  # also what the delivery lets through: in this thread nobody else asks to stop
            outbox.fault("thread", f"W&B's thread ended ({describe(fault)}): the run is kept in Parquet only")
        finally:
            outbox.stop()
            outbox.ended.set()
