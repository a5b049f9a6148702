"""KID: agreement with its definition, subsets, and random numbers."""

from __future__ import annotations

import random
from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest
import torch
from features_in_memory import InMemory
from torch import Tensor
from torchvision.transforms.functional import gaussian_blur

from ganbench_datasets.fashion_mnist.sources import embedded_subset
from ganbench_features.raw import RawPixels
from ganbench_metrics import kid as kid_module
from ganbench_metrics.kid import KID

SUBSET = embedded_subset()
TRAIN, TEST = SUBSET.train.tensors[0], SUBSET.test.tensors[0]
EXTRACTOR = RawPixels((1, 28, 28), size=7)


def features_of(images: Tensor) -> InMemory:
    return InMemory(EXTRACTOR(images))


def blurred(sigma: float, images: Tensor = TEST) -> Tensor:
    return gaussian_blur(images, kernel_size=9, sigma=sigma)


def by_definition(real: np.ndarray, generated: np.ndarray) -> float:
    """The unbiased estimator of MMD² (Gretton et al. 2012, eq. 3) with kernel (x·y / d + 1)³, pair by pair."""

    def kernel(one: np.ndarray, other: np.ndarray) -> float:
        return (sum(a * b for a, b in zip(one, other, strict=True)) / len(one) + 1) ** 3

    count = len(real)
    within = sum(
        kernel(side[i], side[j]) for side in (real, generated) for i in range(count) for j in range(count) if i != j
    )
    between = sum(kernel(one, other) for one in real for other in generated)
    return within / (count * (count - 1)) - 2 * between / count**2


@pytest.mark.parametrize("offset", [0.0, 100.0])  # with an offset, float32 would have no correct digit
def test_it_agrees_with_the_definition(offset: float) -> None:
    real, generated = (EXTRACTOR(images[:12])[:, 20:25] + offset for images in (TEST, TRAIN))
    values = KID(EXTRACTOR, subsets=3, subset_size=12).score(InMemory(real), InMemory(generated))
    expected = by_definition(real.double().numpy(), generated.double().numpy())
    assert values["mean"] == pytest.approx(expected, rel=1e-6 if offset else 1e-11)
    assert values["std"] == 0  # each subset consists of all images


def test_mean_and_deviation_are_those_of_random_subsets() -> None:
    """The mean of many subsets approaches the estimate with all images; each subset is another one."""
    real, generated = features_of(TEST), features_of(TRAIN[:1000])
    everything = KID(EXTRACTOR, 1, 1000).score(real, generated)
    subsets = KID(EXTRACTOR, 400, 50).score(real, generated)
    assert subsets["mean"] == pytest.approx(everything["mean"], abs=4 * subsets["std"] / 400**0.5)
    assert subsets["std"] > 0
    drawn = KID(EXTRACTOR, 5, 50).draw(1000, torch.Generator().manual_seed(0))
    assert all(len(set(subset.tolist())) == 50 for subset in drawn)  # without replacement
    assert len({tuple(subset.tolist()) for subset in drawn}) == 5


def test_it_is_not_biased_by_the_number_of_images() -> None:
    """The biased estimate of 20 images against 20 would be far above that of 500 against 500."""
    real, generated = features_of(TEST), features_of(blurred(1))
    few, many = KID(EXTRACTOR, 1000, 20).score(real, generated), KID(EXTRACTOR, 4, 500).score(real, generated)
    assert few["mean"] == pytest.approx(many["mean"], abs=4 * few["std"] / 1000**0.5)


def test_scores_are_reproducible_and_draw_nothing_from_the_global_rngs() -> None:
    real, generated, metric = features_of(TEST), features_of(TRAIN[:1000]), KID(EXTRACTOR, 3, 100)
    scores = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        np.random.seed(seed)
        random.seed(seed)
        before = torch.get_rng_state(), np.random.get_state()[1].tolist(), random.getstate()
        scores.append(metric.score(real, generated))
        assert torch.equal(torch.get_rng_state(), before[0])
        assert np.random.get_state()[1].tolist() == before[1]
        assert random.getstate() == before[2]
    assert scores[0] == scores[1]
    assert metric.protocol["subset_seed"] == 0


def test_it_does_not_depend_on_the_sizes_of_batches_and_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    def score(batch_size: int) -> dict[str, float]:
        sides = (InMemory(EXTRACTOR(images[:500]), batch_size) for images in (TEST, TRAIN))
        return KID(EXTRACTOR, 10, 100).score(*sides)

    before = score(500)
    monkeypatch.setattr(kid_module, "ROWS", 7)
    monkeypatch.setattr(kid_module, "GATHERED_BYTES", 3 * 100 * EXTRACTOR.num_features * 4)  # three subsets at a time
    assert score(64) == pytest.approx(before, rel=1e-10)


@pytest.mark.parametrize(
    "worsened", [blurred, lambda degree: TEST.float().div(1 + degree).round().to(torch.uint8)], ids=["blur", "darkness"]
)
def test_it_rises_with_every_step_away_from_the_real_images(worsened: Callable[[float], Tensor]) -> None:
    metric, real = KID(EXTRACTOR, 2, 1000), features_of(TEST)
    distances = [metric.score(real, features_of(worsened(degree)))["mean"] for degree in (0.5, 1, 2, 4)]
    assert all(before < after for before, after in pairwise(distances)), distances


@pytest.mark.parametrize("damaged", [0, 1])
def test_features_with_nan_have_no_score_even_if_no_subset_contains_them(damaged: int) -> None:
    sides = [EXTRACTOR(TEST), EXTRACTOR(TRAIN[:1000])]
    sides[damaged][123, 4] = torch.nan
    values = KID(EXTRACTOR, 1, 2).score(*map(InMemory, sides))
    assert all(np.isnan(value) for value in values.values())
