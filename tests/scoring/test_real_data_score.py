"""The score of real data, which is computed once and kept between runs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from brightness import Brightness, BrightnessScoring, compute_with_warning
from scored_subset import RECORD
from torch.utils.data import Subset

from ganbench.data.contract import check_data
from ganbench.scoring.scored_metric import ScoredMetric


@pytest.mark.parametrize(("split", "other"), [("test", "train"), ("train", "test")])
def test_the_score_of_real_data_is_that_of_the_other_split(split: str, other: str, scoring: BrightnessScoring) -> None:
    evaluator = scoring.evaluator({"split": split, "num_samples": 400})
    evaluator.evaluate(scoring.networks, 0)
    (result,) = evaluator.results(0)
    images = getattr(scoring.data, other).tensors[0]
    assert result.real_data_score == pytest.approx(images.double().mean().item())
    assert result.real_data_samples == len(images)  # as many as there are
    assert result.warnings == [
        f"real data was scored on {len(images)} images instead of 400; a perfect generator's score may differ"
    ]


def test_a_score_of_as_many_real_images_as_generated_ones_has_no_warning(scoring: BrightnessScoring) -> None:
    (scored,) = scoring.evaluator({"num_samples": 300}).metrics
    assert scored.prepared.real_data_samples == 300
    assert scored.prepared.warnings == []


@pytest.mark.parametrize("form", ["in memory", "streamed"])
def test_there_is_no_score_of_real_data_if_both_splits_are_the_same(form: str, scoring: BrightnessScoring) -> None:
    test = scoring.data.test if form == "in memory" else Subset(scoring.data.test, range(200))
    scoring.data = check_data(replace(scoring.data, train=test, test=test), "dataset 'own'")
    evaluator = scoring.evaluator()
    evaluator.evaluate(scoring.networks, 0)
    (result,) = evaluator.results(0)
    assert (result.real_data_score, result.real_data_samples) == (None, 0)
    assert result.warnings == ["no score of real data: the train and test splits are the same"]


def test_the_score_of_real_data_is_computed_once_for_each_protocol(scoring: BrightnessScoring) -> None:
    (first,), (second,), (other,) = (scoring.evaluator({"num_samples": samples}).metrics for samples in (20, 20, 30))
    assert real_data_score(first) == real_data_score(second)
    assert [scored.metric.seen for scored in (first, second, other)] == [20, 0, 30]


def real_data_score(scored: ScoredMetric) -> float | None:
    """Of a metric with one value."""
    (score,) = scored.prepared.real_data_scores.values()
    return score


@pytest.mark.parametrize("damage", [lambda _: b"", lambda whole: whole[:-1] + b"7"], ids=["empty", "digit"])
def test_an_altered_cached_score_of_real_data_is_computed_anew(
    damage: Callable[[bytes], bytes], tmp_path: Path, scoring: BrightnessScoring
) -> None:
    score = real_data_score(scoring.evaluator().metrics[0])
    (cached,) = (tmp_path / "real-data-scores").iterdir()
    cached.write_bytes(damage(cached.read_bytes()))
    again, from_new_file = scoring.evaluator().metrics[0], scoring.evaluator().metrics[0]
    assert score == real_data_score(again) == real_data_score(from_new_file)
    assert (again.metric.seen, from_new_file.metric.seen) == (20, 0)


def test_a_warning_about_real_images_is_kept_with_their_cached_score(
    monkeypatch: pytest.MonkeyPatch, scoring: BrightnessScoring
) -> None:
    monkeypatch.setattr(Brightness, "compute", compute_with_warning)
    computed, cached = (scoring.evaluator().metrics[0].prepared for _ in range(2))
    assert computed.warnings == cached.warnings == ["too dark to compare"]
    assert (computed.metric.seen, cached.metric.seen) == (20, 0)


@pytest.mark.parametrize(("split", "about"), [("test", ""), ("train", "score of real data: ")])
def test_random_changes_of_the_real_images_are_a_warning_that_is_stored(
    split: str, about: str, monkeypatch: pytest.MonkeyPatch, scoring: BrightnessScoring
) -> None:
    monkeypatch.setattr("brightness.RECORD", RECORD.model_copy(update={"random_splits": ["test"]}))
    evaluator = scoring.evaluator({"split": split})
    evaluator.evaluate(scoring.networks, 0)
    (warning,) = evaluator.results(0)[0].warnings
    assert warning.startswith(f"{about}the dataset changes the images of the test split at random")


def test_what_may_be_wrong_with_the_data_is_stored_with_its_scores(
    monkeypatch: pytest.MonkeyPatch, scoring: BrightnessScoring
) -> None:
    monkeypatch.setattr("brightness.RECORD", RECORD.model_copy(update={"warnings": ["the images look dark"]}))
    evaluator = scoring.evaluator()
    evaluator.evaluate(scoring.networks, 0)
    assert evaluator.results(0)[0].warnings == ["the images look dark"]
