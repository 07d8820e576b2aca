"""Each page once in Chromium, with script, in the fast tests; `test_browser` does all that a person can do on them."""

import pytest
from page import CAT, DOG, MOOD, NO_TRUTH, QUOTED, SCRIPT, Opened, Visit, table_url

pytest_plugins = ["page"]


@pytest.fixture
def seen(visit: Opened) -> Visit:
    return visit()


def words(seen: Visit, selector: str = "main") -> str:
    """What stands there, with a blank between any two words."""
    return " ".join(seen.page.inner_text(selector).split())


def test_runs_say_which_errs_least(seen: Visit) -> None:
    seen.open("/runs")
    assert words(seen, ".lead") == (
        "Of the 2 runs that saw the same examples double errs least: 4 of 60 wrong (6.67 %) after epoch 3. "
        "1 other saw other examples, so their counts are no match for these."
    )
    assert NO_TRUTH in seen.main()


def test_runs_together_have_a_chart_of_each_metric(seen: Visit) -> None:
    seen.open("/run?run=cnn&run=double")
    figures = seen.page.locator("figure.metric")
    assert [figure.locator("b").first.inner_text() for figure in figures.all()] == ["loss", "train_loss"]


def test_a_table_shows_its_first_fifty_rows_with_their_images(seen: Visit) -> None:
    seen.open(table_url("cnn@3"), until="load")
    assert (seen.lead(), seen.status()) == ("6 of 60 wrong", "1–50 of 60 rows")
    assert QUOTED in seen.page.locator("tbody tr").first.inner_text()
    assert MOOD in seen.page.locator("thead").inner_html()
    drawn = seen.page.eval_on_selector_all("tbody img", "images => images.map(image => image.naturalWidth)")
    assert drawn == [8] * 50


def test_a_join_says_what_it_matched_and_what_changed(seen: Visit) -> None:
    seen.open(table_url("cnn@3", "double@3", join="inner"))
    assert seen.lead() == "The guess differs on 8: 4 fixed, 2 broken, 2 wrong both times."
    assert "matched 60" in " ".join(seen.page.get_by_label("Join report").inner_text().split())


def test_groups_lead_to_their_rows(seen: Visit) -> None:
    seen.open(table_url("cnn@3", where="wrong", group="guess"))
    assert seen.page.locator("td[data-l='n']").all_inner_texts() == ["2", "2", "2"]
    seen.page.locator("tbody tr", has_text=DOG).first.locator("td[data-l='n'] a").click()
    assert seen.status() == "1–2 of 2 rows"


def test_a_filter_that_is_wrong_is_said_beside_it_with_a_caret(seen: Visit) -> None:
    seen.open(table_url("cnn@3", where="confidence > 0 AND guss = 'x'"), status=400)
    assert "there is no column 'guss' (did you mean guess?)" in seen.main()
    assert "                   ^^^^" in seen.page.inner_text("main pre")


def test_an_example_says_what_each_run_said_at_each_epoch(seen: Visit) -> None:
    seen.open(table_url("double@3", "cnn@3", path="/example", row="9"))  # cnn errs at epoch 1 alone, double at 1 and 2
    assert words(seen, ".lead") == f"Truth {CAT}. At the last epoch both runs say the same."
    lines = seen.page.locator("table.seqs tbody tr").all()
    assert [line.locator(".lab.wrong").count() for line in lines] == [2, 1]


def test_errors_by_guess_are_counted_on_both_sides_of_the_guess(seen: Visit) -> None:
    seen.open("/questions?q=errors-by-guess&t=cnn%403&t=double%403")
    assert seen.lead() == "cnn@3 makes 6 errors, double@3 4, of 60."
    lines = seen.page.locator("table.butterfly tbody tr").all()
    assert [line.locator("td.cnt").all_inner_texts() for line in lines] == [["2", "2"], ["2", "1"], ["2", "1"]]


def test_a_confusion_has_margins(seen: Visit) -> None:
    seen.open("/questions?q=confusion&t=cnn%403")
    lines = seen.page.locator("table.matrix tbody tr").all()
    assert [line.locator("td").all_inner_texts() for line in lines] == [
        ["18", "2", "0", "2", "20", "0.900"],
        ["0", "18", "2", "2", "20", "0.900"],
        ["2", "0", "18", "2", "20", "0.900"],
    ]


def test_sql_is_typed_and_run(seen: Visit) -> None:
    seen.open("/sql")
    seen.page.fill("textarea", 'SELECT guess, count(*) AS n FROM "cnn@3" WHERE wrong GROUP BY ALL ORDER BY ALL')
    seen.page.click("button:text-is('Run')")
    lines = seen.page.locator("table.preds tbody tr").all()
    assert [line.locator("td").last.inner_text() for line in lines] == ["2", "2", "2"]
    assert seen.page.get_by_title(SCRIPT).count() == 1
