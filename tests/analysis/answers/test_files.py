"""Answers in files are read by other programs with the values that they have here."""

import csv
import io
import math
from collections.abc import Callable, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import polars as pl
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from recording import record

from secondguess.analysis.answers.answer import Answer
from secondguess.analysis.answers.files import write_text
from secondguess.analysis.cli import main

Rows = list[tuple[Any, ...]]
Reader = Callable[[Path], Rows]


def csv_module(path: Path) -> Rows:
    with path.open(newline="", encoding="utf-8") as file:
        return [tuple(row) for row in csv.reader(file, strict=True)]


def pandas(path: Path) -> Rows:
    # Without these options leading zeros are lost, and the text NaN is a missing value.
    frame = pd.read_csv(path, dtype=str, keep_default_na=False)
    return [tuple(frame.columns), *frame.itertuples(index=False, name=None)]


def in_duckdb(path: Path) -> Rows:
    # Where the delimiter is not said, that of a single column is guessed; without the last option "" is missing, too.
    options = "delim = ',', quote = '\"', escape = '\"', header = true, all_varchar = true, allow_quoted_nulls = false"
    read = f"SELECT * FROM read_csv($path, {options})"
    with duckdb.connect() as con:
        con.execute(read, {"path": str(path)})
        return [tuple(column[0] for column in con.description or ()), *con.fetchall()]


def in_polars(path: Path) -> Rows:
    frame = pl.read_csv(path, infer_schema=False)
    return [tuple(frame.columns), *frame.rows()]


TELLING: tuple[Reader, ...] = (in_duckdb, in_polars)  # a missing value from an empty text
ALIKE: tuple[Reader, ...] = (csv_module, pandas)  # both are an empty text to these


def written(path: Path, columns: Sequence[str], rows: Rows) -> Path:
    with path.open("w", newline="", encoding="utf-8") as out:
        assert write_text(Answer(columns, (), rows), "csv", out) == len(rows)
    return path


CONTROLS = "".join(map(chr, [*range(32), 127, 0x85, 0xA0, 0x2028, 0x2029, 0xFEFF]))
TEXTS = st.one_of(
    st.none(),
    st.sampled_from(
        ["", '""', "007", "1e5", "NaN", "nan", "NULL", "null", "None", "NA", "inf", "-inf", "true", "\ufeff"]
    ),
    st.text(st.sampled_from(CONTROLS + "\"',;|\\#-=@ a0é가😀"), max_size=5),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
)
TABLES = st.integers(1, 3).flatmap(lambda width: st.lists(st.tuples(*[TEXTS] * width), max_size=6))


@given(TABLES)
@example([("a\rb", "c"), ("\r", None)])
@example([("a", character) for character in CONTROLS])
@example([(character,) for character in CONTROLS])
@example([(None, None), ("", ""), (None, ""), ("", None)])
@example([(" ", None, "nan"), ("##", "\x14\t,\x1a", "")])
def test_a_text_is_read_back_as_it_is_by_every_reader(tmp_path_factory: pytest.TempPathFactory, rows: Rows) -> None:
    width = len(rows[0]) if rows else 1
    columns = tuple(f"c{place}" for place in range(width))
    path = written(tmp_path_factory.getbasetemp() / "texts.csv", columns, rows)
    if width == 1:  # a line with nothing in it would be left out by some, so a missing value is "" there
        rows = [(value or "",) for (value,) in rows]
    for reader in TELLING:
        assert reader(path) == [columns, *rows], reader.__name__
    for reader in ALIKE:
        assert reader(path) == [columns, *[tuple(value or "" for value in row) for row in rows]], reader.__name__


NAMES = ("\ufeffid", "a,b", "#", "-x", "007", "a\nb", "'a'")
HARD = ("a\rb", '"x"', " a ")  # polars leaves a quote doubled in a name, DuckDB takes no lone \r and no space at an end


@pytest.mark.parametrize(
    ("reader", "names"), [*((reader, NAMES) for reader in TELLING), *((reader, NAMES + HARD) for reader in ALIKE)]
)
def test_a_columns_name_is_read_back_as_it_is(tmp_path: Path, reader: Reader, names: tuple[str, ...]) -> None:
    rows: Rows = [tuple(map(str, range(len(names))))] * 2
    for place in range(len(names)):
        columns = names[place:] + names[:place]
        assert reader(written(tmp_path / "names.csv", columns, rows)) == [columns, *rows]


NUMBERS = [0.1, -0.0, 1e-300, 5e-324, 1.7976931348623157e308, math.nan, math.inf, -math.inf, None, 2.0**-1074, 1 / 3]


@given(st.lists(st.floats() | st.none(), max_size=6).map(lambda found: [*found, *NUMBERS]))
def test_a_number_is_read_back_as_that_number(tmp_path_factory: pytest.TempPathFactory, numbers: list[Any]) -> None:
    path = tmp_path_factory.getbasetemp() / "numbers.csv"
    written(path, ("n", "whole"), [(number, 2**63 - 1) for number in numbers])
    with duckdb.connect() as con:
        found = con.execute(
            "SELECT n, whole FROM read_csv($path, header = true, columns = {n: 'DOUBLE', whole: 'BIGINT'})",
            {"path": str(path)},
        ).fetchall()
    assert repr(found) == repr([(number, 2**63 - 1) for number in numbers])
    frame = pl.read_csv(path, schema={"n": pl.Float64, "whole": pl.Int64})
    assert repr(frame.rows()) == repr(found)
    with_nan = [(math.nan if number is None else number, 2**63 - 1) for number in numbers]
    told = pd.read_csv(path)
    assert repr([tuple(row) for row in zip(told["n"].tolist(), told["whole"].tolist(), strict=True)]) == repr(with_nan)
    assert [repr(float(text)) for text, _ in csv_module(path)[1:] if text] == [
        repr(n) for n in numbers if n is not None
    ]


def test_a_truth_value_is_one_to_every_reader(tmp_path: Path) -> None:
    path = written(tmp_path / "x.csv", ("yes", "id"), [(True, 1), (False, 2)])
    assert pl.read_csv(path)["yes"].to_list() == [True, False]
    assert pd.read_csv(path)["yes"].tolist() == [True, False]
    assert duckdb.sql(f"SELECT yes FROM read_csv('{path}')").fetchall() == [(True,), (False,)]


LONE = "SELECT 1 AS id, 'a' || chr(13) || 'b' AS text UNION ALL SELECT 2, '' UNION ALL SELECT 3, NULL ORDER BY 1"
LINES = 'id,text\n1,"a\rb"\n2,""\n3,\n'


def test_a_file_and_stdout_have_the_same_text(tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    (tmp_path / "predictions").mkdir()
    asked = ["sql", LONE, "--store", str(tmp_path / "predictions")]
    main([*asked, "-o", str(tmp_path / "x.csv")])
    assert (tmp_path / "x.csv").read_bytes().decode() == LINES
    main([*asked, "--format", "csv"])
    assert capfdbinary.readouterr().out.decode() == LINES


FORMULAS = ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "\uff1d1"]
HARMLESS = ["1-1", " =1", "'=1", "", "a=1"]


@pytest.mark.parametrize("asked", [False, True])
def test_a_text_is_no_formula_to_a_spreadsheet_only_if_that_is_asked_for(tmp_path: Path, asked: bool) -> None:
    numbers = [-1, -0.5, Decimal("-1.50"), -math.inf, None]
    rows = [*((text, -1) for text in FORMULAS + HARMLESS), *(("a", number) for number in numbers)]
    path = tmp_path / "x.csv"
    with path.open("w", newline="", encoding="utf-8") as out:
        write_text(Answer(("=name", "n"), (), rows), "csv", out, spreadsheet=asked)
    head, *found = csv_module(path)
    before = "'" if asked else ""
    assert head == (f"{before}=name", "n")
    assert [text for text, _ in found] == [*(before + text for text in FORMULAS), *HARMLESS, *["a"] * len(numbers)]
    assert [number for _, number in found[-5:]] == ["-1", "-0.5", "-1.50", "-inf", ""]


def test_every_command_that_writes_csv_makes_formulas_text_if_asked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = tmp_path / "predictions"
    record(store, "cnn", {1: [("=1", 0, 1), ("-x", 0, 0)]})
    for command in (["ask", "errors", "cnn"], ["table", "cnn"], ["sql", "FROM cnn"]):
        for more in (["--format", "csv"], ["-o", str(tmp_path / "x.csv")]):
            for option, shown in (([], "=1"), (["--spreadsheet"], "'=1")):
                main([*command, *more, *option, "--store", str(store)])
                text = capsys.readouterr().out or (tmp_path / "x.csv").read_text()
                assert next(csv.DictReader(io.StringIO(text)))["id"] == shown, command


def test_what_is_no_csv_is_not_for_a_spreadsheet(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "predictions").mkdir()
    for more, form in (([], "table"), (["--format", "json"], "json"), (["-o", str(tmp_path / "x.parquet")], "parquet")):
        with pytest.raises(SystemExit) as stopped:
            main(["sql", "SELECT 1", "--spreadsheet", *more, "--store", str(tmp_path / "predictions")])
        assert stopped.value.code == 1
        said = f"--spreadsheet is for CSV, and this is {form}; add --format csv, or -o FILE.csv"
        assert capsys.readouterr() == ("", f"secondguess: {said}\n")
