"""What follows from counts of truths and guesses, as scikit-learn has it."""

import math
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import precision_recall_fscore_support

from secondguess.analysis.ask.confusion import half, margins, mistakes, most_mistaken

LABELS = ["ant", "bee", "cat"]
LABEL = st.sampled_from(LABELS)


@given(st.lists(st.tuples(LABEL, LABEL), min_size=1))
def test_precision_and_recall_are_those_of_scikit_learn(rows: list[tuple[str, str]]) -> None:
    found = margins(Counter(rows), LABELS)
    truth, guess = zip(*rows, strict=True)
    precision, recall, _, support = precision_recall_fscore_support(truth, guess, labels=LABELS, zero_division=math.nan)
    for place, label in enumerate(LABELS):
        ours = (found.precision(label), found.recall(label))
        theirs = [None if math.isnan(share) else share for share in (precision[place], recall[place])]
        assert ours == pytest.approx(theirs)
        assert found.all[label] == support[place]
    assert (found.rows, found.errors) == (len(rows), sum(one != other for one, other in rows))


def test_a_label_that_nothing_has_has_no_share() -> None:
    found = margins({("ant", "bee"): 2}, LABELS)
    assert (found.recall("ant"), found.precision("ant")) == (0, None)
    assert (found.recall("bee"), found.precision("bee")) == (None, 0)


COUNTS = {("ant", "ant"): 9, ("ant", "bee"): 1, ("bee", None): 4, ("cat", "ant"): 2, ("cat", "bee"): 0}


def test_mistakes_are_what_was_guessed_instead_the_most_common_first() -> None:
    assert mistakes(COUNTS) == [(4, "bee", None), (2, "cat", "ant"), (1, "ant", "bee")]
    assert half(COUNTS) == 1  # 4 of 7
    assert half({("ant", "ant"): 3}) == 0


def test_of_many_labels_those_with_most_mistakes_of_all_tables_stay_in_their_order() -> None:
    labels = ["ant", "bee", "cat", None]
    assert most_mistaken([COUNTS], labels, 2) == ["bee", None]  # 5 and 4 mistakes, 3 and 2 of the others
    assert most_mistaken([COUNTS, {("ant", "cat"): 9}], labels, 2) == ["ant", "cat"]
    assert most_mistaken([COUNTS], labels, 4) == labels
