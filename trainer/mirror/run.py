"""The mirror's own W&B run, inside the child process."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import wandb
from wandb.proto.wandb_internal_pb2 import Record  # type: ignore[attr-defined]  # made at run time

from secondguess.analysis.errors import Damaged
from secondguess.analysis.frames import check_header, frames
from secondguess.trainer.mirror.outbox import RunStart


def open_run(start: RunStart) -> wandb.Run:
    """Starts a run of its own, whatever other runs this machine or process has; raises what W&B raises."""
    wandb.Table.MAX_ROWS = wandb.Table.MAX_ARTIFACT_ROWS  # else the run folder's copy is cut at 10,000 rows in silence
    return wandb.init(
        project=start.project,
        name=start.run,
        config=dict(start.config),
        mode=start.mode,
        reinit="create_new",
        settings=wandb.Settings(console="off", x_disable_stats=True, init_timeout=start.start_timeout_s),
    )


def folder(run: wandb.Run) -> Path:
    """Returns the run's folder, the one that `wandb sync` takes."""
    return Path(run.dir).parent


def finish(run: wandb.Run, exit_code: int, sign: Callable[[str], None]) -> None:
    """Ends the run and waits until all is written or uploaded; `sign` is told whenever the work left changes."""
    _watch_uploads(sign)
    try:
        run.finish(exit_code=exit_code)
    finally:
        wandb.teardown(exit_code=exit_code)  # finish alone can return before the log's last records are on disk


def log_is_whole(folder: Path) -> bool:
    """Returns whether every checksum in the run's log is right and the log tells how the run ended.

    wandb-core says nothing when it cannot write.
    """
    ended = False
    for log in folder.glob("run-*.wandb"):
        try:
            with log.open("rb") as file:
                if check_header(file, log.name):
                    for frame in frames(file, log.name):
                        ended |= Record.FromString(frame.payload).HasField("exit")
        except Damaged:
            return False
    return ended


def _watch_uploads(sign: Callable[[str], None]) -> None:
    """Tells `sign` of every change in the list of uploads that the SDK draws while it finishes.

    The SDK has no public way to ask; where its drawing class has changed, the uploads only show no progress.
    """
    try:
        from wandb.sdk.lib.progress import ProgressPrinter as drawing

        draw = drawing.update
    except (ImportError, AttributeError):
        return
    seen: list[str] = [""]

    def update(self: Any, stats: Any) -> None:
        now = _work_left(stats)
        if now != seen[-1]:
            seen[-1] = now
            sign(now.partition(";")[0])
        draw(self, stats)

    drawing.update = update  # type: ignore[method-assign, assignment]


def _work_left(stats: Any) -> str:
    groups = stats if isinstance(stats, list) else [stats]
    work = [line for group in groups for line in _lines(getattr(group, "operations", ()))]
    more = sum(getattr(group, "total_operations", 0) - len(getattr(group, "operations", ())) for group in groups)
    return "; ".join(work) + (f" and {more} more" if more > 0 else "")


def _lines(operations: Any) -> Iterator[str]:
    for operation in operations:
        yield f"{operation.desc} {operation.progress}".strip()
        yield from _lines(operation.subtasks)
