"""`inception-v3`: the Inception network of the original FID, as torch-fidelity ported it from TensorFlow."""

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

UNREADABLE = (  # what torch raises for files that are none of its own
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
# of the file at torch-fidelity's address, whose name has the first eight digits
WEIGHTS_SHA256 = "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2"


class InceptionV3(nn.Module):
    """uint8 images `(N, 1 or 3, H, W)` to features `(N, 2048)`, float32.

    Grey images are repeated to three channels; the network resizes to 299x299 as TensorFlow 1 did, not antialiased.
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


def load_extractor(weights: Path | None, device: str) -> InceptionV3:
    """The network with weights from `weights`, torch hub's cache or its download.

    Raises `MissingError` if there are none to be had, `DataError` for a file that does not hold them.
    """
    path = find_weights(weights)
    try:
        # torch-fidelity unpickles the file with full trust: it gets it only if it holds nothing but tensors
        torch.load(path, weights_only=True, map_location="cpu")
        return InceptionV3(path).to(device).eval().requires_grad_(False)
    except UNREADABLE as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise DataError(f"inception-v3: {path} does not hold torch-fidelity's Inception weights: {reason}") from error


def find_weights(weights: Path | None) -> Path:
    """The weights file: the given one, else the cached or freshly downloaded one, verified."""
    if weights is not None:
        if not weights.is_file():
            raise MissingError(f"inception-v3: there is no weights file {weights}")
        return weights
    cached = Path(torch.hub.get_dir()) / "checkpoints" / Path(URL_INCEPTION_V3).name
    if not cached.is_file():
        try:
            cached.parent.mkdir(parents=True, exist_ok=True)
            torch.hub.download_url_to_file(URL_INCEPTION_V3, str(cached), hash_prefix=WEIGHTS_SHA256)
        except (OSError, RuntimeError) as error:
            raise MissingError(
                f"inception-v3: its weights are not on this machine and could not be downloaded ({error}). Fetch "
                f"{URL_INCEPTION_V3} elsewhere and put it at {cached}, or name a file with the metric's option "
                "features.weights"
            ) from None
    if (found := sha256(cached)) != WEIGHTS_SHA256:
        raise DataError(
            f"inception-v3: {cached} is not the published file: its SHA-256 is {found}, expected {WEIGHTS_SHA256}. "
            "Remove it to have it downloaded anew"
        )
    return cached


def sha256(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()
