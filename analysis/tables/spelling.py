"""A table view as a person spells it: options of the command line, keywords in Python, parts of an address."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from secondguess.analysis.engine import expressions
from secondguess.analysis.errors import BadInput, listing
from secondguess.analysis.tables.view import TableView

_LISTS: Mapping[str, Callable[[str], tuple[str, ...]]] = {
    "key": expressions.names,
    "group": expressions.names,
    "columns": expressions.names,
    "sort": expressions.listed,
}
_TEXTS = ("tables", "where", "wandb_filter")
_COMPUTED = ("add", "wandb_add", "aggregate", "wandb_aggregate")
_CELLS = ("only", "exclude")
_DEFAULTS = {field.name: field for field in dataclasses.fields(TableView)}
_FIELDS = tuple(_DEFAULTS)
_FILTERS = ("where", "wandb_filter")


def spelled(given: Mapping[str, Any], saved: TableView | None = None) -> TableView:
    """The view that is spelled, on top of a saved one.

    Lists of columns and of sort terms are texts with commas or sequences, computed columns `name = expression` or
    mappings; only and exclude are pairs of a column and a value; what is None, false or empty is not said. Filters and
    computed columns are added to those of a saved view, the rest is replaced, an empty text takes a list of its away.
    Raises BadInput for what cannot be read or contradicts itself.
    """
    if empty := [name for name in (*_LISTS, "join") if given.get(name) == "" and saved is None]:
        raise BadInput(f"{empty[0]} is empty; name something, or leave it out")
    cleared = [name for name in _LISTS if given.get(name) == ""]
    said = {name: value for name, value in given.items() if not _is_nothing(value)}
    cells = [(name, *_cell(name, cell)) for name in _CELLS for cell in said.pop(name, ())]
    if said.pop("stack", False):
        if "join" in said:
            raise BadInput("--stack puts tables under each other, --join side by side; leave one out")
        said["join"] = None
        cleared.append("key")
    if unknown := [name for name in said if name not in _FIELDS]:
        raise BadInput(f"a table view has no {unknown[0]!r}; it has: {listing([*_FIELDS, *_CELLS, 'stack'], 30)}")
    fields = {name: _field(name, value) for name, value in said.items()}
    if saved is not None:
        view = replace(saved, **_on_top(saved, fields, cleared))
    elif "tables" in fields:
        view = TableView(**fields)
    else:
        raise BadInput("name a table, as in cnn@5, or a saved view")
    for how, column, value in cells:
        view = view.only(column, value) if how == "only" else view.exclude(column, value)
    return replace(view, offset=fields["offset"]) if "offset" in fields else view


def _is_nothing(value: Any) -> bool:
    return value is None or value is False or (isinstance(value, str | tuple | list | Mapping) and not value)


def _on_top(saved: TableView, fields: Mapping[str, Any], cleared: Sequence[str]) -> dict[str, Any]:
    """What changes of a saved view: filters and computed columns are added, and then begin at the first page."""
    changed = {name: field.default for name, field in _DEFAULTS.items() if name in cleared}
    if fields.get("join", saved.join) is None:
        changed |= {"key": _DEFAULTS["key"].default, "allow_duplicates": False}
    for name in (*_COMPUTED, *_FILTERS):
        if name in fields:
            changed[name] = (*getattr(saved, name), *fields[name])
    if any(name in fields for name in _FILTERS):
        changed["offset"] = 0
    return {**fields, **changed, **({"offset": fields["offset"]} if "offset" in fields else {})}


def _cell(how: str, pair: Any) -> tuple[str, Any]:
    if isinstance(pair, str) or not isinstance(pair, Sequence) or len(pair) != 2 or not isinstance(pair[0], str):
        raise BadInput(f"{how} takes pairs of a column and a value, not {pair!r}")
    return pair[0], pair[1]


def _field(name: str, value: Any) -> Any:
    if name in _LISTS:
        return _LISTS[name](value) if isinstance(value, str) else _texts(name, value)
    if name in _TEXTS:
        return (value,) if isinstance(value, str) else _texts(name, value)
    if name in _COMPUTED:
        return _named(name, value)
    return value.item() if hasattr(value, "item") else value  # a NumPy number


def _texts(name: str, value: Any) -> tuple[str, ...]:
    if not isinstance(value, Sequence) or not all(isinstance(text, str) for text in value):
        raise BadInput(f"{name} takes text or a list of texts, not {value!r}")
    return tuple(value)


def _named(name: str, value: Any) -> tuple[tuple[str, str], ...]:
    if isinstance(value, Mapping):
        value = list(value.items())
    texts = (value,) if isinstance(value, str) else value
    if not isinstance(texts, Sequence):
        raise BadInput(f"{name} takes 'name = expression' or a mapping, not {value!r}")
    pairs = [expressions.named(item) if isinstance(item, str) else item for item in texts]
    if not all(
        isinstance(pair, Sequence) and len(pair) == 2 and all(isinstance(part, str) for part in pair) for pair in pairs
    ):
        raise BadInput(f"{name} takes 'name = expression' or a mapping of texts, not {value!r}")
    return tuple((pair[0], pair[1]) for pair in pairs)
