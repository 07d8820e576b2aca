"""Several validations within an epoch as the page shows them: links, the slider, charts, and one example's history."""

import json
import re
import shutil
from pathlib import Path
from urllib.parse import unquote

import pytest
from page import CLASSES, ROWS, Opened, Server, ids, images, scores, table_url

from secondguess.trainer.recorder import Recorder

pytest_plugins = ["page"]

# The epoch of cnn whose guesses each validation has: it errs on 12, 9, 6 and 9 rows.
LIKE = {(1, 750): 1, (1, 1500): 2, (2, 750): 3, (2, 1500): 2}


@pytest.fixture(scope="module")
def page_store(shared_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The store of the page's tests with a run that validates twice an epoch."""
    store = Path(shutil.copytree(shared_store, tmp_path_factory.mktemp("store") / "predictions"))
    with Recorder(store, run="half", classes=CLASSES) as recorder:
        for (epoch, step), like in LIKE.items():
            with recorder.table("test_predictions", epoch=epoch, step=step) as table:
                truth = [CLASSES[row % 3] for row in range(ROWS)]
                table.add(ids=ids(), images=images(), truth=truth, scores=scores("cnn", like))
    return store


def links(text: str, label: str) -> list[tuple[str, str]]:
    """The links of a group of steps: what each says, and which tables it leads to."""
    group = re.search(rf'aria-label="Epoch of {re.escape(label)}">(.*?)</span>\s*(?=<span|<form|</div>)', text, re.S)
    assert group is not None
    found = re.findall(r'<a href="([^"]+)"[^>]*>([^<]+)</a>', group[1])
    return [(said, " ".join(re.findall(r"[?;]t=([^&]+)", unquote(url)))) for url, said in found]


def test_a_table_has_a_link_to_each_validation(server: Server) -> None:
    text = server.ask(table_url("half@2")).text
    assert links(text, "half@2") == [(f"{epoch}:{step}", f"half@{epoch}:{step}") for epoch, step in LIKE]
    assert re.search(r'aria-current="true">2:1500<', text)


def test_the_slider_goes_through_all_validations_by_their_places(server: Server) -> None:
    text = server.ask(table_url("half", "cnn", join="inner")).text
    [slider] = re.findall(r'<input type="range"[^>]*>', text)
    assert 'name="nth" min="1" max="7" value="7"' in slider
    assert 'data-places="1:750 1:1500 1 2:750 2:1500 2 3"' in slider
    answer = server.ask(table_url("half", "cnn", join="inner", nth="4", exact=""))
    assert (answer.status, unquote(answer.header("location"))) == (
        307,
        "/table?t=half&t=cnn&join=inner&at=2:750&limit=50",
    )
    moved = server.ask(answer.header("location")).text
    assert re.search(r'name="nth" min="1" max="7" value="4"', moved) and "<output>2:750</output>" in moved
    # cnn is at its epoch 1, which errs on rows 0 to 11, half@2:750 on 0 to 5, both with the same guess.
    lead = " ".join(re.sub(r"<[^>]+>", "", moved).split())
    assert "The guess differs on 6" in lead


@pytest.mark.parametrize("nth", ["0", "8", "x"])
def test_a_place_that_the_slider_has_not_is_refused(server: Server, nth: str) -> None:
    assert server.ask(table_url("half", "cnn", nth=nth)).status == 400


def test_a_slider_of_runs_without_steps_is_as_it_was(server: Server) -> None:
    [slider] = re.findall(r'<input type="range"[^>]*>', server.ask(table_url("cnn", "double")).text)
    assert slider == '<input type="range" name="at" min="1" max="3" value="3" data-submit>'


def test_the_views_json_has_the_step_and_its_address_is_read_back(server: Server) -> None:
    view = json.loads(server.ask(table_url("half", path="/table.json", at="2:800")).body)
    [panel] = view["panels"]
    assert {(row["epoch"], row["step"]) for row in panel["rows"] if "epoch" in row} <= {(2, 750)}
    assert server.ask(table_url("half", at="2:x")).status == 400


def test_the_run_s_page_has_a_row_for_each_validation(server: Server) -> None:
    text = server.ask("/run?run=half").text
    heads = re.findall(r'<th scope="row" class="num"><a href="[^"]*">([^<]+)</a>', text)
    assert heads == ["1:750", "1:1500", "2:750", "2:1500"]
    assert "at epoch 2:750" in text  # the fewest errors
    [half] = [run for run in json.loads(server.ask("/runs.json").body)["runs"] if run["name"] == "half"]
    assert (half["epochs"], half["errors"]) == (["1:750", "1:1500", "2:750", "2:1500"], [12, 9, 6, 9])


def test_errors_over_time_leads_to_each_validation_and_draws_them_apart(server: Server) -> None:
    text = server.ask("/questions?q=errors-over-time&t=half").text
    for epoch, step in LIKE:
        assert f"half%40{epoch}%3A{step}" in text
    assert re.findall(r"errors: (\d+); run: half; epoch:step: ([0-9:]+)", text) == [
        ("12", "1:750"),
        ("9", "1:1500"),
        ("6", "2:750"),
        ("9", "2:1500"),
    ]


@pytest.mark.parametrize("question", ["errors-by-guess", "confusion", "errors", "disagreements", "flips"])
def test_two_validations_of_an_epoch_stand_beside_each_other(server: Server, question: str) -> None:
    answer = server.ask(f"/questions?q={question}&t=half%401%3A750&t=half%401%3A1500")
    assert answer.status == 200
    assert "half@1:750" in answer.text and "half@1:1500" in answer.text
    assert "half%401&amp;" not in answer.text


def test_an_example_shows_what_was_said_at_each_validation(server: Server) -> None:
    path = table_url("half@2", path="/example", row="10")  # row 10 is wrong at 1:750 alone
    text = server.ask(path).text
    assert re.findall(r'<th scope="col" class="seq">([^<]+)</th>', text) == [
        "1:750",
        "1:1500",
        "1",
        "2:750",
        "2:1500",
        "2",
        "3",
    ]
    said = json.loads(server.ask(table_url("half@2", path="/example.json", row="10")).body)["said"]
    own = [(row["epoch"], row["step"], row["guess"] == row["truth"]) for row in said if row["run"] == "half"]
    assert own == [(1, 750, False), (1, 1500, True), (2, 750, True), (2, 1500, True)]


@pytest.mark.slow
class TestBrowser:
    """The slider in Chromium."""

    def test_it_is_moved_with_the_keys_and_says_where_it_is(self, visit: Opened) -> None:
        seen = visit()
        seen.open(table_url("half", "cnn", join="inner"))
        seen.page.focus("input[name=nth]")
        seen.page.keyboard.press("ArrowLeft")
        seen.page.wait_for_url("**at=2**")
        seen.page.focus("input[name=nth]")
        seen.page.keyboard.press("ArrowLeft")
        seen.page.wait_for_url("**at=2%3A1500**")
        assert seen.page.inner_text("output") == "2:1500"
        assert seen.page.get_attribute("input[name=nth]", "aria-valuetext") == "2:1500"
        assert "at epoch 2:1500" in seen.page.inner_text("h1")

    def test_it_says_where_it_will_be_before_it_is_let_go(self, visit: Opened) -> None:
        seen = visit()
        seen.open(table_url("half", "cnn"))
        seen.page.locator("input[name=nth]").evaluate("e => { e.value = 4; e.dispatchEvent(new Event('input')); }")
        assert seen.page.inner_text("output") == "2:750"

    def test_it_works_without_script_and_keeps_exactly(self, visit: Opened) -> None:
        seen = visit(390, False)
        seen.open(table_url("half", "cnn"))
        seen.page.focus("input[name=nth]")
        for _ in range(3):
            seen.page.keyboard.press("ArrowLeft")
        seen.page.check("input[name=exact]")
        seen.page.click("button:text-is('Go')")
        assert "at epoch 2:750 exactly" in seen.page.inner_text("h1")
