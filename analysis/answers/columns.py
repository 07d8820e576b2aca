"""The columns of an answer as a page shows them: in what order, how each is drawn, and which stand in one cell."""

from collections.abc import Sequence
from dataclasses import dataclass

from secondguess.analysis.engine.kinds import kind_of_sql
from secondguess.analysis.schema import is_score, own_name, score_index

BEST = "BEST"
"""The type of a column that the page adds: the classes of a row's highest scores, with these."""


@dataclass(frozen=True)
class PageColumn:
    """One column of the page: its head, how its cells are drawn, and the answer's columns in them, by side."""

    head: str
    kind: str
    names: tuple[str, ...]
    places: tuple[int | None, ...]
    title: str = ""

    @property
    def style(self) -> str:
        """The class of its head and its cells in the sheet."""
        return {"score": "score", "number": "num", "label": "num", "picture": "pic", "best": "tops"}.get(self.kind, "")

    @property
    def compared(self) -> bool:
        """Whether it holds two numbers, so that their difference says something."""
        return self.kind == "number" and len(self.names) == 2 and None not in self.places


_WIDTHS = {
    "score": 82,
    "number": 96,
    "label": 62,
    "key": 110,
    "picture": 52,
    "best": 560,
    "bins": 96,
    "counts": 300,
    "ids": 240,
}
_REAL = {"FLOAT", "DOUBLE"}  # what no class is: scores, and the guesses and truths of a regression
_PAGE = 1232  # pixels between the margins of the narrowest page whose heads stay in sight


def fits(columns: Sequence[PageColumn]) -> bool:
    """Whether a table of these columns is as wide as the page at most, as far as their kinds tell."""
    longest = max((len(column.head) for column in columns if column.kind == "score"), default=0)
    total = 0
    for column in columns:
        letters = len(column.head) if column.kind != "label" else longest
        width = max(_WIDTHS.get(column.kind, 160), 8 * letters + 24)
        total += width * (len(column.places) if column.kind == "label" else 1)
    return total <= _PAGE


def shown(
    columns: Sequence[str], types: Sequence[str], sides: int, classes: Sequence[str], pinned: Sequence[str] = ()
) -> list[PageColumn]:
    """The columns to draw, those that are pinned first: one per name, but the sides of a join in one cell.

    Sides of unlike kinds, such as a group's key and what the other side has in the group, are columns of their own.

    kinds are key, picture, label, score, best, number, text, bins, counts, ids and other.
    """
    groups: dict[tuple[str, str], list[tuple[str, int]]] = {}
    for place, name in enumerate(columns):
        base, _ = own_name(name, sides)
        groups.setdefault((base, _kind(base, types[place])), []).append((name, place))
    bases = [base for base, _ in groups]
    page_columns = []
    for (base, kind), members in groups.items():
        head = base if bases.count(base) < 2 else members[0][0]
        if (index := score_index(base)) is not None:
            head = classes[index] if index < len(classes) else str(index)
        by_side = _by_side(members, sides)
        page_columns.append(PageColumn(head, kind, tuple(name for name, _ in members), by_side, base))
    first = {name: number for number, name in enumerate(pinned)}
    return sorted(page_columns, key=lambda column: first.get(column.names[0], len(first)))


def _by_side(members: Sequence[tuple[str, int]], sides: int) -> tuple[int | None, ...]:
    places = {own_name(name, sides)[1]: place for name, place in members}
    if places.keys() == {None}:
        return (members[0][1],)
    return tuple(places.get(side) for side in range(sides))


def _kind(base: str, type: str) -> str:
    if type.startswith("STRUCT(low") or type.startswith('STRUCT("low"'):
        return "bins"
    if "values" in type[:20] and type.startswith("STRUCT"):
        return "counts"
    if base in {"image", "content"} or "bytes" in type[:16]:
        return "picture" if "bytes" in type[:20] else "text"
    if base == "id":
        return "key"
    if base in {"guess", "truth"} and type not in _REAL:
        return "label"
    if is_score(base) and type in _REAL:
        return "score"
    if type == BEST:
        return "best"
    if type.endswith("[]"):
        return "ids"
    return "number" if kind_of_sql(type) == "number" else "text"
