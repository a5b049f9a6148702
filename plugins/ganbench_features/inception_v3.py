"""`inception-v3`: the Inception network of the original FID, ported from TensorFlow by torch-fidelity."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch_fidelity.feature_extractor_inceptionv3 import URL_INCEPTION_V3, FeatureExtractorInceptionV3

from .published_weights import file_sha256, find_weights, wrap_errors

FEATURES = "2048"  # the last pooling layer
# of the file published by torch-fidelity, whose name contains the first eight digits
WEIGHTS_SHA256 = "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2"


class InceptionV3(nn.Module):
    """Maps uint8 images `(N, 1 or 3, H, W)` to features `(N, 2048)`, float32.

    Grayscale images are repeated to three channels. The network resizes to 299x299 like TensorFlow 1, without
    antialiasing. `logits` maps features to 1,008 logits without the bias, as the original inception score does.
    """

    num_features = int(FEATURES)

    def __init__(self, weights: Path) -> None:
        super().__init__()
        self.network = FeatureExtractorInceptionV3(
            "inception-v3-compat", [FEATURES], feature_extractor_weights_path=str(weights)
        )
        self.protocol: dict[str, Any] = {
            "extractor": "inception-v3",
            "weights_sha256": file_sha256(weights),
            "resize": "299x299, bilinear as in TensorFlow 1",
        }
        self.software = {"torch-fidelity": version("torch-fidelity")}

    def forward(self, images: Tensor) -> Tensor:
        (features,) = self.network(images.expand(-1, 3, -1, -1))
        return features

    def logits(self, features: Tensor) -> Tensor:
        return features @ self.network.fc.weight.T


def load_extractor(weights: Path | None, device: str) -> InceptionV3:
    """Return the network with weights from `weights`, the torch hub cache or a download.

    Raises `MissingError` if the weights are unavailable, and `DataError` for an invalid file.
    """
    path = find_weights("inception-v3", URL_INCEPTION_V3, WEIGHTS_SHA256, weights)
    with wrap_errors("inception-v3", path, "torch-fidelity's Inception weights"):
        # torch-fidelity unpickles the file without weights_only, so first verify that it contains only tensors
        torch.load(path, weights_only=True, map_location="cpu")
        return InceptionV3(path).to(device).eval().requires_grad_(False)
