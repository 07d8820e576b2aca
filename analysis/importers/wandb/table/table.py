"""W&B's table files, the run's own and the artifact's, read together as one table, in bounded memory."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import chain, islice, repeat
from pathlib import Path
from typing import Any

import pyarrow as pa

from secondguess.analysis.errors import Damaged, SecondguessError
from secondguess.analysis.importers.source import MediaCount, TableRows
from secondguess.analysis.importers.wandb.media import MediaCells, MediaFiles
from secondguess.analysis.importers.wandb.table.cells import PlainSeen, seen
from secondguess.analysis.importers.wandb.table.columns import Output, Reading, Seen, outputs_of, plain_array
from secondguess.analysis.importers.wandb.table.ndarrays import load_arrays
from secondguess.analysis.importers.wandb.table.text import Meter, open_table
from secondguess.analysis.importers.wandb.table.types import ANY, LOST, MEDIA_WORDS, WandbType, from_artifact, merged
from secondguess.analysis.store.kept import KeptColumns

_BATCH_ROWS = 10_000
_BATCH_TEXT = 8 << 20
_BATCH_MEDIA = 32 << 20
_CUTS = {10_000, 200_000}
_KEPT_BYTES = 16 << 20  # of JSON, whose values may take thirty times as much

JsonRow = list[Any]
Pair = tuple[JsonRow, JsonRow | None]
Cells = Sequence[Any]


@dataclass
class Memory:
    """How many bytes of table files may still be kept in memory between their readings, of all tables that share it."""

    left: int = _KEPT_BYTES

    def keeps(self, paths: Iterable[Path]) -> bool:
        """Whether the files are short enough; if they are, less is left."""
        size = sum(path.stat().st_size for path in paths)
        if size > self.left:
            return False
        self.left -= size
        return True


@dataclass(frozen=True)
class TableFiles:
    """The files of one version of one table.

    `own` is the run's own file: true values, but of media only the word for their class. `parts` is the artifact's
    table: media, types and rows beyond the 10,000th; more than one file for a partitioned table. `media` has the
    artifact's other files. `logged` is how many rows the history says there were. `stored` are the paths of the
    artifact's files, for when no more than that is left of them. What `memory` has room for is read but once.
    """

    own: Path | None = None
    parts: Sequence[Path] = ()
    media: MediaFiles | None = None
    logged: int | None = None
    stored: Sequence[str] | None = None
    notes: Sequence[str] = ()
    memory: Memory = field(default_factory=Memory)

    @property
    def paths(self) -> list[Path]:
        """All the files of the table."""
        return [*([self.own] if self.own is not None else []), *self.parts]

    def read(self) -> TableRows:
        """Look through the files once; raises NotFound, Damaged or BadInput, naming file and row."""
        try:
            return _TwoReadings(self).table_rows()
        except RecursionError:
            raise Damaged(f"{self.paths[0]} is nested too deep") from None


class _TwoReadings:
    """Both readings of a table's files: the first finds the types, every later one yields the rows.

    Of small files, and of those with nothing but plain columns, there is one reading only: what it found is kept.
    """

    def __init__(self, files: TableFiles) -> None:
        self._files = files
        self._name = files.paths[0]
        self._count = MediaCount()
        self._cells = MediaCells(files.media, self._count)
        self._columns, types = self._head()
        self._typed = types is not None
        self._types = types or [ANY] * len(self._columns)
        self._beside = self._typed and any(kind.needs_artifact for kind in self._types)
        self._own_rows = 0
        self._own_ended = files.own is None
        self._meter = Meter()
        self._array_notes: list[str] = []
        self._kept: list[tuple[int, list[Cells]]] = []
        self._spilled: KeptColumns | None = None

    def table_rows(self) -> TableRows:
        """What the table holds, after the first reading."""
        reading = Reading(self._cells, self._lost_words())
        columns = [seen(kind, reading) for kind in self._types]
        count = 0
        keeps = self._files.memory.keeps(self._files.paths)
        spilled = None if keeps else KeptColumns()
        for rows, cells in self._batches():
            count += rows
            arrays = [_noted(column, values) for column, values in zip(columns, cells, strict=True)]
            if keeps:
                self._kept.append((rows, cells))
            elif spilled is not None:
                spilled = _spill(spilled, arrays)
        outputs = list(outputs_of(self._columns, [column.column() for column in columns]))
        schema = pa.schema([output.column.field(output.name) for output in outputs])
        if spilled is not None and all(output.column.convert in (None, float) for output in outputs):
            self._spilled = spilled
        return TableRows(
            schema=schema,
            rows=count,
            batches=partial(self._record_batches, outputs),
            media=self._count,
            media_cells=reading.media_cells,
            notes=(*self._files.notes, *self._notes(count, outputs)),
        )

    def _head(self) -> tuple[list[str], list[WandbType] | None]:
        heads = []
        for path in self._files.paths:
            with open_table(path) as table:
                heads.append((table.columns, table.types))
            if table.columns != heads[0][0]:
                raise Damaged(f"{path} has other columns than {self._name}")
        return heads[0][0], next((types for _, types in heads if types is not None), None)

    def _lost_words(self) -> frozenset[str]:
        """The words that a column of nothing else has because its media are gone: only where no types are told."""
        stored = self._files.stored
        return frozenset(
            word
            for word, (_, folder) in MEDIA_WORDS.items()
            if not self._typed and (stored is None or any(path.startswith(folder) for path in stored))
        )

    def _batches(self) -> Iterator[tuple[int, list[Cells]]]:
        """Yield (rows, cells by column), each cell from the file that has its true value."""
        beyond = self._artifact_rows()
        self._own_rows, self._own_ended = 0, self._files.own is None
        if self._files.own is not None:
            with open_table(self._files.own, self._meter) as table:
                nothing: Iterator[JsonRow | None] = repeat(None)
                pairs = zip(table.rows(), chain(beyond, nothing) if self._beside else nothing, strict=False)
                for batch in _chunks(pairs, self._meter):
                    self._own_rows += len(batch)
                    yield len(batch), self._merged(batch)
            self._own_ended = True
            if self._own_rows == self._files.logged:
                return
            if not self._beside:
                beyond = islice(beyond, self._own_rows, None)
        for batch in _chunks(zip(beyond, repeat(None), strict=False), self._meter):
            cells = _by_column([row for row, _ in batch], len(self._columns))
            yield len(batch), [_as_own(kind, column) for kind, column in zip(self._types, cells, strict=True)]

    def _artifact_rows(self) -> Iterator[JsonRow]:
        for part in self._files.parts:
            arrays: dict[int, Any] | None = None
            with open_table(part, self._meter) as table:
                for index, row in enumerate(table.rows()):
                    if self._own_ended and arrays is None:
                        arrays, self._array_notes = load_arrays(table.types or [], self._files.media)
                    for column, array in (arrays or {}).items():
                        row[column] = array[index].tolist() if index < len(array) else None
                    yield row

    def _merged(self, batch: list[Pair]) -> list[Cells]:
        cells = _by_column([own for own, _ in batch], len(self._columns))
        if not self._beside:
            return cells
        return [
            [merged(kind, *pair) for pair in zip(column, _beside(batch, at), strict=True)]
            if kind.needs_artifact
            else column
            for at, (kind, column) in enumerate(zip(self._types, cells, strict=True))
        ]

    def _record_batches(
        self, outputs: list[Output], columns: Collection[str] | None = None
    ) -> Iterator[pa.RecordBatch]:
        outputs = [output for output in outputs if columns is None or output.name in columns]
        schema = pa.schema([output.column.field(output.name) for output in outputs])
        self._count.whole = self._count.missing = self._count.refused = 0
        self._count.reasons.clear()
        if self._spilled is not None:
            for batch in self._spilled.read():
                arrays = [batch.column(output.source).cast(output.column.type, safe=False) for output in outputs]
                yield pa.RecordBatch.from_arrays(arrays, schema=schema)
            return
        try:
            for rows, cells in self._kept or self._batches():
                yield from self._arrays(schema, outputs, rows, cells)
        except SecondguessError:
            raise
        except (pa.ArrowException, TypeError, ValueError, OverflowError) as error:
            raise Damaged(f"{self._name} changed while it was read: {error}") from None
        except RecursionError:
            raise Damaged(f"{self._name} is nested too deep") from None

    def _arrays(
        self, schema: pa.Schema, outputs: list[Output], rows: int, cells: list[Cells]
    ) -> Iterator[pa.RecordBatch]:
        """Yield the cells as one batch, or as more where files are loaded."""
        stop = 0
        while stop < rows:
            start = stop
            loaded, stop = self._loaded(outputs, cells, start, rows)
            arrays = [
                pa.array(loaded[place], output.column.type)
                if place in loaded
                else output.column.array(cells[output.source][start:stop])
                for place, output in enumerate(outputs)
            ]
            yield pa.RecordBatch.from_arrays(arrays, schema=schema)

    def _loaded(
        self, outputs: list[Output], cells: list[Cells], start: int, rows: int
    ) -> tuple[dict[int, list[Any]], int]:
        """The columns that load files, row by row until they hold enough, and the row after the last."""
        loading = [(place, output) for place, output in enumerate(outputs) if output.column.loads]
        loaded: dict[int, list[Any]] = {place: [] for place, _ in loading}
        full = self._cells.bytes + _BATCH_MEDIA
        for row in range(start, rows if loading else start):
            if self._cells.bytes > full:
                return loaded, row
            self._cells.begin_row()
            for place, output in loading:
                cell = cells[output.source][row]
                convert = output.column.convert
                loaded[place].append(None if cell is None or convert is None else convert(cell))
        return loaded, rows

    def _notes(self, count: int, outputs: list[Output]) -> Iterator[str]:
        logged, own = self._files.logged, self._files.own
        if logged is not None and count < logged:
            yield f"has {count:,} of the {logged:,} rows that were logged; W&B cut the rest"
        elif logged is None and count in _CUTS:
            yield f"has exactly {count:,} rows: probably cut by W&B"
        if count > self._own_rows and self._is_inexact(outputs):
            which = f"the rows after the first {self._own_rows:,} come" if own else "comes"
            yield f"{which} from the artifact's table, where NaN is NULL and a time is UTC and ends at the millisecond"
        yield from self._array_notes
        for output in outputs:
            if output.told != output.name:
                yield f"column {output.told!r} is called {output.name!r}"
            yield from (f"column {output.name!r} {note}" for note in output.column.notes)

    def _is_inexact(self, outputs: list[Output]) -> bool:
        """Whether the artifact's table may lack what the run's own has: NaN, and times below the millisecond."""
        return any(kind.has_times for kind in self._types) or any(
            pa.types.is_floating(output.column.type) or pa.types.is_nested(output.column.type) for output in outputs
        )


def _noted(column: Seen, values: Cells) -> pa.Array | None:
    """Let a column take note of a batch; the batch in Arrow if its values are plain, else None."""
    array = plain_array(values) if isinstance(column, PlainSeen) else None
    if array is None or not isinstance(column, PlainSeen):
        column.add(values)
    else:
        column.add_array(array)
    return array


def _spill(kept: KeptColumns, arrays: Sequence[pa.Array | None]) -> KeptColumns | None:
    """Keep a batch until the next reading; None where that cannot be."""
    plain = [array for array in arrays if array is not None]
    try:
        if len(plain) == len(arrays):
            kept.add(plain)
            return kept
    except OSError:  # a full disk: the file is read again instead
        pass
    kept.close()
    return None


def _chunks(pairs: Iterator[Pair], meter: Meter) -> Iterator[list[Pair]]:
    """Gather rows until they are a batch, by number or by the length of their text."""
    batch: list[Pair] = []
    full = meter.read + _BATCH_TEXT
    for pair in pairs:
        batch.append(pair)
        if len(batch) == _BATCH_ROWS or meter.read > full:
            yield batch
            batch, full = [], meter.read + _BATCH_TEXT
    if batch:
        yield batch


def _by_column(rows: list[JsonRow], width: int) -> list[Cells]:
    return list(zip(*rows, strict=True)) if rows else [()] * width


def _beside(batch: list[Pair], at: int) -> list[Any]:
    """The artifact's cells of one column, LOST where it has no such row."""
    return [LOST if other is None else other[at] for _, other in batch]


def _as_own(kind: WandbType, cells: Cells) -> Cells:
    return [None if cell is None else from_artifact(kind, cell) for cell in cells] if kind.has_times else cells
