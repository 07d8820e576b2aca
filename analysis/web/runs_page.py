"""The pages of runs: all of them, and one or several with their configs, metrics, tables and epochs."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from analysis.errors import BadInput, NotFound, listing
from analysis.sqltext import literal
from analysis.store.records import Epoch
from analysis.store.runs import Run, list_runs
from analysis.tableview import TableView
from analysis.web import urls
from analysis.web.drawing import drawn, records, site

_WIDE, _HIGH = 104, 28  # pixels of a sparkline
_CHART = (560, 160)


async def runs(request: Request) -> Response:
    """All runs: state, errors by epoch, the config that differs, where to begin."""
    held = site(request)
    known = list_runs(held.store)
    rows = [_run(run) for run in known.values()]
    most = max((error for row in rows for error in row["errors"] if error is not None), default=0)
    for row in rows:
        row["line"] = _line(row["errors"], most)
    same, keys = _config(rows)
    context = {
        "title": "Runs",
        "here": "Runs",
        "rows": rows,
        "most": most,
        "same": same,
        "keys": keys,
        "starts": _starts(known),
        "size": _readable(sum(row["bytes"] for row in rows)),
        "running": any(row["state"] == "running" for row in rows),
    }
    data = {"runs": [{key: row[key] for key in _DATA} for row in rows]}
    return drawn(request, "runs.html", context, data)


_DATA = ("name", "state", "table", "epochs", "errors", "rows", "bytes", "origin", "created", "config")


def _run(run: Run) -> dict[str, Any]:
    name, table = next(iter(run.tables.items()), ("", {}))
    if "test_predictions" in run.tables:
        name, table = "test_predictions", run.tables["test_predictions"]
    entries = list(table.values())
    counted = [entry for entry in entries if entry.errors is not None]
    last = entries[-1] if entries else None
    best = min(counted, key=lambda entry: (entry.errors or 0, entry.epoch)) if counted else None
    reference = run.name if name in ("", "test_predictions") else f"{run.name}/{name}"
    origin = str(run.about.get("origin", ""))
    return {
        "name": run.name,
        "url": urls.run(run.name),
        "state": run.state,
        "table": name,
        "epochs": [entry.epoch for entry in entries],
        "errors": [entry.errors for entry in entries],
        "last": last,
        "best": best,
        "reference": reference,
        "rows": sum(entry.rows for held in run.tables.values() for entry in held.values()),
        "bytes": _bytes(run.folder),
        "size": _readable(_bytes(run.folder)),
        "origin": "trained here" if origin == "recorded" else origin,
        "imported": origin != "recorded",
        "created": str(run.about.get("created", ""))[:16].replace("T", " "),
        "config": run.about.get("config", {}) or {},
    }


def _bytes(folder: Path) -> int:
    total = 0
    for path in folder.rglob("*"):
        try:
            total += path.stat().st_size if path.is_file() else 0
        except OSError:  # compacted at this moment
            continue
    return total


def _readable(size: int) -> str:
    for unit in ("B", "KB", "MB", "GB"):
        if size < 1000 or unit == "GB":
            return f"{size:,.0f} {unit}" if unit == "B" else f"{size:,.1f} {unit}"
        size = size / 1000  # type: ignore[assignment]
    return ""


def _config(rows: Sequence[Mapping[str, Any]]) -> tuple[list[tuple[str, str]], list[str]]:
    """The config keys with one value in every run, with it, and the keys that differ."""
    keys = dict.fromkeys(key for row in rows for key in row["config"])
    values = {key: {_shown(row["config"].get(key)) for row in rows} for key in keys}
    same = [(key, min(found)) for key, found in values.items() if len(found) == 1]
    return same, [key for key, found in values.items() if len(found) > 1]


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


def _line(errors: Sequence[int | None], most: int) -> list[tuple[float, float]]:
    """The points of a sparkline, on a scale that all runs share."""
    step = (_WIDE - 8) / max(1, len(errors) - 1)
    return [
        (round(4 + place * step, 1), round(_HIGH - 4 - (error / most if most else 0) * (_HIGH - 8), 1))
        for place, error in enumerate(errors)
        if error is not None
    ]


def _starts(known: Mapping[str, Run]) -> list[dict[str, Any]]:
    """The tutorial's three comparisons, as far as the store has what they compare."""
    found: list[dict[str, Any]] = []
    ready = {run.name: table for run in known.values() if (table := _judged(run))}
    several = next(((name, table) for name, table in ready.items() if len(table) > 1), None)
    if several is not None:
        name, (first, *_, last) = several
        pair = (f"{name}@{first.epoch}", f"{name}@{last.epoch}")
        differ = TableView(pair, "inner", where=("guess_a IS DISTINCT FROM guess_b",))
        found.append(_start("Where two epochs disagree", urls.table(differ), pair, "", "two bars per score"))
        wrong = urls.table(TableView(pair, where=("guess <> truth",)), side="1")
        counts = f"{first.errors:,} → {last.errors:,}"
        found.append(_start("Wrong, epoch beside epoch", wrong, pair, counts, f"errors of {last.rows:,}"))
    if len(ready) > 1:
        names = list(ready)[1::-1]  # the newer model left, as in the tutorial
        ends = [ready[name][-1] for name in names]
        pair = (f"{names[0]}@{ends[0].epoch}", f"{names[1]}@{ends[1].epoch}")
        counts = " : ".join(f"{end.errors:,}" for end in ends)
        url = urls.question("errors-by-guess", pair)
        found.append(_start("Errors by guess, two models", url, pair, counts, f"errors of {ends[0].rows:,}"))
    return found


def _start(text: str, url: str, refs: tuple[str, str], number: str, unit: str) -> dict[str, Any]:
    return {"text": text, "url": url, "refs": refs, "number": number, "unit": unit}


def _judged(run: Run) -> list[Epoch]:
    table = run.tables.get("test_predictions") or next(iter(run.tables.values()), {})
    return [entry for entry in table.values() if entry.errors is not None]


async def compare(request: Request) -> Response:
    """Lead on to the comparison that the form of all runs asks for."""
    query = request.query_params
    pair = tuple(f"{query[name]}@last" for name in ("first", "second") if query.get(name))
    if len(pair) < 2:
        raise BadInput("choose a first and a second run to compare")
    how = query.get("how", "differ")
    if how == "errors":
        return RedirectResponse(urls.question("errors-by-guess", pair))
    if how == "side":
        return RedirectResponse(urls.table(TableView(pair, where=("guess <> truth",)), side="1"))
    if how == "runs":
        return RedirectResponse(urls.run(*(name.partition("/")[0].partition("@")[0] for name in pair)))
    return RedirectResponse(urls.table(TableView(pair, "inner", where=("guess_a IS DISTINCT FROM guess_b",))))


async def run(request: Request) -> Response:
    """One run, or several together: config, metrics, tables and epochs."""
    held = site(request)
    known = list_runs(held.store)
    names = request.query_params.getlist("run") or list(known)[:1]
    if missing := [name for name in names if name not in known]:
        raise NotFound(f"no run named {missing[0]!r}; the store has: {listing(known) or 'none yet'}")
    rows = [_run(known[name]) for name in names]
    same, keys = _config(rows)
    listed = ", ".join(literal(name) for name in names)
    found = await held.ask(
        request,
        "sql",
        f"SELECT run, step, epoch, name, value FROM metrics WHERE run IN ({listed}) ORDER BY name, run, step",
    )
    measured = records(found.columns, found.rows)
    context = {
        "title": " and ".join(names),
        "here": "Runs",
        "rows": rows,
        "same": same,
        "keys": keys,
        "charts": _charts(measured, names),
        "tables": [
            _table(known[name], table, entries) for name in names for table, entries in known[name].tables.items()
        ],
        "cut": found.more,
    }
    return drawn(
        request,
        "run.html",
        context,
        {"runs": [{key: row[key] for key in _DATA} for row in rows], "metrics": measured, "more": found.more},
    )


def _table(run: Run, table: str, entries: Mapping[int, Epoch]) -> dict[str, Any]:
    base = run.name if table == "test_predictions" else f"{run.name}/{table}"
    return {
        "name": base,
        "epochs": [
            {
                "epoch": entry.epoch,
                "rows": entry.rows,
                "errors": entry.errors,
                "url": urls.table(TableView((f"{base}@{entry.epoch}",))),
                "wrong": urls.table(TableView((f"{base}@{entry.epoch}",), where=("guess <> truth",))),
            }
            for entry in entries.values()
        ],
        "over": urls.question("errors-over-time", (base,)),
        "confusion": urls.question("confusion", (base,)),
    }


def _charts(measured: Sequence[Mapping[str, Any]], names: Sequence[str]) -> list[dict[str, Any]]:
    """A line per run for each metric, over its steps."""
    wide, high = _CHART
    found = []
    for metric in dict.fromkeys(row["name"] for row in measured):
        rows = [row for row in measured if row["name"] == metric and row["value"] is not None]
        steps = [row["step"] if row["step"] is not None else row["epoch"] or 0 for row in rows]
        values = [row["value"] for row in rows]
        if not values:
            continue
        low, top, first, last = min(values), max(values), min(steps), max(steps)
        lines = []
        for name in names:
            points = [
                (
                    round(4 + (step - first) / ((last - first) or 1) * (wide - 8), 1),
                    round(high - 4 - (value - low) / ((top - low) or 1) * (high - 8), 1),
                )
                for step, value, row in zip(steps, values, rows, strict=True)
                if row["run"] == name
            ]
            lines.append(
                {
                    "run": name,
                    "points": " ".join(f"{x},{y}" for x, y in points),
                    "one": points if len(points) == 1 else [],
                }
            )
        found.append(
            {"name": metric, "low": f"{low:.4g}", "top": f"{top:.4g}", "first": first, "last": last, "lines": lines}
        )
    return found
