"""The committed rows of one epoch with their images, for whoever mirrors them elsewhere."""

from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from secondguess.analysis.errors import Damaged
from secondguess.analysis.moments import Moment
from secondguess.analysis.schema import STEP
from secondguess.analysis.store import parquet, verified
from secondguess.analysis.store.records import Epoch
from secondguess.analysis.store.runs import find_epoch, find_run


@dataclass(frozen=True)
class CommittedRows:
    """The first rows of an epoch, each row's encoded image, and how many rows the epoch has.

    An id that stands for several images has none: which row has which is not known.

    All columns are there but for the step of the validation, of which there is one, and the step at which the source of
    an import had the table, which importing adds.
    """

    predictions: pa.Table
    images: list[bytes | None] | None
    rows: int


def read_epoch(store: Path, run: str, table: str, epoch: Moment | int, limit: int | None) -> CommittedRows:
    """Read the first `limit` rows of a committed epoch, all where None.

    Raises NotFound for one that is not there, Damaged where its file is not what was written. Images of a file that is
    gone or damaged are missing.
    """
    record = find_epoch(store, run, table, epoch)
    imported = find_run(store, run).is_imported
    try:
        return _read(record, limit, imported)
    except FileNotFoundError:  # the run was compacted meanwhile
        return _read(find_epoch(store, run, table, epoch), limit, imported)


def read_wrong(store: Path, run: str, table: str, epoch: Moment | int, most: int) -> CommittedRows:
    """The wrong rows of a committed epoch, at most so many, the most confident first; rows is the number of all.

    Raises as `read_epoch`; there are none in a table without guess or truth.
    """
    record = find_epoch(store, run, table, epoch)
    imported = find_run(store, run).is_imported
    if record.task == "multi-label" and record.right is None and record.lacks is None:
        own = _unlike(_own_rows(record, imported, filter=_rows_of(record)))
    else:
        own = _own_rows(record, imported, filter=_rows_of(record) & _is_wrong(record))
    order = [(name, "descending") for name in ("confidence",) if name in own.column_names]
    chosen = own.take(pc.sort_indices(own, [*order, ("id", "ascending")])[:most])
    return CommittedRows(chosen, _images(record, chosen["id"]), own.num_rows)


def _is_wrong(epoch: Epoch) -> ds.Expression:
    """What `schema.wrong` says in SQL; values of one type are the same where their texts are."""
    if epoch.right is not None:
        return ~ds.field(epoch.right)
    if epoch.lacks is not None:
        return ds.scalar(False)
    guess, truth = (ds.field(name).cast(pa.string()) for name in ("guess", "truth"))
    return truth.is_valid() & (guess.is_null() | (guess != truth))


def _unlike(rows: pa.Table) -> pa.Table:
    """The rows whose lists of labels, which are kept in one order, are not the same; Arrow compares no lists."""
    pairs = zip(rows["guess"].to_pylist(), rows["truth"].to_pylist(), strict=True)
    return rows.filter(pa.array([truth is not None and guess != truth for guess, truth in pairs], pa.bool_()))


def ids_of(epoch: Epoch) -> pa.Array:
    """The ids of a committed epoch, in the order of its rows; raises FileNotFoundError where its file is gone."""
    rows = parquet.scanned(epoch.file).to_table(["id"], filter=_rows_of(epoch))
    return rows["id"].cast(pa.string()).combine_chunks()


def _rows_of(epoch: Epoch) -> ds.Expression:
    """What tells the rows of an epoch, or of a step of it, from the others of its file."""
    own = ds.field("epoch") == epoch.epoch
    if not epoch.has_steps:
        return own
    return own & (ds.field(STEP).is_null() if epoch.step is None else ds.field(STEP) == epoch.step)


def _read(epoch: Epoch, limit: int | None, imported: bool) -> CommittedRows:
    rows = _own_rows(epoch, imported, limit, _rows_of(epoch))
    return CommittedRows(rows, _images(epoch, rows["id"]), epoch.rows)


def _own_rows(epoch: Epoch, imported: bool, limit: int | None = None, filter: ds.Expression | None = None) -> pa.Table:
    said = verified.fault(epoch.rows_file, kept=False)
    if said == verified.MISSING:
        raise FileNotFoundError(epoch.file)
    if said is not None:
        raise Damaged(f"{epoch.name} is committed, but its file {epoch.file} {said}; restore it from a copy")
    chosen = parquet.scanned(epoch.file).scanner(filter=filter)
    rows = chosen.to_table() if limit is None else chosen.head(limit)
    if epoch.has_steps or (imported and STEP in rows.column_names):
        rows = rows.drop_columns(STEP)
    return rows


def _images(epoch: Epoch, ids: pa.ChunkedArray) -> list[bytes | None] | None:
    if (
        epoch.examples is None
        or epoch.examples_file is None
        or verified.fault(epoch.examples_file, kept=False) is not None
    ):
        return None
    if "image" not in parquet.schema(epoch.examples).names:
        return None
    wanted = ds.field("id").isin(ids.combine_chunks())
    examples = parquet.scanned(epoch.examples).to_table(columns=["id", "image"], filter=wanted)
    counts = pc.value_counts(examples["id"])
    several = counts.field("values").filter(pc.greater(counts.field("counts"), 1))  # whose image is not known
    examples = examples.filter(pc.invert(pc.is_in(examples["id"], several)))
    images = examples["image"].take(pc.index_in(ids, examples["id"]))
    return [image and image["bytes"] for image in images.to_pylist()]
