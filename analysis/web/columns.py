"""The columns of an answer as a page shows them: which by default, in what order, and which stand in one cell."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from analysis.engine.kinds import kind_of_sql
from analysis.schema import LETTERS
from analysis.tables.view import TableView

_SIDE = re.compile(rf"(.+)_([{LETTERS}])")
_SCORE = re.compile(r"score_(\d+)")
_FIRST = ("id", "image", "content", "truth", "guess")
_HIDDEN = {"run", "epoch", "examples", "step", "digest"}
_MANY_SCORES = 12


def usual(view: TableView, own: Sequence[str], pictures: Sequence[str], *, scores: bool = True) -> list[str]:
    """The columns a page shows where nobody chose: what a row is about, what was said of it, then the rest.

    A group begins with what it is of. Of many classes the scores are left to be chosen, as without `scores`.
    """
    sides = len(view.tables) if view.join is not None else 1
    if view.group or view.aggregate or view.wandb_aggregate:
        first = len(view.group) + 1 + len(view.aggregate) + len(view.wandb_aggregate)
        labels = [name for name in own[first:] if _base(name, sides) in {"guess", "truth", "confidence"}]
        return [*own[:first], *labels, *(name for name in pictures if name == "image")]
    several = sides == 1 and (len(view.tables) > 1 or any(table.endswith("@all") for table in view.tables))
    seen = [name for name in pictures if name in {"image", "content"}]
    names = [name for name in (*own, *seen) if _base(name, sides) not in _HIDDEN]
    if sides > 1:
        names = [name for name in names if _base(name, sides) != "confidence"]
    classes = {_base(name, sides) for name in names if _SCORE.fullmatch(_base(name, sides))}
    if not scores or len(classes) > _MANY_SCORES:
        names = [name for name in names if not _SCORE.fullmatch(_base(name, sides))]
    place = {base: number for number, base in enumerate(_FIRST)}
    names.sort(key=lambda name: place.get(_base(name, sides), len(place)))
    return ["run", "epoch", *names] if several else names


def _base(name: str, sides: int) -> str:
    """A column's name in its own table, where so many tables stand side by side."""
    found = _SIDE.fullmatch(name)
    return found[1] if found is not None and found[2] in _letters(sides) else name


def _letters(sides: int) -> str:
    """The suffixes of so many tables side by side: none of one."""
    return LETTERS[:sides] if sides > 1 else ""


@dataclass(frozen=True)
class Shown:
    """One column of the page: its head, how its cells are drawn, and the answer's columns in them, by side."""

    head: str
    kind: str
    names: tuple[str, ...]
    places: tuple[int | None, ...]
    title: str = ""

    @property
    def style(self) -> str:
        """The class of its head and its cells in the sheet."""
        return {"score": "score", "number": "num", "label": "num", "picture": "pic"}.get(self.kind, "")

    @property
    def compared(self) -> bool:
        """Whether it holds two numbers, so that their difference says something."""
        return self.kind == "number" and len(self.names) == 2 and None not in self.places


_WIDTHS = {"score": 82, "number": 96, "label": 62, "key": 110, "picture": 52, "bins": 96, "counts": 300, "ids": 240}
_PAGE = 1232  # pixels between the margins of the narrowest page whose heads stay in sight


def fits(columns: Sequence[Shown]) -> bool:
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
) -> list[Shown]:
    """The columns to draw, those that are pinned first: one per name, but the sides of a join in one cell.

    Sides of unlike kinds, such as a group's key and what the other side has in the group, are columns of their own.

    kinds are key, picture, label, score, number, text, bins, counts, ids and other.
    """
    groups: dict[tuple[str, str], list[tuple[str, int]]] = {}
    for place, name in enumerate(columns):
        base = _base(name, sides)
        groups.setdefault((base, _kind(base, types[place])), []).append((name, place))
    bases = [base for base, _ in groups]
    found = []
    for (base, kind), members in groups.items():
        head = base if bases.count(base) < 2 else members[0][0]
        if score := _SCORE.fullmatch(base):
            index = int(score[1])
            head = classes[index] if index < len(classes) else score[1]
        by_side = _by_side(members, sides)
        found.append(Shown(head, kind, tuple(name for name, _ in members), by_side, base))
    first = {name: number for number, name in enumerate(pinned)}
    return sorted(found, key=lambda column: first.get(column.names[0], len(first)))


def _by_side(members: Sequence[tuple[str, int]], sides: int) -> tuple[int | None, ...]:
    if len(members) == 1 and _base(members[0][0], sides) == members[0][0]:
        return (members[0][1],)
    held: Mapping[str, int] = {found[2]: place for name, place in members if (found := _SIDE.fullmatch(name))}
    return tuple(held.get(letter) for letter in _letters(sides))


def _kind(base: str, type: str) -> str:
    if type.startswith("STRUCT(low") or type.startswith('STRUCT("low"'):
        return "bins"
    if "values" in type[:20] and type.startswith("STRUCT"):
        return "counts"
    if base in {"image", "content"} or "bytes" in type[:16]:
        return "picture" if "bytes" in type[:20] else "text"
    if base == "id":
        return "key"
    if base in {"guess", "truth"}:
        return "label"
    if _SCORE.fullmatch(base) and type in {"FLOAT", "DOUBLE"}:
        return "score"
    if type.endswith("[]"):
        return "ids"
    return "number" if kind_of_sql(type) == "number" else "text"
