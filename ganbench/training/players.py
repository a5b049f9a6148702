"""The seam between losses and networks: labels, augmentations, precision and compiled networks are handled here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ganbench.data.contract import described
from ganbench.errors import PluginError, describe
from ganbench.plugin.interfaces import Augmentation, Batch, Networks


class UpdatePlayers:
    """Both networks as a loss and its penalties call them in one update; see `ganbench.Players`."""

    def __init__(
        self,
        networks: Networks,
        generator: nn.Module,
        discriminator: nn.Module,
        augmentations: Sequence[tuple[str, Augmentation]] = (),
        differentiable_images: bool = False,
    ) -> None:
        """`generator` and `discriminator` are called, and may be compiled; `networks` has the bare ones.

        `augmentations` come with their plugins' names. With `differentiable_images`, gradients with respect to images
        can be taken: generated images require one, and so must real ones.
        """
        self.networks = networks
        self._generator = generator
        self._discriminator = discriminator
        self._augmentations = augmentations
        self._differentiable_images = differentiable_images
        self._generated: list[tuple[Batch, Tensor]] = []
        self._judged: list[tuple[Tensor, Any]] = []  # images as the loss passed them, and the discriminator's output

    def generate(self, batch: Batch) -> Tensor:
        for known, images in self._generated:
            if known is batch:
                return images
        given = (batch.latent, batch.fake_labels) if self.networks.conditional else (batch.latent,)
        images = self._generator(*given)
        if self._differentiable_images and not images.requires_grad:
            images.requires_grad_()
        self._generated.append((batch, images))
        return images

    def discriminate(self, images: Tensor, labels: Tensor | None = None) -> Any:
        augmented = images
        for plugin, augment in self._augmentations:
            augmented = self._augment(plugin, augment, augmented)
        given = (augmented, labels) if self.networks.conditional else (augmented,)
        output = self._discriminator(*given)
        self._judged.append((images, output))
        return output

    def input_gradient(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        logits = self.logits_of(images)
        if logits is None or not images.requires_grad:
            images = images.detach().requires_grad_()
            logits = first(self.discriminate(images, labels))
        if not logits.requires_grad:
            raise PluginError("the discriminator's output does not depend on its parameters or images")
        (gradient,) = torch.autograd.grad(logits.float().sum(), images, create_graph=True, allow_unused=True)
        if gradient is None:
            raise PluginError(
                "the discriminator's output does not depend on the images, so there is no gradient to penalize"
            )
        return gradient

    def logits_of(self, images: Tensor) -> Tensor | None:
        """The discriminator's logits on the very tensor `images`; None where it was not asked for them."""
        return next((first(output) for known, output in self._judged if known is images), None)

    def _augment(self, plugin: str, augment: Augmentation, images: Tensor) -> Tensor:
        try:
            augmented: Any = augment(images)
        except (Exception, SystemExit) as error:
            raise PluginError(f"{plugin} raised {describe(error)}") from error
        if not isinstance(augmented, Tensor) or augmented.shape != images.shape or augmented.dtype != images.dtype:
            raise PluginError(
                f"{plugin}: given {described(images)}, it returned {described(augmented)}; an augmentation must keep "
                "the images' shape and type"
            )
        return augmented


def first(output: Any) -> Tensor:
    """The logits in a discriminator's output."""
    return output[0] if isinstance(output, tuple | list) else output
