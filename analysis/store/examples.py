"""Examples files: what was predicted on, each image stored once for all the epochs and runs that saw it."""

import hashlib
import itertools
import logging
from collections.abc import Container, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from secondguess.analysis.errors import Damaged
from secondguess.analysis.schema import encoded, shown_as_images
from secondguess.analysis.store import parquet, records
from secondguess.analysis.store.commits import ExamplesFile
from secondguess.analysis.store.disk import Part, give_name, make_folder, put_text, record_bytes, sync_folder
from secondguess.analysis.store.id_sets import id_hashes, list_texts, repeated
from secondguess.analysis.store.runs import list_runs
from secondguess.analysis.store.verified import digest_of

_log = logging.getLogger("secondguess")

IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
# Measured on 5,000 images of 21 KB: groups of 2,000 are read whole for one page of 50 images, 42 MB; those of 18 cost
# 0.5 KB of footer each, and a scan of all takes a third of the time.
_GROUP_BYTES = 384 << 10
_MOST_GROUPS = 1_000  # before they get larger, with a footer of half a megabyte
HELD_BYTES = 32 << 20  # of new content; what is beyond waits on disk
_AT_ONCE = 10_000


@dataclass(frozen=True)
class Batch:
    """A batch of examples: ids, digests (None without content) and truths by row; content by row, for the new ones.

    content maps a digest to what the row is: encoded image bytes, a text, or a list of numbers.
    """

    ids: Sequence[str] | pa.Array
    digests: Sequence[str] | None
    truth: pa.Array | None
    content: Mapping[str, Any] = field(default_factory=dict)


def first_rows(digests: Sequence[str], *known: Container[str]) -> dict[str, int]:
    """The digests that are not known, each with the first row that has it."""
    rows: dict[str, int] = {}
    for row, digest in enumerate(digests):
        if not any(digest in some for some in known):
            rows.setdefault(digest, row)
    return rows


def content_bytes(batch: Batch, kind: str | None) -> int:
    """About how many bytes the content of a batch takes."""
    item = 8 if kind == "numbers" else 1
    return sum(len(value) * item for value in batch.content.values())


class ExamplesWriter:
    """Writes the examples of one table, epoch after epoch; an epoch that saw only known ones writes nothing.

    kind is `image`, `text`, `numbers`, or None where rows have no content. New content beyond a few megabytes waits on
    disk.
    """

    def __init__(self, store: Path, incoming: Path, dataset: str, kind: str | None) -> None:
        self._folder = store / "examples"
        self._incoming = incoming
        self.dataset = dataset
        self.kind = kind
        self._held: dict[str, str] = {}  # the file that has a digest's content
        self._written: dict[str, ExamplesFile] = {}
        self._last: ExamplesFile | None = None
        self._last_rows: pa.Table | None = None
        self._begin()

    def unknown(self, digests: Sequence[str]) -> dict[str, int]:
        """The digests whose content is still needed, each with the first row that has it."""
        return first_rows(digests, self._held, self._new)

    def add(self, batch: Batch) -> None:
        """Take a batch whose `content` covers `unknown(batch.digests)`."""
        if self._waiting_bytes > HELD_BYTES:
            self._flush()
        if self.kind is not None:
            self._batches.append(_columns(batch))
        self._new.update(dict.fromkeys(batch.content))
        self._waiting.update(batch.content)
        self._waiting_bytes += content_bytes(batch, self.kind)

    def take(self, rows: pa.Table, name: str) -> None:
        """Take rows (id, digest, truth) whose content lies in a file of the folder."""
        self._batches.append(rows)
        self._held.update(dict.fromkeys(_each(rows["digest"]), name))

    def finish(self) -> ExamplesFile | None:
        """The file with this epoch's examples, written if it is new; None where they have no content."""
        file = None
        if self._batches:
            rows = self._rows()
            if self._last is None or not rows.equals(self._last_rows):
                identity = _identity(rows)
                if identity not in self._written:
                    self._written[identity] = self._write(rows, identity)
                self._last, self._last_rows = self._written[identity], rows
                self._held.update(dict.fromkeys(self._new, self._last.name))
            file = self._last
        self.drop()
        return file

    def drop(self) -> None:
        """Forget the epoch's rows; whoever gives an epoch up calls this."""
        opened, spill = self._open, self._spill
        self._begin()
        if spill is not None:
            parquet.abandon(spill)
        opened.close()

    def _begin(self) -> None:
        self._batches: list[pa.Table] = []
        self._new: dict[str, None] = {}  # in the order of its content, written or waiting
        self._waiting: dict[str, Any] = {}
        self._waiting_bytes = 0
        self._open = ExitStack()
        self._part: Part | None = None
        self._spill: pq.ParquetWriter | None = None

    @property
    def _column(self) -> str:
        return "image" if self.kind == "image" else "content"

    def _content(self) -> pa.Table:
        """The waiting content: digest, and image or content."""
        values: Any = list(self._waiting.values())
        if self.kind == "image":
            values = pa.StructArray.from_arrays(
                [pa.array(values, pa.binary()), pa.nulls(len(values), pa.string())], fields=list(IMAGE)
            )
        return pa.table({"digest": pa.array(self._waiting, pa.string()), self._column: values})

    def _flush(self) -> None:
        content = self._content()
        if self._spill is None:
            self._part = self._open.enter_context(Part(self._incoming))
            self._spill = self._open.enter_context(parquet.open_writer(self._part, content.schema))
        self._spill.write_table(content)
        self._waiting, self._waiting_bytes = {}, 0

    def _rows(self) -> pa.Table:
        rows = _each_once(pa.concat_tables(self._batches, promote_options="permissive"))  # a batch may have no label
        place = rows.column_names.index("truth") if "truth" in rows.column_names else None
        if place is not None and pa.types.is_null(rows["truth"].type):
            rows = rows.set_column(place, "truth", rows["truth"].cast(pa.int64()))
        return rows

    def _write(self, rows: pa.Table, identity: str) -> ExamplesFile:
        """Publish the rows under the name of what they are, or find the file that another run wrote of the same."""
        for path in _places(self._folder, f"{encoded(self.dataset)}-{identity[:12]}"):
            file = None if path.exists() else self._published(path, rows, identity)
            if file := file or _found(path, identity):
                sync_folder(self._folder)  # whoever wrote it may have failed or died before it did this
                return file
        raise AssertionError("names do not end")

    def _published(self, path: Path, rows: pa.Table, identity: str) -> ExamplesFile | None:
        """Put the rows beside their content, new and old; None where another run of the same examples was quicker."""
        about = parquet.footer({"dataset": self.dataset, "identity": identity})
        with Part(self._incoming) as part:
            tables = self._joined(rows)
            first = next(tables).replace_schema_metadata(
                {**about, **shown_as_images(["image"] if self.kind == "image" else [])}
            )
            size = _group_rows(first, rows.num_rows)
            with parquet.open_writer(part, first.schema) as writer:
                writer.write_table(first, row_group_size=size)
                for table in tables:
                    writer.write_table(table.replace_schema_metadata(first.schema.metadata), row_group_size=size)
            try:
                part.publish(path)
            except FileExistsError:
                return None
            return ExamplesFile(path.name, part.sha256, part.size)

    def _joined(self, rows: pa.Table) -> Iterator[pa.Table]:
        """The rows with their content, a piece of content at a time; raises Damaged where a row's is nowhere."""
        for content in self._pieces(rows):
            places = pc.index_in(rows["digest"], content["digest"])
            here = pc.is_valid(places)
            column = content[self._column].take(places.filter(here))
            if len(column):
                yield rows.filter(here).append_column(self._column, column)
            rows = rows.filter(pc.invert(here))
        if rows.num_rows:
            raise Damaged(f"the content of {rows.num_rows:,} examples is gone from {self._folder}; record them anew")

    def _pieces(self, rows: pa.Table) -> Iterator[pa.Table]:
        """The content of the rows, new then old, as it was written: a few megabytes at a time."""
        if self._spill is None or self._part is None:
            yield self._content()
        else:
            self._flush()
            self._spill.close()
            yield from parquet.row_groups(self._part.path)
        old = (self._held[digest] for digest in _each(rows["digest"]) if digest not in self._new)
        for name in dict.fromkeys(old):
            yield from parquet.row_groups(self._folder / name, ["digest", self._column])


def _group_rows(table: pa.Table, total: int) -> int:
    """How many rows like the table's make a row group, of so many in all: a group is what is read for one image."""
    each = max(1, int(table.nbytes) // max(1, int(table.num_rows)))
    return max(1, max(_GROUP_BYTES, total * each // _MOST_GROUPS) // each)


def _places(folder: Path, stem: str) -> Iterator[Path]:
    """The paths under which examples may lie: a further one where what lies there is damaged."""
    return (folder / f"{stem}{'' if count == 1 else f'-{count}'}.parquet" for count in itertools.count(1))


def _found(path: Path, identity: str) -> ExamplesFile | None:
    """The file that lies there, all of it read; None where it is not what its name says."""
    try:
        file, stated = _as_it_lies(path), _stated(path)
        if stated:
            if file.sha256 in stated:
                return file
            raise OSError("its sha256 is not the one that records say")
        rows = [group.drop_columns(group.column_names[-1]) for group in parquet.row_groups(path)]  # without content
        if rows and _identity(pa.concat_tables(rows)) == identity:
            return file
        fault = "it holds other examples than its name says"
    except (OSError, KeyError, pa.ArrowException) as error:
        fault = str(error)
    _log.warning("%s is damaged, so its examples are written anew beside it: %s", path, " ".join(fault.split()))
    return None


def _stated(path: Path) -> set[str]:
    """What the store's records say that the digest of an examples file is."""
    runs = list_runs(path.parent.parent).values()
    records = [record for run in runs for live in run.commits.values() for _, record in live]
    said = [record.get("examples", {}).get(path.name, {}).get("sha256") for record in records]
    return {digest for digest in said if digest is not None}


def _as_it_lies(path: Path) -> ExamplesFile:
    return ExamplesFile(path.name, digest_of(path), path.stat().st_size)


def restate(run: Path, shared: Mapping[str, ExamplesFile]) -> None:
    """Let the records in a run's folder, which nobody reads yet, name these files in the place of those they name."""
    for path in sorted((run / "commits").glob("*/*.json")) if shared else ():
        record = records.read(path)
        for entry in record["epochs"]:
            name = entry["examples"]
            if name in shared:
                there = shared[name]
                entry["examples"] = there.name
                record["examples"].pop(name, None)
                record["examples"][there.name] = {"bytes": there.size, "sha256": there.sha256}
        put_text(path, record_bytes(record).decode(), run / ".incoming", overwrite=True)


def relabelled(path: Path, incoming: Path, labels: pa.Table) -> ExamplesFile | None:
    """The file with the same examples and content, and these labels (id, truth) where they are not NULL."""
    names = parquet.schema(path).names
    kind = "image" if "image" in names else "text"
    with parquet.opened(path) as file:
        rows = file.read([name for name in names if name not in {"image", "content"}])
    rows = rows.replace_schema_metadata(None)
    plain = labels["truth"].type.value_type if pa.types.is_dictionary(labels["truth"].type) else labels["truth"].type
    labels = labels.filter(pc.and_(labels["id"].is_valid(), labels["truth"].is_valid()))
    places = pc.index_in(rows["id"].cast(pa.large_string()), labels["id"].cast(pa.large_string()).combine_chunks())
    truth = labels["truth"].cast(plain).take(places)
    if "truth" in names:
        truth = pc.coalesce(truth, rows["truth"].cast(plain))
        rows = rows.set_column(rows.column_names.index("truth"), "truth", truth)
    else:
        rows = rows.append_column("truth", truth)
    writer = ExamplesWriter(path.parent.parent, incoming, str(parquet.said(path).get("dataset", "")), kind)
    writer.take(rows, path.name)
    return writer.finish()


def move(source: Path, run: Path, store: Path) -> None:
    """Give a store the examples files of another one, and let the records in a run's folder there name what it has."""
    if (source / "examples").is_dir():
        make_folder(store / "examples")
        files = sorted((source / "examples").glob("*.parquet"))
        shared = {path.name: share(path, store / "examples") for path in files}
        restate(run, {name: file for name, file in shared.items() if file is not None})
        sync_folder(store / "examples")


def share(file: Path, folder: Path) -> ExamplesFile | None:
    """Give a folder an examples file of another store; returns the one that it has of them, None where it is the same.

    The first writer's bytes stay, which may have the same examples in another order.
    """
    identity = ""
    for path in _places(folder, file.stem):
        try:
            give_name(file, path)
        except FileExistsError:
            identity = identity or str(parquet.said(file).get("identity", ""))
            if there := _found(path, identity):
                return there
        else:
            return None if path.name == file.name else _as_it_lies(path)
    raise AssertionError("names do not end")


def _columns(batch: Batch) -> pa.Table:
    columns = {"id": pa.array(batch.ids, pa.string()), "digest": pa.array(batch.digests, pa.string())}
    return pa.table(columns if batch.truth is None else {**columns, "truth": batch.truth})


def _each_once(rows: pa.Table) -> pa.Table:
    """The rows, of each id and digest the first."""
    hashes = id_hashes(rows["id"].cast(pa.large_string()).combine_chunks())[0]
    kept = ~np.isin(hashes, repeated(hashes))  # comparing the few that may repeat takes a tenth of the memory
    if not kept.all():
        places = pa.table({"id": rows["id"], "digest": rows["digest"], "row": np.arange(len(rows))}).filter(~kept)
        kept[places.group_by(["id", "digest"]).aggregate([("row", "min")])["row_min"]] = True
        rows = rows.filter(kept)
    return rows


def _each(texts: pa.ChunkedArray) -> Iterator[str]:
    """The texts one by one, few of them in memory."""
    for chunk in texts.chunks:
        yield from chunk.to_pylist()


def _identity(rows: pa.Table) -> str:
    """The sha256 of the truth's type and of the set of (digest, id, truth), whatever its order."""
    truth = rows["truth"] if "truth" in rows.column_names else pa.nulls(len(rows), pa.string())
    kind = truth.type.value_type if pa.types.is_dictionary(truth.type) else truth.type
    hasher = hashlib.sha256(str(kind).encode())
    labels = list_texts(truth.combine_chunks()) if pa.types.is_list(kind) else truth.cast(pa.string())
    texts = pa.table([rows["digest"], rows["id"], labels.fill_null("\0")], ["digest", "id", "truth"])
    for batch in texts.sort_by([(name, "ascending") for name in texts.column_names]).to_batches(_AT_ONCE):
        for digest, name, label in zip(*(column.to_pylist() for column in batch.columns), strict=True):
            hasher.update(f"{digest}{len(name)}:{len(label)}:{name}{label}".encode())
    return hasher.hexdigest()
