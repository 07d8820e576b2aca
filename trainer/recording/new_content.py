"""The images, texts or numbers that one rank met first, on their way to the first rank, which keeps the examples."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from secondguess.analysis.store import parquet
from secondguess.analysis.store.commits import ExamplesFile
from secondguess.analysis.store.disk import Part
from secondguess.analysis.store.examples import HELD_BYTES, Batch, content_bytes, first_rows

_TYPES = {"image": pa.binary(), "text": pa.string(), "numbers": pa.list_(pa.float64())}


class ContentWriter:
    """Takes what an `ExamplesWriter` takes, and writes the content that is new to it into a file for each epoch."""

    def __init__(self, folder: Path, dataset: str, kind: str | None) -> None:
        self.dataset = dataset
        self.kind = kind
        self._folder = folder
        self._handed: set[str] = set()
        self._begin()

    def _begin(self) -> None:
        self._new: set[str] = set()
        self._waiting: dict[str, Any] = {}
        self._waiting_bytes = 0
        self._open = ExitStack()
        self._part: Part | None = None
        self._file: pq.ParquetWriter | None = None

    def unknown(self, digests: Sequence[str]) -> dict[str, int]:
        """The digests whose content is still needed, each with the first row that has it."""
        return first_rows(digests, self._handed, self._new)

    def add(self, batch: Batch) -> None:
        """Take a batch whose `content` covers `unknown(batch.digests)`."""
        self._new.update(batch.content)
        self._waiting.update(batch.content)
        self._waiting_bytes += content_bytes(batch, self.kind)
        if self._waiting_bytes > HELD_BYTES:
            self._flush()

    def _flush(self) -> None:
        kind = _TYPES[self.kind or ""]
        columns = {"digest": pa.array(self._waiting, pa.string()), "content": pa.array(self._waiting.values(), kind)}
        content = pa.table(columns)
        if self._file is None:
            self._part = self._open.enter_context(Part(self._folder))
            self._file = self._open.enter_context(parquet.open_writer(self._part, content.schema))
        self._file.write_table(content)
        self._waiting, self._waiting_bytes = {}, 0

    def finish(self) -> ExamplesFile | None:
        """The file with the content that was new in this epoch, None where none was."""
        if not self._new:
            return None
        if self._waiting:
            self._flush()
        assert self._file is not None and self._part is not None
        self._file.close()
        file = parquet.publish(self._part, self._folder, "content", len(self._new))
        self._handed |= self._new
        self.drop()
        return ExamplesFile(Path(file["name"]).name, file["sha256"], file["bytes"])

    def drop(self) -> None:
        """Forget the epoch's content; whoever gives an epoch up calls this."""
        opened, file = self._open, self._file
        self._begin()
        if file is not None:
            parquet.abandon(file)
        opened.close()


def content_of(files: Iterable[Path], digests: Iterable[str]) -> Iterator[Mapping[str, Any]]:
    """The content of these digests that the files have, a piece at a time."""
    wanted = pa.array(digests, pa.string())
    for file in files:
        if not len(wanted):
            return
        for group in parquet.row_groups(file):
            here = group.filter(pc.is_in(group["digest"], wanted))
            if here.num_rows:
                yield dict(zip(here["digest"].to_pylist(), here["content"].to_pylist(), strict=True))
                wanted = wanted.filter(pc.invert(pc.is_in(wanted, here["digest"].combine_chunks())))
