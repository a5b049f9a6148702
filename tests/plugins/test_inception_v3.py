"""inception-v3 with random weights in the published file format, and errors for invalid files."""

from __future__ import annotations

import hashlib
import io
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch_fidelity import feature_extractor_inceptionv3 as torch_fidelity

from ganbench import DataError
from ganbench.scoring.features import FeatureWriter, StoredFeatures
from ganbench.testing import FeatureExtractorContract
from ganbench_datasets.fashion_mnist.sources import embedded_subset
from ganbench_features import ganbench_feature_extractors
from ganbench_features.inception_v3 import InceptionV3, load_extractor
from ganbench_metrics.fid import FID

GREY = embedded_subset().test.tensors[0][:8]


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A weights file in torch-fidelity's format, with random values."""
    with pytest.MonkeyPatch.context() as patch:
        network_class = torch_fidelity.FeatureExtractorInceptionV3
        patch.setattr(torch_fidelity, "load_state_dict_from_url", lambda *_, **__: {})
        patch.setattr(network_class, "load_state_dict", lambda *_: None)
        network = network_class("random", ["2048"])
    torch.manual_seed(0)
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight)  # the default would let the features fade to nothing
    path = tmp_path_factory.mktemp("weights") / "inception.pth"
    torch.save(network.state_dict(), path)
    yield path
    path.unlink()


@pytest.fixture(scope="module")
def extractor(weights: Path) -> InceptionV3:
    return load_extractor(weights, "cpu")


@pytest.mark.slow
class TestInceptionV3(FeatureExtractorContract):
    plugin = next(plugin for plugin in ganbench_feature_extractors() if plugin.name == "inception-v3")

    @pytest.fixture(autouse=True)
    def under_test(self, weights: Path) -> None:
        type(self).options = {"weights": weights}

    def images(self, seed: int = 0) -> Tensor:
        return super().images(seed)[:2]


def test_features_of_grayscale_images_are_those_of_the_image_repeated_to_three_channels(extractor: InceptionV3) -> None:
    grey = extractor(GREY[:2])
    assert grey.shape == (2, extractor.num_features) == (2, 2048)
    assert grey.std(0).max() > 0
    assert torch.equal(grey, extractor(GREY[:2].repeat(1, 3, 1, 1)))


def test_features_of_color_images_depend_on_the_color(extractor: InceptionV3) -> None:
    red = GREY[:1] * torch.tensor([1, 0, 0], dtype=torch.uint8).view(1, 3, 1, 1)
    features = extractor(torch.cat([red, red.flip(1)]))
    assert features.shape == (2, 2048)
    assert not torch.allclose(features[0], features[1])


def test_its_logits_are_those_of_the_original_inception_score(extractor: InceptionV3, weights: Path) -> None:
    original = torch_fidelity.FeatureExtractorInceptionV3(
        "original", ["2048", "logits_unbiased"], feature_extractor_weights_path=str(weights)
    )
    features, logits = original(GREY[:2].expand(-1, 3, -1, -1))
    torch.testing.assert_close(extractor.logits(features), logits)


def test_the_protocol_names_the_weights(extractor: InceptionV3, weights: Path) -> None:
    assert extractor.protocol["extractor"] == "inception-v3"
    assert extractor.protocol["weights_sha256"] == hashlib.sha256(weights.read_bytes()).hexdigest()
    assert extractor.protocol["resize"]
    assert not extractor.network.training


@pytest.mark.slow
def test_fid_with_it_is_the_frechet_distance(extractor: InceptionV3, tmp_path: Path) -> None:
    """For few images, the trace of the root is the nuclear norm of a small matrix, without a 2048 x 2048 root."""

    def gaussian(images: Tensor) -> tuple[Tensor, Tensor]:
        """Mean, and a root of the covariance: centred features `(N, 2048)` over the root of N - 1."""
        features = extractor(images).double()
        return features.mean(0), (features - features.mean(0)) / (len(features) - 1) ** 0.5

    real, fake = GREY[:4], GREY[4:]

    def stored(images: Tensor, name: str) -> StoredFeatures:
        with FeatureWriter(tmp_path / name, torch.device("cpu")) as writer:
            writer.append(extractor(images))
        return StoredFeatures(writer.result(), labels=None)

    fid = FID(extractor, "cpu")
    assert fid.label == "FID (inception-v3)"
    (real_mean, real_root), (fake_mean, fake_root) = gaussian(real), gaussian(fake)
    expected = (real_mean - fake_mean).square().sum() + real_root.square().sum() + fake_root.square().sum()
    expected -= 2 * torch.linalg.matrix_norm(real_root @ fake_root.T, "nuc")
    assert fid.score(stored(real, "real"), stored(fake, "fake")) == pytest.approx(expected.item(), rel=1e-4)


def saved(content: Any) -> bytes:
    torch.save(content, buffer := io.BytesIO())
    return buffer.getvalue()


WRONG_CONTENTS: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda _: b"",
    "text": lambda _: b"<!DOCTYPE html><title>Not found</title>",
    "truncated": lambda right: right[: len(right) // 2],
    "other tensors": lambda _: saved({"weight": torch.zeros(3)}),
    "other names": lambda _: saved({7: torch.zeros(3)}),
    "one tensor": lambda _: saved(torch.zeros(3)),
}


@pytest.mark.parametrize("wrong", WRONG_CONTENTS.values(), ids=WRONG_CONTENTS.keys())
def test_the_error_for_an_invalid_weights_file_names_it(
    wrong: Callable[[bytes], bytes], weights: Path, tmp_path: Path
) -> None:
    path = tmp_path / "wrong.pth"
    path.write_bytes(wrong(weights.read_bytes()))
    with pytest.raises(DataError, match=re.escape(f"{path} does not contain torch-fidelity's Inception weights")):
        load_extractor(path, "cpu")


class Malicious:
    """Creates a file when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Callable[[Path], None], tuple[Path]]:
        return Path.touch, (self.mark,)


@pytest.mark.parametrize("zipped", [True, False])
def test_code_in_a_weights_file_is_not_run(zipped: bool, tmp_path: Path) -> None:
    path, mark = tmp_path / "malicious.pth", tmp_path / "mark"
    torch.save({"weight": Malicious(mark)}, path, _use_new_zipfile_serialization=zipped)
    with pytest.raises(DataError, match=re.escape(str(path))):
        load_extractor(path, "cpu")
    assert not mark.exists()
    torch.load(path, weights_only=False)
    assert mark.exists()  # so the file would have
