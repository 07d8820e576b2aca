"""Ids that come again, and the column that would make them differ: an epoch's, a fold's, a model's."""

from array import array
from collections.abc import Sequence

import numpy as np

from secondguess.analysis.importers.classes import as_text
from secondguess.analysis.importers.commands import Commands
from secondguess.analysis.importers.source import TableRows
from secondguess.analysis.importers.words import Recognised

_AXES = (("epoch", "epoch_column"), ("run", "run_column"), ("fold", "run_column"))
_MOST = 4


def axis_offer(versions: Sequence[TableRows], id_: str, names: Recognised, commands: Commands) -> str | None:
    """What to say where ids repeat and do not within each value of another column; eight bytes a row are kept."""
    axes = [(column, option) for role, option in _AXES for column in names.columns(role) if column != id_][:_MOST]
    for rows in versions:
        there = [axis for axis in axes if axis[0] in rows.schema.names]
        if not there or id_ not in rows.schema.names:
            continue
        hashes = [array("q") for _ in range(len(there) + 1)]
        for batch in rows.batches({id_, *(column for column, _ in there)}):
            ids = as_text(batch.column(id_), batch.schema.field(id_)).to_pylist()
            hashes[0].extend(map(hash, ids))
            for place, (column, _) in enumerate(there, start=1):
                others = as_text(batch.column(column), batch.schema.field(column)).to_pylist()
                hashes[place].extend(map(hash, zip(ids, others, strict=True)))
        repeated = _repeated(hashes[0])
        for (column, option), pairs in zip(there, hashes[1:], strict=True):
            if repeated and not _repeated(pairs):
                what = "epochs" if option == "epoch_column" else "runs"
                offer = commands.with_(**{option: column, "run": commands.run if option == "epoch_column" else ""})
                return f"{repeated:,} ids come again, but not within one {column}; to make {what} of them: {offer}"
    return None


def _repeated(hashes: "array[int]") -> int:
    if not hashes:
        return 0
    plain = np.frombuffer(hashes, np.int64)
    return len(plain) - len(np.unique(plain))
