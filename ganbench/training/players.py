"""The players that losses call: labels, augmentations and compiled networks are handled here."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from ganbench.data.contract import described
from ganbench.errors import GanbenchError, PluginError, describe
from ganbench.plugin.interfaces import Augmentation, Batch, Networks, Player
from ganbench.runtime.ranks import Ranks
from ganbench.runtime.values import address_of, is_plain


class NamedAugmentation(NamedTuple):
    """An augmentation with the name of its plugin, for errors."""

    plugin: str
    augmentation: Augmentation


class UpdatePlayers:
    """Both networks as a loss and its penalties call them in one update; implements `ganbench.Players`."""

    def __init__(
        self,
        networks: Networks,
        generator: nn.Module,
        discriminator: nn.Module,
        augmentations: Sequence[NamedAugmentation] = (),
        differentiable_images: bool = False,
        detached_images: bool = False,
        model: str = "the model",
    ) -> None:
        """`generator` and `discriminator` are the modules to call, possibly compiled versions of those in `networks`.

        `model` is the name of the networks' plugin. With `differentiable_images`, generated images require gradients,
        so that penalties can differentiate with respect to them; real images must require gradients too. With
        `detached_images`, as in updates of the discriminator, no gradients reach the generator, not even its parameters
        that belong to the discriminator, too.
        """
        self.networks = networks
        self.model = model
        self._generator = generator
        self._discriminator = discriminator
        self._augmentations = augmentations
        self._differentiable_images = differentiable_images
        self._detached_images = detached_images
        self._generated: list[tuple[Batch, bool, Tensor]] = []  # with whether they serve for gradients
        # images before augmentation, their labels, and the output
        self._outputs: list[tuple[Tensor, Tensor | None, Any]] = []
        self._augmented: list[Tensor] = []
        self._has_augmented = False  # with the augmentations of the spec

    def generate(self, batch: Batch) -> Tensor:
        for known, serve_for_gradients, images in self._generated:
            if known is batch and (serve_for_gradients or not torch.is_grad_enabled()):
                return images
        arguments = (batch.latent, batch.fake_labels) if self.networks.conditional else (batch.latent,)
        made: Any = self._generator(*arguments)
        if not isinstance(made, Tensor):
            raise PluginError(f"{self.model}: its generator returned {described(made)}; expected a tensor of images")
        images = made
        if self._detached_images:
            images = images.detach()
        if self._differentiable_images and not images.requires_grad:
            images.requires_grad_()
        # detached images are the same without gradients, except in inference mode
        serve_for_gradients = torch.is_grad_enabled() or (self._detached_images and not images.is_inference())
        self._generated.append((batch, serve_for_gradients, images))
        return images

    def has_generated(self, batch: Batch) -> bool:
        """Return whether images were generated from this batch itself."""
        return any(known is batch for known, _, _ in self._generated)

    def has_generated_others(self, batch: Batch) -> bool:
        """Return whether images were generated, but only from other latent vectors, not even from a part of these."""
        latent = address_of(batch.latent)
        return bool(self._generated) and all(address_of(known.latent) != latent for known, _, _ in self._generated)

    def discriminate(self, images: Tensor, labels: Tensor | None = None) -> Any:
        augmented = self.augment(images)
        arguments = (augmented, labels) if self.networks.conditional else (augmented,)
        with unchanged(images, f"{self.model}: its discriminator"):
            output = self._discriminator(*arguments)
        self._outputs.append((images, labels, output))
        return output

    def logits(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        known = self._differentiable_logits(images, labels)
        return first(self.discriminate(images, labels)) if known is None else known

    def input_gradient(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        logits = self._differentiable_logits(images, labels)
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
        # with bf16, the gradient for generated images is bfloat16, in which a penalty would sum squares too coarsely
        return gradient.to(torch.promote_types(gradient.dtype, torch.float32))

    def _differentiable_logits(self, images: Tensor, labels: Tensor | None) -> Tensor | None:
        """Return known logits, unless they were computed without gradients, as for a monitor."""
        return next((logits for logits in self.logits_of(images, labels) if logits.requires_grad), None)

    def unlike_logits(self) -> str | None:
        """Return what the discriminator returned, if it was no tensor in this update; the loss may not expect that."""
        return next((described(output) for _, _, output in self._outputs if not isinstance(output, Tensor)), None)

    def logits_of(self, images: Tensor, labels: Tensor | None) -> Iterator[Tensor]:
        """Yield the discriminator's logits of each call with the tensors `images` and `labels` themselves.

        For unconditional models, the labels do not matter.
        """
        for known, known_labels, output in self._outputs:
            if known is images and (known_labels is labels or not self.networks.conditional):
                yield first(output)

    @contextmanager
    def requiring_augmented(self, batch: Batch, player: Player, loss: str) -> Iterator[None]:
        """Raise `PluginError` if, in the update of `player` within the block, the images are not augmented.

        `loss` is the name of the loss's plugin, which can only leave out augmentations if it calls the discriminator
        itself. Images made of augmented ones, such as packs of them, are fine, and so are monitors without gradients.
        """
        if not self._augmentations:
            yield
            return
        error = PluginError(
            f"{self._augmentations[0].plugin} has no effect on some images, because {loss} calls neither "
            "players.discriminate nor players.augment for them, but networks.discriminator with images that are not "
            "augmented: pass it players.augment(images), use torch.no_grad() for monitors, or remove the augmentation"
        )

        def watch(module: nn.Module, arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
            if not torch.is_grad_enabled():
                return
            original = addresses([batch.real, *(images for _, _, images in self._generated)])
            passed = addresses([*arguments, *named.values()])
            if not self._augmented or passed & (original - addresses(self._augmented)):
                raise error

        discriminator = self.networks.discriminator
        if self._discriminator is not discriminator:  # compiled; a hook would cause it to compile again in each update
            yield
        else:
            hook = discriminator.register_forward_pre_hook(watch, with_kwargs=True)
            try:
                yield
            finally:
                hook.remove()
        if player == "discriminator" and not self._has_augmented:  # a loss may call only parts of the network
            raise error

    def adapt_augmentations(self, batch: Batch, loss: str, ranks: Ranks) -> None:
        """Call `adapt` of adaptive augmentations with the discriminator's logits on the real images of all ranks.

        `loss` is the name of the loss's plugin, for errors.
        """
        for plugin, augmentation in self._augmentations:
            if not hasattr(augmentation, "adapt"):
                continue
            logits = next(self.logits_of(batch.real, batch.labels), None)
            if logits is None:
                raise PluginError(
                    f"{plugin} adapts to the discriminator's output on the real images, but {loss} never calls "
                    "players.discriminate(batch.real, batch.labels) with these tensors themselves"
                )
            try:
                augmentation.adapt(ranks.all_rows(logits.detach().float()))
            except (Exception, SystemExit) as error:
                raise PluginError(f"{plugin} raised in adapt: {describe(error)}") from error

    def augment(self, images: Tensor, augmentation: Augmentation | None = None) -> Tensor:
        """Apply all augmentations in float32, even with bf16, so that real and generated images are treated alike.

        With bf16, generated images are bfloat16, and real ones float32. `augmentation` replaces those of the spec.
        """
        augmentations = self._augmentations
        if augmentation is not None:
            augmentations = [NamedAugmentation(f"the augmentation {type(augmentation).__name__}", augmentation)]
        if not augmentations:
            return images
        with torch.autocast(images.device.type, enabled=False):
            augmented = images.to(torch.promote_types(images.dtype, torch.float32))
            for plugin, augment in augmentations:
                augmented = self._augment(plugin, augment, augmented)
        self._augmented.append(augmented)
        self._has_augmented |= augmentation is None
        return augmented

    def _augment(self, plugin: str, augment: Augmentation, images: Tensor) -> Tensor:
        try:
            with unchanged(images, plugin):
                augmented: Any = augment(images)
        except GanbenchError:
            raise
        except (Exception, SystemExit) as error:
            raise PluginError(f"{plugin} raised {describe(error)}") from error
        if not isinstance(augmented, Tensor) or augmented.shape != images.shape or augmented.dtype != images.dtype:
            raise PluginError(
                f"{plugin}: for {described(images)}, it returned {described(augmented)}; an augmentation must keep "
                "the shape and dtype of the images"
            )
        if torch.is_grad_enabled() and images.requires_grad and not augmented.requires_grad:
            raise PluginError(
                f"{plugin}: what it returned has no gradient with respect to the images, through which the generator "
                "learns; use differentiable operations of torch, without .detach(), .data or torch.no_grad()"
            )
        return augmented


@contextmanager
def unchanged(images: Tensor, who: str) -> Iterator[None]:
    """Raise `PluginError` if the block changes images in place: the rest of the step would get the changed ones.

    The number of changes is compared, not the values, which are on the device.
    """
    before = images._version
    yield
    if images._version != before:
        raise PluginError(
            f"{who} changes the images that it is given in place, by an operation such as mul_() or a layer with "
            "inplace=True, so penalties and later updates would get the changed ones; change a copy"
        )


def addresses(values: Iterable[Any]) -> set[int]:
    """Return the addresses of the tensors among the values, which their views share; without those on `meta`."""
    return {address_of(value) for value in values if isinstance(value, Tensor) and is_plain(value)} - {0}


def first(output: Any) -> Tensor:
    """Return the logits from a discriminator's output: the output itself, or its first element."""
    return output[0] if isinstance(output, tuple | list) else output
