"""What lies between two tables, one beside the other: how many guesses differ, which errors went and which came."""

from collections.abc import Sequence

from secondguess.analysis.schema import folded
from secondguess.analysis.tables.view import TableView

_DIFFER = "guess_a IS DISTINCT FROM guess_b"
_COUNTS = (
    ("differ", _DIFFER),
    ("fixed", "wrong_a AND NOT wrong_b"),
    ("broken", "NOT wrong_a AND wrong_b"),
    ("both", f"wrong_a AND wrong_b AND {_DIFFER}"),
)


def counted(view: TableView) -> TableView:
    """The view of one row that counts what changed from the first to the second of the two tables that a view joins.

    Its columns are differ, the guesses that are not the same; fixed and broken, the errors of the first and of the
    second alone; both, the rows that both err on, each in its own way. It counts every row of the join that both
    tables have; errors, as in every comparison (`schema.outcome`), where the truths of both are not unlike.
    """
    alike = "" if _has(view, "truth") else " AND NOT coalesce(truth_a <> truth_b, false)"
    counts = [
        (name, f"count(*) FILTER (WHERE {condition}{_both(view)}{'' if name == 'differ' else alike})")
        for name, condition in _COUNTS
    ]
    return TableView(
        view.tables,
        view.join,
        view.key,
        view.allow_duplicates,
        view.at,
        view.exact,
        aggregate=tuple(counts),
        columns=tuple(name for name, _ in _COUNTS),
    )


def changed(view: TableView) -> str:
    """The condition that both of two joined tables have a row, and that their guesses are not the same."""
    return f"{_DIFFER}{_both(view)}"


def _both(view: TableView) -> str:
    """That a row of the join is in both tables; nothing to ask of an inner one."""
    if view.join != "outer":
        return ""
    mark = "epoch" if _has(view, "run") else "run"
    return f" AND {mark}_a IS NOT NULL AND {mark}_b IS NOT NULL"


def _has(view: TableView, column: str) -> bool:
    """Whether the view joins on the column, which then stands once."""
    return column in map(folded, view.key)


def differing(sides: Sequence[str] = "ab") -> str:
    """The condition that the guesses of joined tables, by their letters, are not all the same."""
    first, *others = sides
    return " OR ".join(f"guess_{first} IS DISTINCT FROM guess_{side}" for side in others)
