"""The page that compares two tables: its numbers are those of `secondguess compare`, and each leads to its rows."""

import json
import re
from html import unescape
from pathlib import Path

import pytest
from page_in_process import texts
from recording import record
from starlette.datastructures import QueryParams

import secondguess as sg
from secondguess.analysis.page import urls

# By hand, of two classes and 20 examples: 8 right both times, 6 fixed, 1 broken, 3 wrong twice as the same class, 1 as
# two, one whose truth differs.
A = [*[0] * 8, *[1] * 6, 0, *[1] * 3, 1, 0]
B = [*[0] * 8, *[0] * 6, 1, *[1] * 3, 2, 0]
IDS = [f"x{i:02d}" for i in range(20)]


@pytest.fixture(scope="module")
def store(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("store")
    record(path, "one", {1: [(name, 0, guess) for name, guess in zip(IDS, A, strict=True)]})
    truths = [*[0] * 19, 1]
    record(path, "two", {2: list(zip(IDS, truths, B, strict=True))})
    record(path, "two-b", {2: [(name, 0, guess) for name, guess in zip(IDS, A, strict=True)]})
    long = "a class whose name is very long <b>indeed</b>"
    for run, guess in (("long", long), ("other", "dog")):
        record(path, run, {1: [(f"y{i}", long, guess) for i in range(9)]})
    return path


@pytest.fixture(scope="module")
def page(store: Path) -> str:
    return texts(store, "/compare?t=one&t=two")[0]


def words(page: str) -> str:
    return unescape(" ".join(re.sub("<[^>]+>", " ", page).split()))


def rows(store: Path, page: str, label: str) -> list[str]:
    """The ids of the rows that the link with this label, or this title, leads to."""
    links = re.findall(r'<a href="(/table\?[^"]+)"([^>]*)>(.*?)</a>', page, re.S)
    url = unescape(next(url for url, title, text in links if label in text or f'title="{label}"' in title))
    view = urls.read_table(QueryParams(url.partition("?")[2]))
    found = sg.connect(store).table(*view.tables, join=view.join, where=view.where)
    return sorted(row[found.columns.index("id")] for row in found.fetchall())


@pytest.mark.parametrize(
    ("label", "ids"),
    [
        ("<span>both right</span>", IDS[:8]),
        ("<span>fixed</span>", IDS[8:14]),
        ("<span>broken</span>", IDS[14:15]),
        ("<span>both wrong</span>", IDS[15:19]),
        ("wrong twice, one guess", IDS[15:18]),
        ("wrong twice, two guesses", IDS[18:19]),
    ],
)
def test_each_count_leads_to_its_rows(store: Path, page: str, label: str, ids: list[str]) -> None:
    assert rows(store, page, label) == ids


# Of 19 of truth 0, in one: 9 right, 10 taken for 1; in two: 14 right, 4 taken for 1, one for 2.
@pytest.mark.parametrize(
    ("title", "text", "ids"),
    [
        ("truth 0, guess 0, right", "+5", IDS[8:15]),
        ("truth 0, guess 1: 10 and 4", "−6", [*IDS[8:14], *IDS[14:19]]),
        ("truth 0, guess 2: 0 and 1", "+1", IDS[18:19]),
    ],
)
def test_each_cell_of_the_confusions_change_is_signed_and_leads_to_its_rows(store, page, title, text, ids) -> None:
    cell = re.search(f'title="{title}">([^<]*)<', page)
    assert cell is not None, re.findall('title="(truth[^"]+)', page)
    assert cell[1] == text
    assert rows(store, page, title) == ids


def test_examples_without_images_are_named_and_lead_to_their_pages(store: Path, page: str) -> None:
    url = next(url for url in re.findall(r'href="(/example\?[^"]+)" title="x14"', page))
    assert "x14" in words(texts(store, unescape(url))[0])


def test_seeds_are_said_where_they_are_named(store: Path, page: str) -> None:
    assert "One training run each: seeds may differ by more." in words(page)
    (seeded,) = texts(store, "/compare?t=one&t=two&floor=two*")
    # Eight of the 19 that are labelled alike.
    assert "seeds alone change 42.11 % of the guesses" in words(seeded)
    assert "One training run each" not in words(seeded)


def test_its_json_is_the_commands(store: Path) -> None:
    (found,) = texts(store, "/compare.json?t=one&t=two")
    assert json.loads(found) == json.loads(sg.connect(store).compare("one", "two").to_json())


def test_the_form_of_all_runs_leads_here(store: Path) -> None:
    (runs,) = texts(store, "/runs")
    assert '<form action="/chosen">' in runs
    assert 'value="compare">Compare</button>' in runs
    (empty,) = texts(store, "/compare?t=one")
    assert 'value="one"' in empty


def test_names_are_text_and_cut_where_they_are_long(store: Path) -> None:
    (page,) = texts(store, "/compare?t=long&t=other")
    assert "<b>indeed" not in page
    assert "long@1 errs less." in words(page)
