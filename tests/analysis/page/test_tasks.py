"""Pages of tables with several labels a row and with numbers: nothing is called wrong that is not."""

import json
import re
from pathlib import Path

import pytest
from page_in_process import texts
from recording import record_prices, record_tags

from secondguess.analysis.cli import main


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tasks")
    record_tags(folder)
    record_prices(folder)
    return folder


def plain(html: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", html))


def test_a_run_offers_the_questions_of_its_kind(store: Path) -> None:
    tags, price = texts(store, "/run?run=tags", "/run?run=price")
    assert re.findall(r'class="button" href="/questions\?q=([a-z-]+)&amp;', tags) == [
        *("errors-over-time", "multi-label", "errors-by-label", "labels"),
    ]
    assert re.findall(r'class="button" href="/questions\?q=([a-z-]+)&amp;', price) == [
        "regression",
        "residuals",
        "worst",
    ]
    assert "no classes" in plain(price)


def test_labels_of_a_row_are_one_cell_that_is_right_or_wrong(store: Path) -> None:
    (page,) = texts(store, "/table?t=tags@1")
    assert "3 of 4 wrong" in plain(page)
    assert len(re.findall(r'class="lab[^"]* wrong"[^>]*>[^<]', page)) >= 3
    assert "cat, dog" in page
    assert "[]" in page


def test_a_number_is_neither_right_nor_wrong(store: Path) -> None:
    page, joined, example, data = texts(
        store,
        "/table?t=price@1",
        "/table?t=price@1&t=price@2&join=inner",
        "/example?t=price@1&row=0",
        "/table.json?t=price@1&where=guess+%3E+2",
    )
    for each in (page, joined, example):
        assert not re.search(r'class="lab[^"]*(wrong|right)"[^>]*>[0-9]', each)
        assert "only the wrong ones" not in each
    assert "fixed" not in plain(joined).partition("matched")[0]
    assert "of which none is right or wrong" in plain(example)
    assert [row["guess"] for row in json.loads(data)["panels"][0]["rows"]] == [3.0, 2.5]


def test_signs_of_right_and_wrong_are_explained_where_there_are_some(store: Path, tmp_path: Path) -> None:
    """Whether an answer in words is right a column says, so it is not drawn as right or wrong by its truth."""
    (tmp_path / "answers.csv").write_text("id,guess,truth,right\na,It is 4,4,true\nb,Lyon,Paris,false\n")
    main(
        ["import", str(tmp_path / "answers.csv"), "--right", "right", "--run", "words", "--store", str(tmp_path / "s")]
    )
    (words,), (tags,) = texts(tmp_path / "s", "/table?t=words"), texts(store, "/table?t=tags@1")
    assert "1 of 2 wrong" in plain(words)
    assert "9 wrong 4 right" not in plain(words)
    assert "9 wrong 4 right" in plain(tags)


def test_heads_of_lists_and_of_numbers(store: Path) -> None:
    values, bins = texts(
        store, "/head.json?t=tags@1&column=truth&show=values", "/head.json?t=price@1&column=guess&show=bins"
    )
    counts = {json.dumps(each["value"]): each["rows"] for each in json.loads(values)["values"]}
    assert counts == {'["cat", "dog"]': 1, "[]": 1, '["dog"]': 1, '["fish"]': 1, "null": 1}
    assert sum(each["rows"] for each in json.loads(bins)["bins"]) == 4
