"""Labels that come after the predictions: joined to a table's rows, and committed in a record that supersedes theirs.

All epochs that are labelled come in one file and one record, so that no answer has some of the labels. What was there
stays until the run is compacted: whoever reads it at the moment goes on reading it.
"""

import contextlib
import itertools
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from secondguess.analysis.errors import BadInput, Damaged, listing
from secondguess.analysis.moments import Moment
from secondguess.analysis.schema import STEP, encoded, is_score, whole_name
from secondguess.analysis.store import examples, parquet, verified
from secondguess.analysis.store.commits import ExamplesFile, now, verdicts
from secondguess.analysis.store.disk import Part, put_record
from secondguess.analysis.store.records import format_of, named, span, stored_file
from secondguess.analysis.store.runs import Run
from secondguess.analysis.store.tally import Tally
from secondguess.analysis.store.upkeep import epoch_groups, merged_metrics
from secondguess.analysis.store.writer import writing

_Named = tuple[str, dict[str, Any]]


@dataclass(frozen=True)
class KeyedLabels:
    """Labels by key: texts, each once and none NULL, and the label of each, of the type that the table's have."""

    keys: pa.Array
    values: pa.Array


@dataclass(frozen=True)
class Matched:
    """How the labels' keys match those of one epoch; keys count once, repeated and nulls are rows of the epoch.

    gained rows had no label, contradicted ones another one.
    """

    epoch: Moment
    matched: int
    only_rows: int
    only_labels: int
    repeated: int
    nulls: int
    gained: int
    contradicted: int


class LabelledTable:
    """The epochs of one table of a run, whose lock is held, that are to be labelled on a column."""

    def __init__(self, run: Run, table: str, epochs: Sequence[Moment], key: str) -> None:
        self._run, self._table, self._epochs, self._key = run, table, set(epochs), key
        live = run.commits[table]
        self._live: list[_Named] = [
            (name, record) for name, record in live if set(map(Moment.of, record["epochs"])) & self._epochs
        ]
        self._records = [record for _, record in self._live]
        self._places: dict[Moment, pa.Array] = {}
        self._paths = [run.folder / record["file"]["name"] for record in self._records]
        self._check()

    @property
    def classes(self) -> list[str] | None:
        """The names of the classes, None where they are numbers."""
        names: list[str] | None = self._records[0]["classes"]
        return names

    @property
    def _right(self) -> str | None:
        right: str | None = self._records[0].get("right")
        return right

    @property
    def kind(self) -> str | None:
        """The Arrow type that labels must have; None where there are neither guesses nor labels."""
        return min(self._kinds(), default=None)

    def _kinds(self) -> set[str]:
        columns = [column for record in self._records for column in record["columns"]]
        kinds = {kind for name, kind in columns if name in {"guess", "truth"} and kind != "null"}
        return {kind for kind in kinds if "null" not in kind} or kinds  # lists without any label are of any kind

    def _check(self) -> None:
        name = whole_name(self._run.name, self._table)
        if len(self._kinds()) > 1:
            raise BadInput(f"{name}: guess and truth are {listing(sorted(self._kinds()))}; label each epoch by its own")
        if len({STEP in record["epochs"][0] for record in self._records if STEP in dict(record["columns"])}) > 1:
            raise BadInput(
                f"{name}: the column {STEP!r} is that of its validations in some epochs only; label one at a time"
            )
        if any(record["classes"] != self.classes or record.get("right") != self._right for record in self._records):
            raise BadInput(f"{name}: its epochs have unlike classes or verdicts; label one at a time, as in {name}@1")
        for record in self._records:
            names = [column for column, _ in record["columns"]]
            if self._key not in names:
                raise BadInput(f"{name} has no column {self._key!r} to join on; it has: {listing(names)}")
        files = [stored_file(self._run.folder, record["file"]) for record in self._records]
        for path, said in verified.faults(files).items():
            raise Damaged(f"{name} cannot be labelled: {path} {said}; restore it from a copy")
        try:
            pa.unify_schemas([parquet.widened(parquet.schema(path)) for path in self._paths])
        except pa.ArrowException as error:
            raise BadInput(f"{name}: its epochs have unlike columns ({error}); label one at a time") from None

    def match(self, labels: KeyedLabels) -> list[Matched]:
        """How the labels would fit, nothing written; one for each epoch, in order."""
        found = {epoch: Matched(epoch, 0, 0, len(labels.keys), 0, 0, 0, 0) for epoch in sorted(self._epochs)}
        groups = epoch_groups(self._run.folder, self._records, [self._key, "truth"])
        for epoch, those in itertools.groupby(groups, key=lambda group: group[0]):
            if epoch in found:
                found[epoch] = self._matched(epoch, [group for _, group in those], labels)
        return list(found.values())

    def _matched(self, epoch: Moment, groups: Sequence[pa.Table], labels: KeyedLabels) -> Matched:
        keys = pa.concat_arrays([_texts(group[self._key]) for group in groups])
        # Each look-up builds a table of all labels first: it is done once for an epoch, and its outcome kept.
        places = self._places[epoch] = pc.index_in(keys, labels.keys)
        new, kind = labels.values.take(places), labels.values.type
        old = pa.concat_arrays([_truth_of(group, kind) for group in groups])
        known, nulls = pc.count_distinct(places).as_py(), keys.null_count
        missing = pc.count_distinct(keys.filter(pc.and_(keys.is_valid(), places.is_null()))).as_py()
        return Matched(
            epoch=epoch,
            matched=known,
            only_rows=missing,
            only_labels=len(labels.keys) - known,
            repeated=len(keys) - nulls - known - missing,
            nulls=nulls,
            gained=pc.sum(pc.and_(old.is_null(), new.is_valid())).as_py() or 0,
            contradicted=pc.sum(pc.fill_null(pc.not_equal(_comparable(old), _comparable(new)), False)).as_py() or 0,
        )

    def write(self, labels: KeyedLabels) -> None:
        """Commit the rows with the labels that were matched, which take the place of others; raises NotWritten."""
        run, incoming = self._run, self._run.folder / ".incoming"
        commits = run.commits_folder / encoded(self._table)
        with writing(f"the labels of {whole_name(run.name, self._table)} could not be recorded"):
            entries, file, schema, shown = self._written(labels)
            record: dict[str, Any] = {
                "format": format_of(map(Moment.of, entries)),
                "committed": now(),
                "file": file,
                "columns": parquet.columns(schema),
                "classes": self.classes,
                **verdicts(self._right),
                "epochs": entries,
                "metrics": merged_metrics(run, self._records),
                "examples": {**_said_of_examples(self._records), **shown},
                "supersedes": [name for name, _ in self._live],
            }
            try:
                put_record(*named(commits, record), incoming)
            except BaseException:
                with contextlib.suppress(OSError):
                    (run.folder / file["name"]).unlink()
                raise

    def _written(
        self, labels: KeyedLabels
    ) -> tuple[list[dict[str, Any]], dict[str, Any], pa.Schema, dict[str, dict[str, Any]]]:
        """The entries of the epochs, the file with their rows and its schema, and what is said of new examples."""
        run = self._run
        old = {Moment.of(entry): entry for record in self._records for entry in record["epochs"]}
        schema = self._schema(labels.values.type)
        tallies = {epoch: Tally(self._right) for epoch in old}
        told: dict[str, list[pa.Table]] = {}
        with Part(run.folder / ".incoming") as part:
            with parquet.open_writer(part, schema) as writer:
                for epoch, group in epoch_groups(run.folder, self._records):
                    rows = self._labelled(epoch, group, labels, schema)
                    tallies[epoch].add(rows)
                    writer.write_table(rows)
                    if epoch in self._epochs and (name := old[epoch]["examples"]) is not None:
                        told.setdefault(name, []).append(rows.select(["id", "truth"]))
                shown = {name: self._examples(name, pa.concat_tables(tables)) for name, tables in told.items()}
                entries = [
                    _entry(old[epoch], tallies[epoch], shown if epoch in self._epochs else {}) for epoch in sorted(old)
                ]
                if any(STEP in entry for entry in entries):  # an epoch that came before the first step has it now
                    entries = [{STEP: None, **entry} for entry in entries]
                about = {"run": run.about.get("name", run.name), "table": self._table, "epochs": entries}
                about["format"] = format_of(map(Moment.of, entries))
                about |= {"about": dict(run.about), "classes": self.classes, **verdicts(self._right)}
                writer.add_key_value_metadata(parquet.footer(about))
            stem = f"{'epoch' if len(entries) == 1 else 'epochs'}-{span(entries)}"
            count = sum(entry["rows"] for entry in entries)
            file = parquet.publish(part, run.folder / encoded(self._table), stem, count)
        return entries, file, schema, {f.name: {"bytes": f.size, "sha256": f.sha256} for f in shown.values() if f}

    def _schema(self, kind: pa.DataType) -> pa.Schema:
        """The columns of all records, with truth beside the guess, and truth_score where there are scores."""
        schema = pa.unify_schemas([parquet.widened(parquet.schema(path)) for path in self._paths])
        schema = schema.remove_metadata()
        if "truth" not in schema.names:
            after = schema.names.index("guess" if "guess" in schema.names else "id") + 1
            same = schema.field("guess").type if "guess" in schema.names else kind
            same = kind if pa.types.is_list(same) and pa.types.is_null(same.value_type) else same
            schema = schema.insert(after, pa.field("truth", same))
        elif pa.types.is_null(schema.field("truth").type):
            schema = schema.set(schema.names.index("truth"), pa.field("truth", kind))
        several = pa.types.is_list(schema.field("truth").type)  # of which none has the score of its own
        if any(map(is_score, schema.names)) and "truth_score" not in schema.names and not several:
            after = schema.names.index("confidence" if "confidence" in schema.names else "truth") + 1
            schema = schema.insert(after, pa.field("truth_score", pa.float32()))
        return schema

    def _labelled(self, epoch: Moment, group: pa.Table, labels: KeyedLabels, schema: pa.Schema) -> pa.Table:
        """Rows of one epoch, labelled if they are to be, with the columns of the schema."""
        truth = _truth_of(group, labels.values.type)
        if epoch in self._epochs:
            places = self._places[epoch]
            self._places[epoch] = places.slice(len(group))
            truth = pc.coalesce(labels.values.take(places.slice(0, len(group))), truth)
        columns: dict[str, Any] = {
            field.name: group[field.name] if field.name in group.column_names else pa.nulls(len(group), field.type)
            for field in schema
        }
        columns["truth"] = truth
        scores = [name for name in group.column_names if is_score(name)]
        if scores and "truth_score" in schema.names:
            columns["truth_score"] = _scores_of(truth, self.classes, [group[name] for name in scores])
        return pa.table([_cast(columns[field.name], field.type) for field in schema], schema=schema)

    def _examples(self, name: str, rows: pa.Table) -> ExamplesFile | None:
        """The examples with their labels; None where they cannot be read, and stay as they are."""
        store = self._run.store
        said = _said_of_examples(self._records).get(name, {})
        file = verified.StoredFile(store, store / "examples" / name, said.get("sha256"), said.get("bytes"))
        if verified.fault(file) is not None:
            return None
        return examples.relabelled(file.path, self._run.folder / ".incoming", rows)


def _said_of_examples(records: Sequence[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {name: said for record in records for name, said in record.get("examples", {}).items()}


def _entry(old: dict[str, Any], tally: Tally, shown: dict[str, ExamplesFile | None]) -> dict[str, Any]:
    """What a record says of an epoch whose labels have changed, and nothing else."""
    new = tally.entry(old["epoch"], None, unique=old["unique"])
    file = shown.get(old["examples"] or "")
    kept = {key: new[key] for key in ("errors", "unlabelled", "id_set", "id_truth_set")}
    return {**old, **kept, "examples": file.name if file is not None else old["examples"]}


def _scores_of(truth: pa.Array, classes: Sequence[str] | None, scores: Sequence[Any]) -> pa.Array:
    """Each label's score, NULL where it is none of the classes, or not a number."""
    names = pa.array(classes if classes is not None else map(str, range(len(scores))), pa.string())
    places = pc.index_in(_texts(truth).cast(pa.string()), names)
    filled = [pc.fill_null(score, np.nan) for score in scores]
    own = pc.choose(places, *[column.combine_chunks() for column in filled])
    return pc.if_else(pc.is_nan(own), None, own)


def _truth_of(group: pa.Table, kind: pa.DataType) -> pa.Array:
    return _plain(group["truth"]).cast(kind) if "truth" in group.column_names else pa.nulls(len(group), kind)


def _comparable(labels: pa.Array) -> pa.Array:
    """The labels as what Arrow compares, which lists are not."""
    if not pa.types.is_list(labels.type):
        return labels
    return pa.array([None if row is None else json.dumps(row) for row in labels.to_pylist()], pa.string())


def _plain(column: Any) -> pa.Array:
    """The column in one piece, out of its dictionary."""
    whole = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    return whole.cast(whole.type.value_type) if pa.types.is_dictionary(whole.type) else whole


def _cast(column: Any, kind: pa.DataType) -> pa.Array:
    plain = _plain(column)
    if pa.types.is_dictionary(kind):
        return plain.cast(kind.value_type).dictionary_encode().cast(kind)
    return plain.cast(kind)


def _texts(column: Any) -> pa.Array:
    """A key as text: whole numbers without a point."""
    plain = _plain(column)
    if pa.types.is_floating(plain.type):
        whole = pc.and_(pc.equal(pc.floor(plain), plain), pc.less(pc.abs(plain), float(1 << 53)))
        texts = pc.if_else(whole, plain, None).cast(pa.int64()).cast(pa.large_string())
        return pc.coalesce(texts, plain.cast(pa.large_string()))
    return plain.cast(pa.large_string())
