"""Delimited text as it is written: every field as text, every row, or the line and the remedy."""

import csv
import io
import random
from pathlib import Path

import pytest

from secondguess.analysis.errors import BadInput, Damaged
from secondguess.analysis.importers.files.delimited import TextOptions, named_columns, read_delimited
from secondguess.analysis.importers.source import TableRows


def opened(tmp_path: Path, text: str, **options: object) -> TableRows:
    path = tmp_path / "t.csv"
    path.write_text(text, encoding="utf-8", newline="")
    return read_delimited(path, "t.csv", TextOptions(**options))


def rows(tmp_path: Path, text: str, **options: object) -> list[tuple[str | None, ...]]:
    """The columns' names, and the rows."""
    contents = opened(tmp_path, text, **options)
    found = [tuple(row.values()) for batch in contents.batches() for row in batch.to_pylist()]
    assert contents.rows == len(found)
    return [tuple(contents.schema.names), *found]


def test_a_name_stays_as_it_is_written(tmp_path: Path) -> None:
    names = ["0001", "2105.10", "12345678901234567890", "12e3", "NA", "None", "010", "null", "2024-01-02", "true", "+7"]
    assert rows(tmp_path, "id,n\n" + "".join(f"{name},1\n" for name in names))[1:] == [(name, "1") for name in names]
    assert rows(tmp_path, 'id,n\n"007",1\n')[1:] == [("007", "1")]


def test_an_empty_field_is_missing_a_quoted_one_is_empty_text_and_what_is_named_is_missing(tmp_path: Path) -> None:
    assert rows(tmp_path, 'a,b\n,""\nNA,x\n')[1:] == [(None, ""), ("NA", "x")]
    assert rows(tmp_path, "a,b\nNA,-\n", missing=("NA", "-"))[1:] == [(None, None)]


@pytest.mark.parametrize("delimiter", [",", "\t", ";", "|"])
def test_the_delimiter_is_seen(tmp_path: Path, delimiter: str) -> None:
    text = "id,label,note\na,1,x\nb,0,y\n".replace(",", delimiter)
    assert rows(tmp_path, text) == [("id", "label", "note"), ("a", "1", "x"), ("b", "0", "y")]


def test_decimal_commas_do_not_hide_the_semicolon(tmp_path: Path) -> None:
    for text in ("id;p\na;0,2\nb;0,3\n", "id;l;p\na;1;0,2\nb;0;0,3\n", "id;l;p;q\na;1;0,2;0,8\n"):
        assert rows(tmp_path, text)[0] == tuple(text.splitlines()[0].split(";"))
        assert opened(tmp_path, text).decimal_comma


def test_quoted_fields_have_delimiters_quotes_and_line_breaks(tmp_path: Path) -> None:
    """Beyond the first block that is read: compared with Python's own csv."""
    chance = random.Random(0)
    texts = ["".join(chance.choices('ab",;\n\r\tä ', k=chance.randrange(1, 60))) for _ in range(60_000)]
    out = io.StringIO(newline="")
    csv.writer(out).writerows([["id", "text"], *([f"r{at}", text] for at, text in enumerate(texts))])
    assert rows(tmp_path, out.getvalue())[1:] == [(f"r{at}", text) for at, text in enumerate(texts)]


def test_spaces_beside_delimiters_are_none_of_the_fields_where_the_header_has_them(tmp_path: Path) -> None:
    text = 'id, label, note\na, cat, "x ""y"""\nb,  dog, \n'
    assert rows(tmp_path, text) == [("id", "label", "note"), ("a", "cat", 'x "y"'), ("b", "dog", None)]
    assert rows(tmp_path, "id,label\na, cat\n")[1:] == [("a", " cat")]


def test_unnamed_and_repeated_columns_get_names_that_are_said(tmp_path: Path) -> None:
    assert rows(tmp_path, ",a,A,\n0,1,2,3\n") == [("index", "a", "A_2", "column_4"), ("0", "1", "2", "3")]
    assert opened(tmp_path, ",a,A\n0,1,2\n").notes == (
        "column 1 has no name and is called 'index'",
        "column 3 is called 'A', as one before it is, and here 'A_2'",
    )
    assert named_columns(["a", "a_2", "a"])[0] == ["a", "a_2", "a_3"]


def test_a_delimiter_more_at_the_end_of_rows_or_header_is_no_fault(tmp_path: Path) -> None:
    assert rows(tmp_path, "id,n\na,1,\nb,2,\n") == [("id", "n", "column_3"), ("a", "1", None), ("b", "2", None)]
    assert rows(tmp_path, "id,n,\na,1\nb,2\n") == [("id", "n"), ("a", "1"), ("b", "2")]


def test_row_names_as_r_writes_them_are_a_column_without_a_name(tmp_path: Path) -> None:
    assert rows(tmp_path, '"n","m"\n"r1",1,2\n"r2",3,4\n') == [("index", "n", "m"), ("r1", "1", "2"), ("r2", "3", "4")]


def test_a_header_that_comes_again_is_left_out_and_said(tmp_path: Path) -> None:
    text = "id,label\na,x\n" * 30
    assert rows(tmp_path, text)[1:] == [("a", "x")] * 30
    assert opened(tmp_path, text).notes == ("the header comes 29 more times among the rows; left out there",)


def test_a_missing_header_is_asked_for(tmp_path: Path) -> None:
    text = "img1,cat,0.9\n" + "img2,cat,0.8\nimg3,dog,0.7\n" * 15
    with pytest.raises(BadInput, match=r"looks like a row and not like names \(img1,cat,0\.9\); add --no-header if"):
        rows(tmp_path, text)
    assert rows(tmp_path, text, header=False)[:2] == [("column_1", "column_2", "column_3"), ("img1", "cat", "0.9")]
    assert rows(tmp_path, text, header=True)[0] == ("img1", "cat", "0.9")


@pytest.mark.parametrize(
    ("text", "line", "fields"),
    [
        ("a,b\n1,2\n1,2,3\n", 3, "3 fields, the others have 2"),
        ("a,b\n1,2\n1\n", 3, "1 fields, the others have 2"),
        ('a,b\n"x\ny\n",2\n\n1,2,3,4\n', 6, "4 fields, the others have 2"),
        ("a,b\n" + "1,2\n" * 2_000_000 + "1,2,3\n", 2_000_002, "3 fields, the others have 2"),
    ],
)
def test_a_row_that_has_not_the_fields_of_the_others_is_refused_by_line(
    tmp_path: Path, text: str, line: int, fields: str
) -> None:
    with pytest.raises(Damaged, match=rf"t\.csv cannot be read at line {line:,}: it has {fields}; put quotes round"):
        rows(tmp_path, text)


def test_an_empty_file_and_one_without_end_of_its_quote_are_refused(tmp_path: Path) -> None:
    with pytest.raises(Damaged, match=r"t\.csv is empty"):
        rows(tmp_path, "\n \n")
    with pytest.raises(Damaged, match=r"t\.csv cannot be read"):
        rows(tmp_path, 'a,b\n"x,1\n' + "y,2\n" * 5_000_000)


def test_quotation_marks_that_are_no_quotes_are_asked_for_and_swallow_no_rows(tmp_path: Path) -> None:
    """As in GLUE's files: what begins with a mark ends with the next, some lines on."""
    text = 'id\ttext\tlabel\n1\t"Hi\t0\n2\tfine\t1\n3\tothers"\t0\n'
    with pytest.raises(BadInput, match="makes 3 lines one field, each of which would be a row; add --no-quotes"):
        rows(tmp_path, text)
    assert rows(tmp_path, text, quotes=False)[1:] == [("1", '"Hi', "0"), ("2", "fine", "1"), ("3", 'others"', "0")]
    whole = 'id\ttext\n1\t"two\nlines"\n2\t"a\ttab"\n'
    assert rows(tmp_path, whole)[1:] == [("1", "two\nlines"), ("2", "a\ttab")]


def test_windows_and_old_mac_line_ends_are_line_ends(tmp_path: Path) -> None:
    for end in ("\r\n", "\r"):
        assert rows(tmp_path, end.join(["a,b", "1,2", "3,4", ""])) == [("a", "b"), ("1", "2"), ("3", "4")]


def test_some_columns_are_read_alone(tmp_path: Path) -> None:
    contents = opened(tmp_path, "id,guess,note\na,x,1\nb,y,\n")
    assert [batch.to_pydict() for batch in contents.batches(["note", "id", "none"])] == [
        {"id": ["a", "b"], "note": ["1", None]}
    ]


def test_rows_of_megabytes_are_read_and_longer_ones_refused(tmp_path: Path) -> None:
    long = "x, y\n" * 1_000_000
    assert rows(tmp_path, f'id,text\na,"{long}"\nb,y\n')[1:] == [("a", long), ("b", "y")]
    with pytest.raises(Damaged, match="a row of more than 16,777,216 bytes, or a quotation mark that nothing closes"):
        rows(tmp_path, f'id,text\na,"{long * 8}"\nb,y\n')
