"""Taking a run over from another store in one step: all of it appears, or nothing does."""

import errno
import os
import shutil
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from secondguess.analysis.errors import AlreadyThere
from secondguess.analysis.schema import encoded
from secondguess.analysis.store import examples
from secondguess.analysis.store.disk import make_folder, sync_folder
from secondguess.analysis.store.lock import RunLock, is_held
from secondguess.analysis.store.runs import list_runs
from secondguess.analysis.store.writer import check_twins, discard

_STAGING = ".importing-"
_BEGINNING_S = 3600  # between making a folder and locking it is no more than a moment


@contextmanager
def staging(store: Path) -> Iterator[Path]:
    """A new folder in the store for what is not whole yet, which goes when the block ends.

    Those of processes that died go before it begins.
    """
    make_folder(store)
    for left in store.glob(f"{_STAGING}*"):
        with suppress(FileNotFoundError):
            if time.time() - left.stat().st_mtime > _BEGINNING_S and not is_held(left):
                shutil.rmtree(left, ignore_errors=True)
    folder = store / f"{_STAGING}{uuid.uuid4().hex}"
    os.mkdir(folder)
    lock = RunLock(folder)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        lock.release()


def adopt(store: Path, folder: Path, run: str, *, overwrite: bool = False) -> None:
    """Move a finished run and its examples out of `folder`, a store on the same disk, into `store`.

    Raises AlreadyThere where the store has a run of that name and it is not to be overwritten.
    """
    make_folder(store)
    existing = list_runs(store)
    check_twins(existing, run)
    if (folder / "examples").is_dir():
        make_folder(store / "examples")
        files = sorted((folder / "examples").glob("*.parquet"))
        shared = {path.name: examples.share(path, store / "examples") for path in files}
        examples.restate(folder / encoded(run), {name: file for name, file in shared.items() if file is not None})
        sync_folder(store / "examples")
    final = store / encoded(run)
    if overwrite and run in existing:
        discard(existing[run])
    try:
        os.rename(folder / encoded(run), final)
    except OSError as error:
        if error.errno not in {errno.ENOTEMPTY, errno.EEXIST}:
            raise
        raise AlreadyThere(f"run {run!r} exists already; name another with --run, or --overwrite it") from None
    sync_folder(store)
