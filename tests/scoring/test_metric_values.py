"""Values of metrics: their directions, how many images they need, and what is refused."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from registries import with_plugins
from scored_subset import RECORD, TEST, TRAIN, data_of
from thumbnail_metrics import (
    SAMPLES,
    SEEN,
    Extremes,
    Means,
    Scoring,
    Thumbnail,
    ThumbnailOptions,
    networks_of,
    over,
)
from torch import Tensor, nn

from ganbench import MetricPlugin, Networks, PluginError, UsageError
from ganbench.plugin.registry import Registry
from ganbench.results.schema import MetricResult

pytestmark = pytest.mark.usefixtures("nothing_seen")


def test_each_value_of_a_metric_has_a_result_with_its_direction_and_score_of_real_data(
    thumbnails: Registry, tmp_path: Path
) -> None:
    scoring = Scoring(thumbnails, tmp_path, [over(4, "extremes", id="two"), over(4)])
    levels = (0.9, -0.2, 0.1)
    for number, level in enumerate(levels):
        nn.init.zeros_(scoring.networks.generator.linear.weight)
        nn.init.constant_(scoring.networks.generator.linear.bias, level)
        titles = [title for title, _ in scoring.evaluator.evaluate(scoring.networks, 300 * number)]
        assert len(set(titles)) == 3
    distance, brighter, plain = scoring.evaluator.results(600)
    assert [result.id for result in (distance, brighter, plain)] == ["two.distance", "two.brighter", "means"]
    assert [result.higher_is_better for result in (distance, brighter, plain)] == [False, True, False]
    assert distance.label == "extremes (thumbnail-4): distance"
    for one, other in zip(distance.curve, plain.curve, strict=True):
        assert one.value == other.value
    assert distance.best.value == min(point.value for point in distance.curve)
    assert brighter.best.value == max(point.value for point in brighter.curve)
    assert brighter.value == brighter.curve[-1].value
    assert distance.real_data_score == plain.real_data_score
    assert 0 < brighter.real_data_score < 1
    assert brighter.real_data_score != distance.real_data_score
    assert {result.real_data_samples for result in (distance, brighter, plain)} == {SAMPLES}


@pytest.mark.parametrize(
    ("directions", "message"),
    [
        ({"distance": False, "Brighter": True}, "'distance', 'brighter', but higher_is_better declares .*, 'Brighter'"),
        ({"distance": False}, "'distance', 'brighter', but higher_is_better declares 'distance'"),
        (False, "'distance', 'brighter', but higher_is_better declares a single one"),
        ({}, "'distance', 'brighter', but higher_is_better declares none"),
    ],
    ids=["misspelt", "one of two", "no names", "none"],
)
def test_values_of_other_names_than_their_directions_have_are_refused(
    directions: Any, message: str, thumbnails: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Extremes, "higher_is_better", directions)
    with pytest.raises(PluginError, match=f"metric 'extremes' .*: the values are {message}"):
        Scoring(thumbnails, tmp_path, [over(4, "extremes")])


@pytest.mark.parametrize(
    ("metric", "directions", "message"),
    [
        ("means", "lower", "higher_is_better is 'lower'"),
        ("means", 0, "higher_is_better is 0"),
        ("extremes", {"distance": "lower", "brighter": True}, "higher_is_better of 'distance' is 'lower'"),
    ],
)
def test_a_direction_that_is_not_a_bool_is_refused(
    metric: str, directions: Any, message: str, thumbnails: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Means if metric == "means" else Extremes, "higher_is_better", directions)
    with pytest.raises(PluginError, match=rf"^metric '{metric} \(thumbnail-4\)': {message}; expected True, False, or"):
        Scoring(thumbnails, tmp_path, [over(4, metric)])


def test_a_single_value_without_a_direction_is_never_ranked(
    thumbnails: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A subclass of torchmetrics.Metric inherits None."""
    monkeypatch.setattr(Means, "higher_is_better", None)
    (result,) = results_of(Scoring(thumbnails, tmp_path, [over(4)]))
    assert result.value is not None
    assert result.higher_is_better is None
    assert result.best is None


class Level:
    """A metric of the networks: a weight of the generator."""

    label, higher_is_better, protocol = "level", False, {}

    def measure(self, networks: Networks, loss: Any) -> float:
        return networks.generator.linear.bias[0].item()


def test_a_metric_of_the_networks_gets_the_weights_that_it_asks_for(thumbnails: Registry, tmp_path: Path) -> None:
    registry, average = with_level(thumbnails), networks_of(seed=1).generator
    metrics = [{"name": "level"}, {"name": "level", "weights": "ema"}]
    scoring = Scoring(registry, tmp_path, metrics, average=average)
    assert scoring.scores() == [each.linear.bias[0].item() for each in (scoring.networks.generator, average)]
    protocols = [result.protocol["weights"] for result in scoring.evaluator.results(0)]
    assert protocols == ["raw", "EMA, half-life 10 kimg, ramp 0.05"]


@pytest.mark.parametrize("key", [{"generator_mode": "train"}, {"split": "train"}, {"real_samples": 20}])
def test_keys_about_images_are_refused_for_a_metric_of_the_networks(
    key: dict[str, Any], thumbnails: Registry, tmp_path: Path
) -> None:
    (name,) = key
    with pytest.raises(UsageError, match=rf"^metrics\.0\.{name}: metric 'level' .* scores the networks .* remove"):
        Scoring(with_level(thumbnails), tmp_path, [{"name": "level", **key}])


def with_level(registry: Registry) -> Registry:
    return with_plugins(registry, MetricPlugin(name="level", summary="-", build=lambda *_: Level()))


def test_a_metric_without_values_is_refused(
    thumbnails: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Extremes, "higher_is_better", {})
    monkeypatch.setattr(Extremes, "score", lambda *_: {})
    with pytest.raises(PluginError, match=r"metric 'extremes' .*: higher_is_better is an empty mapping"):
        Scoring(thumbnails, tmp_path, [over(4, "extremes")])


def test_features_of_images_that_are_not_finite_get_no_score(
    thumbnails: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scoring = Scoring(thumbnails, tmp_path, [over(4), over(4, "extremes")])
    nn.init.constant_(scoring.networks.generator.linear.bias, torch.nan)
    with monkeypatch.context() as patch:
        patch.setattr(Means, "score", lambda *_: pytest.fail("scored"))
        assert scoring.scores() == [None, None, None]
    for result in scoring.evaluator.results(0):
        assert result.warnings == ["no score where the generated images contain NaN or infinite values"]
    nn.init.zeros_(scoring.networks.generator.linear.bias)
    assert None not in scoring.scores(300)


def test_curves_of_a_metric_with_two_values_go_on_where_a_run_stopped(thumbnails: Registry, tmp_path: Path) -> None:
    whole, stopped, resumed = (Scoring(thumbnails, tmp_path, [over(4, "extremes")]) for _ in range(3))
    for images in (0, 300):
        whole.scores(images)
    stopped.scores(0)
    resumed.evaluator.resume_from(stopped.evaluator.curves(), stopped.evaluator.warnings())
    assert resumed.scores(0) == []  # scored already
    resumed.scores(300)
    assert resumed.evaluator.results(300) == whole.evaluator.results(300)


def test_without_a_test_split_the_advice_is_to_compare_with_the_train_split(
    thumbnails: Registry, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match=r"has no test split; use -o metrics\.0\.split=train"):
        Scoring(thumbnails, tmp_path, [over(4)], data=data_of(test=None))
    scoring = Scoring(thumbnails, tmp_path, [over(4, split="train")], data=data_of(test=None))
    assert None not in scoring.scores()
    (result,) = scoring.evaluator.results(0)
    assert result.value is not None
    assert result.real_data_score is None
    assert result.real_data_samples == 0
    assert result.protocol["split"] == "train"
    assert result.protocol["real_samples"] == TRAIN


def test_real_samples_limits_the_real_images_to_the_same_random_ones_in_all_runs(
    thumbnails: Registry, tmp_path: Path
) -> None:
    results = []
    for number, keys in enumerate(({}, {"real_samples": TEST}, {"real_samples": 150}, {"real_samples": 150})):
        scoring = Scoring(thumbnails, tmp_path / str(number), [over(4, **keys)])
        scoring.scores()
        results += scoring.evaluator.results(0)
    assert [result.protocol["real_samples"] for result in results] == [TEST, TEST, 150, 150]
    values = [result.value for result in results]
    assert values[0] == values[1]
    assert values[2] == values[3] != values[0]


def kid(subset_size: int, **keys: Any) -> dict[str, Any]:
    return over(4, "kid", subsets=2, subset_size=subset_size, **keys)


@pytest.mark.parametrize(
    ("metric", "message"),
    [
        (kid(SAMPLES + 1), r"'kid' .*subset_size = 131 requires at least 131 .* metrics\.0\.num_samples is 130; use"),
        (kid(TEST + 1, num_samples=300), "subset_size = 201 requires at least 201 .* the test split has 200; use more"),
        (
            kid(51, real_samples=50),
            r"'kid' .*subset_size = 51 requires at least 51 .* metrics\.0\.real_samples is 50; use more images, or "
            r"change metrics\.0\.subsets or metrics\.0\.subset_size$",
        ),
        (over(4, real_samples=TEST + 1), r"real_samples is 201, but the test split has only 200 images"),
        (over(4, "precision-recall", neighbors=SAMPLES), "neighbors = 130 requires at least 131 images"),
        (over(4, "density-coverage", neighbors=SAMPLES), "neighbors = 130 requires at least 131 images"),
        (
            {"name": "inception-score", "features": "fashion-cnn", "splits": SAMPLES + 1},
            "splits = 131 requires at least 131 images",
        ),
    ],
)
def test_too_few_images_for_a_metric_are_refused_before_training(
    metric: dict[str, Any], message: str, thumbnails: Registry, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match=message):
        Scoring(thumbnails, tmp_path, [metric])


def test_a_test_split_of_one_image_has_no_fid(thumbnails: Registry, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"'fid' .* requires at least 2 images, but the test split has 1; use more"):
        Scoring(thumbnails, tmp_path, [over(4, "fid")], data=data_of(1))


def test_too_few_other_real_images_for_a_metric_give_no_real_data_score(thumbnails: Registry, tmp_path: Path) -> None:
    scoring = Scoring(thumbnails, tmp_path, [kid(TEST + 1, num_samples=250, split="train")])
    assert None not in scoring.scores()
    for result in scoring.evaluator.results(0):
        assert result.real_data_score is None
        assert result.warnings == ["no score of real data: the test split has 200 images, but 201 are required"]


def test_an_extractor_that_fails_amid_training_is_named(
    thumbnails: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scoring = Scoring(thumbnails, tmp_path, [over(4)])

    def unfinished(*_: object) -> Iterator[None]:
        raise NotImplementedError("to do")

    monkeypatch.setattr(Thumbnail, "forward", unfinished)
    with pytest.raises(PluginError, match=r"^feature-extractor 'thumbnail' .*raised during feature extraction.*to do"):
        scoring.scores()
    monkeypatch.undo()
    assert None not in scoring.scores()


@pytest.mark.parametrize(
    ("change", "got"),
    [
        (lambda features: features.view(-1, 4, 2, 2), r"float32 of shape \(64, 4, 2, 2\)"),
        (lambda features: features.repeat_interleave(4, 0), r"float32 of shape \(256, 16\)"),
        (lambda features: features[:, :8], r"float32 of shape \(64, 8\)"),
        (lambda features: features.int(), r"int32 of shape \(64, 16\)"),
        (lambda features: [features], "a list of 1|a tuple of 1"),
    ],
    ids=["positions", "patches", "fewer", "integers", "list"],
)
@pytest.mark.parametrize("of", ["real", "generated"])
def test_other_features_than_an_extractor_declares_are_refused(
    of: str,
    change: Callable[[Tensor], Any],
    got: str,
    thumbnails: Registry,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """They would be stored and read as those of other images."""
    scoring = Scoring(thumbnails, tmp_path, [over(4)]) if of == "generated" else None
    forward = Thumbnail.forward
    monkeypatch.setattr(Thumbnail, "forward", lambda self, images: change(forward(self, images)))
    message = rf"extractor 'thumbnail' .*: for 64 images, it must return a .* of shape \(64, 16\), got .*({got})"
    with pytest.raises(PluginError, match=message):
        scoring.scores() if scoring else Scoring(thumbnails, tmp_path, [over(4)])


def test_a_value_that_is_not_finite_is_no_score_and_the_result_says_so(
    thumbnails: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scoring = Scoring(thumbnails, tmp_path, [over(4), over(4, "extremes")])
    forward = Thumbnail.forward
    monkeypatch.setattr(Thumbnail, "forward", lambda self, images: forward(self, images) * torch.inf)
    assert scoring.scores()[:2] == [None, None]
    means, distance, _ = scoring.evaluator.results(0)
    assert means.warnings == ["no score, because the value is NaN or infinite"]
    assert distance.warnings == ["no score, because the value is NaN or infinite: distance"]


def test_what_plugins_declare_replaces_no_entry_of_the_protocol(
    thumbnails: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An extractor may name what it was trained on `data`."""
    plain = Thumbnail.__init__

    def with_entries(self: Thumbnail, options: ThumbnailOptions) -> None:
        plain(self, options)
        self.protocol |= {"data": "photos", "weights": "v1", "estimator": "pooling"}

    monkeypatch.setattr(Thumbnail, "__init__", with_entries)
    monkeypatch.setattr(Means, "protocol", {"estimator": "means"})
    (result,) = results_of(Scoring(thumbnails, tmp_path, [over(4)]))
    expected = {
        "data": RECORD.content_sha256,
        "data of the extractor": "photos",
        "weights": "raw",
        "weights of the extractor": "v1",
        "estimator": "pooling",
        "estimator of the metric": "means",
    }
    assert {name: result.protocol[name] for name in expected} == expected
    SEEN.clear()
    other = Scoring(thumbnails, tmp_path, [over(4)], record=RECORD.model_copy(update={"content_sha256": "f" * 64}))
    assert SEEN == {4: TEST + SAMPLES}  # its features, and its score of real data, are not those of the first data
    assert results_of(other)[0].protocol != result.protocol


def results_of(scoring: Scoring) -> list[MetricResult]:
    scoring.scores()
    return scoring.evaluator.results(0)
