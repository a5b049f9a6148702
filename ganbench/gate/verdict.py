"""What an estimate means for a build: the rule, as pure functions over numbers."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from .statistics import Estimate, holm

ALPHA = 0.005  # of all lower bounds together at each look, and of each upper bound
NOISE_FLOOR = 0.01


class Verdict(StrEnum):
    """From harmless to not; a warning fails no build, not even under --strict."""

    PASS = "pass"
    WARNING = "warning"
    INCONCLUSIVE = "inconclusive"
    REGRESSED = "regressed"


@dataclass(frozen=True)
class Threshold:
    """How much worse is too much, and what this machine's noise alone can look like; fractions, such as 0.05.

    `pass_alpha` is the level of the upper bound. Everything has to pass, so it needs no share for each of several
    figures (the intersection-union test, Berger 1982, doi:10.1080/00401706.1982.10487790).
    """

    margin: float
    noise_floor: float = NOISE_FLOOR
    pass_alpha: float = ALPHA


@dataclass(frozen=True)
class Judgement:
    """A verdict with the numbers behind it, as fractions of cost: 0.05 is five per cent worse."""

    verdict: Verdict
    effect: float
    lower: float
    upper: float
    smallest_detectable: float  # the least true effect that would have been called a regression about half the time


@dataclass(frozen=True)
class Finding:
    """What is said of one figure."""

    verdict: Verdict
    sides: tuple[str, str]  # the figure itself, of base and of head, as people read it
    sentence: str
    judgement: Judgement | None = None  # None where no estimate with bounds is behind it


def judge(estimate: Estimate, threshold: Threshold, alpha: float = ALPHA) -> Judgement:
    """Regressed if at least the margin and certainly above the noise; pass if certainly below the margin.

    Neither is inconclusive: no evidence is not a pass. `alpha` is the level of the lower bound.
    """
    margin, floor = math.log1p(threshold.margin), math.log1p(threshold.noise_floor)
    lower, upper = estimate.lower(alpha), estimate.upper(threshold.pass_alpha)
    if estimate.effect >= margin and lower > floor:
        verdict = Verdict.REGRESSED
    elif upper < margin:
        verdict = Verdict.PASS
    else:
        verdict = Verdict.INCONCLUSIVE
    detectable = max(margin, floor + (estimate.effect - lower))
    return Judgement(verdict, math.expm1(estimate.effect), math.expm1(lower), math.expm1(upper), math.expm1(detectable))


def share_of_level(*, speed: bool, scores: bool) -> float:
    """What speed gets of the level, and what all scores together get: all of it, or each a half.

    The shares are fixed before anything is measured. Speed is looked at more than once, and measuring ends where a look
    is conclusive: at a level that depended on the scores, as Holm's does, the verdict in the end could be another one.
    """
    return ALPHA / 2 if speed and scores else ALPHA


def judge_all(
    estimates: Mapping[str, Estimate], thresholds: Mapping[str, Threshold], alpha: float = ALPHA
) -> dict[str, Judgement]:
    """A judgement on each figure, with Holm's levels over all of them."""
    names = list(estimates)
    p_values = [estimates[name].p_value(math.log1p(thresholds[name].noise_floor)) for name in names]
    levels = holm(p_values, alpha)
    return {name: judge(estimates[name], thresholds[name], level) for name, level in zip(names, levels, strict=True)}


def overall(verdicts: Iterable[Verdict]) -> Verdict:
    """The worst of them: one regression is enough, and to pass, all have to. Of nothing, nothing is known."""
    return max(verdicts, key=list(Verdict).index, default=Verdict.INCONCLUSIVE)
