"""The one gate that every request passes: whose it is, where it comes from, and the headers of every answer.

Weighed against Starlette's TrustedHostMiddleware, which looks at the host's name and at no port, origin or token.
"""

import hmac
import secrets
import time
from base64 import urlsafe_b64encode
from dataclasses import dataclass, field
from hashlib import sha256
from urllib.parse import parse_qs, urlsplit

from starlette.requests import cookie_parser
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from secondguess.analysis.serving.connections import HEADERS

_LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
_METHODS = {"GET", "HEAD", "POST"}
OPEN = "/open"


DAYS = 30  # that a browser need not be let in again
_LETTING_IN_S = 300  # for which a link of another process's lets in
_DAY_S = 86_400


@dataclass(frozen=True)
class Keys:
    """The secrets of one server: the token in the address that it prints, and what signs its cookies and forms.

    Whoever has the secret, as a server started later, knows the cookies that were given, and can let a browser in.
    """

    secret: bytes = field(default_factory=lambda: secrets.token_bytes(32), repr=False)
    token: str = field(default_factory=lambda: secrets.token_urlsafe(24), repr=False)

    @property
    def csrf(self) -> str:
        """The field of forms."""
        return self._signature("form")

    def cookie(self, now: float) -> str:
        """A cookie given at this time, in seconds."""
        return self._until("cookie", now + DAYS * _DAY_S)

    def knows(self, cookie: str, now: float) -> bool:
        """Whether a cookie is one of these, and not too old."""
        return self._holds("cookie", cookie, now)

    def letting_in(self, now: float) -> str:
        """A token for a moment, beside the one that was printed."""
        return self._until("open", now + _LETTING_IN_S)

    def lets_in(self, token: str, now: float) -> bool:
        """Whether a token opens the page."""
        return hmac.compare_digest(token.encode(), self.token.encode()) or self._holds("open", token, now)

    def _until(self, what: str, end: float) -> str:
        return f"{int(end)}.{self._signature(f'{what} {int(end)}')}"

    def _holds(self, what: str, text: str, now: float) -> bool:
        end, _, signature = text.partition(".")
        if not (end.isascii() and end.isdecimal() and len(end) <= 12):
            return False
        return hmac.compare_digest(signature.encode(), self._signature(f"{what} {end}").encode()) and now < int(end)

    def _signature(self, text: str) -> str:
        return urlsafe_b64encode(hmac.digest(self.secret, text.encode(), sha256)).decode().rstrip("=")


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
            answer = _locked(scope)
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
        if not self._keys.lets_in(given.get("token", [""])[0], time.time()):
            return _locked(scope)
        target = given.get("to", ["/"])[0]
        plain = target.startswith("/") and not target.startswith("//") and "\\" not in target
        safe = target if plain and not urlsplit(target).netloc else "/"
        answer = HTMLResponse(_LEAD_ON.format(target=_escaped(safe)))
        cookie, age = self._keys.cookie(time.time()), DAYS * _DAY_S
        answer.set_cookie(self._cookie, cookie, max_age=age, path="/", httponly=True, samesite="strict")
        return answer

    def _known(self, scope: Scope) -> bool:
        cookies = [cookie_parser(text).get(self._cookie, "") for text in _all(scope, b"cookie")]
        return any(self._keys.knows(value, time.time()) for value in cookies)


_LEAD_ON = """<!doctype html><html lang="en"><meta charset="utf-8"><title>secondguess</title>
<link rel="icon" href="/static/mark.svg">
<meta http-equiv="refresh" content="0;url={target}"><p><a href="{target}">Open secondguess</a>
"""


_LOCKED = f"""<!doctype html><html lang="en"><meta charset="utf-8"><title>Not let in</title>
<meta name="viewport" content="width=device-width, initial-scale=1"><meta name="color-scheme" content="light dark">
<h1>This browser is not let in</h1>
<p>The page belongs to whoever started it. To get in, on the machine where it runs:</p>
<ul><li>open the address that <code>secondguess view</code> printed when it started, or</li>
<li>run <code>secondguess view</code> again with the same <code>--store</code>: it opens this page, and prints an
address that does.</li></ul>
<p>That lets this browser in for {DAYS} days; then come back to this address, or reload it.</p>
"""


def _locked(scope: Scope) -> Response:
    """What is said to whoever is not known: to a browser as a page, else as a line."""
    if scope["method"] == "GET" and any("text/html" in accepted for accepted in _all(scope, b"accept")):
        return HTMLResponse(_LOCKED, 401)
    return _said(
        401, "this page belongs to whoever started it; open the address it printed, or run secondguess view again"
    )


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
