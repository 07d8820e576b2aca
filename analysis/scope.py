"""The relations that a question or a person's SQL reads: references and records turned into CTEs."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from string import ascii_lowercase

from analysis.errors import BadInput, Damaged
from analysis.refs import Selection
from analysis.schema import is_score, score_column
from analysis.sqltext import identifier, literal, read_parquet
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
_TEXT = {"string", "large_string"}


@dataclass(frozen=True)
class Relation:
    """A SELECT over files of the store, the files, and the classes behind its score_0, score_1, …."""

    sql: str
    files: frozenset[Path]
    classes: tuple[str, ...] = ()


def ctes(relations: Mapping[str, Relation]) -> str:
    """The relations as the list of a WITH."""
    return ",\n".join(f"{identifier(name)} AS (\n{relation.sql}\n)" for name, relation in relations.items())


def stacked(what: str, selections: Iterable[Selection], classes: Sequence[str] = ()) -> Relation:
    """The selections' rows under each other, their scores aligned by class; `what` names the relation in errors.

    The columns are the schema's own (NULL where a table lacks one), score_0 …, the users' columns, and `examples`, the
    stem of the file that describes a row's example. run is the run's name, or RUN/TABLE where several tables of a run
    are stacked. classes come first in the order of the scores, and have a column even where no table knows them.
    A column of the users' that is text in one table and not in another is text. Raises BadInput where guess or truth
    is: such tables are asked one by one.
    """
    epochs = list({(e.run, e.table, e.epoch): e for selection in selections for e in selection.epochs}.values())
    if not epochs:
        raise BadInput(f"{what} has no epochs yet; record one, or name another table")
    _same_labels(epochs)
    classes = class_order(epochs, classes)
    types = _columns(epochs, len(classes))
    names = run_names(epochs)
    kept: dict[Path, list[int]] = {}
    for epoch in epochs:
        kept.setdefault(epoch.file, []).append(epoch.epoch)
    branches: dict[tuple[object, ...], list[Epoch]] = {}
    for epoch in epochs:
        name = names[epoch.run, epoch.table]
        some = () if len(kept[epoch.file]) == len(epoch.file_epochs) else tuple(sorted(kept[epoch.file]))
        key = (epoch.columns, epoch.classes, name if name != epoch.recorded_as else None, epoch.examples, some)
        branches.setdefault(key, []).append(epoch)
    selects = [_select(group, names, classes, types) for group in branches.values()]
    return Relation("\nUNION ALL\n".join(selects), frozenset(epoch.file for epoch in epochs), tuple(classes))


def run_names(epochs: Iterable[Epoch]) -> dict[tuple[str, str], str]:
    """What the column run says of each (run, table): the run, or RUN/TABLE for a run with several tables here."""
    pairs = dict.fromkeys((epoch.run, epoch.table) for epoch in epochs)
    tables = Counter(run for run, _ in pairs)
    return {(run, table): run if tables[run] == 1 else f"{run}/{table}" for run, table in pairs}


def class_order(epochs: Iterable[Epoch], first: Sequence[str] = ()) -> list[str]:
    """The classes behind score_0, score_1, … when these epochs are read together, in order of first appearance."""
    return list(dict.fromkeys([*first, *(name for epoch in epochs for name in _classes(epoch))]))


def _columns(epochs: Iterable[Epoch], scores: int) -> dict[str, str]:
    """Each column of the stack, its SQL type, "" where only the file knows it; names that differ in case are one."""
    found: dict[str, tuple[str, set[str]]] = {}
    for name, kind in (column for epoch in epochs for column in epoch.columns):
        found.setdefault(name.casefold(), (name, set()))[1].add(kind)
    label = next((_common(found[name][1]) for name in ("guess", "truth") if name in found), "VARCHAR")
    types = {**_STANDARD, "guess": label, "truth": label}
    types.update({score_column(index): "FLOAT" for index in range(scores)})
    for folded, (name, kinds) in found.items():
        if folded not in types and not is_score(folded):
            types[name] = _common(kinds)
    if any(epoch.examples for epoch in epochs):
        types["examples"] = "VARCHAR"
    return types


def _common(kinds: set[str]) -> str:
    """The SQL type that holds a column of these Arrow types; "" leaves it to DuckDB."""
    if kinds & _TEXT:
        return "VARCHAR"
    return _SQL_TYPES.get(min(kinds), "") if len(kinds) == 1 else ""


def _select(
    group: Sequence[Epoch], names: Mapping[tuple[str, str], str], classes: Sequence[str], types: Mapping[str, str]
) -> str:
    """One branch: files of one layout, with one examples file and one choice of epochs."""
    first = group[0]
    run = names[first.run, first.table]
    own = {name.casefold(): kind for name, kind in first.columns if not is_score(name)}
    # Class by class, so that score_3 is the same class in every branch, whatever its place in the file.
    scores = {score_column(classes.index(name)): score_column(index) for index, name in enumerate(_classes(first))}
    items = []
    for name, kind in types.items():
        if name == "run" and run != first.recorded_as:
            items.append(f"{literal(run)} AS run")
        elif name == "examples" and first.examples is not None:
            items.append(f"{literal(first.examples.stem)} AS examples")
        elif name.casefold() in own:
            text = kind == "VARCHAR" and own[name.casefold()] not in _TEXT
            items.append(f"CAST({identifier(name)} AS VARCHAR) AS {identifier(name)}" if text else identifier(name))
        elif scores.get(name) == name:
            items.append(identifier(name))
        elif name in scores:
            items.append(f"{identifier(scores[name])} AS {identifier(name)}")
        else:
            items.append(f"{f'CAST(NULL AS {kind})' if kind else 'NULL'} AS {identifier(name)}")
    files = sorted({epoch.file for epoch in group})
    kept = sorted({epoch.epoch for epoch in group})
    whole = {epoch for member in group for epoch in member.file_epochs} == set(kept)
    where = "" if whole else f"\nWHERE epoch IN ({', '.join(map(str, kept))})"
    return f"SELECT {', '.join(items)}\nFROM {read_parquet(files)}{where}"


def _classes(epoch: Epoch) -> Sequence[str]:
    return (
        epoch.classes if epoch.classes is not None and epoch.scores else [str(index) for index in range(epoch.scores)]
    )


def _same_labels(epochs: Iterable[Epoch]) -> None:
    """Raise BadInput where guess or truth is text in one table and not in another, naming both."""
    first: dict[str, tuple[bool, str, str]] = {}
    for epoch in epochs:
        for name, kind in epoch.columns:
            found = (kind in _TEXT, kind, f"{epoch.run}/{epoch.table}@{epoch.epoch}")
            known = first.setdefault(name, found)
            if name in {"guess", "truth"} and known[0] != found[0]:
                raise BadInput(
                    f"{name} is {known[1]} in {known[2]}, but {found[1]} in {found[2]}, so these cannot be read "
                    f'together; name one of them, as in FROM "{found[2]}"'
                )


def joined(selections: Sequence[Selection]) -> dict[str, Relation]:
    """The relation `joined` and the tables it joins: a row per id that all have, every other column suffixed _a, _b, ….

    No two columns collide, since all of one side end alike. Raises BadInput for a selection of several epochs, or ids
    that are not unique.
    """
    epochs = [single(selection) for selection in selections]
    _same_labels(epochs)
    letters = ascii_lowercase[: len(epochs)]
    if len(letters) < len(epochs):
        raise BadInput(f"{len(epochs)} tables cannot stand side by side; {len(letters)} can")
    classes = class_order(epochs)
    names = [f"{epoch.run}/{epoch.table}@{epoch.epoch}" for epoch in epochs]
    sides = {name: stacked(name, [side], classes) for name, side in zip(names, selections, strict=True)}
    columns = [list(_columns([epoch], len(classes))) for epoch in epochs]
    items = ["a.id"]
    for name in _in_order(columns):
        held = [letter for letter, side in zip(letters, columns, strict=True) if name in side]
        items += [f"{letter}.{identifier(name)} AS {identifier(f'{name}_{letter}')}" for letter in held]
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
    source = read_parquet(files, "union_by_name = true", "filename = true")
    return Relation(f"{select}\nFROM {source}", frozenset(files))


def metrics(runs: Iterable[Run]) -> Relation:
    """run, step, epoch, name, value of everything that was logged beside the tables."""
    branches: dict[str | None, list[Path]] = {}
    for run in runs:
        renamed = run.name if run.about.get("name", run.name) != run.name else None
        branches.setdefault(renamed, []).extend(run.metrics)
    selects = [
        f"SELECT *{f' REPLACE ({literal(renamed)} AS run)' if renamed else ''}\nFROM {read_parquet(sorted(files))}"
        for renamed, files in branches.items()
        if files
    ]
    empty = "SELECT '' AS run, 0::BIGINT AS step, 0 AS epoch, '' AS name, 0::DOUBLE AS value WHERE false"
    return Relation(
        "\nUNION ALL\n".join(selects) or empty, frozenset(path for files in branches.values() for path in files)
    )
