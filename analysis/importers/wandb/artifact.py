"""Tables that somebody sent: a downloaded artifact's folder, or a single `.table.json`."""

import codecs
import os
import re
from functools import partial
from pathlib import Path

from secondguess.analysis.errors import NotFound
from secondguess.analysis.importers.source import SourceRun, SourceTable, TableRows
from secondguess.analysis.importers.wandb.media import FolderFiles
from secondguess.analysis.importers.wandb.staged import TABLE, tables_among
from secondguess.analysis.importers.wandb.table.table import Memory, TableFiles
from secondguess.analysis.importers.wandb.table.text import TableText
from secondguess.analysis.opening import below, open_regular

_OF_A_RUN = re.compile(r"run-([A-Za-z0-9_]+)-(.+?)(?:[:-](v\d+))?")
_VERSION = re.compile(r"(.+)[:-](v\d+)")
_OF_A_TABLE = re.compile(rb'\s*\{\s*"(?:columns|data|column_types|_type|ncols|nrows)"\s*:\s*(?:\[|\{|"table|\d)')
_HEAD = 1 << 12
_OWN_FILE = re.compile(r"(.+)_(?:\d+|summary)_[0-9a-f]{20}")


def table_file(path: Path) -> SourceRun:
    """A single table file as a run: a run's own, or an artifact's, whose media lie beside it if anywhere."""
    open_regular(path, links=True).close()
    stem = path.name.removesuffix(".json").removesuffix(".table")
    own = _OWN_FILE.fullmatch(stem)
    key = own[1] if own else stem
    table = SourceTable(key, epoch=None, step=None, read=partial(_read_file, path), origin={"path": path.name})
    return SourceRun(name=key, origin={"kind": "table.json", "path": str(path)}, tables=[table])


def is_table(path: Path) -> bool:
    """Whether a `.json` file is a table file of W&B's and not records: an object whose keys say so, or by its name."""
    if path.name.endswith(TABLE):
        return True
    if path.suffix.lower() != ".json":
        return False
    with open_regular(path, links=True) as file:
        head = file.read(_HEAD)
    return _OF_A_TABLE.match(head.removeprefix(codecs.BOM_UTF8)) is not None


def artifact_folder(path: Path) -> SourceRun:
    """A downloaded artifact as a run with all its tables; raises NotFound where there is none.

    The run's id comes from the folder's name, where that is as W&B makes it.
    """
    files = FolderFiles(path)
    tables = tables_among(files, sorted(_names(path)))
    if not tables:
        raise NotFound(f"no table in {path}: no file in it ends in {TABLE}")
    about = {"kind": "artifact", "path": str(path)}
    memory = Memory()
    if match := _OF_A_RUN.fullmatch(path.resolve().name):
        about |= {"id": match[1], "version": match[3] or ""}
    elif match := _VERSION.fullmatch(path.resolve().name):
        about |= {"name": match[1], "version": match[2]}
    return SourceRun(
        name=about.get("id") or about.get("name") or path.resolve().name,
        origin=about,
        tables=[
            SourceTable(key, None, None, partial(_read_parts, files, parts, memory), {"path": parts[0]})
            for key, parts in tables.items()
        ],
    )


def _names(folder: Path) -> list[str]:
    """The paths of the files that may be or describe tables; links to folders are not followed."""
    paths = []
    for place, _, names in os.walk(folder):
        inside = Path(place).relative_to(folder)
        paths += [(inside / name).as_posix() for name in names if name.endswith("table.json")]
    return paths


def _read_parts(files: FolderFiles, parts: list[str], memory: Memory) -> TableRows:
    return TableFiles(parts=[below(files.root, part) for part in parts], media=files, memory=memory).read()


def _read_file(path: Path) -> TableRows:
    place = path.resolve()
    with open_regular(place) as file:
        typed = TableText(file, path).types is not None
    return TableFiles(parts=[place], media=FolderFiles(place.parent)).read() if typed else TableFiles(own=place).read()
