"""Augmentations that break a rule."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ganbench import AugmentationPlugin

from .broken import Broken, disturbed


def brighten(images: Tensor) -> Tensor:
    return images + torch.rand(len(images), 1, 1, 1, device=images.device, dtype=images.dtype)


class Own:
    """Draws from a generator of its own."""

    def __init__(self) -> None:
        self.rng = torch.Generator()

    def __call__(self, images: Tensor) -> Tensor:
        return images + torch.rand(len(images), 1, 1, 1, generator=self.rng)


class Disturbed:
    def __init__(self, disturbance: Callable[[Tensor], Tensor]) -> None:
        self.disturbance = disturbance

    def __call__(self, images: Tensor) -> Tensor:
        return self.disturbance(images)


def augmentation(make: Callable[[], Any]) -> AugmentationPlugin:
    return AugmentationPlugin(name="mine", summary="Random brightness", build=lambda *_: make())


SOUND = augmentation(lambda: brighten)
BROKEN = {
    "it preserves shape and dtype": Broken(
        augmentation(lambda: lambda images: images.double()), "expected ((16, 1, 28, 28), torch.float32), got"
    ),
    "it is differentiable": Broken(augmentation(lambda: lambda images: images.detach() * 2), "got a constant"),
    "it draws from the default generator": Broken(augmentation(Own), "expected equal images after torch.manual_seed"),
    "it does not change its input": Broken(
        augmentation(lambda: lambda images: images.mul_(0.5)), "expected unchanged images, got"
    ),
    **disturbed(lambda disturbance: augmentation(lambda: Disturbed(disturbance())), "augmentation 0.disturbance"),
}
