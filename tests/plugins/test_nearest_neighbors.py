"""Precision and recall, density and coverage: agreement with their definitions, duplicates, known failures of GANs."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from features_in_memory import InMemory
from torch import Tensor

from ganbench_datasets.fashion_mnist.sources import embedded_subset
from ganbench_features.fashion_cnn import load_extractor
from ganbench_features.raw import RawPixels
from ganbench_metrics import blocks
from ganbench_metrics.density_coverage import DensityCoverage
from ganbench_metrics.precision_recall import PrecisionRecall

SUBSET = embedded_subset()
TRAIN, TRAIN_LABELS = SUBSET.train.tensors
TEST, TEST_LABELS = SUBSET.test.tensors
RAW = RawPixels((1, 28, 28), size=4)
METRICS = (PrecisionRecall, DensityCoverage)


def score(real: Tensor, generated: Tensor, neighbors: int) -> dict[str, float]:
    """All four values, by name."""
    values: dict[str, float] = {}
    for metric in METRICS:
        values |= metric(RAW, neighbors, "cpu").score(InMemory(real), InMemory(generated, batch_size=50))
    return values


def by_definition(real: np.ndarray, generated: np.ndarray, k: int) -> dict[str, float]:
    """Kynkäänniemi et al. 2019, eq. 1, and Naeem et al. 2020, eq. 7 and 8, image by image."""

    def distance(one: np.ndarray, other: np.ndarray) -> float:
        return math.sqrt(((one - other) ** 2).sum())

    def radius(index: int, images: np.ndarray) -> float:
        others = [distance(images[index], other) for number, other in enumerate(images) if number != index]
        return sorted(others)[k - 1]

    real_radii = [radius(index, real) for index in range(len(real))]
    generated_radii = [radius(index, generated) for index in range(len(generated))]
    between = [[distance(one, other) for other in real] for one in generated]
    in_balls = [[between[j][i] < real_radii[i] for i in range(len(real))] for j in range(len(generated))]
    return {
        "precision": np.mean([any(np.array(row) <= real_radii) for row in between]),
        "recall": np.mean([any(np.array(column) <= generated_radii) for column in zip(*between, strict=True)]),
        "density": np.sum(in_balls) / (k * len(generated)),
        "coverage": np.mean(np.any(in_balls, 0)),
    }


@pytest.mark.parametrize("k", [1, 3, 5])
@pytest.mark.parametrize("counts", [(70, 110), (110, 70)], ids=["fewer real", "fewer generated"])
def test_they_agree_with_the_definitions(k: int, counts: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks, "BLOCK", 32)
    real, generated = (RAW(images[:count]) for images, count in zip((TEST, TRAIN), counts, strict=True))
    values = score(real, generated, k)
    assert values == pytest.approx(by_definition(real.double().numpy(), generated.double().numpy(), k), rel=1e-12)
    assert 0.1 < values["recall"] < 1
    assert values["precision"] != values["recall"]


def test_a_memorized_duplicate_of_a_repeated_image_is_on_the_manifold_but_in_no_ball() -> None:
    """Precision compares by <=, as in its paper; density and coverage by <, as in their authors' code."""
    repeated, others = RAW(TEST[:1]).expand(4, -1), RAW(TEST[1:21])
    copies = RAW(TEST[:1]).expand(30, -1)
    far = others + 1000
    # the only balls that contain the copies are those of radius 0
    values = score(torch.cat([repeated, far]), copies, neighbors=3)
    assert values["precision"] == 1
    assert values["density"] == values["coverage"] == 0
    # with one neighbor more, the radius is that of another image
    values = score(torch.cat([repeated, far]), copies, neighbors=4)
    assert values["coverage"] == pytest.approx(4 / 24)
    assert values["density"] == pytest.approx(4 / 4)
    for metric, key, comparison in zip(METRICS, ("on_manifold", "in_ball"), ("<=", "<"), strict=True):
        assert metric(RAW, 3, "cpu").protocol[key] == f"distance {comparison} radius"


def test_memorized_real_images_have_full_scores_whatever_the_rounding() -> None:
    """Each real image is in k balls of k - 1 neighbors, its own among them; at the k-th neighbor, < and <= differ."""
    real = load_extractor((1, 28, 28), "cpu")(TEST[:300])
    values = score(real, real[torch.randperm(300, generator=torch.Generator().manual_seed(0))], neighbors=5)
    assert values == {"precision": 1, "recall": 1, "density": 1, "coverage": 1}


def test_an_offset_of_all_features_changes_nothing() -> None:
    """Squares of such features have too few digits for their differences."""
    real, generated = (RAW(images[:200]).mul(1024).round() for images in (TEST, TRAIN))
    assert score(real + 2**20, generated + 2**20, 3) == score(real, generated, 3)


def test_a_collapsed_generator_has_high_precision_and_low_recall() -> None:
    """Its images are those of one class with little noise, or the same few images again and again."""
    extractor = load_extractor((1, 28, 28), "cpu")
    real = extractor(TEST[:500])
    trousers = TRAIN[TRAIN_LABELS == 1]
    noise = 2 * torch.randn((500, 1, 28, 28), generator=torch.Generator().manual_seed(0))
    noisy = (trousers[:5].repeat(100, 1, 1, 1) + noise).round().clamp(0, 255).to(torch.uint8)
    for images in (noisy, trousers[:5].repeat(100, 1, 1, 1)):
        values = score(real, extractor(images), neighbors=3)
        assert values["precision"] > 0.9
        assert values["recall"] < 0.05
        assert values["density"] > 0.7
        assert values["coverage"] < 0.15
    # the other way round: all classes, but most images are nothing
    noise = torch.randint(0, 256, (400, 1, 28, 28), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    values = score(real, extractor(torch.cat([TRAIN[:100], noise])), neighbors=3)
    assert values["precision"] < 0.3
    assert values["recall"] > 0.7
    assert values["density"] < 0.3


@pytest.mark.parametrize("k", [1, 5])
def test_equal_distributions_have_the_expected_density_and_coverage(k: int) -> None:
    """Density is 1; coverage is 1 - (N - 1)...(N - k) / ((M + N - 1)...(M + N - k)) (Naeem et al. 2020)."""
    real, generated = torch.randn((2, 600, 16), generator=torch.Generator().manual_seed(0))
    values = score(real, generated, k)
    expected = 1 - math.prod((600 - i) / (1200 - i) for i in range(1, k + 1))
    assert values["coverage"] == pytest.approx(expected, abs=0.05)
    assert values["density"] == pytest.approx(1, abs=0.1)


def test_outliers_among_real_images_raise_precision_but_hardly_density() -> None:
    """One outlier has a ball that contains everything near it (Naeem et al. 2020, fig. 3)."""
    rng = torch.Generator().manual_seed(0)
    real, generated = torch.randn((200, 16), generator=rng), torch.randn((200, 16), generator=rng) + 6
    outlier = torch.full((1, 16), 8.0)
    before, after = score(real, generated, 5), score(torch.cat([real, outlier]), generated, 5)
    assert before["precision"] == 0
    assert after["precision"] == 1
    assert after["density"] == pytest.approx(0.2)  # one ball for each image, divided by k


@pytest.mark.parametrize("damaged", [0, 1])
def test_features_with_nan_have_no_score(damaged: int) -> None:
    sides = [RAW(TEST[:50]), RAW(TRAIN[:50])]
    sides[damaged][12, 3] = torch.nan
    assert all(math.isnan(value) for value in score(*sides, neighbors=3).values())


def test_blocks_cut_batches_of_any_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks, "BLOCK", 32)
    features = torch.randn((100, 3), generator=torch.Generator().manual_seed(0))
    for batch_size in (1, 7, 32, 33, 100):
        found = list(blocks.blocks(InMemory(features, batch_size)))
        assert [len(block) for block in found] == [32, 32, 32, 4]
        assert torch.equal(torch.cat(found), features.double())


def test_distances_to_the_nearest_real_images_are_cached() -> None:
    kept: dict[str, dict[str, Tensor]] = {}

    class Caching(InMemory):
        def derived(self, name, compute):
            return kept.setdefault(name, compute()) if name not in kept else kept[name]

    real = Caching(RAW(TEST[:50]))
    values = [PrecisionRecall(RAW, k, "cpu").score(real, InMemory(RAW(TRAIN[:50]))) for k in (1, 5, 1)]
    assert values[0] == values[2] != values[1]
    assert len(kept) == 2
    fresh = InMemory(RAW(TEST[:50]))
    assert values[1] == PrecisionRecall(RAW, 5, "cpu").score(fresh, InMemory(RAW(TRAIN[:50])))
