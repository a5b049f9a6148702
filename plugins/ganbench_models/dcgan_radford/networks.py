"""Generator and discriminator with strided convolutions, batch norm and no hidden linear layers.

Weights are drawn from N(0, 0.02), the gains of batch norm from N(1, 0.02). No layer has a bias, except batch norm.
"""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn


class Generator(nn.Module):
    """Maps latent vectors `(N, latent_dim)` to images `(N, channels, height, width)` in [-1, 1]."""

    def __init__(
        self, channels: int, first: int, doublings: int, latent_dim: int, width: int, kernel_size: int
    ) -> None:
        super().__init__()
        widths = [width << stage for stage in reversed(range(doublings))]
        units = widths[0] * first * first
        layers: list[nn.Module] = [
            nn.Linear(latent_dim, units, bias=False),
            nn.BatchNorm1d(units),  # of each unit, as in the authors' code
            nn.ReLU(),
            nn.Unflatten(1, (widths[0], first, first)),
        ]
        for inputs, outputs in pairwise(widths):
            layers += [doubling(inputs, outputs, kernel_size), nn.BatchNorm2d(outputs), nn.ReLU()]
        self.layers = nn.Sequential(*layers, doubling(width, channels, kernel_size), nn.Tanh())
        self.apply(initialize)

    def forward(self, latent: Tensor) -> Tensor:
        return self.layers(latent)


class Discriminator(nn.Module):
    """Maps images `(N, channels, height, width)` in [-1, 1] to logits `(N, 1)`, positive for real images."""

    def __init__(self, channels: int, first: int, doublings: int, width: int, kernel_size: int) -> None:
        super().__init__()
        widths = [width << stage for stage in range(doublings)]
        # no batch norm on the image, as in the paper
        layers: list[nn.Module] = [halving(channels, width, kernel_size), nn.LeakyReLU(0.2)]
        for inputs, outputs in pairwise(widths):
            layers += [halving(inputs, outputs, kernel_size), nn.BatchNorm2d(outputs), nn.LeakyReLU(0.2)]
        self.layers = nn.Sequential(*layers, nn.Flatten(), nn.Linear(widths[-1] * first * first, 1, bias=False))
        self.apply(initialize)

    def forward(self, images: Tensor) -> Tensor:
        return self.layers(images)


def doubling(in_channels: int, out_channels: int, kernel_size: int) -> nn.ConvTranspose2d:
    """Return a transposed convolution that doubles height and width."""
    odd = kernel_size % 2
    return nn.ConvTranspose2d(in_channels, out_channels, kernel_size, 2, kernel_size // 2 - 1 + odd, odd, bias=False)


def halving(in_channels: int, out_channels: int, kernel_size: int) -> nn.Conv2d:
    """Return a convolution that halves height and width."""
    return nn.Conv2d(in_channels, out_channels, kernel_size, 2, kernel_size // 2 - 1 + kernel_size % 2, bias=False)


def initialize(module: nn.Module) -> None:
    if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
        nn.init.normal_(module.weight, 1, 0.02)
    elif isinstance(module, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
        nn.init.normal_(module.weight, 0, 0.02)
