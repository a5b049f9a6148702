"""The decision rule of the gate: from an estimate to a verdict. Pure functions over numbers."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from ganbench.results.statistics import holm

from .rank_statistics import RankEstimate
from .statistics import Estimate

ALPHA = 0.005  # one-sided, for a single look: for all lower bounds together, and for each upper bound
NOISE_FLOOR = 0.01
SEEDS_PASS_ALPHA = 0.05  # seeds are expensive; at the level of the lower bound almost nothing would pass
MIN_STD_DEVS = 1.5  # of base's seeds: the margin is at least this


class Verdict(StrEnum):
    """Ordered by severity. A warning never fails a build, not even with --strict."""

    PASS = "pass"
    WARNING = "warning"
    INCONCLUSIVE = "inconclusive"
    REGRESSED = "regressed"


@dataclass(frozen=True)
class Threshold:
    """By how much a quantity may get worse, and by how much noise alone can worsen it: fractions, such as 0.05.

    With `higher_is_better`, it gets worse by falling, and its cost is its inverse: a fall by 0.2 raises that by 0.25.
    `pass_alpha` is the level of the upper bound. It is not divided among several quantities, because all of them must
    pass (the intersection-union test, Berger 1982, doi:10.1080/00401706.1982.10487790).
    """

    margin: float
    noise_floor: float = NOISE_FLOOR
    pass_alpha: float = ALPHA
    higher_is_better: bool = False

    @classmethod
    def over_seeds(cls, margin: float, std: float, higher_is_better: bool = False) -> Threshold:
        """Return the threshold for training runs with several seeds: the more these vary, the larger its margin.

        `std` is the standard deviation over base's seeds, of the logarithm of the cost.
        """
        margin = max(margin, fraction(MIN_STD_DEVS * std, higher_is_better))
        return cls(margin, pass_alpha=SEEDS_PASS_ALPHA, higher_is_better=higher_is_better)

    @property
    def log_margin(self) -> float:
        """The margin as the logarithm of a ratio of costs."""
        return log_ratio(self.margin, self.higher_is_better)

    @property
    def log_noise_floor(self) -> float:
        return log_ratio(self.noise_floor, self.higher_is_better)

    @property
    def improvement(self) -> float:
        """The effect that reverses one of the size of the margin."""
        return fraction(-self.log_margin, self.higher_is_better)


@dataclass(frozen=True)
class Decision:
    """A verdict and the numbers behind it, as fractions of base's value: 0.05 is 5% worse.

    They are infinite if head never reaches a target, or -inf if base never does; also if one side's score is 0, and
    where the data do not limit a bound.
    """

    verdict: Verdict
    effect: float
    lower: float
    upper: float
    minimum_detectable_effect: float  # the smallest true effect that about half of such checks flag


@dataclass(frozen=True)
class Finding:
    """The verdict on one quantity, for people to read."""

    verdict: Verdict
    sides: tuple[str, str]  # the values of base and head, formatted
    message: str
    decision: Decision | None = None  # None where there is no estimate with bounds
    advisory: tuple[str, ...] = ()  # reasons why it is inconclusive, although it is a regression


def decide(estimate: Estimate | RankEstimate, threshold: Threshold, alpha: float = ALPHA) -> Decision:
    """Return "regressed" if the effect reaches the margin and its lower bound exceeds the noise floor.

    Return "pass" if the upper bound is below the margin, and otherwise "inconclusive": no evidence is not a pass.
    `alpha` is the level of the lower bound.
    """
    margin, floor = threshold.log_margin, threshold.log_noise_floor
    lower, upper = estimate.lower(alpha), estimate.upper(threshold.pass_alpha)
    if estimate.effect >= margin and lower > floor:
        verdict = Verdict.REGRESSED
    elif upper < margin:
        verdict = Verdict.PASS
    else:
        verdict = Verdict.INCONCLUSIVE
    detectable = max(margin, floor + (0.0 if lower == estimate.effect else estimate.effect - lower))
    effects = (estimate.effect, lower, upper, detectable)
    return Decision(verdict, *(fraction(effect, threshold.higher_is_better) for effect in effects))


def fraction(log_ratio: float, higher_is_better: bool = False) -> float:
    """Return how much worse a quantity is for the logarithm of a ratio of costs; infinite if too large for a float.

    It is -inf for -inf, so that what only head reaches differs from a large improvement.
    """
    if log_ratio == -math.inf:
        return -math.inf
    try:
        return -math.expm1(-log_ratio) if higher_is_better else math.expm1(log_ratio)
    except OverflowError:
        return math.copysign(math.inf, log_ratio)


def log_ratio(fraction: float, higher_is_better: bool) -> float:
    """Return the logarithm of a ratio of costs for a fraction by which a quantity is worse."""
    return -math.log1p(-fraction) if higher_is_better else math.log1p(fraction)


def significance_level(*, speed: bool, scores: bool) -> float:
    """Return the significance level for speed, and for all scores together: half of `ALPHA` each if both are checked.

    The split is fixed in advance. Measuring stops at the first conclusive look at speed; if the level then depended on
    the scores, as Holm's method makes it, the final verdict could differ from that look's.
    """
    return ALPHA / 2 if speed and scores else ALPHA


def shared_levels(
    estimates: Mapping[str, Estimate | RankEstimate],
    thresholds: Mapping[str, Threshold],
    p_values: Mapping[str, float],
    alpha: float = ALPHA,
) -> dict[str, float]:
    """Return the level of each estimate, and of each test without one, by Holm's correction across all of them.

    `p_values` are those of the tests without an estimate.
    """
    floors = {name: thresholds[name].log_noise_floor for name in estimates}
    all_p_values = {name: estimate.p_value(floors[name]) for name, estimate in estimates.items()} | dict(p_values)
    return dict(zip(all_p_values, holm(list(all_p_values.values()), alpha), strict=True))


def decide_all(
    estimates: Mapping[str, Estimate | RankEstimate], thresholds: Mapping[str, Threshold], levels: Mapping[str, float]
) -> dict[str, Decision]:
    """Decide on each quantity, at its level."""
    return {name: decide(estimate, thresholds[name], levels[name]) for name, estimate in estimates.items()}


def overall(verdicts: Iterable[Verdict]) -> Verdict:
    """Return the most severe verdict: all must pass for a pass. No verdicts at all are inconclusive."""
    return max(verdicts, key=list(Verdict).index, default=Verdict.INCONCLUSIVE)


def percent(effect: float) -> str:
    """Format a fraction by which a quantity is worse, with its sign."""
    return f"{effect:+.1%}" if math.isfinite(effect) else f"{effect:+}"


def bounds(finding: Finding) -> tuple[str, str]:
    """Format the effect and its bounds."""
    decision = finding.decision
    if decision is None:
        return "", ""
    return percent(decision.effect), f"{percent(decision.lower)} to {percent(decision.upper)}"


def decision_message(name: str, decision: Decision) -> str:
    """Describe a decision on a quantity."""
    change = f"{'better' if decision.effect < 0 else 'worse'} by {abs(decision.effect):.1%}"
    interval = f"bounds {decision.lower:+.1%} to {decision.upper:+.1%}"
    noisy = "too noisy to decide; " if decision.verdict == Verdict.INCONCLUSIVE else ""
    detectable = f"minimum detectable effect (50% power): {decision.minimum_detectable_effect:.1%}"
    return f"{name} is {change} ({interval}); {noisy}{detectable}"
