"""The runs at a glance, a row each: how far it is, its best epoch, and what of its config differs from others'."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

from secondguess.analysis.ask.refs import fewest_errors, run_notes
from secondguess.analysis.ask.settings import compared, shown
from secondguess.analysis.console import shortened
from secondguess.analysis.engine.sqltext import identifier, literal
from secondguess.analysis.engine.statement import Statement
from secondguess.analysis.moments import Moment
from secondguess.analysis.schema import reference
from secondguess.analysis.store.records import Epoch
from secondguess.analysis.store.runs import Run, list_runs

_KINDS = {
    "run": "VARCHAR",
    "state": "VARCHAR",
    "epochs": "INTEGER",
    "best": "BIGINT",
    "at": "VARCHAR",
    "% err": "DECIMAL(5, 2)",
    "differs": "VARCHAR",
}
_MOST_SAME = 8  # settings that are said; of more the number
_LONGEST = 14  # characters of a setting, so that all of it fits 80 columns


def overview(store: Path) -> Statement:
    """The statement of one row per run and table; best is the fewest errors of an epoch, at the earliest that has them.

    A table that is not the usual one is named with its run, as references are.
    """
    runs = list_runs(store)
    same, keys = compared([_config(run) for run in runs.values()])
    rows = [row for run in runs.values() for row in _rows(run, keys)]
    states = {run.state for run in runs.values()}
    alike = [*((("state", state)) for state in states if len(states) == 1), *same]
    left = {*([] if keys else ["differs"]), *(["state"] if len(states) == 1 and len(runs) > 1 else [])}
    names = [name for name in _KINDS if name not in left]
    notes = [*run_notes(runs.values()), *([_said(alike)] if alike and len(runs) > 1 else [])]
    return Statement("", _select(rows, names), notes=tuple(notes))


def _rows(run: Run, keys: Sequence[str]) -> list[dict[str, Any]]:
    config = _config(run)
    differs = ", ".join(
        f"{shortened(key, _LONGEST)} {shortened(shown(config[key]), _LONGEST)}"
        for key in keys
        if config.get(key) is not None
    )
    about = {"state": run.state, "differs": differs}
    named = [(reference(run.name, table), epochs) for table, epochs in run.tables.items()]
    return [{**about, "run": name, **_counts(epochs)} for name, epochs in named or [(run.name, {})]]


def _counts(epochs: Mapping[Moment, Epoch]) -> dict[str, Any]:
    best = fewest_errors(epochs.values())
    rate = best.error_rate if best is not None else None
    return {
        "epochs": len({moment.epoch for moment in epochs}),
        "best": best.errors if best is not None else None,
        "at": str(best.moment) if best is not None else None,
        "% err": None if rate is None else Decimal(f"{100 * rate:.2f}"),
    }


def _config(run: Run) -> Mapping[str, Any]:
    config = run.about.get("config")
    return config if isinstance(config, dict) else {}


def _said(same: Sequence[tuple[str, str]]) -> str:
    """What every run has alike."""
    some = ", ".join(f"{key} {shortened(value, _LONGEST)}" for key, value in same[:_MOST_SAME])
    return f"the same in every run: {some}" + (f" and {len(same) - _MOST_SAME} more" * (len(same) > _MOST_SAME))


def _select(rows: Sequence[Mapping[str, Any]], names: Sequence[str]) -> str:
    """The rows as a SELECT of values."""
    cells = [[None if row[name] is None else str(row[name]) for name in names] for row in rows]
    values = ",\n  ".join(f"({', '.join(map(literal, row))})" for row in cells or [[None] * len(names)])
    casts = ", ".join(f"CAST({identifier(name)} AS {_KINDS[name]}) AS {identifier(name)}" for name in names)
    where = "" if rows else "\nWHERE false"
    return f"SELECT {casts}\nFROM (VALUES\n  {values}\n) found({', '.join(map(identifier, names))}){where}"
