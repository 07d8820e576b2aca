"""Merging a finished run's epochs, and clearing away what no record names."""

import contextlib
import itertools
import logging
import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from secondguess.analysis.errors import Damaged
from secondguess.analysis.moments import SPAN, Moment
from secondguess.analysis.objects.path import ObjectPath, delete
from secondguess.analysis.schema import RESERVED_NAMES, STEP, decoded, encoded
from secondguess.analysis.store import parquet
from secondguess.analysis.store.commits import verdicts
from secondguess.analysis.store.disk import Part, put_record, sync_folder
from secondguess.analysis.store.records import format_of, named, span
from secondguess.analysis.store.runs import Run

_log = logging.getLogger("secondguess")

_LARGEST_FILE = 512 << 20  # bytes; an epoch that is larger stays alone

_OURS = re.compile(rf"(epochs?-{SPAN}|metrics)-[0-9a-f]{{12}}\.parquet|{SPAN}(\.\d+)?\.json|[0-9a-f]{{32}}\.part")

_Named = tuple[str, dict[str, Any]]


def compact(run: Run) -> None:
    """Merge each table's epochs into as few files as fit; readers see the same rows before, during and after.

    Epochs that cannot be merged, for want of space or because their file is damaged, stay as they are.
    """
    if run.damage():
        return
    for table, live in run.commits.items():
        if len(live) < 2:
            continue  # one epoch has none to be merged with
        for group in _groups([item for item in live if _is_sound(run, item[1])]):
            if len(group) > 1:
                try:
                    _merge(run, table, group)
                except (OSError, Damaged) as fault:
                    _log.warning("the epochs of %s/%s stay in separate files: %s", run.name, table, fault)
    sweep(Run(run.store, run.name, run.folder))


def _is_sound(run: Run, record: dict[str, Any]) -> bool:
    """Whether the record's files are as they were written: a merge would give damage a new and valid digest."""
    try:
        for file in filter(None, (record["file"], record["metrics"])):
            parquet.verify(run.folder / file["name"], file["sha256"])
    except (Damaged, OSError) as fault:
        _log.warning("not compacted: %s", fault)
        return False
    return True


def sweep(run: Run) -> None:
    """Delete the superseded records, then our files that no record names. Only for the holder of the run's lock.

    Foreign files stay, and so does everything while a record cannot be read: it may name any of them.
    """
    if run.damage():
        return
    live, metrics = run.commits, {path.name for path in run.metrics}
    for table in {*live, *_begun(run)}:
        named = live.get(table, [])
        # Records first: one that still names a file must not outlive it.
        _keep(run.commits_folder / encoded(table), {name for name, _ in named})
        _keep(run.folder / encoded(table), {Path(record["file"]["name"]).name for _, record in named})
    _keep(run.folder / "metrics", metrics)
    _keep(run.folder / ".incoming", set())


def _begun(run: Run) -> list[str]:
    """The tables that were ever to be committed: the file of a first epoch may have come without its record."""
    # A bucket has no empty folder that would tell of such a table: there each that can be one is looked into.
    folder = run.folder if isinstance(run.folder, ObjectPath) else run.commits_folder
    names = [path.name for path in folder.iterdir() if path.is_dir()] if folder.is_dir() else []
    return [decoded(name) for name in names if name not in RESERVED_NAMES and not name.startswith(".")]


def _keep(folder: Path, names: set[str]) -> None:
    if not folder.is_dir():
        return
    gone = [path for path in folder.iterdir() if path.name not in names and _OURS.fullmatch(path.name)]
    delete(path for path in gone if isinstance(path, ObjectPath))  # many in one request
    for path in gone:
        if not isinstance(path, ObjectPath):
            with contextlib.suppress(FileNotFoundError):
                path.unlink()
    sync_folder(folder)


def _groups(live: list[_Named]) -> Iterator[list[_Named]]:
    """Runs of neighbouring epochs with the same columns that fit into one file."""
    group: list[_Named] = []
    for item in live:
        record = item[1]
        fits = sum(other["file"]["bytes"] for _, other in group) + record["file"]["bytes"] <= _LARGEST_FILE
        alike = not group or _layout(record) == _layout(group[0][1])
        if group and not (fits and alike):
            yield group
            group = []
        group.append(item)
    if group:
        yield group


def _layout(record: dict[str, Any]) -> list[Any]:
    """What records of one file have in common, whether their column `step` is that of validations among it."""
    return [*(record.get(key) for key in ("columns", "classes", "right")), STEP in record["epochs"][0]]


def _merge(run: Run, table: str, group: list[_Named]) -> None:
    merged = merged_record(run, table, group)
    path, merged = named(run.commits_folder / encoded(table), merged)
    put_record(path, merged, run.folder / ".incoming")


def merged_record(run: Run, table: str, group: Sequence[_Named]) -> dict[str, Any]:
    """The record of one file with the rows of these records, which it supersedes; the file is written, it is not."""
    records = [record for _, record in group]
    entries = sorted((entry for record in records for entry in record["epochs"]), key=Moment.of)
    about = {"run": run.about.get("name", run.name), "table": table, "epochs": entries, "about": dict(run.about)}
    about["classes"] = records[0]["classes"]
    about |= verdicts(records[0].get("right")) | {"format": format_of(map(Moment.of, entries))}
    stem = f"epochs-{span(entries)}"
    return {
        "format": format_of(map(Moment.of, entries)),
        "committed": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "file": _concatenate(run, records, "file", (encoded(table), stem), about),
        "columns": records[0]["columns"],
        "classes": records[0]["classes"],
        **verdicts(records[0].get("right")),
        "epochs": entries,
        "metrics": merged_metrics(run, records),
        "examples": {name: said for record in records for name, said in record.get("examples", {}).items()},
        "supersedes": [name for name, _ in group],
    }


def merged_metrics(run: Run, records: Sequence[dict[str, Any]]) -> dict[str, Any] | None:
    """One file with the metrics of these records."""
    with_some = [record for record in records if record["metrics"]]
    if len(with_some) < 2:
        return with_some[0]["metrics"] if with_some else None
    return _concatenate(run, with_some, "metrics", ("metrics", "metrics"), {"run": run.name})


def epoch_groups(
    folder: Path, records: Sequence[dict[str, Any]], columns: Sequence[str] | None = None
) -> Iterator[tuple[Moment, pa.Table]]:
    """The row groups of records' files, those of a moment together and the moments in order: none spans two.

    Each comes with its moment; of each file come those of the columns that it has.
    """
    places: list[tuple[Moment, int, int]] = []
    for file, record in enumerate(records):
        steps = STEP in record["epochs"][0]
        with parquet.opened(_rows_of(folder, record)) as opened:
            for group in range(opened.num_row_groups):
                places.append((_moment_of(opened, group, steps=steps), file, group))
    for file, groups in itertools.groupby(sorted(places), key=lambda place: place[1]):
        with parquet.opened(_rows_of(folder, records[file])) as opened:
            for moment, _, group in groups:
                yield moment, opened.read_row_group(group, columns)


def _rows_of(folder: Path, record: dict[str, Any]) -> Path:
    return folder / str(record["file"]["name"])


def _moment_of(file: pq.ParquetFile, group: int, *, steps: bool) -> Moment:
    """The moment of a row group's rows, as its bounds say; a step's are none where it is NULL."""
    names, about = file.schema_arrow.names, file.metadata.row_group(group)
    epoch = about.column(names.index("epoch")).statistics.min
    bounds = about.column(names.index(STEP)).statistics if steps else None
    return Moment(epoch, bounds.min if bounds is not None and bounds.has_min_max else None)


def _concatenate(
    run: Run, records: Sequence[dict[str, Any]], kind: str, place: tuple[str, str], about: dict[str, Any]
) -> dict[str, Any]:
    """One file with the row groups of all: rows in the order of moments, metrics in that of the records.

    kind is what a record calls the file; place the folder, in the run's, and what the name begins with.
    """
    files = [record[kind] for record in records]
    paths = [run.folder / file["name"] for file in files]
    schema = parquet.widened(parquet.schema(paths[0]))
    every: Iterable[pa.Table] = (group for path in paths for group in parquet.row_groups(path))
    if kind == "file":
        every = (group for _, group in epoch_groups(run.folder, records))
    with Part(run.folder / ".incoming") as part:
        with parquet.open_writer(part, schema) as writer:
            writer.add_key_value_metadata(parquet.footer(about))
            for group in every:
                writer.write_table(group.cast(schema))
        return parquet.publish(part, run.folder / place[0], place[1], sum(file["rows"] for file in files))
