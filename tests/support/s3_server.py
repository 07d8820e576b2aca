"""An S3 server on the loopback: moto's, in a process of its own, behind a layer in which a test puts faults.

moto checks and writes a conditional PUT in two steps; here requests that write are taken one by one, so it is one step
as on S3. Another server that takes conditional PUTs (MinIO, Garage, SeaweedFS) is on no package index.

    python tests/support/s3_server.py                    says its port; ends when its input does
"""

import contextlib
import json
import re
import socket
import subprocess
import sys
import threading
import time
import urllib.request
import uuid
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import pytest
from waiting import until

When = Literal["before", "after"]
Environ = dict[str, Any]
REGION = "us-east-1"
SECRET = "s3cr3t-that-nobody-may-see"
KEY = "AKIDTHATNOBODYMAYSEE"


@dataclass
class Fault:
    """What befalls requests: those of a method whose `KEY?QUERY` fits the pattern, after so many, so many times.

    `status` answers with that code; `drop` answers nothing and hangs up; `cut` hangs up after so many bytes of the
    body; `hold` waits until the test lets go. All but `cut` do so before the request takes effect, or after.
    `heedless` takes a conditional request for one without a condition, as some servers do.
    """

    method: str = ""
    pattern: str = ""
    skip: int = 0
    times: int = 1 << 30
    when: When = "before"
    status: int = 0
    code: str = "SlowDown"
    drop: bool = False
    cut: int | None = None
    hold: bool = False
    heedless: bool = False
    name: str = field(default_factory=lambda: uuid.uuid4().hex)

    def meets(self, method: str, asked: str) -> bool:
        """Whether it befalls this request; counts those that it lets pass."""
        if self.method not in {"", method} or not re.search(self.pattern, asked):
            return False
        if self.skip > 0:
            self.skip -= 1
            return False
        self.times -= 1
        return self.times >= 0


@dataclass(frozen=True)
class Request:
    """A request that came in, and how many bytes of a body it was answered with; status 0 for none."""

    method: str
    bucket: str
    key: str
    query: str
    range: str
    if_none_match: str
    status: int
    sent: int


class S3Server:
    """The server as a test sees it."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"

    def _ask(self, path: str, said: object = None) -> Any:
        body = json.dumps(said).encode()
        request = urllib.request.Request(f"{self.url}/-/{path}", body, {"Content-Type": "application/json"})
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request) as answer:
            return json.load(answer)

    @property
    def log(self) -> list[Request]:
        """The requests that were answered since `clear`."""
        return [Request(**row) for row in self._ask("log")]

    def bytes_read(self) -> int:
        """How many bytes of objects were sent since `clear`."""
        return sum(request.sent for request in self.log if request.method == "GET" and request.key)

    def clear(self) -> None:
        """Forget the log and the faults; what is held goes on."""
        self._ask("clear")

    def clear_log(self) -> None:
        """Forget the log; faults and pace stay."""
        self._ask("clear_log")

    def fault(self, **how: Any) -> "Held":
        """Put a fault (`Fault`) before the requests to come."""
        fault = Fault(**how)
        self._ask("fault", asdict(fault))
        return Held(self, fault.name)

    def pace(self, latency_s: float = 0.0, bytes_per_s: float = 0.0) -> None:
        """Answer so late and so slowly: for measuring, not for tests."""
        self._ask("pace", [latency_s, bytes_per_s])

    def make_bucket(self, name: str) -> None:
        """Make an empty bucket."""
        self._ask("make", name)


@dataclass(frozen=True)
class Held:
    """The requests that one fault holds."""

    server: S3Server
    name: str

    @property
    def is_reached(self) -> bool:
        """Whether a request is held, or was."""
        return bool(self.server._ask("reached", self.name))

    def reached(self) -> None:
        """Wait until a request is held."""
        until(lambda: self.is_reached)

    def release(self) -> None:
        """Let it go on, and all that would be held after it."""
        self.server._ask("release", self.name)


@contextlib.contextmanager
def running() -> Iterator[S3Server]:
    """A server of one's own."""
    process = subprocess.Popen(
        [sys.executable, "-W", "ignore", __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdin is not None and process.stdout is not None
    with process, process.stdin, process.stdout:
        try:
            yield S3Server(int(process.stdout.readline()))
        finally:
            process.kill()


@pytest.fixture(scope="session")
def s3_process() -> Iterator[S3Server]:
    """One server for the tests of a process."""
    with running() as server:
        yield server


@pytest.fixture
def s3_server(s3_process: S3Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[S3Server]:
    """The server, without faults and with an empty log, and an environment in which AWS's tools find it."""
    s3_process.clear()
    for name, value in environment(s3_process).items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    yield s3_process
    s3_process.clear()


@pytest.fixture
def bucket_url(s3_server: S3Server) -> str:
    """The URL of a new bucket on it."""
    name = f"test-{uuid.uuid4().hex[:12]}"
    s3_server.make_bucket(name)
    return f"s3://{name}"


def environment(server: S3Server) -> dict[str, str]:
    """What leads AWS's tools to the server; three tries of a request, to be done soon where all fail."""
    return {
        "AWS_ENDPOINT_URL": server.url,
        "AWS_ACCESS_KEY_ID": KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_CONFIG_FILE": "/dev/null",
        "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_MAX_ATTEMPTS": "3",
        "NO_PROXY": "127.0.0.1",
    }


class _HungUp(ConnectionError):
    """The server closed the connection on purpose."""


class _Layer:
    """The WSGI application in the server's process: moto, with the faults before it."""

    def __init__(self, s3: Callable[..., Iterable[bytes]]) -> None:
        self._s3 = s3
        self._writing = threading.Lock()
        self._looking = threading.Lock()
        self._log: list[dict[str, Any]] = []
        self._faults: list[Fault] = []
        self._reached: dict[str, threading.Event] = {}
        self._released: dict[str, threading.Event] = {}
        self._pace = (0.0, 0.0)

    def __call__(self, environ: Environ, start: Callable[..., Any]) -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        if path.startswith("/-/"):
            said = json.loads(environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"])))
            answer = json.dumps(getattr(self, f"_do_{path[3:]}")(said)).encode()
            start("200 OK", [("Content-Length", str(len(answer)))])
            return [answer]
        return self._answered(environ, start)

    def _do_log(self, _: None) -> list[dict[str, Any]]:
        return list(self._log)

    def _do_clear(self, _: None) -> None:
        with self._looking:
            self._log, self._faults, self._pace = [], [], (0.0, 0.0)
            for event in self._released.values():
                event.set()

    def _do_clear_log(self, _: None) -> None:
        with self._looking:
            self._log = []

    def _do_fault(self, said: dict[str, Any]) -> None:
        fault = Fault(**said)
        with self._looking:
            self._reached[fault.name], self._released[fault.name] = threading.Event(), threading.Event()
            self._faults.append(fault)

    def _do_reached(self, name: str) -> bool:
        return self._reached[name].is_set()

    def _do_release(self, name: str) -> None:
        self._released[name].set()

    def _do_pace(self, said: list[float]) -> None:
        self._pace = (said[0], said[1])

    def _do_make(self, name: str) -> None:
        from moto.core.models import DEFAULT_ACCOUNT_ID
        from moto.s3.models import s3_backends

        s3_backends[DEFAULT_ACCOUNT_ID]["aws"].create_bucket(name, REGION)

    def _answered(self, environ: Environ, start: Callable[..., Any]) -> Iterable[bytes]:
        """Read the request whole, let the faults have it, and log what became of it."""
        _, bucket, key = (environ["PATH_INFO"].encode("latin-1").decode() + "//").split("/", 2)
        key, method, query = (
            key.removesuffix("//").removesuffix("/"),
            environ["REQUEST_METHOD"],
            environ["QUERY_STRING"],
        )
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        environ["wsgi.input"] = _Body(body)
        row = {
            "method": method,
            "bucket": bucket,
            "key": key,
            "query": query,
            "range": environ.get("HTTP_RANGE", ""),
            "if_none_match": environ.get("HTTP_IF_NONE_MATCH", ""),
            "status": 0,
            "sent": 0,
        }
        with self._looking:
            faults = [fault for fault in self._faults if fault.meets(method, f"{key}?{query}")]
            self._log.append(row)
        if any(fault.heedless for fault in faults):
            environ.pop("HTTP_IF_NONE_MATCH", None)
        time.sleep(self._pace[0])
        self._befall(environ, faults, "before")
        status, headers, content = self._refused(faults, "before") or self._asked(environ)
        self._befall(environ, faults, "after")
        status, headers, content = self._refused(faults, "after") or (status, headers, content)
        row["status"] = int(status[:3])
        cuts = [fault.cut for fault in faults if fault.cut is not None]
        start(status, headers)
        return self._sent(environ, content if method != "HEAD" else b"", row, cuts[0] if cuts else None)

    def _asked(self, environ: Environ) -> tuple[str, list[tuple[str, str]], bytes]:
        """What moto answers."""
        answer: list[Any] = []
        writes = environ["REQUEST_METHOD"] not in {"GET", "HEAD"}
        with self._writing if writes else contextlib.nullcontext():
            content = b"".join(self._s3(environ, lambda status, headers, _=None: answer.extend([status, headers])))
        return answer[0], answer[1], content

    def _befall(self, environ: Environ, faults: list[Fault], when: When) -> None:
        for fault in faults:
            if fault.when == when and fault.hold:
                self._reached[fault.name].set()
                self._released[fault.name].wait()
            if fault.when == when and fault.drop:
                _hang_up(environ)

    def _refused(self, faults: list[Fault], when: When) -> tuple[str, list[tuple[str, str]], bytes] | None:
        for fault in faults:
            if fault.when == when and fault.status:
                said = f"<Error><Code>{fault.code}</Code><Message>as the test wants it</Message></Error>".encode()
                return f"{fault.status} As Wanted", [("Content-Length", str(len(said)))], said
        return None

    def _sent(self, environ: Environ, content: bytes, row: dict[str, Any], cut: int | None) -> Iterator[bytes]:
        """The body, or its first bytes and then the end of the connection."""
        piece = 1 << 16
        for at in range(0, len(content), piece):
            part = content[at : at + piece] if cut is None else content[at : min(at + piece, cut)]
            row["sent"] += len(part)
            yield part
            if self._pace[1]:
                time.sleep(len(part) / self._pace[1])
            if cut is not None and at + piece >= cut:
                _hang_up(environ)


class _Body:
    """A request's body that was read already, for moto to read."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def read(self, size: int = -1) -> bytes:
        """The next bytes."""
        end = len(self._content) if size < 0 else size
        part, self._content = self._content[:end], self._content[end:]
        return part


def _hang_up(environ: Environ) -> None:
    environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
    raise _HungUp


def _serve() -> None:
    from moto.server import DomainDispatcherApplication, create_backend_app
    from werkzeug.serving import WSGIRequestHandler, make_server

    class Quiet(WSGIRequestHandler):
        protocol_version = "HTTP/1.1"

        def log(self, *_: object) -> None:
            pass

    server = make_server(
        "127.0.0.1", 0, _Layer(DomainDispatcherApplication(create_backend_app)), threaded=True, request_handler=Quiet
    )
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(server.port, flush=True)
    sys.stdin.read()  # until the one that started it is gone, however that went


if __name__ == "__main__":
    _serve()
