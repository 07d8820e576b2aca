"""Foreign runs into the store: whole or not at all."""

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from secondguess.analysis.content import FileDigests
from secondguess.analysis.errors import AlreadyThere, BadInput, listing
from secondguess.analysis.importers.adding import Asked, added_to, is_run, is_same, unlike
from secondguess.analysis.importers.classes import mirrored_classes, without_classes
from secondguess.analysis.importers.commands import Commands, Typed
from secondguess.analysis.importers.labels import LabelsFile, key_of, label
from secondguess.analysis.importers.layouts import Version, layouts_of, surveyed
from secondguess.analysis.importers.names import free_name, table_names
from secondguess.analysis.importers.oddities import Oddities
from secondguess.analysis.importers.plain import plain
from secondguess.analysis.importers.progress import Progress, unseen
from secondguess.analysis.importers.roles import Given
from secondguess.analysis.importers.rows import BatchImages, Layout, about, rows, with_content
from secondguess.analysis.importers.source import MediaCount, SourceRun
from secondguess.analysis.moments import Moment
from secondguess.analysis.schema import STEP, at_epoch, whole_name
from secondguess.analysis.store.additions import add_epochs, check_free, recorded_as
from secondguess.analysis.store.adoption import adopt, staging
from secondguess.analysis.store.commits import EpochRows
from secondguess.analysis.store.disk import synced_at_end
from secondguess.analysis.store.examples import Batch, ExamplesWriter
from secondguess.analysis.store.runs import Run, list_runs
from secondguess.analysis.store.upkeep import sweep
from secondguess.analysis.store.writer import RunWriter

FILES = frozenset({"parquet", "csv", "tsv", "txt", "jsonl", "ndjson", "json", "arrow", "feather", "xlsx"})
"""The kinds of sources that are files of predictions and nothing else."""


@dataclass(frozen=True)
class ImportOptions:
    """How to import: run names the result, table keeps one key only, epoch is for tables that say none.

    labels are given to the rows, joined on a column of the source, or on the ids, and replace those there if so asked.
    epoch_column, step_column and run_column take the rows of one table apart; step is within the epoch.
    """

    run: str | None = None
    table: str | None = None
    epoch: int | None = None
    given: Given = field(default_factory=Given)
    overwrite: bool = False
    labels: LabelsFile | None = None
    on: str | None = None
    replace: bool = False
    epoch_column: str | None = None
    run_column: str | None = None
    step_column: str | None = None
    step: int | None = None
    typed: Typed | None = field(default=None, compare=False)  # as it is said again where it is refused


@dataclass(frozen=True)
class ImportedTable:
    """One version of a table as it was imported, or would be."""

    table: str
    moment: Moment
    rows: int
    images: int
    missing: int
    roles: str
    notes: tuple[str, ...] = ()
    dark: bool = False  # whether its images are black to an eye


@dataclass(frozen=True)
class ImportedRun:
    """A run as it was imported, or would be; notes say what changed on the way, joins how labels were joined."""

    run: str
    tables: tuple[ImportedTable, ...]
    notes: tuple[str, ...]
    joins: tuple[str, ...] = ()


@dataclass(frozen=True)
class Plan:
    """A run that has been looked through and is ready to be imported."""

    store: Path
    source: SourceRun
    name: str
    replaces: bool
    versions: Sequence[Version]
    layouts: Mapping[str, Layout]
    notes: tuple[str, ...]
    adds_to: Run | None = None
    labels: LabelsFile | None = None
    on: str | None = None
    replace: bool = False

    @property
    def rows(self) -> int:
        """How many rows there are to be read."""
        return sum(version.contents.rows for version in self.versions)

    @property
    def promised(self) -> ImportedRun:
        """What importing would bring: names, epochs, rows, roles."""
        tables = [
            ImportedTable(
                table=version.table,
                moment=version.moment,
                rows=version.contents.rows,
                images=version.contents.media_cells,
                missing=0,
                roles=self.layouts[version.table].line,
                notes=_table_notes(version, self.layouts[version.table]),
            )
            for version in self.versions
        ]
        return ImportedRun(self.name, tuple(tables), self.notes)


def plan(
    store: Path, source: SourceRun, options: ImportOptions, promised: Collection[str] = (), progress: Progress = unseen
) -> Plan:
    """Look a run through, without writing; promised are the names of runs that are to be in the store by then.

    An epoch or a table that is asked for by name is added to the run where that is there. Raises AlreadyThere where the
    run was imported before, or has such an epoch, BadInput, Damaged.
    """
    old = added_to(store, source, Asked(options.run, options.table, options.epoch, options.overwrite))
    name, replaces, notes = _named(store, source, options, promised) if old is None else (old.name, False, [])
    commands = _commands(source, options)
    versions, surveys = surveyed(_versions(source, options, progress), commands)
    layouts = layouts_of(versions, surveys, options.given, mirrored_classes(source.config), old)
    layouts = {**layouts, **{one.table: with_content(layouts[one.table], one.contents.content) for one in versions}}
    if old is not None:
        epochs: dict[str, set[Moment]] = {}
        for version in versions:
            epochs.setdefault(version.table, set()).add(version.moment)
        check_free(old, epochs)
        _check_steps(old, versions)
        here = {version.table: _nothing(version, layouts[version.table], name).schema.names for version in versions}
        differ = [line for table, columns in here.items() for line in unlike(old, table, columns, layouts[table])]
        notes = [*differ, f"added to run {name!r}, of which nothing else changes"]
    names = {version.source.key: version.table for version in versions}
    renamed = [f"table {key!r} is called {name!r}" for key, name in names.items() if key != name]
    notes += [*renamed, *source.notes, *_left_out(source, options)]
    joined = (options.labels, options.on, options.replace)
    return Plan(store, source, name, replaces, versions, layouts, tuple(notes), old, *joined)


def _check_steps(old: Run, versions: Sequence[Version]) -> None:
    """Raise BadInput where a validation at a step would join a table with a column `step` that means something else."""
    for table in {version.table for version in versions if version.moment.step is not None}:
        if other := _other_step(old, table):
            raise BadInput(
                f"{whole_name(old.name, table)} has a column {STEP!r} that is not the step of its validations, "
                f"in epoch {other}; import what has steps as another run, with --run"
            )


def _other_step(old: Run | None, table: str) -> Moment | None:
    """An epoch of a table whose column `step` is not that of its validations, nor empty; None where there is none."""
    epochs = old.tables.get(table, {}).values() if old is not None else ()
    return next((one.moment for one in epochs if not one.has_steps and STEP in dict(one.columns)), None)


def write(planned: Plan, progress: Progress = unseen) -> ImportedRun:
    """Import a run that was looked through. If anything fails, the store is as it was; raises what failed."""
    with staging(planned.store) as place:
        with synced_at_end(place.path):
            tables = _written(planned, place.path, progress)
            joins = _labelled(planned, place.path)
        if planned.adds_to is None:
            adopt(place, planned.name, overwrite=planned.replaces)
        else:
            add_epochs(place, recorded_as(planned.adds_to), planned.name)
    return ImportedRun(planned.name, tuple(tables), planned.notes, tuple(joins))


def _labelled(planned: Plan, folder: Path) -> list[str]:
    """Give the rows in a store of their own their labels; returns how these were joined."""
    lines: list[str] = []
    if planned.labels is None:
        return lines
    (run,) = list_runs(folder).values()
    for table, epochs in run.tables.items():
        how, on = planned.layouts[table], planned.on
        key = "id" if on == how.roles.id else how.others.get(on or "", on)
        column = key_of(run, table, list(epochs), key)
        lines += label(run, table, list(epochs), planned.labels, column, replace=planned.replace)
    sweep(Run(folder, run.name, run.folder))
    named = {epoch.examples for table in list_runs(folder)[run.name].tables.values() for epoch in table.values()}
    for path in (folder / "examples").glob("*.parquet"):
        if path not in named:
            path.unlink()
    return lines


def _written(planned: Plan, folder: Path, progress: Progress) -> list[ImportedTable]:
    """Write the run into a store of its own."""
    source = planned.source
    old = planned.adds_to
    if old is None:
        writer = RunWriter.create(folder, planned.name, _about(source, planned.layouts))
    else:
        writer = RunWriter.create(folder, recorded_as(old), old.about)
    known = FileDigests()
    try:
        tables = []
        for version in planned.versions:
            seen = partial(progress, at_epoch(version.table, version.moment))
            ours = version.source.within or (version.source.step is None and not _other_step(old, version.table))
            tables.append(_commit(writer, folder, (version, ours), planned.layouts[version.table], known, seen))
        metrics = list(source.metrics()) if old is None else []  # it has those of its source already
        writer.end(metrics, **({} if source.finished else {"status": "interrupted"}))
    finally:
        writer.close()
    return tables


def _named(
    store: Path, source: SourceRun, options: ImportOptions, promised: Collection[str]
) -> tuple[str, bool, list[str]]:
    """The run's name in the store, whether it may replace a run there, and what changed about the name.

    Only what came from the same place is replaced, or the run that was named for it: never another that happens to be
    called alike. Raises AlreadyThere where the run was imported before and is not to be replaced.
    """
    runs = list_runs(store) if store.is_dir() else {}
    earlier = next((run.name for run in runs.values() if is_same(run.about.get("source") or {}, source.origin)), None)
    ours = str(source.origin.get("id") or "")
    if earlier is not None and is_run(source.origin) and not options.overwrite:
        raise AlreadyThere(f"W&B run {ours} was imported before, as {earlier!r}; --overwrite replaces it")
    mirrored = [run.name for run in runs.values() if _has_mirror(run, ours)]
    here = [f"the run that W&B mirrors is here already: {name!r}" for name in mirrored]
    if options.run is None and earlier is not None and options.overwrite:
        return earlier, True, here
    name, notes = free_name(options.run or source.name, {*runs, *promised}, ours, asked=options.run is not None)
    return name, options.overwrite and options.run is not None, [*notes, *here]


def _has_mirror(run: Run, wandb_id: str) -> bool:
    """Whether the run was recorded or published into the W&B run of that id."""
    return any(path.name == f"wandb-{wandb_id}.json" for path in run.commits_folder.glob("wandb-*.json"))


def _versions(source: SourceRun, options: ImportOptions, progress: Progress) -> list[Version]:
    """Every version to be imported; raises BadInput where there is none of the table asked for."""
    if source.metrics_alone:
        return []
    wanted = {table.key for table in source.tables} - source.charts if options.table is None else {options.table}
    chosen = [table for table in source.tables if table.key in wanted]
    if not chosen:
        keys = ", ".join(dict.fromkeys(table.key for table in source.tables)) or "none"
        if options.table is None and source.charts:
            raise BadInput(f"{source.name}: its tables are those of charts only ({keys}); name one with --table")
        raise BadInput(f"{source.name}: no table {options.table or ''} to import; it has: {keys}")
    names = table_names(table.key for table in source.tables)
    versions: list[Version] = []
    for table in chosen:
        taken = {version.epoch for version in versions if version.source.key == table.key}
        epoch = table.epoch or options.epoch or max(taken, default=0) + 1
        progress(at_epoch(names[table.key], epoch), 0)
        versions.append(Version(table, names[table.key], epoch, table.read()))
    return versions


def _left_out(source: SourceRun, options: ImportOptions) -> Iterator[str]:
    """The tables that are left out since they are there for charts only."""
    keys = list(dict.fromkeys(table.key for table in source.tables if table.key in source.charts))
    if keys and options.table is None:
        one = "a table of a chart" if len(keys) == 1 else f"{len(keys)} tables of charts"
        yield f"left out {one} (wandb.plot): {listing(keys, 6)}; --table brings one"


def _commands(source: SourceRun, options: ImportOptions) -> Commands:
    """How the import was asked for, so that it can be asked for again with what would settle it."""
    return Commands(
        typed=options.typed or Typed((str(source.origin.get("place") or source.name),), ()),
        stem=source.name,
        run=options.run,
        given=options.given,
        strict=source.origin.get("kind") in FILES,
    )


def _about(source: SourceRun, layouts: Mapping[str, Layout]) -> dict[str, Any]:
    classes = [list(how.classes.names) for how in layouts.values() if how.classes.names]
    return {
        "origin": source.origin.get("kind", "imported"),
        "config": plain(without_classes(source.config)),
        "classes": classes[0] if classes else None,
        "source": plain(source.origin),
    }


def _commit(
    writer: RunWriter,
    folder: Path,
    what: tuple[Version, bool],
    how: Layout,
    known: FileDigests,
    progress: Callable[[int], None],
) -> ImportedTable:
    """Write a version; what says besides whether its column `step` is that of validations."""
    version, ours = what
    run = writer.run.name
    examples = ExamplesWriter(folder, writer.incoming, version.table, _kind(version, how))
    odd = Oddities(how)
    count, faults = 0, Counter[str]()

    def batches() -> Iterator[pa.RecordBatch]:
        nonlocal count
        progress(0)
        for batch in version.contents.batches():
            seen = about(batch, how, known)
            table = rows(batch, how, seen, (run, version.epoch, version.source.step))
            count += batch.num_rows
            faults.update(broken=seen.broken, dark=seen.dark)
            odd.add(batch, table)
            _keep_examples(examples, table, seen)
            progress(batch.num_rows)
            yield from table.to_batches()

    stream = pa.RecordBatchReader.from_batches(_nothing(version, how, run).schema, batches())
    names = how.classes.names
    writer.commit(
        EpochRows(
            version.table,
            version.epoch,
            stream,
            names,
            examples.finish,
            right=how.verdict,
            step=version.moment.step,
            has_steps=ours,
        )
    )
    media = version.contents.media
    return ImportedTable(
        version.table,
        version.moment,
        count,
        media.whole,
        media.missing + media.refused,
        how.line,
        (*_table_notes(version, how), *odd.notes(), *image_notes(media, faults)),
        all_dark(media, faults),
    )


def _kind(version: Version, how: Layout) -> str | None:
    """What the rows of a version are about."""
    if how.content is None:
        return "image" if how.roles.image else None
    return "text" if pa.types.is_string(version.contents.schema.field(how.content).type) else "numbers"


def _keep_examples(writer: ExamplesWriter, table: pa.Table, seen: BatchImages) -> None:
    """Give the rows with images to the examples."""
    digests = pa.array(seen.digests, pa.string())
    there = digests.is_valid()
    table, digests = table.filter(there), digests.filter(there)
    if not len(digests):
        return
    texts = digests.to_pylist()
    new = {digest: seen.files[digest] for digest in writer.unknown(texts)}
    truth = table["truth"].combine_chunks() if "truth" in table.column_names else None
    writer.add(Batch(pc.coalesce(table["id"].combine_chunks(), digests), texts, truth, new))


def _nothing(version: Version, how: Layout, run: str) -> pa.Table:
    return rows(version.contents.nothing, how, BatchImages([], {}), (run, version.epoch, version.source.step))


def _table_notes(version: Version, how: Layout) -> tuple[str, ...]:
    return (*version.source.notes, *version.contents.notes, *how.renamed)


def image_notes(media: MediaCount, faults: Mapping[str, int]) -> tuple[str, ...]:
    """Why images are not there, and how many of those that are cannot be decoded (broken) or seen (dark)."""
    broken, dark = faults.get("broken", 0), faults.get("dark", 0)
    notes = [f"{broken:,} images cannot be decoded"] if broken else []
    if all_dark(media, faults):
        notes.append(
            f"these images are nearly black: all {dark:,} hold only the values 0 and 1, which is what wandb 0.29 and "
            "newer make of float pixels from 0 to 1; log them as 8-bit pixels"
        )
    return (*media.reasons, *notes)


def all_dark(media: MediaCount, faults: Mapping[str, int]) -> bool:
    """Whether all images that can be decoded, more than one, are black to an eye."""
    dark = faults.get("dark", 0)
    return dark > 1 and dark == media.whole - faults.get("broken", 0)


def described(run: ImportedRun) -> Iterator[str]:
    """The lines that tell a person what was imported, or would be; what holds for all epochs of a table comes once."""
    yield f"run {run.run}"
    for name in dict.fromkeys(table.table for table in run.tables):
        epochs = [table for table in run.tables if table.table == name]
        shared = [note for note in epochs[0].notes if all(note in table.notes for table in epochs)]
        yield f"  {name}: {epochs[0].roles}"
        for table in epochs:
            nearly = "nearly black " if table.dark else ""
            images = f", {table.images:,} {nearly}images" if table.images or table.missing else ""
            missing = f", {table.missing:,} missing" if table.missing else ""
            yield f"    epoch {table.moment}: {table.rows:,} rows{images}{missing}"
            if len(epochs) == 1:
                yield from (f"      {note}" for note in table.notes)
            else:
                yield from (f"      {note}" for note in table.notes if note not in shared)
        if len(epochs) > 1:
            yield from (f"    in every epoch: {note}" for note in shared)
    yield from (f"  {note}" for note in run.notes)
