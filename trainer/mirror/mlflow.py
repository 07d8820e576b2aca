"""A recorded run as a run of MLflow's: its config, its metrics, a table for each epoch, and its wrong images."""

import io
import json
import posixpath
import re
import sqlite3
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from secondguess.analysis.errors import MissingExtra, NotFound, SecondguessError, counted, listing
from secondguess.analysis.moments import Moment
from secondguess.analysis.schema import CLASSES, MIRROR, at_epoch
from secondguess.analysis.store import records
from secondguess.analysis.store.commits import Metric, now
from secondguess.analysis.store.rows import CommittedRows, read_epoch, read_wrong
from secondguess.analysis.store.runs import Run, find_run
from secondguess.analysis.tracking import LISTED, OWN_METRICS, RENAMED, RUN_TAG, client, of_databases, quiet
from secondguess.trainer.mirror.cells import columns
from secondguess.trainer.mirror.publish import classes_of, metrics_of, noted

_METRICS_AT_ONCE, _PARAMS_AT_ONCE = 1_000, 100  # what MLflow takes in one request
_LONGEST_VALUE, _LONGEST_NAME = 6_000, 250  # characters, of which it keeps no more
_UNNAMEABLE = re.compile(r"[^\w\-. /]")


@dataclass(frozen=True)
class MlflowOptions:
    """Where to: a tracking address, None for MLflow's own choice, and an experiment; rows of each table, None for all.

    images is how many wrong rows of a table's last epoch come with their images, in a table of their own.
    """

    experiment: str
    tracking: str | None = None
    rows: int | None = 1_000
    images: int = 100


@dataclass
class Sent:
    """What MLflow has of the run: its id, and how many of how many rows each table has; notes say what is otherwise."""

    run_id: str
    place: str
    metrics: int = 0
    tables: dict[str, tuple[int, int]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def lines(self) -> list[str]:
        """The same for a person."""
        cut = {name: counts for name, counts in self.tables.items() if counts[0] < counts[1]}
        said = [f"{name}: {sent:,} of {rows:,} rows" for name, (sent, rows) in cut.items()]
        one = len(cut) == 1
        more = (
            f", of which {len(cut)} {'is' if one else 'are'} not whole ({listing(said, 3)})" if cut else ", each whole"
        )
        return [
            f"{counted(len(self.tables), 'table')}{more if self.tables else ''}; "
            f"{counted(self.metrics, 'value')} of metrics",
            f"run {self.run_id} in {self.place}",
            *self.notes,
        ]


def publish(store: Path, name: str, options: MlflowOptions) -> Sent:
    """Send a run as a new run of MLflow's.

    Raises NotFound for a run that is not there or has nothing committed, MissingExtra without MLflow's client,
    SecondguessError where MLflow refuses: what it has by then stays there, and is said.
    """
    make, fault = client("--to mlflow")
    if find_spec("pandas") is None:
        raise MissingExtra("pandas, in which --to mlflow hands over its tables,", "mlflow")
    run = find_run(store, name)
    metrics = metrics_of(run)
    if not run.tables and not metrics:
        raise NotFound(f"run {name!r} has no committed table and no metrics yet; nothing to publish")
    with quiet():
        try:
            mine = make(tracking_uri=options.tracking)
            place = str(mine.tracking_uri)
            sending = _Sending(mine, run, options, place)
        except (fault, *_broken()) as error:
            raise SecondguessError(f"MLflow's store cannot be opened: {_first_line(error)}") from None
        try:
            sending.all(metrics)
        except (fault, *_broken()) as error:
            with suppress(Exception):
                sending.end("FAILED")
            raise SecondguessError(
                f"MLflow did not take all of run {name!r}: {_first_line(error)}; what came is run {sending.sent.run_id}"
            ) from None
        except BaseException:
            with suppress(Exception):
                sending.end("FAILED")
            raise
        sending.end("FINISHED" if run.state == "finished" else "KILLED")
    about = {"run_id": sending.sent.run_id, "tracking": place, "published": now()}
    if not_noted := noted(run, f"mlflow-{sending.sent.run_id}", about):
        sending.sent.notes.append(f"run {name} does not say that it was published: {not_noted}")
    return sending.sent


def _broken() -> tuple[type[Exception], ...]:
    return (OSError, ValueError, sqlite3.Error, *of_databases())


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


class _Sending:
    """A run of MLflow's that is being written."""

    def __init__(self, mine: Any, run: Run, options: MlflowOptions, place: str) -> None:
        self._client, self._run, self._options = mine, run, options
        experiment = mine.get_experiment_by_name(options.experiment)
        number = experiment.experiment_id if experiment is not None else mine.create_experiment(options.experiment)
        tags = {RUN_TAG: run.name, "secondguess.store": str(run.store), "secondguess.state": run.state}
        made = mine.create_run(number, start_time=_milliseconds(run.started), run_name=run.name, tags=tags)
        self.sent = Sent(str(made.info.run_id), place, notes=list(_earlier(run, place)))
        self._listed: list[dict[str, Any]] = []
        self._renamed: dict[str, dict[str, str]] = {}

    def all(self, metrics: Sequence[Metric]) -> None:
        """Send all of it."""
        config = self._run.about.get("config")
        self._params(config if isinstance(config, Mapping) else {})
        self._metrics(metrics)
        for number, (table, epochs) in enumerate(self._run.tables.items()):
            folder = f"{re.sub(r'[^A-Za-z0-9_-]', '_', table)}{'' if self._is_plain(table) else f'-{number}'}"
            for moment in epochs:
                rows = read_epoch(self._run.store, self._run.name, table, moment, self._options.rows)
                self._table(rows, f"tables/{folder}/epoch-{moment.stem}.json", table, moment)
            self._wrong(table, max(epochs), folder)
        about = {"format": 1, "run": self._run.name, "config": config, "tables": self._listed, RENAMED: self._renamed}
        about |= {MIRROR: {CLASSES: list(names)}} if (names := classes_of(self._run)) else {}
        self._client.log_dict(self.sent.run_id, json.loads(json.dumps(about, default=str)), LISTED)

    def end(self, status: str) -> None:
        """End the run as MLflow calls it."""
        self._client.set_terminated(self.sent.run_id, status)

    @staticmethod
    def _is_plain(table: str) -> bool:
        return re.fullmatch(r"[A-Za-z0-9_-]+", table) is not None

    def _params(self, config: Mapping[str, Any]) -> None:
        from mlflow.entities import Param

        names = _names(config)
        texts = {
            key: value if isinstance(value, str) else json.dumps(value, default=str) for key, value in config.items()
        }
        params = [Param(names[key], text[:_LONGEST_VALUE]) for key, text in texts.items()]
        for start in range(0, len(params), _PARAMS_AT_ONCE):
            self._client.log_batch(self.sent.run_id, params=params[start : start + _PARAMS_AT_ONCE])
        self._say_renamed("parameters", names)
        if cut := [key for key, text in texts.items() if len(text) > _LONGEST_VALUE]:
            self.sent.notes.append(f"parameters of more than {_LONGEST_VALUE:,} characters were cut: {listing(cut, 4)}")

    def _metrics(self, metrics: Sequence[Metric]) -> None:
        from mlflow.entities import Metric as Value

        names = _names(dict.fromkeys(name for _, _, name, _ in metrics))
        at = int(time.time() * 1000)
        every = [
            Value(names[name], value, at, step if step is not None else epoch or 0)
            for step, epoch, name, value in metrics
        ]
        every += [
            Value(f"{OWN_METRICS}{_names([table])[table]}/error_rate", one.error_rate, at, one.epoch)
            for table, epochs in self._run.tables.items()
            for one in epochs.values()
            if one.error_rate is not None and one.step is None
        ]
        for start in range(0, len(every), _METRICS_AT_ONCE):
            self._client.log_batch(self.sent.run_id, metrics=every[start : start + _METRICS_AT_ONCE])
        self.sent.metrics = len(metrics)
        self._say_renamed("metrics", names)

    def _say_renamed(self, what: str, names: Mapping[str, str]) -> None:
        self._renamed[what] = {name: key for key, name in names.items() if key != name}
        if renamed := [f"{key} is {name}" for name, key in self._renamed[what].items()]:
            self.sent.notes.append(
                f"{what} whose names MLflow does not take are called otherwise: {listing(renamed, 4)}"
            )

    def _table(self, rows: CommittedRows, path: str, table: str, moment: Moment, kind: str = "rows") -> None:
        pictured = kind == "wrong" and rows.images is not None
        self._client.log_table(self.sent.run_id, _frame(rows, pictured=pictured), path)
        self._listed.append({"path": path, "table": table, "epoch": moment.epoch, "kind": kind})
        self._listed[-1] |= {"step": moment.step} if moment.step is not None else {}
        right = self._run.tables[table][moment].right
        self._listed[-1] |= {"right": right} if right is not None else {}
        if kind == "rows":
            self.sent.tables[at_epoch(table, moment)] = (rows.predictions.num_rows, rows.rows)
            if infinite := _infinite(rows.predictions):
                self.sent.notes.append(
                    f"{at_epoch(table, moment)}: MLflow's tables have no infinite numbers; those of "
                    f"{listing(infinite, 4)} are null there"
                )

    def _wrong(self, table: str, moment: Moment, folder: str) -> None:
        """The wrong rows of an epoch with their images, as far as they have one."""
        if not self._options.images:
            return
        rows = read_wrong(self._run.store, self._run.name, table, moment, self._options.images)
        if not rows.predictions.num_rows or rows.images is None:
            return
        there = [place for place, image in enumerate(rows.images) if image is not None]
        if not there:
            return
        shown = CommittedRows(rows.predictions.take(there), [rows.images[place] for place in there], rows.rows)
        self._table(shown, f"wrong/{folder}/epoch-{moment.stem}.json", table, moment, "wrong")
        self.sent.notes.append(
            f"{at_epoch(table, moment)}: {len(there):,} of {rows.rows:,} wrong rows, the most confident first, come "
            "with their images"
        )


def _earlier(run: Run, place: str) -> Iterable[str]:
    """Where the run was published to before."""
    for path in sorted(run.commits_folder.glob("mlflow-*.json")):
        with suppress(SecondguessError, OSError):
            said = records.read(path)
            where = "" if said.get("tracking") == place else f" in {said.get('tracking')}"
            when = said.get("published")
            yield f"it was published before, as run {said.get('run_id')}{where} ({when}); this is another"


def _milliseconds(started: str | None) -> int | None:
    with suppress(ValueError, TypeError):
        return int(datetime.fromisoformat(str(started)).timestamp() * 1000)
    return None


def _names(names: Iterable[str]) -> dict[str, str]:
    """Each name as MLflow takes it, which is that of a file, no two alike."""
    taken: dict[str, str] = {}
    for name in names:
        new = _UNNAMEABLE.sub("_", name)[: _LONGEST_NAME - 8] or "_"
        if posixpath.normpath(new) != new or new.startswith(("/", "..")) or new == ".":
            new = new.replace("/", "_").replace("..", "_").strip() or "_"
            new = "_" if new == "." else new
        free, number = new, 2
        while free in taken.values():
            free, number = f"{new}-{number}", number + 1
        taken[name] = free
    return taken


def _infinite(rows: pa.Table) -> list[str]:
    """The columns with numbers that JSON has no way to write, and MLflow writes as null."""
    reals = [name for name in rows.column_names if pa.types.is_floating(rows[name].type)]
    return [name for name in reals if pc.any(pc.is_inf(rows[name])).as_py()]


def _frame(rows: CommittedRows, *, pictured: bool) -> Any:
    """The rows as a DataFrame, with a column of images where they are to be shown."""
    import mlflow
    from PIL import Image

    cells = columns(rows.predictions)
    frame = pa.table(dict(cells)).to_pandas(integer_object_nulls=True)
    if pictured and rows.images is not None:
        pictures = [mlflow.Image(Image.open(io.BytesIO(image or b""))) for image in rows.images]
        frame.insert(1, "image", pictures)
    return frame
