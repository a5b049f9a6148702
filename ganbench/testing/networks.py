"""Small networks and a loss, for plugins that are tested in a training step."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from ganbench.plugin.interfaces import Batch, Networks, Players

LATENT_DIM = 8


def two_layer_networks(data_shape: tuple[int, ...], seed: int) -> Networks:
    """Return a linear generator and a smooth discriminator, whose input gradient depends on the image."""
    size = math.prod(data_shape)
    torch.manual_seed(seed)
    return Networks(
        nn.Sequential(nn.Linear(LATENT_DIM, size), nn.Tanh(), nn.Unflatten(1, data_shape)),
        nn.Sequential(nn.Flatten(), nn.Linear(size, 16), nn.Tanh(), nn.Linear(16, 1)),
        latent_dim=LATENT_DIM,
    )


class Labeled(nn.Module):
    """A network that takes labels, and ignores them."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, inputs: Tensor, labels: Any) -> Any:
        return self.network(inputs)


class Listening(Labeled):
    """Remembers its calls."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__(network)
        self.calls: list[tuple[Tensor, Any]] = []

    def forward(self, inputs: Tensor, labels: Any) -> Any:
        self.calls.append((inputs, labels))
        return super().forward(inputs, labels)


def conditional_networks(networks: Networks, kind: type[Labeled] = Labeled) -> Networks:
    """Return the networks as those of a conditional model."""
    return Networks(kind(networks.generator), kind(networks.discriminator), networks.latent_dim, conditional=True)


def assert_labels(networks: Networks, players: Players, batch: Batch) -> None:
    """Assert that the discriminator of `conditional_networks` got the labels of real and generated images.

    They are `Listening`.
    """
    assert isinstance(networks.discriminator, Listening)
    for images, labels in networks.discriminator.calls:
        assert isinstance(labels, Tensor), (
            f"expected labels for the discriminator of a conditional model, got {labels!r}: pass batch.labels for real "
            "images and batch.fake_labels for generated ones"
        )
        for name, own, expected in (
            ("real images", batch.real, batch.labels),
            ("generated images", players.generate(batch), batch.fake_labels),
        ):
            assert expected is not None
            assert images is not own or torch.equal(labels, expected), (
                f"expected the labels {expected.tolist()} of the {name}, got {labels.tolist()}"
            )


class LogisticLoss:
    """The non-saturating logistic loss (Goodfellow et al. 2014)."""

    def discriminator_loss(self, players: Players, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        real = players.discriminate(batch.real, batch.labels)
        fake = players.discriminate(players.generate(batch), batch.fake_labels)
        return softplus(-logits(real)).mean() + softplus(logits(fake)).mean(), {}

    def generator_loss(self, players: Players, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        return softplus(-logits(players.discriminate(players.generate(batch), batch.fake_labels))).mean(), {}


def logits(output: Any) -> Tensor:
    """Return the logits from a discriminator's output: the output itself, or its first item."""
    found: Tensor = output[0] if isinstance(output, tuple | list) else output
    return found.float()
