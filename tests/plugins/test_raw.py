"""raw: pixels as features."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from ganbench import UsageError
from ganbench_datasets.fashion_mnist.sources import embedded_subset
from ganbench_features.raw import RawPixels

IMAGES: Tensor = embedded_subset().test.tensors[0][:6]


def test_the_features_are_the_pixels() -> None:
    extractor = RawPixels((1, 28, 28), size=None)
    assert extractor.num_features == 784
    assert torch.equal((extractor(IMAGES) * 255).round().to(torch.uint8).view_as(IMAGES), IMAGES)
    assert extractor.protocol["resize"] == "none"


def test_downscaled_pixels_are_means_of_cells() -> None:
    color = IMAGES.view(2, 3, 28, 28)
    extractor = RawPixels((3, 28, 28), size=7)
    means = color.double().view(2, 3, 7, 4, 7, 4).mean((3, 5)) / 255
    assert extractor.num_features == 3 * 7 * 7
    torch.testing.assert_close(extractor(color).double(), means.flatten(1), rtol=0, atol=1e-6)
    assert extractor.protocol["resize"] == "7x7, adaptive average pooling"


def test_enlarging_is_refused() -> None:
    with pytest.raises(UsageError, match=r"'raw': size = 29 is larger than the 32x28 images .* use at most 28"):
        RawPixels((1, 32, 28), size=29)
