"""The controls of a table's page in Chromium: pins, keys, sorts, groups and W&B's language, typed as a person does."""

import pytest
from page import CAT, DOG, MOOD, SCRIPT, Opened, Visit, table_url

pytest_plugins = ["page"]
pytestmark = pytest.mark.slow

CNN = table_url("cnn@3")
JOINED = table_url("cnn@3", "double@3", join="inner")


@pytest.fixture(params=[(1280, True), (390, False)], ids=["wide", "narrow, no script"])
def seen(request: pytest.FixtureRequest, visit: Opened) -> Visit:
    width, script = request.param
    return visit(width, script)


def typed(seen: Visit, menu: str, field: str, text: str, button: str) -> None:
    """Open a menu, type into one of its fields, press the button beside it."""
    seen.page.click(f"summary.button:text-is('{menu}')")
    form = seen.page.locator("details[open] form").filter(has=seen.page.locator(f"[name={field}]:not([type=hidden])"))
    form.locator(f"[name={field}]:not([type=hidden])").fill(text)
    form.get_by_role("button", name=button, exact=True).click()


def test_a_sort_by_several_columns_is_typed(seen: Visit) -> None:
    seen.open(table_url("cnn@3", where="guess <> truth"))
    typed(seen, "Sort", "sort", "truth, -id", "Sort")
    # Of rows 0 to 5 the truth is class row % 3; as text "<script>…" comes before "dog", that before "고양이".
    ids = [text.split()[0] for text in seen.page.locator("tbody th").all_inner_texts()]
    assert ids[:4] == ["r04", "r01", "r05", "r02"]
    seen.page.locator(".chip", has_text="sort: truth").get_by_label("Remove this sorting").click()
    assert seen.page.locator("tbody th").first.inner_text() == "r05"  # by -id alone


def test_a_column_of_a_group_is_computed_and_taken_away(seen: Visit) -> None:
    seen.open(table_url("cnn@3", group="truth"))
    typed(seen, "Grouped by truth", "aggregate", "wrong = count(*) FILTER (WHERE guess <> truth)", "Compute")
    assert seen.page.locator("td[data-l='wrong']").all_inner_texts() == ["2", "2", "2"]
    seen.page.get_by_label("Remove this column").click()
    assert seen.page.locator("td[data-l='wrong']").count() == 0


def test_pages_of_another_size(seen: Visit) -> None:
    seen.open(CNN)
    seen.page.click("summary.button:text-is('Rows')")
    seen.page.click("text=25 on a page")
    assert seen.status() == "1–25 of 60 rows"
    seen.page.click("text=last »")
    assert seen.status() == "51–60 of 60 rows"
    seen.page.click("text=« first")
    seen.page.fill("#filter", "epoch = 3")
    seen.page.press("#filter", "Enter")
    assert seen.status() == "1–25 of 60 rows"  # the size stays with the next click


def test_wandb_expressions_filter_and_compute(seen: Visit) -> None:
    seen.open(CNN)
    typed(seen, "W&B", "wandb_filter", 'row["guess"] != row["truth"]', "Filter")
    assert seen.status() == "1–6 of 6 rows"
    typed(seen, "W&B", "wandb_add", 'twice = row["confidence"] * 2', "Add")
    assert seen.page.locator("td[data-l='twice']").first.inner_text() == "1.0000"
    seen.page.locator(".chip", has_text="W&B: row").get_by_label("Remove this filter").click()
    assert seen.status() == "1–50 of 60 rows"


def test_a_table_is_added_and_taken_away(seen: Visit) -> None:
    seen.open(CNN)
    typed(seen, "Add a table", "t", "double@3", "Add")
    assert seen.status() == "1–50 of 120 rows"
    seen.page.click("summary.button:text-is('Stack')")
    seen.page.click("text=without cnn@3")
    assert seen.lead() == "4 of 60 wrong"


def test_a_join_on_another_column_multiplies_rows_only_when_allowed(seen: Visit) -> None:
    seen.open(table_url("cnn@3", "double@3"))
    seen.expected = 400
    typed(seen, "Stack", "key", MOOD, "Join")
    assert "rows with a repeated key" in seen.page.inner_text("#error")
    seen.expected = 0
    seen.page.click("summary.button:text-is('Join')")
    seen.page.check("details[open] input[name=allow_duplicates]")
    seen.page.locator("details[open]").get_by_role("button", name="Join", exact=True).click()
    assert seen.status() == "1–50 of 1,800 rows"  # 30 sunny with 30 sunny, 30 rainy with 30 rainy


def test_a_filter_with_an_error_is_mended_where_it_stands(seen: Visit) -> None:
    seen.open(table_url("cnn@3", where="guess <> truth"))
    seen.expected = 400
    seen.page.fill("#filter", f"confidence > 0 AND guss = '{CAT}'")
    seen.page.press("#filter", "Enter")
    lines = seen.page.inner_text("#error pre").splitlines()
    assert lines[0].index("guss") == lines[1].index("^^^^")
    assert "did you mean guess?" in seen.page.inner_text("#error")
    assert seen.status() == "1–6 of 6 rows"  # the answer as it was
    seen.expected = 0
    seen.page.fill("#filter", f"confidence > 0 AND guess = '{CAT}'")
    seen.page.press("#filter", "Enter")
    assert seen.status() == "1–2 of 2 rows"  # rows 2 and 5


def test_columns_are_pinned_to_the_left_and_stay(visit: Opened) -> None:
    seen = visit(820)
    seen.open(CNN)
    for name in (MOOD, "confidence"):
        menu = seen.page.locator("th", has_text=name).first.locator("details")
        menu.locator("summary").click()
        menu.get_by_text("pin to the left").click()
    heads = [text.split("\n")[0] for text in seen.page.locator("thead th").all_inner_texts()]
    assert heads[:3] == [MOOD, "confidence", "id"]
    seen.page.evaluate("document.querySelector('.scroll').scrollLeft = 400")
    first = "Array.from(document.querySelector('tbody tr').children).slice(0, 3)"
    left = seen.page.evaluate(f"{first}.map(cell => cell.getBoundingClientRect().x)")
    edge = seen.page.evaluate("document.querySelector('.scroll').getBoundingClientRect().x")
    assert left[0] == pytest.approx(edge, abs=1)
    assert left[1] > left[0]
    assert left[2] < left[1]  # the id went on under them
    menu = seen.page.locator("th", has_text=MOOD).first.locator("details")
    menu.locator("summary").click()
    menu.get_by_text("unpin").click()
    assert seen.page.locator("thead th").first.inner_text().startswith("confidence")


def test_a_pin_needs_no_script(visit: Opened) -> None:
    seen = visit(1280, False)
    seen.open(table_url("cnn@3", pin="confidence", where="guess <> truth"))
    assert seen.page.locator("thead th").first.inner_text().startswith("confidence")
    seen.page.click("a[aria-label='Remove this filter']")
    assert seen.page.locator("thead th").first.inner_text().startswith("confidence")


def test_a_column_at_hand_is_put_into_the_filter(visit: Opened) -> None:
    seen = visit()
    seen.open(CNN)
    seen.page.focus("#filter")
    seen.page.locator(".hand code", has_text=MOOD).click()
    seen.page.keyboard.type("= 'rainy'")
    assert seen.page.input_value("#filter") == f"\"{MOOD}\" = 'rainy'"
    seen.page.press("#filter", "Enter")
    assert seen.status() == "1–30 of 30 rows"


def test_in_a_joined_cell_equal_guesses_are_quiet_and_different_ones_loud(seen: Visit) -> None:
    # Row 1 is wrong in cnn alone, row 5 wrong in both and unlike, row 9 right in both.
    seen.open(table_url("cnn@3", "double@3", join="inner", where="id IN ('r01', 'r05', 'r09')", sort="id"))
    cells = seen.page.locator("td[data-l='guess']")
    assert [cell.locator(".lab").all_inner_texts() for cell in cells.all()] == [[DOG, SCRIPT], [CAT, SCRIPT], [CAT]]
    assert cells.nth(0).locator(".lab.a.wrong").count() == 1
    assert cells.nth(0).locator(".lab.b.right").count() == 1
    assert cells.nth(1).locator(".lab.wrong").count() == 2
    assert cells.nth(2).locator(".lab.quiet").count() == 1


def test_two_numbers_stand_with_their_difference(seen: Visit) -> None:
    """Row 1: cnn errs and leaves the truth (1 - .505) / 2, double is right with .505."""
    seen.open(table_url("cnn@3", "double@3", join="inner", where="id = 'r01'"))
    assert seen.page.locator("td[data-l='truth_score']").inner_text().split() == ["0.2475", "0.5050", "+0.2575"]


def test_a_side_without_a_row_is_said_to_have_none(seen: Visit) -> None:
    seen.open(table_url("cnn@3", "no truth & <b>@1", join="outer", where="id = 'r05'"))
    assert "no row" in seen.page.locator("td[data-l='guess']").inner_text()


def test_a_group_of_a_join_shows_what_the_other_side_has_in_a_column_of_its_own(seen: Visit) -> None:
    seen.open(table_url("cnn@3", "double@3", join="inner", group="guess_a", where="guess_a <> guess_b"))
    keys = seen.page.locator("td[data-l='guess_a'] a[title='only this']")
    assert keys.all_inner_texts() == [SCRIPT, DOG, CAT]
    assert seen.page.locator("td[data-l='guess_b'] .count").count() >= 3


def test_no_open_menu_makes_a_narrow_page_scroll_sideways(visit: Opened) -> None:
    seen = visit(390, False)
    for path in (JOINED, table_url("cnn@3", group="guess")):
        seen.open(path, until="load")
        menus = seen.page.locator("details.menu:not(.hmenu) > summary")
        for number in range(menus.count()):
            menus.nth(number).click()
            assert not seen.wide(), menus.nth(number).inner_text()
            menus.nth(number).click()
