"""The page's server, from its address to its end."""

import contextlib
import os
import shutil
import socket
import sys
import tempfile
import webbrowser
from collections.abc import Generator, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import click
import duckdb
import uvicorn

from secondguess.analysis import signals
from secondguess.analysis.engine.duck import fresh
from secondguess.analysis.errors import BadInput
from secondguess.analysis.page.app import application
from secondguess.analysis.page.connections import prepare
from secondguess.analysis.page.gate import OPEN, Keys

_LOOPBACK = {"127.0.0.1", "localhost", "::1"}


def serve(store: Path, address: tuple[str, int], *, browser: bool, seconds: float, memory: str) -> None:
    """Serve the page of a store at (host, port) until Ctrl-C; port 0 is one that is free. Raises BadInput."""
    host, port = address
    try:
        fresh(memory).close()
    except duckdb.Error:
        raise BadInput(f"--memory is {memory!r}, not an amount such as 500MB or 2GB") from None
    keys = Keys()
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # Only a socket that says it is TCP sends an answer's body at once, not when its head was acknowledged: 40 ms later.
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
        listening.listen()  # whoever is opened at once waits, and is not refused
    except OSError as error:
        raise BadInput(
            f"cannot listen on {host}:{port}: {error.strerror}; name another port, or leave it out"
        ) from None
    port = listening.getsockname()[1]
    others = () if host in _LOOPBACK else (host, socket.gethostname())
    shown = f"[{host}]" if ":" in host else host
    url = f"http://{shown}:{port}{OPEN}?token={keys.token}"
    if others:
        click.echo(
            f"listening on {host}: whoever reaches this port and has the address below sees the store; "
            "what is sent is not encrypted",
            err=True,
        )
    click.echo(f"secondguess shows {store.name}/ at\n\n  {url}\n\nStop with Ctrl-C.")
    sys.stdout.flush()
    app = application(store, keys, port, hosts=others, seconds=seconds, memory=memory)
    quiet: dict[str, Any] = {"log_level": "warning", "access_log": False, "server_header": False, "date_header": False}
    config = uvicorn.Config(app, **quiet, **prepare())
    with contextlib.ExitStack() as opened:
        if browser:
            webbrowser.open(opened.enter_context(_leading(url)).as_uri())
        _Server(config).run(sockets=[listening])


class _Server(uvicorn.Server):
    """A server that leaves signals to the command: answers that are under way are no reason to wait."""

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Take no signal."""
        yield


@contextlib.contextmanager
def _leading(url: str) -> Iterator[Path]:
    """A private file that leads a browser on: an address with a token on a command line could be read by others."""
    with (
        tempfile.TemporaryDirectory(prefix="secondguess-") as folder,
        signals.undone(partial(shutil.rmtree, folder, ignore_errors=True)),
    ):
        path = Path(folder) / "open.html"
        path.touch(0o600)
        path.write_text(f'<!doctype html><meta http-equiv="refresh" content="0;url={url}">')
        os.chmod(folder, 0o700)
        yield path
