"""The controls of a table's page: where each link, form and head of a column leads."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from analysis import refs
from analysis.errors import SecondguessError
from analysis.expressions import order
from analysis.sqltext import identifier
from analysis.store.runs import Run
from analysis.tableview import TableView
from analysis.web import urls
from analysis.web.columns import Shown
from analysis.web.drawing import SIDES

SIZES = {"small": 28, "middle": 40, "large": 80}
_MOST_EPOCHS = 12


def head(view: TableView, column: Shown, more: Mapping[str, Any]) -> dict[str, Any]:
    """What a column's head leads to: sorting by it, grouping by it, leaving it out."""
    grouped = bool(view.group or view.aggregate)
    name = column.names[0]
    quoted = identifier(name)
    now = [order(text) for text in view.sort]
    direction = next((down for text, down in now if text in (name, quoted)), None)
    sortable = column.kind not in {"picture", "bins", "counts", "ids"}
    other = f"-{quoted}" if direction is False else quoted
    if direction is None and column.kind in {"score", "number"}:
        other = f"-{quoted}"
    others = tuple(held for held in (view.columns or ()) if held not in column.names)
    return {
        "sort": urls.table(replace(view, sort=(other,), offset=0), **more) if sortable else None,
        "direction": None if direction is None else "descending" if direction else "ascending",
        "up": urls.table(replace(view, sort=(quoted,), offset=0), **more),
        "down": urls.table(replace(view, sort=(f"-{quoted}",), offset=0), **more),
        "group": None if grouped or column.kind == "score" else urls.table(_grouped(view, name), **more),
        "hide": urls.table(replace(view, columns=others), **more) if others else None,
    }


def _grouped(view: TableView, *names: str) -> TableView:
    return replace(view, group=names, sort=(), columns=None, offset=0)


def links(view: TableView, more: Mapping[str, Any]) -> dict[str, Any]:
    """Where each control of the page leads."""
    plain = replace(view, offset=0)
    at: dict[str, Any] = {"at": view.at, "exact": view.exact}
    names = ["guess", "truth", "run"] if view.join is None else ["guess_a", "guess_b", "truth_a"]
    none = replace(plain, group=(), aggregate=(), wandb_aggregate=(), sort=(), columns=None)
    whole = replace(view, limit=None, offset=0)
    differ = replace(plain, where=("guess_a IS DISTINCT FROM guess_b",))
    return {
        "filters": [*_without(plain, "where", more), *_without(plain, "wandb_filter", more)],
        "added": [
            (
                f"{name} = {text}",
                urls.table(replace(plain, add=tuple(pair for pair in view.add if pair[0] != name)), **more),
            )
            for name, text in view.add
        ],
        "group": [(name, urls.table(_grouped(view, name), **more)) for name in names],
        "ungroup": urls.table(none, **more) if view.group else None,
        "wrong": None if view.join else urls.table(replace(plain, where=("guess <> truth",)), **more),
        "differ": urls.table(differ, **more) if view.join else None,
        "stack": urls.table(TableView(view.tables, **at)),
        "inner": urls.table(TableView(view.tables, "inner", **at)),
        "outer": urls.table(TableView(view.tables, "outer", **at)),
        "digest": urls.table(TableView(view.tables, "inner", ("digest",), **at)),
        "beside": urls.table(replace(view, join=None, key=("id",)), side="1") if len(view.tables) > 1 else None,
        "sizes": [(name, urls.table(view, **{**more, "size": name})) for name in SIZES],
        "export": [
            (form, urls.table(whole, "/export", format=form)) for form in ("csv", "json", "markdown", "parquet")
        ],
        "reset": urls.table(TableView(view.tables, view.join, view.key, **at)),
        "columns": urls.table(replace(view, columns=None), **more),
    }


def _without(view: TableView, field: str, more: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Each of the view's filters, with the address of the view without it."""
    held: tuple[str, ...] = getattr(view, field)
    found = []
    for text in held:
        others: dict[str, Any] = {field: tuple(other for other in held if other != text)}
        found.append((text, urls.table(replace(view, **others), **more)))
    return found


def steps(runs: Mapping[str, Run], view: TableView, more: Mapping[str, Any]) -> list[dict[str, Any]]:
    """For each table the epochs there are, as links that put it at one of them."""
    found = []
    for place, text in enumerate(view.tables):
        ref = refs.parse(text)
        try:
            selection = refs.resolve(runs, text, "last")
        except SecondguessError:
            continue
        epochs = sorted(runs[ref.run].tables[selection.table])
        now = selection.epochs[0].epoch if len(selection.epochs) == 1 and view.at is None else None
        base = text.partition("@")[0]
        links = []
        for epoch in _few(epochs, now):
            tables = (*view.tables[:place], f"{base}@{epoch}", *view.tables[place + 1 :])
            links.append((epoch, urls.table(replace(view, tables=tables, at=None, exact=False), **more), epoch == now))
        found.append({"name": text, "links": links, "side": SIDES[place] if len(view.tables) > 1 and place < 2 else ""})
    return found


def _few(epochs: Sequence[int], now: int | None) -> list[int]:
    """All epochs, or of many the first, those around the current one, and the last."""
    if len(epochs) <= _MOST_EPOCHS:
        return list(epochs)
    place = epochs.index(now) if now in epochs else len(epochs) - 1
    near = epochs[max(0, place - 3) : place + 4]
    return sorted({epochs[0], *near, epochs[-1]})


def slider(runs: Mapping[str, Run], view: TableView) -> dict[str, Any] | None:
    """The slider that puts all tables at one epoch."""
    epochs: list[int] = []
    for text in view.tables:
        try:
            ref = refs.parse(text)
            selection = refs.resolve(runs, text.partition("@")[0], "last")
        except SecondguessError:
            return None
        epochs += runs[ref.run].tables[selection.table]
    if len(set(epochs)) < 2:
        return None
    bare = tuple(dict.fromkeys(text.partition("@")[0] for text in view.tables))
    if view.at is None and len(bare) < len(view.tables):
        return None  # one run at two epochs: both would be at the same
    hidden = [
        part for part in urls.query(replace(view, tables=bare, at=None, exact=False, offset=0)) if part[0] != "limit"
    ]
    return {
        "min": min(epochs),
        "max": max(epochs),
        "now": view.at or max(epochs),
        "hidden": hidden,
        "exact": view.exact,
    }
