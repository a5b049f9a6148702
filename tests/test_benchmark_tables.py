"""The tables in docs that benchmarks create from their stored results."""

from __future__ import annotations

import json
from typing import Any

import pytest

from benchmarks import sensitivity


def between(markers: tuple[str, str]) -> str:
    _, _, rest = sensitivity.PAGE.read_text(encoding="utf-8").partition(markers[0])
    return rest.partition(markers[1])[0]


def test_the_tables_of_the_scores_are_made_from_the_stored_audits() -> None:
    settings = json.loads(sensitivity.RESULTS.read_text(encoding="utf-8"))["settings"]
    assert between(sensitivity.SENSITIVITY) == sensitivity.render_sensitivity(settings)
    assert between(sensitivity.FID) == sensitivity.render_fid(settings)


@pytest.mark.parametrize(
    ("means", "rated", "expected"),
    [
        ((2, 3), ("worse", "worse"), "rises (worse)"),
        ((0.5, 0.25), ("not detected", "better"), "falls (better)"),
        ((3, 2), ("worse", "worse"), "not monotone (worse)"),
        ((2, 2), ("worse", "worse"), "not monotone (worse)"),
        ((1.1, 1.2), ("not detected", "not detected"), "not detected"),
        ((2, None), ("worse", "no score"), "no score"),
    ],
)
def test_a_trend_is_monotone_only_if_each_strength_changes_the_score_further(
    means: tuple[float | None, ...], rated: tuple[str, ...], expected: str
) -> None:
    flaws: list[dict[str, Any]] = [
        {"kind": "blur", "rated": {"": one}, "scores": {"": [mean, mean]}}
        for mean, one in zip(means, rated, strict=True)
    ]
    audit = {"real": {"100": {"": [0.5, 1.5]}}, "flaws": flaws}
    assert sensitivity.trend(audit, "", "blur", "100") == expected


def test_the_fit_of_fid_separates_the_limit_from_a_bias_that_is_proportional_to_1_over_n() -> None:
    real = {str(count): {"": [5 + 300 / count] * 2} for count in (10, 20, 40)}
    table = sensitivity.render_fid([{"dataset": "d", "features": "f", "audits": [{"real": real, "flaws": []}]}])
    assert "| 40 | 12.5 ± 0 | 500 |" in table
    assert "| fit | 5 + 300 / N |" in table
