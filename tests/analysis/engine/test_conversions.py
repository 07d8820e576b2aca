"""A value that is not of the kind it is compared with: said in words, with what the column holds."""

from pathlib import Path

import pytest
from page import Server, table_url
from recording import record

from secondguess.analysis.engine import duck
from secondguess.analysis.errors import SecondguessError
from secondguess.analysis.tables import select
from secondguess.analysis.tables.view import TableView

pytest_plugins = ["page"]

SAID = {
    "guess = 'seven'": "'seven' is not a whole number: the column guess holds whole numbers",
    "truth IS NOT DISTINCT FROM 'seven'": "'seven' is not a whole number: the column truth holds whole numbers",
    "confidence>'high'": "'high' is not a number: the column confidence holds numbers",
    "\"guess\" IN (1, 'two')": "'two' is not a whole number: the column \"guess\" holds whole numbers",
    "guess NOT BETWEEN 'a' AND 3": "'a' is not a whole number: the column guess holds whole numbers",
    "guess + 'one' = 2": "'one' is not a whole number, which it is used as here",
    "yes = 'maybe'": "'maybe' is not true or false: the column yes holds true and false",
    "tags <> 'it''s'": "'it''s' is not a list: the column tags holds lists; write list_contains(tags, 'it''s')",
    "'x' = tags": "'x' is not a list; write list_contains(…, 'x')",
    "guess = id": "'a' is not a whole number, when casting from source column id",
}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("store")
    record(
        path,
        "cnn",
        {1: [("a", 0, [0.9, 0.1]), ("b", 1, [0.4, 0.6])]},
        columns={"yes": [True, False], "tags": [["x"], ["y", "z"]]},
    )
    return path


@pytest.mark.parametrize("text", SAID)
def test_a_value_of_another_kind_is_said_in_words(store: Path, text: str) -> None:
    view = TableView(("cnn",), where=(text,))
    with (
        pytest.raises(SecondguessError) as said,
        duck.answered(lambda con: select.statement(con, store, view), duck.rows),
    ):
        pass
    assert str(said.value) == SAID[text]


@pytest.mark.parametrize(
    ("where", "left"),
    [
        (["dog = 1", "wrong"], 6),
        (["confidence > 'high'", "guess = 7"], 60),
        (["epoch = 'x'", "confidence > 'high'", "wrong"], 6),
        (["list_element([1], 'x'::INT) = 1", "wrong"], 6),
        (["guess = (SELECT 1, 2)", "wrong"], 6),
    ],
)
def test_the_table_stays_whatever_filters_are_wrong(server: Server, where: list[str], left: int) -> None:
    answer = server.ask(table_url("cnn@3", where=where))
    assert (answer.status, "This filter cannot be read" in answer.text) == (400, True)
    assert f"<b>{left}</b> rows" in answer.text


def test_a_filter_in_wandbs_language_is_translated(server: Server) -> None:
    answer = server.ask(table_url("cnn@3", where='row["guess"] != row["truth"] && row["confidence"] > 0.5'))
    assert (answer.status, "<b>60</b> rows" in answer.text) == (400, True)
    url = answer.text.partition('<p><a href="')[2].partition('"')[0].replace("&amp;", "&")
    assert "Filter by it in SQL" in answer.text
    mended = server.ask(url)
    assert (mended.status, "<b>5</b> rows" in mended.text) == (200, True)  # of the six wrong ones all but row 0, of 0.5
    misread = server.ask(table_url("cnn@3", where='row["gues"] != 1')).text
    assert "did you mean guess?" in misread
