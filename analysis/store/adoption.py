"""Taking a run over from another store in one step: all of it appears, or nothing does."""

import errno
import os
from contextlib import suppress
from pathlib import Path

from analysis.errors import AlreadyThere
from analysis.schema import encoded
from analysis.store.files import make_folder, sync_folder
from analysis.store.runs import list_runs
from analysis.store.writer import check_twins, discard


def adopt(store: Path, staging: Path, run: str, *, overwrite: bool = False) -> None:
    """Move a finished run and its examples out of `staging`, a store on the same disk, into `store`.

    Raises AlreadyThere where the store has a run of that name and it is not to be overwritten.
    """
    make_folder(store)
    existing = list_runs(store)
    check_twins(existing, run)
    if (staging / "examples").is_dir():
        make_folder(store / "examples")
        for path in sorted((staging / "examples").glob("*.parquet")):
            with suppress(FileExistsError):  # the name is the content
                os.link(path, store / "examples" / path.name)
        sync_folder(store / "examples")
    final = store / encoded(run)
    if overwrite and run in existing:
        discard(existing[run])
    try:
        os.rename(staging / encoded(run), final)
    except OSError as error:
        if error.errno not in {errno.ENOTEMPTY, errno.EEXIST}:
            raise
        raise AlreadyThere(f"run {run!r} exists already; name another with --run, or --overwrite it") from None
    sync_folder(store)
