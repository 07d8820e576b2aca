"""The page's server, from its address to its end."""

import contextlib
import os
import shutil
import socket
import sys
import tempfile
import time
import webbrowser
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import click
import uvicorn

from secondguess.analysis import signals
from secondguess.analysis.errors import BadInput
from secondguess.analysis.page.app import application
from secondguess.analysis.page.gate import OPEN, Keys
from secondguess.analysis.serving.connections import prepare
from secondguess.analysis.serving.listening import LOOPBACK, Server, bound, checked
from secondguess.analysis.serving.secret import Secret, Serving, states

_READING_S = 3  # for a browser to read the file that leads it on


@dataclass(frozen=True)
class Wanted:
    """How to serve: host and port (0: the one it had last, else one that is free), what a question may take.

    browser is whether to open one; new_token whether all browsers are to be let in anew.
    """

    host: str
    port: int
    browser: bool
    seconds: float
    memory: str
    new_token: bool = False


def serve(store: Path, wanted: Wanted) -> None:
    """Serve the page of a store until Ctrl-C; where another process does, lead there. Raises BadInput."""
    checked(wanted.memory)
    try:
        kept = Secret(store, states(os.environ.get("XDG_STATE_HOME", "")), anew=wanted.new_token)
    except Serving as there:
        _lead_to(there, wanted)
        return
    with kept:
        _serve(store, wanted, kept)


def _serve(store: Path, wanted: Wanted, kept: Secret) -> None:
    listening = _listening(wanted.host, wanted.port, kept)
    host, port = wanted.host, listening.getsockname()[1]
    keys = Keys(kept.key)
    others = () if host in LOOPBACK else (host, socket.gethostname())
    shown = f"[{host}]" if ":" in host else host
    base = f"http://{shown}:{port}"
    url = f"{base}{OPEN}?token={keys.token}"
    kept.serves(port, base, keep=wanted.port != 0 or kept.port == 0)
    if kept.fault:
        click.echo(kept.fault, err=True)
    if others:
        click.echo(
            f"listening on {host}: whoever reaches this port and has the address below sees the store; "
            "what is sent is not encrypted",
            err=True,
        )
    click.echo(f"secondguess shows {store.name}/ at\n\n  {url}\n\nStop with Ctrl-C.")
    sys.stdout.flush()
    app = application(store, keys, port, hosts=others, seconds=wanted.seconds, memory=wanted.memory)
    quiet: dict[str, Any] = {"log_level": "warning", "access_log": False, "server_header": False, "date_header": False}
    config = uvicorn.Config(app, **quiet, **prepare())
    with contextlib.ExitStack() as opened:
        if wanted.browser:
            webbrowser.open(opened.enter_context(_leading(url)).as_uri())
        Server(config).run(sockets=[listening])


def _listening(host: str, port: int, kept: Secret) -> socket.socket:
    """A socket that listens: at this port, else at the one that is kept, else at one that is free."""
    if port == 0 and kept.port:
        try:
            return bound(host, kept.port)
        except OSError:
            click.echo(
                f"port {kept.port}, which bookmarks of this page have, is taken; they work again once it is free",
                err=True,
            )
    try:
        return bound(host, port)
    except OSError as error:
        raise BadInput(
            f"cannot listen on {host}:{port}: {error.strerror}; name another port, or leave it out"
        ) from None


def _lead_to(there: Serving, wanted: Wanted) -> None:
    """Say where the page is that another process serves, and open it; raises Serving where it must be ended first."""
    if wanted.new_token or not there.base or (wanted.port and not there.base.endswith(f":{wanted.port}")):
        raise there
    url = f"{there.base}{OPEN}?token={Keys(there.key).letting_in(time.time())}"
    click.echo(f"{there}. In the next minutes this lets a browser in:\n\n  {url}\n")
    sys.stdout.flush()
    if wanted.browser:
        with _leading(url) as page:
            webbrowser.open(page.as_uri())
            time.sleep(_READING_S)


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
