"""`raw`: pixels, or the vectors of data that is not images, as features without a network."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from ganbench import UsageError


class RawPixels(nn.Module):
    """Maps uint8 images `(N, C, H, W)` to their pixels in [0, 1], `(N, C * H * W)`, float32.

    With `size`, images are first downscaled to `(size, size)` by averaging the pixels of each cell. Raises `UsageError`
    if the images are smaller than that.
    """

    def __init__(self, image_shape: tuple[int, int, int], size: int | None) -> None:
        super().__init__()
        channels, height, width = image_shape
        if size is not None and size > min(height, width):
            raise UsageError(
                f"feature extractor 'raw': size = {size} is larger than the {height}x{width} images (height x width); "
                f"use at most {min(height, width)}, or omit it"
            )
        self.size = size
        self.num_features = channels * (height * width if size is None else size**2)
        self.protocol: dict[str, Any] = {
            "extractor": "raw",
            "resize": "none" if size is None else f"{size}x{size}, adaptive average pooling",
            "range": "[0, 1]",
        }
        self.eval()

    def forward(self, images: Tensor) -> Tensor:
        pixels = images.float() / 255
        if self.size is not None:
            pixels = nn.functional.adaptive_avg_pool2d(pixels, self.size)
        return pixels.flatten(1)


class RawVectors(nn.Module):
    """Returns vectors as they are: float32 `(N, D)`."""

    def __init__(self, num_features: int) -> None:
        super().__init__()
        self.num_features = num_features
        self.protocol: dict[str, Any] = {"extractor": "raw", "resize": "none", "range": "that of the data"}
        self.eval()

    def forward(self, vectors: Tensor) -> Tensor:
        return vectors
