"""What tells tables apart wherever they are drawn: the first eight have a colour and a mark each, the others are grey.

The colours differ for eyes without red or green cones, and in grey by how light they are; a name in any of them can be
read on the page. The first two are the design's; the others were searched for with those bounds, which the tests hold.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from secondguess.analysis.answers.answer import Row, TableAt, tables_in
from secondguess.analysis.schema import LETTERS


@dataclass(frozen=True)
class Look:
    """One table's look: its colours on white and on black, the shape of its points and the dashes of its line."""

    light: str
    dark: str
    shape: str
    dash: tuple[int, ...] = (1, 0)


LOOKS = {
    "a": Look("#14764a", "#4fc48c", "square"),
    "b": Look("#6d42c1", "#a98cf4", "circle", (8, 2)),
    "c": Look("#8c3b01", "#d97a07", "triangle-up", (4, 2)),
    "d": Look("#004f70", "#a0c7f3", "diamond", (8, 2, 2, 2)),
    "e": Look("#e02056", "#f04051", "triangle-down", (2, 2)),
    "f": Look("#501a3d", "#ffffbe", "cross", (12, 3, 4, 3)),
    "g": Look("#5d057a", "#a2fff7", "triangle-right", (5, 2, 1, 2, 1, 2)),
    "h": Look("#840924", "#fcd33c", "triangle-left", (1, 3)),
}
OTHER = Look("#8d8f8a", "#74777d", "circle")
OTHERS = OTHER.light
INK, QUIET = "#1b1c1e", "#5c5e62"  # of texts and of what is strong whatever its table


def side(place: int) -> str:
    """What the page's sheet calls the look of the table in this place, from 0; empty where it is one of the others."""
    return LETTERS[place] if place < len(LOOKS) else ""


def looks(count: int) -> list[Look]:
    """The looks of so many tables."""
    return [LOOKS.get(side(place), OTHER) for place in range(count)]


def colours(count: int) -> list[str]:
    """The colours of so many tables on white."""
    return [look.light for look in looks(count)]


def row_sides(
    columns: Sequence[str], rows: Sequence[Row], order: Sequence[TableAt], *, by_run: bool = False
) -> list[str]:
    """Of rows of several tables the look of each one's, `other` beyond the eighth; [] where they are of one.

    by_run says that the epochs of a run are one table, as where all of them are asked about.
    """
    tables = list(dict.fromkeys(order))
    keys: list[object] = list(dict.fromkeys(run for run, _ in tables) if by_run else tables)
    if len(keys) < 2 or not {"run", "epoch"} <= set(columns):
        return []
    names = {key: side(place) or "other" for place, key in enumerate(keys)}
    return [names.get(run if by_run else (run, at), "other") for run, at in tables_in(columns, rows, order)]
