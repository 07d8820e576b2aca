"""How an answer's columns and cells are put on the page, and what of a view an error is about."""

from analysis.web import cells, columns

NUMBERS, COUNTS = "DOUBLE", 'STRUCT("values" STRUCT("value" BIGINT, "rows" BIGINT)[], distinct BIGINT)'


def test_sides_of_a_join_share_a_cell_and_pinned_columns_come_first() -> None:
    names = ("id", "guess_a", "guess_b", "confidence_a", "confidence_b", "score_0_a", "score_0_b")
    types = ("VARCHAR", "BIGINT", "BIGINT", "FLOAT", "FLOAT", "FLOAT", "FLOAT")
    found = columns.shown(names, types, 2, ("cat", "dog"), ("confidence_a",))
    assert [(column.head, column.kind, column.names) for column in found] == [
        ("confidence", "number", ("confidence_a", "confidence_b")),
        ("id", "key", ("id",)),
        ("guess", "label", ("guess_a", "guess_b")),
        ("cat", "score", ("score_0_a", "score_0_b")),
    ]
    assert [column.compared for column in found] == [True, False, False, False]


def test_a_groups_key_and_what_the_other_side_has_are_two_columns() -> None:
    found = columns.shown(("guess_a", "n", "guess_b"), ("BIGINT", "BIGINT", COUNTS), 2, ())
    assert [(column.head, column.kind) for column in found] == [
        ("guess_a", "label"),
        ("n", "number"),
        ("guess_b", "counts"),
    ]


def drawn(rows: list[tuple[object, ...]]) -> list[list[cells.Cell]]:
    """Joined rows of id, truth, guess and truth_score as cells."""
    names = ("id", "truth_a", "truth_b", "guess_a", "guess_b", "truth_score_a", "truth_score_b")
    types = ("VARCHAR", *["BIGINT"] * 4, "FLOAT", "FLOAT")
    shown = columns.shown(names, types, 2, ())
    return [row.cells for row in cells.rows(shown, names, rows, cells.Images(), 0)]


def test_equal_guesses_are_alike_and_a_truth_is_said_once() -> None:
    [[_, truth, guess, score]] = drawn([("x", 3, 3, 5, 5, 0.25, 0.5)])
    assert [label.text for label in truth.parts] == ["3"]
    assert (guess.alike, [label.wrong for label in guess.parts]) == (True, [True, True])
    assert (score.parts, score.change) == (("0.2500", "0.5000"), "+0.2500")


def test_a_label_that_differs_is_said_for_each_side() -> None:
    [[_, truth, guess, score]] = drawn([("x", 3, 4, 3, 4, 0.5, 0.25)])
    assert [label.text for label in truth.parts] == ["3", "4"]
    assert not guess.alike
    assert score.change == "−0.2500"


def test_a_side_without_a_row_is_absent_and_not_a_null() -> None:
    [[_, truth, guess, score], [_, _, null, _]] = drawn(
        [("x", None, 4, None, 4, None, 0.5), ("y", 4, 4, None, 4, 0.5, 0.5)]
    )
    assert [label.text for label in truth.parts] == ["4"]
    assert guess.absent == {0}
    assert null.absent == frozenset()
    assert (score.parts, score.change) == ((None, "0.5000"), None)
