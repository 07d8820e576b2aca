"""`secondguess publish`: a run of the store to W&B or MLflow, and what of it arrived."""

import shlex
from dataclasses import replace
from pathlib import Path
from typing import Literal

import click

from secondguess.analysis.console import say
from secondguess.analysis.errors import BadInput, SecondguessError, counted
from secondguess.analysis.schema import STORE_OPTION
from secondguess.trainer.mirror.mirror import WandbOptions
from secondguess.trainer.mirror.outbox import MirrorReport


def _count_of(text: str) -> int | None:
    """A number of rows, or None for `all`."""
    if text == "all":
        return None
    if not text.isdecimal() or int(text) < 1:
        raise BadInput(f"--rows is {text!r}; it can be a number from 1, or all")
    return int(text)


_START_TIMEOUT_S = 60.0  # no training waits for it, only a person


@click.command(context_settings={"show_default": True})
@click.argument("run")
@click.option("--to", "where", type=click.Choice(["wandb", "mlflow"]), default="wandb", help="Whom to send it to.")
@click.option(
    "--rows", metavar="N|all", help="Rows of each table, from the first.  [default: all; 1000 with --to mlflow]"
)
@click.option(
    "--wandb", "mode", type=click.Choice(["offline", "online"]), help="Where W&B keeps the run.  [default: offline]"
)
@click.option("--project", default=WandbOptions.project, help="W&B's project for the run, or MLflow's experiment.")
@click.option(
    "--tracking-uri", "tracking", metavar="URI", help="MLflow's store or server.  [default: $MLFLOW_TRACKING_URI]"
)
@click.option(
    "--images", type=click.IntRange(min=0), metavar="N", help="Wrong images that MLflow gets.  [default: 100 a table]"
)
@click.option("--store", **STORE_OPTION)
def publish(
    run: str,
    where: str,
    rows: str | None,
    mode: Literal["offline", "online"] | None,
    project: str,
    tracking: str | None,
    images: int | None,
    store: Path,
) -> None:
    """Send a recorded run to W&B or MLflow, with all its tables and metrics.

    MLflow gets the config as parameters, each metric with its steps, a table for each epoch, and of the last epoch the
    wrong rows with their images, the most confident first. Its client finds the store as it always does.
    """
    if where == "mlflow":
        if mode is not None:
            raise BadInput(f"--wandb {mode} is for --to wandb; leave it out")
        _to_mlflow(run, rows, project, tracking, images, store.absolute())
        return
    if tracking is not None or images is not None:
        raise BadInput("--tracking-uri and --images are for --to mlflow")
    _to_wandb(run, _count_of(rows or "all"), mode or "offline", project, store.absolute())


def _to_wandb(run: str, rows: int | None, mode: Literal["offline", "online"], project: str, store: Path) -> None:
    options = WandbOptions(
        mode=mode, project=project, rows=rows, history_limit=1 << 62, start_timeout_s=_START_TIMEOUT_S
    )
    # Half a second of Arrow, which `--help` need not wait for.
    from secondguess.trainer.mirror import publish as sending

    published = sending.publish(store, run, options)
    report = published.report
    for line in summary(report, published.history_rows):
        say(line, err=True)
    if published.not_noted:
        say(f"run {run} does not say that it was published: {published.not_noted}", err=True)
    if report.mode != mode or report.tables_sent < report.tables_asked or report.history_dropped or report.faults:
        raise SecondguessError(report.faults[0] if report.faults else "W&B did not take all of the run")


def _to_mlflow(
    run: str, rows: str | None, experiment: str, tracking: str | None, images: int | None, store: Path
) -> None:
    from secondguess.trainer.mirror import mlflow

    usual = mlflow.MlflowOptions(experiment, tracking)
    options = replace(
        usual,
        rows=usual.rows if rows is None else _count_of(rows),
        images=usual.images if images is None else images,
    )
    for line in mlflow.publish(store, run, options).lines():
        say(line, err=True)


def summary(report: MirrorReport, history_rows: int) -> list[str]:
    """What was sent, and where it is: `5 tables, 10,000 of 10,000 rows each; 9,375 history rows`."""
    if report.mode is None:
        return ["nothing was sent: W&B did not start"]
    counts = {str(count) for count in report.rows.values()}
    each = (
        f", {counts.pop()} rows each"
        if len(counts) == 1
        else "".join(f", {count} rows of {table}" for table, count in report.rows.items())
    )
    asked, sent = report.tables_asked, report.tables_sent
    tables = counted(asked, "table") if sent == asked else f"{sent} of {asked} tables"
    history = history_rows - report.history_dropped
    lines = [f"{tables}{each}; {counted(history, 'history row')}"]
    where = f"run {report.wandb_id}, {report.mode}"
    lines.append(f"{where}: {report.folder}" if report.mode == "offline" else where)
    if report.mode == "offline":
        lines.append(f"to upload it: wandb sync {shlex.quote(str(report.folder))}")
    return lines
