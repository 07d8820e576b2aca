"""The versions of the tables in a run's history, each with its epoch, whichever way the history came."""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from secondguess.analysis.errors import SecondguessError
from secondguess.analysis.importers.source import SourceTable, TableRows
from secondguess.analysis.importers.wandb.epochs import EpochClock, assigned
from secondguess.analysis.importers.wandb.media import Entry
from secondguess.analysis.importers.wandb.staged import JOINED, PARTITIONED, TABLE, LoggedTable, table_name
from secondguess.analysis.importers.wandb.table.text import open_table
from secondguess.analysis.importers.wandb.table.types import WandbType

_OWN = re.compile(r"_(\d+)_[0-9a-f]{20}\.table\.json")
_PLACE = re.compile(r"wandb-(client-)?artifact://([^/]+)/(.+)", re.DOTALL)
_SAME_IN_BOTH = {"number", "string", "boolean", "none"}


@dataclass(frozen=True)
class Stored:
    """A version of an artifact that a run logged.

    `at` is the run's step counter when it was logged, if that is known; `lost` says why its files cannot be had.
    """

    id: str
    name: str
    type: str
    at: int | None
    lost: str
    entries: Mapping[str, Entry]


def with_name(table: LoggedTable) -> LoggedTable:
    """The table with its name in its artifact, also where the row tells the artifact's id on the server."""
    place = _place(table)
    if place is None or not place[0]:
        return table
    return replace(table, name=f"{table_name(place[1])}.{table.side}" if table.side else table_name(place[1]))


def versions_of(key: str, table: LoggedTable, stored: Sequence[Stored]) -> list[Stored]:
    """The versions that have the table's file, in order."""
    names = _names(key, table)
    return [one for one in stored if any(name in one.entries for name in names)]


def told_versions(
    tables: Sequence[LoggedTable], steps: Sequence[int | None], among: Sequence[Stored]
) -> list[Stored | None]:
    """The version of each table by what W&B says of it, None where more than one could be meant.

    Up to 0.28 the row has the artifact's id. Later ones tell the run's step counter, unless the run was synced later.
    An increment is in the first version that has its file.
    """
    versions = []
    for table, step in zip(tables, steps, strict=True):
        place = _place(table)
        if place and place[0]:
            same = [one for one in among if one.id == place[0]]
        elif table.origin.get("log_mode") == "INCREMENTAL":
            same = [one for one in among if any(name in one.entries for name in _names("", table))][:1]
        else:
            told = _OWN.search(table.own)
            counter = int(told[1]) if told else step
            same = [one for one in among if (one.at or 0) == counter and (one.at is not None or not counter)]
        versions.append(same[0] if len(same) == 1 else None)
    return versions


def same_cells(own: Path, artifact: Path) -> bool:
    """Whether the run's own file of a table has the cells of an artifact's, as far as both have the same of a cell."""
    try:
        with open_table(own) as first, open_table(artifact) as second:
            if first.columns != second.columns:
                return False
            plain = [at for at, kind in enumerate(second.types or []) if _is_plain(kind)]
            rows, others = first.rows(), second.rows()
            count = 0
            for row, other in zip(rows, others, strict=False):
                count += 1
                if not all(_same(row[at], other[at]) for at in plain):
                    return False
            # The run's own may be cut; the artifact's has no row less.
            return not list(islice(rows, 1)) and bool(count or not list(islice(others, 1)))
    except SecondguessError:
        return False


def _names(key: str, table: LoggedTable) -> list[str]:
    place = _place(table)
    return [place[1]] if place else [f"{key}{ending}" for ending in (TABLE, JOINED, PARTITIONED)]


def _place(table: LoggedTable) -> tuple[str, str] | None:
    """The artifact's id on the server, if that is told, and the table's file in it."""
    place = _PLACE.fullmatch(str(table.origin.get("artifact_path", "")))
    return None if place is None else ("" if place[1] else place[2], place[3])


def _is_plain(kind: WandbType) -> bool:
    return kind.kind in _SAME_IN_BOTH


def _same(own: Any, other: Any) -> bool:
    if isinstance(own, float) and math.isnan(own):
        return other is None or (isinstance(other, float) and math.isnan(other))
    return bool(own == other)


@dataclass
class LoggedVersion:
    """A table in a row of the history, and how many rows it had when it was logged again, if it was.

    `stored` is the artifact's version on W&B's server that has it, once that is known; within the step within the epoch
    that its own row says.
    """

    step: int | None
    epoch: float | None
    table: LoggedTable
    rows_later: int = 0
    stored: Stored | None = None
    within: int | None = None

    @property
    def notes(self) -> tuple[str, ...]:
        """What became of rows that were added later."""
        if self.rows_later <= (self.table.rows or 0):
            return ()
        return (f"was logged again with {self.rows_later:,} rows, which W&B did not write (log mode IMMUTABLE)",)


@dataclass
class LoggedVersions:
    """The versions by the tables' keys, in the order of the history."""

    by_key: dict[str, list[LoggedVersion]] = field(default_factory=dict)
    _known: dict[tuple[str, str, str], LoggedVersion] = field(default_factory=dict)

    def add(self, key: str, new: LoggedVersion) -> None:
        """Take a version; one that names the same files as an earlier one is only that, logged again."""
        key = f"{key}.{new.table.side}" if new.table.side else key
        known = self._known.setdefault((key, new.table.own, new.table.client_id), new)
        if known is new:
            self.by_key.setdefault(key, []).append(new)
        else:
            known.rows_later = max(known.rows_later, new.table.rows or 0)

    def all(self) -> list[LoggedVersion]:
        """Every version of every table."""
        return [version for versions in self.by_key.values() for version in versions]

    def source_tables(
        self, clock: EpochClock, read: Callable[[LoggedVersion], TableRows]
    ) -> tuple[list[SourceTable], list[str]]:
        """The tables as an importer yields them, and what to say about their epochs."""
        tables: list[SourceTable] = []
        notes: list[str] = []
        for key, versions in self.by_key.items():
            within = [version.within for version in versions]
            epochs = assigned(key, [version.epoch for version in versions], clock, within)
            notes.extend(epochs.notes)
            steps: Sequence[int | None] = epochs.steps or [version.step for version in versions]
            apart = epochs.steps is not None
            for version, epoch, step in zip(versions, epochs.numbers, steps, strict=True):
                about = version.table.origin, version.notes
                tables.append(SourceTable(key, epoch, step, partial(read, version), *about, within=apart))
        if tables and clock.last is None:
            notes.append(f"the history has no {clock.key}; the versions of each table are numbered in order")
        if clock.shift:
            notes.append(f"{clock.key} counts from 0 in W&B; 1 is added")
        return tables, notes
