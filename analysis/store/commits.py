"""One epoch that is to be committed: its file, written as its rows come, and what its record says of it."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa

from secondguess.analysis.errors import BadInput
from secondguess.analysis.moments import Moment
from secondguess.analysis.schema import STEP
from secondguess.analysis.store import parquet
from secondguess.analysis.store.disk import Part
from secondguess.analysis.store.records import format_of
from secondguess.analysis.store.tally import Tally, all_differ

Metric = tuple[int | None, int | None, str, float]
"""step, epoch, name, value"""


@dataclass(frozen=True)
class ExamplesFile:
    """A file in the store's `examples` folder: its name, and the sha256 and number of its bytes as they lie there."""

    name: str
    sha256: str
    size: int


@dataclass(frozen=True)
class EpochRows:
    """One validation of one table, ready to be committed: of an epoch, or of a step within it.

    rows, a table or a stream that is read once, has the columns of `schema`, run and epoch among them.
    examples, called when all rows were read, says which file of the store's `examples` folder they are about. metrics
    are (step, epoch, name, value), to be committed with the rows. right names the column of booleans that says which
    rows are right, where it is not guess against truth that does. Where it has_steps, as any with a step, the column
    `step` is that of the validation, NULL for the end of an epoch, and no column of the user's. ranks is what the
    record says of the processes that predicted the rows, where there were several.
    """

    table: str
    epoch: int
    rows: pa.Table | pa.RecordBatchReader
    classes: Sequence[str] | None = None
    examples: Callable[[], ExamplesFile | None] = lambda: None
    metrics: Sequence[Metric] = field(default=())
    right: str | None = None
    step: int | None = None
    has_steps: bool = False
    ranks: Mapping[str, Any] | None = None

    @property
    def moment(self) -> Moment:
        """When the rows were predicted."""
        return Moment(self.epoch, self.step)

    @property
    def batches(self) -> Iterable[pa.RecordBatch]:
        """The rows in order, a batch at a time."""
        batches: Iterable[pa.RecordBatch] = self.rows.to_batches() if isinstance(self.rows, pa.Table) else self.rows
        return batches

    @property
    def types(self) -> dict[str, str]:
        """The Arrow type of each column, as records keep it."""
        return dict(parquet.columns(self.rows.schema))


@dataclass(frozen=True)
class WrittenRows:
    """What a record says of an epoch's rows and of their file, and the file of what the rows are about."""

    said: dict[str, Any]
    file: dict[str, Any]
    examples: ExamplesFile | None


def check_types(epoch: EpochRows, known: Mapping[str, str]) -> None:
    """Raise BadInput where guess and truth are of unlike types, or of another than in the table's earlier epochs."""
    types = epoch.types
    for name in ("guess", "truth"):
        if name in types and types[name] != known.get(name, types[name]):
            raise BadInput(
                f"{name} is {types[name]} in epoch {epoch.moment}, but {known[name]} in {epoch.table!r} so far"
            )
    if {"guess", "truth"} <= set(types) and (types["guess"] == "string") != (types["truth"] == "string"):
        raise BadInput(f"guess is {types['guess']}, but truth {types['truth']}; give both alike")


def check_steps(epoch: EpochRows, known: Mapping[bool, Moment]) -> None:
    """Raise BadInput where the column `step` is that of validations in some epochs of a table, and not in others.

    known has a moment of the table for each of the two that it has so far: True for the steps of validations.
    """
    own = STEP in epoch.types and not epoch.has_steps
    if own and True in known:
        raise BadInput(
            f"the table {epoch.table!r} has steps, as in epoch {known[True]}, so no column {STEP!r} of one's own; "
            "call it another name"
        )
    if epoch.step is not None and False in known:
        raise BadInput(
            f"the table {epoch.table!r} has a column {STEP!r} of its own, in epoch {known[False]}, so its validations "
            "cannot have steps; record them in another table"
        )


def record(epoch: EpochRows, written: WrittenRows, metrics: dict[str, Any] | None) -> dict[str, Any]:
    """The commit of an epoch: what is said of its rows, the file with its rows and the one with its metrics."""
    examples = written.examples
    return {
        "format": format_of([epoch.moment]),
        "committed": now(),
        "file": written.file,
        "columns": parquet.columns(epoch.rows.schema),
        "classes": list(epoch.classes) if epoch.classes is not None else None,
        **verdicts(epoch.right),
        "epochs": [written.said],
        "metrics": metrics,
        "examples": {examples.name: {"bytes": examples.size, "sha256": examples.sha256}} if examples else {},
    }


def verdicts(right: str | None) -> dict[str, str]:
    """What a record and a footer say of the column that tells which rows are right, if there is such a one."""
    return {} if right is None else {"right": right}


def now() -> str:
    """The time as records keep it: UTC, to the millisecond."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def write_epoch(epoch: EpochRows, about: Mapping[str, Any], incoming: Path, folder: Path) -> WrittenRows:
    """Write an epoch's rows into a new file of the folder.

    about goes into the footer besides. No more is held than one row group, and 100 MB.
    """
    about = {
        "format": format_of([epoch.moment]),
        **about,
        "classes": list(epoch.classes) if epoch.classes is not None else None,
        **verdicts(epoch.right),
    }
    schema, stem, tally = parquet.widened(epoch.rows.schema), f"epoch-{epoch.moment.stem}", Tally(epoch.right)
    with Part(incoming) as part:
        with parquet.open_writer(part, schema) as file:
            for group in parquet.grouped(epoch.batches, schema):
                tally.add(group)
                file.write_table(group)
            repeats = any(True for _ in tally.repeated())
            examples = epoch.examples()
            name = examples.name if examples is not None else None
            said = tally.entry(epoch.epoch, name, unique=tally.has_all_ids and not repeats)
            said |= {STEP: epoch.step} if epoch.has_steps else {}
            said |= {"ranks": dict(epoch.ranks)} if epoch.ranks is not None else {}
            file.add_key_value_metadata(parquet.footer({**about, "epochs": [said]}))
        ids = partial(parquet.row_groups, part.path, ["id"])
        if not (tally.has_all_ids and repeats and all_differ(ids, tally.repeated())):
            return WrittenRows(said, parquet.publish(part, folder, stem, said["rows"]), examples)
        # Different ids with one hash: that can be seen only in the file, whose footer says by then that ids repeat.
        said["unique"] = True
        with Part(incoming) as again:
            with parquet.open_writer(again, schema) as file:
                for group in parquet.row_groups(part.path):
                    file.write_table(group)
                file.add_key_value_metadata(parquet.footer({**about, "epochs": [said]}))
            return WrittenRows(said, parquet.publish(again, folder, stem, said["rows"]), examples)
