"""Excel's sheets as text, each cell as CSV would have it."""

import datetime
from pathlib import Path
from typing import Any

import pytest

from secondguess.analysis.errors import Damaged
from secondguess.analysis.importers.files.workbook import read_workbook

openpyxl = pytest.importorskip("openpyxl")


def written(path: Path, *sheets: list[list[Any]]) -> Path:
    book = openpyxl.Workbook()
    book.remove(book.active)
    for rows in sheets:
        sheet = book.create_sheet()
        for row in rows:
            sheet.append(row)
    book.save(path)
    return path


def test_cells_come_as_they_would_be_written(tmp_path: Path) -> None:
    day, moment = datetime.date(2024, 1, 2), datetime.datetime(2024, 1, 2, 10, 30)
    rows = [["id", "pred", "p", "day", None], ["007", 1, 0.25, day, True], [None] * 5, ["b", 2.0, "NA", moment, "x"]]
    contents = read_workbook(written(tmp_path / "t.xlsx", rows, [["other"]]), "t.xlsx", None, ("NA",))
    assert [batch.to_pydict() for batch in contents.batches()] == [
        {
            "id": ["007", "b"],
            "pred": ["1", "2"],
            "p": ["0.25", None],
            "day": ["2024-01-02", "2024-01-02T10:30:00"],
            "column_5": ["TRUE", "x"],
        }
    ]
    assert contents.rows == 2 and contents.written
    assert contents.notes[0] == "only its first sheet, 'Sheet', is read; it also has Sheet1"


def test_without_a_header_columns_are_numbered(tmp_path: Path) -> None:
    contents = read_workbook(written(tmp_path / "t.xlsx", [["a", 1], ["b", 2]]), "t.xlsx", False, ())
    assert [batch.to_pydict() for batch in contents.batches(["column_2"])] == [{"column_2": ["1", "2"]}]


def test_an_empty_or_broken_book_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(Damaged, match=r"t\.xlsx is empty"):
        read_workbook(written(tmp_path / "t.xlsx", []), "t.xlsx", None, ())
    (tmp_path / "b.xlsx").write_bytes(b"PK\x03\x04nothing")
    with pytest.raises(Damaged, match=r"b\.xlsx cannot be read"):
        read_workbook(tmp_path / "b.xlsx", "b.xlsx", None, ())
