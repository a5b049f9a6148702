"""Inception score: agreement with its definition, known values, and extractors without logits."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest
import torch
from features_in_memory import InMemory
from torch import Tensor, nn

from ganbench import ScoreWarning, UsageError
from ganbench.data.batches import normalize_images
from ganbench.testing import MetricContract
from ganbench_datasets.fashion_mnist.sources import embedded_subset
from ganbench_features.fashion_cnn import load_extractor
from ganbench_features.raw import RawPixels
from ganbench_metrics import ganbench_metrics
from ganbench_metrics.inception_score import InceptionScore

TEST, LABELS = embedded_subset().test.tensors


class TestInceptionScore(MetricContract):
    plugin = next(plugin for plugin in ganbench_metrics() if plugin.name == "inception-score")
    options = {"features": "fashion-cnn", "splits": 1}

    def images(self, seed: int = 0) -> Tensor:
        """Return images of clothing: the score rewards clear classes, which random images do not have."""
        return normalize_images(TEST[16 * seed :][:16])


class Logits(nn.Module):
    """An extractor whose features are the logits."""

    num_features = 4
    protocol = {"extractor": "logits"}

    def forward(self, images: Tensor) -> Tensor:
        return images

    def logits(self, features: Tensor) -> Tensor:
        return features


def score(logits: Tensor, splits: int, batch_size: int = 7) -> dict[str, float]:
    features = InMemory(logits, batch_size)
    return InceptionScore(Logits(), splits).score(features, features)


def by_definition(logits: np.ndarray, splits: int) -> np.ndarray:
    """exp of the mean divergence of p(y|x) from p(y), for each part."""
    exponentials = np.exp(logits)
    probabilities = exponentials / exponentials.sum(1, keepdims=True)
    scores = []
    for i in range(splits):
        part = probabilities[i * len(logits) // splits : (i + 1) * len(logits) // splits]
        divergences = (part * np.log(part / part.mean(0))).sum(1)
        scores.append(np.exp(divergences.mean()))
    return np.array(scores)


@pytest.mark.parametrize(("count", "splits"), [(100, 10), (103, 10), (15, 10), (10, 10), (50, 1)])
def test_it_agrees_with_the_definition(count: int, splits: int) -> None:
    logits = 3 * torch.randn((count, 4), generator=torch.Generator().manual_seed(0))
    expected = by_definition(logits.double().numpy(), splits)
    values = score(logits, splits)
    assert values == pytest.approx({"mean": expected.mean(), "std": expected.std()}, rel=1e-11, abs=1e-11)


def test_it_is_the_number_of_classes_for_certain_and_balanced_images_and_1_for_equal_ones() -> None:
    certain = 1e4 * torch.eye(4).repeat(25, 1)  # other probabilities underflow to 0
    assert score(certain, splits=1) == pytest.approx({"mean": 4, "std": 0})
    assert score(certain[:1].expand(100, -1), splits=5) == pytest.approx({"mean": 1, "std": 0})
    assert score(torch.zeros(100, 4), splits=5) == pytest.approx({"mean": 1, "std": 0})


def test_real_images_of_all_classes_score_higher_than_those_of_few() -> None:
    extractor = load_extractor((1, 28, 28), "cpu")
    metric = InceptionScore(extractor, splits=2)
    features = extractor(TEST[:600])
    scores = [
        metric.score(InMemory(features), InMemory(features[LABELS[:600] < classes]))["mean"] for classes in (10, 5, 1)
    ]
    assert 6 < scores[0] <= 10
    assert 2 < scores[1] <= 6
    assert 1 <= scores[2] < 2
    assert metric.label == "inception score (fashion-cnn)"


def test_images_that_are_sorted_by_class_are_warned_of() -> None:
    """As in one folder per class; each part would have images of a single class."""
    features = load_extractor((1, 28, 28), "cpu")(TEST[:600])
    metric = InceptionScore(load_extractor((1, 28, 28), "cpu"), splits=10)
    ordered = features[LABELS[:600].long().argsort()]
    with pytest.warns(
        ScoreWarning, match=r"not in a random order, as if sorted by class; .* everywhere, it is [678]\."
    ):
        assert metric.score(InMemory(features), InMemory(ordered))["mean"] < 3
    with warnings.catch_warnings():
        warnings.simplefilter("error", ScoreWarning)
        assert metric.score(InMemory(features), InMemory(features))["mean"] > 6
        for seed in range(20):  # few images, in a random order
            few = features[torch.randperm(600, generator=torch.Generator().manual_seed(seed))[:40]]
            metric.score(InMemory(features), InMemory(few))


def test_features_with_nan_have_no_score() -> None:
    logits = torch.zeros(100, 4)
    logits[3, 1] = torch.nan
    assert all(math.isnan(value) for value in score(logits, splits=10).values())


def test_an_extractor_without_logits_is_refused_by_name() -> None:
    with pytest.raises(UsageError, match=r"feature extractor 'raw' has no class logits; use one .* fashion-cnn"):
        InceptionScore(RawPixels((1, 28, 28), None), splits=10)
