"""The page served by the test's own process, so that what it does there can be counted; its workers are as ever."""

import asyncio
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from secondguess.analysis.page.app import application
from secondguess.analysis.page.gate import Keys

_PORT = 80


def texts(store: Path, *paths: str) -> list[str]:
    """What the page answers to each of these addresses, one after the other; raises AssertionError for an error."""
    return in_turn(store, paths)


def in_turn(store: Path, paths: Iterable[str]) -> list[str]:
    """The same of addresses of which each is made when the ones before were answered."""
    return asyncio.run(_texts(store, paths))


async def _texts(store: Path, paths: Iterable[str]) -> list[str]:
    keys = Keys()
    app = application(store, keys, _PORT)
    asked: asyncio.Queue[Any] = asyncio.Queue()
    said: asyncio.Queue[Any] = asyncio.Queue()
    serving = asyncio.create_task(app({"type": "lifespan", "state": {}}, asked.get, said.put))
    await asked.put({"type": "lifespan.startup"})
    assert (await said.get())["type"] == "lifespan.startup.complete"
    try:
        return [await _text(app, keys, path) for path in paths]
    finally:
        await asked.put({"type": "lifespan.shutdown"})
        await serving


async def _text(app: Any, keys: Keys, path: str) -> str:
    parts = urlsplit(path)
    scope = {
        "type": "http",
        "method": "GET",
        "path": unquote(parts.path),
        "query_string": parts.query.encode(),
        "headers": [
            (b"host", b"localhost:80"),
            (b"cookie", f"secondguess-{_PORT}={keys.cookie(time.time())}".encode()),
        ],
    }
    sent: list[Any] = []

    async def receive() -> Any:
        return await asyncio.Future()  # whoever asked stays and waits

    async def send(message: Any) -> None:
        sent.append(message)

    await app(scope, receive, send)
    text = b"".join(message.get("body", b"") for message in sent).decode()
    assert sent[0]["status"] == 200, text
    return text
