"""Files of lm-evaluation-harness samples as runs: one for each model, with a table for each task."""

import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from secondguess.analysis.errors import BadInput, SecondguessError
from secondguess.analysis.importers.evaluations.harness_samples import KEYS, read_samples
from secondguess.analysis.importers.files.json_lines import records
from secondguess.analysis.importers.files.unpacked import DataFile, stem_of
from secondguess.analysis.importers.source import SourceRun, SourceTable, once_read
from secondguess.analysis.importers.wandb.unicode import whole_text
from secondguess.analysis.opening import read_regular
from secondguess.analysis.schema import DEFAULT_TABLE

_DATE = r"\d{4}-\d{2}-\d{2}T\d{2}-\d{2}-\d{2}(?:\.\d+)?"
_SAMPLES = re.compile(rf"(?:pretrained__)?samples_(.+?)(?:_({_DATE}))?")
_RESULTS = re.compile(rf"results(?:_{_DATE})?|.+_{_DATE}")
_MOST_BYTES = 64 << 20
_LOOKED_AT = 20
_KEPT = ("model_name", "model_source", "limit", "bootstrap_iters", "lm_eval_version", "transformers_version", "date")


@dataclass(frozen=True)
class _Log:
    """One file of samples: its task and date as its name has them, the results beside it, what the model is called."""

    file: DataFile
    task: str | None
    date: str
    results: Mapping[str, Any]

    @property
    def model(self) -> str | None:
        """The model as the results name it, or the folder that lm_eval has named after it."""
        told = self.results.get("model_name") or _config(self.results).get("model_args")
        if isinstance(told, Mapping):
            told = told.get("pretrained") or told.get("model")
        folder = Path(self.file.name).absolute().parent.name
        return whole_text(str(told)) if told else folder if "__" in folder else None


def is_samples(file: DataFile) -> bool:
    """Whether a file holds samples of lm_eval: one of its first records has their keys."""
    if file.format not in {"json", "jsonl"}:
        return False
    with suppress(SecondguessError, OSError):
        return any(record.keys() >= KEYS for record in islice(records(file.path, file.name), _LOOKED_AT))
    return False


def is_results(file: DataFile) -> bool:
    """Whether a file holds the results of a whole run of lm_eval, which name no sample."""
    if file.format != "json" or not _RESULTS.fullmatch(stem_of(file.name)):
        return False
    return _is_results(_read(file.path))


def samples_within(folder: Path) -> list[str]:
    """The files of samples below the folder that are called as lm_eval calls them, by folder and date."""
    paths = [path for path in folder.rglob("samples_*.jsonl") if path.is_file()]
    paths = [path for path in paths if is_samples(DataFile(path, str(path), "jsonl"))]
    return [str(path) for path in sorted(paths, key=lambda path: (str(path.parent), _named(path.name)[1], path.name))]


def harness_runs(files: Sequence[DataFile], folder: Path) -> Iterator[SourceRun]:
    """The runs that the files hold: one for each model, each task once; what is there again is a further run.

    The folder must stay until they are imported. Raises Damaged, or BadInput for a file without samples.
    """
    logs = [_log(file) for file in files]
    several = len({Path(log.file.name).absolute().parent for log in logs}) > 1
    runs: list[tuple[str, dict[str, _Log]]] = []
    for log in logs:
        name = log.model or _name(log, several)
        task = log.task or DEFAULT_TABLE
        there = next((tasks for model, tasks in runs if model == name and task not in tasks), None)
        if there is None:
            there = {}
            runs.append((name, there))
        there[task] = log
    for name, tasks in runs:
        yield _run(name, tasks, folder)


def _name(log: _Log, several: bool) -> str:
    """What a run of an unknown model is called: as its file, or as its folder where there are several folders."""
    folder = Path(log.file.name).absolute().parent.name
    return folder if several and log.task is not None and folder else stem_of(log.file.name)


def _log(file: DataFile) -> _Log:
    task, date = _named(file.name)
    return _Log(file, task, date, _results(Path(file.name), date))


def _named(name: str) -> tuple[str | None, str]:
    """The task and the date in the name of a file of samples."""
    match = _SAMPLES.fullmatch(stem_of(Path(name).name))
    return (match[1], match[2] or "") if match else (None, "")


def _results(samples: Path, date: str) -> Mapping[str, Any]:
    """The results of the run that wrote the samples, which lie beside them; empty where they are not to be found."""
    beside = [path for path in samples.parent.glob("*.json") if _RESULTS.fullmatch(path.stem)]
    same = [path for path in beside if date and path.stem.endswith(date)]
    for path in same or (beside if len(beside) == 1 else []):
        results = _read(path)
        if _is_results(results):
            return results
    return {}


def _read(path: Path) -> Mapping[str, Any]:
    with suppress(SecondguessError, OSError, ValueError, RecursionError):
        results = json.loads(read_regular(path, _MOST_BYTES, links=True))
        return results if isinstance(results, dict) else {}
    return {}


def _is_results(results: Mapping[str, Any]) -> bool:
    return isinstance(results.get("results"), Mapping) and not {"configs", "config"}.isdisjoint(results)


def _config(results: Mapping[str, Any]) -> Mapping[str, Any]:
    config = results.get("config")
    return config if isinstance(config, Mapping) else {}


def _run(name: str, tasks: Mapping[str, _Log], folder: Path) -> SourceRun:
    tables: list[SourceTable] = []
    metrics: dict[str, str | None] = {}
    for task, log in tasks.items():
        samples = read_samples(log.file.path, log.file.name, folder, _filters(log))
        metrics[task] = samples.metric
        tables.append(SourceTable(task, None, None, once_read(samples.rows), {"path": Path(log.file.name).name}))
    places = [str(Path(log.file.name).absolute()) for log in tasks.values()]
    origin = {"kind": "lm-eval", "place": os.pathsep.join(places)}
    return SourceRun(name, origin, config=_about(tasks, metrics), tables=tables)


def _filters(log: _Log) -> list[str]:
    """The task's filters in the order in which they were put on; empty where the results do not say."""
    configs = log.results.get("configs")
    config = configs.get(log.task) if isinstance(configs, Mapping) else None
    if not isinstance(config, Mapping):
        return []
    told = config.get("filter_list")
    return [str(one["name"]) for one in told or () if isinstance(one, Mapping) and "name" in one] or ["none"]


def _about(tasks: Mapping[str, _Log], metrics: Mapping[str, str | None]) -> dict[str, Any]:
    """What the run's config says: model, task and metric, and how lm_eval was called; of several tasks by task."""
    logs = list(tasks.values())
    config: dict[str, Any] = {"model": logs[0].model}
    named = [log.task for log in logs if log.task is not None]
    config["task"] = named[0] if len(named) == 1 else named or None
    config["metric"] = next(iter(metrics.values())) if len(metrics) == 1 else dict(metrics)
    results = logs[0].results
    config |= {key: results[key] for key in _KEPT if results.get(key) is not None}
    config |= {key: value for key, value in _config(results).items() if value is not None and key not in config}
    if figures := {task: _figures(log) for task, log in tasks.items() if _figures(log)}:
        config["results"] = figures
    return {key: value for key, value in config.items() if value is not None}


def _figures(log: _Log) -> dict[str, Any]:
    """What lm_eval itself has found for the task, by metric and filter."""
    figures = log.results.get("results", {}).get(log.task)
    shots = log.results.get("n-shot", {}).get(log.task)
    told = {key: value for key, value in figures.items() if key != "alias"} if isinstance(figures, Mapping) else {}
    return told | ({"n-shot": shots} if shots is not None else {})


def left_out(file: DataFile) -> BadInput:
    """What to say of results that are given without samples."""
    return BadInput(
        f"{file.name} has the results of an lm_eval run, which name no sample; run lm_eval with --log_samples and "
        "import the samples_*.jsonl beside it"
    )
