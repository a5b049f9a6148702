"""The players that losses call: labels, augmentations and compiled networks are handled here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ganbench.data.contract import described
from ganbench.errors import PluginError, describe
from ganbench.plugin.interfaces import Augmentation, Batch, Networks
from ganbench.runtime.ranks import Ranks


class UpdatePlayers:
    """Both networks as a loss and its penalties call them in one update; implements `ganbench.Players`."""

    def __init__(
        self,
        networks: Networks,
        generator: nn.Module,
        discriminator: nn.Module,
        augmentations: Sequence[tuple[str, Augmentation]] = (),
        differentiable_images: bool = False,
    ) -> None:
        """`generator` and `discriminator` are the modules to call, possibly compiled versions of those in `networks`.

        Each augmentation is paired with its plugin's name. With `differentiable_images`, generated images require
        gradients, so that penalties can differentiate with respect to them; real images must require gradients too.
        """
        self.networks = networks
        self._generator = generator
        self._discriminator = discriminator
        self._augmentations = augmentations
        self._differentiable_images = differentiable_images
        self._generated: list[tuple[Batch, Tensor]] = []
        self._outputs: list[tuple[Tensor, Any]] = []  # images before augmentation, and the output

    def generate(self, batch: Batch) -> Tensor:
        for known, images in self._generated:
            if known is batch:
                return images
        arguments = (batch.latent, batch.fake_labels) if self.networks.conditional else (batch.latent,)
        images = self._generator(*arguments)
        if self._differentiable_images and not images.requires_grad:
            images.requires_grad_()
        self._generated.append((batch, images))
        return images

    def discriminate(self, images: Tensor, labels: Tensor | None = None) -> Any:
        augmented = images
        for plugin, augment in self._augmentations:
            augmented = self._augment(plugin, augment, augmented)
        arguments = (augmented, labels) if self.networks.conditional else (augmented,)
        output = self._discriminator(*arguments)
        self._outputs.append((images, output))
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
        """Return the discriminator's logits for the tensor `images` itself; None if it was not called with it."""
        return next((first(output) for known, output in self._outputs if known is images), None)

    def adapt_augmentations(self, real: Tensor, loss: str, ranks: Ranks) -> None:
        """Call `adapt` of adaptive augmentations with the discriminator's logits on the real images of all ranks.

        `loss` is the name of the loss's plugin, for errors.
        """
        for plugin, augmentation in self._augmentations:
            if not hasattr(augmentation, "adapt"):
                continue
            logits = self.logits_of(real)
            if logits is None:
                raise PluginError(
                    f"{plugin} adapts to the discriminator's output on the real images, but {loss} never calls "
                    "players.discriminate(batch.real, ...) with this tensor itself"
                )
            try:
                augmentation.adapt(ranks.all_rows(logits.detach().float()))
            except (Exception, SystemExit) as error:
                raise PluginError(f"{plugin} raised in adapt: {describe(error)}") from error

    def _augment(self, plugin: str, augment: Augmentation, images: Tensor) -> Tensor:
        try:
            augmented: Any = augment(images)
        except (Exception, SystemExit) as error:
            raise PluginError(f"{plugin} raised {describe(error)}") from error
        if not isinstance(augmented, Tensor) or augmented.shape != images.shape or augmented.dtype != images.dtype:
            raise PluginError(
                f"{plugin}: for {described(images)}, it returned {described(augmented)}; an augmentation must keep "
                "the shape and dtype of the images"
            )
        return augmented


def first(output: Any) -> Tensor:
    """Return the logits from a discriminator's output: the output itself, or its first element."""
    return output[0] if isinstance(output, tuple | list) else output
