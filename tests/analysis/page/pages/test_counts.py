"""Every number that leads to rows leads to as many, also where guesses are missing."""

import re
from collections.abc import Iterator
from html import unescape

import pytest
from page import Server, serving, table_url
from recording import record

pytest_plugins = ["page"]

TRUTH = [0, 1, 0, None, 1, 2, 2]
GUESSES = {"a": [0, None, 1, None, 1, None, 0], "b": [None, None, 1, 2, 1, 0, 1]}
# By hand: of a, rows b c f g are wrong, of b rows a b c f g; d is unlabelled. The guesses differ in a, d, f and g.
WRONG, DIFFER = {"a": 4, "b": 5}, 4


@pytest.fixture(scope="module")
def gaps(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A page of two tables in which guesses and a truth are missing."""
    store = tmp_path_factory.mktemp("gaps") / "predictions"
    for run, guesses in GUESSES.items():
        record(store, run, {1: list(zip("abcdefg", TRUTH, guesses, strict=True))})
    with serving(store, tmp_path_factory.mktemp("log") / "stderr") as server:
        yield server


def total(server: Server, url: str) -> int:
    panels = server.ask(unescape(url).replace("/table?", "/table.json?")).data["panels"]
    return int(panels[0]["total"])


@pytest.mark.parametrize("run", GUESSES)
def test_the_errors_in_the_headline_are_those_of_the_link(gaps: Server, run: str) -> None:
    text = gaps.ask(table_url(f"{run}@1")).text
    assert f"<b>{WRONG[run]}</b> of 6 wrong" in " ".join(text.split())
    (url,) = re.findall(r'<a href="([^"]*)">only the wrong ones', text)
    assert total(gaps, url) == WRONG[run]


@pytest.mark.parametrize("join", ["inner", "outer"])
def test_the_guesses_that_differ_are_those_of_the_link(gaps: Server, join: str) -> None:
    text = gaps.ask(table_url("a@1", "b@1", join=join)).text
    assert f"The guess differs on <b>{DIFFER}</b>" in " ".join(text.split())
    (url,) = re.findall(r'<a href="([^"]*)">only where the guesses differ', text)
    assert total(gaps, url) == DIFFER


PAGES = {
    "groups": table_url("a@1", group="guess"),
    "groups of a join": table_url("a@1", "b@1", join="inner", group="guess_a"),
    "groups of two columns of a join": table_url("a@1", "b@1", join="outer", group="guess_b,truth_a"),
    "confusion": "/questions?q=confusion&t=a%401&t=b%401",
    "errors by guess": "/questions?q=errors-by-guess&t=a%401&t=b%401",
}


@pytest.mark.parametrize("case", PAGES)
def test_a_number_leads_to_as_many_rows(gaps: Server, case: str) -> None:
    answer = gaps.ask(PAGES[case])
    counts = re.findall(r'<a href="(/table\?[^"]*)"(?: title="[^"]*")?>(?:<b>)?(\d+)(?:</b>)?</a>', answer.text)
    if case.startswith("groups"):
        counts = re.findall(r'data-l="n">\s*<a href="(/table\?[^"]*)">(\d+)</a>', answer.text)
    assert len(counts) >= 3
    assert [(url, total(gaps, url)) for url, _ in counts] == [(url, int(count)) for url, count in counts]
