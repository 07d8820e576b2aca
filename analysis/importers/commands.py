"""The commands that a refused import offers: the person's own, with what would settle it filled in."""

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field

from secondguess.analysis.importers.roles import Given

_OPTIONS = {"id": "--id", "guess": "--guess", "truth": "--truth", "confidence": "--confidence", "image": "--image"}


@dataclass(frozen=True)
class Commands:
    """How this import was asked for; `strict` for files, whose tables are meant to be predictions.

    source is a path or whatever else was named, stem what a file is called.
    """

    source: str = "FILE"
    stem: str = ""
    run: str | None = None
    given: Given = field(default_factory=Given)
    strict: bool = False
    epoch_column: str | None = None
    epoch: int | None = None
    step_column: str | None = None
    step: int | None = None

    def with_(self, **more: str | bool | None) -> str:
        """The command with these options in the place of its own."""
        told: dict[str, str | bool | None] = {name: getattr(self.given, name) for name in _OPTIONS}
        told |= {"run": self.run, "scores": self.given.scores, "no_scores": self.given.no_scores}
        told |= {"epoch_column": self.epoch_column, "epoch": None if self.epoch is None else str(self.epoch)}
        told |= {"step_column": self.step_column, "step": None if self.step is None else str(self.step)}
        told |= {"softmax": self.given.softmax, "classes": ",".join(self.given.classes or ()) or None}
        told |= {name: value for name, value in more.items() if value is not None}
        words = ["secondguess", "import", self.source]
        for name, value in told.items():
            option = f"--{name.replace('_', '-')}"
            if value is True:
                words.append(option)
            elif value:
                words += [option, str(value)]
        return shlex.join(words)

    def offer(self, *ways: Mapping[str, str | bool | None]) -> str:
        """The commands with each of these options, one of which is to be given."""
        return "; or ".join(self.with_(**way) for way in ways)
