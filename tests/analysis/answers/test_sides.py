"""The sides of a comparison: how many there are, and where their colours stand."""

import re
from pathlib import Path

import pytest

from secondguess.analysis.answers import sides
from secondguess.analysis.answers.html import sheet

ROOT = Path(__file__).parents[3]
SOURCES = [
    path
    for package in ("analysis", "trainer")
    for path in (ROOT / package).rglob("*")
    if path.suffix in {".py", ".css", ".html", ".js"}
]


def test_the_first_two_tables_have_a_colour_and_further_ones_are_grey() -> None:
    assert [sides.side(place) for place in range(4)] == ["a", "b", "", ""]
    assert sides.colours(3) == ["#14764a", "#6d42c1", "#8d8f8a"]


@pytest.mark.parametrize("fact", ["#14764a", "#6d42c1"])
def test_the_colours_and_the_number_of_sides_stand_once(fact: str) -> None:
    assert [path.name for path in SOURCES if fact in path.read_text()] == ["sides.py"]


def test_no_module_counts_letters_itself() -> None:
    assert [path.name for path in SOURCES if re.search(r'chr\(ord\(.a.\)|\[a-[yz]\]\)"', path.read_text())] == []


def test_the_sheet_has_the_charts_colours_and_replaces_them_on_black() -> None:
    text = sheet()
    assert re.findall(r"--a: (#\w+);", text) == ["#14764a", "#4fc48c"]
    assert '.chart svg [fill="#14764a"] { fill: var(--a); }' in text
    assert '.chart svg [stroke="#6d42c1"] { stroke: var(--b); }' in text
