"""Estimate effects and their uncertainty from sessions. Pure functions over numbers.

All effects are on the natural-log scale, where a slowdown and the speedup that reverses it have the same size. A *cost*
is a quantity where lower is better: seconds per image, bytes, FID. An effect is log(cost of head / cost of base), so
positive means worse. The sampling unit is the session, never the step: steps of one process share its memory layout and
its clock, and pooling them makes intervals far too narrow.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import special


@dataclass(frozen=True)
class Estimate:
    """An effect on the log scale, with one-sided bounds from Student's t distribution."""

    effect: float
    standard_error: float
    degrees_of_freedom: float

    def lower(self, alpha: float) -> float:
        """Return the lower bound: the true effect is below it with probability at most `alpha`."""
        return self.effect - self._half_width(alpha)

    def upper(self, alpha: float) -> float:
        """Return the upper bound: the true effect is above it with probability at most `alpha`."""
        return self.effect + self._half_width(alpha)

    def p_value(self, at_least: float) -> float:
        """Return the one-sided p-value for the null hypothesis that the true effect is `at_least`."""
        if self.standard_error == 0:
            return 0.0 if self.effect > at_least else 1.0
        return float(special.stdtr(self.degrees_of_freedom, (at_least - self.effect) / self.standard_error))

    def _half_width(self, alpha: float) -> float:
        return float(special.stdtrit(self.degrees_of_freedom, 1 - alpha)) * self.standard_error


def paired(log_ratios: Sequence[float]) -> Estimate:
    """Estimate the mean log ratio of costs from pairs of concurrent sessions (paired t-test).

    Machine drift that affects both sessions of a pair cancels. Raises `ValueError` for fewer than two pairs.
    """
    if len(log_ratios) < 2:
        raise ValueError(f"{len(log_ratios)} pairs of sessions are too few")
    error = float(np.std(log_ratios, ddof=1)) / math.sqrt(len(log_ratios))
    return Estimate(float(np.mean(log_ratios)), error, len(log_ratios) - 1)


def predicted(base: Sequence[float], head: Sequence[float]) -> Estimate:
    """Estimate the effect of fresh sessions relative to stored ones.

    The standard deviation is that of the stored sessions, so one fresh session is enough: the half-width is that of a
    prediction interval for the mean of m draws given n, s·sqrt(1/m + 1/n) (Hahn and Meeker 1991, section 4.7). Raises
    `ValueError` for fewer than two stored sessions or no fresh one.
    """
    if len(base) < 2 or not head:
        raise ValueError(f"{len(base)} stored and {len(head)} fresh sessions are too few")
    logs = np.log(base)
    error = float(np.std(logs, ddof=1)) * math.sqrt(1 / len(head) + 1 / len(base))
    return Estimate(float(np.mean(np.log(head)) - np.mean(logs)), error, len(base) - 1)


def welch(base: Sequence[float], head: Sequence[float]) -> Estimate:
    """Estimate the effect from independent runs with unequal variances (Welch 1947, doi:10.1093/biomet/34.1-2.28).

    Raises `ValueError` for fewer than two runs on either side.
    """
    if len(base) < 2 or len(head) < 2:
        raise ValueError(f"{len(base)} and {len(head)} runs are too few")
    variances = [float(np.var(np.log(side), ddof=1)) / len(side) for side in (base, head)]
    error = math.sqrt(sum(variances))
    parts = [variance**2 / (len(side) - 1) for variance, side in zip(variances, (base, head), strict=True)]
    freedom = sum(variances) ** 2 / sum(parts) if sum(parts) else float(len(base) + len(head) - 2)
    return Estimate(float(np.mean(np.log(head)) - np.mean(np.log(base))), error, freedom)
