"""Answers that would have no end: what the page sends of them is bounded, what it leaves out is said, others go on."""

import io
import os
import re
import shutil
import struct
import time
import zlib
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from page import Answer, Server, read_process, serving, table_url
from PIL import Image
from recording import record
from waiting import HANG_S, until

from secondguess.analysis.answers.answer import LEFT_OUT, CutBytes, CutList, CutMap, CutText
from secondguess.analysis.engine.duck import Rows
from secondguess.analysis.serving import bounds

pytest_plugins = ["page"]

WIDE, COLUMNS = 2_000, [f"column_{number}" for number in range(2_000)]
FIRST_COLUMNS = "the first 100 of {:,} columns: a page shows at most 100"


def png(width: int, height: int) -> bytes:
    """A grey PNG of so many pixels, in few bytes."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    packed = zlib.compressobj(9)
    lines = [packed.compress(bytes(width + 1)) for _ in range(height)]
    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    body = chunk(b"IDAT", b"".join(lines) + packed.flush())
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + body + chunk(b"IEND", b"")


@pytest.fixture(scope="module")
def bounded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A page of wide, long and large things, whose questions may take ten seconds and a gigabyte."""
    folder = tmp_path_factory.mktemp("bounded")
    store = folder / "predictions"
    rows = [(f"r{number}", number % 3, number % 3) for number in range(1_000)]
    words = [f"text {number}" for number in range(1_000)]
    record(store, "wide", {1: rows}, columns=dict.fromkeys(COLUMNS, words))
    record(store, "long", {1: rows}, columns=dict.fromkeys(COLUMNS[:16], words))
    small = io.BytesIO()
    Image.new("RGB", (8, 8), (200, 40, 40)).save(small, "PNG")
    pictures = [{"bytes": data, "path": None} for data in (png(20_000, 20_000), png(9_000, 9_000), small.getvalue())]
    record(
        store,
        "large",
        {1: [("bomb", None, 0), ("smaller", None, 0), ("small", None, 0)]},
        labelled=False,
        columns={"picture": pictures, "words": ["x" * 1_000_000, "short", "y" * 20_000]},
    )
    with serving(store, folder / "stderr", "--seconds", "10", "--memory", "1GB") as server:
        assert server.ask(table_url("long@1")).status == 200
        yield server


def megabytes(pid: int) -> float:
    parts = read_process(pid, "statm").split()
    return int(parts[1]) * 4096 / 1e6 if parts else 0.0


def meanwhile(server: Server, path: str) -> tuple[Answer, float, float]:
    """An answer, how many megabytes the server grew while it was made, and the longest that another tab waited."""
    before, most, waited = megabytes(server.process.pid), 0.0, [0.0]
    with ThreadPoolExecutor(1) as one:
        asked = one.submit(server.ask, path)
        while not asked.done():
            began = time.monotonic()
            assert server.ask("/help").status == 200
            waited.append(time.monotonic() - began)
            most = max(most, megabytes(server.process.pid))
    return asked.result(), most - before, max(waited)


def notes(answer: Answer) -> list[str]:
    return [unescape(text) for text in re.findall(r'<p class="note">([^<]*)', answer.text)]


def test_a_page_of_two_thousand_columns_shows_the_first_hundred_and_says_so(bounded: Server) -> None:
    answer, grown, waited = meanwhile(bounded, table_url("wide@1", limit="1000"))
    assert answer.status == 200
    first, second = notes(answer)
    assert first.startswith(FIRST_COLUMNS.format(2_005))
    assert second.startswith("the first 200 of the rows asked for: an answer has at most 20,000 cells")
    assert "the command line has no such limit" in first
    assert answer.text.count('<th scope="col"') == 100
    assert "<b>1–200</b> of <b>1,000</b> rows" in answer.text
    assert "offset=200" in answer.text  # the next page has what follows
    assert grown < 150
    assert waited < 10


def test_its_twin_says_the_same(bounded: Server) -> None:
    panel = bounded.ask(table_url("wide@1", path="/table.json", limit="1000")).data["panels"][0]
    assert (len(panel["columns"]), len(panel["rows"]), panel["total"]) == (100, 200, 1_000)
    assert [note[:13] for note in panel["notes"]] == ["the first 100", "the first 200"]


def test_columns_that_are_named_are_as_few(bounded: Server) -> None:
    """Each cell would lead to addresses that name them all."""
    answer = bounded.ask(table_url("wide@1", columns=",".join(COLUMNS[600:1_200])))
    assert FIRST_COLUMNS.format(600) in notes(answer)[0]
    assert "cells do not lead to filters here" in notes(answer)[1]
    assert "column_699" in answer.text
    assert len(answer.body) < 5_000_000


def test_others_can_be_named(bounded: Server) -> None:
    panel = bounded.ask(table_url("wide@1", path="/table.json", columns="column_1999", limit="1")).data["panels"][0]
    assert panel["rows"] == [{"column_1999": "text 0"}]
    assert panel["notes"] == []


def test_menus_have_two_hundred_entries_and_say_how_many_more(bounded: Server) -> None:
    answer = bounded.ask(table_url("wide@1"))
    assert answer.text.count("data-insert=") == 200
    assert "and 1,805 more" in answer.text
    assert re.search(r"and 1,8\d\d more", bounded.ask("/sql").text)


def test_a_statement_of_many_columns_is_cut_too(bounded: Server) -> None:
    text = f"SELECT {', '.join(f'{number} AS c{number}' for number in range(3_000))} FROM range(1000)"
    answer = bounded.post("/sql.json", {"sql": text}).data
    assert (len(answer["columns"]), len(answer["rows"]), answer["more"]) == (100, 200, True)
    assert answer["notes"][0].startswith(FIRST_COLUMNS.format(3_000))


@pytest.mark.parametrize(
    ("sql", "value", "said"),
    [
        ("repeat('é', 1_000_000)", "é" * 20_000, "the first 20,000 of 1,000,000 characters in x of row 1"),
        ("[repeat('x', 30_000), 'y']", ["x" * 20_000], "the first 20,000 of 30,000 characters in x of row 1"),
        ("range(100_000)", list(range(20_000)), "the first 20,000 of 100,000 values in x of row 1"),
        ("repeat('x', 30_000)::BLOB", None, "the first 20,000 of 30,000 bytes in x of row 1"),
        ("{'a': repeat('x', 30_000)}", {"a": "x" * 19_999}, "the first 19,999 of 30,000 characters in x of row 1"),
    ],
)
def test_a_long_cell_is_cut_before_it_leaves_its_process(bounded: Server, sql: str, value: Any, said: str) -> None:
    answer = bounded.post("/sql.json", {"sql": f"SELECT {sql} AS x"}).data
    assert said in answer["notes"][0]
    assert value is None or answer["rows"] == [{"x": value}]


def test_a_cell_of_four_hundred_megabytes_is_not_sent(bounded: Server) -> None:
    """A person reads that it was too much, or the beginning of it."""
    before = megabytes(bounded.process.pid)
    answer = bounded.post("/sql.json", {"sql": "SELECT repeat('x', 400000000) AS x"})
    assert len(answer.body) < 100_000
    assert answer.status == 400 or "first 20,000 of 400,000,000 characters" in answer.data["notes"][0]
    assert megabytes(bounded.process.pid) - before < 50
    assert bounded.sql("SELECT 42 AS n").status == 200


def test_a_cut_cell_says_so_on_the_page_and_leads_to_no_filter(bounded: Server) -> None:
    """A filter on the beginning of a text would keep no row."""
    answer = bounded.ask(table_url("large@1", columns="id,words"))
    assert "xxx… (first 20,000 of 1,000,000 characters)" in answer.text
    assert "the first 20,000 of 1,000,000 characters in words of row 1" in notes(answer)[0]
    assert answer.text.count('title="only this"') == 2  # of the others


def test_an_answer_has_at_most_so_many_bytes(bounded: Server) -> None:
    answer = bounded.post("/sql.json", {"sql": "SELECT repeat('x', 20_000) AS x FROM range(1000)"})
    assert 16_000_000 < len(answer.body) < 18_000_000
    assert answer.data["more"]
    assert "an answer has at most 16 MB" in answer.data["notes"][0]


@pytest.mark.parametrize("count", [101, 800, 1_100])
@pytest.mark.parametrize("path", ["/table", "/table.json", "/questions?q=errors", "/export", "/example", "/run"])
def test_an_address_names_a_hundred_tables_at_most(bounded: Server, path: str, count: int) -> None:
    key = "run" if path == "/run" else "t"
    named = "&".join(f"{key}=r{number}" for number in range(count))
    began = time.monotonic()
    answer = bounded.ask(f"{path}{'&' if '?' in path else '?'}{named}")
    assert answer.status == 400
    assert f"a page shows at most 100 tables; this address names {count:,}" in answer.text
    assert len(answer.body) < 100_000
    assert time.monotonic() - began < HANG_S


def test_an_image_of_twenty_thousand_pixels_is_a_placeholder_with_its_size(bounded: Server) -> None:
    """It has 390 KB, and would be 1.6 GB in the browser."""
    before = megabytes(bounded.process.pid)
    answer = bounded.ask(table_url("large@1", columns="id,picture"))
    assert "20,000 x 20,000 pixels</span>" in answer.text
    assert "9,000 x 9,000 pixels</span>" in answer.text
    keys = re.findall(r'src="/image/([0-9a-f]+)"', answer.text)
    assert len(keys) == 1
    assert Image.open(io.BytesIO(bounded.ask(f"/image/{keys[0]}").body)).size == (8, 8)
    assert notes(answer)[0].startswith("left out picture of row 1, 20,000 x 20,000 pixels, ")
    assert megabytes(bounded.process.pid) - before < 50


def test_a_question_beyond_its_memory_is_said_and_the_next_is_answered(bounded: Server) -> None:
    """What DuckDB's own limit does not hold, the system's does."""
    for text in (
        "SELECT list_concat(range(1000000000), range(1000000000)) AS x",
        "SELECT repeat('x', 3000000000) AS x",
        "SELECT printf('%2000000000d', 1) AS x",
        "SELECT list(range) FROM range(100000000)",
    ):
        most = 0.0
        with ThreadPoolExecutor(1) as one:
            asked = one.submit(bounded.sql, text)
            while not asked.done():
                most = max([most, *map(megabytes, bounded.workers())])
                time.sleep(0.01)
        answer = asked.result()
        assert answer.status in {400, 503}, text
        assert "more than 1GB of memory" in answer.text or "stopped" in answer.text, text
        assert most < 2_600, text
        assert bounded.sql("SELECT 42 AS n").status == 200


def test_missing_examples_leave_the_page_with_placeholders_and_their_number(page_store: Path, tmp_path: Path) -> None:
    store = Path(shutil.copytree(page_store, tmp_path / "predictions"))
    files = list((store / "examples").glob("*.parquet"))
    for path in files:
        path.unlink()
    with serving(store, tmp_path / "stderr") as server:
        for address in (
            table_url("cnn@3"),
            table_url("cnn@3", columns="id,image"),
            table_url("cnn@3", "double@3", join="inner"),
            table_url("cnn@3", "double@3"),
            table_url("cnn@3", group="guess"),
            table_url("cnn@3", path="/example", row="1"),
            "/questions?q=errors&t=cnn%403",
        ):
            answer = server.ask(address)
            assert answer.status == 200, (address, answer.text[-400:])
        answer = server.ask(table_url("cnn@3"))
        assert answer.text.count(">no image<") == 50
        (note,) = notes(answer)
        assert re.fullmatch(r"left out examples: \S+ is missing, so 60 rows have no image or content", note)


def taken(values: Mapping[str, Any], rows: int = 1, most: int = 1_000) -> bounds.Taken:
    """The same row so many times, as an answer takes it."""
    return bounds.take(Rows(list(values), ["VARCHAR"] * len(values), iter([tuple(values.values())] * rows)), most)


def test_many_columns_of_scores_are_left_out_before_others_are_and_said() -> None:
    """What stands behind a thousand scores is there; of two tables side by side each score counts."""
    scores = {f"score_{number}": 0.1 for number in range(1_000)}
    few = bounds.Bounds(of="an answer", columns=2, scores=24)
    of = bounds.take(Rows(["id", *scores, "mine"], ["X"] * 1_002, iter([("a", *scores.values(), 7)])), 5, few)
    assert (of.columns, of.types, of.rows) == (["id", "mine"], ["X", "X"], [("a", 7)])
    assert of.notes == ("1,000 columns of scores are left out: an answer has at most 24; name those in a SELECT",)
    both = [f"score_{number}_{side}" for number in range(13) for side in "ab"]
    of = bounds.take(Rows(["id", *both], ["X"] * 27, iter(())), 5, replace(few, columns=100), sides=2)
    assert of.columns == ["id"]
    of = bounds.take(Rows(both[:24], ["X"] * 24, iter(())), 5, replace(few, columns=100), sides=2)
    assert (of.columns, of.notes) == (both[:24], ())


def test_values_that_fit_stay_as_they_are() -> None:
    values = {"a": "x" * 20_000, "b": None, "c": 2**70, "d": [1, [2]], "e": {"k": (1, b"x")}, "f": float("nan")}
    (row,) = taken(values).rows
    assert all(one is other or one == other for one, other in zip(row, values.values(), strict=True))
    assert [type(value) for value in row] == [type(value) for value in values.values()]


def test_a_value_that_does_not_fit_is_of_its_own_kind_and_says_how_much_it_is() -> None:
    values = {"a": "x" * 20_001, "b": b"x" * 20_001, "c": [1] * 20_001, "d": {n: n for n in range(20_001)}}
    (row,) = taken(values).rows
    assert [type(value) for value in row] == [CutText, CutBytes, CutList, CutMap]
    assert [value.said for value in row[:3]] == [
        *("first 20,000 of 20,001 characters", "first 20,000 of 20,001 bytes", "first 20,000 of 20,001 values")
    ]


def test_rows_are_cut_at_what_was_asked_for() -> None:
    assert (len(taken({"a": 1}, 5, 5).rows), taken({"a": 1}, 5, 5).more) == (5, False)
    assert (len(taken({"a": 1}, 6, 5).rows), taken({"a": 1}, 6, 5).more) == (5, True)


def test_images_beyond_what_an_answer_holds_are_left_out_and_their_rows_stay() -> None:
    data = png(8, 8) + bytes(20 << 20)  # what follows the end of a PNG is nobody's
    answer = taken({"image": {"bytes": data, "path": None}}, 5)
    assert [row[0]["bytes"] is None for row in answer.rows] == [False] * 3 + [True] * 2
    assert answer.rows[4][0][LEFT_OUT].startswith("an image of 20,971,")
    assert "left out image of row 4" in answer.notes[0]


def test_an_export_is_whole_or_says_why_it_is_not(page_store: Path, tmp_path: Path) -> None:
    """Here at most 2,000 bytes are exported, of which rather nothing is sent than a part that looks whole."""
    small = "import sys\nif 'spawn_main' in ' '.join(sys.orig_argv):\n"
    small += "    from secondguess.analysis.serving import worker\n    worker._EXPORTED = 2_000\n"
    (tmp_path / "sitecustomize.py").write_text(small)
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    with serving(page_store, tmp_path / "stderr", TMPDIR=str(tmp_path), PYTHONPATH=path) as server:
        for form in ("csv", "json", "markdown", "parquet"):
            answer = server.ask(table_url("cnn@3", path="/export", format=form))
            assert answer.status == 400, form
            assert "an export from the page has at most" in answer.text, (form, answer.text[-300:])
            assert "so nothing was sent; filter more, or export with the command line" in answer.text
            one = table_url("cnn@3", path="/export", format=form, columns="id", where="id = 'r01'")
            assert server.ask(one).status == 200
        until(lambda: not list(tmp_path.glob("secondguess-*")))
