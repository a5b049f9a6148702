"""Generator with (conditional) batch norm and spectrally normalized discriminator, both of residual blocks.

Weights have Glorot and Bengio's uniform initialization, multiplied by sqrt(2) in the residual branches; biases are 0.
"""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, interpolate, relu
from torch.nn.utils.parametrizations import spectral_norm


class Generator(nn.Module):
    """Maps latent vectors `(N, latent_dim)`, with labels `(N,)` if conditional, to images `(N, C, H, W)` in [-1, 1]."""

    def __init__(
        self, channels: int, first: int, doublings: int, latent_dim: int, width: int, num_classes: int | None
    ) -> None:
        super().__init__()
        large = doublings == 4  # 64x64
        widths = [width << stage for stage in reversed(range(5))] if large else [4 * width] * (doublings + 1)
        linear = nn.Linear(latent_dim, widths[0] * first * first)
        nn.init.xavier_uniform_(linear.weight)
        nn.init.zeros_(linear.bias)
        self.first = nn.Sequential(linear, nn.Unflatten(1, (widths[0], first, first)))
        self.blocks = nn.ModuleList(
            GeneratorBlock(inputs, outputs, num_classes) for inputs, outputs in pairwise(widths)
        )
        self.last = nn.Sequential(
            batch_norm(widths[-1], None), nn.ReLU(), convolution(widths[-1], channels, 3, 1.0), nn.Tanh()
        )

    def forward(self, latent: Tensor, labels: Tensor | None = None) -> Tensor:
        features = self.first(latent)
        for block in self.blocks:
            features = block(features, labels)
        return self.last(features)


class GeneratorBlock(nn.Module):
    """A residual block that doubles height and width."""

    def __init__(self, in_channels: int, out_channels: int, num_classes: int | None) -> None:
        super().__init__()
        self.norm1 = batch_norm(in_channels, num_classes)
        self.conv1 = convolution(in_channels, out_channels, 3, 2**0.5)
        self.norm2 = batch_norm(out_channels, num_classes)
        self.conv2 = convolution(out_channels, out_channels, 3, 2**0.5)
        self.shortcut = convolution(in_channels, out_channels, 1, 1.0)

    def forward(self, inputs: Tensor, labels: Tensor | None) -> Tensor:
        condition = () if labels is None else (labels,)
        hidden = self.conv1(upsample(relu(self.norm1(inputs, *condition))))
        hidden = self.conv2(relu(self.norm2(hidden, *condition)))
        return hidden + upsample(self.shortcut(inputs))  # a 1x1 convolution commutes with upsampling


class ConditionalBatchNorm(nn.Module):
    """Batch norm with a gain and a bias for each class and channel: 1 + gains(y) and biases(y), initially 1 and 0."""

    def __init__(self, channels: int, num_classes: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(channels, eps=2e-5, affine=False)
        self.gains = nn.Embedding(num_classes, channels)
        self.biases = nn.Embedding(num_classes, channels)
        nn.init.zeros_(self.gains.weight)
        nn.init.zeros_(self.biases.weight)

    def forward(self, inputs: Tensor, labels: Tensor) -> Tensor:
        gains, biases = 1 + self.gains(labels), self.biases(labels)
        return gains[:, :, None, None] * self.norm(inputs) + biases[:, :, None, None]


class Discriminator(nn.Module):
    """Maps images `(N, C, H, W)` in [-1, 1], with labels `(N,)` if conditional, to `(N, 1)`, higher for real images."""

    def __init__(self, channels: int, doublings: int, width: int, num_classes: int | None) -> None:
        super().__init__()
        large = doublings == 4  # 64x64
        widths = [width << stage for stage in range(5)] if large else [2 * width] * 4
        downsampled = 5 if large else 2  # the first blocks
        self.blocks = nn.Sequential(
            FirstDiscriminatorBlock(channels, widths[0]),
            *(
                DiscriminatorBlock(inputs, outputs, downsample=number < downsampled)
                for number, (inputs, outputs) in enumerate(pairwise(widths), start=1)
            ),
            nn.ReLU(),
        )
        output = nn.Linear(widths[-1], 1, bias=large)  # in the authors' code, only the larger network has this bias
        nn.init.xavier_uniform_(output.weight)
        if large:
            nn.init.zeros_(output.bias)
        self.output = normalized(output)
        self.embedding = None
        if num_classes is not None:
            embedding = nn.Embedding(num_classes, widths[-1])
            nn.init.xavier_uniform_(embedding.weight)
            self.embedding = normalized(embedding)

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        features = self.blocks(images).sum(dim=(2, 3))
        output = self.output(features)
        if self.embedding is not None:
            output = output + (self.embedding(labels) * features).sum(1, keepdim=True)
        return output


class FirstDiscriminatorBlock(nn.Module):
    """A residual block that halves height and width, without a ReLU on its input, the images."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv1 = normalized(convolution(in_channels, out_channels, 3, 2**0.5))
        self.conv2 = normalized(convolution(out_channels, out_channels, 3, 2**0.5))
        self.shortcut = normalized(convolution(in_channels, out_channels, 1, 1.0))

    def forward(self, images: Tensor) -> Tensor:
        return avg_pool2d(self.conv2(relu(self.conv1(images))), 2) + self.shortcut(avg_pool2d(images, 2))


class DiscriminatorBlock(nn.Module):
    """A residual block that may halve height and width."""

    def __init__(self, in_channels: int, out_channels: int, downsample: bool) -> None:
        super().__init__()
        self.conv1 = normalized(convolution(in_channels, in_channels, 3, 2**0.5))
        self.conv2 = normalized(convolution(in_channels, out_channels, 3, 2**0.5))
        self.pool = nn.AvgPool2d(2) if downsample else nn.Identity()
        self.shortcut: nn.Module = nn.Identity()
        if downsample or in_channels != out_channels:
            self.shortcut = normalized(convolution(in_channels, out_channels, 1, 1.0))

    def forward(self, inputs: Tensor) -> Tensor:
        hidden = self.conv2(relu(self.conv1(relu(inputs))))
        return self.pool(hidden) + self.shortcut(self.pool(inputs))  # a 1x1 convolution commutes with pooling


def convolution(in_channels: int, out_channels: int, kernel_size: int, gain: float) -> nn.Conv2d:
    """Return a convolution that preserves height and width."""
    layer = nn.Conv2d(in_channels, out_channels, kernel_size, padding=kernel_size // 2)
    nn.init.xavier_uniform_(layer.weight, gain)
    assert layer.bias is not None
    nn.init.zeros_(layer.bias)
    return layer


def normalized(layer: nn.Module) -> nn.Module:
    """Return the layer with a spectrally normalized weight."""
    return spectral_norm(layer, n_power_iterations=1, eps=1e-12)


def batch_norm(channels: int, num_classes: int | None) -> nn.Module:
    """Return batch norm, conditional if there are classes; eps and momentum are Chainer's defaults."""
    return nn.BatchNorm2d(channels, eps=2e-5) if num_classes is None else ConditionalBatchNorm(channels, num_classes)


def upsample(features: Tensor) -> Tensor:
    return interpolate(features, scale_factor=2, mode="nearest")
