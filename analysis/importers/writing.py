"""Foreign runs into the store: whole or not at all."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from secondguess.analysis.content import FileDigests
from secondguess.analysis.errors import AlreadyThere, BadInput
from secondguess.analysis.importers.classes import classes_of, mirrored_classes, without_classes
from secondguess.analysis.importers.commands import Commands
from secondguess.analysis.importers.names import free_name, table_names
from secondguess.analysis.importers.oddities import Oddities
from secondguess.analysis.importers.progress import Progress, unseen
from secondguess.analysis.importers.roles import Given
from secondguess.analysis.importers.rows import BatchImages, Layout, layout, pictures, rows
from secondguess.analysis.importers.source import MediaCount, SourceRun, SourceTable, TableRows
from secondguess.analysis.importers.survey import Surveyed, survey
from secondguess.analysis.schema import at_epoch
from secondguess.analysis.store.adoption import adopt, staging
from secondguess.analysis.store.commits import EpochRows
from secondguess.analysis.store.disk import synced_at_end
from secondguess.analysis.store.examples import Batch, ExamplesWriter
from secondguess.analysis.store.runs import Run, list_runs
from secondguess.analysis.store.writer import RunWriter

FILES = frozenset({"parquet", "csv", "tsv", "txt", "jsonl", "ndjson", "json", "arrow", "feather", "xlsx"})
"""The kinds of sources that are files of predictions and nothing else."""


@dataclass(frozen=True)
class ImportOptions:
    """How to import: run names the result, table keeps one key only, epoch is for tables that say none.

    epoch_column and run_column take the rows of one table apart.
    """

    run: str | None = None
    table: str | None = None
    epoch: int | None = None
    given: Given = field(default_factory=Given)
    overwrite: bool = False
    epoch_column: str | None = None
    run_column: str | None = None


@dataclass(frozen=True)
class ImportedTable:
    """One version of a table as it was imported, or would be."""

    table: str
    epoch: int
    rows: int
    images: int
    missing: int
    roles: str
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class ImportedRun:
    """A run as it was imported, or would be; notes say what changed on the way."""

    run: str
    tables: tuple[ImportedTable, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class _Version:
    source: SourceTable
    table: str
    epoch: int
    contents: TableRows


@dataclass(frozen=True)
class Plan:
    """A run that has been looked through and is ready to be imported."""

    store: Path
    source: SourceRun
    name: str
    replaces: bool
    versions: Sequence[_Version]
    layouts: Mapping[str, Layout]
    notes: tuple[str, ...]

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
                epoch=version.epoch,
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

    Raises AlreadyThere where the run was imported before, BadInput, Damaged.
    """
    name, replaces, notes = _named(store, source, options, promised)
    versions, surveys = _surveyed(_versions(source, options, progress), source, options)
    layouts = _layouts(versions, surveys, options.given, mirrored_classes(source.config))
    names = {version.source.key: version.table for version in versions}
    renamed = [f"table {key!r} is called {name!r}" for key, name in names.items() if key != name]
    return Plan(store, source, name, replaces, versions, layouts, (*notes, *renamed, *source.notes))


def write(planned: Plan, progress: Progress = unseen) -> ImportedRun:
    """Import a run that was looked through. If anything fails, the store is as it was; raises what failed."""
    with staging(planned.store) as folder:
        with synced_at_end(folder):
            tables = _written(planned, folder, progress)
        adopt(planned.store, folder, planned.name, overwrite=planned.replaces)
    return ImportedRun(planned.name, tuple(tables), planned.notes)


def _written(planned: Plan, folder: Path, progress: Progress) -> list[ImportedTable]:
    """Write the run into a store of its own."""
    source = planned.source
    writer = RunWriter.create(folder, planned.name, _about(source, planned.layouts))
    known = FileDigests()
    try:
        tables = []
        for version in planned.versions:
            seen = partial(progress, at_epoch(version.table, version.epoch))
            tables.append(_commit(writer, folder, version, planned.layouts[version.table], known, seen))
        writer.end(list(source.metrics()), **({} if source.finished else {"status": "interrupted"}))
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
    earlier = next((run.name for run in runs.values() if _is_same(run.about.get("source") or {}, source.origin)), None)
    ours = str(source.origin.get("id") or "")
    if earlier is not None and _is_run(source.origin) and not options.overwrite:
        raise AlreadyThere(f"W&B run {ours} was imported before, as {earlier!r}; --overwrite replaces it")
    mirrored = [run.name for run in runs.values() if _has_mirror(run, ours)]
    here = [f"the run that W&B mirrors is here already: {name!r}" for name in mirrored]
    if options.run is None and earlier is not None and options.overwrite:
        return earlier, True, here
    name, notes = free_name(options.run or source.name, {*runs, *promised}, ours, asked=options.run is not None)
    return name, options.overwrite and options.run is not None, [*notes, *here]


def _has_mirror(run: Run, wandb_id: str) -> bool:
    """Whether the run was recorded or published into the W&B run of that id."""
    return any(path.name == f"wandb-{wandb_id}.json" for path in (run.folder / "commits").glob("wandb-*.json"))


def _is_same(origin: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether two imports came from one place: the same W&B run, offline or not, or the same file."""
    if _is_run(origin) and _is_run(other):
        return bool(other.get("id")) and origin.get("id") == other["id"]
    return bool(origin) and origin == other


def _is_run(origin: Mapping[str, Any]) -> bool:
    """Whether it is a whole run of W&B's, not one artifact of it."""
    return str(origin.get("kind", "")).startswith("wandb")


def _versions(source: SourceRun, options: ImportOptions, progress: Progress) -> list[_Version]:
    """Every version to be imported; raises BadInput where there is none of the table asked for."""
    chosen = [table for table in source.tables if options.table in (None, table.key)]
    if not chosen:
        keys = ", ".join(dict.fromkeys(table.key for table in source.tables)) or "none"
        raise BadInput(f"{source.name}: no table {options.table or ''} to import; it has: {keys}")
    names = table_names(table.key for table in source.tables)
    versions: list[_Version] = []
    for table in chosen:
        taken = {version.epoch for version in versions if version.source.key == table.key}
        epoch = table.epoch or options.epoch or max(taken, default=0) + 1
        progress(at_epoch(names[table.key], epoch), 0)
        versions.append(_Version(table, names[table.key], epoch, table.read()))
    return versions


def _surveyed(
    versions: Sequence[_Version], source: SourceRun, options: ImportOptions
) -> tuple[list[_Version], dict[str, Surveyed]]:
    """The versions with their columns as they are meant, and what was decided about each table."""
    place = str(source.origin.get("place") or "")
    strict = source.origin.get("kind") in FILES
    commands = Commands(
        source=_shown(place) or source.name,
        stem=source.name,
        run=options.run,
        given=options.given,
        strict=strict,
        epoch_column=options.epoch_column,
        epoch=options.epoch,
    )
    folder = Path(place).parent if place and strict else None
    surveys: dict[str, Surveyed] = {}
    meant: dict[int, TableRows] = {}
    for table in dict.fromkeys(version.table for version in versions):
        places = [at for at, version in enumerate(versions) if version.table == table]
        surveys[table] = survey([versions[at].contents for at in places], options.given, commands, folder)
        meant |= dict(zip(places, surveys[table].versions, strict=True))
    return [replace(version, contents=meant[at]) for at, version in enumerate(versions)], surveys


def _shown(place: str) -> str:
    """A path as short as it can be from where the command was given."""
    path = Path(place)
    return str(path.relative_to(Path.cwd())) if place and path.is_relative_to(Path.cwd()) else place


def _layouts(
    versions: Sequence[_Version], surveys: Mapping[str, Surveyed], given: Given, mirrored: Sequence[str] | None
) -> Mapping[str, Layout]:
    """The layout of each table; raises BadInput where the classes that were given are those of none."""
    layouts: dict[str, Layout] = {}
    for table, surveyed in surveys.items():
        contents = [version.contents for version in versions if version.table == table]
        roles = surveyed.roles
        told = [roles.guess or "", *roles.scores]
        # The types often say enough: they come before the first batch is read.
        batches = (batch for rows in contents for batch in chain([rows.nothing], rows.batches(told)))
        classes = surveyed.classes if given.classes is None else None
        classes = classes or classes_of(roles, batches, given.classes, mirrored)
        layouts[table] = layout([rows.schema for rows in contents], roles, classes)
    if given.classes is not None and all(how.classes.names != given.classes for how in layouts.values()):
        scores = ", ".join(f"{table} has {len(how.roles.scores)} scores" for table, how in layouts.items())
        raise BadInput(f"--classes names {len(given.classes)} classes, but {scores}")
    return layouts


def _about(source: SourceRun, layouts: Mapping[str, Layout]) -> dict[str, Any]:
    classes = [list(how.classes.names) for how in layouts.values() if how.classes.names]
    return {
        "origin": source.origin.get("kind", "imported"),
        "config": without_classes(source.config),
        "classes": classes[0] if classes else None,
        "source": dict(source.origin),
    }


def _commit(
    writer: RunWriter,
    folder: Path,
    version: _Version,
    how: Layout,
    known: FileDigests,
    progress: Callable[[int], None],
) -> ImportedTable:
    run, image = writer.run.name, how.roles.image
    examples = ExamplesWriter(folder, writer.incoming, version.table, "image" if image else None)
    odd = Oddities(how)
    count = broken = 0

    def batches() -> Iterator[pa.RecordBatch]:
        nonlocal count, broken
        progress(0)
        for batch in version.contents.batches():
            seen = pictures(batch, image, known)
            table = rows(batch, how, seen, (run, version.epoch, version.source.step))
            count, broken = count + batch.num_rows, broken + seen.broken
            odd.add(batch, table)
            _keep_examples(examples, table, seen)
            progress(batch.num_rows)
            yield from table.to_batches()

    stream = pa.RecordBatchReader.from_batches(_nothing(version, how, run).schema, batches())
    writer.commit(EpochRows(version.table, version.epoch, stream, how.classes.names, examples.finish))
    media = version.contents.media
    return ImportedTable(
        version.table,
        version.epoch,
        count,
        media.whole,
        media.missing + media.refused,
        how.line,
        (*_table_notes(version, how), *odd.notes(), *image_notes(media, broken)),
    )


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


def _nothing(version: _Version, how: Layout, run: str) -> pa.Table:
    return rows(version.contents.nothing, how, BatchImages([], {}, 0), (run, version.epoch, version.source.step))


def _table_notes(version: _Version, how: Layout) -> tuple[str, ...]:
    return (*version.source.notes, *version.contents.notes, *how.renamed)


def image_notes(media: MediaCount, broken: int) -> tuple[str, ...]:
    """Why images are not there, and how many of those that are cannot be decoded."""
    return (*media.reasons, *([f"{broken:,} images cannot be decoded"] if broken else []))


def described(run: ImportedRun) -> Iterator[str]:
    """The lines that tell a person what was imported, or would be; what holds for all epochs of a table comes once."""
    yield f"run {run.run}"
    for name in dict.fromkeys(table.table for table in run.tables):
        epochs = [table for table in run.tables if table.table == name]
        shared = [note for note in epochs[0].notes if all(note in table.notes for table in epochs)]
        yield f"  {name}: {epochs[0].roles}"
        for table in epochs:
            images = f", {table.images:,} images" if table.images or table.missing else ""
            missing = f", {table.missing:,} missing" if table.missing else ""
            yield f"    epoch {table.epoch}: {table.rows:,} rows{images}{missing}"
            if len(epochs) == 1:
                yield from (f"      {note}" for note in table.notes)
            else:
                yield from (f"      {note}" for note in table.notes if note not in shared)
        if len(epochs) > 1:
            yield from (f"    in every epoch: {note}" for note in shared)
    yield from (f"  {note}" for note in run.notes)
