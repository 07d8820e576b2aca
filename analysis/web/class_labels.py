"""Classes as a drawing of them names them: by number where names are long."""

from collections.abc import Sequence
from typing import Any

from analysis.engine.sqltext import identifier, literal
from analysis.web import cells


def text(label: Any) -> str:
    """A guess or truth as a person reads it."""
    return "null" if label is None else cells.text(label)


def is_value(column: str, value: Any) -> str:
    """The condition that a column has this value; NULL is one too."""
    return f"{identifier(column)} IS NOT DISTINCT FROM {literal(value)}"


def heads(labels: Sequence[Any], longest: int) -> tuple[list[str], list[tuple[str, str]]]:
    """What stands at each label's row or column, and where one is longer than that: numbers, with the list of them."""
    names = [text(label) for label in labels]
    if all(len(name) <= longest for name in names):
        return names, []
    numbers = [str(number) for number in range(1, len(names) + 1)]
    return numbers, list(zip(numbers, names, strict=True))
