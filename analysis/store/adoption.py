"""Taking a run over from another store in one step: all of it appears, or nothing does."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from secondguess.analysis.errors import AlreadyThere
from secondguess.analysis.schema import encoded
from secondguess.analysis.store import examples
from secondguess.analysis.store.disk import make_private
from secondguess.analysis.store.runs import list_runs, run_folder
from secondguess.analysis.store.workplace import IMPORTING, Workplace, clear, workplace
from secondguess.analysis.store.writer import check_twins, locked, writing


@contextmanager
def staging(store: Path) -> Iterator[Workplace]:
    """A workplace in the store for what is not whole yet, which goes when the block ends.

    What killed processes left in the store goes before it begins.
    """
    make_private(store)
    clear(store)
    with workplace(store, IMPORTING) as place:
        yield place


def adopt(place: Workplace, run: str, *, overwrite: bool = False) -> None:
    """Move a finished run and its examples out of a workplace into its store.

    Raises AlreadyThere where the store has a run of that name and it is not to be overwritten, or is being recorded;
    NotWritten.
    """
    with writing(f"run {run!r} could not be brought into the store"):
        _adopted(place, run, overwrite=overwrite)


def _adopted(place: Workplace, run: str, *, overwrite: bool) -> None:
    store, folder = place.store, place.path
    existing = list_runs(store) if store.is_dir() else {}
    check_twins(existing, run)
    examples.move(folder, folder / encoded(run), store)
    if overwrite and run in existing:
        old = existing[run]
        lock = locked(old.folder, run)
        try:
            place.take_place(folder / encoded(run), old.folder, lock)
        finally:
            lock.release()
        return
    try:
        place.take_place(folder / encoded(run), run_folder(store, run), None)
    except AlreadyThere:
        raise AlreadyThere(
            f"run {run!r} exists already; name another with --run, add an epoch to it with --epoch, or --overwrite it"
        ) from None
