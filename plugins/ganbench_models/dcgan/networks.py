"""Generator and discriminator of the homework's DCGAN, for images with sides that are multiples of 4."""

from __future__ import annotations

from torch import Tensor, nn

ImageShape = tuple[int, int, int]


class Generator(nn.Module):
    """Maps latent vectors `(N, latent_dim)` to images `(N, channels, height, width)` in [-1, 1]."""

    def __init__(self, image_shape: ImageShape, latent_dim: int, width: int, negative_slope: float) -> None:
        super().__init__()
        channels, image_height, image_width = image_shape
        seed_shape = (4 * width, image_height // 4, image_width // 4)
        seed_size = seed_shape[0] * seed_shape[1] * seed_shape[2]
        self.layers = nn.Sequential(
            nn.Linear(latent_dim, seed_size, bias=False),
            nn.BatchNorm1d(seed_size),
            nn.LeakyReLU(negative_slope),
            nn.Unflatten(1, seed_shape),
            nn.ConvTranspose2d(4 * width, 2 * width, 5, stride=1, padding=2, bias=False),
            nn.BatchNorm2d(2 * width),
            nn.LeakyReLU(negative_slope),
            nn.ConvTranspose2d(2 * width, width, 5, stride=2, padding=2, output_padding=1, bias=False),
            nn.BatchNorm2d(width),
            nn.LeakyReLU(negative_slope),
            nn.ConvTranspose2d(width, channels, 5, stride=2, padding=2, output_padding=1),
            nn.Tanh(),
        )

    def forward(self, latent: Tensor) -> Tensor:
        return self.layers(latent)


class Discriminator(nn.Module):
    """Maps images `(N, channels, height, width)` in [-1, 1] to logits `(N, 1)`, positive for real images."""

    def __init__(self, image_shape: ImageShape, width: int, negative_slope: float, dropout: float) -> None:
        super().__init__()
        channels, image_height, image_width = image_shape
        self.layers = nn.Sequential(
            nn.Conv2d(channels, width, 5, stride=2, padding=2),
            nn.LeakyReLU(negative_slope),
            nn.Dropout(dropout),
            nn.Conv2d(width, 2 * width, 5, stride=2, padding=2),
            nn.LeakyReLU(negative_slope),
            nn.Dropout(dropout),
            nn.Flatten(),
            nn.Linear(2 * width * (image_height // 4) * (image_width // 4), 1),
        )

    def forward(self, images: Tensor) -> Tensor:
        return self.layers(images)
