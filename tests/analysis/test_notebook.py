"""Answers as a notebook draws them: HTML that carries its images, and asks nothing of anyone."""

import base64
import io
import re
from html.parser import HTMLParser

import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from page import CAT, DOG, MOOD, SCRIPT, make_store
from PIL import Image

import secondguess as sg
from secondguess.analysis.notebook import html


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> sg.Connection:
    return sg.connect(make_store(tmp_path_factory.mktemp("notebook") / "predictions"))


class _Tags(HTMLParser):
    """The tags of a text with their attributes, and the words between them."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.words += [data.strip()] if data.strip() else []


def test_a_table_draws_its_images_and_its_scores(store: sg.Connection) -> None:
    table = store.table("cnn@3", where="guess <> truth")
    drawn = _Tags(table._repr_html_())
    sources = [attrs["src"] or "" for tag, attrs in drawn.tags if tag == "img"]
    pixels = [Image.open(io.BytesIO(base64.b64decode(text.partition("base64,")[2]))) for text in sources]
    assert [image.convert("L").getpixel((0, 0)) for image in pixels] == [0, 4, 8, 12, 16, 20]  # of rows 0 to 5
    assert sum(attrs.get("title") == SCRIPT for _, attrs in drawn.tags) >= 4  # two guesses, two truths, cut short
    assert {CAT, DOG, MOOD, "sunny"} <= set(drawn.words)
    assert sum(attrs.get("class") == "sc" for _, attrs in drawn.tags) == 18  # six rows of three scores


def test_it_needs_no_script_and_nothing_from_elsewhere(store: sg.Connection) -> None:
    text = store.table("cnn@3", "double@3", join="inner")._repr_html_()
    drawn = _Tags(text)
    assert "script" not in {tag for tag, _ in drawn.tags}
    assert not re.search(r"(src|href)=\"(?!data:)", text)
    assert not [attrs for _, attrs in drawn.tags if any(name.startswith("on") for name in attrs)]


def test_drawing_leaves_the_answers_columns_alone(store: sg.Connection) -> None:
    table = store.table("cnn@3", where="guess <> truth")
    before = table.columns
    table._repr_html_()
    assert table.columns == before
    assert "image" not in before
    assert table.fetchall()[0][before.index("guess")] == SCRIPT


def test_named_columns_are_drawn_and_no_others(store: sg.Connection) -> None:
    drawn = _Tags(store.table("cnn@3", columns="id, guess", limit=2)._repr_html_())
    assert sum(tag == "th" for tag, _ in drawn.tags) == 2
    assert not [tag for tag, _ in drawn.tags if tag == "img"]


def test_an_answer_is_drawn_as_the_page_draws_it(store: sg.Connection) -> None:
    asked = ("errors-by-guess", "cnn@3")
    drawn = _Tags(html(store.statement(*asked), store.ask(*asked)))
    # In the record's order.
    labels = {SCRIPT[:6] + "…" + SCRIPT[-5:], DOG, CAT}
    assert [word for word in drawn.words if word in labels] == [
        CAT,
        SCRIPT[:6] + "…" + SCRIPT[-5:],
        DOG,
    ]  # the record's order


def test_more_rows_than_are_drawn_are_said(store: sg.Connection) -> None:
    assert "The first 50 rows; there are more." in store.table("cnn@3")._repr_html_()


def test_outside_a_notebook_it_is_shown_as_text(store: sg.Connection, capfd: pytest.CaptureFixture[str]) -> None:
    store.table("cnn@3", columns="id, guess", where="id = 'r05'").show()
    assert "r05" in capfd.readouterr().out


def test_what_python_has_no_like_of_is_drawn_as_text(store: sg.Connection) -> None:
    answer = "SELECT DATE 'infinity' AS day, INTERVAL '14 months' AS span, DATE '2026-02-28' AS own"
    relation = store.sql(answer)
    words = _Tags(html(store.statement("errors", "cnn@3"), relation)).words
    assert [word for word in words if word in {"infinity", "1 year 2 months", "2026-02-28"}] == [
        *("infinity", "1 year 2 months", "2026-02-28")
    ]


def test_a_notebook_chooses_our_drawing_of_tables_answers_and_comparisons(store: sg.Connection) -> None:
    """The richest of what IPython offers a front end; of a relation DuckDB has HTML of its own."""
    from IPython.core.interactiveshell import InteractiveShell

    shell = InteractiveShell.instance()
    try:
        shown = [store.table("cnn@3"), store.ask("errors", "cnn@3"), store.compare("cnn@1", "cnn@3")]
        offered = [shell.display_formatter.format(each)[0] for each in shown]
    finally:
        InteractiveShell.clear_instance()
    table, answer, comparison = (each["text/html"] for each in offered)
    for drawn in (table, answer):
        assert drawn.startswith('<div class="secondguess">')
        assert "x89PNG" not in drawn
    assert "data:image/png;base64," in table
    assert comparison.startswith("<p><strong>")


def test_in_a_notebook_of_any_colour_letters_stand_on_their_own_ground(store: sg.Connection) -> None:
    """A dark notebook in a light system: our parts have the colours of both, a chart a white sheet."""
    drawing = store.chart("errors-over-time", "cnn", "double")._repr_mimebundle_()["image/svg+xml"]
    assert 'fill="white"' in drawing
    table = store.table("cnn@3", group="guess")._repr_mimebundle_()
    assert ":is(table, tr, td, th) { color: inherit; }" in table["text/html"]
    assert 'class="counts"' in table["text/html"]
    assert '<td class="counts"' not in table["text/html"], "a cell laid out as the line in it"


def test_the_words_of_a_table_leave_its_images_out(store: sg.Connection) -> None:
    view = store.table("cnn@3", columns="id, guess, image", limit=1)
    assert "PNG" in repr(view)
    assert "PNG" not in view._repr_mimebundle_()["text/plain"]


def test_other_libraries_make_their_own_tables_of_one(store: sg.Connection) -> None:
    table = store.table("cnn@3", columns=["id", "guess"], limit=2)
    rows = table.fetchall()
    assert pl.DataFrame(table).rows() == rows
    assert pa.table(table).to_pylist() == [dict(zip(("id", "guess"), row, strict=True)) for row in rows]
    assert list(table) == [dict(zip(("id", "guess"), row, strict=True)) for row in rows]
    pd.testing.assert_frame_equal(pd.DataFrame(table), table.df(), check_dtype=False)
    assert [tuple(row) for row in pd.DataFrame.from_arrow(table).itertuples(index=False)] == rows
    assert pl.DataFrame(store.ask("errors", "cnn@3")).height == len(store.ask("errors", "cnn@3").fetchall())
