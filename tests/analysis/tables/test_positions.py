"""Tables that are joined by position show what looking every id up would show."""

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from table_stores import commit

from secondguess.analysis.store.writer import RunWriter
from secondguess.analysis.tables import select
from secondguess.analysis.tables.view import TableView

ROWS = 130_000  # more than a row group, so that several threads read a file
IDS = [f"example {number}" for number in range(ROWS)]
Found = tuple[Any, ...]


def columns(seed: int, ids: Sequence[str]) -> dict[str, Sequence[Any]]:
    """The columns of a table; `place` has every number once."""
    chosen = random.Random(seed)
    guesses = chosen.choices([None, *range(10)], k=len(ids))
    return {"id": ids, "guess": guesses, "place": chosen.sample(range(len(ids)), len(ids))}


TABLES = {
    "ended@1": columns(1, IDS),
    "ended@2": columns(2, IDS),
    "running@1": columns(3, IDS),
    "running@2": columns(4, IDS),
    "other@1": columns(5, random.Random(0).sample(IDS[: ROWS // 4], ROWS // 5)),
    "repeated@1": columns(6, [*IDS[:-1], IDS[0]]),
}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Runs that have ended, so that their epochs lie in one file, and one that goes on."""
    path = tmp_path_factory.mktemp("positions")
    writers = {run: RunWriter.create(path, run, {"config": {}}) for run in ("ended", "running", "other", "repeated")}
    for name, held in TABLES.items():
        run, _, epoch = name.partition("@")
        commit(writers[run], "test_predictions", int(epoch), {key: pa.array(cells) for key, cells in held.items()})
    for run, writer in writers.items():
        if run != "running":
            writer.end()
            writer.close()
    yield path
    writers["running"].close()


@pytest.fixture(scope="module")
def con() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as opened:
        opened.execute("SET threads = 16")
        yield opened


@cache
def looked_up(names: Sequence[str], how: str) -> Sequence[Found]:
    """id, then guess and place of each side, by looking every id up in each side."""
    sides: list[dict[str, list[Found]]] = []
    for name in names:
        sides.append({})
        for id, *cells in zip(*TABLES[name].values(), strict=True):
            sides[-1].setdefault(id, []).append(tuple(cells))
    rows: list[Found] = []
    for id in dict.fromkeys(id for side in sides for id in side):
        if how == "outer" or all(id in side for side in sides):
            some: list[Found] = [(id,)]
            for side in sides:
                some = [(*row, *cells) for row in some for cells in side.get(id, [(None, None)])]
            rows += some
    return rows


def shown(con: duckdb.DuckDBPyConnection, store: Path, names: Sequence[str], **view: Any) -> list[Found]:
    """The rows of a view of the joined tables, which are as many as it says."""
    sides = [f"{column}_{letter}" for letter in "abc"[: len(names)] for column in ("guess", "place")]
    asked = TableView(tuple(names), **{"columns": ("id", *sides), **view})
    statement = select.statement(con, store, asked)
    by_position = [report.by_position for report in statement.reports]
    assert ("POSITIONAL JOIN" in statement.sql) == any(by_position) or "other@1" in names
    rows = con.execute(statement.sql).fetchall()
    assert asked.limit is not None or con.execute(statement.total).fetchone() == (len(rows),)
    return rows


@pytest.mark.parametrize(
    "names, how",
    [
        (("ended@1", "ended@2"), "inner"),
        (("ended@2", "running@1"), "outer"),
        (("running@2", "ended@1"), "inner"),
        (("running@1", "running@2"), "outer"),
        (("ended@1", "running@1", "ended@2"), "inner"),
        (("ended@1", "running@1", "other@1"), "outer"),
        (("ended@2", "other@1", "running@2"), "outer"),
        (("other@1", "ended@1", "running@1"), "inner"),
    ],
)
def test_all_rows_are_those_that_belong_together(con, store, names, how):
    assert shown(con, store, names, join=how) == looked_up(names, how)


def test_equal_ids_in_equal_order_are_joined_by_position_and_others_are_not(con, store):
    def how(*names: str) -> list[bool]:
        view = TableView(names, join="inner", allow_duplicates=True)
        return [report.by_position for report in select.statement(con, store, view).reports]

    assert how("ended@2", "running@1", "other@1", "repeated@1") == [True, False, False]
    assert how("repeated@1", "repeated@1") == [False]


PAIR = ("ended@2", "running@1")
FILTERS: Mapping[str, Callable[[Found], bool]] = {
    "guess_a = 3": lambda row: row[1] == 3,
    "guess_b = 3": lambda row: row[3] == 3,
    "guess_a < guess_b": lambda row: None not in (row[1], row[3]) and row[1] < row[3],
    "guess_a IS NULL AND guess_b IS NULL": lambda row: row[1] is None and row[3] is None,
    "id = 'example 129999' OR place_b = 0": lambda row: row[0] == IDS[-1] or row[4] == 0,
    "place_a IN (0, 1, 129999)": lambda row: row[2] in (0, 1, 129_999),
}


@pytest.mark.parametrize("where", FILTERS)
@pytest.mark.parametrize("how", ["inner", "outer"])
def test_a_filter_keeps_the_rows_that_it_says(con, store, where, how):
    expected = [row for row in looked_up(PAIR, "inner") if FILTERS[where](row)]
    assert shown(con, store, PAIR, join=how, where=(where,)) == expected


@pytest.mark.parametrize("sort, place", [("place_a", 2), ("-place_b", 4)])
def test_the_first_of_a_sort_are_the_first_of_all(con, store, sort, place):
    expected = sorted(looked_up(PAIR, "inner"), key=lambda row: row[place], reverse=sort[0] == "-")
    assert shown(con, store, PAIR, join="inner", sort=(sort,), limit=10, offset=5) == expected[5:15]


def test_a_page_far_behind_is_that_part_of_all_rows(con, store):
    expected = looked_up(PAIR, "inner")[125_000:125_003]
    assert shown(con, store, PAIR, join="outer", limit=3, offset=125_000) == expected


def test_a_filter_of_three_tables_keeps_the_rows_that_it_says(con, store):
    names = ("ended@1", "running@1", "other@1")
    expected = [row for row in looked_up(names, "outer") if row[1] is not None and row[1] == row[5]]
    assert shown(con, store, names, join="outer", where=("guess_a = guess_c",)) == expected


def test_repeated_ids_are_looked_up(con, store):
    names = ("repeated@1", "ended@1")
    rows = shown(con, store, names, join="inner", allow_duplicates=True)
    assert sorted(rows, key=lambda row: row[2]) == sorted(looked_up(names, "inner"), key=lambda row: row[2])


def test_groups_count_the_rows_that_belong_together(con, store):
    expected: dict[Found, int] = {}
    for row in looked_up(PAIR, "inner"):
        expected[row[1], row[3]] = expected.get((row[1], row[3]), 0) + 1
    group = ("guess_a", "guess_b")
    order = sorted(expected, key=lambda pair: [(guess is not None, guess or 0) for guess in pair])
    assert shown(con, store, PAIR, join="inner", group=group, columns=(*group, "n")) == [
        (*pair, expected[pair]) for pair in order
    ]
