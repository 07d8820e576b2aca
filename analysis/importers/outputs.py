"""The columns of an imported table: one for each of the source's, and what media say besides."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from analysis.importers.columns import Column
from analysis.importers.unicode import whole_text
from analysis.schema import folded


@dataclass(frozen=True)
class Output:
    """A column of the result: what it is made of, what it is called, and what the source calls it."""

    source: int
    name: str
    told: str
    column: Column


def outputs_of(told: Sequence[str], columns: Sequence[Column]) -> Iterator[Output]:
    """The columns of the result under names that DuckDB tells apart; what media say besides follows them."""
    taken = {folded(name) for name in told}
    used: set[str] = set()

    def free(name: str) -> str:
        wanted, number = name, 1
        while folded(name) in used or (number > 1 and folded(name) in taken):
            number += 1
            name = f"{wanted}_{number}"
        used.add(folded(name))
        return name

    for source, (name, column) in enumerate(zip(told, columns, strict=True)):
        clean = whole_text(name).replace("\0", "\N{REPLACEMENT CHARACTER}") or f"column_{source + 1}"
        yield Output(source, free(clean), name, column)
        if column.about is not None:
            second = free(f"{clean}_about")
            yield Output(source, second, second, column.about)
