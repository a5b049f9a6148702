"""The gate's statistics and decision rule."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from scipy import stats

from ganbench.gate.decision.looks import Look, looks
from ganbench.gate.decision.statistics import (
    Estimate,
    paired,
    predicted,
    welch,
)
from ganbench.gate.decision.verdict import (
    ALPHA,
    Threshold,
    Verdict,
    decide,
    decide_all,
    overall,
    shared_levels,
)
from ganbench.gate.measuring import Sessions, log_ratio
from ganbench.gate.quantities.speed import rare_slowdown_finding
from ganbench.gate.session import Session

FIVE_PERCENT = Threshold(margin=0.05)


def test_paired_is_the_paired_t_test_on_logs() -> None:
    base, head = [1.0, 1.1, 0.9, 1.05], [1.06, 1.2, 0.97, 1.08]
    estimate = paired(list(np.log(head) - np.log(base)))
    reference = stats.ttest_rel(np.log(head), np.log(base), alternative="greater")
    assert estimate.effect == pytest.approx(np.mean(np.log(head) - np.log(base)))
    assert estimate.p_value(at_least=0.0) == pytest.approx(reference.pvalue)
    assert estimate.lower(0.01) == pytest.approx(reference.confidence_interval(0.99).low)


def session(*images_per_second: float) -> Session:
    """A session with these images/s in its windows."""
    return Session.model_construct(images_per_second=list(images_per_second))


def test_drift_that_affects_both_of_a_pair_cancels() -> None:
    drift = [1000.0, 1500.0, 3000.0]
    pair = (session(*drift), session(*(rate / 1.1 for rate in drift)))
    assert log_ratio(*pair) == pytest.approx(math.log(1.1))


def test_a_disturbed_window_does_not_change_its_pair() -> None:
    assert log_ratio(session(1000, 1000, 1000), session(1000, 1000, 10)) == pytest.approx(0)


@pytest.mark.parametrize(("rare", "is_found"), [(500.0, True), (990.0, False)])
def test_a_slowdown_in_few_windows_is_a_warning(rare: float, is_found: bool) -> None:
    draw = np.random.default_rng(0)

    def noisy(*rates: float) -> Session:
        return session(*(rate * draw.lognormal(0, 0.01) for rate in rates))

    base = [noisy(*[1000.0] * 20) for _ in range(8)]
    head = [noisy(*[1000.0] * 16, *[rare] * 4) for _ in range(8)]
    sessions = Sessions(base, head, in_pairs=True)
    decision = sessions.decide(FIVE_PERCENT, ALPHA)
    assert decision.verdict == Verdict.PASS  # of the median
    finding = rare_slowdown_finding(sessions, decision, FIVE_PERCENT, ALPHA)
    assert (finding is not None) == is_found
    if finding:
        assert finding.verdict == Verdict.WARNING
        assert "mean time per image is worse by 2" in finding.message  # 20%, up to noise
    assert rare_slowdown_finding(Sessions(head, head, in_pairs=True), decision, FIVE_PERCENT, ALPHA) is None


def test_welch_is_welchs_t_test_on_logs() -> None:
    base, head = [1.0, 1.1, 0.9, 1.05, 1.2], [1.3, 1.6, 1.1]
    estimate = welch(base, head)
    reference = stats.ttest_ind(np.log(head), np.log(base), equal_var=False, alternative="greater")
    assert estimate.p_value(at_least=0.0) == pytest.approx(reference.pvalue)
    assert estimate.degrees_of_freedom == pytest.approx(reference.df)


def test_a_prediction_interval_holds_as_many_fresh_sessions_as_it_says() -> None:
    draw = np.random.default_rng(0)
    outside = 0
    for _ in range(4000):
        stored, fresh = np.exp(draw.normal(0, 0.03, 8)), np.exp(draw.normal(0, 0.03, 2))
        outside += predicted(list(stored), list(fresh)).lower(0.05) > 0
    assert outside / 4000 == pytest.approx(0.05, abs=0.012)


@pytest.mark.parametrize(
    ("estimate", "sides"), [(paired, ([1.0],)), (welch, ([1.0], [1.0, 2.0])), (predicted, ([1.0], [1.0]))]
)
def test_too_few_sessions_are_refused(estimate: Any, sides: tuple[list[float], ...]) -> None:
    with pytest.raises(ValueError, match="too few"):
        estimate(*sides)


def effect_of(percent: float, error: float) -> Estimate:
    return Estimate(math.log1p(percent / 100), error, degrees_of_freedom=7)


@pytest.mark.parametrize(
    ("estimate", "verdict"),
    [
        (effect_of(10, 0.005), Verdict.REGRESSED),
        (effect_of(0, 0.005), Verdict.PASS),
        (effect_of(-10, 0.005), Verdict.PASS),
        (effect_of(0, 0.05), Verdict.INCONCLUSIVE),  # no evidence is not a pass
        (effect_of(10, 0.05), Verdict.INCONCLUSIVE),  # large, but possibly noise
        (effect_of(4, 0.001), Verdict.PASS),  # certainly slower, but certainly below the margin
        (effect_of(4.9, 0.005), Verdict.INCONCLUSIVE),  # too close to the margin
        (effect_of(5.5, 0.015), Verdict.INCONCLUSIVE),  # beyond the margin, but not certainly above the noise
    ],
)
def test_the_verdict(estimate: Estimate, verdict: Verdict) -> None:
    assert decide(estimate, FIVE_PERCENT).verdict == verdict


def test_a_noisy_machine_needs_a_larger_effect() -> None:
    estimate = effect_of(6, 0.005)
    assert decide(estimate, FIVE_PERCENT).verdict == Verdict.REGRESSED
    assert decide(estimate, Threshold(margin=0.05, noise_floor=0.045)).verdict == Verdict.INCONCLUSIVE


def test_a_pass_reports_the_minimum_detectable_effect() -> None:
    assert decide(effect_of(0, 0.002), FIVE_PERCENT).minimum_detectable_effect == pytest.approx(0.05)
    wide = decide(effect_of(0, 0.013), FIVE_PERCENT)
    assert wide.verdict == Verdict.PASS
    assert wide.minimum_detectable_effect > 0.05


def test_several_quantities_share_the_level_and_one_regression_is_enough() -> None:
    estimates = {"throughput": effect_of(0, 0.002), "fid": effect_of(30, 0.01)}
    thresholds = dict.fromkeys(estimates, FIVE_PERCENT)
    findings = decide_all(estimates, thresholds, shared_levels(estimates, thresholds, {}))
    alone = decide(estimates["throughput"], FIVE_PERCENT)
    assert findings["fid"].verdict == Verdict.REGRESSED
    assert findings["throughput"].upper == pytest.approx(alone.upper)  # the last one has the whole level
    assert findings["fid"].lower < decide(estimates["fid"], FIVE_PERCENT).lower  # the first has half of it
    assert overall(finding.verdict for finding in findings.values()) == Verdict.REGRESSED


@pytest.mark.parametrize(
    ("verdicts", "whole"),
    [
        ([Verdict.PASS, Verdict.PASS], Verdict.PASS),
        ([Verdict.PASS, Verdict.WARNING], Verdict.WARNING),
        ([Verdict.WARNING, Verdict.INCONCLUSIVE], Verdict.INCONCLUSIVE),
        ([], Verdict.INCONCLUSIVE),
        ([Verdict.INCONCLUSIVE, Verdict.REGRESSED], Verdict.REGRESSED),
    ],
)
def test_the_whole_verdict(verdicts: list[Verdict], whole: Verdict) -> None:
    assert overall(verdicts) == whole


@pytest.mark.parametrize(("true_effect", "least", "most"), [(0.0, 0.0, 0.001), (0.02, 0.0, 0.004), (0.075, 0.99, 1.0)])
def test_the_rule_at_a_pair_deviation_of_3_percent(true_effect: float, least: float, most: float) -> None:
    """Simulate the looks of an interleaved check, and count the regressions."""
    draw, checks, regressed = np.random.default_rng(0), 2000, 0
    for _ in range(checks):
        ratios = draw.normal(math.log1p(true_effect), 0.03, 16)
        for look in looks(8):
            finding = look.decide(paired(list(ratios[: 2 * look.blocks])), FIVE_PERCENT, ALPHA)
            if finding.verdict != Verdict.INCONCLUSIVE:
                break
        regressed += finding.verdict == Verdict.REGRESSED
    assert least <= regressed / checks <= most


@pytest.mark.parametrize(
    ("blocks", "expected"),
    [
        (8, {2: 0.2, 3: 0.3, 4: 0.4, 6: 0.5, 8: 0.6}),
        (4, {1: 0.2, 2: 0.4, 3: 0.5, 4: 0.6}),
        (2, {1: 0.4, 2: 0.6}),
        (1, {1: 0.6}),
    ],
)
def test_a_check_may_decide_after_a_quarter_of_its_blocks(blocks: int, expected: dict[int, float]) -> None:
    assert {look.blocks: look.share for look in looks(blocks)} == expected
    assert sum(expected.values()) <= 2.0  # times `ALPHA` is the level of a check


def test_an_early_look_needs_stronger_evidence() -> None:
    ratios = [math.log(1.08) + 0.01 * position for position in (-1, 1, -2, 2)]
    early, last = (Look(2, share).decide(paired(ratios), FIVE_PERCENT, ALPHA) for share in (0.2, 0.6))
    assert early.lower < last.lower
    assert early.upper > last.upper


def test_quiet_machines_decide_at_the_first_look() -> None:
    """With a standard deviation of 0.5% between pairs, four pairs tell unchanged code from a slowdown of 10%."""
    draw, (first, *_) = np.random.default_rng(0), looks(8)
    for true_effect, expected in ((0.0, Verdict.PASS), (0.1, Verdict.REGRESSED)):
        verdicts = [
            first.decide(paired(list(draw.normal(math.log1p(true_effect), 0.005, 4))), FIVE_PERCENT, ALPHA).verdict
            for _ in range(500)
        ]
        assert verdicts.count(expected) > 475


def test_an_effect_beyond_all_floats_is_infinite() -> None:
    decision = decide(Estimate(3.0, 20.0, degrees_of_freedom=1), FIVE_PERCENT)
    assert decision.verdict == Verdict.INCONCLUSIVE
    assert decision.upper == decision.minimum_detectable_effect == math.inf
