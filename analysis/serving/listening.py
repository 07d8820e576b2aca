"""Where a server listens, how it runs, and what it is given: the same for whatever it answers."""

import contextlib
import socket
from collections.abc import Generator

import duckdb
import uvicorn

from secondguess.analysis.engine.duck import fresh
from secondguess.analysis.errors import BadInput

LOOPBACK = {"127.0.0.1", "localhost", "::1"}


def checked(memory: str) -> None:
    """Raise BadInput for what is no amount of memory."""
    try:
        fresh(memory).close()
    except duckdb.Error:
        raise BadInput(f"--memory is {memory!r}, not an amount such as 500MB or 2GB") from None


def bound(host: str, port: int) -> socket.socket:
    """A socket that listens there already; raises OSError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # Only a socket that says it is TCP sends an answer's body at once, not when its head was acknowledged: 40 ms later.
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
        listening.listen()  # whoever is opened at once waits, and is not refused
    except BaseException:
        listening.close()
        raise
    return listening


class Server(uvicorn.Server):
    """A server that leaves signals to the command: answers that are under way are no reason to wait."""

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Take no signal."""
        yield
