"""Answers that are kept: asked once, in bounded memory, and anew when the store or a question's file is another."""

import asyncio
import json
import re
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from page import Server, table_url
from page_in_process import in_turn, texts
from recording import record

from secondguess.analysis.page.kept import KeptAnswers, key_of
from secondguess.analysis.serving.pool import Workers

pytest_plugins = ["page"]

SETTLING_S = 2.1


def test_what_is_asked_again_and_at_once_is_asked_once() -> None:
    asked: list[str] = []

    async def answer() -> list[int]:
        asked.append("once")
        await asyncio.sleep(0.01)
        return [1]

    async def run() -> list[list[int]]:
        kept: KeptAnswers[list[int]] = KeptAnswers()
        first = await asyncio.gather(*(kept.answer("key", answer) for _ in range(3)))
        first[0].append(2)  # whoever changes an answer changes no other's
        return [*first, await kept.answer("key", answer)]

    assert asyncio.run(run()) == [[1, 2], [1], [1], [1]]
    assert asked == ["once"]


def test_an_error_is_not_kept() -> None:
    outcomes = iter([ValueError("first"), None])

    async def answer() -> int:
        if (error := next(outcomes)) is not None:
            raise error
        return 7

    async def run() -> int:
        kept: KeptAnswers[int] = KeptAnswers()
        with pytest.raises(ValueError, match="first"):
            await kept.answer("key", answer)
        return await kept.answer("key", answer)

    assert asyncio.run(run()) == 7


def test_the_latest_used_are_kept_as_far_as_they_fit() -> None:
    asked: list[str] = []

    async def run() -> None:
        kept: KeptAnswers[bytes] = KeptAnswers(most_bytes=3_500)

        async def of(key: str, size: int = 1_000) -> None:
            async def answer() -> bytes:
                asked.append(key)
                return bytes(size)

            await kept.answer(key, answer)

        for key in ("a", "b", "c", "a", "d", "a", "b"):  # b is the least used when d comes
            await of(key)
        await of("large", 4_000)
        await of("large", 4_000)

    asyncio.run(run())
    assert asked == ["a", "b", "c", "d", "b", "large", "large"]


def test_a_key_is_that_of_equal_questions_only() -> None:
    assert key_of("s", "sql", {"a": 1}) == key_of("s", "sql", {"a": 1})
    assert key_of("s", "sql", {"a": 1}) != key_of("s", "sql", {"a": "1"})


@contextmanager
def counted() -> Iterator[list[str]]:
    """What workers are asked."""
    asked: list[str] = []
    frames: list[FrameType] = []  # a coroutine is called again each time it goes on

    def look(frame: FrameType, event: str, _: Any) -> None:
        if event == "call" and frame.f_code is Workers.ask.__code__ and not any(frame is known for known in frames):
            frames.append(frame)
            asked.append(frame.f_locals["asked"].how)

    sys.setprofile(look)
    try:
        yield asked
    finally:
        sys.setprofile(None)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("store") / "predictions"
    for run in ("a", "b"):
        record(path, run, {epoch: [("x", 0, 0), ("y", 1, 0)] for epoch in (1, 2)})
    (path / "questions").mkdir()
    (path / "questions" / "own.sql").write_text("-- One\n-- tables: 1\nSELECT 1 AS n FROM predictions LIMIT 1\n")
    time.sleep(SETTLING_S)
    return path


PAGES = [
    table_url("a@1"),
    table_url("a@1", "b@1", join="inner"),
    table_url("a@1", path="/example", row="0"),
    "/questions?q=errors-by-guess&t=a&t=b",
    "/questions?q=errors-over-time&t=a&t=b",
    "/compare?t=a&t=b",
    "/run?run=a",
]


@pytest.mark.parametrize("path", PAGES)
def test_a_page_that_is_opened_again_asks_nothing_and_says_the_same(store: Path, path: str) -> None:
    with counted() as once:
        texts(store, path)
    with counted() as twice:
        first, second = texts(store, path, path)
    assert sorted(once) == sorted(twice) != []
    assert first == second


def test_another_epoch_a_lost_file_and_an_edited_question_are_asked_anew(store: Path, tmp_path: Path) -> None:
    own = tmp_path / "predictions"
    shutil.copytree(store, own, copy_function=shutil.copy2)
    time.sleep(SETTLING_S)
    path = "/questions.json?q=own&t=a"

    def steps() -> Iterator[str]:
        yield path
        edited = "-- One\n-- tables: 1\nSELECT 22 AS n FROM predictions LIMIT 1\n"
        (own / "questions" / "own.sql").write_text(edited)
        yield path
        time.sleep(SETTLING_S)
        yield "/questions.json?q=errors-over-time&t=b"
        next((own / "b" / "test_predictions").glob("*.parquet")).rename(tmp_path / "away.parquet")
        yield "/sql.json"
        yield "/run.json?run=b"
        record(own, "c", {1: [("x", 0, 0)]})
        yield "/runs.json"

    before, after, _, _, lost, listed = in_turn(own, steps())
    assert ('"n":1}' in before, '"n":22}' in after) == (True, True)
    assert "is missing" in lost
    assert [run["name"] for run in json.loads(listed)["runs"]] == ["a", "b", "c"]


def test_a_browser_keeps_images_for_good_and_files_until_they_are_others(server: Server) -> None:
    """And nobody gets either who may not see the page."""
    key = re.findall(r'src="(/image/[0-9a-f]{32})"', server.ask(table_url("cnn@1")).text)[0]
    image = server.ask(key)
    assert image.header("cache-control") == "private, max-age=31536000, immutable"
    assert image.header("vary") == "cookie"
    assert server.ask(key, Cookie=None).status == 401
    sheet = server.ask("/static/secondguess.css")
    again = server.ask("/static/secondguess.css", If_None_Match=sheet.header("etag"))
    assert (again.status, again.body) == (304, b"")
    assert server.ask("/static/secondguess.css", If_None_Match='"other"').body == sheet.body
    assert server.ask("/static/secondguess.css", If_None_Match=sheet.header("etag"), Cookie=None).status == 401


def test_the_examples_beside_one_are_asked_ahead(server: Server) -> None:
    text = server.ask(table_url("cnn@1", path="/example", row="2")).text
    ahead = re.findall(r'<link rel="prefetch" href="([^"]*)"', text)
    assert [address.rpartition("=")[2] for address in ahead] == ["3", "1"]
    answer = server.ask(ahead[0].replace("&amp;", "&"), Sec_Purpose="prefetch", Sec_Fetch_Site="same-origin")
    assert (answer.status, "Example r03" in answer.text) == (200, True)
