"""The reader of W&B's table files: what JSON becomes in Arrow, and what is refused, by file and row."""

import json
import math
import os
import random
import resource
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from secondguess.analysis.errors import BadInput, Damaged, NotFound
from secondguess.analysis.importers.source import MEDIA, TableRows
from secondguess.analysis.importers.wandb.artifact import artifact_folder, table_file
from secondguess.analysis.importers.wandb.media import FolderFiles
from secondguess.analysis.importers.wandb.table import ndarrays
from secondguess.analysis.importers.wandb.table import table as table_json
from secondguess.analysis.importers.wandb.table import text as json_text
from secondguess.analysis.importers.wandb.table.table import Memory, TableFiles
from secondguess.analysis.importers.wandb.table.text import JsonText

NAN = float("nan")


@pytest.fixture
def put(tmp_path: Path) -> Callable[..., Path]:
    """Writes a file of the test's folder: text as it is, anything else as JSON."""

    def put(content: Any, name: str = "preds.table.json") -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
        return path

    return put


def whole(rows: TableRows) -> pa.Table:
    table = pa.Table.from_batches(rows.batches(), schema=rows.schema)
    assert table.num_rows == rows.rows or not rows.schema.names
    return table


def own(path: Path) -> TableRows:
    return TableFiles(own=path).read()


def union(*kinds: Any) -> dict[str, Any]:
    named = [{"wb_type": kind} if isinstance(kind, str) else kind for kind in kinds]
    return {"wb_type": "union", "params": {"allowed_types": [{"wb_type": "none"}, *named]}}


def artifact(columns: list[Any], data: list[Any], types: dict[str, Any], **more: Any) -> dict[str, Any]:
    told = {"wb_type": "typedDict", "params": {"type_map": types}}
    about = {"_type": "table", "column_types": told, "columns": columns, "data": data}
    return about | {"log_mode": "IMMUTABLE", "ncols": len(columns), "nrows": len(data)} | more


@pytest.mark.parametrize(
    ("cells", "kind", "found", "note"),
    [
        ("[1, -2, null]", pa.int64(), [1, -2, None], None),
        ("[9223372036854775807, -9223372036854775808]", pa.int64(), [2**63 - 1, -(2**63)], None),
        ("[1, 2.5, null]", pa.float64(), [1.0, 2.5, None], None),
        ("[9007199254740992, 0.5]", pa.float64(), [2.0**53, 0.5], None),
        ("[1152921504606846976, 0.5]", pa.float64(), [2.0**60, 0.5], None),
        ("[1e999, -Infinity, Infinity]", pa.float64(), [np.inf, -np.inf, np.inf], None),
        ("[true, false, null]", pa.bool_(), [True, False, None], None),
        ('["a", "값 😀", "", null]', pa.string(), ["a", "값 😀", "", None], None),
        (r'["\ud83d\ude00\u0000"]', pa.string(), ["😀\0"], None),
        ("[null, null]", pa.null(), [None, None], None),
        ("[[1, null], [], null]", pa.list_(pa.int64()), [[1, None], [], None], None),
        ("[[[1], [2.5]], [[]]]", pa.list_(pa.list_(pa.float64())), [[[1.0], [2.5]], [[]]], None),
        (
            '[{"a": 1, "b": {"c": ["x"]}}, {"b": null, "d": true}, null]',
            pa.struct([("a", pa.int64()), ("b", pa.struct([("c", pa.list_(pa.string()))])), ("d", pa.bool_())]),
            [
                {"a": 1, "b": {"c": ["x"]}, "d": None},
                {"a": None, "b": None, "d": True},
                None,
            ],
            None,
        ),
        ("[9223372036854775808, 1]", pa.string(), ["9223372036854775808", "1"], "whole numbers beyond 64 bits"),
        ("[9007199254740993, 0.5]", pa.string(), ["9007199254740993", "0.5"], "whole numbers beyond 2^53"),
        ("[1, true]", pa.string(), ["1", "true"], "mixes booleans, whole numbers"),
        (
            '[1, "a", null, {"b": NaN}]',
            pa.string(),
            ["1", '"a"', None, '{"b": NaN}'],
            "mixes whole numbers, text, dicts",
        ),
        ("[{}]", pa.string(), ["{}"], "too empty"),
        ('[{"a": 1, "A": 2}]', pa.string(), ['{"a": 1, "A": 2}'], "too unlike"),
        (r'["\ud800x", null]', pa.string(), ["\N{REPLACEMENT CHARACTER}x", None], "are not Unicode; they are replaced"),
        (r'[["\udc00"]]', pa.list_(pa.string()), [["\N{REPLACEMENT CHARACTER}"]], "are not Unicode"),
        (r'[["a", 1]]', pa.list_(pa.string()), [['"a"', "1"]], "mixes whole numbers, text"),
    ],
)
def test_a_column_has_the_one_type_that_holds_all_its_cells(
    cells: str, kind: pa.DataType, found: list[Any], note: str | None, put: Callable[..., Path]
) -> None:
    rows = own(put('{"columns": ["a"], "data": [' + ",".join(f"[{cell}]" for cell in split(cells)) + "]}"))
    table = whole(rows)
    assert table["a"].to_pylist() == found
    assert table.schema.field("a").type == kind
    assert [one for one in rows.notes if note is not None and note in one] == list(rows.notes)
    assert len(rows.notes) == (note is not None)
    as_json = {b"json": b"true"} if note and "JSON" in note + rows.notes[0] and kind == pa.string() else None
    assert table.schema.field("a").metadata == as_json


def split(cells: str) -> list[str]:
    """The texts of the values in a JSON list."""
    decode, at, found = json.JSONDecoder().raw_decode, 1, []
    while cells[at] != "]":
        _, end = decode(cells, at)
        found.append(cells[at:end])
        at = end + len(cells[end:]) - len(cells[end:].lstrip(" ,"))
    return found


def test_nan_is_a_number_and_null_is_none(put: Callable[..., Path]) -> None:
    table = whole(own(put('{"columns": ["a"], "data": [[NaN], [null], [1]]}')))
    assert table["a"].null_count == 1
    assert repr(table["a"].to_pylist()) == "[nan, None, 1.0]"


def test_every_type_survives_parquet(put: Callable[..., Path], tmp_path: Path) -> None:
    row = [1, 0.5, True, "값", None, [1], [[]], {"a": {"b": [None]}}, 2**70]
    rows = own(put({"columns": [f"c{i}" for i in range(len(row))], "data": [row, row]}))
    table = whole(rows)
    pq.write_table(table, tmp_path / "a.parquet")
    assert pq.read_table(tmp_path / "a.parquet").to_pylist() == table.to_pylist()
    assert table.to_pylist()[0] == {f"c{i}": cell for i, cell in enumerate([*row[:-1], str(2**70)])}


def test_types_that_first_differ_in_a_later_batch_are_found(
    put: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(table_json, "_BATCH_ROWS", 2)
    data = [[1, None, {"a": 1}], [2, None, {"a": 2}], [3, None, {"b": "x"}], [4, "x", None], [5.5, "y", {"a": 2.5}]]
    rows = own(put({"columns": ["a", "b", "c"], "data": data}))
    assert [batch.num_rows for batch in rows.batches()] == [2, 2, 1]
    assert whole(rows).to_pylist() == [
        {"a": 1.0, "b": None, "c": {"a": 1.0, "b": None}},
        {"a": 2.0, "b": None, "c": {"a": 2.0, "b": None}},
        {"a": 3.0, "b": None, "c": {"a": None, "b": "x"}},
        {"a": 4.0, "b": "x", "c": None},
        {"a": 5.5, "b": "y", "c": {"a": 2.5, "b": None}},
    ]


@pytest.mark.parametrize(
    ("told", "names"),
    [
        (["a", "a", "a"], ["a", "a_2", "a_3"]),
        (["a", "A", "a_2"], ["a", "A_3", "a_2"]),
        ([0, 1, 2], ["0", "1", "2"]),
        (["", "한글 😀", "x\0"], ["column_1", "한글 😀", "x\N{REPLACEMENT CHARACTER}"]),
        (["\ud800", "b", "c"], ["\N{REPLACEMENT CHARACTER}", "b", "c"]),
    ],
)
def test_columns_get_names_that_differ_by_more_than_case(
    told: list[Any], names: list[str], put: Callable[..., Path]
) -> None:
    rows = own(put({"columns": told, "data": [[1, 2, 3]]}))
    assert rows.schema.names == names
    assert whole(rows).columns == [pa.chunked_array([[value]]) for value in (1, 2, 3)]
    assert len(rows.notes) == sum(str(one) != name for one, name in zip(told, names, strict=True))


@pytest.mark.parametrize(
    "text",
    [
        '{"columns":["a"],"data":[[1],[2]]}',
        '\N{BYTE ORDER MARK}{"columns": ["a"], "data": [[1], [2]]}',
        ' \n{ "columns" : [ "a" ] , "data" : [ [ 1 ] , [ 2 ] ] , "more": {"x": [1]} }\n',
        '{"more": 7, "columns": ["a"], "index": [0, 1], "data": [[1],[2]]}',
    ],
)
def test_spaces_marks_and_unknown_keys_do_not_matter(text: str, put: Callable[..., Path]) -> None:
    assert whole(own(put(text)))["a"].to_pylist() == [1, 2]


@pytest.mark.parametrize("data", ["[]", " [ ] "])
def test_a_table_without_rows_has_its_columns(data: str, put: Callable[..., Path]) -> None:
    rows = own(put('{"columns": ["a", "b"], "data": ' + data + "}"))
    assert (rows.rows, rows.schema.names, list(rows.batches())) == (0, ["a", "b"], [])


def test_a_table_without_columns_has_none(put: Callable[..., Path]) -> None:
    rows = own(put({"columns": [], "data": []}))
    assert (rows.rows, rows.schema.names) == (0, [])


values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.sampled_from(["],[", '"],["', "]", "\\", "],"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


ODD = [
    "18446744073709551615",
    "18446744073709551616",
    "-9223372036854775809",
    "123456789012345678901234567890",
    "1e999",
    "NaN",
    "-Infinity",
    "-0",
    "-0.0",
    "1E5",
    "0.0001234567890123456789",
    "2.2250738585072011e-308",
    '"12345678901234567890"',
    '"a 12345678901234567890"',
    r'"\"12345678901234567890"',
    r'"\ud83d\ude00"',
    r'"\ud800"',
    '{"a": 1, "a": [2]}',
    '"é😀"',
]


@pytest.mark.parametrize("cell", ODD)
def test_many_rows_at_once_are_what_python_s_json_reads(put: Callable[..., Path], cell: str) -> None:
    text = "[" + ", ".join([f"[{cell}, 1]", f"[-1, {cell}]", f"[{cell}]"]) + "]"
    with put(text).open("rb") as file:
        rows = list(JsonText(file, "x").lists("row"))
    assert repr(rows) == repr(json.loads(text))


@pytest.mark.parametrize(
    "cell", ["01", "nan", "1.", "'a'", "tru", '"\x01"', "1 2", pytest.param("1" * 5_000, id="5,000 digits")]
)
def test_a_fault_among_many_rows_is_named_by_its_row(put: Callable[..., Path], cell: str) -> None:
    with (
        put(f"[[0], [1], [{cell}], [3]]").open("rb") as file,
        pytest.raises(Damaged, match="x cannot be read at row 2: "),
    ):
        list(JsonText(file, "x").lists("row"))


@settings(deadline=None, max_examples=80)
@given(
    st.lists(st.lists(values, min_size=2, max_size=2), max_size=12),
    st.sampled_from([1, 2, 3, 7, 30, 1000]),
    st.booleans(),
    st.sampled_from([None, (",", ":"), (" , ", " : ")]),
)
def test_rows_are_the_same_however_the_file_is_cut_into_pieces(
    tmp_path_factory: pytest.TempPathFactory, data: list[Any], piece: int, ascii: bool, separators: Any
) -> None:
    text = json.dumps({"columns": ["a", "b"], "data": data, "z": 1}, ensure_ascii=ascii, separators=separators)
    path = tmp_path_factory.getbasetemp() / "pieces.table.json"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    with pytest.MonkeyPatch.context() as patch, open(path, "rb") as file:
        patch.setattr(json_text, "_PIECE", piece)
        read = JsonText(file, "x")
        keys = read.keys()
        assert next(keys) == "columns" and read.value("columns") == ["a", "b"]
        assert next(keys) == "data" and repr(list(read.lists("row"))) == repr(json.loads(text)["data"])
        assert next(keys) == "z" and read.value("z") == 1 and list(keys) == []
        read.end()


def broken(text: str) -> str:
    return '{"columns": ["a", "b"], "data": ' + text


@pytest.mark.parametrize(
    ("text", "error", "why"),
    [
        ("", Damaged, "at the beginning: '{' is missing"),
        ("hello", Damaged, "at the beginning: '{' is missing"),
        ("[[1, 2]]", Damaged, "at the beginning: '{' is missing"),
        ("{", Damaged, "at a key: the file ends within it"),
        ("{7: 1}", Damaged, "a key is not text"),
        ('{"columns" ["a"]}', Damaged, "at key 'columns': ':' is missing"),
        ('{"columns": ["a"]}', Damaged, "has no data"),
        ('{"data": [[1]]}', Damaged, "does not name its columns before its data"),
        ('{"data": [[1]], "columns": ["a"]}', Damaged, "does not name its columns before its data"),
        ('{"columns": "ab", "data": []}', Damaged, "does not name its columns"),
        ('{"columns": [["a"]], "data": []}', Damaged, "the name of column 0 is no text"),
        ('{"columns": [null], "data": []}', Damaged, "the name of column 0 is no text"),
        ('{"columns": ["a"], "columns": ["b"], "data": []}', Damaged, "has its columns twice"),
        ('{"columns": ["a"], "data": [], "data": []}', Damaged, "has its data twice"),
        ('{"columns": ["a"], "data": {}}', Damaged, "'[' is missing"),
        ('{"_type": "joined-table", "columns": ["a"], "data": []}', BadInput, "is a joined-table, not a table"),
        ('{"_type": ["x"], "columns": ["a"], "data": []}', BadInput, "not a table"),
        (broken("[[1, 2], [3]]}"), Damaged, ": row 1 has 1 cells for 2 columns"),
        (broken("[[1, 2], [3, 4, 5]]}"), Damaged, ": row 1 has 3 cells for 2 columns"),
        (broken("[[1, 2], {}]}"), Damaged, "at row 1: it is no list"),
        (broken("[1, 2]}"), Damaged, "at row 0: it is no list"),
        (broken("[[1, 2], [3, 4]"), Damaged, "at row 1: ',' or ']' is missing"),
        (broken("[[1, 2], [3, 4"), Damaged, "at row 1: the file ends within it"),
        (broken('[[1, 2], [3, "4'), Damaged, "at row 1: the file ends within it"),
        (broken("[[1, 2]],"), Damaged, "at a key: the file ends within it"),
        (broken("[[1, 2]]"), Damaged, "at the end of 'data': ',' is missing"),
        (broken("[[1, 2] [3, 4]]}"), Damaged, "at row 0: ',' or ']' is missing"),
        (broken("[[1, 2],]}"), Damaged, "at row 1: Expecting value"),
        (broken("[[1, 2]]} x"), Damaged, "at the end: something follows"),
        (broken("[[1, " + "1" * 5000 + "]]}"), Damaged, "at row 0: Exceeds the limit (4300 digits)"),
        (broken("[[1, " + "[" * 100_000), Damaged, "at row 0: it is nested too deep"),
        (broken("[" * 100_000), Damaged, "at row 0: it is nested too deep"),
        ('{"x": ' + "[" * 100_000, Damaged, "at 'x': it is nested too deep"),
        ('{"columns": ' + '{"a":' * 100_000, Damaged, "nested too deep"),
    ],
)
def test_what_is_no_table_is_refused_with_file_and_row(
    text: str, error: type[Exception], why: str, put: Callable[..., Path]
) -> None:
    path = put(text)
    with pytest.raises(error) as raised:
        own(path)
    assert str(raised.value).startswith(str(path)) and why in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("piece", [1_000, 1 << 20])
def test_a_text_that_never_ends_is_known_whatever_the_words_of_the_error(
    piece: int, put: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    decode = json_text._decode

    def reworded(*text: Any) -> Any:
        try:
            return decode(*text)
        except json.JSONDecodeError as error:
            raise json.JSONDecodeError("anders gesagt", error.doc, error.pos) from None

    monkeypatch.setattr(json_text, "_decode", reworded)
    monkeypatch.setattr(json_text, "_PIECE", piece)
    long = '"' + r"4\"5" * 1_000
    with pytest.raises(Damaged, match="at row 1: the file ends within it"):
        own(put(broken(f"[[1, 2], [3, {long}")))
    with pytest.raises(Damaged, match="at row 1: anders gesagt"):
        own(put(broken(f'[[1, 2], [3 {long}", 4]]}}')))
    assert own(put(broken(f'[[1, 2], [3, {long}"]]}}')))


@pytest.mark.parametrize(
    "raw",
    [b'{"columns": ["a"], "data": [["\xff"]]}', '{"columns":["a"],"data":[]}'.encode("utf-16"), b'{"columns": ["\xe2'],
)
def test_text_that_is_not_utf_8_is_refused(raw: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.table.json").write_bytes(raw)
    with pytest.raises(Damaged, match=r"a\.table\.json is not UTF-8 text"):
        own(tmp_path / "a.table.json")


def test_nesting_that_python_can_read_is_not_too_deep_for_us(put: Callable[..., Path]) -> None:
    deep = "[" * 300 + "]" * 300
    rows = own(put('{"columns": ["a"], "data": [[' + deep + "]]}"))
    found: Any = whole(rows)["a"].to_pylist()[0]
    while isinstance(found, list):
        (found,) = found
    assert found.startswith("[[[") and any("JSON" in note for note in rows.notes)


def test_a_row_or_a_header_too_long_to_hold_is_refused(
    put: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(json_text, "VALUE_LIMIT", 10_000)
    monkeypatch.setattr(json_text, "_PIECE", 1000)
    with pytest.raises(Damaged, match="at row 1: it is longer than 10,000 characters"):
        own(put({"columns": ["a"], "data": [["x"], ["x" * 50_000]]}))
    with pytest.raises(Damaged, match="at 'columns': it is longer than 10,000 characters"):
        own(put({"columns": ["a" * 50_000], "data": []}))


def test_too_many_columns_are_refused(put: Callable[..., Path]) -> None:
    with pytest.raises(Damaged, match="has 10,001 columns; at most 10,000 are read"):
        own(put({"columns": list(range(10_001)), "data": []}))


def test_a_file_that_is_not_there_or_no_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match=r"no file .*gone\.table\.json"):
        own(tmp_path / "gone.table.json")
    os.mkfifo(tmp_path / "pipe.table.json")
    with pytest.raises(BadInput, match="is not a regular file"):
        table_file(tmp_path / "pipe.table.json")


def test_small_files_are_read_once_and_those_beyond_the_memory_again(put: Callable[..., Path]) -> None:
    first, second = (put({"columns": ["a"], "data": [[[number]]]}, f"{number}.table.json") for number in (1, 2))
    memory = Memory(left=first.stat().st_size + 1)
    kept, not_kept = (TableFiles(own=path, memory=memory).read() for path in (first, second))
    assert memory.left == 1
    first.unlink()
    second.unlink()
    assert [whole(kept)["a"].to_pylist() for _ in range(2)] == [[[1]], [[1]]]
    with pytest.raises(NotFound, match=r"no file .*2\.table\.json"):
        whole(not_kept)


def test_a_file_that_changes_between_the_readings_is_refused(put: Callable[..., Path]) -> None:
    path = put({"columns": ["a"], "data": [[[1]]]})
    rows = TableFiles(own=path, memory=Memory(left=0)).read()
    put({"columns": ["a"], "data": [["text"]]})
    with pytest.raises(Damaged, match=r"preds\.table\.json changed while it was read"):
        list(rows.batches())


PLAIN_COLUMNS = [
    [1, None, 2**63 - 1],
    [1, 0.5, None],
    [2**60, 0.5, None],
    [2**53 + 1, 0.5, None],
    [1, 2**70, None],
    [0.5, True, None],
    [True, None, False],
    ["a", "b\0", None],
    ["a", 1, None],
    [None, None, None],
    [math.nan, math.inf, 1],
]


@pytest.mark.parametrize("cells", PLAIN_COLUMNS)
def test_what_is_kept_between_readings_is_what_is_read_again(
    put: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, cells: list[Any]
) -> None:
    """Also where a type shows only in a later batch: of each batch of one row Arrow sees another type."""
    monkeypatch.setattr(table_json, "_BATCH_ROWS", 1)
    path = put({"columns": ["a", "b"], "data": [[cell, cells[::-1][at]] for at, cell in enumerate(cells)]})
    once = TableFiles(own=path, memory=Memory(left=0)).read()
    monkeypatch.setattr(table_json, "plain_array", lambda _: None)
    again = TableFiles(own=path, memory=Memory(left=0)).read()
    assert (once.schema, once.notes) == (again.schema, again.notes)
    assert repr(whole(once).to_pylist()) == repr(whole(again).to_pylist())


TIME = datetime(2026, 1, 2, 3, 4, 5, 123456)
MS = 1767323045123


@pytest.mark.parametrize(
    ("own_cells", "other_cells", "kind", "found"),
    [
        (["2026-01-02T03:04:05.123456", None], [MS, None], pa.timestamp("us"), [TIME, None]),
        (["2026-01-02", "1970-01-01"], [1, 1], pa.date32(), [date(2026, 1, 2), date(1970, 1, 1)]),
        (["2026-01-02", "2026-01-02T03:04:05.123456"], [1, 1], pa.timestamp("us"), [datetime(2026, 1, 2), TIME]),
        (
            ["2026-01-02T03:04:05.123456+09:00", "2026-01-02T03:04:05.123456Z"],
            [1, 1],
            pa.timestamp("us", "UTC"),
            [TIME.replace(tzinfo=timezone(timedelta(hours=9))), TIME.replace(tzinfo=UTC)],
        ),
        ([1767323045123456000, None], [1.5, None], pa.timestamp("us"), [TIME, None]),
        ([1767323045123456789, 0], [1.5, 0], pa.timestamp("ns"), None),
        (
            ["0001-01-01T00:00:00", "9999-12-31T23:59:59.999999"],
            [1, 1],
            pa.timestamp("us"),
            [datetime.min, datetime.max],
        ),
        (
            ["2026-01-02T03:04:05", "2026-01-02T03:04:05Z"],
            [1, 1],
            pa.string(),
            ["2026-01-02T03:04:05", "2026-01-02T03:04:05Z"],
        ),
        (["yesterday", None], [1, None], pa.string(), ["yesterday", None]),
        ([None, None], [None, None], pa.timestamp("us"), [None, None]),
        ([10**30, 1], [1, 1], pa.string(), [str(10**30), "1"]),
    ],
)
def test_times_are_those_of_the_runs_own_file(
    own_cells: list[Any], other_cells: list[Any], kind: pa.DataType, found: list[Any] | None, put: Callable[..., Path]
) -> None:
    first = put({"columns": ["t"], "data": [[cell] for cell in own_cells]}, "own.table.json")
    second = put(artifact(["t"], [[cell] for cell in other_cells], {"t": union("timestamp")}))
    table = whole(TableFiles(own=first, parts=[second], logged=2).read())
    assert table.schema.field("t").type == kind
    if found is None:
        assert table["t"].cast(pa.int64()).to_pylist() == own_cells
    else:
        assert table["t"].to_pylist() == found


def test_an_artifact_alone_has_times_to_the_millisecond_and_says_so(put: Callable[..., Path]) -> None:
    data = [[MS, 0.5], [None, None], [MS + 0.4568, 1]]
    rows = TableFiles(parts=[put(artifact(["t", "n"], data, {"t": union("timestamp"), "n": union("number")}))]).read()
    assert whole(rows).to_pylist() == [
        {"t": TIME.replace(microsecond=123000), "n": 0.5},
        {"t": None, "n": None},
        {"t": TIME.replace(microsecond=123457), "n": 1.0},
    ]
    assert rows.notes == (
        "comes from the artifact's table, where NaN is NULL and a time is UTC and ends at the millisecond",
    )


@pytest.mark.parametrize(
    ("cells", "kind", "found"),
    [
        (["1.10", "-20.005", None], pa.decimal128(5, 3), [Decimal("1.10"), Decimal("-20.005"), None]),
        (["1E+3", "0"], pa.decimal128(4, 0), [Decimal(1000), Decimal(0)]),
        (["0.001", "0E-3"], pa.decimal128(3, 3), [Decimal("0.001"), Decimal(0)]),
        (["NaN", "1"], pa.string(), ["NaN", "1"]),
        (["1E+50", "1"], pa.string(), ["1E+50", "1"]),
        ([1.5, None], pa.float64(), [1.5, None]),
    ],
)
def test_decimal_numbers_keep_their_digits(
    cells: list[Any], kind: pa.DataType, found: list[Any], put: Callable[..., Path]
) -> None:
    decimals = union({"wb_type": "pythonObject", "params": {"class_name": "Decimal"}})
    first = put({"columns": ["d"], "data": [[cell] for cell in cells]}, "own.table.json")
    second = put(artifact(["d"], [[1.1]] * len(cells), {"d": decimals}))
    table = whole(TableFiles(own=first, parts=[second], logged=len(cells)).read())
    assert (table.schema.field("d").type, table["d"].to_pylist()) == (kind, found)


def test_bytes_are_bytes_again(put: Callable[..., Path]) -> None:
    kind = union({"wb_type": "pythonObject", "params": {"class_name": "bytes"}})
    first = put({"columns": ["b"], "data": [[[97, 0, 255]], [None], [[]]]}, "own.table.json")
    second = put(artifact(["b"], [["a"], [None], [""]], {"b": kind}))
    assert whole(TableFiles(own=first, parts=[second], logged=3).read())["b"].to_pylist() == [b"a\0\xff", None, b""]


def picture(folder: Path, name: str, value: int) -> dict[str, Any]:
    (folder / "media" / "images").mkdir(parents=True, exist_ok=True)
    Image.new("L", (3, 2), value).save(folder / "media" / "images" / name)
    return {"_type": "image-file", "path": f"media/images/{name}", "format": "png", "width": 3, "height": 2}


def test_some_columns_alone_load_no_other_s_files(put: Callable[..., Path], tmp_path: Path) -> None:
    types = {"i": union("image-file"), "n": union("number"), "w": union("string")}
    cells = [[picture(tmp_path, f"{i}.png", i), i, str(i)] for i in range(3)]
    path = put(artifact(["i", "n", "w"], cells, types))
    rows = TableFiles(parts=[path], media=FolderFiles(tmp_path)).read()
    (tmp_path / "media" / "images" / "1.png").unlink()
    batches = rows.batches(["w", "n", "no such column"])
    assert [batch.to_pydict() for batch in batches] == [{"n": [0, 1, 2], "w": ["0", "1", "2"]}]
    assert (rows.media.whole, rows.media.missing) == (0, 0)
    assert [cell is not None for cell in whole(rows)["i"].to_pylist()] == [True, False, True]
    assert (rows.media.whole, rows.media.missing) == (2, 1)
    assert (rows.nothing.num_rows, rows.nothing.schema) == (0, rows.schema)


def test_media_come_from_the_artifact_and_values_from_the_run(put: Callable[..., Path], tmp_path: Path) -> None:
    cells = [picture(tmp_path, f"{i}.png", i) for i in range(2)]
    cells[1] |= {"caption": "two", "boxes": {"b": []}}
    types = {"i": union("image-file"), "n": union("number"), "w": union("string")}
    first = put(
        {"columns": ["i", "n", "w"], "data": [["Image", NAN, "Image"], [None, 1, None], ["Image", 2, "x"]]}, "o.json"
    )
    second = put(artifact(["i", "n", "w"], [[cells[0], None, "Image"], [None, 1, None], [cells[1], 2, "x"]], types))
    rows = TableFiles(own=first, parts=[second], media=FolderFiles(tmp_path), logged=3).read()
    assert (rows.media_cells, rows.media.whole, rows.notes) == (2, 0, ())
    assert rows.schema.field("i").metadata == {b"media": b"image"} and rows.schema.field("i").type == MEDIA
    for _ in range(2):
        table = whole(rows)
        found = table["i"].to_pylist()
        assert [cell and cell["path"] for cell in found] == ["media/images/0.png", None, "media/images/1.png"]
        assert found[0]["bytes"] == (tmp_path / "media/images/0.png").read_bytes()
        assert table["i_about"].to_pylist() == [None, None, '{"caption": "two", "boxes": {"b": []}}']
        assert repr(table["n"].to_pylist()) == "[nan, 1.0, 2.0]"
        assert table["w"].to_pylist() == ["Image", None, "x"]
        assert (rows.media.whole, rows.media.missing, rows.media.refused) == (2, 0, 0)


def test_media_within_lists_and_dicts_are_read(put: Callable[..., Path], tmp_path: Path) -> None:
    cell = picture(tmp_path, "a.png", 1)
    raw = (tmp_path / "media/images/a.png").read_bytes()
    image = {"wb_type": "image-file"}
    types = {
        "l": union({"wb_type": "list", "params": {"element_type": image, "length": 2}}),
        "d": union({"wb_type": "typedDict", "params": {"type_map": {"i": image, "n": {"wb_type": "number"}}}}),
    }
    first = put({"columns": ["l", "d"], "data": [[["Image", None], {"i": "Image", "n": NAN}]]}, "o.json")
    second = put(artifact(["l", "d"], [[[cell, None], {"i": cell, "n": None}]], types))
    rows = TableFiles(own=first, parts=[second], media=FolderFiles(tmp_path), logged=1).read()
    (row,) = whole(rows).to_pylist()
    loaded = {"bytes": raw, "path": "media/images/a.png"}
    assert row["l"] == [loaded, None] and row["d"]["i"] == loaded and str(row["d"]["n"]) == "nan"
    assert (rows.media_cells, rows.media.whole) == (2, 2)


def test_columns_of_any_type_are_media_if_all_their_cells_are(put: Callable[..., Path], tmp_path: Path) -> None:
    cell = picture(tmp_path, "a.png", 1)
    kinds = {name: union("any") for name in "imn"}
    first = put({"columns": ["i", "m", "n"], "data": [["Image", "Image", NAN], ["Image", 1, 2.5]]}, "o.json")
    second = put(artifact(["i", "m", "n"], [[cell, cell, None], [cell, 1, 2.5]], kinds))
    rows = TableFiles(own=first, parts=[second], media=FolderFiles(tmp_path), logged=2).read()
    table = whole(rows)
    assert [one["path"] for one in table["i"].to_pylist()] == ["media/images/a.png"] * 2
    assert json.loads(table["m"].to_pylist()[0]) == cell and table["m"].to_pylist()[1] == "1"
    assert repr(table["n"].to_pylist()) == "[nan, 2.5]"
    assert rows.notes == ("column 'm' mixes whole numbers, dicts; kept as JSON text (media only by their names)",)
    assert rows.media.whole == 2


def test_rows_that_only_the_artifact_has_come_from_it(put: Callable[..., Path], tmp_path: Path) -> None:
    cells = [picture(tmp_path, f"{i}.png", i) for i in range(3)]
    types = {"i": union("image-file"), "n": union("number"), "t": union("timestamp")}
    text = "2026-01-02T03:04:05.123456"
    first = put({"columns": ["i", "n", "t"], "data": [["Image", NAN, text]]}, "o.json")
    second = put(artifact(["i", "n", "t"], [[cell, None, MS] for cell in cells], types))
    rows = TableFiles(own=first, parts=[second], media=FolderFiles(tmp_path), logged=5).read()
    table = whole(rows)
    assert [cell["path"][-5:] for cell in table["i"].to_pylist()] == ["0.png", "1.png", "2.png"]
    assert repr(table["n"].to_pylist()) == "[nan, None, None]"
    assert [time.microsecond for time in table["t"].to_pylist()] == [123456, 123000, 123000]
    assert rows.notes == (
        "has 3 of the 5 rows that were logged; W&B cut the rest",
        "the rows after the first 1 come from the artifact's table, "
        "where NaN is NULL and a time is UTC and ends at the millisecond",
    )


def test_rows_that_only_the_artifact_lacks_have_no_media(put: Callable[..., Path], tmp_path: Path) -> None:
    types = {"i": union("image-file"), "n": union("number")}
    first = put({"columns": ["i", "n"], "data": [["Image", 1], ["Image", 2], [None, 3]]}, "o.json")
    second = put(artifact(["i", "n"], [[picture(tmp_path, "a.png", 1), 1]], types))
    rows = TableFiles(own=first, parts=[second], media=FolderFiles(tmp_path), logged=3).read()
    table = whole(rows)
    assert [cell is None for cell in table["i"].to_pylist()] == [False, True, True]
    assert (rows.rows, rows.media_cells, rows.media.whole, rows.media.missing) == (3, 2, 1, 1)


def test_two_files_of_different_tables_are_not_read_as_one(put: Callable[..., Path]) -> None:
    first = put({"columns": ["a"], "data": [[1]]}, "o.json")
    second = put(artifact(["b"], [[1]], {}))
    with pytest.raises(Damaged, match=r"preds\.table\.json has other columns than .*o\.json"):
        TableFiles(own=first, parts=[second], logged=1).read()


@pytest.mark.parametrize("word", ["Image", "Html", "Audio", "Video"])
def test_the_word_for_lost_media_is_never_read_as_text(word: str, put: Callable[..., Path]) -> None:
    path = put({"columns": ["i", "t", "l"], "data": [[word, word, [word]], [None, "a cat", []], [word, word, [word]]]})
    rows = own(path)
    table = whole(rows)
    assert rows.schema.field("i").type == MEDIA
    assert table["i"].to_pylist() == [None] * 3
    assert table["t"].to_pylist() == [word, "a cat", word]
    assert table["l"].to_pylist() == [[None], [], [None]]
    assert (rows.media_cells, rows.media.whole, rows.media.missing) == (4, 0, 4)
    assert any(f"column 'i' has nothing but the word {word}" in note for note in rows.notes)


def test_a_column_of_such_words_is_text_where_the_artifact_had_no_such_media(put: Callable[..., Path]) -> None:
    path = put({"columns": ["i", "a"], "data": [["Image", "Audio"]]})
    rows = TableFiles(own=path, stored=["media/images/x.png", "preds.table.json"]).read()
    assert whole(rows).to_pylist() == [{"i": None, "a": "Audio"}]
    known = put(artifact(["i"], [["Image"]], {"i": union("string")}), "b.table.json")
    assert whole(TableFiles(parts=[known]).read())["i"].to_pylist() == ["Image"]


@pytest.mark.parametrize(
    ("count", "logged", "note"),
    [
        (10_000, None, "has exactly 10,000 rows: probably cut by W&B"),
        (10_000, 10_000, None),
        (10_000, 12_345, "has 10,000 of the 12,345 rows that were logged; W&B cut the rest"),
        (9_999, None, None),
        (200_000, None, "has exactly 200,000 rows: probably cut by W&B"),
    ],
)
def test_a_table_that_was_cut_says_so(
    count: int, logged: int | None, note: str | None, put: Callable[..., Path]
) -> None:
    rows = TableFiles(own=put({"columns": ["a"], "data": [[1]] * count}), logged=logged).read()
    assert rows.notes == (() if note is None else (note,))


def arrays(folder: Path, name: str, **saved: Any) -> str:
    (folder / "media" / "serialized_data").mkdir(parents=True, exist_ok=True)
    np.savez_compressed(folder / "media" / "serialized_data" / name, **saved)
    return f"media/serialized_data/{name}"


def of_arrays(path: str, key: str) -> dict[str, Any]:
    return union({"wb_type": "ndarray", "params": {"shape": [2], "serialization_path": {"path": path, "key": key}}})


def test_arrays_beside_an_artifact_are_read(put: Callable[..., Path], tmp_path: Path) -> None:
    values = np.arange(8, dtype=np.float32).reshape(2, 2, 2)
    place = arrays(tmp_path, "x.npz", a=values)
    path = put(artifact(["a"], [[None], [None]], {"a": of_arrays(place, "a")}))
    table = whole(TableFiles(parts=[path], media=FolderFiles(tmp_path)).read())
    assert table["a"].to_pylist() == values.tolist()


class Bomb:
    def __reduce__(self) -> Any:
        return (os._exit, (3,))


@pytest.mark.parametrize("case", ["pickled", "missing", "no key", "no zip", "too large", "lies", "climbs"])
def test_arrays_that_are_not_safe_to_load_are_left_out_and_said(
    case: str, put: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place, key = arrays(tmp_path, "x.npz", a=np.zeros((1, 4))), "a"
    if case == "pickled":
        place = arrays(tmp_path, "y.npz", a=np.array([Bomb()], dtype=object))
    elif case == "missing":
        place = "media/serialized_data/gone.npz"
    elif case == "no key":
        key = "b"
    elif case == "no zip":
        (tmp_path / place).write_bytes(b"PK\3\4" + bytes(100))
    elif case == "too large":
        monkeypatch.setattr(ndarrays, "_LIMIT", 31)
    elif case == "lies":
        import zipfile

        head = b"\x93NUMPY\1\0" + (118).to_bytes(2, "little")
        told = b"{'descr': '<f8', 'fortran_order': False, 'shape': (1, 1000000000000), }"
        with zipfile.ZipFile(tmp_path / place, "w") as archive:
            archive.writestr("a.npy", head + told.ljust(117) + b"\n")
    elif case == "climbs":
        place = "../x.npz"
    path = put(artifact(["a", "n"], [[None, 1]], {"a": of_arrays(place, key)}))
    rows = TableFiles(parts=[path], media=FolderFiles(tmp_path)).read()
    assert whole(rows).to_pylist() == [{"a": None, "n": 1}]
    assert any(f"the arrays of column {key!r} are read as NULL: " in note for note in rows.notes)


def test_a_single_file_of_a_run_and_of_an_artifact(put: Callable[..., Path], tmp_path: Path) -> None:
    path = put({"columns": ["a"], "data": [[1]]}, "val preds_3_0123456789abcdef0123.table.json")
    run = table_file(path)
    assert (run.name, run.origin["kind"], [table.key for table in run.tables]) == (
        "val preds",
        "table.json",
        ["val preds"],
    )
    assert whole(run.tables[0].read()).to_pylist() == [{"a": 1}]
    put(artifact(["i"], [[picture(tmp_path, "a.png", 5)]], {"i": union("image-file")}), "x.table.json")
    run = table_file(tmp_path / "x.table.json")
    rows = run.tables[0].read()
    assert whole(rows)["i"].to_pylist()[0]["path"] == "media/images/a.png"
    assert (run.tables[0].key, rows.media.whole) == ("x", 1)


def test_an_artifact_folder_is_a_run_with_its_tables(put: Callable[..., Path], tmp_path: Path) -> None:
    root = tmp_path / "artifacts" / "run-a1b2c3d4-valpreds-OeL3uA:v7"
    put(artifact(["a"], [[1]], {}), f"{root.relative_to(tmp_path)}/val/preds.table.json")
    put(artifact(["a"], [[2]], {}), f"{root.relative_to(tmp_path)}/other.table.json")
    run = artifact_folder(root)
    assert run.name == "a1b2c3d4"
    assert run.origin == {"kind": "artifact", "path": str(root), "id": "a1b2c3d4", "version": "v7"}
    assert {table.key: whole(table.read())["a"].to_pylist() for table in run.tables} == {"val/preds": [1], "other": [2]}


def test_a_folder_without_a_table_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="no table in "):
        artifact_folder(tmp_path)


def test_joined_and_partitioned_tables(put: Callable[..., Path], tmp_path: Path) -> None:
    for name, value in [("t1_1", 1), ("t2_1", 2), ("parts/b", 4), ("parts/a", 3), ("partsother/c", 5)]:
        put(artifact(["a"], [[value]], {"a": union("number")}), f"{name}.table.json")
    put(
        {"_type": "joined-table", "table1": "t1_1.table.json", "table2": "t2_1.table.json", "join_key": "a"},
        "j.joined-table.json",
    )
    put({"_type": "partitioned-table", "parts_path": "parts"}, "p.partitioned-table.json")
    found = {table.key: whole(table.read())["a"].to_pylist() for table in artifact_folder(tmp_path).tables}
    assert found == {"j.table1": [1], "j.table2": [2], "p": [3, 4], "partsother/c": [5]}


@pytest.mark.parametrize("told", ["{", "[]", '{"table1": 3, "table2": "x"}', "[" * 100_000])
def test_a_joined_table_of_nothing_is_refused(told: str, put: Callable[..., Path], tmp_path: Path) -> None:
    put(told, "j.joined-table.json")
    with pytest.raises(BadInput, match=r"'j\.joined-table\.json' does not say what the table is made of"):
        artifact_folder(tmp_path)


def test_a_joined_table_cannot_name_a_file_outside(put: Callable[..., Path], tmp_path: Path) -> None:
    put({"columns": ["a"], "data": [[1]]}, "secret.json")
    put({"table1": "../secret.json", "table2": "../secret.json"}, "folder/j.joined-table.json")
    for table in artifact_folder(tmp_path / "folder").tables:
        with pytest.raises(BadInput, match="leads out of its folder"):
            table.read()


READ = """
import re, sys
from pathlib import Path
from secondguess.analysis.errors import SecondguessError
from secondguess.analysis.importers.wandb.artifact import table_file
rows = 0
try:
    (table,) = table_file(Path(sys.argv[1])).tables
    found = table.read()
    rows = sum(batch.num_rows for batch in found.batches())
except SecondguessError as error:
    print(error)
# Not getrusage: its peak includes that of the process that was forked.
peak = int(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1]) * 1024
taken = int(re.search(r"rchar: (\\d+)", Path("/proc/self/io").read_text())[1])
print(rows, peak, taken)
"""


def read_apart(path: Path) -> tuple[list[str], int, int, int]:
    """What a process of its own says, how many rows it read, its peak of memory, and the bytes it read of all files."""

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30))

    done = subprocess.run(
        [sys.executable, "-c", READ, str(path)], capture_output=True, text=True, check=True, preexec_fn=limit
    )
    path.unlink()  # it may be large, and pytest keeps what tests leave
    *said, last = done.stdout.splitlines()
    rows, peak, taken = last.split()
    return said, int(rows), int(peak), int(taken)


def fill(path: Path, begin: str, piece: str, size: int, end: str = "") -> Path:
    with open(path, "w") as file:
        file.write(begin)
        for _ in range(size // len(piece)):
            file.write(piece)
        file.write(end)
    return path


@pytest.mark.parametrize(
    ("begin", "piece", "why"),
    [
        ("", "[" * 1000, "'{' is missing"),
        ('{"columns": ["a"], "data": ', "[" * 1000, "row 0: it is nested too deep"),
        ('{"columns": ["a"], "data": [["', "x" * 1000, "row 0: it is longer than 16,777,216 characters"),
        ('{"columns": ["a"], "data": [[', "[]," * 1000, "row 0: it is longer than 16,777,216 characters"),
        ('{"columns": ["a"], "data": [[', "0," * 1000, "row 0: it is longer than 16,777,216 characters"),
        ('{"columns": ["a"], "data": [', "[]," * 1000, "row 0 has 0 cells for 1 columns"),
    ],
)
def test_a_hostile_file_is_refused_early_in_little_memory(begin: str, piece: str, why: str, tmp_path: Path) -> None:
    path = fill(tmp_path / "x.table.json", begin, piece, 40 << 20)
    said, rows, peak, _ = read_apart(path)
    assert rows == 0 and len(said) == 1 and str(path) in said[0] and why in said[0]
    assert peak < 1 << 30


@pytest.mark.slow
@pytest.mark.parametrize("begin", ["", '{"columns": ["a"], "data": '])
def test_two_gigabytes_of_brackets_are_refused_at_once(begin: str, tmp_path: Path) -> None:
    path = fill(tmp_path / "x.table.json", begin, "[" * (1 << 20), 2 << 30)
    said, _, peak, taken = read_apart(path)
    assert len(said) == 1 and str(path) in said[0]
    assert peak < 300 << 20 and taken < 300 << 20


@pytest.mark.slow
def test_a_large_table_is_read_in_little_memory(tmp_path: Path) -> None:
    chance = random.Random(0)
    rows = [[f"test-{i}", i % 10, i % 7, *(chance.random() for _ in range(10))] for i in range(1000)]
    piece = ",".join(json.dumps(row) for row in rows)
    columns = json.dumps(["id", "guess", "truth", *(f"score_{i}" for i in range(10))])
    path = fill(tmp_path / "x.table.json", f'{{"columns":{columns},"data":[{piece}', f",{piece}", 300 << 20, "]}")
    said, count, peak, _ = read_apart(path)
    assert said == [] and count > 1_000_000
    assert peak < 400 << 20
