"""What rank 0 does for all ranks: it waits for their shares of an epoch, and says what became of it."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from secondguess.analysis.errors import BadInput, SecondguessError, listing
from secondguess.analysis.moments import Moment
from secondguess.analysis.schema import whole_name
from secondguess.analysis.store.examples import Batch, ExamplesWriter
from secondguess.analysis.store.session import Patience, Session, put, verdict
from secondguess.analysis.store.writer import RunWriter, writing
from secondguess.trainer.recording.merging import Merged, merged
from secondguess.trainer.recording.new_content import content_of
from secondguess.trainer.recording.ranks import Ranks
from secondguess.trainer.recording.shard import DIGEST, Shard, handed_in, note_of, own_shard

_log = logging.getLogger("secondguess")

_LEAVE_S = 5.0  # for the other ranks to hear that their last share is committed; then a record in the run says it


@dataclass(frozen=True)
class Gathered:
    """An epoch of all ranks: its rows, what its record says of the ranks, and how it is asked for."""

    rows: Merged
    about: Mapping[str, Any]


class Gathering:
    """Rank 0's side of a session: opened with the run, closed with it."""

    def __init__(self, writer: RunWriter, ranks: Ranks, about: Mapping[str, Any]) -> None:
        """Open the session of a run that has begun; about is its classes and config."""
        self._ranks = ranks
        self._run = writer.run.name
        self._committed: dict[str, list[int | str]] = {}
        self._lost: dict[str, dict[str, str]] = {}  # by table, and by the spelling of a moment, why
        self._died: set[str] = set()
        tables = writer.committed()
        with_steps = [table for table, epochs in tables.items() if any(each.has_steps for each in epochs.values())]
        said = {
            **about,
            "run": self._run,
            "session": ranks.session,
            "world_size": ranks.count,
            "committed": {table: [str(moment) for moment in moments] for table, moments in tables.items()},
            "with_steps": with_steps,
        }
        with writing(f"the ranks of run {self._run!r} cannot meet"):
            self._session = Session(writer.run.store, said)

    @contextmanager
    def deciding(self, table: str, moment: Moment) -> Iterator[None]:
        """Tell the other ranks that a moment of a table is committed when the block ends, else why it is lost."""
        try:
            yield
        except BaseException as error:
            why = str(error) if isinstance(error, SecondguessError) else f"rank 0: {type(error).__name__}: {error}"
            self._lost.setdefault(table, {})[str(moment)] = why
            self._say(table, moment, "lost", why)
            raise
        self._committed.setdefault(table, []).append(moment.plain)
        self._say(table, moment, "committed", None)

    def _say(self, table: str, moment: Moment, kind: str, why: str | None) -> None:
        about = {"table": table, "epoch": moment.epoch, "step": moment.step, "why": why}
        try:
            put(verdict(self._session.folder, table, moment, kind), about)
        except FileExistsError:
            pass
        except OSError as fault:  # the run's note says it, too
            _log.warning("the other ranks could not be told of %s: %s", whole_name(self._run, table, moment), fault)

    def gather(
        self, at: tuple[str, Moment], own: pa.Table, order: pa.Array | None, *, any_guess: bool, uneven: bool
    ) -> Gathered:
        """This moment of a table of all ranks, once the share of each is there.

        Raises SecondguessError naming the ranks that did not come in time or cannot, BadInput as `merged` does.
        """
        table, moment = at
        name = whole_name(self._run, table, moment)
        shards = [own_shard(0, own), *self._awaited(name, table, moment)]
        if not sum(shard.rows for shard in shards):
            raise BadInput(f"table {table!r} of epoch {moment} got no rows; add a batch before its block ends")
        rows = merged(name, shards, order, any_guess=any_guess, uneven=uneven)
        about = {"world_size": self._ranks.count, "rows": [shard.rows for shard in shards]}
        return Gathered(rows, {**about, "repeated": rows.repeats.rows})

    def _awaited(self, name: str, table: str, moment: Moment) -> list[Shard]:
        there: dict[int, Shard] = {}
        patience = Patience(self._ranks.patience_s)
        while True:
            missing = [rank for rank in range(1, self._ranks.count) if rank not in there]
            for rank in missing:
                if (shard := handed_in(self._session.seat(rank), rank, table, moment)) is not None:
                    there[rank] = shard
            missing = [rank for rank in missing if rank not in there]
            if not missing:
                return [there[rank] for rank in sorted(there)]
            if refusals := self._session.refusals():
                raise SecondguessError(f"{name} is not committed: {listing(refusals, 3)}")
            states = {rank: self._session.state(rank) for rank in missing}
            self._check_ends(name, table, moment, states)
            said = {rank: words for rank, (words, _) in states.items()}
            self._say_died(said, patience)
            if patience.over():
                raise SecondguessError(self._late(name, said))
            patience.rest(f"{name} waits for {_ranks(missing)}{self._alone(said)}")

    def _check_ends(self, name: str, table: str, moment: Moment, states: Mapping[int, tuple[str, Any]]) -> None:
        """Raise SecondguessError where a rank has ended without a fault: it saw another number of epochs."""
        for rank, (_, end) in states.items():
            again = handed_in(self._session.seat(rank), rank, table, moment)  # it may have come before that end
            if end is not None and end["fault"] is None and again is None:
                raise SecondguessError(
                    f"{name} is not committed: rank {rank} has ended its training without it; give all ranks the same "
                    "number of epochs and tables"
                )

    def _say_died(self, states: Mapping[int, str], patience: Patience) -> None:
        for rank, said in states.items():
            if said.startswith(("died", "ended")) and f"{rank} {said}" not in self._died:
                self._died.add(f"{rank} {said}")
                _log.warning(
                    "run %s: rank %d %s; waiting for it up to %g s: it can be started again with resume=True",
                    *(self._run, rank, said, patience.left_s),
                )

    def _late(self, name: str, states: Mapping[int, str]) -> str:
        said = listing((f"rank {rank} {state}" for rank, state in states.items()), 4)
        return (
            f"{name} is not committed: after {self._ranks.patience_s:g} s {said}; start again with resume=True, or "
            f"wait longer with Recorder(…, patience_s=…){self._alone(states)}"
        )

    def _alone(self, states: Mapping[int, str]) -> str:
        """What to do where no other rank came: a loop may mean to record on this one alone."""
        if len(states) < self._ranks.count - 1 or set(states.values()) != {"has not come"}:
            return ""
        return "; where rank 0 alone records, say Recorder(…, rank=0, world_size=1)"

    def take_examples(self, gathered: Gathered, writer: ExamplesWriter, classes: Sequence[str] | None) -> None:
        """Give the examples of the other ranks, and the content that is new to it, to the writer of the run's."""
        for shard in gathered.rows.shards[1:]:
            if shard.kind is None:
                continue
            unknown: dict[str, int] = {}
            for piece in shard.pieces([DIGEST]):
                unknown |= writer.unknown(piece[DIGEST].drop_null().to_pylist())
            for content in content_of(reversed(shard.content), unknown):
                writer.add(Batch([], [], None, content))
            names = ["id", DIGEST, *(["truth"] if shard.schema is not None and "truth" in shard.schema.names else [])]
            for piece in shard.pieces(names):
                piece = piece.filter(piece[DIGEST].is_valid())
                digests = piece[DIGEST].to_pylist()
                writer.add(Batch(piece["id"].combine_chunks(), digests, _truth(piece, classes)))

    def forget(self, gathered: Gathered) -> None:
        """Remove the shares of an epoch that is committed."""
        for shard in gathered.rows.shards:
            if shard.file is not None:
                with suppress(OSError):
                    shard.file.unlink()

    def meet(self) -> None:
        """Wait until all ranks have come, so that none finds a run that has ended: one may have nothing to record."""
        patience = Patience(self._ranks.patience_s)
        while missing := [rank for rank in range(1, self._ranks.count) if not self._session.has_come(rank)]:
            said = f"run {self._run} waits for {_ranks(missing)} to come"
            if patience.over() or self._session.refusals():
                _log.warning("run %s ends without %s", self._run, _ranks(missing))
                return
            patience.rest(said)

    def close(self, writer: RunWriter, fault: str | None) -> None:
        """Leave a record of the session in the run, for ranks that look when it is gone, and close it.

        fault is why the run does not end as it should.
        """
        about = {"session": self._ranks.session, "world_size": self._ranks.count, "fault": fault}
        try:
            writer.note(note_of(self._session.name), {**about, "tables": self._committed, "lost": self._lost})
        finally:
            self._session.close(_LEAVE_S if fault is None else 0.0)


def _ranks(numbers: Sequence[int]) -> str:
    return f"rank{'s' if len(numbers) > 1 else ''} {listing(numbers, 8)}"


def _truth(rows: pa.Table, classes: Sequence[str] | None) -> pa.Array | None:
    """The truths as the recorder has its own: over all classes, where they have names."""
    if "truth" not in rows.column_names:
        return None
    truth = rows["truth"].combine_chunks()
    if classes is None or not pa.types.is_dictionary(truth.type):
        return truth
    names = pa.array(classes, pa.string())
    return pa.DictionaryArray.from_arrays(pc.index_in(truth.cast(pa.string()), names), names)
