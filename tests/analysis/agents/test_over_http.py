"""Over HTTP the same is answered, to whoever has the token, on this machine, and to no page of the web's."""

import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
import httpx2
import pytest
from agents import MAIN
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from recording import record
from waiting import HANG_S

from secondguess.analysis.cli import main

LIST = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}


@dataclass
class Open:
    """A server: its address, its token, its process."""

    url: str
    token: str
    process: subprocess.Popen[str]

    @property
    def port(self) -> int:
        return int(self.url.split(":")[2].split("/")[0])

    def post(self, body: Any = LIST, **headers: str) -> httpx2.Response:
        """What a request by hand is answered, with these headers; an empty one is left out."""
        usual = {"authorization": f"Bearer {self.token}", "accept": "application/json, text/event-stream"}
        given = {name.replace("_", "-"): value for name, value in {**usual, **headers}.items() if value}
        return httpx2.post(self.url, json=body, headers=given)


def begin(store: Path, *options: str) -> Open:
    words = [sys.executable, "-c", MAIN, "mcp", "--store", str(store), "--http", "0", *options]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=dict(os.environ))
    assert process.stdout is not None
    lines = [process.stdout.readline() for _ in range(6)]
    assert lines[-1] == "Stop with Ctrl-C.\n", lines
    return Open(lines[2].strip(), lines[3].split()[-1], process)


def end(server: Open) -> None:
    server.process.terminate()
    assert server.process.wait(HANG_S) == 143
    _, said = server.process.communicate()
    assert said == "secondguess: interrupted\n"


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("http") / "predictions"
    record(path, "cnn", {1: [("a", 0, 0), ("b", 1, 0)]})
    return path


@pytest.fixture(scope="module")
def server(store: Path) -> Iterator[Open]:
    opened = begin(store)
    try:
        yield opened
    finally:
        end(opened)


def test_a_client_with_the_token_asks(server: Open) -> None:
    async def ask() -> tuple[Any, Any]:
        headers = {"Authorization": f"Bearer {server.token}"}
        async with (
            httpx2.AsyncClient(headers=headers) as http,
            Client(streamable_http_client(server.url, http_client=http)) as client,
        ):
            good = await client.call_tool("sql", {"query": "SELECT id FROM cnn WHERE wrong"})
            return good, await client.call_tool("runs", {"run": "x"})

    good, bad = anyio.run(ask)
    assert good.structured_content["rows"] == [["b"]]
    assert bad.is_error
    assert bad.content[0].text == "no run named 'x'; the store has cnn"


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"authorization": ""}, 401),
        ({"authorization": "Bearer wrong"}, 401),
        ({"authorization": "Basic eDp5"}, 401),
        ({"host": "evil.example"}, 421),
        ({"host": "127.0.0.1"}, 421),
        ({"host": "127.0.0.1.evil.example:80"}, 421),
        ({"origin": "http://evil.example"}, 403),
        ({"origin": "null"}, 403),
    ],
    ids=str,
)
def test_who_has_no_token_or_comes_from_elsewhere_is_not_answered(
    server: Open, headers: dict[str, str], status: int
) -> None:
    answer = server.post(**headers)
    assert answer.status_code == status
    assert ("tools" in answer.text) == (status == 200)
    if status == 401:
        assert answer.headers["www-authenticate"] == "Bearer"


def test_its_own_names_and_origin_are_taken(server: Open) -> None:
    host = f"localhost:{server.port}"
    assert server.post(host=host, origin=f"http://{host}").status_code == 200


def test_other_addresses_and_methods_have_nothing(server: Open) -> None:
    with httpx2.Client(headers={"authorization": f"Bearer {server.token}"}) as client:
        assert client.get(server.url.replace("/mcp", "/")).status_code == 404
        assert client.get(server.url.replace("/mcp", "/mcp/../../etc/passwd")).status_code == 404
        assert client.put(server.url).status_code in (404, 405)


def test_a_request_that_is_too_long_is_refused(server: Open) -> None:
    assert server.post({**LIST, "params": {"x": "y" * (5 << 20)}}).status_code == 413
    assert server.post().status_code == 200


def test_it_listens_on_this_machine_alone(server: Open) -> None:
    listening = Path("/proc/net/tcp").read_text()
    (address,) = re.findall(rf"^ *\d+: (\w+):{server.port:04X} 0+:0000 0A", listening, re.MULTILINE)
    assert address == "0100007F"


def test_the_token_stays_until_it_is_to_be_another(tmp_path: Path) -> None:
    record(tmp_path / "p", "cnn", {1: [("a", 0, 0)]})
    tokens = []
    for options in ((), (), ("--new-token",)):
        opened = begin(tmp_path / "p", *options)
        end(opened)
        tokens.append(opened.token)
    assert tokens[0] == tokens[1] != tokens[2]
    assert len(tokens[0]) >= 40


def test_a_second_server_of_a_store_says_where_the_first_is(server: Open, store: Path) -> None:
    words = [sys.executable, "-c", MAIN, "mcp", "--store", str(store), "--http", "0"]
    second = subprocess.run(words, capture_output=True, text=True)
    base = server.url.removesuffix("/mcp")
    assert second.returncode == 1
    assert second.stderr.startswith(f"secondguess: the agents' server of {store} is open already at {base} (process ")


def test_a_port_that_is_taken_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(SystemExit):
        main(["mcp", "--store", str(tmp_path), "--http", str(taken.getsockname()[1])])
    assert "name another port" in capsys.readouterr().err
