"""What lies between two tables, one beside the other: how many guesses differ, which errors went and which came."""

from collections.abc import Sequence

from secondguess.analysis.tables.view import TableView

_COUNTS = (
    ("differ", "count(*) FILTER (WHERE guess_a IS DISTINCT FROM guess_b)"),
    ("fixed", "count(*) FILTER (WHERE wrong_a AND NOT wrong_b)"),
    ("broken", "count(*) FILTER (WHERE NOT wrong_a AND wrong_b)"),
    ("both", "count(*) FILTER (WHERE wrong_a AND wrong_b AND guess_a IS DISTINCT FROM guess_b)"),
)


def counted(view: TableView) -> TableView:
    """The view of one row that counts what changed from the first to the second of the two tables that a view joins.

    Its columns are differ, the guesses that are not the same; fixed and broken, the errors of the first and of the
    second alone; both, the rows that both err on, each in its own way. It counts every row of the join.
    """
    return TableView(
        view.tables,
        view.join,
        view.key,
        view.allow_duplicates,
        view.at,
        view.exact,
        aggregate=_COUNTS,
        columns=tuple(name for name, _ in _COUNTS),
    )


def differing(sides: Sequence[str] = "ab") -> str:
    """The condition that the guesses of joined tables, by their letters, are not all the same."""
    first, *others = sides
    return " OR ".join(f"guess_{first} IS DISTINCT FROM guess_{side}" for side in others)
