"""How examples are learned over epochs: equal to the papers' own definitions, written here with NumPy."""

import math
from contextlib import closing

import numpy as np
import pytest
from recording import record
from stores import epoch, writer

import secondguess as sg
from secondguess.analysis.errors import BadInput

CLASSES = 4
COLUMNS = [
    *("id", "truth", "mean_truth_score", "variability", "correctness", "forgetting_events", "first_learned"),
    *("stable_since", "flips", "aum", "floored"),
]
# By hand, of two classes. a: right, wrong, right; b: wrong to the end; c: learned in epoch 2 and kept; u: unlabelled.
BY_HAND = {
    1: [("a", 0, [0.75, 0.25]), ("b", 1, [0.5, 0.5]), ("c", 0, [0.25, 0.75]), ("u", None, [1, 0])],
    2: [("a", 0, [0.25, 0.75]), ("b", 1, [1, 0]), ("c", 0, [0.75, 0.25]), ("u", None, [1, 0])],
    3: [("a", 0, [1, 0]), ("b", 1, [0.75, 0.25]), ("c", 0, [0.75, 0.25]), ("u", None, [0, 1])],
}


def softmax(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


@pytest.fixture(scope="module")
def logits() -> np.ndarray:
    """R x E x N x C."""
    logits = np.random.default_rng(7).normal(size=(2, 6, 30, CLASSES)) * 3
    logits[0, 2, :5] *= 60  # whose scores are 0 and 1
    logits[:, :, 11, 0] = -300  # an example of class 0 that is never learned
    return logits


@pytest.fixture(scope="module")
def truth() -> np.ndarray:
    truth = np.random.default_rng(8).integers(0, CLASSES, 30)
    truth[11] = 0
    return truth


@pytest.fixture(scope="module")
def store(tmp_path_factory, logits, truth):
    path = tmp_path_factory.mktemp("store")
    record(path, "by hand", BY_HAND)
    for run, of_run in enumerate(logits):
        scores = softmax(of_run)
        epochs = {
            epoch + 1: [(f"x{i:02d}", int(truth[i]), scores[epoch, i].tolist()) for i in range(len(truth))]
            for epoch in range(len(scores))
        }
        record(path, f"run{run}", epochs)
    return sg.connect(path)


def stored(store, run: int) -> np.ndarray:
    """E x N x C: the scores as they are stored, float32."""
    rows = store.sql(
        f'SELECT epoch, id, {", ".join(f"score_{k}" for k in range(CLASSES))} FROM "run{run}@all" ORDER BY ALL'
    )
    values = np.array([row[2:] for row in rows.fetchall()], np.float64)
    return values.reshape(-1, 30, CLASSES)


def of_run(scores: np.ndarray, truth: np.ndarray) -> dict[str, np.ndarray]:
    """What the papers' code counts in one run, N each, but for means, which are given epoch by epoch, E x N."""
    places = np.arange(len(truth))
    right = scores.argmax(-1) == truth
    gold = scores[:, places, truth]
    logs = np.log(np.maximum(scores, 2.0**-149))
    others = logs.copy()
    others[:, places, truth] = -np.inf
    other_scores = scores.copy()
    other_scores[:, places, truth] = -1
    steps = right[1:].astype(int) - right[:-1].astype(int)
    learned = right.any(0)
    # example_forgetting, sort_examples_by_forgetting: a run that never learned the example adds all presentations.
    forgetting = np.where(learned, (steps == -1).sum(0), len(right))
    first = np.where(learned, right.argmax(0) + 1, 0)
    stable = np.array([0 if not of[-1] else max([0, *(np.flatnonzero(~of) + 1)]) + 1 for of in right.T])
    guesses = scores.argmax(-1)
    return {
        "gold": gold,
        "right": right,
        "margin": logs[:, places, truth] - others.max(-1),
        "forgetting": forgetting,
        "first": first,
        "stable": stable,
        "flips": (guesses[1:] != guesses[:-1]).sum(0),
        "floored": (gold == 0).sum(0) + (other_scores.max(-1) == 0).sum(0),
    }


def test_by_hand(store):
    a, b, c = store.ask("dynamics", "by hand").fetchall()
    assert store.ask("dynamics", "by hand").columns == COLUMNS
    ln3, ln0 = math.log(3), 149 * math.log(2)
    assert a[:2] == ("a", 0)
    assert a[2:5] == pytest.approx((2 / 3, np.std([0.75, 0.25, 1]), 2 / 3))
    assert a[5:9] == (1, 1, 3, 2)
    assert a[9:] == (pytest.approx((ln3 - ln3 + ln0) / 3), 1)
    assert b[2:5] == pytest.approx((0.25, np.std([0.5, 0, 0.25]), 0))
    assert b[5:9] == (3, None, None, 0)
    assert b[9:] == (pytest.approx((0 - ln0 - ln3) / 3), 1)
    assert c[2:5] == pytest.approx((7 / 12, np.std([0.25, 0.75, 0.75]), 2 / 3))
    assert c[5:9] == (0, 2, 2, 1)
    assert c[9:] == (pytest.approx(ln3 / 3), 0)


@pytest.mark.parametrize("runs", [[0], [1], [0, 1]], ids=["one", "other", "both"])
def test_equal_to_the_papers_on_the_same_stored_scores(store, truth, runs):
    """Means over all epochs of all runs; sums of what is counted; the first that learned, the last that is stable."""
    of_runs = [of_run(stored(store, run), truth) for run in runs]
    gold = np.concatenate([each["gold"] for each in of_runs])
    right = np.concatenate([each["right"] for each in of_runs])
    margin = np.concatenate([each["margin"] for each in of_runs])
    first = np.array([each["first"] for each in of_runs])
    stable = np.array([each["stable"] for each in of_runs])
    rows = store.ask("dynamics", *(f"run{run}" for run in runs)).fetchall()
    for i, row in enumerate(rows):
        assert row[:2] == (f"x{i:02d}", truth[i])
        assert row[2:5] == pytest.approx((gold[:, i].mean(), gold[:, i].std(), right[:, i].mean()), abs=1e-9)
        assert row[5] == sum(each["forgetting"][i] for each in of_runs)
        assert row[6] == (min(first[:, i][first[:, i] > 0], default=None))
        assert row[7] == (None if (stable[:, i] == 0).any() else stable[:, i].max())
        assert row[8] == sum(each["flips"][i] for each in of_runs)
        assert row[9] == pytest.approx(margin[:, i].mean(), abs=1e-9)
        assert row[10] == sum(each["floored"][i] for each in of_runs)
    assert len(rows) == len(truth)
    assert rows[11][5] == 6 * len(runs)


def test_the_area_under_the_margin_is_that_of_the_logits(store, logits, truth):
    """But for what float32 probabilities round; examples whose scores became 0 are left out."""
    places = np.arange(len(truth))
    others = logits[1].copy()
    others[:, places, truth] = -np.inf
    aum = (logits[1][:, places, truth] - others.max(-1)).mean(0)
    rows = [row for row in store.ask("dynamics", "run1").fetchall() if row[10] == 0]
    assert len(rows) > 20
    assert [row[9] for row in rows] == pytest.approx([aum[int(row[0][1:])] for row in rows], abs=1e-4)


def test_epochs_whose_scores_are_nan_count_as_wrong_and_are_left_out_of_means(tmp_path):
    nan = math.nan
    epochs = {1: [("a", 0, [0.75, 0.25])], 2: [("a", 0, [nan, nan])], 3: [("a", 0, [0.25, 0.75])]}
    record(tmp_path, "cnn", epochs)
    row = sg.connect(tmp_path).ask("dynamics", "cnn").fetchall()[0]
    assert row[2:5] == pytest.approx((0.5, 0.25, 1 / 3))
    assert row[5:9] == (1, 1, None, 2)
    assert row[9] == pytest.approx(0)


def test_the_classes_may_have_names(tmp_path):
    record(
        tmp_path,
        "cnn",
        {1: [("a", "it's", [0.25, 0.5, 0.25]), ("b", "dog", [0.5, 0.25, 0.25])]},
        classes=["dog", "it's", "x"],
    )
    rows = sg.connect(tmp_path).ask("dynamics", "cnn", sort="id").fetchall()
    assert [row[9] for row in rows] == pytest.approx([math.log(2)] * 2)


def test_repeated_ids_are_refused(tmp_path):
    with closing(writer(tmp_path, "cnn")) as run:
        run.commit(epoch(1, ["a", "a"], truth=[0, 0], guess=[0, 1]))
    store = sg.connect(tmp_path)
    for question in ("dynamics", "trajectories"):
        with pytest.raises(BadInput, match=r"cnn/test_predictions@1 has an id that is missing or comes twice"):
            store.ask(question, "cnn")


def test_each_example_is_one_row_with_its_guesses_and_curve(store):
    found = store.ask("trajectories", "by hand")
    assert found.columns == [
        *("id", "truth", "guesses", "truth_scores", "first_learned", "stable_since", "flips"),
        *("forgetting_events", "agreement", "runs"),
    ]
    assert found.fetchall() == [
        ("a", 0, "0 1 0", [0.75, 0.25, 1], 1, 3, 2, 1, 1, 1),
        ("b", 1, "0 0 0", [0.5, 0, 0.25], None, None, 0, 0, 1, 1),
        ("c", 0, "1 0 0", [0.25, 0.75, 0.75], 2, 2, 1, 0, 1, 1),
        ("u", None, "0 0 1", [None, None, None], None, None, 1, None, 1, 1),
    ]


def test_runs_stand_beside_each_other_in_a_trajectory(tmp_path):
    names = ["big cat", "dog"]
    cat, dog, lost = [1, 0], [0, 1], [math.nan, math.nan]
    record(tmp_path, "a", {1: [("p", "dog", cat)], 2: [("p", "dog", dog)]}, classes=names)
    record(tmp_path, "b", {1: [("p", "dog", dog)]}, classes=names)
    record(tmp_path, "c", {1: [("p", "dog", lost)]}, classes=names)
    rows = sg.connect(tmp_path).ask("trajectories", "a", "b", "c").fetchall()
    assert [(row[2], row[4], row[5], row[6], row[9]) for row in rows] == [('"big cat" dog | dog | -', 1, None, 1, 3)]
    assert rows[0][8] == pytest.approx(2 / 3)


@pytest.mark.parametrize("bins", [1, 4, 20])
def test_the_data_map_counts_the_examples_of_each_cell(store, bins):
    """Each cell's number is that of the rows of `dynamics` within its bounds."""
    rows = store.ask("dynamics", "run0", "run1").fetchall()
    cells = store.ask("data-map", "run0", "run1", bins=bins).fetchall()
    assert sum(cell[4] for cell in cells) == len(rows)
    for left, right, low, high, count, correctness in cells:
        last = 1e-9 if right == 0.5 else 0, 1e-9 if high == 1 else 0
        there = [row for row in rows if left <= row[3] < right + last[0] and low <= row[2] < high + last[1]]
        assert len(there) == count
        assert np.mean([row[4] for row in there]) == pytest.approx(correctness)
