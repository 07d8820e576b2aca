"""The versions of the tables in a run's history, each with its epoch, whichever way the history came."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from analysis.importers.epochs import EpochClock, assigned
from analysis.importers.source import SourceTable, TableRows
from analysis.importers.staged_tables import LoggedTable
from analysis.importers.wandb_versions import Stored


@dataclass
class LoggedVersion:
    """A table in a row of the history, and how many rows it had when it was logged again, if it was.

    `stored` is the artifact's version on W&B's server that has it, once that is known.
    """

    step: int | None
    epoch: float | None
    table: LoggedTable
    rows_later: int = 0
    stored: Stored | None = None

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
            epochs = assigned(key, [version.epoch for version in versions], clock)
            notes.extend(epochs.notes)
            for version, epoch in zip(versions, epochs.numbers, strict=True):
                reading = partial(read, version)
                tables.append(SourceTable(key, epoch, version.step, reading, version.table.origin, version.notes))
        if tables and clock.last is None:
            notes.append(f"the history has no {clock.key}; the versions of each table are numbered in order")
        if clock.shift:
            notes.append(f"{clock.key} counts from 0 in W&B; 1 is added")
        return tables, notes
