"""The controls of a table's page: where each link and form leads."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from secondguess.analysis.answers.columns import PageColumn
from secondguess.analysis.answers.sides import side
from secondguess.analysis.ask.refs import Referent
from secondguess.analysis.ask.scope import columns_of, has_steps
from secondguess.analysis.engine.sqltext import identifier
from secondguess.analysis.errors import BadInput
from secondguess.analysis.moments import Moment
from secondguess.analysis.page import urls
from secondguess.analysis.schema import LETTERS, WRONG, at_epoch
from secondguess.analysis.tables import changes
from secondguess.analysis.tables.negation import negated, negated_wandb
from secondguess.analysis.tables.view import TableView

MOST = 12


def few(epochs: Sequence[Moment], kept: Sequence[Moment] = (), most: int = MOST) -> list[Moment]:
    """All epochs, or of many the first, the last and evenly some between, with those that must be there."""
    if len(epochs) <= most:
        return list(epochs)
    must = {epochs[0], epochs[-1], *(epoch for epoch in kept if epoch in epochs)}
    parts = max(1, most - len(must) + 1)
    return sorted(must | {epochs[place * (len(epochs) - 1) // parts] for place in range(1, parts)})


SIZES = {"small": 28, "middle": 40, "large": 80, "huge": 160}
_HEADS = (("", "shown as they come into sight"), ("all", "with the page"), ("none", "not shown"))
_PAGES = (25, 50, 100, 250)
_MOST_EPOCHS = 12
_ROWS_OF_A_GROUP: Mapping[str, Any] = {"group": (), "aggregate": (), "wandb_aggregate": (), "sort": (), "columns": None}


def grouped(view: TableView, *names: str) -> TableView:
    """The view in groups of these columns, with the usual columns of a group."""
    return replace(view, group=names, sort=(), columns=None, offset=0)


def links(view: TableView, more: Mapping[str, Any]) -> dict[str, Any]:
    """Where each control of the page leads."""
    plain = replace(view, offset=0)
    at: dict[str, Any] = {"at": view.at, "exact": view.exact}
    names = ["guess", "truth", "run"] if view.join is None else ["guess_a", "guess_b", "truth_a"]
    whole = replace(view, limit=None, offset=0)
    differ = replace(plain, where=(changes.changed(view),))
    apart = replace(view, join=None, key=("id",), allow_duplicates=False)
    others = [(name, tuple(table for table in view.tables if table != name)) for name in view.tables]
    return {
        "group": [(name, urls.table(grouped(view, name), **more)) for name in names],
        "ungroup": urls.table(replace(plain, **_ROWS_OF_A_GROUP), **more) if view.group else None,
        "wrong": None if view.join else urls.table(replace(plain, where=(WRONG,)), **more),
        "differ": urls.table(differ, **more) if view.join else None,
        "stack": urls.table(TableView(view.tables, **at)),
        "inner": urls.table(TableView(view.tables, "inner", **at)),
        "outer": urls.table(TableView(view.tables, "outer", **at)),
        "digest": urls.table(TableView(view.tables, "inner", ("digest",), **at)),
        "beside": urls.table(apart, side="1") if len(view.tables) > 1 else None,
        "without": [(name, urls.table(TableView(left, **at))) for name, left in others if left],
        "sizes": [
            (name, pixels, urls.table(view, **{**more, "size": name}), name == more.get("size"))
            for name, pixels in SIZES.items()
        ],
        "heads": [
            (said, urls.table(view, **{**more, "heads": name}), name == (more.get("heads") or ""))
            for name, said in _HEADS
        ],
        "pages": [(rows, urls.table(replace(plain, limit=rows), **more), rows == view.limit) for rows in _PAGES],
        "export": [
            (form, urls.table(whole, "/export", format=form)) for form in ("csv", "json", "markdown", "parquet")
        ],
        "over": urls.question("trajectories", tuple(dict.fromkeys(name.partition("@")[0] for name in view.tables))),
        "gallery": urls.gallery(replace(view, **_ROWS_OF_A_GROUP, limit=None, offset=0)),
        "reset": urls.table(TableView(view.tables, view.join, view.key, **at)),
        "columns": urls.table(replace(view, columns=None), **more),
    }


_CHIPS = (
    ("where", "filter", ""),
    ("wandb_filter", "filter", "W&B: "),
    ("add", "column", ""),
    ("wandb_add", "column", "W&B: "),
    ("aggregate", "column", ""),
    ("wandb_aggregate", "column", "W&B: "),
    ("sort", "sorting", "sort: "),
)


_NEGATED: Mapping[str, Callable[[str], str]] = {"where": negated, "wandb_filter": negated_wandb}


def chips(view: TableView, more: Mapping[str, Any], path: str = "/table") -> list[dict[str, Any]]:
    """What the view filters, computes and sorts by: each as text, with the address of the view without it.

    A filter has that of the view with its opposite too; what can be edited, its text and the fields of a form beside.
    """
    view_chips = []
    for field, what, before in _CHIPS:
        parts: tuple[Any, ...] = getattr(view, field)
        for each in parts:
            others: dict[str, Any] = {field: tuple(other for other in parts if other != each), "offset": 0}
            text = each if isinstance(each, str) else " = ".join(each)
            without = replace(view, **others)
            chip = {"text": before + text, "what": what, "url": urls.table(without, path, **more), "opposite": None}
            if (negate := _NEGATED.get(field)) is not None:
                opposite: dict[str, Any] = {
                    field: tuple(negate(other) if other == each else other for other in parts),
                    "offset": 0,
                }
                chip["opposite"] = urls.table(replace(view, **opposite), path, **more)
            alone: dict[str, Any] = {field: (each,)}
            spelled = urls.query(TableView(view.tables, **alone))[-1][1]
            edited = field != "sort"
            view_chips.append(
                {**chip, "field": field, "spelled": spelled, "hidden": urls.query(without, **more) if edited else None}
            )
    return view_chips


def at_hand(tables: Sequence[Referent], view: TableView) -> list[tuple[str, str]]:
    """The columns that a filter can name, each as SQL writes it, with its Arrow type; tables are those of the view."""
    kinds: dict[str, str] = {}
    steps = has_steps(epoch for table in tables if table.selection is not None for epoch in table.selection.epochs)
    for place, table in enumerate(tables):
        epochs = table.selection.epochs if table.selection is not None else ()
        for name, kind in (column for epoch in epochs[-1:] for column in columns_of(epoch, steps=steps)):
            keyed = view.join is None or name in view.key
            kinds.setdefault(name if keyed else f"{name}_{LETTERS[place : place + 1]}", kind)
    kinds |= {name: "computed" for name, _ in (*view.add, *view.wandb_add)}
    return [(name if _plain(name) else identifier(name), kind) for name, kind in kinds.items()]


def _plain(name: str) -> bool:
    return name.isascii() and name.replace("_", "a").isalnum() and not name[0].isdigit()


def steps(named: Sequence[Referent], view: TableView, more: Mapping[str, Any]) -> list[dict[str, Any]]:
    """For each table the epochs there are, as links that put it at one of them."""
    table_steps = []
    for place, (text, table) in enumerate(zip(view.tables, named, strict=True)):
        if table.selection is None:
            continue
        epochs = [epoch.moment for epoch in table.epochs]
        chosen = table.selection.epochs
        now = chosen[0].moment if len(chosen) == 1 and view.at is None else None
        base = text.partition("@")[0]
        links = []
        for epoch in _few(epochs, now):
            tables = (*view.tables[:place], at_epoch(base, epoch), *view.tables[place + 1 :])
            links.append((epoch, urls.table(replace(view, tables=tables, at=None, exact=False), **more), epoch == now))
        table_steps.append({"name": text, "links": links, "side": side(place) if len(view.tables) > 1 else ""})
    return table_steps


def _few(epochs: Sequence[Moment], now: Moment | None) -> list[Moment]:
    """All epochs, or of many the first, those around the current one, and the last."""
    if len(epochs) <= _MOST_EPOCHS:
        return list(epochs)
    place = epochs.index(now) if now in epochs else len(epochs) - 1
    near = epochs[max(0, place - 3) : place + 4]
    return sorted({epochs[0], *near, epochs[-1]})


def slider(
    named: Sequence[Referent], view: TableView, more: Mapping[str, Any], action: str = "/table"
) -> dict[str, Any] | None:
    """The slider that puts all tables of a view at one epoch; action is the page that shows them."""
    bare = tuple(dict.fromkeys(text.partition("@")[0] for text in view.tables))
    if view.at is None and len(bare) < len(view.tables):
        return None  # one run at two epochs: both would be at the same
    moved = replace(view, tables=bare, at=None, exact=False, offset=0)
    form = {"action": action, "hidden": urls.query(moved, **more), "exact": view.exact, "holds": view.at is not None}
    return over(named, view.at, form)


def over(named: Sequence[Referent], now: Moment | None, form: Mapping[str, Any]) -> dict[str, Any] | None:
    """A slider over the tables' epochs, or over their validations where there are several in an epoch.

    It goes through these by their places: a slider has numbers only. form is where it leads, and whether it holds now.
    """
    epochs = [epoch.moment for table in named for epoch in table.epochs]
    if len(set(epochs)) < 2 or not all(table.epochs for table in named):
        return None
    now = now or max(epochs)
    common = {"said": str(now), **form}
    if all(epoch.step is None for epoch in epochs):
        return {"name": "at", "min": min(epochs), "max": max(epochs), "now": now, "places": None, **common}
    places = sorted(set(epochs))
    place = max(1, sum(moment <= now for moment in places))
    return {"name": "nth", "min": 1, "max": len(places), "now": place, "places": " ".join(map(str, places)), **common}


def nth(named: Sequence[Referent], place: int) -> Moment:
    """The moment at a place of the slider, counted from 1; raises BadInput for one that it has not."""
    places = sorted({epoch.moment for table in named for epoch in table.epochs})
    if not 1 <= place <= len(places):
        raise BadInput(f"nth is {place}, not one of the {len(places)} validations of these tables")
    return places[place - 1]


def sorting(column: PageColumn, sort: str) -> dict[str, str]:
    """How a click on a column's head sorts by it, and how it is sorted by now: largest first, then smallest."""
    name = urls.listed(column.names[:1])
    down = sort == f"-{name}"
    direction = "descending" if down else "ascending" if sort == name else ""
    return {"sorting": name if down else f"-{name}", "direction": direction}
