"""Penalties that break a rule."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ganbench import Batch, PenaltyPlugin, Players

from .broken import Broken, disturbed


def at_real_images(players: Players, batch: Batch) -> Tensor:
    return players.input_gradient(batch.real, batch.labels).square().mean()


def without_mean(players: Players, batch: Batch) -> Tensor:
    return players.input_gradient(batch.real, batch.labels).square()


def without_labels(players: Players, batch: Batch) -> Tensor:
    return players.input_gradient(batch.real * 0.5).square().mean()


def darkening(players: Players, batch: Batch) -> Tensor:
    batch.real.data.mul_(0.5)
    return at_real_images(players, batch)


def in_numpy(players: Players, batch: Batch) -> Tensor:
    """Numpy has no bfloat16."""
    return at_real_images(players, batch) * players.discriminate(batch.real).detach().numpy().mean()


class Disturbed:
    def __init__(self, disturbance: Callable[[Tensor], Tensor]) -> None:
        self.disturbance = disturbance

    def __call__(self, players: Players, batch: Batch) -> Tensor:
        return self.disturbance(at_real_images(players, batch))


def of_the_latents(players: Players, batch: Batch) -> Tensor:
    """A gradient through the generator, as for path-length regularization."""
    latent = batch.latent.detach().requires_grad_()
    labels = (batch.fake_labels,) if players.networks.conditional else ()
    images = players.networks.generator(latent, *labels)
    (gradient,) = torch.autograd.grad(images.sum(), latent, create_graph=True)
    return gradient.square().mean()


def penalty(make: Callable[[], Any], **fields: Any) -> PenaltyPlugin:
    return PenaltyPlugin(name="mine", summary="The squared gradient", build=lambda *_: make(), **fields)


SOUND = penalty(lambda: at_real_images)
SOUND_ON_THE_GENERATOR = penalty(lambda: of_the_latents, player="generator")
BROKEN = {
    "it is a finite scalar with gradients for its network": Broken(
        penalty(lambda: without_mean), "expected a scalar, got shape (16, 1, 28, 28) for the penalty"
    ),
    "it passes the labels of the images": Broken(penalty(lambda: without_labels), "got None: pass batch.labels"),
    "it does not change the batch": Broken(penalty(lambda: darkening), "expected unchanged batch.real, got"),
    "it is finite in bf16": Broken(penalty(lambda: in_numpy), "BFloat16"),
    **disturbed(lambda disturbance: penalty(lambda: Disturbed(disturbance())), "penalty penalty.disturbance"),
}
