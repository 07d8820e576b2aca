"""Which column of a foreign table is the id, the guess, the truth, the image, and which are the scores."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase

import pyarrow as pa

from secondguess.analysis.errors import BadInput, listing

_NAMES = {
    "id": ("id", "example_id", "index", "idx"),
    "guess": ("guess", "pred", "prediction", "predicted", "y_pred", "output"),
    "truth": ("truth", "label", "target", "y_true", "ground_truth"),
    "image": ("image", "img", "picture"),
}
_SCORES = re.compile(r"(score|prob|p)_(.+)", re.IGNORECASE)


@dataclass(frozen=True)
class Roles:
    """The columns' names by role, None where a table has none; scores in the order of their classes."""

    id: str | None = None
    guess: str | None = None
    truth: str | None = None
    image: str | None = None
    scores: tuple[str, ...] = ()

    @property
    def line(self) -> str:
        """The roles as one line of text."""
        columns = {name: getattr(self, name) for name in _NAMES}
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
    """The roles that a person named; scores is a pattern such as `prob_*`, classes are names in the scores' order.

    right is the column that says which rows are right.
    """

    id: str | None = None
    guess: str | None = None
    truth: str | None = None
    image: str | None = None
    scores: str | None = None
    classes: tuple[str, ...] | None = None
    right: str | None = None


def recognise(schema: pa.Schema, given: Given) -> Roles:
    """The roles of a table's columns: as given, else by their usual names, whatever the case.

    Raises BadInput for a column that is given and not there, naming those that are.
    """
    names = schema.names
    by_name = {name.casefold(): name for name in reversed(names)}
    roles: dict[str, str | None] = {}
    for role, usual in _NAMES.items():
        told = getattr(given, role)
        if told is not None and told not in names:
            raise BadInput(f"no column named {told!r} for --{role}; the table has: {listing(names)}")
        column = told or next((by_name[name] for name in usual if name in by_name), None)
        if role == "image" and told is None:
            column = _image(schema, column)
        roles[role] = column
    return Roles(**roles, scores=_scores(schema, given.scores))


def _image(schema: pa.Schema, named: str | None) -> str | None:
    """The image column: the one with the usual name if it holds images, else the only one that does."""
    images = [field.name for field in schema if (field.metadata or {}).get(b"media") == b"image"]
    if named in images:
        return named
    return images[0] if len(images) == 1 else None


def _scores(schema: pa.Schema, pattern: str | None) -> tuple[str, ...]:
    numeric = [field.name for field in schema if pa.types.is_floating(field.type) or pa.types.is_integer(field.type)]
    if pattern is not None:
        columns = [name for name in numeric if fnmatchcase(name, pattern)]
        if not columns:
            raise BadInput(f"no numeric column matches --scores {pattern!r}; the table has: {listing(schema.names)}")
        return tuple(columns)
    kinds: dict[str, list[str]] = {}
    for name in numeric:
        if match := _SCORES.fullmatch(name):
            kinds.setdefault(match[1].casefold(), []).append(name)
    most: list[str] = max(kinds.values(), key=lambda names: len(names), default=[])
    return tuple(most) if len(most) > 1 else ()


def _shared(given: Iterable[str]) -> int:
    names = list(given)
    if len(names) < 2:
        return names[0].rfind("_") + 1 if names else 0
    length = next(
        (at for at, letters in enumerate(zip(*names, strict=False)) if len(set(letters)) > 1), min(map(len, names))
    )
    return names[0].rfind("_", 0, length + 1) + 1
