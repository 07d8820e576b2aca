"""Random tables and views of them show what a slow interpreter of W&B's table rules (`table_rules`) says."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import duckdb
import pytest
import table_rules as rules
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from random_views import Asked, asked, joins_of, stores
from recording import record
from table_rules import PlainTable
from table_stores import Store, answer, plain, seen, write

from secondguess.analysis.engine.sqltext import identifier
from secondguess.analysis.errors import BadInput
from secondguess.analysis.tables import select
from secondguess.analysis.tables.view import TableView

MANY = [HealthCheck.too_slow, HealthCheck.data_too_large]


@pytest.fixture(scope="module")
def con() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect(config={"threads": 1}) as opened:  # more only take time for eight rows
        yield opened


def check(con: duckdb.DuckDBPyConnection, store: Path, asked: Asked) -> None:
    """Compare the product's answer with the interpreter's, rows in order."""
    if asked.table is None:
        with pytest.raises(BadInput, match="so the join would multiply rows"):
            select.statement(con, store, asked.view)
        return
    expected = rules.shown(asked.view, asked.table, asked.added, asked.twins)
    found = answer(con, store, asked.view)
    assert found.total == expected.total
    if asked.view.columns is None:
        assert sorted(found.columns) == sorted(expected.columns)
    else:
        assert list(found.columns) == list(expected.columns)
    assert [plain(row) for row in found.rows] == [
        {name: plain(row[name]) for name in found.columns} for row in expected.rows
    ]


DrawnView = tuple[Store, list[Asked], bool]


@st.composite
def views(draw: st.DrawFn, least: int, most: int) -> DrawnView:
    """A store, views of it, and whether its runs have ended."""
    tables = draw(stores())
    return tables, draw(st.lists(asked(tables), min_size=least, max_size=most)), draw(st.booleans())


@settings(max_examples=12, suppress_health_check=MANY)
@given(views(16, 32))
def test_any_view_of_any_tables_shows_what_the_rules_say(tmp_path_factory, con, drawn):
    check_all(tmp_path_factory, con, drawn)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@settings(max_examples=100, suppress_health_check=MANY)
@given(views(16, 32))
def test_so_do_thousands_of_views(tmp_path_factory, con, drawn):
    check_all(tmp_path_factory, con, drawn)


def check_all(tmp_path_factory: pytest.TempPathFactory, con: duckdb.DuckDBPyConnection, drawn: DrawnView) -> None:
    """Write the tables and check each view of them."""
    tables, asked, ended = drawn
    store = tmp_path_factory.mktemp("views")
    write(store, tables, ended=ended)
    for view in asked:
        check(con, store, view)


# What joins report


def counted(left: PlainTable, right: PlainTable, key: Sequence[str]) -> dict[str, int]:
    """How two tables match, by brute force."""
    sides = [[rules.key_text(rules.key_of(row, key, rules.OURS)) for row in table.rows] for table in (left, right)]
    rows = [Counter(text for text in side if text is not None) for side in sides]
    matched = rows[0].keys() & rows[1].keys()
    labels = [
        {text: {row["truth"] for other, row in zip(side, table.rows, strict=True) if other == text} - {None}}
        for side, table in zip(sides, (left, right), strict=True)
        for text in matched
    ]
    truths = {text: [held[text] for held in labels if text in held] for text in matched}
    return {
        "matched": len(matched),
        "only_left": len(rows[0].keys() - matched),
        "only_right": len(rows[1].keys() - matched),
        "duplicates_left": sum(count - 1 for count in rows[0].values()),
        "duplicates_right": sum(count - 1 for count in rows[1].values()),
        "nulls_left": sides[0].count(None),
        "nulls_right": sides[1].count(None),
        "truths_differ": sum(all(pair) and len(pair[0] | pair[1]) > 1 for pair in truths.values()),
    }


@st.composite
def joined(draw: st.DrawFn) -> tuple[Store, list[TableView], bool]:
    """A store, joins of its tables, and whether its runs have ended."""
    tables = draw(stores())
    return tables, draw(st.lists(joins_of(tables), min_size=4, max_size=10)), draw(st.booleans())


@settings(max_examples=15, suppress_health_check=MANY)
@given(joined())
def test_any_join_reports_what_counting_finds(tmp_path_factory, con, drawn):
    check_reports(tmp_path_factory, con, drawn)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@settings(max_examples=200, suppress_health_check=MANY)
@given(joined())
def test_so_does_each_of_very_many_joins(tmp_path_factory, con, drawn):
    check_reports(tmp_path_factory, con, drawn)


def check_reports(tmp_path_factory, con, drawn):
    """Compare what joins report with what counting finds."""
    tables, views, ended = drawn
    store = tmp_path_factory.mktemp("joins")
    write(store, tables, ended=ended)
    for view in views:
        held = seen(tables, view)
        first, *others = view.tables
        found = select.statement(con, store, replace(view, allow_duplicates=True)).reports
        assert len(found) == len(others)
        for report, other in zip(found, others, strict=True):
            left, right = held[first], held[other]
            expected = counted(left, right, view.key)
            assert {name: getattr(report, name) for name in expected} == expected
            assert (report.key, report.same_examples) in ((", ".join(view.key), None), ("id", None))
            for side, rows in (("left", len(left.rows)), ("right", len(right.rows))):
                parts = ("matched", f"only_{side}", f"duplicates_{side}", f"nulls_{side}")
                assert sum(getattr(report, part) for part in parts) == rows
            ids = [[row["id"] for row in table.rows] for table in (left, right)]
            unique = len(set(ids[0])) == len(ids[0]) and None not in ids[0]
            assert report.by_position == (view.key == ("id",) and unique and ids[0] == ids[1])


# The same answer whatever the columns


def check_columns(con: duckdb.DuckDBPyConnection, store: Path, view: TableView, columns: Sequence[str]) -> None:
    """Compare a view of these columns with that of all of them: the number of rows, the rows, their order."""
    whole = answer(con, store, replace(view, columns=None))
    part = answer(con, store, replace(view, columns=tuple(columns)))
    assert (part.total, len(part.rows), list(part.columns)) == (whole.total, len(whole.rows), list(columns))
    common = [name for name in columns if name in whole.columns]
    for found, expected in zip(part.rows, whole.rows, strict=True):
        assert {name: plain(found[name]) for name in common} == {name: plain(expected[name]) for name in common}


@settings(max_examples=6, suppress_health_check=MANY)
@given(st.data())
def test_columns_change_neither_groups_nor_counts_nor_order(tmp_path_factory, con, data):
    check_projections(tmp_path_factory, con, data)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@settings(max_examples=60, suppress_health_check=MANY)
@given(st.data())
def test_nor_do_they_in_very_many_views(tmp_path_factory, con, data):
    check_projections(tmp_path_factory, con, data)


def check_projections(tmp_path_factory, con, data):
    """Compare views of some columns with those of all."""
    tables, asked, ended = data.draw(views(6, 12))
    store = tmp_path_factory.mktemp("columns")
    write(store, tables, ended=ended)
    for each in asked:
        if each.table is not None:
            kinds = {**each.table.kinds, **each.added}
            names = rules.columns(each.view, PlainTable(kinds))
            chosen = st.lists(st.sampled_from(names), min_size=1, max_size=3, unique=True)
            sort = [f"-{identifier(name)}" for name in data.draw(chosen)]  # of a group, what it shows of a column, too
            view = replace(each.view, sort=tuple(sort)) if data.draw(st.booleans()) else each.view
            check_columns(con, store, view, data.draw(chosen))


@pytest.fixture(scope="module")
def pictured(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two runs over the same texts, one of them with another text besides."""
    store = tmp_path_factory.mktemp("pictured")
    texts = {name: f"text of {name}" for name in "abcde"}
    record(store, "cnn", {1: [("a", 0, 1), ("b", 1, 1), ("c", 0, None), ("d", 1, 0)]}, content=texts)
    record(store, "double", {1: [("d", 1, 1), ("b", 1, 0), ("e", None, 0), ("a", 0, 0)]}, content=texts)
    return store


@settings(max_examples=15)
@given(st.data())
def test_columns_of_the_examples_change_neither_groups_nor_counts_nor_order(pictured, con, data):
    join = data.draw(st.sampled_from([None, "inner", "outer"]))
    key = data.draw(st.sampled_from([("id",), ("digest",)])) if join is not None else ("id",)
    view = TableView(("cnn", "double"), join=join, key=key)
    side = "" if join is None else "_a"
    pictures = ["content", "digest"] if join is None else ["content_a", "content_b", "digest_b"]
    if join is None and data.draw(st.booleans()):
        pictures = []
        view = replace(view, where=("digest IS NOT NULL",))
    pictures = [name for name in pictures if name not in key]
    groups = [(), ("guess" + side,), ("truth" + side, "guess" + side), key if join is not None else ("digest",)]
    view = replace(view, group=data.draw(st.sampled_from(groups)))
    sorts = [(), (f"-guess{side}",), (f"truth{side}", f"-run{side}")]
    if view.group:
        sorts = [(), ("n",), ("-n", f"run{side}"), (f"confidence{side}",)]
    limit, offset = data.draw(st.sampled_from([(None, 0), (2, 0), (2, 1)]))
    view = replace(view, sort=data.draw(st.sampled_from(sorts)), limit=limit, offset=offset)
    own = list(dict.fromkeys([*answer(con, pictured, view).columns, *pictures]))
    names = st.lists(st.sampled_from(own), min_size=1, max_size=4, unique=True)
    check_columns(con, pictured, view, data.draw(names))
