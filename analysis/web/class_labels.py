"""Classes as a drawing of them names and orders them: in the record's order, by number where names are long."""

from collections.abc import Iterable, Sequence
from typing import Any

from analysis.sqltext import identifier, literal
from analysis.web import cells


def text(label: Any) -> str:
    """A guess or truth as a person reads it."""
    return "null" if label is None else cells.text(label)


def is_value(column: str, value: Any) -> str:
    """The condition that a column has this value; NULL is one too."""
    return f"{identifier(column)} IS NOT DISTINCT FROM {literal(value)}"


def ordered(labels: Iterable[Any], classes: Sequence[str]) -> list[Any]:
    """Labels in the order of the record's classes, then numbers by size, then texts; NULL last."""
    place = {name: number for number, name in enumerate(classes)}

    def key(label: Any) -> tuple[bool, int, float, str]:
        number = float(label) if isinstance(label, int | float) else 0.0
        return label is None, place.get(str(label), len(place)), number, str(label)

    return sorted(set(labels), key=key)


def heads(labels: Sequence[Any], longest: int) -> tuple[list[str], list[tuple[str, str]]]:
    """What stands at each label's row or column, and where one is longer than that: numbers, with the list of them."""
    names = [text(label) for label in labels]
    if all(len(name) <= longest for name in names):
        return names, []
    numbers = [str(number) for number in range(1, len(names) + 1)]
    return numbers, list(zip(numbers, names, strict=True))
