"""Labels in a file of their own: read, made like those of the table that they are for, joined to it, and said how."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from secondguess.analysis.errors import BadInput, listing
from secondguess.analysis.importers.classes import as_text
from secondguess.analysis.importers.label_lists import lists_of, reading
from secondguess.analysis.importers.source import SourceTable
from secondguess.analysis.importers.words import recognised
from secondguess.analysis.moments import Moment
from secondguess.analysis.schema import LISTS, at_epoch, reference
from secondguess.analysis.store.labels import KeyedLabels, LabelledTable, Matched
from secondguess.analysis.store.runs import Run

_SHOWN = 3


@dataclass(frozen=True)
class LabelsOptions:
    """Where labels are: the key's column, in the table and the file or else in the file only, and the label's."""

    on: str | None = None
    truth: str | None = None
    replace: bool = False


@dataclass(frozen=True)
class LabelsFile:
    """The labels of a file by their keys, as text; nulls rows have no key. Lists, if they are, are JSON text."""

    place: str
    key: str
    truth: str
    keys: pa.Array
    texts: pa.Array
    nulls: int
    are_lists: bool = False


def read_labels(table: SourceTable, place: str, options: LabelsOptions) -> LabelsFile:
    """Read a file of labels; raises BadInput for columns that are not there, and for keys that come more than once."""
    rows = table.read()
    key, truth = _columns(rows.schema, place, options)
    keys, texts = [pa.nulls(0, pa.string())], [pa.nulls(0, pa.string())]
    are_lists = pa.types.is_nested(rows.schema.field(truth).type)
    for batch in rows.batches([key, truth]):
        keys.append(as_text(batch.column(key), batch.schema.field(key)).cast(pa.string()))
        labels = batch.column(truth)
        texts.append(_as_json(labels) if are_lists else as_text(labels, batch.schema.field(truth)).cast(pa.string()))
    every, labels = pa.concat_arrays(keys), pa.concat_arrays(texts)
    there = every.is_valid()
    kept = every.filter(there)
    counts = pc.value_counts(kept)
    repeated = counts.filter(pc.greater(counts.field("counts"), 1)).field("values")
    if len(repeated):
        some = listing(repeated.slice(0, _SHOWN).to_pylist())
        more = ", …" if len(repeated) > _SHOWN else ""
        raise BadInput(
            f"{place} has {len(repeated):,} values of {key!r} more than once ({some}{more}), so it is not known which "
            "label counts; leave one row for each, or name another key with --on"
        )
    told = (kept.cast(pa.large_string()), labels.filter(there), every.null_count)
    return LabelsFile(place, key, truth, *told, are_lists)


def _as_json(labels: pa.Array) -> pa.Array:
    return pa.array([None if one is None else json.dumps(one, default=str) for one in labels.to_pylist()], pa.string())


def _columns(schema: pa.Schema, place: str, options: LabelsOptions) -> tuple[str, str]:
    names = schema.names
    for option, told in (("on", options.on), ("truth", options.truth)):
        if told is not None and told not in names and (option == "truth" or "id" not in names):
            raise BadInput(f"{place} has no column {told!r} for --{option}; it has: {listing(names)}")
    meant = recognised(names)
    key = options.on if options.on in names else next(iter(["id"] if "id" in names else meant.columns("id")), None)
    rest = [name for name in names if name != key]
    labels = [name for role in ("truth", "label") for name in meant.columns(role) if name != key]
    truth = options.truth or next(iter(labels), None) or (rest[0] if len(rest) == 1 else None)
    if key is None:
        raise BadInput(f"{place}: which column is the key? name it with --on; it has: {listing(names)}")
    if truth is None:
        raise BadInput(f"{place}: which column is the label? name it with --truth; it has: {listing(names)}")
    return key, truth


def label(
    run: Run, table: str, epochs: Sequence[Moment], file: LabelsFile, key: str, *, replace: bool = False
) -> list[str]:
    """Label epochs of a table of a run, whose lock is held, on its column key; returns what is to be said of it.

    Raises BadInput where nothing matches, labels and guesses are of unlike types, or labels contradict those there.
    """
    there = LabelledTable(run, table, epochs, key)
    values, notes = _fitted(file, there)
    labels = KeyedLabels(file.keys, values)
    found = there.match(labels)
    lines = list(_lines(run.name, table, file, key, found))
    name = at_epoch(reference(run.name, table), listing(epochs))
    if not any(each.matched for each in found):
        own = run.tables[table][epochs[0]]
        raise BadInput(
            f"{lines[0]}; so nothing is labelled. Keys of {file.place} are {_some(file.keys)}; name the columns that "
            f"mean the same with --on; {own.name} has: {listing(name for name, _ in own.columns)}"
        )
    others = sum(each.contradicted for each in found)
    if others and not replace:
        raise BadInput(
            f"{lines[0]}; {others:,} rows of {name} have another label already; --replace takes those of {file.place}"
        )
    if others or any(each.gained for each in found):
        there.write(labels)
    return [*lines, *notes]


def _some(keys: pa.Array) -> str:
    more = ", …" if len(keys) > _SHOWN else ""
    return listing(keys.slice(0, _SHOWN).to_pylist()) + more


def _lines(run: str, table: str, file: LabelsFile, key: str, found: Sequence[Matched]) -> Iterator[str]:
    """How the keys matched, one line for the epochs that are alike in that."""
    alike: dict[tuple[int, ...], list[Moment]] = {}
    for each in found:
        counts = (each.matched, each.only_rows, each.only_labels, each.repeated, each.nulls, each.gained)
        alike.setdefault((*counts, each.contradicted), []).append(each.epoch)
    how = key if key == file.key else f"{key} = {file.key}"
    for (matched, rows, labels, repeated, nulls, gained, others), epochs in alike.items():
        name = at_epoch(reference(run, table), listing(epochs))
        odd = [
            f"{count:,} {what}"
            for count, what in (
                (repeated, f"with a repeated key in {name}"),
                (nulls, f"without a key in {name}"),
                (file.nulls, f"without a key in {file.place}"),
            )
            if count
        ]
        yield (
            f"joined {name} with {file.place} on {how}: {matched:,} matched, {rows:,} only in {name}, {labels:,} only "
            f"in {file.place}, {', '.join([*odd, ''])}{others:,} with another truth; {gained:,} rows labelled"
        )


def _fitted(file: LabelsFile, there: LabelledTable) -> tuple[pa.Array, list[str]]:
    """The labels in the type that the table's are of, and what is said of that; raises BadInput where they are not."""
    texts, kind, classes = file.texts, there.kind, there.classes
    if kind is not None and kind.startswith(LISTS):
        return _listed(file, kind, classes), []
    if file.are_lists:
        raise BadInput(
            f"{file.truth!r} in {file.place} has lists in its cells, and the table has one label a row; name a column "
            "with one label a row with --truth"
        )
    numbers = _whole(texts)
    if kind is None:
        kind = "string" if numbers is None else "int64"
    if kind in {"string", "large_string"}:
        if classes is not None and numbers is not None and not set(texts.unique().to_pylist()) & set(classes):
            names = pa.array(classes, pa.string()).take(pc.index_in(numbers, pa.array(range(len(classes)), pa.int64())))
            if names.null_count == numbers.null_count:
                return names, [f"{file.truth}: numbers, taken as places among {listing(classes, 6)}"]
        return texts, _unknown(texts, classes)
    is_real = kind in {"float", "double", "halffloat"}
    try:
        if is_real:
            real = texts.cast(pa.float64())
            return pc.if_else(pc.is_nan(real), None, real).cast(pa.type_for_alias(kind)), []  # NaN is no label
        if numbers is not None:
            return numbers.cast(pa.type_for_alias(kind)), []
    except pa.ArrowException:
        pass
    what = "numbers" if is_real else "whole numbers"
    todo = "; import it with --classes 'NAME,NAME,…', in the order of its numbers, then label it"
    raise BadInput(
        f"the labels in {file.place}, column {file.truth!r}, are no {what} ({_some(texts.unique().drop_null())}), but "
        f"the table's are {kind}{'' if is_real else todo}"
    )


def _listed(file: LabelsFile, kind: str, classes: Sequence[str] | None) -> pa.Array:
    """The labels as lists, as the table's are: of names, or of numbers where its classes have no names."""
    lists = lists_of(file.texts.drop_null().to_pylist())
    if lists is None:
        raise BadInput(
            f"the table has several labels a row, but {file.truth!r} in {file.place} has not a list of labels in each "
            f'cell ({_some(file.texts.unique().drop_null())}); write them as ["cat", "dog"], in JSON or Parquet'
        )
    about = f"the labels in {file.place}, column {file.truth!r}, are"
    if lists.names and "int" in kind:
        raise BadInput(
            f"{about} names ({listing(sorted(lists.names)[:_SHOWN])}), but the table's are numbers; import it with "
            "--classes 'NAME,NAME,…', in their order, then label it"
        )
    if classes is None and (lists.width is not None or (not lists.names and "string" in kind)):
        what = "0 and 1 for each class" if lists.width is not None else "numbers"
        raise BadInput(
            f"{about} {what}, but the table's classes are not told; write lists of labels as its guesses are"
        )
    named = "string" in kind or ("null" in kind and (lists.names or classes is not None))
    own = pa.list_(pa.string() if named else pa.int64())
    return reading(file.truth, lists, own, classes)(file.texts.to_pylist())


def _unknown(texts: pa.Array, classes: Sequence[str] | None) -> list[str]:
    """Which labels are none of the classes."""
    others = sorted(set(texts.unique().drop_null().to_pylist()) - set(classes)) if classes is not None else []
    return [f"{len(others):,} labels are none of the classes: {listing(others, _SHOWN)}"] if others else []


def _whole(texts: pa.Array) -> pa.Array | None:
    """The labels as whole numbers, where all are."""
    try:
        return texts.cast(pa.int64())
    except pa.ArrowException:
        return None


def key_of(run: Run, table: str, epochs: Sequence[Moment], on: str | None) -> str:
    """The column of a table that labels are joined on: the one of that name, or else the ids."""
    columns = {name for epoch in epochs for name, _ in run.tables[table][epoch].columns}
    return on if on is not None and on in columns else "id"
