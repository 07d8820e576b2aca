"""The files behind a table that a run logged: its own in the run folder, the artifact's where W&B staged them."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from secondguess.analysis.errors import BadInput, NotFound, SecondguessError
from secondguess.analysis.importers.checksums import is_sha256_of
from secondguess.analysis.importers.source import TableRows
from secondguess.analysis.importers.wandb.log.log import Artifact, WandbLog
from secondguess.analysis.importers.wandb.media import Entry, MediaFiles, StagedFiles, WandbFolders
from secondguess.analysis.importers.wandb.table.table import Memory, TableFiles
from secondguess.analysis.opening import below, open_regular

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
    parts_of: dict[str, list[str]] = {}
    for name in names:
        if name.endswith(JOINED):
            for side in SIDES:
                parts_of[f"{table_name(name)}.{side}"] = [_told(files, name, side)]
        elif name.endswith(PARTITIONED):
            folder = _told(files, name, "parts_path").rstrip("/")
            parts_of[table_name(name)] = sorted(part for part in plain if part.startswith(f"{folder}/"))
            if not parts_of[table_name(name)]:
                raise NotFound(f"no tables in {folder!r}, of which {name!r} is made")
    parts = {part for inside in parts_of.values() for part in inside}
    return parts_of | {table_name(name): [name] for name in plain if name not in parts}


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


_CLIENT = re.compile(r"wandb-client-artifact://([^/]+)/(.+)", re.DOTALL)
_TEXTS = ("path", "sha256", "artifact_path", "log_mode")


@dataclass(frozen=True)
class LoggedTable:
    """Where a table lies: its own file in the run folder, and `name` in the artifact that has it too.

    `rows` is how many it had when it was logged; `side` is table1 or table2 of a joined one, else empty.
    """

    own: str = ""
    sha256: str = ""
    client_id: str = ""
    name: str = ""
    rows: int | None = None
    side: str = ""
    origin: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def told(cls, value: Mapping[str, Any]) -> "list[LoggedTable]":
        """The table, or both sides of a joined one, of which a value of the history tells."""
        kind, rows = value.get("_type"), value.get("nrows")
        texts = {key: text for key in _TEXTS if isinstance(text := value.get(key), str)}
        place = _CLIENT.fullmatch(texts.get("artifact_path", ""))
        # An increment's history value counts the rows of all increments.
        counted = isinstance(rows, int) and not isinstance(rows, bool) and kind != "incremental-table-file"
        table = cls(
            own=texts.get("path", ""),
            sha256=texts.get("sha256", ""),
            client_id=place[1] if place else "",
            name=table_name(place[2]) if place else "",
            rows=rows if counted else None,
            origin=texts,
        )
        if kind == "joined-table":
            return [replace(table, side=side, name=f"{table.name}.{side}") for side in SIDES]
        return [table]


@dataclass(frozen=True)
class Staged:
    """The tables of one run's log: the artifacts that it names, the run's folder, and W&B's own folders."""

    log: WandbLog
    artifacts: Mapping[str, Artifact]
    folder: Path
    folders: WandbFolders
    memory: Memory = field(default_factory=Memory)

    def tables(self, client_id: str) -> list[LoggedTable]:
        """The tables in an artifact; raises NotFound or BadInput where that cannot be found out."""
        entries = self._manifest(client_id)
        among = tables_among(StagedFiles(entries, self.folders), list(entries))
        artifact = self.artifacts[client_id].name
        return [
            LoggedTable(client_id=client_id, name=name, origin={"artifact": artifact, "path": parts[0]})
            for name, parts in among.items()
        ]

    def read(self, table: LoggedTable) -> TableRows:
        """Read what is left of a table; raises NotFound where none of its files is, and what reading them raises."""
        notes: list[str] = []
        own = self._own(table, notes)
        entries: dict[str, Entry] | None = None
        parts: Sequence[Path] = ()
        media = None
        if table.name:
            try:
                entries = self._manifest(table.client_id)
                media = StagedFiles(entries, self.folders)
                parts = [media.local(part) for part in tables_among(media, list(entries)).get(table.name, [])]
            except SecondguessError as error:
                notes.append(f"the artifact's copy, which has the media, is left out: {error}")
        if own is None and not parts:
            raise NotFound(f"nothing is left of the table {table.own or table.name!r}: {'; '.join(notes)}")
        stored = list(entries) if entries is not None else None
        return TableFiles(own, parts, media, table.rows, stored, tuple(notes), self.memory).read()

    def _manifest(self, client_id: str) -> dict[str, Entry]:
        if client_id not in self.artifacts:
            raise NotFound("the log does not list the artifact, as that of a run that was online")
        return self.log.manifest(self.artifacts[client_id])

    def _own(self, table: LoggedTable, notes: list[str]) -> Path | None:
        if not table.own:
            return None
        try:
            file = below(self.folder, f"files/{table.own}")
            open_regular(file).close()
            if table.sha256 and not is_sha256_of(file, table.sha256):
                raise BadInput(f"{file} is not what was logged: its sha256 differs")
        except SecondguessError as error:
            notes.append(f"the run's own file of the table is left out: {error}")
            return None
        return file
