"""Rows that fit into memory are read once; others each time, and the same rows come."""

from collections.abc import Collection, Iterator

import pyarrow as pa
import pytest

from secondguess.analysis.importers.held import held
from secondguess.analysis.importers.source import TableRows

TABLE = pa.table({"a": [1, 2, 3], "b": ["x", "y", None]})


@pytest.fixture
def reads() -> list[Collection[str] | None]:
    return []


def source(reads: list[Collection[str] | None]) -> TableRows:
    def batches(columns: Collection[str] | None = None) -> Iterator[pa.RecordBatch]:
        reads.append(columns)
        names = [name for name in TABLE.column_names if columns is None or name in columns]
        yield from TABLE.select(names).to_batches(2)

    return TableRows(TABLE.schema, 3, batches)


def rows(contents: TableRows, columns: Collection[str] | None = None) -> list[dict[str, object]]:
    return [row for batch in contents.batches(columns) for row in batch.to_pylist()]


def test_what_fits_is_read_once(reads: list[Collection[str] | None]) -> None:
    contents = held(source(reads))
    assert rows(contents, ["b"]) == [{"b": "x"}, {"b": "y"}, {"b": None}]
    assert rows(contents) == TABLE.to_pylist()
    assert rows(contents, ["a", "gone"]) == [{"a": 1}, {"a": 2}, {"a": 3}]
    assert reads == [None]


def test_what_is_larger_is_read_each_time(reads: list[Collection[str] | None]) -> None:
    contents = held(source(reads), most_bytes=20)
    assert rows(contents, ["b"]) == [{"b": "x"}, {"b": "y"}, {"b": None}]
    assert rows(contents) == TABLE.to_pylist()
    assert reads == [None, None]


def test_what_was_left_early_is_read_again(reads: list[Collection[str] | None]) -> None:
    contents = held(source(reads))
    next(iter(contents.batches()))
    assert rows(contents) == TABLE.to_pylist()
    assert reads == [None, None]
