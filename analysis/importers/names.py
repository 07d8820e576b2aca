"""Names from elsewhere made into names of ours: what a run or table may not be called is replaced, and said."""

import re
from collections.abc import Iterable

from secondguess.analysis.errors import BadInput
from secondguess.analysis.schema import checked_name

_FORBIDDEN = re.compile(r"[/@*?\x00-\x1f\x7f-\x9f]+")


def table_names(keys: Iterable[str]) -> dict[str, str]:
    """The name of each table by its key elsewhere; those that would differ by no more than case get -2, -3, …."""
    wanted = {key: _allowed("table", key) for key in keys}
    found: dict[str, str] = {}
    for key in sorted(wanted, key=lambda key: wanted[key] != key):  # whoever can keep its name does
        found[key] = _numbered(wanted[key], {name.casefold() for name in found.values()})
    return {key: found[key] for key in wanted}


def free_name(name: str, taken: set[str], wandb_id: str, *, asked: bool) -> tuple[str, list[str]]:
    """A run's name that no other run has, and what was changed; a name that was asked for is only checked."""
    if asked:
        return checked_name("run", name), []
    found = _allowed("run", name)
    folded = {other.casefold() for other in taken}
    if found.casefold() in folded:
        found = f"{found}-{wandb_id}" if wandb_id else found
    found = _numbered(found, folded)
    return found, [f"run {name!r} is called {found!r}"] if found != name else []


def _numbered(name: str, folded: set[str]) -> str:
    found, number = name, 2
    while found.casefold() in folded:
        found, number = f"{name}-{number}", number + 1
    return found


def _allowed(kind: str, name: str) -> str:
    found = _FORBIDDEN.sub("-", name).strip()
    try:
        return checked_name(kind, found)
    except BadInput:
        return checked_name(kind, f"{kind}-{found[:60]}" if found else f"imported-{kind}")
