"""`inception-v3`: the Inception network of the original FID, ported from TensorFlow by torch-fidelity."""

from __future__ import annotations

import hashlib
import pickle
import zipfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch_fidelity.feature_extractor_inceptionv3 import URL_INCEPTION_V3, FeatureExtractorInceptionV3

from ganbench import DataError, MissingError

UNREADABLE = (  # exceptions that torch raises for invalid files
    AttributeError,
    EOFError,
    LookupError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
    pickle.UnpicklingError,
    zipfile.BadZipFile,
)
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
            "weights_sha256": sha256(weights),
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
    path = find_weights(weights)
    try:
        # torch-fidelity unpickles the file without weights_only, so first verify that it contains only tensors
        torch.load(path, weights_only=True, map_location="cpu")
        return InceptionV3(path).to(device).eval().requires_grad_(False)
    except UNREADABLE as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise DataError(
            f"inception-v3: {path} does not contain torch-fidelity's Inception weights: {reason}"
        ) from error


def find_weights(weights: Path | None) -> Path:
    """Return the given weights file, or the verified file in the torch hub cache, downloaded if necessary."""
    if weights is not None:
        if not weights.is_file():
            raise MissingError(f"inception-v3: weights file not found: {weights}")
        return weights
    cached = Path(torch.hub.get_dir()) / "checkpoints" / Path(URL_INCEPTION_V3).name
    if not cached.is_file():
        try:
            cached.parent.mkdir(parents=True, exist_ok=True)
            torch.hub.download_url_to_file(URL_INCEPTION_V3, str(cached), hash_prefix=WEIGHTS_SHA256)
        except (OSError, RuntimeError) as error:
            raise MissingError(
                f"inception-v3: the weights were not found locally and could not be downloaded ({error}). Download "
                f"{URL_INCEPTION_V3} elsewhere and copy it to {cached}, or give a file with the metric's option "
                "features.weights"
            ) from None
    if (found := sha256(cached)) != WEIGHTS_SHA256:
        raise DataError(
            f"inception-v3: {cached} is not the published file: its SHA-256 is {found}, expected {WEIGHTS_SHA256}. "
            "Remove it to download it again"
        )
    return cached


def sha256(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()
