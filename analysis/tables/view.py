"""What W&B's table panel does with tables, as one value: which tables, filter, group, sort, columns, page."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Self

from secondguess.analysis.engine.sqltext import identifier, literal
from secondguess.analysis.errors import BadInput, listing
from secondguess.analysis.moments import Moment
from secondguess.analysis.schema import folded

NamedExpression = tuple[str, str]
"""The name of a column that is computed, and the SQL expression that computes it."""

_JOINS = ("inner", "outer")


@dataclass(frozen=True)
class TableView:
    """Tables stacked or joined, then filtered, grouped, sorted, cut down to columns and a page, in this order.

    tables are references; without an epoch each is taken at its last one, or at epoch `at` or the last one before (with
    exact: at that one or not at all). at may be given as a number, or spelled: `2:1500` is a step of an epoch. join is
    None (stacked), inner or outer; key, the column they are joined on, and where it is NULL those after it. add
    computes columns of a row, which everything else may use. where are SQL conditions, wandb_filter conditions in W&B's
    expression language; a row stays where all are true. group names columns; aggregate computes columns of a group from
    its rows. wandb_add and wandb_aggregate do so in W&B's language. sort are SQL expressions over the columns shown,
    with `-` before them largest first; NULL is smallest. columns None means the usual ones, limit None all rows.
    """

    tables: tuple[str, ...]
    join: str | None = None
    key: tuple[str, ...] = ("id",)
    allow_duplicates: bool = False
    at: Moment | None = None
    exact: bool = False
    add: tuple[NamedExpression, ...] = ()
    where: tuple[str, ...] = ()
    wandb_add: tuple[NamedExpression, ...] = ()
    wandb_filter: tuple[str, ...] = ()
    group: tuple[str, ...] = ()
    aggregate: tuple[NamedExpression, ...] = ()
    wandb_aggregate: tuple[NamedExpression, ...] = ()
    sort: tuple[str, ...] = ()
    columns: tuple[str, ...] | None = None
    limit: int | None = None
    offset: int = 0

    def __post_init__(self) -> None:
        if not self.tables:
            raise BadInput("a table view needs a table; name one, as in cnn@5")
        if self.join is not None and self.join not in _JOINS:
            raise BadInput(f"join is {self.join!r}, not one of {', '.join(_JOINS)}")
        if self.join is None and (self.key != ("id",) or self.allow_duplicates):
            raise BadInput("a key is for a join; name the join, inner or outer")
        if self.join is not None and not self.key:
            raise BadInput("a join needs a key; name a column, such as id or digest")
        if self.exact and self.at is None:
            raise BadInput("exact needs an epoch to be at; name it, as in --at 3")
        object.__setattr__(self, "at", _moment(self.at))
        for name in ("limit", "offset"):
            value = getattr(self, name)
            whole = isinstance(value, int) and not isinstance(value, bool) and value < 2**62
            if not whole and (value is not None or name == "offset"):
                raise BadInput(f"{name} is {value!r}, not a whole number")
        if min(self.limit or 0, self.offset) < 0:
            raise BadInput("limit and offset are numbers of rows, so not below 0")
        if self.columns is not None and not self.columns:
            raise BadInput("columns are none; name at least one")
        _distinct("group", self.group)
        _distinct("columns", self.columns or ())
        computed = (*self.add, *self.wandb_add, *self.aggregate, *self.wandb_aggregate)
        _distinct("computed columns", [name for name, _ in computed])

    def only(self, column: str, value: object) -> Self:
        """The view with only this value in a column: what a click on the cell does."""
        return self._filtered(kept("only", column, value))

    def exclude(self, column: str, value: object) -> Self:
        """The view without this value in a column."""
        return self._filtered(kept("exclude", column, value))

    def _filtered(self, condition: str) -> Self:
        return replace(self, where=(*self.where, condition), offset=0)

    def as_dict(self) -> dict[str, Any]:
        """The fields that differ from the defaults, as values of JSON."""
        values: dict[str, Any] = {}
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name == "tables" or value != field.default:
                values[field.name] = _plain(value, field.name)
        return values

    @classmethod
    def from_dict(cls, given: Mapping[str, Any]) -> Self:
        """The view that `as_dict` wrote; raises BadInput for a field it does not have or a value that cannot be one."""
        known = {field.name for field in fields(cls)}
        if unknown := [name for name in given if name not in known]:
            raise BadInput(f"a table view has no {unknown[0]!r}; it has: {listing(sorted(known), 20)}")
        if "tables" not in given:
            raise BadInput("a table view needs its tables")
        return cls(**{name: _field(name, value) for name, value in given.items()})


def kept(how: str, column: str, value: object) -> str:
    """The condition that a click on a cell adds; how is only or exclude. Raises BadInput for what no SQL can name."""
    same = "IS NOT DISTINCT FROM" if how == "only" else "IS DISTINCT FROM"
    return f"{identifier(column)} {same} {_literal(how, column, value)}"


def _moment(at: object) -> Moment | None:
    """The moment that a view is at, from a number or its spelling; raises BadInput for what is none."""
    if at is None or isinstance(at, Moment):
        return at
    text = str(at).strip() if isinstance(at, int | str) and not isinstance(at, bool) else ""
    if (moment := Moment.parse(text)) is None:
        raise BadInput(f"at is {at!r}, neither a number of an epoch nor a step of one, as in 2:1500")
    return moment


_NAMED = ("add", "wandb_add", "aggregate", "wandb_aggregate")
_TEXTS = ("tables", "key", "where", "wandb_filter", "group", "sort", "columns")
_SINGLE: dict[str, tuple[type, ...]] = {
    "join": (str, type(None)),
    "allow_duplicates": (bool,),
    "at": (int, str, type(None)),
    "exact": (bool,),
    "limit": (int, type(None)),
    "offset": (int,),
}


def _literal(how: str, column: str, value: Any) -> str:
    try:
        return literal(value.item() if hasattr(value, "item") else value)  # a NumPy number is a number
    except TypeError as error:
        raise BadInput(f"{how} {column}: {error}; write the condition with where") from None


def _distinct(what: str, names: Any) -> None:
    known: dict[str, str] = {}
    for name in names:
        if folded(name) in known:
            raise BadInput(f"{what}: {known[folded(name)]!r} stands there twice; name each once")
        known[folded(name)] = name


def _plain(value: Any, name: str) -> Any:
    if name in _NAMED:
        return dict(value)
    if isinstance(value, Moment):
        return value.plain
    return list(value) if isinstance(value, tuple) else value


def _field(name: str, value: Any) -> Any:
    if name in _NAMED and isinstance(value, Mapping) and all(isinstance(text, str) for text in value.values()):
        return tuple(value.items())
    if name in _TEXTS and isinstance(value, list) and all(isinstance(text, str) for text in value):
        return tuple(value)
    if name == "columns" and value is None:
        return None
    kinds = _SINGLE.get(name, ())
    if isinstance(value, kinds) and (bool in kinds or not isinstance(value, bool)):
        return value
    raise BadInput(f"a table view cannot have {json.dumps(value, default=str)} as its {name}")
