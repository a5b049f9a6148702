"""Generator and discriminator: hidden layers of equal width with ReLU, and a linear layer."""

from __future__ import annotations

import math

from torch import Tensor, nn


class Generator(nn.Module):
    """Maps latent vectors `(N, latent_dim)` to images `(N, C, H, W)` in [-1, 1], or to vectors `(N, D)`."""

    def __init__(self, data_shape: tuple[int, ...], latent_dim: int, width: int, depth: int) -> None:
        super().__init__()
        are_images = len(data_shape) == 3
        self.layers = nn.Sequential(
            *hidden_layers(latent_dim, width, depth),
            output_layer(width, math.prod(data_shape)),
            *([nn.Tanh(), nn.Unflatten(1, data_shape)] if are_images else []),
        )

    def forward(self, latent: Tensor) -> Tensor:
        return self.layers(latent)


class Discriminator(nn.Module):
    """Maps images `(N, channels, height, width)` or vectors `(N, D)` to logits `(N, 1)`, positive for real ones."""

    def __init__(self, data_shape: tuple[int, ...], width: int, depth: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Flatten(), *hidden_layers(math.prod(data_shape), width, depth), output_layer(width, 1)
        )

    def forward(self, images: Tensor) -> Tensor:
        return self.layers(images)


def hidden_layers(in_features: int, width: int, depth: int) -> list[nn.Module]:
    """Return linear layers with ReLU, with He et al.'s uniform initialization and biases of zero."""
    layers: list[nn.Module] = []
    for features in [in_features, *[width] * (depth - 1)]:
        linear = nn.Linear(features, width)
        nn.init.kaiming_uniform_(linear.weight, nonlinearity="relu")
        nn.init.zeros_(linear.bias)
        layers += [linear, nn.ReLU()]
    return layers


def output_layer(in_features: int, out_features: int) -> nn.Linear:
    """Return a linear layer with Glorot and Bengio's uniform initialization and biases of zero."""
    linear = nn.Linear(in_features, out_features)
    nn.init.xavier_uniform_(linear.weight)
    nn.init.zeros_(linear.bias)
    return linear
