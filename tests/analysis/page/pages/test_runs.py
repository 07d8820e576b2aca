"""The page of runs at the size of a sweep: found, filtered, sorted, grouped, drawn as lines, and not drawn twice."""

import json
import re
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from page import Server
from page_in_process import texts
from recording import record

from secondguess.analysis.page.pages import parallel
from secondguess.analysis.store import remarks
from secondguess.trainer.recorder import Recorder

pytest_plugins = ["page"]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four runs over the same four examples, with 3, 2, 1 and 0 errors, and one over another that it gets right."""
    path = tmp_path_factory.mktemp("store") / "predictions"
    for number in range(4):
        config = {"lr": 10.0**-number, "model": "vit" if number % 2 else "cnn", "opt": {"name": "adam"}, "seed": 1}
        with (
            Recorder(path, run=f"run-{number}", config=config, wandb="off") as recorder,
            recorder.table("test_predictions", epoch=1) as table,
        ):
            table.add(ids=list("abcd"), truth=[0] * 4, guess=[1] * (3 - number) + [0] * (number + 1))
    record(path, "other", {1: [("z", 0, 0)]})
    remarks.change(path, "run-2", ["keep"], note="the good one")
    return path


def data(store: Path, *query: tuple[str, str]) -> Any:
    return json.loads(texts(store, f"/runs.json?{urlencode(query)}")[0])


def names(store: Path, *query: tuple[str, str]) -> list[str]:
    return [run["name"] for run in data(store, *query)["runs"]]


def test_runs_are_searched_filtered_and_sorted_by_their_address(store: Path) -> None:
    assert names(store, ("q", "vit")) == ["run-1", "run-3"]
    assert names(store, ("q", "good")) == ["run-2"]
    assert names(store, ("where", "lr < 0.5"), ("where", "model = 'cnn'")) == ["run-2"]
    assert names(store, ("where", "list_contains(tags, 'keep')")) == ["run-2"]
    assert names(store, ("where", "\"opt.name\" = 'adam' AND best_error_rate >= 0.5")) == ["run-0", "run-1"]
    assert names(store, ("sort", "lr")) == ["run-3", "run-2", "run-1", "run-0", "other"]
    assert names(store, ("sort", "-best_error_rate"), ("q", "run"))[0] == "run-0"


def test_runs_are_grouped_by_any_key(store: Path) -> None:
    vit, cnn, none = data(store, ("group", "model"))["groups"][1:] + data(store, ("group", "model"))["groups"][:1]
    assert (vit["value"], vit["runs"], vit["mean"], vit["best"]) == ("vit", ["run-1", "run-3"], 0.25, "run-3")
    assert (cnn["value"], cnn["runs"], cnn["mean"], cnn["best"]) == ("cnn", ["run-0", "run-2"], 0.5, "run-2")
    assert cnn["spread"] == pytest.approx(0.353553, abs=1e-6)  # of .75 and .25
    assert (none["value"], none["runs"]) == (None, ["other"])
    [text] = texts(store, "/runs?group=model")
    assert [cell in text for cell in ("25.00 %", "50.00 %", "35.36 %")] == [True] * 3


def test_who_errs_least_is_said_of_runs_that_saw_the_same_examples(store: Path) -> None:
    text = " ".join(re.sub(r"<[^>]+>", " ", texts(store, "/runs")[0]).split())
    assert "Of the 4 runs that saw the same examples run-3 errs least: 0 of 4 wrong" in text
    assert "1 other saw other examples" in text
    alone = " ".join(re.sub(r"<[^>]+>", " ", texts(store, "/runs?q=run")[0]).split())
    assert "saw other examples" not in alone


def test_columns_are_chosen_and_each_link_keeps_what_the_address_says(store: Path) -> None:
    [text] = texts(store, "/runs?" + urlencode([("columns", "lr,note"), ("q", "run"), ("sort", "lr")]))
    heads = re.findall(r'<th scope="col"[^>]*><a href="([^"]*)" title="([^"]*): sort"', text)
    assert [name for _, name in heads][-2:] == ["lr", "note"]
    address = dict(heads[-2:][0:1])  # that of lr, which is sorted by: the other way round
    assert [url.replace("&amp;", "&") for url in address] == ["/runs?q=run&sort=-lr&columns=lr%2Cnote"]
    assert '<input type="hidden" name="sort" value="lr">' in text


def test_lines_lead_from_the_config_to_the_error_rate() -> None:
    rows = [
        {"run": "a", "best_error_rate": 0.5, "lr": 0.001, "model": "x"},
        {"run": "b", "best_error_rate": 0.1, "lr": 1.0, "model": "y"},
        {"run": "c", "best_error_rate": 0.3, "lr": None, "model": "x"},
        {"run": "d", "best_error_rate": None, "lr": 1.0, "model": "y"},
    ]
    drawn = parallel.lines(rows, ["lr", "model"])
    lr, model, rate = drawn["axes"]
    assert (lr.is_log, lr.lacks, model.lacks) == (True, True, False)
    assert [text for _, text in model.ticks] == ["x", "y"]
    assert lr.y(10**-1.5) == (lr.y(0.001) + lr.y(1.0)) / 2  # the middle of a scale of powers
    assert lr.y(None) > lr.y(0.001) > lr.y(1.0)
    assert rate.y(0.5) < rate.y(0.1)
    assert [each["title"] for each in drawn["lines"]] == ["a: 50.00 %", "c: 30.00 %", "b: 10.00 %"]
    assert [each["best"] for each in drawn["lines"]] == [False, False, True]
    assert (drawn["left"], drawn["lines"][0]["url"]) == (1, "/run?run=a")


def test_what_is_wrong_with_a_filter_is_said_beside_it_and_all_runs_stay(server: Server) -> None:
    for query, said in (
        ("where=bogus+%3E+1", "there is no column"),
        ("sort=bogus", "no column"),
        ("group=x", "no column"),
    ):
        answer = server.ask(f"/runs?{query}")
        assert (answer.status, said in answer.text, 'role="alert"' in answer.text) == (400, True, True)
        assert 'href="/run?run=cnn"' in answer.text


def test_a_page_that_looks_again_is_told_that_nothing_changed(server: Server) -> None:
    time.sleep(2.1)  # what has just been written may be written again within the same tick of the clock
    first = server.ask("/runs")
    again = server.ask("/runs", If_None_Match=first.header("etag"))
    assert (again.status, again.body) == (304, b"")
    assert server.ask("/runs?q=cnn", If_None_Match=first.header("etag")).status == 200
    record(server.store, "newcomer", {1: [("x", 0, 0)]})
    fresh = server.ask("/runs", If_None_Match=first.header("etag"))
    assert (fresh.status, "newcomer" in fresh.text) == (200, True)


def test_a_runs_page_keeps_its_tags_and_its_note(server: Server) -> None:
    sent = server.post("/remark", {"run": "cnn", "tags": "b, a,, b", "note": "<b>seen</b>\r\ntwice"})
    assert (sent.status, sent.header("location")) == (303, "/run?run=cnn")
    text = server.ask("/run?run=cnn").text
    assert ('value="a, b"' in text, "&lt;b&gt;seen&lt;/b&gt;\ntwice</textarea>" in text) == (True, True)
    server.post("/remark", {"run": "cnn", "tags": "a", "note": ""})
    assert [run["tags"] for run in server.ask("/runs.json?q=cnn").data["runs"] if run["name"] == "cnn"] == [["a"]]
    assert server.post("/remark", {"run": "nobody", "tags": "a", "note": ""}).status == 404
    assert server.post("/remark", {"run": "cnn", "tags": "x" * 61, "note": ""}).status == 400


def test_a_sparkline_is_of_error_rates_and_ends_at_the_last_epoch(sweep_store: Path) -> None:
    """So runs over few and over many examples share a scale."""
    [text] = texts(sweep_store, "/runs")
    assert "error rate by epoch, 0–99.5 %" in text
    [first] = re.findall(r'<polyline class="line" points="([^"]*)"', text)[:1]
    points = first.split()
    assert len(points) <= 102
    assert points[-1].startswith("100.0,")
