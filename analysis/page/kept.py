"""Answers that the page gave, kept while the store is as it was: in bounded memory, the latest used, each asked once.

Weighed against functools.lru_cache, which bounds the number and not the bytes, and asks twice what is being asked.
"""

import asyncio
import hashlib
import pickle
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Any, Generic, TypeVar

Kept = TypeVar("Kept")

MOST_BYTES = 64 << 20
_MOST_OF_ONE = 8 << 20


def key_of(*parts: Any) -> str:
    """What two questions have in common that ask the same of the same state."""
    return hashlib.sha256(pickle.dumps(parts)).hexdigest()


class KeptAnswers(Generic[Kept]):
    """Answers by what was asked of which state; each is given as a copy of its own."""

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        self._most = most_bytes
        self._bytes = 0
        self._kept: OrderedDict[str, bytes] = OrderedDict()
        self._asking: dict[str, asyncio.Lock] = {}

    async def answer(self, key: str, ask: Callable[[], Awaitable[Kept]]) -> Kept:
        """The answer that is kept, or else the one to ask; whoever asks the same meanwhile waits for it."""
        if (known := self._found(key)) is not None:
            return known
        lock = self._asking.setdefault(key, asyncio.Lock())
        try:
            async with lock:
                if (known := self._found(key)) is not None:
                    return known
                answer = await ask()
                self._keep(key, answer)
                return answer
        finally:
            if not lock.locked():
                self._asking.pop(key, None)

    def _found(self, key: str) -> Kept | None:
        data = self._kept.get(key)
        if data is None:
            return None
        self._kept.move_to_end(key)
        known: Kept = pickle.loads(data)
        return known

    def _keep(self, key: str, answer: Kept) -> None:
        data = pickle.dumps(answer, pickle.HIGHEST_PROTOCOL)
        if len(data) > min(_MOST_OF_ONE, self._most):
            return
        self._kept[key] = data
        self._bytes += len(data)
        while self._bytes > self._most:
            _, old = self._kept.popitem(last=False)
            self._bytes -= len(old)
