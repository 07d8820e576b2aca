"""Ids that come again, and the column that would make them differ: an epoch's, a fold's, a model's."""

from collections.abc import Sequence

from secondguess.analysis.importers.classes import as_text
from secondguess.analysis.importers.commands import Commands
from secondguess.analysis.importers.source import TableRows
from secondguess.analysis.importers.words import Recognised
from secondguess.analysis.store.id_sets import SEEDS, id_hashes, paired
from secondguess.analysis.store.recurrence import Recurrence

_AXES = (("epoch", "epoch_column"), ("run", "run_column"), ("fold", "run_column"))
_MOST = 4


def axis_offer(versions: Sequence[TableRows], id_: str, names: Recognised, commands: Commands) -> str | None:
    """What to say where ids repeat and do not within each value of another column."""
    axes = [(column, option) for role, option in _AXES for column in names.columns(role) if column != id_][:_MOST]
    for rows in versions:
        there = [axis for axis in axes if axis[0] in rows.schema.names]
        if not there or id_ not in rows.schema.names:
            continue
        ids, pairs = _hashes(rows, id_, [column for column, _ in there])
        repeated = ids.again()
        for (column, option), pair in zip(there, pairs, strict=True):
            if repeated and not pair.again():
                what = "epochs" if option == "epoch_column" else "runs"
                offer = commands.with_(**{option: column, "run": commands.run if option == "epoch_column" else ""})
                return f"{repeated:,} ids come again, but not within one {column}; to make {what} of them: {offer}"
    return None


def _hashes(rows: TableRows, id_: str, columns: Sequence[str]) -> tuple[Recurrence, list[Recurrence]]:
    """Those of the ids, and of the ids with each of the columns."""
    ids, pairs = Recurrence(), [Recurrence() for _ in columns]
    for batch in rows.batches({id_, *columns}):
        texts = as_text(batch.column(id_), batch.schema.field(id_))
        (own,) = id_hashes(texts, SEEDS[:1])
        there = texts.is_valid().to_numpy(zero_copy_only=False)
        ids.add(own[there])
        for column, pair in zip(columns, pairs, strict=True):
            (others,) = id_hashes(as_text(batch.column(column), batch.schema.field(column)), SEEDS[1:])
            pair.add(paired(own, others)[there])
    return ids, pairs
