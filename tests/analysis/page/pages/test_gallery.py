"""A view as images: each with guess and truth, grouped by anything, and marked for review or export."""

import csv
import io
import json
import re
from html import unescape
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from page import CAT, DOG, MOOD, QUOTED, SCRIPT, Opened, Server, table_url
from waiting import until

pytest_plugins = ["page"]


def gallery(server: Server, *tables: str, **more: Any) -> Any:
    answer = server.ask(table_url(*(tables or ("cnn@3",)), path="/gallery.json", **more))
    assert answer.status == 200, answer.text
    return answer.data


def test_every_row_of_a_view_is_an_image_with_its_guess_and_truth(server: Server) -> None:
    told = gallery(server, where="wrong", limit="20")
    assert (told["total"], [row["id"] for row in told["groups"][0]["rows"]]) == (
        6,
        [QUOTED, "r01", "r02", "r03", "r04", "r05"],
    )
    text = server.ask(table_url("cnn@3", path="/gallery", limit="20")).text
    assert text.count('<li class="tile">') == text.count("<img ") == text.count('name="mark"') == 20
    assert (text.count('class="lab  wrong"'), text.count('class="lab  right"')) == (6, 14)
    assert "<b>1–20</b> of <b>60</b> rows" in text
    (later,) = re.findall(r'<a href="([^"]*)" rel="next"', text)
    assert "<b>21–40</b> of <b>60</b> rows" in server.ask(unescape(later)).text


@pytest.mark.parametrize(("asked", "shown"), [("20", 20), ("500", 60), ("5000", 60), (None, 60)])
def test_as_many_images_as_are_asked_for(server: Server, asked: str | None, shown: int) -> None:
    more = {} if asked is None else {"limit": asked}
    assert len(gallery(server, **more)["groups"][0]["rows"]) == shown


def test_images_are_grouped_by_anything(server: Server) -> None:
    told = gallery(server, by="guess", where="wrong")
    assert {group["label"]: len(group["rows"]) for group in told["groups"]} == {CAT: 2, SCRIPT: 2, DOG: 2}
    told = gallery(server, by=MOOD, limit="20")
    assert [(group["label"], group["total"], len(group["rows"])) for group in told["groups"]] == [
        ("rainy", 30, 10),
        ("sunny", 30, 10),
    ]
    told = gallery(server, by="tenth", add="tenth = floor(confidence * 10)", where="confidence < 0.695")
    assert [(group["label"], group["total"]) for group in told["groups"]] == [("5.0000", 20), ("6.0000", 19)]
    told = gallery(server, by="id", limit="20")
    assert (told["total"], len(told["groups"])) == (60, 12)
    told = gallery(server, "cnn@3", "double@3", join="inner", by="guess_b", where="guess_a <> guess_b")
    assert sum(len(group["rows"]) for group in told["groups"]) == 8


def test_a_group_leads_to_all_of_its_images(server: Server) -> None:
    text = server.ask(table_url("cnn@3", path="/gallery", by=MOOD, limit="20")).text
    url = unescape(re.findall(r'<h2><a href="([^"]*)">sunny', text)[0])
    assert "<b>1–20</b> of <b>30</b> rows" in server.ask(url).text


def test_texts_and_rows_without_anything_are_tiles_too(server: Server) -> None:
    text = server.ask(table_url("reviews/reviews@1", path="/gallery")).text
    assert text.count('<li class="tile">') == 3
    assert "나쁘다" in text
    assert "<h2>No rows</h2>" in server.ask(table_url("cnn@3", path="/gallery", where="false")).text


MARKS = [QUOTED, "r07", "r33"]


@pytest.mark.parametrize("to", ["table", "gallery"])
def test_what_is_marked_becomes_a_filter_in_the_address(server: Server, to: str) -> None:
    answer = server.ask(table_url("cnn@3", path="/marked", mark=MARKS, to=to, sort="-id"))
    assert answer.status == 307
    url = answer.header("location")
    assert (urlsplit(url).path, parse_qs(urlsplit(url).query)["where"]) == (
        f"/{to}",
        ["id IN ('it''s \"7\"', 'r07', 'r33')"],
    )
    text = server.ask(url).text
    assert [text.count(f"{name}</a>") + text.count(f'alt="{name}"') for name in ("r33", "r07", "r08")] == [1, 1, 0]


def test_what_is_marked_is_exported(server: Server) -> None:
    answer = server.ask(table_url("cnn@3", path="/marked", mark=MARKS, to="csv"))
    rows = list(csv.DictReader(io.StringIO(server.ask(answer.header("location")).text)))
    assert [row["id"] for row in rows] == MARKS
    answer = server.ask(table_url("cnn@3", path="/marked", mark=["r33", "r33"], to="json"))
    assert [row["id"] for row in json.loads(server.ask(answer.header("location")).text)] == ["r33"]


def test_nothing_marked_is_said(server: Server) -> None:
    answer = server.ask(table_url("cnn@3", path="/marked", to="csv"))
    assert (answer.status, "nothing is marked; tick the images" in answer.text) == (400, True)


@pytest.mark.slow
@pytest.mark.parametrize("script", [True, False], ids=["script", "no script"])
def test_images_are_ticked_and_shown_as_a_table(visit: Opened, script: bool) -> None:
    seen = visit(390, script)
    seen.open(table_url("cnn@3"))
    seen.page.get_by_role("link", name="Images", exact=True).click()
    seen.page.wait_for_url("**/gallery**")
    assert not seen.wide()
    for mark in ("r03", "r05"):
        seen.page.get_by_label(f"Mark {mark}").check()
    seen.page.get_by_role("button", name="to the table").click()
    seen.page.wait_for_url("**/table**")
    assert seen.status() == "1–2 of 2 rows"
    assert not seen.faults


@pytest.mark.slow
def test_images_are_marked_with_keys_and_stay_marked_on_another_page(visit: Opened) -> None:
    seen = visit(1280, True)
    seen.open(table_url("cnn@3", path="/gallery", limit="20"))
    for key in ("ArrowRight", "x", "ArrowRight", "ArrowRight", "ArrowRight", "Shift+X"):
        seen.page.keyboard.press(key)
    until(lambda: seen.page.locator("[data-count]").inner_text() == "4 marked:")
    seen.page.get_by_role("link", name="next").click()
    seen.page.wait_for_url("**offset**")
    until(lambda: seen.page.locator("[data-count]").inner_text() == "4 marked:")
    seen.page.get_by_label("Mark r25").check()
    seen.page.get_by_role("button", name="only these").click()
    seen.page.wait_for_url("**IN**")
    assert seen.page.locator(".tile").count() == 5
    assert not seen.faults
