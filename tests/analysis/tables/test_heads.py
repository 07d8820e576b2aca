"""What stands in a column's head: how many rows lie in each bin or have each value, and the filters that keep them."""

import math
from decimal import Decimal
from itertools import pairwise

import duckdb
import numpy as np
import pytest
from recording import record

from secondguess.analysis.engine import duck
from secondguess.analysis.errors import BadInput
from secondguess.analysis.tables import heads, select
from secondguess.analysis.tables.view import TableView
from secondguess.trainer.recorder import Recorder

NAN, INF = math.nan, math.inf
VIEW = TableView(("kinds",))
COLUMNS = {
    "whole": [1, 2, 3, 4, 9, None],
    "real": [0.5, -1.5, 2.0, NAN, INF, 3.25],
    "single": np.array([0.35, 0.1, 0.7, 0.15, 0.3, 0.6], np.float32),
    "far": [1e6, 1e6 + 0.25, 1e6 + 0.5, 1e6 + 0.75, 1e6 + 1, 1e6],
    "wide": [-1.7e308, 0.0, 1.6e308, -8e307, 1e307, 1.7e308],
    "narrow": [1.0, 1.0000000000000002, 1.0, 1.0, 1.0000000000000002, 1.0],
    "money": [Decimal(place) + Decimal("1.50") for place in range(6)],
    "huge": [2**60 + place for place in range(6)],
    "same": [7, 7, 7, 7, 7, 7],
    "never": [NAN, NAN, INF, -INF, NAN, None],
    "word": ["u", "v", "u", "it's", None, "u"],
    "yes": [True, False, True, True, None, True],
}


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """Six rows with a column of every kind."""
    path = tmp_path_factory.mktemp("store")
    with Recorder(path, run="kinds", wandb="off") as recorder, recorder.table("test_predictions", epoch=1) as rows:
        rows.add(ids=list("abcdef"), guess=[0, 0, 0, 1, 1, 1], truth=[1, 0, 1, 1, 1, 0], **COLUMNS)
    return path


def rows(store, view):
    """A view's rows."""
    con = duck.fresh()
    with duck.answered(lambda own: select.statement(own, store, view), duck.rows, None, con) as (_, found):
        return list(found.rows)


def counted(store, column, view=VIEW, *, bins=True):
    """What a head counts: a place or value with all rows and those that are kept, and the edges of bins."""
    con = duckdb.connect()
    if not bins:
        return {place: (every, kept) for place, every, kept in rows(store, heads.listed(con, view, column))}
    ((low, high, whole),) = rows(store, heads.span(view, column, numbers=True))
    edges = heads.edges(low, high, whole=whole)
    found = rows(store, heads.binned(con, view, column, edges))
    return {place: (every, kept) for place, every, kept in found}, edges


EDGES = {
    "scores": ((0, 1, False), 20, ("0", "0.05", "1")),
    "numbers near 1": ((0.1414, 0.9999, False), 18, ("0.1", "0.15", "1")),
    "digits": ((0, 9, True), 10, ("0", "1", "10")),
    "bytes": ((0, 255, True), 13, ("0", "20", "260")),
    "a thousand": ((0, 999, True), 20, ("0", "50", "1000")),
    "on both sides of 0": ((-3, 3.2, False), 13, ("-3", "-2.5", "3.5")),
    "one number": ((5, 5, False), 1, ("5", "6", "6")),
    "tiny": ((0, 1e-12, False), 20, ("0", "5e-14", "1e-12")),
    "the widest": (
        (-1.7e308, 1.7e308, False),
        18,
        ("-1.7976931348623157e+308", "-1.6e+308", "1.7976931348623157e+308"),
    ),
}


@pytest.mark.parametrize("case", EDGES)
def test_bins_are_one_two_or_five_wide_and_lie_at_multiples_of_that(case):
    (low, high, whole), many, (first, second, last) = EDGES[case]
    edges = heads.edges(low, high, whole=whole)
    assert (len(edges) - 1, edges[0], edges[1], edges[-1]) == (many, first, second, last)


def test_a_head_counts_what_lies_in_each_bin_and_apart_from_them_what_is_null_or_not_finite(store):
    found, edges = counted(store, "real")
    assert edges[:2] == ["-1.5", "-1"]
    assert edges[-1] == "3.5"
    # -1.5, 0.5, 2.0 and 3.25 in bins half a unit wide; NaN and infinity.
    assert found == {0: (1, 1), 4: (1, 1), 7: (1, 1), 9: (1, 1), None: (2, 2)}
    found, edges = counted(store, "whole")
    assert (found, edges[0], edges[-1]) == (
        {0: (1, 1), 1: (1, 1), 2: (1, 1), 3: (1, 1), 8: (1, 1), -1: (1, 1)},
        "1",
        "10",
    )
    assert rows(store, heads.span(VIEW, "never", numbers=True)) == [(None, None, None)]


@pytest.mark.parametrize("column", ["whole", "real", "single", "far", "wide", "narrow", "money", "huge", "same"])
def test_each_bin_counts_the_rows_that_a_filter_on_it_keeps(store, column):
    found, edges = counted(store, column)
    for place, (low, high) in enumerate(pairwise(edges)):
        condition = heads.between(column, low, high, last=place == len(edges) - 2)
        assert len(rows(store, TableView(("kinds",), where=(condition,)))) == found.get(place, (0, 0))[0], condition
    assert sum(every for every, _ in found.values()) == 6


def test_real_numbers_of_32_bits_on_an_edge_are_where_the_filter_has_them(tmp_path):
    """0.35 in 32 bits is below 0.35 in 64: a bin must say of it what the filter says."""
    numbers = np.arange(0, 1001, dtype=np.float32) / np.float32(1000)
    with Recorder(tmp_path, run="kinds", wandb="off") as recorder, recorder.table("test_predictions", epoch=1) as table:
        table.add(ids=[str(n) for n in range(1001)], guess=[0] * 1001, truth=[0] * 1001, single=numbers)
    found, edges = counted(tmp_path, "single")
    assert [found[place][0] for place in range(20)] == [50] * 19 + [51]
    for place, (low, high) in enumerate(pairwise(edges)):
        view = TableView(("kinds",), where=(heads.between("single", low, high, last=place == 19),))
        assert len(rows(tmp_path, view)) == found[place][0]


def test_a_heads_own_filter_says_what_is_kept_and_others_narrow_what_is_counted(store):
    own = TableView(("kinds",), where=("word = 'u'",))
    assert counted(store, "word", own, bins=False) == {"u": (3, 3), "v": (1, 0), "it's": (1, 0), None: (1, 0)}
    other = TableView(("kinds",), where=("guess = 0", "word = 'u'"))
    assert counted(store, "word", other, bins=False) == {"u": (2, 2), "v": (1, 0)}
    both = TableView(("kinds",), where=("whole > 2 -- a comment", "whole < 9 AND guess = 1"))
    assert counted(store, "whole", both)[0] == {3: (1, 1)}
    assert counted(store, "guess", TableView(("kinds",), where=("wrong",)), bins=False) == {0: (2, 2), 1: (1, 1)}


def test_a_head_of_a_join_of_a_computed_column_and_of_a_grouped_view_counts_its_rows(store, tmp_path):
    record(tmp_path, "one", {1: [("a", 0, [0.9, 0.1]), ("b", 1, [0.4, 0.6])]})
    record(tmp_path, "two", {1: [("a", 0, [0.2, 0.8]), ("c", 1, [0.4, 0.6])]})
    joined = TableView(("one", "two"), "outer")
    assert counted(tmp_path, "guess_b", joined, bins=False) == {1: (2, 2), None: (1, 1)}
    computed = TableView(("kinds",), add=(("double", "whole * 2"),), group=("guess",), limit=1, columns=("guess",))
    assert counted(store, "double", computed)[0] == {0: (1, 1), 2: (1, 1), 4: (1, 1), 6: (1, 1), 16: (1, 1), -1: (1, 1)}


def test_of_texts_about_how_many_are_different_is_asked_first(store):
    assert rows(store, heads.span(TableView(("kinds",), where=("false",)), "word", numbers=False)) == [(3,)]


def test_values_are_added_to_what_a_head_keeps_and_taken_from_it():
    one = heads.toggled(TableView(("cnn",), where=("confidence > 0.5",), offset=50), "guess", "4")
    assert (one.where, one.offset) == (("confidence > 0.5", '"guess" IS NOT DISTINCT FROM 4'), 0)
    two = heads.toggled(one, "guess", "'it''s'")
    assert two.where == ("confidence > 0.5", "guess IN (4, 'it''s')")
    assert heads.chosen(two, "guess")[1] == ["4", "'it''s'"]
    assert heads.toggled(two, "guess", "4").where == ("confidence > 0.5", "\"guess\" IS NOT DISTINCT FROM 'it''s'")
    assert heads.toggled(one, "guess", "4").where == ("confidence > 0.5",)
    assert heads.toggled(two, "guess", "NULL").where[1:] == ('"guess" IS NOT DISTINCT FROM NULL',)
    assert heads.toggled(heads.toggled(one, "guess", "NULL"), "guess", "4").where[1:] == one.where[1:]


@pytest.mark.parametrize(
    "text",
    [
        "guess = 4",
        '"guess" IS NOT DISTINCT FROM 4 OR true',
        "guess IN (SELECT 4)",
        "guess IN (4, truth)",
        "guess >= 1 AND guess < truth",
        "truth >= 1 AND truth < 2",
        "guess >= 1 AND guess < 2 OR true",
    ],
)
def test_a_filter_that_a_person_wrote_stays_when_a_head_writes_another(text):
    assert heads.chosen(TableView(("cnn",), where=(text,)), "guess") == (TableView(("cnn",), where=(text,)), [])


def test_a_brush_takes_the_place_of_the_one_before():
    brushed = TableView(("cnn",), where=(heads.between("confidence", "-1e-05", "0.4"), "wrong", "confidence IS NULL"))
    assert heads.chosen(brushed, "confidence")[0].where == ("wrong",)
    assert heads.between("group", "1", "2", last=True) == '"group" >= 1 AND "group" <= 2'
    assert heads.chosen(TableView(("cnn",), where=(heads.between("a b", "1", "2"),)), "a b")[0].where == ()


def test_a_column_that_is_not_there_is_said(store):
    with pytest.raises(BadInput, match="there is no column 'nothing'"):
        counted(store, "nothing")
