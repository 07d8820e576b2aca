"""One rank's share of an epoch, and the writer that a rank has in the place of a run's: it hands shares to rank 0."""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa

from secondguess.analysis.errors import AlreadyThere, NotWritten, SecondguessError, listing
from secondguess.analysis.moments import Moment
from secondguess.analysis.schema import checked_name, encoded, whole_name
from secondguess.analysis.store import parquet
from secondguess.analysis.store.commits import EpochRows
from secondguess.analysis.store.disk import Part
from secondguess.analysis.store.records import Epoch
from secondguess.analysis.store.runs import Run, check_open, run_folder
from secondguess.analysis.store.session import Patience, Seat, heard, put
from secondguess.analysis.store.writer import check_begins, writing, written_once
from secondguess.trainer.recording.ranks import Ranks

DIGEST = "\x1fdigest"  # the column of a share that says what a row's content is; no user's column is called so
KIND = b"kind"  # in the metadata of a share's schema: image, text, numbers, or nothing


@dataclass(frozen=True)
class Shard:
    """What one rank has of an epoch: rows in its order, with the columns of its batches, and where new content lies."""

    rank: int
    rows: int
    schema: pa.Schema | None  # None where there are no rows
    pieces: Callable[[Sequence[str] | None], Iterator[pa.Table]]
    content: Sequence[Path] = ()
    file: Path | None = None

    @property
    def kind(self) -> str | None:
        """What the content of its rows is."""
        return ((self.schema.metadata or {}).get(KIND, b"").decode() or None) if self.schema is not None else None


def own_shard(rank: int, rows: pa.Table) -> Shard:
    """The share of the rank that gathers, which is in memory."""
    if not len(rows):
        return Shard(rank, 0, None, lambda names: iter(()))
    return Shard(rank, len(rows), rows.schema, lambda names: iter([rows if names is None else rows.select(names)]))


def handed_in(seat: Path, rank: int, table: str, moment: Moment) -> Shard | None:
    """A rank's share of a moment of a table, as its last start handed it in; None so far."""
    started = len([path for path in seat.iterdir() if path.name.startswith("started-")]) if seat.is_dir() else 0
    for attempt in range(started, 0, -1):
        if (record := heard(_record(seat, table, moment, attempt))) is not None:
            content = [seat / "content" / name for name in record["content"]]
            if record["file"] is None:
                return Shard(rank, 0, None, lambda names: iter(()))
            file = seat / record["file"]["name"]
            pieces = partial(parquet.row_groups, file)
            return Shard(rank, record["rows"], parquet.schema(file), pieces, content, file)
    return None


def _record(seat: Path, table: str, moment: Moment, attempt: int) -> Path:
    return seat / "handed-in" / encoded(table) / f"{moment.stem}-{attempt:05d}.json"


@dataclass(frozen=True)
class SharedRun:
    """A run as a rank sees it that does not write it: what it keeps by itself lies in `store`, its seat."""

    store: Path
    name: str
    about: Mapping[str, Any]


class ShardWriter:
    """Hands what this rank recorded to rank 0, which alone writes the run; in the place of a `RunWriter`."""

    def __init__(
        self, store: Path, name: str, ranks: Ranks, *, goes_on: bool, overwrites: bool, reopens: bool = False
    ) -> None:
        """Take part in the session of this start of the training, which rank 0 opens; raises as `Seat` does."""

        def check() -> None:
            if not overwrites:
                check_begins(store, name, goes_on=goes_on, reopens=reopens)

        key = {"run": checked_name("run", name), "session": ranks.session}
        self._ranks = ranks
        self._process = os.getpid()
        with writing(f"rank {ranks.rank} of run {name!r} could not take part"):
            self._seat = Seat(
                store, key, (ranks.rank, ranks.count), patience_s=ranks.patience_s, goes_on=goes_on, check=check
            )
        self._store = store
        self.run = SharedRun(self._seat.folder, name, {key: self._seat.about[key] for key in ("classes", "config")})
        self.incoming = self._seat.folder
        self.content = self._seat.folder / "content"
        self._content: list[str] = []
        self._handed = dict.fromkeys(_left(self._seat))  # by a start of this rank before, too
        committed: Mapping[str, list[str]] = self._seat.about["committed"]
        moments = [(table, Moment.parse(text)) for table, texts in committed.items() for text in texts]
        self._committed = {(table, moment) for table, moment in moments if moment is not None}
        self._committed |= set(self._seat.verdicts())
        self._with_steps = set(self._seat.about["with_steps"])
        self._last = max((moment for _, moment in (*self._committed, *self._handed)), default=Moment(0))

    @property
    def last(self) -> Moment:
        """The last moment of which anything was committed, or handed in by this rank, when this rank began."""
        return self._last

    def committed(self) -> Mapping[str, Mapping[Moment, Epoch]]:
        """No epoch: a rank needs none of them to record its share."""
        return {}

    def has_steps(self, table: str) -> bool:
        """Whether a column `step` of the table is that of its validations."""
        known = {known for known, moment in (*self._committed, *self._handed) if moment.step is not None}
        return table in known or table in self._with_steps

    def check_open(self) -> None:
        """Raise SecondguessError where this process may hand nothing in: forked, closed, or rank 0 gone."""
        if os.getpid() != self._process:
            raise SecondguessError(f"run {self.run.name!r} was opened by another process; only that one writes to it")
        if not self._seat.lives():
            raise SecondguessError(
                f"rank 0 of run {self.run.name!r} {self._fate()}, so that rank {self._seat.rank} records nothing more; "
                "start all ranks again with resume=True"
            )
        if not self._seat.holds():
            raise SecondguessError(f"rank {self._seat.rank} of run {self.run.name!r} is closed; it records no more")

    def check_free(self, table: str, moment: Moment) -> None:
        """Raise AlreadyThere where it is committed or handed in, BadInput for a step of an epoch whose end is."""
        there = {known for name, known in (*self._committed, *self._handed) if name == table}
        if moment in there or self._is_committed(table, moment):
            raise written_once(whole_name(self.run.name, table, moment))
        check_open(whole_name(self.run.name, table), moment, there)

    def _is_committed(self, table: str, moment: Moment) -> bool:
        said = self._seat.verdict(table, moment)
        return said is not None and said["why"] is None

    def commit(self, epoch: EpochRows) -> None:
        """Make this rank's share durable and known to rank 0; returns then, without waiting for the others.

        Raises AlreadyThere where it has been handed in, SecondguessError where rank 0 has given the epoch up.
        """
        self.check_open()
        name = whole_name(self.run.name, epoch.table, epoch.moment)
        try:
            self._hand_in(epoch, name)
        except NotWritten:
            if self._seat.lives():
                raise
            record = self._noted() or {"lost": {}}  # the session was closed at this moment
            why = record["lost"].get(epoch.table, {}).get(str(epoch.moment), f"rank 0 {self._fate()}")
            raise SecondguessError(f"{name} is not committed: {why}") from None
        self._handed[epoch.table, epoch.moment] = None
        said = self._seat.verdict(epoch.table, epoch.moment)
        if said is not None and said["why"] is not None:
            raise SecondguessError(f"{name} is not committed: {said['why']}")

    def _hand_in(self, epoch: EpochRows, name: str) -> None:
        with writing(f"rank {self._seat.rank}'s rows of {name} could not be handed in"):
            if (content := epoch.examples()) is not None:
                self._content.append(content.name)
            record = {
                "table": epoch.table,
                "epoch": epoch.epoch,
                "step": epoch.step,
                "rows": len(epoch.rows),
                "file": self._file(epoch),
                "content": self._content,
            }
            try:
                put(_record(self._seat.folder, epoch.table, epoch.moment, self._seat.attempt), record)
            except FileExistsError:
                raise AlreadyThere(f"rank {self._seat.rank} has handed {name} in already; it is taken once") from None

    def _file(self, epoch: EpochRows) -> dict[str, Any] | None:
        if not len(epoch.rows):
            return None
        with Part(self.incoming) as part:
            parquet.write_table(part, epoch.rows)
            folder = self._seat.folder / encoded(epoch.table)
            return parquet.publish(part, folder, f"epoch-{epoch.moment.stem}", len(epoch.rows))

    def end(self) -> None:
        """Take no more part, and wait until rank 0 has committed all that was handed in.

        Raises SecondguessError where it committed not all of that, saying why.
        """
        self._seat.end(None)
        patience = Patience(self._ranks.patience_s)
        waiting = [*self._handed]
        lost = []
        while waiting:
            lives = self._seat.lives()  # asked first: what the first rank said before it ended is heard below
            for at in [*waiting]:
                said = self._seat.verdict(*at)
                if said is not None:
                    waiting.remove(at)
                    lost += [str(said["why"])] if said["why"] is not None else []
            if waiting and not lives and (record := self._noted()) is not None:
                waiting = [at for at in waiting if at[1].plain not in record["tables"].get(at[0], [])]
                said_lost = [(at, record["lost"].get(at[0], {}).get(str(at[1]))) for at in waiting]
                lost += [why for _, why in said_lost if why is not None]
                waiting = [at for at, why in said_lost if why is None]
            if waiting and (not lives or patience.over()):
                state = f"is late ({self._ranks.patience_s:g} s)" if lives else self._fate()
                lost.append(f"rank 0 {state}, and has not committed {_listed(self.run.name, waiting)}")
                break
            if waiting:
                patience.rest(f"rank {self._seat.rank} waits for rank 0: {_listed(self.run.name, waiting)}")
        if lost:
            raise SecondguessError(f"rank {self._seat.rank} of run {self.run.name!r}: {listing(lost, 3)}")

    def _fate(self) -> str:
        """What became of a rank 0 that has gone."""
        record = self._noted()
        return "died" if record is None else f"has ended ({record['fault'] or 'as it should'})"

    def _noted(self) -> Mapping[str, Any] | None:
        """What rank 0 left in the run when it closed the session."""
        run = Run(self._store, self.run.name, run_folder(self._store, self.run.name))
        return heard(run.commits_folder / f"{note_of(self._seat.name)}.json")

    def refuse(self, why: object) -> None:
        """Tell rank 0 why this rank cannot take part."""
        self._seat.refuse(f"rank {self._seat.rank} cannot take part: {why}")

    def close(self, fault: str | None = None) -> None:
        """Let the seat go, saying why where that is before the end."""
        if fault is not None and self._seat.holds():
            self._seat.end(fault)
        self._seat.close()


def _left(seat: Seat) -> Iterator[tuple[str, Moment]]:
    """What former starts of a rank handed in to this session, which is not lost."""
    folder = seat.folder / "handed-in"
    for table in folder.iterdir() if folder.is_dir() else ():
        for path in table.iterdir():
            record = heard(path) if path.suffix == ".json" else None
            if record is not None:
                at = str(record["table"]), Moment.of(record)
                said = seat.verdict(*at)
                if said is None or said["why"] is None:
                    yield at


def note_of(session: str) -> str:
    """What the record of a session is called in its run."""
    return f"ranks-{session}"


def _listed(run: str, moments: Sequence[tuple[str, Moment]]) -> str:
    return listing((whole_name(run, table, moment) for table, moment in moments), 3)
