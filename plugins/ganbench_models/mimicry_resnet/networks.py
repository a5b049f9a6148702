"""Generator with batch norm and discriminator, both of residual blocks.

Weights have Glorot and Bengio's uniform initialization, multiplied by sqrt(2) in the residual branches. Biases have
torch's default initialization, and so have the shortcuts and the generator's last layer of `wgan-gp`.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, relu
from torch.nn.utils.parametrizations import spectral_norm

from ganbench_models.mimicry_resnet import Variant


class Generator(nn.Module):
    """Maps latent vectors `(N, latent_dim)` to images `(N, channels, height, width)` in [-1, 1]."""

    def __init__(
        self, channels: int, first: int, doublings: int, latent_dim: int, width: int, variant: Variant
    ) -> None:
        super().__init__()
        linear = nn.Linear(latent_dim, width * first * first)
        nn.init.xavier_uniform_(linear.weight)
        self.first = nn.Sequential(linear, nn.Unflatten(1, (width, first, first)))
        self.blocks = nn.Sequential(*(GeneratorBlock(width, outer_gain(variant)) for _ in range(doublings)))
        self.last = nn.Sequential(
            nn.BatchNorm2d(width), nn.ReLU(), convolution(width, channels, 3, outer_gain(variant))
        )
        self.unit_range = variant == "dcgan"

    def forward(self, latent: Tensor) -> Tensor:
        output = self.last(self.blocks(self.first(latent)))
        return 2 * output.sigmoid() - 1 if self.unit_range else output.tanh()


class GeneratorBlock(nn.Module):
    """A residual block that doubles height and width."""

    def __init__(self, width: int, shortcut_gain: float | None) -> None:
        super().__init__()
        self.norm1 = nn.BatchNorm2d(width)
        self.conv1 = convolution(width, width, 3, 2**0.5)
        self.norm2 = nn.BatchNorm2d(width)
        self.conv2 = convolution(width, width, 3, 2**0.5)
        self.shortcut = convolution(width, width, 1, shortcut_gain)

    def forward(self, inputs: Tensor) -> Tensor:
        hidden = self.conv1(upsample(relu(self.norm1(inputs))))
        hidden = self.conv2(relu(self.norm2(hidden)))
        return hidden + upsample(self.shortcut(inputs))  # a 1x1 convolution commutes with interpolation


class Discriminator(nn.Module):
    """Maps images `(N, channels, height, width)` in [-1, 1] to logits `(N, 1)`, positive for real images."""

    def __init__(self, channels: int, width: int, variant: Variant) -> None:
        super().__init__()
        self.blocks = nn.Sequential(
            FirstDiscriminatorBlock(channels, width, outer_gain(variant)),
            DiscriminatorBlock(width, outer_gain(variant), downsample=True),
            DiscriminatorBlock(width, outer_gain(variant), downsample=False),
            DiscriminatorBlock(width, outer_gain(variant), downsample=False),
            nn.ReLU(),
        )
        self.output = nn.Linear(width, 1)
        nn.init.xavier_uniform_(self.output.weight)
        self.unit_range = variant == "dcgan"
        self.mean_pooling = variant == "wgan-gp"
        if variant == "sngan":
            for module in [*self.modules()]:
                if isinstance(module, nn.Conv2d | nn.Linear):
                    spectral_norm(module, n_power_iterations=1, eps=1e-12)

    def forward(self, images: Tensor) -> Tensor:
        features = self.blocks((images + 1) / 2 if self.unit_range else images)
        pooled = features.mean(dim=(2, 3)) if self.mean_pooling else features.sum(dim=(2, 3))
        return self.output(pooled)


class FirstDiscriminatorBlock(nn.Module):
    """A residual block that halves height and width, without a ReLU on its input, the images."""

    def __init__(self, channels: int, width: int, shortcut_gain: float | None) -> None:
        super().__init__()
        self.conv1 = convolution(channels, width, 3, 2**0.5)
        self.conv2 = convolution(width, width, 3, 2**0.5)
        self.shortcut = convolution(channels, width, 1, shortcut_gain)

    def forward(self, images: Tensor) -> Tensor:
        return avg_pool2d(self.conv2(relu(self.conv1(images))), 2) + self.shortcut(avg_pool2d(images, 2))


class DiscriminatorBlock(nn.Module):
    """A residual block that may halve height and width. Unlike Miyato et al.'s, its shortcut receives relu(inputs)."""

    def __init__(self, width: int, shortcut_gain: float | None, downsample: bool) -> None:
        super().__init__()
        self.conv1 = convolution(width, width, 3, 2**0.5)
        self.conv2 = convolution(width, width, 3, 2**0.5)
        self.pool = nn.AvgPool2d(2) if downsample else nn.Identity()
        self.shortcut = convolution(width, width, 1, shortcut_gain) if downsample else nn.Identity()

    def forward(self, inputs: Tensor) -> Tensor:
        rectified = relu(inputs)
        hidden = self.conv2(relu(self.conv1(rectified)))
        return self.pool(hidden) + self.shortcut(self.pool(rectified))  # a 1x1 convolution commutes with pooling


def outer_gain(variant: Variant) -> float | None:
    """Return the gain of shortcuts and of the generator's last layer; None for torch's default initialization."""
    return None if variant == "wgan-gp" else 1.0


def convolution(in_channels: int, out_channels: int, kernel_size: int, gain: float | None) -> nn.Conv2d:
    """Return a convolution that preserves height and width."""
    layer = nn.Conv2d(in_channels, out_channels, kernel_size, padding=kernel_size // 2)
    if gain is not None:
        nn.init.xavier_uniform_(layer.weight, gain)
    return layer


def upsample(features: Tensor) -> Tensor:
    """Double height and width by bilinear interpolation, as `interpolate(features, scale_factor=2, mode="bilinear")`.

    On a GPU, the gradient of `interpolate` adds in no fixed order, so equal runs would differ.
    """
    for dim in (2, 3):
        size = features.shape[dim]
        left = torch.cat([features.narrow(dim, 0, 1), features.narrow(dim, 0, size - 1)], dim)
        right = torch.cat([features.narrow(dim, 1, size - 1), features.narrow(dim, size - 1, 1)], dim)
        pairs = torch.stack([features.lerp(left, 0.25), features.lerp(right, 0.25)], dim + 1)
        features = pairs.flatten(dim, dim + 1)
    return features
