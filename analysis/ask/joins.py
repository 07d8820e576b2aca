"""Tables side by side: a row per key, every other column once per table, suffixed _a, _b, …."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import duckdb

from secondguess.analysis.ask import matching
from secondguess.analysis.ask.matching import Side
from secondguess.analysis.ask.refs import Selection
from secondguess.analysis.ask.scope import (
    PLACE,
    Relation,
    RunNames,
    class_order,
    columns_of,
    has_steps,
    same_labels,
    stacked,
)
from secondguess.analysis.engine.kinds import Kind
from secondguess.analysis.engine.sqltext import as_text, identifier
from secondguess.analysis.engine.statement import JoinReport
from secondguess.analysis.errors import BadInput, listing
from secondguess.analysis.schema import COMPUTED, LETTERS, OUTCOME, STEP, WRONG, folded, outcome, reference
from secondguess.analysis.store.records import Epoch

_REAL = ("float", "double", "halffloat", "decimal")
_LAST = ("run", "epoch", STEP, "examples", *COMPUTED, PLACE)


@dataclass(frozen=True)
class Join:
    """How tables are joined.

    inner keeps the keys that all tables have, outer those of any. key names the column, `digest` being that of the
    image or content; further names stand in where the ones before are NULL. Repeated keys are refused, since rows would
    multiply, unless allow_duplicates.
    """

    how: str = "inner"
    key: tuple[str, ...] = ("id",)
    allow_duplicates: bool = False


@dataclass(frozen=True)
class Joined:
    """The relation `joined` with those it reads, its sides in order, the key's column, and what the joins did."""

    relations: Mapping[str, Relation]
    tables: tuple[Relation, ...]
    key: str
    reports: tuple[JoinReport, ...]


def letters(count: int) -> str:
    """The suffixes of so many tables; raises BadInput for more than can stand side by side, or fewer than two."""
    if not 2 <= count <= len(LETTERS):
        raise BadInput(f"2 to {len(LETTERS)} tables can be joined, not {count}; name others, or stack them")
    return LETTERS[:count]


def joined(
    con: duckdb.DuckDBPyConnection,
    selections: Sequence[Selection],
    join: Join,
    *,
    place: bool = False,
    added: Sequence[str] = (),
    compared: bool = False,
    run_names: RunNames | None = None,
) -> Joined:
    """Join tables of one epoch each, their runs called as run_names says.

    added are computed columns of each side, as WRONG; where the two tables are compared, OUTCOME says what became of an
    example from the first to the second; with place, PLACE says where it stands in its file.
    Tables whose records say that their ids are unique and the same in the same order are joined by position: nothing is
    looked up. Keys of unlike types are compared as text. Raises BadInput for several epochs of a table, a key that
    not all have, repeated keys that are not allowed, or ids that mean other content on the other side.
    """
    epochs = [_single(selection) for selection in selections]
    letter = letters(len(epochs))
    same_labels(epochs)
    classes, steps = class_order(epochs), has_steps(epochs)
    names = [epoch.name for epoch in epochs]
    own = added if WRONG in added or not compared else (*added, WRONG)
    tables = [
        stacked(name, [side], classes, place=place, added=own, steps=steps, names=run_names)
        for name, side in zip(names, selections, strict=True)
    ]
    relations: dict[str, Relation] = dict(zip(names, tables, strict=True))
    if "digest" in join.key:
        tables = [matching.with_digests(*side) for side in zip(names, epochs, tables, strict=True)]
        names = [f"{name} with digests" for name in names]
        relations.update(zip(names, tables, strict=True))
    join = replace(join, key=_named(join, tables))
    keys, kind = _keys(join, epochs, tables, letter)
    called = [selection.name for selection in selections]
    sides = [Side(*side) for side in zip(called, epochs, names, letter, keys, strict=True)]
    reports = matching.reports(con, relations, sides, ", ".join(join.key))
    _refuse_duplicates(join, reports)
    columns = _columns(join, (keys, kind), tables, letter, steps=steps)
    if own != added:
        for side in letter:
            del columns[f"{WRONG}_{side}"]
    if compared:
        columns = _with_outcome(columns, letter)
    items = [f"{sql} AS {identifier(name)}" for name, (sql, _) in columns.items()]
    files = frozenset(file for relation in relations.values() for file in relation.files)
    relations["joined"] = Relation(
        f"SELECT {', '.join(items)}\nFROM {_from(join, sides)}",
        files,
        tuple(classes),
        {name: kind for name, (_, kind) in columns.items()},
    )
    return Joined(relations, tuple(tables), join.key[0], tuple(reports))


def _single(selection: Selection) -> Epoch:
    """The one epoch of a selection that can be joined; raises BadInput for several."""
    if len(selection.epochs) != 1:
        numbers = listing(epoch.moment for epoch in selection.epochs)
        one = reference(selection.run, selection.table, "last")
        raise BadInput(f"{selection.name} is several epochs ({numbers}); a join takes one, as in {one}")
    return selection.epochs[0]


def _refuse_duplicates(join: Join, reports: Sequence[JoinReport]) -> None:
    if join.allow_duplicates:
        return
    duplicates = {report.left: report.duplicates_left for report in reports}
    duplicates.update({report.right: report.duplicates_right for report in reports})
    if repeated := [f"{name} has {count:,} rows with a repeated key" for name, count in duplicates.items() if count]:
        raise BadInput(
            f"{'; '.join(repeated)} ({', '.join(join.key)}), so the join would multiply rows; "
            "name another key, or allow it with --allow-duplicates"
        )


def _named(join: Join, tables: Sequence[Relation]) -> tuple[str, ...]:
    """The key's columns as the first table calls them; raises BadInput where a table lacks one."""
    own = [{folded(name): name for name in table.columns if name not in COMPUTED} for table in tables]
    common = [name for name in tables[0].columns if all(folded(name) in columns for columns in own) and name != PLACE]
    if missing := [name for name in join.key if any(folded(name) not in columns for columns in own)]:
        raise BadInput(f"not all tables have the column {missing[0]!r} to join on; all have: {listing(common)}")
    return tuple(own[0][folded(name)] for name in join.key)


def _keys(join: Join, epochs: Sequence[Epoch], tables: Sequence[Relation], letter: str) -> tuple[list[str], Kind]:
    """The key of each side as SQL, and what it holds: text where the sides' kinds differ."""
    sides: list[list[tuple[str, Kind]]] = []
    types: set[str] = set()
    for side, epoch, table in zip(letter, epochs, tables, strict=True):
        columns = {folded(name): name for name in table.columns}
        named = [columns[folded(name)] for name in join.key]
        sides.append([(f"{side}.{identifier(name)}", table.columns[name]) for name in named])
        types |= {arrow for name, arrow in columns_of(epoch, steps=has_steps(epochs)) if name in named}
    kinds = {kind for side in sides for _, kind in side} - ({"other"} if "null" in types else set())
    kind: Kind = min(kinds) if len(kinds) == 1 and kinds <= {"number", "text", "boolean", "date"} else "text"
    # A whole number and a real one are compared as what both can be, so that equal is equal for all of them.
    real = kind == "number" and len({arrow.startswith(_REAL) for arrow in types - {"null"}}) > 1

    def value(sql: str, own: Kind) -> str:
        if kind == own:
            return f"CAST({sql} AS DOUBLE)" if real else sql
        return as_text(sql, own) if kind == "text" else sql

    texts = [[value(*each) for each in side] for side in sides]
    return [side[0] if len(side) == 1 else f"coalesce({', '.join(side)})" for side in texts], kind


def _columns(
    join: Join, made: tuple[Sequence[str], Kind], tables: Sequence[Relation], letter: str, *, steps: bool
) -> dict[str, tuple[str, Kind]]:
    """Each column with its SQL and kind: the key, what the answer is about, last where it comes from.

    The column that is the key stands once; where others stand in for it, it is beside them of each side too.
    """
    key, (keys, kind) = join.key[0], made
    value = keys[0] if join.how == "inner" else f"coalesce({', '.join(keys)})"
    columns: dict[str, tuple[str, Kind]] = {key: (value, kind)}
    names = dict.fromkeys(name for table in tables for name in table.columns)
    last = [name for name in _LAST if name in names and (steps or name != STEP)]  # else it is a column of the user's
    for name in [*(name for name in names if name not in last), *last]:
        if len(join.key) == 1 and _is(name, key):
            continue
        for side, table in zip(letter, tables, strict=True):
            if name in table.columns:
                if _is(f"{name}_{side}", key):
                    raise BadInput(f"two columns would be called {key!r}; join on another key")
                columns[f"{name}_{side}"] = (f"{side}.{identifier(name)}", table.columns[name])
    return columns


def _with_outcome(columns: Mapping[str, tuple[str, Kind]], letter: str) -> dict[str, tuple[str, Kind]]:
    """The columns with OUTCOME at the end; raises BadInput for more than two tables, or a key of that name."""
    if len(letter) != 2:
        raise BadInput(f"{OUTCOME} is what became of an example from one table to another; name two, not {len(letter)}")
    if any(_is(name, OUTCOME) for name in columns):
        raise BadInput(f"two columns would be called {OUTCOME!r}; join on another key")
    return {**columns, OUTCOME: (outcome(*(f"{side}.{{}}" for side in letter)), "text")}


def _is(name: str, other: str) -> bool:
    return folded(name) == folded(other)


def _from(join: Join, sides: Sequence[Side]) -> str:
    """The sides joined: those of one order by position, these groups by their keys."""
    groups: dict[object, list[int]] = {}
    for place, side in enumerate(sides):
        ordered = join.key == ("id",) and side.epoch.unique
        groups.setdefault(side.epoch.ids if ordered else (place, side.table), []).append(place)
    parts: list[str] = []
    before: list[str] = []
    for group in groups.values():
        tables = [f"{identifier(sides[place].table)} {sides[place].letter}" for place in group]
        part = "\nPOSITIONAL JOIN ".join(tables)
        key = sides[group[0]].key
        if not parts:
            parts.append(part)
        else:
            part = f"({part})" if len(group) > 1 else part
            earlier = before[0] if join.how == "inner" or len(before) == 1 else f"coalesce({', '.join(before)})"
            parts.append(f"{'JOIN' if join.how == 'inner' else 'FULL JOIN'} {part} ON {key} = {earlier}")
        before.append(key)
    return "\n".join(parts)
