"""Foreign runs into the store: whole or not at all."""

import shutil
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa

from analysis.errors import AlreadyThere, BadInput
from analysis.importers.foreign_rows import Layout, Pictures, layout, pictures, rows
from analysis.importers.names import free_name, table_name
from analysis.importers.roles import Given, Roles, recognise
from analysis.importers.source import SourceRun, SourceTable, TableRows
from analysis.store.adoption import adopt
from analysis.store.commits import EpochRows
from analysis.store.examples import Batch, ExamplesWriter
from analysis.store.runs import list_runs
from analysis.store.writer import RunWriter

Progress = Callable[[str], None]


@dataclass(frozen=True)
class How:
    """How to import: run names the result, table keeps one key only, epoch is for tables that say none."""

    run: str | None = None
    table: str | None = None
    epoch: int | None = None
    given: Given = field(default_factory=Given)
    overwrite: bool = False


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
    found: TableRows


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
    def promised(self) -> ImportedRun:
        """What importing would bring: names, epochs, rows, roles."""
        tables = [
            ImportedTable(
                table=version.table,
                epoch=version.epoch,
                rows=version.found.rows,
                images=version.found.media_cells,
                missing=0,
                roles=self.layouts[version.table].roles.line,
                notes=_table_notes(version, self.layouts[version.table]),
            )
            for version in self.versions
        ]
        return ImportedRun(self.name, tuple(tables), self.notes)


def plan(store: Path, source: SourceRun, how: How) -> Plan:
    """Look a run through, without writing; raises AlreadyThere where it was imported before, BadInput, Damaged."""
    name, replaces, notes = _named(store, source, how)
    versions = _versions(source, how)
    return Plan(store, source, name, replaces, versions, _layouts(versions, how.given), (*notes, *source.notes))


def write(planned: Plan, progress: Progress = lambda text: None) -> ImportedRun:
    """Import a run that was looked through. If anything fails, the store is as it was; raises what failed."""
    source, store = planned.source, planned.store
    staging = store / f".importing-{uuid.uuid4().hex}"
    try:
        writer = RunWriter.create(staging, planned.name, _about(source, planned.layouts))
        try:
            tables = []
            for version in planned.versions:
                progress(f"{version.table}@{version.epoch}")
                tables.append(_commit(writer, staging, version, planned.layouts[version.table]))
            writer.end(list(source.metrics()), **({} if source.finished else {"status": "interrupted"}))
        finally:
            writer.close()
        adopt(store, staging, planned.name, overwrite=planned.replaces)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return ImportedRun(planned.name, tuple(tables), planned.notes)


def _named(store: Path, source: SourceRun, how: How) -> tuple[str, bool, list[str]]:
    """The run's name in the store, whether it may replace a run there, and what changed about the name.

    Only what came from the same place is replaced, or the run that was named for it: never another that happens to be
    called alike. Raises AlreadyThere where the run was imported before and is not to be replaced.
    """
    runs = list_runs(store) if store.is_dir() else {}
    earlier = next((run.name for run in runs.values() if _is_same(run.about.get("source") or {}, source.origin)), None)
    ours = str(source.origin.get("id") or "")
    if earlier is not None and _is_run(source.origin) and not how.overwrite:
        raise AlreadyThere(f"W&B run {ours} was imported before, as {earlier!r}; --overwrite replaces it")
    if how.run is None and earlier is not None and how.overwrite:
        return earlier, True, []
    name, notes = free_name(how.run or source.name, set(runs), ours, asked=how.run is not None)
    return name, how.overwrite and how.run is not None, notes


def _is_same(origin: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether two imports came from one place: the same W&B run, offline or not, or the same file."""
    if _is_run(origin) and _is_run(other):
        return bool(other.get("id")) and origin.get("id") == other["id"]
    return bool(origin) and origin == other


def _is_run(origin: Mapping[str, Any]) -> bool:
    """Whether it is a whole run of W&B's, not one artifact of it."""
    return str(origin.get("kind", "")).startswith("wandb")


def _versions(source: SourceRun, how: How) -> list[_Version]:
    """Every version to be imported; raises BadInput where there is none of the table asked for."""
    chosen = [table for table in source.tables if how.table in (None, table.key)]
    if not chosen:
        keys = ", ".join(dict.fromkeys(table.key for table in source.tables)) or "none"
        raise BadInput(f"{source.name}: no table {how.table or ''} to import; it has: {keys}")
    found: list[_Version] = []
    for table in chosen:
        taken = {version.epoch for version in found if version.source.key == table.key}
        epoch = table.epoch or how.epoch or max(taken, default=0) + 1
        found.append(_Version(table, table_name(table.key), epoch, table.read()))
    return found


def _layouts(versions: Sequence[_Version], given: Given) -> Mapping[str, Layout]:
    schemas: dict[str, list[pa.Schema]] = {}
    for version in versions:
        schemas.setdefault(version.table, []).append(version.found.schema)
    return {table: layout(found, recognise(found[-1], given)) for table, found in schemas.items()}


def _about(source: SourceRun, layouts: Mapping[str, Layout]) -> dict[str, Any]:
    classes = [how.roles.classes for how in layouts.values() if how.roles.classes]
    return {
        "origin": source.origin.get("kind", "imported"),
        "config": dict(source.config),
        "classes": list(classes[0]) if classes else None,
        "source": dict(source.origin),
    }


def _commit(writer: RunWriter, staging: Path, version: _Version, how: Layout) -> ImportedTable:
    run, image = writer.run.name, how.roles.image
    examples = ExamplesWriter(staging, writer.incoming, version.table, "image" if image else None)
    broken = 0
    tables: list[pa.Table] = []
    told: set[tuple[str | None, str]] = set()
    for batch in version.found.batches():
        seen = pictures(batch, image if image in batch.schema.names else None)
        broken += seen.broken
        tables.append(rows(batch, how, seen, (run, version.epoch, version.source.step)))
        _keep_examples(examples, tables[-1], seen, told)
    whole = pa.concat_tables(tables, promote_options="permissive") if tables else _nothing(version, how, run)
    writer.commit(EpochRows(version.table, version.epoch, whole, how.roles.classes, examples.finish()))
    media = version.found.media
    notes = [*_table_notes(version, how), *media.reasons]
    if broken:
        notes.append(f"{broken:,} images cannot be decoded")
    return ImportedTable(
        version.table,
        version.epoch,
        whole.num_rows,
        media.found,
        media.missing + media.refused,
        how.roles.line,
        tuple(notes),
    )


def _keep_examples(writer: ExamplesWriter, table: pa.Table, seen: Pictures, told: set[tuple[str | None, str]]) -> None:
    """Give the rows with images to the examples, each (id, image) once."""
    ids = table["id"].to_pylist()
    kept = []
    for row, (name, digest) in enumerate(zip(ids, seen.digests, strict=True)):
        if digest is not None and (name, digest) not in told:
            told.add((name, digest))
            kept.append(row)
    if not kept:
        return
    digests = [digest for digest in (seen.digests[row] for row in kept) if digest is not None]
    truth = table["truth"].take(kept).combine_chunks() if "truth" in table.column_names else None
    new = {digest: seen.files[digest] for digest in writer.unknown(digests)}
    writer.add(Batch([ids[row] or digest for row, digest in zip(kept, digests, strict=True)], digests, truth, new))


def _nothing(version: _Version, how: Layout, run: str) -> pa.Table:
    empty = pa.RecordBatch.from_pylist([], schema=version.found.schema)
    return rows(empty, how, Pictures([], {}, 0), (run, version.epoch, version.source.step))


def _table_notes(version: _Version, how: Layout) -> tuple[str, ...]:
    return (*version.source.notes, *version.found.notes, *how.renamed)


def described(run: ImportedRun) -> Iterator[str]:
    """The lines that tell a person what was imported, or would be."""
    yield f"run {run.run}"
    roles: dict[str, Roles | str] = {}
    for table in run.tables:
        if roles.get(table.table) != table.roles:
            roles[table.table] = table.roles
            yield f"  {table.table}: {table.roles}"
        images = f", {table.images:,} images" if table.images or table.missing else ""
        missing = f", {table.missing:,} missing" if table.missing else ""
        yield f"    epoch {table.epoch}: {table.rows:,} rows{images}{missing}"
        yield from (f"      {note}" for note in table.notes)
    yield from (f"  {note}" for note in run.notes)
