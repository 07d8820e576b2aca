"""Runs on W&B's server: their history at once, their tables when they are read, through a cache on disk."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from secondguess.analysis.errors import BadInput, Damaged, NotFound, SecondguessError, listing
from secondguess.analysis.importers.source import SourceRun, TableRows
from secondguess.analysis.importers.wandb.charts import chart_tables
from secondguess.analysis.importers.wandb.epochs import EPOCH_KEY, EpochClock, metrics_in, step_in, tables_in
from secondguess.analysis.importers.wandb.media import StagedFiles, WandbFolders
from secondguess.analysis.importers.wandb.server.cache import RunFolder, same_sha256
from secondguess.analysis.importers.wandb.server.download import Downloader, error_of
from secondguess.analysis.importers.wandb.staged import (
    JOINED,
    OF_TABLES,
    PARTITIONED,
    TABLE,
    LoggedTable,
    table_name,
    tables_among,
)
from secondguess.analysis.importers.wandb.table.table import Memory, TableFiles
from secondguess.analysis.importers.wandb.versions import (
    LoggedVersion,
    LoggedVersions,
    Stored,
    same_cells,
    told_versions,
    versions_of,
    with_name,
)
from secondguess.analysis.store.commits import Metric

_NOT_FINISHED = {"running", "pending", "preempting"}
_WHOLE = {"NaN": float("nan"), "Infinity": float("inf"), "-Infinity": float("-inf")}


def read_project(
    path: str, table: str | None = None, *, downloader: Downloader, epoch_key: str = EPOCH_KEY
) -> list[SourceRun]:
    """The runs of `ENTITY/PROJECT`, or the one of `ENTITY/PROJECT/RUN`, with all their tables, or those of one key.

    Asks the server for what the runs are; their tables' files come when the first table of a run is read, those that
    are not in the downloader's cache. Raises MissingExtra without the package wandb, BadInput where W&B refuses,
    NotFound where there is no such run or key, SecondguessError where W&B does not answer.
    """
    asked = _checked(path)
    events = downloader.ask({"do": "list", "path": asked})
    folders = [RunFolder(Path(folder)) for kind, folder in events if kind == "run"]
    if not folders:
        raise NotFound(f"the W&B project {asked} has no runs")
    runs = [_ServerRun(folder, downloader, epoch_key, table).source() for folder in folders]
    if table is not None and not any(run.tables for run in runs):
        raise NotFound(f"no run of {asked} has a table {table!r}; there are: {_keys(folders) or 'none'}")
    return runs


def _checked(path: str) -> str:
    parts = path.removeprefix("https://wandb.ai/").strip("/").split("/")
    if len(parts) == 4 and parts[2] == "runs":
        del parts[2]
    if len(parts) not in {2, 3} or not all(part.strip(". ") for part in parts):
        raise BadInput(f"{path!r} names no W&B runs; write ENTITY/PROJECT or ENTITY/PROJECT/RUN")
    return "/".join(parts)


def _keys(folders: Sequence[RunFolder]) -> str:
    return listing(sorted({key for folder in folders for row in folder.history() for key, _ in tables_in(row)}))


@dataclass
class _ServerRun:
    """One run in the cache, and what its tables are read from."""

    folder: RunFolder
    downloader: Downloader
    epoch_key: str
    only: str | None
    versions: LoggedVersions = field(default_factory=LoggedVersions)
    artifacts: list[Stored] = field(default_factory=list)
    lost: dict[str, SecondguessError] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    is_fetched: bool = False
    memory: Memory = field(default_factory=Memory)

    def source(self) -> SourceRun:
        """The run as an importer yields it."""
        about = self.folder.about
        clock = EpochClock(self.epoch_key)
        last: list[tuple[int, float | None]] = []
        for row in self.folder.history():
            within = step_in(row) if clock.see(row) is not None else None
            last.append((row["_step"], clock.last))
            for key, value in tables_in(row):
                for table in map(with_name, LoggedTable.told(value)):
                    self._add(key, LoggedVersion(row["_step"], clock.last, table, within=within))
        self.artifacts = [self._stored(one) for one in about["artifacts"]]
        for one in self.artifacts:
            self._add_of_artifact(one, last)
        tables, notes = self.versions.source_tables(clock, self._read)
        self.notes.extend(notes)
        finished = about["state"] not in _NOT_FINISHED
        if not finished:
            self.notes.append("the run is still going; this is what is there")
        origin = {key: value for key, value in about.items() if key not in {"config", "artifacts", "last_step"}}
        return SourceRun(
            name=about["name"] or about["id"],
            origin={"kind": "wandb", **origin},
            config={key: value for key, value in about["config"].items() if key != "_wandb"},
            metrics=partial(_metrics, self.folder, clock),
            tables=tables,
            notes=tuple(self.notes),
            finished=finished,
            charts=chart_tables(about["config"]),
        )

    def _add(self, key: str, new: LoggedVersion) -> None:
        if self.only is None or key == self.only or f"{key}.{new.table.side}" == self.only:
            self.versions.add(key, new)

    def _stored(self, about: Mapping[str, Any]) -> Stored:
        lost = str(about["lost"])
        entries = {} if lost else self.folder.entries(about["id"])
        if lost and about["type"] in OF_TABLES:
            self.notes.append(lost)
        return Stored(about["id"], about["name"], about["type"], about["at"], lost, entries)

    def _add_of_artifact(self, one: Stored, last: Sequence[tuple[int, float | None]]) -> None:
        """Add the tables of an artifact that the run logged by itself."""
        if one.type in OF_TABLES:
            return
        if any(name.endswith((JOINED, PARTITIONED)) for name in one.entries):
            self.notes.append(f"the artifact {one.name} has tables made of others; they are left out")
            return
        before = [told for told in last if one.at is None or told[0] < one.at]
        step, epoch = before[-1] if before else (None, None)
        for name in one.entries:
            if name.endswith(TABLE):
                about = {"artifact": one.name, "path": name}
                table = LoggedTable(client_id=one.id, name=table_name(name), origin=about)
                key = f"{one.name.partition(':')[0]}/{table.name}"
                self._add(key, LoggedVersion(step, epoch, table, stored=one))

    def _read(self, version: LoggedVersion) -> TableRows:
        if not self.is_fetched:
            self._fetch()
        table, stored = version.table, version.stored
        notes: list[str] = []
        own = self._own(table, notes)
        entries = dict(stored.entries) if stored is not None else None
        parts: list[Path] = []
        media = None
        if stored is not None and entries is not None:
            if stored.id in self.lost:
                raise self.lost[stored.id]
            media = self._files(stored)
            parts = [media.local(part) for part in tables_among(media, list(entries)).get(table.name, [])]
        elif lost := next((one.lost for one in self.artifacts if one.lost and one.type in OF_TABLES), ""):
            raise BadInput(f"{table.own or table.name!r} cannot be read whole: {lost}")
        elif table.name:
            notes.append("the artifact's copy, which has the media, is not to be found in W&B")
        if own is None and not parts:
            raise NotFound(f"nothing of the table {table.own or table.name!r} is in W&B: {'; '.join(notes)}")
        paths = list(entries) if entries is not None else None
        return TableFiles(own, parts, media, table.rows, paths, notes, self.memory).read()

    def _own(self, table: LoggedTable, notes: list[str]) -> Path | None:
        if not table.own:
            return None
        if error := self.lost.get(table.own):
            if isinstance(error, NotFound):
                notes.append(f"the run's own file of the table is left out: {error}")
                return None
            raise error
        file = self.folder.own(table.own)
        if not same_sha256(file, table.sha256):
            raise Damaged(f"{file} is not what was logged; import the run again")
        return file

    def _files(self, stored: Stored) -> StagedFiles:
        return StagedFiles(stored.entries, WandbFolders(cache=[self.downloader.cache]))

    def _fetch(self) -> None:
        """Download what the tables of the run need, and find out which artifact belongs to which."""
        versions = self.versions.all()
        owns = {version.table.own: version.table.sha256 for version in versions if version.table.own}
        wanted = {one.id: one for version in versions if (one := version.stored) is not None}
        for key, ones in self.versions.by_key.items():
            wanted |= {one.id: one for version in ones for one in self._candidates(key, version)}
        about = self.folder.about
        request = {
            "do": "fetch",
            "run": f"{about['entity']}/{about['project']}/{about['id']}",
            "folder": str(self.folder.path.absolute()),
            "files": [{"name": name, "sha256": sha256} for name, sha256 in owns.items()],
            "artifacts": [
                {"id": one.id, "name": f"{about['entity']}/{about['project']}/{one.name}"} for one in wanted.values()
            ],
        }
        for kind, what, *error in self.downloader.ask(request):
            if kind == "lost":
                self.lost[what.partition(":")[2]] = error_of(*error)
        self.is_fetched = True
        for key, ones in self.versions.by_key.items():
            self._match(key, [version for version in ones if version.stored is None])

    def _candidates(self, key: str, version: LoggedVersion) -> list[Stored]:
        if version.stored is not None:
            return []
        plain = key.removesuffix(f".{version.table.side}") if version.table.side else key
        of_tables = [one for one in self.artifacts if one.type in OF_TABLES]
        return versions_of(plain.rpartition(".")[2], version.table, of_tables)

    def _match(self, key: str, versions: list[LoggedVersion]) -> None:
        if not versions:
            return
        among = list({one.id: one for version in versions for one in self._candidates(key, version)}.values())
        tables, steps = [version.table for version in versions], [version.step for version in versions]
        for version, stored in zip(versions, told_versions(tables, steps, among), strict=True):
            version.stored = stored
        used = {version.stored.id for version in versions if version.stored is not None}
        for version in versions:
            if version.stored is None:
                same = [one for one in among if self._is_same(version.table, one)]
                # Equal cells with other images are told apart by their order alone.
                version.stored = next((one for one in same if one.id not in used), same[0] if same else None)
                used |= {version.stored.id} if version.stored is not None else set()
        # A joined table has no cells of its own: its order tells, if there are as many versions as rows.
        left = [version for version in versions if version.stored is None and not version.table.own]
        free = [one for one in among if one.id not in used]
        if len(left) == len(free):
            for version, stored in zip(left, free, strict=True):
                version.stored = stored

    def _is_same(self, table: LoggedTable, stored: Stored) -> bool:
        if not table.own:
            return False
        try:
            media = self._files(stored)
            parts = tables_among(media, list(stored.entries)).get(table.name, [])
            return len(parts) == 1 and same_cells(self.folder.own(table.own), media.local(parts[0]))
        except SecondguessError:
            return False


def _metrics(folder: RunFolder, clock: EpochClock) -> Iterator[Metric]:
    clock = replace(clock)
    for row in folder.history():
        yield from metrics_in(row["_step"], {key: _number(value) for key, value in row.items()}, clock)


def _number(value: Any) -> Any:
    """A value of the history; numbers that JSON does not have come as text."""
    return _WHOLE.get(value, value) if isinstance(value, str) else value
