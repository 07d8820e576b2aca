"""The configs of runs side by side: what is the same in all of them, and what differs."""

import json
from collections.abc import Mapping, Sequence
from typing import Any


def compared(settings: Sequence[Mapping[str, Any]]) -> tuple[list[tuple[str, str]], list[str]]:
    """The keys with one value in every one of these, with it, and the keys that differ."""
    keys = dict.fromkeys(key for each in settings for key in each)
    values = {key: {text(each.get(key)) for each in settings} for key in keys}
    same = [(key, min(texts)) for key, texts in values.items() if len(texts) == 1]
    return same, [key for key, texts in values.items() if len(texts) > 1]


def text(value: Any) -> str:
    """A value of a config in full, unlike for unlike ones."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


def shown(value: Any) -> str:
    """A value of a config as a person reads it: numbers without the last digits of their binary form."""
    return f"{value:.12g}" if isinstance(value, float) else text(value)
