"""Charts of answers: what is drawn of which, with which numbers, and where its marks lead."""

import re
from collections import Counter
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from page import CAT, DOG, SCRIPT
from PIL import Image

from secondguess.analysis.answers import charts
from secondguess.analysis.answers import lines as drawn_lines
from secondguess.analysis.answers.answer import Answer
from secondguess.analysis.answers.lines import Naming, whole_ticks
from secondguess.analysis.answers.sides import colours
from secondguess.analysis.errors import BadInput
from secondguess.analysis.moments import Moment
from secondguess.analysis.page import urls

BY_EPOCH = (("run", "epoch", "errors"), [("cnn", 1, 12), ("cnn", 2, 9), ("double", 1, 10), ("double", 2, 8)])
BY_GUESS = (("run", "epoch", "guess", "errors"), [("cnn", 3, CAT, 2), ("cnn", 3, None, 1), ("double", 3, SCRIPT, 4)])
MATRIX = (
    ("run", "epoch", "truth", "guess", "rows"),
    [("cnn", 3, CAT, CAT, 18), ("cnn", 3, CAT, SCRIPT, 2), ("cnn", 3, DOG, None, 1)],
)
PAIR = [("cnn", 3), ("double", 3)]
OVER_TIME = [("cnn", 1), ("cnn", 2), ("double", 1), ("double", 2)]


def chart(drawn: Any, columns: Any, rows: Any, order: Any, classes: Any = (), link: Any = None) -> Any:
    return charts.chart(Answer(columns, (), rows, drawn, order, classes), link)


def lines(link: Any = None) -> Any:
    return chart(None, *BY_EPOCH, OVER_TIME, link=link)


def bars(link: Any = None) -> Any:
    return chart(("beside", ("guess",)), *BY_GUESS, PAIR, link=link)


def matrix(link: Any = None) -> Any:
    return chart(("matrix", ("truth", "guess", "rows")), *MATRIX, PAIR[:1], link=link)


def values(made: Any) -> list[dict[str, Any]]:
    """The numbers behind the marks."""
    [found] = made.to_dict()["datasets"].values()
    assert isinstance(found, list)
    return found


def texts(svg: str) -> list[str]:
    return re.findall(r"<text[^>]*>([^<]*)</text>", svg)


def test_errors_by_epoch_are_a_line_per_run() -> None:
    assert [(each["run"], each["epoch"], each["errors"]) for each in values(lines())] == BY_EPOCH[1]
    svg = charts.svg(lines())
    for colour, points in (("#14764a", 2), ("#6d42c1", 2)):
        assert len(re.findall(rf'<path[^>]*fill="{colour}"', svg)) >= points
    assert {"cnn", "double", "1", "2", "errors", "epoch"} <= set(texts(svg))


def test_the_run_named_first_is_green_whatever_the_order_of_rows() -> None:
    made = chart(None, *BY_EPOCH, [("double", 1), ("double", 2), ("cnn", 1), ("cnn", 2)])
    scale = made.to_dict()["layer"][0]["encoding"]["color"]["scale"]
    assert dict(zip(scale["domain"], scale["range"], strict=True)) == {"double": "#14764a", "cnn": "#6d42c1"}


def test_errors_by_guess_are_bars_beside_each_other_and_null_is_a_word() -> None:
    found = [(each["table"], each["key"], each["errors"]) for each in values(bars())]
    assert found == [("cnn@3", CAT, 2), ("cnn@3", "null", 1), ("double@3", SCRIPT, 4)]
    assert {CAT, "null", "cnn@3", "double@3"} <= set(texts(charts.svg(bars())))


def test_a_confusion_is_shaded_where_it_is_wrong() -> None:
    found = {(each["down"], each["across"]): (each["count"], each["shade"]) for each in values(matrix())}
    assert found == {(CAT, CAT): (18, 0), (CAT, SCRIPT): (2, 2), (DOG, "null"): (1, 1)}


def test_classes_stand_in_the_records_order_which_is_not_the_alphabets() -> None:
    classes = (SCRIPT, DOG, CAT)  # of which the last is the first in no alphabet
    squares = chart(("matrix", ("truth", "guess", "rows")), *MATRIX, PAIR[:1], classes).to_dict()
    encoding = squares["spec"]["layer"][0]["encoding"]
    assert encoding["x"]["sort"] == encoding["y"]["sort"] == [SCRIPT, DOG, CAT, "null"]
    bars = chart(("beside", ("guess",)), *BY_GUESS, PAIR, (CAT, SCRIPT)).to_dict()
    assert bars["encoding"]["x"]["sort"] == [CAT, SCRIPT, "null"]


@pytest.mark.parametrize("made", [lines, bars, matrix])
def test_markup_in_a_name_is_text(made: Any) -> None:
    """Nothing in a chart runs, or comes from elsewhere."""
    svg = charts.svg(made(urls.table))
    assert "<script" not in svg
    assert not re.search(r"\son\w+=|<foreignObject|<style|<image|url\(\s*['\"]?http|javascript:", svg)


@pytest.mark.parametrize(
    ("made", "first"),
    [
        (lines, (["cnn@1"], ["wrong"])),
        (
            bars,
            (["cnn@3"], [f"guess IS NOT DISTINCT FROM '{CAT}'", "wrong"]),
        ),
        (matrix, (["cnn@3"], [f"truth IS NOT DISTINCT FROM '{CAT}'", f"guess IS NOT DISTINCT FROM '{CAT}'"])),
    ],
)
def test_a_mark_leads_to_its_rows(made: Any, first: tuple[list[str], list[str]]) -> None:
    asked = parse_qs(urlsplit(values(made(urls.table))[0]["href"]).query)
    assert asked["t"] == first[0]
    assert [text.replace('"', "") for text in asked["where"]] == first[1]


@pytest.mark.parametrize(("made", "marks"), [(lines, 4), (bars, 3), (matrix, 3)])
def test_a_drawn_mark_leads_to_this_page_and_nowhere_else(made: Any, marks: int) -> None:
    found = re.findall(r'href="([^"]*)"', charts.svg(made(urls.table)))
    assert len(found) == marks
    assert [address for address in found if not address.startswith("/table?")] == []


@pytest.mark.parametrize("made", [lines, bars, matrix])
def test_without_a_page_no_mark_leads_anywhere(made: Any) -> None:
    assert "href=" not in charts.svg(made()).replace("xmlns:xlink=", "")


def metric(*rows: tuple[str, int, float, float, float]) -> Any:
    names = ("run", "x", "value", "least", "most")
    return drawn_lines.metric([dict(zip(names, row, strict=True)) for row in rows], ["cnn", "double"], "step")


def test_a_metric_is_a_line_per_run_with_axes() -> None:
    made = metric(("cnn", 1, 2.0, 2.0, 2.0), ("cnn", 500, 1.0, 1.0, 1.0), ("double", 500, 0.5, 0.5, 0.5))
    svg = charts.svg(made)
    assert {"step", "500", "1.0"} <= set(texts(svg))
    assert ('stroke="#14764a"' in svg, 'stroke="#6d42c1"' in svg) == (True, True)
    assert [layer["mark"]["type"] for layer in made.to_dict()["layer"]] == ["line", "point"]


def test_markup_in_the_name_of_a_run_is_text_in_its_metrics() -> None:
    name = "<script>alert(1)</script>"
    row = {"run": name, "x": 1, "value": 1.0, "least": 1.0, "most": 1.0}
    assert "<script" not in charts.svg(drawn_lines.metric([row, {**row, "x": 2}], [name], "step"))


def test_a_point_that_stands_for_several_values_has_a_band_from_the_least_to_the_most() -> None:
    layers = metric(("cnn", 1, 2.0, 1.5, 3.0), ("cnn", 2, 1.0, 0.5, 2.0)).to_dict()["layer"]
    assert [layer["mark"]["type"] for layer in layers] == ["area", "line", "point"]
    assert (layers[0]["encoding"]["y"]["field"], layers[0]["encoding"]["y2"]["field"]) == ("least", "most")


def test_it_stands_on_the_pages_own_background() -> None:
    assert not re.search(
        r'<rect[^>]*class="background"|<rect width="\d+" height="\d+" fill="white"', charts.svg(lines())
    )


@pytest.mark.parametrize(
    ("drawn", "columns", "rows"),
    [
        (None, ("run", "epoch", "errors"), []),
        (None, ("run", "epoch", "errors"), [("cnn", 1, 12)]),
        (None, ("run", "epoch", "id"), [("cnn", 1, "a"), ("cnn", 2, "a")]),
        (None, ("n",), [(1,)]),
        (("under", ("id",)), ("run", "epoch", "id"), [("cnn", 1, "a")]),
        (("beside", ("guess",)), ("run", "epoch", "guess", "n"), [("cnn", 1, "a", 1)]),
        (("beside", ("guess",)), ("run", "epoch", "guess", "errors"), [("cnn", 1, str(row), 1) for row in range(2001)]),
    ],
)
def test_what_a_chart_says_no_more_of_than_a_table_has_none(drawn: Any, columns: Any, rows: Any) -> None:
    assert chart(drawn, columns, rows, [("cnn", 1)]) is None


def written(folder: Path, kind: str) -> Path:
    path = folder / f"errors.{kind}"
    charts.write(lines(), path, f".{kind}")
    return path


def test_it_is_written_as_svg_png_and_html(tmp_path: Path) -> None:
    assert written(tmp_path, "svg").read_text().startswith("<svg")
    with Image.open(written(tmp_path, "png")) as image:
        assert (image.format, image.width > 1000) == ("PNG", True)  # twice as fine as 520 pixels
    page = written(tmp_path, "html").read_text()
    assert not re.search(r"<(?:script|link|img)[^>]+(?:src|href)=\"https?:", page)


def test_another_format_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"\.svg, \.png or \.html"):
        charts.write(lines(), tmp_path / "errors.pdf", ".pdf")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ['a\\"b', "a\\'b", "a\\", '\\\\"-1-"', '"', "'", "`${1}`"])
def test_a_column_of_any_name_has_a_chart(name: str) -> None:
    """Vega-Lite puts a title into an expression of Vega's, where a backslash must not end its text."""
    rows = [("cnn", 1, "x", "y", 2), ("cnn", 1, "y", "y", 3)]
    made = chart(("matrix", (name, "other", "rows")), ["run", "epoch", name, "other", "rows"], rows, [("cnn", 1)])
    assert "<svg" in charts.svg(made)
    made = chart(
        ("beside", (name,)), ["run", "epoch", name, "errors"], [row[:3] + row[4:] for row in rows], [("cnn", 1)]
    )
    assert "<svg" in charts.svg(made)


def test_the_validations_of_an_epoch_are_drawn_evenly_up_to_it() -> None:
    rows = [("half", 1, 750, 3), ("half", 1, 1500, 2), ("half", 2, None, 1), *(("plain", at, None, 4) for at in (1, 2))]
    order = [(run, Moment(epoch, step)) for run, epoch, step, _ in rows]
    made = charts.chart(Answer(("run", "epoch", "step", "errors"), (), rows, None, order))
    [marks] = made.to_dict()["datasets"].values()
    assert [(mark["run"], mark["across"], mark["at"]) for mark in marks] == [
        ("half", 0.5, "1:750"),
        ("half", 1.0, "1:1500"),
        ("half", 2.0, "2"),
        ("plain", 1.0, "1"),
        ("plain", 2.0, "2"),
    ]


def test_a_reliability_diagram_has_a_point_a_bin_and_leaves_out_single_classes() -> None:
    columns = ("run", "epoch", "class", "bin", "confidence", "accuracy", "low", "high", "n")
    rows = [("cnn", 3, None, 1, 0.25, 0.5, 0.1, 0.9, 4), ("cnn", 3, None, 2, 0.75, 1.0, 0.5, 1.0, 6)]
    made = chart(("curve", ("confidence", "accuracy")), columns, [*rows, ("cnn", 3, CAT, 1, 0.2, 0, 0, 1, 2)], PAIR[:1])
    found = made.to_dict()
    drawn = next(each for each in found["datasets"].values() if len(each) == 2 and "n" in each[0])
    assert [(each["x"], each["y"], each["low"], each["high"]) for each in drawn] == [
        *((0.25, 0.5, 0.1, 0.9), (0.75, 1.0, 0.5, 1.0)),
    ]
    assert {"confidence", "accuracy"} <= set(texts(charts.svg(made)))


def test_a_data_map_has_a_square_a_cell_that_leads_to_its_examples() -> None:
    columns = ("variability", "to_variability", "mean_truth_score", "to_mean_truth_score", "examples", "correctness")
    rows = [(0.0, 0.25, 0.5, 1.0, 7, 1.0), (0.25, 0.5, 0.0, 0.5, 2, 0.25)]
    answer = Answer(columns, (), rows, ("cells", ("variability", "mean_truth_score", "examples")), [("cnn", 1)])
    led: list[str] = []
    made = charts.chart(answer, None, lambda where: led.append(where) or f"/{len(led)}")
    assert led == [
        "variability >= 0.0 AND mean_truth_score >= 0.5 AND variability < 0.25",
        "variability >= 0.25 AND mean_truth_score >= 0.0 AND mean_truth_score < 0.5",
    ]
    assert [each["count"] for each in values(made)] == [7, 2]
    svg = charts.svg(made)
    assert "confidence (Swayamdipta et al.)" in svg
    assert 'href="/1"' in svg


def many(runs: int, **how: Any) -> Any:
    """Errors of so many runs at two epochs; that of run number 9 errs least."""
    rows = [(f"r{run}", epoch, 100 - 10 * epoch - (50 if run == 9 else run)) for run in range(runs) for epoch in (1, 2)]
    answer = Answer(("run", "epoch", "errors"), (), rows, None, [(run, epoch) for run, epoch, _ in rows])
    return charts.chart(answer, urls.table, **how)


def test_of_more_runs_than_have_looks_the_others_are_grey_and_the_best_and_the_chosen_are_named() -> None:
    svg = charts.svg(many(12, naming=Naming(frozenset({"r11", "gone"}), lambda run: f"/chosen?line={run}")))
    strokes = Counter(re.findall(r'aria-roledescription="line mark"[^>]*stroke="(#\w+)"', svg))
    assert (strokes["#8d8f8a"], strokes["#14764a"], strokes["#1b1c1e"]) == (4, 1, 2)
    assert {"r9", "r11"} <= set(texts(svg))  # at their lines
    assert {f"r{run}" for run in range(8)} <= set(texts(svg))  # in the legend
    assert "r10" not in texts(svg)
    assert "<title>r10</title>" in svg  # at the pointer
    assert "/chosen?line=r10" in svg


def test_each_of_several_confusions_is_shaded_in_its_own_colour() -> None:
    rows = [(run, 3, CAT, DOG, 2) for run in ("a", "b", "c")]
    order = [(run, 3) for run in ("a", "b", "c")]
    made = chart(("matrix", ("truth", "guess", "rows")), MATRIX[0], rows, order).to_dict()
    ranges = [part["spec"]["layer"][0]["encoding"]["color"]["scale"]["range"] for part in made["hconcat"]]
    assert ranges == [["#f6f6f3", colour] for colour in colours(3)]


@pytest.mark.parametrize(
    ("least", "greatest", "expected"),
    [(1, 3, [1, 2, 3]), (1, 2, [1, 2]), (7, 7, [7]), (1, 200, [50, 100, 150, 200]), (3, 1_000_000, [200_000, 400_000])],
)
def test_the_axis_of_epochs_and_steps_has_whole_numbers_and_each_once(
    least: int, greatest: int, expected: list[int]
) -> None:
    assert whole_ticks([greatest, least])[: len(expected)] == expected
    rows = [{"run": "cnn", "x": x, "value": 1.0 / x, "least": 1.0 / x, "most": 1.0 / x} for x in (least, greatest)]
    numbers = [text for text in texts(charts.svg(drawn_lines.metric(rows, ["cnn"], "epoch"))) if "." not in text]
    assert len(numbers) == len(set(numbers))


def test_a_histogram_has_bars_from_end_to_end_that_lead_to_their_rows() -> None:
    """The last bin of all has its upper end too."""
    rows = [("cnn", 3, -1.0, 0.0, 4), ("cnn", 3, 0.0, 1.0, 2), ("double", 3, 0.0, 1.0, 5)]
    made = chart(
        ("histogram", ("low", "high", "rows")), ("run", "epoch", "low", "high", "rows"), rows, PAIR, link=urls.table
    )
    bars_ = values(made)
    assert [(bar["table"], bar["low"], bar["high"], bar["count"]) for bar in bars_] == [
        ("cnn@3", -1.0, 0.0, 4),
        ("cnn@3", 0.0, 1.0, 2),
        ("double@3", 0.0, 1.0, 5),
    ]
    where = [parse_qs(urlsplit(bar["href"]).query)["where"] for bar in bars_]
    assert where[0] == ["guess - truth >= '-1.0'::DOUBLE", "guess - truth < 0.0::DOUBLE"]
    assert where[1] == ["guess - truth >= 0.0::DOUBLE", "guess - truth <= 1.0::DOUBLE"]
    assert {"cnn@3", "double@3", "guess minus truth"} <= set(texts(charts.svg(made)))
