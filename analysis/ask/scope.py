"""The relations that a question or a person's SQL reads: references and records turned into CTEs."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from secondguess.analysis.ask import computed, example_files
from secondguess.analysis.ask.refs import Selection, called, metrics_notes
from secondguess.analysis.engine.kinds import Kind, kind_of
from secondguess.analysis.engine.sqltext import as_text, identifier, literal, read_parquet
from secondguess.analysis.errors import BadInput, Damaged, listing
from secondguess.analysis.moments import Moment
from secondguess.analysis.schema import (
    COMPUTED,
    LISTS,
    STEP,
    TASKS,
    WRONG,
    folded,
    is_score,
    read_as,
    score_column,
    whole_name,
)
from secondguess.analysis.store import verified
from secondguess.analysis.store.records import Epoch
from secondguess.analysis.store.runs import Run

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
# How labels may be spelt, each with what one of them is called, from what an import can change to what it would be.
_ONE_OF = {
    "numbers": "a number",
    "lists of numbers": "a list of numbers",
    "lists": "a list",
    "lists of names": "a list of names",
    "names": "a name",
}
# Where a row stands in its file, which orders rows as they were recorded; DuckDB gives the column this name.
PLACE = "file_row_number"

EXAMPLES_LEFT_OUT = "left out examples"  # what begins the note on an examples file that is gone or damaged
_NO_EXAMPLES = "SELECT '' AS examples, '' AS id, '' AS digest, CAST(NULL AS STRUCT(bytes BLOB, path VARCHAR)) AS image"

RunNames = Mapping[tuple[str, str], str]
"""What the column run says of each (run, table)."""


@dataclass(frozen=True)
class Relation:
    """A SELECT over files of the store, the files, and the classes behind its score_0, score_1, ….

    columns are the columns' names, each with what it holds: number, text, boolean, date, media, list or other. inline
    says that each use reads the files anew, only what it needs of them: DuckDB gathers in memory what is used twice.
    notes are what its reader should know: files that are left out, classes that a table does not have. verdicts says
    that the rows of some of its tables are right or wrong by a column of theirs, or not at all, instead of by guess
    against truth.
    """

    sql: str
    files: frozenset[Path]
    classes: tuple[str, ...] = ()
    columns: Mapping[str, Kind] = field(default_factory=dict)
    inline: bool = False
    notes: tuple[str, ...] = ()
    verdicts: bool = False


def ctes(relations: Mapping[str, Relation]) -> str:
    """The relations as the list of a WITH."""
    return ",\n".join(
        f"{identifier(name)} AS {'NOT MATERIALIZED ' if relation.inline else ''}(\n{relation.sql}\n)"
        for name, relation in relations.items()
    )


def all_files(relations: Mapping[str, Relation]) -> frozenset[Path]:
    """Every file that the relations read."""
    return frozenset(file for relation in relations.values() for file in relation.files)


def all_notes(relations: Mapping[str, Relation]) -> list[str]:
    """What readers of the relations should know, each thing once."""
    return list(dict.fromkeys(note for relation in relations.values() for note in relation.notes))


def has_verdicts(relations: Mapping[str, Relation]) -> bool:
    """Whether the rows of some table are right or wrong by a column of theirs, or not at all."""
    return any(relation.verdicts for relation in relations.values())


def shared_classes(relations: Iterable[Relation]) -> tuple[str, ...]:
    """The names behind score_0, score_1, … where all relations with scores agree on them."""
    class_lists = {relation.classes for relation in relations if relation.classes}
    return min(class_lists) if len(class_lists) == 1 else ()


def stacked(
    what: str,
    selections: Iterable[Selection],
    classes: Sequence[str] = (),
    *,
    place: bool = False,
    added: Sequence[str] = (),
    steps: bool = False,
    names: RunNames | None = None,
) -> Relation:
    """The selections' rows under each other, their scores aligned by class; `what` names the relation in errors.

    The columns are the schema's own (NULL where a table lacks one), score_0 …, the users' columns, and `examples`, the
    stem of the file that describes a row's example. run is what names says, else the run's own name. classes come first
    in the order of the scores, and have a column even where no table knows them. added are columns that are computed
    (`ask.computed`), as WRONG. Where a table has steps, or some that is shown beside these, STEP follows the epoch, and
    a column of the user's of that name is called source_step. With place, a last column PLACE says where the row stands
    in its file.
    A column that is text in one table and not in another is text; where it is guess or truth, a note says so.
    """
    epochs = list({(e.run, e.table, e.moment): e for selection in selections for e in selection.epochs}.values())
    if not epochs:
        raise BadInput(f"{what} has no epochs yet; record one, or name another table")
    layouts = _layouts(epochs)  # thousands of epochs have few
    classes = class_order(layouts, classes)
    steps = steps or has_steps(epochs)
    types = columns(layouts, len(classes), steps=steps)
    if any(epoch.examples_file is not None for epoch in epochs):
        types["examples"] = "VARCHAR"
    names = {(epoch.run, epoch.table): epoch.run for epoch in epochs} if names is None else names
    kept: dict[Path, list[Moment]] = {}
    for epoch in epochs:
        kept.setdefault(epoch.file, []).append(epoch.moment)
    branches: dict[tuple[object, ...], list[Epoch]] = {}
    for epoch in epochs:
        name = names[epoch.run, epoch.table]
        some = () if len(kept[epoch.file]) == len(epoch.in_file) else tuple(sorted(kept[epoch.file]))
        layout = (epoch.columns, epoch.classes, epoch.right, epoch.has_steps)
        key = (layout, name if name != epoch.recorded_as else None, epoch.examples, some)
        branches.setdefault(key, []).append(epoch)
    more = (*added, *([PLACE] if place else []))
    selects = [_select(group, names, (classes, steps), types, more) for group in branches.values()]
    files = frozenset(epoch.file for epoch in epochs)
    kinds = _kinds(layouts, types, steps=steps) | {name: computed.KINDS.get(name, "number") for name in more}
    notes = (
        *_unlike_labels(layouts),
        *_unjudged(layouts, added),
        *_without_classes(epochs, classes),
        *(_own_steps(epochs) if steps else ()),
    )
    verdicts = any(epoch.right is not None or epoch.task == "regression" for epoch in epochs)
    return Relation("\nUNION ALL\n".join(selects), files, tuple(classes), kinds, notes=notes, verdicts=verdicts)


def _layouts(epochs: Iterable[Epoch]) -> list[Epoch]:
    """One epoch of each choice of columns and classes, the first that has it."""
    firsts: dict[object, Epoch] = {}
    for epoch in epochs:
        firsts.setdefault((epoch.columns, epoch.classes, epoch.has_steps), epoch)
    return list(firsts.values())


def run_names(runs: Mapping[str, Run], chosen: Iterable[Selection]) -> RunNames:
    """What answers call these tables in the column run: the same whatever other tables are shown."""
    return {(each.run, each.table): called(runs[each.run], each.table) for each in chosen}


def class_order(epochs: Iterable[Epoch], first: Sequence[str] = ()) -> list[str]:
    """The classes behind score_0, score_1, … when these epochs are read together, in order of first appearance."""
    return list(dict.fromkeys([*first, *(name for epoch in epochs for name in epoch.score_classes)]))


def _without_classes(epochs: Iterable[Epoch], classes: Sequence[str]) -> tuple[str, ...]:
    """Which of the classes that are read together an epoch with scores does not have."""
    without: dict[tuple[str, ...], list[str]] = {}
    if all(set(classes) <= set(epoch.score_classes) for epoch in _layouts(epochs) if epoch.scores):
        return ()
    for epoch in epochs:
        known = set(epoch.score_classes)
        if epoch.scores and (missing := tuple(name for name in classes if name not in known)):
            without.setdefault(missing, []).append(epoch.name)
    return tuple(
        f"{listing(names, 3)}: no class {listing(missing, 6)}, so no score of {'it' if len(missing) == 1 else 'them'}"
        for missing, names in without.items()
    )


def has_steps(epochs: Iterable[Epoch]) -> bool:
    """Whether some of these are validations at a step within an epoch."""
    return any(epoch.step is not None for epoch in epochs)


def _unjudged(epochs: Iterable[Epoch], added: Sequence[str]) -> tuple[str, ...]:
    """Which tables are asked for what is wrong in them, and have numbers as guesses."""
    numbers = dict.fromkeys(each.name for each in epochs if WRONG in added and each.task == "regression")
    return tuple(f"{name}: guesses are numbers, so no row is right or wrong" for name in numbers)


def _own_steps(epochs: Iterable[Epoch]) -> tuple[str, ...]:
    """Which tables have a column `step` that is not the step of their validations."""
    own = [epoch for epoch in epochs if not epoch.has_steps and any(folded(name) == STEP for name, _ in epoch.columns)]
    tables = dict.fromkeys(whole_name(epoch.run, epoch.table) for epoch in own)
    new = dict.fromkeys(name for epoch in own for name, _ in columns_of(epoch, steps=True) if name.endswith(STEP))
    return tuple(
        f"{table}: its column {STEP!r} is called {listing(new)!r} beside validations' steps" for table in tables
    )


def columns_of(epoch: Epoch, *, steps: bool = False) -> list[tuple[str, str]]:
    """The columns that an epoch's file gives a relation, by the names they have there, each with its Arrow type.

    steps says that the relation has the steps of validations.
    """
    return list(_as_read(epoch.columns, steps=steps and not epoch.has_steps))


@lru_cache(1_000)  # the epochs of a run have the same columns
def _as_read(columns: tuple[tuple[str, str], ...], *, steps: bool) -> tuple[tuple[str, str], ...]:
    names = read_as([name for name, _ in columns], (*COMPUTED, STEP) if steps else COMPUTED)
    return tuple((name, kind) for name, (_, kind) in zip(names, columns, strict=True))


def columns(epochs: Iterable[Epoch], scores: int, *, steps: bool = False) -> dict[str, str]:
    """Each column of the stack, its SQL type, "" where only the file knows it; names that differ in case are one."""
    kinds_by_name: dict[str, tuple[str, set[str]]] = {}
    for name, kind in (column for epoch in epochs for column in columns_of(epoch, steps=steps)):
        kinds_by_name.setdefault(folded(name), (name, set()))[1].add(kind)
    labels = {kind for name in ("guess", "truth") if name in kinds_by_name for kind in kinds_by_name[name][1]}
    label = _common(labels) if labels else "VARCHAR"
    before, after = (dict(list(_STANDARD.items())[part]) for part in (slice(2), slice(2, None)))
    types = {**before, **({STEP: "BIGINT"} if steps else {}), **after, "guess": label, "truth": label}
    types.update({score_column(index): "FLOAT" for index in range(scores)})
    for low, (name, kinds) in kinds_by_name.items():
        if low not in types and not is_score(low):
            types[name] = _common(kinds)
    return types


def _common(arrow_types: set[str]) -> str:
    """The SQL type that holds a column of these Arrow types; "" leaves it to DuckDB."""
    kinds = {kind_of(kind) for kind in arrow_types - {"null"}}
    if (
        arrow_types & _TEXT
        or len(kinds) > 1
        or (kinds == {"date"} and len({kind.partition("[")[0] for kind in arrow_types}) > 1)
    ):
        return "VARCHAR"
    return _SQL_TYPES.get(min(arrow_types), "") if len(arrow_types) == 1 else ""


def _kinds(epochs: Iterable[Epoch], types: Mapping[str, str], *, steps: bool) -> dict[str, Kind]:
    """What each column of the stack holds."""
    arrow_types: dict[str, set[str]] = {}
    for name, kind in (column for epoch in epochs for column in columns_of(epoch, steps=steps)):
        arrow_types.setdefault(folded(name), set()).add(kind)
    known = {"VARCHAR": "string", "BIGINT": "int64", "INTEGER": "int32", "FLOAT": "float", "DOUBLE": "double"}
    # A table without a truth has the column in what is read nevertheless, of the guess's type.
    labels = arrow_types.get("guess", set()) | arrow_types.get("truth", set())
    return {name: kind_of(known.get(sql) or min(arrow_types.get(folded(name), labels))) for name, sql in types.items()}


def _select(
    group: Sequence[Epoch],
    names: RunNames,
    order: tuple[Sequence[str], bool],
    types: Mapping[str, str],
    more: Sequence[str],
) -> str:
    """One branch: files of one layout, with one examples file and one choice of epochs.

    order is the classes in the order of the scores, and whether the relation has steps.
    """
    first, (classes, steps) = group[0], order
    run = names[first.run, first.table]
    read = zip(columns_of(first, steps=steps), first.columns, strict=True)
    own = {folded(name): file_column for (name, _), file_column in read if not is_score(name)}
    # Class by class, so that score_3 is the same class in every branch, whatever its place in the file.
    scores = {score_column(classes.index(name)): score_column(index) for index, name in enumerate(first.score_classes)}
    items = []
    for name, kind in types.items():
        if name == "run" and run != first.recorded_as:
            items.append(f"{literal(run)} AS run")
        elif name == "examples" and first.examples is not None:
            items.append(f"{literal(first.examples.stem)} AS examples")
        elif folded(name) in own:
            items.append(_own(name, kind, own[folded(name)]))
        elif scores.get(name) == name:
            items.append(identifier(name))
        elif name in scores:
            items.append(f"{identifier(scores[name])} AS {identifier(name)}")
        else:
            items.append(f"{f'CAST(NULL AS {kind})' if kind else 'NULL'} AS {identifier(name)}")
    files = sorted({epoch.file for epoch in group})
    kept = {epoch.moment for epoch in group}
    there = {id(member.in_file): member.in_file for member in group}.values()  # that of a record once
    whole = {moment for moments in there for moment in moments} == kept
    where = "" if whole else f"\nWHERE {_rows_at(kept, steps=first.has_steps)}"
    options = ["file_row_number = true"] if PLACE in more else []
    items += [name if name == PLACE else f"{computed.sql(name, first, first.score_classes)} AS {name}" for name in more]
    return f"SELECT {', '.join(items)}\nFROM {read_parquet(files, *options)}{where}"


def _rows_at(kept: Iterable[Moment], *, steps: bool) -> str:
    """The condition that rows are of these moments; steps says that their files tell the steps of an epoch apart.

    The epochs come first: row groups without them are not read.
    """
    by_epoch: dict[int, list[Moment]] = {}
    for moment in sorted(kept):
        by_epoch.setdefault(moment.epoch, []).append(moment)
    epochs = f"epoch IN ({', '.join(map(str, by_epoch))})"
    if not steps:
        return epochs
    parts = []
    for epoch, moments in by_epoch.items():
        numbers = ", ".join(str(moment.step) for moment in moments if moment.step is not None)
        own = [f"{STEP} IN ({numbers})"] if numbers else []
        own += [f"{STEP} IS NULL"] if moments[-1].step is None else []
        parts.append((epoch, " OR ".join(own)))
    if len(parts) == 1:
        return f"{epochs} AND ({parts[0][1]})"
    return f"{epochs} AND ({' OR '.join(f'(epoch = {epoch} AND ({own}))' for epoch, own in parts)})"


def _own(name: str, sql: str, file_column: tuple[str, str]) -> str:
    """A column of a file, which has it by this name and Arrow type, with the name and SQL type of the relation."""
    source, kind = file_column
    column = identifier(name if folded(source) == folded(name) else source)
    if sql == "VARCHAR" and kind not in _TEXT:
        return f"{as_text(column, kind_of(kind))} AS {identifier(name)}"
    return column if column == identifier(name) else f"{column} AS {identifier(name)}"


def same_labels(epochs: Iterable[Epoch]) -> None:
    """Raise BadInput where guess or truth is spelt in two ways, as by names and by numbers, naming a table of each."""
    for name, one, other in _unlike(epochs):
        raise BadInput(
            f"{name} is {_kind_in(one, name)} in {one.name}, but {_kind_in(other, name)} in {other.name}, so they "
            f"cannot be compared; {_remedy(one, other)}"
        )


def _unlike_labels(epochs: Iterable[Epoch]) -> tuple[str, ...]:
    """What a reader should know of labels that are spelt in two ways, of which none equals one of the other."""
    unlike = list(_unlike(epochs))
    if not unlike:
        return ()
    label, one, other = unlike[0]
    here, there = (_spelling(_kind_in(epoch, label)) for epoch in (one, other))
    return (
        f"{listing(name for name, _, _ in unlike)}: {here} in {one.name}, but {there} in {other.name}, so all are read "
        f"as text, and none of the {here} equals {_ONE_OF[there]}; {_remedy(one, other)}",
    )


def _unlike(epochs: Iterable[Epoch]) -> Iterator[tuple[str, Epoch, Epoch]]:
    """The names of guess and truth that are spelt in two ways, with the first table of each, names last."""
    epochs = _layouts(epochs)
    for name in ("guess", "truth"):
        firsts = {_spelling(kind): epoch for epoch in reversed(epochs) if (kind := _kind_in(epoch, name))}
        if len(firsts) > 1 and any(spelling.startswith("lists of ") for spelling in firsts):
            firsts.pop("lists", None)
        if len(firsts) > 1:
            one, other, *_ = (firsts[spelling] for spelling in _ONE_OF if spelling in firsts)
            yield name, one, other


def _spelling(kind: str | None) -> str:
    """How labels of an Arrow type are spelt: a key of _ONE_OF; lists that are all empty are like any others."""
    if kind is None or not kind.startswith(LISTS):
        return "names" if kind in _TEXT else "numbers"
    inner = kind.partition(": ")[2].partition(">")[0].partition(" ")[0]
    return "lists" if inner == "null" else "lists of names" if inner in _TEXT else "lists of numbers"


def _kind_in(epoch: Epoch, name: str) -> str | None:
    """The Arrow type of a label in an epoch; None where it has none, or nothing but NULL."""
    kind = dict(epoch.columns).get(name)
    return None if kind == "null" else kind


def _remedy(one: Epoch, other: Epoch) -> str:
    """How numbers become names, where that is what keeps two tables apart."""
    if one.task != other.task:
        return f"one is a table of {TASKS[one.task]}, the other of {TASKS[other.task]}: look at each by itself"
    return (
        f"import {one.run} anew with --classes 'NAME,NAME,…', in the order of its numbers, so that its labels are "
        "names too"
    )


def examples(epochs: Iterable[Epoch], *, place: bool = False, spare: bool = False) -> Relation:
    """What the rows are about: examples (the file's stem, as in the tables), id, digest, truth, image or content.

    With place it is read anew by each use, and a last column PLACE says where an example stands in its file. A file
    that is gone or damaged is left out and noted; where all are, there are no rows if they can be spared, else that
    raises Damaged.
    """
    epochs = list(epochs)
    named = {epoch.examples_file for epoch in epochs if epoch.examples_file is not None}
    if not named:
        raise BadInput("no table here has images or other content, so there are no examples")
    faults = verified.faults(named)
    files = sorted({file.path for file in named} - set(faults))
    rows = {path: sum(epoch.rows for epoch in epochs if epoch.examples == path) for path in faults}
    notes = tuple(
        f"{EXAMPLES_LEFT_OUT}: {path} {said}, so {rows[path]:,} rows have no image or content"
        for path, said in sorted(faults.items())
    )
    if not files and spare:
        return Relation(
            _NO_EXAMPLES + (f", 0::BIGINT AS {PLACE}" if place else "") + " WHERE false", frozenset(), notes=notes
        )
    if not files:
        path, said = min(faults.items())
        raise Damaged(f"examples file {path} {said}; restore it from a copy, or ask without examples")
    sql, unlike = example_files.read(files, ["file_row_number = true"] if place else [])
    return Relation(sql, frozenset(files), inline=place, notes=(*notes, *unlike))


def metrics(runs: Iterable[Run]) -> Relation:
    """run, step, epoch, name, value of everything that was logged beside the tables."""
    branches: dict[str | None, list[Path]] = {}
    notes: list[str] = []
    for run in runs:
        renamed = run.name if run.about.get("name", run.name) != run.name else None
        faults = verified.faults(run.metrics_files)
        branches.setdefault(renamed, []).extend(path for path in run.metrics if path not in faults)
        notes += metrics_notes(run, faults)
        if run.damage():
            notes.append(f"the metrics of {run.name} are short of those that its unreadable records name")
    selects = [
        f"SELECT *{f' REPLACE ({literal(renamed)} AS run)' if renamed else ''}\nFROM {read_parquet(sorted(files))}"
        for renamed, files in branches.items()
        if files
    ]
    empty = "SELECT '' AS run, 0::BIGINT AS step, 0 AS epoch, '' AS name, 0::DOUBLE AS value WHERE false"
    return Relation(
        "\nUNION ALL\n".join(selects) or empty,
        frozenset(path for files in branches.values() for path in files),
        notes=tuple(notes),
    )
