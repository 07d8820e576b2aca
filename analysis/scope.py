"""The relations that a question or a person's SQL reads: references and records turned into CTEs."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from analysis.errors import BadInput, Damaged
from analysis.refs import Selection
from analysis.schema import is_score, score_column
from analysis.sqltext import identifier, literal
from analysis.store.records import Epoch
from analysis.store.runs import Run

_SQL_TYPES = {"string": "VARCHAR", "int64": "BIGINT", "int32": "INTEGER", "float": "FLOAT", "double": "DOUBLE"}
_STANDARD = {
    "run": "VARCHAR",
    "epoch": "INTEGER",
    "id": "VARCHAR",
    "guess": "VARCHAR",
    "truth": "VARCHAR",
    "confidence": "FLOAT",
    "truth_score": "FLOAT",
}
# Shown by DuckDB under the error when the file is gone by the time a lazy relation runs.
_READ = "FROM read_parquet(  -- a file not found here: the store was compacted, ask again\n  "


@dataclass(frozen=True)
class Relation:
    """A SELECT over files of the store, and the files."""

    sql: str
    files: frozenset[Path]


def ctes(relations: Mapping[str, Relation]) -> str:
    """The relations as the list of a WITH."""
    return ",\n".join(f"{identifier(name)} AS (\n{relation.sql}\n)" for name, relation in relations.items())


def stacked(what: str, selections: Iterable[Selection], classes: Sequence[str] = ()) -> Relation:
    """The selections' rows under each other, their scores aligned by class; `what` names the relation in errors.

    The columns are the schema's own (NULL where a table lacks one), score_0 …, the users' columns, and `examples`, the
    stem of the file that describes a row's example. classes come first in the order of the scores, and have a column
    even where no table knows them. Raises BadInput where a column is text in one table and numbers in
    another: such tables are asked one by one.
    """
    epochs = list({(e.run, e.table, e.epoch): e for selection in selections for e in selection.epochs}.values())
    if not epochs:
        raise BadInput(f"{what} has no epochs yet; record one, or name another table")
    _same_kinds(what, epochs)
    classes = class_order(epochs, classes)
    types = _columns(epochs, len(classes))
    branches: dict[tuple[object, ...], list[Epoch]] = {}
    for epoch in epochs:
        kept = tuple(sorted(other.epoch for other in epochs if other.file == epoch.file))
        whole = len(kept) == len(epoch.file_epochs)
        renamed = epoch.run if epoch.run != epoch.recorded_as else None
        key = (epoch.columns, epoch.classes, renamed, epoch.examples, () if whole else kept)
        branches.setdefault(key, []).append(epoch)
    selects = [_select(group, classes, types) for group in branches.values()]
    return Relation("\nUNION ALL\n".join(selects), frozenset(epoch.file for epoch in epochs))


def class_order(epochs: Iterable[Epoch], first: Sequence[str] = ()) -> list[str]:
    """The classes behind score_0, score_1, … when these epochs are read together, in order of first appearance."""
    return list(dict.fromkeys([*first, *(name for epoch in epochs for name in _classes(epoch))]))


def _columns(epochs: Sequence[Epoch], scores: int) -> dict[str, str]:
    """Each column of the stack and its SQL type, "" where only the file knows it."""
    types = dict(_STANDARD)
    found = {name: kind for epoch in epochs for name, kind in epoch.columns}
    label = _SQL_TYPES.get(found.get("guess", "string"), "VARCHAR")
    types.update(guess=label, truth=label)
    types.update({score_column(index): "FLOAT" for index in range(scores)})
    types.update({name: _SQL_TYPES.get(kind, "") for name, kind in found.items() if name not in types})
    if any(epoch.examples for epoch in epochs):
        types["examples"] = "VARCHAR"
    return types


def _select(group: Sequence[Epoch], classes: Sequence[str], types: Mapping[str, str]) -> str:
    """One branch: files of one layout, with one examples file and one choice of epochs."""
    first = group[0]
    own = {name for name, _ in first.columns if not is_score(name)}
    # Class by class, so that score_3 is the same class in every branch, whatever its place in the file.
    scores = {score_column(classes.index(name)): score_column(index) for index, name in enumerate(_classes(first))}
    items = []
    for name, kind in types.items():
        if name == "run" and first.run != first.recorded_as:
            items.append(f"{literal(first.run)} AS run")
        elif name == "examples" and first.examples is not None:
            items.append(f"{literal(first.examples.stem)} AS examples")
        elif name in own or scores.get(name) == name:
            items.append(identifier(name))
        elif name in scores:
            items.append(f"{identifier(scores[name])} AS {identifier(name)}")
        else:
            items.append(f"{f'CAST(NULL AS {kind})' if kind else 'NULL'} AS {identifier(name)}")
    files = sorted({epoch.file for epoch in group})
    kept = sorted({epoch.epoch for epoch in group})
    whole = {epoch for member in group for epoch in member.file_epochs} == set(kept)
    where = "" if whole else f"\nWHERE epoch IN ({', '.join(map(str, kept))})"
    return f"SELECT {', '.join(items)}\n{_READ}{literal(files)}){where}"


def _classes(epoch: Epoch) -> Sequence[str]:
    return (
        epoch.classes if epoch.classes is not None and epoch.scores else [str(index) for index in range(epoch.scores)]
    )


def _same_kinds(what: str, epochs: Iterable[Epoch]) -> None:
    """Raise BadInput where a column is text in one table and not in another, naming both."""
    first: dict[str, tuple[bool, str, str]] = {}
    for epoch in epochs:
        for name, kind in epoch.columns:
            found = (kind in {"string", "large_string"}, kind, f"{epoch.run}/{epoch.table}")
            known = first.setdefault(name, found)
            if known[0] != found[0]:
                raise BadInput(
                    f"{what} cannot be stacked: {name} is {known[1]} in {known[2]}, but {found[1]} in {found[2]}; "
                    f'name one table, as in FROM "{found[2]}"'
                )


def joined(selections: Sequence[Selection]) -> dict[str, Relation]:
    """The relation `joined` and the tables it joins: a row per id that all have, every other column suffixed _a, _b, ….

    Raises BadInput for a selection of several epochs, ids that are not unique, or names that collide.
    """
    epochs = [single(selection) for selection in selections]
    _same_kinds("joined", epochs)
    letters = [chr(ord("a") + index) for index in range(len(epochs))]
    classes = class_order(epochs)
    names = [f"{epoch.run}/{epoch.table}@{epoch.epoch}" for epoch in epochs]
    sides = {name: stacked(name, [side], classes) for name, side in zip(names, selections, strict=True)}
    columns = [list(_columns([epoch], len(classes))) for epoch in epochs]
    items = ["a.id"]
    for name in _in_order(columns):
        held = [letter for letter, side in zip(letters, columns, strict=True) if name in side]
        items += [f"{letter}.{identifier(name)} AS {identifier(f'{name}_{letter}')}" for letter in held]
    counts = Counter(item.split(" AS ")[-1].casefold() for item in items)
    if counts.most_common(1)[0][1] > 1:
        raise BadInput(f"joined would have the column {counts.most_common(1)[0][0]} twice; ask in sql instead")
    sources = [f"{identifier(name)} {letter}" for name, letter in zip(names, letters, strict=True)]
    on = [f"JOIN {source} ON {letter}.id = a.id" for source, letter in zip(sources[1:], letters[1:], strict=True)]
    sql = f"SELECT {', '.join(items)}\nFROM " + "\n".join([sources[0], *on])
    return {**sides, "joined": Relation(sql, frozenset(file for side in sides.values() for file in side.files))}


def _in_order(columns: Sequence[Sequence[str]]) -> list[str]:
    """What the answer is about first, where it comes from last."""
    last = ["run", "epoch", "examples"]
    names = dict.fromkeys(name for held in columns for name in held if name not in {"id", *last})
    return [*names, *(name for name in last if any(name in held for held in columns))]


def single(selection: Selection) -> Epoch:
    """The one epoch of a selection that can be joined; raises BadInput for several, or ids that are not unique."""
    if len(selection.epochs) != 1:
        held = ", ".join(str(epoch.epoch) for epoch in selection.epochs)
        raise BadInput(f"{selection.name} is several epochs ({held}); a join takes one, as in {selection.run}@last")
    epoch = selection.epochs[0]
    if not epoch.unique:
        raise BadInput(f"{selection.name} has repeated or missing ids, so a join would multiply rows; it is refused")
    return epoch


def examples(epochs: Iterable[Epoch]) -> Relation:
    """What the rows are about: examples (the file's stem, as in the tables), id, digest, truth, image or content."""
    files = sorted({epoch.examples for epoch in epochs if epoch.examples is not None})
    if not files:
        raise BadInput("no table here has images or other content, so there are no examples")
    if missing := [path for path in files if not path.is_file()]:
        raise Damaged(f"examples file {missing[0]} is missing; restore it from a copy, or ask without examples")
    select = "SELECT parse_filename(filename, true) AS examples, * EXCLUDE (filename)"
    sql = f"{select}\n{_READ}{literal(files)}, union_by_name = true, filename = true)"
    return Relation(sql, frozenset(files))


def metrics(runs: Iterable[Run]) -> Relation:
    """run, step, epoch, name, value of everything that was logged beside the tables."""
    files = sorted(path for run in runs for path in run.metrics)
    if not files:
        return Relation(
            "SELECT '' AS run, 0::BIGINT AS step, 0 AS epoch, '' AS name, 0::DOUBLE AS value WHERE false", frozenset()
        )
    return Relation(f"SELECT *\n{_READ}{literal(files)})", frozenset(files))
