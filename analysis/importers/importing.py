"""One import from start to end: find the runs, say what they hold, write them."""

import os
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from secondguess.analysis.console import say
from secondguess.analysis.content import FileDigests
from secondguess.analysis.errors import AlreadyThere, BadInput, Damaged, NotFound
from secondguess.analysis.importers.axes import by_epoch, by_run
from secondguess.analysis.importers.classes import given_classes
from secondguess.analysis.importers.oddities import Oddities
from secondguess.analysis.importers.progress import Progress, bar, unseen
from secondguess.analysis.importers.roles import Given
from secondguess.analysis.importers.rows import pictures, rows
from secondguess.analysis.importers.source import SourceRun
from secondguess.analysis.importers.wandb.artifact import artifact_folder, table_file
from secondguess.analysis.importers.wandb.media import WandbFolders
from secondguess.analysis.importers.wandb.offline import logs, offline_run
from secondguess.analysis.importers.writing import ImportedRun, ImportOptions, Plan, described, image_notes, plan, write
from secondguess.analysis.schema import at_epoch


def surveyed(planned: Plan, progress: Progress = unseen) -> ImportedRun:
    """The run as importing would leave it; raises Damaged where a file cannot be read to its end."""
    promised = planned.promised
    known = FileDigests()
    tables = []
    for table, version in zip(promised.tables, planned.versions, strict=True):
        progress(at_epoch(table.table, table.epoch), 0)
        how = planned.layouts[table.table]
        odd, broken = Oddities(how), 0
        for batch in version.contents.batches():
            seen = pictures(batch, how.roles.image, known)
            broken += seen.broken
            odd.add(batch, rows(batch, how, seen, (promised.run, table.epoch, version.source.step)))
            progress(at_epoch(table.table, table.epoch), batch.num_rows)
        media = version.contents.media
        notes = (*table.notes, *odd.notes(), *image_notes(media, broken))
        tables.append(replace(table, images=media.whole, missing=media.missing + media.refused, notes=notes))
    return replace(promised, tables=tuple(tables))


_PROJECT = re.compile(r"(https://[^/]+/)?[^/.][^/]*/[^/]+(/runs)?(/[^/]+)?/?")


def how(
    run: str | None, table: str | None, epoch: int | None, overwrite: bool, classes: str | None, **roles: Any
) -> ImportOptions:
    """The options of the command as one value."""
    axes = {name: roles.pop(name, None) for name in ("epoch_column", "run_column")}
    return ImportOptions(run, table, epoch, Given(**roles, classes=given_classes(classes)), overwrite, **axes)


def apart(runs: Sequence[SourceRun], options: ImportOptions) -> Sequence[SourceRun]:
    """The runs, taken apart by the columns that name models and count epochs."""
    if options.run_column is not None:
        runs = [part for run in runs for part in by_run(run, options.run_column)]
    if options.epoch_column is not None:
        runs = [by_epoch(run, options.epoch_column) for run in runs]
    return runs


def bring(source: str, store: Path, options: ImportOptions, epoch_key: str, dry_run: bool) -> None:
    """Import every run of a source, or say what that would bring; the summary goes to stdout.

    source is a path, or ENTITY/PROJECT[/RUN] on W&B's server. Raises SecondguessError.
    """
    there = Path(source).exists()
    runs = _sources(Path(source), options, epoch_key) if there else _elsewhere(source, store, options, epoch_key)
    runs = apart(runs, options)
    if len(runs) > 1 and options.run is not None:
        raise BadInput(f"{source} holds {len(runs)} runs, which cannot all be called {options.run!r}; leave --run out")
    promised: list[str] = []
    for run in runs:
        try:
            promised += _one(run, store, options, promised if dry_run else None)
        except AlreadyThere as taken:
            if len(runs) == 1:
                raise
            say(f"left out: {taken}", err=True)


def _one(run: SourceRun, store: Path, options: ImportOptions, promised: Sequence[str] | None) -> list[str]:
    """Import a run; or, where the names that were promised before are given, say what that would bring.

    Returns the name that is promised now.
    """
    if not run.tables:
        say("\n  ".join([f"run {run.name}: no tables", *run.notes]), err=True)
        return []
    with bar(f"look through {run.name}") as progress:
        planned = plan(store, run, options, promised or (), progress)
    if promised is not None:
        with bar(f"read {planned.name}", planned.rows) as progress:
            imported = surveyed(planned, progress)
        say("\n".join(described(imported)))
        return [planned.name]
    # What the columns are taken for is said before anything is written.
    for table, roles in dict.fromkeys((table.table, table.roles) for table in planned.promised.tables):
        say(f"{table}: {roles}", err=True)
    with bar(f"import {planned.name}", planned.rows) as progress:
        imported = write(planned, progress)
    say("\n".join(described(imported)))
    return []


def _elsewhere(source: str, store: Path, options: ImportOptions, epoch_key: str) -> Sequence[SourceRun]:
    """The runs of a project on W&B's server, where the source looks like one; what is downloaded stays in the store."""
    if not _PROJECT.fullmatch(source):
        raise BadInput(f"no file or folder {source}; on W&B's server, write ENTITY/PROJECT or ENTITY/PROJECT/RUN")
    from secondguess.analysis.importers.wandb import project
    from secondguess.analysis.importers.wandb.server import download

    with bar("W&B") as progress:
        downloader = download.Downloader(store / ".incoming" / "wandb", progress=lambda: progress("asking", 0))
        runs: Sequence[SourceRun] = project.read_project(
            source, options.table, downloader=downloader, epoch_key=epoch_key
        )
    return runs


def _sources(source: Path, options: ImportOptions, epoch_key: str) -> Sequence[SourceRun]:
    """The runs that the path holds; raises BadInput where it is nothing that can be imported."""
    if source.is_file():
        from secondguess.analysis.importers.files import columnar as files

        if source.suffix.lower() in files.SUFFIXES:
            return [files.read_file(source, options.epoch)]
        if source.name.endswith(".json"):
            return [table_file(source)]
        raise BadInput(f"{source} is none of .table.json, {', '.join(files.SUFFIXES)}")
    try:
        log_files = logs(source)
    except NotFound:
        return [_artifact(source)]
    folders = WandbFolders.of(os.environ, Path.home())
    runs = []
    for log in log_files:
        try:
            runs.append(offline_run(log, folders, epoch_key))
        except Damaged as damage:
            if len(log_files) == 1:
                raise
            say(f"left out: {damage}", err=True)
    return runs


def _artifact(source: Path) -> SourceRun:
    try:
        return artifact_folder(source)
    except NotFound:
        raise NotFound(f"{source} holds no W&B run (run-*.wandb) and no table (*.table.json)") from None
