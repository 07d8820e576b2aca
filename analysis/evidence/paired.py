"""Two tables on the same examples: the interval of a difference, the tests of it, what could be told, the verdict.

SciPy has the distributions; that of a difference of paired proportions is in no library that is kept: statsmodels has
McNemar's test without the mid-p and no score interval.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from scipy.optimize import brentq
from scipy.special import bdtr, ndtri

from secondguess.analysis.schema import LEVEL

Interval = tuple[float, float]
Verdict = Literal["a_better", "b_better", "cannot_tell"]

POWER = 0.8
FEW = 10  # discordant examples below which the interval of a difference is approximate
# How often, in percent, the mid-p test sees a difference at a level of 0.95 that is not there, at its worst, and with
# how many discordant examples. Over any number of them it stays below 5.5 percent.
WORST_MID, WORST_MID_AT = 7.68, 16
_CORRECTION = 0.125  # examples


@dataclass(frozen=True)
class Counts:
    """What became of n examples from table a to table b: each is in one of the six.

    fixed: wrong in a, right in b; broken: right in a, wrong in b; wrong both times with one guess, or with two.
    """

    both_right: int = 0
    fixed: int = 0
    broken: int = 0
    both_wrong_same: int = 0
    both_wrong_other: int = 0

    @property
    def n(self) -> int:
        """All examples."""
        return self.both_right + self.errors_a + self.broken

    @property
    def errors_a(self) -> int:
        """The errors of a."""
        return self.fixed + self.both_wrong_same + self.both_wrong_other

    @property
    def errors_b(self) -> int:
        """The errors of b."""
        return self.broken + self.both_wrong_same + self.both_wrong_other

    @property
    def discordant(self) -> int:
        """The examples that one table has right and the other wrong."""
        return self.fixed + self.broken

    @property
    def accuracy_a(self) -> float:
        """The share that a has right; NaN of no examples, as all shares here."""
        return _share(self.n - self.errors_a, self.n)

    @property
    def accuracy_b(self) -> float:
        """The share that b has right."""
        return _share(self.n - self.errors_b, self.n)

    @property
    def difference(self) -> float:
        """accuracy_b - accuracy_a."""
        return _share(self.fixed - self.broken, self.n)

    @property
    def negative_flip_rate(self) -> float:
        """The share that is broken (Yan et al. 2021, Positive-congruent training)."""
        return _share(self.broken, self.n)

    @property
    def churn(self) -> float:
        """The share whose guesses differ (Milani Fard et al. 2016, Launch and iterate)."""
        return _share(self.discordant + self.both_wrong_other, self.n)

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(
            self.both_right + other.both_right,
            self.fixed + other.fixed,
            self.broken + other.broken,
            self.both_wrong_same + other.both_wrong_same,
            self.both_wrong_other + other.both_wrong_other,
        )

    def as_dict(self) -> dict[str, Any]:
        """The counts and the shares that follow from them, by name."""
        return {
            "n": self.n,
            "both_right": self.both_right,
            "fixed": self.fixed,
            "broken": self.broken,
            "both_wrong_same": self.both_wrong_same,
            "both_wrong_other": self.both_wrong_other,
            "accuracy_a": self.accuracy_a,
            "accuracy_b": self.accuracy_b,
            "difference": self.difference,
            "negative_flip_rate": self.negative_flip_rate,
            "churn": self.churn,
        }


def _share(part: int, whole: int) -> float:
    return part / whole if whole else math.nan


def quantile(level: float) -> float:
    """The normal deviate that a two-sided interval of this level reaches to: 1.96 for 0.95."""
    return float(ndtri(0.5 + level / 2))


def wilson(count: int, n: int, level: float = LEVEL) -> Interval:
    """Wilson's score interval of the share count / n (Wilson 1927); the whole of 0 to 1 where n is 0."""
    if not n:
        return 0.0, 1.0
    z = quantile(level)
    share, widened = count / n, 1 + z * z / n
    middle = (share + z * z / (2 * n)) / widened
    half = z / widened * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return (0.0 if count == 0 else middle - half), (1.0 if count == n else middle + half)


def score_variance(fixed: Any, broken: Any, n: int, difference: Any) -> Any:
    """The variance of fixed - broken where the difference of the two shares is this one, of numbers or arrays.

    The shares are the likeliest ones with that difference (Tango 1998, Statistics in Medicine 17, 891-908).
    """
    b = difference * (2 * n - fixed + broken) - (fixed + broken)
    root = (b * b + 8 * n * broken * difference * (1 - difference)) ** 0.5
    share = (root - b) / (4 * n)  # of broken examples
    return n * (2 * share + difference * (1 - difference))


def difference_interval(
    fixed: int, broken: int, n: int, level: float = LEVEL, correction: float = _CORRECTION
) -> Interval:
    """The interval of accuracy_b - accuracy_a on n paired examples; the whole of -1 to 1 where n is 0.

    Tango's score interval, with the correction for continuity of an eighth of an example (Chang et al. 2024, Journal of
    Applied Statistics 51, 139-152): without it, it covers 93.2 % where about ten examples are discordant, with it
    94.6 % and more (`tests/analysis/evidence/test_paired.py` prints the table).
    """
    if not n:
        return -1.0, 1.0
    z = quantile(level)

    def excess(difference: float, side: int) -> float:
        over = side * (fixed - broken - n * difference) - correction
        return float(over - z * math.sqrt(max(0.0, score_variance(fixed, broken, n, difference))))

    middle = (fixed - broken) / n
    low = -1.0 if excess(-1.0, 1) <= 0 else brentq(excess, -1.0, middle, args=(1,), xtol=1e-12)
    high = 1.0 if excess(1.0, -1) <= 0 else brentq(excess, middle, 1.0, args=(-1,), xtol=1e-12)
    return float(low), float(high)


def p_exact(fixed: int, broken: int) -> float:
    """McNemar's exact test: the two-sided binomial test that fixed and broken are as likely; 1 where none is either."""
    return min(1.0, 2 * float(bdtr(min(fixed, broken), fixed + broken, 0.5)))


def p_mid(fixed: int, broken: int) -> float:
    """McNemar's mid-p test (Fagerland et al. 2013, BMC Medical Research Methodology 13:91); 1 where none is either.

    Results as likely as this one count half. It errs above its level in places: see the tests' table.
    """
    discordant, fewer = fixed + broken, min(fixed, broken)
    if not discordant:
        return 1.0
    below = float(bdtr(fewer - 1, discordant, 0.5)) if fewer else 0.0
    same = float(bdtr(fewer, discordant, 0.5)) - below
    return 1 - same / 2 if fixed == broken else 2 * below + same


def verdict(p: float, interval: Interval, level: float = LEVEL) -> Verdict:
    """Which table errs less: said where p is at most 1 - level and the interval excludes 0, and nowhere else."""
    low, high = interval
    if p > 1 - level or low <= 0 <= high:
        return "cannot_tell"
    return "b_better" if low > 0 else "a_better"


def detectable(discordant: int, n: int, level: float = LEVEL, power: float = POWER) -> float | None:
    """The smallest difference that so many discordant examples of n could show with this power.

    At the share of discordant examples that there is, by the mid-p test. None where they are so few that the exact test
    tells nothing whatever they say (below 6 at a level of 0.95).
    """
    if 2 * 0.5**discordant > 1 - level:
        return None
    most = _most_told(discordant, level)

    def short(share: float) -> float:
        """How much the power lacks where this share of the discordant examples is fixed."""
        told = bdtr(most, discordant, share) + bdtr(most, discordant, 1 - share)
        return float(power - told)

    if short(0.5) <= 0:  # at a low level chance alone tells them apart so often
        return 0.0
    share = brentq(short, 0.5, 1.0, xtol=1e-12)
    return float(2 * share - 1) * discordant / n


def _most_told(discordant: int, level: float) -> int:
    """The most examples of the rarer kind with which the mid-p test tells the tables apart."""
    low, high = 0, discordant // 2
    while low < high:  # p_mid grows with the rarer kind
        middle = (low + high + 1) // 2
        low, high = (middle, high) if p_mid(middle, discordant - middle) <= 1 - level else (low, middle - 1)
    return low


def holm(values: Sequence[float]) -> list[float]:
    """P values corrected for being several (Holm 1979), in the order given."""
    order = sorted(range(len(values)), key=values.__getitem__)
    corrected = [0.0] * len(values)
    most = 0.0
    for rank, place in enumerate(order):
        most = max(most, min(1.0, (len(values) - rank) * values[place]))
        corrected[place] = most
    return corrected
