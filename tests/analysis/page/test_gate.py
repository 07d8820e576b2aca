"""Who is answered by the page's server, what every answer carries, and what never leaves it."""

import re
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from page import CAT, HTML, PICTURES, SVG, TYPES, Answer, Server, children, read_process, serving, table_url
from starlette.routing import Route
from waiting import HANG_S, until

from secondguess.analysis.page.app import application
from secondguess.analysis.page.gate import Keys
from secondguess.analysis.store.runs import list_runs

pytest_plugins = ["page"]

COMMAND = [sys.executable, "-m", "secondguess"]
CNN = table_url("cnn@3")
# An address of each route, to be asked with each of its methods.
ADDRESSES = {
    "/": "/",
    "/runs": "/runs",
    "/runs.json": "/runs.json",
    "/run": "/run?run=cnn",
    "/run.json": "/run.json?run=cnn",
    "/check": "/check",
    "/check.json": "/check.json",
    "/table": CNN,
    "/table.json": table_url("cnn@3", path="/table.json"),
    "/head": table_url("cnn@3", path="/head", column="guess"),
    "/head.json": table_url("cnn@3", path="/head.json", column="confidence", show="bins"),
    "/gallery": table_url("cnn@3", path="/gallery", by="guess"),
    "/gallery.json": table_url("cnn@3", path="/gallery.json"),
    "/marked": table_url("cnn@3", path="/marked", mark="r01"),
    "/example": table_url("cnn@3", path="/example", row="0"),
    "/example.json": table_url("cnn@3", path="/example.json", row="0"),
    "/questions": "/questions?q=errors&t=cnn%403",
    "/questions.json": "/questions.json?q=errors&t=cnn%403",
    "/sql": "/sql?sql=SELECT+1",
    "/sql.json": "/sql.json?sql=SELECT+1",
    "/sql/export": "/sql/export",
    "/save": "/save?t=cnn%403&name=kept",
    "/save.json": "/save.json?t=cnn%403&name=kept",
    "/saved": "/saved?name=kept",
    "/saved.json": "/saved.json?name=kept",
    "/export": table_url("cnn@3", path="/export", format="csv"),
    "/compare": "/compare?t=cnn%401&t=cnn%403",
    "/compare.json": "/compare.json?t=cnn%401&t=cnn%403",
    "/chosen": "/chosen?first=cnn&second=double",
    "/remark": "/remark",
    "/help": "/help",
    "/image/{key}": "/image/0123456789abcdef0123456789abcdef",
    "/static/{name}": "/static/secondguess.css",
}
FORMS = ["/sql", "/sql/export", "/save", "/saved", "/remark"]
HEADERS = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "referrer-policy": "same-origin",
    "cache-control": "no-store",
}
# What a browser may keep for itself: an image, whose address is its digest, and the page's own files, asked for anew.
KEPT = {"private, max-age=31536000, immutable", "private, no-cache"}


def routes() -> list[Route]:
    """The application's own table of routes."""
    app: Any = application(Path("nowhere"), Keys(), 1)
    return [route for route in app._app.routes if isinstance(route, Route)]


def asked() -> list[tuple[str, str]]:
    """Each route's address with each method it takes."""
    return [(ADDRESSES[route.path], method) for route in routes() for method in sorted(route.methods or ())]


def test_every_route_is_known_to_these_tests() -> None:
    """A route that is added must be added here, and then passes all of this file."""
    app: Any = application(Path("nowhere"), Keys(), 1)
    assert all(isinstance(route, Route) for route in app._app.routes)
    assert {route.path for route in routes()} == ADDRESSES.keys()


def test_get_alone_is_for_reading_and_only_sql_and_saving_take_a_form() -> None:
    forms = {"/sql", "/sql.json", "/sql/export", "/save", "/saved", "/remark"}
    assert {route.path for route in routes() if route.methods != {"GET", "HEAD"}} == forms
    assert {route.path for route in routes() if "POST" in (route.methods or ())} == forms


def headers_hold(answer: Answer) -> bool:
    """Whether an answer has every header of the page's, and none that opens it to others."""
    for name, value in HEADERS.items():
        kept = (
            name == "cache-control"
            and answer.header(name) in KEPT
            and not answer.header("content-type").startswith("text/html")
        )
        assert kept or answer.header(name) == value, (name, answer.headers.get(name))
    assert not [name for name in answer.headers if name.startswith("access-control-") or name == "server"]
    return True


def test_the_pages_own_links_and_forms_are_answered_with_every_header(server: Server) -> None:
    for address, method in asked():
        if method == "POST":
            continue
        answer = server.ask(address, method)
        expected = (
            404
            if address.startswith(("/image/", "/saved"))
            else 307
            if address in ("/", ADDRESSES["/chosen"], ADDRESSES["/marked"])
            else 200
        )
        assert (address, method, answer.status) == (address, method, expected)
        assert headers_hold(answer)
        assert answer.header("content-type") or answer.status == 307, address
    assert server.sql("SELECT 1").status == 200
    assert headers_hold(server.sql("SELECT 1"))


REFUSED: dict[str, tuple[set[int], dict[str, Any]]] = {
    "no cookie": ({401}, {"Cookie": None}),
    "an empty cookie": ({401}, {"Cookie": ""}),
    "a wrong cookie": ({401}, {"Cookie": "secondguess-{port}=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}),
    "the token as cookie": ({401}, {"Cookie": "secondguess-{port}={token}"}),
    "the cookie of another port": ({401}, {"Cookie": "secondguess-1={cookie}"}),
    "a cookie that is no ASCII": ({401}, {"Cookie": "secondguess-{port}=\u00e9"}),
    "another host": ({421}, {"Host": "evil.example:{port}"}),
    "another host without a port": ({421}, {"Host": "evil.example"}),
    "a host that begins as ours": ({421}, {"Host": "127.0.0.1.evil.example:{port}"}),
    "a host with a dot behind it": ({421}, {"Host": "localhost.:{port}"}),
    "the address of any interface": ({421}, {"Host": "0.0.0.0:{port}"}),
    "a host with a user": ({421}, {"Host": "127.0.0.1:{port}@evil.example"}),
    "a wrong port": ({421}, {"Host": "127.0.0.1:1"}),
    "no port": ({421}, {"Host": "127.0.0.1"}),
    "no host": ({400, 421}, {"Host": None}),
    "two hosts": ({400, 421}, {"Host": ["127.0.0.1:{port}", "evil.example"]}),
    "the same host twice": ({400, 421}, {"Host": ["127.0.0.1:{port}", "127.0.0.1:{port}"]}),
    "the origin null": ({403}, {"Origin": "null"}),
    "another origin": ({403}, {"Origin": "http://evil.example"}),
    "our host by another scheme": ({403}, {"Origin": "https://127.0.0.1:{port}"}),
    "our host's other port": ({403}, {"Origin": "http://127.0.0.1:1"}),
    "our host by another name": ({403}, {"Origin": "http://localhost:{port}"}),
    "two origins": ({403}, {"Origin": ["http://127.0.0.1:{port}", "http://evil.example"]}),
    "a request across sites": ({403}, {"Sec_Fetch_Site": "cross-site"}),
    "a request of the same site": ({403}, {"Sec_Fetch_Site": "same-site"}),
    "a request of an unknown kind": ({403}, {"Sec_Fetch_Site": "something"}),
}


def filled(server: Server, value: Any) -> Any:
    if isinstance(value, list):
        return [filled(server, each) for each in value]
    names = {"port": server.port, "token": server.token, "cookie": server.cookie.partition("=")[2]}
    return value.format(**names) if isinstance(value, str) else value


@pytest.mark.parametrize("case", REFUSED)
def test_on_every_route_is_refused(server: Server, case: str) -> None:
    statuses, given = REFUSED[case]
    headers = {name: filled(server, value) for name, value in given.items()}
    for address, method in asked():
        body = f"csrf={server.csrf}&sql=SELECT+1&t=cnn%403&name=refused".encode() if method == "POST" else None
        answer = server.ask(address, method, body=body, **headers)
        assert answer.status in statuses, (address, method, answer.status)
        assert len(answer.body) < 200, "only a line is said"
        if answer.status != 400:  # which the HTTP parser says, before there is a request
            assert headers_hold(answer)
    assert not (server.store / "views").exists()


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost", "[::1]"])
def test_each_name_of_this_machine_is_one_of_ours(server: Server, name: str) -> None:
    host = f"{name}:{server.port}"
    assert server.ask("/help", Host=host, Origin=f"http://{host}", Sec_Fetch_Site="same-origin").status == 200


def test_an_address_typed_or_bookmarked_is_answered(server: Server) -> None:
    assert server.ask("/help", Sec_Fetch_Site="none").status == 200


@pytest.mark.parametrize("method", ["PUT", "DELETE", "OPTIONS", "TRACE", "PATCH", "CONNECT", "BREW"])
def test_on_every_route_only_get_head_and_post_are_answered(server: Server, method: str) -> None:
    for address in ADDRESSES.values():
        answer = server.ask(address, method)
        assert (address, answer.status) == (address, 405)
        assert headers_hold(answer)


def test_a_form_sent_where_none_is_taken_is_refused(server: Server) -> None:
    takes = {ADDRESSES[route.path] for route in routes() if "POST" in (route.methods or ())}
    for address in set(ADDRESSES.values()) - takes:
        answer = server.ask(address, "POST", body=f"csrf={server.csrf}".encode())
        assert (address, answer.status) == (address, 405)
        assert headers_hold(answer)


@pytest.mark.parametrize("path", FORMS)
@pytest.mark.parametrize("csrf", ["", "wrong", "é고", "{cookie}", "{token}"])
def test_a_form_without_the_field_of_our_own_forms_is_refused(server: Server, path: str, csrf: str) -> None:
    fields = {"csrf": filled(server, csrf), "sql": "SELECT 1", "t": "cnn@3", "name": "refused"}
    answer = server.post(path, fields)
    assert answer.status == 403
    assert headers_hold(answer)
    assert server.ask(path, "POST", body=b"sql=SELECT+1&t=cnn%403&name=refused").status == 403
    assert not (server.store / "views").exists()


@pytest.mark.parametrize("path", FORMS)
def test_a_form_without_origin_is_refused(server: Server, path: str) -> None:
    answer = server.post(path, {"sql": "SELECT 1", "t": "cnn@3", "name": "refused"}, Origin=None)
    assert answer.status == 403


def test_a_form_by_the_address_bar_is_not_run(server: Server) -> None:
    """The text is shown in the box; its answer, 4242, is not."""
    answer = server.ask("/sql?sql=SELECT+4200+%2B+42+AS+n&csrf=" + server.csrf)
    assert "SELECT 4200 + 42 AS n" in answer.text
    assert "4242" not in answer.text


def test_a_form_with_a_file_is_refused(server: Server) -> None:
    body = (
        f'--x\r\nContent-Disposition: form-data; name="csrf"\r\n\r\n{server.csrf}\r\n'
        '--x\r\nContent-Disposition: form-data; name="sql"; filename="a.txt"\r\n\r\nSELECT 1\r\n--x--\r\n'
    )
    answer = server.ask("/sql", "POST", body=body.encode(), Content_Type="multipart/form-data; boundary=x")
    assert answer.status in {400, 403}
    assert headers_hold(answer)


@pytest.mark.parametrize("path", FORMS)
def test_a_form_of_a_megabyte_is_refused(server: Server, path: str) -> None:
    """Its text is not cut to what fits: cut, it would be another statement."""
    answer = server.post(path, {"sql": "SELECT 1 --" + "x" * 1_000_000, "t": "cnn@3", "name": "long"})
    assert answer.status in {400, 413}
    assert headers_hold(answer)
    assert not (server.store / "views").exists()


def test_a_statement_that_is_too_long_is_refused_and_not_cut(server: Server) -> None:
    answer = server.sql("SELECT 4200 + 42 AS n --" + "x" * 66_000)
    assert answer.status in {400, 413}
    assert "4242" not in answer.text


class TestOpening:
    """The printed address."""

    def test_its_token_becomes_a_strict_cookie_that_scripts_cannot_read(self, server: Server) -> None:
        answer = server.ask(f"/open?token={server.token}", Cookie=None)
        assert answer.status == 200
        assert headers_hold(answer)
        value = rf"secondguess-{server.port}=\d{{10}}\.[\w-]{{43}}"
        attributes = re.fullmatch(value + r"(; .*)", answer.header("set-cookie"))
        assert attributes is not None
        assert {part.casefold() for part in attributes[1].split("; ") if part} == {
            "httponly",
            "max-age=2592000",  # 30 days
            "path=/",
            "samesite=strict",
        }
        assert server.token not in answer.text

    @pytest.mark.parametrize("token", ["", "token=", "token=wrong", "token=%C3%A9", "token=wrong&token={token}"])
    def test_another_token_opens_nothing(self, server: Server, token: str) -> None:
        answer = server.ask("/open?" + filled(server, token), Cookie=None)
        assert answer.status == 401
        assert "set-cookie" not in answer.headers
        assert headers_hold(answer)

    @pytest.mark.parametrize(
        "target",
        [
            "//evil.example",
            "http://evil.example",
            "/%5Cevil.example",
            "/%09/evil.example",
            "javascript:alert(1)",
            "%0d%0a//e",
        ],
    )
    def test_it_leads_nowhere_else(self, server: Server, target: str) -> None:
        answer = server.ask(f"/open?token={server.token}&to={target}", Cookie=None)
        assert 'content="0;url=/"' in answer.text
        assert "evil" not in answer.text

    def test_what_it_leads_to_is_text(self, server: Server) -> None:
        answer = server.ask(f"/open?token={server.token}&to=/%22%3E%3Cscript%3E", Cookie=None)
        assert "<script>" not in answer.text

    def test_another_page_may_link_to_it_but_not_send_it_forms(self, server: Server) -> None:
        address = f"/open?token={server.token}"
        assert server.ask(address, Cookie=None, Sec_Fetch_Site="cross-site").status == 200
        assert server.ask(address, "POST", Cookie=None, Origin="http://evil.example").status == 403
        assert server.ask(address, Cookie=None, Host="evil.example").status == 421


PLACES = ["/image/", "/static/"]
PATHS = [
    "../../../../../../etc/passwd",
    "..%2f..%2f..%2f..%2f..%2f..%2fetc%2fpasswd",
    "%2e%2e/%2e%2e/%2e%2e/%2e%2e/etc/passwd",
    "%252e%252e%252f%252e%252e%252fetc%252fpasswd",
    "..%5c..%5c..%5cetc%5cpasswd",
    "/etc/passwd",
    "%2fetc%2fpasswd",
    "//etc/passwd",
    "file:%2f%2f%2fetc%2fpasswd",
    "secondguess.css%00.png",
    "secondguess.css::$DATA",
    "%5c%5cevil.example%5cshare",
    "~/.bashrc",
    "../templates/base.html",
    "..%2ftemplates%2fbase.html",
    "..%2fapp.py",
    "secondguess.css/",
    "SECONDGUESS.CSS",
    ".",
    "..",
    "",
    "con",
    "x" * 5000,
    "%ff%fe",
    "../../secret.txt",
    "..%2f..%2fsecret.txt",
]
AUDIT = """
import os, sys
log = os.open({log!r}, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
def heard(event, arguments):
    if event in ("open", "os.listdir", "os.scandir"):
        os.write(log, (str(arguments[0]) + "\\n").encode())
sys.addaudithook(heard)
from secondguess.analysis.cli import main
main()
"""


@pytest.fixture(scope="module")
def audited(page_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, Path]]:
    """A server and the file in which it keeps the name of everything that it opens."""
    folder = tmp_path_factory.mktemp("audit")
    log = folder / "opened"
    (page_store.parent / "secret.txt").write_text("the secret of the folder above")
    with serving(page_store, folder / "stderr", code=AUDIT.format(log=str(log))) as server:
        yield server, log


@pytest.mark.parametrize("place", PLACES)
def test_no_file_is_served_by_a_path(audited: tuple[Server, Path], place: str) -> None:
    server, log = audited
    server.ask("/static/secondguess.css")
    server.ask("/no-such-page")  # its template is loaded now
    before = len(log.read_text())
    for path in PATHS:
        answer = server.ask(place + path)
        assert answer.status in {307, 404}, (path, answer.status)
        assert headers_hold(answer)
        if answer.status == 307:  # to the same without its last slash
            assert answer.header("location").startswith(f"{server.base}{place}")
        for content in (b"root:", b"the secret", b"{% ", b"import ", b"--ink"):
            assert content not in answer.body, path
    opened = log.read_text()[before:].splitlines()
    assert [path for path in opened if not path.endswith(".html")] == []


def test_a_path_with_what_no_address_holds_is_refused(server: Server) -> None:
    for path in (b"/image/\x00", b"/static/a b", b"/image/\xff\xfe", b"http://evil.example/runs", b"*", b"runs"):
        with socket.create_connection(("127.0.0.1", server.port), timeout=HANG_S) as one:
            head = f" HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\nConnection: close\r\nCookie: {server.cookie}\r\n\r\n"
            one.sendall(b"GET " + path + head.encode())
            said = b"".join(iter(lambda: one.recv(65536), b""))
        assert said.split()[1] in {b"400", b"404", b"421"}, (path, said[:200])
        assert b"Traceback" not in said


def test_a_head_of_a_megabyte_is_refused_and_others_are_answered(server: Server) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=HANG_S) as one:
        try:
            one.sendall(b"GET / HTTP/1.1\r\nX: " + b"x" * 1_000_000)
            said = one.recv(1000)
        except OSError:  # closed while it was sent
            said = b""
        assert said[:12] in {b"", b"HTTP/1.1 400", b"HTTP/1.1 431"}
    assert server.ask("/help").status == 200


def test_two_hundred_idle_connections_leave_the_page_open(server: Server) -> None:
    idle = [socket.create_connection(("127.0.0.1", server.port), timeout=HANG_S) for _ in range(200)]
    try:
        assert server.ask("/help", timeout=HANG_S).status == 200
    finally:
        for one in idle:
            one.close()


class TestImages:
    """Pictures in cells."""

    def shown(self, server: Server) -> list[str]:
        text = server.ask(table_url("media/media@1", columns="id,picture")).text
        return re.findall(r'src="(/image/[0-9a-f]+)"', text)

    def test_each_is_served_with_the_type_that_its_bytes_have(self, server: Server) -> None:
        kinds = {}
        for address in self.shown(server):
            answer = server.ask(address)
            assert answer.status == 200
            assert answer.header("x-content-type-options") == "nosniff"
            assert answer.header("content-security-policy").startswith("sandbox")
            kinds[answer.body] = answer.header("content-type")
        assert kinds == {PICTURES[name]: kind for name, kind in TYPES.items()}

    def test_neither_svg_nor_html_is_ever_sent_as_what_it_is(self, server: Server) -> None:
        addresses = [
            table_url("media/media@1"),
            table_url("media/media@1", columns="id,picture"),
            table_url("media/media@1", group="id", columns="id,n,picture"),
            table_url("media/media@1", path="/example", row="4"),
        ]
        answers = [server.ask(address) for address in addresses]
        answers.append(server.sql('SELECT id, picture FROM "media/media@1"'))
        assert [answer.status for answer in answers] == [200] * 5
        for answer in answers:
            assert SVG not in answer.body
            assert HTML not in answer.body
            assert not re.search(rb"<img[^>]+src=\"(?!/image/)", answer.body)

    def test_an_image_that_was_not_shown_is_not_found(self, server: Server) -> None:
        assert server.ask("/image/" + "0" * 32).status == 404


class TestSecrets:
    """What is said to nobody but the person who started it."""

    def secrets(self, server: Server) -> list[str]:
        return [server.token, server.cookie.partition("=")[2], server.csrf]

    def test_nothing_secret_is_logged_or_given_to_another_process(self, server: Server) -> None:
        server.ask(f"/open?token={server.token}x", Cookie=None)
        server.ask(table_url("cnn@3", where="guess = ("))
        server.ask("/no-such-page?token=" + server.token)
        server.sql("SELECT boom")
        said = server.said.read_text()
        arguments = [
            read_process(pid, "cmdline").decode() for pid in [server.process.pid, *children(server.process.pid)]
        ]
        surroundings = [read_process(pid, "environ").decode() for pid in children(server.process.pid)]
        assert len(arguments) >= 3  # the server and its two workers at least
        for secret in self.secrets(server):
            assert secret not in said
            assert not [text for text in (*arguments, *surroundings) if secret in text]

    def test_a_page_never_says_the_token_or_the_cookie(self, server: Server) -> None:
        token, cookie, _ = self.secrets(server)
        for address, method in asked():
            if method == "GET":
                answer = server.ask(address)
                assert token.encode() not in answer.body
                assert cookie.encode() not in answer.body

    def test_the_browser_is_led_by_a_private_file_and_not_by_an_argument(
        self, page_store: Path, tmp_path: Path
    ) -> None:
        """A command line can be read by everyone on the machine."""
        browser = tmp_path / "browser"
        browser.write_text(
            '#!/bin/sh\nfile="${1#file://}"\nls -l "$file" > "$OUT/mode"\nls -ld "$(dirname "$file")" >> "$OUT/mode"\n'
            'cat "$file" > "$OUT/content"\necho "$@" > "$OUT/arguments"\n'
        )
        browser.chmod(0o700)
        log = tmp_path / "stderr"
        with serving(page_store, log, "--browser", BROWSER=str(browser), OUT=str(tmp_path)) as server:
            until(lambda: (tmp_path / "arguments").exists() and (tmp_path / "arguments").read_text())
            assert server.token not in (tmp_path / "arguments").read_text()
            assert server.token in (tmp_path / "content").read_text()
            file, folder = (tmp_path / "mode").read_text().splitlines()
            assert file.startswith("-rw-------")
            assert folder.startswith("drwx------")
            led = Path((tmp_path / "arguments").read_text().strip().removeprefix("file://"))
            assert led.parent.name.startswith("secondguess-")
        assert not led.exists()


class TestListening:
    """Where it can be reached."""

    def test_it_listens_on_this_machine_alone(self, server: Server) -> None:
        assert listening(server.port) == ["127.0.0.1"]

    def test_another_host_says_what_that_means_and_demands_the_token(self, page_store: Path, tmp_path: Path) -> None:
        with serving(page_store, tmp_path / "stderr", "--host", "0.0.0.0") as server:
            assert listening(server.port) == ["0.0.0.0"]
            said = (tmp_path / "stderr").read_text()
            assert "listening on 0.0.0.0" in said
            assert "sees the store" in said
            assert "not encrypted" in said
            for address, method in asked():
                origin = f"http://127.0.0.1:{server.port}" if method == "POST" else None
                assert server.ask(address, method, Cookie=None, Origin=origin).status == 401
            assert server.ask("/help", Host=f"evil.example:{server.port}").status == 421
            assert server.ask("/help").status == 200

    def test_a_port_that_is_taken_is_said_in_one_line(self, server: Server, tmp_path: Path) -> None:
        done = subprocess.run(
            [*COMMAND, "view", "--no-browser", "--port", str(server.port), "--store", str(server.store)],
            capture_output=True,
            text=True,
            timeout=HANG_S,
            cwd=tmp_path,
        )
        assert done.returncode == 1
        assert f"cannot listen on 127.0.0.1:{server.port}" in done.stderr
        assert len(done.stderr.splitlines()) == 1

    def test_a_store_that_is_not_there_is_said_in_one_line(self, tmp_path: Path) -> None:
        done = subprocess.run(
            [*COMMAND, "view", "--no-browser", "--store", str(tmp_path / "nowhere")],
            capture_output=True,
            text=True,
            timeout=HANG_S,
        )
        assert done.returncode == 1
        assert "nowhere" in done.stderr
        assert len(done.stderr.splitlines()) == 1

    def test_it_ends_with_its_workers(self, page_store: Path, tmp_path: Path) -> None:
        with serving(page_store, tmp_path / "stderr") as server:
            server.ask("/runs")
            held = children(server.process.pid)
            assert len(server.workers()) == 2
        until(lambda: not [pid for pid in held if Path(f"/proc/{pid}").exists()])
        assert server.process.returncode in {0, 1, 130, -2}
        assert "Traceback" not in (tmp_path / "stderr").read_text()


def listening(port: int) -> list[str]:
    """The IPv4 addresses on which a port is listened to."""
    found: list[str] = []
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        place, state = line.split()[1], line.split()[3]
        address, number = place.split(":")
        if state == "0A" and int(number, 16) == port:
            found.append(".".join(str(byte) for byte in reversed(bytes.fromhex(address))))
    return found


class TestStore:
    """A store that changes or disappears under the page."""

    @pytest.fixture
    def moved(self, page_store: Path) -> Iterator[Path]:
        away = page_store.with_name("away")
        page_store.rename(away)
        try:
            yield away
        finally:
            away.rename(page_store)

    def addresses(self) -> Sequence[str]:
        return [address for address, method in asked() if method == "GET" and address != "/"]

    def test_where_it_is_gone_each_page_says_so_and_shows_no_trace(self, server: Server, moved: Path) -> None:
        free = {
            "/help",
            ADDRESSES["/marked"],
            ADDRESSES["/chosen"],
            ADDRESSES["/static/{name}"],
            ADDRESSES["/image/{key}"],
        }
        for address in set(self.addresses()) - free:
            answer = server.ask(address)
            assert (address, answer.status) == (address, 404)
            assert "predictions" in answer.text
            assert "Traceback" not in answer.text
            assert headers_hold(answer)

    def test_a_form_is_answered_where_the_store_is_gone(self, server: Server, moved: Path) -> None:
        for path in FORMS:
            answer = server.post(path, {"csrf": csrf_of(server), "sql": "SELECT 1", "t": "cnn@3", "name": "gone"})
            assert answer.status == 404
            assert "Traceback" not in answer.text
        assert not server.store.exists()

    def test_once_it_is_back_it_is_shown(self, server: Server) -> None:
        assert server.ask(CNN).status == 200

    def test_a_run_whose_file_is_gone_is_named_and_the_rest_is_shown(self, server: Server) -> None:
        file = list_runs(server.store)["double"].tables["test_predictions"][3].file
        away = file.with_name("away")
        file.rename(away)
        try:
            gone = server.ask(table_url("double@3"))
            assert gone.status in {400, 404}
            assert f"{file.name} is missing" in gone.text
            assert "Traceback" not in gone.text
            for address in (CNN, "/runs", "/run?run=double", "/table", "/sql", "/questions"):
                assert server.ask(address).status == 200, address
        finally:
            away.rename(file)
        assert server.ask(table_url("double@3")).status == 200

    def test_a_file_that_is_damaged_is_named(self, server: Server) -> None:
        file = list_runs(server.store)["double"].tables["test_predictions"][1].file
        held = file.read_bytes()
        file.chmod(0o600)
        file.write_bytes(held[:100])
        try:
            answer = server.ask(table_url("double@1"))
            assert answer.status in {400, 404, 500}
            assert file.name in answer.text
            assert "Traceback" not in answer.text
            assert headers_hold(answer)
        finally:
            file.write_bytes(held)
        assert server.ask(table_url("double@1")).status == 200


def csrf_of(server: Server) -> str:
    """The field, asked for before the store went away."""
    return server.csrf


BAD = {
    "/runs?where=bogus": 400,
    "/runs?sort=bogus": 400,
    "/runs?view=bogus": 400,
    "/runs?offset=-1": 400,
    "/runs?where=true)+OR+(true": 400,
    "/runs?columns=%22": 400,
    "/run?run=nobody": 404,
    "/table?t=nobody%403": 404,
    "/table?t=cnn%4099": 404,
    "/table?t=cnn%40x": 400,
    "/table?t=": 400,
    "/table?t=cnn%403&at=x": 400,
    "/table?t=cnn%403&limit=-1": 400,
    "/table?t=cnn%403&limit=9999999999999999999": 400,
    "/table?t=cnn%403&offset=99999999999": 200,
    "/table?t=cnn%403&join=cross": 400,
    "/table?t=cnn%403&key=guess": 400,
    "/table?t=cnn%403&exact=1": 400,
    "/table?t=cnn%403&where=%28": 400,
    "/table?t=cnn%403&where=1%29%20union%20all%20%28select%201": 400,
    "/table?t=cnn%403&where=nocolumn%20%3D%201": 400,
    "/table?t=cnn%403&where=getenv%28%27HOME%27%29%20%3D%20%27%27": 400,
    "/table?t=cnn%403&where=id%20IN%20%28SELECT%20content%20FROM%20read_text%28%27/etc/passwd%27%29%29": 400,
    "/table?t=cnn%403&sort=nocolumn": 400,
    "/table?t=cnn%403&group=nocolumn": 400,
    "/table?t=cnn%403&columns=nocolumn": 400,
    "/table?t=cnn%403&columns=id,id": 400,
    "/table?t=cnn%403&add=nothing": 400,
    "/table?t=cnn%403&add=%3D": 400,
    "/table?t=cnn%403&wandb_filter=%28%28": 400,
    "/table?t=cnn%403&group=%22": 400,
    "/table?t=cnn%403&unknown=1": 200,
    "/gallery?t=": 400,
    "/gallery?t=nobody%403": 404,
    "/gallery?t=cnn%403&by=nocolumn": 400,
    "/gallery?t=cnn%403&by=guess&from=-1": 400,
    "/gallery?t=cnn%403&where=%28": 400,
    "/gallery?t=cnn%403&size=x&limit=7&from=x": 200,
    "/marked?t=cnn%403": 400,
    "/marked?t=cnn%403&mark=r01&to=pdf": 400,
    "/head?t=cnn%403": 400,
    "/head?t=cnn%403&column=nocolumn": 400,
    "/head?t=cnn%403&column=guess&show=pie": 400,
    "/head?t=cnn%403&column=guess&show=bins": 400,
    "/head?t=cnn%403&column=guess&of=double": 404,
    "/head?t=nobody%403&column=guess": 404,
    "/head?t=cnn%403&column=guess&where=%28": 400,
    "/table?t=cnn%403&heads=all&where=nocolumn+%3D+1": 400,
    "/table?t=%00": 404,
    "/table?t=%ff": 404,
    "/table?t=cnn%403&where=%00": 400,
    "/table?t=..%2f..%2fetc%2fpasswd": 404,
    "/example?t=cnn%403&row=60": 404,
    "/example?t=cnn%403&row=-1": 400,
    "/example?t=cnn%403&row=x": 400,
    "/example?t=cnn%403&row=99999999999999999999999": 400,
    "/example": 400,
    "/export": 400,
    "/export?t=cnn%403&format=exe": 400,
    "/export?t=nobody": 404,
    "/chosen": 400,
    "/chosen?first=nobody&second=cnn&how=x": 307,
    "/compare": 200,
    "/compare?t=cnn%401": 200,
    "/compare?t=cnn%401&t=nobody": 404,
    "/compare?t=cnn%401&t=cnn%401": 400,
    "/compare?t=cnn%401&t=cnn%402&t=cnn%403": 400,
    "/compare?t=cnn%401&t=cnn%402&floor=nobody-*": 404,
    "/compare?t=cnn%40all&t=cnn%402": 400,
    "/save": 400,
    "/save?t=cnn%403": 200,
    "/saved": 400,
    "/saved?name=nobody": 404,
    "/saved?name=..%2f..%2fetc%2fpasswd": 400,
    "/saved?name=%00": 400,
    "/table?t=cnn%403&saved=nobody&unsaved=%3Cb%3E": 200,
    "/sql?sort=%28&answer=nobody": 200,
    "/questions?q=nothing": 404,
    "/questions?q=..%2f..%2fetc%2fpasswd": 404,
    "/questions?q=errors&t=nobody": 404,
    "/questions?q=errors&t=cnn&o.limit=x": 400,
    "/questions?q=errors&t=cnn&o.nothing=1": 400,
    "/questions?q=disagreements&t=cnn%401&t=cnn%402&t=cnn%403": 400,
    "/nothing": 404,
    "/runs/": 307,
    "/RUNS": 404,
    "/runs.xml": 404,
}


@pytest.mark.parametrize("address", BAD)
def test_a_bad_address_is_answered_with_a_page_that_says_what_to_do(server: Server, address: str) -> None:
    answer = server.ask(address)
    assert answer.status == BAD[address]
    assert headers_hold(answer)
    for trace in ("Traceback", 'File "', "site-packages", "root:"):
        assert trace not in answer.text
    if answer.status in {400, 404}:
        assert answer.header("content-type").startswith("text/html")
        assert 'href="/runs"' in answer.text
        assert 'role="alert"' in answer.text


def test_what_was_typed_comes_back_as_text(server: Server) -> None:
    bad = '"><script>alert(1)</script>'
    addresses = [
        table_url(bad),
        table_url("cnn@3", where=bad),
        table_url("cnn@3", add=bad),
        table_url("cnn@3", group=bad),
        table_url("cnn@3", sort=bad),
        table_url("cnn@3", size=bad, side=bad),
        table_url("cnn@3", path="/export", format=bad),
        table_url("cnn@3", path="/example", row=bad),
        "/run?run=%22%3E%3Cscript%3Ealert(1)%3C/script%3E",
        "/questions?q=%22%3E%3Cscript%3Ealert(1)%3C/script%3E",
        "/questions?q=errors&t=%22%3E%3Cscript%3Ealert(1)%3C/script%3E&o.limit=%22%3E%3Cscript%3Ealert(1)%3C/script%3E",
        "/sql?sql=%3C/textarea%3E%3Cscript%3Ealert(1)%3C/script%3E",
    ]
    for address in addresses:
        text = server.ask(address).text
        assert "<script>alert" not in text, address
        assert text.count("<script ") == text.count('<script src="/static/'), address  # our own


def test_nothing_in_a_page_is_inline_or_from_elsewhere(server: Server) -> None:
    """The policy forbids inline script and style; what it forbids is not tried either."""
    for address, method in asked():
        answer = server.ask(address, method)
        if method != "GET" or not answer.header("content-type").startswith("text/html"):
            continue
        text = re.sub(r"<svg class=\"marks\".*?</svg>", "", answer.text, flags=re.S)
        assert not re.search(r"<[^>]+\s(?:style|on\w+)=", text), address
        assert "<style" not in text
        assert not re.search(r"<script(?! src=\"/static/)", text)
        assert not re.search(r"(?:src|href|action)=\"(?!/|#)", text), address
        assert "javascript:" not in text


def test_the_class_that_is_markup_is_shown_as_text(server: Server) -> None:
    text = server.ask(CNN).text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text
    assert CAT in text


def test_a_slow_request_does_not_hold_up_others(server: Server) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=HANG_S) as one:
        one.sendall(b"POST /sql HTTP/1.1\r\nContent-Length: 1000\r\n")
        assert server.ask("/help").status == 200  # the other request never ends
