"""The commands that a refused import offers: the person's own, with what would settle it filled in."""

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field

from secondguess.analysis.importers.roles import Given

_FIRST = ["id", "guess", "truth", "confidence", "image", "run", "scores", "no-scores", "epoch-column", "epoch"]
_FIRST += ["step-column", "step", "softmax", "regression", "classes", "run-column"]
_INSTEAD = {"scores": "no-scores", "no-scores": "scores"}  # of two options that say the opposite the offered one stays


@dataclass(frozen=True)
class Typed:
    """A command as it was typed: its sources, and its options with their values, True for a flag, in their order."""

    sources: tuple[str, ...]
    options: tuple[tuple[str, str | bool], ...]


@dataclass(frozen=True)
class Commands:
    """How this import was asked for; `strict` for files, whose tables are meant to be predictions.

    stem is what a file is called, run what the run is to be, given the roles that were named.
    """

    typed: Typed = Typed(("FILE",), ())
    stem: str = ""
    run: str | None = None
    given: Given = field(default_factory=Given)
    strict: bool = False

    def with_(self, **more: str | bool | None) -> str:
        """The command with these options in the place of its own, an empty one without."""
        told = {name.replace("_", "-"): value for name, value in more.items() if value is not None}
        gone = {*told, *(_INSTEAD[name] for name in told if name in _INSTEAD)}
        options = [*((name, value) for name, value in self.typed.options if name not in gone), *told.items()]
        words = ["secondguess", "import", *self.typed.sources]
        for name, value in sorted(
            options, key=lambda each: _FIRST.index(each[0]) if each[0] in _FIRST else len(_FIRST)
        ):
            words += [f"--{name}"] if value is True else [f"--{name}", str(value)] if value else []
        return shlex.join(words)

    def offer(self, *ways: Mapping[str, str | bool | None]) -> str:
        """The commands with each of these options, one of which is to be given."""
        return "; or ".join(self.with_(**way) for way in ways)
