"""Connections that ask nothing, slowly or wrongly: closed by a limit, while the page is answered to its own people."""

import logging
import resource
import socket
import time
from contextlib import ExitStack, suppress

import pytest
from page import Server, table_url
from waiting import HANG_S, until

from secondguess.analysis.page.gate import HEADERS
from secondguess.analysis.serving.connections import BODY_S, HEAD_S, MOST, Sparing

pytest_plugins = ["page"]

CNN = table_url("cnn@3")


def opened(server: Server, said: bytes = b"") -> socket.socket:
    """A connection that has said so much."""
    one = socket.create_connection(("127.0.0.1", server.port), timeout=HANG_S)
    one.sendall(said)
    return one


def closed(one: socket.socket) -> bool:
    """Whether the server has closed a connection by now."""
    one.setblocking(False)
    try:
        return one.recv(1) == b""
    except BlockingIOError:
        return False
    except ConnectionError:
        return True


def test_eleven_hundred_half_open_connections_leave_the_page_open(server: Server) -> None:
    """None has a token; the page holds the latest of them, and answers whoever asks."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(4_096, hard), hard))
    try:
        with ExitStack() as stack:
            halves = [stack.enter_context(opened(server, b"GET / HTTP/1.1\r\nHost:")) for _ in range(1_100)]
            began = time.monotonic()
            assert [server.ask(CNN).status for _ in range(5)] == [200] * 5
            assert time.monotonic() - began < HEAD_S
            until(lambda: sum(map(closed, halves)) >= 1_100 - MOST)
            until(lambda: all(map(closed, halves)))  # the rest by the time they take
        assert server.ask(CNN).status == 200
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_head_that_does_not_come_is_waited_for_a_few_seconds(server: Server) -> None:
    """Nothing, half a head, one that comes letter by letter, and one after an answer on the same connection."""
    asked = f"GET /help HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\nCookie: {server.cookie}\r\n\r\n"
    began = time.monotonic()
    with ExitStack() as stack:
        half = b"GET / HTTP/1.1\r\n"
        second, *others = (stack.enter_context(opened(server, said)) for said in (asked.encode(), b"", half, half))
        text = b""
        while b"</html>" not in text and b"</main>" not in text:
            text += second.recv(1 << 16)
        second.sendall(half)
        waiting = {second, *others}
        while waiting:
            assert time.monotonic() - began < HANG_S
            waiting = {one for one in waiting if not closed(one)}
            assert not waiting or len(waiting) == 4 or time.monotonic() - began >= HEAD_S - 0.5
            with suppress(OSError):
                others[-1].send(b"x")
            time.sleep(0.05)


@pytest.mark.slow
def test_a_body_that_does_not_come_is_not_waited_for_either(server: Server) -> None:
    head = (
        f"POST /sql HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\nOrigin: {server.base}\r\nCookie: {server.cookie}\r\n"
        "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 100\r\n\r\ncsrf="
    )
    with opened(server, head.encode()) as one:
        began = time.monotonic()
        one.settimeout(HANG_S)
        assert one.recv(1) == b""
        assert time.monotonic() - began >= BODY_S - 1
    assert server.ask(CNN).status == 200
    assert "Traceback" not in server.said.read_text()


@pytest.mark.parametrize(
    "said",
    [
        b"nonsense\r\n\r\n",
        b"GET /\x00 HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost : x\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"x: y\r\n" * 40_000,
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",  # a browser that was told https
    ],
)
def test_what_is_no_request_is_answered_with_every_header(server: Server, said: bytes) -> None:
    with opened(server) as one:
        try:
            one.sendall(said)
            one.shutdown(socket.SHUT_WR)
        except OSError:  # refused before all of it was sent
            pass
        text = b""
        while more := _more(one):
            text += more
    if not text and len(said) > 100_000:
        return  # the system threw the answer away with what was still to be read
    head = text.partition(b"\r\n\r\n")[0].decode().lower()
    assert head.startswith("http/1.1 400")
    assert [name for name, value in HEADERS.items() if f"{name}: {value.lower()}" not in head] == []


def _more(one: socket.socket) -> bytes:
    try:
        return one.recv(1 << 16)
    except ConnectionError:
        return b""


def test_who_asks_wrongly_a_thousand_times_does_not_fill_the_log(server: Server) -> None:
    before = len(server.said.read_text().splitlines())
    began = time.monotonic()
    for _ in range(1_000):
        with opened(server, b"nonsense\r\n\r\n") as one:
            _more(one)
    assert len(server.said.read_text().splitlines()) - before <= time.monotonic() - began + 2


def test_of_lines_that_say_the_same_the_next_one_says_how_many_were_left_out(caplog: pytest.LogCaptureFixture) -> None:
    log, sparing = logging.getLogger("secondguess.test_connections"), Sparing()
    log.addFilter(sparing)
    for number in range(5):
        log.warning("odd request %d", number)
    log.warning("something else")
    sparing._said["odd request %d"] = (time.monotonic() - 2, 4)
    log.warning("odd request %d", 5)
    assert caplog.messages == ["odd request 0", "something else", "odd request 5 (4 more like it)"]
