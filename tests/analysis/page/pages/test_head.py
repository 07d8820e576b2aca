"""What stands in the heads of a table's columns: as data, as links, and brushed in Chromium."""

import asyncio
import re
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from page import CAT, DOG, MOOD, SCRIPT, Opened, Server, table_url
from waiting import HANG_S, until

from secondguess.analysis.serving.pool import Gone, Workers
from secondguess.analysis.serving.worker import Asked

pytest_plugins = ["page"]


def head(server: Server, column: str, show: str, *tables: str, **more: Any) -> Any:
    answer = server.ask(table_url(*(tables or ("cnn@3",)), path="/head.json", column=column, show=show, **more))
    assert answer.status == 200, answer.text
    return answer.data


def test_a_head_of_labels_counts_them_and_says_what_its_own_filter_keeps(server: Server) -> None:
    """Of 60 rows 20 are of each class; the six wrong guesses of epoch 3 are the next class, two of each."""
    values = {each["value"]: (each["rows"], each["kept"]) for each in head(server, "guess", "values")["values"]}
    assert values == {CAT: (20, 20), SCRIPT: (20, 20), DOG: (20, 20)}
    own = head(server, "guess", "values", where=f"guess = '{DOG}'")
    assert {each["value"]: each["kept"] for each in own["values"]} == {CAT: 0, SCRIPT: 0, DOG: 20}
    other = head(server, "guess", "values", where="wrong")
    assert [(each["rows"], each["kept"]) for each in other["values"]] == [(2, 2)] * 3


def test_a_head_of_scores_counts_them_from_0_to_1(server: Server) -> None:
    """The confidence of row n is 0.5 + n * 0.005: ten rows in each twentieth from 0.5 up to 0.8."""
    told = head(server, "confidence", "bins")
    assert [(each["low"], each["rows"]) for each in told["bins"] if each["rows"]] == [
        (0.5, 10),
        (0.55, 10),
        (0.6, 10),
        (0.65, 10),
        (0.7, 10),
        (0.75, 10),
    ]
    assert (len(told["bins"]), told["null"], told["not_finite"]) == (20, 0, 0)
    both = head(server, "guess_b", "values", "cnn@3", "double@3", join="inner", where="guess_a <> guess_b")
    assert sum(each["rows"] for each in both["values"]) == 8  # rows 0 to 7
    of = head(server, "guess", "values", "cnn@3", "double@3", side="1", of="double@3", where="wrong")
    assert sum(each["rows"] for each in of["values"]) == 4


def links(text: str) -> dict[str, str]:
    """Where the bars of a head lead, by what they say."""
    parts = text.split("<a ")[1:]
    hrefs = [part.partition('href="')[2].partition('"')[0] for part in parts]
    names = [
        part.partition('aria-label="')[2].partition('"')[0] or part.partition('title="')[2].partition('"')[0]
        for part in parts
    ]
    return {unescape(name): unescape(href) for name, href in zip(names, hrefs, strict=True)}


def test_each_bar_leads_to_as_many_rows_as_it_says(server: Server) -> None:
    for column, show in (("confidence", "bins"), ("guess", "values"), ("note", "values"), (MOOD, "values")):
        text = server.ask(table_url("cnn@3", path="/head", column=column, show=show, where="id > 'r10'")).text
        for said, url in links(text).items():
            rows = int(said.rpartition(": ")[2].split()[0]) if ": " in said else None
            if rows is not None:
                answer = server.ask(url.replace("/table?", "/table.json?"))
                assert answer.data["panels"][0]["total"] == rows, (said, url)


def test_a_bar_that_is_chosen_leads_back_and_another_value_is_added(server: Server) -> None:
    one = links(server.ask(table_url("cnn@3", path="/head", column="guess")).text)[f"{DOG}: 20 rows"]
    where = parse_qs(urlsplit(one).query)["where"]
    assert where == [f"\"guess\" IS NOT DISTINCT FROM '{DOG}'"]
    other = links(server.ask(table_url("cnn@3", path="/head", column="guess", where=where)).text)
    assert "where" not in parse_qs(urlsplit(other[f"{DOG}: 20 rows"]).query)
    assert parse_qs(urlsplit(other[f"{CAT}: 0 of 20 rows"]).query)["where"] == [f"guess IN ('{DOG}', '{CAT}')"]


def test_of_many_values_the_most_frequent_are_listed_and_how_many_there_are_besides(server: Server) -> None:
    text = server.ask(table_url("cnn@3", path="/head", column="id")).text
    assert "and 48 more" in " ".join(text.split())


def test_heads_come_with_the_page_where_the_address_says_so(server: Server) -> None:
    plain = server.ask(table_url("cnn@3")).text
    assert ('aria-label="Values of guess"' in plain, "data-head=" in plain) == (False, True)
    url = unescape(plain.partition('<noscript><a href="')[2].partition('"')[0])
    assert 'aria-label="Values of guess"' in server.ask(url).text
    assert "data-head=" not in server.ask(table_url("cnn@3", heads="none")).text
    assert "data-head=" not in server.ask(table_url("cnn@3", group="guess")).text


def test_a_question_that_nobody_waits_for_is_interrupted_and_its_process_answers_the_next(page_store: Path) -> None:
    endless = "SELECT count(*) FROM range(100000) a, range(100000) b WHERE (a.range + b.range) % 7 = 3"

    async def left() -> Any:
        async with Workers(HANG_S, "1GB") as workers:
            await asyncio.gather(*(workers.ask(Asked("sql", page_store, "SELECT 1")) for _ in range(2)))
            before = [worker.process.pid for worker in workers._all]
            looks = iter([False, False])

            async def gone() -> bool:
                return next(looks, True)

            with pytest.raises(Gone):
                await workers.ask(Asked("sql", page_store, endless), gone)
            answers = [(await workers.ask(Asked("sql", page_store, "SELECT 42"))).rows for _ in range(2)]
            return before == [worker.process.pid for worker in workers._all], answers

    assert asyncio.run(left()) == (True, [[(42,)], [(42,)]])


@pytest.mark.slow
def test_a_histogram_is_brushed_and_the_rows_follow_while_it_moves(visit: Opened) -> None:
    seen = visit(1280, True)
    seen.open(table_url("cnn@3"))
    svg = seen.page.locator("th svg[data-name=confidence]")
    svg.wait_for()
    seen.page.locator("th .vals").nth(2).wait_for()  # until then the heads grow
    box = svg.bounding_box()

    def move(share: float) -> None:
        seen.page.mouse.move(box["x"] + box["width"] * share, box["y"] + 10)

    move(0.51)
    seen.page.mouse.down()
    move(0.57)
    move(0.58)
    until(lambda: seen.status() == "1–20 of 20 rows")  # before the button is let go
    seen.page.mouse.up()
    seen.page.wait_for_url("**where=**")
    assert parse_qs(urlsplit(seen.page.url).query)["where"] == ["confidence >= 0.5 AND confidence < 0.6"]
    assert seen.status() == "1–20 of 20 rows"
    assert seen.page.locator(".chip").inner_text().startswith("confidence >= 0.5 AND confidence < 0.6")
    until(lambda: seen.page.locator(".dist:not(.stale) svg[data-name=confidence]").count() == 1)
    seen.page.locator("[data-key=' guess'] a", has_text="dog").click()
    seen.page.wait_for_url("**guess**")
    assert len(parse_qs(urlsplit(seen.page.url).query)["where"]) == 2
    assert not seen.faults


@pytest.mark.slow
def test_a_histogram_is_brushed_with_keys(visit: Opened) -> None:
    seen = visit(1280, True)
    seen.open(table_url("cnn@3"))
    seen.page.locator("th svg[data-name=confidence]").wait_for()
    seen.page.locator("th svg[data-name=confidence] a").first.focus()
    for _ in range(15):
        seen.page.keyboard.press("ArrowRight")
    seen.page.keyboard.press("Shift+ArrowRight")
    until(lambda: seen.status() == "1–10 of 10 rows")
    seen.page.keyboard.press("Enter")
    seen.page.wait_for_url("**where=**")
    assert parse_qs(urlsplit(seen.page.url).query)["where"] == ["confidence >= 0.75 AND confidence < 0.85"]
    assert not seen.faults


def chip(text: str, part: str) -> str:
    """Where a part of the first chip leads."""
    before = text.partition('class="chip"')[2].partition(part)[0]
    return unescape(before.rpartition('<a href="')[2].partition('"')[0])


def test_a_chip_leads_to_the_other_rows_and_has_its_text_to_be_changed(server: Server) -> None:
    text = server.ask(table_url("cnn@3", where=f"guess = '{DOG}'", wandb_filter='row["confidence"] < 0.6975')).text
    other = server.ask(chip(text, 'title="the other rows"')).text
    assert parse_qs(urlsplit(chip(other, 'title="the other rows"')).query)["where"] == [f"guess = '{DOG}'"]
    counts = [int(each.partition("<b>")[2].partition("</b> rows")[0].rpartition(">")[2]) for each in (text, other)]
    assert sum(counts) == 40  # the rows before confidence 0.7
    assert f"""name="where" rows="2" cols="40" spellcheck="false">guess = &#39;{DOG}&#39;</textarea>""" in text


@pytest.mark.slow
@pytest.mark.parametrize("script", [True, False], ids=["script", "no script"])
def test_a_filter_is_edited_in_its_chip(visit: Opened, script: bool) -> None:
    seen = visit(1280, script)
    seen.open(table_url("cnn@3", where=["wrong", f"guess = '{DOG}' -- the dogs"]))
    assert seen.status() == "1–2 of 2 rows"
    seen.page.locator(".chip summary", has_text="the dogs").click()
    seen.page.locator(".chip textarea:visible").fill("confidence < 0.515")
    seen.page.locator(".chip button:visible").click()
    seen.page.wait_for_url("**confidence**")
    assert seen.status() == "1–3 of 3 rows"
    seen.page.locator(".chip", has_text="wrong").get_by_label("Keep the other rows instead").click()
    seen.page.wait_for_url("**TRUE**")
    assert seen.status() in ("1–0 of 0 rows", "0 rows")


def test_what_is_looked_up_for_the_rows_of_a_page_alone_has_no_distribution(server: Server) -> None:
    for url in (table_url("reviews/reviews@1"), table_url("cnn@3", columns="id,image,digest,guess")):
        text = server.ask(url).text
        assert not [name for name in ("content", "image", "digest") if f'data-key=" {name}"' in text]
        for head in re.findall(r'data-head="([^"]*)"', text):
            assert server.ask(unescape(head)).status == 200, head


@pytest.mark.parametrize(
    ("column", "show", "where"),
    [
        ("confidence", "bins", "confidence >= 0.55 AND confidence < 0.7"),
        ("confidence", "bins", "confidence >= 0.75 AND confidence <= 1"),
        ("confidence", "bins", "confidence >= 0.512 AND confidence < 0.7"),
        ("confidence", "bins", "confidence IS NULL"),
        ("confidence", "bins", "confidence > 0.6"),
        ("guess", "values", f"guess IN ('{DOG}', '{CAT}')"),
        ("guess", "values", f"\"guess\" IS NOT DISTINCT FROM '{DOG}'"),
        ("note", "values", '"note" IS NOT DISTINCT FROM NULL'),
    ],
)
def test_what_a_head_says_is_kept_is_what_the_table_keeps(server: Server, column: str, show: str, where: str) -> None:
    """Also where it is summed up from bars that were counted before."""
    told = head(server, column, show, where=[where, "id > 'r03'"])
    parts = [*told.get("bins", ()), *told.get("values", ())]
    kept = sum(each["kept"] for each in parts)
    table = server.ask(table_url("cnn@3", path="/table.json", where=[where, "id > 'r03'"])).data["panels"][0]
    assert (kept, sum(each["rows"] for each in parts)) == (table["total"], 56)
