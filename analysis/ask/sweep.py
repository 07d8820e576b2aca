"""The runs of a store as one table: what each came to beside its config, filtered, sorted, and grouped by any key."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import Any

import duckdb

from secondguess.analysis.ask import settings
from secondguess.analysis.engine import expressions
from secondguess.analysis.engine.passages import FILTER, Marks
from secondguess.analysis.engine.sqltext import identifier, literal
from secondguess.analysis.engine.statement import Statement
from secondguess.analysis.errors import BadInput, meant
from secondguess.analysis.schema import folded

MEASURED = (
    *("run", "state", "errors", "error_rate", "best_errors", "best_error_rate", "best_epoch", "epochs", "rows"),
    *("bytes", "origin", "started", "tags", "note"),
)
_KINDS = {"tags": "VARCHAR[]", **dict.fromkeys(("run", "state", "origin", "started", "note"), "VARCHAR")}

RunRow = Mapping[str, Any]
"""One run: its columns of MEASURED, and its config by the names that `config_columns` gives."""


def flat(config: Mapping[str, Any], before: str = "") -> dict[str, Any]:
    """A config with the keys of what is nested in it, as `optimizer.lr`."""
    flattened: dict[str, Any] = {}
    for key, value in config.items():
        if isinstance(value, Mapping) and value:
            flattened |= flat(value, f"{before}{key}.")
        else:
            flattened[f"{before}{key}"] = value
    return flattened


def column_of(key: str) -> str:
    """What a key of the config is called among the columns: by its name, unless that is a column of every run."""
    return f"config.{key}" if folded(key) in MEASURED else key


def known(column: str, rows: Sequence[RunRow]) -> str:
    """The column of that name; raises BadInput naming one that is like it."""
    there = dict.fromkeys(name for row in rows for name in row)
    if column not in there:
        raise BadInput(f"the runs have no column {column!r}{meant(column, there)}; there are: {', '.join(there)}")
    return column


def searched(rows: Iterable[RunRow], words: str) -> list[RunRow]:
    """The runs that have each of these words somewhere: in their name, tags, note or config."""
    wanted = words.casefold().split()

    def text(row: RunRow) -> str:
        own = [row["run"], row["note"], *row["tags"], *(v for key, v in row.items() if key not in MEASURED)]
        return "\n".join(map(settings.text, own)).casefold()

    return [row for row in rows if all(word in text(row) for word in wanted)] if wanted else list(rows)


def ordered(rows: Iterable[RunRow], column: str, *, down: bool) -> list[RunRow]:
    """The runs by a column, those without it last."""
    rows = list(rows)
    there = [row for row in rows if row.get(column) is not None]
    there.sort(key=lambda row: _rank(row[column]), reverse=down)
    return [*there, *(row for row in rows if row.get(column) is None)]


def _rank(value: Any) -> tuple[int, float, str]:
    if isinstance(value, bool | int | float) and not (isinstance(value, float) and math.isnan(value)):
        return 0, float(value), ""
    return 1, 0.0, settings.text(value).casefold()


def filtering(con: duckdb.DuckDBPyConnection, rows: Sequence[RunRow], conditions: Sequence[str]) -> Statement:
    """The statement that names the runs for which conditions over their columns are true, as `lr > 0.001`.

    Raises Refused for what is no expression, BadInput for one that names another column.
    """
    columns = list(dict.fromkeys([*MEASURED, *(name for row in rows for name in row)]))
    kinds = [_KINDS.get(name) or _kind([row.get(name) for row in rows]) for name in columns]
    values = ",\n  ".join(
        f"({', '.join(_literal(row.get(name), kind) for name, kind in zip(columns, kinds, strict=True))})"
        for row in rows
    )
    casts = ", ".join(
        f"CAST({identifier(name)} AS {kind}) AS {identifier(name)}" for name, kind in zip(columns, kinds, strict=True)
    )
    names = ", ".join(map(identifier, columns))
    empty = f"({', '.join(['NULL'] * len(columns))})"
    source = f"SELECT {casts} FROM (VALUES\n  {values or empty}\n) listed({names})"
    marks = Marks()
    terms = []
    for text in conditions:
        value = expressions.expression(con, FILTER, text, columns)
        if value.relations:
            raise BadInput(f"in the filter {text!r}: it reads {min(value.relations)!r}; name columns of the runs only")
        terms.append(marks.put(value.sql, value.passage))
    sql, passages = marks.read(f"SELECT run FROM runs WHERE {' AND '.join(terms) or 'true'}")
    return Statement(f"runs AS (\n{source}\n)", sql, passages=passages)


def _kind(values: Iterable[Any]) -> str:
    there = [value for value in values if value is not None]
    if there and all(isinstance(value, bool) for value in there):
        return "BOOLEAN"
    numbers = all(isinstance(value, int | float) and not isinstance(value, bool) for value in there)
    return "DOUBLE" if there and numbers else "VARCHAR"


def _literal(value: Any, kind: str) -> str:
    if value is None or kind not in {"VARCHAR"}:
        return literal(list(value) if isinstance(value, tuple) else value)
    return literal(settings.text(value))


@dataclass(frozen=True)
class RunGroup:
    """Runs that share a value of a column: how many, and of their best error rates the mean, the spread and the least.

    The spread is the sample's standard deviation, None of fewer than two runs. condition is true of these runs alone.
    """

    value: Any
    condition: str
    runs: tuple[RunRow, ...]
    mean: float | None
    spread: float | None
    best: RunRow | None


def groups(rows: Sequence[RunRow], column: str) -> list[RunGroup]:
    """The runs by their value of a column, that with the least mean first; a run of two tags is in two groups."""
    by_value: dict[str, tuple[Any, list[RunRow]]] = {}
    for row in rows:
        for value in (row["tags"] or (None,)) if column == "tags" else (row.get(column),):
            by_value.setdefault(settings.text(value), (value, []))[1].append(row)
    kind = _kind([row.get(column) for row in rows])
    made = [_group(value, _condition(column, kind, value), members) for value, members in by_value.values()]
    return sorted(made, key=lambda group: (group.mean is None, group.mean or 0, settings.text(group.value)))


def _group(value: Any, condition: str, members: Sequence[RunRow]) -> RunGroup:
    judged = [row for row in members if row["best_error_rate"] is not None]
    rates = [row["best_error_rate"] for row in judged]
    spread = stdev(rates) if len(rates) > 1 else None
    best = min(judged, key=lambda row: row["best_error_rate"], default=None)
    return RunGroup(value, condition, tuple(members), fmean(rates) if rates else None, spread, best)


def _condition(column: str, kind: str, value: Any) -> str:
    if column == "tags":
        return f"list_contains(tags, {literal(value)})" if value is not None else "len(tags) = 0"
    return f"{identifier(column)} IS NOT DISTINCT FROM {_literal(value, kind)}"
