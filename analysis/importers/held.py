"""The rows of a file that fits into memory, read once however often they are asked for."""

from collections.abc import Collection, Iterator
from dataclasses import replace

import pyarrow as pa

from secondguess.analysis.importers.source import TableRows

MOST_BYTES = 256 << 20


def held(rows: TableRows, most_bytes: int = MOST_BYTES) -> TableRows:
    """The rows, kept after they were read to their end for the first time, unless they take more than most_bytes."""
    kept: list[pa.RecordBatch] = []
    whole = too_large = False

    def batches(columns: Collection[str] | None = None) -> Iterator[pa.RecordBatch]:
        nonlocal whole, too_large
        if too_large:
            yield from rows.batches(columns)
            return
        names = [name for name in rows.schema.names if columns is None or name in columns]
        if whole:
            yield from (batch.select(names) for batch in kept)
            return
        read: list[pa.RecordBatch] = []
        size = 0
        for batch in rows.batches():
            size += batch.nbytes
            too_large = too_large or size > most_bytes
            if too_large:
                read.clear()
            else:
                read.append(batch)
            yield batch.select(names)
        if not too_large:
            kept[:], whole = read, True

    return replace(rows, batches=batches)
