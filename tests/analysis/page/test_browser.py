"""The page in Chromium, by clicking and typing as a person does; the numbers are those of the rows in page.py."""

import csv
import io
import json
import re
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from page import (
    CAT,
    CLASSES,
    DOG,
    MARKUP,
    MOOD,
    NO_TRUTH,
    QUOTED,
    REVIEWS,
    SCRIPT,
    Opened,
    Server,
    Visit,
    add_epoch,
    resting,
    table_url,
)
from waiting import until

from secondguess.analysis.tables import saved
from secondguess.trainer.recorder import Recorder

pytest_plugins = ["page"]
pytestmark = pytest.mark.slow

WAYS = {
    "wide": (1280, True),
    "wide, no script": (1280, False),
    "narrow": (390, True),
    "narrow, no script": (390, False),
}
CNN = table_url("cnn@3")
JOINED = table_url("cnn@3", "double@3", join="inner")


@pytest.fixture(params=["wide", "narrow, no script"])
def seen(request: pytest.FixtureRequest, visit: Opened) -> Visit:
    """The page as most see it, and as the one who has least."""
    width, script = WAYS[request.param]
    return visit(width, script)


PAGES = {
    "runs": "/runs",
    "run": "/run?run=cnn",
    "check": "/check",
    "runs together": "/run?run=cnn&run=double",
    "a run without truth": "/run?run=no+truth+%26+%3Cb%3E",
    "tables": "/table",
    "table": CNN,
    "stack": table_url("cnn@3", "double@3"),
    "join": JOINED,
    "outer join": table_url("cnn@1", "cnn@3", join="outer"),
    "side by side": table_url("cnn@3", "double@3", side="1"),
    "groups": table_url("cnn@3", group="guess"),
    "groups of a join": table_url("cnn@3", "double@3", join="inner", group="guess_a,guess_b"),
    "large rows": table_url("cnn@3", size="large"),
    "nothing found": table_url("cnn@3", where="guess = 'cat'"),
    "three tables": table_url("cnn@1", "cnn@2", "cnn@3", join="inner"),
    "all epochs": table_url("cnn@all"),
    "no truth": table_url(f"{NO_TRUTH}@1"),
    "texts": table_url("reviews/reviews@1"),
    "pictures": table_url("media/media@1"),
    "example": table_url("cnn@3", path="/example", row="0"),
    "text example": table_url("reviews/reviews@1", path="/example", row="1"),
    "questions": "/questions",
    "confusion": "/questions?q=confusion&t=cnn%403&t=double%403",
    "errors by guess": "/questions?q=errors-by-guess&t=cnn%403&t=double%403",
    "errors over time": "/questions?q=errors-over-time&t=cnn&t=double",
    "disagreements": "/questions?q=disagreements&t=cnn%403&t=double%403",
    "errors": "/questions?q=errors&t=cnn%403",
    "question without tables": "/questions?q=errors",
    "sql": "/sql",
    "help": "/help",
}


def chips(seen: Visit) -> list[str]:
    """What is filtered and computed, each without the sign that takes it away."""
    return [re.split(r"\n|\W$", text.strip())[0].strip() for text in seen.page.locator(".chip").all_inner_texts()]


@pytest.fixture(scope="module")
def too_wide() -> dict[int, set[str]]:
    """The pages that scroll sideways, by width; filled by the test that opens them all."""
    return {1280: set(), 390: set()}


@pytest.mark.parametrize("script", [True, False])
def test_no_page_says_an_error(visit: Opened, too_wide: dict[int, set[str]], script: bool) -> None:
    """Nor asks for anything elsewhere, nor shows a dialog: the fixture looks at that."""
    seen = visit(1280, script)
    for name, path in PAGES.items():
        seen.page.set_viewport_size({"width": 1280, "height": 900})
        seen.open(path, until="load")  # before its style has come it is wider
        assert seen.main().strip(), name
        for width, found in too_wide.items():
            seen.page.set_viewport_size({"width": width, "height": 900})
            if seen.wide():
                found.add(name)


@pytest.mark.parametrize(
    "width",
    [
        1280,
        390,
    ],
)
def test_no_page_scrolls_sideways(too_wide: dict[int, set[str]], width: int) -> None:
    assert too_wide[width] == set()


@pytest.mark.parametrize("way", ["wide", "narrow, no script"])
def test_an_error_is_a_page_that_leads_on(visit: Opened, way: str) -> None:
    seen = visit(*WAYS[way])
    for path, status, said in (
        ("/run?run=nobody", 404, "no run named 'nobody'; the store has: cnn, double"),
        ("/table?t=cnn%4099", 404, "99"),
        ("/nothing", 404, "There is no page at this address"),
        ("/table?t=cnn%403&where=guess+%3D", 400, "This filter cannot be read"),
    ):
        seen.open(path, status)
        assert said in seen.main()
        assert not seen.wide()
    seen.expected = 0
    seen.page.click("nav >> text=Runs")
    assert seen.page.url.endswith("/runs")


class TestRuns:
    """All runs, and the way to compare two."""

    @pytest.fixture(autouse=True)
    def at_the_runs(self, seen: Visit) -> None:
        seen.open("/runs")

    def test_each_is_there_with_what_it_errs(self, seen: Visit) -> None:
        assert " ".join(seen.lead().split()) == (
            "Of the 2 runs that saw the same examples double errs least: 4 of 60 wrong (6.67 %) after epoch 3. "
            "1 other saw other examples, so their counts are no match for these."
        )
        rows = seen.page.locator("table.runs tbody tr")
        assert rows.count() >= 5
        first = " ".join(rows.nth(0).inner_text().split())
        assert "cnn finished" in first
        assert "10.00 %" in first  # 6 of 60
        assert "10.00 % @3" in first
        assert "6.67 % @3" in rows.nth(1).inner_text()
        assert NO_TRUTH in rows.nth(2).inner_text()
        assert rows.nth(0).locator("svg").get_attribute("aria-label") == "error rate by epoch, last 10.00 %"
        assert "Same in every run" not in seen.main()  # the last three have no config

    def test_config_that_differs_from_the_first_runs_is_bold(self, seen: Visit) -> None:
        assert seen.page.locator("table.runs tbody tr").nth(1).locator("td.differs").all_inner_texts() == ["16"]

    @pytest.mark.parametrize(("button", "status"), [("Stacked", "1–50 of 122 rows"), ("Joined", "No rows")])
    def test_more_than_two_are_chosen(self, seen: Visit, button: str, status: str) -> None:
        """Two of 60 rows and one of 2, whose ids are others."""
        seen.page.get_by_label("double first").check()
        seen.page.get_by_label("cnn second").check()
        seen.page.get_by_label(f"{NO_TRUTH} too").check()
        seen.page.click(f"button:text-is('{button}')")
        assert re.search(r"t=double%40last&t=cnn%40last&t=no\+truth", seen.page.url)
        assert status in seen.main()

    def test_errors_of_several_are_drawn_over_time(self, seen: Visit) -> None:
        seen.page.get_by_label("double first").check()
        seen.page.get_by_label("cnn second").check()
        seen.page.click("button:text-is('Errors over time')")
        assert seen.status() == "6 rows"
        assert seen.page.locator("figure.chart svg a").count() == 6

    @pytest.mark.parametrize(
        ("button", "said"),
        [
            ("Disagreements", "The guess differs on 8: 4 fixed, 2 broken, 2 wrong both times."),
            ("Errors by guess", "cnn@last makes 6 errors, double@last 4, of 60."),
            ("Side by side", "cnn@last 6 of 60 wrong; double@last 4 of 60 wrong"),
            ("Curves", "least errors 6 of 60 at epoch 3."),
        ],
    )
    def test_two_are_compared(self, seen: Visit, button: str, said: str) -> None:
        seen.page.get_by_label("cnn first").check()
        seen.page.get_by_label("double second").check()
        seen.page.click(f"button:text('{button}')")
        lead = " ".join(seen.lead().split())
        assert said in lead.replace("@3", "@last") or said in lead

    def test_two_chosen_runs_lead_to_their_comparison(self, seen: Visit) -> None:
        seen.page.get_by_label("cnn first").check()
        seen.page.get_by_label("double second").check()
        seen.page.click("button:text-is('Compare')")
        verdict = "these 60 examples cannot tell cnn@3 and double@3 apart"
        assert seen.page.inner_text(".verdict").startswith(verdict)
        assert seen.page.locator("ul.flipped img").count() == 6  # 2 broken, 4 fixed
        seen.page.locator(".flip a", has_text="broken").click()
        assert seen.status() == "1–2 of 2 rows"

    def test_a_run_leads_to_its_epochs_and_their_errors(self, seen: Visit) -> None:
        seen.page.locator("table.runs").get_by_role("link", name="cnn", exact=True).click()
        assert "least errors 6 of 60 at epoch 3" in seen.lead()
        assert "train_loss" in seen.main()
        cells = [row.inner_text().split() for row in seen.page.locator("tbody").first.locator("tr").all()]
        assert cells == [["1", "60", "12"], ["2", "60", "9"], ["3", "60", "6"]]
        seen.page.locator("tbody").first.get_by_text("12", exact=True).click()
        assert seen.status() == "1–12 of 12 rows"

    def test_where_to_begin_leads_to_the_comparisons(self, seen: Visit) -> None:
        # cnn@1 and cnn@3 differ on rows 6 to 11, which became right.
        assert [" ".join(row.inner_text().split()) for row in seen.page.locator("table.starts tr").all()] == [
            "Where two epochs disagree cnn@1 cnn@3 6 guesses differ",
            "Wrong, epoch beside epoch cnn@1 cnn@3 12 → 6 errors of 60",
            "Errors by guess, two models double@3 cnn@3 4 : 6 errors of 60",
        ]
        seen.page.click("text=Where two epochs disagree")
        assert "The guess differs on 6: 6 fixed, 0 broken, 0 wrong both times." in seen.lead()
        seen.page.go_back()
        seen.page.click("text=Wrong, epoch beside epoch")
        assert [" ".join(text.split()) for text in seen.page.locator("h2").all_inner_texts()] == [
            "cnn@1 12 rows",
            "cnn@3 6 rows",
        ]


class TestRun:
    """One run, or several together."""

    def test_each_metric_is_a_chart_with_a_line_per_run(self, seen: Visit) -> None:
        seen.open("/run?run=cnn&run=double")
        figures = seen.page.locator("figure.metric")
        assert [figure.locator("b").first.inner_text() for figure in figures.all()] == ["loss", "train_loss"]
        said = " ".join(figures.nth(1).locator("figcaption").inner_text().split())
        assert said == "train_loss cnn last 0.6667 double last 0.6667 6 values"  # 2 / 3
        assert "epoch" in figures.nth(1).locator("svg text").all_text_contents()

    def test_tables_of_several_stand_side_by_side(self, seen: Visit) -> None:
        seen.open("/run?run=cnn&run=double")
        rows = seen.page.locator("tbody").first.locator("tr")
        assert [row.inner_text().split() for row in rows.all()] == [
            ["1", "60", "12", "60", "10"],
            ["2", "60", "9", "60", "8"],
            ["3", "60", "6", "60", "4"],
        ]
        rows.nth(1).get_by_text("8", exact=True).click()
        assert seen.status() == "1–8 of 8 rows"

    def test_what_differs_stands_first_and_bold_and_where_it_comes_from_last(self, seen: Visit) -> None:
        seen.open("/run?run=cnn&run=double")
        config, origin = (seen.page.locator("table.settings").nth(place) for place in (0, 1))
        assert [row.inner_text().split() for row in config.locator("tbody tr").all()] == [
            ["size", "8", "16"],
            ["seed", "0", "0"],
        ]
        assert config.locator("td.differs").all_inner_texts() == ["16"]
        assert {"python", "numpy", "size on disk"} <= set(origin.locator("tbody th").all_inner_texts())

    @pytest.mark.parametrize("name", ["Errors over time", "Errors by guess", "Confusion"])
    def test_it_leads_to_its_questions(self, seen: Visit, name: str) -> None:
        seen.open("/run?run=cnn")
        seen.page.get_by_role("link", name=name, exact=True).click()
        assert seen.page.inner_text("h1").startswith(name)
        assert seen.page.locator("[role=alert]").count() == 0


class TestTable:
    """One table."""

    def test_every_value_is_shown_as_text(self, seen: Visit) -> None:
        seen.open(CNN)
        first = seen.page.locator("tbody tr").first.inner_text()
        for text in (QUOTED, CAT, SCRIPT, MARKUP, "sunny"):
            assert text in first
        assert MOOD in seen.page.locator("thead").inner_html()
        assert seen.lead() == "6 of 60 wrong"
        assert seen.status() == "1–50 of 60 rows"

    def test_images_are_drawn(self, seen: Visit) -> None:
        seen.open(CNN, until="load")
        widths = seen.page.eval_on_selector_all("tbody img", "images => images.map(image => image.naturalWidth)")
        assert widths == [8] * 50

    def test_pages_follow_each_other(self, seen: Visit) -> None:
        seen.open(CNN)
        seen.page.click("a[rel=next]")
        assert seen.status() == "51–60 of 60 rows"
        assert seen.page.locator("tbody tr").count() == 10
        assert seen.page.locator("tbody tr").first.inner_text().startswith("r50")
        seen.page.click("a[rel=prev]")
        assert seen.status() == "1–50 of 60 rows"

    def test_a_filter_is_typed_and_taken_away(self, seen: Visit) -> None:
        seen.open(CNN)
        seen.page.click("text=only the wrong ones")
        assert seen.status() == "1–6 of 6 rows"
        seen.page.fill("#filter", f"truth = '{CAT}'")
        seen.page.press("#filter", "Enter")
        assert seen.status() == "1–2 of 2 rows"  # rows 0 and 3
        assert chips(seen) == ["wrong", f"truth = '{CAT}'"]
        seen.page.locator(".chip").first.get_by_label("Remove this filter").click()
        assert seen.status() == "1–20 of 20 rows"
        seen.page.get_by_label("Remove this filter").click()
        assert seen.status() == "1–50 of 60 rows"

    def test_a_filter_that_is_wrong_is_said_beside_it(self, seen: Visit) -> None:
        seen.open(CNN)
        seen.expected = 400
        seen.page.fill("#filter", "guss = 1")
        seen.page.click("button:text-is('Filter')")
        assert "guss" in seen.page.inner_text("#error")
        assert "guess" in seen.page.inner_text("#error")
        assert seen.page.locator("[aria-invalid=true]").count() == 1
        seen.expected = 0
        seen.page.fill("#filter", "")
        seen.page.click("button:text-is('Filter')")
        assert seen.status() == "1–50 of 60 rows"

    def test_where_nothing_is_found_it_says_which_filter_to_leave_out(self, seen: Visit) -> None:
        seen.open(table_url("cnn@3", where=["guess <> truth", "id = 'r59'"]))
        assert "No rows" in seen.main()
        seen.page.locator("li", has_text="guess <> truth").get_by_text("Leave out").click()
        assert seen.status() == "1–1 of 1 rows"

    @pytest.mark.parametrize(
        ("head", "value", "only", "without"),
        [
            ("truth", SCRIPT, 20, 40),
            ("guess", CAT, 20, 40),  # 18 of its own, and rows 2 and 5
            ("note", MARKUP, 1, 59),
            (MOOD, "rainy", 30, 30),
        ],
    )
    def test_a_cell_is_only_this_or_not_this(self, seen: Visit, head: str, value: str, only: int, without: int) -> None:
        cells = seen.page.locator(f"td[data-l='{head}'] .act", has_text=value)
        for sign, rows in (("only this", only), ("exclude", without)):
            seen.open(CNN)
            cells.first.hover()
            cells.first.get_by_title(sign).click()
            assert seen.status() == f"1–{min(rows, 50)} of {rows} rows"
            shown = set(seen.page.locator(f"td[data-l='{head}'] .act a[title='only this']").all_inner_texts())
            assert (shown == {value}) if sign == "only this" else (value not in shown)

    def test_no_value_is_only_this_too(self, seen: Visit) -> None:
        """A cell without a value is one that can be asked for: the rows that have none."""
        seen.open(table_url("cnn@3", where="note IS NOT DISTINCT FROM NULL"))
        assert seen.status() == "1–50 of 59 rows"

    def test_an_id_with_quotes_leads_to_its_example_and_back(self, seen: Visit) -> None:
        seen.open(CNN)
        seen.page.get_by_role("link", name=QUOTED, exact=True).click()
        assert seen.page.inner_text("h1") == f"Example {QUOTED}"
        assert seen.lead().startswith(f"Truth {CAT}.")
        seen.page.wait_for_load_state("load")
        assert seen.page.eval_on_selector(".example img", "image => image.naturalWidth") == 8
        seen.page.click(".crumbs a:not([rel])")
        assert seen.status() == "1–50 of 60 rows"

    def test_groups_are_chosen_from_a_menu_and_lead_to_their_rows(self, seen: Visit) -> None:
        seen.open(table_url("cnn@3", where="guess <> truth"))
        seen.page.click("summary:text-is('Group by')")
        seen.page.locator("details[open]").get_by_role("link", name="guess", exact=True).click()
        assert seen.status() == "1–3 of 3 groups"
        assert seen.page.locator("td[data-l='n']").all_inner_texts() == ["2", "2", "2"]
        seen.page.locator("tbody tr", has_text=DOG).first.locator("td[data-l='n'] a").click()
        assert seen.status() == "1–2 of 2 rows"

    def test_groups_are_typed_too(self, seen: Visit) -> None:
        seen.open(table_url("cnn@3", where="guess <> truth"))
        seen.page.click("summary:text-is('Group by')")
        seen.page.fill("details[open] input[name=group]", "truth, guess")
        seen.page.click("details[open] button:text('Group')")
        assert seen.status() == "1–3 of 3 groups"
        seen.page.click("summary:text('Grouped by truth, guess')")
        seen.page.click("text=no groups")
        assert seen.status() == "1–6 of 6 rows"

    def test_a_column_is_computed_and_taken_away(self, seen: Visit) -> None:
        seen.open(CNN)
        seen.page.click("summary:text-is('New column')")
        seen.page.fill("input[name=add]", "margin = confidence * 2")
        seen.page.click("details[open] button:text-is('Add')")
        assert seen.page.locator("td[data-l='margin']").first.inner_text() == "1.0000"  # .5 twice
        assert chips(seen) == ["margin = confidence * 2"]
        seen.page.get_by_label("Remove this column").click()
        assert seen.page.locator("td[data-l='margin']").count() == 0

    def test_columns_are_chosen(self, seen: Visit) -> None:
        seen.open(CNN)
        seen.page.click("summary:text('Columns')")
        boxes = seen.page.locator("details[open] input[type=checkbox]")
        kept = {"id", "guess", MOOD}
        for box in boxes.all():
            if box.get_attribute("value") not in kept:
                box.uncheck()
        seen.page.click("details[open] button:text('Apply')")
        assert seen.page.locator("tbody tr").first.locator("td").count() == 2  # besides the id, which is its head
        seen.page.click("summary:text('Columns')")
        seen.page.click("text=the usual ones")
        assert seen.page.locator("tbody tr").first.locator("td").count() > 5

    def test_another_column_is_typed(self, seen: Visit) -> None:
        seen.open(CNN)
        seen.page.click("summary:text('Columns')")
        seen.page.fill("details[open] input[name=c][type=text]", "epoch")
        seen.page.click("details[open] button:text('Apply')")
        assert seen.page.locator("td[data-l='epoch']").first.inner_text() == "3"

    def test_images_are_made_larger(self, seen: Visit) -> None:
        seen.open(CNN)
        for size, width in (("large images", "80"), ("middle images", "40"), ("small images", "28")):
            seen.page.click("summary:text-is('Rows')")
            seen.page.click(f"text={size}")
            assert seen.page.locator("tbody img").first.get_attribute("width") == width

    def test_the_size_of_rows_stays_with_the_next_click(self, seen: Visit) -> None:
        seen.open(table_url("cnn@3", size="large"))
        seen.page.click("a[rel=next]")
        assert seen.page.locator("tbody img").first.get_attribute("width") == "80"

    def test_epochs_are_links(self, seen: Visit) -> None:
        seen.open(CNN)
        steps = seen.page.get_by_role("group", name="Epoch of cnn@3")
        assert steps.locator("[aria-current]").all_inner_texts() == ["3"]
        steps.get_by_role("link", name="1", exact=True).click()
        assert seen.lead() == "12 of 60 wrong"

    def test_a_text_is_shown_as_text(self, seen: Visit) -> None:
        seen.open(table_url("reviews/reviews@1"))
        for text in REVIEWS.values():
            assert text in seen.main()
        seen.page.get_by_role("link", name="r1", exact=True).click()
        assert seen.page.inner_text("blockquote") == REVIEWS["r1"]

    def test_a_table_without_truth_says_so(self, seen: Visit) -> None:
        seen.open("/runs")
        seen.page.click("text=Tables")
        row = seen.page.locator("tr", has_text=NO_TRUTH)
        assert "no truth" in row.inner_text()
        row.get_by_role("link").first.click()
        assert seen.lead() == "2 rows, without truth"

    def test_everything_is_undone(self, seen: Visit) -> None:
        seen.open(table_url("cnn@3", where="guess <> truth", group="guess", sort="-n"))
        seen.page.click("text=Reset")
        assert seen.status() == "1–50 of 60 rows"


class TestHeads:
    """A column's head."""

    def test_it_sorts(self, visit: Opened) -> None:
        """Numbers first from the largest on, then from the smallest."""
        seen = visit()
        seen.open(CNN)
        first = seen.page.locator("tbody tr").first
        for order, row in (("descending", "r59"), ("ascending", QUOTED)):
            seen.page.locator("thead th .named > a", has_text="confidence").click()
            assert seen.page.locator("th[aria-sort]").get_attribute("aria-sort") == order
            assert first.inner_text().startswith(row)

    def test_its_menu_sorts_groups_and_hides(self, visit: Opened) -> None:
        seen = visit()
        seen.open(CNN)
        menu = seen.page.locator("th", has_text="truth").first.locator("details")
        menu.locator("summary").click()
        menu.get_by_text("sort, largest first").click()
        assert seen.page.locator("td[data-l='truth']").first.inner_text().startswith(CAT)  # 고 is after d and <
        menu.locator("summary").click()
        menu.get_by_text("group by it").click()
        assert seen.status() == "1–3 of 3 groups"

    def test_a_column_is_hidden(self, visit: Opened) -> None:
        seen = visit()
        seen.open(table_url("cnn@3", columns="id,guess,truth"))
        menu = seen.page.locator("th", has_text="truth").first.locator("details")
        menu.locator("summary").click()
        menu.get_by_text("hide").click()
        assert seen.page.locator("td[data-l='truth']").count() == 0

    def test_a_column_with_an_emoji_sorts(self, visit: Opened) -> None:
        seen = visit()
        seen.open(CNN)
        seen.page.get_by_role("link", name=MOOD, exact=True).click()
        assert seen.page.locator(f"td[data-l='{MOOD}']").first.inner_text().startswith("rainy")

    def test_narrow_pages_sort_too(self, visit: Opened) -> None:
        """There each row is a block; what the heads do must still be within reach."""
        seen = visit(390, False)
        seen.open(CNN)
        assert seen.page.get_by_role("link", name="confidence", exact=True).is_visible()


class TestTables:
    """Two tables."""

    def chosen(self, seen: Visit, button: str, *names: str) -> None:
        seen.open("/table")
        for name in names:
            seen.page.get_by_label(f"choose {name}", exact=True).check()
        seen.page.click(f"button:text-is('{button}')")

    def test_chosen_ones_are_stacked(self, seen: Visit) -> None:
        self.chosen(seen, "stacked", "cnn@3", "double@3")
        assert seen.status() == "1–50 of 120 rows"
        assert seen.lead() == "cnn@3 6 of 60 wrong; double@3 4 of 60 wrong"

    def test_chosen_ones_are_joined(self, seen: Visit) -> None:
        self.chosen(seen, "joined on id", "cnn@3", "double@3")
        assert seen.status() == "1–50 of 60 rows"
        assert seen.lead() == "The guess differs on 8: 4 fixed, 2 broken, 2 wrong both times."
        report = seen.page.get_by_label("Join report")
        assert "matched 60" in " ".join(report.inner_text().split())
        seen.page.click("text=only where the guesses differ")
        assert seen.status() == "1–8 of 8 rows"

    def test_chosen_ones_stand_side_by_side(self, seen: Visit) -> None:
        self.chosen(seen, "side by side", "cnn@3", "double@3")
        seen.page.click("text=only the wrong ones")
        heads = [" ".join(text.split()) for text in seen.page.locator("h2").all_inner_texts()]
        assert heads == ["cnn@3 6 rows", "double@3 4 rows"]

    def test_one_way_leads_to_the_others(self, seen: Visit) -> None:
        seen.open(table_url("cnn@3", "double@3"))
        for way, now, status in (
            ("Join on id: rows of all", "Join", "1–50 of 60 rows"),
            ("Join on id: rows of any", "Join", "1–50 of 60 rows"),
            ("Join on the image's digest", "Join", "1–50 of 60 rows"),
            ("Side by side", "Side by side", "1–50 of 60 rows"),
            ("Stack", "Stack", "1–50 of 120 rows"),
        ):
            seen.page.locator("details.menu").filter(has_text="Join on id: rows of any").locator("summary").click()
            seen.page.locator("details[open]").get_by_role("link", name=way, exact=True).click()
            assert seen.status() == status, way
            menu = seen.page.locator("details.menu").filter(has_text="Join on id: rows of any")
            assert menu.locator("summary").inner_text() == now

    def test_a_joined_row_shows_both_guesses(self, seen: Visit) -> None:
        seen.open(table_url("cnn@3", "double@3", join="inner", where="id = 'r05'"))
        assert seen.page.locator("td[data-l='guess'] .lab").all_inner_texts() == [CAT, SCRIPT]  # of a dog

    def test_one_of_two_is_put_at_another_epoch(self, seen: Visit) -> None:
        seen.open(JOINED)
        seen.page.get_by_role("group", name="Epoch of double@3").get_by_role("link", name="1", exact=True).click()
        # cnn@3 errs on rows 0 to 5, double@1 on 4 to 13.
        assert seen.lead() == "The guess differs on 14: 4 fixed, 8 broken, 2 wrong both times."

    def test_all_are_put_at_one_epoch(self, visit: Opened) -> None:
        seen = visit()
        seen.open(JOINED)
        seen.page.focus("input[name=at]")
        seen.page.keyboard.press("ArrowLeft")
        seen.page.wait_for_url("**at=2**")
        # cnn@2 errs on rows 0 to 8, double@2 on 4 to 11.
        assert seen.lead() == "The guess differs on 12: 4 fixed, 3 broken, 5 wrong both times."
        assert "at epoch 2" in seen.page.inner_text("h1")

    def test_all_are_put_at_one_epoch_without_script(self, visit: Opened) -> None:
        seen = visit(390, False)
        seen.open(JOINED)
        seen.page.focus("input[name=at]")
        for _ in range(2):
            seen.page.keyboard.press("ArrowLeft")
        seen.page.click("button:text-is('Go')")
        # cnn@1 errs on rows 0 to 11, double@1 on 4 to 13.
        assert seen.lead() == "The guess differs on 14: 4 fixed, 2 broken, 8 wrong both times."

    def test_the_slider_stays_where_it_was_put(self, visit: Opened) -> None:
        seen = visit()
        seen.open(table_url("cnn", "double", join="inner", at="1"))
        assert seen.page.input_value("input[name=at]") == "1"
        assert seen.page.inner_text("output") == "1"


class TestExample:
    """One example."""

    def test_the_ones_before_and_after_are_links(self, seen: Visit) -> None:
        seen.open(table_url("cnn@3", path="/example", where="guess <> truth", row="0"))
        names = []
        for _ in range(6):
            names.append(seen.page.inner_text("h1").removeprefix("Example "))
            later = seen.page.locator("a[rel=next]")
            if later.count():
                later.click()
        assert names == [QUOTED, "r01", "r02", "r03", "r04", "r05"]
        assert "previous 6 of 6 in cnn@3 guess <> truth next" in " ".join(seen.page.inner_text(".crumbs").split())
        seen.page.click("a[rel=prev]")
        assert seen.page.inner_text("h1") == "Example r04"

    @pytest.mark.parametrize(("onward", "back"), [("ArrowRight", "ArrowLeft"), ("j", "k")])
    def test_keys_lead_to_them(self, visit: Opened, onward: str, back: str) -> None:
        seen = visit()
        seen.open(table_url("cnn@3", path="/example", row="0"))
        seen.page.keyboard.press(onward)
        seen.page.wait_for_url("**row=1")
        assert seen.page.inner_text("h1") == "Example r01"
        seen.page.keyboard.press(back)
        seen.page.wait_for_function(
            "name => document.querySelector('h1').textContent === name", arg=f"Example {QUOTED}"
        )

    def test_it_says_what_each_run_said_at_each_epoch(self, seen: Visit) -> None:
        """Row 9: cnn errs at epoch 1 alone, double at 1 and 2."""
        seen.open(table_url("double@3", "cnn@3", path="/example", row="9"))
        assert " ".join(seen.lead().split()) == f"Truth {CAT}. At the last epoch both runs say the same."
        table = seen.page.locator("table.seqs")
        assert table.locator("thead th").all_inner_texts() == [
            *("run", "1", "2", "3", "truth_score", "confidence"),
        ]
        rows = [row.locator("th, td").all_inner_texts() for row in table.locator("tbody tr").all()]
        short = "<scrip…ript>"  # names have 12 characters at most
        assert rows == [
            ["double", DOG, DOG, CAT, "0.545", "0.545"],
            ["cnn", short, CAT, CAT, "0.545", "0.545"],
        ]
        assert [row.locator(".lab.wrong").count() for row in table.locator("tbody tr").all()] == [2, 1]
        assert table.get_by_title(SCRIPT).inner_text() == short

    def test_only_the_runs_that_one_came_from_have_a_colour(self, seen: Visit) -> None:
        seen.open(table_url("double@3", path="/example", row="9"))
        assert seen.page.locator("table.seqs .ref").all_inner_texts() == ["double"]
        assert seen.page.locator("table.seqs .ref.a").count() == 1
        assert [line.get_attribute("class").split() for line in seen.page.locator(".chart polyline").all()] == [
            ["line"],
            ["line", "a"],
        ]
        assert seen.page.locator(".chart text").all_text_contents()[-2:] == ["cnn", "double"]
        assert seen.page.locator(".chart .ring").count() == 3

    def test_all_scores_stand_under_each_other_with_the_truth_marked(self, seen: Visit) -> None:
        """Row 4 of truth `<script>`: cnn says dog with .52, double says cat."""
        seen.open(table_url("cnn@3", "double@3", path="/example", join="inner", row="4"))
        rows = seen.page.locator("table.scores10 tbody tr")
        assert [row.locator("td.num").all_inner_texts() for row in rows.all()] == [
            ["0.240", "0.520"],
            ["0.240", "0.240"],
            ["0.520", "0.240"],
        ]
        assert rows.nth(1).get_attribute("class") == "istruth"
        assert rows.nth(1).locator("th").inner_text().startswith("truth")
        assert rows.nth(0).locator("rect.b").get_attribute("width") == "61.9"  # .52 of 119 pixels

    def test_the_image_is_large_with_its_size_and_what_is_known_of_it(self, seen: Visit) -> None:
        seen.open(CNN.replace("/table", "/example") + "&row=1", until="load")
        picture = seen.page.locator(".example figure img")
        assert picture.evaluate("image => image.naturalWidth") == 8
        assert "8, 1 channel, PNG" in seen.page.inner_text("figcaption")
        facts = seen.page.locator(".props").inner_text().split()
        assert facts[facts.index("id") + 1] == "r01"
        assert "rainy" in facts  # its mood

    def test_a_guess_leads_to_its_row(self, seen: Visit) -> None:
        seen.open(table_url("cnn@3", path="/example", row="9"))
        seen.page.locator("table.seqs tbody tr").first.locator("a").nth(1).click()
        assert seen.status() == "1–1 of 1 rows"
        assert re.search(r"t=cnn%401", seen.page.url)


class TestKeys:
    """Keys, where there is script."""

    def test_rows_are_stepped_through_and_opened(self, visit: Opened) -> None:
        seen = visit()
        seen.open(CNN)
        for _ in range(3):
            seen.page.keyboard.press("j")
        seen.page.keyboard.press("k")
        assert seen.page.locator("tr.here").inner_text().startswith("r01")
        seen.page.keyboard.press("Enter")
        seen.page.wait_for_url("**/example**")
        assert seen.page.inner_text("h1") == "Example r01"

    def test_the_filter_is_one_key_away_and_takes_every_other(self, visit: Opened) -> None:
        seen = visit()
        seen.open(CNN)
        seen.page.keyboard.press("/")
        seen.page.keyboard.type("id = 'j?/k'")
        assert seen.page.input_value("#filter") == "id = 'j?/k'"
        assert seen.page.url.endswith(CNN)

    def test_arrows_lead_through_the_epochs(self, visit: Opened) -> None:
        seen = visit()
        seen.open(CNN)
        seen.page.keyboard.press("ArrowLeft")
        seen.page.wait_for_url("**t=cnn%402**")
        assert seen.lead() == "9 of 60 wrong"
        seen.page.keyboard.press("ArrowRight")
        seen.page.wait_for_url("**t=cnn%403**")

    def test_a_question_mark_shows_them_all(self, visit: Opened) -> None:
        seen = visit()
        seen.open(CNN)
        seen.page.keyboard.press("?")
        seen.page.wait_for_url("**/help")
        assert "next and previous row" in seen.main()

    def test_an_open_menu_closes_at_a_click_elsewhere(self, visit: Opened) -> None:
        seen = visit()
        seen.open(CNN)
        seen.page.click("summary:text-is('Rows')")
        assert seen.page.locator("details[open]").count() == 1
        seen.page.click("h1")
        assert seen.page.locator("details.menu[open]").count() == 0

    def test_the_statement_is_copied(self, visit: Opened, server: Server) -> None:
        seen = visit(permissions=["clipboard-read", "clipboard-write"])
        seen.open(CNN)
        seen.page.click("button:text-is('Copy')")
        seen.page.wait_for_selector("button:text-is('Copied')")
        copied = seen.page.evaluate("navigator.clipboard.readText()")
        assert copied == server.ask(table_url("cnn@3", path="/table.json")).data["panels"][0]["sql"]

    def test_without_script_nothing_is_offered_that_needs_it(self, visit: Opened) -> None:
        seen = visit(1280, False)
        seen.open(CNN)
        assert seen.page.locator("button:text-is('Copy')").is_hidden()


class TestFiles:
    """Every row as a file, and a view under a name."""

    def exported(self, seen: Visit, form: str, folder: Path) -> Path:
        menu = seen.page.locator("details.menu").filter(has_text="Export")
        if menu.get_attribute("open") is None:
            menu.locator("summary").click()
        with seen.page.expect_download() as waiting:
            seen.page.locator("details[open]").get_by_role("link", name=form, exact=True).click()
        path = folder / waiting.value.suggested_filename
        waiting.value.save_as(path)
        return path

    def test_each_format_has_every_row(self, seen: Visit, tmp_path: Path) -> None:
        seen.open(table_url("cnn@3", where="epoch = 3", limit="10"))
        files = {form: self.exported(seen, form, tmp_path) for form in ("csv", "json", "markdown", "parquet")}
        assert [path.name for path in files.values()] == [
            f"cnn-3.{suffix}" for suffix in ("csv", "json", "md", "parquet")
        ]
        rows = list(csv.DictReader(io.StringIO(files["csv"].read_text(encoding="utf-8"))))
        assert [row["id"] for row in rows[:2]] == [QUOTED, "r01"]
        assert (len(rows), rows[0]["guess"], rows[0][MOOD], rows[0]["note"]) == (60, SCRIPT, "sunny", MARKUP)
        assert [row["truth"] for row in json.loads(files["json"].read_text())] == CLASSES * 20
        assert files["markdown"].read_text().splitlines()[0].startswith("| ")
        assert len(files["markdown"].read_text().splitlines()) == 62
        found = pq.read_table(files["parquet"])
        assert (found.num_rows, found["guess"][0].as_py()) == (60, SCRIPT)

    def test_what_is_shown_is_what_is_exported(self, seen: Visit, tmp_path: Path) -> None:
        seen.open(table_url("cnn@3", where="guess <> truth", columns="id,guess", sort="-id"))
        text = self.exported(seen, "csv", tmp_path).read_text(encoding="utf-8")
        rows = list(csv.reader(io.StringIO(text)))
        assert rows == [
            ["id", "guess"],
            ["r05", CAT],
            ["r04", DOG],
            ["r03", SCRIPT],
            ["r02", CAT],
            ["r01", DOG],
            [QUOTED, SCRIPT],
        ]

    def test_a_view_is_saved_under_a_name(self, seen: Visit, server: Server, request: pytest.FixtureRequest) -> None:
        name = f"틀린 것 & <b> {request.node.name[-8:]}".replace("]", "")
        seen.open(table_url("cnn@3", where="guess <> truth", group="guess"))
        seen.page.click("summary:text-is('Save')")
        seen.page.fill("details[open] input[name=name]", name)
        seen.page.click("details[open] button:text('Save')")
        assert seen.status() == "1–3 of 3 groups"
        assert f"Saved as {' '.join(name.split())}, in the list on Tables." in seen.main()
        view = saved.load(server.store, name)
        assert (view.tables, view.where, view.group) == (("cnn@3",), ("guess <> truth",), ("guess",))

    def test_a_name_that_is_taken_is_said_and_another_one_or_replacing_is_a_click(
        self, seen: Visit, server: Server
    ) -> None:
        if "twice" not in saved.names(server.store):
            assert server.post("/save", {"t": "cnn@3", "name": "twice"}).status == 303
        seen.open(CNN)
        seen.page.click("summary:text-is('Save')")
        seen.page.fill("details[open] input[name=name]", "twice")
        seen.page.click("details[open] button:text('Save')")
        assert "There is a view named 'twice' already" in seen.main()
        assert seen.page.input_value("input[name=name]") == "twice"
        seen.page.click("button:text-is('Replace the view of this name')")
        assert "Saved as twice" in seen.main()

    def test_a_saved_view_is_renamed_and_deleted(self, seen: Visit, server: Server) -> None:
        for name in ("old", "new"):
            if name in saved.names(server.store):
                saved.remove(server.store, name)
        assert server.post("/save", {"t": "cnn@3", "where": "wrong", "name": "old"}).status == 303
        seen.open("/table")
        seen.page.get_by_role("link", name="Rename or delete old").click()
        seen.page.fill("input[name=new]", "new")
        seen.page.click("button:text-is('Rename')")
        assert "Saved as new" in seen.main()
        assert seen.status() == "1–6 of 6 rows"
        seen.page.click("text=Rename or delete it")
        seen.page.click("button:text-is('Delete it')")
        assert "new is deleted; to have it again, save this view" in seen.main()
        assert seen.status() == "1–6 of 6 rows"
        assert not {"old", "new"} & set(saved.names(server.store))

    def test_a_saved_view_is_found_again(self, seen: Visit, server: Server) -> None:
        if "found again" not in saved.names(server.store):
            assert server.post("/save", {"t": "cnn@3", "where": "guess <> truth", "name": "found again"}).status == 303
        seen.open("/table")
        seen.page.get_by_role("link", name="found again", exact=True).click()
        assert seen.status() == "1–6 of 6 rows"


class TestQuestions:
    """The questions there are."""

    def asked(self, seen: Visit, name: str, *tables: str) -> None:
        seen.open("/questions")
        seen.page.get_by_role("link", name=name, exact=True).click()
        for number, table in enumerate(tables):
            box = seen.page.locator("input[name=t]:not([type=hidden])").nth(number)
            if not box.count():  # one box more is there once the others were sent
                seen.page.click("button:text-is('Ask')")
            box.fill(table)
        seen.page.click("button:text-is('Ask')")

    def test_errors_by_guess_are_a_butterfly_around_the_guess(self, seen: Visit) -> None:
        self.asked(seen, "errors-by-guess", "cnn@3", "double@3")
        assert seen.lead() == "cnn@3 makes 6 errors, double@3 4, of 60."
        assert seen.status() == "3 guesses"
        rows = seen.page.locator("table.butterfly tbody tr")
        lines = {
            row.locator("th").text_content().strip(): row.locator("td.cnt").all_inner_texts() for row in rows.all()
        }
        assert lines == {CAT: ["2", "2"], "<scrip…ript>": ["2", "1"], DOG: ["2", "1"]}
        assert [row.locator("td.imgs img").count() for row in rows.all()] == [4, 3, 3]
        said = rows.first.locator("td.dist svg").first.get_attribute("aria-label")
        assert said == f"true labels: {DOG}: 2"  # rows 2 and 5 of cnn
        assert [" ".join(text.split()) for text in seen.page.locator("ol.legend li").all_inner_texts()] == [
            f"1 {CAT}",
            "2 <scrip…ript>",
            f"3 {DOG}",
        ]
        rows.nth(1).locator("td.cnt.b a").click()
        assert seen.status() == "1–1 of 1 rows"
        assert "r05" in seen.main()

    def test_what_is_compared_is_adjacent_or_narrow_the_first_above_the_second(self, visit: Opened) -> None:
        for width, apart in ((1280, "x"), (390, "y")):
            seen = visit(width)
            seen.open("/questions?q=errors-by-guess&t=cnn%403&t=double%403")
            boxes = [seen.page.locator(f"td.cnt.{side}").first.bounding_box() for side in ("a", "b")]
            assert boxes[0][apart] < boxes[1][apart]

    def test_an_image_of_an_error_leads_to_its_example(self, seen: Visit) -> None:
        self.asked(seen, "errors-by-guess", "cnn@3", "double@3")
        # cnn took dogs for cats in rows 2 and 5; it is surer of row 5, with .525.
        seen.page.locator("table.butterfly tbody tr").first.locator("td.imgs.a img").first.click()
        assert seen.page.inner_text("h1") == "Example r05"

    def test_errors_by_guess_of_one_table_have_one_side(self, seen: Visit) -> None:
        self.asked(seen, "errors-by-guess", "cnn@3")
        assert seen.page.locator("table.butterfly tbody tr").first.locator("td").count() == 4
        assert seen.lead() == "cnn@3 makes 6 errors, of 60."

    def test_errors_by_guess_of_three_tables_stand_beside_each_other(self, visit: Opened) -> None:
        seen = visit(1280, False)
        self.asked(seen, "errors-by-guess", "cnn@1", "cnn@2", "cnn@3")
        assert seen.lead() == "cnn@1 makes 12 errors, cnn@2 9, cnn@3 6, of 60."
        assert seen.page.locator("table.butterfly tbody tr").first.locator("td.cnt").count() == 3

    def test_two_tables_are_swapped_and_put_at_other_epochs(self, seen: Visit) -> None:
        self.asked(seen, "errors-by-guess", "cnn@3", "double@3")
        seen.page.click("text=Swap")
        assert seen.lead() == "double@3 makes 4 errors, cnn@3 6, of 60."
        group = seen.page.get_by_role("group", name="Epoch of cnn@3")
        group.get_by_role("link", name="1", exact=True).click()
        assert seen.lead() == "double@3 makes 4 errors, cnn@1 12, of 60."

    def test_a_confusion_is_a_matrix_whose_numbers_lead_to_their_rows(self, seen: Visit) -> None:
        self.asked(seen, "confusion", "cnn@3")
        assert " ".join(seen.lead().split()) == (
            f"cnn@3 6 errors of 60. The most common: <scrip…ript> taken for {DOG}, {DOG} taken for {CAT} and "
            f"{CAT} taken for <scrip…ript>, 2 times each. Half of all errors lie in 2 of 6 cells."
        )
        table = seen.page.locator("table.matrix")
        heads = table.locator("thead tr").nth(1).locator("th").all_inner_texts()
        assert heads == ["truth", "1", "2", "3", "errors", "examples", "recall"]  # names are longer than 4 letters
        assert table.locator("tbody th").nth(1).get_attribute("title") == SCRIPT
        lines = [row.locator("td").all_inner_texts() for row in table.locator("tbody tr").all()]
        assert lines == [
            ["18", "2", "0", "2", "20", "0.900"],
            ["0", "18", "2", "2", "20", "0.900"],
            ["2", "0", "18", "2", "20", "0.900"],
        ]
        feet = [row.locator("td").all_inner_texts() for row in table.locator("tfoot tr").all()]
        assert feet == [["2", "2", "2", "6", "60", ""], [".90", ".90", ".90", "", "", ""]]
        table.locator("tbody tr").nth(2).locator("a").first.click()
        assert seen.status() == "1–2 of 2 rows"
        assert [text.split()[0] for text in seen.page.locator("tbody tr").all_inner_texts()] == ["r02", "r05"]

    def test_the_most_common_mistakes_have_their_images(self, seen: Visit) -> None:
        self.asked(seen, "confusion", "cnn@3", "double@3")
        assert seen.page.locator("table.matrix").count() == 2
        mistakes = seen.page.locator("table.mistakes").nth(1).locator("tr")
        assert [row.locator("td.num").inner_text() for row in mistakes.all()] == ["2", "1", "1"]
        assert [row.locator("img").count() for row in mistakes.all()] == [2, 1, 1]
        mistakes.first.locator("img").first.click()
        assert seen.page.inner_text("h1") == "Example r07"  # rows 4 and 7, the surer first

    def test_errors_over_time_are_a_chart_whose_marks_lead_to_their_rows(self, seen: Visit) -> None:
        self.asked(seen, "errors-over-time", "cnn", "double")
        marks = seen.page.locator("figure.chart svg a")
        marks.first.wait_for()  # it is sent last
        assert marks.count() == 6
        assert not seen.wide()
        marks.nth(3).click()
        assert re.search(r"t=double%401", seen.page.url)
        assert seen.status() == "1–10 of 10 rows"

    def test_an_epoch_of_errors_over_time_leads_to_its_table(self, seen: Visit) -> None:
        self.asked(seen, "errors-over-time", "cnn", "double")
        seen.page.locator("td[data-l=epoch] a").nth(4).click()
        assert seen.lead() == "8 of 60 wrong"  # double after 2 epochs

    def test_the_most_confident_errors_come_first(self, seen: Visit) -> None:
        self.asked(seen, "errors", "double@3")
        assert seen.page.locator("td.key").all_inner_texts() == ["r07", "r06", "r05", "r04"]
        assert seen.status() == "4 rows"
        assert seen.page.locator("tbody img").count() == 4
        seen.page.locator("td.key a").nth(1).click()
        assert seen.page.inner_text("h1") == "Example r06"

    def test_disagreements_of_two(self, seen: Visit) -> None:
        self.asked(seen, "disagreements", "cnn@3", "double@3")
        assert seen.status() == "8 rows"
        both = seen.page.locator("td[data-l=confidence]").first.inner_text()
        assert [len(number.split(".")) for number in both.split()] == [2, 2], "two numbers, not glued together"

    def test_an_option_is_typed(self, seen: Visit) -> None:
        self.asked(seen, "errors", "cnn@3")
        seen.page.fill("input[name='o.limit']", "2")
        seen.page.click("button:text-is('Ask')")
        assert seen.status() == "2 rows"

    def test_a_table_that_is_not_there_is_said_beside_the_boxes(self, seen: Visit) -> None:
        seen.open("/questions?q=errors")
        seen.expected = 404
        seen.page.fill("input[name=t]", "nobody@3")
        seen.page.click("button:text-is('Ask')")
        assert "nobody" in seen.page.inner_text("[role=alert]")
        assert seen.page.input_value("input[name=t] >> nth=0") == "nobody@3"


class TestSql:
    """Free SQL."""

    def run(self, seen: Visit, text: str) -> None:
        seen.open("/sql")
        seen.page.fill("textarea", text)
        seen.page.click("button:text-is('Run')")

    def test_it_is_typed_and_run(self, seen: Visit) -> None:
        self.run(seen, 'SELECT guess, count(*) AS n FROM "cnn@3" WHERE guess <> truth GROUP BY ALL ORDER BY ALL')
        rows = [row.locator("td").all_inner_texts() for row in seen.page.locator("table.preds tbody tr").all()]
        assert rows == [["<scrip…ript>", "2"], [DOG, "2"], [CAT, "2"]]  # names have 12 characters at most
        assert seen.page.get_by_title(SCRIPT).count() == 1
        assert "ORDER BY ALL" in seen.page.input_value("textarea")

    def test_images_are_drawn(self, seen: Visit) -> None:
        self.run(seen, "SELECT id, image FROM examples WHERE id = 'r01'")
        seen.page.wait_for_load_state("load")
        assert seen.page.eval_on_selector("table.preds img", "image => image.naturalWidth") == 8

    def test_going_back_to_an_answer_shows_it_and_runs_nothing(self, seen: Visit, server: Server) -> None:
        self.run(seen, "SELECT random() AS n")
        found = seen.column("n")
        seen.page.click("nav >> text=Runs")
        seen.tab.go_back()
        assert seen.column("n") == found
        assert seen.page.input_value("textarea") == "SELECT random() AS n"
        seen.open(seen.page.url.removeprefix(server.base))
        assert seen.column("n") == found

    def test_its_rows_have_their_images_sort_and_are_exported(self, seen: Visit) -> None:
        self.run(seen, 'SELECT run, epoch, id, confidence FROM "cnn@3" WHERE wrong')
        seen.page.wait_for_load_state("load")
        images = seen.page.eval_on_selector_all("table.preds img", "images => images.map(image => image.naturalWidth)")
        assert images == [8] * 6
        head = "thead button:text-is('confidence')"
        for sort, first in (("-confidence", "0.5250"), ("confidence", "0.5000")):
            seen.page.wait_for_load_state("load")  # before its style is there a narrow page, too, shows its heads
            if seen.page.locator(head).is_visible():
                seen.page.click(head)
            else:  # where rows are blocks there are no heads
                seen.page.fill("input[name=sort] >> nth=0", sort)
                seen.page.click("button:text-is('Run')")
            assert seen.page.input_value("input[name=sort] >> nth=0") == sort
            assert first in seen.page.locator("table.preds tbody tr").first.inner_text()
        with seen.page.expect_download() as download:
            seen.page.click("summary:text-is('Export')")
            seen.page.click("button:text-is('csv')")
        seen.page.click("summary:text-is('Export')")  # what is open lies over the rows
        text = Path(download.value.path()).read_text()
        assert text.splitlines()[0] == "run,epoch,id,confidence"
        assert len(text.splitlines()) == 7
        seen.page.click("table.preds tbody tr:nth-child(2) a >> nth=0")
        assert "r01" in seen.main()

    def test_the_keyboard_runs_it(self, visit: Opened) -> None:
        seen = visit()
        seen.open("/sql")
        seen.page.fill("textarea", "SELECT 4200 + 42 AS n")
        seen.page.press("textarea", "Control+Enter")
        seen.page.wait_for_selector("text=4,242")

    def test_a_text_in_the_address_is_shown_and_not_run(self, seen: Visit) -> None:
        seen.open("/sql?sql=SELECT+4200+%2B+42+AS+n")
        assert seen.page.input_value("textarea") == "SELECT 4200 + 42 AS n"
        assert "4,242" not in seen.main()
        seen.page.click("button:text-is('Run')")
        assert "4,242" in seen.main()

    def test_what_is_wrong_is_said_and_the_text_stays(self, seen: Visit) -> None:
        seen.expected = 400
        for text, said in (
            ("SELECT guss FROM test_predictions", "guess"),
            ("SELEC 1", "SELEC"),
            ("SELECT * FROM read_text('/etc/passwd')", "read_text is not allowed"),
            ("COPY (SELECT 1) TO 'x.csv'", "only a SELECT is run here"),
            ("WITH x AS (COPY (SELECT 1) TO 'x.csv') SELECT * FROM x", "only reading is allowed"),
        ):
            seen.open("/sql")
            seen.expected = 400
            seen.page.fill("textarea", text)
            seen.page.click("button:text-is('Run')")
            assert said in seen.page.inner_text("#error"), text
            assert seen.page.input_value("textarea") == text

    def test_an_error_points_at_what_is_wrong(self, seen: Visit) -> None:
        seen.open("/sql")
        seen.expected = 400
        seen.page.fill("textarea", "SELECT id,\n  guss FROM test_predictions")
        seen.page.click("button:text-is('Run')")
        assert seen.page.locator("#error pre").text_content() == "  guss FROM test_predictions\n  ^^^^"
        assert "line 2" in seen.page.inner_text("#error")

    def test_a_click_on_a_name_puts_it_into_the_text(self, visit: Opened) -> None:
        seen = visit()
        seen.open("/sql")
        seen.page.fill("textarea", "SELECT")
        seen.page.locator(".schema li").get_by_role("button", name=MOOD, exact=True).click()
        seen.page.keyboard.type(" FROM")
        seen.page.locator(".schemas").get_by_role("button", name='"cnn@last"', exact=True).click()
        assert seen.page.input_value("textarea") == f'SELECT "{MOOD}" FROM "cnn@last"'
        seen.page.click("button:text-is('Run')")
        assert seen.status() == "60 rows, all of them"

    def test_without_script_names_are_text(self, visit: Opened) -> None:
        seen = visit(390, False)
        seen.open("/sql")
        assert seen.page.locator(".schemas button").count() == 0
        assert MOOD in seen.page.inner_text(".schemas")
        assert seen.page.locator("button:text-is('Cancel')").is_hidden()

    def test_a_query_that_takes_long_is_cancelled_and_computed_no_longer(self, visit: Opened, server: Server) -> None:
        seen = visit()
        seen.open("/sql")
        seen.page.fill(
            "textarea", "SELECT count(*) FROM range(10000000000) a, range(1000) b WHERE a.range = b.range + 1"
        )
        # Playwright does nothing in a page that waits for its next one, so the click is the page's own.
        seen.page.evaluate(
            """() => {
              const cancel = document.querySelector("[data-cancel]");
              const look = setInterval(() => {
                if (!cancel.hidden) { clearInterval(look); window.offered = true; cancel.click(); }
              }, 20);
              document.getElementById("sqlform").requestSubmit();
            }"""
        )
        said = seen.tab.locator("[data-elapsed]")
        said.get_by_text("cancelled; the store is as it was").wait_for()
        assert seen.page.evaluate("window.offered")
        until(lambda: resting(server))
        seen.page.fill("textarea", "SELECT 4200 + 42 AS n")
        seen.page.click("button:text-is('Run')")
        assert "4,242" in seen.main()

    def test_markup_in_a_name_or_value_is_text(self, seen: Visit) -> None:
        self.run(seen, "SELECT '</textarea><script>alert(9)</script>' AS \"<img src=x onerror=alert(8)>\"")
        assert "</textarea><script>alert(9)</script>" in seen.page.locator("table.preds td").inner_text()
        assert seen.page.locator("table.preds img").count() == 0

    def test_a_thousand_rows_are_the_most_and_it_says_so(self, visit: Opened) -> None:
        seen = visit(1280, False)
        self.run(seen, "SELECT * FROM range(100000)")
        assert seen.status() == "the first 1,000 rows; there are more"
        assert seen.page.locator("table.preds tbody tr").count() == 1000


def test_a_running_run_shows_its_new_epochs_by_itself(visit: Opened, server: Server) -> None:
    with Recorder(server.store, run="going", classes=CLASSES) as recorder:
        add_epoch(recorder, "cnn", 1)  # the rows that cnn had
        seen = visit()
        seen.open("/runs")
        row = seen.page.locator("table.runs tr", has_text="going")
        assert "running, 1 epoch" in " ".join(row.inner_text().split())
        add_epoch(recorder, "cnn", 2)
        seen.page.wait_for_selector("table.runs tr:has-text('going'):has-text('running, 2 epochs')")
        recorder.close(finished=False)


def test_what_was_chosen_stays_chosen_when_new_epochs_appear(visit: Opened, server: Server) -> None:
    with Recorder(server.store, run="later", classes=CLASSES) as recorder:
        add_epoch(recorder, "cnn", 1)
        seen = visit()
        seen.open("/runs")
        seen.page.get_by_label("double first").check()
        seen.page.get_by_label("later second").check()
        seen.page.click("h1")  # nothing has the focus now
        add_epoch(recorder, "cnn", 2)
        seen.page.wait_for_selector("table.runs tr:has-text('later'):has-text('running, 2 epochs')")
        assert seen.page.get_by_label("double first").is_checked()
        assert seen.page.get_by_label("later second").is_checked()
        recorder.close(finished=False)


def test_a_run_that_begins_later_appears_too_and_the_focus_stays(visit: Opened, server: Server) -> None:
    seen = visit()
    seen.open("/runs")
    seen.page.get_by_label("double first").check()
    seen.page.get_by_label("reviews too").check()
    seen.page.get_by_label("cnn second").focus()
    with Recorder(server.store, run="new", classes=CLASSES) as recorder:
        add_epoch(recorder, "cnn", 1)
        seen.page.wait_for_selector("table.runs tr:has-text('new'):has-text('running, 1 epoch')")
        assert seen.page.evaluate("document.activeElement.getAttribute('aria-label')") == "cnn second"
        assert seen.page.get_by_label("double first").is_checked()
        assert seen.page.get_by_label("reviews too").is_checked()
        recorder.close(finished=False)


def test_everything_is_reached_with_the_tab_key(visit: Opened) -> None:
    """Focus goes to the content first if one likes, and is always seen."""
    seen = visit()
    seen.open(CNN)
    seen.page.keyboard.press("Tab")
    assert seen.page.evaluate("document.activeElement.textContent") == "To the content"
    names: list[Any] = []
    for _ in range(12):
        seen.page.keyboard.press("Tab")
        names.append(seen.page.evaluate("document.activeElement.textContent.trim()"))
        outline = seen.page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        assert outline != "none", names
    assert names[1:5] == ["Runs", "Tables", "Questions", "SQL"]
