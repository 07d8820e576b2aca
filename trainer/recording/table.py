"""One prediction table while it is being recorded, a batch at a time."""

import logging
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from secondguess.analysis.content import Undecodable
from secondguess.analysis.errors import BadInput, NotWritten
from secondguess.analysis.moments import Moment
from secondguess.analysis.schema import STEP, Task, folded, whole_name
from secondguess.analysis.store import parquet, verified
from secondguess.analysis.store.commits import EpochRows, ExamplesFile
from secondguess.analysis.store.examples import Batch, ExamplesWriter
from secondguess.analysis.store.rows import ids_of
from secondguess.analysis.store.writer import RunWriter
from secondguess.trainer.recording import columns, label_lists
from secondguess.trainer.recording.content import Content, Contents, same_length
from secondguess.trainer.recording.gathering import Gathering
from secondguess.trainer.recording.new_content import ContentWriter
from secondguess.trainer.recording.shard import DIGEST, KIND, ShardWriter

_log = logging.getLogger("secondguess")

_ORDER = ("run", "epoch", STEP, "id", "guess", "truth", "confidence", "truth_score")

WriteExamples = Callable[[], ExamplesFile | None]
Rows: TypeAlias = pa.Table | pa.RecordBatchReader
Commit = Callable[["TableRecorder", Rows, WriteExamples], None]


@dataclass(frozen=True)
class EpochOptions:
    """How an epoch is taken: the data set's name, the labels that stand for none, what becomes of repeated ids.

    uneven says that ranks may have other numbers of rows. task is what guesses and truths are, None where they tell.
    """

    dataset: str
    unlabelled: Collection[object] = ()
    first_of_repeated: bool = False
    uneven: bool = False
    task: Task | None = None


class TableRecorder:
    """A table that takes batches; a context manager, whose end commits the epoch unless an exception ends it."""

    def __init__(
        self,
        writer: RunWriter | ShardWriter,
        name: str,
        classes: Sequence[str] | None,
        commit: Commit,
        gathering: Gathering | None = None,
    ) -> None:
        """A table of the run that the writer has; with other ranks, gathering is what waits for them, on rank 0."""
        self.name = name
        self.moment = Moment(0)
        self.metrics: Mapping[str, float] = {}
        self._writer = writer
        self._classes = classes
        self._commit = commit
        self._gathering = gathering
        self._is_shared = gathering is not None or isinstance(writer, ShardWriter)
        self._said_repeats = Counter[bool]()
        self._about: Mapping[str, Any] | None = None
        self._examples: ExamplesWriter | ContentWriter | None = None
        first = min(writer.committed().get(name, {}).values(), key=lambda epoch: epoch.moment, default=None)
        known = first is not None and verified.fault(first.rows_file, kept=False) is None
        self._order = ids_of(first) if first is not None and known else None
        self._types = dict(first.columns) if first is not None else {}  # of the first epoch's columns, as records say
        self._contents = Contents()
        self._open = False

    @property
    def epoch(self) -> int:
        """The epoch that is open, or was last."""
        return self.moment.epoch

    @property
    def step(self) -> int | None:
        """The step within that epoch, None for its end."""
        return self.moment.step

    @property
    def _place(self) -> str:
        return whole_name(self._writer.run.name, self.name, self.moment)

    def begin(self, moment: Moment, how: EpochOptions, metrics: Mapping[str, float]) -> Self:
        """Start an epoch or a step of it; raises AlreadyThere where it is committed, BadInput where another is open."""
        self._writer.check_open()
        if self._open:
            raise BadInput(f"table {self.name!r} of epoch {self.moment} is still open; end its block first")
        self._writer.check_free(self.name, moment)
        self.moment, self.metrics, self._how = moment, metrics, how
        self._steps = moment.step is not None or self._writer.has_steps(self.name)
        self._repeated = Counter[bool]()  # rows of ids that were there, by whether their guess is the first one's
        self._guesses: dict[str, Any] = {}  # the first of each id, where repeated ones are left out
        self._batches: list[pa.Table] = []
        self._schema: pa.Schema | None = None
        self._kind: str | None = None
        self._ids: set[str] = set()
        self._lost = False
        self._undecodable: list[Undecodable] = []
        self._repeats: dict[str, int] = {}
        self._contents.begin()
        return self

    def __enter__(self) -> Self:
        self._open = True
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open = False
        try:
            if self._gathering is not None:
                with self._gathering.deciding(self.name, self.moment):
                    if error is not None:
                        raise error  # so that the other ranks hear why this epoch does not come
                    self._finish()
            elif kind is None:
                self._finish()
        finally:
            self._batches.clear()
            if self._examples is not None:
                self._examples.drop()

    def add(
        self,
        *,
        ids: Any = None,
        images: Any = None,
        content: Any = None,
        truth: Any = None,
        guess: Any = None,
        scores: Any = None,
        confidence: Any = None,
        channels: str | None = None,
        **extra: Any,
    ) -> None:
        """Add a batch of rows; nothing of a batch that is refused is kept.

        scores: probabilities, B x C, or B of the second of two classes; the guess is the largest, ties to the lowest
        class. guess may be given instead or besides; confidence, in [0, 1], beside a guess without scores. truth: class
        numbers or names, also one-hot, None where unlabelled. A data frame's columns go with the classes that they are
        called as. images: see `recording.images.pixels`; channels is "first" or "last" where their shape could be
        either. content: texts or B x K numbers, for examples that are no images. ids: text or integers; left out, the
        digest of the image or content is the id, `-2`, `-3` for repeats. A row whose image cannot be decoded is kept
        without it, and said. Raises BadInput.
        """
        if not self._open:
            raise BadInput(f"table {self.name!r} is not open; use it as `with recorder.table(…) as table:`")
        if channels not in (None, "first", "last"):
            raise BadInput(f"channels is {channels!r}; it is 'first' or 'last'")
        batch = self._labels(truth, guess, scores, confidence)
        rows = len(batch["guess"])
        what = self._contents.of(images, content, rows, channels)
        names = columns.texts(columns.plain(ids)) if ids is not None else None
        if names is None and self._is_shared:
            raise BadInput(
                "no ids, where several ranks record: two equal images on two ranks could not be told from one that a "
                "padded sampler gave to both; give ids=…, each example's place in the whole data set, or its name"
            )
        if names is None and (what.digests is None or any(images[row] is None for row in what.undecodable)):
            raise BadInput("neither ids nor images nor content: nothing says which example a row is about; give one")
        same_length(rows, ids=names, **{key: value for key, value in batch.items() if key == "truth"})
        repeats = dict(self._repeats)
        names = names if names is not None else _ids_of(what.digests or [], repeats)
        if self._steps and any(folded(key) == STEP for key in extra):
            raise BadInput(f"table {self.name!r} has steps, so no column {STEP!r} of one's own; call it another name")
        table = pa.table({"id": pa.array(names, pa.string()), **batch, **columns.extras(extra, rows)})
        if self._is_shared:
            table = table.append_column(DIGEST, what.column(rows))
        schema = self._fitting(table.schema, what.kind)
        kept: Sequence[int] = range(rows)
        if self._is_shared:
            pass  # rank 0 sees what is repeated, on all of them
        elif self._how.first_of_repeated:
            kept = self._first_of_each(names, table["guess"])
            table, names = table.take(pa.array(kept, pa.int64())), [names[row] for row in kept]
        else:
            self._each_once(names)
        lost, self._lost = self._lost, True  # should this fail, the examples would have rows that the table has not
        try:
            self._keep(what, table, kept)
        except OSError as error:
            raise NotWritten(f"a batch of {self._place} could not be kept", error) from error
        self._lost = lost
        self._schema, self._kind, self._repeats = schema, what.kind, repeats
        self._undecodable += what.undecodable.values()
        self._ids.update(names)
        self._batches.append(table)

    def _first_of_each(self, names: Sequence[str], guesses: pa.ChunkedArray) -> list[int]:
        """The rows whose id is there for the first time; the others are counted."""
        kept = []
        for row, (name, guess) in enumerate(zip(names, guesses.to_pylist(), strict=True)):
            if name in self._guesses:
                self._repeated[self._guesses[name] == guess] += 1
            else:
                self._guesses[name] = guess
                kept.append(row)
        return kept

    def _keep(self, what: Content, table: pa.Table, kept: Sequence[int]) -> None:
        """Give the rows of the table that have content to the examples; they are those rows of the batch."""
        writer, digests = self._writer_of(what.kind), what.digests
        if digests is not None:
            there = pa.array([row not in what.undecodable for row in kept], pa.bool_())
            kept, table = [row for row in kept if row not in what.undecodable], table.filter(there)
            digests = [digests[row] for row in kept]
        if not len(kept):
            return
        new = {digest: what.read(kept[at]) for digest, at in writer.unknown(digests or []).items()}
        truth = table["truth"].combine_chunks() if "truth" in table.column_names else None
        writer.add(Batch(table["id"].combine_chunks(), digests, truth, new))

    def committable(self, rows: Rows, examples: WriteExamples, metrics: Sequence[Any]) -> EpochRows:
        """The epoch as the store takes it."""
        return EpochRows(
            self.name,
            self.epoch,
            rows,
            self._classes,
            examples,
            metrics,
            step=self.step,
            has_steps=self._steps,
            ranks=self._about,
        )

    def _labels(self, truth: Any, guess: Any, scores: Any, confidence: Any) -> dict[str, pa.Array]:
        if self._how.task == "multi-label":
            return label_lists.labels(truth, guess, scores, self._classes, confidence)
        if confidence is not None and (guess is None or scores is not None):
            raise BadInput("confidence is given beside a guess without scores: with scores it follows from them")
        if guess is None and scores is None:
            raise BadInput("neither scores nor guess: a prediction table needs what the model said")
        scores_BxC = columns.probabilities(scores, self._classes) if scores is not None else None
        count = scores_BxC.shape[1] if scores_BxC is not None else None
        labels: dict[str, pa.Array] = {}
        if guess is not None:
            labels["guess"] = columns.labels(guess, "guess", self._classes, count)
        if truth is not None:
            labels["truth"] = columns.labels(truth, "truth", self._classes, count, self._how.unlabelled)
        if guess is not None and truth is not None:
            same_length(len(labels["guess"]), truth=labels["truth"])
            kinds = [values.type for values in labels.values() if not pa.types.is_null(values.type)]
            if len(set(map(pa.types.is_string, kinds))) > 1:
                raise BadInput(
                    "guess and truth are of unlike types, one text and one numbers; give both alike, or classes"
                )
        if self._how.task == "regression":
            labels = columns.numbers(labels, scores is not None or confidence is not None, self._classes)
        if confidence is not None:
            labels["confidence"] = columns.confidences(confidence)
            same_length(len(labels["guess"]), confidence=labels["confidence"])
        if scores_BxC is None:
            return labels
        same_length(len(scores_BxC), **labels)
        return {**columns.scored(scores_BxC, labels.get("guess"), labels.get("truth"), self._classes), **labels}

    def _each_once(self, ids: Sequence[str]) -> None:
        if len(set(ids)) == len(ids) and self._ids.isdisjoint(ids):
            return
        seen = set(self._ids)
        twice = [name for name in ids if name in seen or seen.add(name)]  # type: ignore[func-returns-value]
        raise BadInput(
            f"id {twice[0]!r} is there twice in {self.name!r} of epoch {self.moment} ({len(twice):,} such rows); "
            "an id names one example"
        )

    def _fitting(self, schema: pa.Schema, kind: str | None) -> pa.Schema:
        """The columns of all batches with those of a new one; raises BadInput where they do not go together."""
        if self._schema is None:
            return schema
        if set(schema.names) != set(self._schema.names):
            raise BadInput(f"this batch has the columns {schema.names}, the first one {self._schema.names}")
        if kind != self._kind:
            raise BadInput(f"every batch of a table has content of one kind: this has {kind}, the first {self._kind}")
        try:
            return pa.unify_schemas([self._schema, schema], promote_options="permissive")
        except pa.ArrowException as error:
            raise BadInput(f"a column of {self.name!r} changed its type between batches: {error}") from None

    def _writer_of(self, kind: str | None) -> ExamplesWriter | ContentWriter:
        if self._examples is None or self._examples.kind != kind or self._examples.dataset != self._how.dataset:
            dataset, incoming = self._how.dataset, self._writer.incoming
            if isinstance(self._writer, ShardWriter):
                self._examples = ContentWriter(self._writer.content, dataset, kind)
            else:
                self._examples = ExamplesWriter(self._writer.run.store, incoming, dataset, kind)
        return self._examples

    def _finish(self) -> None:
        self._writer.check_open()
        own = self._own()
        ids: pa.Array | None = None
        rows: Rows
        if self._gathering is not None:
            rows, ids = self._gathered(self._gathering, own)
        elif isinstance(self._writer, ShardWriter):
            rows = own
        else:
            rows = self._ordered(self._completed(own))
            ids = rows["id"].combine_chunks()
        if self._undecodable:
            count, first = len(self._undecodable), self._undecodable[0]
            _log.warning("%s: %d of %d rows have no image: %s", self._place, count, len(own), first)
        self._say_repeated()
        self._commit(self, rows, self._writer_of(self._kind).finish)
        self._order = ids if self._order is None else self._order
        self._types = self._types or dict(parquet.columns(rows.schema))
        self._contents.keep()

    def _say_repeated(self) -> None:
        """Say what is left out; where ranks repeat examples, once and when it changes: a sampler does in each epoch."""
        if (count := self._repeated.total()) and not (self._gathering and self._repeated == self._said_repeats):
            others = f", {self._repeated[False]} of them with another guess" if self._repeated[False] else ""
            _log.warning("%s: %d rows of ids that were there already are left out%s", self._place, count, others)
        self._said_repeats = self._repeated

    def _gathered(self, gathering: Gathering, own: pa.Table) -> tuple[pa.RecordBatchReader, pa.Array]:
        """The rows of all ranks as a stream, and their ids; the examples of the others are taken."""
        how = self._how
        gathered = gathering.gather(
            (self.name, self.moment), own, self._order, any_guess=how.first_of_repeated, uneven=how.uneven
        )
        merged, repeats = gathered.rows, gathered.rows.repeats
        self._kind = merged.kind
        writer = self._writer_of(self._kind)
        assert isinstance(writer, ExamplesWriter)
        gathering.take_examples(gathered, writer, self._classes)
        self._about = gathered.about
        self._repeated = Counter({True: repeats.rows - repeats.other_guess, False: repeats.other_guess})
        schema = self._completed(merged.schema.empty_table()).schema
        pieces = (self._completed(piece).cast(schema) for piece in merged.pieces())
        batches = (batch for piece in pieces for batch in piece.to_batches())
        return pa.RecordBatchReader.from_batches(schema, batches), merged.ids

    def _own(self) -> pa.Table:
        """All batches of this process as one table, with what tells their content where ranks share an epoch."""
        if self._lost:
            raise BadInput(
                f"a batch of {self.name!r} of epoch {self.moment} could not be kept, so the epoch is given up"
            )
        if not self._ids and not self._is_shared:
            raise BadInput(f"table {self.name!r} of epoch {self.moment} got no rows; add a batch before its block ends")
        if not self._batches:
            return pa.table({})
        own = pa.concat_tables(self._batches, promote_options="permissive")
        return own.replace_schema_metadata({KIND: self._kind or ""}) if self._is_shared else own

    def _completed(self, table: pa.Table) -> pa.Table:
        """Rows in the schema's order, with run and epoch."""
        for name in [column.name for column in table.schema if pa.types.is_null(column.type)]:
            # A column without any value has no type; what is no label waits for an epoch where it has one.
            values = table[name]
            table = table.drop_columns(name)
            if name in {"guess", "truth"}:
                table = table.append_column(name, values.cast(self._label_type(table, name)))
        there = [name for name in ("guess", "truth") if name in table.column_names]
        types = [table.schema.field(name).type for name in there]
        if (kind := columns.alike(types, self._types.get("guess"))) is not None:
            for name in there:
                at = table.column_names.index(name)
                table = table.set_column(at, name, table[name].cast(kind))
        run = pa.DictionaryArray.from_arrays(pa.array(np.zeros(len(table), np.int32)), [self._writer.run.name])
        table = table.append_column("run", run)
        table = table.append_column("epoch", pa.array(np.full(len(table), self.epoch, np.int32)))
        if self._steps:
            table = table.append_column(STEP, pa.array([self.step], pa.int64()).take(np.zeros(len(table), np.int64)))
        order = _ORDER if self._steps else [name for name in _ORDER if name != STEP]
        first = [name for name in order if name in table.column_names]
        scores = [name for name in table.column_names if name.startswith("score_")]
        rest = [name for name in table.column_names if name not in {*first, *scores}]
        return table.select([*first, *scores, *rest]).combine_chunks()

    def _label_type(self, table: pa.Table, name: str) -> pa.DataType:
        """The type of a column of guesses or truths that are all None: the other's, or what it was before."""
        others = [column.type for column in table.schema if column.name in {"guess", "truth"}]
        before = self._types.get(name) or self._types.get("guess", "int64")
        return next((kind for kind in others if not pa.types.is_null(kind)), pa.type_for_alias(before))

    def _ordered(self, table: pa.Table) -> pa.Table:
        """The rows in the first epoch's order, where they are about the same ids: later joins need no lookup then."""
        ids = table["id"].combine_chunks()
        if self._order is None or len(ids) != len(self._order) or ids.equals(self._order):
            return table
        places = pc.index_in(self._order, ids)
        return table.take(places) if places.null_count == 0 else table


def _ids_of(digests: Sequence[str], repeats: dict[str, int]) -> list[str]:
    ids = []
    for digest in digests:
        repeats[digest] = repeats.get(digest, 0) + 1
        ids.append(digest if repeats[digest] == 1 else f"{digest}-{repeats[digest]}")
    return ids
