"""How answers of questions are drawn from rows: matrices with margins, errors by guess, classes by number."""

from dataclasses import replace
from typing import Any

import duckdb
import pytest
from page_in_process import texts
from recording import record

from secondguess.analysis.answers.classes import heads, ordered
from secondguess.analysis.ask.confusion import blocks, by_similarity
from secondguess.analysis.ask.questions import Question
from secondguess.analysis.ask.scope import Relation, ctes
from secondguess.analysis.engine.statement import JoinReport, Statement
from secondguess.analysis.errors import BadInput
from secondguess.analysis.page.pages import butterfly
from secondguess.analysis.page.pages.confusion import matrices, tied
from secondguess.analysis.page.site import sql_of
from secondguess.analysis.serving.worker import Reply


def reply(columns: Any, rows: Any, order: Any, classes: Any = ()) -> Reply:
    return Reply(columns, (), rows, None, False, "", (), (), classes, order, 0)


def asked(*drawn: str) -> Question:
    return Question("q", "", "", "last", (1, None), (), (drawn[0], drawn[1:]), True)


def confusion(rows: Any, classes: Any = ()) -> Any:
    named = ("run", "epoch", "truth", "guess", "rows")
    made = reply(named, [("cnn", 1, *row) for row in rows], (("cnn", 1),), classes)
    [matrix] = matrices(asked("matrix", "truth", "guess", "rows"), made)
    return matrix


def by_guess(rows: Any, order: Any = (("cnn", 1), ("double", 2))) -> Any:
    made = reply(("run", "epoch", "guess", "errors", "truths", "ids"), rows, order)
    return butterfly.butterfly(asked("beside", "guess"), made)


def test_a_matrix_has_its_margins() -> None:
    matrix = confusion([(0, 0, 5), (0, 1, 2), (1, 1, 3), (1, 0, 1), (1, None, 1)])
    assert [head for head, _ in matrix["heads"]] == ["0", "1", "null"]
    assert [(line["label"], line["errors"], line["all"], line["recall"]) for line in matrix["lines"]] == [
        ("0", 2, 7, "0.714"),
        ("1", 2, 5, "0.600"),
    ]
    assert (matrix["errors"], matrix["precision"]) == ([1, 2, 1], [".83", ".60", ".00"])
    assert (matrix["wrong"], matrix["rows"]) == (4, 12)


def test_a_share_that_is_not_whole_is_never_rounded_up_to_one() -> None:
    [line, _] = confusion([(0, 0, 9999), (0, 1, 1), (1, 1, 1)])["lines"]
    assert line["recall"] == "0.999"


def test_shades_are_linear_in_six_steps_and_right_guesses_have_none() -> None:
    matrix = confusion([(0, 0, 500), (0, 1, 12), (1, 0, 2), (1, 1, 7)])
    assert [[cell["shade"] for cell in line["cells"]] for line in matrix["lines"]] == [[0, 6], [1, 0]]


def test_of_a_hundred_classes_those_with_most_mistakes_are_drawn_and_the_margins_count_all() -> None:
    rows = [(label, label, 10) for label in range(100)] + [(99, label, 1) for label in range(50)]
    matrix = confusion(rows)
    assert (len(matrix["heads"]), matrix["left"], matrix["classes"]) == (25, 75, 100)
    assert ("99", 50, 60) in [(line["label"], line["errors"], line["all"]) for line in matrix["lines"]]
    assert (matrix["wrong"], matrix["rows"]) == (50, 1050)


def test_the_most_common_mistakes_are_named_while_they_are_as_common() -> None:
    matrix = confusion([("cat", "dog", 5), ("dog", "cat", 5), ("cat", "cow", 1)])
    assert [(each["truth"], each["guess"]) for each in tied(matrix["mistakes"])] == [
        ("cat", "dog"),
        ("dog", "cat"),
    ]
    assert (matrix["half"], matrix["pairs"]) == (2, 6)  # 5 of 11 are not half


def test_names_longer_than_there_is_room_for_become_numbers_with_a_list() -> None:
    assert heads([0, 1, 10], 4) == (["0", "1", "10"], [])
    numbers, listed = heads(["cat", "trousers"], 4)
    assert (numbers, listed) == (["1", "2"], [("1", "cat"), ("2", "trousers")])


def test_classes_stand_in_their_records_order_then_by_size_and_null_is_last() -> None:
    assert ordered(["b", None, "a", "z"], ("z", "b")) == ["z", "b", "a", None]
    assert ordered([10, 9, None, 0], ()) == [0, 9, 10, None]


def test_errors_by_guess_share_their_scales() -> None:
    drawn = by_guess([("cnn", 1, 0, 4, {1: 3, 2: 1}, ["a"]), ("double", 2, 0, 8, {1: 6, 2: 2}, ["b"])])
    [line] = drawn["lines"]
    assert [part["width"] for part in line["parts"]] == [32, 64]
    assert [[bar["height"] for bar in part["bars"]] for part in line["parts"]] == [[0, 20, 6.7], [0, 40, 13.3]]
    assert [bar["head"] for bar in line["parts"][0]["bars"]] == ["·", "1", "2"]  # the guess itself is no error
    assert (drawn["totals"], drawn["most"]) == ([4, 8], 6)


def test_a_table_without_that_guess_has_none() -> None:
    drawn = by_guess([("cnn", 1, 0, 4, {1: 4}, ["a"]), ("double", 2, 1, 1, {0: 1}, ["b"])])
    assert [[part["errors"] for part in line["parts"]] for line in drawn["lines"]] == [[4, 0], [0, 1]]
    assert drawn["lines"][0]["parts"][1]["url"] == ""


def test_of_many_classes_the_true_labels_are_said_in_words() -> None:
    truths = {f"class {number:02}": number for number in range(1, 14)}
    drawn = by_guess([("cnn", 1, "guess", 91, truths, [])], (("cnn", 1),))
    [part] = drawn["lines"][0]["parts"]
    assert (drawn["wide"], part["bars"]) == (0, [])
    assert part["words"] == [("class 13", 13), ("class 12", 12), ("class 11", 11), ("class 10", 10)]
    assert part["more_words"] == 9


@pytest.mark.parametrize("drawn", [("under", "id"), ("matrix", "a", "b", "n")])
def test_other_answers_are_no_butterfly(drawn: tuple[str, ...]) -> None:
    assert butterfly.butterfly(asked(*drawn), reply(("run", "epoch"), [], ())) is None


def test_an_answers_own_part_is_known_and_not_looked_for() -> None:
    """A relation of the store may begin as the statement does."""
    scope = Relation("SELECT * FROM (\nSELECT 1 AS a\n)", frozenset())
    statement = Statement(ctes({"one": scope}), "SELECT a -- b\nFROM one")
    answer = replace(reply((), (), ()), sql=statement.text, own=statement.own)
    assert sql_of(answer) == {"text": statement.text, "short": "SELECT a -- b FROM one"}
    assert duckdb.sql(statement.text).fetchall() == [(1,)]


def test_an_answers_notes_are_its_own_whatever_they_say() -> None:
    report = JoinReport("left", "right", "id", 3)
    answer = replace(reply((), (), ()), notes=("joined twice: so somebody named a table",), reports=(report,))
    assert answer.notes == ("joined twice: so somebody named a table",)
    assert answer.remarks == ("joined twice: so somebody named a table", report.line)


def test_an_answer_is_filtered_and_sorted_in_its_form(tmp_path) -> None:
    """What is typed stays in the form, and a condition that is wrong is said there."""
    record(tmp_path, "cnn", {1: [("a", 0, 1), ("b", 1, 1), ("c", 1, 0), ("d", 1, 0)]})
    (page,) = texts(tmp_path, "/questions?q=confusion&t=cnn&o.where=truth+%3C%3E+guess&o.sort=-rows")
    assert 'name="o.where" size="12" value="truth &lt;&gt; guess"' in page
    assert "<b>2</b> cells" in page


def test_of_many_guesses_those_with_most_errors_come_first_and_the_others_on_further_pages() -> None:
    rows = [("cnn", 1, f"class {number}", number + 1, {"x": number + 1}, []) for number in range(60)]
    rows += [("double", 2, "class 5", 100, {"x": 100}, [])]
    made = reply(("run", "epoch", "guess", "errors", "truths", "ids"), rows, (("cnn", 1), ("double", 2)))
    first, rest, none = (butterfly.butterfly(asked("beside", "guess"), made, start) for start in (0, 50, 100))
    assert first is not None and rest is not None and none is not None
    assert [line["label"] for line in first["lines"]][:3] == ["class 5", "class 59", "class 58"]
    assert [line["label"] for line in rest["lines"]] == [
        f"class {number}" for number in (*range(10, 5, -1), *range(4, -1, -1))
    ]
    assert (len(first["lines"]), len(rest["lines"]), len(none["lines"]), first["every"]) == (50, 10, 0, 60)
    assert first["totals"] == rest["totals"] == [sum(range(1, 61)), 100]


MANY = [(f"c{truth:02}", f"c{(truth + 20) % 40:02}" if truth < 3 else f"c{truth:02}", truth + 1) for truth in range(40)]
MANY += [(f"c{truth:02}", f"c{truth:02}", 5) for truth in range(3)]
"""Of 40 classes 0 is taken for 20 once, 1 for 21 twice, 2 for 22 three times; the others never err."""


def folded(fold: str) -> Any:
    rows = [("cnn", 1, *row) for row in MANY]
    made = reply(("run", "epoch", "truth", "guess", "rows"), rows, (("cnn", 1),))
    [matrix] = matrices(asked("matrix", "truth", "guess", "rows"), made, fold, lambda other: f"?fold={other}")
    return matrix


def test_many_classes_are_folded_into_blocks_of_those_that_are_taken_for_each_other() -> None:
    matrix = folded("all")
    assert [name.partition("(")[2] for _, name in matrix["heads"]] == ["3 classes)", "3 classes)", "34 classes)"]
    cells = {
        (down, across): cell["value"]
        for down, line in enumerate(matrix["lines"])
        for across, cell in enumerate(line["cells"])
    }
    assert sum(cells.values()) == 6
    assert sum(line["errors"] for line in matrix["lines"]) == sum(matrix["errors"]) == matrix["wrong"] == 6
    assert (cells[2, 2], matrix["lines"][2]["recall"], matrix["lines"][2]["all"]) == (
        0,
        "1.000",
        sum(range(4, 41)) - 21 - 22 - 23,
    )
    assert matrix["lines"][0]["cells"][1]["url"] == "?fold=1-2"
    assert [mistake["count"] for mistake in matrix["mistakes"]] == [3, 2, 1]


def test_a_block_is_zoomed_into() -> None:
    matrix = folded("1-1")
    names = [name for _, name in matrix["heads"]]
    assert len(names) == 3
    assert [line["name"] for line in matrix["lines"]] == names
    pairs = {("c00", "c20"), ("c01", "c21"), ("c02", "c22")}
    assert any(set(pair) <= set(names) for pair in pairs)
    assert folded("")["left"] == 15  # as before: the 25 with most mistakes
    with pytest.raises(BadInput, match="fold is '9-1', neither all nor two of the 3 blocks, as in 1-2"):
        folded("9-1")


def test_classes_that_are_taken_for_each_other_stand_together() -> None:
    counts = {("a", "d"): 5, ("d", "a"): 4, ("b", "e"): 3, ("e", "d"): 1, ("c", "c"): 9}
    assert by_similarity([counts], ["a", "b", "c", "d", "e", "f"]) in (
        ["a", "d", "e", "b", "c", "f"],
        ["b", "e", "d", "a", "c", "f"],
    )
    assert blocks([counts], ["b", "e", "d", "a", "c", "f"]) == [["b", "e"], ["d", "a"], ["c", "f"]]
