"""Two recipes of several runs: an interval with both sources of chance, shown to cover by simulated worlds."""

import json
import math

import numpy as np
import pytest
from recording import record
from scipy.special import expit, ndtr, stdtrit

import secondguess as sg
from secondguess.analysis.cli import main
from secondguess.analysis.errors import BadInput, NotFound
from secondguess.analysis.evidence.recipes import ONE_RUN, Recipes, _superior, estimate

WORLDS = 2_000
GAIN = 0.03
# id, truth, guess of six runs. By hand: all have p right, a-1 alone has q wrong, the b have r right more often.
RUNS = {
    "a-1": [("p", 0, 0), ("q", 1, 0), ("r", 1, 0), ("s", 0, 1), ("u", None, 1), ("w", 1, 1), ("x", 0, 0)],
    "a-2": [("p", 0, 0), ("q", 1, 1), ("r", 1, 0), ("s", 0, 1), ("u", None, 1), ("w", 1, 1)],
    "b-1": [("p", 0, 0), ("q", 1, 1), ("r", 1, 1), ("s", 0, 1), ("u", None, 1), ("w", 0, 1)],
    "b-2": [("p", 0, 0), ("q", 1, 1), ("r", 1, 1), ("s", 0, 0), ("u", None, 1), ("w", 0, 1)],
    "b-3": [("p", 0, 0), ("q", 1, 1), ("r", 1, 0), ("s", 0, 1), ("u", None, 1), ("w", 0, 1)],
}
A, B = [[1, 0, 0, 0], [1, 1, 0, 0]], [[1, 1, 1, 0], [1, 1, 1, 1], [1, 1, 0, 0]]


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    path = tmp_path_factory.mktemp("store")
    for run, rows in RUNS.items():
        record(path, run, {1: rows})
    rng = np.random.default_rng(2)
    hard = rng.random(600)
    for run, accuracy in (("low-1", 0.8), ("low-2", 0.81), ("low-3", 0.79), ("high-1", 0.9), ("high-2", 0.91)):
        record(path, run, {1: [(f"{i:03d}", 0, int(hard[i] > accuracy)) for i in range(600)]})
    return sg.connect(path)


def variance_by_hand(a: np.ndarray, b: np.ndarray) -> float:
    """Of the difference of the means of R x N, from the mean squares of a two-way table without repetition."""
    n = a.shape[1]
    total = np.var(b.mean(0) - a.mean(0), ddof=1) / n
    for side in (a, b):
        runs = len(side)
        of_runs = n * ((side.mean(1) - side.mean()) ** 2).sum() / (runs - 1)
        rest = ((side - side.mean(1)[:, None] - side.mean(0) + side.mean()) ** 2).sum() / ((runs - 1) * (n - 1))
        total += (of_runs - rest) / (n * runs)
    return float(total)


def test_what_runs_and_examples_say_together(store):
    found = store.compare("a-1", "a-2", with_=["b-1", "b-2", "b-3"])
    assert (found.n, found.runs_a, found.runs_b) == (4, ("a-1@1", "a-2@1"), ("b-1@1", "b-2@1", "b-3@1"))
    assert (found.estimate.accuracy_a, found.estimate.accuracy_b) == pytest.approx((3 / 8, 3 / 4))
    # x is in one run only, u has no label, w has another truth in b.
    assert dict(found.excluded) == {"not labelled in all": 2, "truths differ": 1}
    assert found.verdict == "cannot_tell"
    assert ONE_RUN not in found.notes


def test_the_variance_is_that_of_the_mean_squares():
    a, b = np.array(A), np.array(B)
    found = estimate(np.concatenate([a, b]).T, 2)
    low, high = found.interval

    half = stdtrit(found.degrees, 0.975) * math.sqrt(variance_by_hand(a, b))
    assert low == pytest.approx(max(-1, 3 / 8 - half))
    assert high == pytest.approx(min(1, 3 / 8 + half))


def test_examples_that_are_alike_are_counted_as_often():
    right = np.array([[1, 1, 1, 1], [1, 0, 1, 1], [1, 0, 1, 1], [0, 0, 1, 0]])
    assert estimate(right, 2) == estimate(right[[0, 1, 3]], 2, [1, 2, 1])


def test_a_recipe_that_errs_less_whatever_the_seed(store):
    found = store.compare("low-*", with_="high-*")
    assert found.verdict == "b_better"
    assert repr(found).startswith("high-1@1, high-2@1: err less than low-1@1, low-2@1, low-3@1\n")
    low, high = found.estimate.superior_interval
    assert 0.5 < low < found.estimate.superior <= high <= 1
    assert found.as_dict()["verdict"] == "b_better"
    assert store.compare("high-*", with_="low-*").verdict == "a_better"


def test_one_run_on_a_side_says_what_its_interval_lacks(store):
    found = store.compare("low-1", with_="high-*")
    assert ONE_RUN in found.notes
    assert found.estimate.superior is None
    assert found.estimate.superior_interval == (0, 1)
    pair = store.compare("low-1", with_="high-1")
    assert pair.counts == store.compare("low-1", "high-1").counts
    assert ONE_RUN in pair.notes


def test_runs_that_do_not_differ_leave_open_who_is_superior():
    found = estimate([[1, 1, 1, 1], [0, 0, 1, 1], [1, 1, 1, 1]], 2)
    assert (found.superior, found.seed_share) == (None, 0)
    same = estimate([[1, 1, 1, 1]] * 3, 2)
    assert (same.interval, same.seed_share) == ((0, 0), None)


def test_the_json_has_what_the_readme_names(store, capsys):
    main(["compare", "low-*", "--with", "high-*", "--format", "json", "--store", str(store.store)])
    found = json.loads(capsys.readouterr().out)
    assert list(found) == [
        *("runs_a", "runs_b", "n", "accuracy_a", "accuracy_b", "difference", "interval", "level", "degrees"),
        *("p_superior", "p_superior_interval", "seed_share", "verdict", "excluded", "notes"),
    ]
    assert found["difference"] == pytest.approx(found["accuracy_b"] - found["accuracy_a"])
    for form in ("csv", "markdown"):
        main(["compare", "low-*", "--with", "high-*", "--format", form, "--store", str(store.store)])
        assert "b_better" in (out := capsys.readouterr().out) or "err less" in out
    assert found == json.loads(store.compare("low-*", with_="high-*").to_json())
    assert "err less" in store.compare("low-*", with_="high-*")._repr_html_()


@pytest.mark.parametrize(
    ("tables", "more", "error", "said"),
    [
        (["a-1", "a-2"], {"with_": "a-*"}, BadInput, "a-1@1 is named twice; each run is on one side, once"),
        (["a-*"], {"with_": "c-*"}, NotFound, "no run fits 'c-*'"),
        (["a-*"], {"with_": "b-*", "by": "truth"}, BadInput, "by and floor go with two tables"),
        (["a-*"], {"with_": "b-*", "level": 2}, BadInput, "the level is 2"),
        (["a-*@all"], {"with_": "low-*"}, BadInput, "no example is labelled alike in all of"),
        (["a-*"], {"with_": "low-*"}, BadInput, "no example is labelled alike in all of"),
    ],
)
def test_what_cannot_be_compared_is_said(store, tables, more, error, said):
    with pytest.raises(error) as caught:
        store.compare(*tables, **more)
    assert said in str(caught.value)


def world(rng: np.random.Generator, n: int, runs: int, share: float) -> np.ndarray:
    """N x 2R: which run has which example right; the seed's share of the variance of the difference is about share."""
    first = rng.uniform(0.35, 0.65, n)
    second = first + GAIN + rng.normal(0, 0.03, n)
    other = (np.var(second - first) + 0.23 * 2 / runs) / n
    of_seed = math.sqrt(share / (1 - share) * other * runs / 2)
    sides = [rng.random((runs, n)) < base + rng.normal(0, of_seed, (runs, 1)) for base in (first, second)]
    return np.concatenate(sides).T


@pytest.mark.slow
@pytest.mark.parametrize("runs", [3, 5, 10])
@pytest.mark.parametrize("share", [0.05, 0.5, 0.95])
def test_coverage_in_simulated_worlds(runs, share, capsys):
    rng = np.random.default_rng(0)
    found = [estimate(world(rng, 300, runs, share), runs) for _ in range(WORLDS)]
    covered = 100 * sum(one.interval[0] <= GAIN <= one.interval[1] for one in found) / WORLDS
    with capsys.disabled():
        print(f"\n{runs} runs a side, seed's share {share:.0%}: {covered:.1f} % of {WORLDS:,} worlds covered")
    assert 93.5 <= covered <= 98


@pytest.mark.slow
@pytest.mark.parametrize("of_seed", [0.05, 0.6])
@pytest.mark.parametrize("runs", [3, 10])
def test_coverage_where_most_examples_are_easy(runs, of_seed, capsys):
    """93 % of the examples are almost always right, as of a good model, the others mostly wrong."""
    rng = np.random.default_rng(1)

    def difficulties(n: int) -> np.ndarray:
        return np.where(rng.random(n) < 0.93, rng.normal(5, 1, n), rng.normal(-1, 2, n))

    def drawn(easy: np.ndarray, gain: float) -> np.ndarray:
        own = easy + rng.normal(0, 1, len(easy)) + gain
        return rng.random((runs, len(easy))) < expit(own + rng.normal(0, of_seed, (runs, 1)))

    many = difficulties(2_000_000)
    noise = rng.normal(0, math.hypot(1, of_seed), len(many))
    true = float((expit(many + noise + 0.3) - expit(many + noise)).mean())
    covered = 0
    for _ in range(1_000):
        easy = difficulties(1_000)
        low, high = estimate(np.concatenate([drawn(easy, 0), drawn(easy, 0.3)]).T, runs).interval
        covered += low <= true <= high
    with capsys.disabled():
        print(f"\n{runs} runs a side of mostly easy examples, seeds spread {of_seed}: {covered / 10:.1f} %")
    assert 935 <= covered <= 985


@pytest.mark.parametrize("runs", [3, 10])
def test_the_interval_of_a_fresh_runs_chance_covers_it(runs):
    """Accuracies of runs are normal, of one spread for both recipes or of two."""
    rng = np.random.default_rng(4)
    for spreads in ((0.01, 0.01), (0.01, 0.03)):
        true = float(ndtr(0.02 / math.hypot(*spreads)))
        covered = 0
        for _ in range(WORLDS):
            sides = [rng.normal(mean, spread, runs) for mean, spread in zip((0.9, 0.92), spreads, strict=True)]
            spread = [(float(np.var(side, ddof=1)), runs) for side in sides]
            _, (low, high) = _superior(sides[1].mean() - sides[0].mean(), spread, 0.95)
            covered += low <= true <= high
        assert 0.93 <= covered / WORLDS <= 0.98


def test_it_is_a_frozen_value(store):
    found = store.compare("a-*", with_="b-*").recipes
    assert isinstance(found, Recipes)
    with pytest.raises(AttributeError):
        found.n = 3
