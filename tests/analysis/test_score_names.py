"""Which score is of which class: names that scores have, and the order that they are put in."""

import itertools

import pytest

from secondguess.analysis.errors import BadInput
from secondguess.analysis.score_names import are_numbered, labels_of, numbered_order, order_of


@pytest.mark.parametrize(
    ("names", "known", "labels"),
    [
        (["prob_cat", "prob_car"], [], ["cat", "car"]),
        (["p(Cat)", "p(dog)"], ["cat", "dog"], ["cat", "dog"]),
        (["cat_score", "dog_score"], [], ["cat", "dog"]),
        (["prob_sea_otter", "prob_sea_lion"], ["sea lion", "sea otter"], ["sea otter", "sea lion"]),
        (["class_b", "class_a"], ["class_a", "class_b"], ["class_b", "class_a"]),
        (["prob_class_b", "prob_class_a"], ["class_a", "class_b"], ["class_b", "class_a"]),
        (["cat_x", "dog_x"], ["dog_x", "cat_x"], ["cat_x", "dog_x"]),
        (["score_1", "score_0"], ["cat", "dog"], ["1", "0"]),
        (["score_0", "score_1"], ["0", "1", "-1", "7"], ["0", "1"]),
        (["logit -1", "logit 1"], ["-1", "1"], ["-1", "1"]),
        (["p_b", "p_B"], ["B", "b"], ["b", "B"]),
    ],
)
def test_the_labels_that_columns_are_called_as(names: list[str], known: list[str], labels: list[str]) -> None:
    assert labels_of(names, set(known)) == tuple(labels)


@pytest.mark.parametrize(
    ("labels", "classes", "order"),
    [
        (["a", "b", "c"], ["c", "a", "b"], [2, 0, 1]),
        (["Cat", "dog"], ["DOG", "cat"], [1, 0]),
        (["0", "1", "2"], ["x", "y", "z"], [0, 1, 2]),
        (["2", "0", "10"], ["x", "y", "z"], [1, 0, 2]),
        (["LABEL_1", "LABEL_0"], ["x", "y"], [1, 0]),
        (["p", "q"], ["x", "y"], [0, 1]),  # as the option says: in the order of the columns
        (["b", "B"], ["B", "b"], [1, 0]),
        (["a", "a"], ["a", "b"], None),
        (["a", "b"], ["b", "c"], None),
        (["a", "b"], ["a", "b", "c"], [0, 1]),  # which is refused by their number, and said better there
    ],
)
def test_the_order_of_scores(labels: list[str], classes: list[str], order: list[int] | None) -> None:
    if order is None:
        with pytest.raises(BadInput, match="name both alike"):
            order_of(labels, classes)
    else:
        assert order_of(labels, classes) == order


def test_cells_that_name_other_classes_have_no_order() -> None:
    with pytest.raises(
        BadInput, match="what is called p, q cannot be put in the order of the classes x, y; name both alike"
    ):
        order_of(["p", "q"], ["x", "y"], in_cells=True)
    assert order_of(["LABEL_1", "LABEL_0"], ["x", "y"], in_cells=True) == [1, 0]


def test_every_order_of_columns_gives_the_same_order_of_classes() -> None:
    classes = ["class_a", "class_ab", "b", "10"]
    for names in itertools.permutations(classes):
        columns = [f"prob_{name}" for name in names]
        order = order_of(labels_of(columns, set(classes)), classes)
        assert [names[place] for place in order] == classes


@pytest.mark.parametrize(
    ("labels", "order", "are"),
    [
        (["0", "1", "2"], [0, 1, 2], True),
        (["LABEL_0", "LABEL_1"], [0, 1], True),
        (["LABEL_1", "LABEL_0"], [1, 0], False),
        (["class 3", "class 1", "class 2"], [1, 2, 0], False),
        (["1", "2"], [0, 1], False),
        (["a0", "b1"], None, False),
        (["0", "0"], None, False),
        (["00", "0"], None, False),
        (["cat", "ox"], None, False),
        (["cat", "1"], None, False),
        ([], None, False),
    ],
)
def test_labels_that_are_numbered(labels: list[str], order: list[int] | None, are: bool) -> None:
    assert (numbered_order(labels), are_numbered(labels)) == (order, are)
