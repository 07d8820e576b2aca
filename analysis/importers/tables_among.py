"""Which tables an artifact holds: plain ones, and those that a small file makes of others."""

import json
from collections.abc import Sequence

from analysis.errors import BadInput, NotFound
from analysis.importers.media import MediaFiles

TABLE, JOINED, PARTITIONED = ".table.json", ".joined-table.json", ".partitioned-table.json"
SIDES = ("table1", "table2")
OF_TABLES = {"run_table", "wandb-run-incremental-table"}
"""The types of the artifacts that W&B itself makes of a logged table."""


def table_name(path: str) -> str:
    """The name of a table from its file's path in an artifact."""
    for ending in (JOINED, PARTITIONED, TABLE):
        if path.endswith(ending):
            return path.removesuffix(ending)
    return path


def tables_among(files: MediaFiles, names: Sequence[str]) -> dict[str, list[str]]:
    """The table files of each table among an artifact's files, by the table's name.

    A partitioned table has several, in order; of a joined one there are both sides, `NAME.table1` and `NAME.table2`.
    Raises NotFound or BadInput where the file that says what a table is made of cannot be read.
    """
    plain = [name for name in names if name.endswith(TABLE)]
    found: dict[str, list[str]] = {}
    for name in names:
        if name.endswith(JOINED):
            for side in SIDES:
                found[f"{table_name(name)}.{side}"] = [_told(files, name, side)]
        elif name.endswith(PARTITIONED):
            folder = _told(files, name, "parts_path").rstrip("/")
            found[table_name(name)] = sorted(part for part in plain if part.startswith(f"{folder}/"))
            if not found[table_name(name)]:
                raise NotFound(f"no tables in {folder!r}, of which {name!r} is made")
    parts = {part for inside in found.values() for part in inside}
    return found | {table_name(name): [name] for name in plain if name not in parts}


def _told(files: MediaFiles, name: str, key: str) -> str:
    try:
        told = json.loads(files.read(name))[key]
    except BadInput:
        raise
    except (ValueError, KeyError, TypeError, RecursionError):
        told = None
    if not isinstance(told, str):
        raise BadInput(f"{name!r} does not say what the table is made of")
    return told
