"""The shipped plugins keep the contracts that any plugin keeps."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from ganbench import Batch, Networks, UsageError
from ganbench.testing import (
    DatasetContract,
    FeatureExtractorContract,
    LossContract,
    MetricContract,
    ModelContract,
    OptimizerContract,
)
from ganbench_dcgan import ganbench_models
from ganbench_fashion_mnist import ganbench_datasets, ganbench_feature_extractors
from ganbench_losses import ganbench_losses
from ganbench_metrics import ganbench_metrics
from ganbench_optimizers import ganbench_optimizers


class TestDCGAN(ModelContract):
    (plugin,) = ganbench_models()
    options = {"width": 8}


class TestDCGANOnColourImages(TestDCGAN):
    image_shape = (3, 32, 32)


def test_dcgan_refuses_images_whose_sides_are_no_multiples_of_4() -> None:
    contract = TestDCGAN()
    contract.image_shape = (1, 30, 28)
    with pytest.raises(UsageError, match="multiples of 4, this data set's are 30x28"):
        contract.build()


class TestFashionMNIST(DatasetContract):
    (plugin,) = ganbench_datasets()
    options = {"source": "embedded"}


class TestFashionCNN(FeatureExtractorContract):
    (plugin,) = ganbench_feature_extractors()


class TestFID(MetricContract):
    (plugin,) = ganbench_metrics()
    options = {"features": "fashion-cnn"}


class TestBCE(LossContract):
    (plugin,) = ganbench_losses()

    def test_at_equilibrium_the_losses_are_2_log_2_and_log_2(self) -> None:
        class Undecided(torch.nn.Module):
            def forward(self, images: torch.Tensor) -> torch.Tensor:
                return images.new_zeros(len(images), 1)

        networks = Networks(self.networks().generator, Undecided(), latent_dim=8)
        batch: Batch = self.batch(networks)
        d_loss, monitors = self.build().discriminator_loss(networks, batch)
        g_loss, _ = self.build().generator_loss(networks, batch)
        assert d_loss.item() == pytest.approx(2 * torch.tensor(2.0).log().item())
        assert g_loss.item() == pytest.approx(torch.tensor(2.0).log().item())
        assert {name: value.item() for name, value in monitors.items()} == {"real_score": 0.5, "fake_score": 0.5}


@pytest.mark.parametrize("plugin", ganbench_optimizers(), ids=lambda plugin: plugin.name)
class TestOptimizers(OptimizerContract):
    @pytest.fixture(autouse=True)
    def under_test(self, plugin: Any) -> None:
        type(self).plugin = plugin
