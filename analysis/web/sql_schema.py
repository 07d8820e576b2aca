"""What free SQL can name: the relations of a store with their columns, as the page lists them beside the box."""

import re
from collections.abc import Mapping
from typing import Any

from analysis.ask.scope import columns_of
from analysis.engine.sqltext import identifier
from analysis.schema import is_score
from analysis.store.runs import Run

_PLAIN = re.compile(r"[a-z_][a-z0-9_]*")
_WORDS = {"string": "text", "large_string": "text", "dictionary": "text", "float": "float", "double": "float"}
_OWN = {
    "examples": {"examples": "text", "id": "text", "digest": "text", "truth": "", "image": "image"},
    "runs": {
        **dict.fromkeys(("run", "state", "table_name"), "text"),
        **dict.fromkeys(("epochs", "rows", "errors"), "list"),
        "origin": "text",
        "created": "time",
        "config": "json",
    },
    "metrics": {"run": "text", "step": "int", "epoch": "int", "name": "text", "value": "float"},
}


def relations(runs: Mapping[str, Run]) -> list[dict[str, Any]]:
    """Each relation with what is inserted for it, its rows where they are known, and its columns."""
    columns: dict[str, dict[str, str]] = {}
    rows: dict[str, int] = {}
    for run in runs.values():
        for table, epochs in run.tables.items():
            for entry in epochs.values():
                held = columns.setdefault(table, {"run": "string", "epoch": "int32"})
                held.update(columns_of(entry))
                rows[table] = rows.get(table, 0) + entry.rows
    found = [_relation(name, {**held, "examples": "string"}, rows[name]) for name, held in columns.items()]
    return found + [_relation(name, held, None) for name, held in _OWN.items()]


def _relation(name: str, columns: Mapping[str, str], rows: int | None) -> dict[str, Any]:
    scores = [column for column in columns if is_score(column)]
    listed = [
        {"name": column, "insert": written(column), "type": _type(kind)}
        for column, kind in columns.items()
        if column not in scores
    ]
    if scores:
        several = scores[0] if len(scores) == 1 else f"{scores[0]} … {scores[-1]}"
        listed.append({"name": several, "insert": scores[0], "type": "float"})
    return {"name": name, "insert": written(name), "rows": rows, "width": len(columns), "columns": listed}


def written(name: str) -> str:
    """A name as SQL takes it: in quotes where it must be."""
    return name if _PLAIN.fullmatch(name) else identifier(name)


def _type(kind: str) -> str:
    if "dictionary" in kind:
        return "text"
    return "int" if re.fullmatch(r"u?int\d+", kind) else _WORDS.get(kind, kind)
