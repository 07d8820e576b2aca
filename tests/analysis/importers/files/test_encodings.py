"""Text files in any encoding come as UTF-8; what is in none is refused by line."""

from pathlib import Path

import pytest

from secondguess.analysis.errors import BadInput, Damaged
from secondguess.analysis.importers.files.encodings import in_utf8

TEXT = "id,label\na,Käse\nb,日本\n"


def read(tmp_path: Path, data: bytes, named: str | None = None) -> tuple[str, str | None]:
    path = tmp_path / "t.csv"
    path.write_bytes(data)
    made, encoding = in_utf8(path, "t.csv", named, tmp_path)
    return made.read_bytes().decode(), encoding


def test_a_file_in_utf_8_is_taken_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text(TEXT, encoding="utf-8")
    assert in_utf8(path, "t.csv", None, tmp_path) == (path, None)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32"])
def test_a_mark_at_the_beginning_says_the_encoding(tmp_path: Path, encoding: str) -> None:
    assert read(tmp_path, TEXT.encode(encoding)) == (TEXT, encoding)


def test_the_mark_of_utf_8_is_left_out_and_not_worth_a_word(tmp_path: Path) -> None:
    assert read(tmp_path, TEXT.encode("utf-8-sig")) == (TEXT, None)


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_utf_16_without_a_mark_shows_by_its_zeros(tmp_path: Path, encoding: str) -> None:
    ascii_text = "id,label\na,b\n" * 10
    assert read(tmp_path, ascii_text.encode(encoding)) == (ascii_text, encoding)


def test_what_is_not_utf_8_is_a_western_encoding_that_has_its_bytes(tmp_path: Path) -> None:
    assert read(tmp_path, b"a,K\xe4se \x80\n") == ("a,Käse €\n", "cp1252")
    assert read(tmp_path, b"a,K\xe4se \x81\n") == ("a,Käse \x81\n", "latin-1")


def test_a_named_encoding_is_used(tmp_path: Path) -> None:
    assert read(tmp_path, "я,ж\n".encode("cp1251"), "cp1251") == ("я,ж\n", "cp1251")
    with pytest.raises(BadInput, match="no encoding 'utf-99'; such as utf-8"):
        read(tmp_path, b"a", "utf-99")
    with pytest.raises(Damaged, match=r"t\.csv is not in the encoding ascii, from about line 1 on"):
        read(tmp_path, b"a\n\xff\n", "ascii")


def test_utf_8_with_a_byte_that_is_none_is_refused_by_line(tmp_path: Path) -> None:
    """Letters of UTF-8 before it say that the whole file is meant to be."""
    with pytest.raises(Damaged, match=r"t\.csv is UTF-8 up to line 2, where the byte 0xff is not; mend it, or"):
        read(tmp_path, "Käse\n".encode() + b"\xff\n")


def test_what_must_be_utf_8_is_not_guessed(tmp_path: Path) -> None:
    (tmp_path / "t.jsonl").write_bytes(b'{"a": "\xe4"}')
    with pytest.raises(Damaged, match=r"t\.jsonl cannot be read: it is not in UTF-8; .*--encoding cp1252"):
        in_utf8(tmp_path / "t.jsonl", "t.jsonl", None, tmp_path, must_be=True)
