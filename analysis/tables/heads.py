"""What stands in a column's head: its numbers in bins or its values in bars, of all rows and of those that are kept.

Each is a view of its own over the same rows, so nothing is sampled and its SQL can be shown. Filters that read the
column alone are its own: they do not narrow what its head shows, but say how much of it is kept.
"""

import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from decimal import ROUND_FLOOR, Decimal, localcontext
from math import isfinite
from sys import float_info

import duckdb

from secondguess.analysis.engine import expressions
from secondguess.analysis.engine.passages import FILTER
from secondguess.analysis.engine.sqltext import LITERAL, identifier, is_value, literal
from secondguess.analysis.errors import BadInput, SecondguessError
from secondguess.analysis.schema import folded, own_name
from secondguess.analysis.tables.summaries import PROBABILITIES
from secondguess.analysis.tables.view import TableView

BINS = 20
VALUES = 12  # that are listed, the most frequent
MANY = 5_000  # unlike values, beyond which none is listed: each would be next to nothing of the whole
PLACE, ROWS, KEPT = "place in its head", "rows of all", "rows kept"
_PLAIN = Decimal("1e-9"), Decimal("1e19")  # between them a number is written without an exponent
_VALUE = re.compile(LITERAL)
# Real numbers of 32 bits have some seven digits: of bins this far from 0 none is as wide as what these do not tell.
_NEAR, _FAR = 0.001, 1_000
_DIGITS = 800  # of the difference of any two real numbers


def plain(view: TableView) -> TableView:
    """The view's rows as they are before they are grouped, sorted and cut."""
    return replace(view, group=(), aggregate=(), wandb_aggregate=(), sort=(), columns=None, limit=None, offset=0)


def span(view: TableView, column: str, *, numbers: bool) -> TableView:
    """The view of one row that says how far a column's values reach, whatever the filter.

    Of numbers low and high, NaN and infinities left aside, and whether all are whole; of others about how many
    different ones there are.
    """
    name = identifier(PLACE)
    finite = f"FILTER (WHERE isfinite({name}::DOUBLE))"
    reach = (("low", f"min({name}) {finite}"), ("high", f"max({name}) {finite}"))
    said = (
        (*reach, ("whole", f"bool_and({name} = floor({name})) {finite}"))
        if numbers
        else (("different", f"approx_count_distinct({name})"),)
    )
    every = replace(plain(view), where=(), wandb_filter=(), add=(*view.add, (PLACE, bare(column))))
    return replace(every, aggregate=said, columns=tuple(each for each, _ in said))


def ends(column: str, sides: int) -> tuple[float, float] | None:
    """The ends of a column that is known to hold probabilities; None of others."""
    return (0.0, 1.0) if PROBABILITIES.fullmatch(folded(own_name(column, sides)[0])) else None


def edges(low: float, high: float, *, whole: bool = False) -> list[str]:
    """The edges, as SQL, of about 20 bins from low to high at most, each 1, 2 or 5 times a power of ten wide.

    They lie at multiples of the width. Whole numbers are in bins of whole numbers.
    """
    with localcontext(prec=_DIGITS):
        least, most = _exact(low), _exact(high)
        width = _width(most - least, whole=whole) if most > least else Decimal(1)
        numbers = [(least / width).to_integral_value(ROUND_FLOOR) * width]
        # The last bin has its upper edge too: 1 is among the best scores. Whole numbers have a bin each where they can.
        while len(numbers) < 2 or numbers[-1] < most or (whole and width == 1 and numbers[-1] == most):
            numbers.append(numbers[-1] + width)
        return list(dict.fromkeys(map(_written, numbers)))


def _exact(number: float) -> Decimal:
    return Decimal(number) if isinstance(number, int) else Decimal(repr(float(number)))


def _width(reach: Decimal, *, whole: bool) -> Decimal:
    """The narrowest width of which 20 reach so far."""
    power = (reach / BINS).adjusted()
    widths = (Decimal(factor).scaleb(power) for factor in (1, 2, 5, 10))
    width = next(width for width in widths if width * BINS >= reach)
    return max(width, Decimal(1)) if whole else width


def _written(number: Decimal) -> str:
    """A number as SQL that says no more digits than it has."""
    if number and not _PLAIN[0] <= abs(number) < _PLAIN[1]:
        return repr(max(min(float(number), float_info.max), -float_info.max))
    return f"{number.normalize():f}"


def between(column: str, low: str, high: str, *, last: bool = False) -> str:
    """The condition that a number is from one edge up to another, with it where that is the last one."""
    name = bare(column)
    return f"{name} >= {low} AND {name} {'<=' if last else '<'} {high}"


def bare(name: str) -> str:
    """A column's name as SQL, without quotes where it needs none."""
    tokens = duckdb.tokenize(name)
    alone = len(tokens) == 1 and tokens[0][1] == duckdb.token_type.identifier
    return name if alone and name.isascii() and name.isidentifier() else identifier(name)


def binned(con: duckdb.DuckDBPyConnection, view: TableView, column: str, edges: Sequence[str]) -> TableView:
    """How many numbers lie in each bin, by its place from 0; -1 is of NULL, NULL of NaN and infinities.

    A value is compared with the edges as a filter on a bin compares it, so that both count the same.
    """
    name = bare(column)
    inside = f"WHEN {name} >= {edges[0]} AND {name} <= {edges[-1]} THEN {_place(name, edges)}"
    return _counted(con, view, column, f"CASE {inside} WHEN {name} IS NULL THEN -1 END")


def _place(name: str, edges: Sequence[str]) -> str:
    """The bin of a number by its share of the way, and only near an edge by comparing it, which takes longer."""
    search = _search(name, edges, 0, len(edges) - 2)
    numbers = [float(edge) for edge in edges]
    width = (numbers[-1] - numbers[0]) / (len(edges) - 1)
    if not isfinite(width) or max(map(abs, numbers)) > width * _FAR:
        return search
    share = f"({name}::DOUBLE - {literal(numbers[0])}) / {literal(width)}"
    return f"CASE WHEN abs({share} - round({share})) > {_NEAR} THEN floor({share})::TINYINT ELSE {search} END"


def _search(name: str, edges: Sequence[str], low: int, high: int) -> str:
    """The place of a number between two places, as nested halves: few comparisons a row."""
    if low >= high:
        return str(low)
    middle = (low + high + 1) // 2
    below, above = _search(name, edges, low, middle - 1), _search(name, edges, middle, high)
    return f"CASE WHEN {name} < {edges[middle]} THEN {below} ELSE {above} END"


def listed(con: duckdb.DuckDBPyConnection, view: TableView, column: str) -> TableView:
    """The values of a column with how many rows have each, the most frequent first."""
    counted = _counted(con, view, column, bare(column))
    return replace(counted, sort=(f"-{identifier(ROWS)}", identifier(PLACE)))


def _counted(con: duckdb.DuckDBPyConnection, view: TableView, column: str, place: str) -> TableView:
    own = [text for text in view.where if _reads_only(con, text, column)]
    kept = " AND ".join(f"({text}\n)" for text in own)
    return replace(
        plain(view),
        where=tuple(text for text in view.where if text not in own),
        add=(*view.add, (PLACE, place)),
        group=(PLACE,),
        aggregate=((ROWS, "count(*)"), (KEPT, f"count(*) FILTER (WHERE {kept})" if own else "count(*)")),
        columns=(PLACE, ROWS, KEPT),
    )


def _reads_only(con: duckdb.DuckDBPyConnection, text: str, column: str) -> bool:
    """Whether a filter reads this column and nothing else; what cannot be read is said where the rows are asked for."""
    try:
        read = expressions.expression(con, FILTER, text)
    except SecondguessError:
        return False
    return read.columns == {folded(column)} and not read.relations


def chosen(view: TableView, column: str) -> tuple[TableView, list[str]]:
    """The view without the filters that its head wrote, and the values, as SQL, that these keep."""
    left, values = [], []
    for text in view.where:
        if (kept := _values(text, column)) is not None:
            values += kept
        elif not _range(column).fullmatch(text):
            left.append(text)
    return replace(view, where=tuple(left), offset=0), values


def places(text: str, column: str, edges: Sequence[str]) -> frozenset[int | None] | None:
    """The places, as in `binned`, of what a filter that a head wrote keeps; None of one whose ends are no edges."""
    match = _range(column).fullmatch(text)
    if match is None:
        return None
    if match["low"] is None:
        return frozenset({-1 if text.endswith(" NULL") else None})
    known = {edge: place for place, edge in enumerate(edges)}
    last = match["high"] == edges[-1]
    if match["low"] not in known or match["high"] not in known or (match["sign"] == "<=") is not last:
        return None
    return frozenset(range(known[match["low"]], known[match["high"]]))


def _range(column: str) -> re.Pattern[str]:
    name, number = re.escape(bare(column)), r"[-\d.e+]+"
    between = rf"{name} >= (?P<low>{number}) AND {name} (?P<sign><=?) (?P<high>{number})"
    return re.compile(rf"{between}|{name} IS NULL|NOT isfinite\({name}\)")


def _values(text: str, column: str) -> list[str] | None:
    """The values that a filter of a head's keeps; None where it is no such filter."""
    one, several = is_value(column, None).removesuffix("NULL"), f"{bare(column)} IN ("
    if text.startswith(several) and text.endswith(")"):
        with suppress(BadInput):
            values = list(expressions.listed(text[len(several) : -1]))
            return values if all(map(_VALUE.fullmatch, values)) else None
    value = text.removeprefix(one)
    return [value] if value != text and _VALUE.fullmatch(value) else None


def toggled(view: TableView, column: str, value: str) -> TableView:
    """The view that also keeps a value, as SQL, of a column whose head keeps others; without it where it is kept."""
    others, values = chosen(view, column)
    kept = [each for each in values if each != value] if value in values else [*values, value]
    if not kept:
        return others
    if "NULL" in kept or len(kept) == 1:
        kept = ["NULL"] if value == "NULL" else [each for each in kept if each != "NULL"]
    one = is_value(column, None).removesuffix("NULL")
    condition = f"{one}{kept[0]}" if len(kept) == 1 else f"{bare(column)} IN ({', '.join(kept)})"
    return replace(others, where=(*others.where, condition))
