"""Generator and critic with strided 5x5 convolutions.

The authors' TensorFlow code pads by 1 pixel before and 2 after; here, the padding is symmetric, 2 and 2.
"""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn


class Generator(nn.Module):
    """Maps latent vectors `(N, latent_dim)` to images `(N, channels, height, width)` in [-1, 1]."""

    def __init__(self, channels: int, first: int, doublings: int, latent_dim: int, width: int) -> None:
        super().__init__()
        widths = [width << stage for stage in reversed(range(doublings))]
        units = widths[0] * first * first
        layers: list[nn.Module] = [
            linear(latent_dim, units),
            nn.BatchNorm1d(units),
            nn.ReLU(),
            nn.Unflatten(1, (widths[0], first, first)),
        ]
        for inputs, outputs in pairwise(widths):
            layers += [doubling(inputs, outputs), nn.BatchNorm2d(outputs), nn.ReLU()]
        self.layers = nn.Sequential(*layers, doubling(width, channels), nn.Tanh())

    def forward(self, latent: Tensor) -> Tensor:
        return self.layers(latent)


class Critic(nn.Module):
    """Maps images `(N, channels, height, width)` in [-1, 1] to outputs `(N, 1)`, higher for real images."""

    def __init__(self, channels: int, first: int, doublings: int, width: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for inputs, outputs in pairwise([channels, *(width << stage for stage in range(doublings))]):
            layers += [halving(inputs, outputs), nn.LeakyReLU(0.2)]
        features = (width << (doublings - 1)) * first * first
        self.layers = nn.Sequential(*layers, nn.Flatten(), linear(features, 1))

    def forward(self, images: Tensor) -> Tensor:
        return self.layers(images)


def linear(in_features: int, out_features: int) -> nn.Linear:
    """Return a linear layer with Glorot and Bengio's uniform initialization."""
    layer = nn.Linear(in_features, out_features)
    nn.init.xavier_uniform_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer


def doubling(in_channels: int, out_channels: int) -> nn.ConvTranspose2d:
    """Return a transposed convolution that doubles height and width, with the authors' initialization."""
    layer = nn.ConvTranspose2d(in_channels, out_channels, 5, 2, 2, 1)
    initialize(layer, in_channels * 25 / 4, out_channels * 25)
    return layer


def halving(in_channels: int, out_channels: int) -> nn.Conv2d:
    """Return a convolution that halves height and width, with the authors' initialization."""
    layer = nn.Conv2d(in_channels, out_channels, 5, 2, 2)
    initialize(layer, in_channels * 25, out_channels * 25 / 4)
    return layer


def initialize(layer: nn.Conv2d | nn.ConvTranspose2d, fan_in: float, fan_out: float) -> None:
    """Draw uniform weights of variance 4 / (fan_in + fan_out); a stride of 2 divides one of the fans by 4."""
    bound = (12 / (fan_in + fan_out)) ** 0.5
    nn.init.uniform_(layer.weight, -bound, bound)
    assert layer.bias is not None
    nn.init.zeros_(layer.bias)
