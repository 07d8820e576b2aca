"""Runs in W&B's run folders, offline or online: what their logs, table files and staged media still have."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from secondguess.analysis.errors import NotFound, SecondguessError
from secondguess.analysis.importers.source import SourceRun
from secondguess.analysis.importers.wandb.charts import chart_tables
from secondguess.analysis.importers.wandb.epochs import EPOCH_KEY, EpochClock, metrics_in, step_in, tables_in
from secondguess.analysis.importers.wandb.log.log import (
    Artifact,
    ConfigChange,
    Exit,
    HistoryRow,
    RunInfo,
    SummaryChange,
    WandbLog,
)
from secondguess.analysis.importers.wandb.media import WandbFolders
from secondguess.analysis.importers.wandb.staged import OF_TABLES, TABLE, LoggedTable, Staged
from secondguess.analysis.importers.wandb.versions import LoggedVersion, LoggedVersions
from secondguess.analysis.store.commits import Metric

_LINK = "latest-run"  # a copy may have it as a folder


def offline_runs(path: Path, folders: WandbFolders | None = None, epoch_key: str = EPOCH_KEY) -> list[SourceRun]:
    """The runs of a run folder, or of a folder full of them, or of the folder that has one called `wandb`.

    `folders` are where W&B keeps the media that wait for upload. Raises NotFound where there is no run, Damaged where
    a log is broken in the middle.
    """
    return [offline_run(log, folders, epoch_key) for log in logs(path)]


def logs(path: Path) -> list[Path]:
    """The logs of the runs at a path, in the order of their folders' names; links to folders are not followed."""
    if path.suffix == ".wandb":
        return [path]
    if files := sorted(path.glob("run-*.wandb")):
        return files
    inside = sorted(path.iterdir()) if path.is_dir() else []
    folders = [folder for folder in inside if folder.is_dir() and not folder.is_symlink()]
    if files := [log for folder in folders for log in sorted(folder.glob("run-*.wandb"))]:
        named = {log.name for log in files if log.parent.name != _LINK}
        return [log for log in files if log.parent.name != _LINK or log.name not in named]
    if path.name != "wandb" and (path / "wandb").is_dir():
        return logs(path / "wandb")
    raise NotFound(f"no W&B run at {path}: no run-*.wandb in it, in the folders in it, or in its folder wandb")


@dataclass
class _Told:
    """What one reading of a log tells."""

    clock: EpochClock
    about: dict[str, Any] = field(default_factory=dict)
    config: dict[str, Any] = field(default_factory=dict)
    summary: dict[str, Any] = field(default_factory=dict)
    versions: LoggedVersions = field(default_factory=LoggedVersions)
    artifacts: dict[str, tuple[Artifact, int | None, float | None]] = field(default_factory=dict)
    last_step: int | None = None
    end: Exit | None = None
    notes: list[str] = field(default_factory=list)

    def row(self, row: HistoryRow) -> None:
        """Take a row of the history."""
        own = self.clock.see(row.values)
        within = step_in(row.values) if own is not None else None
        self.last_step = row.step
        for key, value in tables_in(row.values):
            for table in LoggedTable.told(value):
                self.versions.add(key, LoggedVersion(row.step, self.clock.last, table, within=within))


def _told(log: WandbLog, epoch_key: str) -> _Told:
    told = _Told(EpochClock(epoch_key))
    for record in log.records():
        match record:
            case RunInfo():
                told.about.update(record.about)
                record.config.apply(told.config)
            case ConfigChange():
                record.apply(told.config)
            case SummaryChange():
                record.apply(told.summary)
            case HistoryRow():
                told.row(record)
            case Artifact():
                told.artifacts[record.client_id] = record, told.last_step, told.clock.last
            case Exit():
                told.end = record
    return told


def offline_run(path: Path, folders: WandbFolders | None = None, epoch_key: str = EPOCH_KEY) -> SourceRun:
    """The run of one log, with every version of its tables."""
    log, folder = WandbLog(path), path.parent
    told = _told(log, epoch_key)
    artifacts = {client: artifact for client, (artifact, _, _) in told.artifacts.items()}
    staged = Staged(log, artifacts, folder, (folders or WandbFolders()).beside(folder))
    _add_of_summary(told)
    _add_of_artifacts(told, staged)
    tables, notes = told.versions.source_tables(told.clock, lambda version: staged.read(version.table))
    told.notes.extend(notes)
    told.notes.extend(_unnamed(told, folder))
    about = {"kind": "wandb-offline", **told.about, "path": str(folder)}
    if told.end is None:
        told.notes.append("the log has no end: the run is still going, or was killed; this is what is there")
    elif told.end.code:
        about["exit_code"] = told.end.code
    charts = chart_tables(told.config)
    told.config.pop("_wandb", None)
    return SourceRun(
        name=told.about.get("name") or told.about.get("id") or log.path.stem.removeprefix("run-"),
        origin=about,
        config=told.config,
        metrics=partial(_metrics, log, told.clock),
        tables=tables,
        notes=tuple(told.notes),
        finished=told.end is not None,
        charts=charts,
    )


def _unnamed(told: _Told, folder: Path) -> Iterator[str]:
    """What to say of table files that no row names: W&B writes them at once, but its log every few seconds."""
    named = {version.table.own for version in told.versions.all()}
    place = folder / "files" / "media" / "table"
    lost = [path for path in place.rglob(f"*{TABLE}") if path.relative_to(folder / "files").as_posix() not in named]
    if lost and told.end is None:
        yield (
            f"the log ends before {len(lost):,} of the table files in {place}; "
            f"each can be imported by itself, {min(lost).name} among them"
        )


def _metrics(log: WandbLog, clock: EpochClock) -> Iterator[Metric]:
    clock = replace(clock)
    for record in log.records():
        if isinstance(record, HistoryRow):
            yield from metrics_in(record.step, record.values, clock)


def _add_of_summary(told: _Told) -> None:
    """Add the tables that were put into the summary; it also repeats the last ones of the history.

    In a log without an end, they may be those of a row of the history that is not there yet.
    """
    logged = {version.table.own for version in told.versions.all()}
    for key, value in tables_in(told.summary) if told.end else ():
        for table in LoggedTable.told(value):
            if table.own and table.own not in logged:
                free = f"{key} (summary)" if key in told.versions.by_key else key
                told.versions.add(free, LoggedVersion(None, told.clock.last, table))


def _add_of_artifacts(told: _Told, staged: Staged) -> None:
    """Add the tables in artifacts that the run logged by themselves, each version of an artifact once."""
    named = {version.table.client_id for version in told.versions.all()}
    known: set[tuple[str, str]] = set()
    for client, (artifact, step, epoch) in told.artifacts.items():
        if client in named or (artifact.name, artifact.digest) in known:
            continue
        known.add((artifact.name, artifact.digest))
        if artifact.type in OF_TABLES:
            told.notes.append(f"a table in {artifact.name!r} is in no row of the history; it is left out")
            continue
        try:
            for table in staged.tables(client):
                told.versions.add(f"{artifact.name}/{table.name}", LoggedVersion(step, epoch, table))
        except SecondguessError as error:
            told.notes.append(f"the tables of artifact {artifact.name!r} are left out: {error}")
