"""The latest answers to SQL that was sent, by a key in their address: going back, or reloading, asks nothing again."""

import secrets
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from secondguess.analysis.errors import SecondguessError
from secondguess.analysis.serving.worker import Reply

_MOST = 20
_MOST_BYTES = 128 << 20


@dataclass(frozen=True)
class Answered:
    """What was sent, SQL and how its rows are to be sorted, and what came of it: a reply or an error."""

    text: str
    sort: str
    reply: Reply | None = None
    error: SecondguessError | None = None


class Answers:
    """The answers that are held, the latest of them."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, tuple[Answered, int]] = OrderedDict()

    def keep(self, answered: Answered) -> str:
        """The key under which the answer is found while it is one of the latest."""
        key = secrets.token_urlsafe(12)
        self._kept[key] = (answered, _bytes(answered.reply.rows) if answered.reply is not None else 0)
        while len(self._kept) > 1 and (
            len(self._kept) > _MOST or sum(size for _, size in self._kept.values()) > _MOST_BYTES
        ):
            self._kept.popitem(last=False)
        return key

    def get(self, key: str) -> Answered | None:
        """The answer of that key, None where it is not held any more."""
        found = self._kept.get(key)
        return None if found is None else found[0]


def _bytes(value: Any) -> int:
    """About how much memory a value takes."""
    if isinstance(value, str | bytes):
        return 50 + len(value)
    if isinstance(value, dict):
        return 50 + _bytes(value.values())
    return 50 + sum(map(_bytes, value)) if isinstance(value, Iterable) else 30
