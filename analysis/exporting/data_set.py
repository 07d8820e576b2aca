"""A table of the store as a data-set folder, which Hugging Face's `load_dataset` reads without a network."""

import hashlib
import json
import os
import re
import secrets
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from secondguess.analysis import signals
from secondguess.analysis.answers.answer import Row
from secondguess.analysis.answers.files import jsonable
from secondguess.analysis.ask import questions, statements
from secondguess.analysis.ask.refs import resolve
from secondguess.analysis.engine import duck
from secondguess.analysis.engine.duck import Build, answered
from secondguess.analysis.engine.engines import DUCKDB
from secondguess.analysis.engine.sqltext import identifier
from secondguess.analysis.errors import AlreadyThere, BadInput, listing
from secondguess.analysis.exporting.card import Contents, card
from secondguess.analysis.exporting.features import described, kind_of
from secondguess.analysis.schema import FORMAT_VERSION, STEP, whole_name
from secondguess.analysis.store.records import Epoch
from secondguess.analysis.store.runs import Run, list_runs
from secondguess.analysis.store.workplace import exchange
from secondguess.analysis.tables import select
from secondguess.analysis.tables.view import TableView

SHARD_BYTES = 500 << 20  # as large as the files are that `datasets` itself writes
_GROUP_BYTES = 64 << 20
_AT_ONCE = 2_048  # rows, which have an image each
_MANIFEST = ".secondguess.json"
_IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
_LEFT_OUT = {"run", "epoch", "examples", "truth_score"}  # said by the card and the footer, or by other columns


@dataclass(frozen=True)
class Written:
    """What a data-set folder holds: the table, its rows, how many of them have an image, and its files of rows.

    texts are the columns that are JSON there, since `datasets` has no type for them; notes what its reader should know.
    """

    table: str
    rows: int
    images: int
    files: int
    texts: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def write(
    store: Path, reference: str, folder: Path, *, images: bool = True, overwrite: bool = False, shard: int = SHARD_BYTES
) -> Written:
    """Write one epoch of a table, the last where none is named, as a folder that appears whole or not at all.

    Raises NotFound, AlreadyThere where the folder is there and is not to be overwritten, or holds anything but what an
    export wrote and nobody changed; BadInput for several epochs, and what cannot be written.
    """
    old = _replaceable(folder, overwrite=overwrite)
    runs = list_runs(store)
    epochs = resolve(runs, reference, "last").epochs
    if len(epochs) != 1:
        one = whole_name(epochs[-1].run, epochs[-1].table, epochs[-1].moment)
        raise BadInput(f"{reference} names {len(epochs)} epochs, and a data set is of one; name it, as in {one}")
    table = _Table(store, runs[epochs[0].run], epochs[0], images)
    with _made(folder, old) as place:
        written = _Shards(place / "data", _split(table.epoch.table), shard)
        with answered(table.view, partial(duck.batches, at_once=_AT_ONCE)) as (statement, reader):
            notes = tuple(statement.remarks)
            schema = table.schema(reader.schema)
            for batch in reader:
                written.add(table.converted(batch, schema), schema)
        written.close(schema)
        if images and table.epoch.examples is not None and not table.epoch.unique:
            notes += (f"{table.epoch.name} has repeated or missing ids, so no image of it is known to be a row's",)
        contents = replace(written.contents(), features=described(schema, table.images, table.labels))
        (place / "README.md").write_text(card(table.run, table.epoch, contents, table.asked), encoding="utf-8")
        _note(place)
    return Written(table.epoch.name, written.rows, written.images, written.files, tuple(table.texts), notes)


def _split(table: str) -> str:
    """A table's name as that of a split, which takes letters, digits and underscores."""
    name = re.sub(r"\W+", "_", table)
    return f"{name}_" if name == "all" else name


class _Table:
    """The epoch that is exported, and its columns as `datasets` takes them."""

    def __init__(self, store: Path, run: Run, epoch: Epoch, images: bool) -> None:
        self.store, self.run, self.epoch = store, run, epoch
        self.images: list[str] = []
        self.texts: list[str] = []
        self._with_images = images
        self.labels = self._class_labels()

    def view(self, con: Any) -> Any:
        """The statement of the rows with their images."""
        return select.statement(con, self.store, TableView((self.epoch.name,)), self._chosen)

    def asked(self, question: str) -> tuple[Sequence[str], list[Row]]:
        """What a question answers about the epoch."""
        asked = questions.find(self.store, question)
        return self._answer(
            lambda con: statements.question(con, self.store, asked=asked, refs=[self.epoch.name], given={})
        )

    @staticmethod
    def _answer(build: Build) -> tuple[Sequence[str], list[Row]]:
        with answered(build, DUCKDB.rows) as (_, result):
            return result.columns, list(result.rows)

    def _chosen(self, own: Sequence[str], pictures: Sequence[str]) -> list[str]:
        left_out = _LEFT_OUT | ({"guess", "truth"} - {name for name, _ in self.epoch.columns})
        if not self._is_sure():
            left_out.add("confidence")
        if self.epoch.has_steps or (self.run.is_imported and STEP in own):
            left_out.add(STEP)
        shown = [name for name in pictures if name == "content" or (name == "image" and self._with_images)]
        first = [name for name in ("id", *shown, "guess", "truth") if name in {*own, *shown}]
        return [*first, *(name for name in own if name not in {*first, *left_out})]

    def _is_sure(self) -> bool:
        """Whether any row says how sure the model was, as those with scores do."""
        if self.epoch.scores or all(name != "confidence" for name, _ in self.epoch.columns):
            return self.epoch.scores > 0
        text = f"SELECT count(confidence) FROM {identifier(self.epoch.name)}"
        _, rows = self._answer(lambda con: statements.sql(con, self.store, text))
        return bool(rows[0][0])

    def _class_labels(self) -> dict[str, tuple[str, ...]]:
        """The names of the classes of guess and truth, where each of their values is one: as numbers of classes."""
        known = self.epoch.classes
        columns = [name for name, kind in self.epoch.columns if name in {"guess", "truth"} and kind == "string"]
        if not known or not columns:
            return {}
        names = ", ".join(columns)
        text = f"SELECT DISTINCT {names} FROM {identifier(self.epoch.name)}"
        _, rows = self._answer(lambda con: statements.sql(con, self.store, text))
        values = {name: {row[place] for row in rows} - {None} for place, name in enumerate(columns)}
        return {name: known for name in columns if values[name] <= set(known)}

    def schema(self, given: pa.Schema) -> pa.Schema:
        """The columns as they are written, with what `datasets` and an import are to know of them."""
        self.images = [field.name for field in given if field.type == _IMAGE]
        self.texts = [field.name for field in given if kind_of(field.type) is None]
        types = dict.fromkeys(self.texts, pa.string()) | dict.fromkeys(self.labels, pa.int64())
        fields = [field.with_type(types.get(field.name, field.type)) for field in given]
        features: dict[str, Any] = {name: {"_type": "Image"} for name in self.images}
        features |= {name: {"_type": "ClassLabel", "names": list(names)} for name, names in self.labels.items()}
        metadata = {"secondguess": self._said(), "huggingface": {"info": {"features": features}}}
        texts = {name: json.dumps(value, ensure_ascii=False, default=str) for name, value in metadata.items()}
        return pa.schema(fields, metadata=texts)

    def _said(self) -> dict[str, Any]:
        about = {"format": FORMAT_VERSION, "run": self.run.name, "table": self.epoch.table, "epoch": self.epoch.epoch}
        about |= {"step": self.epoch.step} if self.epoch.step is not None else {}
        about |= {"right": self.epoch.right} if self.epoch.right is not None else {}
        started = {"started": self.run.started} if self.run.started is not None else {}
        return {"export": about | started | {"classes": self.epoch.classes, "config": self.run.about.get("config")}}

    def converted(self, batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
        """A batch with the numbers of its classes, and as JSON what `datasets` has no type for."""
        arrays = []
        for name, array in zip(schema.names, batch.columns, strict=True):
            if name in self.labels:
                array = pc.index_in(array.cast(pa.string()), pa.array(self.labels[name], pa.string())).cast(pa.int64())
            elif name in self.texts:
                array = pa.array([None if value is None else _json(value) for value in array.to_pylist()], pa.string())
            arrays.append(array)
        return pa.RecordBatch.from_arrays(arrays, schema=schema)


def _json(value: Any) -> str:
    return json.dumps(jsonable(value), ensure_ascii=False)


class _Shards:
    """Files of rows that are filled one after the other."""

    def __init__(self, folder: Path, split: str, most: int) -> None:
        self._folder, self._split, self._most = folder, split, most
        self._writer: pq.ParquetWriter | None = None
        self._waiting: list[pa.RecordBatch] = []
        self._waiting_bytes = 0
        self.rows = self.images = self.files = self._size = 0
        self._columns: Sequence[str] = ()
        folder.mkdir()

    def add(self, batch: pa.RecordBatch, schema: pa.Schema) -> None:
        """Take a batch; raises BadInput for a type that Parquet has no place for."""
        self.rows += batch.num_rows
        for field, array in zip(schema, batch.columns, strict=True):
            if field.name == "image" and field.type == _IMAGE:
                self.images += batch.num_rows - pc.struct_field(array, "bytes").null_count
        self._waiting.append(batch)
        self._waiting_bytes += batch.nbytes
        if self._waiting_bytes >= min(_GROUP_BYTES, self._most):
            self._flush(schema)

    def _flush(self, schema: pa.Schema) -> None:
        try:
            if self._writer is None:
                self._part = self._folder / f"{self.files}.part"
                self._writer = pq.ParquetWriter(self._part, schema, compression="zstd")
                self.files += 1
            self._writer.write_table(pa.Table.from_batches(self._waiting, schema))
        except (pa.ArrowNotImplementedError, pa.ArrowInvalid) as error:
            raise BadInput(f"the table cannot be written as Parquet: {str(error).splitlines()[0]}") from None
        self._size += self._waiting_bytes
        self._waiting, self._waiting_bytes = [], 0
        if self._part.stat().st_size >= self._most:
            self._ended()

    def _ended(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def close(self, schema: pa.Schema) -> None:
        """End the last file, one without rows where there are none, and give all their names."""
        self._columns = schema.names
        if self._waiting or not self.files:
            self._flush(schema)
        self._ended()
        for number in range(self.files):
            name = f"{self._split}-{number:05d}-of-{self.files:05d}.parquet"
            (self._folder / f"{number}.part").rename(self._folder / name)

    def contents(self) -> Contents:
        """What the files hold."""
        size = sum(path.stat().st_size for path in self._folder.iterdir())
        pattern = f"{self._folder.name}/{self._split}-*.parquet"
        return Contents(self._split, pattern, self.rows, size, self._columns)


def _replaceable(folder: Path, *, overwrite: bool) -> list[str] | None:
    """The files of an export that is to be replaced; None where nothing is there."""
    if not os.path.lexists(folder):
        return None
    if not overwrite:
        raise AlreadyThere(f"{folder} is there already; name another folder, or --overwrite what an export wrote there")
    if not folder.is_dir() or folder.is_symlink():
        raise AlreadyThere(f"{folder} is no folder; nothing but an export is overwritten: name another")
    try:
        told = json.loads((folder / _MANIFEST).read_bytes())["files"]
        known = {str(name): str(digest) for name, digest in told.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        known = {}
    there = [str(path.relative_to(folder)) for path in sorted(folder.rglob("*")) if not path.is_dir()]
    foreign = [name for name in there if name != _MANIFEST and name not in known]
    foreign += [name for name in there if name in known and _digest(folder / name) != known[name]]
    if foreign:
        raise AlreadyThere(
            f"{folder} holds what no export wrote, or what was changed since ({listing(foreign, 4)}); move that away, "
            "or name another folder"
        )
    return there


def _digest(path: Path) -> str:
    if path.is_symlink():
        return "a link"
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _note(place: Path) -> None:
    """Write down which files are here, so that a later export may replace these and no others."""
    files = {str(path.relative_to(place)): _digest(path) for path in sorted(place.rglob("*")) if path.is_file()}
    (place / _MANIFEST).write_text(json.dumps({"files": files}, indent=1) + "\n", encoding="utf-8")


@contextmanager
def _made(folder: Path, old: Sequence[str] | None) -> Iterator[Path]:
    """A hidden folder beside this one that gets its name when the block ends well, and goes otherwise."""
    final = Path(os.path.abspath(folder))
    place = final.with_name(f".{final.name[:200]}.{secrets.token_hex(4)}")
    clear = partial(shutil.rmtree, place, ignore_errors=True)
    has_name = False
    try:
        with signals.undone(clear):
            place.mkdir()
            yield place
        aside = _named(place, final, replaces=old is not None)
        has_name = True
    except OSError as error:
        raise BadInput(f"cannot write {folder}: {error.strerror or error}") from None
    finally:
        if not has_name:
            clear()
    if old is not None:
        _removed(aside, old)


def _named(place: Path, final: Path, *, replaces: bool) -> Path:
    """Give a folder its name; returns where what had it lies then."""
    if not replaces:
        place.rename(final)
        return place
    if exchange(place, final):
        return place
    aside = final.with_name(f"{place.name}.old")
    final.rename(aside)
    try:
        place.rename(final)
    except BaseException:
        aside.rename(final)
        raise
    return aside


def _removed(folder: Path, files: Iterable[str]) -> None:
    """Remove these files of a folder, and the folders that are empty then."""
    for name in files:
        (folder / name).unlink(missing_ok=True)
    for path in sorted((path for path in folder.rglob("*") if path.is_dir()), reverse=True):
        with suppress(OSError):
            path.rmdir()
    with suppress(OSError):
        folder.rmdir()
