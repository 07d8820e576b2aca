"""How a run that was made on this machine comes into a bucket, in one step: with the put of its `run.json`.

Its files go first, under names that say their content, then its records into a folder of their own, which `run.json`
names. Nobody reads either before that is there. Where it replaces another run, the old `run.json` names the old records
until then, and what only these name goes afterwards.
"""

import json
import uuid
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from secondguess.analysis.errors import AlreadyThere, NotReached
from secondguess.analysis.objects.path import ObjectPath, delete, forget
from secondguess.analysis.schema import decoded
from secondguess.analysis.store import records
from secondguess.analysis.store.disk import record_bytes
from secondguess.analysis.store.lease import Lease
from secondguess.analysis.store.lock import Held
from secondguess.analysis.store.runs import COMMITS, WHOLE, Run
from secondguess.analysis.store.seal import SEAL


def arrive(new: Path, final: ObjectPath, store: Path, old: Held | None) -> None:
    """Give a run of this machine its place in a bucket; what had the place goes.

    old is the lease on the run that is replaced, where there is one. Raises AlreadyThere where the name is another's by
    now, OSError, Leased where it comes from elsewhere: then nothing is changed.
    """
    if old is not None:
        _arrive(new, final, store, old)
        return
    lease = Lease(final)
    try:
        _arrive(new, final, store, lease, is_new=True)
    finally:
        lease.release()


def _arrive(new: Path, final: ObjectPath, store: Path, lease: Held, *, is_new: bool = False) -> None:
    commits = f"{WHOLE}{uuid.uuid4().hex[:12]}"
    files = [path for path in _files(new) if path.parts[len(new.parts)] not in {"run.json", COMMITS}]
    said = sorted((new / COMMITS).rglob("*.json"))
    done: list[ObjectPath] = []
    try:
        for path in files:
            with suppress(FileExistsError):  # its name says what it holds
                _put(path, final / path.relative_to(new), done)
        for path in said:
            _put(path, final / commits / path.relative_to(new / COMMITS), done)
        about = {key: value for key, value in records.read(new / "run.json").items() if key != SEAL}
        if not lease.holds():
            raise _taken(final)
        try:
            (final / "run.json").put(record_bytes({**about, "commits": commits}), absent=is_new)
        except FileExistsError:
            raise _taken(final) from None
    except BaseException:
        with suppress(OSError, NotReached):
            _withdraw(done, Run(store, decoded(final.name), final), lease)
        raise
    from secondguess.analysis.store.upkeep import sweep  # which loads pyarrow, as whoever makes a run has

    with suppress(OSError, NotReached):  # what is left is said by a check, and removed by its --gc
        forget(final)
        clear_former(Run(store, decoded(final.name), final))
        sweep(Run(store, decoded(final.name), final))  # of those who were killed before this one


def _taken(final: ObjectPath) -> AlreadyThere:
    return AlreadyThere(f"run {decoded(final.name)!r} exists already; it came meanwhile")


def _files(folder: Path) -> list[Path]:
    """The files of a run's folder, but what is hidden."""
    paths = (path for path in folder.iterdir() if not path.name.startswith("."))
    return sorted(file for path in paths for file in ([path] if path.is_file() else path.rglob("*")) if file.is_file())


def _put(path: Path, final: ObjectPath, done: list[ObjectPath]) -> None:
    final.put(path, absent=True)
    done.append(final)


def _withdraw(done: Iterable[ObjectPath], there: Run, lease: Held) -> None:
    """Take back what came, but what the run that is there names: the same rows have the same file."""
    is_run = (there.folder / "run.json").is_file()
    if not lease.holds() or (is_run and there.damage()):
        return
    named = named_files(there) if is_run else set()
    delete(path for path in done if path not in named)


def named_files(run: Run) -> set[Path]:
    """The files in a run's folder that its records name."""
    every: list[dict[str, Any]] = [record for live in run.commits.values() for _, record in live]
    return {*(run.folder / record["file"]["name"] for record in every), *run.metrics}


def clear_former(run: Run) -> None:
    """Remove the records of the run that had this one's place, and the files that only they name."""
    former = run.former_folders()
    if not former or run.damage():
        return
    named = named_files(run)
    gone: set[Path] = set()
    for record in (path for folder in former for path in folder.rglob("*.json")):
        with suppress(OSError, ValueError, KeyError, TypeError):
            content = json.loads(record.read_bytes())
            said = [content.get("file"), content.get("metrics")]
            gone |= {run.folder / each["name"] for each in said if each}
        gone.add(record)
    delete(path for path in sorted(gone - named) if isinstance(path, ObjectPath) and path.is_relative_to(run.folder))
