"""Which of a view's filters an error is about, and where in it."""

import re
from dataclasses import dataclass, replace

from analysis.errors import SecondguessError
from analysis.tableview import TableView

_NAMED = (re.compile(r"there is no column '([^']+)'"), re.compile(r'at or near "([^"]+)"'))


@dataclass(frozen=True)
class FilterFault:
    """A filter that cannot be read, why, the place of what is wrong in it (None: not known), the view without it."""

    text: str
    reason: str
    place: tuple[int, int] | None
    others: TableView

    @property
    def caret(self) -> str:
        """A line that points from below at what is wrong."""
        return " " * self.place[0] + "^" * self.place[1] if self.place is not None else ""


def filter_fault(view: TableView, error: SecondguessError) -> FilterFault | None:
    """The filter that an error names; None where it is about something else."""
    message = str(error)
    said = [text for text in view.where if message.startswith(f"in the filter {text!r}")]
    if not said:
        return None
    reason = message.removeprefix(f"in the filter {said[0]!r}: ")
    left = tuple(text for text in view.where if text != said[0])
    return FilterFault(said[0], reason, _place(said[0], reason), replace(view, where=left, offset=0))


def _place(text: str, reason: str) -> tuple[int, int] | None:
    for pattern in _NAMED:
        if named := pattern.search(reason):
            place = text.casefold().find(named[1].casefold())
            return (place, len(named[1])) if place >= 0 else None
    return None
