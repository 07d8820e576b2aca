"""What a store holds, read from its records: runs, their state, their tables and epochs."""

import os
import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from secondguess.analysis.errors import Damaged, NotFound, listing
from secondguess.analysis.schema import decoded, encoded, whole_name
from secondguess.analysis.store import records
from secondguess.analysis.store.lock import is_held
from secondguess.analysis.store.records import Epoch

_LOOKS = 10
_WORKPLACE = re.compile(r"\.(importing|replacing)-[0-9a-z]+")
ASIDE = ".aside"


@dataclass(frozen=True)
class Run:
    """One run of a store, as its records stand when they are first asked for.

    faults names the records that cannot be read; what they commit is left out, the rest answers.
    """

    store: Path
    name: str
    folder: Path
    faults: list[str] = field(default_factory=list, compare=False)

    @cached_property
    def about(self) -> Mapping[str, Any]:
        """What run.json says: config, provenance, classes, when and how it began."""
        return self._record(records.read_about, self.folder / "run.json") or {}

    @cached_property
    def end(self) -> Mapping[str, Any] | None:
        """How the run ended, None where no record says so."""
        return self._record(records.read_end, self.folder / "commits" / "end.json")

    def _record(self, read: Callable[[Path], dict[str, Any]], path: Path) -> Mapping[str, Any] | None:
        try:
            return read(path)
        except FileNotFoundError:
            return None
        except Damaged as fault:
            self.faults.append(str(fault))
            return None

    def damage(self) -> list[str]:
        """The faults of all its records, each of them read."""
        _ = self.about, self.end, self.commits
        return self.faults

    @property
    def state(self) -> str:
        """How it ended where a record says so, `running` while its lock is held, else `interrupted`."""
        if self.end is not None:
            return str(self.end.get("status", "finished"))
        return "running" if is_held(self.folder) else "interrupted"

    @cached_property
    def commits(self) -> Mapping[str, list[tuple[str, dict[str, Any]]]]:
        """The live records per table: (file name, content)."""
        try:
            folders = sorted(path for path in (self.folder / "commits").iterdir() if path.is_dir())
        except FileNotFoundError:
            return {}
        commits = {}
        for folder in folders:
            live, faults = records.table_records(folder)
            self.faults.extend(faults)
            if live:
                commits[_name(folder)] = live
        return commits

    @cached_property
    def tables(self) -> Mapping[str, Mapping[int, Epoch]]:
        """The committed epochs per table, in epoch order."""
        names = (self.name, str(self.about.get("name", self.name)))
        epochs_of_tables = {
            table: [
                epoch
                for _, record in live
                for epoch in records.epochs_of(self.store, self.folder, names, table, record)
            ]
            for table, live in self.commits.items()
        }
        return {
            table: {epoch.epoch: epoch for epoch in sorted(epochs, key=lambda epoch: epoch.epoch)}
            for table, epochs in epochs_of_tables.items()
        }

    @property
    def metrics(self) -> list[Path]:
        """The files of the metrics that count."""
        entries = [record.get("metrics") for live in self.commits.values() for _, record in live]
        entries.append((self.end or {}).get("metrics"))
        return [self.folder / entry["name"] for entry in entries if entry]


def _name(folder: Path) -> str:
    # A copy from a Mac may have its names decomposed.
    return unicodedata.normalize("NFC", decoded(folder.name))


def run_folder(store: Path, name: str) -> Path:
    """The folder of a run of that name, whether it exists or not."""
    return store / encoded(name)


def list_runs(store: Path) -> dict[str, Run]:
    """The runs of a store by name, oldest first; raises NotFound where there is no store."""
    folders = _folders(store)
    runs = _runs(store, folders)
    for _ in range(_LOOKS):
        if not (places := [folder for folder in folders if is_workplace(folder)]):
            break
        runs = {**_runs(store, [folder for place in places for folder in set_aside(place)]), **runs}
        before, folders = folders, _folders(store)
        if {folder.name for folder in before} == {folder.name for folder in folders}:
            break  # else a run that took another's place while it was listed may be in neither
        runs = _runs(store, folders)
    return dict(sorted(runs.items(), key=lambda item: (str(item[1].about.get("created", "")), item[0])))


def _runs(store: Path, folders: Iterable[Path]) -> dict[str, Run]:
    # False, too, for folders that are not ours to look into.
    return {
        _name(folder): Run(store, _name(folder), folder) for folder in folders if os.path.isfile(folder / "run.json")
    }


def _folders(store: Path) -> list[Path]:
    try:
        return list(store.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        raise NotFound(
            f"no store at {store}; record one with `secondguess train`, or name another with --store"
        ) from None
    except OSError as error:
        raise NotFound(f"the store {store} cannot be read: {error.strerror}; name another with --store") from None


def is_workplace(folder: Path) -> bool:
    """Whether a folder of a store is one where a run is made that takes its place later (`store.workplace`)."""
    return _WORKPLACE.fullmatch(folder.name) is not None


def set_aside(workplace: Path) -> list[Path]:
    """The runs' folders that wait in a workplace, between two renames, for another to take their place."""
    try:
        return list((workplace / ASIDE).iterdir())
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return []


def find_run(store: Path, name: str) -> Run:
    """The run of that name; raises NotFound naming those there are."""
    runs = list_runs(store)
    if name in runs:
        return runs[name]
    has = f"the store has: {listing(runs)}" if runs else "the store has no runs yet"
    raise NotFound(f"no run named {name!r} in {store}; {has}")


def find_epoch(store: Path, run: str, table: str, epoch: int) -> Epoch:
    """One committed epoch; raises NotFound naming what there is."""
    tables = find_run(store, run).tables
    if table not in tables:
        raise NotFound(f"run {run!r} has no table {table!r}; it has: {listing(tables) or 'none yet'}")
    if epoch not in tables[table]:
        raise NotFound(f"{whole_name(run, table)} has no epoch {epoch}; it has: {listing(tables[table])}")
    return tables[table][epoch]
