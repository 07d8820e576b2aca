"""What a group shows of a column that it is not grouped by: W&B's histograms and lists of values, as SQL."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

from secondguess.analysis.engine.kinds import Kind
from secondguess.analysis.engine.sqltext import identifier
from secondguess.analysis.schema import folded

BINS = 10
MOST_SUMMED = 100  # columns of scores that a group has histograms of where nobody chose its columns
_TOP = 10  # texts that are counted by name
_FIRST = 5  # ids that are listed
_LABELS = {"guess", "truth", "run", "epoch", "examples", "step"}
PROBABILITIES = re.compile(r"score_\d+|confidence|truth_score")


@dataclass(frozen=True)
class Summary:
    """How a column is summarised: gathered over a group's rows, then shown, as SQL over what was gathered.

    ranges says that `gathered` reads low and high of the whole column from the relation `ranges`, a row of structs.
    """

    gathered: str
    shown: str
    ranges: bool = False


def summary(column: str, base: str, kind: Kind, tables: Sequence[str] = ()) -> Summary:
    """The summary of a column; base is its name without a side's suffix.

    Numbers give {low, high, counts}: ten bins of equal width from the least to the greatest of all groups, from 0 to 1
    for scores; NaN, infinities and NULL are in none. Labels, texts and booleans give {values, distinct}: the ten most
    frequent with how often, and how many there are. Ids give the first five in order, dates the first and the last,
    everything else the number of values. Of rows of several tables, which these conditions tell apart, what is counted
    is a list with a part for each.
    """
    name = identifier(column)
    base = folded(base)
    if base in {"id", "digest"}:
        return Summary(f"min({name}, {_FIRST})", name)
    if base in _LABELS or kind in {"text", "boolean"}:
        return _parted(name, tables, partial(_counted, name), _most_frequent)
    if kind == "number":
        if PROBABILITIES.fullmatch(base):
            shown = partial(_bins, low="0::DOUBLE", high="1::DOUBLE")
            return _parted(name, tables, partial(_binned, name, "0", "1"), shown)
        limits = identifier(_range(column))
        low, high = f"{limits}.low", f"{limits}.high"
        made = _parted(name, tables, partial(_binned, name, low, high), partial(_bins, low=low, high=high))
        return replace(made, ranges=True)
    if kind == "date":
        return Summary(f"{{'first': min({name}), 'last': max({name})}}", name)
    return Summary(f"count({name})", name)


def _parted(name: str, tables: Sequence[str], gathered: Callable[[str], str], shown: Callable[[str], str]) -> Summary:
    """A summary of all rows, or a list of those of each table."""
    if not tables:
        return Summary(gathered(""), shown(name))
    parts = ", ".join(gathered(f" FILTER (WHERE {condition})") for condition in tables)
    part = identifier("a part")
    return Summary(f"[{parts}]", f"list_transform({name}, lambda {part}: {shown(part)})")


def range_of(column: str) -> str:
    """The least and the greatest number of a column, NaN and infinities left aside."""
    name = identifier(column)
    finite = f"FILTER (WHERE isfinite({name}::DOUBLE))"
    return (
        f"{{'low': min({name}::DOUBLE) {finite}, 'high': max({name}::DOUBLE) {finite}}} AS {identifier(_range(column))}"
    )


def _range(column: str) -> str:
    return f"range of {column}"


def _counted(name: str, of: str) -> str:
    return f"{{'counted': histogram({name}){of}, 'none': count(*){of} - count({name}){of}}}"


def _binned(name: str, low: str, high: str, of: str) -> str:
    """How many values of those rows lie in each bin, those on the upper edge in the last one."""
    # Two numbers may be further apart than the largest number is from 0; their halves are not.
    value, least, greatest = (f"{sql}::DOUBLE / 2" for sql in (name, low, high))
    place = f"floor(({value} - {least}) / nullif({greatest} - {least}, 0) * {BINS})"
    bin = f"greatest(0, least({BINS - 1}, coalesce({place}, 0)))::TINYINT"
    return f"histogram(CASE WHEN isfinite({name}::DOUBLE) THEN {bin} END){of}"


def _bins(name: str, low: str, high: str) -> str:
    place = identifier("a bin")
    counts = f"list_transform(range({BINS}), lambda {place}: coalesce({name}[{place}::TINYINT], 0)::BIGINT)"
    return f"{{'low': {low}, 'high': {high}, 'counts': {counts}}}"


def _most_frequent(name: str) -> str:
    """The values with how often they occur, NULL among them: its rows are those that the histogram leaves out."""
    counted = f"{name}.counted"
    entry = '"an entry"'
    entries = (
        f"list_transform(map_entries({counted}), lambda {entry}: "
        f"{{'less': -({entry}.value::BIGINT), 'none': 0, 'value': {entry}.key}})"
    )
    none = f"CASE WHEN {name}.none > 0 THEN [{{'less': -{name}.none, 'none': -1, 'value': NULL}}] ELSE [] END"
    top = f"list_sort(list_concat(coalesce({entries}, []), {none}))[:{_TOP}]"
    values = f"list_transform({top}, lambda {entry}: {{'value': {entry}.value, 'rows': -{entry}.less}})"
    distinct = f"coalesce(cardinality({counted}), 0)::BIGINT + ({name}.none > 0)::BIGINT"
    return f"{{'values': {values}, 'distinct': {distinct}}}"
