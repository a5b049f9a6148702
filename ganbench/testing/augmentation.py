"""The contract of augmentations."""

from __future__ import annotations

from typing import ClassVar

import torch

from ganbench.plugin.interfaces import Augmentation
from ganbench.plugin.registrations import AugmentationPlugin

from .assertions import assert_finite, assert_unchanged
from .contract import SEED
from .update import UpdateContract


class AugmentationContract(UpdateContract):
    plugin: ClassVar[AugmentationPlugin]

    def augmentations(self, device: str = "cpu") -> list[Augmentation]:
        return [self.build(device)]

    def test_it_preserves_shape_and_dtype(self) -> None:
        """Finite float32 images of the same shape are returned."""
        images = self.images()
        augmented = self.build()(images)
        expected, got = ((tuple(batch.shape), batch.dtype) for batch in (images, augmented))
        assert got == expected, f"expected {expected}, got {got}"
        assert_finite(augmented)

    def test_it_is_differentiable(self) -> None:
        """Gradients reach the images: the generator learns through the augmentation, and penalties need them."""
        images = self.images().requires_grad_()
        augmented = self.build()(images)
        assert augmented.requires_grad, "expected a gradient with respect to the images, got a constant"
        (gradient,) = torch.autograd.grad(augmented.square().sum(), images, create_graph=True)
        assert gradient.abs().sum() > 0, "expected a gradient with respect to the images, got zeros"

    def test_it_draws_from_the_default_generator(self) -> None:
        """The same images result after `torch.manual_seed` with the same seed."""
        augment, images = self.build(), self.images()
        results = []
        for seed in (SEED, SEED):
            torch.manual_seed(seed)
            results.append(augment(images))
        assert torch.equal(*results), "expected equal images after torch.manual_seed, got different ones"

    def test_it_does_not_change_its_input(self) -> None:
        """The images are not changed in place: the loss and penalties use the originals."""
        images = self.images()
        self.build()(images)
        assert_unchanged(images, self.images(), "images")
