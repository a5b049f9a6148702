"""Estimate effects from the ranks of costs, which may be infinite. Pure functions over numbers.

For costs such as the images that a run needs to reach a target: infinite if it never does, and with many ties, because
scores are computed at intervals. A test of means would have to drop such runs; ranks count them as the worst.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations, pairwise
from typing import Any

import numpy as np

QUANTILES = (0.16, 0.84)  # of a normal distribution, two standard deviations apart


@dataclass(frozen=True)
class RankEstimate:
    """The effect on the log scale from independent runs, by the Wilcoxon rank-sum test with all ties and infinities.

    The estimate is that of Hodges and Lehmann 1963 (doi:10.1214/aoms/1177704172), the median of all differences between
    a run of head and one of base. The bounds are the shifts at which the one-sided test rejects. The null distribution
    is exact, over all ways to choose the runs of head, so ties need no correction.
    """

    base: tuple[float, ...]  # logarithms of costs; inf if the cost is infinite, -inf if it is zero
    head: tuple[float, ...]

    @classmethod
    def of(cls, base: Sequence[float], head: Sequence[float]) -> RankEstimate:
        """Return the estimate from costs, which are at least 0 and may be infinite."""
        return cls(tuple(map(log, base)), tuple(map(log, head)))

    @property
    def effect(self) -> float:
        """The median difference; of two middle ones that have no mean, the larger one."""
        ordered = self._differences()
        low, high = ordered[(len(ordered) - 1) // 2], ordered[len(ordered) // 2]
        return (low + high) / 2 if math.isfinite(low) and math.isfinite(high) else high

    def lower(self, alpha: float) -> float:
        """Return the lower bound: the true effect is below it with probability at most `alpha`."""
        edges = [-math.inf, *sorted({each for each in self._differences() if math.isfinite(each)}), math.inf]
        bound = -math.inf
        for left, right in pairwise(edges):  # the p-value grows with the shift, and is constant between the edges
            if self.p_value(between(left, right)) > alpha:
                break
            bound = right
        return bound

    def upper(self, alpha: float) -> float:
        """Return the upper bound: the true effect is above it with probability at most `alpha`."""
        return 0.0 - RankEstimate(self.head, self.base).lower(alpha)  # 0.0, not -0.0

    def p_value(self, at_least: float) -> float:
        """Return the one-sided p-value for the null hypothesis that the true effect is `at_least`."""
        from scipy.stats import rankdata  # here, because its import takes long, and most checks have no targets

        ranks = rankdata([*self.base, *(cost - at_least for cost in self.head)])
        sums = ranks[subsets(len(ranks), len(self.head))].sum(axis=1)
        return float(np.mean(sums >= ranks[len(self.base) :].sum()))

    def _differences(self) -> list[float]:
        """Return all differences in order; between two infinite or two zero costs there is none."""
        return sorted(0.0 if head == base else head - base for head in self.head for base in self.base)


def spread(costs: Sequence[float]) -> float:
    """Return the standard deviation of the logarithms of costs, estimated by quantiles, and 0 for fewer than two.

    Infinite costs and zeros are left out: with a few of them, any difference would be within the spread otherwise.
    """
    ordered = sorted(value for value in map(log, costs) if math.isfinite(value))
    if len(ordered) < 2:
        return 0.0
    low, high = (ordered[math.ceil(share * len(ordered)) - 1] for share in QUANTILES)
    return (high - low) / 2


def log(cost: float) -> float:
    return math.log(cost) if cost > 0 else -math.inf


def between(left: float, right: float) -> float:
    """Return a number between two, of which the first may be -inf and the second inf."""
    if math.isfinite(left) and math.isfinite(right):
        return (left + right) / 2
    return left + 1 if math.isfinite(left) else right - 1 if math.isfinite(right) else 0.0


@lru_cache(maxsize=4)
def subsets(total: int, size: int) -> Any:
    """Return all subsets of `size` of the indices below `total`, an array with one row each."""
    return np.array(list(combinations(range(total), size)))
