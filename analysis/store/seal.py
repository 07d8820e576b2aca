"""The digest that a JSON file of the store carries of its own content, so that damage shows in the file alone."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

SEAL = "sha256"


def sealed(content: Mapping[str, Any]) -> dict[str, Any]:
    """The content with its digest; raises ValueError for numbers that JSON has not."""
    return {**content, SEAL: _digest(content)}


def is_whole(content: Mapping[str, Any]) -> bool | None:
    """Whether the content is as it was sealed, however it is laid out; None where it carries no digest."""
    return content[SEAL] == _digest(content) if SEAL in content else None


def _digest(content: Mapping[str, Any]) -> str:
    """The sha256 of all but the digest, with sorted keys and no spaces, in UTF-8."""
    rest = {key: value for key, value in content.items() if key != SEAL}
    text = json.dumps(rest, ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
