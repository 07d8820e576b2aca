"""What the pages of runs say of a run: its state, errors by epoch, size, config, and where it comes from.

Their sparklines are lines of SVG: Altair, which draws the charts, takes a tenth of a second for each.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from secondguess.analysis.ask import settings
from secondguess.analysis.moments import Moment
from secondguess.analysis.page import urls
from secondguess.analysis.schema import DEFAULT_TABLE, reference
from secondguess.analysis.store.records import Epoch
from secondguess.analysis.store.runs import Run

DATA = ("name", "state", "table", "epochs", "errors", "rows", "bytes", "origin", "created", "config", "provenance")
compared, text, shown = settings.compared, settings.text, settings.shown
_WIDE, _HIGH = 104, 28  # pixels of a sparkline
_DOTS = 25  # epochs: with more, points would cover the line


def facts(run: Run) -> dict[str, Any]:
    """One run as a row; its errors are those of the default table, or else of its first table."""
    name, table = _judged_table(run)
    entries = list(table.values())
    counted = [entry for entry in entries if entry.errors is not None]
    origin = str(run.about.get("origin", ""))
    config = run.about.get("config", {}) or {}
    size = _bytes(run.folder)
    return {
        "name": run.name,
        "url": urls.run(run.name),
        "state": run.state,
        "planned": config.get("epochs") if isinstance(config.get("epochs"), int) else None,
        "table": name,
        "epochs": [entry.moment.plain for entry in entries],
        "passed": len({entry.epoch for entry in entries}),
        "errors": [entry.errors for entry in entries],
        "last": entries[-1] if entries else None,
        "best": min(counted, key=lambda entry: (entry.errors or 0, entry.moment)) if counted else None,
        "reference": reference(run.name, name or DEFAULT_TABLE),
        "rows": sum(entry.rows for epochs in run.tables.values() for entry in epochs.values()),
        "bytes": size,
        "size": readable(size),
        "origin": "trained here" if origin == "recorded" else origin,
        "imported": origin != "recorded",
        "created": str(run.about.get("created", ""))[:16].replace("T", " "),
        "config": config,
        "provenance": run.about.get("provenance") or {},
    }


def _judged_table(run: Run) -> tuple[str, Mapping[Moment, Epoch]]:
    if DEFAULT_TABLE in run.tables:
        return DEFAULT_TABLE, run.tables[DEFAULT_TABLE]
    return next(iter(run.tables.items()), ("", {}))


def judged(run: Run) -> list[Epoch]:
    """The epochs of a run whose rows have truths."""
    return [entry for entry in _judged_table(run)[1].values() if entry.errors is not None]


def _bytes(folder: Path) -> int:
    total = 0
    for path in folder.rglob("*"):
        try:
            total += path.stat().st_size if path.is_file() else 0
        except OSError:  # compacted at this moment
            continue
    return total


def readable(size: float) -> str:
    """A number of bytes in the unit in which it is shortest."""
    for unit in ("B", "KB", "MB"):
        if size < 1000:
            return f"{size:,.0f} {unit}" if unit == "B" else f"{size:,.1f} {unit}"
        size /= 1000
    return f"{size:,.1f} GB"


def came_from(row: Mapping[str, Any]) -> dict[str, Any]:
    """Where a run comes from: its code, its machine and the versions it ran on, flat."""
    origins = {"origin": row["origin"], "created": row["created"], "size on disk": row["size"]}
    for key, value in row["provenance"].items():
        if isinstance(value, dict):
            origins |= {name if key == "packages" else f"{key} {name}": part for name, part in value.items()}
        elif value is not None:
            origins[key] = value
    return origins


def sparkline(errors: Sequence[int | None], most: int) -> dict[str, Any]:
    """Errors by epoch as points, on a scale that all runs share."""
    step = (_WIDE - 8) / max(1, len(errors) - 1)
    points = [
        (round(4 + place * step, 1), round(_HIGH - 4 - (error / most if most else 0) * (_HIGH - 8), 1))
        for place, error in enumerate(errors)
        if error is not None
    ]
    return {"points": points, "dots": points if len(points) <= _DOTS else points[-1:]}


def least(rows: Sequence[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """The run with the smallest share of errors at its best epoch, the first of equals; None without truths."""
    rates = {place: row["best"].error_rate for place, row in enumerate(rows) if row["best"] is not None}
    known = {place: rate for place, rate in rates.items() if rate is not None}
    return rows[min(known, key=known.__getitem__)] if known else None
