"""A run of MLflow's with the tables that it has logged (`log_table`, `evaluate`), through MLflow's own client.

Nothing of MLflow's is changed: a database, which the client would bring up to its own version, is read from a copy, and
a place where there is no store is refused, since the client would make one there.
"""

import json
import math
import sqlite3
import sys
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pyarrow as pa
import pyarrow.compute as pc

from secondguess.analysis.errors import BadInput, Damaged, MissingExtra, NotFound, listing
from secondguess.analysis.importers.evaluations.judged import Row, kept
from secondguess.analysis.importers.files.columnar import read_parquet
from secondguess.analysis.importers.files.json_lines import read_json
from secondguess.analysis.importers.files.unpacked import format_by_name
from secondguess.analysis.importers.roles import Given
from secondguess.analysis.importers.shapes import Column, image, reshaped
from secondguess.analysis.importers.shapes import kept as as_is
from secondguess.analysis.importers.source import SourceRun, SourceTable, TableRows
from secondguess.analysis.importers.wandb.artifact import is_table
from secondguess.analysis.importers.wandb.table.text import open_table
from secondguess.analysis.opening import read_regular
from secondguess.analysis.schema import MIRROR
from secondguess.analysis.store.commits import Metric
from secondguess.analysis.tracking import LISTED, OWN_METRICS, RENAMED, RUN_TAG, client, of_databases, quiet

SCHEMES = ("mlruns:/", "runs:/")
_TABLES = {"runs", "experiments", "metrics"}
_IMAGES = "table_images"
_SQLITE = b"SQLite format 3\0"
_LONGEST = 64 << 20  # bytes of the list of tables
_MOST_ARTIFACTS = 100_000


def is_mlflow(source: str) -> bool:
    """Whether a source names a run of MLflow's: `mlruns:/RUN`, by its id or its name."""
    return source.startswith(SCHEMES)


def store_at(path: Path) -> str | None:
    """The address of the store of MLflow's that a database is, or a folder is or has in it beside no data files."""
    if path.is_file():
        return f"sqlite:///{path.absolute()}" if _is_database(path) else None
    if any(format_by_name(inner.name) is not None for inner in path.iterdir() if inner.is_file()):
        return None
    beside = path.absolute().parent if path.absolute().name == "mlruns" else path.absolute()
    if (beside / "mlflow.db").is_file():
        return f"sqlite:///{beside / 'mlflow.db'}"
    places = (path.absolute(), path.absolute() / "mlruns")
    return next((str(place) for place in places if any(place.glob("*/meta.yaml"))), None)


def _is_database(path: Path) -> bool:
    with path.open("rb") as file:
        if file.read(len(_SQLITE)) != _SQLITE:
            return False
    with suppress(sqlite3.Error), closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as theirs:
        return _tables_of(theirs) >= _TABLES
    return False


def _tables_of(database: sqlite3.Connection) -> set[str]:
    return {str(name) for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}


def mlflow_run(source: str, folder: Path, tracking: str | None) -> SourceRun:
    """The run with its tables, which are put into the folder; it must stay until the run is imported.

    tracking is where MLflow's store is, as MLFLOW_TRACKING_URI says it; None for the one in the current folder. Raises
    MissingExtra without MLflow's client, NotFound for what is not there, BadInput for a run without tables, Damaged.
    """
    wanted = next(source.removeprefix(scheme) for scheme in SCHEMES if source.startswith(scheme)).strip("/")
    if not wanted:
        raise BadInput(f"{source} names no run; write mlruns:/RUN, by its id or its name")
    broken: tuple[type[Exception], ...] = (OSError, sqlite3.Error, *of_databases())
    with quiet():
        client_of, fault = client("mlruns:/")
        try:
            with _readable(tracking, folder) as uri:
                return _Reading(client_of(tracking_uri=uri), fault, tracking or str(Path.cwd())).run(wanted, folder)
        except fault as error:
            raise NotFound(f"{source}: {str(error).splitlines()[0]}") from None
        except broken as error:
            raise Damaged(f"{source}: MLflow's store cannot be read: {str(error).splitlines()[0]}") from None


@contextmanager
def _readable(tracking: str | None, folder: Path) -> Iterator[str]:
    """The address of a store that the client may open without changing anything of it."""
    if not tracking:
        database, files = Path("mlflow.db").absolute(), Path("mlruns").absolute()
        if not database.is_file() and not files.is_dir():
            raise NotFound(
                f"no MLflow store in {Path.cwd()}: neither mlflow.db nor mlruns; go to its folder, or name it: "
                "MLFLOW_TRACKING_URI=… secondguess import mlruns:/RUN"
            )
        tracking = f"sqlite:///{database}" if database.is_file() else str(files)
    parts = urlsplit(tracking)
    if parts.scheme == "sqlite":
        if not of_databases():
            raise MissingExtra("SQLAlchemy or Alembic, which MLflow's database needs,", "mlflow")
        yield f"sqlite:///{_copied(Path(unquote(parts.path).removeprefix('/')), folder, tracking)}"
        return
    if parts.scheme in {"", "file"} and not (place := Path(unquote(parts.path))).is_dir():
        raise NotFound(f"no folder {place}, where MLFLOW_TRACKING_URI says that MLflow's store is")
    yield tracking


def _copied(database: Path, folder: Path, tracking: str) -> Path:
    if not database.is_file():
        raise NotFound(f"no file {database}, where {tracking} says that MLflow's store is")
    copy = folder / "mlflow.db"
    with closing(sqlite3.connect(f"{database.absolute().as_uri()}?mode=ro", uri=True)) as theirs:
        if missing := sorted(_TABLES - _tables_of(theirs)):
            raise BadInput(f"{database} is no store of MLflow's: it has no tables {listing(missing)}")
        with closing(sqlite3.connect(copy)) as ours:
            theirs.backup(ours)
    return copy


@dataclass(frozen=True)
class _Reading:
    """A store of MLflow's, open; fault is what its client raises, place what the store is called."""

    client: Any
    fault: Any
    place: str

    def run(self, wanted: str, folder: Path) -> SourceRun:
        """The run of that id or name, with its tables."""
        theirs = self._named(wanted)
        id_ = str(theirs.info.run_id)
        names = sorted(self._artifacts(id_, ""))
        logged = self._logged(theirs)
        listed = self._listed(theirs, folder) if LISTED in names else {}
        likely = [
            name
            for name in names
            if (name.endswith(".json") and name != LISTED) or (name in logged and name.endswith(".parquet"))
        ]
        tables = [table for name in likely for table in self._tables(id_, name, folder)]
        tables = _as_listed(tables, listed)
        if not tables:
            raise BadInput(
                f"run {wanted} of MLflow's has no table (mlflow.log_table, mlflow.evaluate); its artifacts: "
                f"{listing(names, 6) or 'none'}"
            )
        return SourceRun(
            name=str(theirs.info.run_name or id_),
            origin={"kind": "mlflow", "id": id_, "place": self.place, **_started(theirs.info.start_time)},
            config={**_foreign(theirs.data.params, listed), **_config(listed)},
            metrics=partial(iter, self._metrics(id_, theirs.data.metrics, listed)),
            tables=tables,
            finished=str(theirs.info.status) == "FINISHED",
        )

    def _named(self, wanted: str) -> Any:
        experiments = [one.experiment_id for one in self.client.search_experiments()]
        by_name = [run for some in _chunks(experiments) for run in self._called(some, wanted)]
        if len(by_name) > 1:
            ids = [str(run.info.run_id) for run in by_name]
            commands = "; or ".join(f"secondguess import mlruns:/{id_}" for id_ in ids[:3])
            raise BadInput(f"{len(ids)} runs of MLflow's are called {wanted!r}; name one by its id: {commands}")
        if by_name:
            return by_name[0]
        try:
            return self.client.get_run(wanted)
        except self.fault:
            known = [run for some in _chunks(experiments) for run in self.client.search_runs(some, max_results=7)]
            names = listing([run.info.run_name or run.info.run_id for run in known], 6)
            raise NotFound(f"no run {wanted!r} in MLflow's store {self.place}; it has: {names or 'none'}") from None

    def _called(self, experiments: list[str], name: str) -> list[Any]:
        quote = next((sign for sign in "'\"" if sign not in name), None)
        if quote is None:  # a text that MLflow's filters have no way to spell
            return [run for run in self._every(experiments) if run.info.run_name == name]
        asked = f"attributes.run_name = {quote}{name}{quote}"
        return list(self.client.search_runs(experiments, filter_string=asked, max_results=10))

    def _every(self, experiments: list[str]) -> Iterator[Any]:
        token = None
        while True:
            some = self.client.search_runs(experiments, page_token=token)
            yield from some
            if not (token := some.token):
                return

    def _artifacts(self, run: str, folder: str) -> Iterator[str]:
        """The paths of the run's artifacts, those in folders too."""
        waiting, count = [folder], 0
        while waiting and count < _MOST_ARTIFACTS:
            for about in self.client.list_artifacts(run, waiting.pop() or None):
                count += 1
                if about.is_dir:
                    waiting.append(about.path)
                else:
                    yield str(about.path)

    def _tables(self, run: str, name: str, folder: Path) -> Iterator[SourceTable]:
        """The artifact as a table, if it is one: columns, and the rows of their values."""
        place = folder / "mlflow"
        own = place / f"table-{len(list(place.glob('table-*')))}"  # tables in several folders may be called alike
        own.mkdir(parents=True)
        path = Path(self.client.download_artifacts(run, name, str(own))).absolute()
        if path.suffix == ".parquet" or is_table(path):
            read = partial(_rows, path, name, folder, partial(self._images, run, place))
            yield SourceTable(name.removesuffix(path.suffix), None, None, read, {"path": name})

    def _listed(self, theirs: Any, folder: Path) -> Mapping[str, Any]:
        """What a run of ours that was published says of its tables; nothing of another one."""
        if RUN_TAG not in theirs.data.tags:
            return {}
        (folder / "listed").mkdir(exist_ok=True)
        path = self.client.download_artifacts(str(theirs.info.run_id), LISTED, str(folder / "listed"))
        with suppress(ValueError, RecursionError):
            said = json.loads(read_regular(Path(path), _LONGEST))
            return said if isinstance(said, dict) else {}
        return {}

    def _images(self, run: str, place: Path) -> Path:
        """The folder in which the images of the run's tables lie."""
        with quiet(), suppress(self.fault):  # what is missing is counted, as everywhere
            self.client.download_artifacts(run, _IMAGES, str(place))
        return place

    def _logged(self, theirs: Any) -> set[str]:
        """The artifacts that the run says it has logged as tables."""
        with suppress(ValueError, TypeError, KeyError):
            told = json.loads(theirs.data.tags.get("mlflow.loggedArtifacts") or "[]")
            return {str(one["path"]) for one in told if one.get("type") == "table"}
        return set()

    def _metrics(self, run: str, names: Iterable[str], listed: Mapping[str, Any]) -> list[Metric]:
        """Every value of the metrics, but of those that publishing adds, under the names that they had before."""
        before = _renamed(listed, "metrics")
        return [
            (int(one.step), None, before.get(name, name), _as_logged(float(one.value)))
            for name in names
            if not listed or not name.startswith(OWN_METRICS)
            for one in self.client.get_metric_history(run, name)
        ]


def _as_logged(value: float) -> float:
    """A metric's value; MLflow's databases have the largest number there is for an infinite one."""
    return math.copysign(math.inf, value) if abs(value) == sys.float_info.max else value


def _rows(path: Path, name: str, folder: Path, images: Callable[[], Path]) -> TableRows:
    """The rows of a table as MLflow writes it: its columns, then its rows as lists."""
    if path.suffix == ".parquet":
        return _with_pictures(read_parquet(path, name), images)
    pictured: set[str] = set()
    try:
        about = kept(_records(path, pictured), folder)
    except Damaged as damage:
        raise Damaged(str(damage).replace(str(path), name)) from None
    if not about.rows:
        raise BadInput(f"{name} has no rows, so there is nothing to import")
    rows = read_json([(about.path, name)])
    return _pictured(rows, pictured, images)


def _pictured(rows: TableRows, pictured: set[str], images: Callable[[], Path]) -> TableRows:
    """The rows with the images whose files some columns name."""
    if not pictured:
        return rows
    place = images()
    columns = [image(one.name, one.name, place, True) if one.name in pictured else as_is(one) for one in rows.schema]
    made = reshaped(rows, columns, ())

    def batches(columns: Collection[str] | None = None) -> Iterator[pa.RecordBatch]:
        yield from made.batches(columns)
        said = [reason.replace(f" in {place}", " among the run's artifacts") for reason in made.media.reasons]
        made.media.reasons[:] = dict.fromkeys(said)  # where they were put meanwhile is nobody's business

    return replace(made, batches=batches)


def _with_pictures(rows: TableRows, images: Callable[[], Path]) -> TableRows:
    """The rows of Parquet, where an image is a struct that names its file."""
    pictured = {one.name for one in rows.schema if _is_picture(one.type)}

    def named(column: str) -> Column:
        return Column(pa.field(column, pa.string()), (column,), lambda batch: _file_of(batch.column(column)))

    columns = [named(one.name) if one.name in pictured else as_is(one) for one in rows.schema]
    return _pictured(reshaped(rows, columns, ()) if pictured else rows, pictured, images)


def _is_picture(kind: pa.DataType) -> bool:
    return pa.types.is_struct(kind) and {"type", "filepath"} <= {one.name for one in kind}


def _file_of(cells: pa.Array) -> pa.Array:
    is_image = pc.equal(pc.struct_field(cells, "type").cast(pa.string()), "image")
    return pc.if_else(is_image, pc.struct_field(cells, "filepath").cast(pa.string()), None)


def _records(path: Path, pictured: set[str]) -> Iterator[Row]:
    """The rows; of a column of images, which is taken note of, the name of each one's file."""
    with open_table(path) as table:
        names = _told_apart(table.columns)
        for row in table.rows():
            record = dict(zip(names, row, strict=True))
            for column, value in record.items():
                if isinstance(value, dict) and value.get("type") == "image" and isinstance(value.get("filepath"), str):
                    record[column] = value["filepath"]
                    pictured.add(column)
            yield record


def _as_listed(tables: list[SourceTable], listed: Mapping[str, Any]) -> list[SourceTable]:
    """The tables under the names and at the epochs that a run of ours says they had, in this order."""
    said = listed.get("tables")
    known = {one.get("path"): one for one in said if isinstance(one, dict)} if isinstance(said, list) else {}
    made = [_placed(table, known.get(str(table.origin["path"]), {})) for table in tables]
    return sorted(made, key=lambda table: (table.key, table.epoch or 0, table.step is None, table.step or 0))


def _placed(table: SourceTable, said: Mapping[str, Any]) -> SourceTable:
    name, epoch, step = said.get("table"), said.get("epoch"), said.get("step")
    if not isinstance(name, str) or not isinstance(epoch, int):
        return table
    if said.get("kind") == "wrong":
        name = f"{name} wrong"
    step, right = step if isinstance(step, int) else None, said.get("right")
    read = partial(_judged, table.read, right) if isinstance(right, str) else table.read
    return replace(table, key=name, epoch=epoch, step=step, within=step is not None, read=read)


def _judged(read: Callable[[], TableRows], right: str) -> TableRows:
    """The rows of a table in which a column says which are right."""
    rows = read()
    return replace(rows, meant=Given(right=right)) if right in rows.schema.names else rows


def _config(listed: Mapping[str, Any]) -> dict[str, Any]:
    """The config of a run of ours as it was before its values became texts, and the names of its classes."""
    config = listed.get("config")
    ours = {MIRROR: listed[MIRROR]} if MIRROR in listed else {}
    return {**(config if isinstance(config, dict) else {}), **ours}


def _foreign(params: Mapping[str, Any], listed: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters but for those that are another spelling of a key of the config."""
    before = _renamed(listed, "parameters")
    return {name: value for name, value in params.items() if name not in before}


def _renamed(listed: Mapping[str, Any], what: str) -> Mapping[str, str]:
    """What was called otherwise as a run of ours was published: the name before by that of MLflow's."""
    said = listed.get(RENAMED)
    names = said.get(what) if isinstance(said, dict) else None
    return {new: old for new, old in names.items() if isinstance(old, str)} if isinstance(names, dict) else {}


def _told_apart(names: list[str]) -> list[str]:
    """The columns' names, of which those that come again get -2, -3, …."""
    apart: dict[str, None] = {}
    for name in names:
        free, number = name, 2
        while free in apart:
            free, number = f"{name}-{number}", number + 1
        apart[free] = None
    return list(apart)


def _chunks(ids: list[str], size: int = 500) -> Iterator[list[str]]:
    for start in range(0, len(ids), size):
        yield ids[start : start + size]


def _started(milliseconds: object) -> dict[str, str]:
    """When a run began, where it is said."""
    if not isinstance(milliseconds, int) or not 0 < milliseconds < 1 << 43:
        return {}
    return {"started": datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat(timespec="milliseconds")}
