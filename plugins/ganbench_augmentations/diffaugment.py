"""Differentiable augmentation: Zhao et al. 2020 (arXiv:2006.10738), section 4 and appendix."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

MAX_TRANSLATION = 1 / 8  # as a fraction of the image's side
CUTOUT_SIZE = 1 / 2  # as a fraction of the image's side


class DiffAugment:
    """Applies each transformation of a policy to the images, with random parameters for each image."""

    def __init__(self, policy: Sequence[str]) -> None:
        self.policy = list(policy)

    def __call__(self, images: Tensor) -> Tensor:
        for name in self.policy:
            images = TRANSFORMS[name](images)
        return images


def color(images: Tensor) -> Tensor:
    """Shift brightness by -0.5 to 0.5, and scale saturation by 0 to 2 and contrast by 0.5 to 1.5."""
    images = images + (uniform(images) - 0.5)
    gray = images.mean(1, keepdim=True)
    images = (images - gray) * (2 * uniform(images)) + gray
    mean = images.mean((1, 2, 3), keepdim=True)
    return (images - mean) * (uniform(images) + 0.5) + mean


def translation(images: Tensor) -> Tensor:
    """Translate by up to an eighth of the side in each direction, padding with 0."""
    rows, columns = (
        torch.arange(side, device=images.device) + shift(len(images), rounded(side * MAX_TRANSLATION), images.device)
        for side in images.shape[2:]
    )
    height, width = images.shape[2:]
    inside = ((rows >= 0) & (rows < height))[:, :, None] & ((columns >= 0) & (columns < width))[:, None, :]
    number = torch.arange(len(images), device=images.device)[:, None, None]
    moved = images.permute(0, 2, 3, 1)[
        number, rows.clamp(0, height - 1)[:, :, None], columns.clamp(0, width - 1)[:, None]
    ]
    return moved.permute(0, 3, 1, 2) * inside[:, None]


def cutout(images: Tensor) -> Tensor:
    """Set a square with half the side to 0, centered anywhere in the image."""
    covered = []
    for side in images.shape[2:]:
        size = rounded(side * CUTOUT_SIZE)
        center = torch.randint(side + (1 - size % 2), (len(images), 1), device=images.device)
        start = center - size // 2
        position = torch.arange(side, device=images.device)
        covered.append((position >= start) & (position < start + size))
    rows, columns = covered
    return images * ~(rows[:, None, :, None] & columns[:, None, None, :])


def rounded(pixels: float) -> int:
    """Round to the nearest integer, half up, as the authors' code does."""
    return math.floor(pixels + 0.5)


def uniform(images: Tensor) -> Tensor:
    """Return a uniform random number in [0, 1) for each image, `(N, 1, 1, 1)`."""
    return torch.rand(len(images), 1, 1, 1, dtype=images.dtype, device=images.device)


def shift(count: int, max_shift: int, device: torch.device) -> Tensor:
    """Return a random integer from -max_shift to max_shift for each image, `(N, 1)`."""
    return torch.randint(-max_shift, max_shift + 1, (count, 1), device=device)


TRANSFORMS: dict[str, Callable[[Tensor], Tensor]] = {"color": color, "translation": translation, "cutout": cutout}
