"""One epoch that is to be committed, and what its record says of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from analysis.errors import BadInput
from analysis.schema import FORMAT_VERSION, is_score
from analysis.store import parquet

Metric = tuple[int | None, int | None, str, float]
"""step, epoch, name, value"""


@dataclass(frozen=True)
class EpochRows:
    """One epoch of one table, ready to be committed.

    rows has the columns of `analysis.schema`, run and epoch among them. examples is the name of a file in the store's
    `examples` folder. metrics are (step, epoch, name, value), to be committed with the rows.
    """

    table: str
    epoch: int
    rows: pa.Table
    classes: Sequence[str] | None = None
    examples: str | None = None
    metrics: Sequence[Metric] = field(default=())

    @property
    def types(self) -> dict[str, str]:
        """The Arrow type of each column, as records keep it."""
        return dict(parquet.columns(self.rows.schema))


def check_types(epoch: EpochRows, known: Mapping[str, str]) -> None:
    """Raise BadInput where guess and truth are of unlike types, or of another than in the table's earlier epochs."""
    types = epoch.types
    for name in ("guess", "truth"):
        if name in types and types[name] != known.get(name, types[name]):
            raise BadInput(
                f"{name} is {types[name]} in epoch {epoch.epoch}, but {known[name]} in {epoch.table!r} so far"
            )
    if {"guess", "truth"} <= set(types) and (types["guess"] == "string") != (types["truth"] == "string"):
        raise BadInput(f"guess is {types['guess']}, but truth {types['truth']}; give both alike")


def record(
    epoch: EpochRows, said: dict[str, Any], file: dict[str, Any], metrics: dict[str, Any] | None
) -> dict[str, Any]:
    """The commit of an epoch: what `entry` said of it, the file with its rows and the one with its metrics."""
    return {
        "format": FORMAT_VERSION,
        "committed": now(),
        "file": file,
        "columns": parquet.columns(epoch.rows.schema),
        "classes": list(epoch.classes) if epoch.classes is not None else None,
        "epochs": [said],
        "metrics": metrics,
    }


def entry(epoch: EpochRows) -> dict[str, Any]:
    """What a record and a footer say of the rows of one epoch."""
    rows = epoch.rows
    ids, errors, unlabelled = rows["id"], None, 0
    if "truth" in rows.column_names:
        truth = rows["truth"]
        unlabelled = truth.null_count
        if unlabelled < rows.num_rows and "guess" in rows.column_names:
            same = pc.fill_null(pc.equal(_plain(rows["guess"]), _plain(truth)), False)
            errors = rows.num_rows - unlabelled - (pc.sum(same).as_py() or 0)
    return {
        "epoch": epoch.epoch,
        "rows": rows.num_rows,
        "errors": errors,
        "unlabelled": unlabelled,
        "nan_scores": _nan_scores(rows),
        "ids": parquet.ids_digest(ids),
        "unique": ids.null_count == 0 and pc.count_distinct(ids).as_py() == rows.num_rows,
        "examples": epoch.examples,
    }


def _nan_scores(rows: pa.Table) -> int:
    """The number of rows with a NaN among their scores."""
    broken = pa.scalar(False)
    for name in filter(is_score, rows.column_names):
        broken = pc.or_(broken, pc.is_nan(rows[name]))
    return (pc.sum(broken).as_py() or 0) if not isinstance(broken, pa.Scalar) else 0


def _plain(values: pa.ChunkedArray) -> pa.ChunkedArray:
    return values.cast(values.type.value_type) if pa.types.is_dictionary(values.type) else values


def now() -> str:
    """The time as records keep it: UTC, to the millisecond."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")
