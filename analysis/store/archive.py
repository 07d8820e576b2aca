"""One run in one zip file, with the examples that its records name: packed from a store, and brought into another.

Inside it lies as in a store, so that unpacking one by hand into a store's folder is enough: `RUN/run.json`, commits,
tables and metrics, `examples/`; and last `secondguess.json`, which says the size and sha256 of each file. Files of
Parquet are stored as they are, since they are packed already; nothing is held in memory but a megabyte of them.
"""

import hashlib
import json
import re
import shutil
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, Any

from secondguess.analysis.errors import AlreadyThere, BadInput, Damaged, listing
from secondguess.analysis.opening import checked_name as plain_name
from secondguess.analysis.schema import checked_name, decoded, encoded
from secondguess.analysis.store import records, remarks
from secondguess.analysis.store.adoption import adopt, staging
from secondguess.analysis.store.disk import here, make_folder, record_bytes, synced_at_end
from secondguess.analysis.store.runs import COMMITS, Run, find_run, list_runs
from secondguess.analysis.store.seal import SEAL
from secondguess.analysis.store.writer import check_twins, writing

MANIFEST = "secondguess.json"
FORMAT = 1
_PIECE = 1 << 20
_LONGEST = 64 << 20  # bytes of a JSON file, the manifest among them
_MOST_FILES = 200_000
_TRIES = 5  # a run that ends while it is packed has its files merged
_BROKEN = (zipfile.BadZipFile, EOFError, zlib.error, NotImplementedError, struct.error)
_EARLIEST = (1980, 1, 1, 0, 0, 0)  # the same run is the same bytes whenever it is packed
_JSON = re.compile(rf"[^/]+/(run\.json|{re.escape(remarks.FILE)}|{COMMITS}/([^/]+/)?[^/]+\.json)")
_ROWS = re.compile(r"[^/]+/[^/]+/[^/]+\.parquet|examples/[^/]+\.parquet")


@dataclass(frozen=True)
class RunFile:
    """A run as it is in a zip file: its name, how many files and bytes, each table's epochs, and how it ended."""

    run: str
    files: int
    bytes: int
    epochs: Mapping[str, int]
    state: str

    def told(self) -> str:
        """The same in a line."""
        tables = ", ".join(f"{count:,} of {table}" for table, count in self.epochs.items()) or "none"
        return f"run {self.run}, {self.state}: epochs {tables}; {self.files:,} files, {self.bytes:,} bytes"


@dataclass(frozen=True)
class _Member:
    """A file to be packed: what it is called inside, what it holds, and the sha256 that a record says it has."""

    name: str
    content: Path | bytes
    sha256: str | None = None


def pack(store: Path, name: str, out: Path) -> RunFile:
    """Write a run into a new zip file; of one that is being recorded, what is committed by now.

    Raises NotFound, Damaged where a record cannot be read or a file is gone or not as it was written; OSError.
    """
    for _ in range(_TRIES):
        run = find_run(store, name)
        if damage := run.damage():
            raise Damaged(f"run {name!r} cannot be packed: {listing(damage, 1)}")
        try:
            return _packed(run, out)
        except FileNotFoundError as gone:
            fault = gone
    raise Damaged(f"run {name!r} cannot be packed: {fault.filename} is missing; restore it from a copy")


def _packed(run: Run, out: Path) -> RunFile:
    said: dict[str, dict[str, Any]] = {}
    with zipfile.ZipFile(out, "w") as package:
        for member in _members(run):
            said[member.name] = _put(package, member)
        about = {"format": FORMAT, "kind": "run", "run": run.name, "state": run.state, "files": said}
        _put(package, _Member(MANIFEST, json.dumps(about, ensure_ascii=False, indent=1).encode()))
    size = sum(file["bytes"] for file in said.values())
    epochs = {table: len(moments) for table, moments in run.tables.items()}
    return RunFile(run.name, len(said), size, epochs, run.state)


def _members(run: Run) -> Iterator[_Member]:
    """The files of a run, records before what they name, as the records stood when they were listed."""
    folder = encoded(run.name)
    yield _Member(f"{folder}/run.json", _record({**run.about, "commits": None}))
    named: dict[str, tuple[Path, str | None]] = {}
    for table, live in run.commits.items():
        for name, record in live:
            yield _Member(f"{folder}/{COMMITS}/{encoded(table)}/{name}", _record(record))
            for file in (record["file"], record["metrics"]):
                if file is not None:
                    named[f"{folder}/{file['name']}"] = (run.folder / file["name"], file.get("sha256"))
            for name_ in dict.fromkeys(entry["examples"] for entry in record["epochs"] if entry["examples"]):
                digest = record.get("examples", {}).get(name_, {}).get("sha256")
                named[f"examples/{name_}"] = (run.store / "examples" / name_, digest)
    if run.end is not None:
        yield _Member(f"{folder}/{COMMITS}/end.json", _record(run.end))
        if file := run.end.get("metrics"):
            named[f"{folder}/{file['name']}"] = (run.folder / file["name"], file.get("sha256"))
    for path in sorted(run.commits_folder.glob("*.json")):
        if path.name != "end.json":
            yield _Member(f"{folder}/{COMMITS}/{path.name}", _record(records.read(path)))
    if (path := run.folder / remarks.FILE).is_file():
        yield _Member(f"{folder}/{remarks.FILE}", path.read_bytes())
    for name, (path, digest) in named.items():
        yield _Member(name, path, digest)


def _record(content: Mapping[str, Any]) -> bytes:
    """A record's bytes, sealed anew where it has a seal; records lie in `commits`, wherever they lay before."""
    plain = {key: value for key, value in content.items() if key != SEAL and (key != "commits" or value is not None)}
    if SEAL in content:
        return record_bytes(plain)
    return json.dumps(plain, ensure_ascii=False, indent=1).encode()


def _put(package: zipfile.ZipFile, member: _Member) -> dict[str, Any]:
    """Pack a file; returns its size and sha256."""
    about = zipfile.ZipInfo(member.name, _EARLIEST)
    about.external_attr = 0o644 << 16
    hasher, size = hashlib.sha256(), 0
    if isinstance(member.content, bytes):
        about.compress_type = zipfile.ZIP_DEFLATED
        package.writestr(about, member.content)
        hasher.update(member.content)
        size = len(member.content)
    else:
        about.file_size = member.content.stat().st_size
        with member.content.open("rb") as source, package.open(about, "w") as out:
            for piece in iter(partial(source.read, _PIECE), b""):
                hasher.update(piece)
                out.write(piece)
                size += len(piece)
    if member.sha256 not in (None, hasher.hexdigest()):
        raise Damaged(f"{member.content!s} is not as it was written (its sha256 differs); restore it from a copy")
    return {"bytes": size, "sha256": hasher.hexdigest()}


def is_archive(path: Path) -> bool:
    """Whether a file is a zip file with a run of ours."""
    try:
        with zipfile.ZipFile(path) as package:
            return MANIFEST in package.NameToInfo
    except (OSError, ValueError, *_BROKEN):
        return False


def bring(
    path: Path, store: Path, name: str | None = None, *, overwrite: bool = False, dry_run: bool = False
) -> RunFile:
    """Bring the run of a zip file into a store, whole or not at all, each file read for its sha256.

    name is what to call it there. Raises AlreadyThere where the store has a run of that name which is not to be
    replaced; Damaged, BadInput for what is no such file, holds anything else, or is not as it was written.
    """
    with _opened(path) as package:
        about = _manifest(package, path)
        inside = str(about["run"])
        final = checked_name("run", inside if name is None else name)
        _check_name(store, final, overwrite=overwrite)
        members = _checked(package, about, path)
        size = sum(about_["bytes"] for about_ in about["files"].values())
        if dry_run:
            for one in members:
                _copied(package, one, about["files"][one.filename], None, path)
            epochs = _epochs(package, members, encoded(inside))
            return RunFile(final, len(members), size, epochs, str(about.get("state", "")))
        _check_space(store, size)
        with staging(store) as place, writing(f"run {final!r} could not be brought into the store"):
            with synced_at_end(place.path):
                for one in members:
                    inner = one.filename.removeprefix(f"{encoded(inside)}/")
                    to = place.path / (one.filename if inner == one.filename else f"{encoded(final)}/{inner}")
                    _copied(package, one, about["files"][one.filename], to, path)
            run = _whole(Run(place.path, final, place.path / encoded(final)), path)
            epochs = {table: len(moments) for table, moments in run.tables.items()}
            state = "interrupted" if run.end is None else run.state
            adopt(place, final, overwrite=overwrite)
    return RunFile(final, len(members), size, epochs, state)


@contextmanager
def _opened(path: Path) -> Iterator[zipfile.ZipFile]:
    try:
        with zipfile.ZipFile(path) as package:
            yield package
    except _BROKEN as error:
        raise Damaged(f"{path} cannot be unpacked: {error}; copy it again") from None


def _manifest(package: zipfile.ZipFile, path: Path) -> dict[str, Any]:
    """What a zip file says of itself; raises Damaged, or BadInput for a newer format."""
    about = package.getinfo(MANIFEST)
    if about.file_size > _LONGEST or about.flag_bits & 1:
        raise Damaged(f"{path}: {MANIFEST} in it is not what an export wrote")
    try:
        said = json.loads(package.read(about))
        version = said["format"]
        if isinstance(version, int) and version > FORMAT:
            raise BadInput(f"{path} has format {version}, this secondguess reads up to {FORMAT}: upgrade it")
        files = said["files"]
        typed = all(isinstance(file["bytes"], int) and isinstance(file["sha256"], str) for file in files.values())
        if version != FORMAT or not typed or not isinstance(said["run"], str):
            raise ValueError
    except (*_BROKEN, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        if isinstance(error, BadInput):
            raise
        raise Damaged(f"{path}: {MANIFEST} in it is not what an export wrote, or is damaged; copy it again") from None
    return dict(said)


def _checked(package: zipfile.ZipFile, about: Mapping[str, Any], path: Path) -> list[zipfile.ZipInfo]:
    """The files to be unpacked; raises BadInput for others than an export writes, Damaged where one is missing."""
    members = [one for one in package.infolist() if one.filename != MANIFEST and not one.filename.endswith("/")]
    members = [one for one in members if not one.filename.startswith("__MACOSX/")]
    if len(members) > _MOST_FILES:
        raise BadInput(f"{path} has {len(members):,} files; a run has at most {_MOST_FILES:,}")
    files, names = about["files"], [one.filename for one in members]
    for one in members:
        plain_name(one.filename)
        in_run = one.filename.startswith(f"{encoded(about['run'])}/")
        known = (in_run and _JSON.fullmatch(one.filename)) or _ROWS.fullmatch(one.filename)
        if not known or one.filename not in files or not (in_run or one.filename.startswith("examples/")):
            raise BadInput(
                f"{path} has the file {one.filename!r}, which no export of a run writes; nothing is unpacked"
            )
        if one.flag_bits & 1:
            raise BadInput(f"{path} is locked with a password; unpack it and pack it without")
        if one.file_size != files[one.filename]["bytes"]:
            raise Damaged(
                f"{path}: {one.filename} has {one.file_size:,} bytes, not the {files[one.filename]['bytes']:,} that "
                "were written"
            )
        if one.filename.endswith(".json") and one.file_size > _LONGEST:
            raise BadInput(f"{path}: {one.filename} has {one.file_size:,} bytes; a record has at most {_LONGEST:,}")
        if not one.filename.endswith(".json") and one.compress_type != zipfile.ZIP_STORED:
            raise BadInput(f"{path}: {one.filename} is packed, and no export packs it; export the run again")
    if twice := [name for name, _ in _twice(names)]:
        raise BadInput(f"{path} has the file {twice[0]!r} twice; nothing is unpacked")
    if missing := [name for name in files if name not in set(names)]:
        raise Damaged(f"{path} lacks {listing(missing, 4)}, which was written into it; copy it again")
    if sum(one.compress_size for one in members) > path.stat().st_size:
        raise BadInput(f"{path} has files that lie over each other, which no export writes; nothing is unpacked")
    return members


def _twice(names: Iterable[str]) -> Iterator[tuple[str, str]]:
    known: dict[str, str] = {}
    for name in names:
        if (other := known.setdefault(name.casefold(), name)) is not name:
            yield name, other


def _copied(
    package: zipfile.ZipFile, member: zipfile.ZipInfo, said: Mapping[str, Any], to: Path | None, path: Path
) -> None:
    """Unpack a file, or only read it; raises Damaged, naming it, where it is not as it was written."""
    hasher = hashlib.sha256()
    try:
        with package.open(member) as source:
            if to is None:
                _piped(source, hasher.update)
            else:
                make_folder(to.parent)
                with to.open("xb") as out:
                    _piped(source, hasher.update, out.write)
    except _BROKEN as error:
        raise Damaged(f"{path}: {member.filename} is damaged ({error}); copy the file again") from None
    if hasher.hexdigest() != said["sha256"]:
        raise Damaged(f"{path}: {member.filename} is not as it was written (its sha256 differs); copy the file again")


def _piped(source: IO[bytes], *takers: Callable[[bytes], object]) -> None:
    for piece in iter(partial(source.read, _PIECE), b""):
        for take in takers:
            take(piece)


def _check_name(store: Path, name: str, *, overwrite: bool) -> None:
    """Raise AlreadyThere where the store has the name, before gigabytes are unpacked."""
    existing = list_runs(store) if store.is_dir() else {}  # a bucket has no folder before its first object
    check_twins(existing, name)
    if name in existing and not overwrite:
        raise AlreadyThere(f"run {name!r} exists already; name another with --run, or --overwrite it")


def _check_space(store: Path, size: int) -> None:
    """Raise BadInput where the disk has no room for so many bytes."""
    folder = here(store).absolute()
    while not folder.is_dir():
        folder = folder.parent
    if size > (free := shutil.disk_usage(folder).free):
        raise BadInput(
            f"the run takes {size:,} bytes, and {folder} has {free:,} free; make room, or name another store"
        )


def _whole(run: Run, path: Path) -> Run:
    """The unpacked run; raises Damaged where its records cannot be read or name what did not come."""
    if damage := run.damage():
        raise Damaged(f"{path}: {listing(damage, 1)}")
    epochs = [epoch for table in run.tables.values() for epoch in table.values()]
    files = [*run.metrics, *(epoch.file for epoch in epochs), *(epoch.examples for epoch in epochs if epoch.examples)]
    if gone := [file for file in files if not file.is_file()]:
        raise Damaged(f"{path} lacks {gone[0].name}, which a record in it names; export the run again")
    return run


def _epochs(package: zipfile.ZipFile, members: Iterable[zipfile.ZipInfo], folder: str) -> dict[str, int]:
    """How many epochs each table has, as its records say."""
    counts: dict[str, int] = {}
    for one in members:
        parts = one.filename.removeprefix(f"{folder}/").split("/")
        if len(parts) == 3 and parts[0] == COMMITS:
            with suppress(ValueError, KeyError, TypeError, RecursionError):
                table, number = decoded(parts[1]), len(json.loads(package.read(one))["epochs"])
                counts[table] = counts.get(table, 0) + number
    return counts
