"""Which epochs a page names where there are more than it has room for."""

from collections.abc import Sequence

MOST = 12


def few(epochs: Sequence[int], kept: Sequence[int] = (), most: int = MOST) -> list[int]:
    """All epochs, or of many the first, the last and evenly some between, with those that must be there."""
    if len(epochs) <= most:
        return list(epochs)
    must = {epochs[0], epochs[-1], *(epoch for epoch in kept if epoch in epochs)}
    parts = max(1, most - len(must) + 1)
    return sorted(must | {epochs[place * (len(epochs) - 1) // parts] for place in range(1, parts)})
