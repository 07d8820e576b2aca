"""Merging a finished run's epochs, and clearing away what no record names."""

import contextlib
import logging
import os
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from secondguess.analysis.errors import Damaged
from secondguess.analysis.schema import FORMAT_VERSION, decoded, encoded
from secondguess.analysis.store import parquet
from secondguess.analysis.store.disk import Part, put_record, sync_folder
from secondguess.analysis.store.runs import Run

_log = logging.getLogger("secondguess")

_LARGEST_FILE = 512 << 20  # bytes; an epoch that is larger stays alone

_OURS = re.compile(r"(epoch|epochs|metrics)-[0-9-]*[0-9a-f]{12}\.parquet|\d{5,}(-\d{5,})?\.json|[0-9a-f]{32}\.part")

_Named = tuple[str, dict[str, Any]]


def compact(run: Run) -> None:
    """Merge each table's epochs into as few files as fit; readers see the same rows before, during and after.

    Epochs that cannot be merged, for want of space or because their file is damaged, stay as they are.
    """
    if run.damage():
        return
    for table, live in run.commits.items():
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
        _keep(run.folder / "commits" / encoded(table), {name for name, _ in named})
        _keep(run.folder / encoded(table), {Path(record["file"]["name"]).name for _, record in named})
    _keep(run.folder / "metrics", metrics)
    _keep(run.folder / ".incoming", set())


def _begun(run: Run) -> list[str]:
    """The tables that were ever to be committed: the file of a first epoch may have come without its record."""
    folder = run.folder / "commits"
    return [decoded(path.name) for path in folder.iterdir() if path.is_dir()] if folder.is_dir() else []


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
    about["classes"] = records[0]["classes"]
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
        "examples": {name: said for record in records for name, said in record.get("examples", {}).items()},
        "supersedes": [name for name, _ in group],
    }
    put_record(run.folder / "commits" / encoded(table) / f"{span}.json", merged, run.folder / ".incoming")


def _concatenate(
    run: Run, files: list[dict[str, Any]], folder: str, stem: str, about: dict[str, Any]
) -> dict[str, Any] | None:
    """One file with the row groups of all, in order, so that none spans two epochs."""
    if not files:
        return None
    paths = [run.folder / file["name"] for file in files]
    schema = parquet.widened(pq.read_schema(paths[0]))
    with Part(run.folder / ".incoming") as part:
        with parquet.open_writer(part, schema) as writer:
            writer.add_key_value_metadata(parquet.footer(about))
            for group in (group for path in paths for group in parquet.row_groups(path)):
                writer.write_table(group.cast(schema))
        return parquet.publish(part, run.folder / folder, stem, sum(file["rows"] for file in files))
