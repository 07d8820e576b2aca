"""Parquet and Arrow files with their own types, under names that are told apart."""

from pathlib import Path

import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet as pq
import pytest

from secondguess.analysis.errors import Damaged
from secondguess.analysis.importers.files.columnar import read_arrow, read_parquet

TABLE = pa.table([pa.array(["a", "b"]), pa.array([1, 2]), pa.array([3.5, None]), pa.array([5, 6])], list("xyxX"))


def parquet(path: Path) -> None:
    pq.write_table(TABLE, path)


def arrow_file(path: Path) -> None:
    with pa.ipc.new_file(path, TABLE.schema) as out:
        out.write_table(TABLE, 1)


def arrow_stream(path: Path) -> None:
    with pa.ipc.new_stream(path, TABLE.schema) as out:
        out.write_table(TABLE, 1)


KINDS = [(parquet, read_parquet), (arrow_file, read_arrow), (arrow_stream, read_arrow)]


@pytest.mark.parametrize(("write", "read"), KINDS)
def test_repeated_columns_are_told_apart_and_read_whole_or_in_part(tmp_path: Path, write, read) -> None:
    write(tmp_path / "t")
    rows = read(tmp_path / "t", "t")
    assert rows.rows == 2
    assert rows.notes[0] == "column 3 is called 'x', as one before it is, and here 'x_2'"
    for _ in range(2):
        assert pa.Table.from_batches(rows.batches()).to_pydict() == {
            "x": ["a", "b"],
            "y": [1, 2],
            "x_2": [3.5, None],
            "X_3": [5, 6],
        }
        assert pa.Table.from_batches(rows.batches(["X_3", "x_2"])).to_pydict() == {"x_2": [3.5, None], "X_3": [5, 6]}
        assert pa.Table.from_batches(rows.batches(["x"])).to_pydict() == {"x": ["a", "b"]}


def test_a_column_without_a_name_gets_one(tmp_path: Path) -> None:
    pq.write_table(pa.table({"": [0, 1], "guess": [1, 1]}), tmp_path / "t")
    assert read_parquet(tmp_path / "t", "t").schema.names == ["index", "guess"]


@pytest.mark.parametrize("compression", ["zstd", "lz4"])
def test_feather_is_read(tmp_path: Path, compression: str) -> None:
    pyarrow.feather.write_feather(pa.table({"a": [1, 2]}), tmp_path / "t", compression=compression)
    assert [batch.to_pydict() for batch in read_arrow(tmp_path / "t", "t").batches()] == [{"a": [1, 2]}]
    (tmp_path / "old").write_bytes(b"FEA1....")
    with pytest.raises(Damaged, match="old is of Feather's first version; write it again"):
        read_arrow(tmp_path / "old", "old")


@pytest.mark.parametrize(("write", "read"), KINDS)
def test_a_file_that_is_cut_is_refused_by_name(tmp_path: Path, write, read) -> None:
    write(tmp_path / "t")
    whole = (tmp_path / "t").read_bytes()
    (tmp_path / "t").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(Damaged, match=r"^the file cannot be read: "):
        list(read(tmp_path / "t", "the file").batches())
