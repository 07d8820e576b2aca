"""A server's connections: few, none that takes long to say what it wants, and a log that nobody can flood.

uvicorn bounds how many requests it answers at once, but neither how many connections are open nor the time of a head.
"""

import asyncio
import logging
import resource
import time
from contextlib import suppress
from typing import Any, Literal

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

HEADERS = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "referrer-policy": "same-origin",
    "cache-control": "no-store",
}
"""What every answer carries, also the server's own to what is no request."""
HEAD_S, BODY_S = 5, 30  # seconds for a head, and for what follows it
MOST = 200  # connections
_FILES = 4_096  # that may be open: the connections, and what is read for them
_LOGS = ("uvicorn.error", "asyncio", "secondguess")
_Part = Literal["head", "body", "answer", "idle"]
_SECONDS: dict[_Part, float] = {"head": HEAD_S, "body": BODY_S}


class BoundedProtocol(H11Protocol):
    """One connection: closed where a head or a body does not come, or where others need its place."""

    _part: _Part = "head"
    _since = 0.0
    _timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take the connection, in the place of one that has not asked yet if there are too many."""
        super().connection_made(transport)
        self._now("head")
        if len(self.connections) > MOST:
            places = [each for each in self.connections if isinstance(each, BoundedProtocol) and each._goes_first]
            min(places, key=lambda each: (each._part == "idle", each._since), default=self)._drop()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget what was waited for."""
        self._now("answer")
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read on; what comes after an answer begins a head."""
        if self._part == "idle":
            self._now("head")
        super().data_received(data)
        if self._part == "head" and self.conn.their_state is h11.SEND_BODY:
            self._now("body")
        elif self._part in ("head", "body") and self.conn.their_state in (h11.DONE, h11.MUST_CLOSE):
            self._now("answer")

    def on_response_complete(self) -> None:
        """Wait for the next head, which may have come already."""
        self._now("idle")
        super().on_response_complete()
        if self.cycle is not None and not self.cycle.response_complete:
            self._now("answer")

    def send_400_response(self, msg: str) -> None:
        """Answer what is no request, with the headers of every answer."""
        if self.conn.our_state not in (h11.IDLE, h11.SEND_RESPONSE):  # an answer has begun
            self.transport.abort()
            return
        headers = {**HEADERS, "content-type": "text/plain; charset=utf-8", "connection": "close"}
        named = [(name.encode(), value.encode()) for name, value in headers.items()]
        parts = (h11.Response(status_code=400, headers=named), h11.Data(data=f"{msg}\n".encode()), h11.EndOfMessage())
        for part in parts:
            self.transport.write(self.conn.send(part) or b"")
        self.transport.close()

    @property
    def _goes_first(self) -> bool:
        return self._part in ("head", "idle")

    def _now(self, part: _Part) -> None:
        """What is waited for from now on, and how long."""
        self._part, self._since = part, self.loop.time()
        if self._timer is not None:
            self._timer.cancel()
        seconds = _SECONDS.get(part)
        self._timer = self.loop.call_later(seconds, self._drop) if seconds is not None else None

    def _drop(self) -> None:
        self.transport.abort()


class Sparing(logging.Filter):
    """Of lines that say the same one a second; the next one says how many were left out."""

    def __init__(self) -> None:
        super().__init__()
        self._said: dict[str, tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether a line is written."""
        key, now = str(record.msg), time.monotonic()
        last, left_out = self._said.get(key, (-1.0, 0))
        if last >= 0 and now < last + 1:
            self._said[key] = last, left_out + 1
            return False
        self._said[key] = now, 0
        if left_out:
            record.msg, record.args = f"{record.getMessage()} ({left_out:,} more like it)", ()
        return True


def prepare() -> dict[str, Any]:
    """Let the process open as many files as its connections need, and spare its log; returns uvicorn's options."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _FILES if hard == resource.RLIM_INFINITY else min(_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with suppress(OSError, ValueError):  # fewer will do
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    sparing = Sparing()
    for name in _LOGS:
        logging.getLogger(name).addFilter(sparing)
    return {"http": BoundedProtocol, "ws": "none"}
