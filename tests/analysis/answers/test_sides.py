"""The looks of tables: how many there are, who can tell them apart, and where they stand."""

import re
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from secondguess.analysis.answers import sides
from secondguess.analysis.answers.html import sheet
from secondguess.analysis.moments import Moment

ROOT = Path(__file__).parents[3]
SOURCES = [
    path
    for package in ("analysis", "trainer")
    for path in (ROOT / package).rglob("*")
    if path.suffix in {".py", ".css", ".html", ".js"}
]


# Machado, Oliveira and Fernandes 2009, "A physiologically-based model for simulation of color vision deficiency",
# severity 1.0, over linear RGB; seen by all without change.
SEEN = {
    "all cones": np.eye(3),
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}
# IEC 61966-2-1: from linear sRGB to CIE XYZ, whose middle row is luminance.
TO_XYZ = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
)
PAPER = {"light": "#ffffff", "dark": "#151618"}


def linear(colour: str) -> Any:
    """The linear RGB of a colour, 0 to 1."""
    encoded = np.array([int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)])
    return np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)


def lab(rgb: Any) -> Any:
    """CIE 1976 L*, a*, b* of linear RGB."""
    x, y, z = np.clip(rgb, 0, 1) @ TO_XYZ.T / (TO_XYZ @ np.ones(3))
    x, y, z = (np.cbrt(each) if each > 216 / 24389 else (24389 / 27 * each + 16) / 116 for each in (x, y, z))
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def test_eight_tables_have_a_look_each_and_further_ones_are_grey() -> None:
    assert [sides.side(place) for place in (0, 1, 7, 8, 20)] == ["a", "b", "h", "", ""]
    assert sides.colours(9)[:2] == ["#14764a", "#6d42c1"]
    assert sides.colours(9)[8] == "#8d8f8a"
    looks = sides.looks(8)
    for told_by in ("light", "dark", "shape", "dash"):
        assert len({getattr(look, told_by) for look in looks}) == 8


@pytest.mark.parametrize("eyes", SEEN)
@pytest.mark.parametrize("scheme", PAPER)
def test_any_two_tables_are_told_apart_whichever_cones_are_missing(scheme: str, eyes: str) -> None:
    """A difference of 10 in CIELAB is seen at once."""
    colours = [lab(np.array(SEEN[eyes]) @ linear(getattr(look, scheme))) for look in sides.LOOKS.values()]
    assert min(np.linalg.norm(one - other) for one, other in combinations(colours, 2)) > 10


@pytest.mark.parametrize("scheme", PAPER)
def test_any_two_tables_differ_in_grey_and_by_their_marks(scheme: str) -> None:
    """A difference of 1 in L* is just seen; one of 3 is seen between bars that do not touch."""
    lightness = [lab(linear(getattr(look, scheme)))[0] for look in sides.LOOKS.values()]
    assert min(abs(one - other) for one, other in combinations(lightness, 2)) > 3


@pytest.mark.parametrize("scheme", PAPER)
def test_a_name_in_any_tables_colour_can_be_read(scheme: str) -> None:
    """WCAG 2.2, 1.4.3: text needs a contrast of 4.5."""
    paper = (TO_XYZ @ linear(PAPER[scheme]))[1]
    for look in sides.LOOKS.values():
        low, high = sorted((paper, (TO_XYZ @ linear(getattr(look, scheme)))[1]))
        assert (high + 0.05) / (low + 0.05) >= 4.5


def test_a_row_has_the_look_of_its_table_or_where_all_epochs_are_asked_about_of_its_run() -> None:
    rows = [("cnn", 1), ("cnn", 5), ("double", 5), ("other", 1)]
    order = [("cnn", Moment(1)), ("cnn", Moment(5)), ("double", Moment(5))]
    assert sides.row_sides(("run", "epoch"), rows, order) == ["a", "b", "c", "other"]
    assert sides.row_sides(("run", "epoch"), rows, order, by_run=True) == ["a", "a", "b", "other"]
    assert sides.row_sides(("run", "epoch"), rows, order[:1]) == []
    assert sides.row_sides(("run", "n"), rows, order) == []


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


def test_what_is_strong_or_grey_in_a_chart_is_so_on_black_too() -> None:
    for colour, name in ((sides.INK, "ink"), (sides.OTHERS, "edge"), (sides.QUIET, "ink-2")):
        assert f'.chart svg [stroke="{colour}"] {{ stroke: var(--{name}); }}' in sheet()
