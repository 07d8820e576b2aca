"""Which column of a foreign table is the id, the guess, the truth, the image, and which are the scores."""

from collections.abc import Iterable
from dataclasses import dataclass, fields, replace

_ROLES = ("id", "guess", "truth", "confidence", "image")


@dataclass(frozen=True)
class Roles:
    """The columns' names by role, None where a table has none; scores in the order of their classes."""

    id: str | None = None
    guess: str | None = None
    truth: str | None = None
    image: str | None = None
    scores: tuple[str, ...] = ()
    confidence: str | None = None

    @property
    def line(self) -> str:
        """The roles as one line of text."""
        columns = {name: getattr(self, name) for name in _ROLES}
        parts = [f"{role} = {column}" for role, column in columns.items() if column is not None]
        if self.scores:
            parts.append(f"scores = {self.scores[0]} … {self.scores[-1]} ({len(self.scores)})")
        return ", ".join(parts) or "no id, guess, truth or scores recognised"

    @property
    def suffixes(self) -> tuple[str, ...]:
        """What the scores' columns are called, without the beginning that all share up to its last underscore."""
        shared = _shared(self.scores)
        return tuple(name[shared:] for name in self.scores)


@dataclass(frozen=True)
class Given:
    """The roles that a person named.

    id may be several columns with commas, guess may compare a column with a number (`pred >= 0.5`); scores is a pattern
    such as `prob_*` or the one column that has them all; classes are names in the scores' order; right is the column
    that says which rows are right; regression says that guesses and truths are numbers on a line. `only` says that no
    other column has a role, as a format does that knows its own.
    """

    id: str | None = None
    guess: str | None = None
    truth: str | None = None
    image: str | None = None
    scores: str | None = None
    classes: tuple[str, ...] | None = None
    right: str | None = None
    confidence: str | None = None
    no_scores: bool = False
    softmax: bool = False
    regression: bool = False
    only: bool = False

    def over(self, meant: "Given | None") -> "Given":
        """What a person named, and for the rest what a format means; a truth that is named decides, not a verdict."""
        if meant is None:
            return self
        told = {one.name: value for one in fields(self) if (value := getattr(self, one.name)) not in (None, False)}
        if "truth" in told:
            meant = replace(meant, right=None)
        return replace(meant, **told)

    @property
    def names_any(self) -> bool:
        """Whether a person named any column."""
        return any((self.id, self.guess, self.truth, self.image, self.scores, self.confidence))


def _shared(given: Iterable[str]) -> int:
    names = list(given)
    if len(names) < 2:
        return names[0].rfind("_") + 1 if names else 0
    length = next(
        (at for at, letters in enumerate(zip(*names, strict=False)) if len(set(letters)) > 1), min(map(len, names))
    )
    return names[0].rfind("_", 0, length + 1) + 1
