"""Saved table views: one small JSON file each, in the store's folder `views`."""

import json
from collections.abc import Sequence
from pathlib import Path

from secondguess.analysis.errors import AlreadyThere, BadInput, Damaged, NotFound, NotWritten, listing
from secondguess.analysis.opening import read_regular
from secondguess.analysis.schema import checked_name, decoded, encoded
from secondguess.analysis.store.disk import put_text
from secondguess.analysis.store.runs import list_runs
from secondguess.analysis.store.seal import SEAL, is_whole, sealed
from secondguess.analysis.store.workplace import clear
from secondguess.analysis.tables.view import TableView

_LONGEST = 1 << 20  # bytes of a view


def save(store: Path, name: str, view: TableView, *, overwrite: bool = False) -> Path:
    """Keep a view under a name; raises AlreadyThere where it is taken and not to be overwritten."""
    list_runs(store)
    clear(store)
    path = _path(store, name)
    text = json.dumps(sealed(view.as_dict()), ensure_ascii=False, indent=2) + "\n"
    try:
        put_text(path, text, store / ".incoming", overwrite=overwrite)
    except FileExistsError:
        raise AlreadyThere(f"view {name!r} exists already; choose another name, or --overwrite it") from None
    except OSError as error:
        raise NotWritten(f"view {name!r} could not be saved", error) from error
    return path


def rename(store: Path, name: str, new: str) -> Path:
    """Keep a view under another name; raises NotFound, and AlreadyThere where that name is taken."""
    old, path = find(store, name), _path(store, new)
    if path == old:
        return path
    text = read_regular(old, _LONGEST, links=True).decode("utf-8-sig")
    try:
        put_text(path, text, store / ".incoming")
    except FileExistsError:
        raise AlreadyThere(f"view {new!r} exists already; choose another name") from None
    except OSError as error:
        raise NotWritten(f"view {name!r} could not be renamed", error) from error
    remove(store, name)
    return path


def remove(store: Path, name: str) -> None:
    """Delete a view; raises NotFound."""
    path = find(store, name)
    try:
        path.unlink()
    except FileNotFoundError:  # somebody else was faster
        return
    except OSError as error:
        raise NotWritten(f"view {name!r} could not be deleted", error) from error


def find(store: Path, name: str) -> Path:
    """The file of a saved view; raises NotFound naming those there are."""
    path = _path(store, name)
    if not path.is_file():
        raise NotFound(f"no view named {name!r}; the store has: {listing(names(store)) or 'none yet'}")
    return path


def load(store: Path, name: str) -> TableView:
    """The view of that name; raises NotFound naming those there are, Damaged where its file is none."""
    path = _path(store, name)
    try:
        text = read_regular(path, _LONGEST, links=True).decode("utf-8-sig")
        fields = json.loads(text, object_pairs_hook=_once)
        if not isinstance(fields, dict):
            raise BadInput("it is not an object")
        if is_whole(fields) is False:
            raise Damaged(
                f"{path} was edited by hand since it was saved, or is damaged (its sha256 differs); save it anew with "
                "--overwrite, or take its sha256 out to have it read as it is"
            )
        return TableView.from_dict({key: value for key, value in fields.items() if key != SEAL})
    except NotFound:
        raise NotFound(f"no view named {name!r}; the store has: {listing(names(store)) or 'none yet'}") from None
    except (ValueError, RecursionError, BadInput) as error:
        raise Damaged(f"{path} is not a saved view: {error}") from None


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """The pairs as a dictionary; raises BadInput where a key is there twice."""
    keys = [key for key, _ in pairs]
    if twice := [key for key in keys if keys.count(key) > 1]:
        raise BadInput(f"{twice[0]!r} stands there twice")
    return dict(pairs)


def names(store: Path) -> Sequence[str]:
    """The names of the saved views, in order."""
    folder = store / "views"
    paths = folder.glob("*.json") if folder.is_dir() else ()
    return sorted(decoded(path.stem) for path in paths if not path.name.startswith("."))


def _path(store: Path, name: str) -> Path:
    return store / "views" / f"{encoded(checked_name('view', name))}.json"
