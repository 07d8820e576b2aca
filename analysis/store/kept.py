"""Columns of one reading, kept in a file until the next, so that long JSON is parsed but once."""

import os
import tempfile
import weakref
from collections.abc import Iterator, Sequence

import pyarrow as pa


class KeptColumns:
    """Batches of columns in a temporary file that has no name and goes with this object."""

    def __init__(self) -> None:
        self._handle, path = tempfile.mkstemp(prefix="secondguess-")
        os.unlink(path)
        self._close = weakref.finalize(self, os.close, self._handle)
        self._batches: list[tuple[pa.Schema, int, int]] = []
        self._end = 0

    def add(self, columns: Sequence[pa.Array]) -> None:
        """Keep a batch; raises OSError where the disk does not take it."""
        batch = pa.RecordBatch.from_arrays(columns, names=list(map(str, range(len(columns)))))
        data = memoryview(batch.serialize())
        self._batches.append((batch.schema, self._end, len(data)))
        while data:
            written = os.pwrite(self._handle, data, self._end)
            self._end, data = self._end + written, data[written:]

    def read(self, which: slice = slice(None)) -> Iterator[pa.RecordBatch]:
        """Yield the batches, or which of them, each with the types that it came with."""
        for schema, start, size in self._batches[which]:
            yield pa.ipc.read_record_batch(pa.py_buffer(os.pread(self._handle, size, start)), schema)

    def close(self) -> None:
        """Let go of what was kept."""
        self._close()
