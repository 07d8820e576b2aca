"""Ids that come again, and the columns that would make them differ: an epoch's and a step's, a fold's, a model's."""

from collections.abc import Iterator, Sequence

from secondguess.analysis.importers.classes import as_text
from secondguess.analysis.importers.commands import Commands
from secondguess.analysis.importers.source import TableRows
from secondguess.analysis.importers.words import Recognised
from secondguess.analysis.store.id_sets import SEEDS, id_hashes, paired
from secondguess.analysis.store.recurrence import Recurrence

_AXES = (("epoch", "epoch_column"), ("run", "run_column"), ("fold", "run_column"))
_MOST = 4

_Axis = dict[str, str]
"""Which column an option names."""


def axis_offer(versions: Sequence[TableRows], id_: str, names: Recognised, commands: Commands) -> str | None:
    """What to say where ids repeat and do not within each value of other columns."""
    axes = list(_axes(names, id_))[:_MOST]
    for rows in versions:
        there = [axis for axis in axes if set(axis.values()) <= set(rows.schema.names)]
        if not there or id_ not in rows.schema.names:
            continue
        ids, groups = _hashes(rows, id_, [tuple(axis.values()) for axis in there])
        repeated = ids.again()
        for axis, group in zip(there, groups, strict=True):
            if repeated and not group.again():
                what = "runs" if "run_column" in axis else "validations" if "step_column" in axis else "epochs"
                offer = commands.with_(**axis, run="" if "run_column" in axis else commands.run)
                within = " and ".join(axis.values())
                return f"{repeated:,} ids come again, but not within one {within}; to make {what} of them: {offer}"
    return None


def _axes(names: Recognised, id_: str) -> Iterator[_Axis]:
    """The axes that may tell rows apart, the likeliest first: of an epoch and a step one is within the other."""
    epochs = names.best("epoch")
    steps = [column for column in names.columns("epoch") if column not in epochs]
    for role, option in _AXES:
        for column in names.columns(role):
            if column != id_ and column not in steps:
                yield {option: column}
        if role == "epoch":
            yield from ({"epoch_column": epoch, "step_column": step} for epoch in epochs[:1] for step in steps[:1])
            yield from ({option: column} for column in steps)


def _hashes(rows: TableRows, id_: str, axes: Sequence[tuple[str, ...]]) -> tuple[Recurrence, list[Recurrence]]:
    """Those of the ids, and of the ids with the columns of each axis."""
    ids, groups = Recurrence(), [Recurrence() for _ in axes]
    columns = {column for axis in axes for column in axis}
    for batch in rows.batches({id_, *columns}):
        texts = as_text(batch.column(id_), batch.schema.field(id_))
        (own,) = id_hashes(texts, SEEDS[:1])
        there = texts.is_valid().to_numpy(zero_copy_only=False)
        ids.add(own[there])
        others = {
            column: id_hashes(as_text(batch.column(column), batch.schema.field(column)), SEEDS[1:])[0]
            for column in columns
        }
        for axis, group in zip(axes, groups, strict=True):
            hashes = own
            for column in axis:
                hashes = paired(hashes, others[column])
            group.add(hashes[there])
    return ids, groups
