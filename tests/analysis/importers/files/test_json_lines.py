"""Records in JSON lines and arrays: each value as it is, or the line and what is wrong with it."""

import json
import math
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from secondguess.analysis.errors import BadInput, Damaged
from secondguess.analysis.importers.files import json_lines
from secondguess.analysis.importers.files.json_lines import read_json
from secondguess.analysis.importers.source import TableRows


def opened(tmp_path: Path, *texts: str | bytes) -> TableRows:
    files = []
    for at, text in enumerate(texts):
        path = tmp_path / f"t{at}.jsonl"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        files.append((path, path.name))
    return read_json(files)


def rows(tmp_path: Path, *texts: str | bytes) -> list[dict[str, Any]]:
    contents = opened(tmp_path, *texts)
    for _ in range(2):  # each call reads anew
        found = [row for batch in contents.batches() for row in batch.to_pylist()]
    assert contents.rows == len(found)
    for batch in contents.batches():
        assert batch.schema == contents.schema
    return found


@pytest.mark.parametrize("ends", ["\n", "\r\n", "\n\n"])
def test_strings_stay_strings_and_whole_numbers_exact(tmp_path: Path, ends: str) -> None:
    records = [
        {
            "id": "0001",
            "day": "2024-01-02",
            "n": 9007199254740993,
            "s": "12e3",
            "l": ["2024-01-02"],
            "d": {"t": "10:00"},
        },
        {"id": "NA", "day": "2024-01-02T10:00:00", "n": -1, "s": "", "l": [], "d": {"t": None}},
    ]
    assert rows(tmp_path, ends.join(map(json.dumps, records)) + ends) == records
    assert rows(tmp_path, json.dumps(records)) == records
    assert rows(tmp_path, json.dumps(records, indent=2)) == records


def test_numbers_that_a_double_does_not_hold_are_kept_as_text(tmp_path: Path) -> None:
    for texts in (["12345678901234567890"], ["9007199254740993", "0.5"]):
        lines = "".join(f'{{"n": {text}}}\n' for text in texts)
        assert [row["n"] for row in rows(tmp_path, lines)] == texts
        assert opened(tmp_path, lines).schema.field("n").metadata == {b"json": b"true"}
    apart = '{"n": 9007199254740993}\n', '{"n": 0.5}\n'
    assert [row["n"] for row in rows(tmp_path, *apart)] == ["9007199254740993", "0.5"]
    nested = '{"n": [9007199254740993]}\n', '{"n": [0.5]}\n'
    assert [row["n"] for row in rows(tmp_path, *nested)] == [["9007199254740993"], ["0.5"]]


def test_values_of_several_kinds_become_json_text_and_that_is_said(tmp_path: Path) -> None:
    text = '{"id": "a", "target": 1}\n{"id": "b", "target": "B"}\n{"id": "c", "target": null}\n'
    assert rows(tmp_path, text) == [
        {"id": "a", "target": "1"},
        {"id": "b", "target": '"B"'},
        {"id": "c", "target": None},
    ]
    assert opened(tmp_path, text).notes == ("column 'target' mixes whole numbers, text; kept as JSON text",)


def test_nan_and_infinity_are_numbers(tmp_path: Path) -> None:
    for text in ('{"p": NaN}\n{"p": -Infinity}\n{"p": 1}', '[{"p": NaN}, {"p": -Infinity}, {"p": 1}]'):
        first, *others = (row["p"] for row in rows(tmp_path, text))
        assert math.isnan(first) and others == [-math.inf, 1.0]


def test_a_key_that_a_record_lacks_is_null(tmp_path: Path) -> None:
    assert rows(tmp_path, '{"a": 1}\n{"b": "x"}\n') == [{"a": 1, "b": None}, {"a": None, "b": "x"}]


@pytest.mark.parametrize("most_bytes", [0, 1 << 20])
def test_types_that_only_later_pieces_have_hold_for_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, most_bytes: int
) -> None:
    monkeypatch.setattr(json_lines, "_PIECE", 16)
    monkeypatch.setattr(json_lines, "MOST_BYTES", most_bytes)
    text = '{"a": null, "t": "2024-01-02"}\n{"a": 1}\n{"a": 0.5, "b": true}\n{"t": "x", "a": 2}\n'
    assert rows(tmp_path, text) == [
        {"a": None, "t": "2024-01-02", "b": None},
        {"a": 1.0, "t": None, "b": None},
        {"a": 0.5, "t": None, "b": True},
        {"a": 2.0, "t": "x", "b": None},
    ]
    text = "".join(
        json.dumps(record) + "\n"
        for record in ({"a": None}, {"a": 1}, {"a": 0.5}, {"b": "2024-01-02"}, {"c": [{"x": 1}]}, {"c": [{"y": "z"}]})
    )
    assert [row["a"] for row in rows(tmp_path, text)] == [None, 1.0, 0.5, None, None, None]
    assert [row["c"] for row in rows(tmp_path, text)][-2:] == [[{"x": 1, "y": None}], [{"x": None, "y": "z"}]]


def test_a_file_that_fits_into_memory_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_lines, "_PIECE", 16)
    contents = opened(tmp_path, '{"a": null}\n{"a": 1}\n{"a": 2, "b": "x"}\n')
    (tmp_path / "t0.jsonl").unlink()
    assert [row for batch in contents.batches({"a"}) for row in batch.to_pylist()] == [{"a": None}, {"a": 1}, {"a": 2}]
    assert sum(batch.num_rows for batch in contents.batches(())) == 3


def test_lists_are_as_they_are_written_whether_nulls_come_first_or_not(tmp_path: Path) -> None:
    lists = [[0.5, 0.25], [None, None, 0.5], [], None, [1, None]]
    text = "".join(json.dumps({"x": one}) + "\n" for one in lists)
    assert [row["x"] for row in rows(tmp_path, text)] == lists
    assert [row["x"] for row in rows(tmp_path, '{"x": [null, false]}\n')] == [[None, False]]


def test_rows_of_megabytes_are_read_and_those_beyond_the_bound_refused_by_line(tmp_path: Path) -> None:
    long = [{"id": at, "context": "y" * 5_000_000} for at in range(3)]
    assert rows(tmp_path, "".join(json.dumps(record) + "\n" for record in long)) == long
    with pytest.raises(Damaged, match=r"t0\.jsonl cannot be read at line 2: it is longer than 16,777,216 characters"):
        rows(tmp_path, '{"a": "x"}\n{"a": "' + "x" * (17 << 20) + '"}\n')


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('{"a": 1}\n\n{"a": }\n', r"line 3: Expecting value at character 7"),
        ('{"a": 1}\n{"a": 1', r"line 2: Expecting ',' delimiter"),
        ('{"a": 1}\n[1]\n', r"line 2: it is no record"),
        ('{"a": 1}\n{"a": ' + "[" * 200_000 + "]" * 200_000 + "}\n", r"line 2: it is nested too deep"),
        ('{"a": 1}\n' + '{"a":' * 200_000 + "1" + "}" * 200_000, r"line 2: it is nested too deep"),
        ('{"a": 1}\n{"a": ' + "9" * 5000 + "}\n", r"line 2: Exceeds the limit"),
        ('[{"a": 1}, 2]', r"record 1: it is no record"),
        ('[{"a": 1}, {"a": ]', r"record 1: Expecting value"),
        ('[{"a": 1}] x', r"the end: something follows"),
    ],
)
def test_a_fault_is_named_by_its_line(tmp_path: Path, text: str, why: str) -> None:
    with pytest.raises(Damaged, match=r"t0\.jsonl cannot be read at " + why):
        rows(tmp_path, text)


def test_columns_in_one_object_are_no_row(tmp_path: Path) -> None:
    """As pandas writes a frame by default, and as W&B's tables are, where nothing says that it is one."""
    for text in (
        '{"id": {"0": "a"}, "pred": {"0": 1}}',
        '{"id": ["a"], "pred": [1]}',
        '{"columns": ["a"], "data": [[1]]}',
    ):
        with pytest.raises(BadInput, match='write it with orient="records"'):
            rows(tmp_path, text)


def test_nothing_is_refused(tmp_path: Path) -> None:
    for text in ("", "\n \n", "[]", "{}\n"):
        with pytest.raises(Damaged, match=r"t0\.jsonl is empty"):
            rows(tmp_path, text)


def test_names_that_duckdb_does_not_tell_apart_are_numbered(tmp_path: Path) -> None:
    assert rows(tmp_path, '{"a": 1, "A": 2, "": 3}\n') == [{"a": 1, "A_2": 2, "column_3": 3}]
    assert rows(tmp_path, '{"a": {"b": 1, "B": 2}}\n') == [{"a": '{"b": 1, "B": 2}'}]


CELLS = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | st.text(max_size=5)
    | st.just("2024-01-02"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abA"), inner, max_size=3),
    max_leaves=5,
)


@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.dictionaries(st.sampled_from(["x", "y", "z"]), CELLS, min_size=1), min_size=1, max_size=4),
    st.sampled_from([16, 4 << 20]),
)
def test_whatever_json_says_comes_back_the_same_as_from_the_careful_reader(
    tmp_path_factory: pytest.TempPathFactory, records: list[dict[str, Any]], piece: int
) -> None:
    records = [{"id": "a", **record} for record in records]
    lines = "".join(json.dumps(record) + "\n" for record in records)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(json_lines, "_PIECE", piece)
        fast = opened(tmp_path_factory.mktemp("lines"), lines)
    careful = opened(tmp_path_factory.mktemp("array"), json.dumps(records))
    names = sorted(careful.schema.names)
    for name in names:
        field, told = fast.schema.field(name), careful.schema.field(name)
        assert (field.type, field.metadata) == (told.type, told.metadata)
    together = [pa.Table.from_batches(one.batches(), one.schema).select(names) for one in (fast, careful)]
    assert repr(together[0].to_pylist()) == repr(together[1].to_pylist())
