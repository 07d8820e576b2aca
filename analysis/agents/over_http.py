"""The same over HTTP: on this machine alone, to whoever has the token, and to no web page."""

import hmac
import os
from base64 import urlsafe_b64encode
from hashlib import sha256
from pathlib import Path
from typing import Any

import uvicorn
from mcp.server.transport_security import TransportSecuritySettings
from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from secondguess.analysis.agents.server import Agents
from secondguess.analysis.console import say
from secondguess.analysis.errors import BadInput
from secondguess.analysis.serving.connections import prepare
from secondguess.analysis.serving.listening import Server, bound
from secondguess.analysis.serving.secret import Secret, states

_HOST = "127.0.0.1"
_NAMES = (_HOST, "localhost")
PATH = "/mcp"


def serve(agents: Agents, store: Path, port: int, *, anew: bool) -> None:
    """Serve until Ctrl-C; the token stays that of the store until it is to be anew. Raises BadInput."""
    folder = states(os.environ.get("XDG_STATE_HOME", ""), "agents")
    with Secret(store, folder, anew=anew, what="the agents' server") as kept:
        try:
            listening = bound(_HOST, port)
        except OSError as error:
            raise BadInput(f"cannot listen on {_HOST}:{port}: {error.strerror}; name another port") from None
        port = listening.getsockname()[1]
        base = f"http://{_HOST}:{port}"
        kept.serves(port, base)
        if kept.fault:
            say(kept.fault, err=True)
        token = token_of(kept.key)
        say(f"agents reach {store.name}/ at\n\n  {base}{PATH}\n  Authorization: Bearer {token}\n\nStop with Ctrl-C.")
        quiet: dict[str, Any] = {"log_level": "warning", "access_log": False, "server_header": False}
        config = uvicorn.Config(application(agents, token, port), **quiet, **prepare())
        Server(config).run(sockets=[listening])


def token_of(key: bytes) -> str:
    """The token of a store's secret."""
    return urlsafe_b64encode(hmac.digest(key, b"agents", sha256)).decode().rstrip("=")


def application(agents: Agents, token: str, port: int) -> ASGIApp:
    """What answers requests; each stands alone, since an agent keeps nothing here."""
    hosts = [f"{name}:{port}" for name in _NAMES]
    security = TransportSecuritySettings(allowed_hosts=hosts, allowed_origins=[f"http://{host}" for host in hosts])
    app = agents.server.streamable_http_app(
        streamable_http_path=PATH, json_response=True, stateless_http=True, transport_security=security
    )
    return _Guarded(app, token, frozenset(hosts))


class _Guarded:
    """The application behind its token, for who calls it by this machine's name: a web page may find its address."""

    def __init__(self, app: ASGIApp, token: str, hosts: frozenset[str]) -> None:
        self._app = app
        self._bearer = f"Bearer {token}".encode()
        self._hosts = hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, or answer it."""
        if scope["type"] == "http" and (refused := self._refused(Headers(scope=scope))) is not None:
            await refused(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _refused(self, headers: Headers) -> PlainTextResponse | None:
        hosts, origins = headers.getlist("host"), headers.getlist("origin")
        if len(hosts) != 1 or hosts[0] not in self._hosts:
            return PlainTextResponse("this server is called 127.0.0.1 or localhost, with its port\n", 421)
        if any(origin != f"http://{hosts[0]}" for origin in origins):
            return PlainTextResponse("no page of another site is answered\n", 403)
        given = headers.getlist("authorization")
        if len(given) != 1 or not hmac.compare_digest(given[0].encode(), self._bearer):
            said = "send the header Authorization: Bearer TOKEN, with the token that `secondguess mcp --http` printed\n"
            return PlainTextResponse(said, 401, {"www-authenticate": "Bearer"})
        return None
