"""What is wrong or odd in a store: every record and every committed file read anew, every folder looked through."""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa

from secondguess.analysis.errors import Damaged, NotFound, listing
from secondguess.analysis.moments import SPAN
from secondguess.analysis.schema import NEWEST_FORMAT, RESERVED_NAMES, encoded, whole_name
from secondguess.analysis.store import parquet, records, remarks, verified
from secondguess.analysis.store.lease import LEASES
from secondguess.analysis.store.lock import is_held
from secondguess.analysis.store.records import stored_file
from secondguess.analysis.store.runs import (
    WHOLE,
    Run,
    is_named_by_its_bytes,
    is_workplace,
    list_runs,
    named_by,
    set_aside,
)
from secondguess.analysis.store.seal import is_whole
from secondguess.analysis.store.verified import MISSING, StoredFile, leads_out

# What makes a store unsound; of the rest one may want to know.
GRAVE = ("missing", "altered", "unreadable", "newer", "outside", "unrecorded")
NOTED = ("left over", "foreign", "no digest")

_METRICS_FILE = re.compile(r"metrics-([0-9a-f]{12})\.parquet")
_ROWS_FILE = re.compile(rf"epochs?-{SPAN}-[0-9a-f]{{12}}\.parquet")
_LARGEST_TEXT = 1 << 20  # bytes of a view or a question


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong or odd: what, one of GRAVE or NOTED; where, in the store; the run; and in words."""

    what: str
    path: str
    run: str | None
    said: str

    @property
    def is_grave(self) -> bool:
        """Whether it makes the store unsound."""
        return self.what in GRAVE


@dataclass(frozen=True)
class Checked:
    """What a check found, the grave first, and how much it read."""

    store: Path
    findings: tuple[Finding, ...]
    files: int
    bytes: int

    @property
    def is_sound(self) -> bool:
        """Whether nothing that it found is grave."""
        return not any(finding.is_grave for finding in self.findings)

    @property
    def line(self) -> str:
        """The outcome in words."""
        grave = sum(finding.is_grave for finding in self.findings)
        odd = len(self.findings) - grave
        faults = "nothing is wrong" if not grave else f"{grave:,} {'thing is' if grave == 1 else 'things are'} wrong"
        return f"read {self.files:,} files of {self.bytes:,} bytes: {faults}" + (f", {odd:,} more said" if odd else "")


def check(store: Path, names: Sequence[str] = ()) -> Checked:
    """Look through a store, or through some of its runs with what they name; raises NotFound for a run not there."""
    runs = list_runs(store)
    if unknown := [name for name in names if name not in runs]:
        raise NotFound(f"no run named {unknown[0]!r} in {store}; the store has: {listing(runs) or 'no runs yet'}")
    chosen = [runs[name] for name in names or runs]
    looked = _Look(store)
    for run in chosen:
        looked.run(run)
    looked.examples(chosen, whole=not names)
    if not names:
        looked.rest(runs.values())
    order = {what: place for place, what in enumerate((*GRAVE, *NOTED))}
    findings = sorted(dict.fromkeys(looked.findings), key=lambda each: (order[each.what], each.path))
    return Checked(store, tuple(findings), len(looked.read), sum(looked.read.values()))


@dataclass
class _Look:
    """One walk through a store: what it found, and the files that it read with their sizes."""

    store: Path
    findings: list[Finding] = field(default_factory=list)
    read: dict[Path, int] = field(default_factory=dict)

    def add(self, what: str, path: Path, said: str, run: Run | None = None) -> None:
        """Keep a finding."""
        where = str(path.relative_to(self.store))
        self.findings.append(Finding(what, where, run.name if run is not None else None, said))

    def run(self, run: Run) -> None:
        """A run's records, then the files that they name, then what else lies there."""
        if run.outside:
            self.add("outside", run.folder, run.faults[0], run)
            return
        self._records(run)
        files = [stored_file(run.folder, record["file"]) for live in run.commits.values() for _, record in live]
        self.verify([*files, *run.metrics_files], run)
        for table, epochs in run.gone().items():
            said = (
                f"{whole_name(run.name, table, listing(epochs))} was committed when the run ended; its record is gone"
            )
            self.add("missing", run.commits_folder / encoded(table), said, run)
        for path in [] if is_held(run.folder) else run.unnamed():
            if is_named_by_its_bytes(path):
                said = "no record names it: its record is gone, or it was never committed"
                self.add("unrecorded", path, said, run)
            else:
                self.add("altered", path, "no record names it, and its bytes are not those that its name says", run)
        self._others(run)

    def verify(self, files: Iterable[StoredFile], run: Run | None) -> None:
        """Read files that records name for their digests; of one without a digest all that can be read of it."""
        files = list(dict.fromkeys(files))
        faults = verified.faults_anew(files)
        for file in files:
            said = faults.get(file.path)
            if said is None and file.sha256 is None:
                said = _page_fault(file.path)
                if said is None:
                    self.add("no digest", file.path, "no record says its digest; its pages are whole", run)
            if said is not None:
                what = "missing" if said == MISSING else "outside" if "link that leads out" in said else "altered"
                self.add(what, file.path, f"{said}{_lost_by(file, run)}", run)
            if said != MISSING and file.path.is_file():
                self.read[file.path] = file.path.stat().st_size

    def _records(self, run: Run) -> None:
        """Each record of a run: what is wrong with its text, and what the run says of it besides."""
        about, commits = run.folder / "run.json", run.commits_folder
        paths = [about, commits, *_entries(commits)]
        paths += [path for table in _folders(self.store, commits) for path in _entries(table) if path.suffix == ".json"]
        if not _is_there(about):
            self.add("missing", about, "is missing", run)
        files = [path for path in paths if path.suffix == ".json" and _is_there(path)]
        said = [path for path in files if self._json(path, run)]
        for fault in run.damage():
            of = max((path for path in paths if str(path) in fault), key=lambda path: len(str(path)), default=commits)
            if of not in said and _is_there(of):
                self.add("outside" if of.is_symlink() else "unreadable", of, fault, run)

    def _json(self, path: Path, run: Run | None) -> bool:
        """Look at a JSON file of ours; whether something grave is said of it."""
        if run is not None and path.is_symlink() and leads_out(self.store, path):
            self.add("outside", path, "is a link that leads out of the store, and is not read", run)
            return True
        try:
            data = path.read_bytes()
            content = json.loads(data)
        except (OSError, ValueError, RecursionError) as error:
            self.add("unreadable", path, f"cannot be read: {error}", run)
            return True
        self.read[path] = len(data)
        if not isinstance(content, dict):
            self.add("unreadable", path, "is none of ours", run)
        elif isinstance(version := content.get("format"), int) and version > NEWEST_FORMAT:
            said = f"has format {version}, this secondguess reads up to {NEWEST_FORMAT}: upgrade it"
            self.add("newer", path, said, run)
        elif is_whole(content) is False:
            self.add("altered", path, "is not as it was written (its sha256 differs): damaged, or edited by hand", run)
        else:
            if is_whole(content) is None:
                self.add("no digest", path, "carries no digest of itself: it is older than digests, or was edited", run)
            return False
        return True

    def _others(self, run: Run) -> None:
        """What lies in a run's folder and is no part of it."""
        known = {"run.json", run.commits_folder.name, "metrics", ".lock", ".lease", ".incoming", remarks.FILE}
        try:
            remarks.read(run)
        except Damaged as fault:
            self.add("unreadable", run.folder / remarks.FILE, str(fault), run)
        busy = is_held(run.folder)
        former = run.former_folders()
        commits = run.commits_folder
        tables = _folders(self.store, commits)
        for path in _entries(run.folder):
            if path in former:
                self.add("left over", path, "are records of a run that was replaced, or was to replace it", run)
            elif path.name not in known and path.name not in {table.name for table in tables}:
                self.add("foreign", path, "is no part of a run", run)
        for path in _entries(commits):
            if path.suffix != ".json" and path not in tables:
                self.add("foreign", path, "is no record", run)
        for table in tables:
            self._table(run, table, busy=busy)
        named = {file.path.name for file in run.metrics_files}
        for path in _entries(run.folder / "metrics"):
            if path.name not in named:
                self._unnamed_metrics(run, path, busy=busy)
        for path in _entries(run.folder / ".incoming"):
            if not busy:
                self.add("left over", path, "was being written when its writer ended", run)

    def _table(self, run: Run, commits: Path, *, busy: bool) -> None:
        every, _ = records.all_records(self.store, commits)
        live = run.commits.get(named_by(commits), [])
        names = {name for name, _ in live}
        superseded = {_file_name(record) for record in every.values()} | {
            Path(name).name for name in run.former_files()
        }
        superseded -= {_file_name(record) for _, record in live}
        for path in _entries(commits):
            if path.suffix != ".json":
                self.add("foreign", path, "is no record", run)
            elif path.name in every and path.name not in names and not busy:
                self.add("left over", path, "is superseded by a later record, of merged epochs, labels or metrics", run)
        for path in _entries(run.folder / commits.name):
            if path.name in superseded and not busy:
                self.add("left over", path, "its epochs are in another file by now, merged or labelled", run)
            elif not _ROWS_FILE.fullmatch(path.name):
                self.add("foreign", path, "is no file of rows that a record names; queries leave it out", run)

    def _unnamed_metrics(self, run: Run, path: Path, *, busy: bool) -> None:
        match = _METRICS_FILE.fullmatch(path.name)
        if match is None:
            self.add("foreign", path, "is no file of metrics that a record names; queries leave it out", run)
        elif not busy and path.name not in _superseded_metrics(self.store, run):
            self.add("unrecorded", path, "no record names these metrics: their record is gone or cannot be read", run)
        elif not busy:
            self.add("left over", path, "its metrics were merged into another file", run)

    def examples(self, runs: Sequence[Run], *, whole: bool) -> None:
        """The examples files that runs name and, where that is the whole store, those that none names."""
        files: dict[StoredFile, None] = {}
        for run in runs:
            epochs = (epoch for table in run.tables.values() for epoch in table.values())
            files.update({epoch.examples_file: None for epoch in epochs if epoch.examples_file is not None})
        said = {file.path for file in files if file.sha256 is not None}
        self.verify([file for file in files if file.sha256 is not None or file.path not in said], None)
        named = {file.path for file in files}
        for path in _entries(self.store / "examples") if whole else ():
            if path not in named:
                what = "left over" if path.suffix == ".parquet" else "foreign"
                self.add(what, path, "no record names it")

    def rest(self, runs: Iterable[Run]) -> None:
        """What lies in the store beside its runs and their examples."""
        ours = {run.folder for run in runs} | {self.store / name for name in RESERVED_NAMES}
        for path in _entries(self.store):
            if path.name == ".incoming":
                for part in _entries(path):
                    self.add("left over", part, "was being written when its writer ended")
            elif path.name == ".replaced":
                for old in _entries(path):
                    self.add("left over", old, "was replaced by another run")
            elif is_workplace(path):
                for kept in set_aside(path):
                    self.add("left over", kept, "waits for the next writer to bring it back")
                if not is_held(path):
                    self.add("left over", path, "was being made when its writer ended")
            elif path not in ours and any(inside.name.startswith((WHOLE, LEASES)) for inside in _entries(path)):
                if not is_held(path):
                    self.add("left over", path, "was being begun, or brought here, when its writer ended")
            elif path not in ours:
                self.add("foreign", path, "is no part of the store")
        for path in _entries(self.store / "views"):
            if path.suffix != ".json":
                self.add("foreign", path, "is no saved view")
            elif self._is_text(path):
                self._json(path, None)
        for path in _entries(self.store / "questions"):
            if path.suffix == ".sql" and self._is_text(path):
                self._question(path)

    def _is_text(self, path: Path) -> bool:
        """Whether a path is a plain file of a bounded size, which may be read."""
        if path.is_file() and path.stat().st_size <= _LARGEST_TEXT:
            return True
        self.add("unreadable", path, "is no plain file of up to 1 MB")
        return False

    def _question(self, path: Path) -> None:
        try:
            data = path.read_bytes()
            text = data.decode("utf-8-sig")
        except (OSError, ValueError) as error:
            self.add("unreadable", path, f"cannot be read: {error}")
            return
        self.read[path] = len(data)
        if not text.strip():
            self.add("unreadable", path, "is an empty question")


def _is_there(path: Path) -> bool:
    """Whether a path is there, be it a link to nothing."""
    return path.exists() or path.is_symlink()


def _file_name(record: Mapping[str, Any]) -> str:
    return Path(record["file"]["name"]).name


def _superseded_metrics(store: Path, run: Run) -> set[str]:
    tables = _folders(store, run.commits_folder)
    every = [record for table in tables for record in records.all_records(store, table)[0].values()]
    former = {Path(name).name for name in run.former_files()}
    return former | {Path(record["metrics"]["name"]).name for record in every if record["metrics"]}


def _lost_by(file: StoredFile, run: Run | None) -> str:
    """Which epochs a damaged file takes with it."""
    epochs = [epoch for table in run.tables.values() for epoch in table.values()] if run is not None else []
    there = [epoch for epoch in epochs if epoch.file == file.path]
    if not there:
        return ""
    return f"; it holds {whole_name(there[0].run, there[0].table, listing(epoch.moment for epoch in there))}"


def _page_fault(path: Path) -> str | None:
    """What is wrong with a Parquet file as far as the checksums of its pages say; all of it is read."""
    try:
        for _ in parquet.row_groups(path):
            pass
    except (OSError, pa.ArrowException) as error:
        return f"cannot be read ({' '.join(str(error).split())})"
    return None


def _entries(folder: Path) -> list[Path]:
    """What lies in a folder, in order; nothing where it is none, or not ours to look into."""
    try:
        return sorted(folder.iterdir())
    except OSError:
        return []


def _folders(store: Path, folder: Path) -> list[Path]:
    return [path for path in _entries(folder) if path.is_dir() and not leads_out(store, path)]
