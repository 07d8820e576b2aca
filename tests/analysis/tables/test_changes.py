"""What lies between two tables, counted by hand; where guesses are NULL see test_wrong."""

from pathlib import Path
from typing import Any

from recording import record

import secondguess as sg
from secondguess.analysis.tables import changes, select
from secondguess.analysis.tables.view import TableView


def shown(store: Path, view: TableView) -> list[tuple[Any, ...]]:
    con = sg.connect(store).con
    return con.execute(select.statement(con, store, view).text).fetchall()


def test_guesses_that_differ_errors_that_went_and_came_and_those_of_both(tmp_path: Path) -> None:
    #        right twice   fixed         broken        otherwise wrong  the same error  unlabelled
    first = [("a", 0, 0), ("b", 0, 1), ("c", 0, 0), ("d", 0, 1), ("e", 0, 2), ("f", None, 0)]
    second = [("a", 0, 0), ("b", 0, 0), ("c", 0, 2), ("d", 0, 2), ("e", 0, 2), ("f", None, 1)]
    record(tmp_path, "cnn", {1: first, 2: second})
    view = TableView(("cnn@1", "cnn@2"), "inner", where=("id = 'a'",), limit=1, offset=3)
    assert shown(tmp_path, changes.counted(view)) == [(4, 1, 1, 1)]  # differ, fixed, broken, both
    differ = TableView(("cnn@1", "cnn@2"), "inner", where=(changes.differing(),), columns=("id",))
    assert shown(tmp_path, differ) == [("b",), ("c",), ("d",), ("f",)]


def test_of_more_tables_some_differ() -> None:
    assert changes.differing("abc") == "guess_a IS DISTINCT FROM guess_b OR guess_a IS DISTINCT FROM guess_c"


def test_of_an_outer_join_only_what_both_tables_have_is_counted_also_behind_the_link(tmp_path: Path) -> None:
    """c and d stand in one table; of b the truths are unlike, so nothing was fixed."""
    record(tmp_path, "one", {1: [("a", 0, 1), ("b", 0, 1), ("c", 0, 1)]})
    record(tmp_path, "two", {1: [("a", 0, 0), ("b", 1, 2), ("d", 0, 1)]})
    view = TableView(("one@1", "two@1"), "outer")
    assert shown(tmp_path, changes.counted(view)) == [(2, 1, 0, 0)]  # differ, fixed, broken, both
    comparison = sg.connect(tmp_path).compare("one@1", "two@1")
    assert (comparison.counts.fixed, comparison.counts.broken) == (1, 0)
    differ = TableView(view.tables, "outer", where=(changes.changed(view),), columns=("id",), sort=("id",))
    assert shown(tmp_path, differ) == [("a",), ("b",)]
    by_truth = TableView(("one@1", "two@1"), "inner", ("truth",), allow_duplicates=True)
    assert shown(tmp_path, changes.counted(by_truth)) == [(3, 3, 0, 0)]
