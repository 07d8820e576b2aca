"""The page at the size of real work, in Chromium: long names, two hundred epochs, a thousand classes."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from large_stores import EPOCHS, RUNS, large_store, sweep_run
from page import Opened, Server, serving, table_url
from waiting import until

pytest_plugins = ["page"]
pytestmark = pytest.mark.slow

NAMES = [sweep_run(number)[0] for number in range(RUNS)]
MEASURED = NAMES[7]  # the run with 25 columns of its own
LAST = f"{MEASURED}@{EPOCHS}"
OTHER = f"{NAMES[0]}@{EPOCHS}"


def about(*tables: str) -> list[str]:
    """The pages about one table or two."""
    first = tables[0]
    return [
        table_url(*tables),
        table_url(*tables, group="guess"),
        table_url(first, path="/example", row="0"),
        *(table_url(*tables, path="/questions", q=name) for name in ("errors-by-guess", "confusion", "classification")),
        *([table_url(*tables, join="inner"), table_url(*tables, side="1")] if len(tables) > 1 else []),
        *([table_url(*tables, path="/compare")] if len(tables) > 1 else []),
    ]


PAGES: Mapping[str, Sequence[str]] = {
    "sweep": ["/runs", table_url(path="/run", run=MEASURED), "/sql", "/check", "/table", *about(LAST, OTHER)],
    "wide": ["/runs", *about("wide-small@5", "wide-large@5"), *about("wide-texts/reviews@5")],
}


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Server]]:
    log = tmp_path_factory.mktemp("log")
    with serving(large_store("sweep"), log / "sweep") as sweep, serving(large_store("wide"), log / "wide") as wide:
        yield {"sweep": sweep, "wide": wide}


@pytest.fixture(params=["sweep"], scope="module")
def server(servers: dict[str, Server], request: pytest.FixtureRequest) -> Server:
    return servers[request.param]


@pytest.mark.parametrize("server", ["sweep", "wide"], indirect=True)
@pytest.mark.parametrize("width", [390, 1280, 1600])
def test_no_page_scrolls_sideways(server: Server, visit: Opened, width: int) -> None:
    seen = visit(width, True)
    store = "sweep" if "sweep" in str(server.store) else "wide"
    scrolling = []
    for path in PAGES[store]:
        seen.open(path)
        if seen.wide():
            scrolling.append(path)
    assert scrolling == []


def box(part: Any) -> tuple[int, int]:
    found = part.bounding_box()
    return round(found["x"]), round(found["y"])


def test_heads_and_the_first_column_stay_in_sight(visit: Opened) -> None:
    seen = visit(1280, True)
    seen.open(table_url(LAST))
    scroller = seen.page.locator(".scroll").first
    scroller.scroll_into_view_if_needed()
    corner, head = scroller.locator("thead th").first, scroller.locator("thead th", has_text="guess").first
    row = scroller.locator("tbody th").nth(40)
    places = box(corner), box(head)[1]
    scroller.evaluate("part => { part.scrollTop = 600; part.scrollLeft = 900 }")
    assert (box(corner), box(head)[1]) == places
    assert box(row)[0] == places[0][0]


def test_a_column_that_is_sorted_by_or_new_is_brought_into_view(visit: Opened) -> None:
    seen = visit(1280, True)
    inside = "head => { const a = head.getBoundingClientRect(); return a.left >= 0 && a.right <= innerWidth }"
    seen.open(table_url(LAST))
    assert not seen.page.locator("thead th[title=measure_24]").evaluate(inside)
    seen.open(table_url(LAST, sort="-measure_24"))
    assert seen.page.locator("thead th[title=measure_24]").evaluate(inside)
    seen.open(table_url(LAST))
    seen.open(table_url(LAST, add="doubled = 2 * measure_24"))
    assert seen.page.locator("thead th[title=doubled]").evaluate(inside)


def test_a_long_name_gives_way_in_its_middle_and_is_there_whole(visit: Opened) -> None:
    seen = visit(390, True)
    seen.open(table_url(LAST, OTHER, join="inner"))
    name = seen.page.locator(".legend .long").first
    assert name.inner_text().replace("\n", "") == name.get_attribute("title") == LAST
    first, last = name.locator("> *").all()
    assert first.evaluate("part => part.scrollWidth > part.clientWidth")
    assert LAST.endswith(last.inner_text()) and last.bounding_box()["width"] > 40
    name.click()
    assert seen.page.locator(".told").inner_text() == LAST


def test_the_size_of_images_holds_at_once_and_is_kept(visit: Opened) -> None:
    seen = visit(1280, True)
    seen.open(table_url(LAST))
    image = seen.page.locator("td.pic img").first
    assert image.bounding_box()["width"] == 28
    seen.page.locator("details.menu", has_text="Rows").first.locator("summary").click()
    seen.page.click("a:text-is('huge images')")
    assert image.bounding_box()["width"] == 160
    assert "size=huge" in seen.page.url
    seen.open(table_url(OTHER))
    assert image.bounding_box()["width"] == 160
    seen.open(table_url(OTHER, size="small"))
    assert image.bounding_box()["width"] == 28


def moved(seen: Any, *values: int) -> None:
    """The slider, dragged over these epochs before any answer can come, and not let go."""
    seen.page.locator("form.slider input[type=range]").evaluate(
        "(slider, values) => { for (slider.value of values) slider.dispatchEvent(new Event('input')) }", values
    )


DRAGGED = {
    "table": (table_url(NAMES[0], where="guess <> truth"), ".status .nowrap"),
    "matrix": (table_url(OTHER, path="/questions", q="confusion"), ".lead"),
    "butterfly": (table_url(OTHER, LAST, path="/questions", q="errors-by-guess"), ".lead"),
    "example": (table_url(NAMES[0], path="/example", row="3"), ".scores10"),
    "comparison": (table_url(OTHER, LAST, path="/compare"), ".verdict"),
}


@pytest.mark.parametrize("what", DRAGGED)
def test_a_page_follows_the_slider_while_one_drags_and_the_address_when_one_lets_go(visit: Opened, what: str) -> None:
    address, where = DRAGGED[what]
    seen = visit(1280, True)
    seen.page.set_viewport_size({"width": 1280, "height": 200})
    seen.open(address)
    before, start = seen.page.locator(where).first.inner_text(), seen.page.url
    slider = seen.page.locator("form.slider input[type=range]")
    slider.focus()
    seen.page.evaluate("window.scrollTo(0, 40); window.mark = 1")
    moved(seen, 3)
    until(lambda: seen.page.locator(where).first.inner_text() != before)
    assert (seen.page.url, seen.page.evaluate("[scrollY, window.mark]")) == (start, [40, 1])
    assert slider.evaluate("slider => slider === document.activeElement")
    slider.evaluate("slider => slider.dispatchEvent(new Event('change'))")
    until(lambda: seen.page.url != start)
    dragged, at = seen.page.locator(where).first.inner_text(), seen.page.url
    assert seen.page.evaluate("window.mark") == 1
    seen.open(at.removeprefix(seen.server.base))
    assert seen.page.locator(where).first.inner_text() == dragged


def test_frames_are_asked_for_ahead_and_late_ones_are_dropped(visit: Opened) -> None:
    seen = visit(1280, True)
    seen.open(table_url(NAMES[0]))

    def asked() -> list[str]:
        """The epochs that were asked for, in order."""
        urls = seen.page.evaluate("performance.getEntriesByType('resource').map(each => each.name)")
        pages = [urlsplit(url) for url in urls if urlsplit(url).path == "/table"]
        return [query["at"][0] for page in pages if "at" in (query := parse_qs(page.query))]

    title = seen.page.locator("h1")
    moved(seen, 50, 60, 70, 80, 90, 100)
    until(lambda: "at epoch 100" in title.inner_text())
    until(lambda: asked()[-3:] == ["101", "102", "103"])
    assert not {"60", "70", "80", "90"} & set(asked())
    assert "at epoch 100" in title.inner_text()


def test_arrows_step_the_slider_where_it_holds(visit: Opened) -> None:
    seen = visit(1280, True)
    seen.open(table_url(NAMES[0], at="50"))
    for key, epoch in (("ArrowRight", 51), ("ArrowLeft", 50), ("ArrowLeft", 49)):
        seen.page.keyboard.press(key)
        until(lambda epoch=epoch: f"at={epoch}" in seen.page.url)  # type: ignore[misc]
    assert "at epoch 49" in seen.page.locator("h1").inner_text()
    seen.page.go_back()
    until(lambda: "at epoch 50" in seen.page.locator("h1").inner_text())


def test_j_goes_on_to_the_next_page_of_rows_and_escape_closes_a_menu(visit: Opened) -> None:
    seen = visit(1280, True)
    seen.open(table_url(LAST))
    for _ in range(51):
        seen.page.keyboard.press("j")
    until(lambda: "offset=50" in seen.page.url)
    until(lambda: seen.page.locator("tr.here th").count() == 1)
    assert seen.page.locator("tr.here th").inner_text() == "sweep-050"
    seen.page.keyboard.press("k")
    until(lambda: "offset" not in seen.page.url and seen.page.locator("tr.here th").count() == 1)
    assert seen.page.locator("tr.here th").inner_text() == "sweep-049"
    menu = seen.page.locator("details.menu", has_text="Group by").first
    menu.locator("summary").click()
    seen.page.keyboard.press("Escape")
    assert menu.get_attribute("open") is None
    assert menu.locator("summary").evaluate("summary => summary === document.activeElement")


def test_large_stores_lie_outside_the_project() -> None:
    assert Path(__file__).parents[3] not in large_store("sweep").parents


def test_an_example_stays_while_its_row_of_the_view_is_another(visit: Opened) -> None:
    """Of the wrong ones: at another epoch the second of them is another example."""
    seen = visit(1280, True)
    seen.open(table_url(NAMES[0], path="/example", where="guess <> truth", row="1"))
    example, around = seen.page.locator("h1"), seen.page.locator(".crumbs")
    name = example.inner_text()
    moved(seen, 1)
    until(lambda: "no longer row 2 of the" in around.inner_text())
    assert example.inner_text() == name
