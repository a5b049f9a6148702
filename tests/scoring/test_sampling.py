"""Sampling leaves no trace in the training, and makes as many images as asked for, the same for equal seeds."""

from __future__ import annotations

import math

import pytest
import torch
from brightness import BATCH, BrightnessScoring, assert_unchanged, snapshot
from scored_subset import CPU
from torch import Tensor

from ganbench.data.batches import normalize_images, to_uint8
from ganbench.runtime.rng import make_rng
from ganbench.scoring.sampling import Source, evaluation_context, generator_mode
from ganbench.spec.configs import GeneratorMode


@pytest.mark.parametrize("was_training", [False, True])
@pytest.mark.parametrize("mode", ["train", "eval"])
def test_sampling_leaves_no_trace(mode: GeneratorMode, was_training: bool, scoring: BrightnessScoring) -> None:
    generator = scoring.networks.generator.train(was_training)
    before, random_state = snapshot(generator), torch.get_rng_state()
    with evaluation_context(0, CPU), generator_mode(scoring.networks.generator, mode):
        images = generator(torch.randn(BATCH, scoring.networks.latent_dim))
        assert not images.requires_grad
        assert generator.training == (mode == "train")
        assert torch.equal(generator.layers[1].running_mean, before["layers.1.running_mean"]) == (mode == "eval")
    assert generator.training == was_training
    assert torch.is_grad_enabled()
    assert torch.equal(torch.get_rng_state(), random_state)
    assert_unchanged(generator, before)


def generated(scoring: BrightnessScoring, mode: GeneratorMode, count: int, seed: int) -> Tensor:
    batches = scoring.sampler.generate(Source("raw", mode), count, BATCH, make_rng(seed, "test"))
    return torch.cat([images for images, _ in batches])


@pytest.mark.parametrize("mode", ["train", "eval"])
@pytest.mark.parametrize("count", [1, 16, 40])
def test_it_generates_exactly_as_many_images_as_asked_for_each_from_a_full_batch(
    count: int, mode: GeneratorMode, scoring: BrightnessScoring
) -> None:
    images = generated(scoring, mode, count, seed=0)
    assert images.shape == (count, 1, 28, 28)
    assert images.dtype == torch.uint8
    assert scoring.batches == [BATCH] * math.ceil(count / BATCH)


@pytest.mark.parametrize("mode", ["train", "eval"])
def test_equal_seeds_make_equal_images_and_other_seeds_others(mode: GeneratorMode, scoring: BrightnessScoring) -> None:
    def images(seed: int, count: int = 40) -> Tensor:
        return generated(scoring, mode, count, seed)

    assert torch.equal(images(0), images(0))
    assert torch.equal(images(0)[:20], images(0, count=20))
    assert not torch.equal(images(0), images(1))


def test_every_grey_level_survives_the_way_to_the_unit_range_and_back() -> None:
    levels = torch.arange(256, dtype=torch.uint8)
    unit_range = normalize_images(levels)
    assert unit_range.dtype == torch.float32
    assert (unit_range.min(), unit_range.max()) == (-1, 1)
    assert torch.equal(to_uint8(unit_range), levels)


def test_values_beyond_the_unit_range_become_black_and_white() -> None:
    assert to_uint8(torch.tensor([-torch.inf, -1.5, -1, 1, 1.5, torch.inf])).tolist() == [0, 0, 0, 255, 255, 255]
