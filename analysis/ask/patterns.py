"""References to several runs at once: `cnn-*@5` is each run whose name it fits, at that epoch."""

from collections.abc import Iterable
from fnmatch import fnmatchcase

from secondguess.analysis.errors import NotFound, listing


def is_pattern(text: str) -> bool:
    """Whether a reference is one to several runs: no name of a run has a star or a question mark."""
    return "*" in text or "?" in text


def expanded(runs: Iterable[str], texts: Iterable[str]) -> list[str]:
    """The references, each pattern replaced by those to the runs it fits, each once, in the runs' order.

    Raises NotFound for a pattern that no run fits.
    """
    names = sorted(runs)
    references: list[str] = []
    for text in texts:
        if not is_pattern(text):
            references.append(text)
            continue
        rest = min((place for place in (text.find("/"), text.find("@")) if place >= 0), default=len(text))
        pattern = text[:rest].replace("[", "[[]")  # a bracket is part of a name
        fitting = [name + text[rest:] for name in names if fnmatchcase(name, pattern)]
        if not fitting:
            raise NotFound(f"no run fits {text[:rest]!r}; the store has {listing(names) or 'no runs yet'}")
        references += fitting
    return list(dict.fromkeys(references))
