"""What the pages of runs say of a run: its state, errors by epoch, size, config, and where it comes from.

Their sparklines are lines of SVG: Altair, which draws the charts, takes a tenth of a second for each.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from secondguess.analysis.ask import seen, settings, sweep
from secondguess.analysis.ask.refs import fewest_errors
from secondguess.analysis.errors import Damaged
from secondguess.analysis.moments import Moment
from secondguess.analysis.page import urls
from secondguess.analysis.schema import DEFAULT_TABLE, reference
from secondguess.analysis.store import remarks
from secondguess.analysis.store.records import Epoch
from secondguess.analysis.store.remembered import Listed
from secondguess.analysis.store.runs import Run

DATA = (
    *("name", "state", "table", "epochs", "errors", "rows", "bytes", "origin", "created", "tags", "note", "config"),
    "provenance",
)
compared, text, shown = settings.compared, settings.text, settings.shown
_WIDE, _HIGH = 104, 28  # pixels of a sparkline
_DOTS = 25  # epochs: with more, points would cover the line
_POINTS = 100  # of a sparkline: of more epochs so many are drawn, the last among them


def every(known: dict[str, Any], listed: Listed) -> list[dict[str, Any]]:
    """Each run as a row; known has those of before, of which the runs that are the same are not looked at again."""
    rows = {}
    for name, run in listed.runs.items():
        before = known.get(name)
        row = before[1] if before is not None and before[0] is run else facts(run, listed.sizes.get(name))
        rows[name] = (run, _now(run, row))
    known.clear()
    known.update(rows)
    return [row for _, row in rows.values()]


def _now(run: Run, row: dict[str, Any]) -> dict[str, Any]:
    """The row with the state of a run that has not ended, which no file says."""
    if run.end is not None or row["state"] == run.state:
        return row
    return {**row, "state": run.state, "swept": {**row["swept"], "state": run.state}}


def facts(run: Run, size: int | None = None) -> dict[str, Any]:
    """One run as a row; its errors are those of the default table, or else of its first table."""
    name, table = _judged_table(run)
    entries = list(table.values())
    origin = str(run.about.get("origin", ""))
    config = run.about.get("config", {}) or {}
    size = _bytes(run.folder) if size is None else size
    row = {
        "name": run.name,
        "url": urls.run(run.name),
        "state": run.state,
        "planned": config.get("epochs") if isinstance(config.get("epochs"), int) else None,
        "table": name,
        "epochs": [entry.moment.plain for entry in entries],
        "passed": len({entry.epoch for entry in entries}),
        "errors": [entry.errors for entry in entries],
        "rates": [entry.error_rate for entry in entries],
        "most": max((entry.error_rate or 0 for entry in entries), default=0),
        "last": entries[-1] if entries else None,
        "best": fewest_errors(entries),
        "reference": reference(run.name, name or DEFAULT_TABLE),
        "rows": sum(entry.rows for epochs in run.tables.values() for entry in epochs.values()),
        "bytes": size,
        "size": readable(size),
        "origin": "trained here" if origin == "recorded" else origin,
        "imported": origin != "recorded",
        "created": (run.started or "start unknown")[:16].replace("T", " "),
        "config": config,
        "settings": sweep.flat(config) if isinstance(config, Mapping) else {},
        "provenance": run.about.get("provenance") or {},
        **_remarks(run),
    }
    return {**row, "swept": _swept(row)}


def _remarks(run: Run) -> dict[str, Any]:
    """Its tags and its note; where their file is damaged, that."""
    try:
        said = remarks.read(run)
    except Damaged as fault:
        return {"tags": (), "note": str(fault)}
    return {"tags": said.tags, "note": said.note}


def _swept(row: Mapping[str, Any]) -> dict[str, Any]:
    """The row as searches, filters, orders and groups know it (`ask.sweep`)."""
    last, best = row["last"], row["best"]
    return {
        "run": row["name"],
        "state": row["state"],
        "errors": last.errors if last else None,
        "error_rate": last.error_rate if last else None,
        "best_errors": best.errors if best else None,
        "best_error_rate": best.error_rate if best else None,
        "best_epoch": best.epoch if best else None,
        "epochs": row["passed"],
        "rows": row["rows"],
        "bytes": row["bytes"],
        "origin": row["origin"],
        "started": row["created"],
        "tags": row["tags"],
        "note": row["note"],
        **{sweep.column_of(key): value for key, value in row["settings"].items()},
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


def sparkline(rates: Sequence[float | None], most: float) -> dict[str, Any]:
    """Error rates by epoch as points, on a scale that all runs share."""
    step = (_WIDE - 8) / max(1, len(rates) - 1)
    there = [(place, rate) for place, rate in enumerate(rates) if rate is not None]
    if len(there) > _POINTS:
        there = [*there[: -1 : -(-len(there) // _POINTS)], there[-1]]
    points = [
        (round(4 + place * step, 1), round(_HIGH - 4 - (rate / most if most else 0) * (_HIGH - 8), 1))
        for place, rate in there
    ]
    return {"points": points, "dots": points if len(points) <= _DOTS else points[-1:]}


def least(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The run with the smallest share of errors at its best epoch, the first of equals, among those to be compared.

    These are the most runs that saw the same examples at their best epochs: alike of them, beside others that saw other
    ones, each set one of several.
    """
    sets: dict[Any, list[Mapping[str, Any]]] = {}
    for row in rows:
        if row["best"] is not None and row["best"].error_rate is not None:
            sets.setdefault(seen.examples_of(row["best"]), []).append(row)
    largest = max(sets.values(), key=len, default=[])
    best = min(largest, key=lambda row: row["best"].error_rate, default=None)
    others = sum(map(len, sets.values())) - len(largest)
    return {"least": best, "alike": len(largest), "unlike": others, "sets": len(sets)}
