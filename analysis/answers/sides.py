"""The colours of the sides of a comparison."""

from secondguess.analysis.schema import LETTERS

COLOURS = {"a": "#14764a", "b": "#6d42c1"}  # on white; the page's sheet has those on black
OTHERS = "#8d8f8a"


def side(place: int) -> str:
    """What the page's sheet calls the colour of the table in this place, from 0; empty where it has none."""
    return LETTERS[place] if place < len(COLOURS) else ""


def colours(count: int) -> list[str]:
    """The colours of so many tables."""
    return [COLOURS.get(side(place), OTHERS) for place in range(count)]
