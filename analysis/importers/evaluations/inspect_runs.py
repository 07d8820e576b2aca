"""Inspect's logs as runs: one for each model, with a table for each task."""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from secondguess.analysis.console import say
from secondguess.analysis.errors import BadInput, Damaged
from secondguess.analysis.importers.evaluations.inspect_log import Head, Log, is_log
from secondguess.analysis.importers.evaluations.inspect_samples import Samples, read_samples
from secondguess.analysis.importers.files.unpacked import stem_of
from secondguess.analysis.importers.source import SourceRun, SourceTable, once_read
from secondguess.analysis.schema import DEFAULT_TABLE

_KEPT = ("model_args", "task_args", "task_version", "created", "eval_id", "run_id", "packages", "config")


@dataclass(frozen=True)
class _Read:
    """One log that was read."""

    log: Log
    head: Head
    samples: Samples


def logs_within(folder: Path) -> list[str]:
    """The logs of the folder, those called `.eval` in folders of it too, by name, which begins with their time."""
    paths = [path for path in (*folder.rglob("*.eval"), *folder.glob("*.json")) if path.is_file()]
    return [str(path) for path in sorted(paths) if is_log(path)]


def inspect_runs(names: Sequence[str], folder: Path) -> Iterator[SourceRun]:
    """The runs that the logs are: one for each model, each task once; what is there again is a further run.

    The folder must stay until they are imported. A log that cannot be read is left out and said, or, where it is the
    only one, raises Damaged or BadInput.
    """
    runs: list[tuple[str, dict[str, _Read]]] = []
    for name in names:
        try:
            log = Log(Path(name), name)
            head = log.head()
            read = _Read(log, head, read_samples(log, head, folder))
        except (Damaged, BadInput) as damage:
            if len(names) == 1:
                raise
            say(f"left out: {damage}", err=True)
            continue
        model, task = head.model or stem_of(name), head.task or DEFAULT_TABLE
        there = next((tasks for called, tasks in runs if called == model and task not in tasks), None)
        if there is None:
            there = {}
            runs.append((model, there))
        there[task] = read
    for model, tasks in runs:
        yield _run(model, tasks)


def _run(model: str, tasks: Mapping[str, _Read]) -> SourceRun:
    reads = list(tasks.values())
    tables = [
        SourceTable(task, None, None, once_read(read.samples.rows), {"path": Path(read.log.name).name})
        for task, read in tasks.items()
    ]
    places = os.pathsep.join(str(Path(read.log.name).absolute()) for read in reads)
    return SourceRun(
        model,
        {"kind": "inspect", "place": places, **_started(reads)},
        config=_about(model, tasks),
        tables=tables,
        finished=all(read.head.status == "success" for read in reads),
    )


def _started(reads: Sequence[_Read]) -> dict[str, str]:
    """When the first of its tasks began, where the logs say so."""
    times = [str(read.head.eval["created"]) for read in reads if read.head.eval.get("created")]
    return {"started": min(times)} if times else {}


def _about(model: str, tasks: Mapping[str, _Read]) -> dict[str, Any]:
    """What the run's config says: model, task and metric, and how it was asked; of several tasks by task."""
    metrics = {task: read.samples.scorer for task, read in tasks.items()}
    config: dict[str, Any] = {"model": model, "task": list(tasks), "metric": metrics}
    if len(tasks) == 1:
        config |= {"task": next(iter(tasks)), "metric": next(iter(metrics.values()))}
    first = next(iter(tasks.values())).head.eval
    config |= {f"inspect_{key}" if key == "config" else key: first[key] for key in _KEPT if first.get(key)}
    if results := {task: figures for task, read in tasks.items() if (figures := _figures(read.head))}:
        config["results"] = results
    return {key: value for key, value in config.items() if value is not None}


def _figures(head: Head) -> dict[str, Any]:
    """What Inspect itself has found for the task, by scorer and metric."""
    told = head.results.get("scores")
    figures: dict[str, Any] = {}
    for score in told if isinstance(told, list) else ():
        metrics = score.get("metrics") if isinstance(score, dict) else None
        for name, metric in metrics.items() if isinstance(metrics, dict) else ():
            figures[f"{score.get('name')},{name}"] = metric.get("value") if isinstance(metric, dict) else metric
    return figures
