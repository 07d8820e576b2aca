"""Where the ranks of one training meet: a hidden folder of the store, with a seat for each rank but the first.

The first rank's process holds the lock of the folder, each other one's that of its seat, so that all see who lives. All
that they have to tell each other are records, put if absent; nothing is ever sent.
"""

import logging
import os
import socket
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from secondguess.analysis.errors import AlreadyThere, BadInput, SecondguessError
from secondguess.analysis.moments import Moment
from secondguess.analysis.objects.path import ObjectPath, look
from secondguess.analysis.schema import FORMAT_VERSION, encoded
from secondguess.analysis.store import records
from secondguess.analysis.store.disk import make_folder, put_record, remove_folder
from secondguess.analysis.store.lock import hold, is_held
from secondguess.analysis.store.workplace import RANKS, Workplace

_log = logging.getLogger("secondguess")

_SESSION = "session.json"
_LOOK_S = (0.01, 0.5)  # between two looks, at first and at most
_QUIET_S = 10.0  # of waiting, before it is said for whom

About = Mapping[str, Any]


class Session:
    """The first rank's side: it opens the session, and closing it removes all that lies there."""

    def __init__(self, store: Path, about: About) -> None:
        """Open a session; about is what the other ranks know it by, and need to know."""
        self._place = _InBucket(store) if isinstance(store, ObjectPath) else Workplace(store, RANKS)
        self.folder = self._place.path
        self.name = self.folder.name.removeprefix(RANKS)
        try:
            put(self.folder / _SESSION, {**about, **_who()})
        except BaseException:
            self._place.close()
            raise

    def seat(self, rank: int) -> Path:
        """Where a rank keeps what is its own."""
        return _seat(self.folder, rank)

    def has_come(self, rank: int) -> bool:
        """Whether a rank has taken its seat, at least once."""
        return bool(_all(self.seat(rank), "started-"))

    def refusals(self) -> list[str]:
        """Why ranks that came do not take part."""
        return [str(record["why"]) for record in _all(self.folder, "refused-")]

    def state(self, rank: int) -> tuple[str, About | None]:
        """What is known of a rank that is missing, in words, and the record of its end where it ended by itself."""
        seat = self.seat(rank)
        started = _all(seat, "started-")
        if not started:
            return "has not come", None
        who = f"process {started[-1]['pid']} on {started[-1]['host']}"
        if (ended := heard(seat / f"ended-{len(started):05d}.json")) is not None:
            return f"ended: {ended['fault'] or 'its Recorder was closed'} ({who})", ended
        return (f"is late ({who})" if is_held(seat) else f"died ({who})"), None

    def close(self, patience_s: float) -> None:
        """Remove the folder, when all other ranks have let go of their seats, or after so many seconds."""
        patience = Patience(patience_s)
        while not patience.over() and any(map(is_held, _folders(self.folder))):
            patience.rest("the other ranks end")
        self._place.close()


class _InBucket:
    """The session's folder in a bucket, where a workplace has none: it is there while it is leased."""

    def __init__(self, store: ObjectPath) -> None:
        for folder in _folders(store):
            if folder.name.startswith(RANKS) and not is_held(folder):
                remove_folder(folder)
        self.path = store / f"{RANKS}{uuid.uuid4().hex}"
        self._lock = hold(self.path)

    def close(self) -> None:
        """Remove it."""
        look(self.path)  # what others put there a moment ago goes, too
        remove_folder(self.path)
        self._lock.release()


class Seat:
    """Another rank's side: its place in the session whose first rank lives; the lock goes with the process.

    Raises BadInput where the session has another number of ranks, AlreadyThere where the rank has been taken, by a
    process that lives, or by any where it is not said to go on, SecondguessError where no session came.
    """

    def __init__(
        self,
        store: Path,
        key: About,
        place: tuple[int, int],
        *,
        patience_s: float,
        goes_on: bool,
        check: Callable[[], None],
    ) -> None:
        """Take the seat of the place (rank, of how many) in the session that is known by key.

        check raises where no such session can come.
        """
        self.rank, count = place
        self._session, self.about = _found(store, key, self.rank, (patience_s, check))
        self.name = self._session.name.removeprefix(RANKS)
        known = int(self.about["world_size"])
        if known != count:
            why = f"rank {self.rank} was told of {count} ranks, rank 0 of {known}; give all the same world_size"
            self.refuse(why)
            raise BadInput(why)
        self.folder = _seat(self._session, self.rank)
        make_folder(self.folder)
        try:
            self._lock = hold(self.folder)
        except BlockingIOError:
            raise AlreadyThere(f"rank {self.rank} of this training is there already, {self._last()}") from None
        self.attempt = len(_all(self.folder, "started-")) + 1
        if self.attempt > 1 and not goes_on:
            self._lock.release()
            raise AlreadyThere(
                f"rank {self.rank} of this training was started before, {self._last()}; start it again with resume=True"
            )
        put(self.folder / f"started-{self.attempt:05d}.json", _who())

    def refuse(self, why: str) -> None:
        """Tell the first rank that this one cannot take part."""
        with suppress(OSError):  # the launcher hears it, too
            put(self._session / f"refused-{self.rank:05d}.json", {"why": why})

    def _last(self) -> str:
        started = _all(self.folder, "started-")
        return f"as process {started[-1]['pid']} on {started[-1]['host']}" if started else "as another process"

    def lives(self) -> bool:
        """Whether the first rank goes on."""
        return is_held(self._session)

    def holds(self) -> bool:
        """Whether the seat is still this process's: not closed, and the session not removed."""
        return self._lock.holds()

    def verdict(self, table: str, moment: Moment) -> About | None:
        """What the first rank said of a moment of a table: that it is committed, or why it is lost; None so far."""
        return heard(verdict(self._session, table, moment, "committed")) or heard(
            verdict(self._session, table, moment, "lost")
        )

    def verdicts(self) -> list[tuple[str, Moment]]:
        """The tables' moments that were committed in this session."""
        records_of = [record for folder in _folders(self._session / "verdicts") for record in _all(folder, "")]
        return [(str(record["table"]), Moment.of(record)) for record in records_of if record["why"] is None]

    def end(self, fault: str | None) -> None:
        """Say that this rank takes no more part, and why where that is a fault."""
        if not (self.lives() and self.holds()):  # else what is put would make the folder anew
            return
        with suppress(FileExistsError, FileNotFoundError):  # the first rank may close the session at this moment
            put(self.folder / f"ended-{self.attempt:05d}.json", {"fault": fault})

    def close(self) -> None:
        """Let the seat go."""
        self._lock.release()


class Patience:
    """Waiting for what others do: looks more and more rarely, says once for whom, and knows when it is over."""

    def __init__(self, seconds: float) -> None:
        self._until = time.monotonic() + seconds
        self._quiet_until = time.monotonic() + _QUIET_S
        self._pause, self._most = _LOOK_S

    def over(self) -> bool:
        """Whether the time is up."""
        return time.monotonic() > self._until

    @property
    def left_s(self) -> float:
        """How long it lasts still, in seconds."""
        return max(0.0, self._until - time.monotonic())

    def rest(self, waits_for: str) -> None:
        """Wait a little; says what for once that has taken long."""
        if time.monotonic() > self._quiet_until:
            self._quiet_until = float("inf")
            _log.warning("%s", waits_for)
        time.sleep(self._pause)
        self._pause = min(self._most, self._pause * 1.5)


def put(path: Path, about: About) -> None:
    """Say something once; raises FileExistsError where it has been said."""
    put_record(path, {"format": FORMAT_VERSION, **about}, path.parent)


def heard(path: Path) -> About | None:
    """What was said there, None so far."""
    try:
        return records.read(path)
    except FileNotFoundError:
        return None


def verdict(session: Path, table: str, moment: Moment, kind: str) -> Path:
    """Where the first rank says what became of a moment of a table: committed, or lost."""
    return session / "verdicts" / encoded(table) / f"{moment.stem}-{kind}.json"


def _seat(session: Path, rank: int) -> Path:
    return session / f"rank-{rank:05d}"


def _who() -> dict[str, Any]:
    return {"pid": os.getpid(), "host": socket.gethostname()}


def _found(store: Path, key: About, rank: int, how: tuple[float, Callable[[], None]]) -> tuple[Path, About]:
    """The session that is known by key, once its first rank has opened it."""
    patience_s, check = how
    patience = Patience(patience_s)
    while True:
        for folder, about in _sessions(store):
            if all(about.get(name) == value for name, value in key.items()):
                return folder, about
        check()
        if patience.over():
            raise SecondguessError(
                f"rank {rank} waited {patience_s:g} s for rank 0 to begin run {key['run']!r} in {store}: none is "
                f"recording it there in the session {key['session']!r}; start all ranks with the same store, run and "
                "session"
            )
        patience.rest(f"rank {rank} waits for rank 0 to begin run {key['run']!r} in {store}")


def _sessions(store: Path) -> Iterator[tuple[Path, About]]:
    for folder in _folders(store):
        if folder.name.startswith(RANKS) and is_held(folder):
            about = heard(folder / _SESSION)
            if about is not None:
                yield folder, about


def _folders(folder: Path) -> list[Path]:
    try:
        return sorted(path for path in folder.iterdir() if path.is_dir())
    except FileNotFoundError:
        return []


def _all(folder: Path, beginning: str) -> list[About]:
    """The records of a folder whose names begin so, in order."""
    try:
        paths = sorted(path for path in folder.iterdir() if path.suffix == ".json")
    except FileNotFoundError:
        return []
    return [about for path in paths if path.name.startswith(beginning) and (about := heard(path)) is not None]
