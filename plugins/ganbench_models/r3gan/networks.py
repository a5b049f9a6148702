"""Generator and discriminator of residual blocks without normalization."""

from __future__ import annotations

import math
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, conv_transpose2d

EXPANSION = 2  # channels inside a residual block, relative to its input
SLOPE = 0.2  # of the leaky ReLUs
RELU_GAIN = math.sqrt(2 / (1 + SLOPE**2))

Layer = TypeVar("Layer", nn.Conv2d, nn.Linear)


class Generator(nn.Module):
    """Maps latent vectors `(N, latent_dim)`, with labels `(N,)` if conditional, to images `(N, C, H, W)`."""

    def __init__(
        self,
        channels: int,
        first: int,
        doublings: int,
        latent_dim: int,
        width: int,
        group_width: int,
        blocks: int,
        num_classes: int | None,
    ) -> None:
        super().__init__()
        self.embedding = None if num_classes is None else embedding(num_classes, latent_dim, 1.0)
        inputs = latent_dim if num_classes is None else 2 * latent_dim
        self.linear = initialized(nn.Linear(inputs, width, bias=False), 1.0)
        self.basis = nn.Parameter(torch.randn(width, first, first))
        count = blocks * (doublings + 1)
        layers: list[nn.Module] = [ResidualBlock(width, group_width, count) for _ in range(blocks)]
        for _ in range(doublings):
            layers += [Upsample(), *(ResidualBlock(width, group_width, count) for _ in range(blocks))]
        self.layers = nn.Sequential(*layers, initialized(nn.Conv2d(width, channels, 1, bias=False), 1.0))

    def forward(self, latent: Tensor, labels: Tensor | None = None) -> Tensor:
        if self.embedding is not None:
            latent = torch.cat([latent, self.embedding(labels)], 1)
        return self.layers(self.basis * self.linear(latent)[:, :, None, None])


class Discriminator(nn.Module):
    """Maps images `(N, C, H, W)` in [-1, 1], with labels `(N,)` if conditional, to logits `(N, 1)`."""

    def __init__(
        self,
        channels: int,
        first: int,
        doublings: int,
        width: int,
        group_width: int,
        blocks: int,
        num_classes: int | None,
    ) -> None:
        super().__init__()
        count = blocks * (doublings + 1)
        layers: list[nn.Module] = [initialized(nn.Conv2d(channels, width, 1, bias=False), 1.0)]
        for _ in range(doublings):
            layers += [*(ResidualBlock(width, group_width, count) for _ in range(blocks)), Downsample()]
        layers += [ResidualBlock(width, group_width, count) for _ in range(blocks)]
        basis = initialized(nn.Conv2d(width, width, first, groups=width, bias=False), 1.0)
        outputs = 1 if num_classes is None else width
        linear = initialized(nn.Linear(width, outputs, bias=False), 1.0)
        self.layers = nn.Sequential(*layers, basis, nn.Flatten(), linear)
        self.embedding = None if num_classes is None else embedding(num_classes, width, width**-0.5)

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        output = self.layers(images)
        return output if self.embedding is None else (output * self.embedding(labels)).sum(1, keepdim=True)


class ResidualBlock(nn.Module):
    """Three convolutions with leaky ReLUs between them; the last one is initially 0, so that the block is the identity.

    The 3x3 convolution has one group for each `group_width` channels of the block's input.
    As in Fixup, a residual branch with m = 3 layers, in a network of `count` blocks, has its first layers scaled by
    count^(-1 / (2m - 2)).
    """

    def __init__(self, channels: int, group_width: int, count: int) -> None:
        super().__init__()
        hidden, gain = EXPANSION * channels, RELU_GAIN * count ** (-1 / 4)
        self.layers = nn.Sequential(
            initialized(nn.Conv2d(channels, hidden, 1), gain),
            nn.LeakyReLU(SLOPE),
            initialized(nn.Conv2d(hidden, hidden, 3, padding=1, groups=channels // group_width), gain),
            nn.LeakyReLU(SLOPE),
            initialized(nn.Conv2d(hidden, channels, 1, bias=False), 0.0),
        )

    def forward(self, inputs: Tensor) -> Tensor:
        return inputs + self.layers(inputs)


class Resample(nn.Module):
    """Bilinear interpolation by 2 with zeros beyond the border: the filter [1, 3, 3, 1] / 8 in both directions."""

    kernel: Tensor

    def __init__(self) -> None:
        super().__init__()
        line = torch.tensor([1.0, 3.0, 3.0, 1.0]) / 8
        self.register_buffer("kernel", line.outer(line)[None, None], persistent=False)


class Upsample(Resample):
    """Doubles height and width."""

    def forward(self, inputs: Tensor) -> Tensor:
        planes = inputs.flatten(0, 1)[:, None]
        doubled = conv_transpose2d(planes, 4 * self.kernel.to(inputs.dtype), stride=2, padding=1)
        return doubled.view(*inputs.shape[:2], *doubled.shape[2:])


class Downsample(Resample):
    """Halves height and width."""

    def forward(self, inputs: Tensor) -> Tensor:
        planes = inputs.flatten(0, 1)[:, None]
        halved = conv2d(planes, self.kernel.to(inputs.dtype), stride=2, padding=1)
        return halved.view(*inputs.shape[:2], *halved.shape[2:])


def initialized(layer: Layer, gain: float) -> Layer:
    """Draw the weights from N(0, gain^2 / fan-in), and set the bias to 0."""
    nn.init.normal_(layer.weight, 0, gain / math.sqrt(layer.weight[0].numel()))
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer


def embedding(num_classes: int, features: int, gain: float) -> nn.Embedding:
    """Return an embedding, initialized as a linear layer on one-hot labels."""
    layer = nn.Embedding(num_classes, features)
    nn.init.normal_(layer.weight, 0, gain / math.sqrt(num_classes))
    return layer
