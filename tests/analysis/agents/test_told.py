"""An answer for an agent says first what of it there is, and is never longer than it takes."""

import json
from typing import Any

import pytest

from secondguess.analysis.agents.told import LONGEST, rows_told, shortened_list
from secondguess.analysis.answers.answer import CutList
from secondguess.analysis.serving.worker import Reply


def reply(rows: list[tuple[Any, ...]], total: int | None, *, more: bool = False, **other: Any) -> Reply:
    columns = [f"c{number}" for number in range(len(rows[0]) if rows else 1)]
    of: dict[str, Any] = {"columns": columns, "types": ["VARCHAR"] * len(columns), "classes": (), "notes": ("a", "a")}
    return Reply(rows=rows, total=total, more=more, sql="SELECT", reports=(), order=(), seconds=0, **{**of, **other})


@pytest.mark.parametrize(
    ("rows", "total", "more", "offset", "said"),
    [
        (0, 0, False, 0, "0 rows"),
        (1, 1, False, 0, "1 row"),
        (2, 2, False, 0, "2 rows"),
        (2, 1_234, True, 0, "2 of 1,234 rows; offset 2 shows what follows"),
        (2, 1_234, False, 0, "2 of 1,234 rows; offset 2 shows what follows"),
        (2, None, True, 0, "rows 1 to 2, of more that were not counted; offset 2 shows what follows"),
        (2, 1_234, True, 50, "rows 51 to 52 of 1,234; offset 52 shows what follows"),
        (2, 52, False, 50, "rows 51 to 52 of 52"),
        (2, None, True, 50, "rows 51 to 52, of more that were not counted; offset 52 shows what follows"),
        (0, 3, False, 50, "no rows after the first 50; there are 3"),
        (0, None, False, 50, "no rows after the first 50"),
    ],
)
def test_it_says_which_rows_of_how_many(rows: int, total: int | None, more: bool, offset: int, said: str) -> None:
    assert rows_told(reply([("x",)] * rows, total, more=more), offset)["said"] == said


def test_rows_that_do_not_fit_are_left_out_and_said() -> None:
    answer = rows_told(reply([("x" * 9_990,)] * 5, 9, more=True))
    assert len(answer["rows"]) == 3
    assert len(json.dumps(answer, ensure_ascii=False)) <= LONGEST
    assert answer["said"] == "3 of 9 rows; an answer has at most 40,000 characters; offset 3 shows what follows"
    one = rows_told(reply([("x" * 50_000,)], 1))
    assert one["rows"] == []
    assert one["said"].startswith("0 of 1 rows: one alone has more than 40,000 characters")


def test_single_floats_are_as_short_as_they_are_and_parts_of_values_are_told_too() -> None:
    cut = CutList([0.30000001192092896])
    row = (0.30000001192092896, 0.30000001192092896, cut, {"a": b"x", "b": [float("nan")]})
    answer = rows_told(reply([row], 1, types=["FLOAT", "DOUBLE", "FLOAT[]", "STRUCT(a BLOB, b DOUBLE[])"]))
    assert answer["rows"] == [[0.3, 0.30000001192092896, [0.3, "…"], {"a": "<1 bytes>", "b": ["nan"]}]]


def test_notes_are_said_once_and_classes_where_there_are_scores() -> None:
    names = ("ant", "bee")
    assert "classes" not in rows_told(reply([("x",)], 1, classes=names))
    answer = rows_told(reply([("x",)], 1, columns=["score_0"], classes=names))
    assert (answer["classes"], answer["notes"]) == ({"score_0": "ant"}, ["a"])


def test_a_list_that_is_too_long_says_so() -> None:
    assert shortened_list([1, 2], 2, "classes") == ([1, 2], [])
    assert shortened_list([1, 2, 3], 2, "classes", None) == ([1, 2], ["the first 2 of 3 classes"])
    assert shortened_list([1, 2, 3], 2, "classes")[1] == [
        "the first 2 of 3 classes; -o FILE on the command line writes all"
    ]
