"""Where in a person's text a fault is, drawn under its line."""

from dataclasses import dataclass

from analysis.errors import Fault


@dataclass(frozen=True)
class Place:
    """A line of a text, its number from 1, and the signs below it that point at what is wrong."""

    number: int
    line: str
    carets: str


def place(fault: Fault | None) -> Place | None:
    """Where a fault is; None where that is not known."""
    if fault is None or fault.start is None:
        return None
    before = fault.text[: fault.start].split("\n")
    line = fault.text.split("\n")[len(before) - 1]
    space = "".join("\t" if sign == "\t" else " " for sign in before[-1])
    return Place(len(before), line, space + "^" * max(1, min(fault.length, len(line) - len(before[-1]))))
