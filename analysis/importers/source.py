"""What every importer yields: a run, its metrics, and each version of each of its tables as Arrow."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa

from secondguess.analysis.importers.roles import Given
from secondguess.analysis.store.commits import Metric

# A file of W&B's as a cell: its content, and the name it had. NULL where the file is gone or was refused.
MEDIA = pa.struct([("bytes", pa.binary()), ("path", pa.string())])

_REASONS_KEPT = 5


@dataclass
class MediaCount:
    """Media cells of one reading: read whole, gone, or refused, with the first reasons, each naming its file."""

    whole: int = 0
    missing: int = 0
    refused: int = 0
    reasons: list[str] = field(default_factory=list)

    def clear(self) -> None:
        """Count anew."""
        self.whole = self.missing = self.refused = 0

    def add(self, other: "MediaCount") -> None:
        """Count what another reading has counted, too."""
        self.whole += other.whole
        self.missing += other.missing
        self.refused += other.refused
        for reason in other.reasons:
            self.say(reason)

    def say(self, reason: str) -> None:
        """Keep a reason, unless it was given before or there are enough."""
        if len(self.reasons) < _REASONS_KEPT and reason not in self.reasons:
            self.reasons.append(reason)


class Batches(Protocol):
    """What reads a table's files anew at each call, in bounded memory."""

    def __call__(self, columns: Collection[str] | None = None) -> Iterator[pa.RecordBatch]:
        """Yield the rows, of these columns only where they are named: then no other's media are loaded."""


@dataclass(frozen=True)
class TableRows:
    """The rows of one version of one table, their types decided.

    A field's metadata may have `media` (`image`, `audio`, `html`, …: the field is a MEDIA struct) or `json`
    (`true`: the cells are JSON text, since no one type holds them). `batches` may be called again; each call counts in
    `media`, which is whole once the batches are read. `media_cells` is the number of media cells that are not NULL in
    the source. `written` says that every column is text as it is written in the file, numbers too, with a decimal comma
    where `decimal_comma` says so. `meant` is what the columns are where the format says it, and `content` the column
    with the texts or numbers that the rows are about.
    """

    schema: pa.Schema
    rows: int
    batches: Batches
    media: MediaCount = field(default_factory=MediaCount)
    media_cells: int = 0
    notes: tuple[str, ...] = ()
    written: bool = False
    decimal_comma: bool = False
    meant: Given | None = None
    content: str | None = None

    @property
    def nothing(self) -> pa.RecordBatch:
        """A batch of no rows, for whoever needs their types only."""
        return pa.RecordBatch.from_arrays([pa.nulls(0, kind) for kind in self.schema.types], schema=self.schema)


def once_read(rows: TableRows) -> Callable[[], TableRows]:
    """How to read a table that was read already."""
    return lambda: rows


@dataclass(frozen=True)
class SourceTable:
    """One version of one table.

    `key` is the table's key in W&B (nested keys with dots), or the file's stem. `read` looks through the files and
    decides the types; it raises Damaged, BadInput or NotFound, whose text names the file. `origin` is JSON.
    within says that step is that of a validation within the epoch, else it says where the history has the table.
    folder is where the files of images lie that cells name; None where they name none.
    """

    key: str
    epoch: int | None
    step: int | None
    read: Callable[[], TableRows]
    origin: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    within: bool = False
    folder: Path | None = None


@dataclass(frozen=True)
class SourceRun:
    """One run elsewhere. `origin` is JSON: `kind` (`wandb-offline`, `wandb`, `artifact`, `table.json`), id, place.

    `charts` are the keys of tables that are there for charts only, and come where they are asked for by name.
    metrics_alone says that it has metrics and no tables, and is a run all the same.
    """

    name: str
    origin: Mapping[str, Any]
    config: Mapping[str, Any] = field(default_factory=dict)
    metrics: Callable[[], Iterator[Metric]] = lambda: iter(())
    tables: Sequence[SourceTable] = ()
    notes: tuple[str, ...] = ()
    finished: bool = True
    charts: frozenset[str] = frozenset()
    metrics_alone: bool = False
