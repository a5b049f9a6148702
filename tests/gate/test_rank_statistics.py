"""Effects from ranks: bounds, infinite costs and ties, against scipy and known values."""

from __future__ import annotations

import math
import random

import pytest
from scipy.stats import mannwhitneyu

from ganbench.gate.decision.rank_statistics import RankEstimate

INF = math.inf


def test_without_ties_the_p_value_is_that_of_the_exact_rank_sum_test() -> None:
    draw = random.Random(1)
    base, head = ([draw.lognormvariate(0, 1) for _ in range(count)] for count in (10, 5))
    expected = mannwhitneyu(head, base, alternative="greater", method="exact").pvalue
    assert RankEstimate.of(base, head).p_value(0.0) == pytest.approx(expected)


def test_the_bounds_contain_the_true_effect_as_often_as_promised() -> None:
    draw, outside = random.Random(0), 0
    for _ in range(200):
        base, head = ([draw.lognormvariate(0, 0.2) for _ in range(count)] for count in (6, 4))
        estimate = RankEstimate.of(base, [1.5 * cost for cost in head])
        outside += not estimate.lower(0.05) <= math.log(1.5) <= estimate.upper(0.05)
    assert 0 < outside <= 30  # 10% of 200, and twice the standard deviation


@pytest.mark.parametrize(
    ("base", "head", "effect", "lower", "upper"),
    [
        ([10.0] * 10, [10.0] * 5, 1.0, 1.0, 1.0),
        ([10.0] * 10, [12.0] * 5, 1.2, 1.2, 1.2),
        ([10.0] * 10, [INF] * 5, INF, INF, INF),  # head never gets there
        ([10.0] * 9 + [INF], [INF] * 5, INF, INF, INF),
        ([INF] * 10, [10.0] * 5, 0.0, 0.0, 0.0),  # only head gets there
        ([INF] * 10, [INF] * 5, 1.0, 0.0, INF),  # neither does: nothing is known
        ([0.0] * 10, [0.0] * 5, 1.0, 0.0, INF),
    ],
)
def test_ties_and_infinite_costs(
    base: list[float], head: list[float], effect: float, lower: float, upper: float
) -> None:
    estimate = RankEstimate.of(base, head)
    assert math.exp(estimate.effect) == pytest.approx(effect)
    assert math.exp(estimate.lower(0.005)) == pytest.approx(lower)
    assert math.exp(estimate.upper(0.05)) == pytest.approx(upper)


def test_a_seed_that_never_gets_there_is_worse_than_any_that_does() -> None:
    base = [10.0, 11, 12, 13, 14, 15, 16, 17, 18, 19]
    late, never = (RankEstimate.of(base, [10.5, 12.5, 14.5, 16.5, last]) for last in (18.5, INF))
    assert never.p_value(0.0) < late.p_value(0.0)
    assert never.effect >= late.effect
