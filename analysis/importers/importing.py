"""One import from start to end: find the runs, say what they hold, write them."""

import os
import re
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import chain
from pathlib import Path
from shlex import quote
from typing import Any

from secondguess.analysis.console import say
from secondguess.analysis.content import FileDigests
from secondguess.analysis.errors import AlreadyThere, BadInput, Damaged, NotFound
from secondguess.analysis.importers.axes import by_epoch, by_run, by_step, chosen, only_table
from secondguess.analysis.importers.classes import given_classes
from secondguess.analysis.importers.commands import Typed
from secondguess.analysis.importers.dataframe import read_frame
from secondguess.analysis.importers.evaluations import harness, mlflow
from secondguess.analysis.importers.evaluations.inspect_log import is_log
from secondguess.analysis.importers.evaluations.inspect_runs import inspect_runs, logs_within
from secondguess.analysis.importers.files.data_set import data_set_runs, has_splits, is_data_set
from secondguess.analysis.importers.files.predictions import FileOptions, prediction_run
from secondguess.analysis.importers.files.unpacked import STDIN, format_by_name, is_pattern, named_files, unpacked
from secondguess.analysis.importers.labels import LabelsFile, LabelsOptions, key_of, label, read_labels
from secondguess.analysis.importers.oddities import Oddities
from secondguess.analysis.importers.progress import Progress, bar, unseen
from secondguess.analysis.importers.roles import Given
from secondguess.analysis.importers.rows import about, rows
from secondguess.analysis.importers.source import SourceRun
from secondguess.analysis.importers.tensorboard import logs as logs_of_tensorboard
from secondguess.analysis.importers.wandb.artifact import artifact_folder, is_table, table_file
from secondguess.analysis.importers.wandb.media import WandbFolders
from secondguess.analysis.importers.wandb.offline import logs, offline_run
from secondguess.analysis.importers.writing import (
    ImportedRun,
    ImportOptions,
    Plan,
    all_dark,
    described,
    image_notes,
    plan,
    write,
)
from secondguess.analysis.moments import Moment
from secondguess.analysis.schema import at_epoch
from secondguess.analysis.store import archive
from secondguess.analysis.store.additions import opened
from secondguess.analysis.store.runs import list_runs


def surveyed(planned: Plan, progress: Progress = unseen) -> ImportedRun:
    """The run as importing would leave it; raises Damaged where a file cannot be read to its end."""
    promised = planned.promised
    known = FileDigests()
    tables = []
    for table, version in zip(promised.tables, planned.versions, strict=True):
        progress(at_epoch(table.table, table.moment), 0)
        how = planned.layouts[table.table]
        odd, faults = Oddities(how), Counter[str]()
        for batch in version.contents.batches():
            seen = about(batch, how, known)
            faults.update(broken=seen.broken, dark=seen.dark)
            odd.add(batch, rows(batch, how, seen, (promised.run, table.moment.epoch, version.source.step)))
            progress(at_epoch(table.table, table.moment), batch.num_rows)
        media = version.contents.media
        notes = (*table.notes, *odd.notes(), *image_notes(media, faults))
        missing, dark = media.missing + media.refused, all_dark(media, faults)
        tables.append(replace(table, images=media.whole, missing=missing, notes=notes, dark=dark))
    return replace(promised, tables=tuple(tables))


_PROJECT = re.compile(r"(https://[^/]+/)?[^/.][^/]*/[^/]+(/runs)?(/[^/]+)?/?")


def how(
    run: str | None,
    table: str | None,
    epoch: int | None,
    overwrite: bool,
    classes: str | None,
    labels: str | None = None,
    on: str | None = None,
    replace: bool = False,
    typed: Typed | None = None,
    **roles: Any,
) -> ImportOptions:
    """The options of the command as one value; typed is how it was given."""
    if on is not None and labels is None:
        raise BadInput(f"--on {on} says what --labels are joined on; name their file with --labels")
    axes = {name: roles.pop(name, None) for name in ("epoch_column", "run_column", "step_column", "step")}
    if axes["step"] is not None and epoch is None:
        raise BadInput(f"--step {axes['step']} is a step within an epoch; name that with --epoch")
    if axes["step"] is not None and axes["step_column"] is not None:
        raise BadInput("--step is for a source of one validation, --step-column for one of several; leave one out")
    given = Given(**roles, classes=given_classes(classes))
    told = labels_file(labels, LabelsOptions(on)) if labels is not None else None
    return ImportOptions(run, table, epoch, given, overwrite, told, on, replace, **axes, typed=typed)


def apart(runs: Sequence[SourceRun], options: ImportOptions) -> Sequence[SourceRun]:
    """The runs, taken apart by the columns that name models and count epochs, of the table that is asked for."""
    asked = (options.run_column, options.epoch_column, options.step_column, options.step)
    if options.table is not None and any(one is not None for one in asked):
        runs = [chosen(run, options.table) for run in runs]
    if options.run_column is not None:
        runs = [part for run in runs for part in by_run(run, options.run_column)]
    if options.epoch_column is not None:
        runs = [by_epoch(run, options.epoch_column) for run in runs]
    if options.step_column is not None:
        runs = [by_step(run, options.step_column, options.epoch) for run in runs]
    return [_at_step(run, options.step) for run in runs] if options.step is not None else runs


def _at_step(run: SourceRun, step: int) -> SourceRun:
    """The run whose table is the validation at a step of the epoch that is asked for."""
    (table,) = only_table(run, "--step")
    return replace(run, tables=[replace(table, step=step, within=True)])


def bring_labels(
    store: Path, run: str, table: str, epochs: Sequence[Moment], labels: str, options: LabelsOptions
) -> None:
    """Label epochs of a table of a run that has ended from a file; how they match goes to stderr.

    Raises SecondguessError, and then nothing has changed.
    """
    file = labels_file(labels, options)
    with opened(store, run) as there:
        key = key_of(there, table, epochs, options.on)
        for line in label(there, table, epochs, file, key, replace=options.replace):
            say(line, err=True)


def labels_file(labels: str, options: LabelsOptions) -> LabelsFile:
    """The labels of a file of one table; raises BadInput, NotFound, Damaged."""
    path = Path(labels)
    if not path.exists():
        raise NotFound(f"no file {labels} with labels")
    with tempfile.TemporaryDirectory(prefix="secondguess-") as folder:
        run = table_file(path) if path.is_file() and is_table(path) else prediction_run([labels], Path(folder))
        return read_labels(run.tables[0], path.name, options)


def bring_frame(frame: Any, store: Path, options: ImportOptions) -> ImportedRun:
    """Import a table that is in memory, as the run that the options name; raises SecondguessError."""
    if options.run is None:
        raise BadInput("a frame has no name; say what to call its run: run='…'")
    (run,) = apart([read_frame(frame, options.run, options.epoch, options.table)], options)
    return write(plan(store, run, options))


def bring(
    sources: Sequence[str], store: Path, options: ImportOptions, files: FileOptions, epoch_key: str, dry_run: bool
) -> None:
    """Import every run of the sources, or say what that would bring; the summary goes to stdout.

    A source is a path, a pattern, `-`, or ENTITY/PROJECT[/RUN] on W&B's server, or mlruns:/RUN of MLflow's store; all
    prediction files together are one run. Raises SecondguessError.
    """
    with tempfile.TemporaryDirectory(prefix="secondguess-") as folder:
        runs: list[SourceRun] = []
        plain: list[str] = []
        whole = [] if files.format is not None else [source for source in sources if _is_run_file(source)]
        _bring_run_files(whole, store, options, dry_run)
        if len(whole) == len(sources):
            return
        for source in (source for source in sources if source not in whole):
            how = (epoch_key, Path(folder), files)
            found = _foreign_runs(source, store, options, *how) if files.format is None else None
            runs += found or ()
            plain += [source] if found is None else []
        if plain:
            runs += _from_files(plain, Path(folder), options, files)
        _bring(apart(runs, options), ", ".join(sources), store, options, dry_run)


def _is_run_file(source: str) -> bool:
    return source != STDIN and Path(source).is_file() and archive.is_archive(Path(source))


def _bring_run_files(sources: Sequence[str], store: Path, options: ImportOptions, dry_run: bool) -> None:
    """Bring runs that were exported whole, or say what that would bring."""
    if sources and replace(options, run=None, overwrite=False) != ImportOptions():
        raise BadInput(
            f"{sources[0]} is a run, which comes as it is; leave out all but --run, --overwrite and --dry-run"
        )
    if len(sources) > 1 and options.run is not None:
        raise BadInput(f"these are {len(sources)} runs, which cannot all be called {options.run!r}; leave --run out")
    for source in sources:
        arrived = archive.bring(Path(source), store, options.run, overwrite=options.overwrite, dry_run=dry_run)
        say(arrived.told())


def _from_files(sources: Sequence[str], folder: Path, options: ImportOptions, told: FileOptions) -> Iterator[SourceRun]:
    """The runs of plain files: logs of evaluations each for itself, all others together as one."""
    if told.format is not None:
        yield prediction_run(sources, folder, options.epoch, told)
        return
    names = list(dict.fromkeys(chain.from_iterable(_log_files(source) for source in sources)))
    logs = [name for name in names if name != STDIN and is_log(Path(name))]
    files = [unpacked(name, folder) for name in names if name not in logs]
    samples = [file for file in files if harness.is_samples(file)]
    results = [file for file in files if harness.is_results(file)]
    others = [file for file in files if file not in samples and file not in results]
    if results and not samples:
        raise harness.left_out(results[0])
    with bar("read logs"):
        yield from inspect_runs(logs, folder)
        yield from harness.harness_runs(samples, folder)
    if others:
        whole = sources if len(others) == len(names) else [file.name for file in others]
        yield prediction_run(whole, folder, options.epoch, told, others)


def _log_files(source: str) -> list[str]:
    """The files that a source names; of a folder the logs of evaluations alone, if it has any."""
    within = Path(source)
    if source != STDIN and within.is_dir() and (logs := _log_files_within(within)):
        return logs
    return named_files([source])


def _log_files_within(folder: Path) -> list[str]:
    return [*logs_within(folder), *harness.samples_within(folder)]


def _bring(runs: Sequence[SourceRun], source: str, store: Path, options: ImportOptions, dry_run: bool) -> None:
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
    if run.metrics_alone and (lines := _measured(run, store, options, dry_run=promised is not None)):
        say("\n".join(lines))
        return []
    if not run.tables and not run.metrics_alone:
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
    for line in imported.joins:
        say(line, err=True)
    say("\n".join(described(imported)))
    return []


def _measured(run: SourceRun, store: Path, options: ImportOptions, *, dry_run: bool) -> list[str]:
    """Add metrics to the run that the options name, where there is one; none where they become a run of their own.

    Raises BadInput for options of tables, and where metrics alone would replace a run that has more.
    """
    if replace(options, run=None, overwrite=False) != ImportOptions():
        raise BadInput(f"{run.name} has metrics and no tables; leave out all but --run, --overwrite and --dry-run")
    there = list_runs(store) if store.is_dir() else {}
    if options.run not in there:
        return []
    old = there[options.run]
    if not options.overwrite:
        return logs_of_tensorboard.joined(run, store, old.name, dry_run=dry_run)
    if old.tables:
        raise BadInput(
            f"--overwrite would replace run {old.name!r} and its tables by metrics; without it they are added"
        )
    return []


def _elsewhere(source: str, store: Path, options: ImportOptions, epoch_key: str) -> Sequence[SourceRun]:
    """The runs of a project on W&B's server, where the source looks like one; what is downloaded stays in the store."""
    if not _PROJECT.fullmatch(source):
        raise BadInput(f"no file or folder {source}; on W&B's server, write ENTITY/PROJECT or ENTITY/PROJECT/RUN")
    from secondguess.analysis.importers.wandb import project
    from secondguess.analysis.importers.wandb.server import download

    with bar("W&B") as progress:
        downloader = download.Downloader(store / ".incoming" / "wandb", progress=lambda: progress("asking", 0))
        try:
            runs: Sequence[SourceRun] = project.read_project(
                source, options.table, downloader=downloader, epoch_key=epoch_key
            )
        except (BadInput, NotFound) as error:
            raise type(error)(f"{error}; nor is there a file or folder {source}") from None
    return runs


def _foreign_runs(
    source: str, store: Path, options: ImportOptions, epoch_key: str, folder: Path, files: FileOptions
) -> Sequence[SourceRun] | None:
    """The runs of W&B's or MLflow's that a source holds; None where it stands for files."""
    path = Path(source)
    if source == STDIN or is_pattern(source) or path.is_fifo():
        return None
    if mlflow.is_mlflow(source):
        return [mlflow.mlflow_run(source, folder, os.environ.get("MLFLOW_TRACKING_URI"))]
    if not path.exists() and format_by_name(source) is not None:
        raise NotFound(f"no file {source}")
    if not path.exists():
        return _elsewhere(source, store, options, epoch_key)
    if path.is_file() and logs_of_tensorboard.is_logs(path):
        return logs_of_tensorboard.logged_runs(path)
    if path.is_file():
        _refuse_stores(path)
        return [table_file(path)] if is_table(path) else None
    if is_data_set(path):
        return data_set_runs(path, folder, options.epoch, files)
    try:
        log_files = logs(path)
    except NotFound:
        with suppress(NotFound):
            return [artifact_folder(path)]
        if logs_of_tensorboard.is_logs(path):
            return logs_of_tensorboard.logged_runs(path)
        _refuse_stores(path)
        if _log_files_within(path) or not has_splits(path):
            return None
        return data_set_runs(path, folder, options.epoch, files)
    return _logged(log_files, epoch_key)


def _refuse_stores(path: Path) -> None:
    """Raise BadInput for a store of ours, or of MLflow's without other files, saying how a run of it is imported."""
    if (address := mlflow.store_at(path)) is not None:
        raise BadInput(
            f"{path} is MLflow's store, of which a run is imported by its id or its name: MLFLOW_TRACKING_URI="
            f"{quote(address)} secondguess import mlruns:/RUN"
        )
    if path.is_file():
        return
    store = path.absolute().parent if (path / "run.json").is_file() else path
    runs = [run for name, run in list_runs(store).items() if store == path or name == path.absolute().name]
    if runs:
        name, what = runs[0].name, "a store" if store == path else "a run in a store"
        raise BadInput(
            f"{path} is {what}; write a run of it as a file, and import that: secondguess export {quote(name)} "
            f"{quote(name)}.zip --store {quote(str(store))}; secondguess import {quote(name)}.zip"
        )


def _logged(log_files: Sequence[Path], epoch_key: str) -> list[SourceRun]:
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
