"""The classification summary: equal to scikit-learn, and intervals that cover what they should."""

import math
from pathlib import Path

import duckdb
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from recording import record
from scipy.special import ndtri
from sklearn import metrics

import secondguess as sg
from secondguess.analysis.ask import questions
from secondguess.analysis.evidence.paired import wilson
from secondguess.trainer.recorder import Recorder

NONE = -1  # what scikit-learn is given for a row without a guess
ASKED = questions.find(Path(), "classification")
AVERAGES = ("macro", "micro", "weighted")


def summary(con, truth, guess, *, k: int = 2):
    """The question's own SQL over rows that are given, keyed by measure and class."""
    con.register("rows", {"truth": np.asarray(truth), "guess": np.asarray(guess)})
    relation = f"""WITH predictions AS (
      SELECT 'r' AS run, 1 AS epoch, nullif(truth, -2) AS truth, nullif(guess, {NONE}) AS guess,
        CAST(NULL AS INTEGER) AS truth_rank, CAST(NULL AS BIGINT) AS at_step
      FROM rows
    )"""
    found = con.execute(f"{relation} SELECT * FROM ({ASKED.sql})", ASKED.values({"k": k})).fetchall()
    return {(row[3], row[4]): row[5:] for row in found}


def by_sklearn(truth, guess):
    """Every measure by scikit-learn, of labelled rows; classes are those that are a truth or a guess."""
    labels = sorted({*truth, *guess} - {NONE})
    expected = {("accuracy", None): metrics.accuracy_score(truth, guess)}
    recalls = metrics.recall_score(truth, guess, labels=sorted(set(truth)), average=None, zero_division=0)
    expected["balanced_accuracy", None] = recalls.mean()
    if len({*truth, *guess}) > 1:
        expected["cohen_kappa", None] = metrics.cohen_kappa_score(truth, guess)
        expected["mcc", None] = metrics.matthews_corrcoef(truth, guess)
    for average in AVERAGES:
        scores = metrics.precision_recall_fscore_support(truth, guess, labels=labels, average=average, zero_division=0)
        for name, value in zip(("precision", "recall", "f1"), scores, strict=False):
            expected[f"{average}_{name}", None] = value
    each = metrics.precision_recall_fscore_support(truth, guess, labels=labels, zero_division=0)
    for place, label in enumerate(labels):
        for name, values in zip(("precision", "recall", "f1"), each, strict=False):
            expected[name, label] = values[place]
    return expected


rows_of = st.lists(st.tuples(st.integers(0, 4), st.integers(NONE, 5)), min_size=1, max_size=40)


@given(rows=rows_of, unlabelled=st.integers(0, 3))
@settings(max_examples=150, deadline=None)
def test_equal_to_scikit_learn_with_absent_classes_unlabelled_rows_and_missing_guesses(rows, unlabelled):
    truth, guess = (list(side) for side in zip(*rows, strict=True))
    with duckdb.connect() as con:
        found = summary(con, [*truth, *[-2] * unlabelled], [*guess, *[0] * unlabelled])
    for key, value in by_sklearn(truth, guess).items():
        assert found[key][0] == pytest.approx(value, abs=1e-9), key
    for value, low, high, _ in found.values():
        assert low - 1e-12 <= value <= high + 1e-12
    assert found["accuracy", None][3] == len(rows)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    path = tmp_path_factory.mktemp("store")
    nan = math.nan
    rows = [
        *(("a", "cat", [0.5, 0.25, 0.25]), ("b", "cat", [0.25, 0.5, 0.25]), ("c", "dog", [0.5, 0.375, 0.125])),
        *(("d", "owl", [0.5, 0.375, 0.125]), ("e", "dog", [nan, nan, nan]), ("f", None, [1, 0, 0])),
    ]
    record(path, "cnn", {1: rows, 2: rows[:2]}, classes=["cat", "dog", "owl"])
    record(path, "plain", {1: [("a", 0, 0), ("b", 1, 0)]})
    return sg.connect(path)


def test_by_hand_with_names_nan_scores_and_an_unlabelled_row(store):
    rows = {(row[2], row[3]): row[4:] for row in store.ask("classification", "cnn@1", k=2).fetchall()}
    assert rows["accuracy", None] == pytest.approx((0.2, *wilson(1, 5), 5))
    assert rows["top_2_accuracy", None] == pytest.approx((0.6, *wilson(3, 5), 5))
    assert rows["precision", "cat"] == pytest.approx((1 / 3, *wilson(1, 3), 3))
    assert rows["recall", "cat"] == pytest.approx((0.5, *wilson(1, 2), 2))
    assert rows["f1", "cat"][0] == pytest.approx(0.4)
    low, high = wilson(1, 4)
    assert rows["f1", "cat"][1:3] == pytest.approx((2 * low / (1 + low), 2 * high / (1 + high)))
    assert rows["precision", "owl"] == (0, 0, 1, 0)
    assert rows["recall", "owl"][0] == 0


def test_each_epoch_is_summed_up_and_top_k_only_where_there_are_scores(store):
    found = store.ask("classification", "cnn@all", where="measure = 'accuracy'", k=1).fetchall()
    assert [(row[1], row[4]) for row in found] == [(1, 0.2), (2, 0.5)]
    names = {row[2] for row in store.ask("classification", "plain").fetchall()}
    assert {"accuracy", "mcc"} <= names
    assert not any(name.startswith("top_") for name in names)


def test_top_1_is_the_accuracy(store):
    rows = store.ask("classification", "cnn@1", k=1).fetchall()
    first, top = (next(row for row in rows if row[2] == name) for name in ("accuracy", "top_1_accuracy"))
    assert first[4:] == top[4:]


def test_the_level_widens_intervals(store):
    widths = []
    for level in (0.5, 0.95, 0.99):
        row = store.ask("classification", "cnn@1", where="measure = 'accuracy'", level=level).fetchall()[0]
        assert row[5:7] == pytest.approx(wilson(1, 5, level))
        widths.append(row[6] - row[5])
    assert widths == sorted(widths)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("accuracy", "n", "least"), [(0.95, 100, 0.86), (0.95, 500, 0.91), (0.8, 100, 0.91), (0.8, 500, 0.93)]
)
def test_coverage_of_intervals_at_95_percent(accuracy, n, least, capsys):
    """Four classes, the rarest 5 % of the rows: at n = 100 five of them, where averages over classes cover least."""
    rng = np.random.default_rng(1)
    shares = np.array([0.5, 0.3, 0.15, 0.05])
    cells = np.where(np.eye(4, dtype=bool), shares * accuracy, (shares * (1 - accuracy) / 3)[:, None]).ravel()
    cells /= cells.sum()
    whole = np.unravel_index(np.repeat(np.arange(16), np.round(cells * 60_000).astype(int)), (4, 4))
    worlds = 600
    with duckdb.connect() as con:
        true = {key: value[0] for key, value in summary(con, *whole).items()}
        covered = dict.fromkeys(true, 0)
        for _ in range(worlds):
            drawn = np.unravel_index(rng.choice(16, n, p=cells), (4, 4))
            for key, (_, low, high, _) in summary(con, *drawn).items():
                covered[key] += low - 1e-9 <= true[key] <= high + 1e-9
    with capsys.disabled():
        overall = {
            name: f"{100 * count / worlds:.1f}" for (name, of_class), count in covered.items() if of_class is None
        }
        print(f"\naccuracy {accuracy}, n {n}: {overall}")
    assert min(covered.values()) / worlds >= least


def test_the_deviate_of_a_level_is_the_normal_one():
    assert ASKED.values({})["level"] == pytest.approx(ndtri(0.975))


def test_validations_within_an_epoch_are_summed_up_each_on_its_own(tmp_path):
    with Recorder(tmp_path, run="half", wandb="off") as recorder:
        for step, guess in ((5, [0, 1]), (None, [0, 0])):
            with recorder.table("test_predictions", epoch=1, step=step) as table:
                table.add(ids=["a", "b"], truth=[0, 0], guess=guess)
    store = sg.connect(tmp_path)
    found = store.ask("classification", "half@all", where="measure = 'accuracy'")
    assert found.columns[:4] == ["run", "epoch", "step", "measure"]
    assert [row[:6] for row in found.fetchall()] == [
        ("half", 1, 5, "accuracy", None, 0.5),
        ("half", 1, None, "accuracy", None, 1),
    ]
    assert [row[5] for row in store.ask("classification", "half@1:5", where="measure = 'accuracy'").fetchall()] == [0.5]
    assert [row[2] for row in store.ask("trajectories", "half", sort="id").fetchall()] == ["0 0", "1 0"]
    for question in ("calibration", "reliability", "risk-coverage", "temperature"):
        assert store.ask(question, "half@all").fetchall() == []  # which has no scores
    assert store.compare("half@1:5", "half@1").counts.fixed == 1
    assert store.compare("half@1:5", with_="half@1").counts.fixed == 1


def test_more_classes_than_an_expression_may_be_deep(tmp_path: Path) -> None:
    scores = np.random.default_rng(0).dirichlet([1.0] * 1_500, 3).astype(np.float32)
    with Recorder(tmp_path / "p", run="many") as recorder, recorder.table("t", epoch=1) as table:
        table.add(ids=["a", "b", "c"], truth=[7, 700, 1_499], scores=scores)
    said = sg.connect(tmp_path / "p").sql("SELECT truth_rank, brier_score FROM many ORDER BY id").fetchall()
    hot = np.eye(1_500)[[7, 700, 1_499]]
    assert [rank for rank, _ in said] == [
        1 + int((row > row[at]).sum()) for row, at in zip(scores, (7, 700, 1_499), strict=True)
    ]
    assert [brier for _, brier in said] == pytest.approx(((scores.astype(float) - hot) ** 2).sum(1), abs=1e-9)
