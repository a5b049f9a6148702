"""`vgg16`: the second fully connected layer of torchvision's VGG-16, for precision and recall.

Kynkäänniemi et al. 2019 (arXiv:1904.06991) compare images by this layer of VGG-16 (Simonyan and Zisserman 2014,
arXiv:1409.1556). Their code, and StyleGAN's, has a weights file of its own, with which scores differ.
"""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch_fidelity.interpolate_compat_tensorflow import interpolate_bilinear_2d_like_tensorflow1x
from torchvision.models import VGG16_Weights, vgg16

from .imagenet import ImageNetNormalization
from .published_weights import file_sha256, find_weights, wrap_errors

URL = VGG16_Weights.IMAGENET1K_V1.url
WEIGHTS_SHA256 = "397923af8e79cdbb6a7127f12361acd7a2f83e06b05044ddf496e83de57a5bf0"
SIZE = 224
AT_ONCE = 32  # images, to bound the memory: the first layers have 26 MB of activations per image


class VGG16(nn.Module):
    """Maps uint8 images `(N, 1 or 3, H, W)` to features `(N, 4096)`, float32 and non-negative.

    Images are resized and normalized as by torch-fidelity's extractor `vgg16`, so that features are equal to its
    `fc2_relu`. 15.5 billion multiply-accumulate operations per image.
    """

    num_features = 4096

    def __init__(self, weights: Path) -> None:
        super().__init__()
        self.normalize = ImageNetNormalization()
        with torch.device("meta"):  # without random weights, which the file replaces
            network = vgg16()
        with wrap_errors("vgg16", weights, "torchvision's weights of VGG-16"):
            network.load_state_dict(torch.load(weights, weights_only=True, map_location="cpu"), assign=True)
        network.classifier = network.classifier[:5]  # up to the ReLU of the second fully connected layer
        self.network = network
        self.protocol: dict[str, Any] = {
            "extractor": "vgg16",
            "architecture": "torchvision's VGG-16, second fully connected layer after ReLU",
            "weights_sha256": file_sha256(weights),
            "resize": f"{SIZE}x{SIZE}, bilinear as in TensorFlow 1",
            "normalization": self.normalize.description,
        }
        self.software = {name: version(name) for name in ("torch-fidelity", "torchvision")}

    def forward(self, images: Tensor) -> Tensor:
        return torch.cat([self.network(self.prepare(some)) for some in images.split(AT_ONCE)])

    def prepare(self, images: Tensor) -> Tensor:
        """Return resized and normalized images, float32 `(N, 3, 224, 224)`."""
        return self.normalize(
            interpolate_bilinear_2d_like_tensorflow1x(images.float(), size=(SIZE, SIZE), align_corners=False)
        )


def load_extractor(weights: Path | None, device: str) -> VGG16:
    """Return the network with weights from `weights`, the torch hub cache or a download.

    Raises `MissingError` if the weights are unavailable, and `DataError` for an invalid file.
    """
    path = find_weights("vgg16", URL, WEIGHTS_SHA256, weights)
    return VGG16(path).to(device).eval().requires_grad_(False)
