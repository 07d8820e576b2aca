"""Where an error is, in which of a view's filters or in a person's SQL, so that it can be shown under the text."""

from dataclasses import dataclass, replace
from typing import Any

from secondguess.analysis.engine.passages import FILTER, WANDB_FILTER
from secondguess.analysis.errors import Fault, SecondguessError
from secondguess.analysis.tables.view import TableView


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


@dataclass(frozen=True)
class FilterFault:
    """A filter that cannot be read, why, the place of what is wrong in it (None: not known), the view without it.

    field is that of the view which has the filter; instead is how it should be written, where that is known.
    """

    field: str
    text: str
    reason: str
    place: Place | None
    others: TableView
    instead: str = ""

    @property
    def mended(self) -> TableView:
        """The view with the filter as it should be written."""
        return replace(self.others, where=(*self.others.where, self.instead))

    @property
    def above(self) -> str:
        """The filter down to the line that is wrong."""
        return "\n".join(self.text.split("\n")[: self.place.number if self.place is not None else None])

    @property
    def below(self) -> str:
        """The rest of the filter."""
        return self.text[len(self.above) :]


def filter_fault(view: TableView, error: SecondguessError) -> FilterFault | None:
    """The filter that an error is about; None where it is about something else."""
    fault = error.fault
    if fault is None:
        return None
    text, reason = fault.text, fault.reason
    if fault.what == FILTER and text in view.where:
        others = replace(view, where=_without(view.where, text), offset=0)
        return FilterFault("where", text, reason, place(fault), others, fault.instead)
    if fault.what == WANDB_FILTER and text in view.wandb_filter:
        others = replace(view, wandb_filter=_without(view.wandb_filter, text), offset=0)
        return FilterFault("wandb_filter", text, reason, place(fault), others)
    return None


def each_left_out(view: TableView, error: SecondguessError) -> list[FilterFault]:
    """Each filter of a view as what an error may be about, whose place nobody knows: the last one first."""
    reason = str(error)
    faults = []
    for field in ("where", "wandb_filter"):
        filters: tuple[str, ...] = getattr(view, field)
        for text in filters[::-1]:
            left: dict[str, Any] = {field: _without(filters, text), "offset": 0}
            faults.append(FilterFault(field, text, reason, None, replace(view, **left)))
    return faults


def _without(filters: tuple[str, ...], text: str) -> tuple[str, ...]:
    return tuple(each for each in filters if each != text)
