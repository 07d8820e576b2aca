"""The step slider: each table at an epoch or at its last one before; exact, at that epoch or not at all."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import duckdb
import pytest
import table_rules as rules
from hypothesis import given, settings
from hypothesis import strategies as st
from recording import record
from table_rules import PlainTable
from table_stores import Recorded, answer, shown, write

from secondguess.analysis.errors import BadInput, NotFound
from secondguess.analysis.tables import select
from secondguess.analysis.tables.view import TableView


@pytest.fixture(scope="module")
def con() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as opened:
        yield opened


def trained(store: Path, **runs: Sequence[int]) -> None:
    """Runs with two examples and these epochs; the guess is the epoch's number."""
    for run, epochs in runs.items():
        record(store, run, {epoch: [("x", 0, epoch), ("y", 0, epoch)] for epoch in epochs})


def at(con: duckdb.DuckDBPyConnection, store: Path, tables: str, **view: Any) -> tuple[list[Any], tuple[str, ...]]:
    """The run, epoch and guess of the example x in each table, and the notes."""
    names = tuple(tables.split())
    rows = shown(con, store, names, "run epoch guess", where=("id = 'x'",), **view)
    return rows, select.statement(con, store, TableView(names, **view)).notes


def test_a_run_without_the_epoch_shows_its_last_one_before(tmp_path, con):
    """The documented example: epoch 9 is asked, a run has up to 3, so its epoch-3 row is shown."""
    trained(tmp_path, short=range(1, 4), long=range(1, 12))
    assert at(con, tmp_path, "short long", at=9) == ([("short", 3, 3), ("long", 9, 9)], ())
    assert at(con, tmp_path, "short long", at=2) == ([("short", 2, 2), ("long", 2, 2)], ())


def test_exact_leaves_out_a_run_without_the_epoch_and_says_so(tmp_path, con):
    """As in W&B's source: the step is matched, not looked back from."""
    trained(tmp_path, short=range(1, 4), long=range(1, 12))
    notes = ("left out short: no epoch 9; it has 1, 2, 3",)
    assert at(con, tmp_path, "short long", at=9, exact=True) == ([("long", 9, 9)], notes)
    assert at(con, tmp_path, "short long", at=3, exact=True) == ([("short", 3, 3), ("long", 3, 3)], ())


def test_a_run_that_begins_later_is_left_out_and_said(tmp_path, con):
    trained(tmp_path, late=[5, 6], early=[1, 3])
    notes = ("left out late: no epoch up to 4; it has 5, 6",)
    assert at(con, tmp_path, "late early", at=4) == ([("early", 3, 3)], notes)
    assert at(con, tmp_path, "late early", at=5) == ([("late", 5, 5), ("early", 3, 3)], ())


def test_epochs_between_two_that_there_are_show_the_one_before(tmp_path, con):
    trained(tmp_path, cnn=[1, 4, 8])
    epochs = [at(con, tmp_path, "cnn", at=epoch)[0][0][1] for epoch in range(1, 10)]
    assert epochs == [1, 1, 1, 4, 4, 4, 4, 8, 8]


def test_nothing_at_the_epoch_is_an_error_that_says_what_there_is(tmp_path, con):
    trained(tmp_path, one=[5, 6], two=[7, 8])
    wanted = "nothing to show at epoch 4; left out one: no epoch up to 4; it has 5, 6; left out two: no epoch"
    with pytest.raises(NotFound, match=wanted):
        at(con, tmp_path, "one two", at=4)
    with pytest.raises(NotFound, match="left out one: no epoch 9; it has 5, 6"):
        at(con, tmp_path, "one", at=9, exact=True)


def test_a_reference_with_an_epoch_contradicts_the_slider(tmp_path, con):
    trained(tmp_path, cnn=[1, 5], double=[1])
    for ref in ("cnn@5", "cnn@last", "cnn@best", "cnn@all"):
        with pytest.raises(BadInput, match=f"{ref} names its epoch, and so does --at 3; leave one out"):
            at(con, tmp_path, f"double {ref}", at=3)


def test_exact_needs_an_epoch():
    with pytest.raises(BadInput, match="exact needs an epoch to be at"):
        TableView(("cnn",), exact=True)


def test_each_table_of_a_run_is_at_its_own_epoch(tmp_path, con):
    for table, epochs in (("train", [1, 2, 3]), ("test", [2, 4])):
        rows = {epoch: [("x", 0, epoch)] for epoch in epochs}
        record(tmp_path, "cnn", rows, table=table, finish=False)
    names = "cnn/train cnn/test"
    assert at(con, tmp_path, names, at=3) == ([("cnn/train", 3, 3), ("cnn/test", 2, 2)], ())
    assert at(con, tmp_path, names, at=1)[1] == ("left out cnn/test: no epoch up to 1; it has 2, 4",)


def test_tables_are_joined_at_a_step(tmp_path, con):
    trained(tmp_path, short=[1, 3], long=range(1, 10))
    view = {"join": "inner", "columns": ("id", "guess_a", "guess_b", "epoch_a", "epoch_b")}
    found = answer(con, tmp_path, TableView(("short", "long"), at=7, **view))
    assert [tuple(row.values()) for row in found.rows] == [("x", 3, 7, 3, 7), ("y", 3, 7, 3, 7)]
    (report,) = select.statement(con, tmp_path, TableView(("short", "long"), at=7, **view)).reports
    assert (report.left, report.right, report.matched) == ("short@3", "long@7", 2)


def test_sides_are_counted_without_the_tables_left_out(tmp_path, con):
    """As in W&B, which drops null tables before it numbers them."""
    trained(tmp_path, late=[5], one=[1], two=[2])
    names = ("late", "one", "two")
    assert shown(con, tmp_path, names, "id run_a run_b", join="inner", at=3, limit=1) == [("x", "one", "two")]
    assert shown(con, tmp_path, names, "id run_a run_b", join="inner", at=5, limit=1) == [("x", "late", "one")]


def test_a_join_that_the_step_leaves_one_table_of_is_refused(tmp_path, con):
    trained(tmp_path, late=[5], early=[1])
    with pytest.raises(BadInput, match="one table is left to join; left out late"):
        answer(con, tmp_path, TableView(("late", "early"), join="outer", at=3))


def test_the_step_comes_before_filters_and_groups(tmp_path, con):
    trained(tmp_path, short=[1, 3], long=[1, 2, 4])
    rows = shown(con, tmp_path, ("short", "long"), "epoch n", at=4, group=("epoch",), where=("guess >= 3",))
    assert rows == [(3, 2), (4, 2)]


EPOCHS = st.sets(st.integers(1, 6), min_size=1, max_size=4)


@settings(max_examples=30)
@given(runs=st.lists(EPOCHS, min_size=1, max_size=3), ended=st.booleans())
def test_every_step_of_any_runs_shows_what_the_rules_say(tmp_path_factory, con, runs, ended):
    tables: Mapping[tuple[str, str], Mapping[int, Recorded]] = {
        (f"run {number}", "test_predictions"): {
            epoch: Recorded({"id": "text", "guess": "whole"}, [{"id": "x", "guess": epoch}]) for epoch in epochs
        }
        for number, epochs in enumerate(runs)
    }
    store = tmp_path_factory.mktemp("steps")
    write(store, tables, ended=ended)
    names = tuple(run for run, _ in tables)
    for step in range(8):
        for exact in (False, True):
            held = [
                rules.at_step({epoch: PlainTable({}, each.rows) for epoch, each in epochs.items()}, step, exact=exact)
                for epochs in tables.values()
            ]
            expected = [
                (run, table.rows[0]["guess"]) for run, table in zip(names, held, strict=True) if table is not None
            ]
            if expected:
                assert shown(con, store, names, "run guess", at=step, exact=exact) == expected
                notes = select.statement(con, store, TableView(names, at=step, exact=exact)).notes
                assert len(notes) == held.count(None)
            else:
                with pytest.raises(NotFound, match=f"nothing to show at epoch {step}"):
                    shown(con, store, names, "run guess", at=step, exact=exact)
