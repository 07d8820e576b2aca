"""Examples files: what was predicted on, each image stored once for all the epochs and runs that saw it."""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from analysis.schema import encoded
from analysis.store import parquet
from analysis.store.files import Part

IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
# What Hugging Face `datasets` and its viewers read to show the column as images.
_FEATURES = {b"huggingface": json.dumps({"info": {"features": {"image": {"_type": "Image"}}}}).encode()}

_HELD_BYTES = 32 << 20


@dataclass(frozen=True)
class Batch:
    """A batch of examples: ids, digests (None without content) and truths by row; content by row, for the new ones.

    content maps a digest to what the row is: encoded image bytes, a text, or a list of numbers.
    """

    ids: Sequence[str]
    digests: Sequence[str] | None
    truth: pa.Array | None
    content: Mapping[str, Any] = field(default_factory=dict)


class ExamplesWriter:
    """Writes the examples of one table, epoch after epoch; an epoch that saw only known ones writes nothing.

    kind is `image`, `content`, or None where rows have neither. New content beyond a few megabytes waits on disk.
    """

    def __init__(self, store: Path, incoming: Path, dataset: str, kind: str | None) -> None:
        self._folder = store / "examples"
        self._incoming = incoming
        self.dataset = dataset
        self.kind = kind
        self._known: set[str] = set()
        self._written: dict[str, str] = {}
        self._last: str | None = None
        self._begin()

    def unknown(self, digests: Sequence[str]) -> dict[str, int]:
        """The digests whose content is still needed, each with the first row that has it."""
        rows: dict[str, int] = {}
        for row, digest in enumerate(digests):
            if digest not in self._known and digest not in self._new:
                rows.setdefault(digest, row)
        return rows

    def add(self, batch: Batch) -> None:
        """Take a batch whose `content` covers `unknown(batch.digests)`."""
        self._batches.append(batch)
        self._new.update(dict.fromkeys(batch.content))
        self._waiting.update(batch.content)
        self._waiting_bytes += sum(len(value) for value in batch.content.values())
        if self._waiting_bytes > _HELD_BYTES:
            self._flush()

    def finish(self) -> str | None:
        """The name of the file with this epoch's examples, written if it is new; None where they have no content."""
        name = None
        if self.kind is not None and self._batches:
            rows = self._rows()
            identity = _identity(rows)
            if identity not in self._written:
                self._written[identity] = self._write(rows, identity)
            self._last = name = self._written[identity]
            self._known.update(rows["digest"].to_pylist())
        self.drop()
        return name

    def drop(self) -> None:
        """Forget the epoch's rows; whoever gives an epoch up calls this."""
        self._open.close()
        self._begin()

    def _begin(self) -> None:
        self._batches: list[Batch] = []
        self._new: dict[str, None] = {}  # in the order of its content, written or waiting
        self._waiting: dict[str, Any] = {}
        self._waiting_bytes = 0
        self._open = ExitStack()
        self._part: Part | None = None
        self._spill: pq.ParquetWriter | None = None

    @property
    def _column(self) -> str:
        return self.kind or "content"

    def _content(self) -> pa.Table:
        """The waiting content: digest, and image or content."""
        values: Any = list(self._waiting.values())
        if self.kind == "image":
            values = pa.array([{"bytes": image, "path": None} for image in values], IMAGE)
        return pa.table({"digest": pa.array(self._waiting, pa.string()), self._column: values})

    def _flush(self) -> None:
        content = self._content()
        if self._spill is None:
            self._part = self._open.enter_context(Part(self._incoming))
            self._spill = self._open.enter_context(parquet.open_writer(self._part, content.schema))
        self._spill.write_table(content)
        self._waiting, self._waiting_bytes = {}, 0

    def _rows(self) -> pa.Table:
        columns: dict[str, Any] = {
            "id": pa.array([name for batch in self._batches for name in batch.ids], pa.string()),
            "digest": pa.array([digest for batch in self._batches for digest in batch.digests or ()], pa.string()),
        }
        truths = [batch.truth for batch in self._batches if batch.truth is not None]
        if truths:
            columns["truth"] = pa.chunked_array(truths)
        return pa.table(columns)

    def _write(self, rows: pa.Table, identity: str) -> str:
        """Put the rows beside their content, new and old, and publish the file under the name of what it holds."""
        path = self._folder / f"{encoded(self.dataset)}-{identity[:12]}.parquet"
        if path.exists():
            return path.name
        about = parquet.footer({"dataset": self.dataset, "identity": identity})
        with Part(self._incoming) as part:
            tables = self._joined(rows)
            first = next(tables).replace_schema_metadata({**about, **_FEATURES})
            with parquet.open_writer(part, first.schema) as writer:
                writer.write_table(first)
                for table in tables:
                    writer.write_table(table.replace_schema_metadata(first.schema.metadata))
            with suppress(FileExistsError):  # another run of the same examples was quicker
                part.publish(path)
        return path.name

    def _joined(self, rows: pa.Table) -> Iterator[pa.Table]:
        if self._spill is None or self._part is None:
            yield self._taken(rows, [self._content()])
            return
        if self._waiting:
            self._flush()
        self._spill.close()
        if list(self._new) != rows["digest"].to_pylist():
            yield self._taken(rows, [pq.read_table(self._part.path)])
            return
        done = 0
        for content in pq.ParquetFile(self._part.path).iter_batches():  # the same rows in the same order: streamed
            part = rows.slice(done, len(content))
            done += len(content)
            yield part.append_column(self._column, content.column(self._column))

    def _taken(self, rows: pa.Table, sources: list[pa.Table]) -> pa.Table:
        if self._last is not None:
            sources.append(pq.read_table(self._folder / self._last, columns=["digest", self._column]))
        content = pa.concat_tables([source for source in sources if source.num_rows])
        found = pc.index_in(rows["digest"], content["digest"])
        return rows.append_column(self._column, content[self._column].take(found))


def _identity(rows: pa.Table) -> str:
    """The sha256 of the set of (id, digest, truth), whatever its order."""
    keys = [column.cast(pa.string()).fill_null("\0") for column in rows.columns]
    found = hashlib.sha256()
    for row in sorted(zip(*(column.to_pylist() for column in keys), strict=True)):
        found.update("\x1f".join(row).encode() + b"\x1e")
    return found.hexdigest()
