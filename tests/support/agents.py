"""An agent's side of `secondguess mcp`: the protocol's own client, driven from a test that is no coroutine."""

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from anyio.from_thread import BlockingPortal, start_blocking_portal
from mcp import Client, StdioServerParameters
from page import children, read_process

MAIN = "from secondguess.__main__ import main; main()"


@dataclass
class Agent:
    """A client that is connected."""

    client: Client
    portal: BlockingPortal

    def result(self, tool: str, **arguments: Any) -> Any:
        """What a call gives."""
        return self.portal.call(partial(self.client.call_tool, tool, arguments))

    def answer(self, tool: str, **arguments: Any) -> dict[str, Any]:
        """The structured answer of a call that goes well, which its text says too."""
        result = self.result(tool, **arguments)
        assert not result.is_error, result.content[0].text
        assert json.loads(result.content[0].text) == result.structured_content
        answer: dict[str, Any] = result.structured_content
        return answer

    def refused(self, tool: str, **arguments: Any) -> str:
        """What is said of a call that goes wrong: one line, and no traceback."""
        result = self.result(tool, **arguments)
        assert result.is_error
        assert result.structured_content is None
        (content,) = result.content
        assert "\n" not in content.text
        assert "Traceback" not in content.text
        return str(content.text)

    def do(self, method: str, *arguments: Any) -> Any:
        """What another request gives."""
        return self.portal.call(getattr(self.client, method), *arguments)


def parameters(store: Path | str, *options: str) -> StdioServerParameters:
    """How a client starts the server; with the environment of this process."""
    words = ["-c", MAIN, "mcp", "--store", str(store), *options]
    return StdioServerParameters(command=sys.executable, args=words, env=dict(os.environ))


@contextmanager
def connected(to: Any) -> Iterator[Agent]:
    """A client of a server, until the block ends."""
    with start_blocking_portal() as portal, portal.wrap_async_context_manager(Client(to)) as client:
        yield Agent(client, portal)


def workers() -> list[int]:
    """The processes that answer for the server that this process started."""
    servers = [pid for pid in children(os.getpid()) if b"\0mcp\0" in read_process(pid, "cmdline")]
    return [
        pid for server in servers for pid in children(server) if b"resource_tracker" not in read_process(pid, "cmdline")
    ]
