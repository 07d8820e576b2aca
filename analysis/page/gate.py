"""The one gate that every request passes: whose it is, where it comes from, and the headers of every answer.

Weighed against Starlette's TrustedHostMiddleware, which looks at the host's name and at no port, origin or token.
"""

import hmac
import secrets
from dataclasses import dataclass, field
from urllib.parse import parse_qs, urlsplit

from starlette.requests import cookie_parser
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
_METHODS = {"GET", "HEAD", "POST"}
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
OPEN = "/open"


@dataclass(frozen=True)
class Keys:
    """The secrets of one server: the token in the opened address, the cookie it becomes, and the field of forms."""

    token: str = field(default_factory=lambda: secrets.token_urlsafe(24))
    cookie: str = field(default_factory=lambda: secrets.token_urlsafe(24))
    csrf: str = field(default_factory=lambda: secrets.token_urlsafe(24))


class Gate:
    """An ASGI application in front of another: nothing reaches it that does not come from its own pages.

    hosts are the names it may be called by besides those of this machine, with the port.
    """

    def __init__(self, app: ASGIApp, keys: Keys, port: int, hosts: tuple[str, ...] = ()) -> None:
        self._app = app
        self._keys = keys
        self._hosts = {f"{name}:{port}" for name in (*_LOOPBACK, *hosts)}
        self._cookie = f"secondguess-{port}"  # cookies do not know ports

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, or answer it."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            return
        answer = self._refused(scope)
        if answer is None and scope["path"] == OPEN:
            answer = self._opened(scope)
        if answer is None and not self._known(scope):
            answer = _said(401, "this page belongs to whoever started it; open the address it printed")
        await (answer or self._app)(scope, receive, _with_headers(send))

    def _refused(self, scope: Scope) -> Response | None:
        """Whether it is for this server at all, and not sent by another page."""
        hosts = _all(scope, b"host")
        if len(hosts) != 1 or hosts[0] not in self._hosts:
            return _said(421, "this server does not go by that name")
        if scope["method"] not in _METHODS:
            return _said(405, "only GET and POST are answered")
        own = f"http://{hosts[0]}"
        origins = _all(scope, b"origin")
        sites = _all(scope, b"sec-fetch-site")
        elsewhere = any(site not in {"same-origin", "none"} for site in sites) and scope["path"] != OPEN
        if elsewhere or any(origin != own for origin in origins):
            return _said(403, "another site's page asked for this; type the address, or open it from here")
        if scope["method"] == "POST" and not origins:
            return _said(403, "a form is sent by a page of this server")
        return None

    def _opened(self, scope: Scope) -> Response:
        """The token becomes a cookie; a page of our own then leads on, since a redirect would not bring it along."""
        given = parse_qs(scope["query_string"].decode("latin-1"))
        if not hmac.compare_digest(given.get("token", [""])[0].encode(), self._keys.token.encode()):
            return _said(401, "this is not the token of the running server; open the address it printed")
        target = given.get("to", ["/"])[0]
        plain = target.startswith("/") and not target.startswith("//") and "\\" not in target
        safe = target if plain and not urlsplit(target).netloc else "/"
        answer = HTMLResponse(_LEAD_ON.format(target=_escaped(safe)))
        answer.set_cookie(self._cookie, self._keys.cookie, path="/", httponly=True, samesite="strict")
        return answer

    def _known(self, scope: Scope) -> bool:
        cookies = [cookie_parser(text).get(self._cookie, "") for text in _all(scope, b"cookie")]
        return any(hmac.compare_digest(value.encode(), self._keys.cookie.encode()) for value in cookies)


_LEAD_ON = """<!doctype html><html lang="en"><meta charset="utf-8"><title>secondguess</title>
<link rel="icon" href="/static/mark.svg">
<meta http-equiv="refresh" content="0;url={target}"><p><a href="{target}">Open secondguess</a>
"""


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;")


def _said(status: int, text: str) -> Response:
    return PlainTextResponse(text + "\n", status)


def _all(scope: Scope, name: bytes) -> list[str]:
    return [value.decode("latin-1") for key, value in scope["headers"] if key == name]


def _with_headers(send: Send) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            names = {key for key, _ in message["headers"]}
            more = [(key.encode(), value.encode()) for key, value in HEADERS.items() if key.encode() not in names]
            message = {**message, "headers": [*message["headers"], *more]}
        await send(message)

    return sending
