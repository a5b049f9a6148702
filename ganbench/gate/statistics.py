"""Estimates with their uncertainty, from sessions: pure functions over numbers.

Everything is on the natural-log scale, where a slowdown and the speed-up that undoes it have the same size. A *cost* is
a figure of which less is better: seconds an image, bytes, FID. An effect is log(cost of head / cost of base), so that a
positive one is worse. Sessions are the unit, never the steps within one: those share a process, its memory layout and
its clock, and pooling them makes intervals far too narrow.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats


@dataclass(frozen=True)
class Estimate:
    """An effect on the log scale, with Student's t behind its one-sided bounds."""

    effect: float
    standard_error: float
    degrees_of_freedom: float

    def lower(self, alpha: float) -> float:
        """The true effect is below this with a probability of at most `alpha`."""
        return self.effect - self._half_width(alpha)

    def upper(self, alpha: float) -> float:
        """The true effect is above this with a probability of at most `alpha`."""
        return self.effect + self._half_width(alpha)

    def p_value(self, at_least: float) -> float:
        """How probable so large an effect is, or a larger one, where the true one is `at_least`."""
        if self.standard_error == 0:
            return 0.0 if self.effect > at_least else 1.0
        return float(stats.t.sf((self.effect - at_least) / self.standard_error, self.degrees_of_freedom))

    def _half_width(self, alpha: float) -> float:
        return float(stats.t.ppf(1 - alpha, self.degrees_of_freedom)) * self.standard_error


def paired(log_ratios: Sequence[float]) -> Estimate:
    """From pairs of sessions that ran next to each other: the mean log ratio of their costs (paired t).

    A drift of the machine that both of a pair went through cancels. Raises `ValueError` for fewer than two pairs.
    """
    if len(log_ratios) < 2:
        raise ValueError(f"{len(log_ratios)} pairs of sessions are too few")
    error = float(np.std(log_ratios, ddof=1)) / math.sqrt(len(log_ratios))
    return Estimate(float(np.mean(log_ratios)), error, len(log_ratios) - 1)


def predicted(base: Sequence[float], head: Sequence[float]) -> Estimate:
    """From stored sessions and fresh ones: whether the fresh ones are a further draw of the stored.

    The deviation is the stored sessions' own, so that one fresh session is enough: the half width is that of a
    prediction interval for the mean of m draws given n, s·sqrt(1/m + 1/n) (Hahn and Meeker 1991, section 4.7). Raises
    `ValueError` for fewer than two stored sessions, or no fresh one.
    """
    if len(base) < 2 or not head:
        raise ValueError(f"{len(base)} stored and {len(head)} fresh sessions are too few")
    logs = np.log(base)
    error = float(np.std(logs, ddof=1)) * math.sqrt(1 / len(head) + 1 / len(base))
    return Estimate(float(np.mean(np.log(head)) - np.mean(logs)), error, len(base) - 1)


def welch(base: Sequence[float], head: Sequence[float]) -> Estimate:
    """From independent runs on both sides, whose deviations may differ (Welch 1947, doi:10.1093/biomet/34.1-2.28).

    Raises `ValueError` for fewer than two on a side.
    """
    if len(base) < 2 or len(head) < 2:
        raise ValueError(f"{len(base)} and {len(head)} runs are too few")
    variances = [float(np.var(np.log(side), ddof=1)) / len(side) for side in (base, head)]
    error = math.sqrt(sum(variances))
    parts = [variance**2 / (len(side) - 1) for variance, side in zip(variances, (base, head), strict=True)]
    freedom = sum(variances) ** 2 / sum(parts) if sum(parts) else float(len(base) + len(head) - 2)
    return Estimate(float(np.mean(np.log(head)) - np.mean(np.log(base))), error, freedom)


def holm(p_values: Sequence[float], alpha: float) -> list[float]:
    """The level at which each of several hypotheses is to be tested, so that any false alarm has at most `alpha`.

    Holm 1979 (https://www.jstor.org/stable/4615733): the smallest p-value at alpha/m, the next at alpha/(m - 1), and so
    on; once one is not rejected, the rest stay at its level.
    """
    levels = [0.0] * len(p_values)
    level, stopped = alpha / max(1, len(p_values)), False
    for rank, position in enumerate(sorted(range(len(p_values)), key=lambda index: p_values[index])):
        if not stopped:
            level = alpha / (len(p_values) - rank)
            stopped = p_values[position] > level
        levels[position] = level
    return levels
