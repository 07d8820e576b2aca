"""What a store holds, read from its records: runs, their state, their tables and epochs."""

import os
import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from secondguess.analysis.errors import BadInput, Damaged, NotFound, listing
from secondguess.analysis.moments import SPAN, Moment
from secondguess.analysis.objects.path import ObjectPath, look, warm
from secondguess.analysis.schema import at_epoch, decoded, encoded, whole_name
from secondguess.analysis.store import records
from secondguess.analysis.store.lock import is_held
from secondguess.analysis.store.records import Epoch
from secondguess.analysis.store.verified import StoredFile, digest_of, leads_out

_ROWS_FILE = rf"epochs?-{SPAN}-([0-9a-f]{{12}})\.parquet"

_LOOKS = 10
_LOOKED_S = 0.3  # a question asks for the runs several times; a bucket is listed once for it
_WORKPLACE = re.compile(r"\.(importing|replacing|ranks)-[0-9a-z]+")
ASIDE = ".aside"
COMMITS = "commits"
WHOLE = ".commits-"  # what the folder of records is called of a run that came into a bucket whole


@dataclass(frozen=True)
class Run:
    """One run of a store, as its records stand when they are first asked for.

    faults names the records that cannot be read; what they commit is left out, the rest answers. Where the folder is
    outside, behind a link that leads out of the store, nothing in it is read.
    """

    store: Path
    name: str
    folder: Path
    faults: list[str] = field(default_factory=list, compare=False)
    outside: bool = False

    @cached_property
    def about(self) -> Mapping[str, Any]:
        """What run.json says: config, provenance, classes, when and how it began."""
        missing = "is missing; restore it from a copy, or with `secondguess check --repair`"
        return self._record(records.read_about, self.folder / "run.json", missing) or {}

    @property
    def commits_folder(self) -> Path:
        """The folder of its records: `commits`, unless run.json names another, as where it came into a bucket whole."""
        return self.folder / str(self.about.get("commits") or COMMITS)

    def former_folders(self) -> list[Path]:
        """Folders of records that do not count: of a run that this one has replaced, or that was to replace it."""
        try:
            paths = [path for path in self.folder.iterdir() if path.name == COMMITS or path.name.startswith(WHOLE)]
        except FileNotFoundError:
            return []
        return [path for path in paths if path.name != self.commits_folder.name and path.is_dir()]

    def former_files(self) -> set[str]:
        """What the records in such folders name, rows and metrics."""
        tables = [path for folder in self.former_folders() for path in folder.iterdir() if path.is_dir()]
        every = [record for table in tables for record in records.all_records(self.store, table)[0].values()]
        return {str(file["name"]) for record in every for file in (record["file"], record["metrics"]) if file}

    @cached_property
    def end(self) -> Mapping[str, Any] | None:
        """How the run ended, None where no record says so."""
        return self._record(records.read_end, self.commits_folder / "end.json")

    def _record(
        self, read: Callable[[Path], dict[str, Any]], path: Path, missing: str = ""
    ) -> Mapping[str, Any] | None:
        if self.outside:
            return None
        try:
            if path.is_symlink():
                records.check_link(self.store, path)
            return read(path)
        except FileNotFoundError:
            if missing:
                self.faults.append(f"record {path} {missing}")
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

    @property
    def is_empty(self) -> bool:
        """Whether it is over and nothing was recorded or said of it, as of a training that broke off at its start."""
        if self.outside or self.is_imported or self.state == "running" or self.damage():
            return False
        is_remarked = any(name.endswith(".json") and name != "run.json" for name in _names(self.folder))
        return not (self.commits or self.metrics_files or self.gone() or self.unnamed() or is_remarked)

    @property
    def is_imported(self) -> bool:
        """Whether it comes from elsewhere: what made it is not known by its record, but by the source's."""
        return self.about.get("source") is not None

    @property
    def started(self) -> str | None:
        """When it began, a text of date and time; of an imported run as its source says, None where it does not."""
        about = self.about.get("source") if self.is_imported else self.about
        started = about.get("started" if self.is_imported else "created") if isinstance(about, Mapping) else None
        return None if started is None else str(started)

    @cached_property
    def commits(self) -> Mapping[str, list[tuple[str, dict[str, Any]]]]:
        """The live records per table: (file name, content)."""
        commits: dict[str, list[tuple[str, dict[str, Any]]]] = {}
        folders = self._commit_folders()
        if isinstance(self.folder, ObjectPath):
            warm(path for folder in folders for path in folder.glob("*.json"))
        for folder in folders:
            live, faults = records.table_records(self.store, folder)
            self.faults.extend(faults)
            if live:
                commits[named_by(folder)] = live
        return commits

    def _commit_folders(self) -> list[Path]:
        """The folders with the tables' records; one behind a link that leads out is a fault."""
        commits = self.commits_folder
        try:
            if self.outside:
                return []
            if commits.is_symlink():
                records.check_link(self.store, commits)
            folders = sorted(path for path in commits.iterdir() if path.is_dir())
        except FileNotFoundError:
            return []
        except Damaged as fault:
            self.faults.append(str(fault))
            return []
        inside = []
        for folder in folders:
            try:
                if folder.is_symlink():
                    records.check_link(self.store, folder)
                inside.append(folder)
            except Damaged as fault:
                self.faults.append(str(fault))
        return inside

    @cached_property
    def tables(self) -> Mapping[str, Mapping[Moment, Epoch]]:
        """The committed epochs per table, in order, each step of one by itself."""
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
            table: {epoch.moment: epoch for epoch in sorted(epochs, key=lambda epoch: epoch.moment)}
            for table, epochs in epochs_of_tables.items()
        }

    @property
    def metrics_files(self) -> list[StoredFile]:
        """The files of the metrics that count."""
        entries = [record.get("metrics") for live in self.commits.values() for _, record in live]
        entries.append((self.end or {}).get("metrics"))
        return [records.stored_file(self.folder, entry) for entry in entries if entry]

    @property
    def metrics(self) -> list[Path]:
        """Where the metrics lie that count."""
        return [file.path for file in self.metrics_files]

    def lost(self) -> list[str]:
        """What lost its record, as far as that shows: rows that none names, and epochs that the end names.

        Nothing while the run is recorded or a record cannot be read: it may name any of them.
        """
        about = str(self.folder / "run.json")  # which names no file
        if self.outside or any(about not in fault for fault in self.damage()):
            return []
        said = [
            f"{whole_name(self.name, table, listing(epochs))} was committed when the run ended, but no record is left; "
            "restore it from a copy"
            for table, epochs in self.gone().items()
        ]
        orphans = [path for path in self.unnamed() if is_named_by_its_bytes(path)]
        if orphans and not is_held(self.folder):
            said += [
                f"no record names {path}: its record is gone, or it was never committed; "
                "`secondguess check --repair` says what can be done"
                for path in orphans
            ]
        return said

    def gone(self) -> dict[str, list[Moment]]:
        """The epochs of each table that its end names and no record commits."""
        ended = {table: set(epochs) - set(self.tables.get(table, {})) for table, epochs in self._ended().items()}
        return {table: sorted(epochs) for table, epochs in ended.items() if epochs}

    def _ended(self) -> Mapping[str, list[Moment]]:
        tables: Mapping[str, list[int | str]] = (self.end or {}).get("tables", {})
        spelled = {table: [Moment.parse(str(one)) for one in moments] for table, moments in tables.items()}
        return {table: [one for one in moments if one is not None] for table, moments in spelled.items()}

    def unnamed(self) -> list[Path]:
        """The files of rows that no record names, not even one that another supersedes."""
        paths, former = [], self.former_files()
        for commits in self._commit_folders():
            folder = self.folder / commits.name
            live = {record["file"]["name"] for _, record in self.commits.get(named_by(folder), ())}
            if not folder.is_dir() or folder.is_symlink():
                continue
            names = sorted(f"{folder.name}/{name}" for name in _names(folder) if name.startswith("epoch"))
            if rest := [name for name in names if name not in live | former]:
                named = {record["file"]["name"] for record in records.all_records(self.store, commits)[0].values()}
                unnamed = [self.folder / name for name in rest if name not in named]
                paths += [path for path in unnamed if re.fullmatch(_ROWS_FILE, path.name)]
        return paths


def is_named_by_its_bytes(path: Path) -> bool:
    """Whether a file of rows is one of ours and whole: its name has the beginning of its digest."""
    match = re.fullmatch(_ROWS_FILE, path.name)
    try:
        return match is not None and path.is_file() and digest_of(path).startswith(match[1])
    except OSError:
        return False


def named_by(folder: Path) -> str:
    """The name of the run or table whose folder this is; a copy from a Mac may have its names decomposed."""
    return unicodedata.normalize("NFC", decoded(folder.name))


def run_folder(store: Path, name: str) -> Path:
    """The folder of a run of that name, whether it exists or not."""
    return store / encoded(name)


def list_runs(store: Path, same: Callable[[Run], Run] = lambda run: run) -> dict[str, Run]:
    """The runs of a store by name, oldest first; raises NotFound where there is no store.

    same gives for a run the one that is known already, where its records are still the same.
    """
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
    runs = {name: same(run) for name, run in runs.items()}
    return dict(sorted(runs.items(), key=lambda item: (str(item[1].about.get("created", "")), item[0])))


def _runs(store: Path, folders: Iterable[Path]) -> dict[str, Run]:
    return {run.name: run for folder in folders if (run := _run_in(store, folder)) is not None}


def _folders(store: Path) -> list[Path]:
    try:
        if isinstance(store, ObjectPath):
            look(store, _LOOKED_S)
            warm(path / "run.json" for path in store.iterdir() if (path / "run.json").is_file())
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


def _run_in(store: Path, folder: Path) -> Run | None:
    """The run in a folder of a store; None where it has neither the record of one nor any commit."""
    if not _is_file(folder / "run.json") and not _has_commits(folder):
        return None  # so, too, for folders that are not ours to look into
    run = Run(store, named_by(folder), folder, outside=folder.is_symlink() and leads_out(store, folder))
    if run.outside:
        run.faults.append(f"{folder} is a link that leads out of the store, and is not read; put a copy in its place")
    return run


def _has_commits(folder: Path) -> bool:
    """Whether a folder without run.json has lost it: what begins a run is written before its first commit."""
    try:
        paths = list((folder / COMMITS).iterdir())
        tables = [path for path in paths if path.is_dir()]
        names = [path.name for path in paths] + [name for table in tables for name in _names(table)]
        return any(name.endswith(".json") for name in names)
    except OSError:
        return False


def _is_file(path: Path) -> bool:
    """Whether it is a file, also where one may not look."""
    return path.is_file() if isinstance(path, ObjectPath) else os.path.isfile(path)


def _names(folder: Path) -> list[str]:
    """What lies in a folder."""
    return [path.name for path in folder.iterdir()]


def find_run(store: Path, name: str) -> Run:
    """The run of that name; raises NotFound naming those there are."""
    runs = list_runs(store)
    if name in runs:
        return runs[name]
    has = f"the store has: {listing(runs)}" if runs else "the store has no runs yet"
    raise NotFound(f"no run named {name!r} in {store}; {has}")


def check_open(name: str, moment: Moment, there: Iterable[Moment]) -> None:
    """Raise BadInput for a step of an epoch whose end is there; name is that of the table."""
    if moment.step is not None and Moment(moment.epoch) in there:
        raise BadInput(
            f"{at_epoch(name, moment.epoch)} is committed without a step, as the end of epoch {moment.epoch}, so no "
            f"step of it can follow ({moment}); give each validation of an epoch its step, or the last one none"
        )


def find_epoch(store: Path, run: str, table: str, epoch: Moment | int) -> Epoch:
    """One committed epoch; raises NotFound naming what there is."""
    tables = find_run(store, run).tables
    if table not in tables:
        raise NotFound(f"run {run!r} has no table {table!r}; it has: {listing(tables) or 'none yet'}")
    moment = epoch if isinstance(epoch, Moment) else Moment(epoch)
    if moment not in tables[table]:
        raise NotFound(f"{whole_name(run, table)} has no epoch {epoch}; it has: {listing(tables[table])}")
    return tables[table][moment]
