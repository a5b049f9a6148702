"""The usual normalization of images for networks that were trained on ImageNet."""

from __future__ import annotations

import torch
from torch import Tensor, nn

MEAN = (0.485, 0.456, 0.406)  # of ImageNet's pixels in [0, 1]; red, green, blue
STD = (0.229, 0.224, 0.225)


class ImageNetNormalization(nn.Module):
    """Maps pixels in [0, 255], `(N, 1 or 3, H, W)`, to (x / 255 - mean) / standard deviation, `(N, 3, H, W)`.

    Grayscale images are repeated to three channels.
    """

    description = "ImageNet's mean and standard deviation"
    mean: Tensor
    std: Tensor

    def __init__(self) -> None:
        super().__init__()
        for name, values in (("mean", MEAN), ("std", STD)):
            self.register_buffer(name, torch.tensor(values).view(3, 1, 1), persistent=False)

    def forward(self, pixels: Tensor) -> Tensor:
        return (pixels / 255 - self.mean) / self.std
