"""W&B's expression language over a table view's rows."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from secondguess.analysis.engine.kinds import Kind
from secondguess.analysis.engine.passages import WANDB_FILTER
from secondguess.analysis.engine.sqltext import identifier
from secondguess.analysis.errors import BadInput, Fault
from secondguess.analysis.language.translate import ColumnSql, translate
from secondguess.analysis.tables.rows import ViewRows
from secondguess.analysis.tables.view import NamedExpression

_ROW = re.compile(r"\brow\s*(\[|\.\s*[a-z])|\bctx\b", re.IGNORECASE)


def values(
    rows: ViewRows, columns: Mapping[str, Kind], computed: Iterable[NamedExpression]
) -> dict[str, tuple[str, Kind]]:
    """The SQL and the kind of columns that are computed of each row; raises BadInput for what is not supported."""
    cells = _cells(rows, columns)
    translations = {name: translate(text, cells) for name, text in computed}
    return {name: (text.sql, text.kind) for name, text in translations.items()}


def conditions(rows: ViewRows, columns: Mapping[str, Kind], texts: Iterable[str]) -> Sequence[str]:
    """The SQL of filters; raises BadInput for what is not supported."""
    cells = _cells(rows, columns)
    return [f"({_condition(text, cells)})" for text in texts]


def read(rows: ViewRows, columns: Mapping[str, Kind], text: str) -> str | None:
    """The SQL of a filter that reads as one of W&B's; None of others. Raises BadInput for what W&B's cannot say."""
    if not _ROW.search(text):
        return None
    return _condition(text, _cells(rows, columns))


def _condition(text: str, cells: Mapping[str, ColumnSql]) -> str:
    try:
        return translate(text, cells).sql
    except BadInput as error:
        error.fault = replace(error.fault or Fault(WANDB_FILTER, text, str(error)), what=WANDB_FILTER)
        raise


def aggregates(rows: ViewRows, columns: Mapping[str, Kind], computed: Iterable[NamedExpression]) -> dict[str, str]:
    """The SQL of columns that are computed of a group's rows; raises BadInput for what is not supported."""
    cells = _cells(rows, columns)
    return {name: translate(text, cells, grouped=True).sql for name, text in computed}


def _cells(rows: ViewRows, columns: Mapping[str, Kind]) -> dict[str, ColumnSql]:
    """The columns as the expressions see them: one value, or in a join a list with one per side."""
    cells: dict[str, ColumnSql] = {}
    for base, names in rows.sides.items():
        kinds = [columns[name] for name in names if name is not None and name in columns]
        if kinds:
            sides = tuple(None if name is None else identifier(name) for name in names)
            cells[base] = ColumnSql(sides if len(sides) > 1 else sides[0] or "NULL", kinds[0])
    for name, kind in columns.items():
        if name in rows.judged:  # which an SQL filter names: these expressions know a table's own columns
            continue
        cells.setdefault(name, ColumnSql(identifier(name), kind))
    return cells
