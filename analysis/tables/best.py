"""The highest scores of some rows of a view: of many classes what a row can show."""

from collections.abc import Sequence
from pathlib import Path

import duckdb

from secondguess.analysis.ask import scope
from secondguess.analysis.ask.refs import Runs
from secondguess.analysis.engine.sqltext import identifier, literal
from secondguess.analysis.engine.statement import Statement
from secondguess.analysis.schema import LETTERS, score_index
from secondguess.analysis.tables.filter import filtered
from secondguess.analysis.tables.heads import plain
from secondguess.analysis.tables.rows import table_rows
from secondguess.analysis.tables.view import TableView

MOST = 4  # of a row


def statement(
    con: duckdb.DuckDBPyConnection, store: Path, view: TableView, keys: Sequence[object], known: Runs | None = None
) -> Statement:
    """The statement that gives of each of these rows, by its key, the best scores of each table side by side.

    They are lists of structs of class, its place from 0, and score, the highest first.
    """
    rows = table_rows(con, store, plain(view), known)
    whole = filtered(con, rows, plain(view))
    suffixes = [f"_{side}" for side in LETTERS[: len(view.tables)]] if view.join is not None else [""]
    key = identifier(view.key[0])
    items = [key, *(f"{_best(list(rows.columns), suffix)} AS {identifier('best' + suffix)}" for suffix in suffixes)]
    these = f"{key} IN ({', '.join(map(literal, keys))})"
    sql, passages = whole.marks.read(whole.select(items) + (" AND " if whole.where else "\nWHERE ") + these)
    relations = {**rows.relations, **whole.relations}
    return Statement(
        scope=scope.ctes(relations),
        body=sql,
        files=scope.all_files(relations),
        notes=(),
        classes=scope.shared_classes(rows.relations.values()),
        passages=passages,
    )


def _best(columns: Sequence[str], suffix: str) -> str:
    """The best scores among those columns that end so."""
    indexes = {name: score_index(name.removesuffix(suffix)) for name in columns if name.endswith(suffix)}
    places = sorted((index, name) for name, index in indexes.items() if index is not None)
    scores = ", ".join(identifier(name) for _, name in places)
    classes = literal([index for index, _ in places])
    entry = f"{{'class': {classes}[place], 'score': scores[place]}}"
    best = f"list_transform(list_grade_up(scores, 'DESC', 'NULLS LAST')[:{MOST}], lambda place: {entry})"
    return f"list_transform([[{scores}]::FLOAT[]], lambda scores: {best})[1]"
