"""vgg16 with random weights in the published file format, its preprocessing, and errors for invalid files."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
import torch_fidelity
from torch import Tensor, nn
from torchvision.models import vgg16 as torchvision_vgg16

from ganbench import BuildContext, DataError, DatasetContext, UsageError
from ganbench.testing import FeatureExtractorContract
from ganbench_datasets import emoji
from ganbench_datasets.fashion_mnist.sources import embedded_subset
from ganbench_features import ganbench_feature_extractors, vgg16
from ganbench_features.vgg16 import VGG16, load_extractor

(PLUGIN,) = (plugin for plugin in ganbench_feature_extractors() if plugin.name == "vgg16")
GRAY = embedded_subset().test.tensors[0][:4]
COLOR = emoji.build(emoji.PLUGIN.options(), DatasetContext(Path(), Path(), 0)).test.tensors[0][:4]


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A weights file in torchvision's format, which is that of torch before 1.6, with random values."""
    with torch.device("meta"):
        shapes = {name: value.shape for name, value in torchvision_vgg16().state_dict().items()}
    numbers = torch.randn(999_983, generator=torch.Generator().manual_seed(0))  # repeated, because drawing takes long
    values = {}
    for name, shape in shapes.items():
        repeated = numbers.repeat(shape.numel() // len(numbers) + 1)[: shape.numel()].view(shape)
        values[name] = repeated * (2 / shape[1:].numel()) ** 0.5  # so that features do not fade to nothing
    path = tmp_path_factory.mktemp("weights") / "vgg16.pth"
    torch.save(values, path, _use_new_zipfile_serialization=False)
    yield path
    path.unlink()


@pytest.fixture(scope="module")
def extractor(weights: Path) -> VGG16:
    return load_extractor(weights, "cpu")


@pytest.mark.slow
class TestVGG16(FeatureExtractorContract):
    plugin = PLUGIN

    @pytest.fixture(autouse=True)
    def under_test(self, weights: Path) -> None:
        type(self).options = {"weights": weights}

    def images(self, seed: int = 0) -> Tensor:
        return super().images(seed)[:2]


def bilinear(size: int) -> np.ndarray:
    """Weights `(224, size)` of TensorFlow 1: output pixel i is at i * size / 224, without antialiasing."""
    weights = np.zeros((224, size))
    for row, position in enumerate(np.arange(224) * size / 224):
        low = int(position)
        weights[row, low] += 1 - (position - low)
        weights[row, min(low + 1, size - 1)] += position - low
    return weights


@pytest.mark.parametrize("images", [GRAY, COLOR, COLOR.repeat(1, 1, 10, 12)], ids=["gray", "color", "larger"])
def test_images_are_resized_bilinearly_and_normalized(extractor: VGG16, images: Tensor) -> None:
    rows, columns = bilinear(images.shape[2]), bilinear(images.shape[3])
    pixels = rows @ images.expand(-1, 3, -1, -1).double().numpy() @ columns.T / 255
    red, green, blue = pixels.transpose(1, 0, 2, 3)
    expected = np.stack([(red - 0.485) / 0.229, (green - 0.456) / 0.224, (blue - 0.406) / 0.225], 1)
    np.testing.assert_allclose(extractor.prepare(images).numpy(), expected, atol=1e-4)


@pytest.mark.skipif(
    not hasattr(torch_fidelity, "FeatureExtractorVGG16"), reason="torch-fidelity has a vgg16 since version 0.4"
)
@pytest.mark.slow
def test_features_are_those_of_torch_fidelity(extractor: VGG16, weights: Path) -> None:
    theirs = torch_fidelity.FeatureExtractorVGG16("vgg16", ["fc2_relu"], feature_extractor_weights_path=str(weights))
    (expected,) = theirs(COLOR[:2])
    assert expected.std(0).max() > 0
    torch.testing.assert_close(extractor(COLOR[:2]), expected, rtol=1e-4, atol=1e-4)


def test_a_large_batch_is_processed_in_parts_without_changing_features(
    extractor: VGG16, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(extractor._modules, "network", nn.Flatten())
    together = extractor(COLOR)
    monkeypatch.setattr(vgg16, "AT_ONCE", 3)
    assert torch.equal(extractor(COLOR), together)


def test_features_are_those_of_the_second_fully_connected_layer_after_relu(extractor: VGG16) -> None:
    features = extractor(GRAY[:2])
    assert features.shape == (2, extractor.num_features) == (2, 4096)
    assert features.min() == 0
    assert features.std(0).max() > 0


def test_the_protocol_names_weights_and_preprocessing(extractor: VGG16, weights: Path) -> None:
    assert extractor.protocol["weights_sha256"] == hashlib.sha256(weights.read_bytes()).hexdigest()
    assert "torchvision" in extractor.protocol["architecture"]
    assert extractor.protocol["resize"] == "224x224, bilinear as in TensorFlow 1"
    assert extractor.protocol["normalization"] == "ImageNet's mean and standard deviation"


def test_other_channels_are_refused(tmp_path: Path) -> None:
    context = BuildContext(data_shape=(5, 8, 8), num_classes=10, device="cpu", cache_dir=tmp_path, seed=0)
    with pytest.raises(UsageError, match="'vgg16' requires grayscale or RGB images, but this dataset has 5 channels"):
        PLUGIN.build(PLUGIN.options(), context)


@pytest.mark.parametrize("content", [{"features.0.weight": torch.zeros(3)}, torch.zeros(3)], ids=["other", "tensor"])
def test_the_error_for_other_weights_names_the_file(content: object, tmp_path: Path) -> None:
    path = tmp_path / "wrong.pth"
    torch.save(content, path)
    with pytest.raises(DataError, match=re.escape(f"vgg16: {path} does not contain torchvision's weights of VGG-16")):
        load_extractor(path, "cpu")
