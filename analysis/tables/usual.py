"""The columns of a view that names none: what a row is about, what was said of it, then the rest."""

from collections.abc import Sequence

from secondguess.analysis.schema import STEP, is_score, own_name
from secondguess.analysis.tables.view import TableView

_FIRST = ("id", "image", "content", "truth", "guess")
_HIDDEN = {"run", "epoch", "examples", "step", "digest"}
MANY_SCORES = 12


def usual(view: TableView, own: Sequence[str], pictures: Sequence[str], *, scores: bool = True) -> list[str]:
    """The columns a page shows where nobody chose: what a row is about, what was said of it, then the rest.

    A group begins with what it is of. Of many classes the scores are left to be chosen, as without `scores`.
    """
    sides = len(view.tables) if view.join is not None else 1

    def base(name: str) -> str:
        return own_name(name, sides)[0]

    if view.group or view.aggregate or view.wandb_aggregate:
        first = len(view.group) + 1 + len(view.aggregate) + len(view.wandb_aggregate)
        labels = [name for name in own[first:] if base(name) in {"guess", "truth", "confidence"}]
        return [*own[:first], *labels, *(name for name in pictures if name == "image")]
    several = sides == 1 and (len(view.tables) > 1 or any(table.endswith("@all") for table in view.tables))
    seen = [name for name in pictures if name in {"image", "content"}]
    names = [name for name in (*own, *seen) if base(name) not in _HIDDEN]
    if sides > 1:
        names = [name for name in names if base(name) != "confidence"]
    classes = {base(name) for name in names if is_score(base(name))}
    if not scores or len(classes) > MANY_SCORES:
        names = [name for name in names if not is_score(base(name))]
    place = {name: number for number, name in enumerate(_FIRST)}
    names.sort(key=lambda name: place.get(base(name), len(place)))
    when = [*own[:2], *([STEP] if own[2:3] == [STEP] else [])]  # there it is that of validations
    return [*when, *names] if several else names
