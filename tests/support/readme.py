"""The README's blocks that need more than we do: ```py, where ```python is run by `tests/test_docs.py`."""

import re
from pathlib import Path

README = Path(__file__).parents[2] / "README.md"


def block(words: str) -> str:
    """The one that has these words."""
    (found,) = [code for code in re.findall(r"```py\n(.*?)```", README.read_text(), re.DOTALL) if words in code]
    return found
