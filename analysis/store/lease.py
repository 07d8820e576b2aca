"""Who is recording a run in a bucket: whoever renewed the lease on it in the last minute.

A lease is an object, `.lease/00001`, that its holder writes anew every fifteen seconds. One that was not written for a
minute has ended: whoever wants the run then puts the next number, if absent, and who held it before has lost it. The
bucket's times are held against this machine's clock, so two clocks that differ by most of a minute may let two writers
hold one run; even then each epoch is committed once, for that is a put-if-absent of its own.
"""

import atexit
import errno
import logging
import os
import threading
import time
from contextlib import suppress
from datetime import UTC, datetime

from secondguess.analysis import signals
from secondguess.analysis.errors import NotReached
from secondguess.analysis.objects.path import ObjectPath, delete, forget, look

LEASE_S = 60.0
RENEWED_EVERY_S = 15.0
LEASES = ".lease"

_log = logging.getLogger("secondguess")


class Leased(BlockingIOError):
    """The run is leased; the text says for how long, unless its holder renews it."""


class Lease:
    """The lease on a run's folder, renewed by a thread until it is released or this process ends.

    Raises Leased where another has it, OSError and NotReached where the bucket cannot be written or read.
    """

    def __init__(self, folder: ObjectPath) -> None:
        self._folder = folder / LEASES
        self._process = os.getpid()
        look(self._folder)
        before = _numbers(self._folder)
        if before and (rest := _rest_s(before[-1])) > 0:
            raise _leased(folder, rest)
        self._path = self._folder / f"{int(before[-1].name) + 1 if before else 1:05d}"
        try:
            self._path.put(self._content(), absent=True)
        except FileExistsError:
            raise _leased(folder, LEASE_S) from None
        try:
            _try_twice(self._path)
        except BaseException:
            with suppress(OSError):
                self._path.unlink()
            raise
        self._etag, self._renewed, self._lost = self._path.etag, time.monotonic(), False
        self._released = threading.Event()
        self._changing = threading.Lock()
        with suppress(OSError):  # the numbers before it hold nothing any more
            delete(before)
        forget(folder)  # who had it before may have written until now
        self._withdraw = signals.promise(self._give_back)
        atexit.register(self._give_back)
        threading.Thread(target=self._renew_always, name="secondguess-lease", daemon=True).start()

    def _content(self) -> bytes:
        return f"{os.uname().nodename} {self._process} {time.time_ns()}\n".encode()

    def holds(self) -> bool:
        """Whether it is still this process's: neither released nor taken over."""
        if os.getpid() != self._process or self._released.is_set():
            return False
        if time.monotonic() - self._renewed > LEASE_S / 2:
            with suppress(OSError, NotReached):
                self._renew()
        return not self._lost

    def _renew_always(self) -> None:
        while not self._released.wait(RENEWED_EVERY_S) and not self._lost:
            with suppress(OSError, NotReached):  # the next time is soon
                self._renew()

    def _renew(self) -> None:
        """Write it anew, where it is as this process left it; else it is lost. Raises OSError, NotReached."""
        with self._changing:
            if self._released.is_set() or self._lost:
                return
            look(self._folder)
            if self._path.etag != self._etag or _numbers(self._folder)[-1] != self._path:
                self._lost = True
                _log.warning("another process has taken over %s: its lease had ended", self._folder.parent)
                return
            self._path.put(self._content())
            self._etag, self._renewed = self._path.etag, time.monotonic()

    def release(self) -> None:
        """Let the run go."""
        self._withdraw()
        atexit.unregister(self._give_back)
        self._give_back()

    def _give_back(self) -> None:
        if os.getpid() != self._process:  # a forked child leaves its parent's
            return
        with self._changing:
            if not self._released.is_set():
                self._released.set()
                if not self._lost:
                    with suppress(OSError):
                        self._path.unlink()


def is_leased(folder: ObjectPath) -> bool:
    """Whether some process is recording the run in this folder, as far as its objects are known."""
    numbers = _numbers(folder / LEASES)
    return bool(numbers) and _rest_s(numbers[-1]) > 0


_heeding: set[str] = set()


def _try_twice(path: ObjectPath) -> None:
    """Raise OSError where a put-if-absent overwrites: not every server that speaks S3 heeds the condition.

    Asked once of a bucket in a process, for an object that is there.
    """
    url = path.bucket.url
    if url in _heeding:
        return
    try:
        path.put(b"", absent=True)
    except FileExistsError:
        _heeding.add(url)
        return
    said = "its server overwrites what is to be put only if absent (If-None-Match: *), so two writers could"
    raise OSError(errno.ENOTSUP, f"{said} destroy each other's epochs; record to a folder, or to another server", url)


def _numbers(folder: ObjectPath) -> list[ObjectPath]:
    return sorted(path for path in folder.iterdir() if path.name.isdecimal()) if folder.is_dir() else []


def _rest_s(lease: ObjectPath) -> float:
    """For how long it goes on unless it is renewed, seconds."""
    return LEASE_S - (datetime.now(UTC).timestamp() - lease.stat().st_mtime)


def _leased(folder: ObjectPath, rest_s: float) -> Leased:
    rest = max(1, round(rest_s))
    said = f"another process has it, or had until it died; its lease ends in {rest} s unless it is renewed"
    return Leased(errno.EWOULDBLOCK, said, str(folder))
