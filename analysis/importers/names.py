"""Names from elsewhere made into names of ours: what a run or table may not be called is replaced, and said."""

import re
from collections.abc import Iterable

from secondguess.analysis.errors import BadInput
from secondguess.analysis.schema import checked_name

_FORBIDDEN = re.compile(r"[/@*?\x00-\x1f\x7f-\x9f]+")


def table_names(keys: Iterable[str]) -> dict[str, str]:
    """The name of each table by its key elsewhere; those that would differ by no more than case get -2, -3, …."""
    wanted = {key: _allowed("table", key) for key in keys}
    names_of_keys: dict[str, str] = {}
    for key in sorted(wanted, key=lambda key: wanted[key] != key):  # whoever can keep its name does
        names_of_keys[key] = _numbered(wanted[key], {name.casefold() for name in names_of_keys.values()})
    return {key: names_of_keys[key] for key in wanted}


def free_name(name: str, taken: set[str], wandb_id: str, *, asked: bool) -> tuple[str, list[str]]:
    """A run's name that no other run has, and what was changed; a name that was asked for is only checked."""
    if asked:
        return checked_name("run", name), []
    free = _allowed("run", name)
    folded = {other.casefold() for other in taken}
    if free.casefold() in folded:
        free = f"{free}-{wandb_id}" if wandb_id else free
    free = _numbered(free, folded)
    return free, [f"run {name!r} is called {free!r}"] if free != name else []


def _numbered(name: str, folded: set[str]) -> str:
    numbered, number = name, 2
    while numbered.casefold() in folded:
        numbered, number = f"{name}-{number}", number + 1
    return numbered


def _allowed(kind: str, name: str) -> str:
    allowed = _FORBIDDEN.sub("-", name).strip()
    try:
        return checked_name(kind, allowed)
    except BadInput:
        return checked_name(kind, f"{kind}-{allowed[:60]}" if allowed else f"imported-{kind}")
