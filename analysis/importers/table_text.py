"""One of W&B's table files, checked as it is read: its columns and types first, then row by row.

Weighed against `wandb.Table` itself, which holds a whole table, and Arrow's JSON reader, which takes lines of objects.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from analysis.errors import BadInput, Damaged
from analysis.importers.json_text import JsonText, Meter
from analysis.importers.opening import open_regular
from analysis.importers.wandb_types import column_types

_MOST_COLUMNS = 10_000
_KEPT = {"_type", "columns", "column_types"}


class TableText:
    """An open table file, read up to its rows."""

    def __init__(self, file: BinaryIO, path: Path, meter: Meter | None = None) -> None:
        self._path = path
        self._text = JsonText(file, str(path), meter)
        self._keys = self._text.keys()
        self._about: dict[str, Any] = {}
        if not any(self._is_data(key) for key in self._keys):
            raise Damaged(f"{path} has no data")
        if self._about.get("_type", "table") != "table":
            raise BadInput(f"{path} is a {self._about['_type']!s:.40}, not a table")
        self.columns = self._columns()
        self.types = column_types(self._about["column_types"], self.columns) if "column_types" in self._about else None

    def rows(self) -> Iterator[list[Any]]:
        """Yield the rows; raises Damaged for one that is no row of this table, or where the file ends too early."""
        width = len(self.columns)
        for index, row in enumerate(self._text.lists("row")):
            if len(row) != width:
                raise Damaged(f"{self._path}: row {index} has {len(row):,} cells for {width:,} columns")
            yield row
        for key in self._keys:
            if self._is_data(key):
                raise Damaged(f"{self._path} has its data twice")
        self._text.end()

    def _is_data(self, key: str) -> bool:
        if key == "data":
            return True
        value = self._text.value(f"{key[:40]!r}")
        if key in self._about:
            raise Damaged(f"{self._path} has its {key} twice")
        if key in _KEPT:
            self._about[key] = value
        return False

    def _columns(self) -> list[str]:
        told = self._about.get("columns")
        if not isinstance(told, list):
            raise Damaged(f"{self._path} does not name its columns before its data")
        if len(told) > _MOST_COLUMNS:
            raise Damaged(f"{self._path} has {len(told):,} columns; at most {_MOST_COLUMNS:,} are read")
        for index, name in enumerate(told):
            if not isinstance(name, str | int | float):
                raise Damaged(f"{self._path}: the name of column {index} is no text")
        return [str(name) for name in told]


@contextmanager
def open_table(path: Path, meter: Meter | None = None) -> Iterator[TableText]:
    """Open a table file; raises NotFound, Damaged or BadInput, which name it."""
    with open_regular(path) as file:
        yield TableText(file, path, meter)
