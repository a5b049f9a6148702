"""Statistics of scores over seeds: intervals, paired tests, and how many seeds a difference needs. Pure functions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache

import numpy as np
from pydantic import Field
from scipy import special

from .record import Record

ALPHA = 0.05  # family-wise: at most 5% of boards of equal rows have any significant difference
POWER = 0.9  # with the number of seeds that a board asks for
MAX_SEEDS = 1000  # larger numbers are not worth computing
ROUNDING = 8 * float(np.finfo(np.float32).eps)  # of scores, relative to the largest: a metric may compute in float32
NODES, WEIGHTS = np.polynomial.legendre.leggauss(256)  # of numerical integrals from -1 to 1, by Gauss and Legendre


class Summary(Record):
    """Mean, sample standard deviation and confidence interval."""

    mean: float = Field(description="mean of the values")
    std: float | None = Field(description="sample standard deviation; null for fewer than two values")
    interval: tuple[float, float] | None = Field(
        description="95% confidence interval of the mean, by Student's t distribution; null for fewer than two values"
    )


def summarize(values: Sequence[float]) -> Summary | None:
    """Return the summary of values, with an interval of Student's t distribution; None if there are no values."""
    if not values:
        return None
    mean = float(np.mean(values))
    if len(values) < 2:
        return Summary(mean=mean, std=None, interval=None)
    std = float(np.std(values, ddof=1))
    half = float(special.stdtrit(len(values) - 1, 0.975)) * std / math.sqrt(len(values))
    return Summary(mean=mean, std=std, interval=(mean - half, mean + half))


class PairedDifference(Record):
    """The differences between two rows, one for each common seed."""

    mean: float = Field(description="mean of the first row's score minus the second's")
    std: float = Field(description="sample standard deviation of the differences")
    seeds: int = Field(description="number of common seeds")

    @property
    def p_value(self) -> float:
        """The two-sided p-value of the paired t-test (Student 1908, doi:10.1093/biomet/6.1.1).

        Equal differences, as of discrete scores, have no deviation to compare their mean with. Their p-value is that of
        the sign test: all differences of n equal rows have the same sign with a probability of 2^(1 - n).
        """
        if not self.std:
            return 2.0 ** (1 - self.seeds) if self.mean else 1.0
        statistic = abs(self.mean) / self.std * math.sqrt(self.seeds)
        return float(2 * special.stdtr(self.seeds - 1, -statistic))

    def seeds_needed(self, alpha: float) -> int | None:
        """Return the smallest number of seeds with which the test at `alpha` finds this difference significant.

        It finds it with a probability of at least `POWER`, if mean and standard deviation are as observed. None if more
        than `MAX_SEEDS` would be needed.
        """
        if not self.std:
            return 1 + math.ceil(-math.log2(alpha)) if self.mean else None
        return seeds_needed(abs(self.mean) / self.std, alpha)


def pair(one: Sequence[float], other: Sequence[float]) -> PairedDifference | None:
    """Return the paired differences, without those that rounding may have caused; None for fewer than two pairs."""
    if len(one) < 2:
        return None
    differences = np.subtract(one, other)
    rounding = ROUNDING * float(np.max(np.abs([one, other])))
    mean, std = float(np.mean(differences)), float(np.std(differences, ddof=1))
    if np.ptp(differences) <= rounding:
        mean, std = (0.0 if abs(mean) <= rounding else mean), 0.0
    return PairedDifference(mean=mean, std=std, seeds=len(differences))


@cache
def estimated_deviations(degrees: int) -> np.ndarray:
    """Return quantiles of the estimate of a standard deviation of 1 with these degrees of freedom, one per node."""
    quantiles: np.ndarray = np.sqrt(2 * special.gammaincinv(degrees / 2, (NODES + 1) / 2) / degrees)
    return quantiles


def power(effect: float, seeds: int, alpha: float) -> float:
    """Return the probability that the paired t-test finds a true effect, in standard deviations of the differences.

    The statistic has a noncentral t distribution (Cohen 1988, Statistical Power Analysis, section 2.3). It is
    integrated here, because scipy's does not converge for many of these arguments.
    """
    limits = -special.stdtrit(seeds - 1, alpha / 2) * estimated_deviations(seeds - 1)
    shift = effect * math.sqrt(seeds)
    found = special.ndtr(shift - limits) + special.ndtr(-shift - limits)
    return float(WEIGHTS @ found) / 2


def seeds_needed(effect: float, alpha: float) -> int | None:
    """Return the smallest number of seeds with a power of at least `POWER`; None if it exceeds `MAX_SEEDS`."""
    # the normal approximation needs fewer seeds than the t-test, so the search begins there
    normal = special.ndtri(POWER) - special.ndtri(alpha / 2)
    if effect <= normal / math.sqrt(MAX_SEEDS):
        return None
    seeds = max(2, math.floor((normal / effect) ** 2))
    while power(effect, seeds, alpha) < POWER:
        seeds += 1
    return seeds if seeds <= MAX_SEEDS else None


def holm(p_values: Sequence[float], alpha: float) -> list[float]:
    """Return the level at which to test each hypothesis, so that the family-wise error rate is at most `alpha`.

    Holm 1979 (https://www.jstor.org/stable/4615733): the smallest p-value at alpha/m, the next at alpha/(m - 1), and so
    on; once one is not rejected, the rest keep its level.
    """
    levels = [0.0] * len(p_values)
    level, stopped = alpha / max(1, len(p_values)), False
    for rank, position in enumerate(sorted(range(len(p_values)), key=lambda index: p_values[index])):
        if not stopped:
            level = alpha / (len(p_values) - rank)
            stopped = p_values[position] > level
        levels[position] = level
    return levels
