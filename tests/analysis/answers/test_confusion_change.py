"""The change of a confusion as a matrix: of many classes those that changed most, and how much is not drawn."""

from secondguess.analysis.answers.confusion_change import matrix
from secondguess.analysis.evidence.ledger import Comparison, Group, Pair
from secondguess.analysis.evidence.paired import Counts


def compared(pairs: list[tuple[object, object, int, int]]) -> Comparison:
    """Two tables of 100 examples of each truth, that took truths for guesses so often in each."""
    groups = []
    for truth in dict.fromkeys(pair[0] for pair in pairs):
        a, b = (sum(pair[side] for pair in pairs if pair[0] == truth) for side in (2, 3))
        counts = Counts(both_right=100 - a - b, fixed=a, broken=b)
        groups.append(Group(truth, counts, (0, 0), 1, "cannot_tell"))
    made = tuple(Pair(*pair, 0, 0) for pair in sorted(pairs, key=lambda pair: -abs(pair[2] - pair[3])))
    return Comparison("a@1", "b@1", Counts(both_right=1), classes=tuple(groups), pairs=made)


def drawn(pairs: list[tuple[object, object, int, int]]) -> dict[str, object]:
    found = matrix(compared(pairs), lambda *where: " AND ".join(where))
    assert found is not None
    return found


def texts(found: dict[str, object]) -> list[list[str]]:
    return [[cell["text"] if cell["there"] else "" for cell in line["cells"]] for line in found["lines"]]


def test_rows_are_truths_and_columns_guesses_and_each_row_sums_to_0() -> None:
    found = drawn([("cat", "dog", 5, 2), ("cat", "cow", 0, 4), ("dog", "cat", 3, 3)])
    assert [head for head, _ in found["heads"]] == ["cat", "cow", "dog"]
    assert texts(found) == [["−1", "+4", "−3"], ["0", "", ""]] and found["left"] == 0


def test_a_missing_guess_has_a_column() -> None:
    found = drawn([(0, None, 0, 2)])
    assert [text for _, text in found["heads"]] == ["0", "null"]
    ways = " OR ".join(f'"guess_{side}" IS NOT DISTINCT FROM NULL' for side in "ab")
    assert found["lines"][0]["cells"][1]["url"] == f'"truth_a" IS NOT DISTINCT FROM 0 AND ({ways})'


def test_of_many_classes_those_that_changed_most_are_drawn_and_the_rest_is_said() -> None:
    found = drawn([(truth, truth + 1, 0, 1 if truth < 80 else 5) for truth in range(99)])
    assert [text for _, text in found["heads"]] == [str(label) for label in range(80, 100)]
    # 19 changes of 5 each are drawn; 80 of one each are not.
    assert (found["classes"], found["left"], found["changed"], found["changed_left"]) == (100, 80, 175, 80)


def test_without_classes_there_is_none() -> None:
    assert matrix(compared([]), lambda *where: "") is None


def test_of_changes_of_one_size_so_many_are_drawn_as_classes_have_room() -> None:
    """Of 50 pairs of two classes each that change by one, ten."""
    found = drawn([(f"t{number:02}", f"g{number:02}", 0, 1) for number in range(50)])
    assert (len(found["heads"]), found["changed"], found["changed_left"]) == (20, 50, 40)
