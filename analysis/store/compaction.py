"""Merging a finished run's epochs, and clearing away what no record names."""

import contextlib
import os
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from analysis.schema import FORMAT_VERSION, decoded, encoded
from analysis.store import parquet
from analysis.store.files import Part, put_record, sync_folder
from analysis.store.runs import Run

_LARGEST_FILE = 512 << 20  # bytes; an epoch that is larger stays alone

_OURS = re.compile(r"(epoch|epochs|metrics)-[0-9-]*[0-9a-f]{12}\.parquet|\d{5,}(-\d{5,})?\.json|[0-9a-f]{32}\.part")

_Named = tuple[str, dict[str, Any]]


def compact(run: Run) -> None:
    """Merge each table's epochs into as few files as fit; readers see the same rows before, during and after."""
    commits = run.commits
    if run.faults:
        return
    for table, live in commits.items():
        for group in _groups(live):
            if len(group) > 1:
                _merge(run, table, group)
    sweep(Run(run.store, run.name, run.folder))


def sweep(run: Run) -> None:
    """Delete the superseded records, then our files that no record names. Only for the holder of the run's lock.

    Foreign files stay, and so does everything while a record cannot be read: it may name any of them.
    """
    live, metrics = run.commits, {path.name for path in run.metrics}
    if run.faults:
        return
    for table in {*live, *_uncommitted(run)}:
        named = live.get(table, [])
        # Records first: one that still names a file must not outlive it.
        _keep(run.folder / "commits" / encoded(table), {name for name, _ in named})
        _keep(run.folder / encoded(table), {Path(record["file"]["name"]).name for _, record in named})
    _keep(run.folder / "metrics", metrics)
    _keep(run.folder / ".incoming", set())


def _uncommitted(run: Run) -> list[str]:
    """The folders that may hold the file of a first epoch whose commit never came."""
    held = {"commits", "metrics", ".incoming"}
    return [decoded(path.name) for path in run.folder.iterdir() if path.is_dir() and path.name not in held]


def _keep(folder: Path, names: set[str]) -> None:
    if not folder.is_dir():
        return
    for path in folder.iterdir():
        if path.name not in names and _OURS.fullmatch(path.name):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)
    sync_folder(folder)


def _groups(live: list[_Named]) -> Iterator[list[_Named]]:
    """Runs of neighbouring epochs with the same columns that fit into one file."""
    group: list[_Named] = []
    for item in live:
        record = item[1]
        fits = sum(other["file"]["bytes"] for _, other in group) + record["file"]["bytes"] <= _LARGEST_FILE
        alike = not group or all(record[key] == group[0][1][key] for key in ("columns", "classes"))
        if group and not (fits and alike):
            yield group
            group = []
        group.append(item)
    if group:
        yield group


def _merge(run: Run, table: str, group: list[_Named]) -> None:
    records = [record for _, record in group]
    entries = [entry for record in records for entry in record["epochs"]]
    span = f"{entries[0]['epoch']:05d}-{entries[-1]['epoch']:05d}"
    about = {"run": run.name, "table": table, "epochs": entries, "about": dict(run.about)}
    merged = {
        "format": FORMAT_VERSION,
        "committed": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "file": _concatenate(run, [record["file"] for record in records], encoded(table), f"epochs-{span}", about),
        "columns": records[0]["columns"],
        "classes": records[0]["classes"],
        "epochs": entries,
        "metrics": _concatenate(
            run, [record["metrics"] for record in records if record["metrics"]], "metrics", "metrics", {"run": run.name}
        ),
        "supersedes": [name for name, _ in group],
    }
    put_record(run.folder / "commits" / encoded(table) / f"{span}.json", merged, run.folder / ".incoming")


def _concatenate(
    run: Run, files: list[dict[str, Any]], folder: str, stem: str, about: dict[str, Any]
) -> dict[str, Any] | None:
    """One file with the row groups of all, in order, so that none spans two epochs."""
    if not files:
        return None
    sources = [pq.ParquetFile(run.folder / file["name"], page_checksum_verification=True) for file in files]
    schema = sources[0].schema_arrow.with_metadata(parquet.footer(about))
    with Part(run.folder / ".incoming") as part, contextlib.ExitStack() as opened:
        with parquet.open_writer(part, schema) as writer:
            for source in sources:
                opened.enter_context(source)
                for group in range(source.num_row_groups):
                    writer.write_table(source.read_row_group(group).replace_schema_metadata(schema.metadata))
        return parquet.publish(part, run.folder / folder, stem, sum(file["rows"] for file in files))
