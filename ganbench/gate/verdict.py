"""What an estimate means for a build: the rule, as pure functions over numbers."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from .statistics import Estimate, holm

ALPHA = 0.005  # of each bound, at each look


class Verdict(StrEnum):
    PASS = "pass"
    INCONCLUSIVE = "inconclusive"
    REGRESSED = "regressed"


@dataclass(frozen=True)
class Threshold:
    """How much worse is too much, and what this machine's noise alone can look like; fractions, such as 0.05."""

    margin: float
    noise_floor: float = 0.01


@dataclass(frozen=True)
class Finding:
    """A verdict on one figure with the numbers behind it, as fractions of cost: 0.05 is five per cent worse."""

    verdict: Verdict
    effect: float
    lower: float
    upper: float
    smallest_detectable: float  # the least true effect that would have been called a regression about half the time


def judge(estimate: Estimate, threshold: Threshold, alpha: float = ALPHA) -> Finding:
    """Regressed if at least the margin and certainly above the noise; pass if certainly below the margin.

    Neither is inconclusive: no evidence is not a pass.
    """
    margin, floor = math.log1p(threshold.margin), math.log1p(threshold.noise_floor)
    lower, upper = estimate.lower(alpha), estimate.upper(alpha)
    if estimate.effect >= margin and lower > floor:
        verdict = Verdict.REGRESSED
    elif upper < margin:
        verdict = Verdict.PASS
    else:
        verdict = Verdict.INCONCLUSIVE
    detectable = max(margin, floor + (estimate.effect - lower))
    return Finding(verdict, math.expm1(estimate.effect), math.expm1(lower), math.expm1(upper), math.expm1(detectable))


def judge_all(estimates: Mapping[str, Estimate], thresholds: Mapping[str, Threshold]) -> dict[str, Finding]:
    """A verdict on each figure, with Holm's levels over all of them."""
    names = list(estimates)
    p_values = [estimates[name].p_value(math.log1p(thresholds[name].noise_floor)) for name in names]
    levels = holm(p_values, ALPHA)
    return {name: judge(estimates[name], thresholds[name], level) for name, level in zip(names, levels, strict=True)}


def overall(verdicts: Mapping[str, Verdict]) -> Verdict:
    """One regression is enough; to pass, all have to."""
    if Verdict.REGRESSED in verdicts.values():
        return Verdict.REGRESSED
    return Verdict.PASS if all(verdict == Verdict.PASS for verdict in verdicts.values()) else Verdict.INCONCLUSIVE
