"""`secondguess sql --duckdb FILE`: the store as a DuckDB database of views, for whatever opens one."""

import os
import secrets
import shlex
from functools import partial
from pathlib import Path

import duckdb

from secondguess.analysis import signals
from secondguess.analysis.ask import catalog
from secondguess.analysis.console import say
from secondguess.analysis.engine.duck import explained, fresh
from secondguess.analysis.engine.sqltext import identifier, literal
from secondguess.analysis.errors import AlreadyThere, BadInput, NotWritten
from secondguess.analysis.objects.httpfs import before

_READABLE_FROM = "v1.0.0"  # the oldest form of the file that DuckDB 2.0 writes; its own none before it reads
_INSIDE = "made"


def write(store: Path, file: Path, schema: str | None, *, overwrite: bool) -> None:
    """Write the file, whole or not at all, and say what is in it and how it is made anew.

    Raises AlreadyThere where there is one that is not to be replaced: one with anything but such views never is.
    """
    if file.resolve().is_relative_to(store.resolve()):
        raise BadInput(f"{file} lies in the store, which only recording writes to; name a file outside {store}")
    if file.exists() or file.is_symlink():
        _may_replace(file, overwrite=overwrite)
    if not file.parent.is_dir():
        raise BadInput(f"{file} cannot be written, since there is no folder {file.parent}; make it, or name another")
    part = file.with_name(f".{file.name}.{secrets.token_hex(6)}")
    try:
        with signals.undone(partial(part.unlink, missing_ok=True)):
            made = _written(store, part, schema)
            os.replace(part, file)
    except OSError as error:
        raise NotWritten(f"{file} could not be written", error) from None
    except duckdb.Error as error:
        raise BadInput(f"{file} could not be written: {explained(error)}") from None
    finally:
        part.unlink(missing_ok=True)
    for note in made.notes:
        say(note, err=True)
    for line in before(made.files):
        say(f"first, where it is opened: {line}", err=True)
    words = ["--duckdb", str(file), "--store", str(store), *(["--schema", schema] if schema else []), "--overwrite"]
    again = f"secondguess sql {shlex.join(words)}"
    say(f"wrote {len(made.selects):,} views to {file}; for new epochs, or after a compaction, again: {again}", err=True)


def _written(store: Path, part: Path, schema: str | None) -> catalog.Catalog:
    con = fresh()
    try:
        con.execute(f"ATTACH {literal(part)} AS {identifier(_INSIDE)} (STORAGE_VERSION {literal(_READABLE_FROM)})")
        made = catalog.create(con, store, schema, _INSIDE)
        con.execute(f"DETACH {identifier(_INSIDE)}")
    finally:
        con.close()
    return made


def _may_replace(file: Path, *, overwrite: bool) -> None:
    if not overwrite:
        raise AlreadyThere(f"{file} is there already; name another file, or replace it with --overwrite")
    con = fresh()
    try:
        con.execute(f"ATTACH {literal(file)} AS {identifier(_INSIDE)} (READ_ONLY)")
        ours, others = catalog.views_in(con, _INSIDE)
    except duckdb.Error:
        ours, others = 0, 1
    finally:
        con.close()
    if others or not ours:
        raise AlreadyThere(f"{file} is no database of views of a store and of nothing else, so it stays; name another")
