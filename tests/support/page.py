"""The page as the tests meet it: a small store of known errors, `secondguess view` on it, and Chromium before it.

Every expected number of the page's tests is counted from the rows written here, by hand.

The test modules name it in pytest_plugins and import it too, for which pytest wants: PYTEST_DONT_REWRITE.
"""

import http.client
import io
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import numpy as np
import pytest
from PIL import Image
from recording import record
from waiting import HANG_S

from secondguess.trainer.recorder import Recorder

CLASSES = ["고양이", "<script>alert(1)</script>", "dog"]
CAT, SCRIPT, DOG = CLASSES
QUOTED = 'it\'s "7"'  # the id of row 0
MOOD = "🙂 mood"
MARKUP = '<img src=x onerror="alert(2)">'
ROWS = 60
# The rows that are wrong; of row i the truth is class i % 3, so 20 rows each. Wrong guesses of cnn are the next class,
# those of double the one after it.
WRONG = {
    "cnn": {1: range(0, 12), 2: range(0, 9), 3: range(0, 6)},
    "double": {1: range(4, 14), 2: range(4, 12), 3: range(4, 8)},
}
NO_TRUTH = "no truth & <b>"  # the name of a run
REVIEWS = {"r1": "good & <b>bold</b>", "r2": "나쁘다", "r3": "=1+1"}


def ids() -> list[str]:
    """The ids of the 60 rows: one with quotes, then r01, r02, …"""
    return [QUOTED, *(f"r{number:02}" for number in range(1, ROWS))]


def images() -> np.ndarray[Any, Any]:
    """An image of 8 x 8 per row, each of one grey of its own."""
    return np.repeat(np.arange(ROWS, dtype=np.uint8) * 4, 64).reshape(ROWS, 8, 8)


def scores(run: str, epoch: int) -> np.ndarray[Any, Any]:
    """The guess has .5 in row 0, .505 in row 1 and so on; the other two classes share the rest."""
    step = 1 if run == "cnn" else 2
    found = np.empty((ROWS, 3), np.float32)
    for row in range(ROWS):
        top = 0.5 + row * 0.005
        found[row] = (1 - top) / 2
        found[row, (row + step * (row in WRONG[run][epoch])) % 3] = top
    return found


def add_epoch(recorder: Recorder, run: str, epoch: int) -> None:
    """Commit one epoch of cnn's or double's rows."""
    with recorder.table("test_predictions", epoch=epoch, loss=1 / epoch) as table:
        table.add(
            ids=ids(),
            images=images(),
            truth=[CLASSES[row % 3] for row in range(ROWS)],
            scores=scores(run, epoch),
            **{MOOD: ["sunny", "rainy"] * 30, "note": [MARKUP, *[None] * (ROWS - 1)]},
        )


def make_store(store: Path) -> Path:
    """cnn and double of three epochs, a run without truth, one of texts, and one with pictures in columns."""
    for run, size in (("cnn", 8), ("double", 16)):
        with Recorder(store, run=run, config={"size": size, "seed": 0}, classes=CLASSES) as recorder:
            for epoch in (1, 2, 3):
                recorder.log(epoch=epoch, train_loss=2 / epoch)
                add_epoch(recorder, run, epoch)
    record(
        store,
        NO_TRUTH,
        {1: [("u1", None, [0.9, 0.1, 0]), ("u2", None, [0, 0.2, 0.8])]},
        classes=CLASSES,
        labelled=False,
    )
    record(store, "reviews", {1: [("r1", 1, 1), ("r2", 0, 1), ("r3", 1, 1)]}, table="reviews", content=REVIEWS)
    pictures = {name: {"bytes": data, "path": f"{name}.png"} for name, data in PICTURES.items()}
    record(
        store,
        "media",
        table="media",
        epochs={1: [(name, None, 0) for name in pictures]},
        labelled=False,
        columns={"picture": list(pictures.values())},
    )
    return store


def _encoded(form: str) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (8, 8), (200, 40, 40)).save(file, form)
    return file.getvalue()


SVG = b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"><script>alert(3)</script></svg>'
HTML = b"<!doctype html><script>alert(4)</script>"
PICTURES = {
    "png": _encoded("PNG"),
    "jpeg": _encoded("JPEG"),
    "gif": _encoded("GIF"),
    "webp": _encoded("WEBP"),
    "svg": SVG,
    "html": HTML,
    "hidden": b"\xef\xbb\xbf  " + SVG,
    "nothing": b"",
}
TYPES = {"png": "image/png", "jpeg": "image/jpeg", "gif": "image/gif", "webp": "image/webp"}


@dataclass(frozen=True)
class Answer:
    """What the server answered."""

    status: int
    headers: Mapping[str, Sequence[str]] = field(repr=False)
    body: bytes = field(repr=False)

    @property
    def text(self) -> str:
        return self.body.decode()

    @property
    def data(self) -> Any:
        return json.loads(self.body)

    def header(self, name: str) -> str:
        """The one value of a header, empty where there is none."""
        values = self.headers.get(name, [""])
        assert len(values) == 1, f"{name} is there {len(values)} times"
        return values[0]


@dataclass(frozen=True)
class Server:
    """A running `secondguess view`."""

    store: Path
    process: subprocess.Popen[str]
    url: str  # with the token
    said: Path  # what it writes on stderr

    @property
    def base(self) -> str:
        return self.url.partition("/open")[0]

    @property
    def port(self) -> int:
        return int(self.base.rpartition(":")[2])

    @property
    def token(self) -> str:
        return parse_qs(urlsplit(self.url).query)["token"][0]

    @cached_property
    def cookie(self) -> str:
        """The cookie that the token becomes, as a browser sends it back."""
        answer = self.ask(self.url.removeprefix(self.base), Cookie=None)
        return answer.header("set-cookie").partition(";")[0]

    @cached_property
    def csrf(self) -> str:
        found = re.search(r'name="csrf" value="([^"]+)"', self.ask("/sql").text)
        assert found is not None
        return found[1]

    def ask(
        self, path: str, method: str = "GET", *, body: bytes | None = None, timeout: float = HANG_S, **headers: Any
    ) -> Answer:
        """Ask as the page's own links do; a header that is None is left out, one that is a list sent more than once.

        Underscores in the names of headers stand for hyphens.
        """
        sent: dict[str, Any] = {"Host": f"127.0.0.1:{self.port}", **headers}
        if "Cookie" not in sent:
            sent["Cookie"] = self.cookie
        if method == "POST":
            sent.setdefault("Origin", self.base)
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        try:
            connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
            for name, value in sent.items():
                for each in value if isinstance(value, list) else [] if value is None else [value]:
                    connection.putheader(name.replace("_", "-"), each)
            if body is not None:
                connection.putheader("Content-Length", str(len(body)))
                if "Content_Type" not in sent:
                    connection.putheader("Content-Type", "application/x-www-form-urlencoded")
            connection.endheaders(body)
            answer = connection.getresponse()
            found: dict[str, list[str]] = {}
            for name, value in answer.getheaders():
                found.setdefault(name.lower(), []).append(value)
            return Answer(answer.status, found, answer.read())
        except ConnectionResetError:  # refused before all of it was sent
            return Answer(400, {}, b"")
        finally:
            connection.close()

    def post(self, path: str, fields: Mapping[str, str] | Sequence[tuple[str, str]], **how: Any) -> Answer:
        """Send a form with the csrf field that the page's own forms have."""
        pairs = list(fields.items()) if isinstance(fields, Mapping) else list(fields)
        if "csrf" not in dict(pairs):
            pairs.append(("csrf", self.csrf))
        return self.ask(path, "POST", body=urlencode(pairs).encode(), **how)

    def sql(self, text: str, **how: Any) -> Answer:
        """Send SQL, and go where its answer is."""
        sent = self.post("/sql", {"sql": text}, **how)
        return self.ask(sent.header("location")) if sent.status == 303 else sent

    def workers(self) -> list[int]:
        """The processes that answer questions."""
        return [pid for pid in children(self.process.pid) if b"multiprocessing.spawn" in read_process(pid, "cmdline")]


def table_url(*tables: str, path: str = "/table", **more: str | Sequence[str]) -> str:
    """The address of a table view, spelled as the page spells it."""
    parts = [("t", table) for table in tables]
    for name, value in more.items():
        parts += [(name, each) for each in ([value] if isinstance(value, str) else value)]
    return f"{path}?{urlencode(parts)}"


def children(pid: int) -> list[int]:
    """The processes that a process started and that still run."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            after = path.read_text().rpartition(")")[2].split()
        except OSError:  # it ended
            continue
        if int(after[1]) == pid and after[0] != "Z":
            found.append(int(path.parent.name))
    return found


def read_process(pid: int, name: str) -> bytes:
    """A file of /proc, empty where the process has ended."""
    try:
        return Path(f"/proc/{pid}/{name}").read_bytes()
    except OSError:
        return b""


def seconds(pid: int) -> float:
    """The CPU time a process has taken."""
    parts = read_process(pid, "stat").decode().rpartition(")")[2].split()
    return sum(map(int, parts[11:13])) / os.sysconf("SC_CLK_TCK") if parts else 0.0


def resting(server: Server) -> bool:
    """Whether no worker computes: within a moment none has used the processor for a tenth of it."""
    before = {pid: seconds(pid) for pid in server.workers()}
    time.sleep(0.3)
    return all(seconds(pid) < spent + 0.03 for pid, spent in before.items())


@contextmanager
def serving(
    store: Path,
    log: Path,
    *options: str,
    code: str = "from secondguess.analysis.cli import main; main()",
    start_new_session: bool = False,
    **environ: str,
) -> Iterator[Server]:
    """Run `secondguess view` on a store until the block ends; code is what its interpreter runs.

    Its user has no other page of the store open.
    """
    own = () if "--browser" in options else ("--no-browser",)
    command = [sys.executable, "-c", code, "view", "--store", str(store), *own]
    command += [option for option in options if option != "--browser"]
    with log.open("w") as said:
        process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=said,
            text=True,
            env={**os.environ, "XDG_STATE_HOME": f"{log}.state", **environ},
            cwd=log.parent,
            start_new_session=start_new_session,
        )
    try:
        assert process.stdout is not None
        url = next((line.strip() for line in process.stdout if "http://" in line), None)
        assert url is not None, log.read_text()[-300:]
        server = Server(store, process, url, log)
        assert _answers_at_once(server.port), "the address was printed before it could be opened"
        yield server
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(HANG_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stdout is not None:
            process.stdout.close()


def _answers_at_once(port: int) -> bool:
    with socket.socket() as one:
        one.settimeout(HANG_S)
        if one.connect_ex(("127.0.0.1", port)):
            return False
        one.sendall(b"GET / HTTP/1.0\r\n\r\n")
        return bool(one.recv(1))


@pytest.fixture(scope="session")
def shared_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store that tests read, and of which those that write take a copy."""
    return make_store(tmp_path_factory.mktemp("page") / "predictions")


@pytest.fixture(scope="module")
def page_store(shared_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A module's own copy of the store."""
    return Path(shutil.copytree(shared_store, tmp_path_factory.mktemp("store") / "predictions"))


@pytest.fixture(scope="module")
def server(page_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The page of the module's store."""
    with serving(page_store, tmp_path_factory.mktemp("log") / "stderr") as found:
        yield found


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Chromium; for a module, since while Playwright is open nothing else in this process can run an event loop."""
    api = pytest.importorskip("playwright.sync_api")
    path = shutil.which("chromium")
    if path is None:
        pytest.skip("needs chromium")
    with api.sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield found
        found.close()


@dataclass
class Visit:
    """A browser's page on the server, and what went wrong in it."""

    tab: Any
    server: Server
    faults: list[str] = field(default_factory=list)
    expected: int = 0  # the status of a page that is opened on purpose to see its error

    @property
    def page(self) -> Any:
        """What is opened, once all of it has arrived: after a click it would be looked at while it still comes."""
        self.tab.wait_for_load_state("domcontentloaded")
        return self.tab

    def watch(self) -> None:
        """Collect what must not happen: errors, dialogs, and requests that go elsewhere."""
        self.tab.on("console", self._said)
        self.tab.on("pageerror", lambda error: self.faults.append(f"script failed: {error}"))
        self.tab.on("dialog", self._asked)
        self.tab.on("request", self._requested)
        self.tab.on("response", self._answered)

    def _said(self, message: Any) -> None:
        # A page that is an error is one in the console too.
        if message.type in {"error", "warning"} and not (self.expected and str(self.expected) in message.text):
            self.faults.append(f"console: {message.text}")

    def _asked(self, dialog: Any) -> None:
        self.faults.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    def _requested(self, request: Any) -> None:
        if not request.url.startswith((f"{self.server.base}/", "data:")):
            self.faults.append(f"request to {request.url}")

    def _answered(self, answer: Any) -> None:
        if answer.status >= 400 and answer.status != self.expected:
            self.faults.append(f"{answer.status} of {answer.url}")

    def open(self, path: str, status: int = 200, until: str = "domcontentloaded") -> None:
        """Go to a page, which must answer with this status; its images come after it, unless until is "load"."""
        self.expected = status if status != 200 else 0
        answer = self.page.goto(self.server.base + path, wait_until=until)
        assert answer.status == status, (path, answer.status, self.main())

    def main(self) -> str:
        """The text that a person sees."""
        return str(self.page.inner_text("main"))

    def lead(self) -> str:
        return str(self.page.inner_text(".lead"))

    def status(self) -> str:
        """What is said of how many rows there are."""
        return " ".join(self.page.locator(".status .nowrap").first.inner_text().split())

    def column(self, head: str) -> list[str]:
        """The cells under a head, as text."""
        heads = [
            " ".join(text.split("\n")[0].split())
            for text in self.page.locator("thead").first.locator("th").all_inner_texts()
        ]
        place = heads.index(head)
        rows = self.page.locator("tbody").first.locator("tr")
        return [" ".join(row.locator("th, td").nth(place).inner_text().split()) for row in rows.all()]

    def wide(self) -> bool:
        """Whether the page itself scrolls sideways."""
        return bool(self.page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth"))


Opened = Callable[..., Visit]


@pytest.fixture(scope="module")
def profiles(browser: Any, server: Server) -> Iterator[Callable[..., Any]]:
    """A person's browser of one width, with script or without, that was opened with the printed address."""
    held: dict[str, Any] = {}

    def profile(width: int, script: bool, **more: Any) -> Any:
        key = repr((width, script, more))
        if key not in held:
            context = browser.new_context(
                viewport={"width": width, "height": 900}, java_script_enabled=script, accept_downloads=True, **more
            )
            context.set_default_timeout(HANG_S * 1_000)
            page = context.new_page()
            page.goto(server.url)
            page.wait_for_url(f"{server.base}/runs")  # where the page with the token leads on
            page.close()
            held[key] = context
        return held[key]

    yield profile
    for context in held.values():
        context.close()


@pytest.fixture
def visit(profiles: Callable[..., Any], server: Server) -> Iterator[Opened]:
    """Open an empty page; afterwards nothing must have gone wrong in it."""
    visits: list[Visit] = []

    def opened(width: int = 1280, script: bool = True, **more: Any) -> Visit:
        found = Visit(profiles(width, script, **more).new_page(), server)
        visits.append(found)
        found.watch()
        return found

    yield opened
    for each in visits:
        each.tab.close()
    faults = [fault for each in visits for fault in each.faults]
    assert faults == [], faults
