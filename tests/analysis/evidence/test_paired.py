"""Intervals and tests of a paired difference: against SciPy, published examples, and every outcome there can be.

`pytest -s tests/analysis/evidence/test_paired.py` prints the tables of coverage and of the tests' rates.
"""

import math
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from secondguess.analysis.evidence import paired
from secondguess.analysis.evidence.paired import Counts

SIZES = (30, 100, 300, 1000)
SHARES = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2)
few_counts = st.integers(0, 3000)


def outcomes(n: int, fixed: float, broken: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Each (fixed, broken) that n examples may give, with its probability; those below 1e-13 are left out."""
    ranges = [np.arange(stats.binom.ppf(1e-13, n, p), stats.binom.isf(1e-13, n, p) + 1) for p in (fixed, broken)]
    first, second = np.meshgrid(*ranges, indexing="ij")
    possible = first + second <= n
    first, second = first[possible], second[possible]
    p = stats.multinomial.pmf(
        np.stack([first, second, n - first - second], axis=-1), n, [fixed, broken, 1 - fixed - broken]
    )
    return first, second, p


def grid() -> Iterator[tuple[int, float, float]]:
    for n in SIZES:
        for place, broken in enumerate(SHARES):
            for fixed in SHARES[place:]:
                yield n, broken, fixed


def covered(n: int, fixed: float, broken: float) -> float:
    """How often the interval has the true difference: the outcomes at which its own score does not exclude it."""
    first, second, p = outcomes(n, fixed, broken)
    true = fixed - broken
    over = np.maximum(abs(first - second - n * true) - paired._CORRECTION, 0)
    inside = over <= stats.norm.ppf(0.975) * np.sqrt(paired.score_variance(first, second, n, true))
    return float(p[inside].sum())


def test_the_interval_covers_the_true_difference():
    lines = []
    for n in SIZES:
        lines.append(f"\nn = {n}; broken \\ fixed" + "".join(f"{share:>8}" for share in SHARES))
        for broken in SHARES:
            row = [covered(n, fixed, broken) for fixed in SHARES]
            lines.append(f"{broken:>24}" + "".join(f"{100 * share:8.1f}" for share in row))
            for fixed, share in zip(SHARES, row, strict=True):
                assert share >= (0.94 if n * (fixed + broken) >= paired.FEW else 0.925), (n, broken, fixed)
    print("coverage in percent, of every outcome", *lines, sep="\n")


@given(st.integers(0, 60), st.integers(0, 60), st.integers(0, 200), st.floats(-0.999, 0.999))
def test_the_interval_is_where_its_score_does_not_exclude_the_difference(fixed, broken, rest, difference):
    n = fixed + broken + rest
    low, high = paired.difference_interval(fixed, broken, n)
    if n == 0 or min(abs(difference - low), abs(difference - high)) < 1e-9:
        return
    over = max(abs(fixed - broken - n * difference) - 0.125, 0)
    assert (low < difference < high) == (
        over <= stats.norm.ppf(0.975) * math.sqrt(max(0.0, paired.score_variance(fixed, broken, n, difference)))
    )


@given(st.integers(1, 40), st.integers(0, 40), st.integers(0, 100), st.floats(-0.9, 0.9))
def test_the_variance_is_that_of_the_likeliest_shares_with_this_difference(fixed, broken, rest, difference):
    """Tango 1998: checked against a search over all shares."""
    n = fixed + broken + rest
    least, most = max(0.0, -difference), (1 - difference) / 2
    q = np.linspace(least, most, 200_001)[1:-1]
    with np.errstate(divide="ignore", invalid="ignore"):
        rest_share = np.maximum(1 - 2 * q - difference, 0)
        likely = stats.binom.logpmf(0, 0, 0.5) + fixed * np.log(q + difference) + broken * np.log(q)
        likely = likely + (rest * np.log(rest_share) if rest else 0)
    best = q[np.nanargmax(likely)]
    expected = n * (2 * best + difference * (1 - difference))
    assert paired.score_variance(fixed, broken, n, difference) == pytest.approx(expected, abs=n * 2e-4)


def test_the_published_example_of_airway_hyper_responsiveness():
    """Fagerland, Lydersen, Laake 2014, Statistics in Medicine 33, 2850-2875: Tango's, without the correction."""
    assert paired.difference_interval(7, 1, 21, correction=0) == pytest.approx((0.026, 0.517), abs=5e-4)
    assert paired.p_exact(7, 1) == pytest.approx(0.0703, abs=5e-5)
    assert paired.p_mid(7, 1) == pytest.approx(0.0391, abs=5e-5)


@given(st.integers(1, 40), st.integers(1, 40), st.integers(10, 1000))
def test_without_the_correction_the_interval_is_tangos(fixed, broken, rest):
    """Its bounds are the outer roots of the quartic of Yang, Sun, Hardin 2013, Statistics in Medicine 32, 1336-1342."""
    n, d, s, g = fixed + broken + rest, fixed - broken, fixed + broken, stats.norm.ppf(0.975) ** 2
    quartic = [
        n**2 * (n / g + 1) ** 2,
        -n * d * (n / g + 1) * (4 * n / g + 1),
        2 * n * d**2 * (3 * n / g + 2) / g - n**2 * (s / g + 1),
        n * d * (2 * s / g + 1) - d**3 * (4 * n / g + 1) / g,
        d**2 * (d**2 / g - s) / g,
    ]
    roots = np.roots(quartic)
    real = roots[abs(roots.imag) < 1e-6].real
    assert paired.difference_interval(fixed, broken, n, correction=0) == pytest.approx((min(real), max(real)), abs=1e-5)


@pytest.mark.parametrize(
    ("fixed", "broken", "n", "interval"),
    [
        (0, 0, 0, (-1, 1)),
        (10, 0, 10, (0.4271, 1)),  # all are fixed
        (0, 10, 10, (-1, -0.4271)),
        (0, 0, 100, (-0.0394, 0.0394)),
    ],
)
def test_the_interval_at_the_ends(fixed, broken, n, interval):
    assert paired.difference_interval(fixed, broken, n) == pytest.approx(interval, abs=5e-5)


@given(few_counts, few_counts)
def test_the_exact_test_is_scipys(fixed, broken):
    expected = stats.binomtest(fixed, fixed + broken, 0.5).pvalue if fixed + broken else 1
    assert paired.p_exact(fixed, broken) == pytest.approx(expected, abs=1e-12, rel=1e-9)


@given(st.integers(0, 300), st.integers(0, 300))
def test_the_mid_p_counts_what_is_as_likely_half(fixed, broken):
    """By its definition, over each result that so many discordant examples may give."""
    discordant = fixed + broken
    if not discordant:
        assert paired.p_mid(0, 0) == 1
        return
    apart = abs(2 * np.arange(discordant + 1) - discordant)
    p = stats.binom.pmf(np.arange(discordant + 1), discordant, 0.5)
    here = abs(fixed - broken)
    assert paired.p_mid(fixed, broken) == pytest.approx(p[apart > here].sum() + p[apart == here].sum() / 2, rel=1e-9)


def rejecting(test, most: int) -> list[int]:
    """The most examples of the rarer kind with which a test rejects at 0.05, by how many are discordant; or -1."""
    return [max((k for k in range(m // 2 + 1) if test(k, m - k) <= 0.05), default=-1) for m in range(most)]


def test_the_rates_at_which_the_tests_see_a_difference_that_is_not_there():
    """Where fixed and broken are as likely, over the same grid; and of each number of discordant examples by itself."""
    most = 600
    bounds = {"exact": np.array(rejecting(paired.p_exact, most)), "mid-p": np.array(rejecting(paired.p_mid, most))}
    m = np.arange(most)
    conditional = {name: 2 * stats.binom.cdf(k, m, 0.5) for name, k in bounds.items()}
    lines = []
    for n in SIZES:
        for share in SHARES:
            p = stats.binom.pmf(m, n, 2 * share)
            rates = {name: float((p * rate).sum()) for name, rate in conditional.items()}
            lines.append(f"{n:>6} {share:>6} {100 * rates['exact']:8.2f} {100 * rates['mid-p']:8.2f}")
            assert rates["exact"] <= 0.05
            assert rates["mid-p"] <= 0.055
    print("false differences in percent: n, share fixed and broken, exact, mid-p", *lines, sep="\n")
    assert max(conditional["exact"]) <= 0.05
    worst = int(np.argmax(conditional["mid-p"]))
    assert (worst, round(100 * conditional["mid-p"][worst], 2)) == (paired.WORST_MID_AT, paired.WORST_MID)


def test_twelve_fixed_and_four_broken_are_told_apart():
    interval = paired.difference_interval(12, 4, 1000)
    assert interval[0] > 0
    assert (round(paired.p_mid(12, 4), 3), round(paired.p_exact(12, 4), 3)) == (0.049, 0.077)
    assert paired.verdict(paired.p_mid(12, 4), interval) == "b_better"


@pytest.mark.parametrize(
    ("p", "interval", "level", "expected"),
    [
        (0.05, (0.001, 0.1), 0.95, "b_better"),
        (0.05, (-0.1, -0.001), 0.95, "a_better"),
        (0.0501, (0.001, 0.1), 0.95, "cannot_tell"),
        (0.01, (0.0, 0.1), 0.95, "cannot_tell"),
        (0.01, (-0.1, 0.0), 0.95, "cannot_tell"),
        (0.04, (0.001, 0.1), 0.99, "cannot_tell"),
    ],
)
def test_a_verdict_needs_the_test_and_the_interval(p, interval, level, expected):
    assert paired.verdict(p, interval, level) == expected


def test_the_paired_test_tells_what_an_unpaired_one_does_not():
    """1,000 documents, 700 right in a and 730 in b, of which 40 are fixed and 10 broken: b errs less."""
    unpaired = stats.chi2_contingency([[700, 300], [730, 270]], correction=False).pvalue
    assert unpaired > 0.1
    assert paired.p_exact(40, 10) == pytest.approx(stats.binomtest(10, 50).pvalue)
    assert paired.verdict(paired.p_mid(40, 10), paired.difference_interval(40, 10, 1000)) == "b_better"


@given(st.integers(6, 400), st.integers(0, 5000))
def test_the_detectable_difference_is_told_in_four_of_five_cases(discordant, rest):
    """The power at it, from SciPy's binomial over each result that the test tells; a smaller difference has less."""
    n = discordant + rest
    share = (paired.detectable(discordant, n) * n / discordant + 1) / 2
    told = [k for k in range(discordant + 1) if paired.p_mid(k, discordant - k) <= 0.05]
    assert stats.binom.pmf(told, discordant, share).sum() == pytest.approx(0.8, abs=1e-6)


@pytest.mark.parametrize(("discordant", "level"), [(0, 0.95), (5, 0.95), (6, 0.99), (7, 0.99)])
def test_so_few_discordant_examples_tell_nothing(discordant, level):
    assert paired.detectable(discordant, 1000, level) is None


def test_at_a_low_level_every_difference_could_be_told():
    """Twenty discordant examples at 0.05: mid-p tells nearly all results, so the power is above 0.8 from 0 on."""
    assert paired.detectable(20, 100, 0.05) == 0


@given(st.integers(0, 300), st.integers(1, 300), st.sampled_from([0.8, 0.95, 0.99]))
def test_wilsons_interval_is_scipys(count, more, level):
    n = count + more
    expected = stats.binomtest(count, n).proportion_ci(level, "wilson")
    assert paired.wilson(count, n, level) == pytest.approx((expected.low, expected.high), abs=1e-9)
    assert paired.wilson(n, n, level)[1] == 1
    assert paired.wilson(0, 0) == (0, 1)


def test_holms_correction_is_that_of_r():
    """p.adjust(c(0.01, 0.04, 0.03, 0.005), "holm") and p.adjust(c(0.9, 0.5), "holm") in R."""
    assert paired.holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert paired.holm([0.9, 0.5]) == [1, 1]
    assert paired.holm([]) == []


@given(st.tuples(*[st.integers(0, 1000)] * 5))
def test_the_counts_add_up(numbers):
    counts = Counts(*numbers)
    assert counts.fixed - counts.broken == counts.errors_a - counts.errors_b
    assert counts.n == sum(numbers)
    if counts.n:
        assert counts.difference == pytest.approx(counts.accuracy_b - counts.accuracy_a)
        assert counts.churn == pytest.approx((numbers[1] + numbers[2] + numbers[4]) / counts.n)
    assert (counts + Counts(1, 2, 3, 4, 5)) == Counts(*(a + b for a, b in zip(numbers, (1, 2, 3, 4, 5), strict=True)))
