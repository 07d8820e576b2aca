"""Removing runs, and what nothing names any more when they are gone."""

import os
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from secondguess.analysis.errors import AlreadyThere, NotFound, NotWritten, listing
from secondguess.analysis.objects.path import ObjectPath, delete
from secondguess.analysis.schema import encoded
from secondguess.analysis.store.disk import remove_folder, sync_folder
from secondguess.analysis.store.lock import Held, hold, is_held
from secondguess.analysis.store.runs import Run, is_workplace, list_runs
from secondguess.analysis.store.workplace import IMPORTING, clear, workplace

_DAY_S = 24 * 3600


@dataclass(frozen=True)
class Removal:
    """Runs that are to go; examples, the files that only they name; stays, why such files stay all the same."""

    runs: tuple[Run, ...]
    examples: tuple[Path, ...]
    stays: str = ""


def planned(store: Path, names: Sequence[str]) -> Removal:
    """What goes with these runs; raises NotFound for one that is not there, AlreadyThere for one that goes on."""
    known = list_runs(store)
    if missing := [name for name in names if name not in known]:
        raise NotFound(f"no run named {missing[0]!r}; the store has: {listing(known) or 'no runs yet'}")
    runs = tuple(known[name] for name in dict.fromkeys(names))
    if going := [run.name for run in runs if not run.outside and is_held(run.folder)]:
        raise AlreadyThere(f"run {going[0]!r} is being recorded; remove it when it has ended")
    others = [run for run in known.values() if run not in runs]
    freed = sorted(_named(runs) - _named(others))
    files = tuple(path for name in freed if (path := store / "examples" / name).is_file() and not _is_new(path))
    return Removal(runs, files, _needed(store, others)) if files else Removal(runs, ())


def remove(store: Path, removal: Removal) -> list[Path]:
    """Remove what was planned; returns the examples files that went. Readers see each run whole or not at all.

    Raises AlreadyThere where a run has been begun anew meanwhile, NotWritten where the folder cannot be changed.
    """
    clear(store)
    try:
        with workplace(store, IMPORTING) as place, ExitStack() as held:
            for run in removal.runs:
                if not run.outside:
                    held.callback(_locked(run).release)
                _take_out(run.folder, place.path)
            return [] if removal.stays else _freed(store, removal.examples, place.path)
    except OSError as error:
        raise NotWritten(f"{listing(run.name for run in removal.runs)} could not be removed", error) from error


def _take_out(folder: Path, place: Path) -> None:
    """Take a run's folder out of its store in one step; of a bucket, whose readers see it no more, first its record."""
    if isinstance(folder, ObjectPath):
        delete([folder / "run.json"])
        remove_folder(folder)
    else:
        os.rename(folder, place / folder.name)
        sync_folder(folder.parent)


def _locked(run: Run) -> Held:
    try:
        return hold(run.folder)
    except BlockingIOError:
        raise AlreadyThere(f"run {run.name!r} is being recorded; remove it when it has ended") from None


def _freed(store: Path, examples: Iterable[Path], place: Path) -> list[Path]:
    """Take files away that no run names; one that has been named meanwhile is put back."""
    gone: list[Path] = []
    for path in examples:
        if isinstance(path, ObjectPath):
            if path.name not in _named(list_runs(store).values()):
                path.unlink()
                gone.append(path)
            continue
        aside = place / path.name
        os.rename(path, aside)
        if path.name in _named(list_runs(store).values()) or _needed(store, list_runs(store).values(), but=place):
            os.rename(aside, path)
        else:
            gone.append(path)
    if gone:
        sync_folder(store / "examples")
    return gone


def _is_new(path: Path) -> bool:
    """Whether somebody may be about to name an object: none is locked as a file is, so each stays for a day."""
    return isinstance(path, ObjectPath) and time.time() - path.stat().st_mtime < _DAY_S


def _named(runs: Iterable[Run]) -> set[str]:
    """The examples files that the records of runs name."""
    records: list[Mapping[str, object]] = [
        record for run in runs for live in run.commits.values() for _, record in live
    ]
    named: set[str] = set()
    for record in records:
        epochs = record.get("epochs")
        for entry in epochs if isinstance(epochs, list) else ():
            name = entry.get("examples") if isinstance(entry, dict) else None
            named |= {Path(name).name, f"{Path(name).name}.parquet"} if isinstance(name, str) else set()
    return named


def _needed(store: Path, others: Iterable[Run], but: Path | None = None) -> str:
    """Why examples must stay that no record names: somebody may be about to; empty where nobody is."""
    for run in others:
        if run.damage():
            return f"{run.name} has records that cannot be read, which may name them"
        if not run.outside and is_held(run.folder):
            return f"{run.name} is being recorded, and may need them"
    if isinstance(store, ObjectPath):
        return ""
    if any(is_workplace(path) and path != but and is_held(path) for path in store.iterdir()):
        return "an import is under way, and may need them"
    return ""


def wandb_folders(store: Path, runs: Iterable[Run]) -> list[Path]:
    """What W&B keeps of these runs in the store."""
    ids = {path.stem.removeprefix("wandb-") for run in runs for path in run.commits_folder.glob("wandb-*.json")}
    return sorted(path for name in ids for path in (store / "wandb").glob(f"*run-*-{encoded(name)}"))
