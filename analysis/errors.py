"""What can go wrong, said in one line: what was asked, what exists, what to do."""

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import SequenceMatcher

_ALIKE = 0.7  # of two names: one letter of four or five is another, or missing


@dataclass(frozen=True)
class Fault:
    """What is wrong in a text that a person wrote: what the text is, the text, why, and which characters of it.

    start is None where the place is not known. instead is what says the same as it should be written, where that is
    known.
    """

    what: str
    text: str
    reason: str
    start: int | None = None
    length: int = 0
    instead: str = ""


class SecondguessError(Exception):
    """Anything a person can mend; its text is the one line they are shown, fault what they wrote, where it is that."""

    def __init__(self, *said: object, fault: Fault | None = None) -> None:
        super().__init__(*said)
        self.fault = fault


class BadInput(SecondguessError, ValueError):
    """A value that cannot be recorded or asked for as it was given."""


class NotFound(SecondguessError, LookupError):
    """A run, table, epoch or question that is not there; the text names what is."""


class AlreadyThere(SecondguessError):
    """A run or an epoch that exists already and is never overwritten unasked."""


class Refused(SecondguessError):
    """SQL that would do more than read the store."""


class OutOfMemory(SecondguessError):
    """A question that takes more memory than it may."""


class Damaged(SecondguessError):
    """A file of the store that cannot be trusted or read."""


class NotReached(SecondguessError):
    """A bucket that does not answer, or refuses to; the text says what to do."""


class NotWritten(SecondguessError, OSError):
    """What a disk that is full, failing or read-only did not take; errno says which."""

    def __init__(self, what: str, error: OSError) -> None:
        super().__init__(f"{what}: {error.strerror or error}")
        self.errno = error.errno


class MissingExtra(SecondguessError, ImportError):
    """A part of the package that is not installed."""

    def __init__(self, what: str, extra: str) -> None:
        super().__init__(
            f"{what} is not installed; install it with: pip install 'secondguess[{extra}]', "
            f"or in a checkout: pip install -e '.[{extra}]'"
        )


class NotInstalled(SecondguessError, ImportError):
    """A framework that is not there, which a callback of ours is for."""


def listing(names: Iterable[object], limit: int = 12) -> str:
    """The names in order, cut after `limit` with the number left out: `cnn, double and 3 more`."""
    known = [str(name) for name in names]
    rest = len(known) - limit
    return ", ".join(known[:limit]) + (f" and {rest} more" if rest > 0 else "")


def counted(number: int, what: str) -> str:
    """So many of something: `1 row`, `2,000 rows`."""
    return f"{number:,} {what}{'s'[: number != 1]}"


def meant(name: str, known: Iterable[str]) -> str:
    """A hint at the known name that is most like one that is not known: ` (did you mean guess?)`, or nothing."""

    def alike(other: str) -> float:
        return SequenceMatcher(None, name.casefold(), other.casefold()).ratio()

    near = max(known, key=alike, default="")
    return f" (did you mean {near}?)" if alike(near) >= _ALIKE else ""
