"""The default plugins pass the contract tests for plugins."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
import torch

import ganbench_games
from ganbench import Registry, UsageError
from ganbench.data.batches import normalize_images
from ganbench.spec.loading import load_spec
from ganbench.testing import (
    AugmentationContract,
    DatasetContract,
    ExecutorContract,
    FeatureExtractorContract,
    LossContract,
    MetricContract,
    ModelContract,
    OptimizerContract,
    PenaltyContract,
    ScheduleContract,
    TrackerContract,
)
from ganbench_augmentations import ganbench_augmentations
from ganbench_datasets import ganbench_datasets
from ganbench_datasets.fashion_mnist.sources import embedded_subset
from ganbench_executors import ganbench_executors
from ganbench_features import ganbench_feature_extractors
from ganbench_losses import ganbench_losses
from ganbench_metrics import ganbench_metrics
from ganbench_models import ganbench_models
from ganbench_optimizers import ganbench_optimizers
from ganbench_penalties import ganbench_penalties
from ganbench_schedules import ganbench_schedules
from ganbench_trackers import ganbench_trackers


def named(plugins: list[Any], name: str) -> Any:
    return next(plugin for plugin in plugins if plugin.name == name)


class TestDCGAN(ModelContract):
    plugin = named(ganbench_models(), "dcgan")
    options = {"width": 8}


class TestDCGANOnColorImages(TestDCGAN):
    image_shape = (3, 32, 32)


def test_dcgan_rejects_image_sides_that_are_not_multiples_of_4() -> None:
    contract = TestDCGAN()
    contract.image_shape = (1, 30, 28)
    with pytest.raises(UsageError, match="multiples of 4, but this dataset has 30x28"):
        contract.build()


class TestFashionMNIST(DatasetContract):
    (plugin,) = (found for found in ganbench_datasets() if found.name == "fashion-mnist")
    options = {"source": "embedded"}


@pytest.mark.parametrize("plugin", ganbench_losses(), ids=lambda plugin: plugin.name)
class TestLosses(LossContract):
    @pytest.fixture(autouse=True)
    def under_test(self, plugin: Any) -> None:
        type(self).plugin = plugin


@pytest.mark.parametrize("plugin", ganbench_optimizers(), ids=lambda plugin: plugin.name)
class TestOptimizers(OptimizerContract):
    @pytest.fixture(autouse=True)
    def under_test(self, plugin: Any) -> None:
        type(self).plugin = plugin


class TestNone(DatasetContract):
    (plugin,) = ganbench_games.ganbench_datasets()
    options = {"num_images": 3}
    image_shape = (1, 1, 1)


OPTIMIZERS = {plugin.name: plugin for plugin in ganbench_optimizers()}
Steps = Callable[..., list[float]]


@pytest.fixture
def steps_of() -> Steps:
    """Return the change of a scalar in three steps with gradient -8, resuming the optimizer after the second."""

    def make(name: str, **options: Any) -> list[float]:
        plugin = OPTIMIZERS[name]
        point = torch.nn.Parameter(torch.zeros(1))
        way = [0.0]
        make = plugin.build(plugin.options(**options), TestDCGAN().context())
        optimizer = make([("point", point)])
        for step in range(3):
            if step == 2:
                state = optimizer.state_dict()
                optimizer = make([("point", point)])
                optimizer.load_state_dict(state)
            optimizer.zero_grad()
            (-8 * point).sum().backward()
            optimizer.step()
            way.append(point.item())
        return [after - before for before, after in pairwise(way)]

    return make


def test_gradient_descent_ascends_with_a_negative_learning_rate(steps_of: Steps) -> None:
    assert steps_of("gradient-descent", lr=-0.1) == pytest.approx([-0.8, -0.8, -0.8])


def test_nesterov_momentum_adds_the_next_step_of_the_velocity(steps_of: Steps) -> None:
    plain, nesterov = (steps_of("sgd", lr=0.1, momentum=0.5, nesterov=choice) for choice in (False, True))
    assert plain == pytest.approx([0.8, 1.2, 1.4])
    assert nesterov == pytest.approx([0.8 + 0.4, 0.8 + 0.6, 0.8 + 0.7])


def test_nesterov_without_momentum_is_rejected_before_training(registry: Registry) -> None:
    with pytest.raises(UsageError, match=r"optimizer\.generator: nesterov requires a momentum above 0"):
        load_spec("dcgan-fashion", registry, ['optimizer.generator={name="sgd",nesterov=true}'])


def test_rmsprop_adds_momentum_to_the_normalized_gradient(steps_of: Steps) -> None:
    """The running averages of the squared gradient 64 are 0.64 and 1.2736 with alpha = 0.99."""
    first, second, _ = steps_of("rmsprop", lr=0.1, momentum=0.5)
    assert first == pytest.approx(0.1 * 8 / 0.64**0.5)
    assert second == pytest.approx(0.5 * first + 0.1 * 8 / 1.2736**0.5)


@pytest.mark.parametrize(("name", "expected"), [("adam", 0.9), ("adamw", 0.9 - 0.1 * 0.5)])
def test_adamw_decays_weights_apart_from_the_gradient(name: str, expected: float) -> None:
    """Adam's first step has the length lr for any gradient, so its L2 penalty has no effect there."""
    plugin = OPTIMIZERS[name]
    point = torch.nn.Parameter(torch.ones(1))
    options = plugin.options(lr=0.1, weight_decay=0.5)
    optimizer = plugin.build(options, TestDCGAN().context())([("point", point)])
    (8 * point).sum().backward()
    optimizer.step()
    assert point.item() == pytest.approx(expected)


class TestFashionCNN(FeatureExtractorContract):
    plugin = named(ganbench_feature_extractors(), "fashion-cnn")


class TestRaw(FeatureExtractorContract):
    plugin = named(ganbench_feature_extractors(), "raw")


class TestRawOnPoints(TestRaw):
    image_shape = (2,)


class TestRawOnDownscaledColorImages(TestRaw):
    options = {"size": 8}
    image_shape = (3, 32, 30)


class TestFID(MetricContract):
    plugin = named(ganbench_metrics(), "fid")
    options = {"features": "fashion-cnn"}


class TestKID(MetricContract):
    plugin = named(ganbench_metrics(), "kid")
    options = {"features": "fashion-cnn", "subsets": 2, "subset_size": 16}


class TestKIDOnPoints(TestKID):
    options = TestKID.options | {"features": "raw"}
    image_shape = (2,)


class TestPrecisionRecall(MetricContract):
    plugin = named(ganbench_metrics(), "precision-recall")
    options = {"features": "fashion-cnn"}


class TestDensityCoverage(MetricContract):
    """With other features or fewer neighbors, negatives may have a density above 1, which is no error."""

    plugin = named(ganbench_metrics(), "density-coverage")
    options = {"features": "raw"}


class TestInceptionScore(MetricContract):
    plugin = named(ganbench_metrics(), "inception-score")
    options = {"features": "fashion-cnn", "splits": 1}

    def images(self, seed: int = 0) -> torch.Tensor:
        """Return images of clothing: the score rewards clear classes, which random images do not have."""
        return normalize_images(embedded_subset().test.tensors[0][16 * seed :][:16])


class TestR1(PenaltyContract):
    plugin = named(ganbench_penalties(), "r1")


class TestR2(PenaltyContract):
    plugin = named(ganbench_penalties(), "r2")


class TestGradientPenalty(PenaltyContract):
    plugin = named(ganbench_penalties(), "gradient-penalty")


class TestGradientPenaltyOnPoints(TestGradientPenalty):
    image_shape = (2,)


class TestDiffAugment(AugmentationContract):
    plugin = named(ganbench_augmentations(), "diffaugment")


class TestDiffAugmentOnColorImages(TestDiffAugment):
    image_shape = (3, 32, 32)


class TestADA(AugmentationContract):
    plugin = named(ganbench_augmentations(), "ada")


class TestADAOnColorImages(TestADA):
    image_shape = (3, 32, 24)


class TestConstant(ScheduleContract):
    plugin = named(ganbench_schedules(), "constant")
    options = {"value": 1.0}


class TestLinear(ScheduleContract):
    plugin = named(ganbench_schedules(), "linear")
    options = {"start": 1.0}


class TestCosine(ScheduleContract):
    plugin = named(ganbench_schedules(), "cosine")
    options = {"start": 1.0, "end": 0.1, "kimg": 1}


class TestStep(ScheduleContract):
    plugin = named(ganbench_schedules(), "step")
    options = {"start": 1.0, "every_kimg": 0.5}


class TestRobbinsMonro(ScheduleContract):
    plugin = named(ganbench_schedules(), "robbins-monro")
    options = {"start": 1.0}


class TestTensorBoard(TrackerContract):
    plugin = named(ganbench_trackers(), "tensorboard")


class TestTrajectory(TrackerContract):
    (plugin,) = ganbench_games.ganbench_trackers()


class TestLocal(ExecutorContract):
    plugin = named(ganbench_executors(), "local")
    options = {"jobs": 2}
