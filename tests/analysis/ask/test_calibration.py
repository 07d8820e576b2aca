"""Calibration: equal to scikit-learn and to definitions written out with NumPy; known where the data are made so."""

import hashlib
import math

import numpy as np
import pytest
from recording import record
from scipy.optimize import minimize_scalar
from scipy.special import logsumexp
from sklearn.calibration import calibration_curve
from sklearn.metrics import brier_score_loss, log_loss

import secondguess as sg
from secondguess.analysis.errors import BadInput

N, CLASSES = 998, 4  # 997 is a prime, so that no quantile falls on a row but for rounding


def made(seed: int, cooled: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Scores N x C, and truths drawn from them; with cooled below 1 the scores are surer than the truths."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(N, CLASSES)) * 2
    true = np.exp(logits - logsumexp(logits, axis=1, keepdims=True))
    truth = np.array([rng.choice(CLASSES, p=row) for row in true])
    scores = np.exp(logits / cooled - logsumexp(logits / cooled, axis=1, keepdims=True))
    return scores.astype(np.float32), truth


def rows_of(scores: np.ndarray, truth: np.ndarray) -> list[tuple[str, int, list[float]]]:
    return [(f"{i:04d}", int(truth[i]), scores[i].tolist()) for i in range(len(truth))]


@pytest.fixture(scope="module")
def calibrated():
    return made(3)


@pytest.fixture(scope="module")
def sure():
    return made(3, cooled=0.5)


@pytest.fixture(scope="module")
def store(tmp_path_factory, calibrated, sure):
    path = tmp_path_factory.mktemp("store")
    nan = math.nan
    record(path, "calibrated", {1: rows_of(*calibrated)})
    record(path, "sure", {1: rows_of(*sure)})
    odd = [("a", 0, [1, 0]), ("b", 1, [1, 0]), ("c", None, [1, 0]), ("d", 0, [nan, nan])]
    record(path, "odd", {1: odd})
    record(path, "guesses", {1: [("a", 0, 0), ("b", 1, 0)]})
    return sg.connect(path)


def measures(store, table, **how):
    rows = store.ask("calibration", table, **how).fetchall()
    return {row[3]: row[4:] for row in rows if row[2] is None}


def confident(scores: np.ndarray, truth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return scores.max(1).astype(np.float64), (scores.argmax(1) == truth).astype(float)


def test_brier_and_log_loss_are_scikit_learns(store, calibrated):
    scores, truth = calibrated
    scores = scores.astype(np.float64) / scores.sum(1, dtype=np.float64, keepdims=True)  # to float64's exactness
    found = measures(store, "calibrated")
    assert found["brier"][0] == pytest.approx(brier_score_loss(truth, scores, scale_by_half=False), abs=1e-6)
    p, hit = confident(*calibrated)
    assert found["brier_confidence"][0] == pytest.approx(brier_score_loss(hit, p), abs=1e-9)
    assert found["log_loss"][0] == pytest.approx(log_loss(truth, scores), abs=1e-6)
    assert found["zero_scores"][0] == 0
    parts = found["reliability"][0] - found["resolution"][0] + found["uncertainty"][0] + found["within_bins"][0]
    assert found["brier_confidence"][0] == pytest.approx(parts, abs=1e-12)
    assert found["brier"][3] == N


@pytest.mark.parametrize("binning", ["width", "mass"])
@pytest.mark.parametrize("bins", [1, 7, 15])
def test_bins_and_their_error_are_scikit_learns(store, sure, binning, bins):
    p, hit = confident(*sure)
    rates, means = calibration_curve(hit, p, n_bins=bins, strategy={"width": "uniform", "mass": "quantile"}[binning])
    rows = store.ask("reliability", "sure", bins=bins, binning=binning).fetchall()
    assert [row[6] for row in rows] == pytest.approx(means)
    assert [row[7] for row in rows] == pytest.approx(rates)
    sizes = np.array([row[10] for row in rows])
    assert sizes.sum() == N
    error = (sizes * np.abs(rates - means)).sum() / N
    assert measures(store, "sure", bins=bins)[f"ece_{binning}"][0] == pytest.approx(error, abs=1e-9)


def test_the_area_under_risk_and_coverage_is_the_mean_of_the_risks(store, sure):
    p, hit = confident(*sure)
    order = np.argsort(-p, kind="stable")
    places = np.arange(1, N + 1)
    errors = np.cumsum(1 - hit[order])
    risks = errors / places
    tied = np.isin(p[order], [value for value in set(p) if (p == value).sum() > 1])
    assert tied.sum() < 5
    assert measures(store, "sure")["aurc"][0] == pytest.approx(risks.mean(), abs=1e-5)
    rows = store.ask("risk-coverage", "sure", points=10).fetchall()
    assert [row[5] for row in rows] == [math.ceil(k * N / 10) for k in range(1, 11)]
    assert [row[2] for row in rows] == [row[5] / N for row in rows]
    assert [row[3] for row in rows] == pytest.approx([risks[row[5] - 1] for row in rows], abs=1e-3)


def test_rows_of_one_confidence_share_their_errors(tmp_path):
    """Three rows at 0.75, one of them wrong: risks of 1/3 at each of their places, whatever their ids."""
    rows = [("a", 0, [1, 0]), ("b", 0, [0.75, 0.25]), ("c", 1, [0.75, 0.25]), ("d", 0, [0.75, 0.25])]
    record(tmp_path, "cnn", {1: rows})
    store = sg.connect(tmp_path)
    expected = [0, (1 / 3) / 2, (2 / 3) / 3, 1 / 4]
    assert [row[3] for row in store.ask("risk-coverage", "cnn", points=4).fetchall()] == pytest.approx(expected)
    assert measures(store, "cnn")["aurc"][0] == pytest.approx(np.mean(expected))


def test_the_temperature_is_that_of_least_loss_on_its_half(store, calibrated, sure):
    (row,) = store.ask("temperature", "sure").fetchall()
    scores, truth = sure
    fitted = np.array([sha(f"{i:04d}") < "8" for i in range(N)])
    logs = np.log(scores.astype(np.float64))

    def loss(temperature: float, rows: np.ndarray) -> float:
        cooled = logs[rows] / temperature
        return float((logsumexp(cooled, axis=1) - cooled[np.arange(rows.sum()), truth[rows]]).mean())

    best = minimize_scalar(lambda t: loss(t, fitted), bounds=(0.1, 10), method="bounded", options={"xatol": 1e-9}).x
    assert row[2] == pytest.approx(best, abs=1e-5)
    assert row[3:5] == pytest.approx((loss(1, ~fitted), loss(best, ~fitted)), abs=1e-6)
    assert row[5:] == (fitted.sum(), (~fitted).sum())
    assert row[2] == pytest.approx(2, rel=0.15)  # as it was made
    (row,) = store.ask("temperature", "calibrated").fetchall()
    assert row[2] == pytest.approx(1, rel=0.15)
    assert row[5:] == (fitted.sum(), (~fitted).sum())


def sha(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def test_the_difference_of_two_tables_is_that_of_their_measures_with_a_paired_interval(store, calibrated, sure):
    rows = {row[0]: row[1:] for row in store.ask("calibration-difference", "calibrated", "sure").fetchall()}
    for name in ("brier", "brier_confidence", "log_loss", "squared_error"):
        a, b = measures(store, "calibrated")[name][0], measures(store, "sure")[name][0]
        assert rows[name][:3] == pytest.approx((a, b, b - a), abs=1e-9)
        assert rows[name][3] > 0  # the surer one is worse, and that is told
        assert rows[name][5] == N
    losses = [-np.log(scores[np.arange(N), truth].astype(np.float64)) for scores, truth in (calibrated, sure)]
    change = losses[1] - losses[0]
    half = 1.959964 * change.std(ddof=1) / math.sqrt(N)
    assert rows["log_loss"][3:5] == pytest.approx((change.mean() - half, change.mean() + half), abs=1e-6)


def test_a_table_does_not_differ_from_itself(store):
    for row in store.ask("calibration-difference", "sure", "sure").fetchall():
        assert row[3] == 0
        assert row[4] <= 0 <= row[5]


def test_classes_are_those_that_are_guessed(store, sure):
    scores, truth = sure
    rows = store.ask("calibration", "sure", by="class", where="measure = 'brier'").fetchall()
    guess = scores.argmax(1)
    assert [row[2] for row in rows] == [None, 0, 1, 2, 3]
    for row in rows[1:]:
        of_class = guess == row[2]
        expected = ((scores[of_class] - np.eye(CLASSES)[truth[of_class]]) ** 2).sum(1).mean()
        assert (row[4], row[7]) == (pytest.approx(expected, abs=1e-6), of_class.sum())


def test_rows_without_truth_or_scores_are_left_out_and_zero_scores_counted(store):
    found = measures(store, "odd")
    assert {value[3] for value in found.values()} == {2}
    assert found["brier"][0] == pytest.approx((0 + 2) / 2)
    assert found["log_loss"][0] == pytest.approx(149 * math.log(2) / 2)
    assert found["zero_scores"][0] == 1
    assert store.ask("calibration", "guesses").fetchall() == []


@pytest.mark.slow
@pytest.mark.parametrize("cooled", [1.0, 0.7])
def test_coverage_of_the_debiased_error_the_brier_score_and_the_log_loss(tmp_path, cooled, capsys):
    """Of 300 worlds of 1,000 rows each, in one table an epoch a world; the truths are means over 400,000 rows."""
    worlds = 300
    record(tmp_path, "cnn", {world + 1: rows_of(*made(world, cooled)) for world in range(worlds)})
    store = sg.connect(tmp_path)
    rows = store.ask("calibration", "cnn@all").fetchall()
    many = [made(10_000 + seed, cooled) for seed in range(400)]
    p, hit = confident(np.concatenate([scores for scores, _ in many]), np.concatenate([truth for _, truth in many]))
    edges = np.quantile(p, np.linspace(0, 1, 16))
    place = np.clip(np.searchsorted(edges[1:-1], p), 0, 14)
    sizes = np.bincount(place, minlength=15)
    gaps = np.bincount(place, hit - p, minlength=15) / sizes
    true = {
        "squared_error": (sizes * gaps**2).sum() / len(p),
        "brier_confidence": ((hit - p) ** 2).mean(),
        "log_loss": np.mean([-np.log(scores[np.arange(N), truth].astype(float)).mean() for scores, truth in many]),
    }
    for name, value in true.items():
        bounds = [(row[5], row[6]) for row in rows if row[3] == name]
        share = sum(low <= value <= high for low, high in bounds) / worlds
        with capsys.disabled():
            print(f"\n{name}, cooled {cooled}: {100 * share:.1f} % of {len(bounds)}")
        assert share >= 0.92


@pytest.mark.parametrize("bins", [0, -3])
def test_fewer_bins_than_one_are_one(store, bins):
    for question, tables in (("reliability", ["sure"]), ("data-map", ["sure", "calibrated"])):
        assert store.ask(question, *tables, bins=bins).fetchall() == store.ask(question, *tables, bins=1).fetchall()


def test_bad_options_are_refused(store):
    with pytest.raises(BadInput, match="binning 'foo' is not one of: width, mass"):
        store.ask("reliability", "sure", binning="foo")
    with pytest.raises(BadInput, match=r"level '1.5' is not a share between 0 and 1, as 0.95"):
        store.ask("calibration", "sure", level="1.5")
